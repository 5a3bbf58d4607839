"""One step of generation against the full distribution."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import naive
import strategies as some
from breadth.events import event_ranks
from breadth.measures.step import local_curve, step_masses


@settings(max_examples=60, deadline=None)
@given(some.instances(), st.data())
def test_masses_of_frequent_rare_and_invalid_tokens(instance: some.Instance, data: st.DataObject) -> None:
    trie = instance.trie()
    (ranked,) = instance.blocks(trie, size=len(trie))
    row = data.draw(st.integers(0, len(ranked) - 1))
    one = ranked.take(np.array([row]))
    prefix = tuple(trie.path(int(one.node[0])))
    law = instance.law(prefix)
    valid = naive.oracle_validity(law, instance.answers, prefix, instance.end_tokens)
    at_one = naive.softmax(valid)
    temperatures = np.array([0.0, 0.5, 1.0, 8.0])
    found = step_masses(one, temperatures)
    assert found.temperature.tolist() == temperatures.tolist()
    for index, t in enumerate(temperatures):
        ((_, after),) = naive.apply_steps(law, [("temperature", float(t))])
        q = naive.softmax(after)
        # At exactly an even share rounding decides: such tokens may count as either.
        sure = {token for token in valid if at_one[token] > 1 / len(valid) + 1e-12}
        maybe = {token for token in valid if at_one[token] >= 1 / len(valid) - 1e-12}
        least, most = (sum(q.get(token, 0) for token in tokens) for tokens in (sure, maybe))
        assert least - 1e-9 <= found.frequent[index] <= most + 1e-9
        together = sum(q.get(token, 0) for token in valid)
        assert found.frequent[index] + found.rare[index] == pytest.approx(together, abs=1e-9)
        assert found.invalid[index] == pytest.approx(1 - together, abs=1e-9)


@settings(max_examples=80, deadline=None)
@given(some.instances())
def test_local_precision_and_recall_of_the_top_k_events(instance: some.Instance) -> None:
    trie = instance.trie()
    (ranked,) = instance.blocks(trie, size=len(trie))
    row, child, rank = event_ranks(ranked, trie)
    for index, node in enumerate(ranked.node.tolist()):
        prefix = tuple(trie.path(node))
        mine = row == index
        order = naive.event_ranking(instance.law(prefix), instance.end_tokens)
        cutoffs = np.arange(1, len(order) + 1)
        precision, recall = local_curve(rank[mine], trie.weight[child[mine]], cutoffs)
        valid = naive.valid_events(instance.answers, prefix)
        for k in cutoffs:
            assert precision[k - 1] == pytest.approx(naive.local_precision(order[:k], valid))
            assert recall[k - 1] == pytest.approx(naive.local_recall(order[:k], instance.answers, prefix))
