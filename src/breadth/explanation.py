"""Why the diversity is missing: where it goes, what is to blame, and what could be won back.

Three views of one rule on one probe, all exact:

* the *attribution*: which prefixes lose validity and diversity, in nats that add up;
* the *blame*: how much of the missing coverage is due to order, how much to shape (a Shapley split);
* the *ladder*: what a better rule, a better sampler, and only a better model could win back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from breadth.adaptive import BestCutoffs, best_cutoffs
from breadth.counterfactual import FIXES, fixed_answers
from breadth.errors import InputError
from breadth.local import Local, local_measures
from breadth.measures.answers import MAX_SAMPLES, coverage, expected_distinct, ideal_distinct
from breadth.measures.attribution import Attribution, attribute
from breadth.measures.ceiling import Ceiling, distinct_ceiling, diversity_ceiling
from breadth.measures.logit_fit import fit_logits
from breadth.measures.samplers import Samplers
from breadth.measures.shapley import shapley
from breadth.outcome import Outcome, evaluate
from breadth.probe import Probe
from breadth.ranked import HEAD
from breadth.ranking import event_ranking, token_ranking
from breadth.rules import Rule, default_rule
from breadth.scores import FLOORS, plain
from breadth.study import Unit

__all__ = ["Blame", "Explanation", "Ladder", "Loss", "Step", "explain"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Loss:
    """A prefix where validity or diversity is lost.

    Attributes:
        prefix: the text of the answer so far.
        node: its id in the trie.
        depth: its length in events.
        reach: probability to come through here, given a valid answer.
        lost: nats.
        share: of all that is lost.
    """

    prefix: str
    node: int
    depth: int
    reach: float
    lost: float
    share: float


class Spread(NamedTuple):
    """A local measure over several prefixes."""

    mean: float
    best: float
    worst: float


@dataclass(frozen=True)
class Step:
    """All prefixes of one length together: what they lose, and their local measures.

    Attributes:
        depth: events before the step: 0 is an answer's first token.
        prefixes: how many there are.
        validity_lost, diversity_lost: nats, summed.
        order_score, recall_at_good, shape_score: over the prefixes.
        order_calibrated, shape_calibrated: shares of the prefixes.
    """

    depth: int
    prefixes: int
    validity_lost: float
    diversity_lost: float
    order_score: Spread
    recall_at_good: Spread
    shape_score: Spread
    order_calibrated: float
    shape_calibrated: float


@dataclass(frozen=True)
class Blame:
    """How the coverage that the rule lacks, 1 − C_n, splits over the causes; the parts may be negative.

    Attributes:
        top: invalid events above valid ones.
        within: valid events in an order other than that of the answers below them.
        shape: probabilities, sorted, that fall otherwise than the answers do.
    """

    top: float
    within: float
    shape: float

    @property
    def order(self) -> float:
        """Both parts that concern the order of events."""
        return self.top + self.within


@dataclass(frozen=True)
class Ladder:
    """What could be won back, as coverage C_n: rule ≤ best ≤ ceiling ≤ 1.

    Attributes:
        rule: coverage of the rule.
        best: the most of the rule itself and all rules tried that keep the top of the ranking.
        best_rule: which one.
        ceiling: the most of any sampler that respects the model's ranking, from below.
        ceiling_above: the same from above.
        status: `certified`, or why the ceiling is not known.
        applies: False for a rule that does not respect the ranking (typical_p, xtc): it may pass the ceiling.
    """

    rule: float
    best: float
    best_rule: str
    ceiling: float
    ceiling_above: float
    status: str
    applies: bool

    @property
    def tuning(self) -> float:
        """ln of what the best rule tried wins over the rule; NaN where the rule covers nothing."""
        return _log_gain(self.rule, self.best) if self.applies else float("nan")

    @property
    def reshaping(self) -> float:
        """ln of what the best sampler on this ranking wins over the best rule."""
        return _log_gain(self.best, self.ceiling) if self.applies else float("nan")

    @property
    def order(self) -> float:
        """ln of what only another ranking, a better model, could win."""
        return _log_gain(self.ceiling, 1.0) if self.applies else float("nan")


def _log_gain(low: float, high: float) -> float:
    return float(np.log(high / low)) if low > 0 else float("nan")


@dataclass(frozen=True, eq=False)
class Explanation:
    """The account of one rule on one probe.

    Attributes:
        model, task, rule: names; the rule with its engine.
        samples: n of the coverage.
        answers: |V|.
        validity, diversity: of the rule.
        distinct, ideal_distinct: expected distinct valid answers in n samples, of the rule and of the ideal.
        coverage: the one over the other.
        validity_lost: −ln Val, nats.
        diversity_lost: −ln Div, nats; NaN where Val = 0.
        surface_term: what the steps' diversity losses sum to beyond `diversity_lost`.
        steps: by depth.
        worst_for_validity, worst_for_diversity: the prefixes that cost most.
        blame: the split of 1 − coverage.
        ladder: what could be won back.
        diversity_ceilings: validity floor → (lower, upper, status) of the largest diversity there, of any
            sampler that respects the ranking.
        logit_fits: of the first token, `top` over the first `HEAD` ranks and `all` over all: the columns of
            `breadth.measures.logit_fit.LogitFit` by name.
        best_recall: precision floor → bounds of the largest sequence recall that adaptive cutoffs, sampled
            uniformly from, have there; equal where they are exact.
        cutoff_curve: points (validity, recall) of the exact frontier of adaptive cutoffs under the model's
            own probabilities at temperature 1, by rising recall; empty where it is not exact.
        cutoffs: the frontier that `best_recall` is read from.
        attribution, local: the columns behind all this.
        outcome: the rule on the probe.
    """

    model: str
    task: str
    rule: str
    samples: int
    answers: int
    validity: float
    diversity: float
    distinct: float
    ideal_distinct: float
    coverage: float
    validity_lost: float
    diversity_lost: float
    surface_term: float
    steps: Sequence[Step]
    worst_for_validity: Sequence[Loss]
    worst_for_diversity: Sequence[Loss]
    blame: Blame
    ladder: Ladder
    diversity_ceilings: Mapping[float, tuple[float, float, str]]
    logit_fits: Mapping[str, Mapping[str, float]]
    best_recall: Mapping[float, tuple[float, float]]
    cutoff_curve: Sequence[tuple[float, float]]
    cutoffs: BestCutoffs
    attribution: Attribution
    local: Local
    outcome: Outcome

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, NaN as None; the columns are left to the tables."""
        columns = ("cutoffs", "attribution", "local", "outcome")
        facts = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in columns}
        facts["steps"] = [asdict(step) for step in self.steps]
        for name in ("worst_for_validity", "worst_for_diversity"):
            facts[name] = [asdict(loss) for loss in facts[name]]
        facts["blame"] = asdict(self.blame) | {"order": self.blame.order}
        gaps = ("tuning", "reshaping", "order")
        facts["ladder"] = asdict(self.ladder) | {f"log_{gap}": getattr(self.ladder, gap) for gap in gaps}
        result: dict[str, Any] = plain(facts)
        return result


