"""The report page in a real browser: what a reader does with it, against Python's numbers.

The browser is any Chromium of the system; nothing is downloaded.
"""

from __future__ import annotations

import csv
import math
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import toys
from breadth.catalog import load_task
from breadth.errors import RuleError
from breadth.explanation import explain
from breadth.measures.frontier import pareto_front
from breadth.models.base import Model
from breadth.models.toy import ToyModel, ToyTokenizer
from breadth.outcome import Outcome, outcomes
from breadth.report.page.page import write_page
from breadth.report.page.payload import embedded
from breadth.rules import Rule, default_rule, parse_rule
from breadth.scores import Scores, samples_for, score
from breadth.study import Unit, run_unit
from breadth.tables import write_tables

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
SAMPLES = 100  # what the page counts distinct answers in, until it is told otherwise

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium or google-chrome is installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


class Reader:
    """A page opened from its file, and all that it complained of or asked the network for."""

    def __init__(self, page: Any, units: list[Unit]) -> None:
        self.page, self.units = page, units
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    @property
    def rule(self) -> Rule:
        """The rule that the controls show."""
        return parse_rule(self.page.input_value("#rule"), self.page.input_value("#engine") or None)

    def settle(self) -> None:
        """Until everything in sight is drawn anew: within a frame."""
        self.page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def write(self, field: str, text: str) -> None:
        self.page.fill(field, text)
        self.page.press(field, "Enter")
        self.settle()

    def slide(self, name: str, place: int) -> None:
        self.page.fill(f"#{name}-range", str(place))
        self.settle()

    def choose(self, field: str, value: str) -> None:
        self.page.select_option(field, value)
        self.settle()

    def click(self, selector: str) -> None:
        self.page.click(selector)
        self.settle()

    def move(self, name: str, arrow: str) -> None:
        self.page.locator(".slider", has=self.page.locator(f"#{name}")).get_by_text(arrow).click()
        self.settle()

    def texts(self, selector: str) -> list[str]:
        return self.page.locator(selector).all_inner_texts()

    def numbers(self, column: int = 0) -> dict[str, str]:
        cells = self.page.locator(f"#summary .column >> nth={column} >> [data-number]")
        return dict(cells.evaluate_all("cells => cells.map(cell => [cell.dataset.number, cell.textContent])"))


@contextmanager
def reading(browser: Any, units: list[Unit], folder: Path, **options: Any) -> Iterator[Reader]:
    """A page in a window so high that everything is in sight."""
    path = folder / "report.html"
    write_page(units, path)
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 9000}} | options)
    context.set_default_timeout(10_000)
    reader = Reader(context.new_page(), units)
    reader.page.goto(path.as_uri())
    reader.page.wait_for_selector("[data-number=validity]")
    yield reader
    context.close()
    assert not reader.complaints
    assert {url for url in reader.requests if not url.startswith("blob:")} == {path.as_uri()}


@pytest.fixture
def read(browser: Any, units: list[Unit], tmp_path: Path) -> Iterator[Reader]:
    with reading(browser, units, tmp_path) as reader:
        yield reader


# What is read

WORDS = ("a", "ab", "abc", "bcd", "be", "cafe", "fade")


def words() -> ToyModel:
    """Answers of several letters; earlier ones are likelier, and something leaks at every step."""

    def distribution(text: str) -> dict[str, float]:
        table: dict[str, float] = {"u": 0.08, "v": 0.03}
        for place, word in enumerate(WORDS):
            if word.startswith(text):
                following = word[len(text)] if word != text else "<end>"
                table[following] = table.get(following, 0) + 0.9 / 1.7**place
        return {name: p / (1.1 * sum(table.values())) for name, p in table.items()}

    return ToyModel(toys.TOKENIZER, distribution, prompt=toys.PROMPT, name="words")


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> list[Unit]:
    out = tmp_path_factory.mktemp("runs")
    models = [toys.healthy(), toys.broken_order(), toys.broken_shape()]
    found = [run_unit(model, toys.letters_task(), out=out) for model in models]
    explained = run_unit(words(), toys.letters_task(name="words", answers=list(WORDS)), out=out)
    write_tables(explained, explain(explained))
    return [explained, *found]


def on_page(unit: Unit, rule: Rule) -> Outcome:
    (outcome,) = outcomes(unit.probe.trie, embedded(unit), [rule])
    return outcome


