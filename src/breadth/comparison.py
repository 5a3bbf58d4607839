"""Several models or checkpoints side by side, on the tasks that they share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from breadth.errors import InputError
from breadth.explanation import Explanation, explain
from breadth.study import Unit
from breadth.tables import run_row

__all__ = ["Compared", "compare"]


@dataclass(frozen=True, eq=False)
class Compared:
    """One model on one task, among others.

    Attributes:
        name: the model, with its run's folder where two runs have a model of that name.
        unit: the model on the task.
        explanation: of its default rule.
    """

    name: str
    unit: Unit
    explanation: Explanation

    def row(self) -> dict[str, Any]:
        """`breadth.tables.run_row` under this name."""
        return run_row(self.unit, self.explanation) | {"model": self.name}


def compare(units: Sequence[Unit], *, samples: int | None = None) -> list[Compared]:
    """Explain every unit whose task another one shares; by task, then in the order given.

    Args:
        units: of several runs.
        samples: n of the coverage; |V| if not given.

    Raises:
        InputError: no task is shared, or a task's name stands for different answers.
    """
    by_task: dict[str, list[Unit]] = {}
    for unit in _once(units):
        by_task.setdefault(unit.task, []).append(unit)
    shared = {task: members for task, members in by_task.items() if len(members) > 1}
    if not shared:
        raise InputError(
            f"nothing to compare: every task is in one run only ({', '.join(by_task)}); give runs that "
            "share one"
        )
    for task, members in shared.items():
        if len({unit.probe.provenance["task_hash"] for unit in members}) > 1:
            raise InputError(
                f"{task} is not the same in all runs: prompt, answers or end differ; run it again"
            )
    return [
        Compared(name, unit, explain(unit, samples=samples))
        for members in shared.values()
        for name, unit in zip(_names(members), members, strict=True)
    ]


def _once(units: Sequence[Unit]) -> list[Unit]:
    """The units without those that are given twice, by whatever path."""
    return list({unit.folder.resolve() if unit.folder else id(unit): unit for unit in units}.values())


def _names(members: Sequence[Unit]) -> list[str]:
    """The models' names; where they are the same, with as much of the run's path as tells them apart."""
    counts = Counter(unit.model for unit in members)
    paths = [unit.folder.resolve().parent.parts if unit.folder else () for unit in members]
    for length in range(1, 1 + max(1, *map(len, paths))):
        tails = [Path(*path[-length:]) if path else Path() for path in paths]
        if len({(unit.model, tail) for unit, tail in zip(members, tails, strict=True)}) == len(members):
            break
    return [
        unit.model if counts[unit.model] == 1 else f"{unit.model} ({tail})"
        for unit, tail in zip(members, tails, strict=True)
    ]
