"""Measures of ln q(y) against the same formulas in decimal arithmetic of many digits."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import naive
import strategies as some
from breadth.measures import answers as measures


@st.composite
def answer_logps(draw: st.DrawFn, *, max_size: int = 12) -> NDArray[np.float64]:
    """Ln q of the answers: together at most 1, some perhaps −inf, perhaps all far too small for float64."""
    n = draw(st.integers(1, max_size))
    random = np.random.default_rng(draw(some.SEEDS))
    logits = random.normal(0, draw(st.sampled_from([0.0, 1.0, 10.0, 200.0])), n)
    logp = logits - np.logaddexp.reduce(logits) + math.log(draw(st.sampled_from([1.0, 0.9, 0.01])))
    logp -= draw(st.sampled_from([0.0, 0.0, 5000.0]))
    logp[random.random(n) < draw(st.sampled_from([0.0, 0.5]))] = -np.inf
    return logp


ORDERS = st.sampled_from([0.0, 0.1, 0.5, 0.99, 0.99999, 1.0, 1.00001, 1.01, 2.0, 3.0, 50.0, 500.0, math.inf])


@settings(max_examples=200, deadline=None)
@given(answer_logps(), ORDERS)
def test_hill_numbers(logp: NDArray[np.float64], order: float) -> None:
    expected = naive.hill(logp.tolist(), order)
    assert measures.hill_number(logp, order) == pytest.approx(expected, rel=1e-9, nan_ok=True)


@pytest.mark.parametrize("order", [1 + 1e-15, 1 - 1e-15, 1 + 1e-9, 1 - 1e-7, 1 + 2e-6, 1e-12, 1e6])
def test_hill_numbers_near_the_limits_of_the_formula(order: float) -> None:
    logp = np.log([0.5, 0.2, 0.1, 0.01, 1e-30])
    assert measures.hill_number(logp, order) == pytest.approx(naive.hill(logp.tolist(), order), rel=1e-6)


@settings(max_examples=150, deadline=None)
@given(answer_logps())
def test_validity_diversity_and_recall(logp: NDArray[np.float64]) -> None:
    listed = logp.tolist()
    assert measures.validity(logp) == pytest.approx(naive.validity(listed), rel=1e-12)
    assert measures.diversity(logp) == pytest.approx(naive.diversity(listed), rel=1e-9, nan_ok=True)
    assert measures.recall(logp) == naive.recall(listed)
    assert measures.log_validity(logp) == pytest.approx(naive.log_sum(listed))


@settings(max_examples=150, deadline=None)
@given(answer_logps())
def test_hill_numbers_do_not_rise_with_the_order(logp: NDArray[np.float64]) -> None:
    numbers = [measures.hill_number(logp, order) for order in (0, 0.5, 1, 1.5, 2, 10, math.inf)]
    if not np.isfinite(logp).any():
        assert all(map(math.isnan, numbers))
        return
    assert all(more >= less - 1e-12 for more, less in pairwise(numbers))
    assert numbers[0] == pytest.approx(measures.recall(logp))
    assert all(1 / len(logp) <= number <= 1 for number in numbers)
    assert measures.recall(logp) >= measures.diversity(logp) - 1e-12


@settings(max_examples=150, deadline=None)
@given(answer_logps(), st.sampled_from([0, 1, 2, 3, 17, 1000, 10**6, 10**12]))
def test_expected_distinct(logp: NDArray[np.float64], n: int) -> None:
    found = float(measures.expected_distinct(logp, n))
    assert found == pytest.approx(naive.expected_distinct(logp.tolist(), n), rel=1e-9, abs=1e-60)
    assert found <= float(measures.ideal_distinct(len(logp), n)) * (1 + 1e-9)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 50), st.sampled_from([0, 1, 2, 10, 1000]))
def test_the_ideal_is_uniform_and_always_valid(size: int, n: int) -> None:
    uniform = np.full(size, -math.log(size))
    expected = naive.expected_distinct(uniform.tolist(), n)
    assert float(measures.ideal_distinct(size, n)) == pytest.approx(expected, rel=1e-9)


@settings(max_examples=100, deadline=None)
@given(answer_logps())
def test_the_curve_rises_and_flattens(logp: NDArray[np.float64]) -> None:
    found = measures.expected_distinct(logp, range(0, 40))
    ideal = measures.ideal_distinct(len(logp), range(0, 40))
    assert found.shape == ideal.shape == (40,)
    assert found[0] == ideal[0] == 0
    assert found[1] == pytest.approx(measures.validity(logp))
    assert (np.diff(found) >= -1e-12).all()
    assert (np.diff(found, n=2) <= 1e-12).all()
    assert (found <= ideal + 1e-9).all()


def test_expected_distinct_keeps_the_shape_of_n() -> None:
    logp = np.log([0.5, 0.25])
    assert measures.expected_distinct(logp, [[1, 2], [3, 4]]).shape == (2, 2)
    assert measures.expected_distinct(logp, 1).shape == ()
    assert measures.ideal_distinct(2, [1, 2, 3]).shape == (3,)
    assert measures.ideal_distinct(1, [0, 1, 2]).tolist() == [0, 1, 1]


@settings(max_examples=150, deadline=None)
@given(answer_logps(max_size=6), st.sampled_from([0.1, 0.25, 0.5, 0.9]))
def test_the_fewest_samples_for_a_share(logp: NDArray[np.float64], share: float) -> None:
    n = measures.samples_for_distinct(logp, share)
    target = share * len(logp)
    listed = logp.tolist()
    if n is None:
        surviving = sum(value > -math.inf for value in listed)
        certain = sum(value == 0 for value in listed)
        most = naive.expected_distinct(listed, 10**16)
        assert most < target or (certain < target and surviving <= target)
    else:
        assert naive.expected_distinct(listed, n) >= target * (1 - 1e-12)
        assert n == 1 or naive.expected_distinct(listed, n - 1) < target * (1 + 1e-12)


@pytest.mark.parametrize(
    ("q", "share", "expected"),
    [
        ([0.25, 0.25, 0, 0], 0.5, None),  # the expectation tends to 2 and stays below it
        ([0.25, 0.25, 0, 0], 0.49, 14),
        ([0.5, 0.5], 1.0, None),
        ([1.0, 0, 0, 0], 0.25, 1),
        ([1.0, 0, 0, 0], 0.26, None),
        ([0.0, 0.0], 0.1, None),
        ([1.0], 1.0, 1),
        ([0.5, 0.5], 0.5, 1),
    ],
)
def test_shares_that_are_never_reached(q: list[float], share: float, expected: int | None) -> None:
    with np.errstate(divide="ignore"):
        logp = np.log(np.array(q))
    assert measures.samples_for_distinct(logp, share) == expected


def test_no_answer_at_all() -> None:
    logp = np.full(3, -np.inf)
    assert measures.validity(logp) == measures.recall(logp) == 0
    assert measures.log_validity(logp) == -np.inf
    assert math.isnan(measures.diversity(logp))
    assert measures.expected_distinct(logp, 100) == 0


def test_a_validity_below_float64_still_has_a_diversity() -> None:
    logp = np.array([-4000.0, -4000.0, -4001.0])
    assert measures.validity(logp) == 0
    assert measures.log_validity(logp) == pytest.approx(-4000 + math.log(2 + math.exp(-1)))
    assert measures.diversity(logp) == pytest.approx(naive.diversity(logp.tolist()))
    assert measures.recall(logp) == 1


def test_rounding_does_not_pass_1() -> None:
    logp = np.log(np.full(10, 0.1)) + 1e-15
    assert measures.validity(logp) == 1
    assert measures.diversity(logp) <= 1
