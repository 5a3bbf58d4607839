"""Numbers and token text in words, without loading a drawing library."""

from __future__ import annotations

import math

__all__ = ["number", "plural", "visible"]


def number(value: float | None, digits: int = 3) -> str:
    """A number with a few decimals, small ones in powers of ten; a dash for none."""
    if value is None or math.isnan(value):
        return "–"
    if 0 < abs(value) < 10**-digits:
        return f"{value:.1e}"
    return f"{value:.{digits}f}"


def plural(count: int, one: str, many: str = "") -> str:
    """`1 answer`, `1,000 answers`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def visible(text: str) -> str:
    """Text with its line breaks, tabs and other unprintable characters spelled out."""
    named = text.replace("\n", "⏎").replace("\t", "⇥")
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in named)
