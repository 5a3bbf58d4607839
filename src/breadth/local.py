"""What is right and wrong at every single prefix: order, shape, and the curve of the sorted logits.

Everything here is about the model's own distribution, at temperature 1 and before any rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from breadth.measures.logit_fit import LogitFit, fit_logits
from breadth.measures.order import GOOD, LocalFrontiers, local_frontiers
from breadth.measures.shape import SHAPE_TOLERANCE, shape_errors, shape_scores
from breadth.outcome import outcomes
from breadth.ranked import HEAD, Ranked
from breadth.ranking import Ranking
from breadth.rules import parse_rule
from breadth.trie import Trie

__all__ = ["ABOVE", "Inversions", "Local", "LogitFits", "local_measures", "logit_fits"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

FITTED_AT_ONCE = 16
"""Prefixes whose logits are fitted before progress is told."""

ABOVE = 3
"""Invalid tokens named of those that stand above a valid one."""


@dataclass(frozen=True, eq=False)
class Inversions:
    """The worst inversion of every prefix: the valid event with most invalid tokens above it. Columns (p,).

    Tokens are compared by probability [Def D.1], the end by its best token; equals are in order.

    Attributes:
        child: int64, the node that the event leads to.
        rank: int64, rank of its token in the whole vocabulary.
        by: int64, number of invalid tokens that are strictly more probable; 0 where order is calibrated.
        above: int32 (p, ABOVE), the most probable of these, −1 where there are fewer.
    """

    child: Ints
    rank: Ints
    by: Ints
    above: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Local:
    """Local measures. Columns have one entry per prefix, in the order of `trie.prefixes`.

    Attributes:
        trie: the answers.
        frontiers: local precision and recall over all cutoffs.
        order_score: float64 (p,), area under the local frontier; 1 is perfect order.
        recall_at_good: float64 (p,), the largest local recall at local precision ≥ `GOOD`.
        inversions: the worst inversion.
        shape_score: float64 (p,), exp(−KL) of the valid mass from N(u·v)/N(u); 1 is perfect shape.
        shape_error: float64 (p,), largest error of a valid event's share, in nats.
    """

    trie: Trie
    frontiers: LocalFrontiers
    order_score: Floats
    recall_at_good: Floats
    inversions: Inversions
    shape_score: Floats
    shape_error: Floats

    @property
    def order_calibrated(self) -> Bools:
        """bool (p,), whether every valid token is at least as probable as every invalid one [Def D.1]."""
        return np.asarray(self.inversions.by == 0)

    @property
    def shape_calibrated(self) -> Bools:
        """bool (p,), whether the valid mass is spread as N(u·v)/N(u), up to `SHAPE_TOLERANCE` [Def D.1]."""
        return np.asarray(self.shape_error <= SHAPE_TOLERANCE)


def local_measures(trie: Trie, blocks: Iterable[Ranked], ranking: Ranking) -> Local:
    """Measure order and shape at every prefix.

    Args:
        trie: the answers.
        blocks: re-iterable; together they hold every inner node of the trie once.
        ranking: of their events.
    """
    (valid_only,) = outcomes(trie, blocks, [parse_rule("oracle_validity")])
    frontiers = local_frontiers(trie, ranking.rank)
    inversions = [(ranked.node, _inversions(ranked, trie)) for ranked in blocks]
    return Local(
        trie=trie,
        frontiers=frontiers,
        order_score=frontiers.order_score,
        recall_at_good=frontiers.recall_at(GOOD),
        inversions=_gathered(inversions),
        shape_score=shape_scores(trie, valid_only.edge_logp),
        shape_error=shape_errors(trie, valid_only.edge_logp),
    )


class LogitFits(NamedTuple):
    """The curves of the sorted logits at some prefixes, by ascending node [App. I].

    Over all ranks the bottom of a large vocabulary, tokens that training never saw, decides where the head
    ends; the top ranks alone show the head that sampling meets.
    """

    everywhere: LogitFit
    """Over all ranks."""
    top: LogitFit
    """Over the first `HEAD` ranks."""


def logit_fits(
    blocks: Iterable[Ranked], nodes: Ints, progress: Callable[[int, int], None] | None = None
) -> LogitFits:
    """Fit a line and a logarithm to the sorted logits at some prefixes; takes some milliseconds each.

    Args:
        blocks: together they hold the prefixes.
        nodes: int64 (f,), ascending.
        progress: told how many prefixes are done, of how many.
    """
    everywhere, top = [], []
    done = 0
    for ranked in blocks:
        wanted = np.flatnonzero(np.isin(ranked.node, nodes))
        for first in range(0, len(wanted), FITTED_AT_ONCE):
            some = ranked.take(wanted[first : first + FITTED_AT_ONCE])
            everywhere.append((some.node, fit_logits(some)))
            top.append((some.node, fit_logits(some, HEAD)))
            done += len(some)
            if progress:
                progress(done, len(nodes))
    return LogitFits(_gathered(everywhere), _gathered(top))


Columns = TypeVar("Columns", Inversions, LogitFit)


def _gathered(parts: Sequence[tuple[Ints, Columns]]) -> Columns:
    """The columns of several blocks as one, by ascending node."""
    kind = type(parts[0][1])
    order = np.argsort(np.concatenate([node for node, _ in parts]))
    names = [field.name for field in fields(kind)]
    return kind(**{name: np.concatenate([getattr(part, name) for _, part in parts])[order] for name in names})


def _inversions(ranked: Ranked, trie: Trie) -> Inversions:
    first = ranked.event_first
    row, child = ranked.valid_row[first], ranked.valid_node[first].astype(np.int64)
    # One searchsorted over all rows: a key orders by row, then by what stands above.
    span = ranked.vocab_size + 1
    above = np.sort(ranked.valid_row * span + ranked.valid_above)
    mine = row * span + ranked.valid_above[first]
    valid_above = np.searchsorted(above, mine) - np.searchsorted(above, row * span)
    by = ranked.valid_above[first] - valid_above
    # Of equal inversions the one that more answers hang on.
    worst = np.lexsort((trie.weight[child], by, row))
    worst = worst[np.diff(row[worst], append=len(ranked)) != 0]
    token = first[worst]
    return Inversions(
        child=child[worst],
        rank=ranked.valid_rank[token].astype(np.int64),
        by=by[worst].astype(np.int64),
        above=_invalid_above(ranked, ranked.valid_logit[token]),
    )


def _invalid_above(ranked: Ranked, logit: NDArray[np.float32]) -> NDArray[np.int32]:
    """The first invalid tokens whose logit is above one logit per row, −1 where there are fewer."""
    named = ranked.head_token.shape[1]
    rows = np.arange(len(ranked))[:, None]
    keys = rows * ranked.vocab_size + ranked.head_token
    valid = np.isin(keys, ranked.valid_row * ranked.vocab_size + ranked.valid_token)
    found = ~valid & (ranked.head_logit[:, :named] > logit[:, None])
    place = np.cumsum(found, axis=1)
    above = np.full((len(ranked), ABOVE), -1, dtype=np.int32)
    row, column = np.nonzero(found & (place <= ABOVE))
    above[row, place[row, column] - 1] = ranked.head_token[row, column]
    return above
