"""A prompt, the answers that are valid, and what ends an answer. Knows nothing of tokens."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from breadth.errors import TaskError
from breadth.generators import GENERATORS
from breadth.yamlfile import Document, Loc, Place, closest, dump, explain, read, read_text, shown, where

__all__ = ["Delimiter", "End", "Message", "Task", "read_task"]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:=,-]{0,99}")


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(
            f"{shown(text)} holds half of a surrogate pair, which no file or model can"
        ) from None
    return text


Text = Annotated[str, AfterValidator(_encodable)]

ENDS = "eos, none, a stop string, or a list of stop strings"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Message(_Frozen):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    """system, user or assistant."""
    content: Text
    """what is said."""


class Delimiter(_Frozen):
    """The text between prompt and answer, by the way the prompt is put."""

    chat: Text = ""
    """through a chat template."""
    raw: Text = ""
    """as plain text."""


@dataclass(frozen=True)
class End:
    """What finishes an answer.

    Attributes:
        stops: the stop strings; none of them is empty.
        eos: whether the model's end tokens finish an answer.
    """

    stops: tuple[str, ...] = ()
    eos: bool = True

    @property
    def is_none(self) -> bool:
        """Whether an answer finishes by itself, at its last token."""
        return not (self.stops or self.eos)


class Task(_Frozen):
    """A prompt and its exactly known answers. Whatever can be checked without a tokeniser is checked here.

    Built from Python, `Task(name=…, prompt=…, answers=[…], end=…)` takes what a task file takes, with the
    answers as a list; a mistake is a `TaskError`.
    """

    name: str
    """letters, digits and . _ - (and : = , for parameters)."""
    description: Text = ""
    """one line about the answers."""
    source: Text = ""
    """where the list of answers comes from."""
    prompt: Text | None = None
    """what is asked: one turn of the user, or plain text for a model without chat template."""
    messages: tuple[Message, ...] | None = None
    """a whole conversation instead of a prompt; it ends with the user."""
    prefill: Text = ""
    """the start of the assistant's turn; part of the prompt."""
    delimiter: Delimiter = Delimiter()
    """the text between prompt and answer, tokenised with the answer."""
    answers: tuple[Text, ...]
    """a list of texts, all equally good."""
    surfaces: dict[str, tuple[Text, ...]] = {}
    """for an answer, other texts that are the same answer."""
    eos_ends: bool = True
    """with stop strings: whether the model's end tokens finish an answer too."""
    end: End = End()
    """what finishes an answer: eos, none, a stop string, or a list of stop strings."""
    chat: bool | None = None
    """whether to use the chat template; None for wherever there is one."""

    if TYPE_CHECKING:  # what the validators below accept

        def __init__(
            self,
            *,
            name: str,
            answers: Sequence[str],
            description: str = "",
            source: str = "",
            prompt: str | None = None,
            messages: Sequence[Mapping[str, str]] | None = None,
            prefill: str = "",
            delimiter: str | Mapping[str, str] = "",
            surfaces: Mapping[str, Sequence[str]] = {},
            end: str | Sequence[str] = "eos",
            eos_ends: bool = True,
            chat: bool | Literal["auto"] | None = None,
        ) -> None: ...

    def spellings(self, index: int) -> tuple[str, ...]:
        """Every text that is answer `index`, the answer itself first, without repeats."""
        answer = self.answers[index]
        return tuple(dict.fromkeys((answer, *self.surfaces.get(answer, ()))))

    def delimiter_for(self, chat: bool) -> str:
        """The text between prompt and answer, with or without the chat template."""
        return self.delimiter.chat if chat else self.delimiter.raw

    def conversation(self) -> tuple[dict[str, str], ...]:
        """The turns before the answer, as `{"role": …, "content": …}`; a prompt is one turn of the user."""
        if self.messages is None:
            return ({"role": "user", "content": self.prompt or ""},)
        return tuple({"role": turn.role, "content": turn.content} for turn in self.messages)

    @property
    def hash(self) -> str:
        """SHA-256, in hexadecimal, of everything that determines the numbers: not of what it is called."""
        facts: dict[str, Any] = {
            "prompt": self.prompt,
            "messages": self.messages and self.conversation(),
            "prefill": self.prefill,
            "delimiter": [self.delimiter.chat, self.delimiter.raw],
            "answers": [sorted(self.spellings(index)) for index in range(len(self.answers))],
            "names": self.answers,
            "end": [sorted(self.end.stops), self.end.eos],
            "chat": self.chat,
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def warnings(self) -> tuple[str, ...]:
        """What is allowed but seldom meant, one line each."""
        found = []
        raw_end = self.prompt + self.prefill if self.prompt is not None and self.chat is not True else ""
        if raw_end.endswith(" ") or self.prefill.endswith(" "):
            found.append(
                f"the prompt ends in a space ({(raw_end or self.prefill)[-12:]!r}): it becomes a token of "
                "its own, after which nearly all probability can leave the answers; put the space into "
                "delimiter instead"
            )
        if self.chat is False and not self.end.stops and self.end.eos:
            found.append(
                "the text is continued as it stands, and only the model's end token ends an answer, which it "
                'seldom says there; most such tasks end in a line break: end: "\\n"'
            )
        found += [
            f"the stop string {stop!r} holds a backslash, not a line break or tab; in YAML those are "
            'written in double quotes: end: "\\n"'
            for stop in self.end.stops
            if "\\n" in stop or "\\t" in stop
        ]
        return tuple(found)

    def to_yaml(self) -> str:
        """The task as a task file: reading it gives an equal task."""
        fields = {
            "name": self.name,
            "description": self.description,
            "source": self.source,
            "prompt": self.prompt,
            "messages": self.messages and list(self.conversation()),
            "prefill": self.prefill,
            "delimiter": self.delimiter.model_dump(),
            "answers": list(self.answers),
            "surfaces": {answer: list(others) for answer, others in self.surfaces.items()},
            "end": list(self.end.stops),
            "eos_ends": None if self.eos_ends else False,
            "chat": self.chat,
        }
        if self.delimiter.chat == self.delimiter.raw:
            fields["delimiter"] = self.delimiter.raw
        if len(self.end.stops) <= 1:
            fields["end"] = next(iter(self.end.stops), "eos" if self.end.eos else "none")
        return dump({key: value for key, value in fields.items() if value not in (None, "", {})})

    # What follows checks a new task. A check that concerns one value raises a fault at its location, so
    # that the reader of a file can name the line.

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if not NAME.fullmatch(name):
            raise ValueError(
                f"{shown(name)} is no name; accepted are 1 to 100 letters, digits and . _ - : = , "
                "that begin with a letter or digit"
            )
        return name

    @field_validator("delimiter", mode="before")
    @classmethod
    def _read_delimiter(cls, value: Any) -> Any:
        return {"chat": value, "raw": value} if isinstance(value, str) else value

    @field_validator("end", mode="before")
    @classmethod
    def _read_end(cls, value: Any, info: ValidationInfo) -> End:
        if value in ("eos", "none"):
            return End(eos=value == "eos")
        stops = value if isinstance(value, list | tuple) else [value]
        if not stops or "" in stops:
            raise ValueError(f"a stop string is empty; accepted are {ENDS}")
        for position, stop in enumerate(stops):
            if not isinstance(stop, str) or stop.lower() in {"eos", "none"}:
                raise _fault(
                    (position,) if stops is value else (),
                    f"{shown(stop)} is no stop string; accepted are {ENDS} (eos ends an answer beside stop "
                    "strings unless eos_ends is false)",
                )
            _encodable(stop)
        return End(tuple(dict.fromkeys(stops)), eos=info.data.get("eos_ends", True))

    @field_validator("chat", mode="before")
    @classmethod
    def _read_chat(cls, value: Any) -> bool | None:
        if value is None or isinstance(value, bool):
            return value
        known = {"auto": None, "true": True, "false": False}
        if not isinstance(value, str) or value.lower() not in known:
            raise ValueError(f"{shown(value)} is not accepted; accepted are auto, true and false")
        return known[value.lower()]

    @model_validator(mode="after")
    def _check(self) -> Task:
        self._check_prompt()
        if not (self.eos_ends or self.end.stops):
            raise _fault(("eos_ends",), "false needs a stop string as the end")
        owner = self._owners()
        if self.end.is_none:
            _check_prefix_free(owner)
        self._check_stops()
        return self

    @model_validator(mode="wrap")
    @classmethod
    def _one_line(cls, data: Any, handler: ModelWrapValidatorHandler[Task], info: ValidationInfo) -> Task:
        try:
            return handler(data)
        except ValidationError as invalid:
            if isinstance(info.context, Document):
                raise  # it knows the lines
            first = invalid.errors(include_url=False)[0]
            name = str(data.get("name")) if isinstance(data, Mapping) else ""
            called = f"task {name}" if NAME.fullmatch(name) else "task"
            raise TaskError(f"{called}: {where(first['loc'])}{explain(first, cls)}") from None

    def _check_prompt(self) -> None:
        if self.prompt is None and self.messages is None:
            raise _fault(("prompt",), "is missing; give either prompt or messages")
        if self.prompt is not None and self.messages is not None:
            raise _fault(("messages",), "give either prompt or messages, and not both")
        if self.prompt is not None and not self.prompt.strip():
            raise _fault(("prompt",), "the prompt is empty; it says what is asked")
        if self.messages is None:
            return
        if not self.messages:
            raise _fault(("messages",), "the prompt is empty; give at least the user's turn")
        if self.messages[-1].role != "user":
            raise _fault(
                ("messages", len(self.messages) - 1),
                f"the last turn is of role {self.messages[-1].role!r}, but the user speaks before the "
                "answer; the start of the assistant's turn belongs in prefill",
            )
        if self.chat is False:
            raise _fault(("chat",), "messages need a chat template, but chat is false; give a prompt instead")

    def _owners(self) -> dict[str, int]:
        """For every spelling the index of its answer; no two answers share one."""
        if not self.answers:
            raise _fault(("answers",), "the list is empty; give at least one answer")
        owner: dict[str, int] = {}
        for index, answer in enumerate(self.answers):
            if not answer:
                raise _fault(
                    ("answers", index),
                    f"an answer is empty (number {index + 1}); an answer is at least one character",
                )
            if owner.setdefault(answer, index) != index:
                raise _fault(
                    ("answers", index), f"the answer {shown(answer)} is given twice; each may stand once"
                )
        for answer, others in self.surfaces.items():
            if answer not in owner:
                raise _fault(
                    ("surfaces", answer),
                    f"{shown(answer)} is no answer of this task; {closest(answer, self.answers)}",
                )
            for position, other in enumerate(others):
                loc = ("surfaces", answer, position)
                if not other:
                    raise _fault(loc, "is empty; a surface is another text of the same answer")
                belongs = self.answers[owner.setdefault(other, owner[answer])]
                if belongs != answer:
                    raise _fault(loc, f"{shown(other)} is given for {shown(answer)} and for {shown(belongs)}")
        return owner

    def _check_stops(self) -> None:
        for stop in self.end.stops:
            for delimiter in {self.delimiter.chat, self.delimiter.raw}:
                if stop in delimiter:
                    raise _fault(("delimiter",), f"{shown(delimiter)} contains the stop string {stop!r}")
        before = sorted({self.delimiter.chat, self.delimiter.raw})
        for index in range(len(self.answers) if self.end.stops else 0):
            for spelling in self.spellings(index):
                for delimiter in before:
                    if early := _stops_early(delimiter + spelling, self.end.stops):
                        raise _fault(
                            ("answers", index),
                            f"the answer {shown(spelling)} contains the stop string {early!r}, which would "
                            "cut it; choose another end",
                        )


def _fault(loc: Loc, message: str) -> ValidationError:
    """An error about the value at `loc`, to be raised inside a validator."""
    error = PydanticCustomError("task", "{message}", {"message": message})
    return ValidationError.from_exception_data("Task", [InitErrorDetails(type=error, loc=loc, input=None)])


def _stops_early(text: str, stops: Sequence[str]) -> str | None:
    """The stop string that would cut `text`, alone or with the start of the stop that follows it."""
    for end in stops:
        for stop in stops:
            if 0 <= (text + end).find(stop) < len(text):
                return stop
    return None


def _check_prefix_free(spellings: Iterable[str]) -> None:
    # In sorted order a text stands right before the first text that it starts.
    for one, other in pairwise(sorted(spellings)):
        if other.startswith(one):
            raise _fault(
                ("end",),
                f"none cannot tell {shown(one)} from the start of {shown(other)}; use eos or a stop string",
            )


def read_task(path: Path | str) -> Task:
    """Read a task file: YAML with the fields of `Task`.

    Its `answers` may also stand in a file beside it (`answers_file`) or come from a generator.

    Raises:
        TaskError: one line, `file:line: field: what is wrong and what is accepted`.
    """
    document = read(path)
    data = document.data
    if "answers_file" in data:
        if "answers" in data:
            raise document.fault(("answers_file",), "give either answers or answers_file, and not both")
        _take_answers_file(document)
    elif isinstance(data.get("answers"), dict):
        data["answers"] = _generate(document, data["answers"])
    return document.validate(Task, also=["answers_file"])


def _take_answers_file(document: Document) -> None:
    """Put the answers of another file in the document, with their own places."""
    loc: Loc = ("answers_file",)
    name = document.data.pop("answers_file")
    if not isinstance(name, str) or Path(name).suffix not in {".txt", ".json"}:
        raise document.fault(
            loc,
            f"{shown(name)} is no file of answers; accepted are .txt, an answer a line, and .json, a list",
        )
    path = document.path.parent / name
    try:
        text = read_text(path)
        if path.suffix == ".txt":
            lines = [(line, answer.strip()) for line, answer in enumerate(text.split("\n"), 1)]
            numbered = [(line, answer) for line, answer in lines if answer]
        else:
            numbered = [(1, answer) for answer in _json_list(path, text)]
    except TaskError as error:
        raise document.fault(loc, str(error)) from None
    document.data["answers"] = [answer for _, answer in numbered]
    document.places["answers",] = Place(path, 1)
    for index, (line, _) in enumerate(numbered):
        document.places["answers", index] = Place(path, line)


def _json_list(path: Path, text: str) -> list[Any]:
    try:
        values = json.loads(text)
    except json.JSONDecodeError as damage:
        raise TaskError(f"{path}:{damage.lineno}: not valid JSON: {damage.msg}") from None
    except RecursionError:
        values = None
    if not isinstance(values, list):
        raise TaskError(f"{path}: is no list; a JSON list of texts is needed")
    return values


def _generate(document: Document, call: dict[str, Any]) -> list[str]:
    """The answers that a generator makes from the parameters in the file."""
    parameters = {key: value for key, value in call.items() if key != "generator"}
    name = call.get("generator")
    if not isinstance(name, str) or name not in GENERATORS:
        raise document.fault(
            ("answers", "generator"),
            f"unknown generator {shown(name)}; choose among {', '.join(GENERATORS)}"
            if "generator" in call
            else "is missing; answers are a list, or a generator with its parameters",
        )
    make = GENERATORS[name]
    try:
        return make(**parameters)
    except ValidationError as invalid:
        first = invalid.errors(include_url=False)[0]
        message = explain(first, also=signature(make).parameters)
        raise document.fault(("answers", *first["loc"]), message) from None
    except ValueError as error:
        raise document.fault(("answers",), str(error)) from None
