"""The paper's bounds over data: every function draws one picture and computes nothing."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from breadth.report import style

__all__ = ["temperature_bound"]

Floats = NDArray[np.float64]


def temperature_bound(
    ax: Axes,
    *,
    temperature: Floats,
    validity: Floats,
    diversity: Floats,
    bound_f4: Floats,
    bound_f5: Floats,
) -> None:
    """What temperature alone does, and what the paper's shape bounds would allow [Thm F.4, Cor. F.5].

    Args:
        ax: the legend is written to the right of it.
        temperature: ascending.
        validity: 0 … 1, at each temperature.
        diversity: likewise.
        bound_f4: the most diversity at this validity, NaN where the bound is not defined.
        bound_f5: the weaker one of the corollary.
    """
    order = np.argsort(validity)
    for bound, line, words in ((bound_f4, "-", "F.4"), (bound_f5, "--", "F.5")):
        if not np.isnan(bound).all():
            label = f"bound {words},\nunder its assumptions"
            ax.plot(validity[order], bound[order], color=style.MUTED, linestyle=line, label=label)
    ax.plot(validity, diversity, color=style.VALID, marker="o", markersize=5, label="temperature alone")
    for x, y, t in zip(validity.tolist(), diversity.tolist(), temperature.tolist(), strict=True):
        if not np.isnan(y):
            ax.annotate(
                f"{t:g}", (x, y), xytext=(5, 4), textcoords="offset points", fontsize=8, color=style.MUTED
            )
    ticks = np.arange(0, 1.1, 0.2)
    ax.set(xlim=(-0.02, 1.03), ylim=(-0.02, 1.06), xticks=ticks, yticks=ticks)
    ax.set_xlabel("Validity  (better →)")
    ax.set_ylabel("Diversity  (better →)")
    ax.legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0, labelspacing=0.9)
