"""Rows of numbers for a person: a table where it fits, else a short block for each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

__all__ = ["Ledger"]


@dataclass(frozen=True)
class Ledger:
    """Numbers by row and heading; no number is ever cut.

    Attributes:
        headings: of all columns; line breaks are where a narrow heading may break.
        rows: the first cell names the row. A row of one cell alone heads those below it, an empty one is a
            rule.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """As a table, or, where that is too wide, as blocks."""
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        table.add_column(self.headings[0], no_wrap=True)
        for heading in self.headings[1:]:
            table.add_column(heading, justify="right", no_wrap=True)
        for row in self.rows:
            if len(row) <= 1:
                table.add_section()
            if row:
                table.add_row(Text(row[0], style="bold" if len(row) == 1 else ""), *row[1:])
        # What it takes, not what there is.
        unbounded = options.update(width=10_000)
        if Measurement.get(console, unbounded, table).maximum <= options.max_width:
            yield table
        else:
            yield from self._blocks()

    def _blocks(self) -> RenderResult:
        for row in self.rows:
            if not row:
                continue
            yield Text(row[0].strip(), style="bold" if len(row) == 1 else "underline")
            cells = zip(self.headings[1:], row[1:], strict=False)
            words = [f"{heading.replace(chr(10), ' ')} {cell}" for heading, cell in cells if cell]
            if words:
                yield Text("  " + "; ".join(words))
