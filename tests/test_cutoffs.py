"""The exact frontier of all adaptive cutoffs, against every strategy listed."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import naive
import strategies as some
from breadth.adaptive import best_cutoffs
from breadth.errors import InputError
from breadth.measures.cutoffs import CutoffFrontier, cutoff_frontier
from breadth.measures.thinned import thinned_frontier
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


@SMALL
@given(some.instances(forbidden=True), st.integers(4, 9))
def test_thinned_the_frontier_still_lies_between_the_curves(instance: some.Instance, points: int) -> None:
    trie = instance.trie()
    ranking = event_ranking(trie, instance.blocks(trie))
    exact = uniform(trie, ranking)
    allowed = np.isfinite(ranking.logp).astype(np.float64)
    thin = thinned_frontier(trie, ranking.rank, allowed, ranking.rank.astype(np.float64), points=points)
    at = np.searchsorted(exact.recall, thin.recall - 1e-12)
    assert (thin.lower <= exact.precision[at] + 1e-12).all()
    assert (thin.upper >= exact.precision[at] - 1e-12).all()
    if points >= len(trie.leaves):
        np.testing.assert_allclose(thin.lower, exact.precision[at], atol=1e-12)
        np.testing.assert_allclose(thin.upper, exact.precision[at], atol=1e-12)
        assert not exact.precision[len(at) :].any()


def test_a_thinned_frontier_of_many_answers_is_narrow() -> None:
    random = np.random.default_rng(0)
    trie = build_trie(list(product(range(6), repeat=4)), range(6**4), n_answers=6**4)
    rank = np.zeros(len(trie), dtype=np.int64)
    for node in trie.prefixes.tolist():
        rank[trie.children(node)] = random.permutation(9)[:6] + 1
    exact = cutoff_frontier(trie, rank, np.ones(len(trie)), rank.astype(np.float64))
    thin = thinned_frontier(trie, rank, np.ones(len(trie)), rank.astype(np.float64), points=300)
    at = np.round(thin.recall * 6**4).astype(int)
    assert (thin.lower <= exact.precision[at] + 1e-12).all()
    assert (thin.upper >= exact.precision[at] - 1e-12).all()
    assert (thin.upper - thin.lower).mean() < 0.02


@SMALL
@given(some.instances(forbidden=True), st.sampled_from([0.5, 1.0, 3.0]))
def test_an_ordinary_outcome_confirms_the_strategy_of_every_point(
    instance: some.Instance, temperature: float
) -> None:
    trie = instance.trie()
    blocks = instance.blocks(trie)
    for sampled_uniformly in (True, False):
        best = best_cutoffs(trie, blocks, event_ranking(trie, blocks, temperature), uniform=sampled_uniformly)
        assert best.is_exact
        for recall, precision in zip(best.recall[1:], best.lower[1:], strict=True):
            if precision == 0.0:
                with pytest.raises(InputError, match="out of reach"):
                    best.strategy(recall)
                continue
            outcome = best.outcome(best.strategy(recall))
            found = outcome.event_precision if sampled_uniformly else outcome.validity
            assert found == pytest.approx(precision, rel=1e-9)
            survived = np.isfinite(outcome.reach_logp[trie.leaves]).mean()
            assert survived >= recall - 1e-12
            assert best.recall_at(precision * (1 - 1e-12))[0] >= recall - 1e-12


def test_beyond_the_limit_there_are_bounds_and_no_strategy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("breadth.adaptive.EXACT_SEQUENCES", 1)
    logits = {(): np.float32([3, 2, 1])}
    instance = some.Instance(answers=(((0,),), ((2,),)), end_tokens=(), logits=logits)
    trie = instance.trie()
    blocks = instance.blocks(trie)
    best = best_cutoffs(trie, blocks, event_ranking(trie, blocks))
    assert not best.is_exact
    np.testing.assert_allclose(best.lower, [1, 1, 2 / 3])
    assert best.recall_at(0.8) == (0.5, 0.5)
    with pytest.raises(InputError, match="2 sequences are too many"):
        best.strategy(0.5)


def test_a_floor_that_is_met_but_for_rounding_is_met() -> None:
    # The root keeps a leaf and two prefixes with 7 valid events of 10: (1 + 0.7 + 0.7) / 3 = 0.8.
    answers = [(0,), *((1, i) for i in range(7)), *((2, i) for i in range(7))]
    logits: dict[naive.Tokens, np.ndarray] = {(): -np.arange(12, dtype=np.float32)}
    row = np.full(12, -50, dtype=np.float32)
    row[[7, 8, 9, 0, 1, 2, 3, 4, 5, 6]] = -np.arange(10)
    logits |= {(1,): row, (2,): row}
    instance = some.Instance(answers=tuple((answer,) for answer in answers), end_tokens=(), logits=logits)
    trie = instance.trie()
    blocks = instance.blocks(trie)
    best = best_cutoffs(trie, blocks, event_ranking(trie, blocks))
    assert best.lower[-1] == pytest.approx(0.8)
    assert best.recall_at(0.8) == (1.0, 1.0)
    for floor in (0.2, 0.5, 0.8, 0.9):
        low, high = best.recall_at(floor)
        assert low == high
