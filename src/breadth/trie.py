"""The answers as a trie of tokens: frozen columns, one row a node.

A node is a start of at least one *sequence*: an answer's tokens together with their end. Two kinds of
node are enough for everything that follows:

* an inner node is a *valid prefix*: there the model is asked for its next-token distribution;
* a leaf is one finished sequence.

The end of an answer is one event even when many tokens spell it (every end-of-text token, every token
that begins with a newline), so it is one node whose token is `END`. Answers that need no end, such as
numbers of fixed length, finish at their last token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from breadth.errors import TaskError
from breadth.segments import log_sums

__all__ = ["END", "ROOT", "Trie", "build_trie"]

ROOT = -1
"""Token of the root, which no token leads to."""

END = -2
"""Token of a node reached by any of the end tokens, counted together as one event."""


@dataclass(frozen=True, eq=False)
class Trie:
    """Valid prefixes and finished sequences, in depth-first order.

    Node 0 is the root, the empty prefix. A node's id is smaller than its descendants' ids, and the
    descendants of a node are the ids that follow it without a gap. Siblings ascend by token, `END` first.

    Attributes:
        parent: int32 (n,), id of the parent; −1 at the root.
        token: int32 (n,), the token that leads here from the parent; `ROOT` or `END` where none does.
        depth: int32 (n,), number of events from the root; the end counts as one.
        weight: float64 (n,), N(u): how many answers extend this node. An answer with s sequences gives
            each of them 1/s, so `weight[0]` is the number of answers.
        answer: int32 (n,), at a leaf the index of the answer it spells, −1 at an inner node.
        complete: bool (n,), whether the text of an answer is complete at this prefix, so that only its end
            is missing; False at leaves.
        n_answers: number of answers |V|.
        end_tokens: int32 (e,), ascending: the tokens that the event `END` stands for.
    """

    parent: NDArray[np.int32]
    token: NDArray[np.int32]
    depth: NDArray[np.int32]
    weight: NDArray[np.float64]
    answer: NDArray[np.int32]
    complete: NDArray[np.bool_]
    n_answers: int
    end_tokens: NDArray[np.int32]

    def __len__(self) -> int:
        """Number of nodes."""
        return len(self.parent)

    @cached_property
    def leaves(self) -> NDArray[np.int64]:
        """Ids of the leaves, ascending: one a sequence."""
        return np.flatnonzero(self.answer >= 0)

    @cached_property
    def prefixes(self) -> NDArray[np.int64]:
        """Ids of the inner nodes, ascending: the valid prefixes u."""
        return np.flatnonzero(self.answer < 0)

    @cached_property
    def prefix_index(self) -> NDArray[np.int64]:
        """int64 (n,), the place of every inner node in `prefixes`; −1 at leaves."""
        index = np.full(len(self), -1)
        index[self.prefixes] = np.arange(len(self.prefixes))
        return index

    @cached_property
    def _children(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        order = np.argsort(self.parent[1:], kind="stable") + 1
        start = np.searchsorted(self.parent[order], np.arange(len(self) + 1))
        return start, order

    def children(self, node: int) -> NDArray[np.int64]:
        """Ids of the children of `node`, ascending by token."""
        start, order = self._children
        return order[start[node] : start[node + 1]]

    @cached_property
    def n_children(self) -> NDArray[np.int64]:
        """int64 (n,): g(u), the number of valid events at every node; 0 at leaves."""
        start, _ = self._children
        return np.diff(start)

    def valid_tokens(
        self, nodes: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
        """The tokens that stay inside the trie, at each of the inner nodes `nodes`, shape (b,).

        Returns `(start, token, child)`: the tokens of `nodes[i]` and the children they lead to stand at
        `start[i]:start[i + 1]`, ascending by child. The end is one child with every end token.
        """
        child_start, order = self._children
        first, count = child_start[nodes], self.n_children[nodes]
        owner = np.repeat(np.arange(len(nodes)), count)
        within = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
        child = order[first[owner] + within].astype(np.int32)
        is_end = self.token[child] == END
        copies = np.where(is_end, len(self.end_tokens), 1)
        token = np.repeat(self.token[child], copies)
        token[np.repeat(is_end, copies)] = np.tile(self.end_tokens, int(is_end.sum()))
        start = np.concatenate([[0], np.cumsum(np.bincount(owner, weights=copies, minlength=len(nodes)))])
        return start.astype(np.int64), token, np.repeat(child, copies)

    def events_by(self, key: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """All events, by prefix and inside a prefix by ascending `key`, shape (n,).

        Returns `(start, child)`: the children of `prefixes[i]` stand at `start[i]:start[i + 1]`.
        """
        child = np.lexsort((key, self.parent))[1:]  # the root, no event, has the smallest parent
        start = np.concatenate([[0], np.cumsum(self.n_children[self.prefixes])])
        return start, child

    @cached_property
    def _levels(self) -> list[NDArray[np.int64]]:
        """Ids of the nodes at depth 1, 2, …"""
        order = np.argsort(self.depth, kind="stable")
        starts = np.searchsorted(self.depth[order], np.arange(1, int(self.depth.max()) + 2))
        return [order[a:z] for a, z in pairwise(starts)]

    def along_paths(self, edge_value: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum of a column over the events from the root to every node; shape (n,)."""
        total = np.array(edge_value, dtype=np.float64)
        for level in self._levels:
            total[level] += total[self.parent[level]]
        return total

    def over_children(self, edge_value: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum of a column over the children of every node; shape (n,), NaN at leaves."""
        total = np.zeros(len(self))
        np.add.at(total, self.parent[1:], edge_value[1:])
        total[self.leaves] = np.nan
        return total

    def log_below(self, edge_logp: NDArray[np.float64]) -> NDArray[np.float64]:
        """ln of the probability to finish a sequence from every node, shape (n,); ln Val at the root.

        Args:
            edge_logp: float64 (n,), ln of the probability of the event that leads to each node.
        """
        below = np.where(self.answer >= 0, 0.0, -np.inf)
        for level in reversed(self._levels):
            # A level's nodes stand in the order of their parents.
            parent = self.parent[level]
            first = np.flatnonzero(np.diff(parent, prepend=-1))
            below[parent[first]] = log_sums(edge_logp[level] + below[level], first)
        return below

    def by_answer(self, node_logp: NDArray[np.float64]) -> NDArray[np.float64]:
        """ln Σ exp of a column over the sequences of each answer; shape (n_answers,)."""
        logp = node_logp[self.leaves]
        if len(self.leaves) == self.n_answers:
            result = np.empty(self.n_answers)
            result[self.answer[self.leaves]] = logp
            return result
        result = np.full(self.n_answers, -np.inf)
        np.logaddexp.at(result, self.answer[self.leaves], logp)
        return result

    def path(self, node: int) -> list[int]:
        """Tokens from the root to `node`."""
        tokens: list[int] = []
        while node > 0:
            tokens.append(int(self.token[node]))
            node = int(self.parent[node])
        return tokens[::-1]


def build_trie(
    sequences: Sequence[tuple[int, ...]],
    answer: Sequence[int],
    *,
    n_answers: int,
    end_tokens: Sequence[int] = (),
    own_lengths: Sequence[int] | None = None,
) -> Trie:
    """Build the trie of finished sequences.

    Args:
        sequences: tokens of every sequence; the last may be `END`, and only the last.
        answer: for every sequence the index of its answer, 0 … n_answers − 1.
        n_answers: |V|; every answer has at least one sequence.
        end_tokens: the tokens that `END` stands for; needed when a sequence ends in it.
        own_lengths: for every sequence the number of tokens that spell the answer itself; what follows is
            its end. If not given, all but a last `END`.

    Raises:
        TaskError: two sequences are equal, or one sequence starts another: then a finished answer could
            not be told from an unfinished one.
    """
    order = sorted(range(len(sequences)), key=sequences.__getitem__)
    share = 1.0 / np.maximum(np.bincount(np.asarray(answer, dtype=np.int64), minlength=n_answers), 1)

    parent: list[int] = [-1]
    token: list[int] = [ROOT]
    depth: list[int] = [0]
    leaf_answer: list[int] = [-1]
    complete: list[bool] = [False]
    weight: list[float] = [0.0]
    path: list[int] = [0]  # ids of the nodes on the way to the sequence before
    previous: tuple[int, ...] | None = None
    previous_answer = -1
    for index in order:
        sequence = sequences[index]
        common = 0
        if previous is not None:
            limit = min(len(previous), len(sequence))
            while common < limit and previous[common] == sequence[common]:
                common += 1
            if common == limit:
                raise TaskError(
                    f"answer {answer[index]} cannot be told from answer {previous_answer}: the tokens "
                    f"{list(previous)} are the start of {list(sequence)}; give the task an end that marks "
                    "where an answer stops"
                )
        elif not sequence:
            raise TaskError("an answer without tokens needs an end: use end: eos or a stop string")
        own = own_lengths[index] if own_lengths else len(sequence) - (sequence[-1] == END)
        del path[common + 1 :]
        for position in range(common, len(sequence)):
            parent.append(path[-1])
            token.append(sequence[position])
            depth.append(position + 1)
            leaf_answer.append(-1)
            complete.append(False)
            weight.append(0.0)
            path.append(len(parent) - 1)
        leaf_answer[path[-1]] = answer[index]
        for node in path[own:-1]:
            complete[node] = True
        mass = float(share[answer[index]])
        for node in path:
            weight[node] += mass
        previous, previous_answer = sequence, answer[index]

    return Trie(
        parent=np.array(parent, dtype=np.int32),
        token=np.array(token, dtype=np.int32),
        depth=np.array(depth, dtype=np.int32),
        weight=np.array(weight, dtype=np.float64),
        answer=np.array(leaf_answer, dtype=np.int32),
        complete=np.array(complete, dtype=np.bool_),
        n_answers=n_answers,
        end_tokens=np.unique(np.asarray(end_tokens, dtype=np.int32)),
    )
