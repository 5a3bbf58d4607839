"""The whole trie behind the prompt as one sequence: for models whose layers are all attention.

A node's position is the prompt's length plus its depth, and a mask lets it see the prompt, its ancestors
and itself. Prompt and nodes together are one tree whose trunk is the prompt; in depth-first order the
ancestors of a block's nodes lie in the block itself or are ancestors of its first node. So only those
are kept from one block to the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from breadth.models.network import Network
from breadth.trie import Trie

__all__ = ["BLOCK_LOGITS", "BLOCK_TOKENS", "Masks", "masks_for", "walk"]

BLOCK_TOKENS = 512
"""The most tokens in one pass."""

BLOCK_LOGITS = 25_000_000
"""The most logits in one pass: 100 MB of float32."""


@dataclass(frozen=True)
class Masks:
    """How a model wants to be told what each token sees.

    Attributes:
        layer_types: kinds of layers, when it wants a mask for each in a dict; empty when it wants one mask.
        window: how many tokens a sliding layer sees, itself included; None when there is no such layer.
        longest: the most positions for which this is known to be right; None for any number.
    """

    layer_types: frozenset[str] = frozenset()
    window: int | None = None
    longest: int | None = None


def masks_for(network: Network) -> list[Masks]:
    """The ways worth trying with this model; none where some layer is not attention."""
    config = network.config
    if network.stateful:
        return []
    declared = getattr(config, "layer_types", None)
    window = getattr(config, "sliding_window", None)
    if declared is None:
        # Whether layers that nobody declared do slide is not known, so the window is not crossed.
        return [Masks(longest=window)]
    types = frozenset(declared)
    if not types <= {"full_attention", "sliding_attention"}:
        return []
    sliding = window if "sliding_attention" in types else None
    alike = [Masks(window=sliding)] if len(types) == 1 else []
    return [Masks(layer_types=types, window=sliding), *alike]


def walk(
    network: Network,
    prompt: Sequence[int],
    trie: Trie,
    masks: Masks,
    *,
    block_tokens: int = BLOCK_TOKENS,
    block_logits: int = BLOCK_LOGITS,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Logits at every prefix, as `Model.walk` gives them, each token computed once."""
    from transformers import DynamicCache

    tree = _tree(prompt, trie)
    wanted = len(prompt) - 1  # the prompt's last token gives the root's logits, and every later one its own
    rows_at_most = max(block_logits // network.vocab_size, 1)
    cache = DynamicCache()  # without a configuration: every layer keeps all its tokens
    carried = np.empty(0, dtype=np.int64)
    first = 0
    while first < len(tree.token):
        last = min(first + block_tokens, max(first, wanted) + rows_at_most, len(tree.token))
        block = np.arange(first, last)
        seen = np.concatenate([carried, block])
        logits, cache = network(
            tree.token[None, block],
            keep=max(last - max(first, wanted), 0),
            cache=cache,
            use_cache=True,
            position_ids=network.tensor(tree.position[None, block]),
            attention_mask=_attention(network, tree, block, seen, masks),
        )
        if last > wanted:
            yield trie.prefixes[max(first, wanted) - wanted : last - wanted], logits[0]
        if last < len(tree.token):
            ancestors = tree.end[seen] > last
            carried = seen[ancestors]
            _keep(cache, network.tensor(np.flatnonzero(ancestors)))
        first = last


@dataclass(frozen=True)
class _Tree:
    """Prompt and inner nodes in depth-first order, one row a token.

    Attributes:
        token: int64 (m,)
        position: int64 (m,), the number of tokens before it.
        end: int64 (m,), the row after its last descendant.
    """

    token: NDArray[np.int64]
    position: NDArray[np.int64]
    end: NDArray[np.int64]


def _tree(prompt: Sequence[int], trie: Trie) -> _Tree:
    nodes = trie.prefixes[1:]
    token = np.concatenate([np.asarray(prompt, dtype=np.int64), trie.token[nodes]])
    position = np.concatenate([np.arange(len(prompt)), len(prompt) - 1 + trie.depth[nodes]])
    end = np.full(len(token), len(token))
    open_rows: list[int] = []
    for row, at in enumerate(position.tolist()):
        while open_rows and position[open_rows[-1]] >= at:
            end[open_rows.pop()] = row
        open_rows.append(row)
    return _Tree(token, position, end)


def _attention(
    network: Network, tree: _Tree, block: NDArray[np.int64], seen: NDArray[np.int64], masks: Masks
) -> Any:
    """What each token of the block (rows) sees of the tokens before it and of the block (columns)."""
    row = block[:, None]
    full = (seen <= row) & (row < tree.end[seen])
    if masks.window is None:
        sliding = full
    else:
        sliding = full & (tree.position[row] - tree.position[seen] < masks.window)
    if not masks.layer_types:
        return _additive(network, sliding)
    of_type = {"full_attention": full, "sliding_attention": sliding}
    return {kind: _additive(network, of_type[kind]) for kind in masks.layer_types}


def _additive(network: Network, visible: NDArray[np.bool_]) -> torch.Tensor:
    """0 where a token is seen and the least number where it is not, shape (1, 1, rows, columns)."""
    mask = torch.zeros(visible.shape, dtype=network.dtype, device=network.module.device)
    return mask.masked_fill_(network.tensor(~visible), torch.finfo(network.dtype).min)[None, None]


def _keep(cache: Any, rows: torch.Tensor) -> None:
    """Forget all tokens of the cache but those in `rows`."""
    if rows.numel() == cache.get_seq_length():
        return
    with torch.inference_mode():
        for layer in cache.layers:
            layer.keys = layer.keys.index_select(2, rows)
            layer.values = layer.values.index_select(2, rows)
