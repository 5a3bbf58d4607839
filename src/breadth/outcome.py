"""What a decoding rule makes of a probe: the exact probability of every answer, and where the rest leaks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from breadth.events import end_tokens, event_ranks
from breadth.mass import Masses
from breadth.measures import answers as measures
from breadth.probe import Probe
from breadth.ranked import Ranked
from breadth.rules import Rule, parse_rule
from breadth.rules.steps import Temperature
from breadth.segments import log_sums
from breadth.trie import Trie

__all__ = ["Outcome", "cutoff_outcome", "evaluate", "outcomes"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Outcome:
    """One rule on one probe. Columns have one entry per node of the trie; the root's are 0.

    Attributes:
        trie: the answers.
        rule: the decoding rule.
        edge_logp: float64 (n,), ln q of the event that leads to the node, given its parent; −inf where
            the rule drops it.
        edge_uniform_logp: the same when each step samples uniformly from the kept *tokens*.
        edge_event_logp: the same when each step samples uniformly from the kept *events*.
        cut_in_tail: whether at some prefix that the rule reaches its cut fell into the sketched tail, so
            that numbers may be off by about 1e-3.
    """

    trie: Trie
    rule: Rule
    edge_logp: Floats
    edge_uniform_logp: Floats
    edge_event_logp: Floats
    cut_in_tail: bool

    @cached_property
    def reach_logp(self) -> Floats:
        """float64 (n,), ln of the probability that generation passes through each node."""
        return self.trie.along_paths(self.edge_logp)

    @cached_property
    def answer_logp(self) -> Floats:
        """float64 (|V|,), ln q(y): an answer's sequences add up."""
        return self.trie.by_answer(self.reach_logp)

    @property
    def validity(self) -> float:
        """Val = Σ q(y) [Def 3.1]."""
        return measures.validity(self.answer_logp)

    @property
    def diversity(self) -> float:
        """Div = exp(H(q | V)) / |V| [Def 3.1]."""
        return measures.diversity(self.answer_logp)

    @property
    def recall(self) -> float:
        """Sequence recall: the share of answers that survive the cutoff [Def 4.1]."""
        return measures.recall(self.answer_logp)

    @cached_property
    def precision(self) -> float:
        """Sequence precision: P(valid) when each step samples uniformly from the kept tokens [Def 4.1]."""
        return measures.validity(self.trie.by_answer(self.trie.along_paths(self.edge_uniform_logp)))

    @cached_property
    def event_precision(self) -> float:
        """Sequence precision with the end counted as one event: the left side of Thm E.1."""
        return measures.validity(self.trie.by_answer(self.trie.along_paths(self.edge_event_logp)))

    def distinct(self, n: int) -> float:
        """Expected number of distinct valid answers among n independent samples."""
        return float(measures.expected_distinct(self.answer_logp, [n])[0])

    @cached_property
    def valid_mass(self) -> Floats:
        """float64 (n,), at a prefix the probability that the next event is valid; NaN at a leaf."""
        return self.trie.over_children(np.exp(self.edge_logp))

    @cached_property
    def leak(self) -> Floats:
        """float64 (n,), probability that generation leaves the valid trie at each prefix; sums to 1 − Val."""
        lost = np.maximum(1.0 - self.valid_mass, 0.0)
        lost[self.trie.leaves] = 0.0
        return np.asarray(np.exp(self.reach_logp) * lost, dtype=np.float64)

    @cached_property
    def local_precision(self) -> Floats:
        """float64 (n,), share of the kept events that are valid, at each prefix; NaN at a leaf [Def 4.1]."""
        return self.trie.over_children(np.exp(self.edge_event_logp))

    @cached_property
    def local_recall(self) -> Floats:
        """float64 (n,), share of the answers below each prefix whose next event is kept; NaN at a leaf."""
        kept = np.where(np.isfinite(self.edge_logp), self.trie.weight, 0.0)
        return self.trie.over_children(kept) / self.trie.weight


@dataclass(frozen=True, eq=False)
class _Edges:
    """The events of one block, before they are placed in the trie's columns."""

    child: NDArray[np.int32]
    logp: Floats
    uniform: Floats
    event: Floats
    tail_rows: NDArray[np.bool_]


def evaluate(probe: Probe, rules: Iterable[Rule | str]) -> Iterator[Outcome]:
    """Apply rules to a probe, in order; a rule may be written as text.

    Raises:
        RuleError: a text that is no rule.
    """
    parsed = [parse_rule(rule) if isinstance(rule, str) else rule for rule in rules]
    return outcomes(probe.trie, probe.blocks, parsed)


