"""Fronts and areas against all pairs of points."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breadth.measures.frontier import best_at, frontier_area, pareto_front

COORDINATES = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.8, 0.9, 1.0])

POINTS = st.lists(st.tuples(COORDINATES, COORDINATES | st.just(math.nan)), max_size=10)

Points = list[tuple[float, float]]


def columns(points: Points) -> tuple[np.ndarray, np.ndarray]:
    validity, diversity = np.array(points, dtype=np.float64).reshape(-1, 2).T
    return validity, diversity


@settings(max_examples=200, deadline=None)
@given(POINTS)
def test_the_front_is_what_nothing_beats(points: Points) -> None:
    front = pareto_front(*columns(points)).tolist()
    defined = [point for point in points if not math.isnan(point[1])]
    unbeaten = {
        (v, d) for v, d in defined if not any((w >= v and e >= d and (w, e) != (v, d)) for w, e in defined)
    }
    assert {points[index] for index in front} == unbeaten
    assert len(front) == len(unbeaten)
    assert all(index == points.index(points[index]) for index in front)
    assert front == sorted(front, key=lambda index: -points[index][0])


@settings(max_examples=200, deadline=None)
@given(POINTS, COORDINATES)
def test_the_best_at_a_floor(points: Points, floor: float) -> None:
    best = best_at(*columns(points), floor)
    reached = [d for v, d in points if v >= floor and not math.isnan(d)]
    if best is None:
        assert not reached
    else:
        assert points[best][0] >= floor
        assert points[best][1] == max(reached)


@settings(max_examples=200, deadline=None)
@given(POINTS)
def test_the_area_under_the_steps(points: Points) -> None:
    """Midpoints of a grid that holds every coordinate: the integral itself."""
    thresholds = (np.arange(2000) + 0.5) / 2000
    best = [max((d for v, d in points if v >= t and not math.isnan(d)), default=0.0) for t in thresholds]
    assert frontier_area(*columns(points)) == pytest.approx(float(np.mean(best)), abs=1e-9)
