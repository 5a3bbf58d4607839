"""The shape of a sorted logit curve: a straight head and a logarithmic tail [App. I].

At one prefix the logit at rank k is described as

    m·k + b  for ranks k ≤ c,        A + B·ln(k + C)  for ranks k > c,

two pieces that need not meet, with the c, m, b, A, B, C that make the squared error over all ranks least.

Over all the ranks of a large vocabulary the error is mostly that of its bottom, and so c often lies deep,
where the logits of the last few per cent of the tokens begin to fall steeply. Short heads, c of a few ranks
or a few dozen with R² above 0.99, come out of the top few thousand ranks: see the `depth` of `fit_logits`.

**How the best fit is found.** For a given C both pieces are straight lines, in k and in ln(k + C), and the
errors of all c together are a handful of cumulative sums. Ranks are the same at every prefix, so all that is
made of ln(k + C) alone is shared, and one C costs a prefix one multiplication and one cumulative sum over the
knots. That is done for a fixed grid of C; from its best values the search goes down on C alone, each time
with the best of all c. If c then lies in the tail, the segments beside it are opened to single ranks.
O(prefixes × knots × |grid of C|) in time; the curve itself, of length vocab_size, is never built.

**How sure that is.** The error has many hollows, and a narrow one may escape the grid. On random vocabularies
of up to 200 tokens, about 1 fit in 500 had an error above the least one, by up to 8 %, mostly where the best
curve has its pole within a rank of the tail and one more rank in the head does nearly as well.

**Why nothing cancels.** The sums are of Helmert contrasts: each value less the mean of those before it,
scaled so that the squares of the first p − 1 contrasts add up to the squares of the first p values about
their mean. So no sum of squares about a mean is got by subtracting larger ones, only what the line explains.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from breadth.ranked import Ranked

__all__ = ["FARTHEST", "NEAREST", "LogitFit", "fit_logits", "shift_grid"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MIN_HEAD, MIN_TAIL = 2, 3
"""Fewest ranks of the two pieces: as many as a piece has parameters."""

NEAREST = 0.1
"""The tail's logarithm starts no lower than ln(NEAREST). At 0 it would have a pole at the tail's first rank,
which is then fitted exactly whatever it is, by a limit that no C attains."""

FARTHEST = 1000.0
"""C is at most this many times the number of ranks: there ln(k + C) is a straight line to within 2e-4 of its
rise. A tail that is straight, or bends the other way, has its least error only in the limit C → ∞; A and B
are then large and say little but that."""

STARTS = 4
"""Values of C on the grid from which the search goes down."""

ROWS_AT_ONCE = 16
"""Prefixes swept at once: their cumulative sums stay in the processor's cache."""


@dataclass(frozen=True, eq=False)
class LogitFit:
    """The fitted curves of b prefixes; every column has shape (b,).

    With fewer than 5 ranks there is nothing to fit: `head_end` is 0 and all else NaN.

    Attributes:
        head_end: c, int64, the last rank of the head, 2 … ranks − 3.
        slope: m, nats of logit per rank, ≤ 0.
        intercept: b, logit at rank 0 of the head's line.
        tail_level: A, logit.
        tail_slope: B, nats of logit per e-fold of k + C, ≤ 0.
        tail_shift: C, ranks; c + 1 + C ≥ NEAREST and C ≤ FARTHEST · ranks.
        mse: mean squared error over all ranks fitted, ≥ 0.
        r2: 1 − mse / variance of the logits at these ranks, at most 1; NaN when they are all equal.
    """

    head_end: Ints
    slope: Floats
    intercept: Floats
    tail_level: Floats
    tail_slope: Floats
    tail_shift: Floats
    mse: Floats
    r2: Floats

    def at(self, row: int, rank: ArrayLike) -> Floats:
        """Fitted logits of one prefix at ranks ≥ 1 of any shape."""
        k = np.asarray(rank, dtype=np.float64)
        c, shift = self.head_end[row], self.tail_shift[row]
        head = self.slope[row] * k + self.intercept[row]
        tail = self.tail_level[row] + self.tail_slope[row] * np.log(np.maximum(k, c + 1) + shift)
        return np.asarray(np.where(k <= c, head, tail))


def fit_logits(ranked: Ranked, depth: int | None = None) -> LogitFit:
    """Fit a straight head and a logarithmic tail to the sorted logits at every prefix of a block.

    Args:
        ranked: b prefixes. Forbidden tokens have no rank; between two knots of the tail the logit is linear.
        depth: fit ranks 1 … depth only, each counting once; by default all.
    """
    ranks = np.minimum(ranked.n_finite, ranked.vocab_size if depth is None else depth)
    columns = np.full((len(fields(LogitFit)), len(ranked)), np.nan)
    columns[0] = 0
    for n in np.unique(ranks[ranks >= MIN_HEAD + MIN_TAIL]):
        rows, grid = np.flatnonzero(ranks == n), shift_grid(int(n))
        for first in range(0, len(rows), ROWS_AT_ONCE):
            some = rows[first : first + ROWS_AT_ONCE]
            knots = _Knots.of(ranked, some, int(n))
            points = knots.points()
            error = np.stack([points.best_cut(shift)[0] for shift in grid])
            for place, row in enumerate(some):
                columns[:, row] = _fit_row(knots.row(place), _starts(grid, error[:, place]))
    top = ranked.max_logit
    head_end, slope, intercept, level, *rest = columns
    return LogitFit(head_end.astype(np.int64), slope, intercept + top, level + top, *rest)


