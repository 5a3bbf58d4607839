"""The ceiling over all samplers that respect the ranking: both sides of its certificate."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import naive
import strategies as some
from breadth.measures.answers import coverage, diversity, validity
from breadth.measures.ceiling import Ceiling, distinct_ceiling, diversity_ceiling
from breadth.measures.samplers import Samplers
from breadth.outcome import outcomes
from breadth.ranking import token_ranking

SOLVED = settings(max_examples=40, deadline=None)

Floats = NDArray[np.float64]


def samplers(instance: some.Instance) -> Samplers:
    trie = instance.trie()
    return Samplers(trie, token_ranking(trie, instance.blocks(trie)))


def some_sampler(instance: some.Instance, random: np.random.Generator) -> Floats:
    """ln q(y) under a random sampler whose probabilities do not rise along the ranking of any prefix."""
    probability: dict[naive.Tokens, dict[int, float]] = {}
    for prefix in instance.logits:
        order = naive.ranking(instance.law(prefix))
        mixture = random.dirichlet(np.full(len(order), random.choice([0.1, 1.0])))
        # "Uniform over the top K", with probability mixture[K − 1].
        falling = np.cumsum((mixture / np.arange(1, len(order) + 1))[::-1])[::-1]
        probability[prefix] = dict(zip(order, falling.tolist(), strict=True))

    def edge_logp(prefix: naive.Tokens, event: int) -> float:
        tokens = naive.tokens_of(event, instance.end_tokens)
        mass = sum(probability[prefix].get(token, 0.0) for token in tokens)
        return float(np.log(mass)) if mass > 0 else -np.inf

    return np.array(naive.answer_logps(instance.answers, edge_logp))


def highest_by_cutoffs(instance: some.Instance, value: list[float], prefix: naive.Tokens = ()) -> float:
    """The largest Σ value(y)·q(y): linear, so that at every prefix one cutoff is best."""
    for index, spelled in enumerate(instance.answers):
        if prefix in spelled:
            return value[index]
    order = naive.ranking(instance.law(prefix))
    worth = dict.fromkeys(order, 0.0)
    for event in naive.valid_events(instance.answers, prefix):
        below = highest_by_cutoffs(instance, value, (*prefix, event))
        worth |= {t: below for t in naive.tokens_of(event, instance.end_tokens) if t in worth}
    return max(sum(worth[token] for token in order[:k]) / k for k in range(1, len(order) + 1))


@given(some.instances(forbidden=True), some.SEEDS)
def test_a_linear_function_is_maximised_exactly(instance: some.Instance, seed: int) -> None:
    random = np.random.default_rng(seed)
    polytope = samplers(instance)
    value = random.normal(size=len(instance.answers)) + random.choice([-1.0, 0.0, 1.0])
    found, q = polytope.highest(value)
    assert found == pytest.approx(highest_by_cutoffs(instance, value.tolist()), abs=1e-12)
    assert value @ q == pytest.approx(found, abs=1e-12)


@given(some.instances(forbidden=True), some.SEEDS)
def test_every_sampler_that_respects_the_ranking_is_inside(instance: some.Instance, seed: int) -> None:
    random = np.random.default_rng(seed)
    polytope = samplers(instance)
    q = np.exp(some_sampler(instance, random))
    for _ in range(10):
        direction = random.normal(size=len(q))
        assert direction @ q <= polytope.highest(direction)[0] + 1e-12


@given(some.instances(forbidden=True), some.SEEDS)
def test_flows_made_feasible_are_inside(instance: some.Instance, seed: int) -> None:
    random = np.random.default_rng(seed)
    polytope = samplers(instance)
    q = polytope.nearest(random.random(len(polytope)) * random.choice([0.0, 0.1, 1.0]))
    for _ in range(10):
        direction = random.normal(size=len(q))
        assert direction @ q <= polytope.highest(direction)[0] + 1e-12


def inside(polytope: Samplers, ceiling: Ceiling, random: np.random.Generator) -> bool:
    assert ceiling.answer_logp is not None
    q = np.exp(ceiling.answer_logp)
    directions = random.normal(size=(10, len(q)))
    return all(direction @ q <= polytope.highest(direction)[0] + 1e-9 for direction in directions)


@SOLVED
@given(some.instances(forbidden=True), some.SEEDS, st.sampled_from([2, 3, 10, 200]))
def test_distinct_is_certified_and_nothing_passes_it(instance: some.Instance, seed: int, n: int) -> None:
    random = np.random.default_rng(seed)
    polytope = samplers(instance)
    ceiling = distinct_ceiling(polytope, n)
    assert ceiling.is_certified
    assert ceiling.answer_logp is not None
    assert coverage(ceiling.answer_logp, n) == pytest.approx(ceiling.lower)
    assert inside(polytope, ceiling, random)
    for _ in range(20):
        assert coverage(some_sampler(instance, random), n) <= ceiling.upper + 1e-9


@SOLVED
@given(some.instances(forbidden=True), some.SEEDS, st.sampled_from([0.05, 0.3, 0.6, 0.9]))
def test_diversity_is_certified_and_nothing_passes_it(
    instance: some.Instance, seed: int, floor: float
) -> None:
    random = np.random.default_rng(seed)
    polytope = samplers(instance)
    ceiling = diversity_ceiling(polytope, floor)
    highest, _ = polytope.highest(np.ones(len(instance.answers)))
    if highest < floor - 1e-9:
        assert np.isnan(ceiling.lower)
        assert ceiling.status.startswith("no sampler that respects the ranking is valid above")
        return
    assert ceiling.is_certified
    assert ceiling.answer_logp is not None
    assert diversity(ceiling.answer_logp) == pytest.approx(ceiling.lower)
    assert validity(ceiling.answer_logp) >= floor - 1e-9
    assert inside(polytope, ceiling, random)
    for _ in range(20):
        logp = some_sampler(instance, random)
        if validity(logp) >= floor:
            assert diversity(logp) <= ceiling.upper + 1e-9


@SOLVED
@given(some.instances(), st.lists(some.PIPELINES.map(some.rule_of), min_size=1, max_size=5))
def test_no_rule_that_keeps_the_top_passes_the_ceiling(instance: some.Instance, rules: list) -> None:
    polytope = samplers(instance)
    ceiling = distinct_ceiling(polytope, len(instance.answers))
    trie = instance.trie()
    for outcome in outcomes(trie, instance.blocks(trie), rules):
        if outcome.rule.is_cutoff:
            assert coverage(outcome.answer_logp) <= ceiling.upper + 1e-9


def one_step(ranks: list[int], vocab: int = 20) -> some.Instance:
    logits = -np.arange(vocab, dtype=np.float32)
    return some.Instance(tuple(((rank - 1,),) for rank in ranks), (), {(): logits})


def test_with_the_valid_tokens_on_top_all_is_possible() -> None:
    polytope = samplers(one_step([1, 2, 3]))
    for ceiling in (distinct_ceiling(polytope, 5), diversity_ceiling(polytope, 1.0)):
        assert ceiling.lower == pytest.approx(1.0, abs=1e-6)
        assert ceiling.upper == pytest.approx(1.0, abs=1e-6)


def test_one_step_by_hand() -> None:
    # Valid tokens at ranks 1 and 3. Keeping both equally is valid 2/3 of the time; above that, the share w of
    # "top 3" and 1 − w of "top 1" has Val = 1 − w/3 and gives the second answer w/3.
    polytope = samplers(one_step([1, 3]))
    for floor in (0.7, 0.9):
        w = 3 * (1 - floor)
        p = np.array([1 - 2 * w / 3, w / 3]) / floor
        expected = np.exp(-(p * np.log(p)).sum()) / 2
        ceiling = diversity_ceiling(polytope, floor)
        assert ceiling.lower == pytest.approx(expected, rel=1e-5)
        assert ceiling.upper == pytest.approx(expected, rel=1e-5)
    assert diversity_ceiling(polytope, 0.5).lower == pytest.approx(1.0, abs=1e-6)


def test_with_one_sample_the_ceiling_is_validity_and_needs_no_solver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cvxpy", None)
    ceiling = distinct_ceiling(samplers(one_step([2, 3])), 1)
    assert ceiling.lower == ceiling.upper == pytest.approx(2 / 3)


def test_without_the_solver_the_certificate_still_holds_and_it_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    polytope = samplers(one_step([1, 3, 6]))
    known = [distinct_ceiling(polytope, 5), diversity_ceiling(polytope, 0.7)]
    monkeypatch.setitem(sys.modules, "cvxpy", None)
    for ceiling, truth in zip(
        [distinct_ceiling(polytope, 5), diversity_ceiling(polytope, 0.7)], known, strict=True
    ):
        assert ceiling.status == (
            "certified (the solver is not installed (pip install 'breadth[ceiling]'); found without it)"
        )
        assert ceiling.lower <= truth.upper + 1e-12
        assert ceiling.upper >= truth.lower - 1e-12


def test_a_solver_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import cvxpy as cp

    def fail(*_: object, **__: object) -> None:
        raise cp.SolverError("out of luck")

    monkeypatch.setattr(cp.Problem, "solve", fail)
    ceiling = diversity_ceiling(samplers(one_step([1, 3, 6])), 0.7)
    assert "the solver failed (out of luck); found without it" in ceiling.status


def test_too_many_flows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("breadth.measures.ceiling.MAX_FLOWS", 1)
    assert "the solver is given at most 1" in distinct_ceiling(samplers(one_step([1, 3, 6])), 5).status


@pytest.mark.parametrize("n", [10, 1000])
def test_a_wide_step_that_the_solver_fails_at_is_certified_all_the_same(n: int) -> None:
    # Valid tokens at every second rank.
    polytope = samplers(one_step(list(range(1, 1001, 2)), vocab=1010))
    ceiling = distinct_ceiling(polytope, n)
    assert ceiling.is_certified
    assert ceiling.upper / ceiling.lower < 1.001


def test_small_validities_are_certified() -> None:
    polytope = samplers(one_step([100_000, 200_000], vocab=200_001))
    for n in (10, 10**6):
        ceiling = distinct_ceiling(polytope, n)
        assert ceiling.is_certified
        assert 0 < ceiling.lower < 1
