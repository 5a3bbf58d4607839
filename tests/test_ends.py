"""Ends against their meaning on texts: what is generated, cut at the first stop, is the answer or is not."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from breadth.errors import TaskError
from breadth.models.toy import ToyModel, ToyTokenizer
from breadth.outcome import evaluate
from breadth.probe import take_probe
from breadth.task import Task

LETTERS = "ab#X"
END = "<end>"
STOPS = ["#", "#X", "X", "##", "X#", "aX"]
TEXTS = ["".join(text) for length in (1, 2, 3) for text in itertools.product(LETTERS, repeat=length)]


def random_law(seed: int) -> Callable[[str], dict[str, float]]:
    """A distribution over the letters and the end after every text, always the same for a seed."""
    known: dict[str, dict[str, float]] = {}

    def law(text: str) -> dict[str, float]:
        if text not in known:
            rng = np.random.default_rng([seed, *text.encode()])
            known[text] = dict(zip([*LETTERS, END], rng.dirichlet(np.full(5, 0.7)).tolist(), strict=True))
        return known[text]

    return law


def probability_by_text(task: Task, law: Callable[[str], dict[str, float]]) -> list[float]:
    """Probability of every answer, by following all texts that can still become one."""
    answer_of = {text: index for index in range(len(task.answers)) for text in task.spellings(index)}
    total = [0.0] * len(task.answers)

    def follow(text: str, probability: float) -> None:
        if task.end.eos and text in answer_of:
            total[answer_of[text]] += probability * law(text)[END]
        for letter in LETTERS:
            longer = text + letter
            stopped = [longer.removesuffix(stop) for stop in task.end.stops if longer.endswith(stop)]
            if stopped:
                # The stop that began first is the one that cut the text.
                answer = min(stopped, key=len)
                if answer in answer_of:
                    total[answer_of[answer]] += probability * law(text)[letter]
            # Seven letters are more than the longest answer and stop together.
            elif len(longer) < 7 and any(
                wanted.startswith(longer) or longer.startswith(wanted) for wanted in answer_of
            ):
                follow(longer, probability * law(text)[letter])

    follow("", 1.0)
    return total


@settings(max_examples=150, deadline=None)
@given(
    answers=st.lists(st.sampled_from(TEXTS), min_size=1, max_size=4, unique=True),
    other=st.none() | st.sampled_from(TEXTS),
    stops=st.lists(st.sampled_from(STOPS), min_size=1, max_size=3, unique=True),
    eos_ends=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_an_answer_is_what_stands_before_the_first_stop(
    answers: list[str], other: str | None, stops: list[str], eos_ends: bool, seed: int
) -> None:
    surfaces = {answers[0]: [other]} if other else {}
    try:
        task = Task(
            name="t",
            prompt="? ",
            chat=False,
            answers=answers,
            surfaces=surfaces,
            end=stops,
            eos_ends=eos_ends,
        )
    except TaskError:  # an answer holds a stop, or a surface is another answer
        assume(False)
    law = random_law(seed)
    never = {"?": 0.0, " ": 0.0}
    model = ToyModel(ToyTokenizer(LETTERS + "? "), lambda text: law(text) | never, prompt="? ")
    (outcome,) = evaluate(take_probe(model, task), ["temperature=1"])
    np.testing.assert_allclose(np.exp(outcome.answer_logp), probability_by_text(task, law), atol=1e-6)
