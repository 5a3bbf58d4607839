"""Toy models, each broken in exactly one way, and a task for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breadth.models.toy import ToyModel, ToyTokenizer
from breadth.task import Task

VALID = "abcdef"
INVALID = "uvwxyz0123456789"
PROMPT = "? "

TOKENIZER = ToyTokenizer(VALID + INVALID + PROMPT)


def letters_task(**changes: Any) -> Task:
    fields = {"name": "letters", "prompt": PROMPT, "chat": False, "answers": list(VALID), "end": "eos"}
    return Task(**fields | changes)


def model(first: Mapping[str, float], end: Mapping[str, float] | None = None, name: str = "toy") -> ToyModel:
    """A model that says one letter by `first`, and then stops by `end` (always, if not given)."""
    after = {"<end>": 1.0} if end is None else end
    return ToyModel(TOKENIZER, lambda text: after if text else first, prompt=PROMPT, name=name)


def healthy() -> ToyModel:
    return model(dict.fromkeys(VALID, 1 / 6), name="healthy")


def broken_order() -> ToyModel:
    """Two invalid letters stand above all valid ones, which are equally likely."""
    return model(dict.fromkeys(VALID, 0.1) | {"u": 0.2, "v": 0.2}, name="broken-order")


def broken_shape() -> ToyModel:
    """All valid letters are on top, but one has nearly everything; invalid ones follow closely."""
    valid = {"a": 0.97} | dict.fromkeys(VALID[1:], 0.004)
    return model(valid | dict.fromkeys(INVALID, 0.01 / len(INVALID)), name="broken-shape")


def broken_end() -> ToyModel:
    """The letters are fine, but after one it goes on more often than not."""
    return model(dict.fromkeys(VALID, 1 / 6), {"<end>": 0.3, "u": 0.7}, name="broken-end")


def mostly_invalid() -> ToyModel:
    """Validity 0.01."""
    valid = dict.fromkeys(VALID, 0.01 / 6)
    return model(valid | dict.fromkeys(INVALID, 0.99 / len(INVALID)), name="mostly-invalid")
