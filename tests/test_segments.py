"""Stretches of a column against plain loops."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from breadth.segments import log_sums, owners, running_maximum, running_sum

VALUES = st.floats(-50, 50) | st.just(-np.inf)


@given(st.lists(st.lists(VALUES, min_size=1, max_size=6), min_size=1, max_size=5))
def test_every_stretch_is_treated_alone(parts: list[list[float]]) -> None:
    values = np.array([value for part in parts for value in part])
    first = np.cumsum([0, *map(len, parts[:-1])])
    np.testing.assert_array_equal(
        owners(first, len(values)), np.repeat(np.arange(len(parts)), list(map(len, parts)))
    )
    np.testing.assert_array_equal(
        running_maximum(values, first), np.concatenate([np.maximum.accumulate(part) for part in parts])
    )
    finite = np.where(np.isfinite(values), values, 0.0)
    np.testing.assert_allclose(
        running_sum(finite, first),
        np.concatenate([np.cumsum(part) for part in np.split(finite, first[1:])]),
        atol=1e-11,
    )
    np.testing.assert_allclose(
        log_sums(values, first), [np.logaddexp.reduce(part) for part in parts], atol=1e-12
    )
