"""Theorems E.1 to F.6 against brute force: every cutoff listed, every sum written out."""

from __future__ import annotations

import itertools
import math
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import naive
from breadth.catalog import entries, load_task
from breadth.encoding import encode
from breadth.grid import default_grid
from breadth.measures.cutoffs import cutoff_frontier
from breadth.measures.theorems import (
    Strategies,
    all_strategies,
    best_hard_step_bound,
    deficit,
    entropy_geometric,
    first_step_hardness,
    hard_step_bound,
    least_deficit,
    precision_factors,
    recall_factors,
    sequence_recall,
    shape_bound,
    step_hardness,
)
from breadth.models.toy import ToyModel, ToyTokenizer
from breadth.outcome import Outcome, outcomes
from breadth.ranked import rank_logits
from breadth.ranking import Ranking, event_ranking
from breadth.trie import Trie
from strategies import PIPELINES, SEEDS, Instance, instances, rule_of

EXACT = 1e-10


# E.1


def is_factored(outcome: Outcome) -> bool:
    """Whether both products of E.1 are their left sides."""
    kept = np.isfinite(outcome.edge_logp)
    alpha = precision_factors(outcome.trie, outcome.edge_event_logp)
    beta = recall_factors(outcome.trie, kept)
    gaps = (
        outcome.event_precision - float(alpha.prod()),
        sequence_recall(outcome.trie, kept) - float(beta.prod()),
    )
    return bool(np.abs(gaps).max() <= EXACT)


@pytest.mark.parametrize("name", [entry.name for entry in entries()])
def test_the_products_on_every_built_in_task(name: str) -> None:
    task = load_task(name)
    spelled = itertools.chain.from_iterable(task.spellings(index) for index in range(len(task.answers)))
    tokenizer = ToyTokenizer("".join(sorted(set("".join(spelled) + (task.prompt or "") + "\n "))))
    model = ToyModel(tokenizer, lambda _: {}, prompt="")
    trie = encode(task, model).trie
    random = np.random.default_rng(5)
    logits = random.normal(0, 1, (len(trie.prefixes), model.vocab_size)).astype(np.float32)
    start, token, _ = trie.valid_tokens(trie.prefixes)
    logits[np.repeat(np.arange(len(trie.prefixes)), np.diff(start)), token] += 3.0
    blocks = [rank_logits(trie.prefixes, logits, trie)]
    rules = [rule for rule in default_grid() if rule.temperature == 0.8]
    assert all(is_factored(outcome) for outcome in outcomes(trie, blocks, rules))


@settings(max_examples=100, deadline=None)
@given(instances(forbidden=True), PIPELINES)
def test_the_factors_are_the_means_of_the_definition(instance: Instance, steps: list[naive.Step]) -> None:
    trie = instance.trie()
    outcome = next(outcomes(trie, instance.blocks(trie), [rule_of(steps)]))
    assume(not any(naive.is_doubtful(instance.law(prefix), steps) for prefix in instance.logits))
    alpha = precision_factors(trie, outcome.edge_event_logp)
    beta = recall_factors(trie, np.isfinite(outcome.edge_logp))
    everything = [(s, 1 / len(spelled)) for spelled in instance.answers for s in spelled]
    for step in range(int(trie.depth.max())):
        reached: dict[naive.Tokens, float] = {(): 1.0}
        kept: set[naive.Tokens] = {()}
        for length in range(step):
            for prefix in [p for p in reached if len(p) == length and p in instance.logits]:
                mixture = naive.apply_steps(instance.law(prefix), steps)
                for event in naive.valid_events(instance.answers, prefix):
                    p = naive.uniform_event_probability(mixture, event, instance.end_tokens)
                    if p > 0:
                        reached[*prefix, event] = reached[prefix] * p
                        kept.add((*prefix, event))
        here = [p for p in reached if len(p) == step or p not in instance.logits]
        survivors = [(s, w) for s, w in everything if s[:step] in kept]
        precision, recall = [], []
        for prefix in here:
            below = [(s, w) for s, w in survivors if s[: len(prefix)] == prefix]
            if prefix not in instance.logits:
                precision.append((reached[prefix], 1.0))
                recall.append((sum(w for _, w in below), 1.0))
                continue
            mixture = naive.apply_steps(instance.law(prefix), steps)
            q = {
                event: naive.uniform_event_probability(mixture, event, instance.end_tokens)
                for event in naive.valid_events(instance.answers, prefix)
            }
            total = naive.answers_below(instance.answers, prefix)
            stays = [naive.answers_below(instance.answers, (*prefix, e)) for e in q if q[e] > 0]
            precision.append((reached[prefix], sum(q.values())))
            recall.append((total, sum(stays) / total))
        for pairs, factor in ((precision, alpha[step]), (recall, beta[step])):
            weight = sum(w for w, _ in pairs)
            mean = sum(w * value for w, value in pairs) / weight if weight else 0.0
            assert factor == pytest.approx(mean, abs=1e-12)


