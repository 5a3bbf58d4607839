"""A rule: steps in an order, read from text and printed canonically."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from breadth.errors import RuleError
from breadth.mass import Masses
from breadth.rules.engines import ENGINES
from breadth.rules.steps import STEPS, ExactTopK, Step, Temperature, TopK, number_text
from breadth.rules.window import Window

__all__ = ["ORACLES", "Rule", "default_rule", "parse_rule", "parse_rules"]

ORACLES: Mapping[str, str] = {
    "oracle_size": "keep as many top-ranked events as there are valid ones",
    "oracle_validity": "keep the valid tokens only, with the model's probabilities",
    "oracle_shape": "keep the valid tokens only, each in proportion to the answers below it",
}
"""Diagnostic rules that look at the trie, and what they keep [§4.3, §5.3]. They end a rule."""


@dataclass(frozen=True)
class Rule:
    """An ordered pipeline of decoding steps, perhaps ending in an oracle.

    `str(rule)` is canonical: equal strings and engines are equal rules, and `parse_rule` reads it back.

    Attributes:
        steps: applied first to last.
        oracle: a name in `ORACLES`, or None for a rule that an engine can run.
        engine: the preset whose order and details it follows, or None: the order as written.
    """

    steps: tuple[Step, ...]
    oracle: str | None = None
    engine: str | None = None

    def __str__(self) -> str:
        """The rule as it is written: `temperature=1.5,min_p=0.1`."""
        parts = [str(step) for step in self.steps]
        if self.oracle:
            parts.append(self.oracle)
        return ",".join(parts)

    @property
    def family(self) -> str:
        """What a front is drawn for: the steps' names without temperature, or `temperature` alone."""
        names = [step.name for step in self.steps if step.name != "temperature"]
        if self.oracle:
            names.append(self.oracle)
        return "+".join(names) or "temperature"

    @property
    def is_cutoff(self) -> bool:
        """Whether it keeps the top of the ranking at every prefix, as typical_p, xtc and oracles need not."""
        return self.oracle is None and all(step.is_cutoff for step in self.steps)

    @property
    def label(self) -> str:
        """The rule as a person tells it from others: with the engine that it follows."""
        return f"{self} [{self.engine}]" if self.engine else str(self)

    @property
    def temperature(self) -> float:
        """Product of all temperatures; 0 for a greedy rule."""
        return math.prod(step.value for step in self.steps if isinstance(step, Temperature))

    def windows(self, masses: Masses) -> list[Window]:
        """What the steps keep at every prefix of a block; the weights of a mixture sum to 1."""
        everything = masses.ranked.n_finite.astype(np.int64)
        windows = [Window(1.0, np.zeros_like(everything), everything)]
        for step in self.steps:
            windows = [kept for window in windows for kept in step.apply(window, masses)]
        return windows


def parse_rule(text: str, engine: str | None = None) -> Rule:
    """Read a rule such as `temperature=1.5,min_p=0.1`, an oracle, or the name of an engine preset.

    Args:
        text: steps joined by commas, applied left to right; an oracle may come last. The name of an
            engine alone means that engine's default rule.
        engine: a name in `ENGINES`: its order replaces the one written, and its details apply.

    Raises:
        RuleError: an unknown step or engine, a parameter missing or out of range, a step before an
            oracle that is not temperature, or a step that the engine lacks.
    """
    text = text.strip()
    if engine is not None and engine not in ENGINES:
        raise RuleError(f"engine {engine!r} is unknown; choose one of {', '.join(ENGINES)}")
    if text in ENGINES:
        if engine not in (None, text):
            raise RuleError(f"rule {text!r} is that engine's default and cannot follow {engine!r} too")
        return parse_rule(ENGINES[text].defaults, text)
    steps, oracle = _parse_steps(text)
    if engine is not None:
        steps = _in_engine_order(steps, engine, text)
    if oracle and any(step.name != "temperature" for step in steps):
        raise RuleError(f"rule {text!r}: only temperature may come before {oracle}")
    kept = tuple(step for step in steps if not step.is_neutral)
    rule = Rule(kept if kept or oracle else (Temperature(1.0),), oracle, engine)
    if rule.temperature and not Temperature(rule.temperature).in_range():
        raise RuleError(
            f"rule {text!r}: its temperatures multiply to {rule.temperature:g}; temperature takes "
            f"{Temperature.accepts}"
        )
    return rule


def _parse_steps(text: str) -> tuple[list[Step], str | None]:
    """The steps in the order written, and the oracle that ends them, if any."""
    steps: list[Step] = []
    oracle: str | None = None
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if oracle:
            raise RuleError(f"rule {text!r}: {oracle} must come last, but {name} follows it")
        if name in ORACLES:
            if equals:
                raise RuleError(f"rule {text!r}: {name} takes no parameter")
            oracle = name
        elif name not in STEPS:
            raise RuleError(f"rule {text!r}: {_unknown(name)}")
        elif not value:
            raise RuleError(f"rule {text!r}: {name} needs a value; it takes {STEPS[name].accepts}")
        else:
            steps.append(STEPS[name].parse(value))
    return steps, oracle


def parse_rules(texts: list[str], engine: str | None = None) -> list[Rule]:
    """Read several rules, in order."""
    return [parse_rule(text, engine) for text in texts]


def _unknown(name: str) -> str:
    known = [*STEPS, *ORACLES, *ENGINES]
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"choose among {', '.join(known)}"
    return f"{name or 'an empty step'} is unknown; {hint}"


def _in_engine_order(steps: list[Step], engine: str, text: str) -> list[Step]:
    preset = ENGINES[engine]
    by_name: dict[str, Step] = {}
    for step in steps:
        if step.name not in preset.order:
            raise RuleError(f"rule {text!r}: {engine} has no {step.name}; it has {', '.join(preset.order)}")
        if step.name in by_name:
            raise RuleError(f"rule {text!r}: {engine} applies {step.name} once, but it is given twice")
        by_name[step.name] = step
    ordered = [by_name[name] for name in preset.order if name in by_name]
    if preset.exact_top_k:
        ordered = [ExactTopK(step.value) if isinstance(step, TopK) else step for step in ordered]
    return ordered


def default_rule(generation: Mapping[str, float]) -> Rule:
    """What `transformers` samples with when the caller says nothing: its defaults under the model's own.

    Args:
        generation: sampling settings of the model's generation config, by transformers' names; names
            that are no step are ignored.
    """
    settings: dict[str, float] = {"temperature": 1.0, "top_k": 50.0}
    settings |= {name: value for name, value in generation.items() if name in ENGINES["transformers"].order}
    settings["top_k"] = max(settings["top_k"], 0.0)  # some write −1 for "all", as vLLM does
    text = ",".join(f"{name}={number_text(value)}" for name, value in settings.items())
    try:
        return parse_rule(text, "transformers")
    except RuleError as error:
        raise RuleError(f"the model's own generation config cannot be followed: {error}") from None
