"""Next-token distributions kept small: exact where it matters, sketched in the tail.

A vocabulary has up to a few hundred thousand tokens and a trie up to a few hundred thousand prefixes,
so the full matrix is never held. Of each prefix's logits, sorted by rank, a `Ranked` keeps

* every valid token, exactly: its logit, its rank, and how many tokens tie with it or stand above it;
* the end tokens also where an answer cannot stop: the end is one event of the ranking everywhere;
* the *head*: the top `HEAD` logits, exactly;
* the *tail*: the ranks beyond, cut into segments that grow with rank and shrink again towards the last
  token. A segment keeps the logit at its last rank and one correction, and between its two end logits the
  logit is taken as linear in rank.

Logits, not log-probabilities, are kept because a float32 logit is exactly what the model said.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from breadth.errors import NumericalError
from breadth.trie import END, Trie

__all__ = [
    "HEAD",
    "NAMED",
    "RAGGED_COLUMNS",
    "ROW_COLUMNS",
    "TAIL_GROWTH",
    "TAIL_SHRINK",
    "Ranked",
    "rank_logits",
    "segment_mean",
    "tail_ranks",
]

HEAD = 4096
"""Number of top logits kept exactly."""

NAMED = 512
"""Number of top tokens whose ids are kept, for display."""

TAIL_GROWTH = 0.01
"""A tail segment is at most this share of its rank long …"""

TAIL_SHRINK = 0.1
"""… and at most this share of the ranks that are left: logits fall steeply at the bottom, where tokens that
training never saw lie. Without it the normaliser at temperature 5 is off by 2e-4, with it by under 2e-6."""

FLOOR = 1e6
"""Largest gap kept at a knot, in nats: weighs 0 in float64 up to temperature 1000. Stands in for inf."""

SORTED_AT_ONCE = 2**19
"""Logits sorted at once, 2 MB of them: they stay in the processor's cache, and little memory is taken beside
the block itself."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@lru_cache(maxsize=32)
def tail_ranks(vocab_size: int, head: int = HEAD) -> Ints:
    """Last rank (1-based) of every tail segment: empty when the head holds the whole vocabulary."""
    ranks = []
    rank = head
    while rank < vocab_size:
        rank += math.ceil(min(rank * TAIL_GROWTH, (vocab_size - rank) * TAIL_SHRINK))
        ranks.append(rank)
    return np.array(ranks, dtype=np.int64)


def segment_mean(drop: Floats) -> Floats:
    """Mean of exp(−x·drop) for x uniform in [0, 1]: (1 − e^−drop) / drop, with its limit 1 at drop = 0.

    The mean weight of a tail segment relative to its upper end, when the logit falls by `drop` ≥ 0,
    linearly in rank, from one end to the other.
    """
    safe = np.where(drop > 1e-8, drop, 1.0)
    return np.where(drop > 1e-8, -np.expm1(-safe) / safe, 1.0 - 0.5 * drop)


