"""What the report page carries of its runs: every probe, reduced, in one text.

A rule is recomputed in the browser from the same columns that Python reads, only fewer of them:

* the *head* is the top `HEAD` logits, still exact;
* the *tail* is cut into segments five times as long. Their end logits are rounded and their corrections are
  taken anew from the probe's own sketch, so that at temperature 1 no mass is lost;
* valid tokens and end tokens stay as they are;
* of a probe with more than `MOST_PREFIXES` prefixes the least reached ones are left out.

`embedded` gives the reduced distributions as ordinary `Ranked` blocks: Python's numbers on them are what the
page must show.

The text is base64 of a deflated stream: the length of a JSON header in bytes (uint32, little-endian), the
header, then the columns that it lists, one after the other. A column is 32-bit words, each less the word
before it (mod 2³²), split by byte: the lowest bytes of all words first. Sorted logits, ranks and node ids
have small differences: floats of one sign are as sorted in their bits.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from breadth.outcome import outcomes
from breadth.ranked import Ranked, segment_mean
from breadth.rules import default_rule, parse_rule
from breadth.scores import plain, points
from breadth.segments import log_sums
from breadth.study import Unit
from breadth.trie import Trie

__all__ = ["FORMAT", "HEAD", "MOST_PREFIXES", "NAMED", "Reduced", "embedded", "payload", "reduced"]

FORMAT = 1
"""Raised whenever a column changes its meaning."""

HEAD = 512
"""Number of top logits that stay exact."""

NAMED = 60
"""Number of top tokens that are named."""

MOST_PREFIXES = 3000
"""Prefixes of one probe that are carried: about 8 MB of text."""

GROWTH, SHRINK = 0.05, 0.15
"""A tail segment is at most these shares of its rank, and of the ranks that are left, long …"""

NEAR = 50_000
"""… and at most rank²/`NEAR`: where many cuts fall, a token more or less still matters."""

LOGIT_STEP, CORRECTION_STEP = 2.0**-11, 2.0**-14
"""Nats to which the tail's logits and corrections are rounded: the corrections make up for the logits."""

SHOWN = (
    "created",
    "breadth",
    "model_identity",
    "model_provenance",
    "generation",
    "task_hash",
    "prompt_text",
    "chat",
    "delimiter",
    "warnings",
)
"""Keys of a probe's provenance that the page shows."""

STEPS: Mapping[str, float] = {"tail_logit": LOGIT_STEP, "tail_correction": CORRECTION_STEP}
"""Columns carried as whole multiples of a step."""

Column = NDArray[np.float32 | np.int32]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Reduced(Ranked):
    """Distributions whose tail segments end at ranks of their own.

    Attributes:
        tail_rank: int64 (s,), last rank of every tail segment.
    """

    tail_rank: Ints

    @cached_property
    def knot_rank(self) -> Ints:
        """int64 (k,), ranks whose logit is known: 1 … m, then the end of each tail segment."""
        return np.concatenate([np.arange(1, self.head_logit.shape[1] + 1), self.tail_rank])

    @cached_property
    def tail_end(self) -> Ints:
        """int64 (b, s), last rank of every tail segment that holds a finite logit."""
        return np.minimum(self.tail_rank, np.maximum(self.n_finite, self.head_logit.shape[1])[:, None])


@lru_cache(maxsize=32)
def _segment_ends(known: tuple[int, ...], head: int) -> Ints:
    """Last ranks of the longer segments, among the ranks of the knots that are `known`."""
    knots, last = np.array(known), known[-1]
    ends: list[int] = []
    rank = head
    while rank < last:
        wanted = rank + np.ceil(min(rank * GROWTH, rank**2 / NEAR, (last - rank) * SHRINK))
        rank = int(knots[np.searchsorted(knots, wanted)])
        ends.append(rank)
    return np.array(ends, dtype=np.int64)


