"""What a rule would give if order or shape were fixed, everything else left as it is.

Three fixes, each applied at every prefix to the events' probabilities after the rule, sorted:

* *top*: the valid events take the top places, in their mutual order; this is order calibration [Def D.1];
* *within*: the valid events are sorted by the answers below them, inside the places that they hold;
* *shape*: the sorted probabilities become N(u·v)/N(u), sorted, and then zeros.

Top and within together are perfect order. All three give Val = Div = 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from breadth.errors import RuleError
from breadth.events import end_tokens
from breadth.mass import Masses
from breadth.measures.shapley import coalitions
from breadth.outcome import Outcome
from breadth.ranked import Ranked
from breadth.ranking import Ranking
from breadth.rules import Rule
from breadth.rules.window import Window
from breadth.segments import owners
from breadth.trie import Trie

__all__ = ["FIXES", "fixed_answers"]

FIXES = ("top", "within", "shape")

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NOWHERE = np.iinfo(np.int64).max
"""Place of an event that is not among the top ones."""


def fixed_answers(
    outcome: Outcome, blocks: Iterable[Ranked], ranking: Ranking
) -> dict[frozenset[str], Floats]:
    """ln q(y) of every answer, (|V|,), under a rule with each set of fixes; with none it is the rule itself.

    Args:
        outcome: of the rule, one that an engine can run.
        blocks: together they hold every inner node of the trie once.
        ranking: of their events.

    Raises:
        RuleError: the rule is an oracle.
    """
    trie, rule = outcome.trie, outcome.rule
    if rule.oracle:
        raise RuleError(f"rule {str(rule)!r} is an oracle; only a rule that an engine can run can be fixed")
    # The valid events of every prefix by probability, most first: one *slot* each.
    child = np.lexsort((ranking.rank, -outcome.edge_logp, trie.parent))
    child = child[trie.parent[child] >= 0]
    n_valid = trie.n_children[trie.prefixes]
    start = np.cumsum(n_valid) - n_valid
    prefix = owners(start, len(child))
    slot = np.arange(len(child)) - start[prefix]
    # Ties by weight keep the mutual order.
    turn = np.lexsort((slot, -trie.weight[child], prefix))
    by_weight = child[turn]
    target = np.log(trie.weight[by_weight]) - np.log(trie.weight[trie.parent[by_weight]])

    own = outcome.edge_logp[child]
    place, top = _places(trie, blocks, rule, start)
    place = place[child]
    inside = place <= n_valid[prefix]
    aimed = np.full(len(child), -np.inf)
    aimed[inside] = target[start[prefix[inside]] + place[inside] - 1]

    answers = {}
    for fixes in coalitions(FIXES):
        at_top, in_place = (target, aimed) if "shape" in fixes else (top, own)
        edge = np.zeros(len(trie))
        edge[by_weight if "within" in fixes else child] = at_top if "top" in fixes else in_place
        answers[fixes] = trie.by_answer(trie.along_paths(edge))
    return answers


def _places(trie: Trie, blocks: Iterable[Ranked], rule: Rule, start: Ints) -> tuple[Ints, Floats]:
    """Where the valid events stand among all events by probability, and the top probabilities there are.

    Returns:
        int64 (n,), the place of every node's event at its parent, 1-based, `NOWHERE` beyond the number of
        valid events; and float64 (m,), ln of the j-th largest probability for the j-th slot of every prefix.
    """
    place = np.full(len(trie), NOWHERE)
    top = np.full(len(trie) - 1, -np.inf)
    for ranked in blocks:
        events = _sorted_events(ranked, trie, rule)
        g = trie.n_children[ranked.node]
        first = np.searchsorted(events.row, np.arange(len(ranked)))
        at = np.arange(len(events.row)) - first[events.row]
        is_top = at < g[events.row]
        row = events.row[is_top]
        top[start[trie.prefix_index[ranked.node[row]]] + at[is_top]] = events.logp[is_top]
        named = is_top & (events.child >= 0)
        place[events.child[named]] = at[named] + 1
    return place, top


class _Sorted(NamedTuple):
    """Events of a block, at least as many of each row as are valid there, by row and falling probability."""

    row: Ints
    logp: Floats
    child: Ints
    """The node that the event leads to, −1 for an invalid one."""


def _sorted_events(ranked: Ranked, trie: Trie, rule: Rule) -> _Sorted:
    masses = Masses(ranked)
    windows = rule.windows(masses)
    ends = end_tokens(ranked, trie)
    n_rows = len(ranked)
    # The likeliest events are among the first ranks of a window, as many as are valid and end tokens beside.
    most = int((trie.n_children[ranked.node] + np.bincount(ends.row, minlength=n_rows)).max())
    lows = [np.zeros(n_rows, dtype=np.int64), *(window.low for window in windows)]
    wanted = np.sort(np.concatenate([low[:, None] + np.arange(1, most + 1) for low in lows], axis=1), axis=1)
    fresh = (np.diff(wanted, axis=1, prepend=0) > 0) & (wanted <= ranked.vocab_size)
    row = np.nonzero(fresh)[0]
    rank = wanted[fresh]
    gap = masses.at(windows[0].beta).gap_at(rank, row)
    child = np.full(len(rank), -1)

    span = ranked.vocab_size + 1
    key = row * span + rank

    def find(rows: Ints, ranks: NDArray[np.integer]) -> tuple[Ints, NDArray[np.bool_]]:
        at = np.minimum(np.searchsorted(key, rows * span + ranks), len(key) - 1)
        return at, key[at] == rows * span + ranks

    at, found = find(ranked.valid_row, ranked.valid_rank)
    child[at[found]] = ranked.valid_node[found]
    gap[at[found]] = ranked.valid_gap[found]  # exact in the tail too
    logp = _logp(windows, masses, row, rank, gap)

    # The end is one event: its tokens go, and their sum stands where the best of them stood.
    keep = np.ones(len(key), dtype=np.bool_)
    at, found = find(ends.row, ends.rank)
    keep[at[found]] = False
    end_row = ends.row[ends.best]
    end_logp = np.full(n_rows, -np.inf)
    np.logaddexp.at(end_logp, ends.row, _logp(windows, masses, ends.row, ends.rank, ends.gap))
    end_child = np.full(n_rows, -1)
    is_end = trie.token[ranked.valid_node] < 0
    end_child[ranked.valid_row[is_end]] = ranked.valid_node[is_end]

    row = np.concatenate([row[keep], end_row])
    rank = np.concatenate([rank[keep], ends.rank[ends.best]])
    logp = np.concatenate([logp[keep], end_logp[end_row]])
    child = np.concatenate([child[keep], end_child[end_row]])
    order = np.lexsort((rank, -logp, row))
    return _Sorted(row[order], logp[order], child[order])


def _logp(windows: list[Window], masses: Masses, row: Ints, rank: Ints, gap: Floats) -> Floats:
    """ln of the probability that a rule gives tokens of a block, each by its row, rank and gap."""
    logp = np.full(len(rank), -np.inf)
    for window in windows:
        kept = (rank > window.low[row]) & (rank <= window.high[row])
        token = np.log(window.weight) - window.beta * gap - window.log_mass(masses)[row]
        logp = np.logaddexp(logp, np.where(kept, token, -np.inf))
    return logp
