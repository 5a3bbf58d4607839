"""The figures of explanations and comparisons: gathers what each shows, draws it, and writes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from breadth.adaptive import BestCutoffs
from breadth.comparison import Compared
from breadth.explanation import Explanation
from breadth.measures.logit_fit import fit_logits
from breadth.ranked import HEAD
from breadth.report import style
from breadth.report.figures import causes
from breadth.report.saver import Saver, stacked
from breadth.study import Unit

__all__ = ["draw_comparison", "draw_explanation"]

STEPS_DRAWN = 6
"""Steps of the answer whose local frontiers are drawn; the data hold all."""

RECALLS = np.linspace(0.0, 1.0, 101)


def draw_explanation(unit: Unit, explanation: Explanation, folder: Path) -> list[Path]:
    """Draw why the diversity is missing.

    Args:
        unit: one model on one task.
        explanation: of one rule on it.
        folder: where the files go; made if needed.

    Returns:
        The files written, three of each figure: `ladder`, `waterfall`, `local-frontiers`, `cutoff-frontier`,
        `logit-fit`.

    Raises:
        StorageError: a file cannot be written.
    """
    with style.context():
        names = (explanation.model, explanation.task, explanation.rule)
        model, task, rule = (style.legible(name, at_most=40) for name in names)
        save = Saver(folder, f"{model} on {task} · {rule}")
        _ladder(explanation, save)
        _waterfall(explanation, save)
        own = Saver(folder, f"{model} on {task}")
        _local_frontiers(explanation, own)
        _cutoff_frontier(unit, explanation.cutoffs, own)
        _logit_fit(unit, own)
        return [*save.files, *own.files]


def _ladder(facts: Explanation, save: Saver) -> None:
    rungs = facts.ladder
    gaps = ("", "tuning", "reshaping", "order")
    won = [np.nan, rungs.tuning, rungs.reshaping, rungs.order]
    words = [
        f"×{np.exp(gain):.2f} by {gap}" if gap and not np.isnan(gain) else ""
        for gap, gain in zip(gaps, won, strict=True)
    ]
    columns: dict[str, NDArray[Any]] = {
        "rung": np.array(
            [
                "this rule",
                f"the best rule tried:\n{style.wrapped(style.legible(rungs.best_rule), 26)}",
                "any sampler on the\nmodel’s ranking",
                "an ideal sampler:\nonly a better model",
            ]
        ),
        "coverage": np.array([rungs.rule, rungs.best, rungs.ceiling if rungs.applies else np.nan, 1.0]),
        "gap": np.array(words),
    }
    parts = {
        "cause": np.array(["top", "within", "shape"]),
        "share": np.array([facts.blame.top, facts.blame.within, facts.blame.shape]),
    }
    figure = style.new_figure(5.4, left=2.05)
    figure.subplots_adjust(hspace=0.55)
    above, below = figure.subplots(2, 1, height_ratios=(4, 3))
    causes.ladder(above, **columns)
    causes.blame(below, **parts)
    note = f"in {facts.samples:,} samples"
    if not rungs.applies:
        note += " · the ladder does not apply: the rule drops the top of the ranking"
    written = {
        "what": np.concatenate([columns["rung"], parts["cause"]]),
        "kind": np.array(["rung"] * 4 + ["blame"] * 3),
        "value": np.concatenate([columns["coverage"], parts["share"]]),
        "log_gain": np.concatenate([won, [np.nan] * 3]),
    }
    save("ladder", figure, written, "What could be won back, and what is to blame for the rest", note)


def _waterfall(facts: Explanation, save: Saver) -> None:
    columns = {
        "step": np.array([step.depth + 1 for step in facts.steps]),
        "validity_lost": np.array([step.validity_lost for step in facts.steps]),
        "diversity_lost": np.array([step.diversity_lost for step in facts.steps]),
    }
    figure = style.new_figure(4.5, left=0.85, above=1.1)
    figure.subplots_adjust(wspace=0.3)
    note = "the steps add up exactly"
    if np.isnan(facts.diversity_lost):
        note = "no answer is ever valid under this rule: there is nothing to share out"
    else:
        for ax, kind in zip(figure.subplots(1, 2), ("validity", "diversity"), strict=True):
            causes.waterfall(
                ax,
                step=columns["step"],
                lost=np.maximum(columns[f"{kind}_lost"], 0.0),
                kind=kind,
                unit=f"ln {'Val' if kind == 'validity' else 'Div'}",
            )
        if facts.surface_term > 0:
            note += f", but for {facts.surface_term:.3f} nats between spellings of one answer"
    save("waterfall", figure, columns, "Where validity and diversity are lost", note)


def _local_frontiers(facts: Explanation, save: Saver) -> None:
    local = facts.local
    trie = local.trie
    depth = trie.depth[trie.prefixes]
    choices = np.unique(depth[trie.n_children[trie.prefixes] > 1])
    depths = choices if len(choices) else np.array([0])
    precision = local.frontiers.precision_at(RECALLS)
    parts = []
    for d in depths.tolist():
        here = np.flatnonzero(depth == d)
        score = local.order_score[here]
        parts.append(
            {
                "step": np.full(len(RECALLS), d + 1),
                "recall": RECALLS,
                "mean": precision[here].mean(axis=0),
                "best": precision[here[np.argmax(score)]],
                "worst": precision[here[np.argmin(score)]],
            }
        )
    drawn = parts[:STEPS_DRAWN]
    figure = style.new_figure(3.9, above=1.35, left=0.75)
    figure.subplots_adjust(wspace=0.18)
    panels = figure.subplots(1, max(len(drawn), 3), squeeze=False)[0]
    for ax in panels[len(drawn) :]:
        ax.set_visible(False)
    for ax, part in zip(panels, drawn, strict=False):
        columns = {name: column for name, column in part.items() if name != "step"}
        causes.local_frontier(ax, **columns)
        here = depth == part["step"][0] - 1
        mean, least = local.order_score[here].mean(), local.order_score[here].min()
        prefixes = f"{here.sum():,} prefix{'es' * int(here.sum() != 1)}"
        ax.set_title(
            f"step {part['step'][0]}: {prefixes}\narea {mean:.3f}, worst {least:.3f}",
            loc="left",
            fontsize=9,
            color=style.INK,
        )
        ax.set_xlabel("Local recall")
    panels[0].set_ylabel("Local precision")
    note = "solid: mean · dotted: best · dashed: worst prefix · steps with a choice"
    save("local-frontiers", figure, stacked(parts), "Order at every step: what a cutoff keeps", note)


def _cutoff_frontier(unit: Unit, best: BestCutoffs, save: Saver) -> None:
    rules = [row for row in unit.scores if row.is_cutoff]
    oracle = [row for row in unit.scores if row.family == "oracle_size"][:1]
    columns = {
        "kind": np.array(
            ["frontier"] * len(best.recall) + ["rule"] * len(rules) + ["oracle_size"] * len(oracle)
        ),
        "rule": np.array([""] * len(best.recall) + [row.label for row in (*rules, *oracle)]),
        "recall": np.concatenate([best.recall, [row.recall for row in (*rules, *oracle)]]),
        "precision": np.concatenate([best.lower, [row.event_precision for row in (*rules, *oracle)]]),
    }
    figure = style.new_figure(4.8, right=2.2)
    causes.cutoff_frontier(
        figure.add_subplot(), **{name: column for name, column in columns.items() if name != "rule"}
    )
    recall, _ = best.recall_at(0.8)
    note = f"at precision 0.8 at most {recall:.0%} of the answers"
    save("cutoff-frontier", figure, columns, "The exact best of any cutoffs, one at every prefix", note)


def _logit_fit(unit: Unit, save: Saver) -> None:
    ranked = unit.probe.at(0)
    most = int(ranked.n_finite[0])
    fits = {"top": fit_logits(ranked, HEAD), "all": fit_logits(ranked)}
    if np.isnan(fits["top"].mse[0]):
        return
    zooms = [
        ("top", min(max(30, 4 * int(fits["top"].head_end[0])), most)),
        ("top", min(HEAD, most)),
        ("all", most),
    ]
    parts = []
    figure = style.new_figure(4.4, above=1.45, left=0.75)
    figure.subplots_adjust(wspace=0.28)
    for ax, (name, last) in zip(figure.subplots(1, 3), zooms, strict=True):
        fit = fits[name]
        valid_rank = ranked.valid_rank[ranked.valid_rank <= last]
        spread = np.unique(np.geomspace(1, last, 400).round().astype(np.int64))
        rank = np.union1d(spread, valid_rank)
        gap = np.interp(rank, ranked.knot_rank, ranked.knot_gap[0])
        part = {
            "rank": rank,
            "logit": ranked.max_logit[0] - gap,
            "fitted": fit.at(0, rank),
            "valid": np.isin(rank, valid_rank),
        }
        end = int(fit.head_end[0])
        causes.logit_fit(ax, **part, head_end=end, log=last > 200)
        ax.set_title(
            f"ranks 1 to {last:,}\nc = {end:,}, slope {fit.slope[0]:.2g}\n"
            f"A {fit.tail_level[0]:.3g}, B {fit.tail_slope[0]:.3g}, C {fit.tail_shift[0]:.3g}\n"
            f"R² {fit.r2[0]:.4f}",
            loc="left",
            fontsize=8.5,
            color=style.INK,
        )
        size = len(rank)
        parts.append({"fit": np.full(size, name), "zoom": np.full(size, last), **part})
    figure.axes[0].set_ylabel("Logit")
    note = "a line up to rank c, then A + B ln(rank + C), dashed · dots: valid tokens"
    save("logit-fit", figure, stacked(parts), "The sorted logits of the first token", note)


def draw_comparison(compared: Sequence[Compared], folder: Path) -> list[Path]:
    """Draw models side by side: `sizes`, three files [Fig. 4, 8].

    Args:
        compared: by task, models in order.
        folder: where the files go; made if needed.

    Raises:
        StorageError: a file cannot be written.
    """
    rows = [each.row() for each in compared]
    known = all(row["parameters"] for row in rows)
    models = list(dict.fromkeys(row["model"] for row in rows))
    place = [row["parameters"] if known else 1 + models.index(row["model"]) for row in rows]

    def column(name: str) -> NDArray[np.float64]:
        return np.array([np.nan if row[name] is None else row[name] for row in rows])

    columns: dict[str, NDArray[Any]] = {
        "model": np.array([row["model"] for row in rows]),
        "task": np.array([row["task"] for row in rows]),
        "parameters": column("parameters"),
        "place": np.array(place, dtype=np.float64),
    }
    panels = (
        ("order_score", "Order score (AUC)", None),
        ("recall_at_precision_0.8", "Recall at precision ≥ 0.8", None),
        (
            "cutoff_diversity_at_0.9",
            "Diversity at validity ≥ 0.9\n(hollow: the ceiling)",
            "diversity_ceiling_at_0.9",
        ),
        ("blame_order", "Missing coverage: order", None),
        ("blame_shape", "Missing coverage: shape", None),
        ("coverage", "Coverage of the default rule", None),
    )
    for name, _, ceiling in panels:
        columns |= {key: column(key) for key in (name, ceiling) if key}
    with style.context():
        save = Saver(folder, f"{len(models)} models on {len(set(columns['task'].tolist()))} tasks")
        figure = style.new_figure(6.6, above=1.5, below=1.1, left=0.6)
        figure.subplots_adjust(wspace=0.24, hspace=0.5)
        for ax, (name, words, ceiling) in zip(figure.subplots(2, 3).flat, panels, strict=True):
            lines = causes.sizes(
                ax,
                task=columns["task"],
                place=columns["place"],
                value=columns[name],
                ceiling=columns[ceiling] if ceiling else None,
                name=words,
            )
            ax.set_ylim(min(0.0, np.nanmin(columns[name], initial=0.0)) - 0.03, 1.04)
            _name_models(ax, rows, place, known)
        labels = [style.legible(task, at_most=30) for task in lines]
        figure.legend(list(lines.values()), labels, loc="lower left", bbox_to_anchor=(0.01, 0.01), ncols=4)
        what = "number of parameters" if known else "in the order given"
        save("sizes", figure, columns, "Order and shape across models", what)
        return save.files


def _name_models(ax: Any, rows: Sequence[dict[str, Any]], place: Sequence[float], known: bool) -> None:
    """The models along the axis."""
    if known:
        ax.set_xscale("log")
        span = max(place) / min(place)
        ax.set_xlim(min(place) / max(span**0.15, 1.3), max(place) * max(span**0.15, 1.3))
        ax.xaxis.set_minor_locator(style.no_ticks())
    else:
        ax.set_xlim(0.5, max(place) + 0.5)
    names = dict(zip(place, (row["model"] for row in rows), strict=True))
    ax.set_xticks(list(names))
    ax.set_xticklabels(
        [style.legible(name, at_most=18) for name in names.values()], rotation=18, ha="right", fontsize=8
    )
