"""Cumulative mass against sums over the sorted vocabulary."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import strategies as some
from breadth.mass import Mass, Masses, bisect_rows
from breadth.ranked import HEAD, Ranked, rank_logits
from breadth.trie import build_trie

ROOT_ONLY = build_trie([(0,)], [0], n_answers=1)

SHAPES = ["normal", "heavy", "flat", "zipf", "steep"]


def ranked_rows(logits: NDArray[np.float32], head: int = HEAD) -> Ranked:
    return rank_logits(np.zeros(len(logits), dtype=np.int64), logits, ROOT_ONLY, head=head)


def wide(shape: str, vocab: int = 20_000, rows: int = 2) -> NDArray[np.float32]:
    """Logits that reach far beyond the head."""
    random = np.random.default_rng(3)
    size = (rows, vocab)
    logits = {
        "normal": lambda: random.normal(0, 2, size),
        "heavy": lambda: 2 * random.standard_t(4, size),
        "flat": lambda: random.normal(0, 0.1, size),
        "zipf": lambda: -1.1 * np.log(np.arange(1, vocab + 1)) + random.normal(0, 0.1, size),
        "steep": lambda: 40 * random.random(size) ** 3,
    }[shape]()
    return logits.astype(np.float32)


class Exact:
    """The same answers from the full sorted vocabulary."""

    def __init__(self, logits: NDArray[np.float32], beta: float) -> None:
        descending = -np.sort(-logits.astype(np.float64), axis=1)
        self.gap = descending[:, :1] - descending
        self.weight = np.exp(-beta * self.gap)
        self.cumulative = np.cumsum(self.weight, axis=1)

        self.beta = beta

    def entropies(self, low: NDArray[np.int64], high: NDArray[np.int64]) -> list[float]:
        return [self.entropy(row, a, z) for row, (a, z) in enumerate(zip(low, high, strict=True))]

    def entropy(self, row: int, low: int, high: int) -> float:
        gap = self.gap[row, low:high]
        part = np.exp(-self.beta * (gap - gap[0]))
        part /= part.sum()
        return float(-(part * np.log(np.where(part > 0, part, 1))).sum())


@settings(max_examples=100, deadline=None)
@given(some.logit_rows(rows=3), some.TEMPERATURES, st.data())
def test_in_the_head_everything_is_exact(logits: NDArray[np.float32], t: float, data: st.DataObject) -> None:
    ranked = ranked_rows(logits)
    mass, exact = Mass(ranked, 1 / t), Exact(logits, 1 / t)
    vocab = logits.shape[1]
    np.testing.assert_allclose(mass.total, exact.cumulative[:, -1], rtol=1e-12)
    rank = np.array([data.draw(st.integers(1, vocab)) for _ in logits])
    rank = np.minimum(rank, np.isfinite(logits).sum(axis=1))  # forbidden tokens have no place
    rows = np.arange(len(logits))
    np.testing.assert_allclose(mass.upto(rank), exact.cumulative[rows, rank - 1], rtol=1e-12)
    assert (mass.upto(np.zeros_like(rank)) == 0).all()
    gap = mass.gap_at(rank)
    np.testing.assert_array_equal(gap, exact.gap[rows, rank - 1])
    np.testing.assert_array_equal(mass.above(gap), (exact.gap <= gap[:, None]).sum(axis=1))
    assert (mass.above(np.full(len(rows), -1e-9)) == 0).all()
    low = np.array([data.draw(st.integers(0, k - 1)) for k in rank])
    # Windows below the top are summed from their own top, or nothing would be left of a small one.
    found = Masses(ranked).at(1 / t, low).entropy(low, rank)
    np.testing.assert_allclose(found, exact.entropies(low, rank), atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(some.logit_rows(rows=3, forbidden=False), some.TEMPERATURES, st.floats(1e-6, 1))
def test_reach_is_the_inverse_of_upto(logits: NDArray[np.float32], t: float, share: float) -> None:
    mass = Mass(ranked_rows(logits), 1 / t)
    target = share * mass.total
    rank = mass.reach(target)
    assert (mass.upto(rank) >= target).all()
    assert (mass.upto(rank - 1) < target).all()


@pytest.mark.parametrize("head", [1, 2, 5, 10**6])
def test_a_target_beyond_the_total_reaches_the_whole_vocabulary(head: int) -> None:
    mass = Mass(ranked_rows(np.array([[1, 2, 0, 0.5, -1]], dtype=np.float32), head), 1.0)
    assert mass.reach(mass.total * 1.1).tolist() == [5]
    assert mass.reach(np.nextafter(mass.total, np.inf)).tolist() == [5]


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_bisect_rows_is_searchsorted(data: st.DataObject) -> None:
    b, k = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 9))
    random = np.random.default_rng(data.draw(some.SEEDS))
    rows = np.sort(random.integers(0, 6, (b, k)).astype(np.float64), axis=1)
    value = random.integers(-1, 8, b) / data.draw(st.sampled_from([1, 2]))
    for side in ("left", "right"):
        expected = [np.searchsorted(row, v, side=side) for row, v in zip(rows, value, strict=True)]  # type: ignore[call-overload]
        assert bisect_rows(rows, value, side=side).tolist() == expected


def test_masses_remembers_the_last_few() -> None:
    masses = Masses(ranked_rows(wide("normal", vocab=10)), remember=2)
    first = masses.at(1.0)
    assert masses.at(1.0) is first
    masses.at(0.5)
    assert masses.at(1.0) is first
    masses.at(0.25)
    masses.at(0.125)
    assert masses.at(1.0) is not first
    np.testing.assert_array_equal(masses.at(1.0).total, first.total)


# The tail

TEMPERATURES = [0.1, 0.3, 1.0, 2.0, 5.0]


@pytest.mark.parametrize("t", [0.001, 0.01, *TEMPERATURES, 1000.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_normaliser_and_the_entropy(shape: str, t: float) -> None:
    logits = wide(shape)
    mass, exact = Mass(ranked_rows(logits), 1 / t), Exact(logits, 1 / t)
    np.testing.assert_allclose(mass.total, exact.cumulative[:, -1], rtol=3e-6)
    whole = np.full(len(logits), logits.shape[1])
    nothing = np.zeros_like(whole)
    found = mass.entropy(nothing, whole)
    np.testing.assert_allclose(found, exact.entropies(nothing, whole), rtol=0, atol=2e-6)


@pytest.mark.parametrize("t", [0.001, 0.01, *TEMPERATURES, 1000.0])
@pytest.mark.parametrize("bottom", [-60.0, -np.inf])
def test_a_cliff_in_the_tail(bottom: float, t: float) -> None:
    """A vocabulary whose last part is padding: as low as never trained, or forbidden."""
    logits = wide("normal")
    logits[:, 15_001:] = bottom  # of 20,000
    ranked = ranked_rows(logits)
    mass, exact = Mass(ranked, 1 / t), Exact(logits, 1 / t)
    whole = ranked.n_finite.astype(np.int64)
    assert whole.tolist() == [15_001 if np.isinf(bottom) else 20_000] * 2
    tolerance = 1e-4 if np.isinf(bottom) else 1e-3
    np.testing.assert_allclose(mass.total, exact.cumulative[:, -1], rtol=tolerance)
    found = mass.entropy(np.zeros_like(whole), whole)
    expected = exact.entropies(np.zeros_like(whole), whole)
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    for rank in (4096, 9000, 14_900, 15_001):
        upto = mass.upto(np.full(2, rank)) / mass.total
        np.testing.assert_allclose(upto, exact.cumulative[:, rank - 1] / exact.cumulative[:, -1], atol=1e-3)


@pytest.mark.parametrize("t", TEMPERATURES)
@pytest.mark.parametrize("shape", SHAPES)
def test_mass_up_to_a_rank_in_the_tail(shape: str, t: float) -> None:
    logits = wide(shape)
    mass, exact = Mass(ranked_rows(logits), 1 / t), Exact(logits, 1 / t)
    for rank in (1, 10, 4095, 4096, 4097, 4138, 5000, 9999, 15_000, 19_990, 19_999, 20_000):
        found = mass.upto(np.full(len(logits), rank)) / mass.total
        expected = exact.cumulative[:, rank - 1] / exact.cumulative[:, -1]
        np.testing.assert_allclose(found, expected, atol=1e-4 if rank > HEAD else 3e-6)


@pytest.mark.parametrize("t", TEMPERATURES)
@pytest.mark.parametrize("shape", SHAPES)
def test_inverses_in_the_tail(shape: str, t: float) -> None:
    logits = wide(shape)
    ranked = ranked_rows(logits)
    mass, exact = Mass(ranked, 1 / t), Exact(logits, 1 / t)
    vocab = logits.shape[1]
    total = exact.cumulative[:, -1]
    for share in (0.1, 0.5, 0.9, 0.99, 0.9999):
        target = share * mass.total
        rank = mass.reach(target)
        assert ((rank >= 1) & (rank <= vocab)).all()
        assert (mass.upto(rank) >= target * (1 - 1e-9)).all()
        assert (mass.upto(rank - 1) < target * (1 + 1e-9)).all()
        # What is truly kept at the rank it gives.
        np.testing.assert_allclose(
            exact.cumulative[range(len(rank)), rank - 1] / total, share, atol=exact_step(exact, rank)
        )
    for rank_value in (1, 4096, 4097, 5001, 12_345, 19_999, 20_000):
        rank = np.full(len(logits), rank_value)
        gap = mass.gap_at(rank)
        np.testing.assert_allclose(np.exp(-gap / t), exact.weight[:, rank_value - 1], rtol=0.05, atol=1e-6)
        above = mass.above(gap)
        true = (exact.gap <= gap[:, None]).sum(axis=1)
        kept = exact.cumulative[range(len(above)), np.maximum(above, 1) - 1]
        kept_true = exact.cumulative[range(len(true)), np.maximum(true, 1) - 1]
        np.testing.assert_allclose(kept / total, kept_true / total, atol=1e-3)
        assert (above >= rank_value - 1).all()


def exact_step(exact: Exact, rank: NDArray[np.int64]) -> float:
    """Kept mass is off by at most 1e-3, and by the one token that crosses the target."""
    share = exact.weight[range(len(rank)), rank - 1] / exact.cumulative[:, -1]
    return float(1e-3 + share.max())


@pytest.mark.parametrize("t", TEMPERATURES)
@pytest.mark.parametrize("shape", SHAPES)
def test_upto_rises_with_the_rank(shape: str, t: float) -> None:
    mass = Mass(ranked_rows(wide(shape, rows=1)), 1 / t)
    sums = np.array([mass.upto(np.array([rank]))[0] for rank in range(4000, 20_001, 37)])
    assert (np.diff(sums) >= 0).all()
    gaps = np.array([mass.gap_at(np.array([rank]))[0] for rank in range(4000, 20_001, 37)])
    assert (np.diff(gaps) >= 0).all()


@pytest.mark.parametrize("t", [0.02, *TEMPERATURES])
@pytest.mark.parametrize("low", [1, 500, 3000])
def test_a_window_below_the_top(low: int, t: float) -> None:
    """Entropy and relative mass of a window, however little it weighs beside the top token."""
    logits = wide("normal")
    starts = np.array([low, low + 1])
    mass, exact = Masses(ranked_rows(logits)).at(1 / t, starts), Exact(logits, 1 / t)
    for high in (low + 2, low + 300, 12_000, 20_000):
        ends = np.full(2, high)
        found = mass.entropy(starts, ends)
        np.testing.assert_allclose(found, exact.entropies(starts, ends), rtol=1e-4, atol=1e-4)
        share = (mass.upto(starts + 1) - mass.upto(starts)) / (mass.upto(ends) - mass.upto(starts))
        for row in range(2):
            gap = exact.gap[row, starts[row] : high]
            assert share[row] == pytest.approx(1 / np.exp(-(gap - gap[0]) / t).sum(), rel=1e-4)


@settings(max_examples=25, deadline=None)
@given(some.logit_rows(rows=2, vocab=st.integers(3, 40), forbidden=False))
def test_a_tiny_head_loses_little(logits: NDArray[np.float32]) -> None:
    """At temperature 1 the correction makes every segment's mass exact, however small the head."""
    mass, exact = Mass(ranked_rows(logits, head=2), 1.0), Exact(logits, 1.0)
    np.testing.assert_allclose(mass.total, exact.cumulative[:, -1], rtol=1e-6)
