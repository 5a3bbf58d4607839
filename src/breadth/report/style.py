"""How every figure looks: one palette, one font, one layout, and text that no token can break."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import matplotlib as mpl
import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

__all__ = [
    "DPI",
    "FAINT",
    "INK",
    "INVALID",
    "INVALID_AREA",
    "MUTED",
    "ORACLES",
    "RARE",
    "VALID",
    "WIDTH",
    "Look",
    "context",
    "count",
    "count_axis",
    "fit",
    "headline",
    "legible",
    "looks",
    "new_figure",
    "no_ticks",
    "probability_axis",
    "sequence",
    "wrapped",
]

DPI = 150
WIDTH = 8.8  # inches, of every figure
FONT = "DejaVu Sans"  # ships with matplotlib, so that a figure is the same everywhere

INK = "#222222"
MUTED = "#5f6368"
FAINT = "#b9bdc2"
VALID = "#0072b2"
RARE = "#7cc0e8"
INVALID = "#d55e00"
INVALID_AREA = "#f6d3bd"  # under a hatch in INVALID

_RC = {
    "font.family": FONT,
    "font.size": 9.5,
    "text.color": INK,
    "text.parse_math": False,  # a `$` in an answer is a dollar
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e9ebee",
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "hatch.linewidth": 0.6,
    "svg.hashsalt": "breadth",  # equal data, equal files
}


@contextmanager
def context() -> Iterator[None]:
    """The look of breadth while figures are drawn *and* saved; the user's own settings stay untouched."""
    with mpl.style.context(["default", _RC]):
        yield


@dataclass(frozen=True)
class Look:
    """A colour with a marker and a line of its own, so that colour is never needed to tell two apart."""

    colour: str
    marker: str
    line: str | tuple[int, tuple[int, ...]] = "-"

    @property
    def options(self) -> dict[str, Any]:
        """As `Axes.plot` takes them."""
        return {"color": self.colour, "marker": self.marker, "linestyle": self.line}


_LOOKS = (
    Look("#0072b2", "o"),
    Look("#e69f00", "s"),
    Look("#009e73", "^"),
    Look("#aa3377", "D"),
    Look("#56b4e9", "v", "--"),
    Look("#d55e00", "P", "--"),
    Look("#8a8a1e", "X", "--"),
    Look("#661100", "<", "--"),
    Look("#332288", ">", "--"),
    Look("#777777", "h", "-."),
)

_FAMILIES = (
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "typical_p",
    "epsilon_cutoff",
    "eta_cutoff",
    "top_h",
    "top_n_sigma",
    "xtc",
)

ORACLES = {
    "oracle_size": Look(INK, "d", ":"),
    "oracle_validity": Look(INK, "p", "-."),
    "oracle_shape": Look(INK, "*", " "),
}
"""Oracles are black and hollow, rules are coloured and filled."""


def looks(names: Sequence[str]) -> dict[str, Look]:
    """A look for every name: a rule family of one step always has the same, others take what is free."""
    chosen = {name: _LOOKS[_FAMILIES.index(name)] for name in names if name in _FAMILIES}
    others = [name for name in names if name not in chosen]
    free = [look for look in _LOOKS if look not in chosen.values()] or list(_LOOKS)
    return chosen | {name: free[index % len(free)] for index, name in enumerate(others)}


def sequence(n: int) -> list[Look]:
    """`n` looks in an order that the eye sees: dark to light, each with another marker."""
    scale = mpl.colormaps["viridis"]
    markers, lines = "osD^vP<X>h", ("-", "--", "-.")
    return [
        Look(
            mpl.colors.to_hex(scale(0.72 * index / max(n - 1, 1))),
            markers[index % len(markers)],
            lines[index % len(lines)],
        )
        for index in range(n)
    ]


def new_figure(
    height: float,
    *,
    left: float = 0.8,
    right: float = 0.25,
    above: float = 0.85,
    below: float = 0.62,
) -> Figure:
    """An empty figure with room for its headline; sizes and margins in inches.

    Margins are fixed, not fitted to the text: fast, and figures of a kind line up.
    """
    figure = Figure(figsize=(WIDTH, height), dpi=DPI)
    figure.subplots_adjust(
        left=left / WIDTH, right=1 - right / WIDTH, bottom=below / height, top=1 - above / height
    )
    return figure


