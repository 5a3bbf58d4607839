"""The byte law on byte-level and sentencepiece tokenisers, and what is taken from chat templates."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny
from breadth.errors import ModelError, TokenizationError
from breadth.models.base import Model
from breadth.models.hf_tokenizer import HFTokenizer

# Any text, and text that is dense in what tokenisers treat specially. A literal ▁ cannot be told from a
# space by a sentencepiece tokeniser.
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="▁")
TEXTS = st.one_of(
    st.text(CHARACTERS, max_size=40),
    st.text(st.sampled_from(" \n\t\r.,0123456789abNYé\u00a0\u00ad日😀Ġ<|>x0A"), max_size=40),
)


def bytes_of(tokenizer: HFTokenizer, text: str) -> bytes:
    return b"".join(tokenizer.token_bytes(token) for token in tokenizer.encode([text])[0])


@cache
def byte_level() -> HFTokenizer:
    return HFTokenizer(tiny.byte_level_tokenizer())


@cache
def sentencepiece(prepend: bool = False) -> HFTokenizer:
    return HFTokenizer(tiny.sentencepiece_tokenizer(prepend=prepend))


def spells_a_control_token(tokenizer: HFTokenizer, text: str) -> bool:
    return bool(tokenizer.special_tokens.intersection(tokenizer.encode([text])[0]))


@cache
def known_bytes(tokenizer: HFTokenizer) -> set[int]:
    texts = map(tokenizer.token_bytes, range(tokenizer.vocab_size))
    return {text[0] for text in texts if len(text) == 1}


class TestBytes:
    @given(text=TEXTS)
    @settings(deadline=None)
    def test_byte_level(self, text: str) -> None:
        assert bytes_of(byte_level(), text) == text.encode()

    @given(text=TEXTS)
    @settings(deadline=None)
    def test_sentencepiece(self, text: str) -> None:
        if not spells_a_control_token(sentencepiece(), text):
            assert bytes_of(sentencepiece(), text) == text.encode()

    @given(text=TEXTS, before=st.sampled_from(["a", "Ask it:", "42", "x\n"]))
    @settings(deadline=None)
    def test_inside_a_text_where_a_space_is_put_before_it(self, text: str, before: str) -> None:
        """What follows the prompt's tokens is exact, although the text as a whole gains a space."""
        tokenizer = sentencepiece(prepend=True)
        if not spells_a_control_token(tokenizer, before + text):
            assert bytes_of(tokenizer, before + text) == (" " + before + text).encode()

    @given(text=st.text(st.sampled_from("New York Texas 10 a\n"), max_size=30))
    @settings(deadline=None)
    def test_an_unknown_kind_is_learnt_by_decoding(self, text: str) -> None:
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
        from transformers import PreTrainedTokenizerFast

        raw = Tokenizer(models.WordPiece(unk_token="?"))
        raw.pre_tokenizer = pre_tokenizers.Split(" ", "isolated")
        raw.decoder = decoders.Sequence([decoders.Replace("##", ""), decoders.Fuse()])
        trainer = trainers.WordPieceTrainer(vocab_size=80, special_tokens=["?"], show_progress=False)
        raw.train_from_iterator(["New York Texas 10 a\n"], trainer)
        tokenizer = HFTokenizer(PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="?"))
        if not spells_a_control_token(tokenizer, text):
            assert bytes_of(tokenizer, text) == text.encode()

    def test_bytes_and_control_tokens(self) -> None:
        tokenizer = sentencepiece()
        ids = tokenizer.tokenizer.get_vocab()
        assert tokenizer.token_bytes(ids["<0x0A>"]) == b"\n"
        assert tokenizer.token_bytes(ids["<0xF0>"]) == b"\xf0"
        assert tokenizer.token_bytes(ids["</s>"]) == b""
        assert byte_level().token_bytes(2) == b""

    def test_an_added_token_stands_for_its_own_spelling(self) -> None:
        raw = tiny.byte_level_tokenizer()
        raw.add_tokens(["  ", "<think>", "é Ġ"])
        tokenizer = HFTokenizer(raw)
        for text in ("a  b", "x<think>\n", "été é Ġ"):
            assert bytes_of(tokenizer, text) == text.encode()
        assert tokenizer.vocab_size == 323

    def test_tokens_without_logits_are_not_counted(self) -> None:
        tokenizer = HFTokenizer(tiny.byte_level_tokenizer(), vocab_size=300)
        assert tokenizer.vocab_size == 300
        assert tokenizer.token_bytes(310) == byte_level().token_bytes(310)