def assert_reads(text: str, value: float | None) -> None:
    """A number is printed with all its digits right."""
    if value is None or math.isnan(value):
        assert text in {"never", "–"}
        return
    scale = 0.01 if text.endswith(" %") else 1
    digits = Decimal(text.removesuffix(" %").replace("−", "-").replace(",", ""))
    last = scale * 10.0 ** int(digits.as_tuple().exponent)
    assert abs(scale * float(digits) - value) <= 0.5001 * last + 1e-6 * abs(value), (text, value)


def assert_shows(reader: Reader, unit: Unit, rule: Rule, column: int = 0) -> None:
    outcome = on_page(unit, rule)
    scores, numbers = score(outcome), reader.numbers(column)
    for name in ("validity", "diversity", "coverage", "recall", "precision"):
        assert_reads(numbers[name], getattr(scores, name))
    assert_reads(numbers["distinct"], scores.distinct[SAMPLES])
    for share, count in samples_for(outcome).items():
        assert_reads(numbers[f"samples-{share:g}"], count)


# The page opens

RULES = (
    "temperature=0.7,top_k=3",
    "temperature=2,min_p=0.05,top_p=0.9",
    "min_p=0.1,temperature=3",
    "temperature=0",
    "xtc=0.1:0.5,typical_p=0.9",
    "temperature=1.5,oracle_size",
    "oracle_validity",
    "oracle_shape",
)


def test_it_opens_with_the_default_rule(read: Reader) -> None:
    assert read.page.title() == "breadth: broken-order, broken-shape, healthy, words"
    assert read.rule == default_rule({})
    assert_shows(read, read.units[0], default_rule({}))
    assert read.texts("#summary .sentence") == [read.units[0].diagnosis.sentence]


@pytest.mark.model
def test_a_real_probe(browser: Any, smollm2: Model, tmp_path: Path) -> None:
    rules = [default_rule({}), *map(parse_rule, RULES)]
    unit = run_unit(smollm2, load_task("us-states-fewshot"), rules, out=tmp_path)
    with reading(browser, [unit], tmp_path) as reader:
        reader.choose("#engine", "")
        for rule in rules[1:]:
            reader.write("#rule", str(rule))
            assert_shows(reader, unit, rule)
            assert_lists(reader, unit, rule)


# The controls


def slid(low: float, high: float, place: int) -> str:
    """What a slider stands for: three digits on a logarithmic scale."""
    return f"{low * (high / low) ** (place / 1000):.3g}"


Act = Callable[[Reader], None]

ACTS: dict[str, tuple[list[Act], str, str | None]] = {
    "temperature as text": (
        [lambda r: r.write("#temperature", "1.5")],
        "temperature=1.5,top_k=50",
        "transformers",
    ),
    "temperature by its slider": (
        [lambda r: r.slide("temperature", 800)],
        f"temperature={slid(0.1, 5, 800)},top_k=50",
        "transformers",
    ),
    "top-k": ([lambda r: r.write("#top_k", "2")], "temperature=1,top_k=2", "transformers"),
    "top-k by its slider": (
        [lambda r: r.slide("top_k", 200)],
        f"temperature=1,top_k={round(1000**0.2)}",
        "transformers",
    ),
    "top-k off": ([lambda r: r.click("#top_k-on")], "temperature=1", "transformers"),
    "top-p on": ([lambda r: r.click("#top_p-on")], "temperature=1,top_k=50,top_p=0.9", "transformers"),
    "top-p": (
        [lambda r: r.write("#top_p", "0.5")],
        "temperature=1,top_k=50,top_p=0.5",
        "transformers",
    ),
    "min-p on, set and off": (
        [lambda r: r.click("#min_p-on"), lambda r: r.write("#min_p", "0.3"), lambda r: r.click("#min_p-on")],
        "temperature=1,top_k=50",
        "transformers",
    ),
    "min-p by its slider": (
        [lambda r: r.slide("min_p", 600)],
        f"temperature=1,top_k=50,min_p={slid(0.001, 1, 600)}",
        "transformers",
    ),
    "the order": (
        [
            lambda r: r.write("#temperature", "3"),
            lambda r: r.write("#min_p", "0.2"),
            lambda r: r.choose("#engine", ""),
            lambda r: r.move("min_p", "↑"),
            lambda r: r.move("temperature", "↓"),
        ],
        "min_p=0.2,temperature=3,top_k=50",
        None,
    ),
    "an engine's order": (
        [
            lambda r: r.write("#temperature", "3"),
            lambda r: r.write("#min_p", "0.2"),
            lambda r: r.choose("#engine", "llama.cpp"),
        ],
        "top_k=50,min_p=0.2,temperature=3",
        "llama.cpp",
    ),
    "an oracle": (
        [lambda r: r.choose("#oracle", "oracle_size")],
        "temperature=1,oracle_size",
        "transformers",
    ),
    "a rule, and back to the default": (
        [lambda r: r.write("#rule", "top_h=0.3"), lambda r: r.click("text=Model’s default")],
        "temperature=1,top_k=50",
        "transformers",
    ),
}


