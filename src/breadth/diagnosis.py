"""From a probe to one sentence: what keeps the model from giving all the valid answers.

Three things can be wrong, and they need different cures:

* the *end*: the model says a whole answer and then goes on;
* *order*: invalid tokens rank above valid ones, so that no cutoff separates them;
* *shape*: the valid tokens are on top, but a few of them hold the mass.

Where all three are fine, what is left is that no one *cutoff* rule fits every step, or nothing at all.
Which it is, is read off exact numbers only, and the sentence cites the ones that decide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from breadth.measures import answers as measures
from breadth.measures.frontier import frontier_area
from breadth.outcome import Outcome, evaluate
from breadth.probe import Probe
from breadth.rules import default_rule, parse_rule
from breadth.scores import FLOORS, Best, Scores, best_rule, plain, points, samples_for
from breadth.trie import Trie

__all__ = ["Diagnosis", "Leak", "diagnose", "leakiest", "uniform_law_diversity"]

ALMOST_NEVER = 0.05
"""A default validity below this is told before anything else."""

FINE = 0.95
"""Where oracle size is at least this valid, order is fine."""

DIVERSE = 0.8
"""Where some rule is at least this diverse at the highest floor of validity, nothing blocks."""

MUCH = 0.1
"""A loss of validity worth explaining by the end."""

MOST = 0.5
"""The share of the loss that makes a cause the main one."""


@dataclass(frozen=True)
class Leak:
    """A prefix where generation leaves the valid answers.

    Attributes:
        prefix: the text of the answer so far.
        node: its id in the trie.
        reach: probability that generation comes through here.
        lost: probability that it comes through here and the next token is invalid.
    """

    prefix: str
    node: int
    reach: float
    lost: float


@dataclass(frozen=True)
class Diagnosis:
    """The table a user reads first, one row of it, and the sentence below.

    Attributes:
        answers: |V|.
        prefixes: number of valid prefixes.
        rule: the model's default: the transformers preset under the model's own generation config.
        validity: at that rule, as are the measures down to `top_share`.
        diversity: Def 3.1.
        samples_for: share of |V| → samples needed to expect that many distinct answers, or None.
        reachable: share of V that the rule can give at all.
        end_share: share of the loss 1 − Val that is lost after a finished answer; NaN without a loss.
        finished: probability that generation comes to a complete answer, ended or not.
        leaks: the leakiest prefixes.
        top_answer: the answer given most often.
        top_share: its share of the valid mass.
        best: floor of validity → the rule tried that is most diverse there, or None.
        best_cutoff: the same at the highest floor among rules that keep the top of the ranking: order and
            shape are judged by what cutoffs can do.
        area: area under the front of all rules tried, oracles left out.
        oracle_size_validity: at temperature 1; what is missing to 1 is the failure of order.
        oracle_size_diversity: at temperature 1.
        oracle_validity_diversity: diversity if only valid tokens could be said, at temperature 1.
        uniform_diversity: diversity of the law that is uniform over the valid events at every prefix,
            the best that oracle size can be expected to give where siblings differ in size.
        ties: share of prefixes where a valid and an invalid token tie.
        bottleneck: `end`, `order`, `shape`, `cutoff` (both are fine, but no one rule fits every step) or
            `nothing`; None when only the user's own rules were tried, which cannot tell.
        sentence: the diagnosis in words; None likewise.
    """

    answers: int
    prefixes: int
    rule: str
    validity: float
    diversity: float
    samples_for: Mapping[float, int | None]
    reachable: float
    end_share: float
    finished: float
    leaks: Sequence[Leak]
    top_answer: str
    top_share: float
    best: Mapping[float, Best | None]
    best_cutoff: Best | None
    area: float
    oracle_size_validity: float
    oracle_size_diversity: float
    oracle_validity_diversity: float
    uniform_diversity: float
    ties: float
    bottleneck: str | None
    sentence: str | None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, NaN as None."""
        facts: dict[str, Any] = plain(asdict(self))
        return facts


def leakiest(probe: Probe, outcome: Outcome, count: int = 5) -> list[Leak]:
    """The prefixes where a rule loses most probability to invalid tokens, most first."""
    order = np.argsort(-outcome.leak, kind="stable")[:count]
    return [
        Leak(
            prefix=probe.prefix_text(int(node)),
            node=int(node),
            reach=float(np.exp(outcome.reach_logp[node])),
            lost=float(outcome.leak[node]),
        )
        for node in order
        if outcome.leak[node] > 0
    ]


def uniform_law_diversity(trie: Trie) -> float:
    """Diversity when every step is uniform over the valid events: 1 only if siblings weigh the same."""
    edge = np.zeros(len(trie))
    edge[1:] = -np.log(trie.n_children[trie.parent[1:]])
    return measures.diversity(trie.by_answer(trie.along_paths(edge)))


