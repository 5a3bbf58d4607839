"""The order in which engines apply their steps, and what they do when told nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["ENGINES", "Engine"]


@dataclass(frozen=True)
class Engine:
    """The order in which an engine applies its steps, and what it does when told nothing.

    Attributes:
        order: step names, first to last.
        defaults: the engine's default rule.
        exact_top_k: whether top_k keeps exactly k tokens when several tie.
    """

    order: tuple[str, ...]
    defaults: str
    exact_top_k: bool = False


ENGINES: Mapping[str, Engine] = {
    "transformers": Engine(
        order=(
            "temperature",
            "top_h",
            "top_k",
            "top_p",
            "min_p",
            "typical_p",
            "epsilon_cutoff",
            "eta_cutoff",
        ),
        defaults="temperature=1,top_k=50",
    ),
    "vllm": Engine(order=("temperature", "min_p", "top_k", "top_p"), defaults="temperature=1"),
    "llama.cpp": Engine(
        order=("top_n_sigma", "top_k", "typical_p", "top_p", "min_p", "xtc", "temperature"),
        defaults="top_k=40,top_p=0.95,min_p=0.05,temperature=0.8",
        exact_top_k=True,
    ),
}
"""Engine presets. The steps that an engine lacks are refused under its name."""
