"""Everything that was measured as tidy tables, one per level: answers, prefixes, rules, and the run itself.

The table of rules is written by the run; the others belong to one rule that was explained.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from breadth.errors import InputError
from breadth.explanation import Explanation
from breadth.files import new_file
from breadth.local import logit_fits
from breadth.measures.answers import log_validity
from breadth.measures.logit_fit import LogitFit
from breadth.scores import FLOORS, best_rule, plain
from breadth.study import Unit

__all__ = ["answers_table", "prefixes_table", "run_row", "run_table", "write_rows", "write_tables"]


def write_tables(
    unit: Unit, explanation: Explanation, progress: Callable[[int, int], None] | None = None
) -> None:
    """Write `answers`, `prefixes` and `run.parquet` and `explanation.json` into the unit's folder.

    Args:
        unit: one that is kept.
        explanation: of one rule on it.
        progress: told how many prefixes are done, of how many.

    Raises:
        InputError: the unit is not kept.
        StorageError: a file cannot be written.
    """
    if unit.folder is None:
        raise InputError(f"{unit.model} on {unit.task} is not kept in a folder; run it with --out")
    tables = {
        "answers": answers_table(unit, explanation),
        "prefixes": prefixes_table(unit, explanation, progress),
        "run": run_table([run_row(unit, explanation)]),
    }
    for name, table in tables.items():
        with new_file(unit.folder / f"{name}.parquet") as path:
            pq.write_table(table, path)
    with new_file(unit.folder / "explanation.json") as path:
        path.write_text(
            json.dumps(explanation.as_dict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )


def write_rows(rows: list[dict[str, Any]], folder: Path, name: str) -> None:
    """Write rows of `run_row` as NAME.parquet and NAME.csv."""
    table = run_table(rows)
    with new_file(folder / f"{name}.parquet") as path:
        pq.write_table(table, path)
    with new_file(folder / f"{name}.csv") as path:
        pyarrow.csv.write_csv(table, path)


FITTED = 1000
"""Prefixes whose logits are fitted: about 17 ms each."""

TEXTS = {"inverted": pa.string(), "invalid_above": pa.list_(pa.string())}
"""Types of columns that may hold nothing but null."""


def _table(columns: Mapping[str, Any], size: int) -> pa.Table:
    """Columns of one length, a text standing for all rows; NaN and None become null."""
    return pa.table(
        {
            name: pa.array(
                [column] * size if isinstance(column, str) else column, TEXTS.get(name), from_pandas=True
            )
            for name, column in columns.items()
        }
    )


def answers_table(unit: Unit, explanation: Explanation) -> pa.Table:
    """One row per answer, in the task's order."""
    probe, outcome = unit.probe, explanation.outcome
    logp = outcome.answer_logp
    said = np.isfinite(logp).any()
    share = np.exp(logp - log_validity(logp)) if said else np.full(len(logp), np.nan)
    rank = np.empty(len(logp), dtype=np.int64)
    rank[np.argsort(-logp, kind="stable")] = np.arange(1, len(logp) + 1)
    with np.errstate(divide="ignore"):
        found = -np.expm1(explanation.samples * np.log1p(-np.exp(np.minimum(logp, 0.0))))
    columns = {
        **_names(explanation),
        "answer": list(probe.answers),
        "sequences": np.bincount(probe.trie.answer[probe.trie.leaves]),
        "logp": logp,
        "probability": np.exp(logp),
        "rank": rank,
        "valid_share": share,
        "over_uniform": share * len(logp),
        "samples": np.full(len(logp), explanation.samples),
        "found_in_samples": found,
    }
    return _table(columns, len(logp))


def prefixes_table(
    unit: Unit, explanation: Explanation, progress: Callable[[int, int], None] | None = None
) -> pa.Table:
    """One row per valid prefix, in depth-first order."""
    probe, outcome, local = unit.probe, explanation.outcome, explanation.local
    trie, attribution, worst = probe.trie, explanation.attribution, explanation.local.inversions
    at = trie.prefixes
    # Those that most answers pass; the first of equals.
    most = np.argsort(-trie.weight[at], kind="stable")[:FITTED]
    fitted = np.sort(most)
    fits = logit_fits(probe.blocks, at[fitted], progress)
    broken = ~local.order_calibrated
    columns = {
        **_names(explanation),
        "node": at,
        "depth": trie.depth[at],
        "prefix": [probe.prefix_text(int(node)) for node in at],
        "complete": trie.complete[at],
        "answers_below": trie.weight[at],
        "valid_events": trie.n_children[at],
        "order_score": local.order_score,
        "recall_at_precision_0.8": local.recall_at_good,
        "order_calibrated": local.order_calibrated,
        "inverted": [
            probe.token_text(int(trie.token[child])) if inverted else None
            for child, inverted in zip(worst.child, broken, strict=True)
        ],
        "inverted_rank": np.where(broken, worst.rank, np.nan),
        "inverted_by": worst.by,
        "invalid_above": [
            [probe.token_text(int(token)) for token in tokens if token >= 0] for tokens in worst.above
        ],
        "shape_score": local.shape_score,
        "shape_error": local.shape_error,
        "shape_calibrated": local.shape_calibrated,
        **_fit_columns("fit_top", fits.top, fitted, len(at)),
        **_fit_columns("fit_all", fits.everywhere, fitted, len(at)),
        "reach": np.exp(outcome.reach_logp[at]),
        "reach_given_valid": attribution.reach[at],
        "valid_mass": outcome.valid_mass[at],
        "local_precision": outcome.local_precision[at],
        "local_recall": outcome.local_recall[at],
        "leak": outcome.leak[at],
        "validity_lost": attribution.validity_lost[at],
        "diversity_lost": attribution.diversity_lost[at],
    }
    return _table(columns, len(at))


