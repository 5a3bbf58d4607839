"""The best any adaptive cutoff can do: the exact frontier of precision and recall over whole answers.

A strategy chooses at every prefix how many of the top events to keep. A generation is then valid with the
*sequence precision*, and the share of sequences still reachable is the *sequence recall*. Only the ranks of
valid events matter: a cutoff between two of them keeps the same valid events at lower precision. So with
valid ranks r_1 < … < r_m at a prefix u,

    f_u[c] = largest precision below u with exactly c sequences reachable,
             among strategies that keep a valid event wherever they arrive
    f_leaf = [−∞, 1],   f_u = max over j of (f_1 ⊕ … ⊕ f_j) / r_j

where ⊕ is (max, +) convolution. The running maximum of f_root over counts ≥ c is exact over all strategies;
single entries are not, since letting a whole subtree die can beat them. This is a knapsack on a tree:
O(|S|²) time and O(|S|) memory for |S| sequences.

Under the model's own probabilities 1/r_j becomes w_i / W_j for each kept event i: its probability over that
of all events down to the j-th valid one. Then precision is validity, over the cutoffs that keep all of the
end's tokens or none: a rule that keeps some of them where no answer stops may pass it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from breadth.trie import Trie

__all__ = ["CutoffFrontier", "cutoff_frontier", "max_plus"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def max_plus(left: Floats, right: Floats) -> Floats:
    """(max, +) convolution: out[c] = max over a + b = c of left[a] + right[b]."""
    if len(left) > len(right):
        left, right = right, left
    out = np.full(len(left) + len(right) - 1, -np.inf)
    for shift, value in enumerate(left.tolist()):
        if value > -np.inf:
            window = out[shift : shift + len(right)]
            np.maximum(window, right + value, out=window)
    return out


@dataclass(frozen=True, eq=False)
class CutoffFrontier:
    """The exact frontier, and the strategies that attain it.

    Counts are of sequences, not of answers: an answer with two surfaces counts twice.

    Attributes:
        trie: the answers.
        recall: float64 (|S| + 1,), 0, 1/|S|, … 1.
        precision: float64 (|S| + 1,), the largest precision of a strategy that keeps this share of the
            sequences or more; not increasing.
    """

    trie: Trie
    recall: Floats
    precision: Floats
    _problem: _Problem
    _below: dict[int, Floats]

    def strategy(self, count: int) -> dict[int, int]:
        """Cutoffs that attain the largest precision with at least `count` sequences, 1 ≤ count ≤ |S|.

        Returns:
            Prefix (node) → the last valid event (node) that is kept there, for the prefixes that are reached.
            Empty where no strategy keeps so many.
        """
        values = self._below[0][count:]
        best = int(np.argmax(values)) if len(values) else 0
        chosen: dict[int, int] = {}
        todo = [(0, count + best)] if len(values) and values[best] > -np.inf else []
        while todo:
            node, wanted = todo.pop()
            if wanted and self.trie.answer[node] < 0:
                chosen[node], parts = self._choice(node, wanted)
                todo.extend(parts)
        return chosen

    def _choice(self, node: int, wanted: int) -> tuple[int, list[tuple[int, int]]]:
        """The last event kept for exactly `wanted` sequences, and how many of them fall to each child."""
        child, weight, kept = self._problem.at(node)
        terms = [weight[j] * self._below[child[j]] for j in range(len(child))]
        sums = [np.zeros(1)]
        for term in terms:
            sums.append(max_plus(sums[-1], term))
        totals = [
            sums[j + 1][wanted] / kept[j] if wanted < len(sums[j + 1]) else -np.inf for j in range(len(child))
        ]
        last = int(np.argmax(totals))
        parts, left = [], wanted
        for j in range(last, -1, -1):
            mine = np.arange(max(0, left - len(sums[j]) + 1), min(len(terms[j]), left + 1))
            part = int(mine[np.argmax(sums[j][left - mine] + terms[j][mine])])
            parts.append((child[j], part))
            left -= part
        return child[last], parts


@dataclass(frozen=True, eq=False)
class _Problem:
    """By prefix and rank, the events that may be kept: child, weight, and the weight of all kept with it."""

    start: dict[int, slice]
    child: list[int]
    weight: list[float]
    kept: list[float]

    def at(self, node: int) -> tuple[list[int], list[float], list[float]]:
        """The events of one prefix."""
        here = self.start[node]
        return self.child[here], self.weight[here], self.kept[here]


def cutoff_frontier(trie: Trie, event_rank: Ints, weight: Floats, kept: Floats) -> CutoffFrontier:
    """The exact frontier over all adaptive cutoffs.

    Args:
        trie: the answers.
        event_rank: int64 (n,), rank of every node's event at its parent.
        weight: float64 (n,), what each event weighs when it is sampled: 1 for uniform sampling, else its
            probability; 0 for an event that cannot be kept.
        kept: float64 (n,), what all events down to it weigh together: its rank, or their probability.
    """
    start, child = trie.events_by(event_rank)
    allowed = weight[child] > 0
    start = np.concatenate([[0], np.cumsum(allowed)])[start]
    child = child[allowed]
    bounds = {int(node): slice(a, z) for node, a, z in zip(trie.prefixes, start[:-1], start[1:], strict=True)}
    problem = _Problem(bounds, child.tolist(), weight[child].tolist(), kept[child].tolist())
    below: dict[int, Floats] = {int(leaf): np.array([-np.inf, 1.0]) for leaf in trie.leaves}
    for node in trie.prefixes[::-1].tolist():
        below[node] = _best(problem, node, below)
    precision = np.full(len(trie.leaves) + 1, -np.inf)
    precision[: len(below[0])] = below[0]
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return CutoffFrontier(
        trie, np.linspace(0.0, 1.0, len(precision)), np.maximum(precision, 0.0), problem, below
    )


def _best(problem: _Problem, node: int, below: dict[int, Floats]) -> Floats:
    """f_u from the children's."""
    total = np.zeros(1)
    # Where nothing valid can be kept all is lost, and that is the one case in which it must be.
    best = np.full(1, 0.0 if not problem.at(node)[0] else -np.inf)
    for child, weight, kept in zip(*problem.at(node), strict=True):
        total = max_plus(total, weight * below[child])
        grown = total / kept
        np.maximum(grown[: len(best)], best, out=grown[: len(best)])
        best = grown
    return best
