"""A task in a tokeniser's tokens: canonical, in context, with its end, or a clear refusal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import naive
from breadth.encoding import MAX_SEQUENCES, Encoding, encode
from breadth.errors import BreadthError, TaskError, TokenizationError
from breadth.models.base import Model
from breadth.models.toy import ToyModel, ToyTokenizer
from breadth.task import Task
from breadth.trie import END


class PieceTokenizer:
    """Cuts a text from the left into the longest pieces that it knows; `<bos>` goes before raw prompts.

    A text of control tokens is recognised, and a character that is no piece becomes the last token, as
    real tokenisers do.
    """

    def __init__(self, *pieces: str, chat: bool = False) -> None:
        self.pieces = ("<bos>", "<end>", *pieces, "<unknown>")
        self.chat = chat
        self.fingerprint = repr(self.pieces)
        self.bos = (0,)
        self.special_tokens = frozenset({0, 1, len(pieces) + 2})
        self.vocab_size = len(self.pieces)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        return [self._encode(text) for text in texts]

    def _encode(self, text: str) -> list[int]:
        tokens = []
        while text:
            known = [piece for piece in self.pieces[:-1] if text.startswith(piece)]
            piece = max(known, key=len, default="<unknown>")
            tokens.append(self.pieces.index(piece))
            text = text[len(piece) if known else 1 :]
        return tokens

    def token_bytes(self, token: int) -> bytes:
        return b"" if token in self.special_tokens else self.pieces[token].encode()

    def chat_text(self, messages: Sequence[Mapping[str, str]], arguments: Mapping[str, Any]) -> str | None:
        if not self.chat:
            return None
        mark = str(arguments.get("mark", ">"))
        return "".join(turn["content"] + mark for turn in messages)


class Silent(Model):
    """A tokeniser and its end tokens; it is never asked for numbers."""

    name = "silent"
    generation: Mapping[str, float] = {}
    identity: Mapping[str, str] = {}

    def __init__(self, tokenizer: PieceTokenizer, end_tokens: tuple[int, ...] = (1,)) -> None:
        self.tokenizer = tokenizer
        self.vocab_size = tokenizer.vocab_size
        self.end_tokens = end_tokens

    def next_logits(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        raise AssertionError(tokens)


def task(*answers: str, **fields: Any) -> Task:
    return Task(**{"name": "test", "prompt": "?", "answers": list(answers), "end": "eos"} | fields)


def spelled(encoding: Encoding, model: Model) -> list[list[tuple[str, ...]]]:
    """For every answer its sequences, as texts."""
    trie = encoding.trie
    found: list[list[tuple[str, ...]]] = [[] for _ in range(trie.n_answers)]
    for leaf in trie.leaves:
        path = trie.path(int(leaf))
        texts = ["END" if t == END else model.tokenizer.token_bytes(t).decode() for t in path]
        found[trie.answer[leaf]].append(tuple(texts))
    return [sorted(sequences) for sequences in found]


def ends(encoding: Encoding, tokenizer: PieceTokenizer) -> list[str]:
    return [tokenizer.pieces[token] for token in encoding.trie.end_tokens]


# The end


def test_nested_answers_end_in_eos() -> None:
    model = Silent(PieceTokenizer("?", "New", " York", " City"), (1, 0))
    encoding = encode(task("New", "New York", "New York City"), model)
    assert spelled(encoding, model) == [
        [("New", "END")],
        [("New", " York", "END")],
        [("New", " York", " City", "END")],
    ]
    assert encoding.trie.end_tokens.tolist() == [0, 1]


def test_every_token_that_begins_with_a_stop_ends_an_answer() -> None:
    tokenizer = PieceTokenizer("?", "a", "\n", "\n\n", "\nThe", "a\n", " \n")
    encoding = encode(task("a", end="\n"), Silent(tokenizer))
    assert ends(encoding, tokenizer) == ["<end>", "\n", "\n\n", "\nThe"]
    without = encode(task("a", end="\n", eos_ends=False), Silent(tokenizer))
    assert ends(without, tokenizer) == ["\n", "\n\n", "\nThe"]


def test_several_stops() -> None:
    tokenizer = PieceTokenizer("?", "a", "\n", ",", ", ", ".")
    encoding = encode(task("a", end=["\n", ","], eos_ends=False), Silent(tokenizer))
    assert ends(encoding, tokenizer) == ["\n", ",", ", "]
    assert spelled(encoding, Silent(tokenizer)) == [[("a", "END")]]


def test_a_stop_that_no_token_begins_is_appended() -> None:
    model = Silent(PieceTokenizer("?", "a", "b", "-", ">"))
    encoding = encode(task("a", "b", end="->", eos_ends=False), model)
    assert spelled(encoding, model) == [[("a", "-", ">")], [("b", "-", ">")]]
    both = encode(task("a", "b", end="->"), model)
    assert spelled(both, model)[0] == [("a", "-", ">"), ("a", "END")]
    assert both.trie.weight[0] == 2


def test_a_stop_that_begins_with_another_adds_nothing() -> None:
    model = Silent(PieceTokenizer("?", "a", "b", "#", "X"))
    both = encode(task("a", "b", end=["#", "#X"], eos_ends=False), model)
    assert spelled(both, model) == [[("a", "END")], [("b", "END")]]


def test_stops_need_no_end_token_of_the_model() -> None:
    model = Silent(PieceTokenizer("?", "a", "\n"))
    model.end_tokens = ()
    assert spelled(encode(task("a", end="\n"), model), model) == [[("a", "END")]]


def test_a_stop_that_merges_with_the_answer_is_one_more_surface() -> None:
    model = Silent(PieceTokenizer("?", "a", "b", "\n", "a\n"))
    encoding = encode(task("a", "b", end="\n"), model)
    assert spelled(encoding, model) == [[("a", "END"), ("a\n",)], [("b", "END")]]
    assert encoding.trie.weight[0] == 2
    (warning,) = encoding.warnings
    assert "'a'" in warning
    assert "surface" in warning


def test_no_end_at_all() -> None:
    model = Silent(PieceTokenizer("?", "0", "1", "2"))
    encoding = encode(task("00", "01", "2", end="none"), model)
    assert spelled(encoding, model) == [[("0", "0")], [("0", "1")], [("2",)]]
    assert encoding.trie.end_tokens.tolist() == []


def test_eos_without_an_end_token_is_refused() -> None:
    with pytest.raises(TaskError, match="names no end token"):
        encode(task("a"), Silent(PieceTokenizer("?", "a"), ()))


# The prompt and its context


def test_raw_prompts_get_the_tokenisers_own_beginning() -> None:
    model = Silent(PieceTokenizer("?", "a"))
    encoding = encode(task("a"), model)
    assert not encoding.chat
    assert encoding.prompt == (0, 2)
    assert encoding.prompt_text == "?"


def test_templated_prompts_get_none() -> None:
    model = Silent(PieceTokenizer("?", "a", ">", "!", chat=True))
    encoding = encode(task("a", prefill="!"), model)
    assert encoding.chat
    assert encoding.prompt_text == "?>!"
    assert encoding.prompt == (2, 4, 5)
    assert encode(task("a", chat=False), model).prompt == (0, 2)
    assert encode(task("a"), model, template_arguments={"mark": "!"}).prompt_text == "?!"


def test_a_conversation() -> None:
    model = Silent(PieceTokenizer("?", "a", ">", chat=True))
    turns = [
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": "a"},
        {"role": "user", "content": "??"},
    ]
    assert encode(task("a", prompt=None, messages=turns), model).prompt_text == "?>a>??>"


@pytest.mark.parametrize(
    "fields", [{"chat": True}, {"prompt": None, "messages": [{"role": "user", "content": "?"}]}]
)
def test_a_template_that_is_not_there(fields: dict[str, Any]) -> None:
    with pytest.raises(TaskError, match="no chat template"):
        encode(task("a", **fields), Silent(PieceTokenizer("?", "a")))


def test_answers_are_tokenised_in_context() -> None:
    """After the delimiter " a" is one token; alone it would be two."""
    model = Silent(PieceTokenizer("?", " ", "a", " a", " b", "b", "ab"))
    encoding = encode(task("a", "ab", "bb", delimiter=" "), model)
    assert spelled(encoding, model) == [[(" a", "END")], [(" a", "b", "END")], [(" b", "b", "END")]]
    assert encoding.delimiter == " "


def test_a_delimiter_for_raw_and_one_for_templated_prompts() -> None:
    fields = {"delimiter": {"raw": " ", "chat": ""}}
    pieces = ("?", " ", "a", " a", ">")
    assert encode(task("a", **fields), Silent(PieceTokenizer(*pieces))).delimiter == " "
    assert encode(task("a", **fields), Silent(PieceTokenizer(*pieces, chat=True))).delimiter == ""


def test_an_answer_that_changes_the_prompts_tokens_is_named() -> None:
    model = Silent(PieceTokenizer("?", "Answer:", "Answer: ", " ", "a", ": b", "b", "Answer", ": "))
    with pytest.raises(TokenizationError, match="'b'") as caught:
        encode(
            task("a", "b", prompt="?Answer:", delimiter=""),
            Silent(PieceTokenizer("?", "Answer", ":", "a", ":b", "b")),
        )
    assert "\n" not in str(caught.value)
    with pytest.raises(TokenizationError):
        encode(task("a", prompt="Answer:", delimiter=" "), model)


@pytest.mark.parametrize("answer", ["é", "aé", "<end>", "a<bos>", "a<unknown>"])
def test_an_answer_that_cannot_be_given_back_is_named(answer: str) -> None:
    model = Silent(PieceTokenizer("?", "a", "b"))
    with pytest.raises(TokenizationError) as caught:
        encode(task("b", answer), model)
    assert repr(answer) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_toy_alphabet_says_what_it_lacks() -> None:
    model = ToyModel(ToyTokenizer("ab?"), lambda _: {}, prompt="?")
    with pytest.raises(TokenizationError, match="'x'"):
        encode(task("a", "x"), model)


def test_a_prompt_that_ends_in_a_space_is_warned_about() -> None:
    encoding = encode(task("a", prompt="? "), Silent(PieceTokenizer("?", " ", "a")))
    assert any("space" in warning for warning in encoding.warnings)


# Surfaces and sizes


def test_surfaces_share_an_answer() -> None:
    model = Silent(PieceTokenizer("?", "a", "b", " a"))
    encoding = encode(task("a", "b", surfaces={"a": [" a", "a"]}), model)
    assert spelled(encoding, model) == [[(" a", "END"), ("a", "END")], [("b", "END")]]
    assert encoding.trie.weight[0] == encoding.trie.n_answers == 2


def test_too_many_sequences_are_counted() -> None:
    model = Silent(PieceTokenizer("?", "a", "b", "c", " a"))
    with pytest.raises(TaskError, match="4 sequences") as caught:
        encode(task("a", "b", "c", surfaces={"a": [" a"]}), model, max_sequences=3)
    assert "3" in str(caught.value)
    assert len(encode(task("a", "b", "c"), model, max_sequences=3).trie.leaves) == 3
    assert MAX_SEQUENCES == 200_000


# Any answers at all


PIECES = ["a", "b", "c", "ab", "bc", "abc", "\n", "\n\n", "a\n", "b\n\n", " ", " a", ".", "\n."]

WORDS = st.text(alphabet="abc .", min_size=1, max_size=4)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(WORDS, min_size=1, max_size=5, unique=True),
    st.lists(st.sampled_from(PIECES), unique=True),
    st.sampled_from(["eos", "\n", "\n.", ["\n", "\n."]]),
    st.booleans(),
    st.sampled_from(["", " ", ". "]),
)
def test_every_sequence_spells_its_answer_and_ends(
    answers: list[str], pieces: list[str], end: str | list[str], eos_ends: bool, delimiter: str
) -> None:
    tokenizer = PieceTokenizer(
        "?", "a", "b", "c", " ", ".", "\n", *dict.fromkeys(set(pieces) - set("abc .\n"))
    )
    model = Silent(tokenizer)
    # Of two stops, one the start of the other, only the shorter can ever end an answer.
    stops = [] if end == "eos" else [end] if isinstance(end, str) else ["\n"]
    eos_ends = eos_ends or not stops
    try:
        encoding = encode(task(*answers, end=end, eos_ends=eos_ends, delimiter=delimiter), model)
    except BreadthError:  # a merge with the prompt, or two answers with the same tokens
        assume(False)
    trie = encoding.trie

    texts = [tokenizer.token_bytes(token).decode() for token in range(tokenizer.vocab_size)]
    starting = {t for t, text in enumerate(texts) if any(text.startswith(stop) for stop in stops)}
    assert set(trie.end_tokens.tolist()) == starting | ({1} if eos_ends else set())

    expected: dict[naive.Tokens, int] = {}
    n_prompt = len(encoding.prompt) - 1  # but for the beginning-of-text token
    for index, answer in enumerate(answers):
        alone = tuple(tokenizer.encode(["?" + delimiter + answer])[0][n_prompt:])
        if len(trie.end_tokens):
            expected[(*alone, END)] = index
        for stop in stops:
            after = tuple(tokenizer.encode(["?" + delimiter + answer + stop])[0][n_prompt:])
            if after[: len(alone)] != alone or not any(text.startswith(stop) for text in texts):
                expected[after] = index
    found = {tuple(trie.path(int(leaf))): int(trie.answer[leaf]) for leaf in trie.leaves}
    assert found == expected
    assert trie.weight[0] == pytest.approx(len(answers))
    for sequence, index in found.items():
        text = "".join(texts[token] for token in sequence if token != END)
        assert text.startswith(delimiter + answers[index])
        assert sequence[-1] == END or any(text == delimiter + answers[index] + stop for stop in stops)
