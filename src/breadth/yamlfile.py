"""Reading a YAML file into a pydantic model, with errors that name the line.

Every scalar is read as text: `NO`, `01`, `1e3` and `~` are the answers they look like. Fields that want a
number or a truth value convert it themselves.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from breadth.errors import InputError

__all__ = ["load_yaml", "validate_yaml"]

M = TypeVar("M", bound=BaseModel)


def load_yaml(path: Path, model: type[M], error: type[InputError], context: Any = None) -> M:
    """Read and validate a file.

    Raises:
        InputError: of the class `error`, as `FILE:LINE: what is wrong and what would be accepted`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise error(f"{path} does not exist") from None
    except IsADirectoryError:
        raise error(f"{path} is a folder, not a YAML file") from None
    except UnicodeDecodeError:
        raise error(f"{path} is not UTF-8 text") from None
    except OSError as problem:
        raise error(f"cannot read {path}: {problem.strerror}") from None
    return validate_yaml(text, str(path), model, error, context)


def validate_yaml(text: str, name: str, model: type[M], error: type[InputError], context: Any = None) -> M:
    """Validate the text of a file called `name`; see `load_yaml`."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        line = f":{mark.line + 1}" if mark else ""
        what = problem.problem or problem.context
        raise error(f"{name}{line}: not valid YAML: {what}") from None
    except yaml.YAMLError as problem:
        raise error(f"{name}: not valid YAML: {' '.join(str(problem).split())}") from None
    if not isinstance(root, yaml.MappingNode):
        raise error(f"{name}:1: expected fields such as `name: value`, one a line")
    data = _plain(root, name, error)
    try:
        return model.model_validate(data, context=context)
    except ValidationError as problem:
        raise error(_first_problem(problem, root, name, model)) from None


def _plain(node: yaml.Node, name: str, error: type[InputError]) -> Any:
    """The node as dicts, lists and strings."""
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, name, error) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        result: dict[str, Any] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise error(f"{name}:{line}: a field's name must be text")
            if key.value in result:
                raise error(f"{name}:{line}: {key.value} is given twice")
            result[key.value] = _plain(value, name, error)
        return result
    return node.value


def _first_problem(problem: ValidationError, root: yaml.Node, name: str, model: type[BaseModel]) -> str:
    """The first error in the file's own order, as one line."""
    found = [(_line(root, item["loc"]), item) for item in problem.errors(include_url=False)]
    # A misspelt field comes first: it is why another seems to be missing.
    line, item = min(found, key=lambda pair: (pair[1]["type"] != "extra_forbidden", pair[0]))
    # Pydantic's locations also name types; only what stands in the file helps its author.
    known = _keys(root)
    where = ".".join(str(part) for part in item["loc"] if isinstance(part, int) or part in known)
    match item["type"]:
        case "extra_forbidden":
            key = str(item["loc"][-1])
            fields = list(model.model_fields)
            close = difflib.get_close_matches(key, fields, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known fields: {', '.join(fields)}"
            return f"{name}:{line}: unknown field {key}; {hint}"
        case "missing":
            return f"{name}:{line}: {item['loc'][-1]} is missing"
        case "value_error":
            message = str(item["ctx"]["error"])
        case _:
            message = f"{item['msg'][0].lower()}{item['msg'][1:]}, but it is {_short(item['input'])}"
    return f"{name}:{line}: {where + ': ' if where else ''}{message}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _keys(node: yaml.Node) -> set[str]:
    if isinstance(node, yaml.MappingNode):
        names = {key.value.removesuffix("_file") for key, _ in node.value}
        return names.union(*(_keys(value) for _, value in node.value))
    if isinstance(node, yaml.SequenceNode):
        return set().union(*(_keys(item) for item in node.value))
    return set()


def _line(node: yaml.Node, location: tuple[int | str, ...]) -> int:
    """Line of the deepest node that a pydantic location leads to."""
    line = node.start_mark.line + 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            # A field may stand in the file under a longer name: answers as answers_file.
            match = [pair for pair in node.value if pair[0].value in (part, f"{part}_file")]
            if not match:
                continue
            key, node = match[0]
            line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line
