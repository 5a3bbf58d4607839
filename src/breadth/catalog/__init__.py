"""The built-in tasks: one data file in `tasks/` each, and the paper's digit tasks, which take parameters."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path

from pydantic import ValidationError, validate_call

from breadth.catalog.digits import FAMILIES
from breadth.errors import TaskError
from breadth.task import Task, read_task
from breadth.yamlfile import explain, shown, where

__all__ = ["Entry", "entries", "load_task", "names"]

_TASKS = Path(str(files(__name__))) / "tasks"


@dataclass(frozen=True)
class Entry:
    """A line of `breadth ls tasks`; `parameters` is empty for a task that takes none."""

    name: str
    answers: int
    description: str
    parameters: str = ""


def names() -> tuple[str, ...]:
    """Names of the built-in tasks, those with parameters first."""
    return (*FAMILIES, *sorted(path.stem for path in _TASKS.glob("*.yaml")))


def entries() -> Iterator[Entry]:
    """What can be listed about each built-in task."""
    for name in names():
        task = load_task(name)
        parameters = ""
        if name in FAMILIES:
            signature = inspect.signature(FAMILIES[name]).parameters.values()
            parameters = ",".join(p.name if p.default is None else f"{p.name}={p.default}" for p in signature)
        yield Entry(name, len(task.answers), task.description, parameters)


def load_task(name: str) -> Task:
    """A task by its built-in name, a name with parameters such as `digits:length=3`, or the path of a file.

    Raises:
        TaskError: no such task or file, a wrong parameter, or a wrong file.
    """
    base, colon, parameters = name.partition(":")
    if base in FAMILIES:
        return _family(name, base, _parameters(name, parameters) if colon else {})
    if name in names():
        return read_task(_TASKS / f"{name}.yaml")
    if Path(name).suffix in {".yaml", ".yml"} or Path(name).is_file():
        return read_task(Path(name))
    close = get_close_matches(base.lower(), names(), n=1)
    hint = f"did you mean {close[0]}?" if close else "`breadth ls tasks` lists them"
    raise TaskError(f"no task {shown(name)}: neither built in nor a .yaml file; {hint}")


def _parameters(name: str, text: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for part in text.split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not value or key in parameters:
            raise TaskError(f"task {name!r}: expected NAME:KEY=VALUE,KEY=VALUE with each key once")
        parameters[key] = value
    return parameters


def _family(name: str, base: str, given: Mapping[str, str]) -> Task:
    make = FAMILIES[base]
    try:
        fields = validate_call(make)(**given)
    except ValidationError as invalid:
        first = invalid.errors(include_url=False)[0]
        message = where(first["loc"]) + explain(first, also=inspect.signature(make).parameters)
        raise TaskError(f"task {name!r}: {message}") from None
    except ValueError as problem:
        raise TaskError(f"task {name!r}: {problem}") from None
    return Task(name=name, **fields)
