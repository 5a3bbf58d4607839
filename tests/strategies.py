"""Hypothesis strategies: small random inputs that both sides of a comparison are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

import naive
from breadth.ranked import Ranked, rank_logits
from breadth.rules import Rule, parse_rule
from breadth.trie import Trie, build_trie

SEEDS = st.integers(0, 2**32 - 1)

SMALL = st.integers(1, 40)
"""Sizes of a vocabulary that can be listed."""


@st.composite
def logit_rows(
    draw: st.DrawFn,
    *,
    rows: int = 1,
    vocab: int | st.SearchStrategy[int] = SMALL,
    forbidden: bool = True,
) -> NDArray[np.float32]:
    """Logits, float32 (rows, vocab): flat or peaked, with or without ties, some perhaps forbidden."""
    size = vocab if isinstance(vocab, int) else draw(vocab)
    random = np.random.default_rng(draw(SEEDS))
    scale = draw(st.sampled_from([0.0, 0.3, 1.0, 3.0, 20.0]))
    grid = draw(st.sampled_from([None, None, 0.25, 1.0]))
    logits = random.normal(0, scale, (rows, size)) + draw(st.sampled_from([0.0, -7.5, 40.0]))
    # No closer than 1e-5, so that float64 tells apart what float32 does, whatever the temperature.
    logits = np.round(logits / grid) * grid if grid else np.round(logits, 5)
    if forbidden and draw(st.booleans()):
        banned = random.random((rows, size)) < 0.3
        banned[np.arange(rows), random.integers(0, size, rows)] = False
        logits[banned] = -np.inf
    return logits.astype(np.float32)


TEMPERATURES = st.sampled_from([0.3, 0.7, 1.0, 1.5, 4.0])

CUTOFFS: dict[str, st.SearchStrategy[float]] = {
    "top_k": st.integers(1, 12).map(float),
    "top_p": st.floats(0.0, 1.0, exclude_max=True),
    "min_p": st.floats(1e-4, 1.0, exclude_max=True),
    "typical_p": st.floats(0.01, 1.0, exclude_max=True),
    "epsilon_cutoff": st.floats(1e-4, 0.5),
    "eta_cutoff": st.floats(1e-4, 0.5),
    "top_h": st.floats(0.01, 1.0, exclude_max=True),
    "top_n_sigma": st.floats(0.05, 4.0),
}

XTC = st.tuples(st.floats(0.01, 0.5), st.sampled_from([0.0, 0.25, 0.5, 1.0]))


def steps_named(name: str) -> st.SearchStrategy[naive.Step]:
    if name == "temperature":
        return TEMPERATURES.map(lambda value: (name, value))
    if name == "xtc":
        return XTC.map(lambda value: (name, value))
    return CUTOFFS[name].map(lambda value: (name, value))


NAMES = ["temperature", "xtc", *CUTOFFS]

STEPS = st.sampled_from(NAMES).flatmap(steps_named)

PIPELINES: st.SearchStrategy[list[naive.Step]] = st.lists(STEPS, min_size=1, max_size=4)
"""1 to 4 steps in any order, perhaps repeated."""


@st.composite
def pipelines_in_order(draw: st.DrawFn, order: Sequence[str]) -> list[naive.Step]:
    """1 to 4 different steps, in the order that an engine applies them."""
    names = draw(st.lists(st.sampled_from(order), min_size=1, max_size=4, unique=True))
    return [draw(steps_named(name)) for name in order if name in names]


def written(steps: Sequence[naive.Step]) -> str:
    """Steps as the text of a rule."""
    return ",".join(
        f"{name}={value[0]!r}:{value[1]!r}" if isinstance(value, tuple) else f"{name}={value!r}"
        for name, value in steps
    )


def rule_of(steps: Sequence[naive.Step], engine: str | None = None) -> Rule:
    return parse_rule(written(steps), engine)


@dataclass(frozen=True)
class Instance:
    """Answers and a model: everything that an outcome depends on.

    Attributes:
        answers: the sequences of every answer.
        end_tokens: what `END` stands for.
        logits: float32 (vocab,), after every valid prefix.
    """

    answers: tuple[tuple[naive.Tokens, ...], ...]
    end_tokens: tuple[int, ...]
    logits: dict[naive.Tokens, NDArray[np.float32]]

    def trie(self) -> Trie:
        return build_trie(
            [sequence for spelled in self.answers for sequence in spelled],
            [index for index, spelled in enumerate(self.answers) for _ in spelled],
            n_answers=len(self.answers),
            end_tokens=self.end_tokens,
        )

    def blocks(self, trie: Trie, *, size: int = 3) -> list[Ranked]:
        """The distributions in blocks of a few prefixes, in depth-first order."""
        result = []
        for first in range(0, len(trie.prefixes), size):
            nodes = trie.prefixes[first : first + size]
            logits = np.stack([self.logits[tuple(trie.path(int(node)))] for node in nodes])
            result.append(rank_logits(nodes, logits, trie))
        return result

    def law(self, prefix: naive.Tokens) -> naive.Law:
        return naive.law_of(self.logits[prefix].tolist())


@st.composite
def answer_sets(
    draw: st.DrawFn, *, surfaces: bool = True
) -> tuple[tuple[tuple[naive.Tokens, ...], ...], tuple[int, ...], int]:
    """Answers, end tokens and a vocabulary size.

    Answers may start one another, END may stand for several tokens or for none at all, some sequences may
    stop without it, and several sequences may be one answer.
    """
    letters = draw(st.integers(1, 4))
    n_ends = draw(st.integers(0, 3))
    bodies = draw(
        st.lists(
            st.lists(st.integers(0, letters - 1), min_size=1, max_size=3).map(tuple),
            min_size=1,
            max_size=8,
            unique=True,
        )
    )
    sequences: list[naive.Tokens] = []
    for body in bodies:
        starts_another = any(other != body and other[: len(body)] == body for other in bodies)
        if n_ends and (starts_another or draw(st.integers(0, 3)) > 0):
            sequences.append((*body, naive.END))
        elif not starts_another:
            sequences.append(body)
    if not sequences:
        sequences.append(max(bodies, key=len))
    owner = list(range(len(sequences)))
    if surfaces and draw(st.booleans()):
        owner = [draw(st.integers(0, len(sequences) - 1)) for _ in sequences]
    groups = {index: [s for s, o in zip(sequences, owner, strict=True) if o == index] for index in owner}
    extra = draw(st.integers(0, 4))  # tokens that no answer uses
    vocab = letters + n_ends + extra
    ids = draw(st.permutations(range(vocab)))
    renamed = {letter: ids[letter] for letter in range(letters)} | {naive.END: naive.END}
    answers = tuple(
        tuple(tuple(renamed[token] for token in sequence) for sequence in group) for group in groups.values()
    )
    return answers, tuple(sorted(ids[letters : letters + n_ends])), vocab


@st.composite
def instances(
    draw: st.DrawFn, *, surfaces: bool = True, forbidden: bool = False, ties: bool = True
) -> Instance:
    """A small answer set and a random model of it."""
    answers, end_tokens, vocab = draw(answer_sets(surfaces=surfaces))
    prefixes = sorted(naive.prefixes(answers))
    rows = logit_rows(rows=len(prefixes), vocab=vocab, forbidden=forbidden)
    logits = draw(rows if ties else rows.filter(_without_ties))
    return Instance(answers, end_tokens, dict(zip(prefixes, logits, strict=True)))


def _without_ties(logits: NDArray[np.float32]) -> bool:
    return all(len(np.unique(row)) == len(row) for row in logits)
