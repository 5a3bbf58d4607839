"""A task: a prompt, its exactly known answers, and what ends an answer. Knows nothing of tokens."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from breadth.errors import TaskError
from breadth.generators import generate
from breadth.yamlfile import load_yaml

__all__ = ["End", "Task", "Turn", "read_task"]


@dataclass(frozen=True)
class End:
    """What ends an answer.

    Attributes:
        stops: strings; every token whose text begins with one ends the answer.
        eos: whether the model's end tokens do.
    """

    stops: tuple[str, ...]
    eos: bool

    @property
    def is_none(self) -> bool:
        """Whether an answer ends by itself, at its last token."""
        return not self.stops and not self.eos


class Turn(BaseModel):
    """One turn of a conversation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["system", "user", "assistant"]
    content: str


class TaskFields(BaseModel):
    """The fields of a task, validated; `Task` gives them a voice. A file is read through this class.

    Validation raises pydantic's own errors, whose locations lead back to lines of the file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.:=,_-]*$")
    description: str = ""
    source: str = ""
    prompt: str | None = None
    messages: tuple[Turn, ...] | None = None
    answers: tuple[str, ...]
    surfaces: Mapping[str, tuple[str, ...]] = {}
    delimiter: str | Mapping[Literal["chat", "raw"], str] = ""
    prefill: str = ""
    end_with: str | tuple[str, ...] = Field(default="eos", alias="end")
    eos_ends: bool = True
    chat: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _answers_from_a_file(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and "answers_file" in data:
            if "answers" in data:
                raise ValueError("give either answers or answers_file, and not both")
            data = {key: value for key, value in data.items() if key != "answers_file"} | {
                "answers": {"file": data["answers_file"]}
            }
        return data

    @field_validator("chat", mode="before")
    @classmethod
    def _auto(cls, value: Any) -> Any:
        return None if value == "auto" else value

    @field_validator("answers", mode="before")
    @classmethod
    def _resolve_answers(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, Mapping):
            return value
        if "file" in value:
            return _lines(Path(info.context or ".") / value["file"])
        return generate(value)

    @field_validator("answers")
    @classmethod
    def _distinct(cls, answers: tuple[str, ...]) -> tuple[str, ...]:
        if not answers:
            raise ValueError("the list is empty; give at least one answer")
        seen: set[str] = set()
        for answer in answers:
            if not answer:
                raise ValueError("an answer is empty; an answer is at least one character")
            if answer in seen:
                raise ValueError(f"the answer {answer!r} is given twice; each may stand once")
            seen.add(answer)
        return answers

    @field_validator("end_with")
    @classmethod
    def _stops(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not value or (isinstance(value, tuple) and "" in value):
            raise ValueError("a stop string is empty; use eos, none, or one or more stop strings")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("give either prompt or messages, and not both")
        if not (self.messages if self.prompt is None else self.prompt):
            raise ValueError("the prompt is empty")
        if self.messages is not None and self.chat is False:
            raise ValueError("messages need a chat template, but chat is false; give a prompt instead")
        if not self.eos_ends and not self.end.stops:
            raise ValueError("eos_ends: false needs a stop string as the end")
        self._check_surfaces()
        self._check_ends()
        return self

    def _check_surfaces(self) -> None:
        owner = {answer: answer for answer in self.answers}
        for answer, others in self.surfaces.items():
            if answer not in self.answers:
                raise ValueError(f"surfaces: {answer!r} is no answer of this task")
            for other in others:
                if not other:
                    raise ValueError(f"surfaces: a spelling of {answer!r} is empty")
                if owner.setdefault(other, answer) != answer:
                    raise ValueError(f"surfaces: {other!r} is given for {answer!r} and for {owner[other]!r}")

    def _check_ends(self) -> None:
        spellings = [text for index in range(len(self.answers)) for text in self.spellings(index)]
        for stop in self.end.stops:
            for text in spellings:
                if stop in text:
                    raise ValueError(f"the answer {text!r} contains the stop string {stop!r}")
        if self.end.is_none:
            ordered = sorted(spellings)
            for first, second in pairwise(ordered):
                if second.startswith(first):
                    raise ValueError(
                        f"end: none cannot tell {first!r} from the start of {second!r}; "
                        "use eos or a stop string"
                    )

    @property
    def end(self) -> End:
        """What ends an answer."""
        if self.end_with == "eos":
            return End((), eos=True)
        if self.end_with == "none":
            return End((), eos=False)
        stops = (self.end_with,) if isinstance(self.end_with, str) else self.end_with
        return End(tuple(dict.fromkeys(stops)), self.eos_ends)

    def spellings(self, index: int) -> tuple[str, ...]:
        """All surfaces of an answer, the answer itself first."""
        answer = self.answers[index]
        return tuple(dict.fromkeys((answer, *self.surfaces.get(answer, ()))))

    def delimiter_for(self, chat: bool) -> str:
        """The text between prompt and answer, for a templated or a raw prompt."""
        if isinstance(self.delimiter, str):
            return self.delimiter
        return self.delimiter.get("chat" if chat else "raw", "")


class Task(TaskFields):
    """A prompt whose valid answers are known exactly. docs/tasks.md explains every field to its author.

    Attributes:
        name: letters, digits and `.:=,_-`.
        description: one line for a list of tasks.
        source: where the answers come from, and by which convention.
        prompt: raw text, or the user's turn when the chat template is used.
        messages: a conversation, instead of `prompt`.
        answers: every valid answer, once.
        surfaces: answer → other spellings that are the same answer.
        delimiter: text between prompt and answer, tokenised with the answer; one string, or one for
            templated (`chat`) and one for raw (`raw`) prompts.
        prefill: start of the assistant's turn, part of the prompt.
        end_with: `eos`, `none`, or stop strings; spelled `end` in a file.
        eos_ends: whether, beside stop strings, the model's end tokens end an answer too.
        chat: use the chat template: True, False, or None for "if the model has one".
    """

    def __init__(self, **fields: Any) -> None:
        """Raises TaskError, one line, when a field is wrong."""
        try:
            super().__init__(**fields)
        except ValidationError as problem:
            item = problem.errors(include_url=False)[0]
            where = ".".join(str(part) for part in item["loc"])
            message = item["ctx"]["error"] if item["type"] == "value_error" else item["msg"]
            name = fields.get("name", "without a name")
            raise TaskError(f"task {name}: {where + ': ' if where else ''}{message}") from None

    def conversation(self) -> tuple[dict[str, str], ...]:
        """The messages; a plain prompt is one turn of the user."""
        if self.messages is None:
            return ({"role": "user", "content": self.prompt or ""},)
        return tuple(turn.model_dump() for turn in self.messages)

    def warnings(self) -> tuple[str, ...]:
        """What the author may not have meant, one line each."""
        text = (self.prompt or "") + self.prefill
        if (self.prompt is not None or self.prefill) and text.endswith(" "):
            return (
                f"the prompt ends in a space ({text[-12:]!r}): it becomes a token of its own, after which "
                "nearly all probability can leave the answers; put the space into delimiter instead",
            )
        return ()

    @cached_property
    def hash(self) -> str:
        """SHA-256 of all that determines the numbers: not name, description or source."""
        fields = self.model_dump(mode="json", exclude={"name", "description", "source"})
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()

    def to_yaml(self) -> str:
        """The task as a file that `read_task` reads back."""
        fields = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return yaml.safe_dump(fields, allow_unicode=True, sort_keys=False, width=100)


def read_task(path: Path) -> Task:
    """Read a task file.

    Raises:
        TaskError: `FILE:LINE: what is wrong and what would be accepted`, one line.
    """
    fields = load_yaml(path, TaskFields, TaskError, context=path.parent)
    return Task(**fields.model_dump(by_alias=True))


def _lines(path: Path) -> list[str]:
    """The answers in a text file, one a line; blank lines are passed over."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        reason = getattr(problem, "strerror", None) or "it is not UTF-8 text"
        raise ValueError(f"cannot read {path}: {reason}") from None
    return [line for line in text.splitlines() if line]
