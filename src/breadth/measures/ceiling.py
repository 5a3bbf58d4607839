"""The ceiling over every sampler that respects the model's ranking.

Any temperature, any truncation, any reshaping that keeps probabilities non-increasing in rank: such a sampler
is at every prefix a mixture of "uniform over the top K". In the flows, x(token) = probability to pass through
it, these samplers are a polytope. With valid ranks r_1 < … < r_m at a prefix u, r_0 = 0 and L tokens that are
not forbidden,

    x_1 ≥ x_2 ≥ … ≥ 0,   Σ_j (r_j − r_{j−1}) x_j ≤ x(u),
    and if r_1 = 1:  x(u) ≤ Σ_j (r_{j+1} − r_j) x_j  with r_{m+1} = L + 1.

The largest diversity at a validity, and the largest expected number of distinct answers among n samples, are
concave in the flows. A solver finds a sampler; the *certificate* does not trust it. From below: its flows are
made exactly feasible and measured. From above: a linear function of the answers' probabilities is maximised
exactly, bottom up, since at every prefix one cutoff K is best; and a concave function lies below its tangent.
What lies above the ceiling needs a better order: no sampler can give it.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from breadth.measures.answers import diversity, expected_distinct, ideal_distinct
from breadth.ranking import TokenRanking
from breadth.segments import owners, running_maximum, running_sum
from breadth.trie import Trie

__all__ = ["MAX_FLOWS", "Ceiling", "Samplers", "distinct_ceiling", "diversity_ceiling"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MAX_FLOWS = 200_000
"""Larger problems are not handed to the solver: minutes and gigabytes."""

TIGHT = 1e-5
"""Relative width of a certificate that needs no further round."""

CERTIFIED = 1e-3
"""Relative width of a certificate up to which the ceiling counts as known."""


@dataclass(frozen=True, eq=False)
class Ceiling:
    """A ceiling with its certificate: the truth lies in [lower, upper].

    Attributes:
        lower: what the sampler found attains; NaN without one.
        upper: what no sampler that respects the ranking exceeds; NaN where it is not known.
        answer_logp: float64 (|V|,), ln q(y) of the sampler found; None without one.
        status: `certified`, or in words why the ceiling is not known, or how loose the certificate is.
    """

    lower: float
    upper: float
    answer_logp: Floats | None
    status: str

    @property
    def is_certified(self) -> bool:
        """Whether the certificate is tight."""
        return self.status == "certified"


@dataclass(frozen=True, eq=False)
class _Level:
    """The prefixes of one depth: their nodes, where the flows of each begin, and those flows."""

    prefix: Ints
    first: Ints
    edge: Ints

    @cached_property
    def owner(self) -> Ints:
        """The prefix of every flow."""
        return owners(self.first, len(self.edge))


class Samplers:
    """All samplers that respect the ranking of every prefix, as a polytope of flows.

    A prefix with one valid event has one flow, however many tokens spell the event: of its probability a
    share between 1/`leave` and 1/`enter` goes on. Elsewhere every token has its own flow.

    Args:
        trie: the answers.
        tokens: where the valid tokens stand.
    """

    def __init__(self, trie: Trie, tokens: TokenRanking) -> None:
        self.trie = trie
        n = np.diff(tokens.start)
        prefix = np.repeat(np.arange(len(n)), n)
        place = np.arange(len(prefix)) - tokens.start[prefix] + 1
        is_last = place == n[prefix]
        # A cutoff that keeps the first j valid tokens and no more lies at a rank from `enter` to `leave`.
        enter = tokens.rank.astype(np.float64)
        leave = np.where(is_last, tokens.n_tokens[prefix], np.append(enter[1:], 0.0) - 1.0)
        may_leave = np.ones(len(n), dtype=np.bool_)
        may_leave[n > 0] = tokens.rank[tokens.start[:-1][n > 0]] > 1

        is_single = np.zeros(len(n), dtype=np.bool_)
        some = np.flatnonzero(n > 0)
        first = tokens.start[some]
        is_single[some] = np.minimum.reduceat(tokens.child, first) == np.maximum.reduceat(tokens.child, first)
        least, most = np.full((2, len(n)), np.inf)
        least[some] = np.minimum.reduceat(enter / place, first)
        most[some] = np.maximum.reduceat(leave / place, first)
        keep = ~is_single[prefix] | (place == 1)
        single = is_single[prefix]
        self.enter = np.where(single, least[prefix], enter)[keep]
        self.leave = np.where(single, most[prefix], leave)[keep]
        self.child = tokens.child[keep]
        self.prefix = prefix[keep]
        self.may_leave = may_leave
        self.first = np.diff(self.prefix, prepend=-1) != 0
        self._levels = [self._level(depth) for depth in range(int(trie.depth.max()))]

    def __len__(self) -> int:
        """Number of flows."""
        return len(self.child)

    def _level(self, depth: int) -> _Level:
        prefix = np.flatnonzero(self.trie.depth[self.trie.prefixes] == depth)
        edge = np.flatnonzero(np.isin(self.prefix, prefix))
        first = np.flatnonzero(self.first[edge])
        return _Level(self.prefix[edge[first]], first, edge)

    def highest(self, value: Floats) -> tuple[float, Floats]:
        """The largest Σ value(y)·q(y) over all samplers, exactly, and the q that attains it.

        Args:
            value: float64 (|V|,).

        Returns:
            The maximum, and float64 (|V|,) the answers' probabilities.
        """
        trie = self.trie
        worth = np.zeros(len(trie))
        worth[trie.leaves] = value[trie.answer[trie.leaves]]
        share = np.zeros(len(self))
        for level in reversed(self._levels):
            edge = level.edge
            if not len(edge):
                continue
            summed = running_sum(worth[self.child[edge]], level.first)
            # The K that keeps j valid tokens: small where they are worth something, else as large as can be.
            rank = np.where(summed > 0, self.enter[edge], self.leave[edge])
            gain = summed / rank
            best = np.maximum.reduceat(gain, level.first)
            # The last event of the first cutoff that is best: all events up to it get an equal share.
            at_best = np.flatnonzero(gain == best[level.owner])
            chosen = at_best[np.diff(level.owner[at_best], prepend=-1) != 0]
            share[edge] = np.where(
                np.arange(len(edge)) <= chosen[level.owner], 1.0 / rank[chosen][level.owner], 0.0
            )
            leaves = self.may_leave[level.prefix] & (best <= 0)
            share[edge[leaves[level.owner]]] = 0.0
            worth[trie.prefixes[level.prefix]] = np.where(leaves, 0.0, best)
        return float(worth[0]), self._answers(share)

    def nearest(self, flow: Floats) -> Floats:
        """The answers' probabilities, (|V|,), under a feasible sampler made of nearly feasible flows."""
        share = np.zeros(len(self))
        inflow = np.zeros(len(self.trie))
        np.add.at(inflow, self.child, flow)
        for level in self._levels:
            edge = level.edge
            if not len(edge):
                continue
            node = self.trie.prefixes[self.prefix[edge]]
            whole = inflow[node] if node[0] else np.full(len(edge), self._root_flow(flow))
            with np.errstate(divide="ignore", invalid="ignore"):
                part = np.nan_to_num(np.clip(flow[edge] / whole, 0.0, 1.0))
            part = -running_maximum(-part, level.first)
            used = np.add.reduceat(part * self._steps(self.enter)[edge], level.first)
            covered = np.add.reduceat(part * self._steps(self.leave)[edge], level.first)
            must = ~self.may_leave[level.prefix]
            # `used` ≤ 1 ≤ `covered` makes a sampler, and used ≤ covered always: one factor restores both.
            with np.errstate(divide="ignore"):
                more = np.where(must & (covered < 1.0), 1.0 / covered, 1.0)
                factor = np.where(used > 1.0, 1.0 / used, more)
            empty = must & (covered == 0.0)
            part = part * np.where(empty, 0.0, factor)[level.owner]
            only_first = empty[level.owner] & self.first[edge]
            share[edge] = np.where(only_first, 1.0 / self.enter[edge], part)
        return self._answers(share)

    def _root_flow(self, flow: Floats) -> float:
        """What the flows out of the root use up."""
        root = self._levels[0].edge
        return float((flow[root] * self._steps(self.enter)[root]).sum()) or 1.0

    def _steps(self, rank: Floats) -> Floats:
        """Differences of a column inside every prefix, its first entries from 0."""
        steps = np.diff(rank, prepend=0.0)
        steps[self.first] = rank[self.first]
        return steps

    def _answers(self, share: Floats) -> Floats:
        """The answers' probabilities from the share of its prefix that every flow is."""
        trie = self.trie
        reach = np.zeros(len(trie))
        reach[0] = 1.0
        for level in self._levels:
            edge = level.edge
            np.add.at(reach, self.child[edge], share[edge] * reach[trie.parent[self.child[edge]]])
        answer = trie.answer[trie.leaves]
        return np.bincount(answer, reach[trie.leaves], trie.n_answers).astype(np.float64)


