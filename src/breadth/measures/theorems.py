"""The theorems of the paper's appendices E and F as formulas, ready to be held against data.

E.1 splits sequence precision and recall into one factor a step. E.3 turns *hard steps* into a bound on recall
at a given precision. F.4 to F.6 bound diversity at a given validity where probability decays geometrically.
Which assumptions each needs is told here; whether data meet them, in `breadth.theory`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import mul

import numpy as np
from numpy.typing import ArrayLike, NDArray

from breadth.trie import Trie

__all__ = [
    "Hardness",
    "Strategies",
    "all_strategies",
    "best_hard_step_bound",
    "deficit",
    "entropy_geometric",
    "first_step_hardness",
    "hard_step_bound",
    "least_deficit",
    "precision_factors",
    "recall_factors",
    "sequence_recall",
    "shape_bound",
    "step_hardness",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ENUMERABLE = 200_000
"""Strategies that are listed at most."""

ROUNDING = 1e-12
"""Relative error that a sum of logs may have."""


# E.1: one factor a step


def precision_factors(trie: Trie, edge_event_logp: Floats) -> Floats:
    """Mean local precision of every step [Thm E.1]: α_t = E[|S ∩ G| / |S|].

    The mean is over uniform sampling from the kept events, given that the first t − 1 are valid. A finished
    answer goes on with precision 1 up to the greatest depth. Then Π α_t is the sequence precision, for any
    rule: nothing but the chain rule is used, so that it holds for typical_p and, with the coin's mean, xtc.

    Args:
        trie: the answers.
        edge_event_logp: float64 (n,), ln of the probability of each node's event at its parent under uniform
            sampling from the kept events; −inf where it is dropped.

    Returns:
        float64 (depth,), 0 … 1; 0 also at the steps after one that nothing survives.
    """
    return _factors(trie, edge_event_logp)


def recall_factors(trie: Trie, kept: NDArray[np.bool_]) -> Floats:
    """Mean local recall of every step [Thm E.1]: β_t = E[Σ N(u·v) / N(u) over the kept valid events].

    The mean is over the uniform law on V (an answer's sequences share its part), given that the first t − 1
    events are kept. A finished answer goes on with recall 1. Then Π β_t is `sequence_recall`.

    Args:
        trie: the answers.
        kept: bool (n,), whether the rule keeps each node's event at its parent.

    Returns:
        float64 (depth,), 0 … 1; 0 also at the steps after one that nothing survives.
    """
    share = np.log(trie.weight) - np.log(trie.weight[trie.parent])
    return _factors(trie, np.where(kept, share, -np.inf))


def sequence_recall(trie: Trie, kept: NDArray[np.bool_]) -> float:
    """The left side of E.1: share of the sequences, 1/s for each of an answer's s, whose events are all kept.

    With one sequence an answer this is sequence recall [Def 4.1]; with more, that counts an answer whole as
    soon as one of them survives.
    """
    whole = np.isfinite(trie.along_paths(np.where(kept, 0.0, -np.inf)))[trie.leaves]
    return float(trie.weight[trie.leaves][whole].sum() / trie.n_answers)


def _factors(trie: Trie, edge_logp: Floats) -> Floats:
    """P(step t stays inside the trie | all before did), t = 1 … depth, walking forward from the root."""
    log_law = np.zeros(len(trie))  # ln P(node | inside so far), in logs: what remains may be minute
    finished = -np.inf
    factors = np.zeros(int(trie.depth.max()))
    for step in range(len(factors)):
        level = np.flatnonzero(trie.depth == step + 1)
        log_law[level] = log_law[trie.parent[level]] + edge_logp[level]
        log_factor = np.logaddexp(finished, np.logaddexp.reduce(log_law[level]))
        if log_factor == -np.inf:
            break
        log_law[level] -= log_factor
        done = log_law[level[trie.answer[level] >= 0]]
        finished = np.logaddexp(finished - log_factor, np.logaddexp.reduce(done, initial=-np.inf))
        factors[step] = np.exp(log_factor)
    return factors


# E.2, E.3: hard steps


@dataclass(frozen=True, eq=False)
class Hardness:
    """The hardness ρ_t(η) of one step, exactly: a step function of η > 0 [Def E.2].

    A step is (η, ρ)-hard iff every rule with α_t > e^−η has β_t ≤ e^−ρ. The first inequality is strict: the
    proof of E.3 counts the steps with β_t > e^−ρ, of which each then costs −ln α_t ≥ η, and asks no more. So
    ρ_t(η) = −ln max{β_t : α_t > e^−η}, the largest ρ; inf where no rule is so precise.

    Attributes:
        eta: float64 (k,), ascending and ≥ 0: where ρ falls. It still has its old value there.
        rho: float64 (k + 1,), decreasing: `rho[i]` holds for eta[i − 1] < η ≤ eta[i].
    """

    eta: Floats
    rho: Floats

    def __call__(self, eta: ArrayLike) -> Floats:
        """ρ_t(η), nats, of the shape of `eta`."""
        return np.asarray(self.rho[np.searchsorted(self.eta, eta, side="left")])


def step_hardness(alpha: Floats, beta: Floats) -> Hardness:
    """Hardness of a step from its factors under all rules.

    Args:
        alpha: float64 (s,), α_t of every rule.
        beta: float64 (s,), β_t of every rule.
    """
    able = np.flatnonzero((alpha > 0) & (beta > 0))
    order = able[np.lexsort((-beta[able], -alpha[able]))]
    best = np.maximum.accumulate(beta[order])
    rises = order[np.diff(best, prepend=0.0) > 0]
    # Rounding may take a mean past 1.
    eta, rho = (np.maximum(0.0 - np.log(factor[rises]), 0.0) for factor in (alpha, beta))
    return Hardness(eta, np.concatenate([[np.inf], rho]))


def first_step_hardness(trie: Trie, event_rank: Ints, n_events: Ints) -> Hardness:
    """Hardness of the first step, where a rule is one number: how many events it keeps at the root.

    Args:
        trie: the answers.
        event_rank: int64 (n,), rank of every node's event at its parent, 1-based.
        n_events: int64 (n,), events at each prefix that are not forbidden: a larger rank cannot be kept.
    """
    children, ranks = _allowed(trie, event_rank, n_events, 0)
    recall = np.cumsum(trie.weight[children]) / trie.weight[0]
    return step_hardness(np.arange(1, len(children) + 1) / ranks, recall)


@dataclass(frozen=True, eq=False)
class Strategies:
    """The factors of E.1 under every adaptive cutoff strategy that decides hardness.

    Attributes:
        alpha: float64 (s, depth), mean local precision of each step; 0 once nothing survives.
        beta: float64 (s, depth), mean local recall of each step.
    """

    alpha: Floats
    beta: Floats

    @property
    def hardness(self) -> list[Hardness]:
        """Of every step, over all strategies: at infinitely many (η, ρ) at once."""
        return [step_hardness(a, b) for a, b in zip(self.alpha.T, self.beta.T, strict=True)]


def all_strategies(
    trie: Trie, event_rank: Ints, n_events: Ints, *, limit: int = ENUMERABLE
) -> Strategies | None:
    """List the adaptive cutoff strategies of a small trie: K, the number of kept events, at every prefix.

    Between two valid ranks K changes nothing but 1/K at its own prefix, and α_t is a ratio of two functions
    linear in it: monotone, so that the extremes stand at the ends of the gap, r_j and r_(j+1) − 1. At a last
    step's prefix 1/K is in no denominator and r_j alone is best. Where r_1 > 1 nothing valid may be kept too.

    Args:
        trie: the answers.
        event_rank: int64 (n,), rank of every node's event at its parent, 1-based.
        n_events: int64 (n,), events at each prefix that are not forbidden.
        limit: give up beyond so many strategies.

    Returns:
        All of them, or None where there are more than `limit`.
    """
    depth = int(trie.depth.max())
    children: dict[int, list[int]] = {}
    choices: dict[int, list[tuple[int, int]]] = {}  # at a prefix: how many valid events are kept, and K
    count = dict.fromkeys(trie.leaves.tolist(), 1)  # of strategies below a node
    for node in trie.prefixes[::-1].tolist():
        child, rank = _allowed(trie, event_rank, n_events, node)
        last = np.append(rank, n_events[node] + 1)[1:] - 1 if trie.depth[node] < depth - 1 else rank
        gaps = enumerate(zip(rank.tolist(), last.tolist(), strict=False), 1)
        children[node] = child.tolist()
        choices[node] = [(kept, size) for kept, gap in gaps for size in sorted(set(gap))]
        if not len(rank) or rank[0] > 1:
            choices[node].append((0, 1))
        ways = list(accumulate((count[below] for below in children[node]), mul, initial=1))
        count[node] = min(sum(ways[kept] for kept, _ in choices[node]), limit + 1)
    if count[0] > limit:
        return None

    # Of every strategy below a node: P(valid), and the answers kept, after 0, 1, … more steps.
    lasting = {leaf: np.ones((1, 2, depth + 1)) for leaf in trie.leaves.tolist()}
    for leaf, table in lasting.items():
        table[:, 1] = trie.weight[leaf]
    for node, ways_on in choices.items():
        if count[node] <= limit:  # the others cannot be reached: only forbidden events lead there
            tables = [lasting.pop(below) for below in children[node]]
            lasting[node] = _one_step_before(tables, ways_on, depth, float(trie.weight[node]))
    before, after = lasting[0][..., :-1], lasting[0][..., 1:]
    factors = after / np.where(before > 0, before, 1.0)
    return Strategies(factors[:, 0], factors[:, 1])


def _one_step_before(
    tables: list[Floats], choices: list[tuple[int, int]], depth: int, weight: float
) -> Floats:
    """The table of a prefix, (s, 2, depth + 1), from its children's: each choice with all that follow."""
    sums = [np.zeros((1, 2, depth + 1))]
    for table in tables:
        sums.append((sums[-1][:, None] + table).reshape(-1, 2, depth + 1))
    rows = []
    for kept, size in choices:
        row = np.roll(sums[kept], 1, axis=-1)
        row[:, 0] /= size
        row[..., 0] = 1.0, weight
        rows.append(row)
    return np.concatenate(rows)


def _allowed(trie: Trie, event_rank: Ints, n_events: Ints, node: int) -> tuple[Ints, Ints]:
    """The children of a prefix whose events can be kept, by rank, and their ranks."""
    child = trie.children(node)
    child = child[event_rank[child] <= n_events[node]]
    child = child[np.argsort(event_rank[child])]
    return child, event_rank[child]


def hard_step_bound(rho: ArrayLike, eta: ArrayLike, m: ArrayLike, precision: ArrayLike) -> Floats:
    """Largest sequence recall at sequence precision ≥ 1 − δ under m hard steps [Thm E.3].

    Rec ≤ exp(−ρ·(m − (−ln(1 − δ))/η)_+). Precision 1 − δ leaves −ln(1 − δ) nats to spend; a hard step that
    keeps its recall costs η of them, each of the others takes ρ nats of recall.

    Args:
        rho: nats ≥ 0, inf for a step that no rule of that precision passes.
        eta: nats > 0, or inf.
        m: number of (η, ρ)-hard steps.
        precision: 1 − δ, 0 … 1; not δ, which would round a small precision away.

    Returns:
        float64 of the arguments' common shape, 0 … 1; 1 says nothing.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        budget = -np.log(np.asarray(precision, dtype=np.float64))
        paid = np.where(np.isinf(budget), np.inf, budget / eta)
        # Only what is spare beyond rounding counts: times ρ = inf a trace of it would forbid all recall.
        spare = np.asarray(m) * (1.0 - ROUNDING) - paid
        return np.asarray(np.exp(-np.where(spare > 0, np.asarray(rho) * spare, 0.0)))


def best_hard_step_bound(steps: Sequence[Hardness], precision: Floats) -> Floats:
    """The smallest bound of Thm E.3 over all η and ρ, with m the number of given steps that are hard then.

    Exact, not over a grid: at fixed ρ and m a larger η is better, and each ρ_t(η) changes only at its own
    `eta`, so that these and inf are enough; at fixed η the best ρ is one of the steps' own.

    Args:
        steps: hardness of the steps where it is known; the others count as easy.
        precision: float64 (p,), 0 … 1.

    Returns:
        float64 (p,), 0 … 1.
    """
    eta = np.unique(np.concatenate([[np.inf], *(step.eta for step in steps)]))
    eta = eta[eta > 0]
    rho = -np.sort(-np.stack([step(eta) for step in steps]), axis=0)
    bounds = (hard_step_bound(row[:, None], eta[:, None], m, precision) for m, row in enumerate(rho, 1))
    return np.asarray(np.min([bound.min(axis=0) for bound in bounds], axis=0))


# F.4 to F.6: geometric decay


def _entropy_unbounded(rate: Floats) -> Floats:
    """Entropy in nats of p(i) ∝ exp(−rate·i), i = 0, 1, 2, …; 0 in the limit of a large rate."""
    rate = np.minimum(rate, 745.0)  # exp(−745) is the smallest float64
    lost = -np.expm1(-rate)
    return np.asarray(-np.log(lost) + rate * np.exp(-rate) / lost)


def _excess(rate: Floats) -> Floats:
    """φ = `_entropy_unbounded` + ln(rate) − 1, what is left of it beside its pole; ≈ rate²/24 near 0."""
    square = rate * rate
    series = 1 / 24 - square * (1 / 960 - square * (1 / 36288 - square * (1 / 1382400 - square / 53222400)))
    safe = np.maximum(rate, 0.25)
    return np.where(rate < 0.25, square * series, _entropy_unbounded(safe) + np.log(safe) - 1.0)


def entropy_geometric(v: ArrayLike, a: ArrayLike) -> Floats:
    """H_v(a), entropy in nats of p(i) ∝ exp(−a·i/v), i = 0 … v − 1 [Thm F.4].

    A geometric variable i over all integers is a block ⌊i/v⌋ and a place i mod v, independent of each other
    and geometric with rates a and a/v. So H_v(a) is the difference of two closed forms.

    Args:
        v: number of valid events, ≥ 1.
        a: ≥ 0, nats that the probability falls by over v ranks; inf leaves the first event alone.

    Returns:
        float64 of the arguments' common shape, from 0 to ln v; accurate to about 1e-13 of itself.
    """
    v, a = np.broadcast_arrays(np.asarray(v, dtype=np.float64), np.asarray(a, dtype=np.float64))
    steep = np.maximum(a, 1.0)
    spread = _entropy_unbounded(steep / v) - _entropy_unbounded(steep)
    flat = np.minimum(a, 1.0)
    return np.where(v == 1, 0.0, np.where(a > 1, spread, np.log(v) - (_excess(flat) - _excess(flat / v))))


def deficit(v: ArrayLike, a: ArrayLike) -> Floats:
    """Δ_v(a) = ln v − H_v(a), nats of diversity that a geometric step loses [Thm F.4].

    ≈ a²·(1 − 1/v²)/24 near a = 0, without cancellation; ln v at a = inf. It increases in a and in v: its
    derivative in a is a times the variance of i/v, which is 1/(2v·sinh(a/2v))² − 1/(2·sinh(a/2))².

    Args:
        v: number of valid events, ≥ 1.
        a: ≥ 0, or inf.

    Returns:
        float64 of the arguments' common shape, from 0 to ln v.
    """
    v, a = np.broadcast_arrays(np.asarray(v, dtype=np.float64), np.asarray(a, dtype=np.float64))
    flat = np.minimum(a, 1.0)
    return np.where(a > 1, np.log(v) - entropy_geometric(v, a), _excess(flat) - _excess(flat / v))


def least_deficit(epsilon: ArrayLike) -> Floats:
    """c(ε) = min over v ≥ 2 of Δ_v(ln 1/ε), the least that a branching step loses [Cor F.5, F.6].

    Δ_v increases in v (see `deficit`), so that v = 2 is the minimum at every ε, and no search is needed.
    With L = ln 1/ε: c → ln 2 as ε → 0, c ≈ L²/32 as L → 0, and c is below both everywhere.

    Args:
        epsilon: 0 … 1, the share of invalid generations that is allowed.

    Returns:
        float64 of the shape of `epsilon`, nats, from 0 to ln 2.
    """
    with np.errstate(divide="ignore"):
        return deficit(2, -np.log(np.asarray(epsilon, dtype=np.float64)))


def shape_bound(branching: Sequence[int] | Ints, validity: ArrayLike) -> Floats:
    """Largest diversity at a validity under geometric decay [Thm F.4]: exp(−Σ_t Δ_{v_t}(ln 1/(1 − Val))).

    Assumes that all prefixes of a depth have v_t valid events, on top of the ranking, the same valid mass,
    and probability ∝ exp(−rate·rank) over endless ranks. Then their valid mass is 1 − exp(−a_t) with a_t =
    v_t·rate, Val is the product over steps, so that every a_t is at least L = ln 1/(1 − Val), and ln Div is
    exactly −Σ Δ_{v_t}(a_t) ≤ −Σ Δ_{v_t}(L). Were the valid mass uneven, later steps could even out an earlier
    one: two valid events at ½ and ¼, ended with probability ½ and 1, have Val = ½ and Div = 1.

    Args:
        branching: (steps,), v_t ≥ 1.
        validity: 0 … 1, any shape.

    Returns:
        float64 of the shape of `validity`, from 1/|V| to 1.
    """
    with np.errstate(divide="ignore"):
        a = -np.log1p(-np.asarray(validity, dtype=np.float64))
    v = np.asarray(branching, dtype=np.float64)
    return np.asarray(np.exp(-deficit(v, a[..., None]).sum(axis=-1)))
