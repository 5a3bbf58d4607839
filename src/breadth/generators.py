"""Answer sets that follow a rule: `answers: {generator: NAME, …}` in a task file."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["GENERATORS", "MAX_ANSWERS", "digits", "generate", "integers", "primes", "product"]

MAX_ANSWERS = 10**7
"""More answers than this are refused before they are made."""


def integers(start: int, end: int) -> list[str]:
    """The integers from `start` to `end`, both included."""
    _check_size(end - start + 1, "integers")
    return [str(number) for number in range(start, end + 1)]


def primes(below: int) -> list[str]:
    """The prime numbers below a bound."""
    _check_size(below, "primes")
    return [str(n) for n in range(2, below) if all(n % d for d in range(2, math.isqrt(n) + 1))]


def product(parts: Sequence[Sequence[str]], separator: str = "") -> list[str]:
    """Every way to take one text of each part, joined."""
    _check_size(math.prod(len(part) for part in parts), "product")
    return [separator.join(choice) for choice in itertools.product(*parts)]


def digits(
    length: int,
    start: int = 0,
    end: int = 9,
    separator: str = ",",
    equals: int | None = None,
    at_most: int | None = None,
) -> list[str]:
    """Every sequence of `length` integers from `start` to `end`, perhaps of a given or bounded sum."""
    if length < 1:
        raise ValueError(f"digits: length is {length}; it must be at least 1")
    _check_size((end - start + 1) ** length, "digits")
    found = itertools.product(range(start, end + 1), repeat=length)
    return [
        separator.join(map(str, numbers))
        for numbers in found
        if (equals is None or sum(numbers) == equals) and (at_most is None or sum(numbers) <= at_most)
    ]


def _check_size(count: int, name: str) -> None:
    if not 1 <= count <= MAX_ANSWERS:
        raise ValueError(f"{name} would give {count:,} answers; from 1 to {MAX_ANSWERS:,} are accepted")


GENERATORS: Mapping[str, Callable[..., list[str]]] = {
    "integers": integers,
    "digits": digits,
    "primes": primes,
    "product": product,
}
"""Every generator by its name in a task file."""

TEXTS = ("separator", "parts")


def generate(fields: Mapping[str, Any]) -> list[str]:
    """Call the generator that a task file names, with its parameters.

    Raises:
        ValueError: an unknown generator or parameter, or a parameter that is no whole number.
    """
    parameters = dict(fields)
    name = parameters.pop("generator", None)
    if name not in GENERATORS:
        raise ValueError(f"unknown generator {name!r}; choose among {', '.join(GENERATORS)}")
    for key, value in parameters.items():
        if key not in TEXTS:
            try:
                parameters[key] = int(value)
            except (TypeError, ValueError):
                raise ValueError(f"{name}: {key} is {value!r}; a whole number is needed") from None
    try:
        return GENERATORS[name](**parameters)
    except TypeError as problem:
        raise ValueError(f"{name}: {str(problem).partition(' ')[2]}") from None
