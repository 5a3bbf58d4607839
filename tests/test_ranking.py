"""Rankings as columns of the trie, against the definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given

import naive
import strategies as some
from breadth.ranking import event_ranking, token_ranking
from breadth.trie import END


@given(some.instances(forbidden=True), some.TEMPERATURES)
def test_events_stand_where_the_definition_says(instance: some.Instance, temperature: float) -> None:
    trie = instance.trie()
    ranking = event_ranking(trie, instance.blocks(trie), temperature)
    for node in range(1, len(trie)):
        prefix = tuple(trie.path(int(trie.parent[node])))
        law = {token: logit / temperature for token, logit in instance.law(prefix).items()}
        event = int(trie.token[node])
        order = naive.event_ranking(law, instance.end_tokens)
        assert ranking.n_events[trie.parent[node]] == len(order)
        if event not in order:
            assert ranking.logp[node] == -math.inf
            continue
        assert ranking.rank[node] == order.index(event) + 1
        mixture = [(1.0, law)]
        logps = [
            naive.event_logp(mixture, each, instance.end_tokens) for each in order[: order.index(event) + 1]
        ]
        assert ranking.logp[node] == pytest.approx(logps[-1], abs=1e-9)
        assert ranking.cumulative_logp[node] == pytest.approx(naive.log_sum(logps), abs=1e-9)


@given(some.instances(forbidden=True))
def test_tokens_stand_one_by_one(instance: some.Instance) -> None:
    trie = instance.trie()
    tokens = token_ranking(trie, instance.blocks(trie))
    for index, node in enumerate(trie.prefixes):
        prefix = tuple(trie.path(int(node)))
        order = naive.ranking(instance.law(prefix))
        expected = []
        for child in trie.children(int(node)).tolist():
            event = int(trie.token[child])
            spelled = instance.end_tokens if event == END else [event]
            expected += [(order.index(token) + 1, child) for token in spelled if token in order]
        here = slice(tokens.start[index], tokens.start[index + 1])
        found = list(zip(tokens.rank[here].tolist(), tokens.child[here].tolist(), strict=True))
        assert found == sorted(expected)
        assert tokens.n_tokens[index] == len(order)
    assert np.diff(tokens.start).sum() == len(tokens.rank)
