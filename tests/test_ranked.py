"""Ranks and sketches against a sorted list."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import naive
import strategies as some
from breadth.errors import NumericalError
from breadth.events import event_ranks
from breadth.ranked import HEAD, NAMED, Ranked, rank_logits, segment_mean, tail_ranks
from breadth.trie import build_trie

ROOT_ONLY = build_trie([(0,)], [0], n_answers=1)


def ranked_rows(logits: NDArray[np.float32], **sizes: int) -> Ranked:
    return rank_logits(np.zeros(len(logits), dtype=np.int64), logits, ROOT_ONLY, **sizes)


@settings(max_examples=100, deadline=None)
@given(some.instances(forbidden=True))
def test_valid_tokens_know_their_standing(instance: some.Instance) -> None:
    trie = instance.trie()
    for ranked in instance.blocks(trie):
        for row, node in enumerate(ranked.node):
            logits = instance.logits[tuple(trie.path(int(node)))]
            order = sorted(range(len(logits)), key=lambda token: (-logits[token], token))
            span = slice(ranked.valid_start[row], ranked.valid_start[row + 1])
            seen = []
            for index in range(span.start, span.stop):
                token = int(ranked.valid_token[index])
                child, rank = int(ranked.valid_node[index]), int(ranked.valid_rank[index])
                assert trie.parent[child] == node
                assert token in naive.tokens_of(int(trie.token[child]), instance.end_tokens)
                assert ranked.valid_logit[index] == logits[token]
                assert rank == order.index(token) + 1
                assert ranked.valid_above[index] == sum(logits > logits[token])
                assert ranked.valid_ties[index] == sum(logits == logits[token])
                seen.append((child, rank))
            assert seen == sorted(seen)
            assert len(seen) == sum(
                len(naive.tokens_of(event, instance.end_tokens))
                for event in naive.valid_events(instance.answers, tuple(trie.path(int(node))))
            )
            finite = logits[np.isfinite(logits)].astype(np.float64)
            assert ranked.std_logit[row] == pytest.approx(finite.std(), abs=1e-6)
            assert ranked.max_logit[row] == logits.max()
            m = ranked.head_token.shape[1]
            assert ranked.head_token[row].tolist() == order[:m]
            assert ranked.head_logit[row].tolist() == logits[order].tolist()


@settings(max_examples=100, deadline=None)
@given(some.instances())
def test_the_event_ranking_counts_the_end_once(instance: some.Instance) -> None:
    trie = instance.trie()
    for ranked in instance.blocks(trie):
        row, child, rank = event_ranks(ranked, trie)
        found = {(int(ranked.node[r]), int(c)): int(k) for r, c, k in zip(row, child, rank, strict=True)}
        expected = {}
        for node in ranked.node.tolist():
            prefix = tuple(trie.path(node))
            events = naive.event_ranking(instance.law(prefix), instance.end_tokens)
            for below in trie.children(node).tolist():
                expected[node, below] = events.index(int(trie.token[below])) + 1
        assert found == expected
        assert np.all(np.diff(row) >= 0)


def test_ties_rank_by_token_id() -> None:
    trie = build_trie([(4,), (2,), (0,)], [0, 1, 2], n_answers=3)
    ranked = rank_logits(np.array([0]), np.array([[1, 3, 1, 0, 1]], dtype=np.float32), trie)
    assert dict(zip(ranked.valid_token.tolist(), ranked.valid_rank.tolist(), strict=True)) == {
        0: 2,
        2: 3,
        4: 4,
    }
    assert set(ranked.valid_ties.tolist()) == {3}
    assert set(ranked.valid_above.tolist()) == {1}
    assert ranked.head_token[0].tolist() == [1, 0, 2, 4, 3]


@pytest.mark.parametrize("bad", [[np.nan, 0, 1], [0, np.inf, 1], [-np.inf] * 3, [np.nan] * 3])
def test_unusable_logits_are_refused(bad: list[float]) -> None:
    trie = build_trie([(0, 1), (2,)], [0, 1], n_answers=2)
    logits = np.array([[0, 1, 2], bad], dtype=np.float32)
    with pytest.raises(NumericalError, match=r"after the answer tokens \[0\]") as caught:
        rank_logits(trie.prefixes, logits, trie)
    assert caught.value.exit_status == 1
    assert "\n" not in str(caught.value)


@settings(max_examples=40, deadline=None)
@given(some.instances(forbidden=True), st.data())
def test_take_and_concatenate(instance: some.Instance, data: st.DataObject) -> None:
    trie = instance.trie()
    whole = Ranked.concatenate(instance.blocks(trie))
    rows = np.array(data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=6)))
    taken = whole.take(rows)
    again = Ranked.concatenate([whole.take(rows[[index]]) for index in range(len(rows))])
    for part in (taken, again):
        assert len(part) == len(rows)
        for index, row in enumerate(rows):
            np.testing.assert_array_equal(part.head_logit[index], whole.head_logit[row])
            mine = slice(part.valid_start[index], part.valid_start[index + 1])
            theirs = slice(whole.valid_start[row], whole.valid_start[row + 1])
            for column in (
                "valid_node",
                "valid_token",
                "valid_logit",
                "valid_rank",
                "valid_above",
                "valid_ties",
            ):
                np.testing.assert_array_equal(getattr(part, column)[mine], getattr(whole, column)[theirs])
    assert taken.nbytes == again.nbytes


# The tail


@pytest.mark.parametrize("vocab", [1, 10, HEAD, HEAD + 1, HEAD + 2, 5000, 49_152, 262_144])
def test_segments_cover_the_tail(vocab: int) -> None:
    ends = tail_ranks(vocab)
    if vocab <= HEAD:
        assert len(ends) == 0
    else:
        assert ends[-1] == vocab
        assert ends[0] > HEAD
        assert (np.diff(ends) > 0).all()
    assert len(ends) < 700


@pytest.mark.parametrize("vocab", [5000, 20_000])
def test_knots_are_exact(vocab: int) -> None:
    logits = np.random.default_rng(0).normal(0, 3, (2, vocab)).astype(np.float32)
    ranked = ranked_rows(logits)
    descending = -np.sort(-logits, axis=1)
    np.testing.assert_array_equal(ranked.head_logit, descending[:, :HEAD])
    np.testing.assert_array_equal(ranked.tail_logit, descending[:, tail_ranks(vocab) - 1])
    expected = (descending[:, :1].astype(np.float64) - descending)[:, ranked.knot_rank - 1]
    np.testing.assert_array_equal(ranked.knot_gap, expected)
    np.testing.assert_allclose(ranked.std_logit, logits.astype(np.float64).std(axis=1), rtol=1e-9)
    named = np.argsort(-logits, axis=1, kind="stable")[:, :NAMED]
    np.testing.assert_array_equal(ranked.head_token, named)


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 50))
def test_segment_mean_is_the_mean_of_an_exponential(drop: float) -> None:
    x = (np.arange(20_000) + 0.5) / 20_000
    assert segment_mean(np.array(drop)) == pytest.approx(np.exp(-x * drop).mean(), rel=1e-5)


def test_segment_mean_near_its_limits() -> None:
    drop = np.array([0.0, 1e-300, 1e-12, 1e-8, 1.0000001e-8, 1e6])
    found = segment_mean(drop)
    assert found[:5] == pytest.approx(1 - drop[:5] / 2, abs=1e-14)
    assert found[5] == pytest.approx(1e-6)


@settings(max_examples=40, deadline=None)
@given(some.logit_rows(vocab=st.integers(2, 40)), st.data())
def test_spread_in_the_head(logits: NDArray[np.float32], data: st.DataObject) -> None:
    n_finite = int(np.isfinite(logits).sum())
    low = data.draw(st.integers(0, n_finite - 1))
    high = data.draw(st.integers(low + 1, n_finite))
    ranked = ranked_rows(logits)
    inside = np.sort(logits[0].astype(np.float64))[::-1][low:high]
    assert ranked.spread(np.array([low]), np.array([high]))[0] == pytest.approx(inside.std(), abs=1e-5)


@pytest.mark.parametrize("padding", [0, 3000])
@pytest.mark.parametrize(("low", "high"), [(0, 20_000), (0, 10_001), (5, 4500), (3000, 19_990), (6000, 9000)])
def test_spread_in_the_tail(low: int, high: int, padding: int) -> None:
    logits = np.random.default_rng(1).normal(0, 3, (1, 20_000)).astype(np.float32)
    logits = np.pad(logits, ((0, 0), (0, padding)), constant_values=-np.inf)
    inside = np.sort(logits[0].astype(np.float64))[::-1][low:high]
    found = ranked_rows(logits).spread(np.array([low]), np.array([high]))[0]
    # Segments are finest at the vocabulary's own end, and less fine where padding moves it.
    assert found == pytest.approx(inside.std(), rel=1e-2 if padding else 1e-3)


@settings(max_examples=30, deadline=None)
@given(some.instances(forbidden=True))
def test_a_small_head_keeps_the_same_standing(instance: some.Instance) -> None:
    """Valid tokens are exact whatever the head's size."""
    trie = instance.trie()
    nodes = trie.prefixes
    logits = np.stack([instance.logits[tuple(trie.path(int(node)))] for node in nodes])
    small, large = (rank_logits(nodes, logits, trie, head=head, named=1) for head in (1, 10**6))
    assert small.head_logit.shape[1] == 1
    for column in ("valid_rank", "valid_above", "valid_ties", "valid_logit", "std_logit"):
        np.testing.assert_array_equal(getattr(small, column), getattr(large, column))
    assert math.isclose(small.max_logit[0], large.max_logit[0])
