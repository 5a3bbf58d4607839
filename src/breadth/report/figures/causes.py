"""Why the diversity is missing: what could be won back, what is to blame, and at which step it is lost.

Columns come as everywhere in `figures`.
"""

from __future__ import annotations

import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from breadth.report import style
from breadth.report.figures.common import HALO, Bools, Floats, Strings, unique

__all__ = ["blame", "ladder", "ladders", "waterfall"]

COVERED = style.Area(style.VALID)
GAPS = {
    "tuning": style.Area(style.RARE, hatch=".."),
    "reshaping": style.Area(style.SHAPE),
    "order": style.Area(style.INVALID_AREA, style.INVALID, "////"),
}
"""What lies between two rungs has its looks; so have causes and losses that only its remedy would cure."""

CAUSES = {
    "top": GAPS["order"],
    "within": style.Area(style.INVALID_AREA, style.INVALID, "...."),
    "shape": GAPS["reshaping"],
}
LOSSES = {"validity": GAPS["order"], "diversity": GAPS["reshaping"]}

BELOW = "#e3e8ed"
"""Of a rung's bar, what the rung below it reaches too."""


def _rows(ax: Axes, labels: Strings, air: float = 0.6) -> None:
    """Named rows, the first on top."""
    ax.set(ylim=(len(labels) - 1 + air, -air), yticks=np.arange(len(labels)))
    ax.set_yticklabels(labels.tolist())
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", visible=False)


