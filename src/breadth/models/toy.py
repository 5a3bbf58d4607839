"""A model whose every distribution is written down: for tests, teaching and exact examples."""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from breadth.errors import ModelError, TokenizationError
from breadth.models.base import Model
from breadth.tokenizer import Message

__all__ = ["ToyModel", "ToyTokenizer"]


class ToyTokenizer:
    """One token a character, plus control tokens.

    Args:
        characters: the alphabet; a character's id is its position.
        control: names of control tokens, which stand for no text; their ids follow.
    """

    def __init__(self, characters: str, control: Sequence[str] = ("<end>",)) -> None:
        self.characters = characters
        self.control = tuple(control)
        self._ids = {character: index for index, character in enumerate(characters)}
        if len(self._ids) != len(characters):
            raise ModelError(f"the toy alphabet {characters!r} repeats a character; each may occur once")

    @property
    def fingerprint(self) -> str:
        """Hash of the alphabet and the control tokens."""
        return hashlib.sha256(json.dumps([self.characters, self.control]).encode()).hexdigest()

    @property
    def bos(self) -> tuple[int, ...]:
        """None: a toy text starts with its first character."""
        return ()

    @property
    def special_tokens(self) -> frozenset[int]:
        """The control tokens."""
        return frozenset(range(len(self.characters), self.vocab_size))

    @property
    def vocab_size(self) -> int:
        """Characters and control tokens."""
        return len(self.characters) + len(self.control)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """One id a character; raises TokenizationError outside the alphabet."""
        for text in texts:
            for character in text:
                if character not in self._ids:
                    raise TokenizationError(
                        f"the toy tokeniser cannot express {character!r}; it knows {self.characters!r}"
                    )
        return [[self._ids[character] for character in text] for text in texts]

    def token_bytes(self, token: int) -> bytes:
        """The character, in UTF-8."""
        return self.characters[token].encode() if token < len(self.characters) else b""

    def chat_text(self, messages: Sequence[Message], template_arguments: Mapping[str, Any]) -> None:
        """None: there is no template."""


class ToyModel(Model):
    """Next-token probabilities from a function of the text so far.

    Args:
        tokenizer: its alphabet.
        distribution: given the text after the prompt, returns the probability of each next token by its
            character, or by its control token's name. What is left of 1 is spread evenly over the tokens
            not named; if every token is named, the values are normalised.
        prompt: the prompt's text, whose length is cut off before `distribution` is asked.
        name: shown in tables.

    Example: a fair coin that always ends its answer.

        >>> tokenizer = ToyTokenizer("HT: ")
        >>> model = ToyModel(
        ...     tokenizer, lambda text: {"<end>": 1.0} if text else {"H": 0.5, "T": 0.5}, prompt=": "
        ... )
    """

    def __init__(
        self,
        tokenizer: ToyTokenizer,
        distribution: Callable[[str], Mapping[str, float]],
        *,
        prompt: str,
        name: str = "toy",
    ) -> None:
        self.tokenizer = tokenizer
        self.names = (*tokenizer.characters, *tokenizer.control)
        self.name = name
        self.vocab_size = tokenizer.vocab_size
        self.end_tokens = tuple(sorted(tokenizer.special_tokens))
        self.generation: Mapping[str, float] = {}
        # A function cannot be told from another by its text: no probe of one toy is taken for another's.
        self.identity = {"model": name, "kind": "toy", "tables": uuid.uuid4().hex}
        self.prompt = prompt
        self.distribution = distribution

    def next_logits(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """Logs of the table's probabilities, −inf where one is 0."""
        names = self.names
        text = "".join(names[token] for token in tokens)[len(self.prompt) :]
        table = self.distribution(text)
        unknown = set(table) - set(names)
        if unknown:
            raise ModelError(f"toy model: {sorted(unknown)[0]!r} is no token; it knows {list(names)}")
        left = 1.0 - math.fsum(table.values())
        rest = (left if left > 1e-12 else 0.0) / max(self.vocab_size - len(table), 1)
        p = np.array([table.get(name, rest) for name in names])
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(p / p.sum()), dtype=np.float32)