@pytest.mark.parametrize("name", ACTS)
def test_every_control_changes_the_numbers(read: Reader, name: str) -> None:
    acts, text, engine = ACTS[name]
    for act in acts:
        act(read)
    assert read.rule == parse_rule(text, engine)
    assert read.page.input_value("#rule") == str(parse_rule(text, engine))
    assert_shows(read, read.units[0], parse_rule(text, engine))


@pytest.mark.parametrize("text", [" temperature=1.50 , min_p=.1", "top_k=1e1", "temperature=1,top_p=1"])
def test_a_rule_is_read_as_python_reads_it(read: Reader, text: str) -> None:
    read.choose("#engine", "")
    read.write("#rule", text)
    assert read.page.input_value("#rule") == str(parse_rule(text))
    assert_shows(read, read.units[0], parse_rule(text))


@pytest.mark.parametrize("text", ["temprature=1", "top_p=2", "top_k", "oracle_size,top_k=3"])
def test_a_wrong_rule_says_so_and_changes_nothing(read: Reader, text: str) -> None:
    with pytest.raises(RuleError) as error:
        parse_rule(text, "transformers")
    before = read.numbers()
    read.write("#rule", text)
    assert read.texts("[role=alert]") == [str(error.value)]
    assert read.numbers() == before
    read.click("text=Model’s default")
    assert read.texts("[role=alert]") == [""]
    assert read.rule == default_rule({})


def test_what_is_out_of_sight_follows(browser: Any, units: list[Unit], tmp_path: Path) -> None:
    with reading(browser, units, tmp_path, viewport={"width": 1000, "height": 400}) as reader:
        reader.choose("#engine", "")
        reader.write("#rule", "temperature=0")
        reader.page.wait_for_timeout(500)
        assert_shows(reader, units[0], parse_rule("temperature=0"))
        assert_lists(reader, units[0], parse_rule("temperature=0"))


# The views


def assert_lists(reader: Reader, unit: Unit, rule: Rule) -> None:
    """The answers stand in Python's order; those that rounding could swap may be swapped."""
    logp = on_page(unit, rule).answer_logp
    listed = [unit.probe.answers.index(name) for name in reader.texts("#answers tbody th")]
    assert sorted(listed) == list(range(len(logp)))
    np.testing.assert_allclose(logp[listed], np.sort(logp)[::-1], atol=1e-6)


def node_after(unit: Unit, text: str) -> int:
    trie = unit.probe.trie
    return next(node for node in trie.prefixes.tolist() if unit.probe.prefix_text(node) == text)


def test_walking_the_answers(read: Reader) -> None:
    (unit, *_), rule = read.units, parse_rule("temperature=2,top_k=4")
    read.choose("#engine", "")
    read.write("#rule", str(rule))
    valid_mass = on_page(unit, rule).valid_mass
    for text in ("", "a", "ab"):
        if text:
            read.page.locator("#step table button", has_text=text[-1]).first.click()
            read.settle()
        assert read.texts("#step .crumbs > *") == ["start", *text]
        assert_reads(read.texts("#step .facts strong")[0], valid_mass[node_after(unit, text)])
    read.click("#step .crumbs button >> nth=1")
    assert read.texts("#step .crumbs [aria-current]") == ["a"]
    assert_reads(read.texts("#step .facts strong")[0], valid_mass[node_after(unit, "a")])


def test_a_node_of_the_tree_and_a_leak_lead_to_their_prefix(read: Reader) -> None:
    read.page.press('#lost .node[aria-label^="f:"]', "Enter")
    read.settle()
    assert read.texts("#step .crumbs [aria-current]") == ["f"]
    read.click("#lost table button >> text=(start)")
    assert read.texts("#step .crumbs [aria-current]") == ["start"]