def _beside(ax: Axes, row: float, text: str, inches: float = 0.12, weight: str = "normal") -> None:
    """A text to the right of the Axes."""
    ax.annotate(
        text,
        (1, row),
        xycoords=("axes fraction", "data"),
        xytext=(72 * inches, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
        fontweight=weight,
    )


def ladder(ax: Axes, *, rung: Strings, start: Floats, coverage: Floats, gap: Strings, unknown: str) -> None:
    """What could be won back: coverage of the ideal, of the best sampler, of the best rule, and of the rule.

    Args:
        ax: a wide Axes; rungs are written to its left, gaps to its right.
        rung: what each of the four is, from the ideal down to the rule.
        start: coverage of the rung below; NaN where the gap is not known.
        coverage: 0 … 1, NaN where it is not known.
        gap: what leads to the rung from the one below.
        unknown: why a coverage is not known.
    """
    ax.barh(np.arange(len(rung)), coverage, height=0.6, color=BELOW)
    areas = [*reversed(GAPS.values()), COVERED]
    for row, (low, high, text, area) in enumerate(
        zip(start.tolist(), coverage.tolist(), gap.tolist(), areas, strict=True)
    ):
        ax.barh(row, high - low, left=low, height=0.6, **area.options)
        _beside(ax, row, text)
        if np.isnan(high):
            ax.text(0.01, row, textwrap.fill(unknown, 48), va="center", fontsize=8.5, color=style.MUTED)
            continue
        inside = high > 0.88
        ax.annotate(
            f"{high:.3f}",
            (high, row),
            xytext=(-5 if inside else 5, 0),
            textcoords="offset points",
            ha="right" if inside else "left",
            va="center",
            fontweight="bold",
            path_effects=HALO,
        )
    _rows(ax, rung)
    ax.set(xlim=(0, 1))
    ax.set_xlabel("Coverage: different valid answers, as a share of an ideal sampler’s  (better →)")


def blame(ax: Axes, *, cause: Strings, share: Floats, words: Strings) -> None:
    """The split of the coverage that is missing.

    Args:
        ax: a wide Axes.
        cause: `top`, `within` and `shape`.
        share: of the coverage; a negative one makes up for another.
        words: what is said of each, to the right.
    """
    names = {
        "top": "order: invalid tokens\nstand above valid ones",
        "within": "order: valid tokens\nin another order",
        "shape": "shape: mass piled\non a few",
    }
    for row, (name, value, text) in enumerate(
        zip(cause.tolist(), share.tolist(), words.tolist(), strict=True)
    ):
        ax.barh(row, value, height=0.6, **CAUSES[name].options)
        _beside(ax, row, text)
    ax.axvline(0, color=style.MUTED, linewidth=0.8)
    _rows(ax, np.array([names[name] for name in cause.tolist()]))
    span = max(share.max(initial=0.0) - share.min(initial=0.0), 1e-9)
    ax.set_xlim(min(share.min(initial=0.0), 0.0), max(share.max(initial=0.0), 0.02 * span) + 0.04 * span)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.set_xlabel("Coverage that is missing because of it")


def waterfall(ax: Axes, *, step: Strings, start: Floats, end: Floats, words: Strings, kind: str) -> None:
    """A total loss, from nothing down to it step by step.

    Args:
        ax: one row for each step, the first on top, the total below.
        step: what each row is.
        start: nats lost before the step.
        end: nats lost with it; of the last row, the total.
        words: what is written beside each row.
        kind: `validity` or `diversity`.
    """
    rows = np.arange(len(step))
    ax.barh(rows[:-1], (end - start)[:-1], left=start[:-1], height=0.62, **LOSSES[kind].options)
    ax.barh(rows[-1], end[-1], height=0.62, color=style.INK)
    for row in rows[:-1]:
        ax.plot([end[row]] * 2, [row - 0.31, row + 1.31], color=style.MUTED, linewidth=0.8)
    for row, low, high, text in zip(rows.tolist(), start.tolist(), end.tolist(), words.tolist(), strict=True):
        if not np.isnan(high):
            ax.annotate(
                text,
                (max(low, high), row),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8.5,
                path_effects=HALO,
                zorder=5,
            )
    if np.isnan(end).all():
        ax.text(
            0.5,
            0.5,
            "No answer is ever valid\nunder this rule",
            transform=ax.transAxes,
            ha="center",
            va="center",
            color=style.MUTED,
        )
    _rows(ax, step)
    ax.set_xlim(0, max(float(np.nan_to_num(end).max()), 1e-3) * 1.42)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.set_xlabel(f"Nats of log-{kind} lost so far  (← better)")
    ax.set_title(f"Log-{kind}", loc="left", fontsize=10, fontweight="bold", color=style.INK)


def ladders(
    ax: Axes,
    *,
    task: Strings,
    model: Strings,
    rule: Floats,
    best: Floats,
    ceiling: Floats,
    tuning: Floats,
    reshaping: Floats,
    order: Floats,
    applies: Bools,
) -> None:
    """A small ladder for every model on every task.

    Args:
        ax: models are written to its left, gaps to its right.
        task: rows of a task are together.
        model: one row each.
        rule: coverage of the rule, 0 … 1.
        best: of the best rule tried.
        ceiling: of any sampler on the model's ranking; NaN where it is not known.
        tuning: ln of what leads from the rule to the best rule; NaN where it is not known.
        reshaping: ln of what leads on to the ceiling.
        order: ln of what leads on to 1.
        applies: whether the rule's ladder is one; else only its coverage is drawn.
    """
    tasks = unique(task)
    # A task's heading takes a row above its models.
    place = np.arange(len(task)) + 1 + np.array([tasks.index(name) for name in task.tolist()])
    rungs = (np.zeros(len(task)), rule, best, ceiling, np.ones(len(task)))
    parts = {"this rule": COVERED, **GAPS}
    for (name, area), low, high in zip(parts.items(), rungs, rungs[1:], strict=False):
        shown = applies if name in GAPS else np.ones(len(task), dtype=np.bool_)
        ax.barh(place[shown], (high - low)[shown], left=low[shown], height=0.62, label=name, **area.options)
    for row, value in zip(place.tolist(), rule.tolist(), strict=True):
        inside = value > 0.12
        ax.annotate(
            f"{value:.2f}",
            (value if inside else 0, row),
            xytext=(-5 if inside else 4, 0),
            textcoords="offset points",
            ha="right" if inside else "left",
            va="center",
            fontsize=8.5,
            color="white" if inside else style.INK,
            path_effects=[] if inside else HALO,
        )
    for column, (name, gains) in enumerate(zip(GAPS, (tuning, reshaping, order), strict=True)):
        _beside(ax, -0.1, name, 0.15 + 0.8 * column, "bold")
        for row, gain in zip(place.tolist(), gains.tolist(), strict=True):
            _beside(ax, row, "–" if np.isnan(gain) else f"{gain:.2f}", 0.15 + 0.8 * column)
    headings = [int(place[task == name][0]) - 1 for name in tasks]
    ax.set(xlim=(0, 1), ylim=(place[-1] + 0.6, -0.6), yticks=[*place, *headings])
    ax.set_yticklabels([*model.tolist(), *tasks])
    for label in ax.get_yticklabels()[len(place) :]:
        label.set_fontweight("bold")
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel("Coverage: different valid answers, as a share of an ideal sampler’s  (better →)")
