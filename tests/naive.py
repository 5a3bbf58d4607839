"""The definitions by brute force, written from the specification: short, slow, one token at a time.

Nothing here comes from `breadth`: the two sides of every comparison share their inputs and no code.

* A *law* is what is left of one next-token distribution: a dict from each surviving token to its logit,
  divided by the temperatures applied so far. A forbidden token (logit −inf) is never in it.
* A *mixture* is a list of `(probability, law)`: one law for every step but XTC, which flips a coin.
* A sequence is a tuple of tokens; it may end in `END`, which stands for any of the end tokens.
* `answers[i]` lists the sequences of answer i.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal, localcontext
from itertools import pairwise, permutations

END = -2
"""How a sequence spells its end."""

NUDGE = 1e-9
"""A decision that a parameter this much larger or smaller (relatively) would turn is left to rounding."""

Law = dict[int, float]
Mixture = list[tuple[float, Law]]
Step = tuple[str, float | tuple[float, float]]
Tokens = tuple[int, ...]
Answers = Sequence[Sequence[Tokens]]


# One distribution


def law_of(logits: Iterable[float]) -> Law:
    """All tokens that are not forbidden."""
    return {token: float(logit) for token, logit in enumerate(logits) if logit != -math.inf}


def ranking(law: Law) -> list[int]:
    """Logit descending, then token id ascending."""
    return sorted(law, key=lambda token: (-law[token], token))


def log_sum(logs: Iterable[float]) -> float:
    logs = list(logs)
    top = max(logs, default=-math.inf)
    if top == -math.inf:
        return -math.inf
    return top + math.log(math.fsum(math.exp(value - top) for value in logs))


def log_softmax(law: Law) -> Law:
    total = log_sum(law.values())
    return {token: logit - total for token, logit in law.items()}


def softmax(law: Law) -> Law:
    return {token: math.exp(logp) for token, logp in log_softmax(law).items()}


def entropy(law: Law) -> float:
    return -math.fsum(math.exp(logp) * logp for logp in log_softmax(law).values())


# The decoding steps: which tokens stay


def top_k(law: Law, k: float) -> set[int]:
    """Every token with a logit at least as large as the k-th."""
    if k == 0:
        return set(law)
    kth = law[ranking(law)[: int(k)][-1]]
    return {token for token in law if law[token] >= kth}


def exact_top_k(law: Law, k: float) -> set[int]:
    return set(ranking(law)[: int(k)]) if k else set(law)


def top_p(law: Law, p: float) -> set[int]:
    """A token stays iff the mass above it in the ranking is below p; the first always stays."""
    probability = softmax(law)
    kept: set[int] = set()
    above = 0.0
    for token in ranking(law):
        if kept and above >= p:
            break
        kept.add(token)
        above += probability[token]
    return kept


def min_p(law: Law, share: float) -> set[int]:
    probability = softmax(law)
    largest = max(probability.values())
    return {token for token in law if probability[token] >= share * largest} or top_tied(law)


def top_tied(law: Law) -> set[int]:
    largest = max(law.values())
    return {token for token in law if law[token] == largest}


def epsilon_cutoff(law: Law, epsilon: float) -> set[int]:
    probability = softmax(law)
    return {token for token in law if probability[token] >= epsilon} | top_tied(law)


def eta_cutoff(law: Law, epsilon: float) -> set[int]:
    return epsilon_cutoff(law, min(epsilon, math.sqrt(epsilon) * math.exp(-entropy(law))))


def top_h(law: Law, share: float) -> set[int]:
    """The top 100, renormalised: keep while the running −p ln p is at most share · H."""
    order = ranking(law)[:100]
    logp = log_softmax({token: law[token] for token in order})
    terms = [-math.exp(logp[token]) * logp[token] for token in order]
    kept = {order[0]}
    for place, token in enumerate(order):
        if math.fsum(terms[: place + 1]) > share * math.fsum(terms):
            break
        kept.add(token)
    return kept


def typical_p(law: Law, p: float) -> set[int]:
    """By |−ln p − H| ascending until the mass is reached; equally typical tokens stay together."""
    logp, centre = log_softmax(law), entropy(law)
    distance = {token: abs(-logp[token] - centre) for token in law}
    mass, radius = 0.0, 0.0
    for token in sorted(law, key=distance.__getitem__):
        if mass >= p:
            break
        radius = distance[token]
        mass += math.exp(logp[token])
    return {token for token in law if distance[token] <= radius + 1e-12}


def top_n_sigma(law: Law, n: float) -> set[int]:
    """Logits within n standard deviations (of the logits that are left) of the largest."""
    if n == 0:
        return set(law)
    mean = math.fsum(law.values()) / len(law)
    sigma = math.sqrt(math.fsum((logit - mean) ** 2 for logit in law.values()) / len(law))
    least = max(law.values()) - n * sigma
    return {token for token in law if law[token] >= least}


def xtc_dropped(law: Law, threshold: float) -> set[int]:
    """What stays when the coin says so: not the tokens above the threshold, but the least likely of them."""
    probability = softmax(law)
    above = [token for token in ranking(law) if probability[token] >= threshold]
    return set(law) - set(above[:-1])


CUTOFFS: Mapping[str, Callable[[Law, float], set[int]]] = {
    "top_k": top_k,
    "exact_top_k": exact_top_k,
    "top_p": top_p,
    "min_p": min_p,
    "epsilon_cutoff": epsilon_cutoff,
    "eta_cutoff": eta_cutoff,
    "top_h": top_h,
    "typical_p": typical_p,
    "top_n_sigma": top_n_sigma,
}


def only(law: Law, kept: set[int]) -> Law:
    return {token: law[token] for token in law if token in kept}


def apply_step(law: Law, step: Step) -> Mixture:
    name, value = step
    if name == "xtc":
        assert isinstance(value, tuple)
        threshold, probability = value
        return [(1 - probability, law), (probability, only(law, xtc_dropped(law, threshold)))]
    assert isinstance(value, float | int)
    if name == "temperature":
        if value == 0:
            return [(1.0, only(law, {ranking(law)[0]}))]
        return [(1.0, {token: logit / value for token, logit in law.items()})]
    return [(1.0, only(law, CUTOFFS[name](law, value)))]


def apply_steps(law: Law, steps: Iterable[Step]) -> Mixture:
    mixture: Mixture = [(1.0, law)]
    for step in steps:
        mixture = [
            (weight * share, left)
            for weight, kept in mixture
            for share, left in apply_step(kept, step)
            if share > 0
        ]
    return mixture


def is_doubtful(law: Law, steps: Iterable[Step]) -> bool:
    """Whether some step decides by less than rounding can tell: then either decision is right."""
    mixture: Mixture = [(1.0, law)]
    for step in steps:
        if any(_is_doubtful_step(kept, step) for _, kept in mixture):
            return True
        mixture = [
            (weight * share, left) for weight, kept in mixture for share, left in apply_step(kept, step)
        ]
    return False


def _is_doubtful_step(law: Law, step: Step) -> bool:
    name, value = step
    if name in {"temperature", "top_k", "exact_top_k"}:
        return False
    if name == "xtc":
        assert isinstance(value, tuple)
        less, more = (xtc_dropped(law, value[0] * (1 + nudge)) for nudge in (-NUDGE, NUDGE))
        return less != more
    assert isinstance(value, float | int)
    rounding = NUDGE
    if name == "top_h":
        # However small the entropy, the term of a token that is all but certain is known to 1e-16 only.
        rounding = min(NUDGE + 1e-15 / max(entropy(law), 1e-15), 1.0)
    less, more = (CUTOFFS[name](law, value * (1 + nudge)) for nudge in (-rounding, rounding))
    if name == "typical_p" and less == more:
        # Two tokens on either side of the entropy may be equally far from it but for rounding.
        logp, centre = log_softmax(law), entropy(law)
        distance = sorted(abs(-value - centre) for value in logp.values())
        return any(1e-14 < far - near < NUDGE for near, far in pairwise(distance))
    return less != more


# The trie, by listing all sequences


def sequences(answers: Answers) -> list[Tokens]:
    return [sequence for spelled in answers for sequence in spelled]


def prefixes(answers: Answers) -> set[Tokens]:
    """The valid prefixes: every proper start of a sequence."""
    return {sequence[:length] for sequence in sequences(answers) for length in range(len(sequence))}


def answers_below(answers: Answers, start: Tokens) -> float:
    """N(u): a sequence of an answer that has s sequences weighs 1/s."""
    return math.fsum(
        1 / len(spelled) for spelled in answers for sequence in spelled if sequence[: len(start)] == start
    )


def valid_events(answers: Answers, prefix: Tokens) -> set[int]:
    """G(u): every event v with N(u·v) > 0."""
    n = len(prefix)
    return {sequence[n] for sequence in sequences(answers) if sequence[:n] == prefix and len(sequence) > n}


def tokens_of(event: int, end_tokens: Sequence[int]) -> list[int]:
    return list(end_tokens) if event == END else [event]


def event_ranking(law: Law, end_tokens: Sequence[int]) -> list[int]:
    """The ranking with every end token but the best deleted; that one is the event `END`."""
    events = [END if token in end_tokens else token for token in ranking(law)]
    return list(dict.fromkeys(events))


# One rule at one prefix


def event_logp(mixture: Mixture, event: int, end_tokens: Sequence[int]) -> float:
    """Ln q of an event: the end has the mass of all its kept tokens."""
    terms = []
    for weight, law in mixture:
        logp = log_softmax(law)
        terms += [math.log(weight) + logp[t] for t in tokens_of(event, end_tokens) if t in law]
    return log_sum(terms)


def uniform_token_probability(mixture: Mixture, event: int, end_tokens: Sequence[int]) -> float:
    """The same when the next token is drawn uniformly from the retained tokens."""
    return math.fsum(
        weight * sum(token in law for token in tokens_of(event, end_tokens)) / len(law)
        for weight, law in mixture
    )


def uniform_event_probability(mixture: Mixture, event: int, end_tokens: Sequence[int]) -> float:
    """The same when the next event is drawn uniformly from the retained events."""
    total = 0.0
    for weight, law in mixture:
        events = event_ranking(law, end_tokens)
        total += weight * (event in events) / len(events)
    return total


def oracle_size(law: Law, answers: Answers, prefix: Tokens, end_tokens: Sequence[int]) -> Law:
    """The top g(u) events of the event ranking; keeping the end keeps all its tokens."""
    kept = event_ranking(law, end_tokens)[: len(valid_events(answers, prefix))]
    return only(law, {token for event in kept for token in tokens_of(event, end_tokens)})


def oracle_validity(law: Law, answers: Answers, prefix: Tokens, end_tokens: Sequence[int]) -> Law:
    valid = valid_events(answers, prefix)
    return only(law, {token for event in valid for token in tokens_of(event, end_tokens)})


def is_order_calibrated(law: Law, answers: Answers, prefix: Tokens, end_tokens: Sequence[int]) -> bool:
    """Every valid token at least as probable as every invalid one; of the end its best token counts."""
    valid = valid_events(answers, prefix)
    value = {
        event: max(law[t] for t in tokens_of(event, end_tokens) if t in law)
        for event in event_ranking(law, end_tokens)
    }
    worst_valid = min((value.get(event, -math.inf) for event in valid), default=math.inf)
    best_invalid = max((value[event] for event in value if event not in valid), default=-math.inf)
    return worst_valid >= best_invalid


def local_precision(kept_events: Sequence[int], valid: set[int]) -> float:
    """|S ∩ G| / |S|."""
    return sum(event in valid for event in kept_events) / len(kept_events)


def local_recall(kept_events: Sequence[int], answers: Answers, prefix: Tokens) -> float:
    """Σ N(u·v) over the valid kept events, over N(u)."""
    valid = valid_events(answers, prefix)
    below = [answers_below(answers, (*prefix, event)) for event in kept_events if event in valid]
    return math.fsum(below) / answers_below(answers, prefix)


# Whole answers, one by one


def answer_logps(answers: Answers, edge_logp: Callable[[Tokens, int], float]) -> list[float]:
    """Ln q(y) of every answer: the product along each of its sequences, summed over them."""
    return [
        log_sum(
            math.fsum(edges) if -math.inf not in edges else -math.inf
            for sequence in spelled
            for edges in [[edge_logp(sequence[:n], sequence[n]) for n in range(len(sequence))]]
        )
        for spelled in answers
    ]


# Measures of a list of ln q(y), in decimal arithmetic of many digits


def _conditioned(logps: Sequence[float]) -> list[Decimal]:
    weights = [Decimal(logp).exp() for logp in logps if logp != -math.inf]
    return [weight / sum(weights) for weight in weights]


def validity(logps: Sequence[float]) -> float:
    with localcontext(prec=60):
        return float(sum((Decimal(logp).exp() for logp in logps if logp != -math.inf), Decimal(0)))


def hill(logps: Sequence[float], order: float) -> float:
    """Hill number over the answers conditioned on being valid, over |V|."""
    with localcontext(prec=60):
        p = _conditioned(logps)
        if not p:
            return math.nan
        if order == 1:
            number = (-sum(x * x.ln() for x in p)).exp()
        elif order == math.inf:
            number = 1 / max(p)
        else:
            a = Decimal(order)
            number = ((sum((a * x.ln()).exp() for x in p)).ln() / (1 - a)).exp()
        return float(number / len(logps))


def diversity(logps: Sequence[float]) -> float:
    return hill(logps, 1)


def recall(logps: Sequence[float]) -> float:
    return sum(logp > -math.inf for logp in logps) / len(logps)


def expected_distinct(logps: Sequence[float], n: int) -> float:
    """Σ 1 − (1 − q(y))^n."""
    if n == 0:
        return 0.0
    with localcontext(prec=120):
        q = [Decimal(logp).exp() if logp != -math.inf else Decimal(0) for logp in logps]
        return float(sum((1 - (1 - min(x, Decimal(1))) ** n for x in q), Decimal(0)))


# Local order and shape


def order_score(ranked: Sequence[int], weight: Mapping[int, float]) -> float:
    """∫₀¹ max{precision : recall ≥ r} dr over all cutoffs of a ranking; `weight` has the valid events."""
    points = []
    for k in range(1, len(ranked) + 1):
        kept = [event for event in ranked[:k] if event in weight]
        points.append((len(kept) / k, math.fsum(weight[e] for e in kept) / math.fsum(weight.values())))
    edges = sorted({0.0, *(recall for _, recall in points)})
    return math.fsum(
        (high - low) * max((p for p, r in points if r >= high), default=0.0) for low, high in pairwise(edges)
    )


def recall_at(ranked: Sequence[int], weight: Mapping[int, float], precision: float) -> float:
    """The largest local recall of a cutoff with at least this local precision; 0 where there is none."""
    best = 0.0
    for k in range(1, len(ranked) + 1):
        kept = [event for event in ranked[:k] if event in weight]
        if len(kept) / k >= precision:
            best = max(best, math.fsum(weight[e] for e in kept) / math.fsum(weight.values()))
    return best


def shape_score(probability: Mapping[int, float], weight: Mapping[int, float]) -> float:
    """exp(−KL) of the valid events' law from the law proportional to `weight`."""
    total, whole = math.fsum(probability.values()), math.fsum(weight.values())
    if total == 0:
        return math.nan
    terms = [
        p / total * math.log(p / total / (weight[event] / whole)) for event, p in probability.items() if p > 0
    ]
    return math.exp(-max(math.fsum(terms), 0.0))


