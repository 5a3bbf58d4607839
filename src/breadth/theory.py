"""The paper's theorems held against a probe: which hold, by how much, and which do not apply [App. E, F].

A theorem whose assumptions fail on the data is *not applicable*, with what was found; it is *violated* only
where its assumptions hold and its claim does not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from breadth.adaptive import EXACT_SEQUENCES, ROUNDING, may_be_kept
from breadth.grid import TEMPERATURES, default_grid
from breadth.mass import Mass
from breadth.measures.cutoffs import CutoffFrontier, cutoff_frontier
from breadth.measures.theorems import (
    all_strategies,
    best_hard_step_bound,
    first_step_hardness,
    least_deficit,
    precision_factors,
    recall_factors,
    sequence_recall,
    shape_bound,
)
from breadth.outcome import Outcome, evaluate
from breadth.probe import Probe
from breadth.ranking import Ranking, event_ranking
from breadth.rules import Rule, parse_rule
from breadth.trie import END, Trie

__all__ = ["Check", "TemperatureCurve", "check_theory", "temperature_curve"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Verdict = Literal["holds", "violated", "not applicable", "not computed"]

EXACT = 1e-10
"""Largest difference that rounding explains between two ways to compute one number."""

CHECKED = (0.6, 1.0, 2.0)
"""Temperatures at which every cutoff of the default grid is checked."""

REST = 1e-3
"""Decay is tested down to the rank below which this share of the invalid mass is left."""

TOLERANCE = 0.01
"""Nats by which data may miss an assumption of F.4 and still count as meeting it."""

RESOLVED = 1e-13
"""What rounding leaves uncertain in a validity near 1."""


@dataclass(frozen=True)
class Check:
    """One theorem on one probe.

    Attributes:
        theorem: its number in the paper, or `frontier` for the exact frontier over all cutoffs.
        statement: what it says, in words.
        verdict: whether it holds on the data; a failed assumption makes it `not applicable`.
        margin: how near the data come to violating it; NaN where there is nothing to measure.
        unit: what the margin is, in words.
        detail: what was found, for a person to read.
        broken: names of the assumptions that fail somewhere, in the order of the detail.
    """

    theorem: str
    statement: str
    verdict: Verdict
    margin: float
    unit: str
    detail: str
    broken: tuple[str, ...] = ()


def check_theory(probe: Probe) -> list[Check]:
    """Hold the theorems of appendices E and F against a probe.

    Returns:
        E.1 for precision and for recall, the exact frontier twice (uniform sampling and the model's own
        probabilities), E.3, F.4, F.5, F.6: in this order.
    """
    trie = probe.trie
    rules = [rule for rule in default_grid() if rule.temperature in CHECKED]
    points = [_point(outcome) for outcome in evaluate(probe, rules)]
    cutoffs = [point for point in points if point.rule.is_cutoff]
    at_one = [point for point in cutoffs if point.rule.temperature == 1.0]
    ranking = event_ranking(trie, probe.blocks)
    uniform = own = None
    if len(trie.leaves) <= EXACT_SEQUENCES:
        uniform = cutoff_frontier(trie, ranking.rank, may_be_kept(ranking), ranking.rank.astype(np.float64))
        own = cutoff_frontier(trie, ranking.rank, ranking.probability, _least_kept(probe, ranking))
    heated = _temperature_outcomes(probe)
    curve = _curve(trie, heated)
    return [
        _check_product("precision", [(point.precision_gap, point.rule) for point in points]),
        _check_product("recall", [(point.recall_gap, point.rule) for point in points]),
        _check_frontier("precision", uniform, [(p.kept, p.event_precision, p.rule) for p in cutoffs]),
        _check_frontier("validity", own, [(p.kept, p.validity, p.rule) for p in at_one]),
        _check_hard_steps(trie, ranking, uniform),
        *_check_shape(probe, ranking, curve, heated),
        _check_regimes(curve),
    ]


# E.1 and the exact frontier


class _Point(NamedTuple):
    """What the checks need of one rule, without its columns."""

    rule: Rule
    kept: int  # sequences that survive
    event_precision: float
    validity: float
    precision_gap: float  # |left − right| of E.1
    recall_gap: float


def _point(outcome: Outcome) -> _Point:
    trie, kept = outcome.trie, np.isfinite(outcome.edge_logp)
    alpha = precision_factors(trie, outcome.edge_event_logp)
    beta = recall_factors(trie, kept)
    return _Point(
        outcome.rule,
        int(np.isfinite(outcome.reach_logp[trie.leaves]).sum()),
        outcome.event_precision,
        outcome.validity,
        abs(outcome.event_precision - float(alpha.prod())),
        abs(sequence_recall(trie, kept) - float(beta.prod())),
    )


def _check_product(name: str, gaps: list[tuple[float, Rule]]) -> Check:
    gap, rule = max(gaps, key=itemgetter(0))
    return Check(
        "E.1",
        f"sequence {name} is the product over steps of the mean local {name}",
        "holds" if gap <= EXACT else "violated",
        gap,
        "largest difference of the two sides",
        f"{len(gaps)} rules; the sides differ by at most {gap:.1e}, under {rule}",
    )


def _check_frontier(
    name: str, frontier: CutoffFrontier | None, points: list[tuple[int, float, Rule]]
) -> Check:
    """No rule has more precision, or validity, than the frontier at the sequences that survive it."""
    statement = f"no cutoff rule lies above the exact frontier of {name} and recall"
    if frontier is None:
        return _too_large("frontier", statement)
    below = [(float(frontier.precision[kept]) - value, rule) for kept, value, rule in points]
    margin, nearest = min(below, key=itemgetter(0))
    return Check(
        "frontier",
        statement,
        "holds" if margin >= -EXACT else "violated",
        margin,
        f"least {name} below the frontier",
        f"{len(points)} cutoff rules; the nearest, {nearest}, lies {margin:.2g} below",
    )


def _least_kept(probe: Probe, ranking: Ranking) -> Floats:
    """(n,), the least probability that a rule keeps with each event.

    A rule cuts real tokens, the event ranking keeps all of the end's tokens or none. Where no answer stops a
    rule that keeps some of them loses less: there the end tokens below an event are left out. Where one
    stops, keeping them all is best.
    """
    kept = np.exp(ranking.cumulative_logp)
    for block in probe.blocks:
        stops = np.zeros(len(block), dtype=np.bool_)
        stops[block.valid_row[probe.trie.token[block.valid_node] == END]] = True
        here = np.flatnonzero(~stops[block.valid_row])
        row, mass = block.valid_row[here], Mass(block, 1.0)
        kept[block.valid_node[here]] = (
            mass.upto(block.valid_rank[here].astype(np.int64), row) / mass.total[row]
        )
    return kept


def _too_large(theorem: str, statement: str) -> Check:
    limit = f"the exact frontier takes too long beyond {EXACT_SEQUENCES:,} sequences"
    return Check(theorem, statement, "not computed", np.nan, "", limit)


# E.3


def _check_hard_steps(trie: Trie, ranking: Ranking, frontier: CutoffFrontier | None) -> Check:
    """The bound of hard steps beside the exact frontier: of sequences, so that each counts as an answer."""
    statement = "hard steps bound the recall of every cutoff strategy at a given precision"
    if frontier is None:
        return _too_large("E.3", statement)
    counted = _each_an_answer(trie)
    depth = int(trie.depth.max())
    listed = all_strategies(counted, ranking.rank, ranking.n_events)
    if listed is None:
        steps = [first_step_hardness(counted, ranking.rank, ranking.n_events)]
        verified = "hardness verified for step 1" + (
            f", not verified for steps 2…{depth}" if depth > 1 else ""
        )
    else:
        steps = listed.hardness
        verified = f"hardness verified for all {depth} steps over {len(listed.alpha):,} strategies"
    # The frontier is a staircase and the bound falls with precision: the corners are enough.
    corner = frontier.precision > 0
    corner[0] = False
    recall, precision = frontier.recall[corner], frontier.precision[corner]
    bound = best_hard_step_bound(steps, precision)
    says = bound < 1
    margin = float((bound[says] / recall[says]).min()) if says.any() else np.nan
    spots = np.array([0.95, 0.8, 0.5])
    best = [recall[precision >= spot * (1.0 - ROUNDING)].max(initial=0.0) for spot in spots]
    table = "; ".join(
        f"at precision {spot:g} the bound is {limit:.3g} and the best recall {reached:.3g}"
        for spot, limit, reached in zip(spots, best_hard_step_bound(steps, spots), best, strict=True)
    )
    return Check(
        "E.3",
        statement,
        "holds" if (bound >= recall - EXACT).all() else "violated",
        margin,
        "smallest ratio of the bound to the best recall",
        f"{verified}; {table}",
    )


def _each_an_answer(trie: Trie) -> Trie:
    """The trie with every sequence an answer of its own."""
    is_leaf = trie.answer >= 0
    weight = is_leaf.astype(np.float64)
    for node in range(len(trie) - 1, 0, -1):
        weight[trie.parent[node]] += weight[node]
    answer = np.where(is_leaf, np.cumsum(is_leaf) - 1, -1).astype(np.int32)
    return replace(trie, weight=weight, answer=answer, n_answers=int(is_leaf.sum()))


# F.4 to F.6


@dataclass(frozen=True, eq=False)
class TemperatureCurve:
    """What temperature alone does, and what the shape bounds allow; columns of shape (t,).

    Attributes:
        temperature: ascending.
        validity, diversity: of the rule that only sets this temperature.
        bound_f4: largest diversity at that validity by Thm F.4; NaN unless branching is invariant.
        bound_f5: the same by Cor F.5, with m the fewest branching steps of any answer.
    """

    temperature: Floats
    validity: Floats
    diversity: Floats
    bound_f4: Floats
    bound_f5: Floats


def temperature_curve(probe: Probe) -> TemperatureCurve:
    """Validity, diversity and the shape bounds at the grid's temperatures.

    The bounds are drawn whether or not their assumptions hold; `check_theory` says whether they do.
    """
    return _curve(probe.trie, _temperature_outcomes(probe))


def _temperature_outcomes(probe: Probe) -> list[Outcome]:
    return list(evaluate(probe, [parse_rule(f"temperature={t:g}") for t in TEMPERATURES]))


def _curve(trie: Trie, outcomes: list[Outcome]) -> TemperatureCurve:
    validity = np.array([outcome.validity for outcome in outcomes])
    # A smaller validity gives a weaker bound: rounding must not promise more than 1 − Val can be told.
    surely = np.maximum(validity - RESOLVED, 0.0)
    branching, _ = _branching(trie)
    unknown = np.full(len(outcomes), np.nan)
    branches = trie.along_paths((trie.n_children[trie.parent] >= 2).astype(np.float64))[trie.leaves].min()
    return TemperatureCurve(
        np.array([outcome.rule.temperature for outcome in outcomes]),
        validity,
        np.array([outcome.diversity for outcome in outcomes]),
        unknown if branching is None else shape_bound(branching, surely),
        np.exp(-branches * least_deficit(1.0 - surely)),
    )


def _branching(trie: Trie) -> tuple[Ints | None, str]:
    """Valid events v_t of each step if all prefixes of a depth have equally many, and what was found."""
    if len(trie.leaves) > trie.n_answers:
        return None, f"branching: {len(trie.leaves)} sequences spell {trie.n_answers} answers"
    steps = []
    for depth in range(int(trie.depth.max())):
        found = np.unique(trie.n_children[trie.depth == depth])
        if len(found) > 1:
            return None, f"branching: at depth {depth} prefixes have {found[0]} to {found[-1]} valid events"
        steps.append(int(found[0]))
    return np.array(steps), f"branching: {'·'.join(map(str, steps))} at every prefix of a step"


@dataclass(frozen=True, eq=False)
class _Decay:
    """How far the distributions are from geometric ones at some temperatures; (t,) each, nats.

    Attributes:
        bend: largest deviation of logits over temperature from a straight line in rank, one line for all
            prefixes of a step, down to the rank that leaves `REST` of the invalid mass; steps with one valid
            event need no line.
        uneven: largest difference of ln(valid mass) between prefixes of a step.
        beyond: largest share of a step's geometric mass that lies beyond the vocabulary and its valid events.
    """

    bend: Floats
    uneven: Floats
    beyond: Floats


def _decay(probe: Probe, outcomes: list[Outcome]) -> _Decay:
    trie = probe.trie
    slope, reach, bend = np.zeros((3, len(outcomes), len(trie)))
    spare = np.zeros(len(trie))
    for block in probe.blocks:
        n_valid = trie.n_children[block.node]
        spare[block.node] = np.maximum(block.n_finite - n_valid, 0)  # valid events may be forbidden
        for i, outcome in enumerate(outcomes):
            mass = Mass(block, 1.0 / outcome.rule.temperature)
            valid = np.add.reduceat(np.exp(-mass.beta * block.valid_gap), block.valid_start[:-1])
            invalid = np.maximum(mass.total - valid, 0.0)
            last = np.maximum(mass.reach(mass.total - REST * invalid), n_valid + 1)
            last = np.minimum(last, block.n_finite)
            fall = mass.gap_at(last) / np.maximum(last - 1, 1)
            off = np.abs(block.knot_gap - fall[:, None] * (block.knot_rank - 1))
            bend[i, block.node] = np.where(block.knot_rank <= last[:, None], off, 0.0).max(axis=1)
            slope[i, block.node], reach[i, block.node] = fall, last - 1
    beta = np.array([1.0 / outcome.rule.temperature for outcome in outcomes])
    found = _Decay(*np.zeros((3, len(outcomes))))
    for depth in range(int(trie.depth.max())):
        nodes = trie.prefixes[trie.depth[trie.prefixes] == depth]
        with np.errstate(divide="ignore"):
            log_mass = np.log([outcome.valid_mass[nodes] for outcome in outcomes])
        low, high = log_mass.min(axis=1), log_mass.max(axis=1)
        spread = np.where(np.isfinite(low), high - np.where(np.isfinite(low), low, 0.0), np.inf)
        np.maximum(found.uneven, spread, out=found.uneven)
        nodes = nodes[trie.n_children[nodes] > 1]
        if len(nodes):
            line = slope[:, nodes].mean(axis=1, keepdims=True)
            off = bend[:, nodes] + np.abs(slope[:, nodes] - line) * reach[:, nodes]
            np.maximum(found.bend, beta * off.max(axis=1), out=found.bend)
            left = np.exp(-beta[:, None] * line * spare[nodes]).max(axis=1)
            np.maximum(found.beyond, left, out=found.beyond)
    return found


def _check_shape(
    probe: Probe, ranking: Ranking, curve: TemperatureCurve, outcomes: list[Outcome]
) -> list[Check]:
    trie = probe.trie
    branching, branching_found = _branching(trie)
    worst = np.zeros(len(trie), dtype=np.int64)
    np.maximum.at(worst, trie.parent[1:], ranking.rank[1:])
    on_top = int((worst == trie.n_children)[trie.prefixes].sum())
    decay = _decay(probe, outcomes)
    at_one = int(np.argmin(np.abs(curve.temperature - 1.0)))
    n = len(trie.prefixes)
    tests = {
        "branching": (np.full(len(outcomes), branching is not None), branching_found),
        "order": (
            np.full(len(outcomes), on_top == n),
            f"order: valid events on top at {on_top} of {n} prefixes",
        ),
        "decay": (decay.bend <= TOLERANCE, f"decay: off a line by up to {decay.bend[at_one]:.2g} nats"),
        "evenness": (
            decay.uneven <= TOLERANCE,
            f"evenness: ln(valid mass) differs by up to {decay.uneven[at_one]:.2g} within a step",
        ),
        "vocabulary": (
            decay.beyond <= TOLERANCE,
            f"vocabulary: {decay.beyond[at_one]:.2g} of a geometric law lies beyond it",
        ),
    }
    met = np.all([holds for holds, _ in tests.values()], axis=0)
    broken = tuple(name for name, (holds, _) in tests.items() if not holds.all())
    found = "; ".join(text for _, text in tests.values()) + " (at temperature 1)"
    # What misses so small do to ln Div, to first order: a nat moves a step's entropy by at most about one,
    # and L by two, each worth less than half a nat of entropy.
    slack = 2.0 * trie.depth.max() * (decay.bend + decay.uneven + decay.beyond + REST)
    return [
        _shape_check(theorem, statement, curve, bound, met, slack, broken, found)
        for theorem, statement, bound in (
            ("F.4", "geometric decay bounds diversity at a given validity", curve.bound_f4),
            ("F.5", "every branching step loses at least c(ε) nats of diversity", curve.bound_f5),
        )
    ]


def _shape_check(
    theorem: str,
    statement: str,
    curve: TemperatureCurve,
    bound: Floats,
    met: NDArray[np.bool_],
    slack: Floats,
    broken: tuple[str, ...],
    found: str,
) -> Check:
    distance = bound - curve.diversity
    if met.any():
        holds = np.log(curve.diversity) <= np.log(bound) + slack
        verdict: Verdict = "holds" if holds[met].all() else "violated"
        margin = float(np.fmin.reduce(distance[met]))
        where = f"assumptions met at temperatures {_listed(curve.temperature[met])}"
    else:
        verdict, margin = "not applicable", float(np.fmin.reduce(distance))
        where = "assumptions met at no temperature"
    above = curve.temperature[distance < -EXACT]
    if np.isnan(distance).all():
        never = np.isnan(curve.diversity).all()
        raw = "no answer is ever valid" if never else "no bound: valid events differ in number within a step"
    elif len(above):
        raw = f"diversity lies above the bound at temperatures {_listed(above)}"
    else:
        raw = "diversity lies below the bound at every temperature"
    return Check(theorem, statement, verdict, margin, "diversity", f"{where}; {raw}; {found}", broken)


def _listed(values: Floats) -> str:
    return ", ".join(f"{value:g}" for value in values)


SMALL, LARGE = 1e-4, 100.0
"""Values of L = ln 1/ε that stand for its two limits."""


def _check_regimes(curve: TemperatureCurve) -> Check:
    """F.6: c(ε) ≈ L²/32 for small L, ln 2 for large L."""
    flat = float(least_deficit(np.exp(-SMALL))) / (SMALL**2 / 32) - 1
    steep = float(least_deficit(np.exp(-LARGE))) / np.log(2) - 1
    margin = max(abs(flat), abs(steep))
    loss = -np.log(np.maximum(1.0 - curve.validity, RESOLVED))
    quadratic = loss**2 / 32 < np.log(2)
    return Check(
        "F.6",
        "c(ε) goes to ln 2 for few invalid generations and to L²/32 for many",
        "holds" if margin <= 1e-6 else "violated",
        margin,
        "largest relative difference",
        f"L²/32 reaches ln 2 at L = 4.71, validity 0.991; of {len(loss)} temperatures {quadratic.sum()} lie "
        f"below, in the quadratic regime (L from {loss.min():.2g} to {loss.max():.2g})",
    )
