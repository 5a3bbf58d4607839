"""Several models or checkpoints side by side, on the tasks that they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from breadth.errors import InputError
from breadth.explain import Explanation, explain
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
    for unit in units:
        by_task.setdefault(unit.task, []).append(unit)
    shared = {task: members for task, members in by_task.items() if len(members) > 1}
    if not shared:
        raise InputError(
            f"nothing to compare: none of these runs' tasks, {', '.join(by_task)}, is in another one too"
        )
    for task, members in shared.items():
        if len({unit.probe.provenance["task_hash"] for unit in members}) > 1:
            raise InputError(
                f"{task} is not the same in all runs: prompt, answers or end differ; run it again"
            )
    return [
        Compared(_name(unit, members), unit, explain(unit, samples=samples))
        for members in shared.values()
        for unit in members
    ]


def _name(unit: Unit, members: Sequence[Unit]) -> str:
    if sum(other.model == unit.model for other in members) == 1 or unit.folder is None:
        return unit.model
    return f"{unit.model} ({unit.folder.resolve().parent.name})"
