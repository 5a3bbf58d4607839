"""Any fast tokeniser of transformers, exact to the byte."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from breadth.errors import ModelError, TokenizationError
from breadth.tokenizer import Message

__all__ = ["HFTokenizer"]

_SPACE = "▁"  # how sentencepiece spells a space
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")  # how it spells a byte that no token of its own spells
_ANSWER = "breadth answers"  # a turn of the assistant that no template contains


class HFTokenizer:
    """A fast tokeniser of transformers, following `breadth.tokenizer.Tokenizer`.

    A tokeniser that puts a space before every text, as some sentencepiece ones do, keeps the byte law up
    to that space; one that normalises text keeps it on normalised text.

    Args:
        tokenizer: a `PreTrainedTokenizerFast`.
        name: what messages call it; its own name or path if not given.
        template_arguments: passed to the chat template, unless `chat_text` is given others.
        vocab_size: number of the model's logits, when the tokeniser may know more tokens than that.

    Raises:
        ModelError: the tokeniser is not a fast one.
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        name: str | None = None,
        template_arguments: Mapping[str, Any] | None = None,
        vocab_size: int | None = None,
    ) -> None:
        self.name = name or getattr(tokenizer, "name_or_path", "") or type(tokenizer).__name__
        if not getattr(tokenizer, "is_fast", False):
            raise ModelError(
                f"{self.name} has only a slow tokeniser; breadth needs a fast one (a tokenizer.json)"
            )
        self.tokenizer = tokenizer
        self.template_arguments = dict(template_arguments or {})
        self._backend = tokenizer.backend_tokenizer
        self._backend.no_truncation()
        self._backend.no_padding()
        self._ids: dict[str, int] = self._backend.get_vocab(with_added_tokens=True)
        known = max(self._ids.values(), default=-1) + 1
        self._vocab_size = known if vocab_size is None else min(known, vocab_size)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the tokeniser as serialised, its chat template and the template's arguments."""
        digest = hashlib.sha256(self._backend.to_str().encode())
        digest.update(repr((self._template, self.vocab_size)).encode())
        digest.update(json.dumps(self.template_arguments, sort_keys=True, default=str).encode())
        return digest.hexdigest()

    @cached_property
    def bos(self) -> tuple[int, ...]:
        """What the tokeniser adds before a text; what some add after it is not part of a prompt."""
        text = "a"
        plain, added = self.encode([text])[0], list(self.tokenizer(text)["input_ids"])
        for start in range(len(added) - len(plain) + 1):
            if added[start : start + len(plain)] == plain:
                return tuple(added[:start])
        return ()

    @cached_property
    def special_tokens(self) -> frozenset[int]:
        """Ids of control tokens."""
        added = self._backend.get_added_tokens_decoder()
        special = {token for token, entry in added.items() if entry.special}
        return frozenset(special.union(self.tokenizer.all_special_ids))

    @property
    def vocab_size(self) -> int:
        """One more than the greatest token id, of those that the model can give."""
        return self._vocab_size

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, nothing added."""
        encodings = self._backend.encode_batch(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def token_bytes(self, token: int) -> bytes:
        """The bytes of a token inside a text; `b""` for control tokens and ids without a token."""
        return self._bytes[token]

    @cached_property
    def _bytes(self) -> list[bytes]:
        """The bytes of every token, by id; made at once because a stop string is sought in all of them."""
        learnt: dict[str, int] = self._backend.get_vocab(with_added_tokens=False)
        table = [b""] * (max(self._ids.values(), default=-1) + 1)
        for text, token in self._ids.items():
            table[token] = text.encode()  # an added token stands for its own spelling
        for text, bytes_ in zip(learnt, self._spelled(list(learnt)), strict=True):
            table[learnt[text]] = bytes_
        for token in self.special_tokens:
            table[token] = b""
        return table

    def _spelled(self, tokens: Sequence[str]) -> list[bytes]:
        """The bytes of learnt tokens, by the way this kind of tokeniser spells them."""
        decoder = self._backend.decoder
        kinds = _kinds(json.loads(decoder.__getstate__())) if decoder is not None else frozenset()
        if "ByteLevel" in kinds:
            return [_from_byte_alphabet(token) for token in tokens]
        if "ByteFallback" in kinds or "Metaspace" in kinds:
            return [_from_sentencepiece(token, byte_fallback="ByteFallback" in kinds) for token in tokens]
        return self._decoded(tokens)

    def _decoded(self, tokens: Sequence[str]) -> list[bytes]:
        """What each token adds to a text that goes before it, for kinds of tokeniser not known here."""
        anchor = self.encode(["a"])[0]
        before = self._backend.decode(anchor, skip_special_tokens=False)
        texts = self._backend.decode_batch(
            [[*anchor, self._ids[token]] for token in tokens], skip_special_tokens=False
        )
        return [text.removeprefix(before).encode() for text in texts]

    @cached_property
    def _template(self) -> str | None:
        """The template's program; a tokeniser with several uses the one it calls `default`."""
        template = self.tokenizer.chat_template
        if isinstance(template, dict):
            template = template.get("default")
        return str(template) if template else None

    def chat_text(self, messages: Sequence[Message], template_arguments: Mapping[str, Any]) -> str | None:
        """The conversation through the chat template, None without one.

        Thinking is switched off where the template has the switch and the arguments leave it alone.

        Raises:
            TokenizationError: the template refuses the conversation.
        """
        return self._rendered(messages, template_arguments, add_generation_prompt=True)

    def _rendered(
        self, messages: Sequence[Message], template_arguments: Mapping[str, Any], **options: bool
    ) -> str | None:
        if self._template is None:
            return None
        arguments = {**self.template_arguments, **template_arguments}
        if "enable_thinking" in self._template:
            arguments.setdefault("enable_thinking", False)
        try:
            return str(
                self.tokenizer.apply_chat_template(
                    [dict(message) for message in messages], tokenize=False, **options, **arguments
                )
            )
        except Exception as error:  # a template is a program of the model's: it may fail in any way
            reason = " ".join(str(error).split()) or type(error).__name__
            raise TokenizationError(
                f"the chat template of {self.name} refuses the conversation: {reason}"
            ) from error

    @cached_property
    def turn_end(self) -> int | None:
        """The control token by which the chat template closes the assistant's turn, if it has one."""
        turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": _ANSWER}]
        try:
            text = self._rendered(turns, {}, add_generation_prompt=False)
        except TokenizationError:
            return None
        _, found, rest = (text or "").rpartition(_ANSWER)
        if not found or not rest.strip():
            return None
        first = self.encode([rest.lstrip()])[0][0]
        return first if first in self.special_tokens else None


def _kinds(state: Mapping[str, Any]) -> frozenset[str]:
    """The names of a decoder's parts."""
    parts: Sequence[Mapping[str, Any]] = state.get("decoders", ())
    return frozenset({str(state["type"])}.union(*map(_kinds, parts)))


def _byte_alphabet() -> dict[int, str]:
    """The 256 characters in which byte-level tokenisers write bytes, as a table for `str.translate`.

    Printable characters of Latin-1 stand for themselves; the other bytes, ascending, for U+0100 and on.
    """
    plain = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {0x100 + i: chr(byte) for i, byte in enumerate(others)}


_BYTE_ALPHABET = _byte_alphabet()


def _from_byte_alphabet(token: str) -> bytes:
    if not all(ord(character) in _BYTE_ALPHABET for character in token):
        return token.encode()  # a token written outside the alphabet is taken as it is
    return token.translate(_BYTE_ALPHABET).encode("latin-1")


def _from_sentencepiece(token: str, *, byte_fallback: bool) -> bytes:
    if byte_fallback and (match := _BYTE.fullmatch(token)):
        return bytes.fromhex(match[1])
    return token.replace(_SPACE, " ").encode()
