"""The doors to transformers: imported only when used, quiet, and with errors of one line."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from breadth.errors import ModelError

__all__ = ["library", "one_line", "quiet"]


def library(name: str) -> Any:
    """A library that real models need, imported when first asked for.

    Raises:
        ModelError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ModelError(
            f"running real models needs the package {name!r}; pip install 'breadth[models]'"
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Without the progress bars and notices of transformers; its errors still come through."""
    log = library("transformers").utils.logging
    level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        if bars:
            log.enable_progress_bar()


def one_line(error: BaseException) -> str:
    """The first line of an error's message, without its final stop; its type where it has none."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
