"""Where validity and diversity are lost: exact sums over the prefixes, by the chain rule.

Given that an answer comes out valid, the next event follows the *validity-conditioned* law
p_V(v|u) = q(v|u)·Val(u·v)/Val(u), with Val(u) the probability to finish validly from u. Then, exactly,

    −ln Val        = Σ_u p_V(u) · KL( p_V(·|u) ‖ q(·|u) )
    ln|V| − H(q|V) = Σ_u p_V(u) · KL( p_V(·|u) ‖ N(u·v)/N(u) )

The second is −ln Div where every answer has one sequence. Where one has several, −ln Div is less by the
*surface term* Σ_a p_V(a) · KL( p(sequence|a) ‖ uniform ): unevenness between spellings costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from breadth.trie import Trie

__all__ = ["Attribution", "attribute"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Attribution:
    """Losses in nats, by prefix. Columns have one entry per node of the trie; leaves lose nothing.

    Attributes:
        trie: the answers.
        reach: float64 (n,), p_V(u): probability to pass through each node, given a valid answer.
        validity_lost: float64 (n,), ≥ 0; its sum is −ln Val.
        diversity_lost: float64 (n,), ≥ 0; its sum less `surface_term` is −ln Div.
        surface_term: ≥ 0; 0 where every answer has one sequence.
    """

    trie: Trie
    reach: Floats
    validity_lost: Floats
    diversity_lost: Floats
    surface_term: float

    def by_depth(self, lost: Floats) -> Floats:
        """float64 (depth,), a column summed over the prefixes that are 0, 1, … events long."""
        return np.bincount(self.trie.depth, weights=lost)[:-1].astype(np.float64)


def attribute(trie: Trie, edge_logp: Floats) -> Attribution:
    """Split −ln Val and −ln Div over the prefixes.

    Args:
        trie: the answers.
        edge_logp: float64 (n,), ln q of every node's event, given its parent.

    Returns:
        The losses; all NaN where Val = 0.
    """
    below = trie.log_below(edge_logp)
    if below[0] == -np.inf:
        nothing = np.full(len(trie), np.nan)
        return Attribution(trie, nothing, nothing, nothing, float("nan"))
    parent = trie.parent[1:]
    # A dead end, or one that is never reached, has no law: −inf stands for it.
    alive = np.isfinite(below[1:]) & np.isfinite(edge_logp[1:])
    gained = np.where(alive, below[1:] - np.where(alive, below[parent], 0.0), -np.inf)
    valid_logp = np.concatenate([[0.0], np.where(alive, edge_logp[1:] + gained, -np.inf)])
    reach_logp = trie.along_paths(valid_logp)
    reach = np.exp(reach_logp)
    with np.errstate(invalid="ignore"):
        target = np.log(trie.weight[1:]) - np.log(trie.weight[parent])
        invalid_share = np.concatenate([[0.0], reach[1:] * gained])
        unevenness = np.concatenate([[0.0], reach[1:] * (valid_logp[1:] - target)])
    return Attribution(
        trie,
        reach,
        _at_parents(trie, invalid_share),
        _at_parents(trie, unevenness),
        _surface_term(trie, reach_logp),
    )


def _at_parents(trie: Trie, column: Floats) -> Floats:
    """Σ over children, 0 at leaves; a KL divergence is never negative but by rounding."""
    lost = trie.over_children(np.nan_to_num(column, nan=0.0, neginf=0.0))
    lost[trie.leaves] = 0.0
    return np.maximum(lost, 0.0)


def _surface_term(trie: Trie, reach_logp: Floats) -> float:
    if len(trie.leaves) == trie.n_answers:
        return 0.0
    answer = trie.answer[trie.leaves]
    count = np.bincount(answer)[answer]
    said = np.isfinite(reach_logp[trie.leaves])
    of_sequence, of_answer = reach_logp[trie.leaves][said], trie.by_answer(reach_logp)[answer[said]]
    terms = np.exp(of_sequence) * (of_sequence - of_answer + np.log(count[said]))
    return max(float(terms.sum()), 0.0)
