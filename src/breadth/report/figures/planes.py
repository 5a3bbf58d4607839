"""Planes of validity and diversity: every function draws one picture and computes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from breadth.report import style
from breadth.report.figures.common import HALO, Legend, unique

__all__ = ["MAX_SERIES", "frontier", "lengths", "overview", "overview_frame"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Strings = NDArray[np.str_]


MAX_SERIES = 10
"""More rule families than this are not told apart: the others stay faint points."""

DEFAULT: dict[str, Any] = {
    "linestyle": "none",
    "marker": "*",
    "color": "#ffd400",
    "markeredgecolor": style.INK,
    "markeredgewidth": 1.1,
    "zorder": 6,
    "clip_on": False,
    "label": "the model's default",
}
"""The model's default rule is the yellow star in every figure."""

ORACLE_WORDS = {
    "oracle_size": "size: knows how many\ntokens are valid",
    "oracle_validity": "validity: knows which\ntokens are valid",
    "oracle_shape": "shape: knows how likely\neach should be",
}


def _plane(ax: Axes) -> None:
    """The unit square of validity and diversity."""
    ticks = np.arange(0, 1.1, 0.2)
    ax.set(xlim=(-0.02, 1.03), ylim=(-0.02, 1.03), xticks=ticks, yticks=ticks)


def _plane_words(ax: Axes) -> None:
    ax.set_xlabel("Validity: probability that an answer is valid  (better →)")
    ax.set_ylabel("Diversity: share of the valid answers in use  (better →)")


def _repeating(ax: Axes, n_answers: int, *, words: bool) -> None:
    """The diversity of always giving the same answer."""
    ax.axhline(1 / n_answers, color=style.MUTED, linewidth=1.1, linestyle=(0, (1, 2)), zorder=1)
    if words:
        high = n_answers == 1
        ax.annotate(
            f"always the same answer: 1/{n_answers:,}",
            (0.12, 1 / n_answers),
            xytext=(0, -3 if high else 3),
            textcoords="offset points",
            va="top" if high else "bottom",
            fontsize=8.5,
            color=style.MUTED,
            path_effects=HALO,
            zorder=7,
        )


def frontier(
    ax: Axes,
    *,
    kind: Strings,
    series: Strings,
    rule: Strings,
    validity: Floats,
    diversity: Floats,
    on_front: Bools,
    n_answers: int,
    heading: str = "Decoding rules",
) -> None:
    """Validity against diversity [Fig. 6, 9]: all points faint, the front of every series drawn.

    Args:
        ax: the legend is written to the right of it.
        kind: `rule`, `oracle` or `default`.
        series: what shares a front: a rule family, an oracle, or a rule of its own; rules best first.
        rule: the rule of each point.
        validity: 0 … 1.
        diversity: 0 … 1.
        on_front: whether the point is on its series' front; these come in the order of the front.
        n_answers: |V|.
        heading: of the rules in the legend.
    """
    _plane(ax)
    _plane_words(ax)
    highest = validity[kind == "rule"].max(initial=0.0)
    panes = [ax]
    if 0 < highest < 0.2:
        panes.append(_enlarged(ax, highest, np.nanmax(diversity[kind == "rule"])))
    # With few answers the words would stand under the window.
    _repeating(ax, n_answers, words=len(panes) == 1 or n_answers > 7)
    legend = Legend()
    names = unique(series[kind == "rule"])
    look_of = style.looks(names) | style.ORACLES
    for name in names:
        mine = (kind == "rule") & (series == name)
        faint = {"linestyle": "none", "alpha": 0.35, "markersize": 3.2, "markeredgewidth": 0}
        for pane in panes:
            pane.plot(
                validity[mine], diversity[mine], **look_of[name].options | faint, label=f"tried: {name}"
            )

    def front(name: str, text: str, **options: Any) -> None:
        mine = (series == name) & on_front
        if mine.sum() == 1:
            options |= {"linestyle": "none", "markersize": 8}
        options = look_of[name].options | {"markersize": 5.5, "label": name} | options
        lines = [
            pane.plot(validity[mine], diversity[mine], **options, clip_on=pane is not ax) for pane in panes
        ]
        legend.add(lines[0][0], text)

    for name in names[:MAX_SERIES]:
        legend.head(heading)
        text = "temperature alone" if name == "temperature" else style.wrapped(name)
        front(name, text, markeredgecolor="white", markeredgewidth=0.5, zorder=3)
    if len(names) > MAX_SERIES:
        legend.add(Line2D([], [], linestyle="none"), f"and {len(names) - MAX_SERIES} more, faint")
    for index in np.flatnonzero(kind == "default"):
        stars = [pane.plot([validity[index]], [diversity[index]], **DEFAULT, markersize=15) for pane in panes]
        legend.head("The model's default rule")
        legend.add(stars[0][0], style.wrapped(str(rule[index])))
    for name in unique(series[kind == "oracle"]):
        legend.head("Oracles, for diagnosis only")
        front(name, ORACLE_WORDS[name], markerfacecolor="white", linewidth=1.2, zorder=4)
    legend.draw(ax)


def _enlarged(ax: Axes, validity: float, diversity: float) -> Axes:
    """A window onto the left edge of the plane, for models that are hardly ever valid."""
    window = ax.inset_axes((0.36, 0.3, 0.56, 0.6))
    window.set(xlim=(-0.04 * validity, 1.1 * validity), ylim=(-0.03, min(1.15 * diversity, 1.03)))
    window.xaxis.set_major_locator(MaxNLocator(5))
    window.yaxis.set_major_locator(MaxNLocator(5))
    window.set_title("enlarged", fontsize=9, color=style.MUTED, pad=4)
    ax.indicate_inset_zoom(window, edgecolor=style.MUTED)
    return window


