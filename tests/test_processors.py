"""Rules against the processors of the installed `transformers`, in its order, fed float64."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import naive
import strategies as some
from breadth.mass import Masses
from breadth.ranked import HEAD, Ranked, rank_logits
from breadth.rules import ENGINES, Rule, default_rule, parse_rule
from breadth.trie import build_trie

torch = pytest.importorskip("torch")
generation = pytest.importorskip("transformers.generation.logits_process")

ROOT_ONLY = build_trie([(0,)], [0], n_answers=1)

PROCESSORS = {
    "temperature": generation.TemperatureLogitsWarper,
    "top_h": generation.TopHLogitsWarper,
    "top_k": generation.TopKLogitsWarper,
    "top_p": generation.TopPLogitsWarper,
    "min_p": generation.MinPLogitsWarper,
    "typical_p": generation.TypicalLogitsWarper,
    "epsilon_cutoff": generation.EpsilonLogitsWarper,
    "eta_cutoff": generation.EtaLogitsWarper,
}


def processed(steps: Iterable[naive.Step], logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Ln q of every token after the real processors; −inf where they drop it."""
    scores = torch.tensor(logits, dtype=torch.float64)
    for name, value in steps:
        scores = PROCESSORS[name](int(value) if name == "top_k" else float(value))(None, scores)
    return torch.log_softmax(scores, dim=-1).numpy()


