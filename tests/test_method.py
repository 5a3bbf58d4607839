"""The worked example of docs/method.md: its numbers are what the code computes."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("four_states", DOCS / "examples" / "four_states.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_number_of_the_example_stands_in_the_text(example: ModuleType) -> None:
    text = (DOCS / "method.md").read_text(encoding="utf-8")
    lines = example.numbers(example.four_states())
    assert len(lines) > 20
    for line in lines:
        for number in re.findall(r"(?<![\w.=])\d+\.\d+", line):
            assert re.search(rf"(?<![\d.]){re.escape(number)}(?!\d)", text) or float(number) in (0.0, 1.0), (
                line
            )


def test_the_figures_of_the_text_are_there() -> None:
    text = (DOCS / "method.md").read_text(encoding="utf-8")
    figures = re.findall(r"\]\((images/[^)]+)\)", text)
    assert len(figures) == 4
    for figure in figures:
        assert (DOCS / figure).exists()
