"""A task in one tokeniser's tokens: the prompt, and every sequence that counts as an answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from breadth.errors import TaskError, TokenizationError
from breadth.models.base import Model
from breadth.task import Task
from breadth.tokenizer import Tokenizer
from breadth.trie import END, Trie, build_trie

__all__ = ["MAX_SEQUENCES", "Encoding", "encode"]

MAX_SEQUENCES = 200_000
"""More sequences than this are refused unless the user raises the limit."""

BATCH = 1024  # texts tokenised at once


@dataclass(frozen=True)
class Encoding:
    """What the model is asked about.

    Attributes:
        prompt_text: the prompt after templating, with the prefill.
        prompt: its token ids, with the tokeniser's own beginning-of-text tokens when it is raw.
        chat: whether the chat template was used.
        delimiter: the text between prompt and answer, part of every sequence.
        trie: the answers' sequences.
        warnings: what a careful user should know, one line each.
    """

    prompt_text: str
    prompt: tuple[int, ...]
    chat: bool
    delimiter: str
    trie: Trie
    warnings: tuple[str, ...]


def encode(
    task: Task,
    model: Model,
    *,
    template_arguments: Mapping[str, Any] | None = None,
    max_sequences: int = MAX_SEQUENCES,
) -> Encoding:
    """Tokenise a task for a model: the canonical segmentation, in context.

    Args:
        task: prompt, answers and their end.
        model: its tokeniser, and its end tokens.
        template_arguments: passed to the chat template.
        max_sequences: refuse more than this many sequences.

    Raises:
        TaskError: too many sequences, a chat template demanded where there is none, two answers with
            the same tokens, or no token that could end an answer.
        TokenizationError: the tokeniser changes the prompt's tokens when an answer follows, or cannot
            give an answer back.
    """
    n_spellings = sum(len(task.spellings(index)) for index in range(len(task.answers)))
    _check_size(n_spellings, max_sequences)
    text, chat = _prompt_text(task, model, template_arguments or {})
    context = _Context(model.tokenizer, text, task.delimiter_for(chat), raw=not chat)
    end_tokens, fixed_stops = _end_tokens(task, model)

    sequences: dict[tuple[int, ...], int] = {}
    own_lengths: dict[tuple[int, ...], int] = {}
    spelled_by: dict[tuple[int, ...], str] = {}
    merged: list[str] = []

    def add(sequence: tuple[int, ...], answer: int, spelling: str, own: int) -> None:
        if sequences.setdefault(sequence, answer) != answer:
            raise TaskError(
                f"task {task.name}: the answers {spelled_by[sequence]!r} and {spelling!r} have the same "
                "tokens; list one as a surface of the other, or drop it"
            )
        spelled_by[sequence] = spelling
        own_lengths[sequence] = own

    spellings = [(index, text) for index in range(len(task.answers)) for text in task.spellings(index)]
    tokens_of = list(context.continue_with([spelling for _, spelling in spellings]))
    for (index, spelling), tokens in zip(spellings, tokens_of, strict=True):
        if task.end.is_none:
            add(tokens, index, spelling, len(tokens))
        elif end_tokens:
            add((*tokens, END), index, spelling, len(tokens))
    for stop in _needed_stops(task):
        stopped = context.continue_with([spelling + stop for _, spelling in spellings])
        for (index, spelling), alone, tokens in zip(spellings, tokens_of, stopped, strict=True):
            if tokens[: len(alone)] != alone:
                # The answer's last token holds the stop too: it is complete only at the leaf.
                merged.append(f"{spelling!r} before {stop!r}")
                add(tokens, index, spelling, len(tokens))
            elif stop in fixed_stops:
                add(tokens, index, spelling, len(alone))
    _check_size(len(sequences), max_sequences)

    warnings = list(task.warnings())
    if not chat and not context.delimiter and (text[-1:].isalnum() or text.endswith(":")):
        first = task.answers[0]
        warnings.append(
            f"the prompt ends in {text[-1:]!r} and delimiter is empty: answers begin as {first!r}, and "
            f'{" " + first!r} does not count; to ask for that, set delimiter: " "'
        )
    if merged:
        others = f" and {len(merged) - 1} more" if len(merged) > 1 else ""
        warnings.append(
            f"the tokeniser merges the end of {merged[0]}{others} with the stop; that token sequence "
            "counts as one more surface of the answer"
        )
    trie = build_trie(
        list(sequences),
        list(sequences.values()),
        n_answers=len(task.answers),
        end_tokens=end_tokens,
        own_lengths=list(own_lengths.values()),
    )
    return Encoding(text, context.prompt, chat, context.delimiter, trie, tuple(warnings))


def _check_size(n_sequences: int, limit: int) -> None:
    if n_sequences > limit:
        raise TaskError(
            f"the task has {n_sequences:,} sequences, more than the limit of {limit:,}; "
            "raise it with --max-sequences (max_sequences=) if you mean it"
        )


def _prompt_text(task: Task, model: Model, arguments: Mapping[str, Any]) -> tuple[str, bool]:
    """The text before the answer, and whether it went through the chat template."""
    if task.chat is not False:
        templated = model.tokenizer.chat_text(task.conversation(), arguments)
        if templated is not None:
            return templated + task.prefill, True
        if task.chat or task.prompt is None:
            wanted = "chat: true" if task.chat else "messages"
            raise TaskError(
                f"task {task.name} has {wanted}, but {model.name} has no chat template; "
                "use a prompt with chat: false, or an instruct model"
            )
    if task.prompt is None:  # a Task refuses chat: false with messages
        raise TaskError(f"task {task.name}: messages need a chat template; give a prompt instead")
    return task.prompt + task.prefill, False


def _end_tokens(task: Task, model: Model) -> tuple[list[int], frozenset[str]]:
    """The tokens that end an answer, and the stops that no single token can begin."""
    ends = set(model.end_tokens if task.end.eos else ())
    if task.end.eos and not ends and not task.end.stops:
        raise TaskError(
            f"task {task.name} ends with eos, but {model.name} names no end token; use a stop string"
        )
    fixed = set()
    tokenizer = model.tokenizer
    vocabulary = (
        [tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size)] if task.end.stops else []
    )
    for stop in _needed_stops(task):
        begins = stop.encode()
        starting = [token for token, text in enumerate(vocabulary) if text.startswith(begins)]
        if starting:
            ends.update(starting)
        else:
            fixed.add(stop)
    return sorted(ends), frozenset(fixed)


def _needed_stops(task: Task) -> list[str]:
    """The stops but those that begin with another: the shorter one ends the answer first."""
    stops = task.end.stops
    return [stop for stop in stops if not any(stop != other and stop.startswith(other) for other in stops)]


class _Context:
    """Tokenises what follows the prompt, and checks that the prompt's own tokens survive it."""

    def __init__(self, tokenizer: Tokenizer, text: str, delimiter: str, *, raw: bool) -> None:
        self.tokenizer = tokenizer
        self.text = text
        self.delimiter = delimiter
        self._bare = tuple(tokenizer.encode([text])[0])
        self.prompt = (*tokenizer.bos, *self._bare) if raw else self._bare
        if not self.prompt:
            raise TaskError("the prompt has no tokens; the model needs at least one to start from")

    def continue_with(self, texts: Sequence[str]) -> Iterator[tuple[int, ...]]:
        """Tokens of each text after prompt and delimiter."""
        n_prompt = len(self._bare)
        for first in range(0, len(texts), BATCH):
            batch = texts[first : first + BATCH]
            encoded = self.tokenizer.encode([self.text + self.delimiter + text for text in batch])
            for text, tokens in zip(batch, encoded, strict=True):
                if tuple(tokens[:n_prompt]) != self._bare:
                    if self.text.endswith(" "):
                        raise TokenizationError(
                            f"the prompt ends in a space ({self.text[-12:]!r}), which the tokeniser joins "
                            f"with the answer {text!r}; put the space into the delimiter instead"
                        )
                    raise TokenizationError(
                        f"the tokeniser merges the prompt's end {self.text[-12:]!r} with the answer "
                        f"{text!r}: the prompt's tokens must stay the same; move its last characters into "
                        "the delimiter"
                    )
                rest = tuple(tokens[n_prompt:])
                self._check_round_trip(text, rest)
                yield rest

    def _check_round_trip(self, text: str, tokens: tuple[int, ...]) -> None:
        special = self.tokenizer.special_tokens.intersection(tokens)
        spelled = b"".join(self.tokenizer.token_bytes(token) for token in tokens)
        if special or spelled != (self.delimiter + text).encode():
            reads = "a control token" if special else repr(spelled.decode(errors="replace"))
            raise TokenizationError(
                f"the tokeniser cannot give back the answer {text!r}: it reads it as {reads}; "
                "spell the answer in characters that the tokeniser knows"
            )
