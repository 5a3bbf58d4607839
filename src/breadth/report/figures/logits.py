"""Sorted logits, and the line and logarithm fitted to them. Columns come as everywhere in `figures`."""

from __future__ import annotations

from matplotlib.axes import Axes

from breadth.report import style
from breadth.report.figures.common import Bools, Floats, Ints

__all__ = ["logit_fit"]


def logit_fit(
    ax: Axes, *, rank: Ints, logit: Floats, fitted: Floats, valid: Bools, head_end: int, log: bool
) -> None:
    """Sorted logits and the curve fitted to them, over some ranks [Fig. 13 to 15].

    Args:
        ax: one zoom.
        rank: ascending.
        logit: of the token at each rank.
        fitted: a line up to `head_end`, a logarithm beyond.
        valid: whether the token is valid.
        head_end: c, the last rank of the line.
        log: whether ranks are on a logarithmic axis.
    """
    head = rank <= head_end
    ax.plot(rank, logit, color=style.FAINT, linewidth=4, solid_capstyle="round", label="all tokens", zorder=1)
    ax.plot(
        rank[valid],
        logit[valid],
        linestyle="none",
        marker="o",
        markersize=4.5,
        color=style.VALID,
        markeredgecolor="white",
        markeredgewidth=0.5,
        label="valid tokens",
        zorder=2,
    )
    ax.plot(rank[head], fitted[head], color=style.INVALID, linewidth=1.8, label="fitted line", zorder=3)
    ax.plot(
        rank[~head],
        fitted[~head],
        color=style.INK,
        linewidth=1.6,
        linestyle="--",
        label="fitted logarithm",
        zorder=3,
    )
    if head_end < rank.max():
        ax.axvline(
            head_end, color=style.MUTED, linewidth=1, linestyle=(0, (1, 2)), label="where the line ends"
        )
    if log:
        style.count_axis(ax, "x")
    ax.set_xlabel("Rank (log scale)" if log else "Rank")