# All adaptive cutoffs, one by one


def all_cutoffs(
    answers: Answers, prefix: Tokens, ranked: Callable[[Tokens], Sequence[int]], law: Callable[[Tokens], Law]
) -> set[tuple[float, int]]:
    """Precision and number of reachable sequences of every strategy below a prefix.

    `law` gives the events' weights when one is drawn: all 1 for uniform sampling.
    """
    if any(sequence == prefix for sequence in sequences(answers)):
        return {(1.0, 1)}
    valid, order, weight = valid_events(answers, prefix), ranked(prefix), law(prefix)
    found: set[tuple[float, int]] = set()
    partial = {(0.0, 0)}
    kept = 0.0
    for event in order:
        kept += weight[event]
        if event in valid:
            below = all_cutoffs(answers, (*prefix, event), ranked, law)
            partial = {(p + weight[event] * q, n + m) for p, n in partial for q, m in below}
        found |= {(p / kept, n) for p, n in partial}
    return found


# What a rule would give if order or shape were fixed


def fixed(
    ranked: Sequence[int], value: Mapping[int, float], weight: Mapping[int, float], fixes: set[str]
) -> dict[int, float]:
    """The valid events' probabilities at one prefix after some of the fixes `top`, `within` and `shape`."""
    places = sorted(ranked, key=lambda event: -value[event])  # stable: ties by rank
    values = [value[event] for event in places]
    slots = [place for place, event in enumerate(places) if event in weight]
    mutual = [event for event in places if event in weight]
    if "top" in fixes:
        slots = list(range(len(slots)))
    if "within" in fixes:
        mutual.sort(key=lambda event: -weight[event])
    if "shape" in fixes:
        whole = math.fsum(weight.values())
        shares = sorted((below / whole for below in weight.values()), reverse=True)
        values = [*shares, *[0.0] * len(values)][: len(values)]
    return {event: values[slot] for event, slot in zip(mutual, slots, strict=True)}


def shapley(players: Sequence[str], value: Mapping[frozenset[str], float]) -> dict[str, float]:
    """Each player's gain on joining, averaged over all orders of joining."""
    share = dict.fromkeys(players, 0.0)
    orders = list(permutations(players))
    for order in orders:
        for place, player in enumerate(order):
            before = frozenset(order[:place])
            share[player] += (value[before | {player}] - value[before]) / len(orders)
    return share
