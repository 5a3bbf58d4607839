"""Which way of running a trie gives a model's own numbers, fastest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from breadth.errors import ModelError
from breadth.models import by_depth, packed
from breadth.models.network import Network
from breadth.models.packed import Masks, masks_for
from breadth.trie import Trie, build_trie

__all__ = ["PathName", "Walk", "choose_path"]

PathName = Literal["packed", "by-depth", "one-by-one"]
"""How the prefixes of a trie are run."""

Blocks = Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]
Walk = Callable[[Sequence[int], Trie], Blocks]

# Largest total variation between a path and plain runs. Rounding differs between the two: by about 1e-5
# in float32, by some hundredths in half precision. A wrong mask or state moves far more.
_TOLERANCE = {4: 1e-3, 2: 0.1}


def choose_path(network: Network, wanted: PathName | None = None) -> tuple[PathName, Walk | None]:
    """The fastest path that agrees with plain runs on a tiny trie, and its walk.

    The walk is None for one prefix at a time, which is how every model can be run.

    Args:
        network: the model.
        wanted: this path or none.

    Raises:
        ModelError: the wanted path does not work with this model.
    """
    paths: list[tuple[PathName, Walk, Walk]] = [
        (
            "packed",
            partial(_packed, network, masks),
            partial(packed.walk, network, masks=masks, block_tokens=3),
        )
        for masks in masks_for(network)
    ]
    paths.append(("by-depth", partial(by_depth.walk, network), partial(by_depth.walk, network, chunk=2)))
    for name, walk, small_walk in paths:
        if wanted in (None, name) and _agrees(network, small_walk):
            network.tokens_computed = 0
            return name, walk
    if wanted not in (None, "one-by-one"):
        raise ModelError(f"path={wanted!r} does not give this model's own numbers; leave the choice open")
    network.tokens_computed = 0
    return "one-by-one", None


def _packed(network: Network, masks: Masks, prompt: Sequence[int], trie: Trie) -> Blocks:
    if masks.longest is not None and len(prompt) + int(trie.depth.max()) > masks.longest:
        return by_depth.walk(network, prompt, trie)
    return packed.walk(network, prompt, trie, masks)


def _agrees(network: Network, walk: Walk) -> bool:
    """Whether a path gives, on a tiny trie with several blocks, what plain runs give."""
    ids = np.linspace(0, network.vocab_size - 1, 9).astype(int).tolist()[1:-1]
    prompt, (a, b, c, d) = ids[:3], ids[3:]
    answers = [(a, b, d), (a, c, d), (c, b, d)]
    plain, _ = network(np.array([[*prompt, *answer[:2]] for answer in answers]), keep=3, use_cache=False)
    trie = build_trie(answers, [0, 1, 2], n_answers=3)
    try:
        by_path = {
            tuple(trie.path(int(node))): row
            for nodes, logits in walk(prompt, trie)
            for node, row in zip(nodes, logits.copy(), strict=True)
        }
    except Exception:  # an architecture may refuse masks, positions or copied states in any way
        return False
    distance = max(
        _total_variation(plain[i, depth], by_path[answer[:depth]])
        for i, answer in enumerate(answers)
        for depth in range(3)
    )
    return distance <= _TOLERANCE[network.dtype.itemsize]


def _total_variation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    p, q = (_softmax(logits.astype(np.float64)) for logits in (one, other))
    return float(np.abs(p - q).sum() / 2)


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.exp(logits - logits.max())
    return np.asarray(weights / weights.sum())