def diversity_ceiling(samplers: Samplers, validity: float) -> Ceiling:
    """The largest diversity at a validity: max Div subject to Val ≥ `validity`.

    From above by Gibbs' inequality: with c = −ln p for the sampler found, H(p′) ≤ Σ p′·c for every other p′,
    and the mean of c over a sampler with Val ≥ v is at most s + max(0, max Σ (c − s)·q) / v for any s.

    Args:
        samplers: the samplers to choose from.
        validity: v, in (0, 1].
    """
    n = samplers.trie.n_answers
    highest, most_valid = samplers.highest(np.ones(n))
    if highest < validity * (1.0 - 1e-12):
        return _unknown(f"no sampler that respects the ranking is valid above {highest:.4g}")
    if len(samplers) > MAX_FLOWS:
        return _too_large(samplers)
    try:
        flow, note = _solve_diversity(samplers, validity)
    except _SolverError as error:
        return _unknown(str(error))
    q = samplers.nearest(flow)
    lacking = validity - q.sum()
    if lacking > 0:
        part = min(lacking / max(highest - q.sum(), np.finfo(float).tiny), 1.0)
        q = (1.0 - part) * q + part * most_valid
    logp = _log(q)
    lower = diversity(logp)
    # Any law makes a bound; one that gives nothing probability 0 makes a finite one.
    reference = (1.0 - 1e-10) * q / q.sum() + 1e-10 / n
    return _certify(lower, _entropy_bound(samplers, -np.log(reference), validity), logp, note)


