"""Measures of a distribution over answers, from the log-probability ln q(y) of every valid answer.

The arguments called `answer_logp` have shape (|V|,), natural logs, −inf for an answer that is never
given; their exponentials sum to the validity, at most 1. Everything is computed in logs: a validity too
small for float64 is still a validity.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "MAX_SAMPLES",
    "coverage",
    "diversity",
    "expected_distinct",
    "hill_number",
    "ideal_distinct",
    "log_validity",
    "recall",
    "samples_for_distinct",
    "validity",
]

Floats = NDArray[np.float64]

MAX_SAMPLES = 2**53
"""The largest sample count that float64 still tells from its neighbours."""


def log_validity(answer_logp: Floats) -> float:
    """ln Val; −inf when no answer is ever given."""
    top = answer_logp.max(initial=-np.inf)
    if not np.isfinite(top):
        return -np.inf
    return float(top + np.log(np.exp(answer_logp - top).sum()))


def validity(answer_logp: Floats) -> float:
    """Validity, the probability that an answer is valid [Def 3.1]: Val = Σ q(y).

    Range 0 … 1, higher is better. Rounding never takes it past 1.
    """
    return float(np.exp(min(log_validity(answer_logp), 0.0)))


def _conditioned_logp(answer_logp: Floats) -> Floats | None:
    """Logs of the distribution given that the answer is valid, its support only; None without support."""
    logp = answer_logp[np.isfinite(answer_logp)]
    if not len(logp):
        return None
    # First the maximum, then the rest: one large difference would round away what order ≈ 1 magnifies.
    logp = logp - logp.max()
    return np.asarray(logp - np.log(np.exp(logp).sum()), dtype=np.float64)


def hill_number(answer_logp: Floats, order: float) -> float:
    """Hill number of the distribution over valid answers, as a share of |V| (Hill 1973).

    D_a = (Σ p(y)^a)^(1/(1−a)) / |V| with p = q conditioned on being valid: the number of equally likely
    answers that would be as diverse. Order 0 counts the support, order 1 is exp(entropy), order 2 the
    inverse of the chance that two samples agree, order ∞ the inverse of the largest probability.

    Args:
        answer_logp: (|V|,), ln q(y).
        order: a ≥ 0, or inf.

    Returns:
        A number in [1/|V|, 1], not increasing in the order; NaN when no answer is ever given.
    """
    logp = _conditioned_logp(answer_logp)
    if logp is None:
        return float("nan")
    if order == np.inf:
        log_number = -logp.max()
    elif abs(order - 1.0) < 1e-6:
        # The limit at order 1; closer than this the general formula divides rounding by rounding.
        log_number = -(np.exp(logp) * logp).sum()
    else:
        top = logp.max()
        log_number = (order * top + np.log(np.exp(order * (logp - top)).sum())) / (1.0 - order)
    # At orders up to 1 rounding may pass the bounds that the number itself obeys.
    n = len(answer_logp)
    return float(np.clip(np.exp(log_number), 1.0, len(logp)) / n)


def diversity(answer_logp: Floats) -> float:
    """Diversity [Def 3.1]: Div = exp(H(q | V)) / |V|, the Hill number of order 1 as a share of |V|.

    Range 1/|V| … 1, higher is better: 1 when all valid answers are equally likely, 1/|V| when one has
    all the valid mass. Low validity does not lower it. NaN when no answer is ever given.
    """
    return hill_number(answer_logp, 1.0)


def recall(answer_logp: Floats) -> float:
    """Sequence recall [Def 4.1]: the share of answers whose every token survives (ln q > −inf)."""
    return float(np.isfinite(answer_logp).mean())


def expected_distinct(answer_logp: Floats, n: ArrayLike) -> Floats:
    """Expected number of distinct valid answers among n independent samples: Σ_y 1 − (1 − q(y))^n.

    Args:
        answer_logp: (|V|,), ln q(y).
        n: sample counts ≥ 0, any shape.

    Returns:
        float64 of the shape of `n`, from 0 to |V|, increasing and concave in n. Exact also where
        q(y) is far below float64's resolution of 1 − q(y).
    """
    # ln(1 − q) without cancellation; q = 1 gives −inf, and 0 samples still find nothing.
    q = np.exp(np.minimum(answer_logp, 0.0))
    with np.errstate(divide="ignore"):
        log_miss = np.log1p(-q)
    counts = np.asarray(n, dtype=np.float64)
    flat = [
        0.0 - np.expm1(count * log_miss).sum() if count > 0 else 0.0
        for count in np.atleast_1d(counts).ravel()
    ]
    return np.asarray(flat, dtype=np.float64).reshape(counts.shape)


def ideal_distinct(n_answers: int, n: ArrayLike) -> Floats:
    """`expected_distinct` of the ideal sampler, always valid and uniform: |V|·(1 − (1 − 1/|V|)^n)."""
    counts = np.asarray(n, dtype=np.float64)
    if n_answers == 1:
        return np.minimum(counts, 1.0)
    return np.asarray(-n_answers * np.expm1(counts * np.log1p(-1.0 / n_answers)))


def coverage(answer_logp: Floats, n: int | None = None) -> float:
    """Coverage C_n: expected distinct valid answers in n samples, as a share of the ideal sampler's.

    One number for validity and diversity together: 0 is never valid, 1 always valid and all equally likely.

    Args:
        answer_logp: (|V|,), ln q(y).
        n: samples, ≥ 1; as many as there are answers if not given.
    """
    n = len(answer_logp) if n is None else n
    return float(expected_distinct(answer_logp, n) / ideal_distinct(len(answer_logp), n))


def samples_for_distinct(answer_logp: Floats, share: float) -> int | None:
    """Fewest samples whose expected number of distinct valid answers is at least share·|V|.

    Args:
        answer_logp: (|V|,), ln q(y).
        share: in (0, 1].

    Returns:
        The count, or None when the share is never reached: too few answers survive (see `recall`, the
        share that can be approached), or more than 2^53 samples would be needed.
    """
    target = share * len(answer_logp)
    support = np.isfinite(answer_logp).sum()
    # The support is approached and never reached, unless its only answer is certain.
    if target > support or (target == support and not (answer_logp.max() >= 0 and support == 1)):
        return None

    def found(n: int) -> bool:
        return bool(expected_distinct(answer_logp, [n])[0] >= target)

    high = 1
    while not found(high):
        if high >= MAX_SAMPLES:
            return None
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return high
