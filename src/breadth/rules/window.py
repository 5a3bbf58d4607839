"""What a rule keeps at a prefix: a window of the ranking, at an inverse temperature."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from breadth.mass import Mass, Masses

__all__ = ["Window"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Window:
    """What a rule keeps at each of b prefixes: ranks low + 1 … high, with probability ∝ exp(−β·gap).

    Attributes:
        beta: inverse temperature, > 0.
        low: int64 (b,), 0 ≤ low.
        high: int64 (b,), low < high ≤ n_finite.
        weight: probability of this window in a mixture; 1 unless a step flips a coin.
    """

    beta: float
    low: Ints
    high: Ints
    weight: float = 1.0

    def cut(self, high: Ints) -> Window:
        """This window with at most the ranks up to `high`, and at least its top token."""
        return replace(self, high=np.maximum(np.minimum(self.high, high), self.low + 1))

    def cumulative(self, masses: Masses) -> Mass:
        """The block's cumulative mass, precise inside this window."""
        return masses.at(self.beta, self.low)

    def mass(self, masses: Masses) -> Floats:
        """(b,), summed weight of the kept tokens, relative to the anchor of `cumulative`."""
        mass = self.cumulative(masses)
        return mass.upto(self.high) - mass.upto(self.low)

    def log_mass(self, masses: Masses) -> Floats:
        """(b,), ln of the kept tokens' summed weight: a kept token has ln q = −β·gap − this."""
        anchor = self.cumulative(masses).anchor
        return np.asarray(np.log(self.mass(masses)) - self.beta * anchor, dtype=np.float64)

    def entropy(self, masses: Masses) -> Floats:
        """(b,), entropy in nats of the distribution over the window."""
        return self.cumulative(masses).entropy(self.low, self.high)
