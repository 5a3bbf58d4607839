"""The decoding steps: each turns a window of the ranking into a smaller one, or into a mixture of two."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from breadth.errors import RuleError
from breadth.mass import Masses
from breadth.rules.window import Window

__all__ = [
    "STEPS",
    "EpsilonCutoff",
    "EtaCutoff",
    "ExactTopK",
    "MinP",
    "Step",
    "Temperature",
    "TopH",
    "TopK",
    "TopNSigma",
    "TopP",
    "TypicalP",
    "Xtc",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Step(ABC):
    """One step of a rule, with its parameter `value`."""

    name: ClassVar[str]
    accepts: ClassVar[str]
    """The parameter's range, in words."""
    summary: ClassVar[str]
    """What the step keeps, in one line."""
    is_cutoff: ClassVar[bool] = True
    """Whether it always keeps the top of the ranking."""
    neutral: ClassVar[float | None] = None
    """The value at which the step does nothing, if it has one."""

    value: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the parameter; raises RuleError when it is no number or out of range."""
        try:
            step = cls(float(text))
        except ValueError:
            raise RuleError(f"{cls.name}={text}: not a number; {cls.name} takes {cls.accepts}") from None
        if not step.in_range():
            raise RuleError(f"{cls.name}={text}: out of range; {cls.name} takes {cls.accepts}")
        return step

    def __str__(self) -> str:
        """The step as it is written in a rule."""
        return f"{self.name}={number_text(self.value)}"

    @property
    def is_neutral(self) -> bool:
        """Whether the step does nothing whatever the distribution."""
        return self.neutral is not None and self.value == self.neutral

    @abstractmethod
    def in_range(self) -> bool:
        """Whether `value` is acceptable."""

    @abstractmethod
    def apply(self, window: Window, masses: Masses) -> list[Window]:
        """The windows that remain of `window`: one, or two of a mixture."""


def number_text(value: float) -> str:
    """The shortest text that reads back as the number: 1, 0.1, 1e-05."""
    text = repr(float(value))
    return text.removesuffix(".0")


class Temperature(Step):
    """Divides the logits by T; 0 means greedy: the top token alone."""

    name = "temperature"
    accepts = "0 (greedy) or a number from 0.001 to 1000"
    summary = "divide the logits by T; 0 is greedy"

    def in_range(self) -> bool:
        """0, or inside the range in which float64 keeps every weight meaningful."""
        return self.value == 0 or 1e-3 <= self.value <= 1e3

    def apply(self, window: Window, masses: Masses) -> list[Window]:
        """Scale β, or keep the first rank."""
        if self.value == 0:
            return [window.cut(window.low + 1)]
        return [replace(window, beta=window.beta / self.value)]


class TopK(Step):
    """Keeps the k most likely tokens and, as transformers does, every token tied with the k-th."""

    name = "top_k"
    accepts = "a whole number ≥ 0; 0 keeps all"
    summary = "keep the k most likely tokens (ties with the k-th too)"
    neutral = 0
    keeps_ties: ClassVar[bool] = True

    def in_range(self) -> bool:
        """A whole number ≥ 0."""
        return self.value >= 0 and float(self.value).is_integer()

    def apply(self, window: Window, masses: Masses) -> list[Window]:
        """Keep k ranks, and ties."""
        high = window.low + int(min(self.value, masses.ranked.vocab_size))
        high = np.minimum(high, window.high)
        if self.keeps_ties:
            mass = window.cumulative(masses)
            tied = mass.above(mass.gap_at(high))
            # Only the head knows ties; in the tail a gap is interpolated and its rank would drift.
            in_head = tied <= masses.ranked.head_logit.shape[1]
            high = np.where(in_head, np.maximum(high, tied), high)
        return [window.cut(high)]


class ExactTopK(TopK):
    """Keeps exactly k tokens, the smaller ids first among ties, as llama.cpp does."""

    summary = "keep exactly the k most likely tokens"
    keeps_ties = False


class TopP(Step):
    """Keeps a token iff the mass strictly above it is below p (nucleus sampling, arXiv:1904.09751)."""

    name = "top_p"
    accepts = "a number from 0 to 1; 1 keeps all"
    summary = "keep the smallest top set with mass ≥ p"
    neutral = 1

    def in_range(self) -> bool:
        """0 ≤ p ≤ 1."""
        return 0 <= self.value <= 1

    def apply(self, window: Window, masses: Masses) -> list[Window]:
        """Cut at the first rank that reaches p of the window's mass."""
        mass = window.cumulative(masses)
        below = mass.upto(window.low)
        return [window.cut(mass.reach(below + self.value * (mass.upto(window.high) - below)))]


