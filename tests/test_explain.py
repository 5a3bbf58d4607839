"""Explanations, the tables that hold them, and comparisons: toys broken in one way, and kept runs."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import toys
from breadth.catalog import load_task
from breadth.comparison import compare
from breadth.errors import InputError, RuleError
from breadth.explanation import Explanation, explain
from breadth.measures.answers import coverage
from breadth.models.toy import ToyModel
from breadth.outcome import evaluate
from breadth.rules import parse_rule
from breadth.study import Unit, open_units, run_unit
from breadth.tables import run_row, run_table, write_tables
from breadth.task import Task


def unit_of(model: ToyModel, task: Task | None = None, **options: Any) -> Unit:
    return run_unit(model, task or toys.letters_task(), **options)


def explained(model: ToyModel, rule: str = "temperature=1", **options: Any) -> Explanation:
    return explain(unit_of(model), parse_rule(rule), **options)


def test_a_healthy_model_lacks_nothing() -> None:
    facts = explained(toys.healthy())
    assert facts.coverage == pytest.approx(1.0)
    assert facts.blame.order == pytest.approx(0.0, abs=1e-9)
    assert facts.ladder.tuning == pytest.approx(0.0, abs=1e-9)
    assert facts.ladder.ceiling == pytest.approx(1.0)


def test_bad_order_alone_is_blamed_on_order_and_no_sampler_helps() -> None:
    # Two invalid letters above six valid ones, which are equally likely: shape is off too, but only since the
    # values of the invalid ones come first.
    facts = explained(toys.broken_order())
    assert facts.blame.top > 0.1
    assert facts.blame.within == pytest.approx(0.0, abs=1e-9)
    # "Uniform over the top 8" is the best there is: valid 6/8 of the time.
    assert facts.ladder.ceiling == pytest.approx(coverage(np.full(6, math.log(1 / 8))), rel=1e-6)
    assert facts.local.inversions.by[0] == 2
    assert not facts.local.order_calibrated[0]


def test_bad_shape_alone_is_blamed_on_shape_and_a_sampler_helps() -> None:
    facts = explained(toys.broken_shape())
    assert facts.blame.top == pytest.approx(0.0, abs=1e-9)
    assert facts.blame.within == pytest.approx(0.0, abs=1e-9)
    assert facts.blame.shape == pytest.approx(1 - facts.coverage)
    assert facts.ladder.ceiling == pytest.approx(1.0, abs=1e-6)
    assert facts.ladder.order == pytest.approx(0.0, abs=1e-6)


def test_the_account_adds_up() -> None:
    facts = explained(toys.broken_end(), "temperature=1.5,top_p=0.9", samples=20)
    assert sum(step.validity_lost for step in facts.steps) == pytest.approx(-math.log(facts.validity))
    assert sum(step.diversity_lost for step in facts.steps) == pytest.approx(
        -math.log(facts.diversity), abs=1e-9
    )
    blame = facts.blame
    assert blame.top + blame.within + blame.shape == pytest.approx(1 - facts.coverage)
    assert facts.distinct / facts.ideal_distinct == pytest.approx(facts.coverage)
    ladder = facts.ladder
    assert ladder.rule <= ladder.best <= ladder.ceiling_above + 1e-9
    assert math.exp(ladder.tuning + ladder.reshaping + ladder.order) == pytest.approx(1 / facts.coverage)


@pytest.mark.parametrize("samples", [None, 1, 6, 1000])
def test_the_best_rung_is_the_best_rule_at_that_many_samples(samples: int | None) -> None:
    unit = unit_of(toys.broken_shape())
    facts = explain(unit, parse_rule("temperature=0"), samples=samples)
    tried = [rule for rule in unit.rules if rule.is_cutoff]
    best = max(coverage(each.answer_logp, samples) for each in evaluate(unit.probe, tried))
    assert facts.ladder.best == pytest.approx(max(best, facts.coverage))


def test_a_rule_that_drops_the_top_gets_no_ladder() -> None:
    facts = explained(toys.broken_shape(), "xtc=0.1:0.5")
    assert not facts.ladder.applies
    assert math.isnan(facts.ladder.tuning)
    assert facts.ladder.rule == facts.coverage


def test_a_rule_that_is_never_valid_has_no_logs() -> None:
    facts = explained(toys.broken_order(), "top_k=1")
    assert facts.validity == facts.coverage == 0.0
    assert math.isnan(facts.diversity_lost)
    assert math.isnan(facts.ladder.tuning)
    assert facts.blame.order + facts.blame.shape == pytest.approx(1.0)
    json.dumps(facts.as_dict(), allow_nan=False)


def test_an_oracle_and_no_samples_are_refused() -> None:
    with pytest.raises(RuleError, match="oracle"):
        explained(toys.healthy(), "oracle_size")
    with pytest.raises(InputError, match=r"samples must be from 1 to .*, not 0"):
        explained(toys.healthy(), samples=0)


# Kept runs


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    for model in (toys.broken_shape(), toys.broken_order()):
        unit_of(model, out=tmp_path)
    return tmp_path


def test_a_kept_run_is_opened_as_it_was(kept: Path) -> None:
    fresh = unit_of(toys.broken_order())
    unit = next(unit for unit in open_units(kept) if unit.model == "broken-order")
    assert [row.as_dict() for row in unit.scores] == [row.as_dict() for row in fresh.scores]
    assert [str(rule) for rule in unit.rules] == [str(rule) for rule in fresh.rules]
    assert unit.has_grid
    (alone,) = open_units(unit.folder)
    assert [row.as_dict() for row in alone.scores] == [row.as_dict() for row in unit.scores]


def test_what_is_no_run_is_refused(tmp_path: Path, kept: Path) -> None:
    with pytest.raises(InputError, match="is not the folder of a run"):
        open_units(tmp_path / "nothing")
    folder = next(kept.glob("*/rules.parquet")).parent
    (folder / "rules.parquet").write_bytes(b"cut short")
    with pytest.raises(InputError, match="is not a whole run of this version"):
        open_units(folder)


def test_every_level_has_its_table(kept: Path) -> None:
    for unit in open_units(kept):
        facts = explain(unit)
        write_tables(unit, facts)
        answers = pq.read_table(unit.folder / "answers.parquet").to_pydict()
        assert answers["answer"] == list(unit.probe.answers)
        np.testing.assert_allclose(answers["logp"], facts.outcome.answer_logp)
        assert sorted(answers["rank"]) == list(range(1, 7))
        assert sum(answers["valid_share"]) == pytest.approx(1.0)
        assert sum(answers["found_in_samples"]) == pytest.approx(facts.distinct)

        prefixes = pq.read_table(unit.folder / "prefixes.parquet").to_pydict()
        assert prefixes["node"] == unit.probe.trie.prefixes.tolist()
        assert sum(prefixes["validity_lost"]) == pytest.approx(facts.validity_lost)
        assert sum(prefixes["leak"]) == pytest.approx(1 - facts.validity, abs=1e-9)
        assert prefixes["prefix"][0] == ""
        if unit.model == "broken-order":
            assert prefixes["inverted_by"][0] == 2
            assert prefixes["invalid_above"][0] == ["u", "v"]
        else:
            assert prefixes["inverted"][0] is None

        (row,) = pq.read_table(unit.folder / "run.parquet").to_pylist()
        assert row["coverage"] == pytest.approx(facts.coverage)
        assert row["blame_order"] == pytest.approx(facts.blame.order)
        document = json.loads((unit.folder / "explanation.json").read_text())
        assert document["ladder"]["status"] == "certified"


def test_tables_of_all_runs_have_one_schema(kept: Path) -> None:
    rows = [run_row(unit, explain(unit)) for unit in open_units(kept)]
    never = unit_of(toys.mostly_invalid(), rules=[parse_rule("top_k=1")])
    rows.append(run_row(never, explain(never, parse_rule("top_k=1"))))
    tables = [run_table([row]) for row in rows]
    assert len({table.schema for table in tables}) == 1
    assert pa.concat_tables(tables).num_rows == 3


def test_models_are_compared_on_the_tasks_they_share(kept: Path) -> None:
    other = unit_of(toys.healthy(), toys.letters_task(name="other"))
    compared = compare([*open_units(kept), other])
    assert [each.name for each in compared] == ["broken-order", "broken-shape"]
    assert {each.row()["task"] for each in compared} == {"letters"}
    with pytest.raises(InputError, match=r"nothing to compare: every task is in one run only \(other\)"):
        compare([other])


def test_one_model_in_two_runs_is_told_apart_by_folder(tmp_path: Path) -> None:
    for folder in ("before", "after"):
        unit_of(toys.broken_shape(), out=tmp_path / folder)
    units = [unit for folder in ("before", "after") for unit in open_units(tmp_path / folder)]
    assert [each.name for each in compare(units)] == ["broken-shape (before)", "broken-shape (after)"]


def test_one_name_for_two_tasks_is_refused() -> None:
    units = [unit_of(toys.healthy()), unit_of(toys.broken_shape(), toys.letters_task(answers=["a", "b"]))]
    with pytest.raises(InputError, match="letters is not the same in all runs"):
        compare(units)


@pytest.mark.model
@pytest.mark.parametrize("task", ["us-states-fewshot", "digits-fewshot"])
@pytest.mark.parametrize("name", ["smollm2", "gemma3"])
def test_on_real_models_everything_adds_up(name: str, task: str, request: pytest.FixtureRequest) -> None:
    unit = run_unit(request.getfixturevalue(name), load_task(task))
    facts = explain(unit)
    assert sum(step.validity_lost for step in facts.steps) == pytest.approx(
        -math.log(facts.validity), abs=1e-10
    )
    assert sum(step.diversity_lost for step in facts.steps) == pytest.approx(
        -math.log(facts.diversity), abs=1e-10
    )
    blame, ladder = facts.blame, facts.ladder
    assert blame.order + blame.shape == pytest.approx(1 - facts.coverage, abs=1e-12)
    assert ladder.status == "certified"
    assert facts.coverage == ladder.rule <= ladder.best <= ladder.ceiling_above <= 1
    assert ladder.ceiling_above / ladder.ceiling < 1 + 1e-5
    for floor, (lower, upper, status) in facts.diversity_ceilings.items():
        assert status == "certified"
        cutoffs = [row for row in unit.scores if row.is_cutoff]
        tried = [row.diversity for row in cutoffs if row.validity >= floor]
        assert max(tried, default=0.0) <= upper + 1e-9
        assert lower <= upper
    # The oracle of size is order-limited: it stays below 1 exactly where an inversion is reached.
    assert (facts.local.order_score < 1).any() == (unit.diagnosis.oracle_size_validity < 1 - 1e-9)


def test_every_column_is_told_in_the_data_model(kept: Path) -> None:
    text = (Path(__file__).parents[1] / "docs" / "data-model.md").read_text(encoding="utf-8")
    (unit, _) = open_units(kept)
    write_tables(unit, explain(unit))
    for level in ("answers", "prefixes", "run", "rules"):
        for name in pq.read_schema(unit.folder / f"{level}.parquet").names:
            told = re.sub(r"0\.(95|9|8)$", "F", name) if level == "run" and "_at_" in name else name
            told = re.sub(r"^fit_(top|all)_.*", r"fit_\1_…", told)
            told = "oracle_…" if told.startswith("oracle_") else told
            assert f"`{told}`" in text or f"`{name}`" in text, name


def test_a_unit_that_is_not_kept_has_no_tables() -> None:
    unit = unit_of(toys.healthy())
    with pytest.raises(InputError, match="healthy on letters is not kept in a folder"):
        write_tables(unit, explain(unit))
