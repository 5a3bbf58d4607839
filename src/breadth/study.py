"""Models × tasks: one folder with a subfolder for each pair, read unchanged by everything that comes later.

OUT/
  MODEL--TASK/
    probe/             the saved probe
    rules.parquet      one row per rule: `breadth.scores.Scores`
    rules.csv          the same, for people
    diagnosis.json     `breadth.diagnosis.Diagnosis`, with provenance
    figures/           PNG, SVG and the data of each as CSV
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from breadth.diagnosis import Diagnosis, diagnose
from breadth.encoding import MAX_SEQUENCES
from breadth.errors import InputError
from breadth.files import new_file
from breadth.grid import default_grid, oracle_grid
from breadth.models.base import Model
from breadth.probe import Probe, open_probe, take_probe
from breadth.rules import Rule, default_rule, parse_rule
from breadth.scores import SAMPLES, Scores, family_rows, score_rules
from breadth.task import Task

__all__ = ["Unit", "open_units", "run_unit", "unit_folder"]


@dataclass(frozen=True, eq=False)
class Unit:
    """One model on one task, diagnosed.

    Attributes:
        probe: the model's distributions at the task's prefixes.
        rules: the rules asked for, or the default grid and the oracles.
        scores: one row per rule, in order.
        folder: where it is kept; None if it is not.
        has_grid: whether the rules are the default grid, wide enough for a diagnosis.
    """

    probe: Probe
    rules: Sequence[Rule]
    scores: Sequence[Scores]
    folder: Path | None
    has_grid: bool = True

    @property
    def model(self) -> str:
        """The model's name."""
        return str(self.probe.provenance["model"])

    @property
    def task(self) -> str:
        """The task's name."""
        return str(self.probe.provenance["task"])

    @cached_property
    def diagnosis(self) -> Diagnosis:
        """What blocks, with the numbers that decide it; with rules of the user's own only the numbers."""
        return diagnose(self.probe, self.scores, judge=self.has_grid)

    def rows(self) -> list[dict[str, Any]]:
        """One plain dict per rule, for JSON: names, numbers and provenance."""
        trie = self.probe.trie
        provenance = {key: value for key, value in self.probe.provenance.items() if key != "prompt"}
        return [
            {
                "model": self.model,
                "task": self.task,
                **scores.as_dict(),
                "answers": trie.n_answers,
                "prefixes": len(trie.prefixes),
                "provenance": provenance,
            }
            for scores in self.scores
        ]


def open_units(folder: Path) -> list[Unit]:
    """The units of a run that was kept: a study folder, or the folder of one model on one task.

    Raises:
        InputError: not the folder of a run, or of one that is not whole.
    """
    folders = (
        [folder] if (folder / "probe").is_dir() else sorted(path.parent for path in folder.glob("*/probe"))
    )
    if not folders:
        raise InputError(f"{folder} is not the folder of a run; give what `breadth run --out` was given")
    return [_open_unit(each) for each in folders]


def _open_unit(folder: Path) -> Unit:
    probe = open_probe(folder / "probe")
    try:
        table = pq.read_table(folder / "rules.parquet", schema=SCORES_SCHEMA)
        has_grid = (
            json.loads((folder / "diagnosis.json").read_text(encoding="utf-8"))["bottleneck"] is not None
        )
    except (OSError, ValueError, KeyError, TypeError) as error:  # arrow's are ValueErrors
        reason = " ".join(str(error).split())
        raise InputError(f"{folder} is not a whole run of this version ({reason}); run it again") from None
    scores = [_scores_of(row) for row in table.to_pylist()]
    rules = [parse_rule(row.rule, row.engine) for row in scores]
    return Unit(probe, rules, scores, folder, has_grid)


def _scores_of(row: Mapping[str, Any]) -> Scores:
    values: dict[str, Any] = {field.name: row.get(field.name) for field in fields(Scores)}
    values["distinct"] = {n: row[f"distinct_{n}"] for n in SAMPLES}
    for name in ("diversity", "hill_0", "hill_2", "hill_inf"):
        values[name] = float("nan") if values[name] is None else values[name]
    return Scores(**values)


def unit_folder(out: Path, model: str, task: str) -> Path:
    """The subfolder of a (model, task) pair, by names that every file system takes."""
    return out / f"{_slug(model)}--{_slug(task)}"


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-.") or "unnamed"


