"""Sums and extremes over the stretches of a column; `first` says where each begins, ascending from 0."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["log_sums", "owners", "running_maximum", "running_sum"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def owners(first: Ints, size: int) -> Ints:
    """int64 (size,), the stretch that each entry belongs to."""
    return np.repeat(np.arange(len(first)), np.diff(first, append=size))


def log_sums(values: Floats, first: Ints) -> Floats:
    """ln Σ exp over every stretch; −inf where a stretch has only −inf."""
    top = np.maximum.reduceat(values, first)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return np.log(np.add.reduceat(np.exp(values - top[owners(first, len(values))]), first)) + top


def running_sum(values: Floats, first: Ints) -> Floats:
    """A cumulative sum that starts anew with every stretch."""
    before = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray(before[1:] - before[first][owners(first, len(values))])


def running_maximum(values: Floats, first: Ints) -> Floats:
    """A running maximum that starts anew with every stretch."""
    # In place of values their places in order: whole numbers, so that stretches can be lifted one above the
    # other without rounding.
    levels, level = np.unique(values, return_inverse=True)
    lift = owners(first, len(values)) * len(levels)
    return np.asarray(levels[np.maximum.accumulate(level + lift) - lift])