class MinP(Step):
    """Keeps tokens at least `min_p` times as likely as the most likely one (arXiv:2407.01082)."""

    name = "min_p"
    accepts = "a number from 0 to 1; 0 keeps all"
    summary = "keep tokens with p ≥ min_p × the largest p"
    neutral = 0

    def in_range(self) -> bool:
        """0 ≤ min_p ≤ 1."""
        return 0 <= self.value <= 1

    def apply(self, window: Window, masses: Masses) -> list[Window]:
        """Cut at a fixed distance below the window's top."""
        mass = window.cumulative(masses)
        gap = mass.gap_at(window.low + 1) - math.log(self.value) / window.beta
        return [window.cut(mass.above(gap))]


class _AbsoluteCutoff(Step):
    """Keeps tokens whose probability is at least a threshold, or else those tied with the top one."""

    accepts = "a number from 0 to 1, 1 excluded; 0 keeps all"
    neutral = 0

    def in_range(self) -> bool:
        """0 ≤ ε < 1."""
        return 0 <= self.value < 1

    def log_threshold(self, window: Window, masses: Masses) -> Floats:
        """(b,), log of the smallest probability kept."""
        raise NotImplementedError

    def apply(self, window: Window, masses: Masses) -> list[Window]:
        """Cut where the probability falls below the threshold."""
        mass = window.cumulative(masses)
        top = mass.gap_at(window.low + 1)
        gap = -(self.log_threshold(window, masses) + np.log(window.mass(masses))) / window.beta
        return [window.cut(mass.above(np.maximum(gap, top)))]


class EpsilonCutoff(_AbsoluteCutoff):
    """Epsilon sampling: p ≥ ε (Hewitt et al., arXiv:2210.15191)."""

    name = "epsilon_cutoff"
    summary = "keep tokens with p ≥ ε"

    def log_threshold(self, window: Window, masses: Masses) -> Floats:
        """Ln ε, everywhere."""
        return np.full(len(window.low), math.log(self.value))


class EtaCutoff(_AbsoluteCutoff):
    """Eta sampling: p ≥ min(ε, √ε·e^(−entropy)) (Hewitt et al., arXiv:2210.15191)."""

    name = "eta_cutoff"
    summary = "keep tokens with p ≥ min(ε, √ε·exp(−entropy))"

    def log_threshold(self, window: Window, masses: Masses) -> Floats:
        """Lower where the distribution is flat."""
        epsilon = math.log(self.value)
        return np.minimum(epsilon, 0.5 * epsilon - window.entropy(masses))


class TopH(Step):
    """Keeps top tokens while their summed −p ln p stays within a share of the entropy (arXiv:2509.02510).

    Looks at the 100 most likely tokens only, renormalised, as transformers does.
    """

    name = "top_h"
    accepts = "a number from 0 to 1, 0 excluded"
    summary = "keep top tokens (of 100) while their entropy terms sum to ≤ top_h × entropy"
    looks_at: ClassVar[int] = 100

    def in_range(self) -> bool:
        """0 < top_h ≤ 1."""
        return 0 < self.value <= 1

    def apply(self, window: Window, masses: Masses) -> list[Window]:
        """Cut at the last rank within the entropy budget."""
        mass = window.cumulative(masses)
        seen = int(min(self.looks_at, masses.ranked.vocab_size))
        ranks = window.low[:, None] + np.arange(1, seen + 1)
        inside = ranks <= window.high[:, None]
        columns = np.minimum(ranks, window.high[:, None])
        gap = np.stack([mass.gap_at(column) for column in columns.T], axis=1)
        weight = np.where(inside, np.exp(-window.beta * (gap - gap[:, :1])), 0.0)
        p = weight / weight.sum(axis=1, keepdims=True)
        spent = np.cumsum(-p * np.log(np.where(p > 0, p, 1.0)), axis=1)
        # Beyond the window nothing is spent, and nothing is there to keep.
        kept = ((spent <= self.value * spent[:, -1:]) & inside & (p > 0)).sum(axis=1)
        return [window.cut(window.low + kept)]


