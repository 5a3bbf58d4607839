"""The account of an explanation, the checks of the theory, and a comparison, as a person reads them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from breadth.adaptive import BestCutoffs
from breadth.comparison import Compared
from breadth.explanation import Explanation, Loss
from breadth.probe import Probe
from breadth.ranked import HEAD
from breadth.report.ledger import Ledger
from breadth.report.words import number, plural, visible
from breadth.theory import Check
from breadth.trie import END

__all__ = ["account", "checks", "comparison", "cutoffs"]

INVERSIONS = 3
"""Inversions shown."""


def account(probe: Probe, facts: Explanation) -> Iterator[RenderableType]:
    """Why the diversity is missing, top to bottom."""
    yield Text(f"{facts.model} on {facts.task}, {facts.rule}", style="bold")
    yield (
        f"{plural(facts.answers, 'answer')}; validity {number(facts.validity)}, diversity "
        f"{number(facts.diversity)}. In {plural(facts.samples, 'sample')} it finds {facts.distinct:.1f} "
        f"different answers, an ideal sampler {facts.ideal_distinct:.1f}: coverage {number(facts.coverage)}."
    )
    yield from _heading("Where it is lost (nats of log-validity and log-diversity; they add up)")
    yield _steps(facts)
    yield from _costliest(facts)
    yield from _inversions(probe, facts)
    yield from _logits(facts)
    yield from _heading(
        f"What is to blame for the coverage that is missing, {number(_no_dust(1 - facts.coverage))}"
    )
    yield from _blame(facts)
    yield from _heading("What could be won back")
    yield from _ladder(facts)
    yield from _ceilings(facts)
    yield from _best_recall(facts)


def _heading(text: str) -> Iterator[RenderableType]:
    yield ""
    yield Text(text, style="bold")


def _steps(facts: Explanation) -> Ledger:
    headings = [
        "step",
        "prefixes",
        "validity lost",
        "diversity lost",
        "order score\nmean (worst)",
        "recall at\nprecision ≥ 0.8",
        "order\ncalibrated",
        "shape score\nmean (worst)",
        "shape\ncalibrated",
    ]
    rows = [
        [
            str(step.depth + 1),
            f"{step.prefixes:,}",
            number(_no_dust(step.validity_lost)),
            number(_no_dust(step.diversity_lost)),
            f"{number(step.order_score.mean)} ({number(step.order_score.worst)})",
            number(step.recall_at_good.mean),
            f"{step.order_calibrated:.0%}",
            f"{number(step.shape_score.mean)} ({number(step.shape_score.worst)})",
            f"{step.shape_calibrated:.0%}",
        ]
        for step in facts.steps
    ]
    if facts.surface_term > 0:
        rows.append(["several spellings", "", "", f"−{number(facts.surface_term)}"])
    totals = (_no_dust(facts.validity_lost), _no_dust(facts.diversity_lost))
    return Ledger(
        headings,
        [*rows, [], ["all", "", *(map(number, totals) if facts.validity > 0 else ("everything", "–"))]],
    )


def _no_dust(value: float) -> float:
    """A loss that is nothing but rounding is none."""
    return 0.0 if abs(value) < 1e-12 else value


def _costliest(facts: Explanation) -> Iterator[str]:
    for name, losses in (
        ("validity", facts.worst_for_validity),
        ("diversity", facts.worst_for_diversity),
    ):
        shown = [loss for loss in losses if loss.lost > 1e-12]
        if shown:
            parts = [f"{number(loss.lost)} ({loss.share:.0%}) {_where(loss)}" for loss in shown]
            yield f"{name} is lost most: {'; '.join(parts)}"


def _where(loss: Loss) -> str:
    return f"after {visible(loss.prefix)!r}" if loss.node else "at the first token"


def _inversions(probe: Probe, facts: Explanation) -> Iterator[RenderableType]:
    """The worst inversions, at the prefixes where bad order meets most answers."""
    local, worst, trie = facts.local, facts.local.inversions, probe.trie
    broken = [i for i in range(len(worst.by)) if worst.by[i] > 0]
    if not broken:
        yield from _heading("Order is perfect at every prefix: no invalid token ranks above a valid one.")
        return
    prefixes = plural(len(worst.by), "prefix", "prefixes")
    yield from _heading(f"Invalid tokens rank above valid ones at {len(broken):,} of {prefixes}")
    weight = trie.weight[trie.prefixes]
    broken.sort(key=lambda i: (-weight[i] * (1 - local.order_score[i]), i))
    for i in broken[:INVERSIONS]:
        node = int(trie.prefixes[i])
        where = f"after {visible(probe.prefix_text(node))!r}" if node else "at the first token"
        token = int(trie.token[worst.child[i]])
        named = "the end" if token == END else f"the valid {visible(probe.token_text(token))!r}"
        above = [repr(visible(probe.token_text(int(token)))) for token in worst.above[i] if token >= 0]
        named_above = f" ({', '.join(above)}{', …' if worst.by[i] > len(above) else ''})" if above else ""
        yield (
            f"{where}: {named} ranks {worst.rank[i]:,}, below "
            f"{plural(int(worst.by[i]), 'invalid token')}{named_above}; "
            f"order score {number(local.order_score[i])}"
        )


def _logits(facts: Explanation) -> Iterator[RenderableType]:
    """The curve of the sorted logits at the first token."""
    words = {"top": f"the first ranks, up to {HEAD:,}", "all": "all ranks"}
    yield from _heading("The sorted logits at the first token: a line, then a logarithm")
    for name, fit in facts.logit_fits.items():
        if not math.isnan(fit["mse"]):
            yield (
                f"over {words[name]}: a line down to rank {fit['head_end']:,}, "
                f"{fit['slope']:.3g} nats a rank; R² {number(fit['r2'])}"
            )


def _blame(facts: Explanation) -> Iterator[str]:
    blame, missing = facts.blame, 1 - facts.coverage
    if missing < 1e-12:
        yield "nothing is missing"
        return
    yield (
        f"order {number(blame.order)} ({blame.order / missing:.0%}): {number(blame.top)} invalid tokens "
        f"above valid ones, {number(blame.within)} valid tokens not sorted by their answers below"
    )
    yield f"shape {number(blame.shape)} ({blame.shape / missing:.0%}): mass piled on a few valid tokens"
    yield "(a Shapley split over three fixes, made at every prefix; a negative part makes up for another)"


def _ladder(facts: Explanation) -> Iterator[RenderableType]:
    ladder = facts.ladder
    if not ladder.applies:
        yield (
            f"the ladder does not apply: {facts.rule} does not keep the top of the ranking. It covers "
            f"{number(ladder.rule)}; the best rule tried that does, {ladder.best_rule}, {number(ladder.best)}"
        )
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    for justify in ("right", "left", "right", "left"):
        table.add_column(justify=justify)
    table.add_row(number(ladder.rule), "this rule", "", "")
    table.add_row(
        number(ladder.best), f"the best rule tried, {ladder.best_rule}", _gain(ladder.tuning), "by tuning"
    )
    table.add_row(
        number(ladder.ceiling),
        f"the best of any sampler that respects the model's ranking ({ladder.status})",
        _gain(ladder.reshaping),
        "by reshaping",
    )
    table.add_row("1", "an ideal sampler", _gain(ladder.order), "by a better order: only a better model")
    yield table
    gap = 1 - facts.coverage
    if not math.isnan(ladder.ceiling) and gap > 1e-12:
        won = (ladder.ceiling - ladder.rule) / gap
        if won > 0.995:
            yield "A better sampler could win back all that is missing."
        elif won < 0.005:
            yield "A sampler could win back next to nothing: only a model that ranks the answers better."
        else:
            yield (
                f"A better sampler could win back {won:.0%} of what is missing; the other {1 - won:.0%} "
                "only a model that ranks the answers better."
            )


def _gain(log_gain: float) -> str:
    if math.isnan(log_gain):
        return "–"
    if log_gain > math.log(1e4):
        return f"×10^{log_gain / math.log(10):.0f}"
    return f"×{math.exp(log_gain):.2f}" if log_gain < math.log(100) else f"×{math.exp(log_gain):.0f}"


def _ceilings(facts: Explanation) -> Iterator[str]:
    known = {floor: value for floor, value in facts.diversity_ceilings.items() if not math.isnan(value[0])}
    if known:
        parts = [f"{number(value[0])} at validity ≥ {floor:g}" for floor, value in known.items()]
        yield f"The most diversity of a sampler that respects the ranking: {'; '.join(parts)}."
    unknown: dict[str, list[str]] = {}
    for floor, (_, _, status) in facts.diversity_ceilings.items():
        if status != "certified":
            unknown.setdefault(status, []).append(f"{floor:g}")
    for status, floors in unknown.items():
        yield f"The most diversity at validity ≥ {', '.join(floors)}: {status}."


def _best_recall(facts: Explanation) -> Iterator[str]:
    parts = []
    for floor, (low, high) in facts.best_recall.items():
        known = number(low) if number(low) == number(high) else f"{number(low)} to {number(high)}"
        parts.append(f"{known} at precision ≥ {floor:g}")
    yield f"The most recall of cutoffs chosen for every prefix, sampled uniformly: {'; '.join(parts)}."


def cutoffs(
    probe: Probe, best: BestCutoffs, count: NDArray[np.int64], at_most: int
) -> Iterator[RenderableType]:
    """Adaptive cutoffs where there is a choice or a loss, and what they do everywhere."""
    trie, outcome = best.trie, best.outcome(count)
    kept = np.isfinite(outcome.reach_logp)
    reached = trie.prefixes[kept[trie.prefixes]]
    told = reached[(trie.n_children[reached] > 1) | (outcome.local_precision[reached] < 1)]
    most = told[np.argsort(-trie.weight[told], kind="stable")[:at_most]]
    rows = []
    for node in np.sort(most).tolist():
        children = trie.children(node)
        rows.append(
            [
                repr(visible(probe.prefix_text(node))) if node else "(the start)",
                f"{count[node]:,}",
                f"{int(kept[children].sum()):,}",
                f"{len(children):,}",
                number(float(outcome.local_recall[node])),
            ]
        )
    yield Ledger(["after", "kept", "valid of these", "valid in all", "recall there"], rows)
    if len(told) > len(most):
        more = plural(len(told) - len(most), "prefix", "prefixes")
        yield f"and {more} with fewer answers (--all shows them)"
    if len(reached) > len(told):
        others = plural(len(reached) - len(told), "other prefix", "other prefixes")
        yield f"at {others} the one valid token alone is kept"
    said = int(np.isfinite(outcome.answer_logp).sum())
    yield (
        f"{said:,} of {plural(trie.n_answers, 'answer')} can be given; precision "
        f"{number(outcome.event_precision)}, validity {number(outcome.validity)} and diversity "
        f"{number(outcome.diversity)} at temperature {best.temperature:g}"
    )


def checks(found: Sequence[Check]) -> Table:
    """One row per theorem: its verdict and margin, and under what it says what was found."""
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 1, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column()
    for check in found:
        style = {"holds": "green", "violated": "bold red"}.get(check.verdict, "yellow")
        margin = "" if math.isnan(check.margin) else f"margin {check.margin:.2g}: {check.unit}\n"
        says = Text(f"{check.statement}\n", style="bold")
        table.add_row(check.theorem, Text(check.verdict, style=style), says + Text(margin + check.detail))
    return table


def comparison(compared: Sequence[Compared]) -> Iterator[RenderableType]:
    """One table for all, a section per task, and what was compared."""
    names = {
        "validity": "validity",
        "diversity": "diversity",
        "coverage": "coverage",
        "order\nscore\n(AUC)": "order_score",
        "recall at\nprecision\n≥ 0.8": "recall_at_precision_0.8",
        "diversity\nat validity\n≥ 0.9": "cutoff_diversity_at_0.9",
        "at most\n(ceiling)": "diversity_ceiling_at_0.9",
        "missing:\norder": "blame_order",
        "missing:\nshape": "blame_shape",
    }
    rows: list[list[str]] = []
    task = None
    for each in compared:
        row = each.row()
        if row["task"] != task:
            task = row["task"]
            rows.append([str(task)])
        size = f"{row['parameters'] / 1e6:,.0f}M" if row["parameters"] else "–"
        rows.append([f"  {each.name}", size, *(number(row[name]) for name in names.values())])
    yield Ledger(["task and model", "size", *names], rows)
    samples = {each.explanation.samples for each in compared}
    counted = f"{samples.pop():,} samples" if len(samples) == 1 else "as many samples as there are answers"
    rules = sorted({each.explanation.rule for each in compared})
    yield f"each model's default rule: {'; '.join(rules)}"
    yield f"coverage and what is missing in {counted}; diversity at validity ≥ 0.9 of the cutoffs tried"
