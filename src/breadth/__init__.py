"""breadth: why does a language model keep giving the same few answers?

Takes a prompt whose valid answers are known exactly, reads a model's next-token distribution at every
valid prefix, and computes validity, diversity and what blocks them, without sampling.

    import breadth

    model = breadth.load_model("smollm2-135m")
    probe = breadth.take_probe(model, breadth.load_task("us-states-fewshot"))
    for outcome in breadth.evaluate(probe, ["temperature=1", "temperature=1.5,min_p=0.1"]):
        print(outcome.rule, outcome.validity, outcome.diversity)

The public names are listed in `__all__`; each is imported when it is first used, so that `import breadth`
takes no time.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from breadth.adaptive import BestCutoffs, best_cutoffs
    from breadth.catalog import load_task
    from breadth.comparison import Compared, compare
    from breadth.diagnosis import Diagnosis, diagnose
    from breadth.errors import BreadthError
    from breadth.explanation import Explanation, explain
    from breadth.models.base import Model
    from breadth.models.load import load_model
    from breadth.models.toy import ToyModel, ToyTokenizer
    from breadth.outcome import Outcome, evaluate
    from breadth.probe import Probe, open_probe, take_probe
    from breadth.rules import Rule, parse_rule
    from breadth.study import Unit, open_units, run_unit
    from breadth.task import Task
    from breadth.theory import Check, check_theory

__version__ = "0.1.0"

__all__ = [
    "BestCutoffs",
    "BreadthError",
    "Check",
    "Compared",
    "Diagnosis",
    "Explanation",
    "Model",
    "Outcome",
    "Probe",
    "Rule",
    "Task",
    "ToyModel",
    "ToyTokenizer",
    "Unit",
    "best_cutoffs",
    "check_theory",
    "compare",
    "diagnose",
    "evaluate",
    "explain",
    "load_model",
    "load_task",
    "open_probe",
    "open_units",
    "parse_rule",
    "run_unit",
    "take_probe",
]

_HOME = {
    "BestCutoffs": "adaptive",
    "BreadthError": "errors",
    "Check": "theory",
    "Compared": "comparison",
    "Diagnosis": "diagnosis",
    "Explanation": "explanation",
    "Model": "models.base",
    "Outcome": "outcome",
    "Probe": "probe",
    "Rule": "rules",
    "Task": "task",
    "ToyModel": "models.toy",
    "ToyTokenizer": "models.toy",
    "Unit": "study",
    "best_cutoffs": "adaptive",
    "check_theory": "theory",
    "compare": "comparison",
    "diagnose": "diagnosis",
    "evaluate": "outcome",
    "explain": "explanation",
    "load_model": "models.load",
    "load_task": "catalog",
    "open_probe": "probe",
    "open_units": "study",
    "parse_rule": "rules",
    "run_unit": "study",
    "take_probe": "probe",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