def ours(rule: Rule, ranked: Ranked) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Ln q by rank, −inf where it is dropped, and the token at each rank; all of it in the head."""
    masses = Masses(ranked)
    (window,) = rule.windows(masses)
    rank = np.arange(ranked.vocab_size)
    gap = ranked.knot_gap - window.cumulative(masses).anchor[:, None]
    logp = -window.beta * gap - np.log(window.mass(masses))[:, None]
    kept = (rank >= window.low[:, None]) & (rank < window.high[:, None])
    forbidden = np.isneginf(ranked.head_logit)
    return np.where(kept & ~forbidden, logp, -np.inf), ranked.head_token


def assert_same(rule: Rule, steps: list[naive.Step], logits: NDArray[np.float32]) -> None:
    """Equal kept sets but for tokens tied at the cut of a sorting step, and equal probabilities."""
    n, vocab = logits.shape
    ranked = rank_logits(np.zeros(n, dtype=np.int64), logits, ROOT_ONLY, head=vocab, named=vocab)
    found, token = ours(rule, ranked)
    expected = processed(steps, logits)
    # Tokens with equal logits are interchangeable: what each logit's tokens have together is compared.
    assert np.isfinite(found).sum(axis=1).tolist() == np.isfinite(expected).sum(axis=1).tolist()
    by_rank = np.take_along_axis(expected, token.astype(np.int64), axis=1)
    value = ranked.head_logit
    same_place = np.isfinite(found) == np.isfinite(by_rank)
    for row, column in zip(*np.nonzero(~same_place), strict=True):
        tied = value[row] == value[row, column]
        assert tied.sum() > 1
        assert np.isfinite(found[row, tied]).sum() == np.isfinite(by_rank[row, tied]).sum()
    # Ascending, the values of a row agree whichever of the tied tokens were kept.
    np.testing.assert_allclose(
        np.exp(np.sort(found, axis=1)), np.exp(np.sort(expected, axis=1)), rtol=0, atol=1e-9
    )


def clear(steps: list[naive.Step], logits: NDArray[np.float32]) -> bool:
    return not any(naive.is_doubtful(naive.law_of(row.tolist()), steps) for row in logits)


@pytest.mark.parametrize("name", PROCESSORS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_processor(name: str, data: st.DataObject) -> None:
    logits = data.draw(some.logit_rows(rows=3))
    steps = [data.draw(some.steps_named(name))]
    assume(clear(steps, logits))
    assert_same(some.rule_of(steps), steps, logits)


@settings(max_examples=150, deadline=None)
@given(some.logit_rows(rows=2), some.pipelines_in_order(ENGINES["transformers"].order))
def test_processors_in_order(logits: NDArray[np.float32], steps: list[naive.Step]) -> None:
    assume(clear(steps, logits))
    assert_same(some.rule_of(steps[::-1], "transformers"), steps, logits)


WORDS: list[list[naive.Step]] = [
    [("temperature", 0.7)],
    [("top_h", 0.4)],
    [("top_k", 50)],
    [("top_p", 0.9)],
    [("min_p", 0.05)],
    [("typical_p", 0.9)],
    [("epsilon_cutoff", 3e-4)],
    [("eta_cutoff", 3e-4)],
    [("temperature", 0.3), ("top_p", 0.95)],
    [("temperature", 1.5), ("min_p", 0.1)],
    [("temperature", 2.0), ("top_k", 500), ("top_p", 0.9), ("typical_p", 0.8)],
    [("temperature", 3.0), ("top_k", 3000), ("epsilon_cutoff", 1e-5), ("eta_cutoff", 1e-4)],
    [("temperature", 1.3), ("top_h", 0.7), ("top_p", 0.95), ("min_p", 0.02)],
]


@pytest.mark.parametrize("steps", WORDS, ids=some.written)
@pytest.mark.parametrize("heavy", [False, True])
def test_a_vocabulary_that_fits_into_the_head(steps: list[naive.Step], heavy: bool) -> None:
    random = np.random.default_rng(7)
    noise = random.standard_t(4, (4, 4096)) if heavy else random.normal(size=(4, 4096))
    assert_same(some.rule_of(steps, "transformers"), steps, (noise * 2.5).astype(np.float32))


# Real logits


@pytest.fixture(scope="module")
def real_logits() -> NDArray[np.float32]:
    """What SmolLM2 says after a few prompts: float32 (5, 49152)."""
    from breadth.models.load import load_model

    model = load_model("smollm2-135m", dtype="float32", device="cpu")
    prompts = [
        "Randomly name a US state: ",
        "A random digit from 0 to 9:",
        "Once upon a time, there",
        "def fibonacci(n):\n",
        "The capital of France is",
    ]
    return np.stack([model.next_logits(tokens) for tokens in model.tokenizer.encode(prompts)])


REAL = [
    *WORDS,
    *(
        [("temperature", t), step]
        for t in (0.3, 1.0, 2.0, 5.0)
        for step in [
            ("top_k", 20_000.0),
            ("top_p", 0.95),
            ("min_p", 0.01),
            ("typical_p", 0.2),
            ("typical_p", 0.9),
            ("epsilon_cutoff", 1e-5),
            ("eta_cutoff", 3e-4),
            ("top_h", 0.4),
        ]
    ),
]


@pytest.mark.model
@pytest.mark.parametrize("steps", REAL, ids=some.written)
def test_real_logits_all_in_the_head(steps: list[naive.Step], real_logits: NDArray[np.float32]) -> None:
    assert_same(some.rule_of(steps, "transformers"), steps, real_logits)


@pytest.mark.model
@pytest.mark.parametrize("steps", REAL, ids=some.written)
def test_real_logits_on_the_sketch(steps: list[naive.Step], real_logits: NDArray[np.float32]) -> None:
    """Equal where the cut is in the head; elsewhere kept mass and probabilities within 1e-3."""
    n, vocab = real_logits.shape
    ranked = rank_logits(np.zeros(n, dtype=np.int64), real_logits, ROOT_ONLY)
    masses = Masses(ranked)
    (window,) = some.rule_of(steps, "transformers").windows(masses)
    anchor, log_mass = window.cumulative(masses).anchor, np.log(window.mass(masses))
    order = np.argsort(-real_logits, axis=1, kind="stable")
    gap = (real_logits.max(axis=1, keepdims=True) - np.take_along_axis(real_logits, order, axis=1)).astype(
        np.float64
    )
    rank = np.arange(vocab)
    kept = (rank >= window.low[:, None]) & (rank < window.high[:, None])
    found = np.where(kept, np.exp(-window.beta * (gap - anchor[:, None]) - log_mass[:, None]), 0.0)
    expected = np.exp(np.take_along_axis(processed(steps, real_logits), order, axis=1))
    in_tail = (window.low > HEAD) | ((window.high > HEAD) & (window.high < vocab))

    head, tail = ~in_tail, in_tail
    np.testing.assert_array_equal(kept[head].sum(axis=1), (expected[head] > 0).sum(axis=1))
    np.testing.assert_allclose(found[head], expected[head], rtol=0, atol=1e-9)
    np.testing.assert_allclose(found[tail], expected[tail], rtol=0, atol=1e-3)
    probability = np.exp(-window.beta * gap)
    probability /= probability.sum(axis=1, keepdims=True)
    mass = [np.where(some_kept, probability, 0.0).sum(axis=1) for some_kept in (kept, expected > 0)]
    np.testing.assert_allclose(mass[0], mass[1], rtol=0, atol=1e-3)


LLAMA_CPP: list[list[naive.Step]] = [
    [("top_n_sigma", 1.0), ("temperature", 2.0)],
    [("top_n_sigma", 3.0), ("exact_top_k", 40.0), ("min_p", 0.05), ("temperature", 0.8)],
    [("exact_top_k", 40.0), ("top_p", 0.95), ("min_p", 0.05), ("temperature", 0.8)],
    [("typical_p", 0.7), ("xtc", (0.05, 1.0)), ("temperature", 0.1)],
    [("xtc", (0.001, 1.0)), ("temperature", 1.5)],
]


@pytest.mark.model
@pytest.mark.parametrize("steps", LLAMA_CPP, ids=some.written)
def test_real_logits_as_llama_cpp_cuts_them(
    steps: list[naive.Step], real_logits: NDArray[np.float32]
) -> None:
    """Steps that transformers lacks, against their definitions on all 49,152 tokens."""
    n, vocab = real_logits.shape
    ranked = rank_logits(np.zeros(n, dtype=np.int64), real_logits, ROOT_ONLY, head=vocab, named=vocab)
    spelled: list[naive.Step] = [(name.removeprefix("exact_"), value) for name, value in steps]
    found, token = ours(some.rule_of(spelled, "llama.cpp"), ranked)
    for row in range(n):
        ((_, law),) = naive.apply_steps(naive.law_of(real_logits[row].tolist()), steps)
        kept = np.isfinite(found[row])
        assert set(token[row, kept].tolist()) == set(law)
        expected = naive.softmax(law)
        q = [expected[t] for t in token[row, kept].tolist()]
        np.testing.assert_allclose(np.exp(found[row, kept]), q, rtol=0, atol=1e-9)


# What `generate` itself does


def sampling_model() -> object:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=8,
            hidden_size=8,
            intermediate_size=8,
            num_hidden_layers=1,
            num_attention_heads=1,
            num_key_value_heads=1,
            pad_token_id=0,
        )
    )


def processors_of(**settings: float) -> list[object]:
    """What `generate` builds from a generation config."""
    from transformers import GenerationConfig

    config = GenerationConfig(do_sample=True, **settings)
    made = sampling_model()._get_logits_processor(config)  # type: ignore[attr-defined]
    known = tuple(PROCESSORS.values())
    return [processor for processor in made if isinstance(processor, known)]


def test_the_presets_order_is_the_one_that_generate_builds() -> None:
    everything = {
        "temperature": 0.5,
        "top_h": 0.5,
        "top_k": 5,
        "top_p": 0.5,
        "min_p": 0.5,
        "typical_p": 0.5,
        "epsilon_cutoff": 0.5,
        "eta_cutoff": 0.5,
    }
    name = {processor: name for name, processor in PROCESSORS.items()}
    found = [name[type(processor)] for processor in processors_of(**everything)]
    assert tuple(found) == ENGINES["transformers"].order


def test_the_presets_defaults_are_those_of_generate() -> None:
    """Nothing but top_k 50: that is what a sampling model without settings of its own uses."""
    from transformers import GenerationConfig

    model = sampling_model()
    config, _ = model._prepare_generation_config(GenerationConfig(do_sample=True))  # type: ignore[attr-defined]
    steps = {
        name: value for name in ENGINES["transformers"].order if (value := getattr(config, name)) is not None
    }
    assert default_rule(steps) == default_rule({}) == parse_rule("transformers")
    assert config.top_k == 50


def test_neutral_values_are_left_out_as_generate_leaves_them_out() -> None:
    assert processors_of(temperature=1.0, top_k=0, top_p=1.0, typical_p=1.0, epsilon_cutoff=0.0) == []
    rule = parse_rule("top_k=0,top_p=1,typical_p=1,epsilon_cutoff=0,eta_cutoff=0", "transformers")
    assert all(step.name == "temperature" and math.isclose(step.value, 1) for step in rule.steps)
