"""What breadth needs of a tokeniser, and nothing more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

__all__ = ["Message", "Tokenizer"]

Message = Mapping[str, str]
"""One turn of a conversation: `{"role": …, "content": …}`."""


class Tokenizer(Protocol):
    """Text to token ids and back, exactly.

    Two laws hold for every implementation, and `tests/test_hf_tokenizer.py` checks them:

    * `b"".join(map(token_bytes, encode(text))) == text.encode()` for every text the tokeniser can express;
    * `encode` is a pure function of its text.
    """

    @property
    def fingerprint(self) -> str:
        """A hash of everything that determines `encode`, `token_bytes` and `chat_text`."""
        ...

    @property
    def bos(self) -> tuple[int, ...]:
        """The tokens this tokeniser itself puts before a raw text (often one, sometimes none)."""
        ...

    @property
    def special_tokens(self) -> frozenset[int]:
        """Ids of control tokens: an answer may not contain them."""
        ...

    @property
    def vocab_size(self) -> int:
        """Number of token ids that `token_bytes` knows: ids 0 … vocab_size − 1."""
        ...

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text. Nothing is added; control tokens spelled in a text are recognised."""
        ...

    def token_bytes(self, token: int) -> bytes:
        """The bytes that `token` stands for inside a text; `b""` for a control token without text."""
        ...

    def chat_text(self, messages: Sequence[Message], template_arguments: Mapping[str, Any]) -> str | None:
        """The conversation through the chat template, ready for the assistant to speak.

        Returns None when the tokeniser has no chat template.
        """
        ...
