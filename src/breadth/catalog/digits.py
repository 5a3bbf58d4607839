"""The paper's random-number tasks, as functions of their parameters, and few-shot variants of them.

The paper's wording suits instruct models; small and pre-trained models answer it badly, and need examples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from breadth.generators import digits

__all__ = ["FAMILIES"]

Fields = dict[str, Any]

Ends = Literal["none", "eos"]
"""What ends an answer: nothing, as the paper scores it, or the model's end tokens."""

GOLDEN = 0.6180339887498949  # steps of the golden ratio spread evenly, however many are taken
N_EXAMPLES = 6
PAPER = "Banayeeanzade et al., arXiv:2605.11128"


def _paper(length: int, start: int, end: int, condition: str, answers: list[str], ends: Ends) -> Fields:
    return {
        "prompt": (
            f"Generate {length} random integers between {start} and {end} (inclusive){condition}. Your "
            f"response should be {length} integers separated by commas and no white spaces. Answer:"
        ),
        "answers": answers,
        "delimiter": {"raw": " "},
        "end": ends,
        "source": f"The prompt of {PAPER}; all sequences that meet it.",
    }


def _few_shot(question: str, answers: list[str]) -> Fields:
    shown = [answers[int((k * GOLDEN) % 1 * len(answers))] for k in range(1, N_EXAMPLES + 1)]
    return {
        "prompt": "\n".join([*(f"{question}: {example}" for example in shown), f"{question}:"]),
        "answers": answers,
        "chat": False,
        "delimiter": " ",
        "end": "\n",
        "source": f"A few-shot form, for small models, of the task of {PAPER}; all sequences that meet it.",
    }


def _condition(equals: int | None, at_most: int | None) -> str:
    if equals is not None and at_most is not None:
        raise ValueError("give either equals or at_most, and not both")
    return f"sum to {equals}" if equals is not None else f"sum to at most {at_most}"


def paper_digits(length: int = 2, start: int = 0, end: int = 9, ends: Ends = "none") -> Fields:
    """Digits of a given length [paper's RNG]."""
    answers = digits(length=length, start=start, end=end)
    return _paper(length, start, end, "", answers, ends) | {
        "description": f"{length} random integers from {start} to {end}, paper's prompt.",
    }


def paper_digits_sum(
    length: int = 3,
    equals: int | None = None,
    at_most: int | None = None,
    start: int = 0,
    end: int = 9,
    ends: Ends = "none",
) -> Fields:
    """Digits whose sum equals, or is at most, a target [paper's constrained RNG]; at most 10 if not given."""
    at_most = 10 if equals is None and at_most is None else at_most
    condition = _condition(equals, at_most)
    answers = digits(length=length, start=start, end=end, equals=equals, at_most=at_most)
    return _paper(length, start, end, f" that {condition}", answers, ends) | {
        "description": f"{length} random integers from {start} to {end} that {condition}, paper's prompt.",
    }


def few_shot_digits(length: int = 2, start: int = 0, end: int = 9) -> Fields:
    """The paper's RNG with examples."""
    answers = digits(length=length, start=start, end=end)
    return _few_shot(f"{length} random digits from {start} to {end}", answers) | {
        "description": f"{length} random integers from {start} to {end}, few-shot.",
    }


def few_shot_digits_sum(
    length: int = 3, equals: int | None = None, at_most: int | None = None, start: int = 0, end: int = 9
) -> Fields:
    """The paper's constrained RNG with examples; at most 10 if not given."""
    at_most = 10 if equals is None and at_most is None else at_most
    condition = _condition(equals, at_most)
    answers = digits(length=length, start=start, end=end, equals=equals, at_most=at_most)
    question = f"{length} random digits from {start} to {end} that {condition}"
    return _few_shot(question, answers) | {
        "description": f"{length} random integers from {start} to {end} that {condition}, few-shot.",
    }


FAMILIES: Mapping[str, Callable[..., Fields]] = {
    "digits": paper_digits,
    "digits-sum": paper_digits_sum,
    "digits-fewshot": few_shot_digits,
    "digits-sum-fewshot": few_shot_digits_sum,
}
"""Tasks that take parameters, by name."""
