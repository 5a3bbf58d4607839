"""What the README shows is what happens."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from breadth.task import read_task

README = Path(__file__).parents[1] / "README.md"


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return found[1]


@pytest.mark.model
def test_the_python_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(block("python"), str(README), "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["temperature=1", "temperature=1.5,min_p=0.1"]
    for line in lines:
        assert all(0 < float(number) < 1 for number in line.split()[1:])


def test_the_task_file_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    path.write_text(block("yaml"), encoding="utf-8")
    assert read_task(path).answers == ("red", "yellow", "blue")