class _Knots(NamedTuple):
    """Curves that are linear in rank between knots.

    `rank` is (k,), from 1 in steps of 1 through the head; `value` is (r, k), the logit less the top one.
    """

    rank: Ints
    value: Floats

    @staticmethod
    def of(ranked: Ranked, rows: Ints, n: int) -> _Knots:
        """Ranks 1 … n of some rows whose forbidden tokens are as many."""
        head = ranked.head_logit.shape[1]
        known = np.concatenate([np.arange(1, head + 1), ranked.tail_end[rows[0]]])
        # Where n falls inside a segment: the shortest tail has a knot before it all the same.
        rank = np.union1d(known[known < n], np.arange(n - MIN_TAIL, n + 1))
        value = [np.interp(rank, known, -gap) for gap in ranked.knot_gap[rows]]
        return _Knots(rank, np.stack(value))

    def row(self, place: int) -> _Knots:
        return _Knots(self.rank, self.value[place : place + 1])

    def opened(self, around: int) -> _Knots:
        """One curve, with every rank of the segments on both sides of a knot a knot itself."""
        at = int(np.searchsorted(self.rank, around))
        low, high = self.rank[max(at - 1, 0)], self.rank[min(at + 1, len(self.rank) - 1)]
        rank = np.union1d(self.rank, np.arange(low, high + 1))
        return _Knots(rank, np.interp(rank, self.rank, self.value[0])[None])

    def points(self) -> _Points:
        """The same sums over ranks from fewer points.

        A segment of t ranks becomes two points, √((t² − 1)/12) on either side of its middle, that count for
        t/2 ranks each: every cubic has the same sum over them. So y, y² and y·k are exact, and ln(k + C) is
        right to about 1e-11 where segments are 1 % of their rank.
        """
        count = np.diff(self.rank, prepend=0)
        n_points = np.where(count > 1, 2, 1)
        end = np.cumsum(n_points)
        segment = np.repeat(np.arange(len(count)), n_points)
        side = np.where(n_points > 1, -1.0, 0.0)[segment]
        side[end - 1] *= -1.0
        t = count[segment]
        back = (t - 1) / 2 - side * np.sqrt((t * t - 1) / 12.0)  # ranks before the segment's last
        value = self.value[:, segment] - back / t * np.diff(self.value, axis=1, prepend=0.0)[:, segment]
        last = self.rank[segment]
        return _Points(last - back, t / n_points[segment], value, last - t + 1)


def _contrasts(value: Floats, weight: Floats) -> Floats:
    """Helmert contrasts (…, p − 1) of values (…, p) with weights (p,) along the last axis."""
    total = np.cumsum(weight)
    before = np.cumsum(weight * value, axis=-1)[..., :-1] / total[:-1]
    return np.asarray((value[..., 1:] - before) * np.sqrt(weight[1:] * total[:-1] / total[1:]))


class _Points:
    """Weighted points of r curves, and the squared error of every fit to them.

    Cuts are counted from the bottom: cut q leaves the last q + 2 points to the tail.

    Args:
        rank: (p,), ascending.
        weight: (p,), the number of ranks that a point stands for.
        value: (r, p).
        start: (p,), the first rank of the segment that a point stands for.
    """

    def __init__(self, rank: Floats, weight: Floats, value: Floats, start: Ints) -> None:
        self.rank, self.weight, self.value, self.start = rank, weight, value, start
        self.head_end = start[-2:1:-1] - 1  # (p − 3,), c of cut 0 … p − 4
        line, curve = _contrasts(rank, weight), _contrasts(value, weight)
        head = _squares(curve) - _explained(line, curve)
        self._reversed = weight[::-1]
        self._tail = _contrasts(value[:, ::-1], self._reversed)
        self._error = head[:, -3::-1] + _squares(self._tail)[:, :-2]
        inside = start[-2:1:-1] == start[-3:0:-1]
        self._error[:, inside | (self.head_end > weight.sum() - MIN_TAIL)] = np.inf

    def best_cut(self, shift: float) -> tuple[Floats, Ints]:
        """Least squared error with C = `shift`, and the cut that has it; (r,) each."""
        # A hair less, so that rounding does not forbid the very bound.
        first = max(MIN_HEAD, int(np.searchsorted(self.start, NEAREST - shift - 1e-9)))
        x = np.log(self.rank[: first - 1 : -1] + shift)
        line = _contrasts(x, self._reversed[: len(x)])
        size = len(line)
        error = self._error[:, :size] - _explained(line, self._tail[:, :size])
        cut = np.argmin(error, axis=1)
        return error[np.arange(len(error)), cut], cut


