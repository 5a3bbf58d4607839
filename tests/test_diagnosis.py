"""Models broken in one way each get their own sentence, which cites the numbers that decide it."""

from __future__ import annotations

import json

import pytest

import toys
from breadth.diagnosis import Diagnosis
from breadth.models.base import Model
from breadth.study import run_unit


def diagnosis(model: Model) -> Diagnosis:
    return run_unit(model, toys.letters_task()).diagnosis


def test_a_healthy_model_has_nothing_to_mend() -> None:
    facts = diagnosis(toys.healthy())
    assert facts.bottleneck == "nothing"
    assert facts.validity == pytest.approx(1)
    assert facts.diversity == pytest.approx(1)
    assert facts.sentence.startswith("Nothing blocks: order is fine (oracle size keeps validity 1.00)")


def test_broken_order_is_told_as_order() -> None:
    facts = diagnosis(toys.broken_order())
    assert facts.bottleneck == "order"
    # Of the top six tokens two are the invalid ones: 0.4 of 0.8 is valid.
    assert facts.oracle_size_validity == pytest.approx(0.5)
    assert facts.sentence.startswith("Order is the bottleneck")
    assert "validity 0.50 (oracle size)" in facts.sentence


def test_broken_shape_is_told_as_shape() -> None:
    facts = diagnosis(toys.broken_shape())
    assert facts.bottleneck == "shape"
    assert facts.oracle_size_validity == pytest.approx(1)
    assert facts.top_answer == "a"
    assert facts.sentence.startswith(
        "Order is fine (oracle size keeps validity 1.00), shape is the bottleneck"
    )
    assert "among valid answers alone diversity is 0.19 ('a' gets 98% of the valid mass)" in facts.sentence
    best = facts.best_cutoff
    assert best is not None
    assert f"{best.diversity:.2f}" in facts.sentence
    assert best.rule in facts.sentence


def test_a_broken_end_is_told_as_the_end() -> None:
    facts = diagnosis(toys.broken_end())
    assert facts.bottleneck == "end"
    assert facts.validity == pytest.approx(0.3)
    assert facts.finished == pytest.approx(1)
    assert facts.end_share == pytest.approx(1)
    assert facts.sentence.startswith(
        "The end is the bottleneck: a complete answer is reached with probability 1.00"
    )


def test_an_end_of_several_tokens_is_the_end_too() -> None:
    # No token begins with "uv", so that both letters are fixed tokens after the answer.
    def says(text: str) -> dict[str, float]:
        if not text:
            return dict.fromkeys(toys.VALID, 1 / 6)
        return {"v": 1.0} if text.endswith("u") else {"u": 0.3, "w": 0.7}

    model = toys.ToyModel(toys.TOKENIZER, says, prompt=toys.PROMPT)
    facts = run_unit(model, toys.letters_task(end="uv", eos_ends=False)).diagnosis
    assert facts.validity == pytest.approx(0.3)
    assert facts.bottleneck == "end"


def test_almost_no_validity_is_told_first() -> None:
    facts = diagnosis(toys.mostly_invalid())
    assert facts.validity == pytest.approx(0.01)
    assert facts.sentence.startswith(
        "It almost never answers validly (validity 0.01 at temperature=1,top_k=50)"
    )


def test_seldom_valid_but_well_ranked_is_no_contradiction() -> None:
    # Valid letters on top and even, but almost all the mass lies in a long flat tail.
    first = dict.fromkeys(toys.VALID, 0.0008) | dict.fromkeys(toys.INVALID, 0.0004)
    filler = "".join(chr(0x4E00 + index) for index in range(2500))
    tokenizer = toys.ToyTokenizer(toys.VALID + toys.INVALID + toys.PROMPT + filler)
    model = toys.ToyModel(tokenizer, lambda text: {"<end>": 1.0} if text else first, prompt=toys.PROMPT)
    model.generation = {"top_k": 0}
    facts = diagnosis(model)
    assert facts.validity == pytest.approx(0.0048)
    assert facts.bottleneck == "nothing"
    assert "look at the prompt before anything else. Yet nothing blocks a better rule" in str(facts.sentence)


def test_a_model_that_never_answers_is_diagnosed_too() -> None:
    never = toys.model({"u": 1.0} | dict.fromkeys(toys.VALID, 0.0))
    facts = diagnosis(never)
    assert facts.validity == 0
    assert json.loads(json.dumps(facts.as_dict()))["diversity"] is None


def test_the_sentences_differ() -> None:
    models = [toys.broken_order(), toys.broken_shape(), toys.broken_end(), toys.mostly_invalid()]
    assert len({diagnosis(model).sentence for model in models}) == len(models)
