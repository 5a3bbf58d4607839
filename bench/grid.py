"""The paper's grid and the oracles from a probe, against the model's pass and transformers' processors."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from bench.model_pass import walk
from bench.timing import Row, best_of
from breadth.catalog import load_task
from breadth.encoding import encode
from breadth.grid import oracle_grid, paper_grid
from breadth.models.load import load_model
from breadth.outcome import outcomes
from breadth.probe import take_probe
from breadth.rules import Rule

# For fewer than 500 prefixes the time counts, for more the share of the model's pass.
TASKS = {"us-states-fewshot": ("< 0.5", ""), "digits-fewshot:length=3": ("", "≤ 0.5")}
SAMPLE = 12  # prefixes on which the processors are timed; their time is linear in prefixes


def processors(rule: Rule) -> list[Any]:
    from transformers.generation import logits_process as hf

    made = {
        "temperature": hf.TemperatureLogitsWarper,
        "top_k": lambda k: hf.TopKLogitsWarper(int(k)),
        "top_p": hf.TopPLogitsWarper,
        "min_p": hf.MinPLogitsWarper,
    }
    return [made[step.name](step.value) for step in rule.steps]


def processors_time(logits: Any, rules: list[Rule]) -> float:
    """Seconds per prefix to apply every rule with transformers' own processors, softmax included."""
    import torch

    chains = [processors(rule) for rule in rules]
    start = time.perf_counter()
    for row in torch.from_numpy(logits):
        for chain in chains:
            scores = row[None]
            for processor in chain:
                scores = processor(None, scores)
            scores.softmax(dim=-1)
    return (time.perf_counter() - start) / len(logits)


def run() -> list[Row]:
    model = load_model("smollm2-135m")
    rules = paper_grid()
    with_oracles = [*rules, *oracle_grid()]
    rows = []
    for name, (seconds, share) in TASKS.items():
        task = load_task(name)
        encoding = encode(task, model)
        walk(model, encoding)
        model_time = best_of(lambda encoding=encoding: walk(model, encoding))
        probe = take_probe(model, task)
        list(probe.blocks)  # read from disk once: what follows is the rules alone
        grid_time = best_of(lambda probe=probe: list(outcomes(probe.trie, probe.blocks, with_oracles)))
        paper_time = best_of(lambda probe=probe: list(outcomes(probe.trie, probe.blocks, rules)))
        logits = np.concatenate([block for _, block in model.walk(encoding.prompt, encoding.trie)][:1])
        peer = processors_time(logits[:SAMPLE].copy(), rules) * len(probe.trie.prefixes)
        rows += [
            Row(f"{name}: prefixes", len(probe.trie.prefixes)),
            Row(f"{name}: rules and oracles", len(with_oracles)),
            Row(f"{name}: grid and oracles", grid_time, "s", seconds),
            Row(f"{name}: grid and oracles / model pass", grid_time / model_time, "×", share),
            Row(f"{name}: transformers' processors / grid", peer / paper_time, "×", "≥ 50"),
        ]
    return rows
