"""How long `breadth --help` takes to answer."""

from __future__ import annotations

import subprocess
import sys

from bench.timing import Row, best_of


def run() -> list[Row]:
    def python(*arguments: str) -> float:
        return best_of(
            lambda: subprocess.run([sys.executable, *arguments], capture_output=True, check=True), 5
        )

    help_time = python(
        "-c", "import sys; sys.argv = ['breadth', '--help']; from breadth.cli import main; main()"
    )
    return [
        Row("breadth --help", help_time, "s", "< 0.3"),
        Row("… as a multiple of starting Python", help_time / python("-c", "pass"), "×"),
        Row(
            "import breadth, as a multiple of starting Python",
            python("-c", "import breadth") / python("-c", "pass"),
            "×",
        ),
    ]
