"""The exact frontier of all adaptive cutoffs, against every strategy listed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

import naive
import strategies as some
from breadth.measures.cutoffs import CutoffFrontier, cutoff_frontier
from breadth.ranking import Ranking, event_ranking
from breadth.trie import Trie, build_trie

SMALL = settings(max_examples=60, deadline=None)


def uniform(trie: Trie, ranking: Ranking) -> CutoffFrontier:
    allowed = np.isfinite(ranking.logp).astype(np.float64)
    return cutoff_frontier(trie, ranking.rank, allowed, ranking.rank.astype(np.float64))


def weighted(trie: Trie, ranking: Ranking) -> CutoffFrontier:
    return cutoff_frontier(trie, ranking.rank, np.exp(ranking.logp), np.exp(ranking.cumulative_logp))


def best_of_all(instance: some.Instance, *, flat: bool) -> list[float]:
    """The largest precision of any strategy with at least 0, 1, … sequences."""

    def ranked(prefix: naive.Tokens) -> list[int]:
        return naive.event_ranking(instance.law(prefix), instance.end_tokens)

    def law(prefix: naive.Tokens) -> dict[int, float]:
        mixture = [(1.0, instance.law(prefix))]
        return {
            event: 1.0 if flat else float(np.exp(naive.event_logp(mixture, event, instance.end_tokens)))
            for event in ranked(prefix)
        }

    found = naive.all_cutoffs(instance.answers, (), ranked, law)
    n = len(naive.sequences(instance.answers))
    return [max((p for p, kept in found if kept >= count), default=0.0) for count in range(n + 1)]


FEW = some.instances(forbidden=True).filter(lambda instance: len(naive.sequences(instance.answers)) <= 5)
"""With few enough sequences that every strategy can be listed."""


@SMALL
@given(FEW)
def test_no_strategy_does_better_than_the_frontier_and_one_does_as_well(instance: some.Instance) -> None:
    trie = instance.trie()
    ranking = event_ranking(trie, instance.blocks(trie))
    frontier = uniform(trie, ranking)
    np.testing.assert_allclose(frontier.precision, best_of_all(instance, flat=True), atol=1e-12)
    assert frontier.recall[-1] == 1.0
    assert len(frontier.recall) == len(trie.leaves) + 1


@SMALL
@given(FEW)
def test_the_same_under_the_models_own_probabilities(instance: some.Instance) -> None:
    trie = instance.trie()
    frontier = weighted(trie, event_ranking(trie, instance.blocks(trie)))
    np.testing.assert_allclose(frontier.precision, best_of_all(instance, flat=False), atol=1e-9)


@SMALL
@given(some.instances(forbidden=True))
def test_the_strategy_of_every_point_attains_it(instance: some.Instance) -> None:
    trie = instance.trie()
    ranking = event_ranking(trie, instance.blocks(trie))
    for frontier, weight, kept in (
        (uniform(trie, ranking), np.ones(len(trie)), ranking.rank),
        (weighted(trie, ranking), np.exp(ranking.logp), np.exp(ranking.cumulative_logp)),
    ):
        for count in range(1, len(trie.leaves) + 1):
            strategy = frontier.strategy(count)
            if frontier.precision[count] == 0.0:
                assert strategy == {}
                continue
            edge = np.zeros(len(trie))
            for node, last in strategy.items():
                children = trie.children(node)
                inside = children[ranking.rank[children] <= ranking.rank[last]]
                edge[inside] = weight[inside] / kept[last]
            with np.errstate(divide="ignore"):
                reach = trie.along_paths(np.concatenate([[0.0], np.log(edge[1:])]))[trie.leaves]
            assert np.isfinite(reach).sum() >= count
            assert np.exp(reach).sum() == pytest.approx(frontier.precision[count], rel=1e-9)


def test_letting_a_subtree_die_can_be_best() -> None:
    # At the root both events are kept or only the first; below the second, the only answer ranks 50th.
    trie = build_trie([(0,), (1, 0)], range(2), n_answers=2)
    rank = np.array([0, 1, 2, 50])
    frontier = cutoff_frontier(trie, rank, np.ones(4), rank.astype(float))
    np.testing.assert_allclose(frontier.precision, [1.0, 1.0, 0.51])


def test_an_answer_that_no_cutoff_can_keep_costs_all_recall_beyond_it() -> None:
    trie = build_trie([(0,), (1,)], range(2), n_answers=2)
    frontier = cutoff_frontier(
        trie, np.array([0, 1, 2]), np.array([1.0, 1.0, 0.0]), np.array([0.0, 1.0, 2.0])
    )
    np.testing.assert_array_equal(frontier.precision, [1.0, 1.0, 0.0])
    assert frontier.strategy(2) == {}
