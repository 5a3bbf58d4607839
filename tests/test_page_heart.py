"""The page's heart, run by Node, against Python: on the data that it carries, and on the full probe.

The numbers that the page shows are computed in the reader's browser. Here the same bundle answers questions
in Node, one process for all, and every column and measure is held against `breadth.outcome` on
`embedded(unit)`.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import zlib
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import naive
import strategies as some
import toys
from breadth.catalog import load_task
from breadth.errors import RuleError
from breadth.measures.attribution import attribute
from breadth.models.base import Model
from breadth.outcome import Outcome, outcomes
from breadth.probe import Probe
from breadth.ranked import Ranked
from breadth.report.page.payload import embedded, payload
from breadth.rules import ENGINES, Rule, default_rule, parse_rule
from breadth.scores import samples_for, score
from breadth.study import Unit, run_unit

PAGE = Path(__file__).parent.parent / "page"
ANSWERS = PAGE / "test" / "answer.mjs"
SAMPLE = PAGE / "test" / "sample.txt"
NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(
    NODE is None or not (PAGE / "node_modules").is_dir(),
    reason="the page's packages are not installed: `npm ci`, in the folder `page`",
)


class Heart:
    """A Node process that answers questions, one JSON line each."""

    def __init__(self, bundle: Path) -> None:
        command = [str(NODE), str(ANSWERS), str(bundle)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )

    def ask(self, **question: Any) -> dict[str, Any]:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the heart stopped; its error stands above"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        self.process.communicate()


@pytest.fixture(scope="module")
def heart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Heart]:
    bundle = tmp_path_factory.mktemp("page") / "heart.mjs"
    command = ["npm", "run", "--silent", "build:heart", "--", f"--outfile={bundle}", "--log-level=warning"]
    subprocess.run(command, cwd=PAGE, check=True)
    process = Heart(bundle)
    yield process
    process.close()


# The comparison

COLUMNS = {
    "edgeLogp": "edge_logp",
    "edgeUniformLogp": "edge_uniform_logp",
    "edgeEventLogp": "edge_event_logp",
    "reachLogp": "reach_logp",
    "answerLogp": "answer_logp",
    "leak": "leak",
    "validMass": "valid_mass",
    "localPrecision": "local_precision",
    "localRecall": "local_recall",
}
NUMBERS = ("validity", "diversity", "recall", "precision", "coverage", "hill_2", "hill_inf")


def column(text: str) -> NDArray[np.float64]:
    return np.frombuffer(base64.b64decode(text), dtype=np.float64)


def question(rules: Sequence[Rule]) -> list[dict[str, Any]]:
    return [{"rule": str(rule), "engine": rule.engine} for rule in rules]


def assert_same(found: dict[str, Any], expected: Outcome, tolerance: float = 1e-6) -> None:
    close = {"rtol": tolerance, "atol": tolerance * 1e-3, "err_msg": expected.rule.label}
    for theirs, ours in COLUMNS.items():
        np.testing.assert_allclose(column(found["columns"][theirs]), getattr(expected, ours), **close)
    lost = attribute(expected.trie, expected.edge_logp)
    assert ("attribution" in found) == bool(np.isfinite(lost.reach[0]))
    for name, theirs in found.get("attribution", {}).items():
        np.testing.assert_allclose(column(theirs), getattr(lost, name), atol=1e-9, rtol=tolerance)
    scores, numbers = score(expected), found["numbers"]
    for name in NUMBERS:
        value = float("nan") if numbers[name] is None else numbers[name]
        np.testing.assert_allclose(value, getattr(scores, name), **close)
    np.testing.assert_allclose(numbers["eventPrecision"], scores.event_precision, **close)
    for n in (1, 10, 1000):
        np.testing.assert_allclose(numbers[f"distinct_{n}"], scores.distinct[n], **close)
    for theirs, ours in zip(found["samples"], samples_for(expected).values(), strict=True):
        assert (theirs is None) == (ours is None)
        # Counts beyond all use are found by bisecting rounded numbers.
        assert theirs == ours or theirs == pytest.approx(ours, rel=1e-6, abs=1)
    assert found["cutInTail"] == expected.cut_in_tail


def assert_page_shows(heart: Heart, unit: Unit, rules: Sequence[Rule], **sizes: int) -> None:
    answer = heart.ask(payload=payload([unit], **sizes).decode(), outcomes=question(rules))
    expected = outcomes(unit.probe.trie, embedded(unit, **sizes), rules)
    for found, outcome in zip(answer["outcomes"], expected, strict=True):
        assert_same(found, outcome)


class Blocks(list[Ranked]):
    """Distributions in memory, as a probe holds them on disk."""

    @property
    def vocab_size(self) -> int:
        return self[0].vocab_size


def unit_of(instance: some.Instance) -> Unit:
    trie = instance.trie()
    tokens = {token: f"<{token}>".encode() for token in range(40)}
    names = tuple(f"answer {index}" for index in range(trie.n_answers))
    provenance = {
        "model": "random",
        "task": "small",
        "breadth": "0",
        "created": "never",
        "model_identity": {},
        "model_provenance": {},
        "generation": {},
        "task_hash": "",
        "prompt_text": "? ",
        "chat": False,
        "delimiter": "",
        "warnings": [],
    }
    probe = Probe(trie, names, tokens, provenance, Blocks(instance.blocks(trie)), Path())  # type: ignore[arg-type]
    return Unit(probe, [], [], None)


TEMPERATURES = ("0.1", "0.3", "1", "2", "5")

STEPS = (
    "",
    "top_k=1",
    "top_k=3",
    "top_k=50",
    "top_k=2000",
    "top_p=0.3",
    "top_p=0.9",
    "top_p=0.99",
    "min_p=0.01",
    "min_p=0.3",
    "typical_p=0.2",
    "typical_p=0.9",
    "epsilon_cutoff=0.0003",
    "epsilon_cutoff=0.03",
    "eta_cutoff=0.0003",
    "eta_cutoff=0.03",
    "top_h=0.4",
    "top_n_sigma=1",
    "top_n_sigma=3",
    "xtc=0.05:0.5",
    "xtc=0.1:1",
    "oracle_size",
    "oracle_validity",
    "oracle_shape",
)

PAIRS = (
    "temperature=2,min_p=0.05,top_p=0.95",
    "min_p=0.05,temperature=3",
    "top_p=0.9,temperature=5,top_k=30",
    "xtc=0.02:0.5,temperature=0.3,top_p=0.9",
    "typical_p=0.9,temperature=0.3,top_n_sigma=1",
    "xtc=0.02:0.5,xtc=0.05:0.5,eta_cutoff=0.01",
    "temperature=0.5,temperature=3,top_h=0.7,min_p=0.2",
    "top_k=100,epsilon_cutoff=0.003,typical_p=0.5",
    "xtc=0.001:1,temperature=0.03,top_p=0.9",
    "temperature=0",
    "top_p=0.5,temperature=0",
    "temperature=0,oracle_size",
    "temperature=0,oracle_validity",
)


@cache
def grid() -> list[Rule]:
    """Every step at several temperatures before it, pairs in several orders, engines and oracles."""
    swept = [
        parse_rule(",".join(filter(None, (f"temperature={t}", step)))) for t in TEMPERATURES for step in STEPS
    ]
    engines = [parse_rule(name) for name in ENGINES]
    engines += [parse_rule("temperature=1.7,min_p=0.02,top_p=0.9,top_k=7", name) for name in ENGINES]
    return [*swept, *map(parse_rule, PAIRS), *engines, default_rule({})]


# On the data that the page carries


@settings(max_examples=150, deadline=None)
@given(instance=some.instances(forbidden=True), steps=some.PIPELINES)
def test_a_rule_gives_what_it_gives_in_python(
    heart: Heart, instance: some.Instance, steps: list[naive.Step]
) -> None:
    assume(not any(naive.is_doubtful(instance.law(prefix), steps) for prefix in instance.logits))
    assert_page_shows(heart, unit_of(instance), [some.rule_of(steps)])


@settings(max_examples=60, deadline=None)
@given(instance=some.instances(forbidden=True), t=some.TEMPERATURES | st.just(0.0), data=st.data())
def test_oracles(heart: Heart, instance: some.Instance, t: float, data: st.DataObject) -> None:
    rules = [
        parse_rule(f"temperature={t},{name}") for name in ("oracle_size", "oracle_validity", "oracle_shape")
    ]
    assert_page_shows(heart, unit_of(instance), rules, head=data.draw(st.integers(1, 40)))


@settings(max_examples=150, deadline=None)
@given(instance=some.instances(forbidden=True), steps=some.PIPELINES, head=st.integers(1, 12))
def test_a_short_head(heart: Heart, instance: some.Instance, steps: list[naive.Step], head: int) -> None:
    """Segments of a few tokens, some without any."""
    assume(not any(naive.is_doubtful(instance.law(prefix), steps) for prefix in instance.logits))
    assert_page_shows(heart, unit_of(instance), [some.rule_of(steps)], head=head)


def toy_models() -> list[Model]:
    return [
        toys.healthy(),
        toys.broken_order(),
        toys.broken_shape(),
        toys.broken_end(),
        toys.mostly_invalid(),
    ]


@pytest.mark.parametrize("model", toy_models(), ids=lambda model: model.name)
def test_toys(heart: Heart, model: Model) -> None:
    unit = run_unit(model, toys.letters_task(), [parse_rule("temperature=1")])
    assert_page_shows(heart, unit, grid())


def wide(n_finite: int, vocab: int = 12_000) -> some.Instance:
    """Five prefixes; valid tokens and two ends in the head and deep in the tail; some tokens forbidden."""
    random = np.random.default_rng(n_finite)
    ends = (7, vocab - 1)

    def row() -> NDArray[np.float32]:
        logits = 2 * random.standard_t(5, vocab)
        banned = np.setdiff1d(np.arange(vocab), [*ends, *range(20, 24)])
        logits[random.permutation(banned)[: vocab - n_finite]] = -np.inf
        return logits.astype(np.float32)

    answers = (((20, naive.END),), ((20, 21, naive.END),), ((22, naive.END), (21, 22)), ((23, naive.END),))
    prefixes: list[naive.Tokens] = [(), (20,), (20, 21), (22,), (21,), (23,)]
    return some.Instance(answers, ends, {prefix: row() for prefix in prefixes})


@pytest.mark.parametrize("n_finite", [6, 300, 1000, 5000, 11_990, 12_000])
def test_a_wide_vocabulary(heart: Heart, n_finite: int) -> None:
    """The last token that is not forbidden stands in either head, or in the tail."""
    rules = [*grid(), parse_rule("top_k=5000,top_n_sigma=2")]
    assert_page_shows(heart, unit_of(wide(n_finite)), rules)


@settings(max_examples=30, deadline=None)
@given(instance=some.instances(), most=st.integers(1, 4))
def test_prefixes_that_are_left_out(heart: Heart, instance: some.Instance, most: int) -> None:
    unit, rule = unit_of(instance), parse_rule("temperature=1.5")
    answer = heart.ask(payload=payload([unit], most=most).decode(), outcomes=question([rule]))
    (found,) = answer["outcomes"]
    (expected,) = outcomes(unit.probe.trie, embedded(unit, most=most), [rule])
    np.testing.assert_allclose(column(found["columns"]["answerLogp"]), expected.answer_logp)
    (whole,) = outcomes(unit.probe.trie, unit.probe.blocks, [rule])
    validity, unknown = found["numbers"]["validity"], found["numbers"]["unknown"]
    assert validity - 1e-9 <= whole.validity <= validity + unknown + 1e-9
    assert column(found["columns"]["leak"]).sum() == pytest.approx(1 - validity - unknown, abs=1e-9)
    if most >= len(unit.probe.trie.prefixes):
        assert unknown == 0


def test_the_same_runs_give_the_same_text() -> None:
    unit = unit_of(wide(5000))
    assert payload([unit, unit]) == payload([unit, unit])


def test_prefixes_read_as_in_python(heart: Heart) -> None:
    unit = run_unit(toys.healthy(), toys.letters_task(), [parse_rule("temperature=1")])
    texts = heart.ask(payload=payload([unit]).decode(), texts=True)["texts"]
    assert texts == [unit.probe.prefix_text(node) for node in range(len(unit.probe.trie))]


# What one prefix shows


@settings(max_examples=60, deadline=None)
@given(instance=some.instances(forbidden=True), steps=some.PIPELINES)
def test_a_step_shows_the_event_ranking(
    heart: Heart, instance: some.Instance, steps: list[naive.Step]
) -> None:
    assume(not any(naive.is_doubtful(instance.law(prefix), steps) for prefix in instance.logits))
    unit, rule = unit_of(instance), some.rule_of(steps)
    trie = unit.probe.trie
    asked = [{**question([rule])[0], "node": int(node)} for node in trie.prefixes]
    for view in heart.ask(payload=payload([unit]).decode(), steps=asked)["steps"]:
        prefix = tuple(trie.path(view["node"]))
        law = instance.law(prefix)
        mixture = naive.apply_steps(law, steps)
        ranking = naive.event_ranking(law, instance.end_tokens)
        allowed = [place for place in view["places"] if place["logit"] is not None]
        assert [place["token"] for place in allowed] == ranking
        assert [place["rank"] for place in allowed] == list(range(1, len(ranking) + 1))
        assert view["events"] == len(ranking)
        valid = naive.valid_events(instance.answers, prefix)
        assert {place["token"] for place in view["places"] if place["child"] >= 0} == valid
        for place in allowed:
            q = np.exp(naive.event_logp(mixture, place["token"], instance.end_tokens))
            assert place["probability"] == pytest.approx(q, rel=1e-6, abs=1e-12)
        assert view["rest"] == pytest.approx(0, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(instance=some.instances(), t=st.sampled_from([0.0, 0.7, 2.0]))
def test_a_step_under_oracle_size(heart: Heart, instance: some.Instance, t: float) -> None:
    unit, rule = unit_of(instance), parse_rule(f"temperature={t},oracle_size")
    trie = unit.probe.trie
    asked = [{**question([rule])[0], "node": int(node)} for node in trie.prefixes]
    for view in heart.ask(payload=payload([unit]).decode(), steps=asked)["steps"]:
        assert sum(place["probability"] for place in view["places"]) == pytest.approx(1)
        kept = [place["rank"] for place in view["places"] if place["kept"]]
        assert kept == list(range(1, min(trie.n_children[view["node"]], view["events"]) + 1))


# Rules as text

TEXTS = (
    " temperature=1.50 , min_p=.1",
    "temperature=0.00001,top_k=0",
    "top_k=1e3",
    "epsilon_cutoff=0.00001",
    "epsilon_cutoff=1e-7,top_n_sigma=123456789012345678",
    "top_p=1,min_p=0",
    "top_k=2.5",
    "top_k=-1",
    "top_k=nan",
    "top_p=inf",
    "top_p=x",
    "top_p=",
    "top_p",
    "top_h=0",
    "topp=0.9",
    "temprature=1",
    "tempertaure",
    "beam=4",
    "vlm",
    "",
    ",",
    "xtc=0.1",
    "xtc=0.1:0.5",
    "xtc=0.1:2",
    "xtc=0.7:1",
    "xtc=a:b",
    "oracle_size",
    "oracle_size=3",
    "oracle",
    "oracle_size,temperature=1",
    "top_k=3,oracle_shape",
    "temperature=2,temperature=0.25,oracle_validity",
    "temperature=1000,temperature=1000",
    "temperature=0.01,temperature=0.01",
    "temperature=1,temperature=2",
    "llama.cpp",
    "vllm",
    "min_p=0.1,temperature=2",
    "it's",
)


@pytest.mark.parametrize("engine", [None, *ENGINES, "mlx"])
def test_rules_are_read_and_printed_alike(heart: Heart, engine: str | None) -> None:
    found = heart.ask(parse=[{"rule": text, "engine": engine} for text in TEXTS])["parsed"]
    for text, theirs in zip(TEXTS, found, strict=True):
        assert theirs == read(text, engine)


def read(text: str, engine: str | None) -> dict[str, Any]:
    try:
        rule = parse_rule(text, engine)
    except RuleError as error:
        return {"error": str(error)}
    return {
        "rule": str(rule),
        "family": rule.family,
        "temperature": rule.temperature,
        "isCutoff": rule.is_cutoff,
        "label": rule.label,
    }


# Real models


def nudged(rule: Rule, by: float) -> Rule:
    """The rule with thresholds a little off: a token that stands at one may fall on either side of it."""
    parts = []
    for step in rule.steps:
        name, value = str(step).split("=", 1)
        first, *rest = value.split(":")
        moved = first if name in {"temperature", "top_k"} else repr(min(float(first) * (1 + by), 1.0))
        parts.append(f"{name}={':'.join([moved, *rest])}")
    return parse_rule(",".join(parts + [rule.oracle] * bool(rule.oracle)), rule.engine)


def nearest(expected: Sequence[NDArray[np.float64]], found: NDArray[np.float64]) -> float:
    """Largest distance in probability from the nearest of several columns of logs."""
    return float(np.min([np.abs(np.exp(each) - np.exp(found)) for each in expected], axis=0).max())


def assert_near_the_full_probe(heart: Heart, unit: Unit, rules: Sequence[Rule]) -> None:
    answer = heart.ask(payload=payload([unit]).decode(), outcomes=question(rules))
    variants = [rules, *([nudged(rule, by) for rule in rules] for by in (-1e-4, 1e-4))]
    full = zip(*(outcomes(unit.probe.trie, unit.probe.blocks, each) for each in variants), strict=True)
    for found, outcomes_ in zip(answer["outcomes"], full, strict=True):
        label = outcomes_[0].rule.label
        columns = found["columns"]
        uncut = not (found["cutInTail"] or outcomes_[0].cut_in_tail)
        tolerance = 1e-5 if uncut else 1e-3
        assert nearest([each.edge_logp for each in outcomes_], column(columns["edgeLogp"])) < tolerance, label
        assert nearest([each.answer_logp for each in outcomes_], column(columns["answerLogp"])) < tolerance
        assert min(abs(each.validity - found["numbers"]["validity"]) for each in outcomes_) < tolerance, label


@pytest.mark.model
@pytest.mark.parametrize("name", ["smollm2", "gemma3"])
def test_a_real_probe(heart: Heart, name: str, request: pytest.FixtureRequest) -> None:
    unit = run_unit(
        request.getfixturevalue(name), load_task("us-states-fewshot"), [parse_rule("temperature=1")]
    )
    assert_page_shows(heart, unit, grid())
    assert_near_the_full_probe(heart, unit, grid())
    assert len(payload([unit])) < 3000 * len(unit.probe.trie.prefixes) + 50_000


# The files that belong together


def sample() -> bytes:
    """What the heart's own tests read: `python tests/test_page_heart.py > page/test/sample.txt`."""
    # No more tokens than a probe keeps exactly: sums in float32 may differ from one processor to another.
    return payload([unit_of(wide(n_finite, vocab=4000)) for n_finite in (300, 2000, 4000)])


def test_the_sample_is_current() -> None:
    streams = [zlib.decompress(base64.b64decode(text)) for text in (SAMPLE.read_bytes(), sample())]
    assert streams[0] == streams[1], sample.__doc__


def test_the_page_is_built_from_its_source(tmp_path: Path) -> None:
    built = tmp_path / "page.html"
    subprocess.run(["node", "build.mjs", str(built)], cwd=PAGE, check=True)
    shipped = files("breadth.report.page").joinpath("page.html").read_bytes()
    assert built.read_bytes() == shipped, "run `npm run build` in the folder `page`"


if __name__ == "__main__":
    print(sample().decode(), end="")
