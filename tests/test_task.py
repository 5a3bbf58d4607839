"""Tasks: what is accepted, and one clear line for what is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from breadth.errors import TaskError
from breadth.task import Task, read_task


def task(**changes: Any) -> Task:
    return Task(**{"name": "t", "prompt": "Say:", "answers": ["a", "b"]} | changes)


def write(folder: Path, text: str) -> Path:
    path = folder / "task.yaml"
    path.write_text(text, encoding="utf-8")
    return path


GOOD = """\
name: yes-no
prompt: "Coin:"
answers: [NO, 01, 1e3, ~, yes]
surfaces:
  NO: [no]
delimiter: {raw: " "}
end: ["\\n", "###"]
eos_ends: false
chat: false
"""


def test_scalars_are_the_answers_they_look_like(tmp_path: Path) -> None:
    read = read_task(write(tmp_path, GOOD))
    assert read.answers == ("NO", "01", "1e3", "~", "yes")
    assert read.spellings(0) == ("NO", "no")
    assert read.end.stops == ("\n", "###")
    assert read.end.eos is False
    assert read.chat is False
    assert (read.delimiter_for(chat=True), read.delimiter_for(chat=False)) == ("", " ")


def test_a_task_reads_back(tmp_path: Path) -> None:
    first = read_task(write(tmp_path, GOOD))
    second = read_task(write(tmp_path, first.to_yaml()))
    assert second == first
    assert second.hash == first.hash


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: t\nprompt: p\nanswers: []\n", "task.yaml:3: answers: the list is empty"),
        ("name: t\nprompt: p\nanswers:\n  - a\n  - ''\n", "task.yaml:3: answers: an answer is empty"),
        ("name: t\nprompt: p\nanswers: [a, b, a]\n", "task.yaml:3: answers: the answer 'a' is given twice"),
        ("name: t\nprompt: p\nanwsers: [a]\n", "did you mean answers?"),
        ("name: t\nanswers: [a]\n", "give either prompt or messages"),
        ("name: t\nprompt: p\nmessages: []\nanswers: [a]\n", "give either prompt or messages"),
        ("name: t\nprompt: ''\nanswers: [a]\n", "the prompt is empty"),
        ("name: t u\nprompt: p\nanswers: [a]\n", "task.yaml:1: name: string should match pattern"),
        ("prompt: p\nanswers: [a]\n", "task.yaml:1: name is missing"),
        ("name: t\nprompt: p\nprompt: q\nanswers: [a]\n", "task.yaml:3: prompt is given twice"),
        ("name: t\nprompt: [\n", "task.yaml:3: not valid YAML"),
        ("- a\n- b\n", "task.yaml:1: expected fields such as"),
        ("", "task.yaml:1: expected fields such as"),
        (
            "name: t\nprompt: p\nanswers: [a]\nchat: maybe\n",
            "task.yaml:4: chat: input should be a valid boolean",
        ),
        ("name: t\nprompt: p\nanswers: [a]\nend: ''\n", "task.yaml:4: end: a stop string is empty"),
        ("name: t\nprompt: p\nanswers: [a]\neos_ends: false\n", "eos_ends: false needs a stop string"),
        ("name: t\nprompt: p\nanswers: [a, ab]\nend: none\n", "cannot tell 'a' from the start of 'ab'"),
        ("name: t\nprompt: p\nanswers: [a.b]\nend: .\n", "the answer 'a.b' contains the stop string '.'"),
        ("name: t\nprompt: p\nanswers: [a]\nsurfaces: {b: [c]}\n", "'b' is no answer of this task"),
        (
            "name: t\nprompt: p\nanswers: [a, b]\nsurfaces:\n  a: [b]\n",
            "surfaces: 'b' is given for 'a' and for 'b'",
        ),
        (
            "name: t\nmessages:\n  - {role: user, content: x}\n  - {role: robot, content: y}\nanswers: [a]\n",
            "task.yaml:4: messages.1.role: input should be 'system', 'user' or 'assistant', but it is 'robot'",
        ),
        (
            "name: t\nmessages: [{role: user, content: x}]\nchat: false\nanswers: [a]\n",
            "messages need a chat template, but chat is false",
        ),
        (
            "name: t\nprompt: p\nanswers: {generator: squares}\n",
            "task.yaml:3: answers: unknown generator 'squares'",
        ),
        (
            "name: t\nprompt: p\nanswers:\n  generator: integers\n  start: one\n  end: 3\n",
            "integers: start is 'one'; a whole number is needed",
        ),
        (
            "name: t\nprompt: p\nanswers: {generator: integers, start: 1}\n",
            "missing 1 required positional argument: 'end'",
        ),
        (
            "name: t\nprompt: p\nanswers: {generator: digits, length: 9}\n",
            "digits would give 1,000,000,000 answers",
        ),
        ("name: t\nprompt: p\nanswers_file: gone.txt\n", "task.yaml:3: answers: cannot read"),
        ("name: t\nprompt: p\nanswers: [a]\nanswers_file: x.txt\n", "give either answers or answers_file"),
        (
            "name: t\nprompt: p\nanswers: a\n",
            "task.yaml:3: answers: input should be a valid tuple, but it is 'a'",
        ),
    ],
)
def test_a_wrong_file_is_one_line_that_names_the_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TaskError) as caught:
        read_task(write(tmp_path, text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"gone\.yaml does not exist"):
        read_task(tmp_path / "gone.yaml")
    with pytest.raises(TaskError, match="is a folder"):
        read_task(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9")
    with pytest.raises(TaskError, match="is not UTF-8"):
        read_task(tmp_path / "latin.yaml")


def test_answers_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("New York\n\nOhio\n", encoding="utf-8")
    read = read_task(write(tmp_path, "name: t\nprompt: p\nanswers_file: list.txt\n"))
    assert read.answers == ("New York", "Ohio")


def test_from_python_the_same_errors() -> None:
    with pytest.raises(TaskError, match="task t: answers: the answer 'a' is given twice"):
        task(answers=["a", "a"])


def test_the_hash_follows_what_determines_the_numbers() -> None:
    plain = task()
    assert task(description="other", source="elsewhere", name="u").hash == plain.hash
    for change in ({"prompt": "x"}, {"answers": ["a"]}, {"end": "\n"}, {"delimiter": " "}, {"chat": True}):
        assert task(**change).hash != plain.hash


def test_a_prompt_that_ends_in_a_space_is_warned_about() -> None:
    assert task().warnings() == ()
    assert "put the space into delimiter" in task(prompt="Say: ").warnings()[0]
    assert "put the space into delimiter" in task(prefill="Sure: ").warnings()[0]


def test_a_prompt_is_the_users_turn() -> None:
    assert task().conversation() == ({"role": "user", "content": "Say:"},)
    turns = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    assert task(prompt=None, messages=turns).conversation() == tuple(turns)
