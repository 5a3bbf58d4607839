"""The logit fit from sketches, against a plain sweep of least squares on full logits.

The plain sweep solves a least-squares problem for every break c and every C of the same grid. It would take
days, so that a few breaks and values of C are timed and the time is multiplied up: it is linear in both.
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from bench.timing import Row, best_of
from breadth.measures.logit_fit import fit_logits, shift_grid
from breadth.ranked import rank_logits
from breadth.trie import build_trie

VOCABULARIES = (49_152, 262_144)
PREFIXES = 32
SAMPLE = 8  # breaks of the plain sweep that are timed, evenly spaced …
SHIFTS = 2  # … each with so many values of C


def plain_sweep_time(logits: NDArray[np.float32]) -> float:
    """Seconds for one prefix, from a sample of breaks and of values of C."""
    n = len(logits)
    shifts = shift_grid(n)
    k = np.arange(1, n + 1)
    start = time.perf_counter()
    y = np.sort(logits)[::-1].astype(np.float64)
    sort_time = time.perf_counter() - start
    start = time.perf_counter()
    for c in np.linspace(2, n - 3, SAMPLE).astype(np.int64):
        for shift in shifts[-SHIFTS:]:
            np.linalg.lstsq(np.stack([np.ones(n - c), np.log(k[c:] + shift)], axis=1), y[c:])
    tail_time = (time.perf_counter() - start) / SAMPLE / SHIFTS
    start = time.perf_counter()
    for c in np.linspace(2, n - 3, SAMPLE).astype(np.int64):
        np.linalg.lstsq(np.stack([np.ones(c), k[:c]], axis=1), y[:c])
    head_time = (time.perf_counter() - start) / SAMPLE
    return sort_time + (n - 4) * (head_time + tail_time * len(shifts))


def run() -> list[Row]:
    rows = []
    trie = build_trie([(0,)], [0], n_answers=1)
    for vocab_size in VOCABULARIES:
        random = np.random.default_rng(0)
        logits = random.normal(0, 3, (PREFIXES, vocab_size)).astype(np.float32)
        ranked = rank_logits(np.zeros(PREFIXES, dtype=np.int64), logits, trie)
        fit_time = best_of(lambda ranked=ranked: fit_logits(ranked)) / PREFIXES
        top_time = best_of(lambda ranked=ranked: fit_logits(ranked, depth=4096)) / PREFIXES
        name = f"vocabulary of {vocab_size:,}"
        rows += [
            Row(f"{name}: fit of all ranks, per prefix", 1000 * fit_time, "ms"),
            Row(f"{name}: fit of the top 4,096 ranks, per prefix", 1000 * top_time, "ms"),
            Row(f"{name}: plain sweep (multiplied up) / fit", plain_sweep_time(logits[0]) / fit_time, "×"),
        ]
    return rows
