"""A causal language model of transformers, asked for logits and nothing else."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["Network", "logits_width"]


class Network:
    """A module of transformers that counts what it computes and gives its logits in float32.

    Args:
        module: any `…ForCausalLM`; its output head is replaced by one that computes in float32.

    Attributes:
        config: the configuration of its language part.
        vocab_size: number of logits.
        tokens_computed: how many tokens have gone through it.
    """

    def __init__(self, module: Any) -> None:
        self.module = module.eval()
        self.config = module.config.get_text_config()
        self.vocab_size = logits_width(module)
        self.tokens_computed = 0
        accepted = inspect.signature(module.forward).parameters
        self._keeps = "logits_to_keep" in accepted
        # Newer versions of transformers say `cache`; older ones name it by the kind of model.
        names = ("cache", "past_key_values", "cache_params")
        self._cache = next(name for name in names if name in accepted)
        _compute_head_in_float32(module)

    @property
    def dtype(self) -> torch.dtype:
        """What everything before the output head computes in."""
        return self.module.dtype

    @property
    def stateful(self) -> bool:
        """Whether the module says that its states cannot be taken apart by token."""
        return bool(getattr(self.module, "_is_stateful", False))

    def tensor(self, array: NDArray[Any]) -> torch.Tensor:
        """A copy where the weights are."""
        return torch.tensor(array, device=self.module.device)

    def __call__(
        self, tokens: NDArray[np.integer], *, keep: int = 1, cache: Any = None, **arguments: Any
    ) -> tuple[NDArray[np.float32], Any]:
        """Logits at the last `keep` positions, and the cache.

        Args:
            tokens: (b, n) rows of equal length.
            keep: from 0 to n.
            cache: what came before; it is changed. Without one, and with `use_cache`, one is made.
            arguments: passed to the module.

        Returns:
            logits (b, keep, vocabulary), and the cache as the module leaves it.
        """
        self.tokens_computed += tokens.size
        if self._keeps:
            arguments["logits_to_keep"] = max(keep, 1)  # 0 would keep them all
        with torch.inference_mode():
            output = self.module(
                input_ids=self.tensor(tokens.astype(np.int64)), **{self._cache: cache}, **arguments
            )
            logits = output.logits[:, output.logits.shape[1] - keep :].float().cpu().numpy()
        return logits, getattr(output, self._cache, None)


def logits_width(module: Any) -> int:
    """How many logits a module gives; some have more than their tokeniser has tokens, or fewer."""
    head = module.get_output_embeddings()
    return int(head.weight.shape[0]) if head is not None else int(module.config.get_text_config().vocab_size)


def _compute_head_in_float32(module: Any) -> None:
    """In half precision most of the head of a ranking would tie."""
    head = module.get_output_embeddings()
    if not isinstance(head, torch.nn.Linear) or head.weight.dtype == torch.float32:
        return
    exact = torch.nn.Linear(head.in_features, head.out_features, bias=head.bias is not None, device="meta")
    exact.weight = torch.nn.Parameter(head.weight.detach().float(), requires_grad=False)
    if head.bias is not None:
        exact.bias = torch.nn.Parameter(head.bias.detach().float(), requires_grad=False)
    exact.register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))
    module.set_output_embeddings(exact)