def run_unit(
    model: Model,
    task: Task,
    rules: Sequence[Rule] | None = None,
    *,
    out: Path | None = None,
    engine: str | None = None,
    template_arguments: Mapping[str, Any] | None = None,
    max_sequences: int = MAX_SEQUENCES,
    progress: Callable[[int, int], None] | None = None,
) -> Unit:
    """Probe, score and diagnose; write the results when `out` is given.

    Args:
        model: what to diagnose.
        task: on what.
        rules: exactly these, in this order; None for the model's default rule, the default grid and the
            oracles.
        out: the study folder; a probe in it is reused when nothing that determines it has changed.
        engine: preset whose order the grid's rules follow.
        template_arguments: passed to the chat template.
        max_sequences: refuse larger tries.
        progress: told how many prefixes are done, of how many.
    """
    folder = unit_folder(out, model.name, task.name) if out is not None else None
    probe = take_probe(
        model,
        task,
        folder / "probe" if folder else None,
        template_arguments=template_arguments,
        max_sequences=max_sequences,
        progress=progress,
    )
    has_grid = rules is None
    if rules is None:
        rules = [default_rule(probe.provenance["generation"]), *default_grid(engine), *oracle_grid()]
    unit = Unit(probe, rules, list(score_rules(probe, rules)), folder, has_grid)
    if folder:
        _write(unit, folder)
    return unit


def _write(unit: Unit, folder: Path) -> None:
    table = scores_table(unit)
    with new_file(folder / "rules.parquet") as path:
        pq.write_table(table, path)
    with new_file(folder / "rules.csv") as path:
        pyarrow.csv.write_csv(table, path)
    with new_file(folder / "families.csv") as path:
        pyarrow.csv.write_csv(pa.Table.from_pylist(family_rows(unit.scores)), path)
    with new_file(folder / "diagnosis.json") as path:
        facts = {
            "model": unit.model,
            "task": unit.task,
            **unit.diagnosis.as_dict(),
            "provenance": dict(unit.probe.provenance),
        }
        path.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


SCORES_SCHEMA = pa.schema(
    [
        pa.field("model", pa.string()),
        pa.field("task", pa.string()),
        pa.field("rule", pa.string()),
        pa.field("engine", pa.string()),
        pa.field("family", pa.string()),
        *(
            pa.field(name, pa.float64())
            for name in (
                "temperature",
                "validity",
                "diversity",
                "recall",
                "precision",
                "event_precision",
                "hill_0",
                "hill_2",
                "hill_inf",
                "coverage",
            )
        ),
        pa.field("cut_in_tail", pa.bool_()),
        pa.field("answers", pa.int64()),
        pa.field("prefixes", pa.int64()),
        *(pa.field(f"distinct_{n}", pa.float64()) for n in SAMPLES),
    ]
)
"""Columns of `rules.parquet`, the same whatever the rules, so that runs can be put together."""


def scores_table(unit: Unit) -> pa.Table:
    """The scores as a tidy table: one row per rule, the distinct counts as columns `distinct_n`."""
    flat = []
    for row in unit.rows():
        distinct = row.pop("distinct")
        row.pop("provenance")
        flat.append(row | {f"distinct_{n}": value for n, value in distinct.items()})
    return pa.Table.from_pylist(flat, schema=SCORES_SCHEMA)


def check_folders(out: Path, models: Sequence[str], tasks: Sequence[Task]) -> None:
    """Refuse an output folder that cannot be one, and models or tasks whose results would share a folder.

    Raises:
        InputError: names the file, or the two that clash.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out} is a file; a folder, or the name of a new one, is needed")
    seen: dict[Path, tuple[str, Task]] = {}
    for model, task in itertools.product(models, tasks):
        other_model, other_task = seen.setdefault(unit_folder(out, model, task.name), (model, task))
        if (other_model, other_task.hash) != (model, task.hash) or other_task.name != task.name:
            both = f"{model} on {task.name} and {other_model} on {other_task.name}"
            if task.name == other_task.name and model == other_model:
                both = f"two different tasks named {task.name}"
            raise InputError(
                f"{both} would share the folder {unit_folder(out, model, task.name)}; rename one"
            )
