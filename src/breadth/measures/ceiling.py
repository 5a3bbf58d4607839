"""The ceiling over every sampler that respects the model's ranking, with a certificate.

The largest diversity at a validity, and the largest expected number of distinct valid answers among n
samples, are concave over these samplers. A solver finds one; the *certificate* does not trust it. From
below: its flows are made exactly feasible and measured. From above: a concave function lies below its
tangent, which is linear and maximised exactly. Where the solver fails or leaves a gap, conditional
gradients (Frank and Wolfe 1956) go on from the best sampler known, and the result says so. What lies
above the ceiling needs a better order: no sampler can give it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from breadth.measures.answers import diversity, expected_distinct, ideal_distinct
from breadth.measures.samplers import Samplers
from breadth.measures.solver import SolverError, most_distinct, most_diverse

__all__ = ["MAX_FLOWS", "Ceiling", "distinct_ceiling", "diversity_ceiling"]

Floats = NDArray[np.float64]

MAX_FLOWS = 200_000
"""Larger problems are not handed to the solver: minutes and gigabytes."""

TIGHT = 1e-5
"""Relative width of a certificate that needs no further round."""

CERTIFIED = 1e-3
"""Relative width of a certificate up to which the ceiling counts as known."""

ROUNDS = 5
"""Times that the solver is asked."""

CLIMBS = 100
"""Steps of conditional gradients."""


@dataclass(frozen=True, eq=False)
class Ceiling:
    """A ceiling with its certificate: the truth lies in [lower, upper].

    Attributes:
        lower: what the sampler found attains; NaN without one.
        upper: what no sampler that respects the ranking exceeds; NaN where it is not known.
        answer_logp: float64 (|V|,), ln q(y) of the sampler found; None without one.
        status: `certified`, or in words why the ceiling is not known, or how loose the certificate is; a
            solver that failed is told in any case.
    """

    lower: float
    upper: float
    answer_logp: Floats | None
    status: str

    @property
    def is_certified(self) -> bool:
        """Whether the certificate is tight."""
        return self.status.startswith("certified")


class _Search:
    """The best point known of a concave function, and the least bound.

    Args:
        value: of a point.
        tangent: a slope g and a constant b at a point, with value(x) ≤ b + ⟨g, x⟩ for every x.
        highest: the largest ⟨g, x⟩ over all points, and where it is attained.
    """

    def __init__(
        self,
        value: Callable[[Floats], float],
        tangent: Callable[[Floats], tuple[Floats, float]],
        highest: Callable[[Floats], tuple[float, Floats]],
    ) -> None:
        self.value = value
        self.tangent = tangent
        self.highest = highest
        self.lower, self.upper = -np.inf, np.inf
        self.best: Floats | None = None

    def is_within(self, width: float) -> bool:
        """Whether the bounds are this near, relatively."""
        return self.upper - self.lower <= width * abs(self.upper)

    def visit(self, point: Floats) -> Floats:
        """Take a point into account; returns where its tangent is highest."""
        slope, constant = self.tangent(point)
        most, where = self.highest(slope)
        self.upper = min(self.upper, constant + most)
        value = self.value(point)
        if value > self.lower:
            self.lower, self.best = value, point
        return where

    def climb(self) -> None:
        """Conditional gradients from the best point."""
        assert self.best is not None
        point = self.best
        for _ in range(CLIMBS):
            where = self.visit(point)
            if self.is_within(TIGHT):
                return
            away = where - point
            low, high = 0.0, 1.0
            for _ in range(30):
                middle = 0.5 * (low + high)
                rises = self.tangent(point + middle * away)[0] @ away > 0
                low, high = (middle, high) if rises else (low, middle)
            point = point + low * away
        self.visit(point)


def diversity_ceiling(samplers: Samplers, validity: float) -> Ceiling:
    """The largest diversity at a validity: max Div subject to Val ≥ `validity`.

    A point is a conditioned law p = q/Val with 1/Val beside it: in these too the samplers with Val ≥ v are
    convex. The tangent of the entropy is Gibbs' inequality, H(p′) ≤ Σ p′·(−ln p).

    Args:
        samplers: the samplers to choose from.
        validity: v, in (0, 1].
    """
    n = samplers.trie.n_answers
    highest, most_valid = samplers.highest(np.ones(n))
    if highest < validity * (1.0 - 1e-12):
        return _unknown(f"no sampler that respects the ranking is valid above {highest:.4g}")

    def value(point: Floats) -> float:
        return float(np.log(diversity(_log(point[:-1])) * n))

    def tangent(point: Floats) -> tuple[Floats, float]:
        # Any law makes a bound; one that gives nothing probability 0 makes a finite one.
        law = (1.0 - 1e-10) * point[:-1] + 1e-10 / n
        return np.append(-np.log(law), 0.0), 0.0

    def most_surprising(slope: Floats) -> tuple[float, Floats]:
        most, q = samplers.most_surprising(slope[:-1], validity)
        return most, _conditioned(q)

    def propose(_: Floats) -> Floats:
        q = samplers.nearest(most_diverse(samplers, validity))
        lacking = validity - q.sum()
        if lacking > 0:
            part = min(lacking / max(highest - q.sum(), np.finfo(float).tiny), 1.0)
            q = (1.0 - part) * q + part * most_valid
        return _conditioned(q)

    search = _Search(value, tangent, most_surprising)
    trouble = _run(search, _conditioned(most_valid), propose, samplers, rounds=1)
    assert search.best is not None
    logp = _log(search.best[:-1] / search.best[-1])
    return _result(np.exp(search.lower) / n, min(np.exp(search.upper) / n, 1.0), logp, trouble)


def distinct_ceiling(samplers: Samplers, n: int) -> Ceiling:
    """The largest coverage C_n: expected distinct valid answers in n samples, over the ideal sampler's.

    Args:
        samplers: the samplers to choose from.
        n: samples, ≥ 1.
    """
    n_answers = samplers.trie.n_answers
    ideal = float(ideal_distinct(n_answers, n))
    _, most_valid = samplers.highest(np.ones(n_answers))

    def value(q: Floats) -> float:
        return float(expected_distinct(_log(q), n)) / ideal

    def tangent(q: Floats) -> tuple[Floats, float]:
        slope = n * np.exp((n - 1) * np.log1p(-np.minimum(q, 1.0 - 1e-15))) / ideal
        return slope, value(q) - float(slope @ q)

    def propose(near: Floats) -> Floats:
        return samplers.nearest(most_distinct(samplers, n, near))

    search = _Search(value, tangent, samplers.highest)
    trouble = _run(search, most_valid, propose, samplers, rounds=ROUNDS)
    assert search.best is not None
    return _result(search.lower, min(search.upper, 1.0), _log(search.best), trouble)


def _run(
    search: _Search,
    start: Floats,
    propose: Callable[[Floats], Floats],
    samplers: Samplers,
    *,
    rounds: int,
) -> str:
    """Search from a start, by the solver and then by conditional gradients; says how the solver failed."""
    search.visit(start)
    trouble = ""
    point = np.full(len(start), 1.0 / samplers.trie.n_answers)
    for _ in range(rounds):
        if search.is_within(TIGHT):
            return trouble
        if len(samplers) > MAX_FLOWS:
            trouble = f"{len(samplers):,} flows, and the solver is given at most {MAX_FLOWS:,}"
            break
        try:
            point = propose(point)
            trouble = ""
        except SolverError as error:
            trouble = str(error)
            # From nearer to the optimum it may not fail.
            search.climb()
            assert search.best is not None
            point = search.best
        search.visit(point)
    if not search.is_within(CERTIFIED):
        search.climb()
    return trouble


def _conditioned(q: Floats) -> Floats:
    """The law of valid answers, and the inverse of their probability."""
    total = q.sum()
    return np.asarray(np.append(q, 1.0) / total)


def _log(q: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return np.log(q)


def _unknown(reason: str) -> Ceiling:
    return Ceiling(float("nan"), float("nan"), None, reason)


def _result(lower: float, upper: float, logp: Floats, trouble: str) -> Ceiling:
    lower, upper = float(lower), float(max(lower, upper))  # equal up to rounding
    status = "certified"
    if upper - lower > CERTIFIED * upper:
        status = f"loose: known to lie between {lower:.4g} and {upper:.4g}"
    return Ceiling(lower, upper, logp, f"{status} ({trouble}; found without it)" if trouble else status)
