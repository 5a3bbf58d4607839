"""How well a ranking can be cut: precision against recall, at one step and over whole answers.

Columns come as everywhere in `figures`.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from breadth.report import style
from breadth.report.figures.common import Floats, Legend, Strings, unique
from breadth.report.figures.planes import MAX_SERIES, ORACLE_WORDS

__all__ = ["CURVES", "cutoff_frontier", "local_frontier"]

CURVES = {
    "mean": style.Look(style.INK, ""),
    "best": style.Look(style.VALID, "", ":"),
    "worst": style.Look(style.INVALID, "", "--"),
}


def local_frontier(ax: Axes, *, recall: Floats, mean: Floats, best: Floats, worst: Floats) -> None:
    """Local precision against recall at the prefixes of one step [Fig. 2, 3].

    Args:
        ax: a small Axes.
        recall: 0 … 1, ascending; between two of them all curves keep the value of the second.
        mean: largest precision at this recall or more, the mean over prefixes.
        best: of the prefix with the largest area.
        worst: of the one with the smallest.
    """
    ax.fill_between(recall, worst, best, color=style.VALID, alpha=0.1, linewidth=0, step="pre")
    for name, column in (("best", best), ("worst", worst), ("mean", mean)):
        look = CURVES[name].options | {"linewidth": 2.2 if name == "mean" else 1.5}
        ax.plot(recall, column, **look, drawstyle="steps-pre", label=name, clip_on=False)
    ticks = [0, 0.25, 0.5, 0.75, 1]
    ax.set(xlim=(0, 1), ylim=(0, 1.03), xticks=ticks, yticks=ticks)
    ax.xaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_major_formatter("{x:g}")


def cutoff_frontier(ax: Axes, *, kind: Strings, series: Strings, recall: Floats, precision: Floats) -> None:
    """The best precision that adaptive cutoffs reach at every recall, and the rules tried below it.

    Args:
        ax: the legend is written to the right of it.
        kind: `frontier` and, where that is not exact, `above` in the order of recall; `rule` and `oracle`.
        series: what shares a marker: a family of rules, or the oracle.
        recall: share of the sequences that survive.
        precision: probability of a valid answer when every step samples uniformly.
    """
    legend = Legend()
    legend.head("A cutoff of its own at every prefix")
    best, above = kind == "frontier", kind == "above"
    ax.fill_between(recall[best], precision[best], color=style.VALID, alpha=0.1, linewidth=0, step="pre")
    for mine, text, line in ((best, "the best there is", "-"), (above, "no better than this", ":")):
        if mine.any():
            look = {"color": style.VALID, "linewidth": 2.2, "linestyle": line, "drawstyle": "steps-pre"}
            (drawn,) = ax.plot(recall[mine], precision[mine], **look, label=text, zorder=2)
            legend.add(drawn, text if not above.any() or mine is above else "at least this good")
    names = unique(series[kind == "rule"])
    for index, (name, look) in enumerate(style.looks(names).items()):
        mine = (kind == "rule") & (series == name)
        known = index < MAX_SERIES
        (drawn,) = ax.plot(
            recall[mine],
            precision[mine],
            linestyle="none",
            marker=look.marker if known else ".",
            color=look.colour if known else style.FAINT,
            markersize=5,
            markeredgecolor="white",
            markeredgewidth=0.4,
            clip_on=False,
            label=name,
            zorder=3,
        )
        legend.head("Cutoff rules tried")
        if known:
            legend.add(drawn, "temperature alone" if name == "temperature" else style.wrapped(name))
    if len(names) > MAX_SERIES:
        legend.add(Line2D([], [], linestyle="none"), f"and {len(names) - MAX_SERIES} more, faint")
    for name in unique(series[kind == "oracle"]):
        mine = (kind == "oracle") & (series == name)
        look = style.ORACLES[name].options | {"linestyle": "none", "markerfacecolor": "white"}
        (drawn,) = ax.plot(
            recall[mine], precision[mine], **look, markersize=8, clip_on=False, label=name, zorder=4
        )
        legend.head("Oracle, for diagnosis only")
        legend.add(drawn, ORACLE_WORDS[name])
    legend.draw(ax)
    ticks = np.arange(0, 1.1, 0.2)
    ax.set(xlim=(-0.02, 1.03), ylim=(-0.02, 1.03), xticks=ticks, yticks=ticks)
    ax.set_xlabel("Recall: share of all sequences that survive the cutoffs  (better →)")
    ax.set_ylabel(
        "Precision: probability of a valid answer,\nsampled uniformly from what is kept  (better →)"
    )