@dataclass(frozen=True, eq=False)
class Ranked:
    """The ranked next-token distributions at b prefixes.

    Ranks are 1-based; the ranking is by logit descending, then token id ascending. Columns of valid
    tokens are ragged: those of row i stand at `valid_start[i]:valid_start[i + 1]`, ascending by child
    node and then by rank, so that the tokens of the end are contiguous.

    Attributes:
        node: int64 (b,), the prefix: id of an inner node of the trie.
        vocab_size: number of tokens the model chooses from.
        head_logit: float32 (b, m), the top m = min(HEAD, vocab_size) logits, descending.
        head_token: int32 (b, min(NAMED, m)), ids of the top tokens.
        tail_logit: float32 (b, s), the logit at the last rank of each segment in `tail_ranks`, or at the
            last finite one.
        tail_correction: float32 (b, s), log of the segment's true mean weight over the one that
            `segment_mean` gives, at temperature 1.
        std_logit: float64 (b,), population standard deviation of all finite logits.
        n_finite: int32 (b,), number of tokens with a finite logit: the others are forbidden, and no rule
            keeps them.
        valid_start: int64 (b + 1,).
        valid_node: int32 (v,), the child node that the token leads to.
        valid_token: int32 (v,).
        valid_logit: float32 (v,).
        valid_rank: int32 (v,), 1 … vocab_size.
        valid_above: int32 (v,), number of tokens with a strictly larger logit.
        valid_ties: int32 (v,), number of tokens with this very logit, itself included.
        stray_start: int64 (b + 1,), for the end tokens at prefixes where no answer stops.
        stray_logit: float32 (e,).
        stray_rank: int32 (e,), ascending inside a row.
    """

    node: Ints
    vocab_size: int
    head_logit: NDArray[np.float32]
    head_token: NDArray[np.int32]
    tail_logit: NDArray[np.float32]
    tail_correction: NDArray[np.float32]
    std_logit: Floats
    n_finite: NDArray[np.int32]
    valid_start: Ints
    valid_node: NDArray[np.int32]
    valid_token: NDArray[np.int32]
    valid_logit: NDArray[np.float32]
    valid_rank: NDArray[np.int32]
    valid_above: NDArray[np.int32]
    valid_ties: NDArray[np.int32]
    stray_start: Ints
    stray_logit: NDArray[np.float32]
    stray_rank: NDArray[np.int32]

    def __len__(self) -> int:
        """Number of prefixes b."""
        return len(self.node)

    @property
    def nbytes(self) -> int:
        """Bytes held by the columns."""
        return sum(getattr(getattr(self, field.name), "nbytes", 0) for field in fields(self))

    def take(self, rows: Ints) -> Ranked:
        """The distributions at some rows, shape (r,)."""
        columns = {name: getattr(self, name)[rows] for name in ROW_COLUMNS}
        for start, names in RAGGED_COLUMNS.items():
            bounds = getattr(self, start)
            count = np.diff(bounds)[rows]
            columns[start] = np.concatenate([[0], np.cumsum(count)])
            at = np.repeat(bounds[rows] - columns[start][:-1], count) + np.arange(count.sum())
            columns |= {name: getattr(self, name)[at] for name in names}
        return Ranked(vocab_size=self.vocab_size, **columns)

    @staticmethod
    def concatenate(blocks: Sequence[Ranked]) -> Ranked:
        """Blocks of one model, one after the other."""
        ragged = [name for names in RAGGED_COLUMNS.values() for name in names]
        columns = {
            name: np.concatenate([getattr(block, name) for block in blocks])
            for name in (*ROW_COLUMNS, *ragged)
        }
        for start in RAGGED_COLUMNS:
            counts = np.concatenate([np.diff(getattr(block, start)) for block in blocks])
            columns[start] = np.concatenate([[0], np.cumsum(counts)])
        return Ranked(vocab_size=blocks[0].vocab_size, **columns)

    @cached_property
    def max_logit(self) -> Floats:
        """float64 (b,), the largest logit."""
        return self.head_logit[:, 0].astype(np.float64)

    @cached_property
    def valid_row(self) -> Ints:
        """int64 (v,), the row that each valid token belongs to."""
        return np.repeat(np.arange(len(self)), np.diff(self.valid_start))

    @cached_property
    def event_first(self) -> Ints:
        """int64 (g,), where the tokens of each valid event begin: they stand together, best first."""
        return np.flatnonzero(np.diff(self.valid_node, prepend=-1))

    @cached_property
    def knot_rank(self) -> Ints:
        """int64 (k,), ranks whose logit is known exactly: 1 … m, then the end of each tail segment."""
        head = self.head_logit.shape[1]
        return np.concatenate([np.arange(1, head + 1), tail_ranks(self.vocab_size, head)])

    @cached_property
    def tail_end(self) -> Ints:
        """int64 (b, s), last rank of every tail segment that holds a finite logit."""
        ends = tail_ranks(self.vocab_size, self.head_logit.shape[1])
        return np.minimum(ends, np.maximum(self.n_finite, self.head_logit.shape[1])[:, None])

    @cached_property
    def tail_count(self) -> Ints:
        """int64 (b, s), number of tokens with a finite logit in every tail segment."""
        return np.diff(self.tail_end, prepend=self.head_logit.shape[1], axis=1)

    @cached_property
    def knot_gap(self) -> Floats:
        """float64 (b, k), the *gap* at every knot: nats of logit below the row's top token, 0 … FLOOR."""
        logit = np.concatenate([self.head_logit, self.tail_logit], axis=1).astype(np.float64)
        return np.minimum(self.max_logit[:, None] - logit, FLOOR)

    @cached_property
    def _gap_sums(self) -> tuple[Floats, Floats]:
        """(b, k + 1) each, sums of the gaps and of their squares up to every knot."""
        head = self.head_logit.shape[1]
        # Forbidden tokens add nothing: no window holds them.
        gap = np.where(self.knot_gap < FLOOR, self.knot_gap, 0.0)
        upper, drop = gap[:, head - 1 : -1], np.diff(gap[:, head - 1 :], axis=1)
        count = self.tail_count
        first = np.concatenate([gap[:, :head], count * (upper + drop / 2)], axis=1)
        second = np.concatenate([gap[:, :head] ** 2, count * (upper**2 + upper * drop + drop**2 / 3)], axis=1)
        zero = np.zeros((len(self), 1))
        return (
            np.cumsum(np.concatenate([zero, first], axis=1), axis=1),
            np.cumsum(np.concatenate([zero, second], axis=1), axis=1),
        )

    def spread(self, low: Ints, high: Ints) -> Floats:
        """(b,), population standard deviation of the logits at ranks low + 1 … high ≤ n_finite."""
        ends = np.concatenate([[0], self.knot_rank])
        sums = []
        for table in self._gap_sums:
            pairs = zip(low, high, self.n_finite, table, strict=True)
            sums.append([np.interp([a, z], np.minimum(ends, n), row) for a, z, n, row in pairs])
        count = high - low
        mean, square = (np.diff(np.array(table), axis=1)[:, 0] / count for table in sums)
        return np.asarray(np.sqrt(np.maximum(square - mean**2, 0.0)), dtype=np.float64)

    @cached_property
    def valid_gap(self) -> Floats:
        """float64 (v,), nats of logit below the row's top token; inf for a forbidden token."""
        return np.asarray(self.max_logit[self.valid_row] - self.valid_logit, dtype=np.float64)


