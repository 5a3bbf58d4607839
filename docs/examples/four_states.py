"""The worked example of docs/method.md: four answers, four letters a step, every number by hand.

python docs/examples/four_states.py          # prints every number of the page
python docs/examples/four_states.py --draw   # draws its figures into docs/images/method/
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from breadth.adaptive import best_cutoffs
from breadth.counterfactual import FIXES, fixed_answers
from breadth.explanation import Explanation, explain
from breadth.measures.answers import coverage
from breadth.measures.shapley import coalitions
from breadth.measures.theorems import precision_factors, recall_factors
from breadth.models.toy import ToyModel, ToyTokenizer
from breadth.ranking import event_ranking
from breadth.rules import parse_rule
from breadth.study import Unit, run_unit
from breadth.task import Task

NEXT = {
    "": {"N": 0.4, "C": 0.3, "T": 0.2, "O": 0.1},
    "N": {"Y": 0.6, "D": 0.25, "J": 0.15},
    "T": {"X": 1.0},
    "O": {"H": 1.0},
}
"""Probability of the next letter after each start of an answer."""

TASK = Task(
    name="four-states",
    prompt="One of NY, NJ, TX, OH: ",
    chat=False,
    answers=["NY", "NJ", "TX", "OH"],
    end="none",
)

SAMPLES = 2
"""So few that coverage can be worked out by hand."""


def four_states() -> Unit:
    """The toy model on the task, with the default grid of rules."""
    letters = sorted({letter for law in NEXT.values() for letter in law} | set(TASK.prompt))
    tokenizer = ToyTokenizer("".join(letters))
    return run_unit(ToyModel(tokenizer, lambda text: NEXT[text], prompt=TASK.prompt, name="letters"), TASK)


def explained(unit: Unit) -> Explanation:
    """The model's own probabilities, temperature 1 and no cutoff."""
    return explain(unit, parse_rule("temperature=1"), samples=SAMPLES)


def numbers(unit: Unit) -> list[str]:
    """Every number of the page, a line each."""
    facts, trie = explained(unit), unit.probe.trie
    logp, local = facts.outcome.answer_logp, facts.local
    lines = [f"q({name}) = {q:.2f}" for name, q in zip(unit.probe.answers, np.exp(logp), strict=True)]
    lines += [f"validity {facts.validity:.3f}", f"diversity {facts.diversity:.3f}"]
    for index, node in enumerate(trie.prefixes.tolist()):
        lines.append(
            f"after {unit.probe.prefix_text(node)!r}: order score {local.order_score[index]:.3f}, recall at "
            f"precision 0.8 {local.recall_at_good[index]:.2f}, shape score {local.shape_score[index]:.3f}, "
            f"validity lost {facts.attribution.validity_lost[node]:.4f}, diversity lost "
            f"{abs(facts.attribution.diversity_lost[node]):.4f}"
        )
    ranking = event_ranking(trie, unit.probe.blocks)
    best = best_cutoffs(trie, unit.probe.blocks, ranking)
    lines += [f"{n} answers or more: precision {precision:.3f}" for n, precision in enumerate(best.lower)][1:]
    everything = best.outcome(best.strategy(1.0))
    alpha = precision_factors(trie, everything.edge_event_logp)
    beta = recall_factors(trie, np.isfinite(everything.edge_event_logp))
    lines += [
        f"alpha {alpha[0]:.3f} · {alpha[1]:.3f} = {everything.event_precision:.3f}",
        f"beta {beta[0]:.0f} · {beta[1]:.0f} = {everything.recall:.0f}",
    ]
    fixed = fixed_answers(facts.outcome, unit.probe.blocks, ranking)
    for fixes in coalitions(FIXES):
        q = np.exp(fixed[fixes])
        name = " + ".join(fix for fix in FIXES if fix in fixes) or "nothing"
        shown = ", ".join(f"{each:.4g}" for each in q)
        lines.append(f"fix {name}: {shown}; coverage {coverage(fixed[fixes], SAMPLES):.3f}")
    blame, ladder = facts.blame, facts.ladder
    lines += [
        f"blame: top {blame.top:.3f}, within {blame.within:.3f}, shape {blame.shape:.3f}",
        f"ladder: {ladder.rule:.3f}, {ladder.best:.3f} ({ladder.best_rule}), {ladder.ceiling:.3f}, 1",
    ]
    for floor, (lower, _, status) in facts.diversity_ceilings.items():
        lines.append(f"most diversity at validity {floor}: {lower:.3f} ({status})")
    return lines


if __name__ == "__main__":
    the_unit = four_states()
    if "--draw" in sys.argv:
        from breadth.report.explained import draw_explanation

        draw_explanation(the_unit, explained(the_unit), Path(__file__).parents[1] / "images" / "method")
    else:
        print("\n".join(numbers(the_unit)))
