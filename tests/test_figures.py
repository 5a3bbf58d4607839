"""Figures tested as data: what is drawn is what was computed and what the CSV says, and it can be read."""

from __future__ import annotations

import csv
import functools
import itertools
import math
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from breadth import store
from breadth.errors import StorageError
from breadth.grid import default_grid, oracle_grid
from breadth.probe import open_probe
from breadth.ranked import rank_logits
from breadth.report import draw, style
from breadth.report.draw import draw_study, draw_unit
from breadth.report.figures import planes
from breadth.rules import Rule, default_rule, parse_rules
from breadth.scores import score_rules
from breadth.study import Unit
from breadth.trie import END, build_trie

HOSTILE = "$x^{2}$ \\alpha <b>&--> \u202e\u0000\t 中文 😀 עברית \u0301" + "W" * 90


@dataclass
class Maker:
    """Makes units from answers and a function of the tokens so far; keeps their probes."""

    folder: Path
    count: Iterator[int] = field(default_factory=itertools.count)

    def __call__(
        self,
        sequences: Sequence[tuple[int, ...]],
        logits: Callable[[list[int]], Any],
        texts: Sequence[str],
        *,
        rules: Sequence[Rule] | None = None,
        names: Sequence[str] | None = None,
        model: str = "toy",
        task: str = "task",
    ) -> Unit:
        n = len(sequences)
        trie = build_trie(sequences, range(n), n_answers=n, end_tokens=(0,))
        folder = self.folder / f"probe{next(self.count)}"
        folder.mkdir()
        with store.PrefixWriter(folder) as writer:
            for part in np.array_split(trie.prefixes, math.ceil(len(trie.prefixes) / 200)):
                rows = [np.asarray(logits(trie.path(int(node))), dtype=np.float32) for node in part]
                writer.append(rank_logits(part, np.stack(rows), trie))
        answers = [(name,) for name in names or map(str, range(n))]
        tokens = {index: text.encode(errors="surrogatepass") for index, text in enumerate(texts)}
        header = {"model": model, "task": task, "generation": {}, "warnings": []}
        store.write_trie(folder, trie, answers, tokens, header)
        if rules is None:
            rules = [default_rule({}), *default_grid(), *oracle_grid()]
        probe = open_probe(folder)
        return Unit(probe, rules, list(score_rules(probe, rules)), None)

    def letters(self, **options: Any) -> Unit:
        """Three letters and their end; the second step goes wrong more often after `a`."""

        def logits(path: list[int]) -> Any:
            with np.errstate(divide="ignore"):
                return np.log([0, 0.6, 0.25, 0.1, 0.05] if not path else [0.8 - 0.1 * path[0], 0, 0, 0, 0.2])

        return self([(1, END), (2, END), (3, END)], logits, ["\n", "a", "b", "c", "x"], **options)

    def digits(self, length: int, **options: Any) -> Unit:
        """All numbers of a length, with a vocabulary that needs a sketch."""
        words = [*"0123456789", *(f" w{index}" for index in range(4990))]

        def logits(path: list[int]) -> Any:
            generator = np.random.default_rng([7, length, *path[-1:]])
            z = generator.permutation(-1.2 * np.log(np.arange(1, 5001)))
            z[:10] = z.max() + generator.normal(1.0, 1.0, size=10)
            return z

        sequences = list(itertools.product(range(10), repeat=length))
        return self(sequences, logits, words, **{"task": f"digits:length={length}"} | options)

    def hostile(self) -> Unit:
        """Tokens and names that break careless drawing."""
        texts = [
            "\n\n",
            " $",
            "$$",
            "中文",
            "\u202eabc",
            "😀\ufe0f",
            "שלום",
            "\u0301",
            "\x1b[0m",
            "-->",
            "a" * 50,
        ]
        sequences = [(index, END) for index in range(1, 6)]
        names = [HOSTILE + str(index) for index in range(5)]

        def logits(path: list[int]) -> Any:
            return np.linspace(2, 0, len(texts)) if path else np.linspace(0, 3, len(texts))

        return self(sequences, logits, texts, names=names, model=HOSTILE, task=HOSTILE)

    def impossible(self) -> Unit:
        """No answer is ever given: validity 0, diversity undefined."""
        with np.errstate(divide="ignore"):
            z = np.log([0, 0, 0, 0.5, 0.5])
        return self([(1, END), (2, END)], lambda _: z, ["\n", "a", "b", "x", "y"])

    def single(self) -> Unit:
        """One answer."""
        return self([(1, END)], lambda path: [3, 0, 1] if path else [0, 3, 1], ["\n", "a", "x"])

    def many_rules(self) -> Unit:
        """More rule families than can be told apart."""
        steps = ["top_k=2", "top_p=0.9", "min_p=0.1", "typical_p=0.9", "top_h=0.5"]
        texts = [",".join(pair) for pair in itertools.permutations(steps, 2)]
        return self.letters(rules=parse_rules(texts))


