"""Tasks: what is accepted, and one clear line for what is not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
        ("name: t\nprompt: p\nanswers:\n  - a\n  - ''\n", "task.yaml:5: answers: an answer is empty"),
        ("name: t\nprompt: p\nanswers: [a, b, a]\n", "task.yaml:3: answers: the answer 'a' is given twice"),
        ("name: t\nprompt: p\nanwsers: [a]\n", "did you mean answers?"),
        ("name: t\nanswers: [a]\n", "give either prompt or messages"),
        (
            "name: t\nprompt: p\nmessages: []\nanswers: [a]\n",
            "task.yaml:3: messages: give either prompt or messages",
        ),
        ("name: t\nprompt: ''\nanswers: [a]\n", "task.yaml:2: prompt: the prompt is empty"),
        ("name: t\nmessages: []\nanswers: [a]\n", "task.yaml:2: messages: the prompt is empty"),
        (
            "name: t\nmessages:\n- {role: user, content: x}\n- {role: assistant, content: y}\nanswers: [a]\n",
            "task.yaml:4: messages: the last turn is of role 'assistant'",
        ),
        (
            "name: t\nmessages:\n- role: user\n  contents: y\nanswers: [a]\n",
            "task.yaml:4: messages.contents: unknown key; did you mean content?",
        ),
        (
            "name: t\nprompt: p\nanswers: [a]\ndelimiter: {cat: x}\n",
            "task.yaml:4: delimiter.cat: unknown key; did you mean chat?",
        ),
        (
            "name: t\nprompt: p\nanswers:\n- xa\nend: aa\n",
            "task.yaml:4: answers: the answer 'xa' contains the stop string 'aa'",
        ),
        (
            'name: t\nprompt: p\nanswers: [a]\ndelimiter: "\\n"\nend: "\\n"\n',
            "task.yaml:4: delimiter: '\\n' contains the stop string '\\n'",
        ),
        (
            "name: t\nprompt: p\nanswers: [a]\nend:\n- x\n- EOS\n",
            "task.yaml:6: end: 'EOS' is no stop string; accepted are eos, none",
        ),
        (
            "name: t\nprompt: p\nanswers: [a]\nanswer_file: x.txt\n",
            "task.yaml:4: answer_file: unknown key; did you mean answers_file?",
        ),
        (
            "name: t\nprompt: p\nanswers:\n  generator: digits\n  length: 99999999\n",
            "task.yaml:5: answers.length: '99999999' should be less than or equal to 100",
        ),
        (
            "name: t\nprompt: p\nanswers: {generator: product, parts: [[a]], separator: [x]}\n",
            "task.yaml:3: answers.separator: ['x'] should be text",
        ),
        (
            "name: t\nprompt: p\nanswers:\n  generator: [a]\n",
            "task.yaml:4: answers.generator: unknown generator ['a']; choose among",
        ),
        ("name: t\nprompt: p\nanswers: {a: b}\n", "task.yaml:3: answers.generator: is missing"),
        ("name: t\nprompt: p\nanswers_file: [x]\n", "task.yaml:3: answers_file: ['x'] is no file of answers"),
        ("name: t u\nprompt: p\nanswers: [a]\n", "task.yaml:1: name: 't u' is no name; accepted are"),
        ("prompt: p\nanswers: [a]\n", "task.yaml:1: name: is missing"),
        (
            "name: t\nprompt: p\nprompt: q\nanswers: [a]\n",
            "task.yaml:3: 'prompt' is given twice; first on line 2",
        ),
        ("name: t\nprompt: [\n", "task.yaml:3: not valid YAML"),
        ("- a\n- b\n", "task.yaml:1: expected fields such as"),
        ("", "task.yaml:1: expected fields such as"),
        (
            "name: t\nprompt: p\nanswers: [a]\nchat: maybe\n",
            "task.yaml:4: chat: 'maybe' is not accepted; accepted are auto, true and false",
        ),
        ("name: t\nprompt: p\nanswers: [a]\nend: ''\n", "task.yaml:4: end: a stop string is empty"),
        (
            "name: t\nprompt: p\nanswers: [a]\neos_ends: false\n",
            "task.yaml:4: eos_ends: false needs a stop string",
        ),
        (
            "name: t\nprompt: p\nanswers: [a, ab]\nend: none\n",
            "task.yaml:4: end: none cannot tell 'a' from the start of 'ab'",
        ),
        (
            "name: t\nprompt: p\nanswers: [a.b]\nend: .\n",
            "task.yaml:3: answers: the answer 'a.b' contains the stop string '.'",
        ),
        (
            "name: t\nprompt: p\nanswers: [a]\nsurfaces: {b: [c]}\n",
            "task.yaml:4: surfaces.b: 'b' is no answer of this task",
        ),
        (
            "name: t\nprompt: p\nanswers: [a, b]\nsurfaces:\n  a: [b]\n",
            "task.yaml:5: surfaces.a: 'b' is given for 'a' and for 'b'",
        ),
        (
            "name: t\nmessages:\n  - {role: user, content: x}\n  - {role: robot, content: y}\nanswers: [a]\n",
            "task.yaml:4: messages.role: 'robot' should be 'system', 'user' or 'assistant'",
        ),
        (
            "name: t\nmessages: [{role: user, content: x}]\nchat: false\nanswers: [a]\n",
            "task.yaml:3: chat: messages need a chat template, but chat is false",
        ),
        (
            "name: t\nprompt: p\nanswers: {generator: squares}\n",
            "task.yaml:3: answers.generator: unknown generator 'squares'; choose among integers, digits",
        ),
        (
            "name: t\nprompt: p\nanswers:\n  generator: integers\n  start: one\n  end: 3\n",
            "task.yaml:5: answers.start: 'one' should be a valid integer",
        ),
        (
            "name: t\nprompt: p\nanswers: {generator: integers, start: 1}\n",
            "task.yaml:3: answers.end: is missing",
        ),
        (
            "name: t\nprompt: p\nanswers: {generator: digits, length: 9}\n",
            "task.yaml:3: answers: the parameters would give 1,000,000,000 answers; from 1 to 10,000,000",
        ),
        ("name: t\nprompt: p\nanswers_file: gone.txt\n", "task.yaml:3: answers_file: "),
        ("name: t\nprompt: p\nanswers: [a]\nanswers_file: x.txt\n", "give either answers or answers_file"),
        (
            "name: t\nprompt: p\nanswers: a\n",
            "task.yaml:3: answers: 'a' should be a list",
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
    (tmp_path / "list.txt").write_bytes("\ufeffNew York \r\n\r\nOhio\u2028x\n".encode())
    read = read_task(write(tmp_path, "name: t\nprompt: p\nanswers_file: list.txt\n"))
    assert read.answers == ("New York", "Ohio\u2028x")
    (tmp_path / "list.json").write_text('["New York", "Ohio"]', encoding="utf-8")
    read = read_task(write(tmp_path, "name: t\nprompt: p\nanswers_file: list.json\n"))
    assert read.answers == ("New York", "Ohio")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("list.txt", b"Ohio\n\nUtah\nOhio\n", "list.txt:4: answers: the answer 'Ohio' is given twice"),
        ("list.txt", b"\n", "list.txt:1: answers: the list is empty"),
        ("list.txt", b"caf\xe9\n", "list.txt:1: the byte 0xe9 is not UTF-8"),
        ("list.json", b'["a",\n1]', "list.json:1: answers: 1 should be text"),
        ("list.json", b'["a",\n]', "list.json:2: not valid JSON"),
        ("list.json", b'{"a": 1}', "list.json: is no list"),
        ("list.json", b"[" * 100_000, "list.json"),
        (
            "list.csv",
            b"a\n",
            "task.yaml:3: answers_file: 'list.csv' is no file of answers; accepted are .txt",
        ),
    ],
)
def test_a_wrong_file_of_answers_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TaskError) as caught:
        read_task(write(tmp_path, f"name: t\nprompt: p\nanswers_file: {name}\n"))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
STOP = TEXT.filter(lambda text: text.lower() not in {"eos", "none"})


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_task_reads_back(tmp_path: Path, data: st.DataObject) -> None:
    answers = data.draw(st.lists(TEXT, min_size=1, max_size=6, unique=True))
    end = data.draw(st.sampled_from(["eos", "none"]) | STOP | st.lists(STOP, min_size=1, max_size=3))
    fields = {
        "prompt": data.draw(TEXT),
        "description": data.draw(TEXT),
        "answers": answers,
        "surfaces": data.draw(
            st.dictionaries(st.sampled_from(answers), st.lists(TEXT, max_size=2), max_size=2)
        ),
        "delimiter": data.draw(TEXT | st.fixed_dictionaries({"chat": TEXT, "raw": TEXT})),
        "prefill": data.draw(TEXT),
        "end": end,
        "eos_ends": data.draw(st.booleans()),
        "chat": data.draw(st.sampled_from([None, True, False])),
    }
    try:
        first = task(**fields)
    except TaskError as error:
        if "\n" in str(error):
            raise
        return
    second = read_task(write(tmp_path, first.to_yaml()))
    assert second == first
    assert second.hash == first.hash


@given(st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=8, unique=True))
def test_without_an_end_no_answer_may_start_another(answers: list[str]) -> None:
    clash = any(one != other and other.startswith(one) for one in answers for other in answers)
    if clash:
        with pytest.raises(TaskError, match="none cannot tell"):
            task(answers=answers, end="none")
    else:
        assert task(answers=answers, end="none").end.is_none


@given(
    st.text("ab", max_size=4), st.text("ab", min_size=1, max_size=5), st.text("ab", min_size=1, max_size=3)
)
def test_an_answer_may_not_be_cut_by_its_stop(delimiter: str, answer: str, stop: str) -> None:
    spoken = delimiter + answer + stop
    first_stop = next(length for length in range(len(spoken) + 1) if spoken[:length].endswith(stop))
    if first_stop < len(spoken):
        with pytest.raises(TaskError, match="contains the stop string"):
            task(answers=[answer], delimiter=delimiter, end=stop)
    else:
        assert task(answers=[answer], delimiter=delimiter, end=stop).end.stops == (stop,)


def test_half_a_surrogate_pair_is_refused() -> None:
    for change in ({"answers": ["\ud83d"]}, {"prompt": "\ud83d"}, {"end": "\ud83d"}):
        with pytest.raises(TaskError, match="surrogate") as caught:
            task(**change)
        str(caught.value).encode()


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


def test_a_backslash_in_a_stop_string_is_warned_about() -> None:
    assert "double quotes" in task(end="\\n").warnings()[0]
    assert task(end="\n").warnings() == ()


def test_a_space_that_only_a_template_sees_is_fine() -> None:
    assert task(prompt="Say: ", chat=True).warnings() == ()


def test_a_prompt_is_the_users_turn() -> None:
    assert task().conversation() == ({"role": "user", "content": "Say:"},)
    turns = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    assert task(prompt=None, messages=turns).conversation() == tuple(turns)


def test_the_examples_of_the_documentation_are_tasks(tmp_path: Path) -> None:
    page = (Path(__file__).parents[1] / "docs" / "tasks.md").read_text(encoding="utf-8")
    whole, *generated = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert read_task(write(tmp_path, whole)).name == "primary-colours"
    sizes = [len(read_task(write(tmp_path, f"name: t\nprompt: p\n{text}")).answers) for text in generated]
    assert sizes == [100, 52]
