"""Built-in tasks: complete, correct, and loadable; generators against naive enumeration."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breadth import catalog
from breadth.catalog import load_task
from breadth.errors import TaskError
from breadth.generators import digits, integers, primes, product

SIZES = {
    "us-states": (50, ["California", "New York", "Hawaii"]),
    "us-states-fewshot": (50, ["Wyoming", "West Virginia"]),
    "weekdays": (7, ["Monday", "Sunday"]),
    "months": (12, ["January", "December"]),
    "one-to-hundred": (100, ["1", "10", "100"]),
    "dice": (6, ["1", "6"]),
    "two-dice": (36, ["1-1", "3-5", "6-6"]),
    "primes-below-100": (25, ["2", "97"]),
    "playing-cards": (52, ["Ace of Spades", "10 of Hearts", "Queen of Clubs"]),
    "card-suits": (4, ["Hearts"]),
    "planets": (8, ["Mercury", "Neptune"]),
    "chess-pieces": (6, ["Pawn", "Bishop"]),
    "nato-alphabet": (26, ["Alfa", "Juliett", "Zulu"]),
    "greek-letters": (24, ["Alpha", "Omega", "Xi"]),
    "zodiac-signs": (12, ["Aries", "Pisces"]),
    "rainbow-colours": (7, ["indigo"]),
    "canadian-provinces": (13, ["Nunavut", "Quebec"]),
    "continents": (7, ["Antarctica"]),
    "un-languages": (6, ["Arabic"]),
    "chemical-elements": (118, ["Hydrogen", "Iron", "Oganesson"]),
    "countries-africa": (54, ["Egypt", "Eswatini", "South Sudan"]),
    "countries-europe": (43, ["Russia", "Czechia", "Malta"]),
    "countries-asia": (47, ["Türkiye", "Cyprus", "Timor-Leste"]),
    "countries-north-america": (23, ["Canada", "Belize", "Haiti"]),
    "countries-south-america": (12, ["Suriname"]),
    "countries-oceania": (14, ["Tuvalu"]),
    "digits": (100, ["0,0", "3,7"]),
    "digits-sum": (283, ["0,0,0", "5,5,0"]),
    "digits-fewshot": (100, ["9,9"]),
    "digits-sum-fewshot": (283, ["1,2,7"]),
}


def test_every_built_in_task_is_known_here() -> None:
    assert set(catalog.names()) == set(SIZES)


@pytest.mark.parametrize("name", SIZES)
def test_lists_are_complete(name: str) -> None:
    size, members = SIZES[name]
    task = load_task(name)
    assert len(task.answers) == size
    assert set(members) <= set(task.answers)
    assert task.name == name
    assert task.source
    assert task.description
    assert task.warnings() == ()


def test_the_continents_hold_the_members_of_the_united_nations() -> None:
    names = [name for name in SIZES if name.startswith("countries-")]
    countries = [answer for name in names for answer in load_task(name).answers]
    assert len(countries) == len(set(countries)) == 193


def test_the_elements_stand_by_atomic_number() -> None:
    elements = load_task("chemical-elements").answers
    numbers = {"Helium": 2, "Neon": 10, "Iron": 26, "Silver": 47, "Gold": 79, "Lead": 82, "Uranium": 92}
    assert {name: elements.index(name) + 1 for name in numbers} == numbers


def test_other_spellings_are_the_same_answer() -> None:
    africa = load_task("countries-africa")
    assert "Ivory Coast" in africa.spellings(africa.answers.index("Côte d'Ivoire"))


def test_the_papers_wording() -> None:
    assert load_task("digits:length=3").prompt == (
        "Generate 3 random integers between 0 and 9 (inclusive). Your response should be 3 integers "
        "separated by commas and no white spaces. Answer:"
    )
    constrained = load_task("digits-sum:length=4,at_most=10").prompt or ""
    assert constrained.startswith(
        "Generate 4 random integers between 0 and 9 (inclusive) that sum to at most 10. "
    )
    assert load_task("us-states").prompt == "Randomly name a US state with no additional explanation. Answer:"


@pytest.mark.parametrize("length", [1, 2, 3])
def test_digits_are_all_there(length: int) -> None:
    expected = [",".join(str(n).zfill(length)) for n in range(10**length)]
    assert digits(length) == expected
    assert digits(length, equals=7) == [a for a in expected if sum(map(int, a.split(","))) == 7]
    assert digits(length, at_most=7) == [a for a in expected if sum(map(int, a.split(","))) <= 7]


@given(st.integers(1, 4), st.integers(-3, 3), st.integers(0, 4), st.integers(-14, 30), st.integers(-14, 30))
def test_bounded_sums_are_all_there(length: int, start: int, span: int, equals: int, at_most: int) -> None:
    every = list(itertools.product(range(start, start + span + 1), repeat=length))
    for given_sum, expected in (
        ({"equals": equals}, [numbers for numbers in every if sum(numbers) == equals]),
        ({"at_most": at_most}, [numbers for numbers in every if sum(numbers) <= at_most]),
        (
            {"equals": equals, "at_most": at_most},
            [numbers for numbers in every if sum(numbers) == equals <= at_most],
        ),
        ({}, every),
    ):
        if expected:
            made = digits(length=length, start=start, end=start + span, separator=" ", **given_sum)
            assert made == [" ".join(map(str, numbers)) for numbers in expected]
        else:
            with pytest.raises(ValueError, match="would give 0 answers"):
                digits(length=length, start=start, end=start + span, **given_sum)


def test_few_among_many_are_found_without_trying_all() -> None:
    assert len(digits(length=100, at_most=1)) == 101


@given(st.integers(3, 600))
def test_primes_are_those_without_divisors(below: int) -> None:
    expected = [n for n in range(2, below) if all(n % divisor for divisor in range(2, n))]
    assert primes(below) == [str(n) for n in expected]


def test_the_other_generators() -> None:
    assert integers(-1, 1) == ["-1", "0", "1"]
    assert product([["a", "b"], ["x", "y"]], "-") == ["a-x", "a-y", "b-x", "b-y"]
    with pytest.raises(ValueError, match="would give 0 answers"):
        product([["a"], []])
    with pytest.raises(ValueError, match=r"would give 10,000,001 answers; from 1 to 10,000,000 are accepted"):
        integers(0, 10**7)


def test_few_shot_examples_obey_the_constraint() -> None:
    prompt = load_task("digits-sum-fewshot:length=4,equals=9").prompt or ""
    *examples, question = prompt.splitlines()
    shown = [line.rpartition(": ")[2] for line in examples]
    assert len(set(shown)) == len(shown) == 6
    assert all(sum(map(int, numbers.split(","))) == 9 for numbers in shown)
    assert question == "4 random digits from 0 to 9 that sum to 9:"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("us-sates", "did you mean us-states?"),
        ("nothing-like-it", "`breadth ls tasks` lists them"),
        ("gone.yaml", "gone.yaml does not exist"),
        ("digits:size=3", "size: unknown key; accepted are length, start, end, ends"),
        ("digits:length=x", "length: 'x' should be a valid integer"),
        ("digits:length", "expected NAME:KEY=VALUE"),
        ("digits:length=0", "length: 0 should be greater than or equal to 1"),
        ("digits:start=5,end=2", "start is 5 and end is 2"),
        ("digits:start=0,end=10", "none cannot tell '0,1' from the start of '0,10'"),
        ("digits:length=99999999", "should be less than or equal to 100"),
        ("digits:length=100", "would give about 10^100 answers"),
        ("digits:length=12", "would give 1,000,000,000,000 answers"),
        ("digits:ends=soon", "ends: 'soon' should be 'none' or 'eos'"),
        ("digits-sum:equals=3,at_most=4", "give either equals or at_most"),
        ("digits-sum:length=2,equals=99", "would give 0 answers"),
    ],
)
def test_a_wrong_name_is_one_line(name: str, message: str) -> None:
    with pytest.raises(TaskError) as caught:
        load_task(name)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
