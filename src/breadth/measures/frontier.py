"""Frontiers of validity and diversity over a set of rules."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["best_at", "frontier_area", "pareto_front"]

Floats = NDArray[np.float64]


def pareto_front(validity: Floats, diversity: Floats) -> NDArray[np.int64]:
    """Indices of the points that no other point beats in both coordinates.

    Args:
        validity: (r,), 0 … 1.
        diversity: (r,), 0 … 1; NaN points are never on the front.

    Returns:
        Indices by falling validity and strictly rising diversity; of equal points the first.
    """
    order = np.lexsort((np.arange(len(validity)), -diversity, -validity))
    order = order[~np.isnan(diversity[order])]
    best = np.maximum.accumulate(diversity[order]) if len(order) else diversity[order]
    rises = np.diff(best, prepend=-np.inf) > 0
    return order[rises]


def best_at(validity: Floats, diversity: Floats, floor: float) -> int | None:
    """Index of the largest diversity among points with validity ≥ `floor`; None where none reaches it."""
    reached = np.flatnonzero((validity >= floor) & ~np.isnan(diversity))
    if not len(reached):
        return None
    # Among equals prefer the higher validity, then the earlier rule.
    order = np.lexsort((reached, -validity[reached], -diversity[reached]))
    return int(reached[order[0]])


def frontier_area(validity: Floats, diversity: Floats) -> float:
    """Area under a front: ∫₀¹ max{Div : Val ≥ t} dt, with 0 where no point reaches t.

    Range 0 … 1, higher is better; 1 needs a point at (1, 1).
    """
    front = pareto_front(validity, diversity)
    steps = -np.diff(np.append(validity[front], 0.0))
    return float((steps * diversity[front]).sum())
