"""Figures of explanations and comparisons: files, what they hold, and the awkward cases."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import matplotlib.axes
import numpy as np
import pytest
from numpy.typing import NDArray

import toys
from breadth.comparison import compare
from breadth.explanation import Explanation, explain
from breadth.models.toy import ToyModel
from breadth.report.explained import draw_comparison, draw_explanation
from breadth.report.figures import causes
from breadth.rules import parse_rule
from breadth.study import Unit, run_unit

NAMES = {"ladder", "waterfall", "local-frontiers", "cutoff-frontier", "logit-fit"}


def explained(model: ToyModel, rule: str = "temperature=1") -> tuple[Unit, Explanation]:
    unit = run_unit(model, toys.letters_task())
    return unit, explain(unit, parse_rule(rule))


def columns(path: Path) -> dict[str, list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    return dict(zip(rows[0], map(list, zip(*rows[1:], strict=True)), strict=True))


@pytest.mark.parametrize(
    ("model", "rule"),
    [
        (toys.broken_order(), "temperature=1"),
        (toys.broken_shape(), "top_k=3"),
        (toys.healthy(), "temperature=0"),
        (toys.broken_end(), "xtc=0.1:0.5"),  # the ladder does not apply
        (toys.broken_order(), "top_k=1"),  # never valid
    ],
)
def test_every_figure_is_written_whatever_the_rule(tmp_path: Path, model: ToyModel, rule: str) -> None:
    files = draw_explanation(*explained(model, rule), tmp_path)
    assert {path.stem for path in files} == NAMES
    assert len(files) == 3 * len(NAMES)
    for path in files:
        assert path.stat().st_size > 30
    assert not list(tmp_path.glob(".*"))


def test_the_data_beside_a_figure_are_the_explanation(tmp_path: Path) -> None:
    unit, facts = explained(toys.broken_order())
    draw_explanation(unit, facts, tmp_path)
    rungs = columns(tmp_path / "ladder.csv")
    assert float(rungs["value"][0]) == facts.ladder.rule
    assert float(rungs["value"][2]) == facts.ladder.ceiling
    assert sum(map(float, rungs["value"][4:])) == pytest.approx(1 - facts.coverage)
    lost = columns(tmp_path / "waterfall.csv")
    assert sum(map(float, lost["validity_lost"])) == pytest.approx(-math.log(facts.validity))
    plane = columns(tmp_path / "cutoff-frontier.csv")
    best = [float(p) for kind, p in zip(plane["kind"], plane["precision"], strict=True) if kind == "frontier"]
    assert best == sorted(best, reverse=True)
    order = columns(tmp_path / "local-frontiers.csv")
    assert set(order["step"]) == {"1"}
    assert float(order["mean"][-1]) == 6 / 8
    fit = columns(tmp_path / "logit-fit.csv")
    assert fit["valid"].count("true") >= 6


def bars(ax: matplotlib.axes.Axes) -> list[tuple[float, float]]:
    return [(patch.get_y(), patch.get_height()) for patch in ax.patches]


def test_a_waterfall_ends_at_its_total() -> None:
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    lost: NDArray[np.float64] = np.array([0.5, 0.0, 0.25])
    causes.waterfall(ax, step=np.array([1, 2, 3]), lost=lost, kind="validity", unit="ln Val")
    drawn = bars(ax)
    np.testing.assert_allclose([foot + height for foot, height in drawn[:3]], [-0.5, -0.5, -0.75])
    assert drawn[3] == (0.0, -0.75)
    assert [text.get_text() for text in ax.texts] == ["−0.500", "0", "−0.250", "−0.750"]


def test_a_ladder_says_what_is_not_known() -> None:
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    coverage = np.array([0.2, 0.4, np.nan, 1.0])
    gap = np.array(["", "×2.00 by tuning", "", ""])
    causes.ladder(ax, rung=np.array(["a", "b", "c", "d"]), coverage=coverage, gap=gap)
    texts = [text.get_text() for text in ax.texts]
    assert "not known" in texts
    assert "×2.00 by tuning" in texts
    assert {text for text in texts if text[0] in "01"} == {"0.200", "0.400", "1.000"}


def test_models_are_drawn_side_by_side(tmp_path: Path) -> None:
    units = [
        run_unit(model, toys.letters_task(name=task))
        for model in (toys.healthy(), toys.broken_order(), toys.broken_shape())
        for task in ("one", "two")
    ]
    files = draw_comparison(compare(units), tmp_path)
    assert {path.name for path in files} == {"sizes.png", "sizes.svg", "sizes.csv"}
    drawn = columns(tmp_path / "sizes.csv")
    assert drawn["model"][:3] == ["healthy", "broken-order", "broken-shape"]
    assert drawn["place"][:3] == ["1.0", "2.0", "3.0"]