@dataclass
class Saved:
    """A figure as it was saved, with the texts drawn and the boxes they fill, in pixels."""

    name: str
    figure: Figure
    columns: draw.Columns
    texts: list[tuple[Text, Any]]


@contextmanager
def recording() -> Iterator[list[Saved]]:
    """Every figure that is saved meanwhile."""
    result: list[Saved] = []
    texts: list[tuple[Text, Any]] = []
    save, draw_text = draw.Saver.__call__, Text.draw

    def recording_save(self: Any, name: str, figure: Figure, columns: draw.Columns, *rest: str) -> None:
        texts.clear()
        save(self, name, figure, columns, *rest)
        result.append(Saved(name, figure, columns, list(texts)))

    def recording_draw(self: Text, renderer: Any) -> None:
        draw_text(self, renderer)
        # Only the PNG: the SVG shows the same.
        if self.get_visible() and self.get_text().strip() and type(renderer).__name__ == "RendererAgg":
            texts.append((self, self.get_window_extent(renderer)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(draw.Saver, "__call__", recording_save)
        patch.setattr(Text, "draw", recording_draw)
        yield result


@dataclass
class Drawn:
    """A unit with its figures, each under its name."""

    unit: Unit
    folder: Path
    files: list[Path]
    figures: dict[str, Saved]


@pytest.fixture
def make(tmp_path: Path) -> Maker:
    return Maker(tmp_path)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Drawn]:
    """The figures of a unit in `UNITS`, and of a study that holds it twice; drawn once."""

    @functools.cache
    def draw_once(which: str) -> Drawn:
        folder = tmp_path_factory.mktemp("figures")
        unit = UNITS[which](Maker(tmp_path_factory.mktemp("probes")))
        with recording() as saved:
            files = draw_unit(unit, folder) + draw_study([unit, unit], folder)
        return Drawn(unit, folder, files, {each.name: each for each in saved})

    return draw_once


@pytest.fixture
def axes() -> Iterator[Axes]:
    with style.context():
        yield style.new_figure(4).add_subplot()


def line(ax: Axes, label: str) -> tuple[list[float], list[float]]:
    (found,) = [line for line in ax.lines if line.get_label() == label]
    return list(found.get_xdata()), list(found.get_ydata())


def read(path: Path) -> dict[str, list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    return {name: [row[index] for row in rows] for index, name in enumerate(header)}


def numbers(cells: Sequence[str]) -> list[float]:
    return [float(cell) if cell else math.nan for cell in cells]


UNITS: dict[str, Callable[[Maker], Unit]] = {
    "letters": Maker.letters,
    "digits": lambda make: make.digits(2),
    "ten thousand": lambda make: make.digits(
        4, rules=parse_rules(["temperature=1", "temperature=2,top_k=9"])
    ),
    "hostile": Maker.hostile,
    "impossible": Maker.impossible,
    "single": Maker.single,
    "many rules": Maker.many_rules,
    "few rules": lambda make: make.letters(
        rules=parse_rules(
            ["temperature=1", "temperature=1.5,min_p=0.1", "llama.cpp", "temperature=1,oracle_size"]
        )
    ),
    "one oracle": lambda make: make.letters(rules=parse_rules(["oracle_shape"])),
}


@pytest.mark.parametrize("which", UNITS)
def test_every_figure_can_be_read(which: str, drawn: Callable[[str], Drawn]) -> None:
    for name, each in drawn(which).figures.items():
        width, height = each.figure.get_size_inches() * style.DPI
        for text, box in each.texts:
            where = f"{name}: {text.get_text()!r}"
            assert text.get_fontsize() >= 8, where
            assert not text.get_parse_math(), where
            inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height
            assert inside, where
        for (one, box), (other, its_box) in itertools.combinations(each.texts, 2):
            # Boxes have a little air of their own.
            apart = not box.padded(-2).overlaps(its_box.padded(-2))
            assert apart, f"{name}: {one.get_text()!r} covers {other.get_text()!r}"


@pytest.mark.parametrize("which", UNITS)
def test_each_figure_is_three_whole_files(which: str, drawn: Callable[[str], Drawn]) -> None:
    found = drawn(which)
    assert sorted(found.files) == sorted(found.folder.iterdir())
    forms = ("png", "svg", "csv")
    assert [path.name for path in found.files] == [
        f"{name}.{form}" for name in found.figures for form in forms
    ]
    for name, each in found.figures.items():
        assert (found.folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert ET.parse(found.folder / f"{name}.svg").getroot().tag.endswith("svg")
        written = read(found.folder / f"{name}.csv")
        assert list(written) == list(each.columns)
        for title, column in each.columns.items():
            if column.dtype.kind == "f":
                np.testing.assert_array_equal(numbers(written[title]), column)
            elif column.dtype.kind == "b":
                assert written[title] == [str(cell).lower() for cell in column]
            else:
                assert written[title] == [str(cell) for cell in column]


def test_which_figures_a_unit_has(drawn: Callable[[str], Drawn]) -> None:
    always = ["frontier", "answers", "distinct", "temperature", "tokens"]
    letters, impossible = drawn("letters"), drawn("impossible")
    assert letters.unit.diagnosis.leaks[0].node != 0
    assert list(letters.figures) == [*always, "temperature-leak", "tokens-leak", "overview"]
    assert impossible.unit.diagnosis.leaks[0].node == 0
    assert list(impossible.figures) == [*always, "overview"]


def test_a_folder_that_cannot_be_made_is_one_clear_error(make: Maker, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        draw_unit(make.letters(), tmp_path / "file" / "figures")


def test_equal_data_give_equal_files_whatever_the_users_settings(
    tmp_path: Path, drawn: Callable[[str], Drawn]
) -> None:
    letters = drawn("letters")
    with mpl.rc_context({"font.size": 31, "axes.facecolor": "black"}):
        before = dict(mpl.rcParams)
        again = draw_unit(letters.unit, tmp_path)
        assert dict(mpl.rcParams) == before
    for path in again:
        assert path.read_bytes() == (letters.folder / path.name).read_bytes()


def test_no_window_system_is_touched() -> None:
    code = "import sys, breadth.report.draw; print('matplotlib.pyplot' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"


# The data behind each figure, against the definitions.


def test_the_frontier_shows_every_rule_once_and_the_default(drawn: Callable[[str], Drawn]) -> None:
    found = drawn("digits")
    unit, shown = found.unit, read(found.folder / "frontier.csv")
    points = zip(shown["rule"], numbers(shown["validity"]), numbers(shown["diversity"]), strict=True)
    facts = unit.diagnosis
    expected = [(row.rule, row.validity, row.diversity) for row in unit.scores]
    expected.append((facts.rule, facts.validity, facts.diversity))
    assert sorted(map(repr, points)) == sorted(map(repr, expected))
    assert set(shown["series"]) == {row.family for row in unit.scores} | {"default"}

    (ax,) = found.figures["frontier"].figure.axes
    rows = list(zip(shown["series"], numbers(shown["validity"]), numbers(shown["diversity"]), strict=True))
    on_front = [cell == "true" for cell in shown["on_front"]]
    for family in {row.family for row in unit.scores}:
        mine = [(x, y) for name, x, y in rows if name == family]
        front = [(x, y) for (name, x, y), on in zip(rows, on_front, strict=True) if on and name == family]
        assert line(ax, family) == ([x for x, _ in front], [y for _, y in front])
        for x, y in front:
            assert not [point for point in mine if point != (x, y) and point[0] >= x and point[1] >= y]
        for x, y in mine:
            assert math.isnan(y) or any(best[0] >= x and best[1] >= y for best in front)
    assert line(ax, "the model's default") == ([facts.validity], [facts.diversity])


def test_few_rules_are_shown_by_name(drawn: Callable[[str], Drawn]) -> None:
    found = drawn("few rules")
    unit = found.unit
    (ax,) = found.figures["frontier"].figure.axes
    legend = " ".join(text.get_text() for text in ax.get_legend().get_texts()).replace("\n", "")
    for row in unit.scores:
        assert row.is_oracle or row.rule in legend
    (first, *_) = unit.scores
    assert line(ax, "temperature=1") == ([first.validity], [first.diversity])


@pytest.mark.parametrize("which", ["letters", "digits", "ten thousand"])
def test_answers_are_sorted_and_the_tail_is_what_is_missing(
    which: str, drawn: Callable[[str], Drawn]
) -> None:
    found = drawn(which)
    n = found.unit.probe.trie.n_answers
    shown = read(found.folder / "answers.csv")
    left, right = found.figures["answers"].figure.axes
    rank, probability = np.array(shown["rank"], dtype=int), np.array(numbers(shown["probability"]))
    for temperature in draw.SHOWN_TEMPERATURES:
        mine = np.array(numbers(shown["temperature"])) == temperature
        curve, tail = mine & (rank > 0), mine & (rank == 0)
        assert line(left, f"{temperature:g}") == (rank[curve].tolist(), probability[curve].tolist())
        assert line(right, f"{temperature:g}")[1] == probability[tail].tolist()
        assert (np.diff(probability[curve]) <= 0).all()
        assert {1, 2, n} <= set(rank[curve])
        if n <= draw.MAX_RANKS:
            assert probability[mine].sum() == pytest.approx(1)
            assert len(set(np.array(shown["answer"])[curve])) == n
    assert len(rank) < 7000
    assert any(np.allclose(line.get_ydata(), 1 / n) for line in left.lines)


def test_distinct_answers_follow_their_definition(drawn: Callable[[str], Drawn]) -> None:
    found = drawn("letters")
    shown = read(found.folder / "distinct.csv")
    n = np.array(numbers(shown["samples"]))
    q = np.array([0.6 * 0.7, 0.25 * 0.6, 0.1 * 0.5]) / np.array([0.9, 0.8, 0.7])
    default = np.array(shown["kind"]) == "default"
    expected = (1 - (1 - q) ** n[default, None]).sum(axis=1)
    np.testing.assert_allclose(np.array(numbers(shown["expected"]))[default], expected, atol=1e-6)
    ideal = np.array(shown["kind"]) == "ideal"
    np.testing.assert_allclose(np.array(numbers(shown["expected"]))[ideal], 3 * (1 - (2 / 3) ** n[ideal]))
    (ax,) = found.figures["distinct"].figure.axes
    for label in set(shown["label"]):
        mine = [index for index, name in enumerate(shown["label"]) if name == label]
        assert line(ax, label)[1] == [numbers(shown["expected"])[index] for index in mine]


def test_a_floor_that_no_rule_reaches_has_no_curve(drawn: Callable[[str], Drawn]) -> None:
    assert set(read(drawn("impossible").folder / "distinct.csv")["kind"]) == {"ideal", "default"}


def test_the_masses_of_a_step_are_what_softmax_gives(drawn: Callable[[str], Drawn]) -> None:
    found = drawn("letters")
    shown = {name: np.array(numbers(cells)) for name, cells in read(found.folder / "temperature.csv").items()}
    t = shown["temperature"]
    assert (t[0], t[-1]) == (0, 8)
    weight = np.array([0.6, 0.25, 0.1, 0.05]) ** (1 / t[1:, None])
    p = weight / weight.sum(axis=1, keepdims=True)
    # Of 0.95 valid mass an even share is 0.32: only the first token is likely.
    np.testing.assert_allclose(shown["frequent"][1:], p[:, 0], atol=1e-6)
    np.testing.assert_allclose(shown["rare"][1:], p[:, 1] + p[:, 2], atol=1e-6)
    np.testing.assert_allclose(shown["invalid"][1:], p[:, 3], atol=1e-6)
    (ax,) = found.figures["temperature"].figure.axes
    tops = np.cumsum([shown["frequent"], shown["rare"], shown["invalid"]], axis=0)
    for area, top in zip(ax.collections, tops, strict=True):
        (path,) = area.get_paths()
        drawn = {(round(x, 9), round(y, 9)) for x, y in path.vertices}
        assert {(round(x, 9), round(y, 9)) for x, y in zip(t, top, strict=True)} <= drawn


def test_the_tokens_of_a_step_are_ranked_and_told_apart(drawn: Callable[[str], Drawn]) -> None:
    found = drawn("digits")
    shown = read(found.folder / "tokens.csv")
    rank, p = np.array(shown["rank"], dtype=int), np.array(numbers(shown["probability"]))
    valid = np.array(shown["valid"]) == "true"
    assert rank[:20].tolist() == list(range(1, 21))
    assert rank[-1] == found.unit.probe.vocab_size
    assert (np.diff(p) <= 0).all()
    assert sorted(np.array(shown["token"])[valid]) == list("0123456789")
    bars, everything = found.figures["tokens"].figure.axes
    assert [text.get_text().replace("␣", " ") for text in bars.get_yticklabels()] == shown["token"][:20]
    widths = {round(patch.get_y() + patch.get_height() / 2): patch.get_width() for patch in bars.patches}
    assert [widths[index] for index in range(20)] == p[:20].tolist()
    assert line(everything, "valid: 10 tokens") == (rank[valid].tolist(), p[valid].tolist())
    assert line(everything, "invalid (not all drawn)") == (rank[~valid].tolist(), p[~valid].tolist())
    (one, other) = everything.lines[1:]
    assert one.get_marker() != other.get_marker()
    assert one.get_color() != other.get_color()


def test_probabilities_of_tokens_are_the_softmax(drawn: Callable[[str], Drawn]) -> None:
    folder = drawn("letters").folder
    shown = read(folder / "tokens.csv")
    assert shown["token"] == ["a", "b", "c", "x", "\n"]
    assert shown["valid"] == ["true", "true", "true", "false", "false"]
    np.testing.assert_allclose(numbers(shown["probability"]), [0.6, 0.25, 0.1, 0.05, 0], atol=1e-7)
    shown = read(folder / "tokens-leak.csv")
    assert shown["token"][0] == "\n"
    assert shown["ends_answer"] == ["true", "false", "false", "false", "false"]


# Across units.


def test_lengths_are_drawn_for_each_family_of_two_or_more(make: Maker, tmp_path: Path) -> None:
    few = parse_rules(["temperature=1"])
    units = [
        make.digits(2, rules=few),
        make.digits(1, rules=few),
        make.digits(1, rules=few, task="other:length=1"),
        make.digits(1, rules=few, model="second"),
        make.letters(rules=few),
    ]
    with recording() as saved:
        files = draw_study(units, tmp_path)
    assert [path.name for path in files if path.suffix == ".csv"] == [
        "overview.csv",
        "lengths-toy--digits.csv",
    ]
    shown = read(tmp_path / "lengths-toy--digits.csv")
    (ax,) = saved[-1].figure.axes
    for length, unit in ((1, units[1]), (2, units[0])):
        mine = [index for index, cell in enumerate(shown["length"]) if cell == str(length)]
        validity = [numbers(shown["validity"])[index] for index in mine]
        assert line(ax, str(length))[0] == validity
        at_one = [index for index in mine if float(shown["temperature"][index]) == 1]
        assert [float(shown["validity"][index]) for index in at_one] == [unit.scores[0].validity]


def test_one_unit_alone_has_no_study_figure(make: Maker, tmp_path: Path) -> None:
    assert draw_study([make.letters()], tmp_path) == []
    assert draw_study([], tmp_path) == []


def test_the_overview_shows_the_front_of_all_rules(make: Maker, tmp_path: Path) -> None:
    units = [make.letters(), make.digits(1)]
    with recording() as saved:
        draw_study(units, tmp_path)
    shown = read(tmp_path / "overview.csv")
    for ax, unit in zip(saved[0].figure.axes, units, strict=False):
        mine = [
            index
            for index in range(len(shown["kind"]))
            if shown["task"][index] == unit.task and shown["kind"][index] == "front"
        ]
        x, y = line(ax, "best of all rules tried")
        assert x == [numbers(shown["validity"])[index] for index in mine]
        assert y == [numbers(shown["diversity"])[index] for index in mine]
        most = max(row.diversity for row in unit.scores if not row.is_oracle)
        assert max(y) == most
        assert line(ax, "the model's default")[0] == [unit.diagnosis.validity]


def test_a_large_study_has_several_overviews(
    make: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draw, "PANELS", 2)
    unit = make.letters(rules=parse_rules(["temperature=1"]))
    files = draw_study([unit] * (draw.PANELS + 1), tmp_path)
    assert [path.name for path in files if path.suffix == ".png"] == ["overview.png", "overview-2.png"]


# The drawing functions on their own: NaN is not drawn, nothing is computed.


def test_undefined_diversity_is_not_drawn(axes: Axes) -> None:
    planes.frontier(
        axes,
        kind=np.array(["rule", "rule", "default"]),
        series=np.array(["top_k", "top_k", "default"]),
        rule=np.array(["top_k=1", "top_k=2", "top_k=2"]),
        validity=np.array([0.5, 0.0, 0.0]),
        diversity=np.array([0.25, np.nan, np.nan]),
        on_front=np.array([True, False, False]),
        n_answers=4,
    )
    assert line(axes, "top_k") == ([0.5], [0.25])
    assert np.isnan(line(axes, "the model's default")[1]).all()


def test_temperatures_are_written_beside_their_points(axes: Axes) -> None:
    planes.lengths(
        axes,
        length=np.array([1, 1, 1]),
        temperature=np.array([0.5, 1.0, 2.0]),
        validity=np.array([0.9, 0.5, 0.500001]),
        diversity=np.array([0.2, 0.6, 0.6]),
    )
    written = [text.get_text() for text in axes.texts]
    assert written[:2] == ["0.5", "1"]


# Style.


@given(st.text())
def test_any_text_becomes_one_line_that_the_font_can_draw(text: str) -> None:
    shown = style.legible(text)
    font = mpl.font_manager.get_font(mpl.font_manager.findfont(style.FONT))
    assert len(shown.splitlines()) <= 1
    assert all(font.get_char_index(ord(character)) for character in shown)
    if text.isascii() and text.isprintable():
        assert shown == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (" a\n", " a⏎"),
        ("\t\r", "⇥\\u000d"),
        ("中", "\\u4e2d"),
        ("\U0001f9ff", "\\U0001f9ff"),
        ("\u202e", "\\u202e"),
        ("\u0301", "◌\u0301"),
        ("é", "é"),
        ("ש", "\u200eש\u200e"),
        ("\ud800", "\\ud800"),
        ("$5$", "$5$"),
    ],
)
def test_hostile_characters(text: str, shown: str) -> None:
    assert style.legible(text) == shown


@given(st.text(), st.integers(1, 30))
def test_texts_are_cut(text: str, at_most: int) -> None:
    shown = style.legible(text, at_most=at_most).strip("\u200e◌")
    assert len(shown) <= at_most


def test_spaces_are_shown_in_tokens() -> None:
    assert style.legible(" a b", spaces=True) == "␣a␣b"


@given(st.lists(st.sampled_from(["temperature=1", "top_k=50", "min_p=0.1", "xtc=0.1:0.5"]), min_size=1))
def test_a_wrapped_rule_is_the_rule(steps: list[str]) -> None:
    rule = ",".join(steps)
    lines = style.wrapped(rule).split("\n")
    assert "".join(lines) == rule
    assert max(map(len, lines)) <= 30


def test_no_two_looks_are_the_same() -> None:
    names = ["top_k", "top_p+min_p", "temperature", "min_p", "a", "b", "c", "d", "e", "f"]
    looks = style.looks(names)
    assert list(looks) == names or set(looks) == set(names)
    assert len({look.colour for look in looks.values()}) == len(names)
    assert len({look.marker for look in looks.values()}) == len(names)
    assert style.looks(["min_p"])["min_p"] == looks["min_p"]
    assert len({(look.colour, look.marker) for look in style.sequence(10)}) == 10


@pytest.mark.parametrize(
    ("value", "written"), [(1, "1"), (1000, "1,000"), (10_000, "10k"), (2_000_000, "2M"), (1e9, "1G")]
)
def test_counts_are_short(value: float, written: str) -> None:
    assert style.count(value) == written
