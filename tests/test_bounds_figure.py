"""The bounds of the theory over the temperatures."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import toys
from breadth.grid import TEMPERATURES
from breadth.report.bounds import draw_theory
from breadth.study import run_unit


@pytest.mark.parametrize("model", [toys.broken_shape(), toys.broken_order(), toys.mostly_invalid()])
def test_the_bounds_are_drawn_over_the_temperatures(tmp_path: Path, model: toys.ToyModel) -> None:
    files = draw_theory(run_unit(model, toys.letters_task()), tmp_path)
    assert {path.name for path in files} == {f"temperature-bound.{form}" for form in ("png", "svg", "csv")}
    with (tmp_path / "temperature-bound.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["temperature"]) for row in rows] == list(TEMPERATURES)
    for row in rows:
        assert 0 <= float(row["validity"]) <= 1
        assert row["bound_f5"] == "" or float(row["bound_f5"]) <= 1