def explain(
    unit: Unit, rule: Rule | None = None, *, samples: int | None = None, worst: int = 5
) -> Explanation:
    """Explain a rule on a unit.

    Args:
        unit: one model on one task, with the rules that the ladder may choose from.
        rule: what to explain; the model's default if not given.
        samples: n of the coverage, ≥ 1; |V| if not given.
        worst: prefixes named.

    Raises:
        RuleError: an oracle.
        InputError: `samples` is not positive.
    """
    probe, trie = unit.probe, unit.probe.trie
    rule = default_rule(probe.provenance["generation"]) if rule is None else rule
    n = trie.n_answers if samples is None else samples
    if not 1 <= n <= MAX_SAMPLES:
        raise InputError(f"samples must be from 1 to {MAX_SAMPLES:,}, not {n:,}")
    (outcome,) = evaluate(probe, [rule])
    ranking = event_ranking(trie, probe.blocks)
    fixed = fixed_answers(outcome, probe.blocks, ranking)
    attribution = attribute(trie, outcome.edge_logp)
    local = local_measures(trie, probe.blocks, ranking)
    value = {fixes: coverage(logp, n) for fixes, logp in fixed.items()}
    samplers = Samplers(trie, token_ranking(trie, probe.blocks))
    cutoffs = best_cutoffs(trie, probe.blocks, ranking)
    ceilings = {floor: diversity_ceiling(samplers, floor) for floor in FLOORS}
    return Explanation(
        model=unit.model,
        task=unit.task,
        rule=rule.label,
        samples=n,
        answers=trie.n_answers,
        validity=outcome.validity,
        diversity=outcome.diversity,
        distinct=float(expected_distinct(outcome.answer_logp, n)),
        ideal_distinct=float(ideal_distinct(trie.n_answers, n)),
        coverage=value[frozenset()],
        validity_lost=float(attribution.validity_lost.sum()),
        diversity_lost=float(attribution.diversity_lost.sum()) - attribution.surface_term,
        surface_term=attribution.surface_term,
        steps=_steps(attribution, local),
        worst_for_validity=_worst(probe, attribution, attribution.validity_lost, worst),
        worst_for_diversity=_worst(probe, attribution, attribution.diversity_lost, worst),
        blame=Blame(**shapley(FIXES, value)),
        ladder=_ladder(unit, rule, n, value[frozenset()], distinct_ceiling(samplers, n)),
        diversity_ceilings={floor: (each.lower, each.upper, each.status) for floor, each in ceilings.items()},
        logit_fits={"top": _fit_at_root(probe, HEAD), "all": _fit_at_root(probe, None)},
        best_recall={floor: cutoffs.recall_at(floor) for floor in FLOORS},
        cutoff_curve=_cutoff_curve(best_cutoffs(trie, probe.blocks, ranking, uniform=False)),
        cutoffs=cutoffs,
        attribution=attribution,
        local=local,
        outcome=outcome,
    )


