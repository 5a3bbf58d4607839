"""The rules that a diagnosis tries when the user names none."""

from __future__ import annotations

from breadth.rules import ENGINES, STEPS, Rule, parse_rule

__all__ = ["CUTOFFS", "PAPER_CUTOFFS", "TEMPERATURES", "default_grid", "oracle_grid", "paper_grid"]

TEMPERATURES = (0.01, 0.3, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.5, 3.0)
"""The paper's temperatures [Table 3]."""

PAPER_CUTOFFS: dict[str, tuple[str, ...]] = {
    "top_k": ("10", "20", "50", "80", "100", "500"),
    "top_p": ("0.1", "0.5", "0.7", "0.9", "0.95"),
    "min_p": ("0.01", "0.1", "0.5", "0.9"),
}
"""The paper's cutoffs [Table 3]; with none at all, 16."""

CUTOFFS: dict[str, tuple[str, ...]] = {
    **PAPER_CUTOFFS,
    "epsilon_cutoff": ("0.0003", "0.003", "0.03"),
    "eta_cutoff": ("0.0003", "0.003", "0.03"),
    "top_h": ("0.2", "0.4", "0.6", "0.8"),
    "typical_p": ("0.2", "0.5", "0.9", "0.95"),
    "top_n_sigma": ("0.5", "1", "1.5", "2", "3"),
    "xtc": ("0.05:0.5", "0.1:0.5", "0.1:1"),
}
"""The paper's cutoffs and, beside them, the steps that it lacks, at values their authors suggest."""


def _grid(cutoffs: dict[str, tuple[str, ...]], engine: str | None) -> list[Rule]:
    steps = [""] + [f",{name}={value}" for name, values in cutoffs.items() for value in values]
    # Rules of one temperature stand together: evaluated together they share cumulative masses.
    return [
        parse_rule(f"temperature={temperature:g}{step}", engine)
        for temperature in TEMPERATURES
        for step in steps
    ]


def paper_grid(engine: str | None = None) -> list[Rule]:
    """The paper's grid: 12 temperatures × 16 cutoffs, temperature first unless the engine says otherwise."""
    return _grid(PAPER_CUTOFFS, engine)


def default_grid(engine: str | None = None) -> list[Rule]:
    """The paper's grid and the steps that it lacks; under an engine only the steps it has."""
    known = ENGINES[engine].order if engine else tuple(STEPS)
    return _grid({name: values for name, values in CUTOFFS.items() if name in known}, engine)


def oracle_grid() -> list[Rule]:
    """Oracle size and oracle validity at every temperature of the paper, and oracle shape."""
    swept = [
        parse_rule(f"temperature={temperature:g},{oracle}")
        for temperature in TEMPERATURES
        for oracle in ("oracle_size", "oracle_validity")
    ]
    return [*swept, parse_rule("oracle_shape")]