def _entropy_bound(samplers: Samplers, surprise: Floats, validity: float) -> float:
    """What no sampler of this validity exceeds: e to the least s + max(0, max Σ (c − s)·q) / v, over |V|."""
    from scipy.optimize import minimize_scalar

    def bound(s: float) -> float:
        return s + max(samplers.highest(surprise - s)[0], 0.0) / validity

    reach = float(surprise.max())
    found = minimize_scalar(bound, bounds=(-reach, reach), method="bounded", options={"xatol": 1e-10})
    return float(np.exp(min(found.fun, np.log(len(surprise)))) / len(surprise))


def distinct_ceiling(samplers: Samplers, n: int) -> Ceiling:
    """The largest expected number of distinct valid answers in n samples, over the ideal sampler's.

    From above: F(q′) ≤ F(q) + ⟨∇F(q), q′ − q⟩ for the concave F(q) = Σ 1 − (1 − q)ⁿ.

    Args:
        samplers: the samplers to choose from.
        n: samples, ≥ 1.
    """
    ideal = float(ideal_distinct(samplers.trie.n_answers, n))
    highest, most_valid = samplers.highest(np.ones(samplers.trie.n_answers))
    if n == 1 or highest == 0.0:
        return _certify(highest / ideal, highest / ideal, _log(most_valid), "")
    if len(samplers) > MAX_FLOWS:
        return _too_large(samplers)
    best = _unknown("")
    near = np.full(samplers.trie.n_answers, 1.0 / samplers.trie.n_answers)
    for _ in range(5):
        try:
            flow, note = _solve_distinct(samplers, n, near)
        except _SolverError as error:
            return best if best.answer_logp is not None else _unknown(str(error))
        near = samplers.nearest(flow)
        logp = _log(near)
        found = float(expected_distinct(logp, n))
        slope = n * np.exp((n - 1) * np.log1p(-np.minimum(near, 1.0 - 1e-15)))
        above = found - float(slope @ near) + samplers.highest(slope)[0]
        lower, upper = max(found / ideal, np.nan_to_num(best.lower)), min(above / ideal, 1.0)
        upper = min(upper, best.upper) if np.isfinite(best.upper) else upper
        kept = logp if found / ideal >= lower else best.answer_logp
        best = _certify(lower, upper, kept, note)
        if best.upper - best.lower <= TIGHT * best.upper:
            break
    return best