def test_minute_survival_is_not_lost() -> None:
    """What remains after a step may be far below float64's range; the next factors are still exact."""
    trie = Instance((((0, 2),), ((1, 3),)), (), {}).trie()
    edge = np.zeros(len(trie))
    first, second = trie.children(0)
    edge[second] = -900.0
    edge[trie.children(int(first))] = -np.inf
    assert precision_factors(trie, edge)[1] == pytest.approx(math.exp(-900), abs=0)
    edge[first] = -np.inf
    assert precision_factors(trie, edge).tolist() == [0.0, 1.0]
    edge[second] = -np.inf
    assert precision_factors(trie, edge).tolist() == [0.0, 0.0]


# E.2, E.3


def ranked(instance: Instance) -> tuple[Trie, Ranking]:
    trie = instance.trie()
    return trie, event_ranking(trie, instance.blocks(trie))


def every_cutoff(trie: Trie, ranking: Ranking) -> list[tuple[list[float], list[float]]]:
    """The factors under every K in 1 … n_events at every prefix, in exact arithmetic; sequences weigh 1."""
    leaves = trie.leaves.tolist()
    paths = {}
    for leaf in leaves:
        path = [leaf]
        while path[-1] > 0:
            path.append(int(trie.parent[path[-1]]))
        paths[leaf] = path[::-1]
    depth = int(trie.depth.max())
    found = set()
    for sizes in itertools.product(*(range(1, int(ranking.n_events[u]) + 1) for u in trie.prefixes)):
        size = dict(zip(trie.prefixes.tolist(), sizes, strict=True))
        valid, kept = [Fraction(1)], [Fraction(len(leaves))]
        for step in range(1, depth + 1):
            ends: dict[int, Fraction] = {}
            alive = 0
            for path in paths.values():
                start = path[: step + 1]
                if all(ranking.rank[v] <= size[u] for u, v in itertools.pairwise(start)):
                    alive += 1
                    ends[start[-1]] = math.prod((Fraction(1, size[u]) for u in start[:-1]), start=Fraction(1))
                    if trie.answer[start[-1]] >= 0:
                        ends[start[-1]] = math.prod(
                            (Fraction(1, size[u]) for u in path[:-1]), start=Fraction(1)
                        )
            valid.append(sum(ends.values(), Fraction(0)))
            kept.append(Fraction(alive))
        ratios = [[b / a if a else Fraction(0) for a, b in itertools.pairwise(x)] for x in (valid, kept)]
        found.add((tuple(ratios[0]), tuple(ratios[1])))
    return [([float(x) for x in a], [float(x) for x in b]) for a, b in found]


def is_small(trie: Trie, ranking: Ranking, limit: int = 3000) -> bool:
    return math.prod(int(ranking.n_events[u]) for u in trie.prefixes) <= limit


