"""The best that adaptive cutoffs can do on a probe: a cutoff of its own at every prefix."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from breadth.errors import InputError
from breadth.measures.cutoffs import CutoffFrontier, cutoff_frontier
from breadth.measures.thinned import thinned_frontier
from breadth.outcome import Outcome, cutoff_outcome
from breadth.ranked import Ranked
from breadth.ranking import Ranking
from breadth.trie import Trie

__all__ = ["EXACT_SEQUENCES", "ROUNDING", "BestCutoffs", "best_cutoffs", "may_be_kept"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EXACT_SEQUENCES = 100_000
"""Up to this many sequences the frontier is exact (seconds); beyond, it lies between two curves."""

ROUNDING = 1e-12
"""A precision this little below a floor, relatively, reaches it."""


@dataclass(frozen=True, eq=False)
class BestCutoffs:
    """The frontier over all adaptive cutoffs at one temperature.

    Attributes:
        trie: the answers.
        blocks: the distributions.
        recall: float64 (k,), shares of the sequences, 0 to 1.
        lower: float64 (k,), the largest precision at this recall or more, or less than it.
        upper: float64 (k,), the same or more than it; equal to `lower` where the frontier is exact.
    """

    trie: Trie
    blocks: Iterable[Ranked]
    recall: Floats
    lower: Floats
    upper: Floats
    _ranking: Ranking
    _exact: CutoffFrontier | None

    @property
    def temperature(self) -> float:
        """Of the sampling from what is kept."""
        return self._ranking.temperature

    @property
    def is_exact(self) -> bool:
        """Whether the two curves are one."""
        return self._exact is not None

    def recall_at(self, precision: float) -> tuple[float, float]:
        """Bounds, below and above, of the largest recall at this precision or more; 0 where none has it."""
        floor = precision * (1.0 - ROUNDING)
        low = float(self.recall[self.lower >= floor].max(initial=0.0))
        if self.is_exact:
            return low, low
        # Up to the next count at which it is known, the upper curve stays where it is.
        step = 1.0 / len(self.trie.leaves)
        last = np.flatnonzero(self.upper >= floor)[-1:]
        following = np.append(self.recall[1:], self.recall[-1] + step)[last] - step
        return low, float(following.max(initial=low))

    def strategy(self, recall: float) -> Ints:
        """The cutoffs that attain the largest precision at this recall or more.

        Args:
            recall: share of the sequences, above 0.

        Returns:
            int64 (n,), at every prefix the number of top events kept; 1 where generation never comes.

        Raises:
            InputError: no cutoffs keep so many sequences, or there are too many to know which is best.
        """
        if self._exact is None:
            raise InputError(
                f"{len(self.trie.leaves):,} sequences are too many for the cutoffs themselves; "
                f"they are known up to {EXACT_SEQUENCES:,}"
            )
        wanted = max(int(np.ceil(recall * len(self.trie.leaves) - 1e-9)), 1)
        chosen = self._exact.strategy(wanted) if wanted <= len(self.trie.leaves) else {}
        if not chosen:
            raise InputError(f"recall {recall:g} is out of reach: no cutoffs keep {wanted:,} sequences")
        count = np.ones(len(self.trie), dtype=np.int64)
        for node, last in chosen.items():
            count[node] = self._ranking.rank[last]
        return count

    def outcome(self, count: Ints) -> Outcome:
        """What cutoffs do, by the ordinary way from a rule to its probabilities."""
        return cutoff_outcome(self.trie, self.blocks, count, self.temperature)


def may_be_kept(ranking: Ranking) -> Floats:
    """float64 (n,), 1 for an event that a cutoff can keep, 0 for a forbidden one."""
    return np.isfinite(ranking.logp).astype(np.float64)


def best_cutoffs(
    trie: Trie, blocks: Iterable[Ranked], ranking: Ranking, *, uniform: bool = True
) -> BestCutoffs:
    """The best over all functions from prefixes to cutoffs.

    Args:
        trie: the answers.
        blocks: re-iterable; together they hold every inner node of the trie once.
        ranking: of their events, at the temperature of the sampling from what is kept.
        uniform: whether each step samples uniformly from what is kept, so that the frontier is that of
            sequence precision [Def 4.1]; else by the model's probabilities, and it is that of validity.
    """
    if uniform:
        weight, kept = may_be_kept(ranking), ranking.rank.astype(np.float64)
    else:
        weight, kept = ranking.probability, np.exp(ranking.cumulative_logp)
    if len(trie.leaves) > EXACT_SEQUENCES:
        thin = thinned_frontier(trie, ranking.rank, weight, kept)
        curves, exact = (thin.recall, thin.lower, thin.upper), None
    else:
        exact = cutoff_frontier(trie, ranking.rank, weight, kept)
        curves = (exact.recall, exact.precision, exact.precision)
    return BestCutoffs(trie, blocks, *curves, ranking, exact)
