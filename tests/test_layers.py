"""Imports go one way: a module imports only from modules above it in this list."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import breadth

SOURCE = Path(breadth.__file__).parent

LAYERS = [
    "errors",
    "files",
    "yamlfile",
    "segments",
    "generators",
    "task",
    "catalog",
    "tokenizer",
    "trie",
    "ranked",
    "events",
    "mass",
    "ranking",
    "rules",
    "measures",
    "models",
    "encoding",
    "store",
    "probe",
    "outcome",
    "scores",
    "grid",
    "diagnosis",
    "local",
    "counterfactual",
    "adaptive",
    "study",
    "explanation",
    "theory",
    "tables",
    "comparison",
    "report",
    "cli",
]


def modules() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")


def layer(module: str) -> int:
    return LAYERS.index(module.split(".")[1])


def name_of(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("breadth"):
            module = str(node.module)
            found |= (
                {f"breadth.{alias.name}" for alias in node.names if alias.name != "__version__"}
                if module == "breadth"
                else {module}
            )
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("breadth.")}
    return found


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_module_imports_only_from_above(path: Path) -> None:
    below = [module for module in imported(path) if layer(module) > layer(name_of(path))]
    assert below == []


@pytest.mark.parametrize("module", ["breadth", "breadth.cli"])
def test_the_command_line_starts_without_heavy_libraries(module: str) -> None:
    heavy = ["numpy", "pyarrow", "pydantic", "matplotlib", "torch", "transformers", "yaml"]
    code = f"import sys, {module}; print([name for name in {heavy!r} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_every_public_name_is_found_where_it_is_said_to_live() -> None:
    for name in breadth.__all__:
        assert getattr(breadth, name).__name__ == name


def test_an_unknown_public_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = breadth.nonsense
