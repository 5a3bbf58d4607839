"""The trie's columns against a list of all sequences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import naive
import strategies as some
from breadth.errors import TaskError
from breadth.trie import END, ROOT, build_trie


@settings(max_examples=150, deadline=None)
@given(some.instances())
def test_columns(instance: some.Instance) -> None:
    trie = instance.trie()
    answers = instance.answers
    paths = [tuple(trie.path(node)) for node in range(len(trie))]
    assert len(set(paths)) == len(paths)
    assert {paths[node] for node in trie.prefixes} == naive.prefixes(answers)
    assert sorted(paths[node] for node in trie.leaves) == sorted(naive.sequences(answers))

    assert trie.parent[0] == -1
    assert trie.token[0] == ROOT
    for node, path in enumerate(paths):
        assert trie.depth[node] == len(path)
        assert trie.weight[node] == pytest.approx(naive.answers_below(answers, path))
        if node:
            assert paths[trie.parent[node]] == path[:-1]
            assert trie.token[node] == path[-1]
        children = trie.children(node)
        if node in trie.leaves:
            assert len(children) == trie.n_children[node] == 0
            assert path in answers[trie.answer[node]]
        else:
            assert trie.answer[node] == -1
            tokens = trie.token[children].tolist()
            assert tokens == sorted(naive.valid_events(answers, path))
            assert trie.n_children[node] == len(tokens)
            assert trie.weight[children].sum() == pytest.approx(trie.weight[node])
    assert trie.weight[0] == pytest.approx(len(answers)) == pytest.approx(trie.n_answers)


@settings(max_examples=80, deadline=None)
@given(some.instances())
def test_depth_first_order(instance: some.Instance) -> None:
    trie = instance.trie()
    paths = [tuple(trie.path(node)) for node in range(len(trie))]
    for node, path in enumerate(paths):
        below = [other for other in range(len(trie)) if paths[other][: len(path)] == path]
        assert below == list(range(node, node + len(below)))


@settings(max_examples=80, deadline=None)
@given(some.instances(), st.randoms(use_true_random=False))
def test_the_order_of_the_sequences_does_not_matter(instance: some.Instance, random: object) -> None:
    pairs = [(s, index) for index, spelled in enumerate(instance.answers) for s in spelled]
    random.shuffle(pairs)  # type: ignore[attr-defined]
    shuffled = build_trie(
        [sequence for sequence, _ in pairs],
        [index for _, index in pairs],
        n_answers=len(instance.answers),
        end_tokens=instance.end_tokens[::-1],
    )
    trie = instance.trie()
    for column in ("parent", "token", "depth", "answer", "end_tokens"):
        np.testing.assert_array_equal(getattr(shuffled, column), getattr(trie, column))
    np.testing.assert_allclose(shuffled.weight, trie.weight)


@settings(max_examples=80, deadline=None)
@given(some.instances(), st.data())
def test_valid_tokens(instance: some.Instance, data: st.DataObject) -> None:
    trie = instance.trie()
    nodes = np.array(data.draw(st.lists(st.sampled_from(trie.prefixes.tolist()), max_size=5)), dtype=np.int64)
    start, token, child = trie.valid_tokens(nodes)
    assert start[0] == 0
    assert start[-1] == len(token) == len(child)
    for row, node in enumerate(nodes):
        span = slice(start[row], start[row + 1])
        expected = [
            (int(below), t)
            for below in trie.children(int(node))
            for t in naive.tokens_of(int(trie.token[below]), instance.end_tokens)
        ]
        assert list(zip(child[span].tolist(), token[span].tolist(), strict=True)) == expected


@settings(max_examples=80, deadline=None)
@given(some.instances(), some.SEEDS)
def test_sums_along_paths_over_children_and_by_answer(instance: some.Instance, seed: int) -> None:
    trie = instance.trie()
    value = np.random.default_rng(seed).normal(size=len(trie))
    value[np.random.default_rng(seed).random(len(trie)) < 0.2] = -np.inf
    by_path = {tuple(trie.path(node)): value[node] for node in range(len(trie))}
    along, over = trie.along_paths(value), trie.over_children(np.exp(value))
    for node in range(len(trie)):
        path = tuple(trie.path(node))
        assert along[node] == pytest.approx(sum(by_path[path[:n]] for n in range(len(path) + 1)))
        if node in trie.leaves:
            assert np.isnan(over[node])
        else:
            events = naive.valid_events(instance.answers, path)
            assert over[node] == pytest.approx(sum(np.exp(by_path[(*path, event)]) for event in events))
    expected = [naive.log_sum(by_path[sequence] for sequence in spelled) for spelled in instance.answers]
    np.testing.assert_allclose(trie.by_answer(value), expected)


def test_nested_answers() -> None:
    trie = build_trie([(5, END), (5, 6, END), (5, 6, 7, END)], [0, 1, 2], n_answers=3, end_tokens=[9, 8])
    assert trie.token.tolist() == [ROOT, 5, END, 6, END, 7, END]
    assert trie.weight.tolist() == [3, 3, 1, 2, 1, 1, 1]
    assert trie.end_tokens.tolist() == [8, 9]


def test_one_token() -> None:
    trie = build_trie([(3,)], [0], n_answers=1)
    assert (len(trie), trie.prefixes.tolist(), trie.leaves.tolist()) == (2, [0], [1])


@pytest.mark.parametrize(
    ("sequences", "message"),
    [
        ([(1,), (1, 2)], "answer 0 cannot be told from answer 1"),
        ([(1, 2), (1, 2)], "cannot be told from"),
        ([(1, 2, 3), (4,), (1, 2)], "cannot be told from"),
        ([()], "needs an end"),
        ([(), (1,)], ""),
    ],
)
def test_answers_that_cannot_be_told_apart(sequences: list[tuple[int, ...]], message: str) -> None:
    with pytest.raises(TaskError) as caught:
        build_trie(sequences, list(range(len(sequences))), n_answers=len(sequences))
    assert all(word in str(caught.value) for word in message.split(" answer ", maxsplit=1)[0].split()[-2:])
    assert "\n" not in str(caught.value)
