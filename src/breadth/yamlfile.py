"""Reading a YAML mapping into a pydantic model, with errors that name the file and the line.

Every scalar is read as the text it looks like: `NO`, `01`, `1e3`, `1.10` and `~` are answers here, not a
boolean, numbers and null. The model turns text into numbers and booleans where its fields are such.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from breadth.errors import BreadthError, TaskError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails
    from yaml.events import Event

__all__ = [
    "Document",
    "Loc",
    "Place",
    "closest",
    "dump",
    "explain",
    "load",
    "read",
    "read_text",
    "shown",
    "where",
]

M = TypeVar("M", bound=BaseModel)

Loc = tuple[str | int, ...]
"""The way to a value inside a document: keys and positions (from 0), as pydantic spells it."""

MANY = 20  # names that still fit a message

WORDS = {
    "tuple": "a list",
    "list": "a list",
    "dict": "a mapping of keys to values",
    "model": "a mapping of keys to values",
    "string": "text",
}

MAX_DEPTH = 20  # no file that a person writes is nested deeper
TOO_DEEP = f"nested more than {MAX_DEPTH} deep"


class Place(NamedTuple):
    """Where a value stands; lines count from 1."""

    file: Path
    line: int


@dataclass(frozen=True)
class Document:
    """A YAML mapping whose leaves are texts, and where each of its values stands.

    Attributes:
        data: the mapping: dicts, lists and str.
        places: for every value of `data` its place; a value under a key stands where its key stands.
        error: the class of errors about this document.
    """

    data: dict[str, Any]
    places: dict[Loc, Place]
    error: type[BreadthError]

    @property
    def path(self) -> Path:
        """The file it was read from."""
        return self.places[()].file

    def place(self, loc: Loc) -> Place:
        """Where the value at `loc` stands, or the nearest value around it that the file holds."""
        while loc not in self.places:
            loc = loc[:-1]
        return self.places[loc]

    def fault(self, loc: Loc, message: str) -> BreadthError:
        """An error about the value at `loc`, to be raised: `file:line: key: message`."""
        file, line = self.place(loc)
        return self.error(f"{file}:{line}: {where(loc)}{message}")

    def validate(self, model: type[M], also: Iterable[str] = ()) -> M:
        """The document as a `model`; the model's validators find the document as their context.

        Args:
            model: the pydantic class.
            also: names of keys that were accepted and taken out of `data` before; for suggestions.

        Raises:
            BreadthError: of class `error`, one line, about the first value that is wrong.
        """
        try:
            return model.model_validate(self.data, context=self)
        except ValidationError as invalid:
            # A key that is missing is often one that is misspelt: tell of the misspelling.
            first = min(
                invalid.errors(include_url=False),
                key=lambda error: (error["type"] == "missing", self.place(error["loc"]).line),
            )
            names = also if len(first["loc"]) == 1 else ()
            raise self.fault(first["loc"], explain(first, model, names)) from None


def load(path: Path | str, model: type[M], error: type[BreadthError] = TaskError) -> M:
    """Read a YAML file into a pydantic model.

    Raises:
        BreadthError: of class `error`, one line, `file:line: key: what is wrong and what is accepted`.
    """
    return read(path, error).validate(model)


def read(path: Path | str, error: type[BreadthError] = TaskError) -> Document:
    """Read a YAML file whose top is a mapping.

    Aliases, tags, duplicate keys and second documents are refused: in a file that a person writes they
    are mistakes more often than not.

    Raises:
        BreadthError: of class `error`: unreadable, not UTF-8, not YAML, not a mapping.
    """
    import yaml

    path = Path(path)
    text = read_text(path, error)
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # the same events, forty times faster
    reader = _Reader(path, yaml.parse(text, Loader=loader), error)
    try:
        return reader.document()
    except yaml.MarkedYAMLError as damage:
        mark = damage.problem_mark or damage.context_mark
        line = mark.line + 1 if mark else 1
        reason = " ".join(filter(None, (damage.problem, damage.context)))
        if "nesting depth" in reason:  # newer parsers have a bound of their own, which shows first
            raise error(f"{path}:{line}: {TOO_DEEP}") from None
        raise error(f"{path}:{line}: not valid YAML: {reason}") from None
    except yaml.reader.ReaderError as damage:
        line = text.count("\n", 0, max(text.find(chr(damage.character)), 0)) + 1
        raise error(
            f"{path}:{line}: the control character U+{damage.character:04X} cannot stand in YAML; "
            'write it as an escape in double quotes, such as "\\x07"'
        ) from None


def read_text(path: Path, error: type[BreadthError] = TaskError) -> str:
    """The text of a UTF-8 file, without a byte-order mark.

    Raises:
        BreadthError: of class `error`: missing, unreadable, not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as damage:
        line = damage.object.count(b"\n", 0, damage.start) + 1
        byte = damage.object[damage.start]
        raise error(
            f"{path}:{line}: the byte 0x{byte:02x} is not UTF-8 text; save the file as UTF-8"
        ) from None
    except FileNotFoundError:
        raise error(f"{path} does not exist") from None
    except IsADirectoryError:
        raise error(f"{path} is a folder, not a file") from None
    except (OSError, ValueError) as refusal:  # ValueError: a null byte in the name
        raise error(f"{shown(str(path))} cannot be read: {getattr(refusal, 'strerror', refusal)}") from None


