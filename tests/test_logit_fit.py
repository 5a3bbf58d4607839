"""The fit of sorted logits against trying every break and a dense range of shifts, one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import strategies as some
from breadth.catalog import load_task
from breadth.encoding import encode
from breadth.measures.logit_fit import FARTHEST, NEAREST, LogitFit, fit_logits
from breadth.ranked import Ranked, rank_logits
from breadth.trie import build_trie

Floats = NDArray[np.float64]

ROOT_ONLY = build_trie([(0,)], [0], n_answers=1)


def ranked_rows(logits: NDArray[Any], **sizes: int) -> Ranked:
    rows = np.atleast_2d(logits).astype(np.float32)
    return rank_logits(np.zeros(len(rows), dtype=np.int64), rows, ROOT_ONLY, **sizes)


def sorted_logits(logits: NDArray[Any]) -> Floats:
    return np.sort(logits[np.isfinite(logits)].astype(np.float32).astype(np.float64))[::-1]


def line_error(x: Floats, y: Floats) -> float:
    design = np.stack([x, np.ones_like(x)], axis=1)
    return float(((y - design @ np.linalg.lstsq(design, y)[0]) ** 2).sum())


def least_error(logits: NDArray[Any]) -> float:
    """Sum of squares of the best fit: every c, and for each a dense search of C made finer four times."""
    y = sorted_logits(logits)
    y = y - y[0]
    n = len(y)
    k = np.arange(1, n + 1)
    errors = []
    for c in range(2, n - 2):
        low, high = np.log(NEAREST), np.log(FARTHEST * n + c + 1)
        for _ in range(5):
            places = np.linspace(low, high, 60)
            tails = [line_error(np.log(k[c:] + np.exp(place) - c - 1), y[c:]) for place in places]
            best = int(np.argmin(tails))
            low, high = places[max(best - 1, 0)], places[min(best + 1, 59)]
        errors.append(line_error(k[:c], y[:c]) + min(tails))
    return min(errors)


def piecewise(n: int, c: int, shift: float, drop: float = 0.0, slope: float = -0.25) -> Floats:
    """A curve of the family, falling throughout."""
    k = np.arange(1, n + 1)
    tail = 10.0 - drop - 1.5 * np.log((k + shift) / (c + 1 + shift), where=k > c, out=np.zeros(n))
    return np.where(k <= c, 10.0 + slope * (k - c), tail)


def residual_error(fit: LogitFit, row: int, logits: NDArray[Any]) -> float:
    y = sorted_logits(logits)
    return float(((y - fit.at(row, np.arange(1, len(y) + 1))) ** 2).sum())


@pytest.mark.parametrize("seed", range(24))
def test_no_fit_is_better(seed: int) -> None:
    random = np.random.default_rng(seed)
    n = int(random.integers(5, 16))
    logits = [
        random.normal(0, 3, n),
        np.round(random.normal(0, 2, n)),
        -2 * np.log(random.random(n)),
        np.cumsum(random.standard_t(2, n)),
    ][seed % 4]
    fit = fit_logits(ranked_rows(logits))
    y = sorted_logits(logits)
    assert fit.mse[0] * n <= least_error(logits) * (1 + 1e-6) + 1e-12 * n * y.var()


@settings(max_examples=60, deadline=None)
@given(some.logit_rows(rows=3, vocab=st.integers(1, 30)))
def test_the_numbers_are_those_of_the_curve(logits: NDArray[np.float32]) -> None:
    fit = fit_logits(ranked_rows(logits))
    for row, row_logits in enumerate(logits):
        y = sorted_logits(row_logits)
        n = len(y)
        if n < 5:
            assert fit.head_end[row] == 0
            assert np.isnan([fit.slope[row], fit.tail_shift[row], fit.mse[row], fit.r2[row]]).all()
            continue
        assert 2 <= fit.head_end[row] <= n - 3
        assert fit.head_end[row] + 1 + fit.tail_shift[row] >= NEAREST * (1 - 1e-6)
        assert fit.tail_shift[row] <= FARTHEST * n
        assert fit.slope[row] <= 1e-12
        assert fit.tail_slope[row] <= 1e-12
        error = residual_error(fit, row, row_logits)
        assert error == pytest.approx(fit.mse[row] * n, rel=1e-6, abs=1e-9 * n)
        if y[0] > y[-1]:
            assert fit.r2[row] == pytest.approx(1 - error / n / y.var(), abs=1e-7)
            assert fit.r2[row] >= 0
        else:
            assert np.isnan(fit.r2[row])


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(40, 400),
    c=st.integers(3, 25),
    above=st.floats(1.0, 60.0),
    drop=st.floats(0.5, 3.0),
)
def test_a_curve_of_the_family_is_recovered(n: int, c: int, above: float, drop: float) -> None:
    shift = above - c - 1
    fit = fit_logits(ranked_rows(piecewise(n, c, shift, drop)))
    assert fit.head_end[0] == c
    assert fit.r2[0] > 1 - 1e-9
    assert fit.slope[0] == pytest.approx(-0.25, abs=1e-5)
    assert fit.intercept[0] == pytest.approx(10 + 0.25 * c, abs=1e-4)
    assert fit.tail_slope[0] == pytest.approx(-1.5, rel=1e-3)
    assert fit.tail_shift[0] == pytest.approx(shift, abs=1e-3 * (above + n / 40))
    assert fit.tail_level[0] == pytest.approx(10 - drop + 1.5 * np.log(above), rel=1e-3, abs=2e-3)


@settings(max_examples=30, deadline=None)
@given(some.logit_rows(vocab=st.integers(6, 40), forbidden=False), st.sampled_from([-64.0, 8.0, 32.0]))
def test_only_levels_move_with_a_constant(logits: NDArray[np.float32], constant: float) -> None:
    # On a grid that float32 holds wherever it is moved.
    logits = np.round(logits * 1024) / 1024
    here, there = fit_logits(ranked_rows(logits)), fit_logits(ranked_rows(logits + np.float32(constant)))
    assert there.head_end == here.head_end
    np.testing.assert_array_equal(there.tail_shift, here.tail_shift)
    np.testing.assert_array_equal(there.mse, here.mse)
    np.testing.assert_allclose(there.intercept - here.intercept, constant, rtol=1e-9)
    np.testing.assert_allclose(there.tail_level - here.tail_level, constant, rtol=1e-5)


def test_forbidden_tokens_have_no_rank() -> None:
    logits = piecewise(300, 12, 4.0, 1.0)
    banned = np.concatenate([logits, np.full(250, -np.inf)])
    both = np.stack([banned, np.pad(logits, (0, 250), constant_values=-40.0)])
    for head in (5, 100, 550):
        fit = fit_logits(ranked_rows(both, head=head))
        alone = fit_logits(ranked_rows(logits, head=head))
        assert fit.head_end[0] == alone.head_end[0] == 12
        assert fit.mse[0] == pytest.approx(alone.mse[0], abs=1e-6)
        assert fit.r2[1] < fit.r2[0]  # tokens with a finite logit count, however low it is


def test_rows_do_not_depend_on_their_block() -> None:
    logits = np.random.default_rng(3).normal(0, 2, (40, 30))
    together = fit_logits(ranked_rows(logits))
    for row in (0, 17, 39):
        alone = fit_logits(ranked_rows(logits[row]))
        assert together.head_end[row] == alone.head_end[0]
        assert together.mse[row] == alone.mse[0]


@pytest.mark.parametrize("depth", [3, 60, 333])
def test_depth_cuts_the_ranking(depth: int) -> None:
    logits = -2 * np.log(np.random.default_rng(1).random(2000))
    cut = fit_logits(ranked_rows(sorted_logits(logits)[:depth]))
    deep = fit_logits(ranked_rows(logits), depth=depth)
    np.testing.assert_array_equal(deep.head_end, cut.head_end)
    np.testing.assert_allclose(deep.mse, cut.mse, rtol=1e-9)


def test_the_ranking_may_end_inside_a_segment() -> None:
    logits = -2 * np.log(np.random.default_rng(1).random(20_000))
    cut = sorted_logits(logits)[:15_001]
    banned = np.append(cut, np.full(4_999, -np.inf))
    expected = fit_logits(ranked_rows(cut, head=20_000))
    for fit in (
        fit_logits(ranked_rows(logits, head=300), depth=15_001),
        fit_logits(ranked_rows(banned, head=300)),
    ):
        assert fit.head_end[0] == pytest.approx(expected.head_end[0], rel=0.01, abs=1)
        assert fit.mse[0] == pytest.approx(expected.mse[0], rel=0.01)


@pytest.mark.parametrize(("c", "shift"), [(7, 20.0), (40, -25.0), (6321, 300.0), (18_765, -18_000.0)])
def test_a_sketch_finds_what_all_logits_tell(c: int, shift: float) -> None:
    n = 20_000
    noise = np.random.default_rng(0).normal(0, 0.02, n)
    logits = piecewise(n, c, shift, slope=-6 / c) + noise
    sketch, full = (fit_logits(ranked_rows(logits, head=head)) for head in (256, n))
    assert full.head_end[0] == pytest.approx(c, abs=3)
    assert sketch.head_end[0] == pytest.approx(c, rel=0.01)
    assert sketch.r2[0] == pytest.approx(full.r2[0], abs=1e-3)
    assert residual_error(sketch, 0, logits) / n == pytest.approx(full.mse[0], rel=0.05, abs=1e-5)


@pytest.mark.model
@pytest.mark.parametrize("name", ["smollm2", "gemma3"])
def test_real_models_have_a_short_straight_head(name: str, request: pytest.FixtureRequest) -> None:
    model = request.getfixturevalue(name)
    logits = model.next_logits(encode(load_task("us-states-fewshot"), model).prompt)
    ranked = ranked_rows(logits)
    assert 0.9 < fit_logits(ranked).r2[0] < 1
    top = fit_logits(ranked, depth=4096)
    assert 2 <= top.head_end[0] <= 100
    assert 0.99 < top.r2[0] < 1
