"""From arrays to Axes, of explanations: every function draws one picture and computes nothing.

Columns come as everywhere in `figures`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from breadth.report import style

__all__ = ["blame", "cutoff_frontier", "ladder", "local_frontier", "logit_fit", "sizes", "waterfall"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Strings = NDArray[np.str_]

_HALO = [withStroke(linewidth=3, foreground="white")]

LOSSES = {"validity": style.INVALID, "diversity": "#7b3f98"}
HATCHES = {"validity": "", "diversity": "///"}


def ladder(ax: Axes, *, rung: Strings, coverage: Floats, gap: Strings) -> None:
    """What could be won back: coverage of the rule, the best rule, the best sampler and the ideal one.

    Args:
        ax: a wide Axes; rungs are written to its left.
        rung: what each rung is, bottom to top.
        coverage: 0 … 1, NaN where it is not known.
        gap: what leads from the rung below to this one; empty for the first.
    """
    places = np.arange(len(rung), dtype=np.float64)
    below = np.concatenate([[0.0], coverage[:-1]])
    known = ~np.isnan(coverage)
    won = known & ~np.isnan(below)
    ax.barh(places[known], coverage[known], color="#dfe6ec", height=0.62)
    ax.barh(places[won], (coverage - below)[won], left=below[won], color=style.VALID, height=0.62)
    for place, value, words in zip(places.tolist(), coverage.tolist(), gap.tolist(), strict=True):
        if np.isnan(value):
            ax.text(0.01, place, "not known", va="center", color=style.MUTED)
            continue
        beside = value < 0.9
        ax.text(
            value + (0.012 if beside else -0.012),
            place,
            f"{value:.3f}",
            ha="left" if beside else "right",
            va="center",
            color=style.INK if beside else "white",
            fontweight="bold",
        )
        # What was won stands where there is room: to the right of a short bar, else inside it.
        if words and value < 0.6:
            ax.text(value + 0.11, place, words, va="center")
        elif words:
            ax.text(0.02, place, words, va="center")
    ax.set(xlim=(0, 1.02), ylim=(-0.6, len(rung) - 0.4), yticks=places)
    ax.set_yticklabels(rung.tolist())
    ax.grid(axis="y", visible=False)
    ax.set_xlabel("Coverage: distinct valid answers found, as a share of an ideal sampler’s  (better →)")


def blame(ax: Axes, *, cause: Strings, share: Floats) -> None:
    """The split of the coverage that is missing.

    Args:
        ax: a wide Axes.
        cause: `top`, `within` and `shape`.
        share: of the coverage; a negative one makes up for another.
    """
    colours = {"top": style.INVALID, "within": "#e9a15f", "shape": LOSSES["diversity"]}
    words = {
        "top": "order: invalid\nabove valid",
        "within": "order: valid tokens\nin another order",
        "shape": "shape: mass piled\non a few",
    }
    places = np.arange(len(cause))[::-1]
    ax.barh(places, share, color=[colours[name] for name in cause.tolist()], height=0.62)
    span = max(share.max(initial=0.0), 1e-9) - min(share.min(initial=0.0), 0.0)
    for place, value in zip(places, share, strict=True):
        ax.annotate(
            f"{value:.3f}".replace("-", "−"),
            (max(value, 0.0), place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
        )
    ax.axvline(0, color=style.MUTED, linewidth=0.8)
    ax.set(yticks=places, xlim=(min(share.min(), 0.0) - 0.06 * span, max(share.max(), 0.0) + 0.2 * span))
    ax.set_yticklabels([words[name] for name in cause.tolist()])
    ax.grid(axis="y", visible=False)
    ax.set_xlabel("Missing coverage that each is to blame for")


def waterfall(ax: Axes, *, step: Ints, lost: Floats, kind: str, unit: str) -> None:
    """A total loss, step by step from nothing down to it.

    Args:
        ax: its title names what is lost.
        step: 1, 2, …
        lost: nats at each step, ≥ 0.
        kind: `validity` or `diversity`.
        unit: what the total is called.
    """
    after = -np.cumsum(lost)
    before = after + lost
    ax.bar(step, -lost, bottom=before, color=LOSSES[kind], width=0.62, hatch=HATCHES[kind], edgecolor="white")
    for place in range(len(step) - 1):
        ax.plot(
            [step[place] - 0.31, step[place + 1] + 0.31], [after[place]] * 2, color=style.MUTED, linewidth=0.8
        )
    total = after[-1]
    ax.bar(step[-1] + 1, total, color=style.FAINT, width=0.62)
    for place, value, foot in zip([*step, step[-1] + 1], [*lost, -total], [*after, total], strict=True):
        ax.annotate(
            f"−{value:.3f}" if value >= 5e-4 else "0",
            (place, foot),
            xytext=(0, -4),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=8.5,
            path_effects=_HALO,
        )
    ax.set(xticks=[*step, step[-1] + 1], ylim=(1.16 * min(total, -1e-3), 0.0))
    ax.set_xticklabels([*map(str, step.tolist()), "all"])
    ax.set_xlabel("Step of the answer (1: its first token)")
    ax.set_ylabel(f"{unit} (nats)")
    ax.set_title(f"Log-{kind} lost", loc="left", fontsize=10, color=style.INK)
    ax.grid(axis="x", visible=False)


def local_frontier(ax: Axes, *, recall: Floats, mean: Floats, best: Floats, worst: Floats) -> None:
    """Local precision against recall at the prefixes of one step [Fig. 2, 3].

    Args:
        ax: a small Axes.
        recall: 0 … 1, ascending.
        mean: largest precision at this recall or more, the mean over prefixes.
        best: of the prefix with the largest area.
        worst: of the one with the smallest.
    """
    ax.fill_between(recall, worst, best, color=style.VALID, alpha=0.12, linewidth=0, step="pre")
    for column, line, width, colour in (
        (best, ":", 1.3, style.VALID),
        (worst, "--", 1.3, style.INVALID),
        (mean, "-", 2.0, style.INK),
    ):
        ax.step(recall, column, where="pre", linestyle=line, linewidth=width, color=colour)
    ticks = [0, 0.5, 1]
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.04), xticks=ticks, yticks=ticks)


def logit_fit(
    ax: Axes, *, rank: Ints, logit: Floats, fitted: Floats, valid: Bools, head_end: int, log: bool
) -> None:
    """Sorted logits and the curve fitted to them, over some ranks [Fig. 13 to 15].

    Args:
        ax: one zoom.
        rank: ascending.
        logit: of the token at each rank.
        fitted: a line up to `head_end`, a logarithm beyond.
        valid: whether the token is valid.
        head_end: c, the last rank of the line.
        log: whether ranks are on a logarithmic axis.
    """
    ax.plot(rank, logit, color=style.FAINT, linewidth=3.2, solid_capstyle="round")
    head = rank <= head_end
    ax.plot(rank[head], fitted[head], color=style.INVALID, linewidth=1.6)
    ax.plot(rank[~head], fitted[~head], color=style.INK, linewidth=1.4, linestyle="--")
    ax.plot(rank[valid], logit[valid], linestyle="none", marker="o", markersize=4.5, color=style.VALID)
    if rank.min() <= head_end <= rank.max():
        ax.axvline(head_end, color=style.MUTED, linewidth=0.9, linestyle=":")
    if log:
        style.count_axis(ax, "x")
    ax.set_xlabel("Rank (log scale)" if log else "Rank")


def cutoff_frontier(ax: Axes, *, kind: Strings, recall: Floats, precision: Floats) -> None:
    """The best precision that adaptive cutoffs reach at every recall, and the rules tried below it.

    Args:
        ax: the plane.
        kind: `frontier` in the order of recall, `rule` and `oracle_size`.
        recall: share of the sequences that survive.
        precision: probability of a valid answer when every step samples uniformly.
    """
    best, rule, oracle = (kind == name for name in ("frontier", "rule", "oracle_size"))
    ax.fill_between(recall[best], 0, precision[best], color=style.VALID, alpha=0.1, linewidth=0, step="pre")
    ax.step(
        recall[best],
        precision[best],
        where="pre",
        color=style.VALID,
        linewidth=2,
        label="a cutoff of its own\nat every prefix:\nthe exact best",
    )
    ax.plot(
        recall[rule],
        precision[rule],
        linestyle="none",
        marker="o",
        markersize=4,
        color=style.INVALID,
        alpha=0.55,
        label="cutoff rules tried",
    )
    ax.plot(
        recall[oracle],
        precision[oracle],
        **style.ORACLES["oracle_size"].options,
        markerfacecolor="white",
        markersize=8,
        label="oracle size",
    )
    ticks = np.arange(0, 1.1, 0.2)
    ax.set(xlim=(-0.02, 1.03), ylim=(-0.02, 1.03), xticks=ticks, yticks=ticks)
    ax.set_xlabel("Sequence recall: share of the answers that can be said  (better →)")
    ax.set_ylabel("Sequence precision  (better →)")
    ax.legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0, labelspacing=0.9)


def sizes(
    ax: Axes, *, task: Strings, place: Floats, value: Floats, ceiling: Floats | None, name: str
) -> dict[str, Any]:
    """One measure of several models, a line per task [Fig. 4, 8].

    Args:
        ax: a small Axes.
        task: of each entry.
        place: where the model stands: its number of parameters, or its turn.
        value: the measure, NaN where it is not defined.
        ceiling: the most that any sampler on the model's ranking could reach, drawn hollow; None without one.
        name: what the measure is.

    Returns:
        The lines, by task, for a legend.
    """
    tasks = list(dict.fromkeys(task.tolist()))
    lines = {}
    for each, look in style.looks(tasks).items():
        mine = np.flatnonzero(task == each)
        mine = mine[np.argsort(place[mine], kind="stable")]
        (line,) = ax.plot(place[mine], value[mine], **look.options, markersize=7)
        lines[each] = line
        if ceiling is not None:
            hollow: dict[str, Any] = {
                "linestyle": "none",
                "markerfacecolor": "none",
                "markersize": 7,
                "alpha": 0.7,
            }
            ax.plot(place[mine], ceiling[mine], color=look.colour, marker=look.marker, **hollow)
    ax.set_title(name, loc="left", fontsize=10, color=style.INK)
    return lines
