"""The figure of the theory: the paper's shape bounds over the temperature frontier."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from breadth.report import style
from breadth.report.figures.bounds import temperature_bound
from breadth.report.saver import Saver
from breadth.study import Unit
from breadth.theory import temperature_curve

__all__ = ["draw_theory"]


def draw_theory(unit: Unit, folder: Path) -> list[Path]:
    """Draw what temperature alone does under the bounds of Thm F.4 and Cor. F.5.

    Args:
        unit: one model on one task.
        folder: where the files go; made if needed.

    Returns:
        The files written: `temperature-bound` as PNG, SVG and CSV.

    Raises:
        StorageError: a file cannot be written.
    """
    curve = temperature_curve(unit.probe)
    columns = {field.name: getattr(curve, field.name) for field in fields(curve)}
    with style.context():
        save = Saver(folder, " on ".join(style.legible(name, at_most=40) for name in (unit.model, unit.task)))
        figure = style.new_figure(4.6, right=2.3)
        temperature_bound(figure.add_subplot(), **columns)
        note = "numbers: temperature · `breadth theory` says which assumptions hold"
        save("temperature-bound", figure, columns, "Temperature alone, and what shape would allow", note)
        return save.files