def dump(data: Mapping[str, Any]) -> str:
    """A mapping of texts, truth values, lists and mappings as YAML that `read` gives back as it was."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Long texts stay on one line, texts of several lines are written as such."""

        def ignore_aliases(self, data: object) -> bool:
            return True

        def write_plain(self, text: str, split: bool = True) -> None:
            super().write_plain(text, split=False)

        def write_single_quoted(self, text: str, split: bool = True) -> None:
            super().write_single_quoted(text, split=False)

        def text(self, text: str) -> yaml.ScalarNode:
            lines = text.split("\n")
            plain = all(map(str.isprintable, lines))  # other line breaks only survive as escapes
            style = '"' if not plain else None if len(lines) == 1 else "|" if any(lines[1:]) else '"'
            return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Dumper.add_representer(str, Dumper.text)
    return yaml.dump(
        dict(data), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100, default_flow_style=None
    )


class _Reader:
    """Builds a document from the parser's events, noting the line of every value."""

    def __init__(self, path: Path, events: Iterator[Event], error: type[BreadthError]) -> None:
        self.path = path
        self.events = events
        self.error = error
        self.places: dict[Loc, Place] = {}

    def document(self) -> Document:
        import yaml

        next(self.events)  # the stream's start
        if not isinstance(next(self.events), yaml.DocumentStartEvent):
            raise self.error(f"{self.path}:1: expected fields such as `name: value`, but the file is empty")
        event = next(self.events)
        data = self._value((), event)
        if not isinstance(data, dict):
            found = "a list" if isinstance(data, list) else f"the text {shown(data)}"
            raise self._fault(event, f"expected fields such as `name: value`, but it is {found}")
        next(self.events)  # the document's end
        if isinstance(event := next(self.events), yaml.DocumentStartEvent):
            raise self._fault(event, "a second document begins; one document a file is accepted")
        return Document(data, self.places, self.error)

    def _line(self, event: Event) -> int:
        return event.start_mark.line + 1 if event.start_mark else 1

    def _fault(self, event: Event, message: str) -> BreadthError:
        return self.error(f"{self.path}:{self._line(event)}: {message}")

    def _value(self, loc: Loc, event: Event) -> Any:
        import yaml

        if isinstance(event, yaml.AliasEvent):
            raise self._fault(event, f"the alias *{event.anchor} is not accepted; write the value out")
        # A leading "!" alone only says "text", which everything is.
        tag = getattr(event, "tag", None)
        if tag not in {None, "!"}:
            raise self._fault(event, f"the tag {tag} is not accepted; values are plain text")
        if len(loc) > MAX_DEPTH:
            raise self._fault(event, TOO_DEEP)
        self.places.setdefault(loc, Place(self.path, self._line(event)))
        if isinstance(event, yaml.ScalarEvent):
            return event.value
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Any] = []
            while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
                items.append(self._value((*loc, len(items)), event))
            return items
        mapping: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise self._fault(event, "a key is a list, a mapping or an alias; keys are plain text")
            key = event.value
            if key in mapping:
                first = self.places[*loc, key].line
                raise self._fault(event, f"{shown(key)} is given twice; first on line {first}")
            self.places[*loc, key] = Place(self.path, self._line(event))
            mapping[key] = self._value((*loc, key), next(self.events))
        return mapping


def where(loc: Loc) -> str:
    """The keys on the way to a value, as the start of a message: `messages.role: `; `` for the whole."""
    names = ".".join(key if key.isprintable() else shown(key) for key in loc if isinstance(key, str))
    return f"{names}: " if names else ""


def shown(value: object, width: int = 60) -> str:
    """A value as a message quotes it: on one line, shortened."""
    text = repr(value)
    return text if len(text) <= width else f"{text[: width - 2]}…{text[-1]}"


def closest(name: str, accepted: Iterable[str]) -> str:
    """What to try instead of an unknown name: the closest accepted one, or the first of all."""
    names = list(islice(accepted, 10_000))
    if close := difflib.get_close_matches(name, names, n=1):
        return f"did you mean {close[0]}?"
    return f"accepted are {', '.join(names[:MANY])}{', …' if len(names) > MANY else ''}"


def explain(error: ErrorDetails, model: type[BaseModel] | None = None, also: Iterable[str] = ()) -> str:
    """What is wrong with a value and what is accepted, from one of pydantic's errors.

    Args:
        error: of a `ValidationError`.
        model: what was validated, to say which keys it has.
        also: further names that are accepted, beside the model's.
    """
    loc, kind = error["loc"], error["type"]
    if kind in {"missing", "missing_argument"}:
        about = _fields_around(model, loc).get(str(loc[-1]))
        return "is missing" + (f"; it is {about.rstrip('.')}" if about else "")
    if kind in {"extra_forbidden", "unexpected_keyword_argument"}:
        return f"unknown key; {closest(str(loc[-1]), [*_fields_around(model, loc), *also])}"
    if kind == "value_error":  # a ValueError's own words
        return str(error["ctx"]["error"])
    # Pydantic writes for Python's readers: "Input should be a valid tuple".
    kind = kind.removesuffix("_type")
    text = f"Input should be {WORDS[kind]}" if kind in WORDS else error["msg"]
    return text.replace("Input", shown(error["input"]), 1)


def _fields_around(model: type[BaseModel] | None, loc: Loc) -> dict[str, str]:
    """The fields of the model that the last key of `loc` belongs to, each with its description."""
    for key in loc[:-1]:
        if model is not None and key in model.model_fields:
            model = _model_within(model.model_fields[str(key)].annotation)
    fields = model.model_fields if model else {}
    return {field.alias or name: field.description or "" for name, field in fields.items()}


def _model_within(annotation: Any) -> type[BaseModel] | None:
    """The first pydantic class inside an annotation such as `tuple[Message, ...] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_within, get_args(annotation))), None)