def overview(
    ax: Axes,
    *,
    model: Strings,
    task: Strings,
    kind: Strings,
    rule: Strings,
    validity: Floats,
    diversity: Floats,
    n_answers: int,
) -> None:
    """One model on one task, small: the front of all rules, oracle size, and the default.

    Args:
        ax: a small Axes; axis labels and legend are `overview_frame`'s.
        model: one name, in every entry.
        task: one name, in every entry.
        kind: `front` and `oracle_size` in the order of the front, `default`.
        rule: the rule of each point.
        validity: 0 … 1.
        diversity: 0 … 1.
        n_answers: |V|.
    """
    for name, up, weight in ((model[0], 16, "bold"), (task[0], 4, "normal")):
        label = ax.annotate(
            style.legible(str(name)),
            (0, 1),
            xytext=(0, up),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=9,
            fontweight=weight,
        )
        style.fit(label, ax.bbox.width)
    _plane(ax)
    _repeating(ax, n_answers, words=False)
    best, oracle, default = (kind == name for name in ("front", "oracle_size", "default"))
    # What a front allows: everything that it beats.
    ax.fill_between(
        np.append(validity[best], 0.0),
        np.append(diversity[best], diversity[best].max(initial=0.0)),
        color=style.VALID,
        alpha=0.12,
        linewidth=0,
        step="pre",
    )
    ax.plot(
        validity[best],
        diversity[best],
        color=style.VALID,
        drawstyle="steps-pre",
        marker="o",
        markersize=3,
        label="best of all rules tried",
    )
    ax.plot(
        validity[oracle],
        diversity[oracle],
        **style.ORACLES["oracle_size"].options,
        markerfacecolor="white",
        clip_on=False,
        label="oracle size: knows how many tokens are valid",
    )
    ax.plot(validity[default], diversity[default], **DEFAULT, markersize=13)


def overview_frame(grid: NDArray[Any], n_panels: int) -> None:
    """Labels and one legend around a grid of overviews, the first `n_panels` of which are used."""
    across = grid.shape[1]
    for ax in grid.flat[n_panels:]:
        ax.set_visible(False)
    for index, ax in enumerate(grid.flat[:n_panels]):
        below = index + across
        ax.tick_params(labelleft=index % across == 0, labelbottom=below >= n_panels)
        if index % across == 0:
            ax.set_ylabel("Diversity  (better →)")
        if below >= n_panels:
            ax.set_xlabel("Validity  (better →)")
    figure = grid.flat[0].figure
    handles, names = grid.flat[0].get_legend_handles_labels()
    figure.legend(
        handles,
        names,
        loc="upper left",
        bbox_to_anchor=(0.7, figure.get_size_inches()[1] - 0.68),
        bbox_transform=figure.dpi_scale_trans,
        borderaxespad=0,
        ncols=len(names),
    )


def lengths(ax: Axes, *, length: Ints, temperature: Floats, validity: Floats, diversity: Floats) -> None:
    """What temperature alone can do, by the length of the answers [Fig. 5, left].

    Args:
        ax: the legend is written to the right of it.
        length: of the answers, for example the number of digits.
        temperature: ascending inside a length; every point's is written beside it where there is room.
        validity: 0 … 1.
        diversity: 0 … 1.
    """
    _plane(ax)
    _plane_words(ax)
    legend = Legend()
    legend.head("Length")
    values = unique(length)
    look_of = dict(zip(values, style.sequence(len(values)), strict=True))
    for value, look in look_of.items():
        mine = length == value
        (line,) = ax.plot(
            validity[mine],
            diversity[mine],
            **look.options,
            markeredgecolor="white",
            markeredgewidth=0.5,
            markersize=6.5,
            clip_on=False,
            label=f"{value}",
        )
        legend.add(line, f"{value}")
    legend.add(Line2D([], [], linestyle="none"), "numbers:\ntemperature")
    legend.draw(ax)
    texts = [f"{value:g}" for value in temperature]
    _annotate(ax, validity, diversity, texts, [look_of[value].colour for value in length.tolist()])


_PLACES = [
    (7, 0, "left", "center"),
    (-7, 0, "right", "center"),
    (0, 6, "center", "bottom"),
    (0, -6, "center", "top"),
    (5, 5, "left", "bottom"),
    (-5, -5, "right", "top"),
    (-5, 5, "right", "bottom"),
    (5, -5, "left", "top"),
]
"""Where a label may stand beside its point, best first: offset in points, alignment."""


def _annotate(ax: Axes, x: Floats, y: Floats, texts: list[str], colours: list[str]) -> None:
    """Write each text beside its point, inside, where it covers no line and no other text, or not at all."""
    inside = ax.bbox.padded(8)
    drawn = [line.get_path().interpolated(20).vertices for line in ax.lines]
    taken = ax.transData.transform(np.concatenate(drawn))
    boxes: list[Any] = []
    for at_x, at_y, text, colour in zip(x, y, texts, colours, strict=True):
        if np.isnan(at_x) or np.isnan(at_y):
            continue
        dark = tuple(0.75 * part for part in to_rgb(colour))
        label = ax.annotate(
            text, (at_x, at_y), xytext=(0, 0), textcoords="offset points", fontsize=8.5, color=dark
        )
        for dx, dy, ha, va in _PLACES:
            label.set(position=(dx, dy), ha=ha, va=va)
            box = label.get_window_extent()
            within = inside.contains(box.x0, box.y0) and inside.contains(box.x1, box.y1)
            if within and box.count_contains(taken) == 0 and box.count_overlaps(boxes) == 0:
                boxes.append(box)
                break
        else:
            label.remove()
