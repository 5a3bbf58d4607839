"""Run the benchmarks: all of them, or those named. Results go to bench/results/NAME.json too."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from bench import explain, grid, logit_fit, model_pass, page, scale, start
from bench.timing import Row, machine

BENCHMARKS: dict[str, Callable[[], list[Row]]] = {
    "start": start.run,
    "model_pass": model_pass.run,
    "grid": grid.run,
    "scale": scale.run,
    "explain": explain.run,
    "logit_fit": logit_fit.run,
    "page": page.run,
}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"error: no benchmark {unknown[0]!r}; choose among {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    print(machine())
    for name in names or BENCHMARKS:
        print(f"\n{name}: {(sys.modules[BENCHMARKS[name].__module__].__doc__ or '').splitlines()[0]}")
        rows = BENCHMARKS[name]()
        for row in rows:
            print(f"  {row}")
        facts = {"machine": machine(), "rows": [vars(row) for row in rows]}
        (results / f"{name}.json").write_text(json.dumps(facts, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
