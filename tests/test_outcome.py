"""Outcomes against the sum over all answers, one by one."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import naive
import strategies as some
from breadth.outcome import Outcome, outcomes
from breadth.rules import Rule, parse_rule
from breadth.trie import END

Edge = Callable[[naive.Tokens, int], float]


def outcome_of(instance: some.Instance, rule: Rule) -> Outcome:
    trie = instance.trie()
    (result,) = outcomes(trie, instance.blocks(trie), [rule])
    return result


def close(found: float, expected: float) -> bool:
    return math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-11) or (
        math.isnan(found) and math.isnan(expected)
    )


def assert_logs(found: NDArray[np.float64], expected: list[float]) -> None:
    np.testing.assert_array_equal(np.isneginf(found), np.isneginf(expected))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


class Expected:
    """What the definitions say of one instance under a mixture of laws at every prefix."""

    def __init__(self, instance: some.Instance, mixture: Callable[[naive.Tokens], naive.Mixture]) -> None:
        self.answers, self.ends = instance.answers, instance.end_tokens
        self.mixture = {prefix: mixture(prefix) for prefix in instance.logits}

    def edge_logp(self, prefix: naive.Tokens, event: int) -> float:
        return naive.event_logp(self.mixture[prefix], event, self.ends)

    def edge_uniform_logp(self, prefix: naive.Tokens, event: int) -> float:
        return log(naive.uniform_token_probability(self.mixture[prefix], event, self.ends))

    def edge_event_logp(self, prefix: naive.Tokens, event: int) -> float:
        mixture = self.mixture[prefix]
        return log(naive.uniform_event_probability(mixture, event, self.ends))


def assert_matches(outcome: Outcome, expected: Expected) -> None:
    answers = expected.answers
    logps = naive.answer_logps(answers, expected.edge_logp)
    assert_logs(outcome.answer_logp, logps)
    assert close(outcome.validity, naive.validity(logps))
    assert close(outcome.diversity, naive.diversity(logps))
    assert outcome.recall == naive.recall(logps)
    assert close(outcome.precision, naive.validity(naive.answer_logps(answers, expected.edge_uniform_logp)))
    assert close(
        outcome.event_precision, naive.validity(naive.answer_logps(answers, expected.edge_event_logp))
    )
    assert close(outcome.distinct(7), naive.expected_distinct(logps, 7))
    assert not outcome.cut_in_tail

    trie = outcome.trie
    assert outcome.leak.sum() == pytest.approx(1 - outcome.validity, abs=1e-9)
    for node in range(len(trie)):
        prefix = tuple(trie.path(node))
        if node in trie.leaves:
            assert math.isnan(outcome.valid_mass[node])
            assert math.isnan(outcome.local_precision[node])
            assert math.isnan(outcome.local_recall[node])
            assert outcome.leak[node] == 0
            continue
        valid = naive.valid_events(answers, prefix)
        mass = math.fsum(math.exp(expected.edge_logp(prefix, event)) for event in valid)
        assert outcome.valid_mass[node] == pytest.approx(mass, abs=1e-9)
        reach = math.fsum(expected.edge_logp(prefix[:n], prefix[n]) for n in range(len(prefix)))
        assert outcome.leak[node] == pytest.approx(math.exp(reach) * (1 - mass), abs=1e-9)
        kept = sorted(
            {
                event
                for _, law in expected.mixture[prefix]
                for event in naive.event_ranking(law, expected.ends)
            }
        )
        assert outcome.local_recall[node] == pytest.approx(naive.local_recall(kept, answers, prefix))
        precision = math.fsum(
            weight * naive.local_precision(naive.event_ranking(law, expected.ends), valid)
            for weight, law in expected.mixture[prefix]
        )
        assert outcome.local_precision[node] == pytest.approx(precision)


# Rules


@settings(max_examples=150, deadline=None)
@given(some.instances(), some.PIPELINES)
def test_a_rule_gives_every_answer_its_probability(instance: some.Instance, steps: list[naive.Step]) -> None:
    assume(not any(naive.is_doubtful(instance.law(prefix), steps) for prefix in instance.logits))
    expected = Expected(instance, lambda prefix: naive.apply_steps(instance.law(prefix), steps))
    assert_matches(outcome_of(instance, some.rule_of(steps)), expected)


@settings(max_examples=100, deadline=None)
@given(some.instances(forbidden=True), some.PIPELINES | st.just([("temperature", 1.0)]))
def test_forbidden_tokens_are_never_kept(instance: some.Instance, steps: list[naive.Step]) -> None:
    assume(not any(naive.is_doubtful(instance.law(prefix), steps) for prefix in instance.logits))
    expected = Expected(instance, lambda prefix: naive.apply_steps(instance.law(prefix), steps))
    assert_matches(outcome_of(instance, some.rule_of(steps)), expected)


@settings(max_examples=50, deadline=None)
@given(
    some.instances(), st.sampled_from(["temperature=0", "temperature=0,top_k=3", "top_p=0.7,temperature=0"])
)
def test_greedy_gives_one_path_everything(instance: some.Instance, rule: str) -> None:
    expected = Expected(
        instance, lambda prefix: naive.apply_steps(instance.law(prefix), [("temperature", 0.0)])
    )
    outcome = outcome_of(instance, parse_rule(rule))
    assert_matches(outcome, expected)
    assert set(np.exp(outcome.reach_logp)) <= {0.0, 1.0}


@settings(max_examples=40, deadline=None)
@given(some.instances(), st.sampled_from([0.001, 0.01, 100.0, 1000.0]))
def test_extreme_temperatures(instance: some.Instance, t: float) -> None:
    expected = Expected(
        instance, lambda prefix: naive.apply_steps(instance.law(prefix), [("temperature", t)])
    )
    outcome = outcome_of(instance, parse_rule(f"temperature={t}"))
    assert_matches(outcome, expected)
    assert outcome.recall == 1
    assert np.isfinite(outcome.answer_logp).all()


def test_underflow_is_not_zero() -> None:
    """Two answers at e^−4000: validity is 0 in float64, and diversity still 1."""
    logits = {(): np.array([0, -40, -40, -5], dtype=np.float32)}
    outcome = outcome_of(some.Instance((((1,),), ((2,),)), (), logits), parse_rule("temperature=0.01"))
    assert outcome.validity == 0
    assert outcome.recall == 1
    assert outcome.answer_logp == pytest.approx([-4000, -4000])
    assert outcome.diversity == pytest.approx(1)


def test_no_answer_survives() -> None:
    logits = {(): np.array([0, -40, -40, -5], dtype=np.float32)}
    outcome = outcome_of(some.Instance((((1,),), ((2,),)), (), logits), parse_rule("top_k=2"))
    assert outcome.validity == outcome.recall == outcome.precision == 0
    assert math.isnan(outcome.diversity)


def test_one_answer_of_one_token() -> None:
    instance = some.Instance((((0,),),), (), {(): np.zeros(1, dtype=np.float32)})
    for rule in ["temperature=1", "temperature=0", "top_k=1", "typical_p=0.5", "oracle_size", "oracle_shape"]:
        outcome = outcome_of(instance, parse_rule(rule))
        assert outcome.validity == outcome.diversity == outcome.recall == outcome.precision == 1


@settings(max_examples=30, deadline=None)
@given(some.instances(), st.integers(1, 5))
def test_the_number_of_a_block_does_not_matter(instance: some.Instance, size: int) -> None:
    trie = instance.trie()
    rules = [
        parse_rule(text) for text in ("temperature=1.5,top_p=0.8", "temperature=2,oracle_size", "xtc=0.1:0.5")
    ]
    whole = outcomes(trie, instance.blocks(trie, size=len(trie)), rules)
    parts = outcomes(trie, instance.blocks(trie, size=size)[::-1], rules, memory=1)
    for one, other in zip(whole, parts, strict=True):
        assert one.rule == other.rule
        np.testing.assert_array_equal(one.edge_logp, other.edge_logp)
        np.testing.assert_array_equal(one.edge_uniform_logp, other.edge_uniform_logp)
        np.testing.assert_array_equal(one.edge_event_logp, other.edge_event_logp)


# The end is one event


def end_of_several_tokens() -> some.Instance:
    """Token 0 is an answer, alone or followed by 1; tokens 2 and 3 end it."""
    logits = {
        (): np.log([0.5, 0.1, 0.1, 0.1, 0.2]),
        (0,): np.log([0.1, 0.2, 0.3, 0.15, 0.25]),
        (0, 1): np.log([0.1, 0.2, 0.3, 0.15, 0.25]),
    }
    answers = (((0, END),), ((0, 1, END),))
    return some.Instance(answers, (2, 3), {u: row.astype(np.float32) for u, row in logits.items()})


def test_end_tokens_add_up() -> None:
    outcome = outcome_of(end_of_several_tokens(), parse_rule("temperature=1"))
    assert np.exp(outcome.answer_logp) == pytest.approx([0.5 * 0.45, 0.5 * 0.2 * 0.45])


def test_a_rule_acts_on_the_real_end_tokens() -> None:
    """Top 3 after token 0: 2 (an end), 4, 1; the other end token is cut."""
    outcome = outcome_of(end_of_several_tokens(), parse_rule("top_k=3"))
    kept = 0.3 + 0.25 + 0.2
    first = 0.5 / (0.5 + 0.2 + 0.1 + 0.1 + 0.1)  # three tokens tie in the third place
    assert np.exp(outcome.answer_logp) == pytest.approx(
        [first * 0.3 / kept, first * 0.2 / kept * 0.3 / kept], rel=1e-6
    )


def test_precision_counts_tokens_and_event_precision_events() -> None:
    outcome = outcome_of(end_of_several_tokens(), parse_rule("temperature=1"))
    # Of 5 tokens 2 are the end; of 4 events 1 is.
    assert outcome.precision == pytest.approx(1 / 5 * 2 / 5 + 1 / 5 * 1 / 5 * 2 / 5)
    first = outcome.edge_event_logp[1]
    assert outcome.event_precision == pytest.approx(math.exp(first) * (1 / 4 + 1 / 4 * 1 / 4))


def test_an_end_that_is_not_valid_is_one_event_too() -> None:
    """At the root no answer ends: its two end tokens are one invalid event of four."""
    outcome = outcome_of(end_of_several_tokens(), parse_rule("temperature=1"))
    assert math.exp(outcome.edge_event_logp[1]) == pytest.approx(1 / 4)


def test_oracle_size_keeps_all_tokens_of_the_end() -> None:
    """After token 0 two events are valid: the top two are the end (0.3 and, below the cut, 0.15) and 4."""
    outcome = outcome_of(end_of_several_tokens(), parse_rule("oracle_size"))
    assert np.exp(outcome.answer_logp) == pytest.approx([0.45 / 0.7, 0], rel=1e-6)


# Surfaces


def test_surfaces_of_an_answer_add_up() -> None:
    answers = (((0, 1), (2,)), ((0, 3),))
    logits = {
        (): np.log([0.4, 0.2, 0.3, 0.1]).astype(np.float32),
        (0,): np.log([0.1, 0.5, 0.1, 0.3]).astype(np.float32),
    }
    instance = some.Instance(answers, (), logits)
    outcome = outcome_of(instance, parse_rule("temperature=1"))
    assert outcome.trie.weight[0] == 2
    assert np.exp(outcome.answer_logp) == pytest.approx([0.4 * 0.5 + 0.3, 0.4 * 0.3])
    # Half an answer stands behind token 2, one and a half behind token 0.
    shape = outcome_of(instance, parse_rule("oracle_shape"))
    assert np.exp(shape.answer_logp) == pytest.approx([0.25 + 0.75 / 3, 0.75 * 2 / 3])
    assert outcome_of(instance, parse_rule("top_k=1")).recall == 0.5
    assert outcome_of(instance, parse_rule("top_k=1")).local_recall[0] == 0.75


# Oracles


def mixture_of_oracle(
    instance: some.Instance, oracle: str, t: float
) -> Callable[[naive.Tokens], naive.Mixture]:
    keep = {"oracle_size": naive.oracle_size, "oracle_validity": naive.oracle_validity}[oracle]

    def at(prefix: naive.Tokens) -> naive.Mixture:
        law = keep(instance.law(prefix), instance.answers, prefix, instance.end_tokens)
        return naive.apply_steps(law, [("temperature", t)]) if law else []

    return at


@pytest.mark.parametrize("oracle", ["oracle_size", "oracle_validity"])
@settings(max_examples=80, deadline=None)
@given(instance=some.instances(), t=some.TEMPERATURES)
def test_oracles_are_their_definitions(oracle: str, instance: some.Instance, t: float) -> None:
    expected = Expected(instance, mixture_of_oracle(instance, oracle, t))
    assert_matches(outcome_of(instance, parse_rule(f"temperature={t},{oracle}")), expected)


@settings(max_examples=60, deadline=None)
@given(some.instances(), some.TEMPERATURES)
def test_oracle_validity_is_always_valid(instance: some.Instance, t: float) -> None:
    outcome = outcome_of(instance, parse_rule(f"temperature={t},oracle_validity"))
    assert outcome.validity == pytest.approx(1)
    assert outcome.recall == 1
    assert outcome.precision == pytest.approx(1)
    assert outcome.event_precision == pytest.approx(1)


@settings(max_examples=60, deadline=None)
@given(some.instances(forbidden=True))
def test_oracle_shape_is_perfect(instance: some.Instance) -> None:
    outcome = outcome_of(instance, parse_rule("oracle_shape"))
    assert outcome.validity == pytest.approx(1)
    assert outcome.diversity == pytest.approx(1)
    assert outcome.recall == 1
    np.testing.assert_allclose(outcome.answer_logp, -math.log(len(instance.answers)), atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(some.instances(), st.sampled_from(["oracle_size", "oracle_validity"]))
def test_a_greedy_oracle_follows_the_best_event(instance: some.Instance, oracle: str) -> None:
    outcome = outcome_of(instance, parse_rule(f"temperature=0,{oracle}"))
    assert set(np.exp(outcome.reach_logp)) <= {0.0, 1.0}
    for prefix, row in instance.logits.items():
        law, ends = instance.law(prefix), instance.end_tokens
        if oracle == "oracle_validity":
            law = naive.oracle_validity(law, instance.answers, prefix, ends)
        best = naive.event_ranking(law, ends)[0]
        for node in outcome.trie.children(node_of(outcome, prefix)):
            assert outcome.edge_logp[node] == (0 if outcome.trie.token[node] == best else -np.inf)
        assert len(row)


def node_of(outcome: Outcome, prefix: naive.Tokens) -> int:
    return next(node for node in range(len(outcome.trie)) if tuple(outcome.trie.path(node)) == prefix)


@settings(max_examples=200, deadline=None)
@given(some.instances(ties=False))
def test_oracle_size_is_valid_at_any_temperature_iff_every_reached_prefix_is_in_order(
    instance: some.Instance,
) -> None:
    # Hot enough for float64 to see an invalid token beside a valid one 100 nats above it.
    results = [outcome_of(instance, parse_rule(f"temperature={t},oracle_size")) for t in (10, 1000)]
    reached = [
        tuple(results[0].trie.path(int(node)))
        for node in results[0].trie.prefixes
        if np.isfinite(results[0].reach_logp[node])
    ]
    in_order = all(
        naive.is_order_calibrated(instance.law(prefix), instance.answers, prefix, instance.end_tokens)
        for prefix in reached
    )
    assert [result.validity > 1 - 1e-12 for result in results] == [in_order, in_order]


# Laws


@settings(max_examples=100, deadline=None)
@given(some.instances(forbidden=True), some.PIPELINES)
def test_bounds(instance: some.Instance, steps: list[naive.Step]) -> None:
    outcome = outcome_of(instance, some.rule_of(steps))
    n = len(instance.answers)
    for value in (outcome.validity, outcome.recall, outcome.precision, outcome.event_precision):
        assert 0 <= value <= 1
    assert math.isnan(outcome.diversity) == (outcome.recall == 0)
    if outcome.recall:
        assert 1 / n - 1e-12 <= outcome.diversity <= outcome.recall + 1e-12
    assert (
        0 <= outcome.distinct(10) <= n * -math.expm1(10 * math.log1p(-1 / n) if n > 1 else -math.inf) + 1e-9
    )
    assert (outcome.leak >= 0).all()


# On the sketch


def wide_instance(shape: str) -> some.Instance:
    """Four answers on 20,000 tokens; valid tokens stand in the head and deep in the tail."""
    random = np.random.default_rng(1)
    vocab, ends = 20_000, (7, 19_000)

    def row() -> NDArray[np.float32]:
        noise = random.standard_t(5, vocab) if shape == "heavy" else random.normal(size=vocab)
        if shape == "padded":
            noise[random.permutation(vocab)[:5000]] = -np.inf
        return (2 * noise).astype(np.float32)

    first = row()
    order = np.argsort(-first, kind="stable")
    a, b, c = (int(order[rank]) for rank in (3, 300, 9000))
    answers = (((a, END),), ((a, b, END),), ((c, END),), ((b, c),))
    prefixes: list[naive.Tokens] = [(), (a,), (a, b), (b,), (c,)]
    return some.Instance(answers, ends, {u: first if not u else row() for u in prefixes})


SKETCHED: list[tuple[list[naive.Step], bool]] = [
    ([("temperature", 0.1)], False),
    ([("temperature", 0.3)], False),
    ([("temperature", 1.0)], False),
    ([("temperature", 2.0)], False),
    ([("temperature", 5.0)], False),
    ([("temperature", 1.0), ("top_k", 500)], False),
    ([("temperature", 5.0), ("top_k", 9000)], True),
    ([("temperature", 0.3), ("top_p", 0.9)], False),
    ([("temperature", 2.0), ("top_p", 0.95)], True),
    ([("temperature", 1.0), ("min_p", 0.1)], False),
    ([("temperature", 5.0), ("min_p", 0.2)], True),
    ([("temperature", 1.0), ("epsilon_cutoff", 1e-3)], False),
    ([("temperature", 5.0), ("epsilon_cutoff", 3e-5)], True),
    ([("temperature", 5.0), ("eta_cutoff", 0.05)], True),
    ([("top_n_sigma", 1.0), ("temperature", 2.0)], None),
    ([("top_n_sigma", 3.0), ("temperature", 2.0)], None),
    ([("temperature", 2.0), ("typical_p", 0.9)], True),
    ([("temperature", 1.0), ("top_h", 0.5)], False),
    ([("temperature", 1.0), ("xtc", (0.001, 0.5))], False),
]


@pytest.mark.parametrize("shape", ["normal", "heavy", "padded"])
@pytest.mark.parametrize(
    ("steps", "in_tail"), SKETCHED, ids=lambda v: some.written(v) if isinstance(v, list) else ""
)
def test_the_sketch(steps: list[naive.Step], in_tail: bool | None, shape: str) -> None:
    """Close to the definition; as exact as the normaliser where no cut falls into the tail."""
    instance = wide_instance(shape)
    mixture = {u: naive.apply_steps(instance.law(u), steps) for u in instance.logits}
    expected = Expected(instance, mixture.__getitem__)
    outcome = outcome_of(instance, some.rule_of(steps))
    logps = naive.answer_logps(instance.answers, expected.edge_logp)
    if shape != "heavy" and in_tail is not None:
        assert outcome.cut_in_tail == in_tail
    # Segments are finest at the vocabulary's own end, and less fine where padding moves it.
    whole = 1e-4 if shape == "padded" else 3e-6
    tolerance = 1e-3 if outcome.cut_in_tail else whole
    assert outcome.validity == pytest.approx(naive.validity(logps), rel=tolerance, abs=tolerance)
    for u in instance.logits:
        node = node_of(outcome, u)
        if not np.isfinite(outcome.reach_logp[node]):
            continue  # `cut_in_tail` speaks of the prefixes that the rule reaches
        for child in outcome.trie.children(node):
            found = math.exp(outcome.edge_logp[child])
            q = math.exp(expected.edge_logp(u, int(outcome.trie.token[child])))
            assert found == pytest.approx(q, abs=tolerance)
            if not outcome.cut_in_tail:
                assert found == pytest.approx(q, rel=tolerance)


@pytest.mark.parametrize("t", [0.3, 1.0, 5.0])
def test_oracle_size_beyond_the_head(t: float) -> None:
    """4,500 valid tokens of 6,000: the oracle's cut falls into the tail."""
    random = np.random.default_rng(2)
    row = random.normal(0, 2, 6000).astype(np.float32)
    valid = np.sort(np.concatenate([np.argsort(-row)[:4300], np.argsort(row)[:200]])).tolist()
    instance = some.Instance(tuple(((token,),) for token in valid), (), {(): row})
    outcome = outcome_of(instance, parse_rule(f"temperature={t},oracle_size"))
    top = sorted(row.tolist(), reverse=True)[:4500]
    law = naive.apply_steps(dict(enumerate(top)), [("temperature", t)])[0][1]
    # The 200 least likely tokens are valid and cut; the top 4,300 stay.
    kept = math.fsum(list(naive.softmax(law).values())[:4300])
    assert outcome.cut_in_tail
    assert outcome.validity == pytest.approx(kept, abs=1e-3)
    assert outcome.recall == pytest.approx(4300 / 4500)