def reduced(ranked: Ranked, head: int = HEAD, named: int = NAMED) -> Reduced:
    """The same distributions with a shorter exact head and a coarser tail.

    Args:
        ranked: as a probe holds them.
        head: number of logits that stay exact.
        named: number of token ids that stay.
    """
    head = min(head, ranked.head_logit.shape[1])
    columns = {field.name: getattr(ranked, field.name) for field in fields(ranked)}
    unknown = np.empty((len(ranked), 0), dtype=np.float32)
    coarse = Reduced(
        **columns
        | {
            "tail_rank": _segment_ends(tuple(ranked.knot_rank.tolist()), head),
            "head_logit": ranked.head_logit[:, :head],
            "head_token": ranked.head_token[:, :named],
            "tail_logit": unknown,
            "tail_correction": unknown,
            "std_logit": ranked.std_logit.astype(np.float32).astype(np.float64),
        }
    )
    if not len(coarse.tail_rank):
        return coarse
    logit = np.concatenate([ranked.head_logit, ranked.tail_logit], axis=1)
    at_end = np.take_along_axis(logit, np.searchsorted(ranked.knot_rank, coarse.tail_end), axis=1)
    # Rounded down, so that the head's last logit is not passed; the least stands for −inf.
    steps = np.maximum(np.floor(at_end / LOGIT_STEP), -(2.0**31))
    tail_logit = (steps * LOGIT_STEP).astype(np.float32)
    coarse = replace(coarse, tail_logit=tail_logit, tail_correction=np.zeros_like(tail_logit))
    # What the end logits give, and what it should be: the sum over the probe's finer sketch.
    ends = coarse.tail_rank
    with np.errstate(divide="ignore", invalid="ignore"):
        missing = _log_masses(ranked, head, ends) - _log_masses(coarse, head, ends)
    missing[coarse.tail_count == 0] = 0.0
    correction = np.round(missing / CORRECTION_STEP) * CORRECTION_STEP
    return replace(coarse, tail_correction=correction.astype(np.float32))


def _log_masses(ranked: Ranked, head: int, ends: Ints) -> Floats:
    """(b, s), ln of the weight at temperature 1 of the ranks after `head` up to each of `ends`."""
    own, gap = ranked.head_logit.shape[1], ranked.knot_gap
    upper, drop = gap[:, own - 1 : -1], np.diff(gap[:, own - 1 :], axis=1)
    tail = np.log(ranked.tail_count * segment_mean(drop)) - upper + ranked.tail_correction
    pieces = np.concatenate([-gap[:, head:own], tail], axis=1)
    first = np.searchsorted(ranked.knot_rank[head:], np.concatenate([[0], ends[:-1]]), side="right")
    rows = np.arange(len(ranked))[:, None] * pieces.shape[1]
    return log_sums(pieces.ravel(), (rows + first).ravel()).reshape(len(ranked), len(ends))


def embedded(unit: Unit, *, head: int = HEAD, most: int = MOST_PREFIXES) -> list[Ranked]:
    """The reduced distributions of a run: `outcomes(trie, embedded(unit), rules)` is what the page shows.

    Prefixes that are left out stand in no block: then no answer behind them is ever given.
    """
    blocks = unit.probe.blocks
    kept = _most_reached(unit.probe.trie, blocks, most)
    chosen = ((block, np.flatnonzero(np.isin(block.node, kept))) for block in blocks)
    return [reduced(block.take(rows), head) for block, rows in chosen if len(rows)]


def _most_reached(trie: Trie, blocks: Iterable[Ranked], most: int) -> Ints:
    """The prefixes that the model reaches most at temperature 1, none without those that lead to it."""
    if len(trie.prefixes) <= most:
        return trie.prefixes
    (outcome,) = outcomes(trie, blocks, [parse_rule("temperature=1")])
    # No prefix is reached more than its parent, which has the smaller id and so wins a tie.
    order = np.argsort(-outcome.reach_logp[trie.prefixes], kind="stable")
    return trie.prefixes[order[:most]]


def payload(units: Sequence[Unit], *, head: int = HEAD, most: int = MOST_PREFIXES) -> bytes:
    """Everything that the page shows of some runs, as ASCII text that HTML needs no quotes for.

    Args:
        units: in the order in which the page names them.
        head: number of logits carried exactly at every prefix.
        most: number of prefixes carried of every run.
    """
    described, coded = [], []
    for unit in units:
        columns = _columns(unit, embedded(unit, head=head, most=most))
        described.append(_facts(unit, columns))
        coded += [_coded(name, column) for name, column in columns.items()]
    header = json.dumps({"format": FORMAT, "units": described}, ensure_ascii=False, allow_nan=False).encode()
    stream = b"".join([len(header).to_bytes(4, "little"), header, *coded])
    return base64.b64encode(zlib.compress(stream, 9))


