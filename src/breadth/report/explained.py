"""The figures of explanations: gathers what each shows, draws it, and writes it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from breadth.adaptive import BestCutoffs
from breadth.explanation import Explanation
from breadth.files import storage_errors
from breadth.local import Local
from breadth.measures.logit_fit import LogitFit, fit_logits
from breadth.measures.order import LocalFrontiers
from breadth.outcome import evaluate
from breadth.probe import Probe
from breadth.ranked import HEAD, Ranked
from breadth.report import style
from breadth.report.compared import draw_comparison
from breadth.report.figures import causes, logits, order
from breadth.report.saver import Saver, stacked
from breadth.report.words import number, plural
from breadth.scores import Scores
from breadth.study import Unit
from breadth.trie import END, Trie

__all__ = ["draw_comparison", "draw_explanation"]

Columns = dict[str, NDArray[Any]]

STEPS_NAMED = 20
"""Rows of a waterfall; what an answer loses after so many steps is one row. The data hold all."""

STEPS_DRAWN = 6
"""Steps whose local frontiers are drawn; the data hold all."""

RECALLS = 200
"""Most points of one local frontier."""

CORNERS = 2000
"""Most points drawn of the frontier over all cutoffs."""

AT_ONCE = 1000
"""Prefixes whose local frontiers are averaged at once."""

DUST = 1e-12
"""A loss of fewer nats is rounding."""


def draw_explanation(unit: Unit, explanation: Explanation, folder: Path) -> list[Path]:
    """Draw why the diversity is missing.

    Args:
        unit: one model on one task.
        explanation: of one rule on it.
        folder: where the files go; made if needed.

    Returns:
        The files written, three of each figure: `ladder`, `waterfall`, `local-frontiers`, `cutoff-frontier`,
        and, where there are tokens enough for a fit, `logit-fit` of the first token and, where most diversity
        is lost elsewhere, `logit-fit-worst` of the token there.

    Raises:
        StorageError: a file cannot be written.
    """
    with storage_errors(folder):
        for path in folder.glob("logit-fit*.*"):
            path.unlink()  # of an earlier rule, which may have lost most elsewhere
    names = (explanation.model, explanation.task, explanation.rule)
    model, task, rule = (style.legible(name, at_most=40) for name in names)
    with style.context():
        save = Saver(folder, f"{model} on {task} · {rule}")
        _ladder(explanation, save)
        _waterfall(explanation, save)
        save.whose = f"{model} on {task}"  # what follows is the model's, whatever the rule
        _local_frontiers(unit.probe, explanation, save)
        _cutoff_frontier(unit, explanation.cutoffs, save)
        _logit_fit(unit.probe, 0, "", save)
        for loss in explanation.worst_for_diversity[:1]:
            if loss.node and loss.lost > DUST:
                note = f"where most diversity is lost: {loss.lost:.2g} nats, {loss.share:.0%} of all"
                _logit_fit(unit.probe, loss.node, "-worst", save, note)
        return save.files


# What could be won back, and what is to blame.


def _ladder(facts: Explanation, save: Saver) -> None:
    rungs, blame = facts.ladder, facts.blame
    coverage = np.array([1.0, rungs.ceiling, rungs.best, rungs.rule])
    nats = np.array([rungs.order, rungs.reshaping, rungs.tuning, np.nan])
    start = np.where(np.isnan(nats), np.nan, np.append(coverage[1:], np.nan))
    start[-1] = 0.0
    remedies = ("order: only a better model", "reshaping: a better sampler", "tuning: a better rule")
    gaps = [f"{remedy}\n{_gain(gain)}" for remedy, gain in zip(remedies, nats.tolist(), strict=False)]
    if not rungs.applies:
        gaps = ["", "", ""]
    labels = [
        "an ideal sampler",
        "the best sampler on\nthe model’s ranking",
        f"the best rule tried:\n{style.wrapped(style.legible(rungs.best_rule), 28)}",
        "this rule"
        if rungs.applies
        else "this rule: it drops the top of\nthe ranking, and may pass\nthe ceiling",
    ]
    cause = np.array(["top", "within", "shape"])
    share = np.array([blame.top, blame.within, blame.shape])
    missing = 1.0 - facts.coverage
    words = [
        f"{number(value).replace('-', '−')}"
        + (f": {value / missing:.0%} of what is missing".replace("-", "−") if missing > DUST else "")
        for value in np.where(abs(share) > DUST, share, 0.0).tolist()
    ]
    columns = {
        "part": np.array(["ladder"] * 4 + ["blame"] * 3),
        "name": np.concatenate([["ideal", "ceiling", "best", "rule"], cause]),
        "detail": np.array(["", rungs.status, rungs.best_rule, facts.rule, "", "", ""]),
        "start": np.concatenate([start, np.zeros(3)]),
        "end": np.concatenate([coverage, share]),
        "nats": np.concatenate([nats, np.full(3, np.nan)]),
    }
    figure = style.new_figure(5.7, left=2.1, right=2.35)
    figure.subplots_adjust(hspace=0.5)
    above, below = figure.subplots(2, 1, height_ratios=(4, 3))
    causes.ladder(
        above,
        rung=np.array(labels),
        start=start,
        coverage=coverage,
        gap=np.array([*gaps, ""]),
        unknown=f"not known: {rungs.status}",
    )
    causes.blame(below, cause=cause, share=share, words=np.array(words))
    note = f"coverage {number(facts.coverage)} in {plural(facts.samples, 'sample')}"
    if not rungs.applies:
        note += " · the ladder does not apply"
    elif rungs.status.startswith("loose"):
        note += f" · ceiling at most {rungs.ceiling_above:.3f}"
    save("ladder", figure, columns, "What could be won back, and what is to blame for what is missing", note)


def _gain(nats: float) -> str:
    return "not known" if math.isnan(nats) else f"×{math.exp(nats):.2f}, or {nats:.3f} nats"


def _waterfall(facts: Explanation, save: Saver) -> None:
    names = _steps_in_words(facts.local.trie)
    parts = []
    for kind, value in (("validity", facts.validity), ("diversity", facts.diversity)):
        lost = np.array([getattr(step, f"{kind}_lost") for step in facts.steps])
        rows = [*names]
        if kind == "diversity" and facts.surface_term > 0:
            rows, lost = [*rows, "spellings"], np.append(lost, -facts.surface_term)
        total = float(getattr(facts, f"{kind}_lost"))
        end = np.append(np.cumsum(lost), total)
        parts.append(
            {
                "kind": np.full(len(end), kind),
                "step": np.array([*rows, "all"]),
                "lost": np.append(lost, total),
                "start": np.append(end[:-1] - lost, 0.0 if total == total else np.nan),
                "end": end,
            }
        )
        parts[-1]["words"] = np.array(
            [_nats(each) for each in lost] + [f"{_nats(total)}: {kind} {number(value)}"]
        )
    drawn = [_shortened(part, len(names)) for part in parts]
    most = max(len(part["step"]) for part in drawn)
    figure = style.new_figure(1.9 + 0.3 * max(most, 5), left=1.35, above=1.1)
    figure.subplots_adjust(wspace=0.1 if most == len(drawn[0]["step"]) == len(drawn[1]["step"]) else 0.42)
    for ax, part in zip(figure.subplots(1, 2), drawn, strict=True):
        kind = str(part["kind"][0])
        causes.waterfall(ax, kind=kind, **{name: part[name] for name in ("step", "start", "end", "words")})
        if ax is figure.axes[1] and most == len(drawn[0]["step"]):
            ax.tick_params(labelleft=False)
    note = "the steps add up exactly"
    if facts.surface_term > 0:
        note += " · spellings: unevenness between those of one answer costs nothing"
    written = stacked([{name: part[name] for name in part if name != "words"} for part in parts])
    save("waterfall", figure, written, "Where validity and diversity are lost, step by step", note)


def _nats(lost: float) -> str:
    return number(lost if abs(lost) > DUST else 0.0).replace("-", "−") if lost == lost else ""


def _shortened(part: Columns, steps: int) -> Columns:
    """The rows that are drawn: all, or of very long answers the first, with the other steps as one."""
    if steps <= STEPS_NAMED:
        return part
    kept = STEPS_NAMED - 1
    lost = part["lost"][kept:steps].sum()
    row: dict[str, Any] = {
        "kind": part["kind"][0],
        "step": "later",
        "lost": lost,
        "start": part["start"][kept],
        "end": part["end"][steps - 1],
        "words": _nats(lost),
    }
    return {
        name: np.concatenate([column[:kept], [row[name]], column[steps:]]) for name, column in part.items()
    }


def _steps_in_words(trie: Trie) -> list[str]:
    """`1st token`, `2nd token or end`, …, `end`: what the events of each step are."""
    words = []
    for depth in range(1, int(trie.depth.max()) + 1):
        ends = trie.token[trie.depth == depth] == END
        words.append("end" if ends.all() else f"{_ordinal(depth)} token" + (" or end" if ends.any() else ""))
    return words


def _ordinal(number: int) -> str:
    suffix = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def _after(probe: Probe, node: int) -> str:
    """Where a prefix is, as text."""
    if not node:
        return "at the start of an answer"
    text = probe.prefix_text(node)
    bare = text.strip(" ")
    return f"after “{style.legible(bare or text, spaces=not bare, at_most=30)}”"


# Order: precision against recall.


def _local_frontiers(probe: Probe, facts: Explanation, save: Saver) -> None:
    local, trie = facts.local, probe.trie
    depth = trie.depth[trie.prefixes]
    choices = np.unique(depth[trie.n_children[trie.prefixes] > 1])
    depths = (choices if len(choices) else np.unique(depth)).tolist()
    names = _steps_in_words(trie)
    parts = [_frontiers_at(local, np.flatnonzero(depth == d), names[d]) for d in depths]
    order_of = [facts.steps[d].order_score.mean for d in depths]
    shown = sorted(np.argsort(order_of, kind="stable")[:STEPS_DRAWN].tolist())
    across = min(3, len(shown))
    down = math.ceil(len(shown) / across)
    room = style.WIDTH - 0.85 - 0.3 - 0.45 * (across - 1)
    panel = min(3.0, room / across)
    height = 1.85 + down * 2.0 + (down - 1) * 1.0 + 0.62
    figure = style.new_figure(
        height, left=0.85, right=style.WIDTH - 0.85 - across * panel - 0.45 * (across - 1), above=1.85
    )
    figure.subplots_adjust(wspace=0.45 / panel, hspace=0.5)
    grid = figure.subplots(down, across, squeeze=False)
    for place, ax in enumerate(grid.flat):
        if place >= len(shown):
            ax.set_visible(False)
            continue
        part, step = parts[shown[place]], facts.steps[depths[shown[place]]]
        order.local_frontier(ax, **{name: part[name] for name in ("recall", "mean", "best", "worst")})
        lines = [f"{part['step'][0]}: {plural(step.prefixes, 'prefix', 'prefixes')}"]
        score = step.order_score
        lines.append(
            f"area {score.mean:.3f}" + (f", of the worst {score.worst:.3f}" if step.prefixes > 1 else "")
        )
        here = np.flatnonzero(depth == step.depth)
        worst = int(trie.prefixes[here[np.argmin(local.order_score[here])]])
        lines.append(f"worst {_after(probe, worst)}" if score.worst < score.mean else "")
        for line, (text, weight) in enumerate(zip(lines, ("bold", "normal", "normal"), strict=True)):
            label = ax.annotate(
                text,
                (0, 1),
                xytext=(0, 31 - 13 * line),
                xycoords="axes fraction",
                textcoords="offset points",
                fontsize=9,
                fontweight=weight,
                color=style.INK if line < 2 else style.MUTED,
            )
            style.fit(label, ax.bbox.width + 0.35 * style.DPI)
        ax.tick_params(labelleft=place % across == 0)
        if place % across == 0:
            ax.set_ylabel("Precision  (better →)")
        if place + across >= len(shown):
            ax.set_xlabel("Recall  (better →)")
    words = {"mean": "mean over the prefixes", "best": "best prefix", "worst": "worst prefix, by area"}
    figure.legend(
        [Line2D([], [], **look.options) for look in order.CURVES.values()],
        [words[name] for name in order.CURVES],
        loc="upper left",
        bbox_to_anchor=(0.75, height - 0.68),
        bbox_transform=figure.dpi_scale_trans,
        borderaxespad=0,
        ncols=3,
    )
    note = "steps with a choice" if len(choices) else "there is never a choice"
    if len(shown) < len(parts):
        note += f" · the {len(shown)} of {len(parts)} where order is worst"
    title = "How clean the ranking is at each step: local precision against recall over all cutoffs"
    save("local-frontiers", figure, stacked(parts), title, note)


def _frontiers_at(local: Local, here: NDArray[np.int64], step: str) -> Columns:
    """Mean, best and worst frontier of some prefixes, on the recalls at which any of them steps."""
    mine = _some(local.frontiers, here)
    recall = np.unique(np.append(np.minimum(mine.recall, 1.0), [0.0, 1.0]))
    if len(recall) > RECALLS:
        recall = recall[np.linspace(0, len(recall) - 1, RECALLS).round().astype(np.int64)]
    total = np.zeros(len(recall))
    for first in range(0, len(here), AT_ONCE):
        total += _some(local.frontiers, here[first : first + AT_ONCE]).precision_at(recall).sum(axis=0)
    score = local.order_score[here]
    extremes = here[[np.argmax(score), np.argmin(score)]]
    best, worst = _some(local.frontiers, extremes).precision_at(recall)
    return {
        "step": np.full(len(recall), step),
        "recall": recall,
        "mean": total / len(here),
        "best": best,
        "worst": worst,
    }


def _some(frontiers: LocalFrontiers, prefixes: NDArray[np.int64]) -> LocalFrontiers:
    """The frontiers of some prefixes."""
    first, last = frontiers.start[prefixes], frontiers.start[prefixes + 1]
    start = np.concatenate([[0], np.cumsum(last - first)])
    point = np.repeat(first - start[:-1], last - first) + np.arange(start[-1])
    return LocalFrontiers(start, frontiers.precision[point], frontiers.recall[point])


def _cutoff_frontier(unit: Unit, best: BestCutoffs, save: Saver) -> None:
    rows = [index for index, row in enumerate(unit.scores) if row.is_cutoff]
    oracle = [index for index, row in enumerate(unit.scores) if row.family == "oracle_size"][:1]
    curves = (
        [("frontier", best.lower)] if best.is_exact else [("frontier", best.lower), ("above", best.upper)]
    )
    parts: list[Columns] = []
    for kind, precision in curves:
        # Only where precision falls does the frontier have a corner.
        corner = np.flatnonzero(np.append(np.diff(precision) < 0, True))
        if len(corner) > CORNERS:
            corner = corner[np.linspace(0, len(corner) - 1, CORNERS).round().astype(np.int64)]
        corner = np.union1d([0], corner)
        parts.append(
            _points(kind, [""] * len(corner), [""] * len(corner), best.recall[corner], precision[corner])
        )
    for kind, some in (("rule", rows), ("oracle", oracle)):
        scores = [unit.scores[index] for index in some]
        parts.append(
            _points(
                kind,
                [row.family for row in scores],
                [row.label for row in scores],
                np.array(list(_sequence_recall(unit, some))),
                np.array([row.event_precision for row in scores]),
            )
        )
    columns = stacked(parts)
    figure = style.new_figure(5.2, left=0.95, right=2.85)
    order.cutoff_frontier(
        figure.add_subplot(), **{name: column for name, column in columns.items() if name != "rule"}
    )
    low, high = best.recall_at(0.8)
    bounds = f"{low:.0%}" if low == high else f"between {low:.0%} and {high:.0%}"
    note = f"the most recall at precision ≥ 0.8: {bounds}"
    save("cutoff-frontier", figure, columns, "How much any cutoffs can keep, and how cleanly", note)


def _points(kind: str, series: Sequence[str], rule: Sequence[str], recall: Any, precision: Any) -> Columns:
    return {
        "kind": np.full(len(rule), kind, dtype=object),
        "series": np.array(series, dtype=object),
        "rule": np.array(rule, dtype=object),
        "recall": recall,
        "precision": precision,
    }


def _sequence_recall(unit: Unit, some: Sequence[int]) -> Iterator[float]:
    """Share of the sequences that a rule keeps; of the answers where each has one."""
    trie = unit.probe.trie
    if len(trie.leaves) == trie.n_answers:
        return (unit.scores[index].recall for index in some)
    rules = [unit.rules[index] for index in some]
    return (
        float(np.isfinite(outcome.reach_logp[trie.leaves]).mean()) for outcome in evaluate(unit.probe, rules)
    )


# The curve of the logits.


def _logit_fit(probe: Probe, node: int, suffix: str, save: Saver, note: str = "") -> None:
    ranked = probe.at(node)
    most = int(ranked.n_finite[0])
    fits = {"top": fit_logits(ranked, HEAD)}
    if not fits["top"].head_end[0]:
        return
    near = min(max(30, 3 * int(fits["top"].head_end[0])), most)
    zooms = [("top", near), ("top", min(1000, most)), ("top", min(HEAD, most))]
    if most > HEAD:
        fits["all"] = fit_logits(ranked)
        zooms[-1] = ("all", most)
    zooms = list(dict.fromkeys(zooms))
    parts = [_zoom(ranked, fits[name], name, last) for name, last in zooms]
    figure = style.new_figure(4.7, above=1.35, below=1.35, left=0.75)
    figure.subplots_adjust(wspace=0.24)
    for ax, (name, last), part in zip(
        figure.subplots(1, len(zooms), squeeze=False)[0], zooms, parts, strict=True
    ):
        drawn = {key: part[key] for key in ("rank", "logit", "fitted", "valid")}
        logits.logit_fit(ax, **drawn, head_end=int(fits[name].head_end[0]), log=last > 200)
        ax.set_title(f"ranks 1 to {last:,}", loc="left", fontsize=9.5, fontweight="bold", color=style.INK)
    figure.axes[0].set_ylabel("Logit (nats)")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="upper left",
        bbox_to_anchor=(0.7, figure.get_size_inches()[1] - 0.68),
        bbox_transform=figure.dpi_scale_trans,
        borderaxespad=0,
        ncols=len(labels),
        columnspacing=1.4,
    )
    for line, (name, fit) in enumerate(fits.items()):
        words = _fit_in_words(fit, HEAD if name == "top" and most > HEAD else most)
        figure.text(0.15 / style.WIDTH, (0.42 - 0.24 * line) / 4.7, words, fontsize=8.5)
    title = f"The sorted logits {_after(probe, node)}: a line, then a logarithm"
    save(f"logit-fit{suffix}", figure, stacked(parts), title, note)


def _zoom(ranked: Ranked, fit: LogitFit, name: str, last: int) -> Columns:
    """The ranks that a panel shows: all of few, else evenly spread ones, and the valid tokens."""
    valid_rank = ranked.valid_rank[ranked.valid_rank <= last].astype(np.int64)
    rank = np.union1d(np.unique(np.geomspace(1, last, 300).round().astype(np.int64)), valid_rank)
    # The line is drawn up to its very end, and what follows from its very beginning.
    end = int(fit.head_end[0])
    rank = np.union1d(rank, [each for each in (end, end + 1) if each <= last])
    logit = ranked.max_logit[0] - np.interp(rank, ranked.knot_rank, ranked.knot_gap[0])
    allowed = ranked.valid_rank <= last
    logit[np.searchsorted(rank, ranked.valid_rank[allowed])] = ranked.valid_logit[allowed]
    return {
        "fit": np.full(len(rank), name),
        "zoom": np.full(len(rank), last),
        "rank": rank,
        "logit": logit,
        "fitted": fit.at(0, rank),
        "valid": np.isin(rank, valid_rank),
    }


def _fit_in_words(fit: LogitFit, ranks: int) -> str:
    level, slope, shift = float(fit.tail_level[0]), float(fit.tail_slope[0]), float(fit.tail_shift[0])
    text = (
        f"Best over ranks 1 to {ranks:,}: to rank {int(fit.head_end[0]):,} a line, {fit.slope[0]:.2g} nats a rank; "
        f"then {level:.3g} {'+' if slope > 0 else '-'} {abs(slope):.3g} ln(rank {'+' if shift > 0 else '-'} "
        f"{abs(shift):,.3g}); R² {fit.r2[0]:.4f}"
    )
    return text.replace("-", "−")
