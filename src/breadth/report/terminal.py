"""What a person reads at the terminal: results on standard output, progress and warnings beside it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from breadth import __version__
from breadth.adaptive import BestCutoffs
from breadth.comparison import Compared
from breadth.diagnosis import Diagnosis
from breadth.encoding import Encoding
from breadth.explanation import Explanation
from breadth.models.base import Model
from breadth.probe import Probe
from breadth.report.words import number, visible
from breadth.rules import ENGINES, ORACLES, STEPS
from breadth.scores import FLOORS, Best, Scores
from breadth.study import Unit
from breadth.task import Task
from breadth.theory import Check

__all__ = ["Terminal"]

WIDTH_WITHOUT_TERMINAL = 132

FLOORS_SHOWN = (FLOORS[0], FLOORS[-1])


class Terminal:
    """Prints. Results go to standard output, everything else to standard error."""

    def __init__(self) -> None:
        width = None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL
        self.out = Console(width=width, highlight=False, markup=False, emoji=False)
        self.err = Console(stderr=True, highlight=False, markup=False, emoji=False)

    def say(self, message: str) -> None:
        """A line of information."""
        self.err.print(message, soft_wrap=True)

    @contextmanager
    def status(self, message: str) -> Iterator[None]:
        """Show that something goes on."""
        with self.err.status(message):
            yield

    @contextmanager
    def progress(self, name: str) -> Iterator[Callable[[int, int], None]]:
        """A progress bar over prefixes; without a terminal, a line at the start."""
        if not self.err.is_terminal:
            self.say(f"{name} …")
            yield lambda _done, _total: None
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("prefixes"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.err, transient=True) as bar:
            job = bar.add_task(name, total=None)
            yield lambda done, total: bar.update(job, completed=done, total=total)

    def warnings(self, unit: Unit) -> None:
        """The warnings of one model on one task."""
        for warning in unit.probe.provenance["warnings"]:
            self.say(f"warning: {unit.model} on {unit.task}: {warning}")

    def json(self, units: Sequence[Unit]) -> None:
        """One object with the rows of every unit and its diagnosis."""
        self.document(
            rows=[row for unit in units for row in unit.rows()],
            diagnoses=[
                {"model": unit.model, "task": unit.task, **unit.diagnosis.as_dict()} for unit in units
            ],
        )

    def document(self, **facts: Any) -> None:
        """One JSON object on standard output."""
        json.dump({"breadth": __version__, **facts}, sys.stdout, ensure_ascii=False, allow_nan=False)
        sys.stdout.write("\n")

    def account(self, probe: Probe, explanation: Explanation, *, first: bool = True) -> None:
        """An explanation, top to bottom."""
        from breadth.report.account import account

        if not first:
            self.out.print()
        for part in account(probe, explanation):
            self.out.print(part, soft_wrap=isinstance(part, str))

    def cutoffs(
        self, unit: Unit, best: BestCutoffs, count: NDArray[np.int64], asked: str, at_most: int
    ) -> None:
        """The best adaptive cutoffs at one point of their frontier."""
        from breadth.report.account import cutoffs

        self.out.print(Text(f"{unit.model} on {unit.task}: {asked}", style="bold"), soft_wrap=True)
        for part in cutoffs(unit.probe, best, count, at_most):
            self.out.print(part, soft_wrap=isinstance(part, str))

    def checks(self, unit: Unit, found: Sequence[Check]) -> None:
        """What the theorems say of one model on one task."""
        from breadth.report.account import checks

        self.out.print(Text(f"{unit.model} on {unit.task}", style="bold"))
        self.out.print(checks(found))

    def comparison(self, compared: Sequence[Compared]) -> None:
        """Models side by side."""
        from breadth.report.account import comparison

        for part in comparison(compared):
            self.out.print(part, soft_wrap=isinstance(part, str))

    def tables(self, units: Sequence[Unit], *, rules_given: bool) -> None:
        """The first table, and each unit's sentence; with rules named by the user, those rules' rows."""
        if rules_given:
            for unit in units:
                self.out.print(_rules_table(unit))
            return
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        table.add_column("model and task", overflow="fold")
        table.add_column("answers", justify="right")
        table.add_column("default rule", overflow="fold")
        table.add_column("validity", justify="right")
        table.add_column("diversity", justify="right")
        for floor in FLOORS_SHOWN:
            table.add_column(f"best diversity at\nvalidity ≥ {floor}", overflow="fold")
        table.add_column("oracle size\nvalidity", justify="right")
        for unit in units:
            facts = unit.diagnosis
            table.add_row(
                f"{unit.model}\n{unit.task}",
                f"{facts.answers:,}",
                _stacked(facts.rule),
                number(facts.validity),
                number(facts.diversity),
                *(_best_cell(facts.best[floor]) for floor in FLOORS_SHOWN),
                number(facts.oracle_size_validity),
            )
        self.out.print(table)
        self.out.print("default rule: the transformers preset under the model's own generation config")
        for unit in units:
            self.out.print()
            name = Text(f"{unit.model} on {unit.task}: ", style="bold")
            self.out.print(name + (unit.diagnosis.sentence or ""))
            for line in _details(unit.diagnosis):
                self.out.print(f"  {line}")

    def list_tasks(self) -> None:
        """The built-in tasks."""
        from breadth import catalog

        table = Table(box=None)
        table.add_column("task")
        table.add_column("answers", justify="right")
        table.add_column("what")
        for entry in catalog.entries():
            takes = f"\ntakes {entry.parameters}" if entry.parameters else ""
            table.add_row(entry.name, f"{entry.answers:,}", entry.description + takes)
        self.out.print(table)
        self.out.print("\nParameters follow a colon: digits:length=3,end=5")

    def list_models(self) -> None:
        """The bundled models, and what else `--model` takes."""
        from breadth.models.bundled import BUNDLED
        from breadth.models.cache import cache_folder
        from breadth.models.gguf import converted_folder

        table = Table(box=None)
        for column in ("model", "what", "licence", "fetched"):
            table.add_column(column)
        for entry in BUNDLED.values():
            is_here = converted_folder(entry.sha256, cache_folder()).exists()
            fetched = "yes" if is_here else f"on first use, {entry.megabytes} MB"
            table.add_row(entry.name, entry.description, entry.licence, fetched)
        self.out.print(table)
        self.out.print("\n--model also takes hf:ORG/NAME, a folder with a saved model, or a .gguf file.")

    def list_rules(self) -> None:
        """The decoding steps, oracles and engine presets."""
        table = Table(box=None)
        for column in ("step", "takes", "what it does"):
            table.add_column(column)
        for step in STEPS.values():
            table.add_row(step.name, step.accepts, step.summary)
        for name, summary in ORACLES.items():
            table.add_row(name, "nothing", summary)
        self.out.print(table)
        self.out.print("\nA rule is steps joined by commas, applied left to right: temperature=1.5,min_p=0.1")
        self.out.print(
            "--engine NAME applies them in that engine's order instead; --rule NAME is its default:\n"
        )
        presets = Table(box=None)
        for column in ("engine", "order", "default"):
            presets.add_column(column)
        for name, engine in ENGINES.items():
            presets.add_row(name, " → ".join(engine.order), engine.defaults)
        self.out.print(presets)

    def show_task(self, task: Task) -> None:
        """A task as a file that could be edited."""
        self.out.print(task.to_yaml(), soft_wrap=True)

    def checked_task(self, task: Task) -> None:
        """What a valid task contains."""
        self.out.print(f"{task.name}: {len(task.answers):,} answers, no error found")
        for warning in task.warnings():
            self.say(f"warning: {warning}")

    def checked_encoding(self, task: Task, model: Model, encoding: Encoding) -> None:
        """How a model's tokeniser reads a task."""
        trie = encoding.trie
        n = len(trie.end_tokens)
        ends = f"{n} token{'s' * (n > 1)} can end an answer" if n else "an answer needs no end"
        template = "through the chat template" if encoding.chat else "raw, without a chat template"
        self.out.print(
            f"{model.name}: prompt of {len(encoding.prompt)} tokens, {template}; "
            f"{len(trie.leaves):,} sequences over {len(trie.prefixes):,} prefixes, at most "
            f"{trie.depth.max()} events deep; {ends}"
        )
        self.out.print(f"prompt ends in {visible(encoding.prompt_text[-60:])!r}")
        for leaf in trie.leaves[:3]:
            tokens = [token for token in trie.path(int(leaf)) if token >= 0]
            pieces = [
                visible(model.tokenizer.token_bytes(token).decode(errors="replace")) for token in tokens
            ]
            self.out.print(f"  {task.answers[trie.answer[leaf]]!r} is {' | '.join(pieces)}")
        for warning in encoding.warnings:
            self.say(f"warning: {warning}")


