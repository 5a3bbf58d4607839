"""A whole run with ten thousand prefixes at a vocabulary of 262,144, in bounded memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.scale import WIDE, run_and_measure, tiny_model
from breadth.probe import open_probe

# Python with torch and transformers loaded, before any work.
LIBRARIES = 600


@pytest.mark.model
@pytest.mark.slow
def test_ten_thousand_prefixes_at_a_wide_vocabulary(tmp_path: Path) -> None:
    folder, out = tiny_model(tmp_path / "wide", "gemma3-270m"), tmp_path / "out"
    arguments = ["run", "-m", str(folder), "-t", WIDE, "-o", str(out), "--no-figures"]
    measured = {what: value for what, value, _ in run_and_measure(arguments, out)}
    (folder,) = out.glob("*/probe")
    probe = open_probe(folder)
    assert probe.vocab_size >= 262_144
    assert len(probe.blocks) == len(probe.trie.prefixes) > 10_000
    assert measured["peak memory"] < LIBRARIES + 1000