def diagnose(probe: Probe, tried: Sequence[Scores], *, judge: bool = True) -> Diagnosis:
    """Diagnose a probe.

    Args:
        probe: one model on one task.
        tried: scores of the rules that may be recommended; oracles among them are passed over.
        judge: whether `tried` is a grid wide enough to say what blocks.
    """
    rules = [
        default_rule(probe.provenance["generation"]),
        parse_rule("temperature=1,oracle_size"),
        parse_rule("temperature=1,oracle_validity"),
    ]
    default, oracle_size, oracle_validity = evaluate(probe, rules)
    usable = [row for row in tried if not row.is_oracle]

    trie = probe.trie
    lost = default.leak.sum()
    at_end = default.leak[trie.complete].sum()
    top = int(np.argmax(default.answer_logp))
    log_validity = measures.log_validity(default.answer_logp)
    facts: dict[str, Any] = {
        "answers": trie.n_answers,
        "prefixes": len(trie.prefixes),
        "rule": str(rules[0]),
        "validity": default.validity,
        "diversity": default.diversity,
        "samples_for": samples_for(default),
        "reachable": default.recall,
        "end_share": float(at_end / lost) if lost > 0 else float("nan"),
        "finished": min(default.validity + float(at_end), 1.0),
        "leaks": leakiest(probe, default),
        "top_answer": probe.answers[top],
        "top_share": float(np.exp(default.answer_logp[top] - log_validity))
        if np.isfinite(log_validity)
        else float("nan"),
        "best": {floor: best_rule(usable, floor) for floor in FLOORS},
        "best_cutoff": best_rule([row for row in usable if row.is_cutoff], FLOORS[0]),
        "area": frontier_area(*points(usable)),
        "oracle_size_validity": oracle_size.validity,
        "oracle_size_diversity": oracle_size.diversity,
        "oracle_validity_diversity": oracle_validity.diversity,
        "uniform_diversity": uniform_law_diversity(trie),
        "ties": probe.ties,
    }
    draft = Diagnosis(**facts, bottleneck=None, sentence=None)
    if not judge:
        return draft
    bottleneck = _bottleneck(draft)
    return Diagnosis(**facts, bottleneck=bottleneck, sentence=_sentence(draft, bottleneck))


def _bottleneck(facts: Diagnosis) -> str:
    if 1.0 - facts.validity >= MUCH and facts.end_share >= MOST:
        return "end"
    if facts.oracle_size_validity < FINE:
        return "order"
    best = facts.best_cutoff
    if best is not None and best.diversity >= DIVERSE:
        return "nothing"
    return "shape" if facts.oracle_validity_diversity < DIVERSE else "cutoff"


def _sentence(facts: Diagnosis, bottleneck: str) -> str:
    parts = []
    if facts.validity < ALMOST_NEVER:
        parts.append(
            f"it almost never answers validly (validity {facts.validity:.2g} at {facts.rule}): look at the "
            "prompt before anything else."
        )
    best = facts.best[FLOORS[0]]
    order_is_fine = f"order is fine (oracle size keeps validity {facts.oracle_size_validity:.2f})"
    match bottleneck:
        case "end":
            parts.append(
                f"the end is the bottleneck: a complete answer is reached with probability "
                f"{facts.finished:.2f}, but validity is only {facts.validity:.2f}, since after a complete "
                f"answer it often goes on ({facts.end_share:.0%} of what is lost is lost there)."
            )
        case "order":
            parts.append(
                f"order is the bottleneck: even told how many valid tokens there are, a cutoff keeps "
                f"validity {facts.oracle_size_validity:.2f} (oracle size), because invalid tokens rank "
                "above valid ones, so that no temperature and no cutoff gives all answers without them."
            )
            if facts.oracle_validity_diversity < MOST:
                parts.append(
                    f"shape adds to it: among valid answers alone diversity is "
                    f"{facts.oracle_validity_diversity:.2f}."
                )
        case "shape":
            parts.append(
                f"{order_is_fine}, shape is the bottleneck: among valid answers alone diversity is "
                f"{facts.oracle_validity_diversity:.2f} ({facts.top_answer!r} gets {facts.top_share:.0%} of "
                f"the valid mass), and {_best_words(facts.best_cutoff)}."
            )
        case "cutoff":
            parts.append(
                f"{order_is_fine}, and so is shape (valid answers alone have diversity "
                f"{facts.oracle_validity_diversity:.2f}), but no one rule fits every step: "
                f"{_best_words(facts.best_cutoff)}."
            )
        case _ if facts.validity < ALMOST_NEVER:
            parts.append(
                f"yet nothing blocks a better rule: {order_is_fine}, and {_best_words(facts.best_cutoff)}."
            )
        case _:
            parts.append(f"nothing blocks: {order_is_fine}, and {_best_words(facts.best_cutoff)}.")
    if bottleneck != "nothing" and best is not None:
        if facts.answers > 1 and best.diversity < 1.2 / facts.answers:
            parts.append(
                f"beware: the rule at validity ≥ {FLOORS[0]} gets there by repeating one answer "
                f"(1/{facts.answers} = {1 / facts.answers:.2g})."
            )
        elif best.diversity >= DIVERSE and best != facts.best_cutoff:
            parts.append(
                f"a rule that drops the top tokens gets around it: {best.rule} reaches diversity "
                f"{best.diversity:.2f} at validity {best.validity:.2f}."
            )
    return " ".join(part[0].upper() + part[1:] for part in parts)


def _best_words(best: Best | None) -> str:
    if best is None:
        return f"no cutoff tried reaches validity {FLOORS[0]}"
    return f"the best cutoff at validity ≥ {FLOORS[0]} ({best.rule}) reaches diversity {best.diversity:.2f}"