def test_two_runs(read: Reader) -> None:
    read.choose("#shown", "2")
    assert_shows(read, read.units[2], default_rule({}))
    read.choose("#beside", "1")
    read.choose("#engine", "")
    rule = parse_rule("temperature=0.8,top_p=0.95")
    read.write("#rule", str(rule))
    assert read.texts("#summary h3") == ["broken-order on letters", "healthy on letters"]
    for column, at in enumerate((2, 1)):
        assert_shows(read, read.units[at], rule, column)
    read.choose("#beside", "")
    assert read.page.locator("#summary .column").count() == 1


def test_the_overview_leads_to_a_run(read: Reader) -> None:
    read.click("#overview tbody tr >> nth=3 >> button")
    assert read.page.input_value("#shown") == "3"
    assert_shows(read, read.units[3], default_rule({}))


def test_answers(read: Reader) -> None:
    (unit, *_), rule = read.units, parse_rule("temperature=0.8")
    read.choose("#engine", "")
    read.write("#rule", str(rule))
    assert_lists(read, unit, rule)
    read.page.fill("#answers input[type=search]", "AB")
    assert sorted(read.texts("#answers tbody th")) == ["ab", "abc"]
    read.page.fill("#answers input[type=search]", "")
    read.write("#samples", "9")
    read.page.check("#answers input[type=checkbox]")
    q = np.exp(on_page(unit, rule).answer_logp)
    hardly = {word for word, each in zip(unit.probe.answers, q, strict=True) if 1 - (1 - each) ** 9 < 0.5}
    assert 0 < len(hardly) < len(WORDS)
    assert set(read.texts("#answers tbody th")) == hardly


def labelled(unit: Unit, label: str) -> Scores:
    return next(each for each in unit.scores if parse_rule(each.rule, each.engine).label == label)


def middle(reader: Reader, selector: str) -> tuple[float, float]:
    box = reader.page.locator(selector).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_pointing_at_a_rule_names_it_and_a_click_takes_it(read: Reader) -> None:
    (unit, *_) = read.units
    rule = next(each for each in unit.scores if each.family == "top_p" and each.diversity < 0.9)
    read.choose("#engine", rule.engine or "")
    read.write("#rule", rule.rule)
    spot = middle(read, "#frontier svg.chart .current")
    read.write("#rule", "temperature=5")
    read.page.mouse.move(*spot)
    (named,) = read.texts("#frontier .hover code")
    found = labelled(unit, named)
    assert (found.validity, found.diversity) == pytest.approx((rule.validity, rule.diversity), abs=0.02)
    shown = re.findall(r"(?:validity|diversity) (\S+)", read.texts("#frontier .hover")[0])
    for text, value in zip(shown, (found.validity, found.diversity), strict=True):
        assert_reads(text, value)
    read.page.mouse.click(*spot)
    read.settle()
    assert read.rule.label == named
    assert_shows(read, unit, read.rule)


def test_a_touch_takes_a_rule(browser: Any, units: list[Unit], tmp_path: Path) -> None:
    with reading(browser, units, tmp_path, has_touch=True) as reader:
        spot = middle(reader, "#frontier svg.chart .current")
        reader.choose("#engine", "")
        reader.write("#rule", "temperature=5")
        reader.page.touchscreen.tap(*spot)
        reader.settle()
        assert reader.rule != parse_rule("temperature=5")
        assert_shows(reader, units[0], reader.rule)


def test_the_keyboard_walks_along_the_best_rules(read: Reader) -> None:
    (unit, *_) = read.units
    points = np.array([(each.validity, each.diversity) for each in unit.scores])
    points = points[~np.isnan(points).any(axis=1)]
    best = {tuple(np.round(points[index], 6)) for index in pareto_front(points[:, 0], points[:, 1])}
    read.page.focus("#frontier svg.chart")
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        read.page.keyboard.press(key)
        (named,) = read.texts("#frontier .hover code")
        found = labelled(unit, named)
        assert tuple(np.round((found.validity, found.diversity), 6)) in best
    read.page.keyboard.press("Enter")
    read.settle()
    assert read.rule.label == named


