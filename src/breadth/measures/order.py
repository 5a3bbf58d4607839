"""Local order: do valid events rank above invalid ones, at every prefix? [§4.3, Def D.1, Fig. 2, 3]"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from breadth.segments import owners, running_maximum, running_sum
from breadth.trie import Trie

__all__ = ["GOOD", "LocalFrontiers", "local_frontiers"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

GOOD = 0.8
"""Local precision at which the local recall is reported [§4.3]."""


@dataclass(frozen=True, eq=False)
class LocalFrontiers:
    """Local precision and recall at every prefix over all cutoffs: one point for each valid event.

    A cutoff between two valid events keeps the same of them at lower precision, so that their ranks say all.
    The points of the i-th prefix stand at `start[i]:start[i + 1]`, by rank.

    Attributes:
        start: int64 (p + 1,).
        precision: float64 (m,), share of valid events among the top ones, down to this one.
        recall: float64 (m,), share of the prefix's answers that these extend; 1 at a prefix's last point.
    """

    start: Ints
    precision: Floats
    recall: Floats

    @cached_property
    def envelope(self) -> Floats:
        """float64 (m,), the largest precision at this recall or more."""
        backwards = len(self.precision) - self.start[:0:-1]  # where prefixes begin, last first
        return running_maximum(self.precision[::-1], backwards)[::-1]

    @cached_property
    def order_score(self) -> Floats:
        """float64 (p,), ∫₀¹ max{precision : recall ≥ r} dr in (0, 1]; 1 is perfect order [§4.3]."""
        gained = np.diff(self.recall, prepend=0.0)
        gained[self.start[:-1]] = self.recall[self.start[:-1]]
        return np.add.reduceat(gained * self.envelope, self.start[:-1])

    def recall_at(self, precision: float) -> Floats:
        """float64 (p,), the largest recall of a cutoff at this precision or more; 0 where none reaches it."""
        return np.maximum.reduceat(np.where(self.precision >= precision, self.recall, 0.0), self.start[:-1])

    def precision_at(self, recall: Floats) -> Floats:
        """float64 (p, r), the largest precision of a cutoff at each of these recalls, (r,) ≤ 1, or more."""
        at = np.empty((len(self.start) - 1, len(recall)))
        for i, (first, last) in enumerate(zip(self.start[:-1], self.start[1:], strict=True)):
            # The last recall is 1 up to rounding.
            point = np.searchsorted(self.recall[first : last - 1], recall)
            at[i] = self.envelope[first:last][point]
        return at


def local_frontiers(trie: Trie, event_rank: Ints) -> LocalFrontiers:
    """The local frontier of every prefix.

    Args:
        trie: the answers.
        event_rank: int64 (n,), rank of every node's event among all events at its parent, 1-based.
    """
    start, child = trie.events_by(event_rank)
    first = start[:-1]
    prefix = owners(first, len(child))
    place = np.arange(len(child)) - first[prefix] + 1
    recalled = running_sum(trie.weight[child], first)
    return LocalFrontiers(start, place / event_rank[child], recalled / recalled[start[1:] - 1][prefix])
