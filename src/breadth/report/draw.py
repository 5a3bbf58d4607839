"""From units to files: gathers what each figure shows, draws it, and writes PNG, SVG and the data as CSV."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from breadth.files import storage_errors
from breadth.grid import TEMPERATURES
from breadth.mass import Mass
from breadth.measures.answers import expected_distinct, ideal_distinct, log_validity
from breadth.measures.frontier import best_at, frontier_area, pareto_front
from breadth.measures.step import step_masses
from breadth.outcome import Outcome, evaluate
from breadth.probe import Probe
from breadth.ranked import Ranked
from breadth.report import style
from breadth.report.figures import answers, planes, step
from breadth.report.saver import Saver, stacked
from breadth.rules import Rule, default_rule, parse_rule
from breadth.scores import FLOORS, by_family, points, score_rules
from breadth.study import Unit, unit_folder
from breadth.trie import END

__all__ = ["draw_study", "draw_unit"]

SHOWN_TEMPERATURES = (0.3, 0.6, 1.0, 1.5, 2.0, 3.0)
"""Temperatures whose sorted answers are drawn."""

FEW_RULES = 10
"""Up to this many rules each is shown by its own name, not by its family."""

MAX_RANKS = 1000
"""Most answers drawn of one curve: more than a figure has pixels."""

TOP_TOKENS = 20
"""Next tokens shown with their text."""

LENGTH = re.compile(r"[:,]?\blength=(\d+)")
"""How the names of tasks say how long their answers are."""

PANELS = 24
"""Most panels of one overview; more go to further files."""


def draw_unit(unit: Unit, folder: Path) -> list[Path]:
    """Draw one model on one task.

    Args:
        unit: a diagnosed unit.
        folder: where the files go; made if needed.

    Returns:
        The files written, three of each figure: `frontier`, `answers`, `distinct`, `temperature`, `tokens`,
        and, where the leakiest prefix is not the root, `temperature-leak` and `tokens-leak`.

    Raises:
        StorageError: a file cannot be written.
    """
    with storage_errors(folder):
        for path in folder.glob("*-leak.*"):
            path.unlink()  # of an earlier run, which may have leaked elsewhere
    with style.context():
        save = Saver(folder, _whose(unit))
        seen = _outcomes(unit)
        _frontier(unit, save)
        _answers(unit, seen, save)
        _distinct(unit, seen, save)
        _step(unit, 0, "", save)
        for leak in unit.diagnosis.leaks[:1]:
            if leak.node:
                note = f"leakiest place: {leak.lost:.1%} of all answers go wrong here"
                _step(unit, leak.node, "-leak", save, note)
        return save.files


def draw_study(units: Sequence[Unit], folder: Path) -> list[Path]:
    """Draw what only several units together show.

    Args:
        units: of any models and tasks.
        folder: where the files go; made if needed.

    Returns:
        The files written, three of each figure: `overview` where there are two units or more, and
        `lengths-MODEL--TASK` for every model and family of tasks that differ in the length of their
        answers only (names such as `digits:length=2`).

    Raises:
        StorageError: a file cannot be written.
    """
    with style.context():
        files: list[Path] = []
        if len(units) > 1:
            files += _overviews(units, folder)
        families: dict[tuple[str, str], dict[int, Unit]] = {}
        for unit in units:
            if match := LENGTH.search(unit.task):
                family = LENGTH.sub("", unit.task, count=1).rstrip(":,")
                families.setdefault((unit.model, family), {})[int(match[1])] = unit
        for (model, task), members in families.items():
            if len(members) > 1:
                name = f"lengths-{unit_folder(Path(), model, task).name}"
                save = Saver(folder, f"{_name(model)} on {_name(task)}")
                _lengths(members, name, save)
                files += save.files
        return files


def _whose(unit: Unit) -> str:
    n = unit.probe.trie.n_answers
    return f"{_name(unit.model)} on {_name(unit.task)} · {n:,} valid answer{'s' * (n != 1)}"


def _name(text: str) -> str:
    return style.legible(text, at_most=40)


@dataclass(frozen=True, eq=False)
class _Seen:
    """The outcomes that figures of a unit look at, from one pass over the probe."""

    default: Outcome
    best: Mapping[float, Outcome]
    """Floor of validity → outcome of the most diverse rule there."""
    temperatures: Sequence[Outcome]


def _outcomes(unit: Unit) -> _Seen:
    best = {floor: rule for floor in (FLOORS[0], FLOORS[-1]) if (rule := _best_rule(unit, floor))}
    rules = [
        default_rule(unit.probe.provenance["generation"]),
        *best.values(),
        *(parse_rule(f"temperature={value:g}") for value in SHOWN_TEMPERATURES),
    ]
    found = list(evaluate(unit.probe, rules))
    return _Seen(
        default=found[0],
        best=dict(zip(best, found[1 : 1 + len(best)], strict=True)),
        temperatures=found[1 + len(best) :],
    )


def _best_rule(unit: Unit, floor: float) -> Rule | None:
    usable = [index for index, row in enumerate(unit.scores) if not row.is_oracle]
    best = best_at(*points([unit.scores[index] for index in usable]), floor)
    return None if best is None else unit.rules[usable[best]]


def _frontier(unit: Unit, save: Saver) -> None:
    columns = _frontier_columns(unit)
    few = len(columns["kind"][columns["kind"] == "rule"]) <= FEW_RULES
    figure = style.new_figure(5.4, right=2.75)
    planes.frontier(
        figure.add_subplot(),
        n_answers=unit.probe.trie.n_answers,
        heading="Decoding rules" if few else "Decoding rules, best first",
        **columns,
    )
    title = "Validity against diversity: " + ("the rules given" if few else "every decoding rule tried")
    facts = unit.diagnosis
    note = f"the default: validity {facts.validity:.2g}, diversity {facts.diversity:.2g}"
    save("frontier", figure, columns, title, note if facts.validity else "the default never answers validly")


def _frontier_columns(unit: Unit) -> dict[str, NDArray[Any]]:
    """Every rule tried, by series: the front first, in its order; series of rules best first."""
    usable = [row for row in unit.scores if not row.is_oracle]
    if len(usable) <= FEW_RULES:
        series = [("rule", name, [row]) for name, row in {row.label: row for row in usable}.items()]
    else:
        series = [("rule", family, rows) for family, rows in by_family(usable).items()]
        series.sort(key=lambda each: -frontier_area(*points(each[2])))
    oracles = [row for row in unit.scores if row.is_oracle]
    series += [("oracle", family, rows) for family, rows in by_family(oracles).items()]
    drawn: list[tuple[Any, ...]] = []
    for kind, name, rows in series:
        front = pareto_front(*points(rows)).tolist()
        others = [index for index in range(len(rows)) if index not in set(front)]
        for place, row in enumerate(rows[index] for index in (*front, *others)):
            drawn.append((kind, name, row.rule, row.validity, row.diversity, place < len(front)))
    facts = unit.diagnosis
    drawn.append(("default", "default", facts.rule, facts.validity, facts.diversity, False))
    names = ("kind", "series", "rule", "validity", "diversity", "on_front")
    return dict(zip(names, map(np.array, zip(*drawn, strict=True)), strict=True))


def _answers(unit: Unit, seen: _Seen, save: Saver) -> None:
    n = unit.probe.trie.n_answers
    # All of a short curve; of a long one its head, then evenly spaced ranks up to the last.
    spread = np.linspace(1, n, min(n, MAX_RANKS)).round().astype(np.int64)
    rank = np.union1d(spread, np.arange(1, min(n, MAX_RANKS // 10) + 1))
    names = np.array(unit.probe.answers, dtype=object)
    parts = []
    for value, outcome in zip(SHOWN_TEMPERATURES, seen.temperatures, strict=True):
        order = np.argsort(-outcome.answer_logp, kind="stable")[rank - 1]
        tail = -math.expm1(min(log_validity(outcome.answer_logp), 0.0))
        parts.append(
            {
                "temperature": np.full(len(rank) + 1, value),
                "rank": np.concatenate([rank, [0]]),
                "answer": np.concatenate([names[order], ["(invalid)"]]),
                "probability": np.concatenate([np.exp(outcome.answer_logp[order]), [tail]]),
            }
        )
    columns = stacked(parts)
    figure = style.new_figure(5.0, above=1.05, below=0.75)
    figure.subplots_adjust(wspace=0.06)
    left, right = figure.subplots(1, 2, width_ratios=(5, 2.7), sharey=True)
    drawn = {name: column for name, column in columns.items() if name != "answer"}
    answers.answers(left, right, n_answers=n, **drawn)
    at_one = parts[SHOWN_TEMPERATURES.index(1.0)]
    top = style.legible(at_one["answer"][0], at_most=24)
    note = f"likeliest at temperature 1: “{top}”, {100 * at_one['probability'][0]:.2g}%"
    save("answers", figure, columns, "How likely each valid answer is, and all invalid ones together", note)


def _distinct(unit: Unit, seen: _Seen, save: Saver) -> None:
    n = unit.probe.trie.n_answers
    most = 10 ** math.ceil(math.log10(max(100 * n, 1000)))
    samples = np.unique(np.geomspace(1, most, 81).round())
    floors: dict[str, list[float]] = {}
    for floor, outcome in seen.best.items():
        floors.setdefault(str(outcome.rule), []).append(floor)
    ideal = "an ideal sampler: always valid,\nall answers equally likely"
    default = f"the model's default:\n{style.wrapped(str(seen.default.rule))}"
    curves = [
        ("ideal", ideal, ideal_distinct(n, samples)),
        ("default", default, expected_distinct(seen.default.answer_logp, samples)),
    ]
    for rule, reached in floors.items():
        words = " and ".join(f"≥ {floor:g}" for floor in reached)
        label = f"the most diverse rule with\nvalidity {words}:\n{style.wrapped(rule)}"
        curves.append(("rule", label, expected_distinct(seen.best[reached[0]].answer_logp, samples)))
    columns = stacked(
        [
            {
                "kind": np.full(len(samples), kind),
                "label": np.full(len(samples), label),
                "samples": samples,
                "expected": expected,
            }
            for kind, label, expected in curves
        ]
    )
    figure = style.new_figure(4.6, right=3.0)
    answers.distinct(figure.add_subplot(), n_answers=n, **columns)
    found = seen.default.distinct(100)
    note = f"100 samples of the default find {found:.3g}, ideally {float(ideal_distinct(n, 100)):.3g}"
    save("distinct", figure, columns, "Sampling more: how many different valid answers turn up", note)


def _step(unit: Unit, node: int, suffix: str, save: Saver, note: str = "") -> None:
    """The two figures of one prefix: its masses against temperature, and its ranked tokens."""
    ranked = unit.probe.at(node)
    where = f"after {_quoted(unit.probe.prefix_text(node))}" if node else "at the start of an answer"

    mass = step_masses(ranked, np.linspace(0.0, 8.0, 161))
    columns: dict[str, NDArray[Any]] = {
        "temperature": mass.temperature,
        "frequent": mass.frequent,
        "rare": mass.rare,
        "invalid": mass.invalid,
    }
    figure = style.new_figure(4.4, above=1.05)
    step.masses(figure.add_subplot(), **columns)
    save(f"temperature{suffix}", figure, columns, f"What temperature does to the next token {where}", note)

    columns = _token_columns(unit.probe, ranked)
    figure = style.new_figure(5.2, left=1.75)
    figure.subplots_adjust(wspace=0.42)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.55))
    top = {name: column[:TOP_TOKENS] for name, column in columns.items()}
    labels = [
        style.legible(token, spaces=True, at_most=14) + (" (end)" if ends else "")
        for token, ends in zip(top["token"], top["ends_answer"], strict=True)
    ]
    step.top_tokens(left, token=np.array(labels), probability=top["probability"], valid=top["valid"])
    step.ranking(right, **{name: columns[name] for name in ("rank", "probability", "valid")})
    save(f"tokens{suffix}", figure, columns, f"What the model would say next {where}", note)


def _quoted(text: str) -> str:
    """The answer so far, without the space that most answers begin with."""
    bare = text.strip(" ")
    return f"“{style.legible(bare or text, spaces=not bare)}”"


def _token_columns(probe: Probe, ranked: Ranked) -> dict[str, NDArray[Any]]:
    """The tokens drawn, by rank: the first, all valid ones, and of the rest as many as can be told apart."""
    spread = np.geomspace(1, probe.vocab_size, 100).round().astype(np.int64)
    first = np.arange(1, min(TOP_TOKENS, probe.vocab_size) + 1)
    rank = np.unique(np.concatenate([first, spread, ranked.valid_rank]))
    gap = np.interp(rank, ranked.knot_rank, ranked.knot_gap[0])
    gap[np.searchsorted(rank, ranked.valid_rank)] = ranked.valid_gap  # exact in the tail too
    token_at = dict(enumerate(ranked.head_token[0].tolist(), start=1))
    token_at |= zip(ranked.valid_rank.tolist(), ranked.valid_token.tolist(), strict=True)
    ending = ranked.valid_rank[probe.trie.token[ranked.valid_node] == END]
    return {
        "rank": rank,
        "token": np.array(
            [probe.token_text(token_at[place]) if place in token_at else "" for place in rank.tolist()],
            dtype=object,
        ),
        "probability": np.exp(-gap) / Mass(ranked, 1.0).total[0],
        "valid": np.isin(rank, ranked.valid_rank),
        "ends_answer": np.isin(rank, ending),
    }


def _lengths(members: Mapping[int, Unit], name: str, save: Saver) -> None:
    rules = [parse_rule(f"temperature={value:g}") for value in TEMPERATURES]
    parts = []
    for length, unit in sorted(members.items()):
        validity, diversity = points(list(score_rules(unit.probe, rules)))
        parts.append(
            {
                "length": np.full(len(rules), length),
                "temperature": np.array(TEMPERATURES),
                "validity": validity,
                "diversity": diversity,
            }
        )
    columns = stacked(parts)
    figure = style.new_figure(5.2, right=2.75)
    planes.lengths(figure.add_subplot(), **columns)
    save(name, figure, columns, "What temperature alone can do, by the length of the answers")


def _overviews(units: Sequence[Unit], folder: Path) -> list[Path]:
    models = len({unit.model for unit in units})
    tasks = len({unit.task for unit in units})
    # So that a row holds one model, where that is possible.
    across = next((n for n in (4, 3, 2) if tasks % n == 0), min(4, len(units)))
    save = Saver(folder, f"{models} model{'s' * (models != 1)} on {tasks} task{'s' * (tasks != 1)}")
    for page, first in enumerate(range(0, len(units), PANELS)):
        _overview(units[first : first + PANELS], across, f"overview-{page + 1}" if page else "overview", save)
    return save.files


def _overview(units: Sequence[Unit], across: int, name: str, save: Saver) -> None:
    down = math.ceil(len(units) / across)
    panel = min(2.6, (style.WIDTH - 0.8 - 0.25 - 0.4 * (across - 1)) / across)
    right = style.WIDTH - 0.8 - across * panel - 0.4 * (across - 1)
    height = 1.5 + down * panel + 0.6 * (down - 1) + 0.65
    figure = style.new_figure(height, right=right, above=1.5)
    figure.subplots_adjust(wspace=0.4 / panel, hspace=0.6 / panel)
    grid = figure.subplots(down, across, squeeze=False)
    parts = [_overview_columns(unit) for unit in units]
    for ax, unit, part in zip(grid.flat, units, parts, strict=False):
        planes.overview(ax, n_answers=unit.probe.trie.n_answers, **part)
    planes.overview_frame(grid, len(units))
    note = "shaded: what the rules tried allow · dotted: always the same answer"
    save(
        name, figure, stacked(parts), "Validity against diversity: the best that decoding rules can do", note
    )


def _overview_columns(unit: Unit) -> dict[str, NDArray[Any]]:
    usable = [row for row in unit.scores if not row.is_oracle]
    oracle = [row for row in unit.scores if row.family == "oracle_size"]
    facts = unit.diagnosis
    rows = [("front", usable[index]) for index in pareto_front(*points(usable))]
    rows += [("oracle_size", oracle[index]) for index in pareto_front(*points(oracle))]
    return {
        "model": np.full(len(rows) + 1, unit.model),
        "task": np.full(len(rows) + 1, unit.task),
        "kind": np.array([*(kind for kind, _ in rows), "default"]),
        "rule": np.array([*(row.rule for _, row in rows), facts.rule]),
        "validity": np.array([*(row.validity for _, row in rows), facts.validity]),
        "diversity": np.array([*(row.diversity for _, row in rows), facts.diversity]),
    }
