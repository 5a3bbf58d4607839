"""Timing helpers: the best of several runs, and one line per measurement."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A measured number, and what it should be."""

    what: str
    value: float
    unit: str = ""
    target: str = ""

    def __str__(self) -> str:
        target = f"   (target: {self.target})" if self.target else ""
        return f"{self.what:<72} {self.value:10.3f} {self.unit}{target}"


def best_of(action: Callable[[], object], runs: int = 3) -> float:
    """Shortest wall time of several runs, in seconds: the least disturbed one."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def machine() -> str:
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
