"""Cost per prefix from a thousand to a hundred thousand prefixes, and a whole run at a 262k vocabulary."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.timing import Row, best_of
from breadth.catalog import load_task
from breadth.grid import paper_grid
from breadth.models.load import load_model
from breadth.outcome import outcomes
from breadth.probe import Probe, take_probe

SMALL, LARGE = "digits-fewshot:length=3", "digits-fewshot:length=5"
WIDE = "digits-fewshot:length=4"  # 11,111 prefixes

MEASURE = """
import json, resource, sys
from breadth.cli import main
sys.argv = ["breadth", *json.loads(sys.argv[1])]
try:
    main()
finally:
    print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss), file=sys.stderr)
"""


def tiny_model(folder: Path, like: str) -> Path:
    """A random-weight Llama with the tokeniser, and so the vocabulary, of a bundled model."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    bundled: Any = load_model(like)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=bundled.vocab_size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        eos_token_id=bundled.end_tokens[0],
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    bundled.tokenizer.tokenizer.save_pretrained(folder)
    return folder


def per_prefix(model: Any, name: str) -> tuple[float, float, int, int]:
    """Seconds per prefix for the probe and for the paper's grid, the number of prefixes, bytes on disk."""
    task = load_task(name)
    probes: list[Probe] = []
    seconds = best_of(lambda: probes.append(take_probe(model, task)), 1)
    probe = probes[0]
    rules = paper_grid()[::8]
    grid = best_of(lambda: [outcome.validity for outcome in outcomes(probe.trie, probe.blocks, rules)], 1)
    count = len(probe.trie.prefixes)
    return seconds / count, grid / count, count, probe.nbytes


def run() -> list[Row]:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        narrow = load_model(str(tiny_model(Path(folder) / "narrow", "smollm2-135m")))
        per_prefix(narrow, SMALL)  # warm up
        small_probe, small_grid, small_count, _ = per_prefix(narrow, SMALL)
        large_probe, large_grid, large_count, _ = per_prefix(narrow, LARGE)
        rows += [
            Row("prefixes, small", small_count),
            Row("prefixes, large", large_count),
            Row("probe: cost per prefix, large / small", large_probe / small_probe, "×", "≤ 1.5"),
            Row("grid: cost per prefix, large / small", large_grid / small_grid, "×", "≤ 1.5"),
        ]
        wide = tiny_model(Path(folder) / "wide", "gemma3-270m")
        out = Path(folder) / "out"
        arguments = ["run", "--model", str(wide), "--task", WIDE, "--out", str(out), "--no-figures"]
        rows += [
            Row(f"whole run at a 262k vocabulary: {key}", value, unit)
            for key, value, unit in run_and_measure(arguments, out)
        ]
    return rows


def run_and_measure(arguments: list[str], out: Path) -> list[tuple[str, float, str]]:
    """Run the command line in its own process: time, peak memory, size of the probe."""
    command = [sys.executable, "-c", MEASURE, json.dumps(arguments)]
    done: list[subprocess.CompletedProcess[str]] = []
    seconds = best_of(
        lambda: done.append(subprocess.run(command, capture_output=True, text=True, check=True)), 1
    )
    peak = int(done[0].stderr.strip().splitlines()[-1]) / 1024
    size = sum(path.stat().st_size for path in out.rglob("*.parquet")) / 2**20
    return [("time", seconds, "s"), ("peak memory", peak, "MiB"), ("probe on disk", size, "MiB")]
