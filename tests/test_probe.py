"""Probes: taken once, reused when nothing changed, whole or not at all."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import toys
from breadth.errors import NumericalError
from breadth.models.toy import ToyModel
from breadth.outcome import evaluate
from breadth.probe import open_probe, take_probe


class Counting(ToyModel):
    """A toy that counts how often it is asked."""

    asked = 0

    def next_logits(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        self.asked += 1
        return super().next_logits(tokens)


def counting(**changes: Any) -> Counting:
    plain = toys.broken_order()
    model = Counting(toys.TOKENIZER, plain.distribution, prompt=toys.PROMPT, name=plain.name)
    vars(model).update(changes)
    return model


def test_a_toy_is_solved_exactly(tmp_path: Path) -> None:
    probe = take_probe(toys.broken_order(), toys.letters_task(), tmp_path / "probe")
    (outcome,) = evaluate(probe, ["temperature=1"])
    np.testing.assert_allclose(np.exp(outcome.answer_logp), 0.1, rtol=1e-6)
    assert outcome.validity == pytest.approx(0.6)
    assert outcome.diversity == pytest.approx(1.0)


def test_an_unchanged_probe_is_reused_without_asking_the_model(tmp_path: Path) -> None:
    model = counting()
    first = take_probe(model, toys.letters_task(), tmp_path / "probe")
    assert model.asked == len(first.trie.prefixes) == 7
    second = take_probe(model, toys.letters_task(), tmp_path / "probe")
    assert model.asked == 7
    assert second.provenance == first.provenance


@pytest.mark.parametrize(
    "change",
    ["identity", "prompt", "answers", "end"],
)
def test_what_determines_a_probe_makes_it_new(tmp_path: Path, change: str) -> None:
    model, task = counting(), toys.letters_task()
    key = take_probe(model, task, tmp_path / "probe").provenance["key"]
    if change == "identity":
        model.identity = dict(model.identity) | {"dtype": "bfloat16"}
    elif change == "end":
        model.end_tokens = (*model.end_tokens, 7)
    else:
        fields = {"prompt": {"prompt": "?? "}, "answers": {"answers": ["a", "b"]}}[change]
        task = toys.letters_task(**fields)
    before = model.asked
    assert take_probe(model, task, tmp_path / "probe").provenance["key"] != key
    assert model.asked > before


def test_a_damaged_probe_is_taken_again(tmp_path: Path) -> None:
    model, folder = counting(), tmp_path / "probe"
    take_probe(model, toys.letters_task(), folder)
    (folder / "prefixes.parquet").write_bytes((folder / "prefixes.parquet").read_bytes()[:100])
    take_probe(model, toys.letters_task(), folder)
    assert model.asked == 14
    assert len(open_probe(folder).blocks) == 7


def test_damage_that_shows_only_when_read_is_noticed_too(tmp_path: Path) -> None:
    model, folder = counting(), tmp_path / "probe"
    take_probe(model, toys.letters_task(), folder)
    file = folder / "prefixes.parquet"
    content = bytearray(file.read_bytes())
    content[4:200] = bytes(196)
    file.write_bytes(content)
    probe = take_probe(model, toys.letters_task(), folder)
    assert model.asked == 14
    assert sum(len(block) for block in probe.blocks) == 7


def test_a_new_generation_config_is_not_overlooked(tmp_path: Path) -> None:
    model = counting()
    take_probe(model, toys.letters_task(), tmp_path / "probe")
    model.generation = {"temperature": 0.6}
    probe = take_probe(model, toys.letters_task(), tmp_path / "probe")
    assert probe.provenance["generation"] == {"temperature": 0.6}


def test_two_toys_never_share_a_probe(tmp_path: Path) -> None:
    first = take_probe(toys.model({"a": 1.0}, name="toy"), toys.letters_task(), tmp_path / "probe")
    second = take_probe(toys.model({"b": 1.0}, name="toy"), toys.letters_task(), tmp_path / "probe")
    assert first.provenance["key"] != second.provenance["key"]


def test_nan_logits_are_one_line_and_leave_nothing(tmp_path: Path) -> None:
    class Broken(ToyModel):
        def next_logits(self, tokens: Sequence[int]) -> NDArray[np.float32]:
            return np.full(self.vocab_size, math.nan, dtype=np.float32)

    plain = toys.healthy()
    model = Broken(toys.TOKENIZER, plain.distribution, prompt=toys.PROMPT)
    with pytest.raises(NumericalError, match="largest is nan") as caught:
        take_probe(model, toys.letters_task(), tmp_path / "probe")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(NumericalError):
        take_probe(model, toys.letters_task(), tmp_path / "out" / "unit" / "probe")
    assert [path.name for path in tmp_path.rglob("*")] == ["out"]


def test_an_interruption_leaves_the_old_probe(tmp_path: Path) -> None:
    folder = tmp_path / "probe"
    key = take_probe(counting(), toys.letters_task(), folder).provenance["key"]

    class Interrupted(ToyModel):
        def walk(self, prompt: Sequence[int], trie: Any) -> Iterator[Any]:
            yield from list(super().walk(prompt, trie))[:3]
            raise KeyboardInterrupt

    model = Interrupted(toys.TOKENIZER, toys.healthy().distribution, prompt=toys.PROMPT, name="other")
    with pytest.raises(KeyboardInterrupt):
        take_probe(model, toys.letters_task(), folder)
    assert [path.name for path in tmp_path.iterdir()] == ["probe"]
    assert open_probe(folder).provenance["key"] == key


def test_without_a_folder_nothing_is_kept() -> None:
    probe = take_probe(toys.healthy(), toys.letters_task())
    folder = probe.folder
    assert folder.exists()
    del probe
    assert not folder.exists()


def test_texts_are_readable() -> None:
    probe = take_probe(toys.healthy(), toys.letters_task())
    leaf = int(probe.trie.leaves[0])
    assert probe.prefix_text(0) == ""
    assert probe.prefix_text(leaf) == "a⏹"
    assert probe.token_text(toys.TOKENIZER.encode(["u"])[0][0]) == "u"


def test_ties_between_valid_and_invalid_tokens_are_counted() -> None:
    def share(model: ToyModel) -> float:
        return take_probe(model, toys.letters_task()).ties

    assert share(toys.healthy()) == 0  # valid tokens tie with one another, and that is no matter
    assert share(toys.model({"a": 0.5, "u": 0.5})) == pytest.approx(1 / 7)
    # An end token that is not the best one ties with nothing that matters.
    tokenizer = toys.ToyTokenizer(toys.VALID + toys.INVALID + toys.PROMPT, control=("<end>", "<stop>"))
    ends = {"<end>": 0.5, "<stop>": 0.25, "u": 0.25}
    even = dict.fromkeys(toys.VALID, 1 / 6)
    assert share(toys.ToyModel(tokenizer, lambda text: ends if text else even, prompt=toys.PROMPT)) == 0


def test_a_probe_is_immutable() -> None:
    probe = take_probe(toys.healthy(), toys.letters_task())
    with pytest.raises(dataclasses.FrozenInstanceError):
        probe.trie = None  # type: ignore[misc, assignment]
