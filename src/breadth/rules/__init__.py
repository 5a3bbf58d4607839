"""Decoding rules: an ordered pipeline of steps, as the engines apply them.

Every step in use keeps a *window* of the ranking: the tokens at ranks low + 1 … high. Cutoffs move `high`
up; typical sampling and XTC also move `low` down past the most likely tokens. Temperature multiplies the
inverse temperature β and moves neither. So a rule, whatever its steps, ends as a window and a β at each
prefix (XTC, which flips a coin, as a mixture of two), and everything else follows from cumulative mass.

The order of the steps is the rule's: `temperature=3,min_p=0.1` and `min_p=0.1,temperature=3` differ.
"""

from breadth.rules.engines import ENGINES, Engine
from breadth.rules.rule import ORACLES, Rule, default_rule, parse_rule, parse_rules
from breadth.rules.steps import STEPS, ExactTopK, Step, Temperature, TopK
from breadth.rules.window import Window

__all__ = [
    "ENGINES",
    "ORACLES",
    "STEPS",
    "Engine",
    "ExactTopK",
    "Rule",
    "Step",
    "Temperature",
    "TopK",
    "Window",
    "default_rule",
    "parse_rule",
    "parse_rules",
]