def _squares(contrasts: Floats) -> Floats:
    return np.cumsum(contrasts * contrasts, axis=-1)


def _explained(line: Floats, curve: Floats) -> Floats:
    """Sum of squares that a straight line explains of ever more points: `line` (p,), `curve` (r, p)."""
    explained = line * curve
    np.cumsum(explained, axis=1, out=explained)
    explained *= explained
    explained *= 1.0 / np.maximum(_squares(line), np.finfo(float).tiny)
    return explained


def shift_grid(n: int) -> Floats:
    """Values of C to start from for n ranks, ascending: dense where −C is near the top or the bottom rank."""
    near = min(n, 32)
    top = np.arange(near)
    # Next to its pole the logarithm changes within a fraction of a rank.
    poles = (top[:, None] + [0.0, 0.2, 0.4, 0.65, 1.0 - NEAREST]).ravel()
    rank = np.append(top, np.geomspace(near, n, 1 + int(2.5 * np.log(n / near))))
    beyond = np.expm1(np.arange(0.5, np.log(FARTHEST * n), 0.5))
    grid = np.unique(np.concatenate([-poles, -rank, rank - n, beyond, [FARTHEST * n]]))
    return grid[grid >= NEAREST - 1.0 - (n - MIN_TAIL)]


def _starts(grid: Floats, error: Floats) -> Floats:
    """The grid's values of C where the error (g,) has its lowest local minima."""
    padded = np.pad(error, 1, constant_values=np.inf)
    hollow = np.flatnonzero((error <= padded[:-2]) & (error <= padded[2:]) & (error < np.inf))
    return grid[hollow[np.argsort(error[hollow])[:STARTS]]]


class _Fit(NamedTuple):
    """Orders by squared error."""

    error: float
    head_end: int
    shift: float


def _fit_at(points: _Points, shift: float) -> _Fit:
    error, cut = points.best_cut(shift)
    return _Fit(float(error[0]), int(points.head_end[cut[0]]), shift)


def _descend(points: _Points, best: _Fit, step: float, finest: float) -> _Fit:
    """Go down on C from a fit, with the best c at every C, until steps are as small as `finest`.

    Steps are in ln(c + 1 + C): how far the logarithm's pole lies above the tail, on its own scale.
    """
    farthest = FARTHEST * points.weight.sum()
    while step > finest:
        pole = -1.0 - best.head_end
        at = np.log(best.shift - pole)

        def fit_at(place: float, pole: float = pole) -> _Fit:
            return _fit_at(points, min(pole + max(np.exp(place), NEAREST), farthest))

        left, right = fit_at(at - step), fit_at(at + step)
        trials = [best, left, right]
        bend = left.error - 2.0 * best.error + right.error
        if bend > 0.0:  # the lowest point of the parabola through the three
            trials.append(fit_at(at + step * np.clip((left.error - right.error) / (2.0 * bend), -2.0, 2.0)))
        best = min(trials)
        if abs(np.log(best.shift - pole) - at) < 0.99 * step:
            step /= 8.0
    return best


def _fit_row(knots: _Knots, starts: Floats) -> list[float]:
    """The columns of a `LogitFit` at one prefix, with levels relative to its top logit."""
    points = knots.points()
    fit = min(_descend(points, _fit_at(points, shift), 0.5, 0.05) for shift in starts)
    while True:
        fit = _descend(points, fit, 0.05, 5e-4)
        finer = knots.opened(fit.head_end)
        if len(finer.rank) == len(knots.rank):
            break
        knots, points = finer, finer.points()
    split = int(np.searchsorted(points.rank, fit.head_end, side="right"))
    head, tail = slice(split), slice(split, None)
    k, value, weight = points.rank, points.value[0], points.weight
    slope, intercept = _line(k[head], value[head], weight[head])
    log_rank = np.log(k[tail] + fit.shift)
    tail_slope, level = _line(log_rank, value[tail], weight[tail])
    fitted = np.concatenate([slope * k[head] + intercept, tail_slope * log_rank + level])
    mse = np.average((value - fitted) ** 2, weights=weight)
    variance = np.average((value - np.average(value, weights=weight)) ** 2, weights=weight)
    r2 = 1.0 - mse / variance if variance > 0.0 else np.nan
    return [fit.head_end, slope, intercept, level, tail_slope, fit.shift, mse, r2]


def _line(x: Floats, y: Floats, weight: Floats) -> tuple[float, float]:
    """Slope and intercept of the weighted least-squares line."""
    x_mean, y_mean = np.average(x, weights=weight), np.average(y, weights=weight)
    slope = (weight * (x - x_mean) * (y - y_mean)).sum() / (weight * (x - x_mean) ** 2).sum()
    return slope, y_mean - slope * x_mean
