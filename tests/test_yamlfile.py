"""Reading YAML: scalars are text, every error is one line that names file and line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from breadth.errors import InputError, TaskError
from breadth.yamlfile import dump, load, read


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")
    label: str
    count: int = Field(default=1, ge=0)


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid")
    title: str = Field(description="what it is called.")
    parts: list[Part] = []
    table: dict[str, Part] = {}
    fast: bool = False


class OtherError(InputError):
    pass


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "whole.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_model_turns_text_into_its_own_types(tmp_path: Path) -> None:
    text = "title: 01\nparts:\n  - {label: NO, count: 3}\ntable:\n  1e3: {label: ~}\nfast: yes\n"
    assert load(write(tmp_path, text), Whole) == Whole(
        title="01", parts=[Part(label="NO", count=3)], table={"1e3": Part(label="~")}, fast=True
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title: a\nfats: yes\n", "2: fats: unknown key; did you mean fast?"),
        ("title: a\nzzz: 1\n", "2: zzz: unknown key; accepted are title, parts, table, fast"),
        ("# a comment\n\nfast: yes\n", "3: title: is missing; it is what it is called"),
        ("tilte: a\n", "1: tilte: unknown key; did you mean title?"),
        ("title: a\nfast: perhaps\n", "2: fast: 'perhaps' should be a valid boolean"),
        ("title: [a]\n", "1: title: ['a'] should be text"),
        ("title: a\nparts: b\n", "2: parts: 'b' should be a list"),
        ("title: a\nparts:\n- label: b\n- c\n", "4: parts: 'c' should be a mapping of keys to values"),
        (
            "title: a\nparts:\n- label: b\n- label: c\n  count: -1\n",
            "5: parts.count: '-1' should be greater than",
        ),
        ("title: a\nparts:\n- label: b\n- count: 2\n", "4: parts.label: is missing"),
        ("title: a\nparts:\n- label: b\n  cuont: 2\n", "4: parts.cuont: unknown key; did you mean count?"),
        ("title: a\ntable:\n  x:\n    label: [b]\n", "4: table.x.label: ['b'] should be text"),
        ("title: a\ntable:\n  x:\n    lable: b\n", "4: table.x.lable: unknown key; did you mean label?"),
        ("title: " + "a" * 500 + "\nfast: " + "b" * 500 + "\n", "2: fast: 'bbbb"),
    ],
)
def test_what_the_model_refuses_has_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(OtherError) as caught:
        load(path, Whole, OtherError)
    assert str(caught.value).startswith(f"{path}:{message}")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 200


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "1: expected fields such as `name: value`, but the file is empty"),
        ("# only a comment\n", "1: expected fields such as `name: value`, but the file is empty"),
        ("just text\n", "1: expected fields such as `name: value`, but it is the text 'just text'"),
        ("\n- a\n", "2: expected fields such as `name: value`, but it is a list"),
        ("a: 1\n\nb: 2\na: 3\n", "4: 'a' is given twice; first on line 1"),
        ("a:\n  b: 1\n  b: 2\n", "3: 'b' is given twice; first on line 2"),
        ("a: 1\n---\nb: 2\n", "2: a second document begins"),
        ("a: 1\n\tb: 2\n", "2: not valid YAML"),
        ("a:\n\t- 1\n", "2: not valid YAML"),
        ("a: [1\nb: 2\n", "2: not valid YAML"),
        ("a: 'x\n", "not valid YAML"),
        ("a: b: c\n", "1: not valid YAML"),
        ("a: @b\n", "1: not valid YAML"),
        ("a: &x [1]\nb: *x\n", "2: the alias *x is not accepted; write the value out"),
        ("a: &x [*x]\n", "1: the alias *x is not accepted"),
        ("a: 1\nb: !!int 1\n", "2: the tag tag:yaml.org,2002:int is not accepted"),
        ("a: 1\nb: !!python/object/apply:os.system [ls]\n", "2: the tag tag:yaml.org,2002:python"),
        ("a: 1\n? [b]\n: 2\n", "2: a key is a list, a mapping or an alias"),
        ("a: " + "[" * 5000 + "]" * 5000 + "\n", "1: nested more than 20 deep"),
        ("a: 1\nb: x\x01\n", "2: the control character U+0001 cannot stand in YAML"),
        (b"a: 1\nb: caf\xe9\n", "2: the byte 0xe9 is not UTF-8"),
    ],
)
def test_what_is_not_a_plain_mapping_has_its_line(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(TaskError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}:")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path, message in [
        (tmp_path / "gone.yaml", "does not exist"),
        (tmp_path, "is a folder"),
        (tmp_path / ("x" * 5000), "cannot be read"),
        (Path("a\0b.yaml"), "cannot be read"),
    ]:
        with pytest.raises(TaskError, match=message):
            read(path)


def test_windows_files_are_read(tmp_path: Path) -> None:
    document = read(write(tmp_path, b"\xef\xbb\xbfa: x\r\nb:\r\n  - y\r\n"))
    assert document.data == {"a": "x", "b": ["y"]}
    assert [document.place(("b", 0)).line, document.place(("b", 7)).line] == [3, 2]


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=15)
TREE: st.SearchStrategy[Any] = st.recursive(
    TEXT, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=10
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(TEXT, TREE, min_size=1, max_size=4))
def test_what_is_dumped_reads_back(tmp_path: Path, data: dict[str, Any]) -> None:
    assert read(write(tmp_path, dump(data))).data == data
