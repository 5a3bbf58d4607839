"""The second half of the diagnosis for 10,000 answers, against plain ways to the same numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from bench.timing import Row, best_of
from breadth.counterfactual import fixed_answers
from breadth.grid import default_grid
from breadth.measures.answers import coverage
from breadth.measures.attribution import attribute
from breadth.measures.ceiling import distinct_ceiling, diversity_ceiling
from breadth.measures.cutoffs import cutoff_frontier
from breadth.measures.samplers import Samplers
from breadth.measures.shapley import shapley
from breadth.outcome import outcomes
from breadth.ranked import Ranked, rank_logits
from breadth.ranking import event_ranking, token_ranking
from breadth.rules import parse_rule
from breadth.trie import Trie, build_trie

DIGITS = 10
LENGTH = 4  # 10,000 answers over 1,111 prefixes
VOCABULARY = 49_152
PLAIN_LENGTH = 2  # the plain frontier is timed on 100 answers


def instance(length: int) -> tuple[Trie, list[Ranked]]:
    """Numbers of a length under random logits in which digits stand high, yet not all on top."""
    random = np.random.default_rng(0)
    answers = list(product(range(DIGITS), repeat=length))
    trie = build_trie(answers, range(len(answers)), n_answers=len(answers))
    blocks = []
    for nodes in np.array_split(trie.prefixes, max(1, len(trie.prefixes) // 128)):
        logits = random.normal(0, 2, (len(nodes), VOCABULARY)).astype(np.float32)
        logits[:, :DIGITS] = random.normal(8, 1, (len(nodes), DIGITS))
        blocks.append(rank_logits(nodes, logits, trie))
    return trie, blocks


def plain_frontier(trie: Trie, rank: NDArray[np.int64]) -> list[float]:
    """The frontier by loops over counts, as the recursion is written."""

    def below(node: int) -> Sequence[float]:
        if trie.answer[node] >= 0:
            return [-np.inf, 1.0]
        best: list[float] = []
        total = [0.0]
        for child in sorted(trie.children(node).tolist(), key=lambda child: rank[child]):
            right = below(child)
            grown = [-np.inf] * (len(total) + len(right) - 1)
            for a, left_value in enumerate(total):
                for b, right_value in enumerate(right):
                    grown[a + b] = max(grown[a + b], left_value + right_value)
            total = grown
            best = [
                max(value / int(rank[child]), best[count] if count < len(best) else -np.inf)
                for count, value in enumerate(total)
            ]
        return best

    return list(below(0))


def parts(trie: Trie, blocks: list[Ranked]) -> Iterator[Row]:
    rule = parse_rule("temperature=1")
    ranking = event_ranking(trie, blocks)
    rank = ranking.rank
    n = trie.n_answers

    time = best_of(lambda: cutoff_frontier(trie, rank, np.ones(len(trie)), rank.astype(np.float64)))
    yield Row(f"{n:,} answers: exact frontier of all cutoffs", time, "s", "< 2")
    small, small_blocks = instance(PLAIN_LENGTH)
    small_rank = event_ranking(small, small_blocks).rank
    plain = best_of(lambda: plain_frontier(small, small_rank))
    # Quadratic in the answers.
    yield Row(
        "loops (multiplied up from 100 answers) / exact frontier",
        plain * (n / small.n_answers) ** 2 / time,
        "×",
    )

    def attribution() -> None:
        (outcome,) = outcomes(trie, blocks, [rule])
        attribute(trie, outcome.edge_logp)
        fixed = fixed_answers(outcome, blocks, event_ranking(trie, blocks))
        shapley(("top", "within", "shape"), {fixes: coverage(logp, n) for fixes, logp in fixed.items()})

    time = best_of(attribution)
    yield Row(f"{n:,} answers: attribution and Shapley split", time, "s", "< 5")
    grid = default_grid()
    yield Row(
        "all rules of the default grid / attribution",
        best_of(lambda: list(outcomes(trie, blocks, grid)), 1) / time,
        "×",
    )

    samplers = Samplers(trie, token_ranking(trie, blocks))
    highest, _ = samplers.highest(np.ones(n))
    for name, action in (
        (f"distinct in {n:,}", lambda: distinct_ceiling(samplers, n)),
        (f"diversity at validity {0.9 * highest:.2f}", lambda: diversity_ceiling(samplers, 0.9 * highest)),
    ):
        found = action()
        yield Row(f"{n:,} answers: ceiling of {name}", best_of(action, 2), "s", "< 5")
        yield Row(
            f"… width of its certificate ({found.status})", 1e6 * (found.upper / found.lower - 1), "ppm"
        )
    linear = best_of(lambda: samplers.highest(np.ones(n)))
    yield Row(f"{n:,} answers: a linear maximum, exactly", 1000 * linear, "ms")


def run() -> list[Row]:
    return list(parts(*instance(LENGTH)))