def _best_cell(best: Best | None) -> str:
    return "none reaches it" if best is None else f"{number(best.diversity)}\n{_stacked(best.rule)}"


def _stacked(rule: str) -> str:
    """A rule with one step a line."""
    return rule.replace(",", ",\n")


def _details(facts: Diagnosis) -> Iterator[str]:
    reach = []
    for share, count in facts.samples_for.items():
        reach.append(f"{share:.0%} of the answers: " + (f"{count:,}" if count else "never"))
    short = f" (it can give only {facts.reachable:.0%} of them)" if facts.reachable < 1 else ""
    yield f"samples needed at the default rule for {'; '.join(reach)}{short}"
    if facts.leaks:
        leak = facts.leaks[0]
        where = f"after {visible(leak.prefix)!r}" if leak.prefix else "at the first token"
        yield f"the largest leak is {where}: {leak.lost:.2f} of the probability leaves the valid set there"
    if facts.ties > 0:
        yield f"at {facts.ties:.0%} of the prefixes a valid and an invalid token tie exactly"


def _rules_table(unit: Unit) -> Table:
    trie = unit.probe.trie
    table = Table(
        title=f"{unit.model} on {unit.task}: {trie.n_answers:,} answers, {len(trie.prefixes):,} prefixes",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("rule", overflow="fold")
    for name in ("validity", "diversity", "recall", "precision", "distinct in 100"):
        table.add_column(name, justify="right")
    for scores in unit.scores:
        tail = " (cut in the sketched tail)" if scores.cut_in_tail else ""
        table.add_row(scores.label + tail, *_cells(scores))
    return table


def _cells(scores: Scores) -> list[str]:
    measures = (scores.validity, scores.diversity, scores.recall, scores.precision)
    return [*map(number, measures), f"{scores.distinct[100]:.1f}"]