ROW_COLUMNS = (
    "node",
    "head_logit",
    "head_token",
    "tail_logit",
    "tail_correction",
    "std_logit",
    "n_finite",
)
"""Columns of a `Ranked` with one entry per prefix."""

RAGGED_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "valid_start": (
        "valid_node",
        "valid_token",
        "valid_logit",
        "valid_rank",
        "valid_above",
        "valid_ties",
    ),
    "stray_start": ("stray_logit", "stray_rank"),
}
"""Columns of a `Ranked` with several entries per prefix, by the column that says where a row's stand."""


def rank_logits(
    nodes: Ints, logits: NDArray[np.float32], trie: Trie, *, head: int = HEAD, named: int = NAMED
) -> Ranked:
    """Sort and sketch a block of logits.

    Args:
        nodes: int64 (b,), inner nodes of `trie`.
        logits: float32 (b, vocab_size); −inf forbids a token.
        trie: says which tokens are valid.
        head: number of logits kept exactly; `vocab_size` or more keeps them all.
        named: number of token ids kept.

    Raises:
        NumericalError: a logit is NaN or +inf, or a row has no finite logit.
    """
    size = max(1, SORTED_AT_ONCE // logits.shape[1])
    slices = [slice(first, first + size) for first in range(0, len(nodes), size)]
    if len(slices) == 1:
        return _rank_rows(nodes, logits, trie, head, named)
    # Sorting and summing leave the interpreter's lock, so that threads share the work.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        blocks = pool.map(lambda rows: _rank_rows(nodes[rows], logits[rows], trie, head, named), slices)
        return Ranked.concatenate(list(blocks))


def _rank_rows(nodes: Ints, logits: NDArray[np.float32], trie: Trie, head: int, named: int) -> Ranked:
    logits = np.ascontiguousarray(logits, dtype=np.float32)
    vocab_size = logits.shape[1]
    ascending = np.sort(logits, axis=1)
    # NaN sorts last, so the largest value of a row tells whether the row can be used.
    if not np.isfinite(ascending[:, -1]).all():
        bad = int(np.flatnonzero(~np.isfinite(ascending[:, -1]))[0])
        tokens = trie.path(int(nodes[bad]))
        where = f"after the answer tokens {tokens}" if tokens else "at an answer's first token"
        raise NumericalError(
            f"the model's logits are unusable {where}: the largest is "
            f"{ascending[bad, -1]}, a finite number is needed; try dtype float32"
        )

    head = min(head, vocab_size)
    head_logit = np.ascontiguousarray(ascending[:, : -head - 1 : -1])
    if np.isfinite(ascending[:, 0]).all():
        n_finite = np.full(len(nodes), vocab_size, dtype=np.int32)
        std = logits.std(axis=1, dtype=np.float64)
    else:
        n_finite = np.isfinite(ascending).sum(axis=1, dtype=np.int32)
        std = np.ma.masked_invalid(logits).std(axis=1, dtype=np.float64).filled(0.0)
    tail_logit, tail_correction = _sketch_tail(ascending, head, n_finite)
    start, token, child = trie.valid_tokens(nodes)
    valid = _places(logits, ascending, start, token)
    order = np.lexsort((valid.rank, child, valid.row))
    stray_start, stray_token = _stray_ends(nodes, trie)
    stray = _places(logits, ascending, stray_start, stray_token)
    stray_order = np.lexsort((stray.rank, stray.row))
    return Ranked(
        node=np.asarray(nodes, dtype=np.int64),
        vocab_size=vocab_size,
        head_logit=head_logit,
        head_token=_top_tokens(logits, head_logit, min(named, head)),
        tail_logit=tail_logit,
        tail_correction=tail_correction,
        std_logit=std,
        n_finite=n_finite,
        valid_start=start,
        valid_node=child[order],
        valid_token=token[order],
        valid_logit=valid.logit[order],
        valid_rank=valid.rank[order],
        valid_above=valid.above[order],
        valid_ties=valid.ties[order],
        stray_start=stray_start,
        stray_logit=stray.logit[stray_order],
        stray_rank=stray.rank[stray_order],
    )


def _stray_ends(nodes: Ints, trie: Trie) -> tuple[Ints, NDArray[np.int32]]:
    """The end tokens, at every prefix where no answer stops: start of each row, and the tokens."""
    stops = np.zeros(len(trie), dtype=np.bool_)
    stops[trie.parent[trie.token == END]] = True
    count = np.where(stops[nodes], 0, len(trie.end_tokens))
    return np.concatenate([[0], np.cumsum(count)]), np.tile(trie.end_tokens, int((~stops[nodes]).sum()))


def _sketch_tail(
    ascending: NDArray[np.float32], head: int, n_finite: NDArray[np.int32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The end logit and the correction of every tail segment."""
    rows, vocab_size = ascending.shape
    ends = tail_ranks(vocab_size, head)
    if not len(ends):
        empty = np.empty((rows, 0), dtype=np.float32)
        return empty, empty
    # A segment that runs into forbidden tokens ends at the last finite logit.
    last = np.minimum(ends, np.maximum(n_finite, head)[:, None])
    count = np.diff(last, prepend=head, axis=1)
    # In ascending order the tail is a leading slice, and its segments come last one first.
    tail_logit = np.take_along_axis(ascending, vocab_size - last, axis=1)
    knots = np.concatenate([ascending[:, [vocab_size - head]], tail_logit], axis=1).astype(np.float64)
    top = np.where(np.isfinite(knots[:, :1]), knots[:, :1], 0.0)
    knots = np.maximum(knots - top, -FLOOR)
    # Weights relative to the tail's own largest, so that float32 does not underflow far below the head.
    weight = np.exp(ascending[:, : vocab_size - head] - top.astype(np.float32))
    mass = np.add.reduceat(weight, vocab_size - ends[::-1], axis=1, dtype=np.float64)[:, ::-1]
    linear = np.exp(knots[:, :-1]) * segment_mean(knots[:, :-1] - knots[:, 1:])
    with np.errstate(divide="ignore", invalid="ignore"):
        correction = np.log(mass / count) - np.log(linear)
    correction[~np.isfinite(correction)] = 0.0  # a segment without any weight
    return tail_logit, correction.astype(np.float32)


class _Places(NamedTuple):
    """Where some tokens stand in the rankings of their rows."""

    row: Ints
    logit: NDArray[np.float32]
    above: NDArray[np.int32]
    ties: NDArray[np.int32]
    rank: NDArray[np.int32]


def _places(
    logits: NDArray[np.float32], ascending: NDArray[np.float32], start: Ints, token: NDArray[np.int32]
) -> _Places:
    row = np.repeat(np.arange(len(logits)), np.diff(start))
    value = logits[row, token]
    above = np.empty(len(value), dtype=np.int32)
    ties = np.empty(len(value), dtype=np.int32)
    for place, sorted_row in enumerate(ascending):
        span = slice(start[place], start[place + 1])
        right = np.searchsorted(sorted_row, value[span], side="right")
        above[span] = len(sorted_row) - right
        ties[span] = right - np.searchsorted(sorted_row, value[span], side="left")
    rank = above + 1
    # Of the tokens that tie, those with smaller ids rank before.
    for index in np.flatnonzero(ties > 1):
        rank[index] += int(np.count_nonzero(logits[row[index], : token[index]] == value[index]))
    return _Places(row, value, above, ties, rank)


def _top_tokens(
    logits: NDArray[np.float32], head_logit: NDArray[np.float32], named: int
) -> NDArray[np.int32]:
    """Ids of the `named` highest-ranked tokens of every row."""
    # One flat search is several times as fast as one by row and column.
    row, token = np.divmod(np.flatnonzero(logits >= head_logit[:, named - 1 : named]), logits.shape[1])
    order = np.lexsort((token, -logits[row, token], row))
    first = np.searchsorted(row, np.arange(len(logits)))
    top: NDArray[np.int64] = token[order][first[:, None] + np.arange(named)]
    return top.astype(np.int32)
