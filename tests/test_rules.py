"""Rules on one distribution, against their definitions on an explicit list of tokens."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import naive
import strategies as some
from breadth.errors import RuleError
from breadth.grid import default_grid, oracle_grid, paper_grid
from breadth.mass import Masses
from breadth.ranked import rank_logits
from breadth.rules import ENGINES, ORACLES, STEPS, Rule, default_rule, parse_rule, parse_rules
from breadth.trie import build_trie

ROOT_ONLY = build_trie([(0,)], [0], n_answers=1)


def kept(rule: Rule, row: NDArray[np.float32]) -> list[tuple[float, dict[int, float]]]:
    """What a rule keeps of one row of logits, all of it in the head: (probability, token → ln q)."""
    ranked = rank_logits(np.array([0]), row[None, :], ROOT_ONLY, head=len(row), named=len(row))
    masses = Masses(ranked)
    mixture = []
    for window in rule.windows(masses):
        if window.weight == 0:
            continue
        tokens = ranked.head_token[0, window.low[0] : window.high[0]]
        gap = float(row.max()) - row[tokens].astype(np.float64) - window.cumulative(masses).anchor[0]
        logp = -window.beta * gap - np.log(window.mass(masses)[0])
        law = {int(token): float(value) for token, value in zip(tokens, logp, strict=True) if value > -np.inf}
        mixture.append((window.weight, law))
    return mixture


def assert_same(
    rule: Rule, row: NDArray[np.float32], steps: list[naive.Step], *, certain: bool = False
) -> None:
    law = naive.law_of(row.tolist())
    if not certain:
        assume(not naive.is_doubtful(law, steps))
    expected = naive.apply_steps(law, steps)
    found = kept(rule, row)
    assert [weight for weight, _ in found] == pytest.approx([weight for weight, _ in expected], abs=1e-12)
    for (_, mine), (_, theirs) in zip(found, expected, strict=True):
        assert set(mine) == set(theirs)
        for token, logp in naive.log_softmax(theirs).items():
            assert math.exp(mine[token]) == pytest.approx(math.exp(logp), abs=1e-9)
            assert mine[token] == pytest.approx(logp, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", some.NAMES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_every_step_is_its_definition(name: str, data: st.DataObject) -> None:
    row = data.draw(some.logit_rows())[0]
    steps = [data.draw(some.steps_named(name))]
    assert_same(some.rule_of(steps), row, steps)


@settings(max_examples=300, deadline=None)
@given(some.logit_rows(), some.PIPELINES)
def test_steps_apply_left_to_right(logits: NDArray[np.float32], steps: list[naive.Step]) -> None:
    assert_same(some.rule_of(steps), logits[0], steps)


ORDERS = {
    "transformers": "temperature top_h top_k top_p min_p typical_p epsilon_cutoff eta_cutoff",
    "vllm": "temperature min_p top_k top_p",
    "llama.cpp": "top_n_sigma top_k typical_p top_p min_p xtc temperature",
}
"""Facts about the engines: what each one applies, first to last."""


@pytest.mark.parametrize("engine", ORDERS)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_an_engine_sets_the_order(engine: str, data: st.DataObject) -> None:
    row = data.draw(some.logit_rows())[0]
    steps = data.draw(some.pipelines_in_order(ORDERS[engine].split()))
    shuffled = data.draw(st.permutations(steps))
    exactly = engine == "llama.cpp"
    expected = [("exact_top_k" if exactly and name == "top_k" else name, value) for name, value in steps]
    assert_same(some.rule_of(shuffled, engine), row, expected)


@pytest.mark.parametrize("name", some.NAMES)
@settings(max_examples=4, deadline=None)
@given(data=st.data())
def test_a_few_thousand_tokens(name: str, data: st.DataObject) -> None:
    row = data.draw(some.logit_rows(vocab=3000))[0]
    steps = [data.draw(some.steps_named("temperature")), data.draw(some.steps_named(name))]
    assert_same(some.rule_of(steps), row, steps)


# Written orders against each other


@settings(max_examples=50, deadline=None)
@given(some.logit_rows(), st.floats(0.01, 0.9), st.sampled_from([0.5, 2.0, 3.0]))
def test_min_p_before_temperature_is_min_p_to_the_power_of_t_after_it(
    logits: NDArray[np.float32], share: float, t: float
) -> None:
    law = naive.law_of(logits[0].tolist())
    assume(not naive.is_doubtful(law, [("min_p", share)]))
    before = parse_rule(f"min_p={share!r},temperature={t}")
    # Raised to a power the share may leave (0, 1) of float64's grid; the doubt above covers the cut.
    after = parse_rule(f"temperature={t},min_p={share ** (1 / t)!r}")
    assert set(kept(before, logits[0])[0][1]) == set(kept(after, logits[0])[0][1])


@settings(max_examples=50, deadline=None)
@given(some.logit_rows(), st.floats(0.05, 4), some.TEMPERATURES)
def test_top_n_sigma_does_not_depend_on_temperature(logits: NDArray[np.float32], n: float, t: float) -> None:
    assume(not naive.is_doubtful(naive.law_of(logits[0].tolist()), [("top_n_sigma", n)]))
    first = kept(parse_rule(f"top_n_sigma={n!r},temperature={t}"), logits[0])
    last = kept(parse_rule(f"temperature={t},top_n_sigma={n!r}"), logits[0])
    assert first[0][1] == last[0][1]


# Exact edges of the parameters' ranges


@pytest.mark.parametrize(
    ("rule", "tokens"),
    [
        ("temperature=0", {1}),
        ("top_k=1", {1, 3}),  # tied with the first
        ("top_k=3", {0, 1, 3, 4}),
        ("top_k=1000", {0, 1, 2, 3, 4}),
        ("top_k=0", {0, 1, 2, 3, 4}),
        ("top_p=0", {1}),
        ("top_p=1", {0, 1, 2, 3, 4}),
        ("min_p=1", {1, 3}),
        ("min_p=0", {0, 1, 2, 3, 4}),
        ("top_h=1", {0, 1, 2, 3, 4}),
        ("typical_p=1", {0, 1, 2, 3, 4}),
        ("epsilon_cutoff=0.9", {1, 3}),
        ("epsilon_cutoff=0", {0, 1, 2, 3, 4}),
        ("top_n_sigma=0", {0, 1, 2, 3, 4}),
        ("top_k=3,temperature=0", {1}),
        ("xtc=0.2:1,temperature=0", {3}),
        ("xtc=0.6:1", {0, 1, 2, 3, 4}),
    ],
)
def test_edges(rule: str, tokens: set[int]) -> None:
    row = np.array([1, 2, 0, 2, 1], dtype=np.float32)
    ((weight, law),) = kept(parse_rule(rule), row)
    assert weight == 1
    assert set(law) == tokens


def test_llama_cpp_keeps_exactly_k() -> None:
    row = np.array([1, 2, 0, 2, 1], dtype=np.float32)
    assert set(kept(parse_rule("top_k=1", "llama.cpp"), row)[0][1]) == {1}
    assert set(kept(parse_rule("top_k=3", "llama.cpp"), row)[0][1]) == {0, 1, 3}


def test_typical_can_drop_the_most_likely_token() -> None:
    row = np.log(np.array([0.4] + [0.06] * 10, dtype=np.float32))
    assert 0 not in kept(parse_rule("typical_p=0.5"), row)[0][1]


def test_xtc_is_a_mixture() -> None:
    row = np.log(np.array([0.5, 0.3, 0.15, 0.05], dtype=np.float32))
    (whole, left) = kept(parse_rule("xtc=0.1:0.3"), row)
    assert (whole[0], left[0]) == pytest.approx((0.7, 0.3))
    assert set(whole[1]) == {0, 1, 2, 3}
    assert {token: math.exp(logp) for token, logp in left[1].items()} == pytest.approx({2: 0.75, 3: 0.25})


@pytest.mark.parametrize("rule", ["temperature=0.5,top_p=0.9", "xtc=0.1:0.5", "typical_p=0.5", "top_h=0.5"])
@pytest.mark.parametrize("row", [[3.0], [0.0, 0.0, 0.0], [5.0, -np.inf, -np.inf]])
def test_one_token_ties_and_forbidden_tokens(rule: str, row: list[float]) -> None:
    for _, law in kept(parse_rule(rule), np.array(row, dtype=np.float32)):
        assert math.fsum(map(math.exp, law.values())) == pytest.approx(1)


@pytest.mark.parametrize("t", [0.001, 0.01, 1000])
def test_extreme_temperatures_stay_finite(t: float) -> None:
    row = np.linspace(0, -60, 30).astype(np.float32)
    assert_same(parse_rule(f"temperature={t}"), row, [("temperature", t)], certain=True)
    law = kept(parse_rule(f"temperature={t}"), row)[0][1]
    assert len(law) == 30
    assert all(math.isfinite(logp) for logp in law.values())


LATE_TEMPERATURES: list[list[naive.Step]] = [
    [("xtc", (0.2, 1.0)), ("temperature", 0.01)],
    [("xtc", (0.2, 0.5)), ("temperature", 0.001)],
    [("xtc", (0.05, 1.0)), ("temperature", 0.1), ("eta_cutoff", 0.1)],
    [("xtc", (0.2, 1.0)), ("temperature", 0.02), ("typical_p", 0.9)],
    [("xtc", (0.2, 1.0)), ("temperature", 0.02), ("top_p", 0.9)],
    [("xtc", (0.2, 1.0)), ("temperature", 0.02), ("epsilon_cutoff", 0.01)],
    [("xtc", (0.2, 1.0)), ("temperature", 0.01), ("xtc", (0.2, 0.5))],
    [("xtc", (0.2, 1.0)), ("temperature", 0.01), ("top_h", 0.5)],
    [("typical_p", 0.2), ("temperature", 0.01), ("min_p", 0.01)],
]


@pytest.mark.parametrize("steps", LATE_TEMPERATURES, ids=some.written)
@pytest.mark.parametrize("p", [[0.6, 0.3, 0.07, 0.03], [0.4] + [0.06] * 10, [0.35, 0.3, 0.2, 0.1, 0.05]])
def test_a_low_temperature_after_the_top_was_dropped(steps: list[naive.Step], p: list[float]) -> None:
    """Beside the dropped tokens the kept ones weigh nothing; among themselves they weigh 1."""
    assert_same(some.rule_of(steps), np.log(np.array(p, dtype=np.float32)), steps, certain=True)


# Reading and writing


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    engine = draw(st.sampled_from([None, *ENGINES]))
    steps = draw(some.PIPELINES if engine is None else some.pipelines_in_order(ENGINES[engine].order))
    return some.rule_of(steps, engine)


NEUTRAL = ["top_k=0", "top_p=1", "min_p=0", "typical_p=1", "xtc=0.9:1", "epsilon_cutoff=0,top_k=0"]


@settings(max_examples=200, deadline=None)
@given(rules() | st.sampled_from(NEUTRAL).map(parse_rule))
@example(parse_rule("temperature=0"))
def test_a_rule_reads_back(rule: Rule) -> None:
    assert parse_rule(str(rule), rule.engine) == rule
    assert str(parse_rule(str(rule), rule.engine)) == str(rule)


@pytest.mark.parametrize("rule", [*default_grid(), *oracle_grid(), *paper_grid("vllm")], ids=str)
def test_the_grid_reads_back(rule: Rule) -> None:
    assert parse_rule(str(rule), rule.engine) == rule


def test_the_papers_grid() -> None:
    texts = [str(rule) for rule in paper_grid()]
    assert len(texts) == len(set(texts)) == 12 * 16
    assert "temperature=0.01" in texts
    assert "temperature=3,top_k=500" in texts
    assert "temperature=2.5,min_p=0.9" in texts


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("temperature=1.50, min_p=.1", "temperature=1.5,min_p=0.1"),
        (" top_k = 50 ", "top_k=50"),
        ("temperature=2,top_k=0,top_p=1", "temperature=2"),
        ("xtc=.1:.5", "xtc=0.1:0.5"),
        ("temperature=2,oracle_size", "temperature=2,oracle_size"),
        ("oracle_shape", "oracle_shape"),
        ("transformers", "temperature=1,top_k=50"),
        ("vllm", "temperature=1"),
        ("llama.cpp", "top_k=40,top_p=0.95,min_p=0.05,temperature=0.8"),
    ],
)
def test_canonical_strings(text: str, canonical: str) -> None:
    assert str(parse_rule(text)) == canonical


def test_a_preset_is_its_own_engine() -> None:
    assert parse_rule("llama.cpp").engine == "llama.cpp"
    assert set(ENGINES) == set(ORDERS)


@pytest.mark.parametrize(
    ("text", "engine", "message"),
    [
        ("top-k=3", None, "did you mean top_k"),
        ("temprature=3", None, "did you mean temperature"),
        ("oracle_sise", None, "did you mean oracle_size"),
        ("nonsense=3", None, "nonsense"),
        ("", None, "empty"),
        ("top_k=3,", None, "empty"),
        ("top_k", None, "top_k needs a value"),
        ("top_k=", None, "top_k needs a value"),
        ("top_k=2.5", None, "top_k=2.5"),
        ("top_k=-1", None, "top_k=-1"),
        ("top_k=inf", None, "top_k=inf"),
        ("top_k=many", None, "top_k=many"),
        ("temperature=nan", None, "temperature=nan"),
        ("temperature=inf", None, "temperature=inf"),
        ("temperature=-1", None, "temperature=-1"),
        ("temperature=1e-9", None, "temperature=1e-9"),
        ("top_p=1.1", None, "top_p=1.1"),
        ("top_p=-0.1", None, "top_p=-0.1"),
        ("min_p=nan", None, "min_p=nan"),
        ("min_p=2", None, "min_p=2"),
        ("typical_p=0", None, "typical_p=0"),
        ("epsilon_cutoff=1", None, "epsilon_cutoff=1"),
        ("eta_cutoff=-1", None, "eta_cutoff=-1"),
        ("top_h=0", None, "top_h=0"),
        ("top_h=1.5", None, "top_h=1.5"),
        ("top_n_sigma=-1", None, "top_n_sigma=-1"),
        ("top_n_sigma=inf", None, "top_n_sigma=inf"),
        ("xtc=0.1", None, "threshold:probability"),
        ("xtc=0.1:", None, "threshold:probability"),
        ("xtc=0.1:2", None, "xtc=0.1:2"),
        ("xtc=nan:0.5", None, "xtc=nan:0.5"),
        ("xtc=0.1:0.5:0.5", None, "xtc=0.1:0.5:0.5"),
        ("oracle_size,temperature=1", None, "oracle_size must come last"),
        ("oracle_size,oracle_shape", None, "oracle_size must come last"),
        ("oracle_size=1", None, "oracle_size takes no parameter"),
        ("top_k=3,oracle_size", None, "only temperature may come before oracle_size"),
        ("top_k=3,top_k=4", "transformers", "given twice"),
        ("temperature=1,temperature=1", "llama.cpp", "given twice"),
        ("xtc=0.1:0.5", "transformers", "transformers has no xtc"),
        ("typical_p=0.5", "vllm", "vllm has no typical_p"),
        ("top_h=0.5", "llama.cpp", "llama.cpp has no top_h"),
        ("top_k=3", "ollama", "ollama"),
    ],
)
def test_refusals_name_what_is_wrong(text: str, engine: str | None, message: str) -> None:
    with pytest.raises(RuleError) as caught:
        parse_rule(text, engine)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_status == 2


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="temprauokhinsgxcly_=,.0123456789:-", max_size=30), st.sampled_from([None, *ENGINES]))
def test_any_text_is_a_rule_or_a_rule_error(text: str, engine: str | None) -> None:
    try:
        rule = parse_rule(text, engine)
    except RuleError:
        return
    assert parse_rule(str(rule), rule.engine) == rule


def test_several_rules_in_order() -> None:
    texts = ["temperature=1", "top_k=3", "oracle_shape"]
    assert [str(rule) for rule in parse_rules(texts)] == texts


def test_every_step_is_described() -> None:
    for name, step in STEPS.items():
        assert step.name == name
        assert step.accepts
        assert step.summary
    assert set(ORACLES) == {"oracle_size", "oracle_validity", "oracle_shape"}


@pytest.mark.parametrize(
    ("text", "family", "temperature"),
    [
        ("temperature=1.5,min_p=0.1", "min_p", 1.5),
        ("temperature=2", "temperature", 2),
        ("top_k=3,top_p=0.5", "top_k+top_p", 1),
        ("temperature=2,temperature=3", "temperature", 6),
        ("temperature=0,top_k=3", "top_k", 0),
        ("temperature=2,oracle_size", "oracle_size", 2),
    ],
)
def test_family_and_temperature(text: str, family: str, temperature: float) -> None:
    rule = parse_rule(text)
    assert rule.family == family
    assert rule.temperature == temperature


def test_the_default_rule_is_transformers_under_the_models_own_settings() -> None:
    assert str(default_rule({})) == "temperature=1,top_k=50"
    own = {"top_p": 0.8, "temperature": 0.7, "top_k": 20, "repetition_penalty": 1.05}
    assert str(default_rule(own)) == "temperature=0.7,top_k=20,top_p=0.8"
    assert str(default_rule({"top_k": 0, "top_p": 1.0})) == "temperature=1"
    assert default_rule({}).engine == "transformers"


def test_temperatures_may_not_multiply_out_of_range() -> None:
    with pytest.raises(RuleError, match="temperature"):
        parse_rule("temperature=1000,temperature=1000")
    assert parse_rule("temperature=1000,temperature=0.01").temperature == pytest.approx(10)


def test_a_generation_config_of_another_spelling() -> None:
    assert str(default_rule({"top_k": -1, "temperature": 0.6})) == "temperature=0.6"
    with pytest.raises(RuleError, match="the model's own generation config cannot be followed: top_p=7"):
        default_rule({"top_p": 7})
