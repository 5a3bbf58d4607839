"""One step of generation: where the next token's probability goes at a single prefix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from breadth.mass import Mass
from breadth.ranked import Ranked

__all__ = ["StepMasses", "local_curve", "step_masses"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class StepMasses:
    """Probability of three kinds of next token, at each temperature; each (t,), together 1.

    Attributes:
        temperature: (t,).
        frequent: valid tokens that at temperature 1 have at least an even share of the valid mass.
        rare: the other valid tokens.
        invalid: everything else.
    """

    temperature: Floats
    frequent: Floats
    rare: Floats
    invalid: Floats


def step_masses(ranked: Ranked, temperature: Floats) -> StepMasses:
    """What temperature does at one prefix [Fig. 1, right].

    Args:
        ranked: one prefix, `len(ranked) == 1`.
        temperature: (t,), ≥ 0; at 0 the top token has all the probability.
    """
    gap = ranked.valid_gap
    at_one = np.exp(-gap)
    frequent = at_one >= at_one.sum() / len(gap)
    masses = []
    for t in temperature:
        if t == 0:
            weight = (ranked.valid_rank == 1).astype(np.float64)
        else:
            weight = np.exp(-gap / t) / Mass(ranked, 1.0 / t).total[0]
        masses.append((weight[frequent].sum(), weight[~frequent].sum()))
    common, rare = np.array(masses).T
    return StepMasses(temperature, common, rare, np.maximum(1.0 - common - rare, 0.0))


def local_curve(
    rank: NDArray[np.integer], weight: Floats, cutoffs: NDArray[np.integer]
) -> tuple[Floats, Floats]:
    """Local precision and recall at one prefix when the top K events are kept [Def 4.1].

    Args:
        rank: (g,), event ranks of the valid events, 1-based.
        weight: (g,), N(u·v), answers below each.
        cutoffs: (c,), values of K ≥ 1.

    Returns:
        `(precision, recall)`, each (c,): |S_K ∩ G| / K and Σ_{v ∈ S_K ∩ G} N(u·v) / N(u).
    """
    order = np.argsort(rank)
    kept = np.searchsorted(rank[order], cutoffs, side="right")
    recalled = np.concatenate([[0.0], np.cumsum(weight[order])])
    return kept / cutoffs, recalled[kept] / recalled[-1]