class TypicalP(Step):
    """Keeps the tokens whose surprise is closest to the entropy, up to mass p (arXiv:2202.00666).

    Surprise rises along the ranking, so the tokens within a distance of the entropy are a window.
    """

    name = "typical_p"
    is_cutoff = False
    accepts = "a number from 0 to 1, 0 excluded; 1 keeps all"
    summary = "keep tokens with surprise nearest the entropy, up to mass p; can drop the top ones"
    neutral = 1

    def in_range(self) -> bool:
        """0 < p ≤ 1."""
        return 0 < self.value <= 1

    def apply(self, window: Window, masses: Masses) -> list[Window]:
        """Grow a window around the entropy until it holds p of the mass."""
        mass = window.cumulative(masses)
        total = window.mass(masses)
        # Where surprise = entropy, as a gap: −ln p = β·gap + ln total.
        centre = (window.entropy(masses) - np.log(total)) / window.beta

        # Distances are differences of rounded numbers: those closer than this are taken as equal.
        slack = 1e-12 * (1.0 + np.abs(centre))

        def around(distance: Floats) -> tuple[Ints, Ints]:
            low = mass.above(centre - distance - slack)
            high = mass.above(centre + distance + slack)
            return np.clip(low, window.low, window.high), np.clip(high, window.low, window.high)

        def enough(distance: Floats) -> Bools:
            low, high = around(distance)
            return mass.upto(high) - mass.upto(low) >= self.value * total

        # The radius is the distance of some token. Walking away from the centre on either side,
        # distances grow, so bisection finds the nearest token on each side whose distance is enough.
        split = np.clip(mass.above(centre), window.low, window.high)

        def upward(step: Ints) -> Floats:
            return np.abs(centre - mass.gap_at(np.maximum(split - step, 1)))

        def downward(step: Ints) -> Floats:
            return np.abs(mass.gap_at(np.minimum(split + 1 + step, window.high)) - centre)

        radius = np.full(len(split), np.inf)
        nearest = np.full(len(split), np.inf)
        for distance, length in ((upward, split - window.low), (downward, window.high - split)):
            step = _first(length, lambda at, distance=distance: enough(distance(at)))  # type: ignore[misc]
            radius = np.minimum(radius, np.where(step < length, distance(step), np.inf))
            nearest = np.minimum(nearest, np.where(length > 0, distance(np.zeros_like(length)), np.inf))
        # Rounding may leave even the farthest token just short of all the mass: then nothing is dropped.
        low, high = around(np.maximum(radius, nearest))
        return [replace(window, low=low, high=high)]


def _first(length: Ints, good: Callable[[Ints], Bools]) -> Ints:
    """Row by row the smallest step in 0 … length − 1 that is good, or length; good stays good onwards."""
    low, high = np.zeros_like(length), length.copy()
    while (searching := low < high).any():
        middle = (low + high) >> 1
        found = good(np.minimum(middle, np.maximum(length - 1, 0)))
        high = np.where(searching & found, middle, high)
        low = np.where(searching & ~found, middle + 1, low)
    return low


class TopNSigma(Step):
    """Keeps logits within n standard deviations of the largest (arXiv:2411.07641)."""

    name = "top_n_sigma"
    accepts = "a number ≥ 0; 0 keeps all"
    summary = "keep logits ≥ largest − n × standard deviation; the same at any temperature"
    neutral = 0

    def in_range(self) -> bool:
        """A finite number ≥ 0."""
        return 0 <= self.value < math.inf

    def apply(self, window: Window, masses: Masses) -> list[Window]:
        """Cut at a distance below the top, measured in logits: β plays no part."""
        mass = window.cumulative(masses)
        sigma = masses.ranked.std_logit
        partial = (window.low > 0) | (window.high < masses.ranked.n_finite)
        if partial.any():
            sigma = np.where(partial, masses.ranked.spread(window.low, window.high), sigma)
        return [window.cut(mass.above(mass.gap_at(window.low + 1) + self.value * sigma))]


@dataclass(frozen=True)
class Xtc(Step):
    """Exclude top choices: at times drops all but the least likely of the tokens above a threshold.

    As in llama.cpp, with a probability of its own. With fewer than two tokens above the threshold nothing
    is dropped.
    """

    name = "xtc"
    is_cutoff = False
    accepts = "threshold:probability, both from 0 to 1, for example xtc=0.1:0.5"
    summary = "with a probability, drop all tokens above a threshold but the least likely of them"

    probability: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `threshold:probability`."""
        threshold, colon, probability = text.partition(":")
        try:
            step = cls(float(threshold), float(probability))
        except ValueError:
            raise RuleError(f"xtc={text}: not two numbers; xtc takes {cls.accepts}") from None
        if not colon or not step.in_range():
            raise RuleError(f"xtc={text}: out of range; xtc takes {cls.accepts}")
        return step

    def __str__(self) -> str:
        """`xtc=threshold:probability`."""
        return f"xtc={number_text(self.value)}:{number_text(self.probability)}"

    @property
    def is_neutral(self) -> bool:
        """Never drops anything: two tokens cannot both exceed one half."""
        return self.probability == 0 or self.value > 0.5

    def in_range(self) -> bool:
        """Both from 0 to 1."""
        return 0 <= self.value <= 1 and 0 <= self.probability <= 1

    def apply(self, window: Window, masses: Masses) -> list[Window]:
        """A mixture of the window as it is and the window without its top choices."""
        mass = window.cumulative(masses)
        with np.errstate(divide="ignore"):
            gap = -(np.log(self.value) + np.log(window.mass(masses))) / window.beta
        above = np.minimum(mass.above(gap), window.high) - window.low
        dropped = replace(
            window,
            low=window.low + np.maximum(above - 1, 0),
            weight=window.weight * self.probability,
        )
        if self.probability == 1:
            return [dropped]
        return [replace(window, weight=window.weight * (1 - self.probability)), dropped]


STEPS: Mapping[str, type[Step]] = {
    step.name: step
    for step in (
        Temperature,
        TopK,
        TopP,
        MinP,
        TypicalP,
        EpsilonCutoff,
        EtaCutoff,
        TopH,
        TopNSigma,
        Xtc,
    )
}
"""Every decoding step by its name."""
