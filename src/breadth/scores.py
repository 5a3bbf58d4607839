"""The numbers of one rule on one probe: a row of every table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from breadth.measures import answers as measures
from breadth.measures.frontier import best_at, frontier_area, pareto_front
from breadth.outcome import Outcome, evaluate
from breadth.probe import Probe
from breadth.rules import STEPS, Rule

__all__ = [
    "FLOORS",
    "SAMPLES",
    "SHARES",
    "Best",
    "Scores",
    "best_rule",
    "by_family",
    "family_fronts",
    "family_rows",
    "plain",
    "points",
    "samples_for",
    "score",
    "score_rules",
]

SAMPLES = (1, 10, 100, 1000)
"""Sample counts at which the expected number of distinct answers is tabulated."""

SHARES = (0.5, 0.9, 0.99)
"""Shares of |V| for which the number of samples needed is reported."""


@dataclass(frozen=True)
class Scores:
    """What a rule does; definitions in `breadth.measures.answers` and `breadth.outcome.Outcome`.

    Attributes:
        rule: canonical string.
        engine: preset whose order the rule follows, or None.
        family: the rule's steps without temperature.
        temperature: product of its temperatures.
        validity, diversity, recall, precision, event_precision: sequence-level measures.
        hill_0, hill_2, hill_inf: Hill numbers of other orders, as shares of |V|.
        distinct: sample count → expected number of distinct valid answers.
        coverage: expected distinct answers in |V| samples, as a share of the ideal sampler's.
        cut_in_tail: whether a cut fell into the sketched tail: numbers are then within about 1e-3.
    """

    rule: str
    engine: str | None
    family: str
    temperature: float
    validity: float
    diversity: float
    recall: float
    precision: float
    event_precision: float
    hill_0: float
    hill_2: float
    hill_inf: float
    distinct: Mapping[int, float]
    coverage: float
    cut_in_tail: bool

    @property
    def is_oracle(self) -> bool:
        """Whether the rule looks at the trie, so that no engine can run it."""
        return "oracle" in self.family

    @property
    def is_cutoff(self) -> bool:
        """Whether the rule keeps the top of the ranking everywhere, as typical_p, xtc and oracles do not."""
        return all(name in STEPS and STEPS[name].is_cutoff for name in self.family.split("+"))

    @property
    def label(self) -> str:
        """The rule as a person tells it from others: with the engine that it follows."""
        return f"{self.rule} [{self.engine}]" if self.engine else self.rule

    def as_dict(self) -> dict[str, Any]:
        """Plain values, NaN as None."""
        facts: dict[str, Any] = plain(asdict(self))
        return facts


def plain(value: Any) -> Any:
    """A value as JSON takes it: keys are text, numbers Python's own, and one that is not finite is None."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def score(outcome: Outcome) -> Scores:
    """Summarise an outcome."""
    logp = outcome.answer_logp
    return Scores(
        rule=str(outcome.rule),
        engine=outcome.rule.engine,
        family=outcome.rule.family,
        temperature=outcome.rule.temperature,
        validity=outcome.validity,
        diversity=outcome.diversity,
        recall=outcome.recall,
        precision=outcome.precision,
        event_precision=outcome.event_precision,
        hill_0=measures.hill_number(logp, 0),
        hill_2=measures.hill_number(logp, 2),
        hill_inf=measures.hill_number(logp, np.inf),
        distinct=dict(zip(SAMPLES, measures.expected_distinct(logp, SAMPLES).tolist(), strict=True)),
        coverage=measures.coverage(logp),
        cut_in_tail=outcome.cut_in_tail,
    )


def score_rules(probe: Probe, rules: Sequence[Rule]) -> Iterator[Scores]:
    """Scores of many rules, in order, without holding their outcomes."""
    return (score(outcome) for outcome in evaluate(probe, rules))


def samples_for(outcome: Outcome) -> dict[float, int | None]:
    """Share of |V| → fewest samples whose expected number of distinct answers reaches it, or None."""
    return {share: measures.samples_for_distinct(outcome.answer_logp, share) for share in SHARES}


def points(scores: Sequence[Scores]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Validities and diversities as arrays."""
    return (
        np.array([row.validity for row in scores], dtype=np.float64),
        np.array([row.diversity for row in scores], dtype=np.float64),
    )


FLOORS = (0.95, 0.9, 0.8)
"""Validities at which the best diversity is reported."""


@dataclass(frozen=True)
class Best:
    """The rule with the most diversity at a floor of validity."""

    rule: str
    validity: float
    diversity: float


def best_rule(scores: Sequence[Scores], floor: float) -> Best | None:
    """The most diverse of some rules whose validity is at least `floor`; None where none reaches it."""
    index = best_at(*points(scores), floor)
    return (
        None if index is None else Best(scores[index].rule, scores[index].validity, scores[index].diversity)
    )


def family_rows(scores: Sequence[Scores]) -> list[dict[str, Any]]:
    """One row per rule family: what it can do, swept over its own parameter and temperature [Fig. 6, 9].

    Columns: `family`, `rules` tried, points on its `front`, `area` under the front, and for every floor in
    `FLOORS` the best `diversity_at_FLOOR` and the `rule_at_FLOOR` that reaches it, None where none does.
    """
    rows = []
    fronts = family_fronts(scores)
    for family, members in by_family(scores).items():
        facts: dict[str, Any] = {
            "family": family,
            "rules": len(members),
            "front": len(fronts[family]),
            "area": frontier_area(*points(members)),
        }
        for floor in FLOORS:
            best = best_rule(members, floor)
            facts[f"diversity_at_{floor}"] = best.diversity if best else None
            facts[f"rule_at_{floor}"] = best.rule if best else None
        rows.append(facts)
    return sorted(rows, key=lambda row: -row["area"])


def by_family(scores: Sequence[Scores]) -> dict[str, list[Scores]]:
    """The scores of every rule family, families and members in the order they come."""
    families: dict[str, list[Scores]] = {}
    for row in scores:
        families.setdefault(row.family, []).append(row)
    return families


def family_fronts(scores: Sequence[Scores]) -> dict[str, list[Scores]]:
    """The Pareto front of every rule family: validity falls, diversity rises along each [Fig. 6]."""
    return {
        family: [members[index] for index in pareto_front(*points(members))]
        for family, members in by_family(scores).items()
    }
