"""All samplers that respect the model's ranking, as a polytope.

Any temperature, any truncation, any reshaping that keeps probabilities non-increasing in rank: such a sampler
is at every prefix a mixture of "uniform over the top K". In the flows, x(token) = probability to pass through
it, these samplers are a polytope. With valid ranks r_1 < … < r_m at a prefix u, r_0 = 0 and L tokens that are
not forbidden,

    x_1 ≥ x_2 ≥ … ≥ 0,   Σ_j (r_j − r_{j−1}) x_j ≤ x(u),
    and if r_1 = 1:  x(u) ≤ Σ_j (r_{j+1} − r_j) x_j  with r_{m+1} = L + 1.

A linear function of the answers' probabilities is maximised over it exactly, bottom up, since at every prefix
one cutoff is best.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from breadth.ranking import TokenRanking
from breadth.segments import owners, running_maximum, running_sum
from breadth.trie import Trie

__all__ = ["Samplers"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


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
        prefix = owners(tokens.start[:-1], len(tokens.child))
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

    def most_surprising(self, surprise: Floats, validity: float) -> tuple[float, Floats]:
        """The largest mean of `surprise` over valid answers, Σ c·q / Σ q, at a validity or more.

        For any s it is at most s + max(0, max Σ (c − s)·q) / v; the least of these bounds is attained by one
        best sampler or by a mixture of two, on either side of v.

        Args:
            surprise: c, float64 (|V|,), ≥ 0.
            validity: v, in (0, 1], that some sampler reaches.

        Returns:
            The maximum from above, and float64 (|V|,) probabilities that attain it up to rounding.
        """
        low, high = -float(surprise.max()) - 1.0, float(surprise.max()) + 1.0
        bound, above, below = np.inf, None, None
        for _ in range(100):
            s = 0.5 * (low + high)
            most, q = self.highest(surprise - s)
            bound = min(bound, s + max(most, 0.0) / validity)
            if most > 0 and q.sum() >= validity:
                low, above = s, q
            else:
                high, below = s, q if most > 0 else None
        if above is None:  # only the most valid sampler of all is valid enough
            return bound, self.highest(np.ones(len(surprise)))[1]
        if below is None:
            return bound, above
        part = (validity - below.sum()) / (above.sum() - below.sum())
        return bound, part * above + (1.0 - part) * below

    def nearest(self, flow: Floats) -> Floats:
        """The answers' probabilities, (|V|,), under a feasible sampler made of nearly feasible flows."""
        share = np.zeros(len(self))
        inflow = np.zeros(len(self.trie))
        np.add.at(inflow, self.child, flow)
        enter, leave = self.steps(self.enter), self.steps(self.leave)
        for level in self._levels:
            edge = level.edge
            if not len(edge):
                continue
            node = self.trie.prefixes[self.prefix[edge]]
            whole = inflow[node] if node[0] else np.full(len(edge), float((flow * enter)[edge].sum()) or 1.0)
            with np.errstate(divide="ignore", invalid="ignore"):
                part = np.nan_to_num(np.clip(flow[edge] / whole, 0.0, 1.0))
            part = -running_maximum(-part, level.first)
            used = np.add.reduceat(part * enter[edge], level.first)
            covered = np.add.reduceat(part * leave[edge], level.first)
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

    def steps(self, rank: Floats) -> Floats:
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