class TestEncode:
    def test_nothing_is_added_and_beginnings_are_known(self) -> None:
        tokenizer = sentencepiece()
        assert tokenizer.encode(["Texas"])[0] == tokenizer.encode(["Texas", "Ohio"])[0]
        assert tokenizer.bos == (1,)  # and not the </s> that it puts after a text
        assert byte_level().bos == ()

    def test_control_tokens_spelled_in_a_text_are_recognised(self) -> None:
        assert byte_level().encode(["a</s>"])[0][-1] == 1

    def test_earlier_truncation_and_padding_are_undone(self) -> None:
        raw = tiny.byte_level_tokenizer()
        raw.backend_tokenizer.enable_truncation(2)
        raw.backend_tokenizer.enable_padding(length=9)
        assert HFTokenizer(raw).encode(["New York", "a"]) == byte_level().encode(["New York", "a"])

    def test_a_slow_tokeniser_is_refused(self) -> None:
        class Slow:
            is_fast = False
            name_or_path = "org/slow"

        with pytest.raises(ModelError, match="org/slow has only a slow tokeniser"):
            HFTokenizer(Slow())


USER = [{"role": "user", "content": "A state?"}]


class TestChat:
    def test_ready_for_the_assistant_and_without_thinking(self) -> None:
        text = byte_level().chat_text(USER, {})
        assert text == "<s>user\nA state?<|turn|>\n<s>assistant\n<think></think>"

    def test_thinking_is_left_to_the_user(self) -> None:
        text = byte_level().chat_text(USER, {"enable_thinking": True})
        assert text == "<s>user\nA state?<|turn|>\n<s>assistant\n"
        tokenizer = HFTokenizer(tiny.byte_level_tokenizer(), template_arguments={"enable_thinking": True})
        assert tokenizer.chat_text(USER, {}) == text

    def test_without_a_template(self) -> None:
        tokenizer = HFTokenizer(tiny.byte_level_tokenizer(chat=False))
        assert tokenizer.chat_text(USER, {}) is None
        assert tokenizer.turn_end is None

    def test_a_refusal_is_one_line(self) -> None:
        with pytest.raises(TokenizationError, match="no system turns here") as caught:
            byte_level().chat_text([{"role": "system", "content": "x"}], {})
        assert "\n" not in str(caught.value)

    def test_turn_end(self) -> None:
        assert byte_level().turn_end == 2

    @pytest.mark.parametrize(
        ("template", "end"),
        [
            ("{% for m in messages %}{{ m['content'] }} </s>{% endfor %}", 1),
            ("{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}", None),
            ("{% for m in messages %}{{ m['content'] }}!</s>{% endfor %}", None),
            ("{{ raise_exception('no') }}", None),
            ("nothing", None),
        ],
    )
    def test_turn_end_of_other_templates(self, template: str, end: int | None) -> None:
        raw = tiny.byte_level_tokenizer()
        raw.chat_template = template
        assert HFTokenizer(raw).turn_end == end


class TestFingerprint:
    def test_follows_what_it_determines(self) -> None:
        def changed(change: Any) -> str:
            raw = tiny.byte_level_tokenizer()
            change(raw)
            return HFTokenizer(raw).fingerprint

        same = changed(lambda raw: None)
        assert same == byte_level().fingerprint
        assert changed(lambda raw: raw.add_tokens(["New York"])) != same
        assert changed(lambda raw: setattr(raw, "chat_template", "x")) != same
        raw = tiny.byte_level_tokenizer()
        assert HFTokenizer(raw, template_arguments={"a": 1}).fingerprint != same


@pytest.mark.model
@pytest.mark.parametrize("name", ["smollm2", "gemma3"])
class TestRealTokenizers:
    @given(text=TEXTS)
    @settings(deadline=None, max_examples=200)
    def test_byte_law(self, name: str, request: pytest.FixtureRequest, text: str) -> None:
        model: Model = request.getfixturevalue(name)
        tokenizer = model.tokenizer
        assert isinstance(tokenizer, HFTokenizer)
        # SmolLM2's vocabulary lacks the bytes of some rare planes and drops them without a word.
        expressible = set(text.encode()) <= known_bytes(tokenizer)
        if expressible and not spells_a_control_token(tokenizer, text):
            assert bytes_of(tokenizer, text) == text.encode()

    def test_no_two_plain_tokens_are_the_same(self, name: str, request: pytest.FixtureRequest) -> None:
        """Except for the bytes that a sentencepiece tokeniser also has characters for."""
        tokenizer = request.getfixturevalue(name).tokenizer
        texts = [
            tokenizer.token_bytes(token)
            for token in range(tokenizer.vocab_size)
            if token not in tokenizer.special_tokens
        ]
        longer = [text for text in texts if len(text) > 1]
        assert len(set(longer)) == len(longer)
        assert b"" not in texts