def _log(q: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return np.log(q)


def _unknown(reason: str) -> Ceiling:
    return Ceiling(float("nan"), float("nan"), None, reason)


def _too_large(samplers: Samplers) -> Ceiling:
    return _unknown(f"not computed: {len(samplers):,} flows, and the solver is given at most {MAX_FLOWS:,}")


def _certify(lower: float, upper: float, logp: Floats | None, note: str) -> Ceiling:
    upper = max(lower, upper)  # equal up to rounding
    tight = upper - lower <= CERTIFIED * upper
    loose = f"loose: known to lie between {lower:.4g} and {upper:.4g} (solver: {note})"
    return Ceiling(lower, upper, logp, "certified" if tight else loose)


class _SolverError(Exception):
    """The solver is missing or gave nothing."""


class _Program:
    """The polytope as the solver takes it: flows in units of the ideal sampler's, so that all are near 1."""

    def __init__(self, samplers: Samplers) -> None:
        try:
            import cvxpy as cp
            from scipy import sparse
        except ImportError:
            missing = "not computed: the solver is not installed (pip install 'breadth[ceiling]')"
            raise _SolverError(missing) from None
        trie = samplers.trie
        n, size = trie.n_answers, len(samplers)
        every = np.arange(size)
        self.unit = trie.weight[samplers.child] / n
        self.flow = cp.Variable(size)
        self.root = cp.Variable()

        def matrix(value: Floats, row: Ints, column: Ints, rows: int) -> Any:
            return sparse.csr_matrix((value, (row, column)), (rows, size))

        into = np.full(len(trie), -1)
        into[trie.prefixes] = np.arange(len(trie.prefixes))
        inner = np.flatnonzero(into[samplers.child] >= 0)
        whole = trie.weight[trie.prefixes] / n  # the ideal sampler's reach
        inflow = matrix(self.unit[inner], into[samplers.child[inner]], inner, len(whole))
        at_root = (trie.prefixes == 0).astype(float)

        def spent(rank: Floats) -> Any:
            return matrix(samplers._steps(rank) * self.unit, samplers.prefix, every, len(whole))

        # Every row is divided by its largest coefficient: the solver loses digits on unequal rows.
        budget = sparse.diags(1.0 / whole)
        self.constraints = [
            (budget @ (spent(samplers.enter) - inflow)) @ self.flow <= cp.multiply(at_root / whole, self.root)
        ]
        must = np.flatnonzero(~samplers.may_leave)
        if len(must):
            cover = spent(samplers.leave)
            largest = 1.0 / np.maximum(abs(cover).max(axis=1).toarray().ravel(), whole)
            rows = (sparse.diags(largest) @ (inflow - cover))[must]
            self.constraints.append(rows @ self.flow <= cp.multiply(-(largest * at_root)[must], self.root))
        follows = np.flatnonzero(~samplers.first)
        last = np.flatnonzero(np.append(samplers.first[1:], True))
        pairs = np.arange(len(follows))
        falls = matrix(self.unit[follows] / self.unit[follows - 1], pairs, follows, len(follows))
        falls -= matrix(np.ones(len(follows)), pairs, follows - 1, len(follows))
        self.constraints += [falls @ self.flow <= 0, self.flow[last] >= 0]
        leaf = np.flatnonzero(trie.answer[samplers.child] >= 0)
        answers = matrix(self.unit[leaf] * n, trie.answer[samplers.child[leaf]], leaf, n)
        self.share = answers @ self.flow
        """|V|·q(y)."""

    def solve(self, objective: Any, *constraints: Any) -> tuple[Floats, str]:
        """The flows found, and what the solver says of them."""
        import cvxpy as cp

        problem = cp.Problem(objective, [*self.constraints, *constraints])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an inaccurate solution is told by the certificate
            try:
                problem.solve(solver=cp.CLARABEL)
            except cp.SolverError as error:
                reason = " ".join(str(error).split())
                raise _SolverError(f"not computed: the solver failed ({reason})") from None
        if self.flow.value is None:
            raise _SolverError(f"not computed: the solver says {problem.status}")
        return self.flow.value * self.unit, str(problem.status)


def _solve_diversity(samplers: Samplers, validity: float) -> tuple[Floats, str]:
    """Flows of the most diverse sampler, conditioned on being valid: they are scaled up so that Val = 1."""
    program = _Program(samplers)
    import cvxpy as cp

    n = samplers.trie.n_answers
    entropy = cp.sum(cp.entr(program.share)) / n
    return program.solve(cp.Maximize(entropy), cp.sum(program.share) / n == 1, program.root <= 1.0 / validity)


def _solve_distinct(samplers: Samplers, n: int, near: Floats) -> tuple[Floats, str]:
    """Flows that miss the fewest answers; (1 − q)ⁿ is taken as an exponential with its slope at `near`.

    An exponential is what the solver does well, and where it stops at `near` the two problems have the same
    optimum. Slopes count only relative to each other.
    """
    program = _Program(samplers)
    import cvxpy as cp

    log_slope = (n - 1) * np.log1p(-np.minimum(near, 1.0 - 1e-12))
    log_slope = np.maximum(log_slope - log_slope.max(), -30.0)
    # The curvature of (1 − q)ⁿ too, unless that is too steep to be seen from q = 0.
    rate = np.minimum((n - 1) / np.maximum(1.0 - near, 1e-12), 20.0 / np.maximum(near, 1e-12))
    exponent = log_slope - np.log(rate) + rate * near
    missed = cp.exp(exponent - cp.multiply(rate / samplers.trie.n_answers, program.share))
    return program.solve(cp.Minimize(cp.sum(missed)), program.root == 1)