def _facts(unit: Unit, columns: Mapping[str, Column]) -> dict[str, Any]:
    """The header's entry of a run: names, texts, and the columns that follow."""
    probe = unit.probe
    default = default_rule(probe.provenance["generation"])
    return {
        "model": unit.model,
        "task": unit.task,
        "provenance": plain({key: probe.provenance[key] for key in SHOWN if key in probe.provenance}),
        "vocab_size": probe.vocab_size,
        "end_tokens": probe.trie.end_tokens.tolist(),
        "answers": list(probe.answers),
        "token_bytes": [
            probe.tokens.get(token, b"").decode("latin-1") for token in columns["token_id"].tolist()
        ],
        "default_rule": {"rule": str(default), "engine": default.engine},
        "rules": [{"rule": row.rule, "engine": row.engine, "family": row.family} for row in unit.scores],
        "left_out": len(probe.trie.prefixes) - len(columns["node"]),
        "diagnosis": {name: unit.diagnosis.as_dict()[name] for name in DIAGNOSED},
        "explanation": _explanation(unit),
        "columns": [
            {
                "name": name,
                "type": "float" if column.dtype == np.float32 and name not in STEPS else "int",
                "step": STEPS.get(name, 1),
                "shape": column.shape,
            }
            for name, column in columns.items()
        ],
    }


DIAGNOSED = ("validity", "diversity", "best", "oracle_size_validity", "bottleneck", "sentence")
"""Parts of a diagnosis that the page shows."""

EXPLAINED = ("rule", "coverage", "blame", "ladder", "diversity_ceilings", "cutoff_curve")
"""Parts of an explanation that the page shows."""


def _explanation(unit: Unit) -> dict[str, Any] | None:
    """The account that `breadth explain` left in the run, if it did."""
    path = unit.folder / "explanation.json" if unit.folder else None
    if path is None or not path.exists():
        return None
    facts = json.loads(path.read_text(encoding="utf-8"))
    return {name: facts.get(name) for name in EXPLAINED}


def _columns(unit: Unit, blocks: Sequence[Ranked]) -> dict[str, Column]:
    """The columns of a run, by the names that they have in a `Trie` and a `Ranked`."""
    trie = unit.probe.trie
    first = blocks[0]
    ranked = Ranked.concatenate(blocks)
    ranked = ranked.take(np.argsort(ranked.node))
    spelled = (ranked.head_token.ravel(), ranked.valid_token, trie.token[trie.token >= 0])
    validity, diversity = points(unit.scores)
    columns: dict[str, NDArray[Any]] = {
        "parent": trie.parent,
        "token": trie.token,
        "answer": trie.answer,
        "complete": trie.complete,
        "token_id": np.unique(np.concatenate(spelled)),
        "node": ranked.node,
        "head_logit": ranked.head_logit,
        "head_token": ranked.head_token,
        "tail_rank": first.knot_rank[first.head_logit.shape[1] :],
        "tail_logit": ranked.tail_logit,
        "tail_correction": ranked.tail_correction,
        "std_logit": ranked.std_logit,
        "n_finite": ranked.n_finite,
        "valid_count": np.diff(ranked.valid_start),
        "valid_node": ranked.valid_node,
        "valid_token": ranked.valid_token,
        "valid_logit": ranked.valid_logit,
        "valid_rank": ranked.valid_rank,
        "valid_place": ranked.valid_rank - ranked.valid_above,  # among those that tie; mostly 1
        "valid_ties": ranked.valid_ties,
        "stray_count": np.diff(ranked.stray_start),
        "stray_logit": ranked.stray_logit,
        "stray_rank": ranked.stray_rank,
        "validity": validity,
        "diversity": diversity,
    }
    return {
        name: column.astype(np.float32 if column.dtype.kind == "f" else np.int32)
        for name, column in columns.items()
    }


def _coded(name: str, column: Column) -> bytes:
    """A column's words, each less the one before it, split by byte."""
    values = (column / STEPS[name]).astype(np.int32) if name in STEPS else column
    words = np.ascontiguousarray(values).ravel().view(np.uint32)
    return np.diff(words, prepend=np.uint32(0)).astype("<u4").view(np.uint8).reshape(-1, 4).T.tobytes()
