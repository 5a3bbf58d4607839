"""Where the valid events stand in the ranking of every prefix: columns of the trie."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from breadth.events import end_tokens, event_ranks
from breadth.mass import Mass
from breadth.ranked import Ranked
from breadth.segments import log_sums
from breadth.trie import Trie

__all__ = ["Ranking", "TokenRanking", "event_ranking", "token_ranking"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Ranking:
    """The valid events in the event ranking of their prefixes, at one temperature.

    Columns have one entry per node of the trie, about the event that leads to it; the root's are 0.

    Attributes:
        temperature: of the probabilities.
        rank: int64 (n,), 1-based; the end counts once, at its best token.
        logp: float64 (n,), ln of the event's probability; −inf for a forbidden one.
        cumulative_logp: float64 (n,), ln of the probability of all events down to this one: what a cutoff
            that keeps it keeps at least. Keeping the end keeps all its tokens.
        n_events: int64 (n,), at a prefix the number of events that are not forbidden; 0 at leaves.
    """

    temperature: float
    rank: Ints
    logp: Floats
    cumulative_logp: Floats
    n_events: Ints

    @property
    def probability(self) -> Floats:
        """float64 (n,), of the event; 0 for a forbidden one only, however small the others are."""
        p = np.maximum(np.exp(self.logp), np.finfo(np.float64).tiny)
        return np.where(np.isfinite(self.logp), p, 0.0)


def event_ranking(trie: Trie, blocks: Iterable[Ranked], temperature: float = 1.0) -> Ranking:
    """Rank the valid events of every prefix.

    Args:
        trie: the answers.
        blocks: together they hold every inner node of the trie once.
        temperature: > 0, for the probabilities; ranks do not depend on it.
    """
    rank, n_events = np.zeros((2, len(trie)), dtype=np.int64)
    logp, cumulative = np.zeros((2, len(trie)))
    for ranked in blocks:
        row, child, event_rank = event_ranks(ranked, trie)
        first = ranked.event_first
        ends = end_tokens(ranked, trie)
        mass = Mass(ranked, 1.0 / temperature)
        total = np.log(mass.total)
        best = np.minimum.reduceat(ranked.valid_rank, first)
        with np.errstate(divide="ignore"):
            kept = np.log(mass.upto(best, row) + ends.mass_beyond(best, row, 1.0 / temperature))
        rank[child] = event_rank
        logp[child] = log_sums(-ranked.valid_gap / temperature, first) - total[row]
        cumulative[child] = np.minimum(kept - total[row], 0.0)
        deleted = np.bincount(ends.row[~ends.best], minlength=len(ranked))
        n_events[ranked.node] = ranked.n_finite - deleted
    return Ranking(temperature, rank, logp, cumulative, n_events)


@dataclass(frozen=True, eq=False)
class TokenRanking:
    """The valid tokens in the rankings of their prefixes, the end's one by one; forbidden ones are left out.

    Tokens of the i-th prefix stand at `start[i]:start[i + 1]`, by rank.

    Attributes:
        start: int64 (p + 1,).
        child: int64 (v,), the node that the token leads to.
        rank: int64 (v,), 1-based.
        n_tokens: int64 (p,), number of tokens that are not forbidden.
    """

    start: Ints
    child: Ints
    rank: Ints
    n_tokens: Ints


def token_ranking(trie: Trie, blocks: Iterable[Ranked]) -> TokenRanking:
    """Rank the valid tokens of every prefix; `blocks` together hold every inner node of the trie once."""
    children, ranks = [], []
    n_finite = np.zeros(len(trie), dtype=np.int64)
    for ranked in blocks:
        allowed = np.isfinite(ranked.valid_gap)
        children.append(ranked.valid_node[allowed].astype(np.int64))
        ranks.append(ranked.valid_rank[allowed].astype(np.int64))
        n_finite[ranked.node] = ranked.n_finite
    child, rank = np.concatenate(children), np.concatenate(ranks)
    parent = trie.parent[child]
    order = np.lexsort((rank, parent))
    start = np.searchsorted(parent[order], np.append(trie.prefixes, len(trie)))
    return TokenRanking(start, child[order], rank[order], n_finite[trie.prefixes])
