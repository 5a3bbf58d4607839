"""Answer sets that follow a rule: `answers: {generator: NAME, …}` in a task file.

Parameters may come as text; pydantic reads the numbers. A wrong one is pydantic's `ValidationError`, of which
the caller makes a line that says where it stood; a set that is empty or too large is a `ValueError`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated

from pydantic import Field, validate_call

__all__ = ["GENERATORS", "MAX_ANSWERS", "digits", "integers", "primes", "product"]

MAX_ANSWERS = 10**7
"""More answers than this are refused before they are made."""

Length = Annotated[int, Field(ge=1, le=100)]
Number = Annotated[int, Field(ge=-(10**15), le=10**15)]
Bound = Annotated[int, Field(ge=3, le=MAX_ANSWERS)]


@validate_call
def integers(start: Number, end: Number) -> list[str]:
    """The integers from `start` to `end`, both included."""
    _check_order(start, end)
    _check_size(end - start + 1)
    return [str(number) for number in range(start, end + 1)]


@validate_call
def primes(below: Bound) -> list[str]:
    """The prime numbers smaller than `below`, ascending."""
    is_prime = bytearray([1]) * below
    is_prime[:2] = 0, 0
    for number in range(2, math.isqrt(below - 1) + 1):
        if is_prime[number]:
            multiples = range(number * number, below, number)
            is_prime[multiples.start :: number] = bytes(len(multiples))
    return [str(number) for number in range(below) if is_prime[number]]


@validate_call
def product(parts: list[list[str]], separator: str = "") -> list[str]:
    """Every way to take one text of each part, joined; the last part varies fastest."""
    _check_size(math.prod(map(len, parts)))
    return [separator.join(choice) for choice in itertools.product(*parts)]


@validate_call
def digits(
    length: Length,
    start: Number = 0,
    end: Number = 9,
    separator: str = ",",
    equals: Number | None = None,
    at_most: Number | None = None,
) -> list[str]:
    """Every sequence of `length` integers from `start` to `end`, ascending.

    Args:
        length: how many integers.
        start: the smallest.
        end: the largest.
        separator: what joins them.
        equals: their sum, if it is given.
        at_most: the largest sum, if it is given.

    Raises:
        ValueError: `start` above `end`, no sequence with such a sum, or too many sequences.
    """
    _check_order(start, end)
    high = min(bound for bound in (length * end, equals, at_most) if bound is not None)
    low = min(max(length * start, length * start if equals is None else equals), high + 1)
    _check_size(_count(length, start, end, high) - _count(length, start, end, low - 1))
    return [separator.join(map(str, numbers)) for numbers in _sequences(length, start, end, low, high)]


def _sequences(length: int, start: int, end: int, low: int, high: int) -> Iterator[tuple[int, ...]]:
    """Sequences with a sum from `low` to `high`, in order; no branch is entered that leads to none."""
    if not length:
        yield ()
        return
    rest = length - 1
    for first in range(max(start, low - rest * end), min(end, high - rest * start) + 1):
        for others in _sequences(rest, start, end, low - first, high - first):
            yield first, *others


def _count(length: int, start: int, end: int, high: int) -> int:
    """How many sequences have a sum of at most `high`, by inclusion and exclusion over those above `end`."""
    spare, width = high - length * start, end - start + 1
    return sum(
        (-1) ** above * math.comb(length, above) * math.comb(spare - above * width + length, length)
        for above in range(min(length, spare // width) + 1)
    )


def _check_order(start: int, end: int) -> None:
    if start > end:
        raise ValueError(f"start is {start} and end is {end}; the end may not be below the start")


def _check_size(count: int) -> None:
    if not 1 <= count <= MAX_ANSWERS:
        many = f"{count:,}" if count < 10**18 else f"about 10^{len(str(count)) - 1}"
        raise ValueError(f"the parameters would give {many} answers; from 1 to {MAX_ANSWERS:,} are accepted")


GENERATORS: Mapping[str, Callable[..., list[str]]] = {
    "integers": integers,
    "digits": digits,
    "primes": primes,
    "product": product,
}
"""Every generator by its name in a task file."""