@settings(max_examples=60, deadline=None)
@given(instances(surfaces=False, forbidden=True), st.floats(0.01, 3.0))
def test_hardness_is_that_of_every_cutoff(instance: Instance, eta: float) -> None:
    trie, ranking = ranked(instance)
    assume(is_small(trie, ranking))
    strategies = all_strategies(trie, ranking.rank, ranking.n_events)
    assert strategies is not None
    alpha, beta = (np.array(rows) for rows in zip(*every_cutoff(trie, ranking), strict=True))
    first = first_step_hardness(trie, ranking.rank, ranking.n_events)
    for step, hardness in enumerate(strategies.hardness):
        best = beta[alpha[:, step] > math.exp(-eta), step].max(initial=0.0)
        expected = -math.log(best) if best else math.inf
        assert hardness(eta) == pytest.approx(expected, abs=1e-12)
        if step == 0:
            assert first(eta) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=150, deadline=None)
@given(instances(surfaces=False, forbidden=True))
def test_the_bound_of_hard_steps_is_never_below_the_exact_frontier(instance: Instance) -> None:
    trie, ranking = ranked(instance)
    allowed = (ranking.rank <= ranking.n_events[trie.parent]).astype(np.float64)
    frontier = cutoff_frontier(trie, ranking.rank, allowed, ranking.rank.astype(np.float64))
    listed = all_strategies(trie, ranking.rank, ranking.n_events, limit=20_000)
    first = [first_step_hardness(trie, ranking.rank, ranking.n_events)]
    for steps in [first] if listed is None else [first, listed.hardness]:
        bound = best_hard_step_bound(steps, frontier.precision)
        assert (bound >= np.where(frontier.precision > 0, frontier.recall, 0.0) - 1e-9).all()


@settings(max_examples=100, deadline=None)
@given(SEEDS, st.integers(1, 3))
def test_the_best_bound_is_the_best_of_a_grid(seed: int, n_steps: int) -> None:
    random = np.random.default_rng(seed)
    steps = [step_hardness(*random.uniform(0, 1, (2, 6))) for _ in range(n_steps)]
    precision = np.concatenate([random.uniform(0, 1, 20), [1e-200, 1.0, 0.0]])
    best = best_hard_step_bound(steps, precision)
    tight = np.ones_like(best)
    for eta in np.concatenate([random.uniform(0, 4, 50), *(step.eta for step in steps), [1e9]]):
        if eta > 0:
            for rho in np.concatenate([random.uniform(0, 4, 20), *(step.rho for step in steps)]):
                m = sum(bool(step(eta) >= rho) for step in steps)
                tight = np.minimum(tight, hard_step_bound(rho, eta, m, precision))
    assert (best <= tight + 1e-12).all()
    assert best[:-1] == pytest.approx(tight[:-1], abs=1e-5)
    assert best[-1] == 1.0


def test_the_first_inequality_of_hardness_is_strict() -> None:
    """At η = −ln α itself, the rule with this α may keep any recall: it pays for it."""
    hardness = step_hardness(np.array([1.0, 0.5]), np.array([0.25, 1.0]))
    assert hardness(math.log(2)) == pytest.approx(math.log(4))
    assert hardness(math.log(2) + 1e-9) == 0.0
    assert hard_step_bound(math.log(4), math.log(2), 1, [1, 0.5, 0]).tolist() == pytest.approx([0.25, 1, 1])
    assert hard_step_bound(math.inf, 1.0, 2, [0.5, 0.0]).tolist() == [0.0, 1.0]


def test_too_many_strategies_are_not_listed() -> None:
    trie, ranking = ranked_pair()
    listed = all_strategies(trie, ranking[0], ranking[1])
    assert isinstance(listed, Strategies)
    n = len(listed.alpha)
    assert all_strategies(trie, *ranking, limit=n) is not None
    assert all_strategies(trie, *ranking, limit=n - 1) is None


def ranked_pair() -> tuple[Trie, tuple[np.ndarray, np.ndarray]]:
    """Two answers of two tokens; every valid event has an invalid one above it."""
    trie = Instance((((0, 2),), ((1, 3),)), (), {}).trie()
    rank = np.where(np.arange(len(trie)) > 0, 2, 0)
    rank[trie.children(0)] = [2, 4]
    return trie, (rank, np.where(trie.answer < 0, 5, 0))


