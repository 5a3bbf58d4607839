"""Losses by prefix against conditional laws summed over all sequences, and the two totals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given

import naive
import strategies as some
from breadth.measures.attribution import attribute
from breadth.outcome import outcomes
from breadth.rules import parse_rule


@given(some.instances(forbidden=True), some.PIPELINES)
def test_the_losses_add_up_and_are_what_the_conditional_laws_give(
    instance: some.Instance, steps: list[naive.Step]
) -> None:
    trie = instance.trie()
    (outcome,) = outcomes(trie, instance.blocks(trie), [some.rule_of(steps)])
    found = attribute(trie, outcome.edge_logp)
    if outcome.validity == 0.0:
        assert np.isnan(found.validity_lost).all() == np.isneginf(outcome.answer_logp).all()
        return
    assert (found.validity_lost >= 0).all()
    assert (found.diversity_lost >= 0).all()
    assert found.validity_lost.sum() == pytest.approx(-math.log(outcome.validity), abs=1e-9)
    lost = found.diversity_lost.sum() - found.surface_term
    assert lost == pytest.approx(-math.log(outcome.diversity), abs=1e-9)

    # The law of a valid generation, from the probabilities of whole sequences.
    mass = dict(zip(map(int, trie.leaves), np.exp(outcome.reach_logp[trie.leaves]), strict=True))
    paths = {leaf: _ancestors(trie.parent, leaf) for leaf in mass}
    total = math.fsum(mass.values())
    through = [
        math.fsum(m for leaf, m in mass.items() if node in paths[leaf]) / total for node in range(len(trie))
    ]
    np.testing.assert_allclose(found.reach, through, atol=1e-9)
    for node in trie.prefixes.tolist():
        if through[node] < 1e-9:
            continue
        validity = diversity = 0.0
        for child in trie.children(node).tolist():
            p = through[child] / through[node]
            if p > 0:
                validity += p * (math.log(p) - outcome.edge_logp[child])
                diversity += p * math.log(p / (trie.weight[child] / trie.weight[node]))
        assert found.validity_lost[node] == pytest.approx(through[node] * validity, abs=1e-8)
        assert found.diversity_lost[node] == pytest.approx(through[node] * diversity, abs=1e-8)


def _ancestors(parent: np.ndarray, node: int) -> set[int]:
    path = {node}
    while node > 0:
        node = int(parent[node])
        path.add(node)
    return path


def test_by_depth_the_losses_still_add_up() -> None:
    instance = some.Instance(
        answers=(((0, 1),), ((0, 2),), ((1,),)),
        end_tokens=(),
        logits={(): np.float32([2, 1, 0]), (0,): np.float32([1, 0, 2])},
    )
    trie = instance.trie()
    (outcome,) = outcomes(trie, instance.blocks(trie), [parse_rule("temperature=1")])
    found = attribute(trie, outcome.edge_logp)
    by_depth = found.by_depth(found.validity_lost)
    assert len(by_depth) == 2
    assert by_depth.sum() == pytest.approx(-math.log(outcome.validity))
    assert found.surface_term == 0.0


def test_spellings_of_one_answer_are_taken_off_by_the_surface_term() -> None:
    # One answer in two spellings, said 9 to 1: as diverse as can be.
    instance = some.Instance(
        answers=(((0,), (1,)),), end_tokens=(), logits={(): np.float32(np.log([0.9, 0.1]))}
    )
    trie = instance.trie()
    (outcome,) = outcomes(trie, instance.blocks(trie), [parse_rule("temperature=1")])
    found = attribute(trie, outcome.edge_logp)
    assert outcome.diversity == pytest.approx(1.0)
    assert found.surface_term == pytest.approx(0.9 * math.log(1.8) + 0.1 * math.log(0.2), abs=1e-6)
    assert found.diversity_lost.sum() == pytest.approx(found.surface_term)
