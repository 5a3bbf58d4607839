"""Local shape: is the valid mass at a prefix spread as the answers below it are? [Def D.1]"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from breadth.trie import Trie

__all__ = ["SHAPE_TOLERANCE", "shape_errors", "shape_scores"]

Floats = NDArray[np.float64]

SHAPE_TOLERANCE = 0.01
"""A prefix is shape-calibrated when no valid event's share is off by more than this, in nats: about 1 %."""


def shape_scores(trie: Trie, valid_logp: Floats) -> Floats:
    """Shape score of every prefix: exp(−KL) between the valid events' law and N(u·v)/N(u).

    Args:
        trie: the answers.
        valid_logp: float64 (n,), ln of every node's event's share of the valid mass at its parent, as the
            oracle that keeps the valid tokens gives it.

    Returns:
        float64 (p,), in (0, 1]; 1 is perfect shape. NaN where every valid event is forbidden.
    """
    said = np.isfinite(valid_logp)
    term = np.where(said, np.exp(valid_logp) * np.where(said, _log_ratio(trie, valid_logp), 0.0), 0.0)
    score = np.exp(-np.maximum(trie.over_children(term), 0.0))
    score[trie.over_children(said.astype(np.float64)) == 0] = np.nan
    return np.asarray(score[trie.prefixes])


def shape_errors(trie: Trie, valid_logp: Floats) -> Floats:
    """float64 (p,), the largest |ln of a valid event's share over N(u·v)/N(u)| at every prefix, in nats.

    Arguments as of `shape_scores`. inf where a valid event is forbidden.
    """
    largest = np.zeros(len(trie))
    np.maximum.at(largest, trie.parent[1:], np.abs(_log_ratio(trie, valid_logp))[1:])
    return largest[trie.prefixes]


def _log_ratio(trie: Trie, valid_logp: Floats) -> Floats:
    ratio = np.zeros(len(trie))
    ratio[1:] = valid_logp[1:] - np.log(trie.weight[1:]) + np.log(trie.weight[trie.parent[1:]])
    return ratio