SPELLED: dict[str, tuple[list[str], dict[int, str]]] = {
    "temperature=0.7,top_p=0.9": (
        [
            "model.generate(**inputs, do_sample=True, top_k=0, temperature=0.7, top_p=0.9)",
            "SamplingParams(temperature=0.7, top_p=0.9)",
            'llama-cli --top-k 0 --top-p 0.9 --min-p 0 --temp 0.7 --samplers "temperature;top_p"',
            '{"temperature":0.7,"top_p":0.9}',
        ],
        {},
    ),
    "temperature=1.5,min_p=0.1,top_k=50": (
        [
            "model.generate(**inputs, do_sample=True, temperature=1.5, top_k=50, min_p=0.1)",
            "SamplingParams(temperature=1.5, min_p=0.1, top_k=50)",
            'llama-cli --top-k 50 --top-p 1 --min-p 0.1 --temp 1.5 --samplers "temperature;min_p;top_k"',
            '{"temperature":1.5}',
        ],
        {0: "order", 3: "min_p, top_k"},
    ),
    "xtc=0.1:0.5": (
        [
            "model.generate(**inputs, do_sample=True, top_k=0)",
            "SamplingParams()",
            "llama-cli --top-k 0 --top-p 1 --min-p 0 --xtc-threshold 0.1 --xtc-probability 0.5 --temp 1",
            "{}",
        ],
        {0: "has no xtc", 1: "has no xtc", 3: "has no xtc"},
    ),
}


@pytest.mark.parametrize("rule", SPELLED)
def test_a_rule_for_an_engine(read: Reader, rule: str) -> None:
    spelled, notes = SPELLED[rule]
    read.choose("#engine", "")
    read.write("#rule", rule)
    assert read.texts("#copy-as pre") == spelled
    for index, entry in enumerate(read.texts("#copy-as .spelled")):
        *_, note = entry.partition("Copy")
        assert bool(note.strip()) == (index in notes), entry
        assert notes.get(index, "") in note


def test_no_engine_runs_an_oracle(read: Reader) -> None:
    read.choose("#oracle", "oracle_shape")
    assert all("no engine can run it" in text for text in read.texts("#copy-as .spelled"))


# Saving


def saved(reader: Reader, figure: Any, form: str) -> bytes:
    with reader.page.expect_download() as download:
        figure.locator(".savers").get_by_text(form, exact=True).click()
    return Path(download.value.path()).read_bytes()


def test_every_figure_is_saved(read: Reader) -> None:
    figures = read.page.locator("figure").all()
    assert len(figures) >= 6
    for figure in figures:
        read.page.reload()  # a browser lets a page save ten files before it asks
        svg = ElementTree.fromstring(saved(read, figure, "SVG"))
        assert svg.tag == "{http://www.w3.org/2000/svg}svg"
        assert saved(read, figure, "PNG").startswith(b"\x89PNG\r\n\x1a\n")
        rows = list(csv.reader(saved(read, figure, "CSV").decode().splitlines()))
        assert len(rows) > 1
        assert len({len(row) for row in rows}) == 1


def test_the_saved_answers_are_pythons(read: Reader) -> None:
    (unit, *_) = read.units
    text = saved(read, read.page.locator("#answers figure"), "CSV").decode()
    q = np.exp(on_page(unit, default_rule({})).answer_logp)
    for row in csv.DictReader(text.splitlines()):
        expected = q[unit.probe.answers.index(row["answer"])]
        assert float(row["probability"]) == pytest.approx(expected, rel=1e-6)


# Foreign text

TURNED = "\u202e"
HOSTILE = (
    "</script><img src=x onerror=window.hacked=1>",
    "<b>bold</b>",
    f"a{TURNED}b",
    "\x01\x7f",
    "{{data}}<!--",
    '"=1+1"&amp;',
)


def hostile() -> ToyModel:
    def distribution(text: str) -> dict[str, float]:
        ways = [answer for answer in HOSTILE if answer.startswith(text)]
        table = {way[len(text)] if way != text else "<end>": 0.9 for way in ways}
        return {name: p / len(table) for name, p in table.items()}

    letters = "".join(sorted({*"".join(HOSTILE), *toys.PROMPT, "z"}))
    name = f"{HOSTILE[0]}{TURNED}<b>"
    return ToyModel(ToyTokenizer(letters), distribution, prompt=toys.PROMPT, name=name)


