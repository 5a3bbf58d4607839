"""The exact frontier of `breadth.measures.cutoffs` between two curves, for answer sets too large for it.

Of f_u only a grid of counts is kept, and at each of them a value that is attained with that many sequences or
more, and one that is not exceeded. Below as many sequences as the grid has points the two are the same, and
exact. Each convolution costs |grid|² at most, so that the whole is linear in the number of sequences.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from breadth.measures.cutoffs import max_plus
from breadth.trie import Trie

__all__ = ["ThinnedFrontier", "thinned_frontier"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ThinnedFrontier:
    """Two curves with the exact frontier between them.

    Attributes:
        recall: float64 (k,), shares of the sequences, from 0 to the largest that can be kept.
        lower: float64 (k,), a precision that some strategy attains at this recall or more.
        upper: float64 (k,), a precision that none exceeds.
    """

    recall: Floats
    lower: Floats
    upper: Floats


@dataclass(frozen=True, eq=False)
class _Curve:
    """Bounds of the largest precision with at least `count` sequences, count rising from 0."""

    count: Ints
    lower: Floats
    upper: Floats

    def below(self, count: Ints) -> Floats:
        """What is attained with at least so many sequences: the value at the next point of the grid."""
        point = np.searchsorted(self.count, count)
        return np.where(point < len(self.count), np.append(self.lower, -np.inf)[point], -np.inf)

    def above(self, count: Ints) -> Floats:
        """What is not exceeded with at least so many: the value at the point before."""
        point = np.searchsorted(self.count, count, side="right") - 1
        return np.where(count <= self.count[-1], self.upper[np.maximum(point, 0)], -np.inf)

    def times(self, factor: float) -> _Curve:
        """The curve of a child that is reached with a probability."""
        return _Curve(self.count, self.lower * factor, self.upper * factor)


def _sum(left: _Curve, right: _Curve, points: int) -> _Curve:
    """(max, +) convolution of two curves."""
    if len(left.count) > len(right.count):
        left, right = right, left
    n = int(left.count[-1] + right.count[-1])
    if n <= points and len(left.count) + len(right.count) == n + 2:  # nothing has been thinned yet
        exact = max_plus(left.lower, right.lower)
        return _Curve(np.arange(n + 1), exact, exact)
    if len(left.count) * len(right.count) <= 4 * points:
        count = np.unique(np.add.outer(left.count, right.count))
    else:
        count = _grid(n, points)
    lower, upper = np.full((2, len(count)), -np.inf)
    # Between one point of the grid and the next `left` holds no more than at the first, with fewer sequences
    # than at the second.
    last = np.append(left.count[1:] - 1, left.count[-1])
    for i, own in enumerate(left.count.tolist()):
        np.maximum(lower, left.lower[i] + right.below(np.maximum(count - own, 0)), out=lower)
        np.maximum(upper, left.upper[i] + right.above(np.maximum(count - int(last[i]), 0)), out=upper)
    return _thinned(_Curve(count, lower, upper), points)


def _maximum(left: _Curve, right: _Curve, points: int) -> _Curve:
    """The better of two curves at every count; `right` reaches at least as far."""
    whole = len(right.count) == right.count[-1] + 1
    count = right.count if whole else np.union1d(left.count, right.count)
    lower = np.maximum(left.below(count), right.below(count))
    return _thinned(_Curve(count, lower, np.maximum(left.above(count), right.above(count))), points)


def _grid(n: int, points: int) -> Ints:
    """At most `points` counts from 0 to n, denser at the first, where precision falls fastest."""
    count = np.concatenate([np.linspace(0, n, points // 2), np.geomspace(1, n, points // 2)])
    return np.unique(count.round().astype(np.int64))


def _thinned(curve: _Curve, points: int) -> _Curve:
    """A curve of at most twice `points` counts, without those between which nothing changes."""
    if len(curve.count) <= 2 * points:
        return curve
    # Of a stretch on which both curves are level its ends say all.
    level = (np.diff(curve.lower) == 0) & (np.diff(curve.upper) == 0)
    needed = np.ones(len(curve.count), dtype=np.bool_)
    needed[1:-1] = ~(level[:-1] & level[1:])
    curve = _Curve(curve.count[needed], curve.lower[needed], curve.upper[needed])
    if len(curve.count) <= points:
        return curve
    count = curve.count[np.unique(np.searchsorted(curve.count, _grid(int(curve.count[-1]), points)))]
    return _Curve(count, curve.below(count), curve.above(count))


def thinned_frontier(
    trie: Trie, event_rank: Ints, weight: Floats, kept: Floats, *, points: int = 2000
) -> ThinnedFrontier:
    """The frontier over all adaptive cutoffs, from below and from above.

    Args:
        trie, event_rank, weight, kept: as of `breadth.measures.cutoffs.cutoff_frontier`.
        points: counts at which a curve is known, about; ≥ 4.
    """
    start, child = trie.events_by(event_rank)
    leaf = _Curve(np.array([0, 1]), np.ones(2), np.ones(2))
    curves: dict[int, _Curve] = {}
    for index, node in reversed(list(enumerate(trie.prefixes.tolist()))):
        here = child[start[index] : start[index + 1]]
        total = _Curve(np.zeros(1, dtype=np.int64), np.zeros(1), np.zeros(1))
        best = total
        for each in here[weight[here] > 0].tolist():
            below = curves.pop(each, leaf)
            total = _sum(total, below.times(float(weight[each])), points)
            grown = total.times(1.0 / float(kept[each]))
            best = _maximum(best, grown, points)
        curves[node] = best
    root = curves[0]
    recall = root.count / len(trie.leaves)
    return ThinnedFrontier(recall, np.maximum(root.lower, 0.0), np.maximum(root.upper, 0.0))
