"""Measures of several models side by side. Columns come as everywhere in `figures`."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes

from breadth.report import style
from breadth.report.figures.common import Floats, Strings, unique

__all__ = ["sizes"]


def sizes(
    ax: Axes,
    *,
    task: Strings,
    place: Floats,
    value: Floats,
    ceiling: Floats | None,
    title: str,
    names: Mapping[float, str],
    log: bool,
) -> None:
    """One measure of several models, a line for each task [Fig. 4, 8].

    Args:
        ax: a small Axes.
        task: of each entry.
        place: where the model stands, ascending inside a task: its number of parameters, or its turn.
        value: the measure, NaN where it is not defined.
        ceiling: the most that any sampler on the model's ranking could reach, drawn hollow; None without one.
        title: what the measure is.
        names: place → the model that stands there.
        log: whether places are on a logarithmic axis.
    """
    for name, look in style.looks(unique(task)).items():
        mine = task == name
        ax.plot(
            place[mine],
            value[mine],
            **look.options,
            markersize=7,
            markeredgecolor="white",
            markeredgewidth=0.5,
            clip_on=False,
            label=name,
        )
        if ceiling is not None:
            hollow = look.options | {"linestyle": "none", "markerfacecolor": "none"}
            ax.plot(
                place[mine], ceiling[mine], **hollow, markersize=8, clip_on=False, label=f"ceiling: {name}"
            )
    ax.set_title(title, loc="left", fontsize=9.5, color=style.INK)
    if log:
        ax.set_xscale("log")
        ax.xaxis.set_minor_locator(style.no_ticks())
    ax.margins(x=0.16)
    ax.set_xticks(list(names))
    ax.set_xticklabels(list(names.values()), rotation=28, ha="right", rotation_mode="anchor", fontsize=8.5)
