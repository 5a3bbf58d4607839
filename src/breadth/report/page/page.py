"""One self-contained page where a person sees why the diversity is missing.

No server, no network: the page carries its data and computes every number itself. Its script and style are
built from the folder `page/` of the source (`npm run build`) and come with the package as `page.html`.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from breadth.files import new_file
from breadth.report.page.payload import payload
from breadth.study import Unit

__all__ = ["page", "write_page"]


def page(units: Sequence[Unit]) -> str:
    """The page of some runs, as HTML; equal runs give equal pages."""
    template = files("breadth.report.page").joinpath("page.html").read_text(encoding="utf-8")
    names = sorted({unit.model for unit in units})
    title = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in f"breadth: {', '.join(names)}")
    # The data are base64; all other text reaches the page through them.
    return template.replace("{{title}}", html.escape(title), 1).replace(
        "{{data}}", payload(units).decode("ascii"), 1
    )


def write_page(units: Sequence[Unit], path: Path) -> None:
    """Write the page of some runs.

    Args:
        units: shown one at a time, or two side by side.
        path: the file.

    Raises:
        StorageError: it cannot be written.
    """
    with new_file(path) as temporary:
        temporary.write_text(page(units), encoding="utf-8")
