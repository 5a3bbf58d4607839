"""Cumulative mass along a ranking, at one inverse temperature.

All that a decoding step asks of a distribution is here: how much mass the top r tokens hold, which rank
reaches a given mass, how many tokens stand above a threshold, and the entropy of a stretch of ranks.
In the head every answer is exact; in the tail the logit is linear in rank between two knots.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from breadth.ranked import Ranked, segment_mean

__all__ = ["Mass", "Masses", "bisect_rows"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


ALL = slice(None)


def bisect_rows(rows: Floats, value: Floats, *, side: str) -> Ints:
    """`numpy.searchsorted` row by row: `rows` (b, k) ascending, `value` (b,); returns (b,) in 0 … k."""
    n_rows, n_columns = rows.shape
    flat = rows.ravel()
    base = np.arange(n_rows) * n_columns
    low = np.zeros(n_rows, dtype=np.int64)
    high = np.full(n_rows, n_columns, dtype=np.int64)
    for _ in range(n_columns.bit_length()):
        middle = (low + high) >> 1
        found = flat[base + np.minimum(middle, n_columns - 1)]
        right = (found < value) if side == "left" else (found <= value)
        right &= middle < high
        low = np.where(right, middle + 1, low)
        high = np.where(right, high, middle)
    return low


class Mass:
    """Weights exp(−β·gap) of a block's tokens, summed along the ranking.

    A gap is the number of nats that a token's logit lies below the top one, so the top token weighs 1
    and a probability is a weight over a sum of weights. Arguments and results have shape (b,).

    Args:
        ranked: the block.
        beta: inverse temperature, > 0.
        anchor: (b,), gaps are counted from this one on instead, and tokens above it have gap 0. A window
            that starts below the top keeps its precision only so: at a low temperature all its weight may
            be less than the rounding of the weights above it.
    """

    def __init__(self, ranked: Ranked, beta: float, anchor: Floats | None = None) -> None:
        self.ranked = ranked
        self.beta = beta
        self.anchor = np.zeros(len(ranked)) if anchor is None else anchor
        self.gap = ranked.knot_gap if anchor is None else np.maximum(ranked.knot_gap - anchor[:, None], 0.0)
        self.head = ranked.head_logit.shape[1]
        self._ends = ranked.knot_rank[self.head :]
        self._stride = len(ranked.knot_rank) + 1
        self._rows = np.arange(len(ranked))
        self._base = self._rows * self._stride

    @cached_property
    def _weight(self) -> Floats:
        """(b, k), weight of one token at each knot."""
        return np.exp(-self.beta * self.gap)

    @cached_property
    def _tail(self) -> tuple[Floats, Floats, Ints]:
        """Of every tail segment, (b, s): corrected weight at its upper end, drop in nats, token count."""
        drop = np.diff(self.gap[:, self.head - 1 :], axis=1)
        # The correction holds at temperature 1; elsewhere its power β does, as far as it leaves the mean
        # weight below the weight at the upper end, which a steep segment at a low temperature would pass.
        most = -np.log(segment_mean(self.beta * drop))
        correction = np.minimum(self.beta * self.ranked.tail_correction.astype(np.float64), most)
        upper = self._weight[:, self.head - 1 : -1] * np.exp(correction)
        return upper, drop, self.ranked.tail_count

    def _tail_at(self, row: Ints, segment: Ints) -> tuple[Floats, Floats, Ints]:
        """`_tail` at some (row, segment) pairs."""
        upper, drop, count = self._tail
        return upper[row, segment], drop[row, segment], count[row, segment]

    @cached_property
    def _cumulative(self) -> Floats:
        """(b, k + 1), mass of the ranks up to each knot; the first column is 0."""
        sums = np.empty((len(self.ranked), self._stride))
        sums[:, 0] = 0.0
        sums[:, 1 : self.head + 1] = self._weight[:, : self.head]
        if len(self._ends):
            upper, drop, count = self._tail
            sums[:, self.head + 1 :] = upper * segment_mean(self.beta * drop) * count
        return np.cumsum(sums, axis=1, out=sums)

    @cached_property
    def total(self) -> Floats:
        """(b,), mass of the whole vocabulary."""
        return self._cumulative[:, -1]

    def _segment(self, rank: Ints) -> tuple[Ints, Ints]:
        """For ranks in the tail: the segment that holds each, and the rank it starts after."""
        segment = np.searchsorted(self._ends, rank)
        return segment, self._start(segment)

    def upto(self, rank: Ints, row: Ints | slice = ALL) -> Floats:
        """Mass of the top `rank` tokens, 0 … n_finite, of every row or of rows chosen one by one."""
        rank = np.minimum(rank, self.ranked.n_finite[row])
        mass = self._cumulative.ravel()[self._base[row] + np.minimum(rank, self.head)]
        deep = np.flatnonzero(rank > self.head)
        if len(deep):
            at = self._rows[row][deep]
            segment, first = self._segment(rank[deep])
            upper, drop, count = self._tail_at(at, segment)
            part = (rank[deep] - first) / count
            mass[deep] = self._cumulative[at, self.head + segment]
            mass[deep] += upper * segment_mean(self.beta * drop * part) * part * count
        return mass

    def reach(self, target: Floats) -> Ints:
        """The smallest rank whose cumulative mass is at least `target` (> 0); n_finite if there is none."""
        knot = bisect_rows(self._cumulative, target, side="left")
        rank = np.minimum(knot, self.ranked.n_finite)
        deep = np.flatnonzero((knot > self.head) & (knot < self._stride))
        if len(deep):
            segment = knot[deep] - 1 - self.head
            upper, drop, count = self._tail_at(deep, segment)
            share = target[deep] - self._cumulative[deep, self.head + segment]
            share /= np.maximum(upper * count, np.finfo(float).tiny)
            # Solve (1 − e^(−fall·x)) / fall = share for the fraction x of the segment.
            fall = self.beta * drop
            steep = fall > 1e-8
            inside = np.clip(1.0 - share * fall, np.finfo(float).tiny, 1.0)
            part = np.where(steep, -np.log(inside) / np.where(steep, fall, 1.0), share)
            rank[deep] = self._start(segment) + np.clip(np.ceil(part * count), 1, count).astype(np.int64)
        rank[knot == self._stride] = self.ranked.n_finite[knot == self._stride]
        return rank

    def above(self, gap: Floats) -> Ints:
        """Number of tokens with a finite logit whose gap is at most `gap`."""
        knots = self.gap
        knot = bisect_rows(knots, gap, side="right")
        rank = knot.copy()
        deep = np.flatnonzero((knot >= self.head) & (knot < knots.shape[1]))
        if len(deep):
            segment = knot[deep] - self.head
            _, drop, count = self._tail_at(deep, segment)
            part = (gap[deep] - knots[deep, knot[deep] - 1]) / np.where(drop > 0, drop, 1.0)
            rank[deep] = self._start(segment) + np.clip(np.floor(part * count), 0, count).astype(np.int64)
        rank[knot == knots.shape[1]] = self.ranked.vocab_size
        return np.minimum(rank, self.ranked.n_finite)

    def _start(self, segment: Ints) -> Ints:
        """The rank that a tail segment starts after."""
        return np.where(segment > 0, self._ends[segment - 1], self.head)

    def gap_at(self, rank: Ints, row: Ints | slice = ALL) -> Floats:
        """Gap of the token at `rank`, 1 … n_finite, of every row or of rows chosen one by one."""
        knots = self.gap
        gap: Floats = knots[self._rows[row], np.minimum(rank, self.head) - 1]
        deep = np.flatnonzero(rank > self.head)
        if len(deep):
            at = self._rows[row][deep]
            segment, first = self._segment(rank[deep])
            _, drop, count = self._tail_at(at, segment)
            upper = knots[at, self.head - 1 + segment]
            gap[deep] = upper + drop * (rank[deep] - first) / count
        return gap

    @cached_property
    def _moment(self) -> Floats:
        """(b, k + 1), sum of weight × gap of the ranks up to each knot."""
        sums = np.zeros((len(self.ranked), self._stride))
        gap = self.gap
        sums[:, 1 : self.head + 1] = self._weight[:, : self.head] * gap[:, : self.head]
        if len(self._ends):
            upper, drop, count = self._tail
            mass = upper * segment_mean(self.beta * drop) * count
            sums[:, self.head + 1 :] = mass * self._mean_gap(gap[:, self.head - 1 : -1], drop, slice(None))
        return np.cumsum(sums, axis=1, out=sums)

    def _mean_gap(self, upper_gap: Floats, drop: Floats, at: Any) -> Floats:
        """Weighted mean gap of a tail segment, or of its upper part: the derivative of −ln mass in β."""
        mean = upper_gap + drop * _mean_position(self.beta * drop) - self.ranked.tail_correction[at]
        return np.asarray(np.maximum(mean, upper_gap), dtype=np.float64)

    def _moment_upto(self, rank: Ints) -> Floats:
        rank = np.minimum(rank, self.ranked.n_finite)
        moment = self._moment.ravel()[self._base + np.minimum(rank, self.head)]
        deep = np.flatnonzero(rank > self.head)
        if len(deep):
            segment, first = self._segment(rank[deep])
            upper, drop, count = self._tail_at(deep, segment)
            part = (rank[deep] - first) / count
            mass = upper * segment_mean(self.beta * drop * part) * part * count
            gap = self.gap[deep, self.head - 1 + segment]
            moment[deep] = self._moment[deep, self.head + segment]
            moment[deep] += mass * self._mean_gap(gap, drop * part, (deep, segment))
        return moment

    def entropy(self, low: Ints, high: Ints) -> Floats:
        """Entropy in nats of the distribution renormalised over ranks low + 1 … high."""
        mass = self.upto(high) - self.upto(low)
        moment = self._moment_upto(high) - self._moment_upto(low)
        # −Σ p ln p with ln p = −β·gap − ln mass; rounding may leave −1e−17 where one token is left.
        return np.maximum(np.log(mass) + self.beta * moment / mass, 0.0)


def _mean_position(fall: Floats) -> Floats:
    """Mean of x in [0, 1] under the density ∝ exp(−fall·x): 1/fall − 1/(e^fall − 1)."""
    steep = fall > 1e-4
    safe = np.minimum(np.where(steep, fall, 1.0), 700.0)
    return np.where(steep, 1.0 / np.where(steep, fall, 1.0) - 1.0 / np.expm1(safe), 0.5 - fall / 12.0)


NEGLIGIBLE = 7.0
"""Where a window's top token lies further than this below the ranking's, in nats, it is anchored."""


class Masses:
    """The `Mass` of one block at any inverse temperature; remembers the last few."""

    def __init__(self, ranked: Ranked, remember: int = 3) -> None:
        self.ranked = ranked
        self._remember = remember
        self._known: OrderedDict[float, Mass] = OrderedDict()

    def at(self, beta: float, low: Ints | None = None) -> Mass:
        """The block's mass at inverse temperature `beta` > 0, precise for windows that start after `low`."""
        if beta not in self._known:
            self._known[beta] = Mass(self.ranked, beta)
            while len(self._known) > self._remember:
                self._known.popitem(last=False)
        self._known.move_to_end(beta)
        mass = self._known[beta]
        if low is None or not low.any():
            return mass
        anchor = mass.gap_at(low + 1)
        return Mass(self.ranked, beta, anchor) if (beta * anchor).max() > NEGLIGIBLE else mass
