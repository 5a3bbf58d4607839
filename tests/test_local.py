"""Local order and shape at every prefix, against the definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given

import naive
import strategies as some
from breadth.local import ABOVE, Local, local_measures
from breadth.measures.order import GOOD, local_frontiers
from breadth.ranking import event_ranking
from breadth.trie import END, build_trie


def measured(instance: some.Instance) -> Local:
    trie = instance.trie()
    blocks = instance.blocks(trie)
    return local_measures(trie, blocks, event_ranking(trie, blocks))


@given(some.instances())
def test_every_prefix_has_the_measures_of_the_definition(instance: some.Instance) -> None:
    trie = instance.trie()
    local = measured(instance)
    for index, node in enumerate(trie.prefixes):
        prefix = tuple(trie.path(int(node)))
        law = instance.law(prefix)
        valid = naive.valid_events(instance.answers, prefix)
        weight = {event: naive.answers_below(instance.answers, (*prefix, event)) for event in valid}
        order = naive.event_ranking(law, instance.end_tokens)
        assert local.order_score[index] == pytest.approx(naive.order_score(order, weight), abs=1e-12)
        assert local.recall_at_good[index] == pytest.approx(naive.recall_at(order, weight, GOOD), abs=1e-12)
        assert local.order_calibrated[index] == naive.is_order_calibrated(
            law, instance.answers, prefix, instance.end_tokens
        )
        probability = {
            event: math.exp(naive.event_logp([(1.0, law)], event, instance.end_tokens)) for event in valid
        }
        if min(probability.values()) > 1e-250:
            assert local.shape_score[index] == pytest.approx(naive.shape_score(probability, weight), abs=1e-9)


@given(some.instances())
def test_the_worst_inversion_has_the_most_invalid_tokens_above(instance: some.Instance) -> None:
    trie = instance.trie()
    worst = measured(instance).inversions
    for index, node in enumerate(trie.prefixes):
        prefix = tuple(trie.path(int(node)))
        law = instance.law(prefix)
        valid = naive.valid_events(instance.answers, prefix)
        valid_tokens = {token for event in valid for token in naive.tokens_of(event, instance.end_tokens)}

        def above(event: int, law: naive.Law = law, valid_tokens: set[int] = valid_tokens) -> list[int]:
            best = max(law[token] for token in naive.tokens_of(event, instance.end_tokens))
            return [t for t in naive.ranking(law) if t not in valid_tokens and law[t] > best]

        event = int(trie.token[worst.child[index]])
        assert worst.by[index] == max(len(above(each)) for each in valid) == len(above(event))
        named = [token for token in worst.above[index].tolist() if token >= 0]
        assert named == above(event)[:ABOVE]
        best = min(naive.ranking(law).index(token) for token in naive.tokens_of(event, instance.end_tokens))
        assert worst.rank[index] == best + 1


@given(some.instances(forbidden=True))
def test_forbidden_valid_tokens_are_out_of_order_and_shape(instance: some.Instance) -> None:
    trie = instance.trie()
    local = measured(instance)
    for index, node in enumerate(trie.prefixes):
        prefix = tuple(trie.path(int(node)))
        law = instance.law(prefix)
        valid = naive.valid_events(instance.answers, prefix)
        allowed = [e for e in valid if any(t in law for t in naive.tokens_of(e, instance.end_tokens))]
        if len(allowed) < len(valid):
            assert local.shape_error[index] == np.inf
        assert np.isnan(local.shape_score[index]) == (not allowed)


def test_a_frontier_is_read_off_at_any_recall() -> None:
    # Valid events at ranks 1, 3 and 4, with 1, 1 and 2 answers below.
    trie = build_trie([(0,), (1,), (2, 0), (2, 1)], range(4), n_answers=4)
    rank = np.zeros(len(trie), dtype=np.int64)
    rank[trie.children(0)] = [1, 3, 4]
    rank[trie.children(3)] = [1, 2]
    frontier = local_frontiers(trie, rank)
    np.testing.assert_allclose(frontier.precision[:3], [1, 2 / 3, 3 / 4])
    np.testing.assert_allclose(frontier.recall[:3], [1 / 4, 1 / 2, 1])
    recall = np.array([0.0, 0.25, 0.26, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(frontier.precision_at(recall)[0], [1, 1, 0.75, 0.75, 0.75, 0.75])
    assert frontier.order_score[0] == 1 / 4 + 3 / 4 * 3 / 4
    np.testing.assert_allclose(frontier.recall_at(0.8), [1 / 4, 1])
    assert END not in trie.token