CURVE_POINTS = 200
"""Points kept of a frontier that is only drawn."""


def _cutoff_curve(best: BestCutoffs) -> list[tuple[float, float]]:
    if not best.is_exact:
        return []
    # Only where validity falls does the frontier have a corner.
    corner = np.flatnonzero(np.append(np.diff(best.lower) < 0, True) & (best.lower > 0))
    if len(corner) > CURVE_POINTS:
        corner = corner[np.linspace(0, len(corner) - 1, CURVE_POINTS).round().astype(np.int64)]
    return [(float(best.lower[i]), float(best.recall[i])) for i in corner]


def _fit_at_root(probe: Probe, depth: int | None) -> dict[str, float]:
    fit = fit_logits(probe.at(0), depth)
    return {field.name: getattr(fit, field.name)[0].item() for field in fields(fit)}


def _worst(probe: Probe, attribution: Attribution, lost: Floats, count: int) -> list[Loss]:
    order = np.argsort(-lost, kind="stable")[:count]
    total = lost.sum()
    return [
        Loss(
            prefix=probe.prefix_text(int(node)),
            node=int(node),
            depth=int(probe.trie.depth[node]),
            reach=float(attribution.reach[node]),
            lost=float(lost[node]),
            share=float(lost[node] / total),
        )
        for node in order
        if lost[node] > 0
    ]


def _steps(attribution: Attribution, local: Local) -> list[Step]:
    trie = local.trie
    depth = trie.depth[trie.prefixes]
    validity_lost = attribution.by_depth(attribution.validity_lost)
    diversity_lost = attribution.by_depth(attribution.diversity_lost)
    steps = []
    for d in range(int(depth.max()) + 1):
        here = depth == d
        steps.append(
            Step(
                depth=d,
                prefixes=int(here.sum()),
                validity_lost=float(validity_lost[d]),
                diversity_lost=float(diversity_lost[d]),
                order_score=_spread(local.order_score[here]),
                recall_at_good=_spread(local.recall_at_good[here]),
                shape_score=_spread(local.shape_score[here]),
                order_calibrated=float(local.order_calibrated[here].mean()),
                shape_calibrated=float(local.shape_calibrated[here].mean()),
            )
        )
    return steps


def _spread(column: Floats) -> Spread:
    column = column[~np.isnan(column)]
    if not len(column):
        return Spread(*(float("nan"),) * 3)
    return Spread(float(column.mean()), float(column.max()), float(column.min()))


def _ladder(unit: Unit, rule: Rule, n: int, own: float, ceiling: Ceiling) -> Ladder:
    """The rungs; of the rules tried only those count that keep the top of the ranking."""
    tried = [index for index, row in enumerate(unit.scores) if row.is_cutoff]
    if n == unit.probe.trie.n_answers:
        covered = [unit.scores[index].coverage for index in tried]
    else:
        rules = [unit.rules[index] for index in tried]
        covered = [coverage(outcome.answer_logp, n) for outcome in evaluate(unit.probe, rules)]
    best = int(np.argmax(covered)) if covered else -1
    applies = rule.is_cutoff
    if best < 0 or (applies and own >= covered[best]):
        best_coverage, best_rule = own, rule.label
    else:
        best_coverage, best_rule = covered[best], unit.scores[tried[best]].label
    return Ladder(
        rule=own,
        best=best_coverage,
        best_rule=best_rule,
        # A rule tried is a sampler too.
        ceiling=max(ceiling.lower, best_coverage),
        ceiling_above=max(ceiling.upper, best_coverage),
        status=ceiling.status,
        applies=applies,
    )
