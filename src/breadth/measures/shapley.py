"""Who is to blame: the Shapley value of a game with a few players (Shapley 1953)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from math import factorial
from typing import TypeVar

__all__ = ["coalitions", "shapley"]

Player = TypeVar("Player", bound=Hashable)


def coalitions(players: Sequence[Player]) -> list[frozenset[Player]]:
    """All subsets of the players, small ones first."""
    return [frozenset(some) for size in range(len(players) + 1) for some in combinations(players, size)]


def shapley(players: Sequence[Player], value: Mapping[frozenset[Player], float]) -> dict[Player, float]:
    """Each player's contribution, averaged over all orders in which they may join.

    Args:
        players: a few; there are 2^players coalitions.
        value: of every coalition.

    Returns:
        Contributions, perhaps negative, whose sum is value(all) − value(none).
    """
    n = len(players)
    share = dict.fromkeys(players, 0.0)
    for some in coalitions(players):
        weight = factorial(len(some)) * factorial(n - len(some) - 1) / factorial(n) if len(some) < n else 0.0
        for player in players:
            if player not in some:
                share[player] += weight * (value[some | {player}] - value[some])
    return share
