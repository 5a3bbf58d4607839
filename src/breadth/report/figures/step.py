"""One step of generation: where the next token's probability goes, and which tokens are valid."""

from __future__ import annotations

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from breadth.report import style
from breadth.report.figures.common import legend_above

__all__ = ["masses", "ranking", "top_tokens"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Strings = NDArray[np.str_]


def masses(ax: Axes, *, temperature: Floats, frequent: Floats, rare: Floats, invalid: Floats) -> None:
    """Where one step's probability goes as temperature rises [Fig. 1, right].

    Args:
        ax: stacked, from 0 to 1.
        temperature: ascending.
        frequent: probability of the valid tokens that are likely at temperature 1.
        rare: probability of the other valid tokens.
        invalid: probability of all other tokens.
    """
    names = (
        "valid, likely at temperature 1",
        "valid, rare at temperature 1",
        "invalid",
    )
    areas = ax.stackplot(
        temperature,
        frequent,
        rare,
        invalid,
        colors=[style.VALID, style.RARE, style.INVALID_AREA],
        labels=names,
        linewidth=0.8,
        edgecolor="white",
    )
    areas[2].set(hatch="////", edgecolor=style.INVALID, linewidth=0)
    ax.axvline(1, color=style.INK, linewidth=1.1, linestyle=(0, (4, 3)))
    ax.annotate(
        "T = 1",
        (1, 0),
        xytext=(6, 6),
        textcoords="offset points",
        fontsize=9,
        bbox={"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 2},
    )
    ax.set(xlim=(temperature.min(), temperature.max()), ylim=(0, 1))
    ax.grid(visible=False)
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.set_xlabel("Temperature")
    ax.set_ylabel("Probability of the next token")
    handles: list[Artist] = [
        Patch(facecolor=area.get_facecolor()[0], edgecolor=edge, hatch=hatch, linewidth=0, label=name)
        for area, name, hatch, edge in zip(
            areas, names, ("", "", "////"), ("white", "white", style.INVALID), strict=True
        )
    ]
    legend_above(ax, handles, 3)


def top_tokens(ax: Axes, *, token: Strings, probability: Floats, valid: Bools) -> None:
    """The most likely next tokens as bars, with their text [Fig. 1, left].

    Args:
        ax: one row per token, the most likely on top.
        token: as it should be read.
        probability: 0 … 1.
        valid: whether the token keeps the answer valid.
    """
    rows = np.arange(len(token))
    for which, colour, face, hatch in (
        (valid, style.VALID, style.VALID, ""),
        (~valid, style.INVALID, style.INVALID_AREA, "////"),
    ):
        ax.barh(
            rows[which],
            probability[which],
            height=0.72,
            facecolor=face,
            edgecolor=colour,
            hatch=hatch,
            linewidth=0.6,
            label="valid" if which is valid else "invalid",
        )
    for row, p in zip(rows, probability, strict=True):
        ax.annotate(
            f"{p:.1%}" if p >= 1e-3 else "<0.1%" if p > 0 else "0%",
            (p, row),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
        )
    ax.set_yticks(rows, token)
    for text, is_valid in zip(ax.get_yticklabels(), valid, strict=True):
        text.set_color(style.VALID if is_valid else style.INVALID)
    ax.tick_params(axis="y", length=0)
    ax.set(ylim=(len(token) - 0.4, -0.6), xlim=(0, max(probability.max(initial=0.0), 1e-9) * 1.22))
    ax.grid(visible=False, axis="y")
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%" if value <= 1 else "")
    ax.set_xlabel(f"The {len(token)} likeliest tokens")


def ranking(ax: Axes, *, rank: Ints, probability: Floats, valid: Bools) -> None:
    """All tokens by rank, told apart by validity [Fig. 1, left].

    Args:
        ax: logarithmic both ways.
        rank: ascending, from 1; the last is the size of the vocabulary.
        probability: 0 … 1.
        valid: whether the token keeps the answer valid.
    """
    ax.plot(rank, probability, color=style.FAINT, linewidth=1.2, zorder=1, label="_all")
    ax.plot(
        rank[~valid],
        probability[~valid],
        linestyle="none",
        marker="x",
        markersize=4.5,
        markeredgewidth=1.1,
        color=style.INVALID,
        label="invalid (not all drawn)",
    )
    ax.plot(
        rank[valid],
        probability[valid],
        linestyle="none",
        marker="o",
        markersize=6,
        color=style.VALID,
        markeredgecolor="white",
        markeredgewidth=0.6,
        label=f"valid: {valid.sum():,} token{'s' * int(valid.sum() != 1)}",
        zorder=3,
    )
    ax.margins(0.03)
    style.count_axis(ax, "x")
    style.probability_axis(ax, "y")
    ax.set_xlabel(f"All {rank.max():,} tokens by rank (log scale)")
    ax.set_ylabel("Probability at temperature 1 (log scale)")
    ax.legend(loc="lower left")