def _fit_columns(name: str, fit: LogitFit, rows: NDArray[np.int64], size: int) -> dict[str, Any]:
    columns = {}
    for field in fields(fit):
        column = np.full(size, np.nan)
        column[rows] = getattr(fit, field.name)
        columns[f"{name}_{field.name}"] = column
    return columns


def _names(explanation: Explanation) -> dict[str, str]:
    return {"model": explanation.model, "task": explanation.task, "rule": explanation.rule}


def run_row(unit: Unit, explanation: Explanation) -> dict[str, Any]:
    """One model on one task in one row of plain values, NaN as None; the same columns for every run.

    Local measures are averaged over the steps of all answers: a prefix counts as often as answers pass it.
    """
    facts, local, ladder = unit.diagnosis.as_dict(), explanation.local, explanation.ladder
    trie, provenance = unit.probe.trie, unit.probe.provenance
    weight, shaped = trie.weight[trie.prefixes], ~np.isnan(local.shape_score)
    parameters = provenance["model_provenance"].get("parameters")
    row: dict[str, Any] = {
        **_names(explanation),
        "parameters": int(parameters) if parameters else None,
        "dtype": provenance["model_identity"].get("dtype"),
        "task_hash": provenance["task_hash"],
        "breadth": provenance["breadth"],
        "answers": explanation.answers,
        "prefixes": len(trie.prefixes),
        "sequences": len(trie.leaves),
        "samples": explanation.samples,
        "validity": explanation.validity,
        "diversity": explanation.diversity,
        "recall": explanation.outcome.recall,
        "distinct": explanation.distinct,
        "ideal_distinct": explanation.ideal_distinct,
        "coverage": explanation.coverage,
        "validity_lost": explanation.validity_lost,
        "diversity_lost": explanation.diversity_lost,
        "surface_term": explanation.surface_term,
        "blame_order": explanation.blame.order,
        "blame_top": explanation.blame.top,
        "blame_within": explanation.blame.within,
        "blame_shape": explanation.blame.shape,
        "best_coverage": ladder.best,
        "best_rule": ladder.best_rule,
        "ceiling": ladder.ceiling,
        "ceiling_above": ladder.ceiling_above,
        "ceiling_status": ladder.status,
        "tuning": ladder.tuning,
        "reshaping": ladder.reshaping,
        "order": ladder.order,
        "order_score": np.average(local.order_score, weights=weight),
        "recall_at_precision_0.8": np.average(local.recall_at_good, weights=weight),
        "order_calibrated": np.average(local.order_calibrated, weights=weight),
        "shape_score": np.average(local.shape_score[shaped], weights=weight[shaped])
        if shaped.any()
        else None,
        "shape_calibrated": np.average(local.shape_calibrated, weights=weight),
        "area": facts["area"],
    }
    cutoffs = [scores for scores in unit.scores if scores.is_cutoff]
    for floor in FLOORS:
        lower, upper, status = explanation.diversity_ceilings[floor]
        best = facts["best"][str(floor)]
        row[f"diversity_at_{floor}"] = best["diversity"] if best else None
        best_cutoff = best_rule(cutoffs, floor)
        row[f"cutoff_diversity_at_{floor}"] = best_cutoff.diversity if best_cutoff else None
        row[f"diversity_ceiling_at_{floor}"] = lower
        row[f"diversity_ceiling_above_at_{floor}"] = upper
        row[f"diversity_ceiling_status_at_{floor}"] = status
        row[f"best_recall_at_precision_{floor}"], row[f"best_recall_above_at_precision_{floor}"] = (
            explanation.best_recall[floor]
        )
    for name in ("oracle_size_validity", "oracle_size_diversity", "oracle_validity_diversity"):
        row[name] = facts[name]
    for name in ("uniform_diversity", "end_share", "finished", "ties", "bottleneck", "sentence"):
        row[name] = facts[name]
    result: dict[str, Any] = plain(row)
    return result


TEXT = {"model", "task", "rule", "dtype", "task_hash", "breadth", "best_rule", "bottleneck", "sentence"}
COUNTS = {"parameters", "answers", "prefixes", "sequences", "samples"}


def run_table(rows: list[dict[str, Any]]) -> pa.Table:
    """Rows of several runs as one table, of one schema whatever is null in them."""

    def kind(name: str) -> pa.DataType:
        if name in TEXT or "status" in name:
            return pa.string()
        return pa.int64() if name in COUNTS else pa.float64()

    return pa.Table.from_pylist(rows, schema=pa.schema([(name, kind(name)) for name in rows[0]]))
