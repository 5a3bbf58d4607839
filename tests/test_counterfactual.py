"""Fixes of order and shape against the definition, and models broken in exactly one way."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import naive
import strategies as some
from breadth.counterfactual import FIXES, fixed_answers
from breadth.errors import RuleError
from breadth.measures.answers import coverage, validity
from breadth.measures.shapley import coalitions, shapley
from breadth.outcome import outcomes
from breadth.ranking import event_ranking
from breadth.rules import Rule, parse_rule


def fixed(instance: some.Instance, rule: Rule) -> dict[frozenset[str], np.ndarray]:
    trie = instance.trie()
    blocks = instance.blocks(trie)
    (outcome,) = outcomes(trie, blocks, [rule])
    return fixed_answers(outcome, blocks, event_ranking(trie, blocks))


def expected(instance: some.Instance, steps: list[naive.Step], fixes: frozenset[str]) -> list[float]:
    table: dict[tuple[naive.Tokens, int], float] = {}
    for prefix in instance.logits:
        law = instance.law(prefix)
        mixture = naive.apply_steps(law, steps)
        ranked = naive.event_ranking(law, instance.end_tokens)
        value = {event: math.exp(naive.event_logp(mixture, event, instance.end_tokens)) for event in ranked}
        weight = {
            event: naive.answers_below(instance.answers, (*prefix, event))
            for event in naive.valid_events(instance.answers, prefix)
        }
        for event, q in naive.fixed(ranked, value, weight, set(fixes)).items():
            table[prefix, event] = math.log(q) if q > 0 else -math.inf
    return naive.answer_logps(instance.answers, lambda prefix, event: table[prefix, event])


@given(some.instances(ties=False), some.PIPELINES)
def test_every_set_of_fixes_gives_what_the_definition_says(
    instance: some.Instance, steps: list[naive.Step]
) -> None:
    # Two events equal but for rounding may change places.
    assume(not any(naive.is_doubtful(instance.law(prefix), steps) for prefix in instance.logits))
    for prefix in instance.logits:
        mixture = naive.apply_steps(instance.law(prefix), steps)
        ranked = naive.event_ranking(instance.law(prefix), instance.end_tokens)
        logps = sorted(naive.event_logp(mixture, event, instance.end_tokens) for event in ranked)
        assume(all(high - low > 1e-9 or high == -math.inf for low, high in pairwise(logps)))
        assume(all(low == -math.inf or low > -300 for low in logps))
    found = fixed(instance, some.rule_of(steps))
    for fixes in coalitions(FIXES):
        logps = expected(instance, steps, fixes)
        np.testing.assert_array_equal(np.isneginf(found[fixes]), np.isneginf(logps))
        np.testing.assert_allclose(found[fixes], logps, atol=1e-8)


@given(some.instances(), some.PIPELINES)
def test_all_fixes_together_leave_nothing_to_be_desired(
    instance: some.Instance, steps: list[naive.Step]
) -> None:
    found = fixed(instance, some.rule_of(steps))
    assert coverage(found[frozenset(FIXES)], 7) == pytest.approx(1.0)


def test_an_oracle_cannot_be_fixed() -> None:
    instance = some.Instance(answers=(((0,),),), end_tokens=(), logits={(): np.float32([1, 0])})
    with pytest.raises(RuleError, match="'oracle_size' is an oracle"):
        fixed(instance, parse_rule("oracle_size"))


@st.composite
def broken(draw: st.DrawFn, cause: str) -> some.Instance:
    """A model that is broken in exactly one way: `order` or `shape`."""
    answers, ends, vocab = draw(some.answer_sets(surfaces=False))
    random = np.random.default_rng(draw(some.SEEDS))
    logits = {}
    for prefix in sorted(naive.prefixes(answers)):
        valid = sorted(naive.valid_events(answers, prefix))
        weight = {event: naive.answers_below(answers, (*prefix, event)) for event in valid}
        ranked = sorted(valid, key=lambda event: -weight[event])
        share = np.array([weight[event] for event in ranked]) / sum(weight.values())
        others = [t for t in range(vocab) if t not in valid and t not in ends]
        row = np.full(vocab, -60.0)
        if cause == "order":
            # The right values, in wrong places.
            places = random.permutation([*ranked, *others])[: len(share)]
        else:
            # The right places, with wrong values.
            places = [*ranked, *others][: len(ranked) + 2]
            share = np.sort(random.dirichlet(np.full(len(places), 0.5)) + 1e-6)[::-1]
        for event, value in zip(places, share, strict=False):
            row[ends[0] if event == naive.END else event] = np.log(value)
        logits[prefix] = row.astype(np.float32)
    return some.Instance(answers, ends, logits)


def blame(instance: some.Instance) -> dict[str, float]:
    found = fixed(instance, parse_rule("temperature=1"))
    assume(validity(found[frozenset()]) > 0)
    return shapley(FIXES, {fixes: coverage(logp, len(logp)) for fixes, logp in found.items()})


@given(broken("order"))
def test_a_model_with_bad_order_alone_is_blamed_for_order_alone(instance: some.Instance) -> None:
    parts = blame(instance)
    assert parts["shape"] == pytest.approx(0.0, abs=1e-6)


@given(broken("shape"))
def test_a_model_with_bad_shape_alone_is_blamed_for_shape_alone(instance: some.Instance) -> None:
    parts = blame(instance)
    assert parts["top"] == pytest.approx(0.0, abs=1e-6)
    assert parts["within"] == pytest.approx(0.0, abs=1e-6)


@given(st.lists(st.floats(-1, 1), min_size=8, max_size=8))
def test_shapley_is_the_average_over_all_orders(values: list[float]) -> None:
    value = dict(zip(coalitions(FIXES), values, strict=True))
    found, expected_shares = shapley(FIXES, value), naive.shapley(FIXES, value)
    assert found == pytest.approx(expected_shares, abs=1e-12)
    assert sum(found.values()) == pytest.approx(value[frozenset(FIXES)] - value[frozenset()], abs=1e-12)
