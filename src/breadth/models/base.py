"""The protocol a model implements, and the law it must obey."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from breadth.tokenizer import Tokenizer
from breadth.trie import Trie

__all__ = ["Model"]


class Model(ABC):
    """Next-token logits after any sequence of tokens.

    A new backend implements `next_logits` and inherits a correct, slow `walk`; a faster `walk` may
    replace it as long as it yields the same numbers (within 1e-4 in log-probability for float32).
    """

    name: str
    """What the user called the model."""

    tokenizer: Tokenizer

    vocab_size: int
    """Number of logits; at least the tokeniser's vocabulary (some models pad theirs)."""

    end_tokens: tuple[int, ...]
    """Every token that ends a turn: the generation config's list and the chat template's, ascending."""

    generation: Mapping[str, float]
    """Sampling settings of the model's own generation config, by transformers' names; may be empty."""

    identity: Mapping[str, str]
    """Everything that determines the numbers: revision or file hash, dtype, attention, device …

    Available before the weights are loaded, so that a saved probe is recognised without loading them.
    """

    provenance: Mapping[str, str] = {}
    """What else a reader should know: library versions, the execution path. Does not change the numbers."""

    @abstractmethod
    def next_logits(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """Logits of the next token after `tokens` (not empty), shape (vocab_size,)."""

    def walk(
        self, prompt: Sequence[int], trie: Trie
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Logits at every prefix of `trie` after `prompt`, in blocks.

        Yields `(nodes, logits)`: ids of nodes of the trie, shape (b,), and their next-token logits,
        shape (b, vocab_size). Every node in `trie.prefixes` comes exactly once, in any order. A block
        is only good until the next one is asked for.
        """
        for node in trie.prefixes:
            logits = self.next_logits([*prompt, *trie.path(int(node))])
            yield np.array([node], dtype=np.int64), logits[None, :]
