"""The event ranking: the end is one event, wherever it stands and however many tokens spell it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from breadth.ranked import Ranked
from breadth.trie import END, Trie

__all__ = ["EndTokens", "end_tokens", "event_ranks"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class EndTokens(NamedTuple):
    """The end tokens that are not forbidden, at every prefix of a block, by row and rank.

    Attributes:
        row: int64 (e,).
        rank: int64 (e,).
        gap: float64 (e,), nats of logit below the row's top token.
        best: bool (e,), whether it is the best-ranked of its row: the one that stands for the end.
    """

    row: Ints
    rank: Ints
    gap: Floats
    best: NDArray[np.bool_]

    def mass_beyond(self, rank: Ints, row: Ints, beta: float) -> Floats:
        """What a cutoff of the event ranking keeps below its last token: the end's other tokens.

        Args:
            rank: int64 (m,), rank of the last kept token.
            row: int64 (m,), its row.
            beta: inverse temperature, > 0.

        Returns:
            float64 (m,), summed weight exp(−β·gap) of the end tokens ranked below, 0 where the end's best
            token is not kept itself.
        """
        n_rows = int(max(row.max(initial=-1), self.row.max(initial=-1))) + 1
        start = np.searchsorted(self.row, np.arange(n_rows + 1))
        weight = np.append(np.exp(-beta * self.gap), 0.0)
        # One searchsorted over all rows: a key orders by row, then by rank.
        span = int(max(rank.max(initial=0), self.rank.max(initial=0))) + 1
        above = np.searchsorted(self.row * span + self.rank, row * span + rank, side="right")
        last = start[row + 1]
        # Every row is summed on its own, so that its numbers do not depend on the block it stands in.
        beyond = np.add.reduceat(weight, np.stack([above, last], axis=1).ravel())[::2]
        return np.asarray(np.where((above > start[row]) & (above < last), beyond, 0.0))


def end_tokens(ranked: Ranked, trie: Trie) -> EndTokens:
    """Where the end tokens stand, also at prefixes where no answer stops."""
    valid = np.flatnonzero(trie.token[ranked.valid_node] == END)
    stray_row = np.repeat(np.arange(len(ranked)), np.diff(ranked.stray_start))
    row = np.concatenate([ranked.valid_row[valid], stray_row])
    rank = np.concatenate([ranked.valid_rank[valid], ranked.stray_rank]).astype(np.int64)
    gap = np.concatenate([ranked.valid_gap[valid], ranked.max_logit[stray_row] - ranked.stray_logit])
    order = np.lexsort((rank, row))
    order = order[np.isfinite(gap[order])]
    row = row[order]
    return EndTokens(row, rank[order], gap[order], np.diff(row, prepend=-1) != 0)


def event_ranks(ranked: Ranked, trie: Trie) -> tuple[Ints, NDArray[np.int32], Ints]:
    """The valid events of every row in the *event ranking*: the end counts once, at its best token.

    All end tokens but the best-ranked are deleted from the ranking, also where the end is not valid; ranks
    below them move up.

    Returns:
        `(row, child, rank)`, one entry per valid event, ascending by child inside a row: its row in
        `ranked`, the child node, and the event's rank (1-based).
    """
    first = ranked.event_first
    row, child = ranked.valid_row[first], ranked.valid_node[first]
    rank = ranked.valid_rank[first].astype(np.int64)
    ends = end_tokens(ranked, trie)
    # One searchsorted over all rows: a key orders by row, then by rank.
    span = ranked.vocab_size + 1
    keys = (ends.row * span + ends.rank)[~ends.best]
    rank -= np.searchsorted(keys, row * span + rank) - np.searchsorted(keys, row * span)
    return row, child, rank