def headline(figure: Figure, title: str, subtitle: str) -> None:
    """A title that says what is seen, and under it whose numbers they are; cut where too wide.

    Both must be `legible` already.
    """
    height = figure.get_size_inches()[1]
    for text, down, size, weight, colour in (
        (title, 0.16, 12.5, "bold", INK),
        (subtitle, 0.44, 9.5, "normal", MUTED),
    ):
        artist = figure.text(
            0.15 / WIDTH, 1 - down / height, text, va="top", fontsize=size, fontweight=weight, color=colour
        )
        fit(artist, (WIDTH - 0.3) * DPI)


def fit(artist: Text, width: float) -> None:
    """Cut a text so that it is at most `width` pixels wide, an ellipsis in the place of what is lost."""
    text = artist.get_text()
    keep = len(text)
    while keep > 1 and (actual := artist.get_window_extent().width) > width:
        keep = min(keep - 1, max(1, int(keep * width / actual)))
        artist.set_text(text[:keep].rstrip() + "…")


def wrapped(rule: str, width: int = 30) -> str:
    """A rule's text in lines of about `width` characters, broken between steps."""
    lines = [""]
    for part in re.findall(r"[^,+]+[,+]?", rule):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


_NAMED = {"\n": "⏎", "\t": "⇥"}
_RIGHT_TO_LEFT = {"R", "AL"}
_LEFT_TO_RIGHT_MARK = "\u200e"


@cache
def _shown(character: str) -> str:
    """One character as the font can draw it."""
    if character in _NAMED:
        return _NAMED[character]
    font = get_font(findfont(FontProperties(family=FONT)))
    if character.isprintable() and font.get_char_index(ord(character)):
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def legible(text: str, *, spaces: bool = False, at_most: int | None = None) -> str:
    """A text as the font can draw it, on one line, disturbing nothing around it.

    Line breaks and tabs become symbols; control characters and those that the font lacks become escapes
    such as `\\u4e2d`. A lone accent gets a circle to sit on; right-to-left letters keep to themselves.

    Args:
        text: any text.
        spaces: whether spaces become `␣`, for tokens, where they matter.
        at_most: cut after this many characters, with an ellipsis.
    """
    if spaces:
        text = text.replace(" ", "␣")
    shown = [_shown(character) for character in text[: None if at_most is None else at_most + 1]]
    if at_most is not None and sum(map(len, shown)) > at_most:
        while sum(map(len, shown)) > at_most - 1:
            shown.pop()
        shown.append("…")
    result = "".join(shown)
    if result and unicodedata.category(result[0]).startswith("M"):
        result = "◌" + result
    if any(unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in result):
        result = _LEFT_TO_RIGHT_MARK + result + _LEFT_TO_RIGHT_MARK
    return result


_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _probability(value: float, _: object = None) -> str:
    if value >= 1e-3:
        return f"{value:g}"
    exponent = f"{value:e}".partition("e")[2]
    return "10" + str(int(exponent)).translate(_SUPERSCRIPT)


def count(value: float, _: object = None) -> str:
    """A count as an axis writes it: 1,000, 10k, 2M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= size:
            return f"{value / (1e3 if unit == 'k' else size):g}{unit}"
    return f"{value:,g}"


def _log_axis(ax: Axes, which: str, formatter: Callable[[float, object], str]) -> None:
    # Ticks are named by hand because matplotlib writes powers of ten as formulas, which are switched off.
    ax.set(**{f"{which}scale": "log"})
    axis = {"x": ax.xaxis, "y": ax.yaxis}[which]
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(10, subs=(1, 2, 5) if high < 100 * low else (1,), numticks=9))
    axis.set_major_formatter(FuncFormatter(formatter))
    axis.set_minor_locator(NullLocator())


def probability_axis(ax: Axes, which: str) -> None:
    """A logarithmic axis of probabilities, 1, 0.1, … 10⁻⁶; to be called when everything is drawn."""
    _log_axis(ax, which, _probability)


def no_ticks() -> NullLocator:
    """A locator that finds no place for a tick."""
    return NullLocator()


def count_axis(ax: Axes, which: str) -> None:
    """A logarithmic axis of counts, 1, 10, … 100k; to be called when everything is drawn."""
    _log_axis(ax, which, count)