def outcomes(
    trie: Trie, blocks: Iterable[Ranked], rules: Sequence[Rule], *, memory: int = 64 * 2**20
) -> Iterator[Outcome]:
    """Apply rules to the distributions of a probe, in order.

    Args:
        trie: the answers.
        blocks: re-iterable; together they hold every inner node of the trie once.
        rules: any number. They are evaluated in groups that fit into `memory`, one pass over the blocks
            a group.
        memory: bytes for the columns of one group.
    """
    per_rule = 3 * 8 * len(trie)
    size = max(1, memory // per_rule)
    for first in range(0, len(rules), size):
        yield from _group(trie, blocks, rules[first : first + size])


def cutoff_outcome(trie: Trie, blocks: Iterable[Ranked], count: Ints, temperature: float = 1.0) -> Outcome:
    """What an adaptive cutoff does, one that keeps a number of events of its own at every prefix.

    Args:
        trie: the answers.
        blocks: together they hold every inner node of the trie once.
        count: int64 (n,), at every prefix how many of the top events are kept, ≥ 1. The end is one event:
            keeping it keeps all its tokens.
        temperature: ≥ 0.
    """
    columns = np.full((3, len(trie)), -np.inf)
    columns[:, 0] = 0.0
    tail = []
    for ranked in blocks:
        edges = _Events(ranked, trie).top_events(count, temperature, Masses(ranked))
        columns[:, edges.child] = edges.logp, edges.uniform, edges.event
        tail.append(ranked.node[edges.tail_rows])
    logp, uniform, event = columns
    cut = bool(np.isfinite(trie.along_paths(logp)[np.concatenate(tail)]).any())
    rule = Rule((Temperature(temperature),), oracle="adaptive_cutoff")
    return Outcome(trie, rule, logp, uniform, event, cut_in_tail=cut)


def _group(trie: Trie, blocks: Iterable[Ranked], rules: Sequence[Rule]) -> list[Outcome]:
    columns = np.full((len(rules), 3, len(trie)), -np.inf)
    columns[:, :, 0] = 0.0
    tail: list[list[Ints]] = [[] for _ in rules]
    # Rules of one temperature share their cumulative masses: evaluate them one after the other.
    order = sorted(range(len(rules)), key=lambda index: rules[index].temperature)
    for ranked in blocks:
        masses = Masses(ranked)
        events = _Events(ranked, trie)
        for index in order:
            edges = events.under(rules[index], masses)
            columns[index, :, edges.child] = np.stack([edges.logp, edges.uniform, edges.event], axis=1)
            if edges.tail_rows.any():
                tail[index].append(ranked.node[edges.tail_rows])
    result = []
    for rule, (logp, uniform, event), nodes in zip(rules, columns, tail, strict=True):
        cut = bool(nodes) and bool(np.isfinite(trie.along_paths(logp)[np.concatenate(nodes)]).any())
        result.append(Outcome(trie, rule, logp, uniform, event, cut_in_tail=cut))
    return result


class _Events:
    """The valid events of one block: its valid tokens, with those of the end taken together."""

    def __init__(self, ranked: Ranked, trie: Trie) -> None:
        self.ranked = ranked
        self.trie = trie
        self.row, self.child, self.rank = event_ranks(ranked, trie)
        self.row_start = np.searchsorted(self.row, np.arange(len(ranked)))
        self.first = ranked.event_first
        self.n_tokens = np.diff(self.first, append=len(ranked.valid_node))
        self.n_allowed = np.add.reduceat(np.isfinite(ranked.valid_gap), self.first, dtype=np.int64)
        self.ends = end_tokens(ranked, trie)
        self.n_ends = np.bincount(self.ends.row, minlength=len(ranked))

    def under(self, rule: Rule, masses: Masses) -> _Edges:
        """The edges' probabilities under a rule."""
        match rule.oracle:
            case "oracle_size":
                return self.top_events(self.trie.n_children, rule.temperature, masses)
            case "oracle_validity":
                return self._oracle_validity(rule.temperature)
            case "oracle_shape":
                return self._oracle_shape()
            case _:
                return self._under_windows(rule, masses)

    def _log_sum(self, token_logp: Floats) -> Floats:
        """ln Σ exp over the tokens of each event."""
        if len(self.first) == len(token_logp):
            return token_logp
        return log_sums(token_logp, self.first)

    def _under_windows(self, rule: Rule, masses: Masses) -> _Edges:
        ranked, row = self.ranked, self.ranked.valid_row
        n_head = ranked.head_logit.shape[1]
        logp = uniform = event = np.full(len(self.child), -np.inf)
        tail_rows = np.zeros(len(ranked), dtype=np.bool_)
        for window in rule.windows(masses):
            log_weight = np.log(window.weight)
            kept = (ranked.valid_rank > window.low[row]) & (ranked.valid_rank <= window.high[row])
            log_mass = window.log_mass(masses)
            token_logp = np.where(kept, -window.beta * ranked.valid_gap - log_mass[row], -np.inf)
            n_kept = np.add.reduceat(kept, self.first, dtype=np.int64)
            n_tokens = window.high - window.low
            # Kept end tokens are one event together, also where the end is not valid.
            end = self.ends
            end_kept = (end.rank > window.low[end.row]) & (end.rank <= window.high[end.row])
            n_ends = np.bincount(end.row[end_kept], minlength=len(ranked))
            n_events = n_tokens - np.maximum(n_ends - 1, 0)
            with np.errstate(divide="ignore"):
                log_kept = np.log(n_kept)
                log_any = np.log(n_kept > 0)
            logp = np.logaddexp(logp, log_weight + self._log_sum(token_logp))
            uniform = np.logaddexp(uniform, log_weight + log_kept - np.log(n_tokens)[self.row])
            event = np.logaddexp(event, log_weight + log_any - np.log(n_events)[self.row])
            tail_rows |= (window.low > n_head) | ((window.high > n_head) & (window.high < ranked.n_finite))
        return _Edges(self.child, logp, uniform, event, tail_rows)

    def top_events(self, count: Ints, temperature: float, masses: Masses) -> _Edges:
        """The edges when the top events of every prefix are kept, `count` (n,) ≥ 1 by node."""
        ranked, end = self.ranked, self.ends
        deleted = ~end.best
        n_deleted = np.maximum(self.n_ends - 1, 0)
        # Forbidden events are never kept.
        n_events = np.minimum(count[ranked.node], ranked.n_finite - n_deleted)
        kept = (self.rank <= n_events[self.row]) & (self.n_allowed > 0)
        # The g-th event's rank among real tokens: deleted end tokens above it push it down.
        place = np.arange(len(end.row)) - np.searchsorted(end.row, end.row)
        pushed = deleted & (end.rank - place < n_events[end.row])
        last = n_events + np.bincount(end.row[pushed], minlength=len(ranked))
        best_rank = np.full(len(ranked), ranked.vocab_size + 1)
        best_rank[end.row[end.best]] = end.rank[end.best]
        end_kept = best_rank <= last
        n_tokens = n_events + np.where(end_kept, n_deleted, 0)
        if temperature == 0:
            logp = np.where(self.rank == 1, 0.0, -np.inf)
        else:
            beta = 1.0 / temperature
            weight = self._log_sum(-beta * ranked.valid_gap)
            mass = masses.at(beta).upto(last) + end.mass_beyond(last, np.arange(len(ranked)), beta)
            logp = np.where(kept, weight - np.log(mass)[self.row], -np.inf)
        with np.errstate(divide="ignore"):
            uniform = np.where(kept, np.log(self.n_allowed) - np.log(n_tokens)[self.row], -np.inf)
        event = np.where(kept, -np.log(n_events)[self.row], -np.inf)
        tail_rows = last > ranked.head_logit.shape[1]
        return _Edges(self.child, logp, uniform, event, tail_rows)

    def _oracle_validity(self, temperature: float) -> _Edges:
        if temperature == 0:
            best = np.minimum.reduceat(self.rank, self.row_start)
            logp = np.where(self.rank == best[self.row], 0.0, -np.inf)
        else:
            weight = self._log_sum(-self.ranked.valid_gap / temperature)
            total = log_sums(weight, self.row_start)[self.row]
            # Where the model forbids every valid token there is nothing to share out: all stay at −inf.
            logp = weight - np.where(np.isfinite(total), total, 0.0)
        return self._all_valid(logp, self.n_allowed)

    def _oracle_shape(self) -> _Edges:
        weight = self.trie.weight
        logp = np.log(weight[self.child]) - np.log(weight[self.ranked.node])[self.row]
        return self._all_valid(logp, self.n_tokens)

    def _all_valid(self, logp: Floats, n_tokens: Ints) -> _Edges:
        """The edges of an oracle that keeps the valid tokens, `n_tokens` of each event, and nothing else."""
        b = len(self.ranked)
        with np.errstate(divide="ignore", invalid="ignore"):
            tokens = np.log(n_tokens / np.bincount(self.row, weights=n_tokens, minlength=b)[self.row])
            events = np.log((n_tokens > 0) / np.bincount(self.row[n_tokens > 0], minlength=b)[self.row])
        uniform, event = (np.where(n_tokens > 0, column, -np.inf) for column in (tokens, events))
        return _Edges(self.child, logp, uniform, event, np.zeros(b, dtype=np.bool_))
