"""Whole answers: how likely each is, and how many turn up in many samples."""

from __future__ import annotations

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from breadth.report import style
from breadth.report.figures.common import HALO, Legend, legend_above, unique

__all__ = ["answers", "distinct"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Strings = NDArray[np.str_]


def answers(
    ax: Axes, beside: Axes, *, temperature: Floats, rank: Ints, probability: Floats, n_answers: int
) -> None:
    """Answers sorted by probability at several temperatures, with the tail [Fig. 5 right, 10].

    Args:
        ax: the answers.
        beside: a narrow Axes that shares the vertical axis, for the tail.
        temperature: one curve each, in order of appearance.
        rank: of the answer at that temperature, from 1; 0 stands for all invalid answers together.
        probability: 0 … 1.
        n_answers: |V|.
    """
    values = unique(temperature)
    lines: list[Artist] = []
    for place, (value, look) in enumerate(zip(values, style.sequence(len(values)), strict=True)):
        mine = (temperature == value) & (rank > 0)
        (line,) = ax.plot(
            rank[mine],
            probability[mine],
            **look.options,
            markevery=max(1, int(mine.sum()) // 12),
            linewidth=2.4 if value == 1 else 1.5,
            label=f"{value:g}",
        )
        lines.append(line)
        tail = probability[(temperature == value) & (rank == 0)]
        beside.plot(
            np.full(len(tail), place),
            tail,
            **look.options | {"linestyle": "none", "markersize": 8},
            clip_on=False,
            label=f"{value:g}",
        )
        for p in tail[tail > 0]:
            beside.annotate(
                _percent(p),
                (place, p),
                xytext=(0, 7),
                textcoords="offset points",
                ha="center",
                fontsize=8.5,
                path_effects=HALO,
            )
    ax.axhline(1 / n_answers, color=style.INK, linewidth=1.2, linestyle=(0, (6, 3)), zorder=1.5)
    ax.annotate(
        f"all valid answers equally likely: 1/{n_answers:,}",
        (1, 1 / n_answers),
        xycoords=("axes fraction", "data"),
        xytext=(-3, 3),
        textcoords="offset points",
        ha="right",
        fontsize=8.5,
        path_effects=HALO,
        zorder=7,
    )
    seen = probability[probability > 0]
    # Far below an even share nobody will ever see an answer; its exact depth is in the data file.
    floor = max(min(seen.min(initial=1.0), 1 / n_answers) / 2, 1e-5 / n_answers)
    ax.set_ylim(floor, 3)
    style.probability_axis(ax, "y")
    ax.set_xlim(0.5, n_answers + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.xaxis.set_major_formatter(style.count)
    ax.set_xlabel("Valid answers, most probable first (rank)")
    ax.set_ylabel("Probability of the answer (log scale)")
    beside.set(xlim=(-0.7, len(values) - 0.3), xticks=range(len(values)))
    beside.set_xticklabels([f"{value:g}" for value in values])
    beside.grid(visible=False, axis="x")
    beside.tick_params(axis="y", which="both", length=0, labelleft=False)
    beside.set_xlabel("All invalid answers\ntogether, by temperature")
    handle = Line2D([], [], linestyle="none", label="Temperature:")
    legend_above(ax, [handle, *lines], len(lines) + 1)


def _percent(share: float) -> str:
    """A probability short enough to stand above a marker."""
    if share < 0.01:
        return "<1%"
    return ">99%" if 0.995 <= share < 1 else f"{share:.0%}"


def distinct(
    ax: Axes, *, kind: Strings, label: Strings, samples: Floats, expected: Floats, n_answers: int
) -> None:
    """Expected number of different valid answers against samples drawn.

    Args:
        ax: logarithmic in the samples.
        kind: `ideal`, `default` or `rule`.
        label: what the curve is called.
        samples: ≥ 1.
        expected: 0 … |V|.
        n_answers: |V|.
    """
    looks = iter((style.Look(style.VALID, "o"), style.Look("#009e73", "^", "-.")))
    legend = Legend()
    legend.head("Drawing again and again from")
    for name in unique(label):
        mine = label == name
        match kind[mine][0]:
            case "ideal":
                look, width = style.Look(style.INK, "", (0, (6, 3))), 1.4
            case "default":
                look, width = style.Look("#c79a00", "*"), 2.2
            case _:
                look, width = next(looks), 1.8
        (line,) = ax.plot(
            samples[mine],
            expected[mine],
            **look.options,
            linewidth=width,
            markersize=9 if look.marker == "*" else 5,
            markevery=8,
            label=name,
        )
        legend.add(line, name)
    legend.draw(ax)
    ax.axhline(n_answers, color=style.MUTED, linewidth=1.1, linestyle=(0, (1, 2)), zorder=1)
    ax.annotate(
        f"{n_answers:,} valid answers exist" if n_answers > 1 else "1 valid answer exists",
        (0, n_answers),
        xycoords=("axes fraction", "data"),
        xytext=(3, 3),
        textcoords="offset points",
        fontsize=8.5,
        color=style.MUTED,
    )
    ax.set_ylim(0, n_answers * 1.1)
    ax.set_xlim(samples.min(), samples.max())
    style.count_axis(ax, "x")
    ax.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.yaxis.set_major_formatter(style.count)
    ax.set_xlabel("Samples drawn, valid or not (log scale)")
    ax.set_ylabel("Different valid answers  (better →)")
