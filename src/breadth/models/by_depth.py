"""Level by level with copied states: for models with recurrent layers, whose state cannot be taken apart.

Nodes of the same depth run as one batch, each with the state its parent left. Chunks of a level are
worked off depth first, so that at most one chunk of states per level is alive.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from breadth.models.network import Network
from breadth.models.packed import BLOCK_LOGITS, BLOCK_TOKENS
from breadth.trie import Trie

__all__ = ["STATE_BYTES", "walk"]

STATE_BYTES = 1 << 29
"""The most memory for states that are kept at one time: 512 MB."""


def walk(
    network: Network, prompt: Sequence[int], trie: Trie, *, chunk: int | None = None
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Logits at every prefix, as `Model.walk` gives them, each token computed once.

    Args:
        network: the model.
        prompt: token ids, not empty.
        trie: whose prefixes are walked.
        chunk: the most nodes in a batch; chosen by memory if not given.
    """
    logits, state = network(np.asarray([prompt]), use_cache=True)
    yield np.zeros(1, dtype=np.int64), logits[:, -1]
    if chunk is None:
        each = max(_nbytes(state) * int(trie.depth.max()), 1)
        chunk = max(min(BLOCK_TOKENS, BLOCK_LOGITS // logits.shape[-1], STATE_BYTES // each), 1)

    waiting = _chunks(trie, state, np.zeros(1, dtype=np.int64), chunk)
    while waiting:
        state, row, nodes = waiting.pop()
        state = _branch(state, network.tensor(row))
        logits, state = network(trie.token[nodes][:, None], cache=state, use_cache=True)
        yield nodes, logits[:, -1]
        waiting += _chunks(trie, state, nodes, chunk)


def _chunks(
    trie: Trie, state: Any, batch: NDArray[np.int64], chunk: int
) -> list[tuple[Any, NDArray[np.int64], NDArray[np.int64]]]:
    """The inner children of a batch of nodes, the last chunk first.

    Each chunk is the batch's state, the row of it from which each child goes on, and the children. The
    state lives as long as a chunk waits for it.
    """
    row = np.repeat(np.arange(len(batch)), trie.n_children[batch])
    child = np.concatenate([trie.children(int(node)) for node in batch])
    inner = trie.answer[child] < 0
    row, child = row[inner], child[inner]
    starts = range(0, len(child), chunk)
    return [(state, row[first : first + chunk], child[first : first + chunk]) for first in reversed(starts)]


def _branch(state: Any, rows: torch.Tensor) -> Any:
    """A state of its own for every one of `rows`, which may repeat; `state` stays as it is."""
    twin = copy.copy(state)
    twin.layers = [_shallow(layer) for layer in state.layers]
    with torch.inference_mode():
        twin.reorder_cache(rows)  # which gathers into new tensors
    return twin


def _shallow(layer: Any) -> Any:
    twin = copy.copy(layer)
    for name, value in vars(layer).items():
        if isinstance(value, dict):  # of tensors, one for each state of the layer
            setattr(twin, name, dict(value))
    return twin


def _nbytes(state: Any) -> int:
    """Bytes of one batch's states."""
    total = 0
    for layer in state.layers:
        for value in vars(layer).values():
            for part in value.values() if isinstance(value, dict) else (value,):
                if isinstance(part, torch.Tensor):
                    total += part.nbytes
    return total