def test_foreign_text_is_only_text(browser: Any, tmp_path: Path) -> None:
    rules = [parse_rule("temperature=1"), parse_rule("temperature=2")]
    task = toys.letters_task(answers=list(HOSTILE))
    units = [run_unit(hostile(), task, rules, out=tmp_path / name) for name in "ab"]
    write_tables(units[0], explain(units[0]))
    with reading(browser, units, tmp_path) as reader:
        page = reader.page
        reader.choose("#beside", "1")
        for last in ("a", TURNED):
            token = "\\u202e" if last == TURNED else last
            page.locator("#step .column >> nth=0 >> table button", has_text=token).first.click()
            reader.settle()
            page.mouse.move(*middle(reader, "#frontier svg.chart >> nth=0 >> .current"))
            assert page.evaluate("window.hacked") is None
            assert page.locator("img, b, script >> nth=1").count() == 0
            assert not set(page.content()) & set(f"{TURNED}\x01\x7f")
        names = reader.texts("#answers .column >> nth=0 >> tbody th")
        assert HOSTILE[0] in names
        assert HOSTILE[1] in names
        assert "a\\u202eb" in names
        for figure in page.locator(".column:first-child figure").all():
            ElementTree.fromstring(saved(reader, figure, "SVG"))
        for section in ("step", "lost"):  # where tokens are written into the figure
            figure = page.locator(f"#{section} figure").first
            assert saved(reader, figure, "PNG").startswith(b"\x89PNG\r\n\x1a\n")


REFUSED = """async () => {
  const refused = [];
  const violated = new Promise(done => document.addEventListener("securitypolicyviolation", event => {
    refused.push(event.effectiveDirective);
    if (refused.length === 5) done();
  }));
  const reached = await fetch("http://127.0.0.1:9/").then(() => true, () => false);
  new Image().src = "http://127.0.0.1:9/image.png";
  const division = document.createElement("div");
  division.innerHTML = '<button onclick="window.hacked = 1"></button>';
  document.body.append(division);
  division.firstChild.click();
  division.setAttribute("onclick", "window.hacked = 2");
  division.click();
  const script = document.createElement("script");
  script.textContent = "window.hacked = 3";
  document.body.append(script);
  await violated;
  return [reached, window.hacked ?? null, refused.sort()];
}"""


def test_the_policy_refuses_network_scripts_and_handlers(read: Reader) -> None:
    reached, hacked, refused = read.page.evaluate(REFUSED)
    assert not reached
    assert hacked is None
    assert refused == ["connect-src", "img-src", "script-src-attr", "script-src-attr", "script-src-elem"]
    assert len(read.complaints) >= 5
    read.complaints.clear()
    read.requests = [url for url in read.requests if url.startswith("file:")]


# How it looks


def luminance(colour: str) -> float:
    channels = [int(colour.strip()[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    low, high = sorted([luminance(first), luminance(second)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1000, 1600])
def test_it_fits_and_can_be_read(
    browser: Any, units: list[Unit], tmp_path: Path, width: int, scheme: str
) -> None:
    options = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    with reading(browser, units, tmp_path, **options) as reader:
        for beside in ("", "1"):
            reader.choose("#beside", beside)
            reader.page.wait_for_timeout(200)
            assert reader.page.evaluate("document.documentElement.scrollWidth") <= width
            reader.page.screenshot(path=tmp_path / f"{width}-{scheme}{beside}.png", full_page=True)
        variable = "name => getComputedStyle(document.documentElement).getPropertyValue(name)"
        colours = {
            name: reader.page.evaluate(variable, f"--{name}")
            for name in ("paper", "panel", "ink", "muted", "valid", "invalid")
        }
        for text in ("ink", "muted", "valid", "invalid"):
            assert contrast(colours[text], colours["paper"]) >= 4.5, text
        for text in ("ink", "muted"):
            assert contrast(colours[text], colours["panel"]) >= 4.5, text


def test_the_keyboard_reaches_everything(browser: Any, units: list[Unit], tmp_path: Path) -> None:
    """Run and rule first, then tokens, then the tree; what has the focus shows it and is in sight."""
    where = """() => {
      const at = document.activeElement;
      const style = getComputedStyle(at);
      const box = at.getBoundingClientRect();
      const seen = document.elementFromPoint(box.x + box.width / 2, box.y + Math.min(box.height / 2, 20));
      return {
        id: at.id,
        kind: at.matches("#step table button") ? "token" : at.matches("g.node") ? "node" : "",
        ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1,
        seen: at.contains(seen) || Boolean(seen?.contains(at)),
      };
    }"""
    with reading(browser, units, tmp_path, viewport={"width": 1000, "height": 700}) as reader:
        stops = []
        for _ in range(150):
            reader.page.keyboard.press("Tab")
            stops.append(reader.page.evaluate(where))
            if stops[-1]["kind"] == "node":
                break
        assert stops[0]["id"] == "shown"
        kinds = [stop["kind"] or stop["id"] for stop in stops]
        assert kinds.index("temperature-on") < kinds.index("token") < kinds.index("node")
        assert all(stop["ring"] for stop in stops)
        assert all(stop["seen"] for stop in stops), [stop for stop in stops if not stop["seen"]]
