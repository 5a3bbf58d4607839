"""Rows and families: what the tables hold."""

from __future__ import annotations

import math

import pytest

import toys
from breadth.scores import FLOORS, family_fronts, family_rows, score_rules
from breadth.study import run_unit


def test_families_hold_the_best_of_their_members() -> None:
    unit = run_unit(toys.broken_shape(), toys.letters_task())
    rows = family_rows(unit.scores)
    assert {row["family"] for row in rows} == {scores.family for scores in unit.scores}
    assert sum(row["rules"] for row in rows) == len(unit.scores)
    assert [row["area"] for row in rows] == sorted((row["area"] for row in rows), reverse=True)
    for row in rows:
        members = [scores for scores in unit.scores if scores.family == row["family"]]
        for floor in FLOORS:
            reached = [member.diversity for member in members if member.validity >= floor]
            assert row[f"diversity_at_{floor}"] == (max(reached) if reached else None)


def test_fronts_rise_as_validity_falls() -> None:
    unit = run_unit(toys.broken_order(), toys.letters_task())
    for front in family_fronts(unit.scores).values():
        assert [s.validity for s in front] == sorted((s.validity for s in front), reverse=True)
        assert [s.diversity for s in front] == sorted(s.diversity for s in front)


def test_a_row_is_plain() -> None:
    unit = run_unit(toys.model({"u": 1.0} | dict.fromkeys(toys.VALID, 0.0)), toys.letters_task())
    (row,) = (scores.as_dict() for scores in score_rules(unit.probe, unit.rules[:1]))
    assert row["diversity"] is None
    assert row["validity"] == 0
    assert row["distinct"]["100"] == 0
    assert not any(isinstance(value, float) and not math.isfinite(value) for value in row.values())


def test_oracles_and_cutoffs_are_told_apart() -> None:
    unit = run_unit(toys.healthy(), toys.letters_task())
    by_family = {scores.family: scores for scores in unit.scores}
    assert by_family["oracle_size"].is_oracle
    assert not by_family["typical_p"].is_cutoff
    assert not by_family["xtc"].is_cutoff
    assert by_family["top_p"].is_cutoff
    assert by_family["oracle_shape"].validity == pytest.approx(1)
