"""Writing figures: PNG, SVG, and the data of each as CSV."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from breadth.files import new_file
from breadth.report import style

__all__ = ["Columns", "Saver", "stacked"]

Columns = Mapping[str, NDArray[Any]]
"""The data of a figure: columns of equal length, drawn and written as they are."""


class Saver:
    """Writes figures into a folder and remembers the files."""

    def __init__(self, folder: Path, whose: str) -> None:
        self.folder = folder
        self.whose = whose
        self.files: list[Path] = []

    def __call__(self, name: str, figure: Figure, columns: Columns, title: str, note: str = "") -> None:
        """Write NAME.png, NAME.svg and NAME.csv under a headline."""
        style.headline(figure, title, f"{self.whose} · {note}" if note else self.whose)
        metadata: dict[str, dict[str, str | None]] = {
            "png": {"Title": title, "Software": None},
            "svg": {"Title": title, "Creator": None, "Date": None},
        }
        for form, facts in metadata.items():
            path = self.folder / f"{name}.{form}"
            with new_file(path) as temporary:
                figure.savefig(temporary, format=form, metadata=facts)
            self.files.append(path)
        path = self.folder / f"{name}.csv"
        with new_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(zip(*(map(_cell, column.tolist()) for column in columns.values()), strict=True))
        self.files.append(path)


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if isinstance(value, float) and math.isnan(value) else value


def stacked(parts: Sequence[Columns]) -> dict[str, NDArray[Any]]:
    """Columns one below the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
