"""The figures of comparisons: gathers what each shows, draws it, and writes it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from breadth.comparison import Compared
from breadth.report import style
from breadth.report.figures import causes, sizes
from breadth.report.saver import Saver
from breadth.report.words import plural

__all__ = ["draw_comparison"]

LADDERS = 24
"""Most ladders of one figure; more go to further files."""

APART = 0.06
"""Least distance of two models, as a share of the axis of sizes; if any are closer they stand evenly spaced."""

MEASURES = (
    ("order_score", "Order score (area), mean"),
    ("recall_at_precision_0.8", "Local recall at precision ≥ 0.8, mean"),
    ("cutoff_diversity_at_0.9", "Best diversity at validity ≥ 0.9\n(hollow: the ceiling)"),
    ("blame_order", "Coverage missing because of order"),
    ("blame_shape", "Coverage missing because of shape"),
    ("coverage", "Coverage of the default rule"),
)


def draw_comparison(compared: Sequence[Compared], folder: Path) -> list[Path]:
    """Draw models side by side [Fig. 4, 8].

    Args:
        compared: by task, models in order.
        folder: where the files go; made if needed.

    Returns:
        The files written, three of each figure: `sizes` and `ladders` (then `ladders-2`, …).

    Raises:
        StorageError: a file cannot be written.
    """
    rows = [each.row() for each in compared]
    tasks = len({row["task"] for row in rows})
    models = len({row["model"] for row in rows})
    with style.context():
        save = Saver(folder, f"{plural(models, 'model')} on {plural(tasks, 'task')}")
        _sizes(rows, save)
        for page, first in enumerate(range(0, len(compared), LADDERS)):
            _ladders(compared[first : first + LADDERS], f"ladders-{page + 1}" if page else "ladders", save)
        return save.files


def _sizes(rows: Sequence[dict[str, Any]], save: Saver) -> None:
    sizes_known = all(row["parameters"] for row in rows)
    size = {row["model"]: float(row["parameters"] or 0) for row in rows}
    models = sorted(size, key=lambda name: size[name] if sizes_known else 0.0)
    log = sizes_known and _far_apart([size[name] for name in models])
    place = {name: size[name] if log else 1.0 + turn for turn, name in enumerate(models)}
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    rows = sorted(rows, key=lambda row: (tasks.index(row["task"]), place[row["model"]]))

    def column(name: str) -> NDArray[np.float64]:
        return np.array([np.nan if row[name] is None else row[name] for row in rows])

    columns: dict[str, NDArray[Any]] = {
        "model": np.array([row["model"] for row in rows], dtype=object),
        "task": np.array([row["task"] for row in rows], dtype=object),
        "parameters": column("parameters"),
        "place": np.array([place[row["model"]] for row in rows]),
    }
    ceiling = "diversity_ceiling_at_0.9"
    columns |= {name: column(name) for name in (*(name for name, _ in MEASURES), ceiling)}
    names = {
        where: style.legible(name, at_most=20) + (f" ({_short(size[name])})" if sizes_known else "")
        for name, where in place.items()
    }
    lines = math.ceil(len(tasks) / 3)
    above = 1.3 + 0.22 * lines
    figure = style.new_figure(above + 4.3 + 1.35, above=above, below=1.35, left=0.95)
    figure.subplots_adjust(wspace=0.24, hspace=0.3)
    grid = figure.subplots(2, 3, sharex=True)
    for ax, (name, title) in zip(grid.flat, MEASURES, strict=True):
        sizes.sizes(
            ax,
            task=columns["task"],
            place=columns["place"],
            value=columns[name],
            ceiling=columns[ceiling] if "hollow" in title else None,
            title=title,
            names=names,
            log=log,
        )
        ax.set_ylim(min(0.0, 1.1 * float(np.nan_to_num(columns[name]).min())), 1.04)
    figure.legend(
        [line for line in grid.flat[0].lines],
        [style.legible(task, at_most=30) for task in tasks],
        loc="upper left",
        bbox_to_anchor=(0.75, figure.get_size_inches()[1] - 0.7),
        bbox_transform=figure.dpi_scale_trans,
        borderaxespad=0,
        ncols=3,
    )
    if log:
        what = "by number of parameters (log scale)"
    else:
        what = "by rising size" if sizes_known else "in the order given"
    save("sizes", figure, columns, "Order and shape across models", what)


def _far_apart(values: Sequence[float]) -> bool:
    """Whether names along a logarithmic axis would not run into each other."""
    places = np.log(values)
    span = places[-1] - places[0]
    return bool(span > 0 and np.diff(places).min() >= APART * span)


def _short(parameters: float) -> str:
    for size, unit in ((1e9, "B"), (1e6, "M")):
        if parameters >= size:
            return f"{parameters / size:.3g}{unit}"
    return f"{parameters:,.0f}"


def _ladders(compared: Sequence[Compared], name: str, save: Saver) -> None:
    rungs = [each.explanation.ladder for each in compared]
    columns: dict[str, NDArray[Any]] = {
        "task": np.array([each.unit.task for each in compared], dtype=object),
        "model": np.array([each.name for each in compared], dtype=object),
    }
    for part in ("rule", "best", "ceiling", "tuning", "reshaping", "order", "applies"):
        columns[part] = np.array([getattr(ladder, part) for ladder in rungs])
    shown = columns | {
        part: np.array([style.legible(text, at_most=30) for text in columns[part]])
        for part in ("task", "model")
    }
    rows = len(compared) + len(set(columns["task"]))
    figure = style.new_figure(1.35 + 0.28 * rows + 0.75, left=2.55, right=2.45, above=1.35)
    ax = figure.add_subplot()
    causes.ladders(ax, **shown)
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="upper left",
        bbox_to_anchor=(2.55, figure.get_size_inches()[1] - 0.72),
        bbox_transform=figure.dpi_scale_trans,
        borderaxespad=0,
        ncols=4,
        columnspacing=1.4,
    )
    note = "what a better rule, a better sampler and only a better model would win, in nats"
    save(name, figure, columns, "What could be won back from each model’s default rule", note)
