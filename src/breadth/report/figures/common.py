"""What the figures share: legends, and text that stands out from lines behind it."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

__all__ = ["HALO", "Legend", "legend_above", "unique"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Strings = NDArray[np.str_]


HALO = [withStroke(linewidth=3, foreground="white")]


def unique(values: NDArray[Any]) -> list[Any]:
    """The different values, in order of appearance."""
    return list(dict.fromkeys(values.tolist()))


class Legend:
    """Entries under headings, to the right of the Axes."""

    def __init__(self) -> None:
        self.entries: list[tuple[Artist, str]] = []
        self.headings: list[str] = []

    def head(self, text: str) -> None:
        """Start a group, once."""
        if text not in self.headings:
            self.headings.append(text)
            self.add(Line2D([], [], linestyle="none"), f"\n{text}" if self.entries else text)

    def add(self, handle: Artist, text: str) -> None:
        """Add an entry."""
        self.entries.append((handle, text))

    def draw(self, ax: Axes) -> None:
        """Write it."""
        handles, labels = zip(*self.entries, strict=True)
        legend = ax.legend(
            handles,
            labels,
            loc="upper left",
            bbox_to_anchor=(1.03, 1.0),
            borderaxespad=0,
            labelspacing=0.5,
            handlelength=2.4,
        )
        for text in legend.get_texts():
            if text.get_text().strip() in self.headings:
                text.set_fontweight("bold")


def legend_above(ax: Axes, handles: list[Artist], columns: int) -> None:
    """A legend in one line between headline and Axes."""
    ax.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(-0.01, 1.0),
        borderaxespad=0.3,
        ncols=columns,
        handletextpad=0.5,
        columnspacing=1.4,
    )