# F.4 to F.6


def entropy_written_out(v: int, a: float) -> tuple[float, float]:
    """H_v(a) and ln v − H_v(a)."""
    with localcontext(prec=60):
        weight = [(-Decimal(a) * i / v).exp() for i in range(v)]
        total = sum(weight)
        entropy = -sum((w / total) * (w / total).ln() for w in weight)
        return float(entropy), float(Decimal(v).ln() - entropy)


@pytest.mark.parametrize("v", [1, 2, 3, 10, 50])
def test_entropy_and_deficit_of_geometric_decay(v: int) -> None:
    for a in (1e-9, 1e-4, 0.01, 0.2, 0.25, 0.26, 0.7, 0.99, 1.0, 1.01, 2.0, 7.0, 40.0, 300.0, 3000.0):
        entropy, lost = entropy_written_out(v, a)
        assert entropy_geometric(v, a) == pytest.approx(entropy, rel=1e-11)
        assert deficit(v, a) == pytest.approx(lost, rel=1e-11)
    assert entropy_geometric(v, 0.0) == pytest.approx(math.log(v))
    assert deficit(v, 0.0) == entropy_geometric(v, math.inf) == 0.0
    assert deficit(v, math.inf) == pytest.approx(math.log(v))


@given(st.integers(1, 10**6), st.floats(1e-3, 200.0))
def test_the_deficit_rises_with_branching_and_decay(v: int, a: float) -> None:
    assert deficit(v + 1, a) >= deficit(v, a) * (1 - 1e-12)
    assert deficit(v, a * 1.1) >= deficit(v, a)
    assert deficit(v, a) <= a * a / 24


def test_two_branches_lose_least() -> None:
    epsilon = np.array([1.0, 0.999, 0.9, 0.5, 0.1, 1e-3, 1e-9, 1e-300, 0.0])
    v = np.arange(2, 5000)
    with np.errstate(divide="ignore"):
        everything = deficit(v[:, None], -np.log(epsilon))
    assert everything.min(axis=0) == pytest.approx(least_deficit(epsilon), rel=1e-12)
    assert everything[0].tolist() == least_deficit(epsilon).tolist()


def test_the_two_regimes_of_the_least_deficit() -> None:
    loss = np.array([1e-6, 1e-3, 0.1])
    assert least_deficit(np.exp(-loss)) == pytest.approx(loss**2 / 32, rel=1e-3)
    assert least_deficit([1e-100, 0.0]) == pytest.approx(math.log(2))
    grid = np.geomspace(1e-5, 600, 200)
    assert (least_deficit(np.exp(-grid)) <= np.minimum(grid**2 / 32, math.log(2)) * (1 + 1e-9)).all()


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.floats(0.05, 30.0))
def test_one_geometric_step_is_the_bound_itself(branching: list[int], a: float) -> None:
    """Valid mass 1 − e^−a at every step: Val is their product, and diversity at most the bound at Val."""
    entropy = sum(entropy_written_out(v, a)[0] for v in branching)
    diversity = math.exp(entropy) / math.prod(branching)
    validity = math.exp(len(branching) * math.log1p(-math.exp(-a)))
    bound = shape_bound(branching, validity)
    assert bound >= diversity * (1 - 1e-6)
    if len(branching) == 1:
        assert bound == pytest.approx(diversity, rel=1e-3 if a > 20 else 1e-8)
    assert shape_bound(branching, [0.0, 1.0]) == pytest.approx([1.0, 1 / math.prod(branching)])


def test_uneven_valid_mass_passes_the_bound() -> None:
    """Geometric decay at every prefix is not enough: ½ and ¼, ended with probability ½ and 1."""
    q = [0.5 * 0.5, 0.25 * 1.0]
    assert sum(q) == 0.5
    assert naive.diversity([math.log(x) for x in q]) == pytest.approx(1.0)
    assert shape_bound([2, 1], 0.5) == pytest.approx(0.9853, abs=1e-4)
