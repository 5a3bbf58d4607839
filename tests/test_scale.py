"""A whole run with ten thousand prefixes at a vocabulary of 262,144, in bounded memory."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

from breadth.models.base import Model
from breadth.store import PrefixFile

RUN = """
import json, resource, sys
from breadth.cli import main
sys.argv = ["breadth", *json.loads(sys.argv[1])]
try:
    main()
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""

RULES = ["temperature=1", "temperature=2,top_p=0.95", "temperature=1.5,min_p=0.1", "oracle_size"]


@pytest.mark.model
@pytest.mark.slow
def test_ten_thousand_prefixes_at_a_wide_vocabulary(tmp_path: Path, gemma3: Model) -> None:
    folder = tmp_path / "wide"
    tiny.save_llama(folder, tokenizer_of=gemma3, hidden_size=32)
    out = tmp_path / "out"
    rules = [option for rule in RULES for option in ("--rule", rule)]
    arguments = ["run", "-m", str(folder), "-t", "digits-fewshot:length=4", "-o", str(out), "--no-figures"]
    command = [sys.executable, "-c", RUN, json.dumps([*arguments, "--json", *rules])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = json.loads(done.stdout)["rows"]
    assert [row["rule"] for row in rows] == RULES
    assert rows[0]["prefixes"] > 10_000
    (probe,) = out.glob("*/probe")
    assert len(PrefixFile(probe)) == rows[0]["prefixes"]
    peak = int(done.stderr.strip().splitlines()[-1]) * 1024
    weights = (folder / "model.safetensors").stat().st_size
    # Python, torch and transformers alone take about half a gigabyte.
    assert peak - weights < 1.7e9
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0
