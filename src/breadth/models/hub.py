"""The doors to transformers: imported only when used, quiet, and with errors of one line."""

from __future__ import annotations

import importlib
import os
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
    if name == "torch":
        # Its threads wait for each other by spinning, unless told before it starts: on a machine that does
        # other work too, a pass would take ten times as long. A short spin costs nothing elsewhere.
        os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ModelError(
            f"running real models needs the package {name!r}; pip install 'breadth[models]'"
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Without the notices and progress bars of transformers, but for the bars of real downloads."""
    log, hub = library("transformers").utils.logging, library("huggingface_hub")
    level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    downloads = not hub.utils.are_progress_bars_disabled()
    hub_level = hub.logging.get_verbosity()
    log.set_verbosity_error()
    hub.logging.set_verbosity_error()
    log.disable_progress_bar()
    if downloads:
        hub.utils.enable_progress_bars()
    try:
        yield
    finally:
        log.set_verbosity(level)
        hub.logging.set_verbosity(hub_level)
        if bars:
            log.enable_progress_bar()


def one_line(error: BaseException) -> str:
    """The first line of an error's message, without its final stop; its type where it has none."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
