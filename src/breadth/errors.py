"""Every error that breadth raises on purpose.

::

    BreadthError               exit status 1: ours, or the machine's
    ├── NumericalError         the model gave NaN or infinite logits
    ├── StorageError           a file could not be written or read: full disk, missing rights
    └── InputError             exit status 2: the user's mistake, and what would be accepted instead
        ├── TaskError          a task file, an answer, a prompt
        ├── TokenizationError  a tokeniser that cannot express the prompt or an answer
        ├── ModelError         an unknown model, a missing package or option
        ├── RuleError          an unknown decoding step, a parameter out of range
        └── ProbeError         a probe file of another schema, or cut short

A message is one line: it names the offending value, where it came from, and what would be accepted.
"""

from __future__ import annotations

__all__ = [
    "BreadthError",
    "InputError",
    "ModelError",
    "NumericalError",
    "ProbeError",
    "RuleError",
    "StorageError",
    "TaskError",
    "TokenizationError",
]


class BreadthError(Exception):
    """The base of all errors raised on purpose; `exit_status` is what the command line returns."""

    exit_status = 1


class NumericalError(BreadthError):
    """The model's numbers cannot be used (NaN or infinite logits)."""


class StorageError(BreadthError):
    """The machine could not keep a file: a full disk, missing rights, a vanished folder."""


class InputError(BreadthError):
    """The user asked for something that cannot be done as asked."""

    exit_status = 2


class TaskError(InputError):
    """A task file, a prompt or an answer is wrong."""


class TokenizationError(InputError):
    """The tokeniser cannot express the prompt or one of the answers exactly."""


class ModelError(InputError):
    """No such model, or a package or an option it needs is missing."""


class RuleError(InputError):
    """An unknown decoding step, or a parameter out of its range."""


class ProbeError(InputError):
    """A probe file of another schema version, incomplete or damaged."""
