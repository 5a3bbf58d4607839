"""The central object: a trie of answers with the model's next-token distribution at every valid prefix.

Taking a probe is the only thing that needs the model. Everything after it (rules, outcomes, measures,
figures) reads the probe.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

import breadth
from breadth import store
from breadth.encoding import MAX_SEQUENCES, Encoding, encode
from breadth.errors import ProbeError
from breadth.files import new_folder
from breadth.models.base import Model
from breadth.ranked import HEAD, NAMED, TAIL_GROWTH, TAIL_SHRINK, Ranked, rank_logits
from breadth.store import PrefixFile, PrefixWriter
from breadth.task import Task
from breadth.trie import END, Trie

__all__ = ["Probe", "open_probe", "probe_key", "take_probe"]

Progress = Callable[[int, int], None]
"""Told how many prefixes are done, and of how many."""


@dataclass(frozen=True, eq=False)
class Probe:
    """A trie with the ranked next-token distribution at every valid prefix. Immutable, kept on disk.

    Attributes:
        trie: the answers' sequences.
        answers: the answers as text, by index.
        tokens: the bytes of the tokens that are named.
        provenance: what the numbers come from: model, task, prompt, versions; the keys are listed in
            docs/data-model.md.
        blocks: the distributions, iterated in blocks of prefixes.
        folder: where it is saved.
    """

    trie: Trie
    answers: tuple[str, ...]
    tokens: Mapping[int, bytes]
    provenance: Mapping[str, Any]
    blocks: PrefixFile
    folder: Path

    @property
    def vocab_size(self) -> int:
        """Number of tokens the model chooses from."""
        return self.blocks.vocab_size

    @property
    def nbytes(self) -> int:
        """Size on disk, in bytes."""
        return sum(path.stat().st_size for path in self.folder.iterdir())

    def at(self, node: int) -> Ranked:
        """The distribution at one prefix; `len` of the result is 1."""
        for block in self.blocks:
            row = np.flatnonzero(block.node == node)
            if len(row):
                return block.take(row)
        raise ProbeError(f"node {node} is no valid prefix; prefixes are {self.trie.prefixes[:5].tolist()}…")

    def token_text(self, token: int) -> str:
        """A token as a person reads it; the end is `⏹`, unknown bytes are `�`."""
        if token == END:
            return "⏹"
        return self.tokens.get(token, b"").decode(errors="replace") or f"<{token}>"

    def prefix_text(self, node: int) -> str:
        """The text of the answer so far at a node, with `⏹` where it has ended; `` at the root."""
        parts = self.trie.path(node)
        text = b"".join(self.tokens.get(token, b"") for token in parts if token != END)
        return text.decode(errors="replace") + ("⏹" if parts and parts[-1] == END else "")

    @cached_property
    def ties(self) -> float:
        """Share of prefixes where a valid and an invalid token have exactly the same logit."""
        tied = 0
        for block in self.blocks:
            # Tokens of a row with one logit stand at the same `valid_above`. An event stands where its best
            # token does; is what ties with it valid too?
            best = np.diff(block.valid_node, prepend=-1) != 0
            order = np.lexsort((block.valid_above, block.valid_row))
            row, above = block.valid_row[order], block.valid_above[order]
            first = np.concatenate([[True], (np.diff(row) != 0) | (np.diff(above) != 0)])
            group = np.cumsum(first) - 1
            n_valid = np.bincount(group)[group]
            tied += len(np.unique(row[best[order] & (block.valid_ties[order] > n_valid)]))
        return tied / len(self.blocks)


def probe_key(model: Model, task: Task, encoding: Encoding) -> str:
    """A hash of everything that determines a probe's numbers, and of what is read from it beside them."""
    trie = encoding.trie
    digest = hashlib.sha256()
    facts = {
        "schema": store.SCHEMA_VERSION,
        "sketch": [HEAD, NAMED, TAIL_GROWTH, TAIL_SHRINK],
        "model": dict(model.identity),
        "tokenizer": model.tokenizer.fingerprint,
        "prompt": list(encoding.prompt),
        "task": [task.name, task.hash],
        "generation": dict(model.generation),
        "end_tokens": trie.end_tokens.tolist(),
    }
    digest.update(json.dumps(facts, sort_keys=True).encode())
    for column in (trie.parent, trie.token, trie.answer):
        digest.update(column.tobytes())
    return digest.hexdigest()


def take_probe(
    model: Model,
    task: Task,
    folder: Path | None = None,
    *,
    template_arguments: Mapping[str, Any] | None = None,
    max_sequences: int = MAX_SEQUENCES,
    progress: Progress | None = None,
) -> Probe:
    """Read the model's distribution at every valid prefix of a task.

    A probe already in `folder` is reused when nothing that determines it has changed: the prompt's
    tokens, the answers' tokens, the tokeniser, the model's revision or file hash, dtype, attention and
    device. The folder is replaced only once the new probe is whole.

    Args:
        model: asked once per valid prefix.
        task: prompt and answers.
        folder: where to keep the probe; None keeps it in a temporary folder as long as the object lives.
        template_arguments: passed to the chat template.
        max_sequences: refuse larger tries.
        progress: called as prefixes are done.

    Raises:
        TaskError, TokenizationError: see `breadth.encoding.encode`.
        NumericalError: the model gave NaN.
        StorageError: the disk is full or not writable.
    """
    encoding = encode(task, model, template_arguments=template_arguments, max_sequences=max_sequences)
    key = probe_key(model, task, encoding)
    if folder is not None:
        known = _reusable(folder, key)
        if known is not None:
            return known
    temporary = Path(tempfile.mkdtemp(prefix="breadth-")) if folder is None else None
    target = temporary / "probe" if temporary else Path(str(folder))
    try:
        with new_folder(target) as unfinished:
            tokens = _record(model, encoding, unfinished, progress)
            answers = [task.spellings(index) for index in range(len(task.answers))]
            header = _provenance(model, task, encoding, key)
            store.write_trie(unfinished, encoding.trie, answers, tokens, header)
        probe = open_probe(target)
    except BaseException:
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)
        raise
    if temporary:
        weakref.finalize(probe, shutil.rmtree, temporary, ignore_errors=True)
    return probe


def _reusable(folder: Path, key: str) -> Probe | None:
    try:
        if store.read_header(folder).get("key") != key:
            return None
        probe = open_probe(folder)
        for _ in probe.blocks:  # damage shows only where it is read, and then is told too late
            pass
        return probe
    except ProbeError:
        return None  # absent, damaged or of another schema: it is taken again


def _record(model: Model, encoding: Encoding, folder: Path, progress: Progress | None) -> dict[int, bytes]:
    """Write the distributions; returns the bytes of every token that they or the trie name."""
    trie = encoding.trie
    named = np.zeros(model.vocab_size, dtype=np.bool_)
    done = 0
    with PrefixWriter(folder) as writer:
        for nodes, logits in model.walk(encoding.prompt, trie):
            ranked = rank_logits(nodes, logits, trie)
            writer.append(ranked)
            named[ranked.head_token] = True
            named[ranked.valid_token] = True
            done += len(nodes)
            if progress:
                progress(done, len(trie.prefixes))
    named[trie.token[trie.token >= 0]] = True
    ids = np.flatnonzero(named[: model.tokenizer.vocab_size])
    return {int(token): model.tokenizer.token_bytes(int(token)) for token in ids}


def _provenance(model: Model, task: Task, encoding: Encoding, key: str) -> dict[str, Any]:
    return {
        "key": key,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "breadth": breadth.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "model": model.name,
        "model_identity": dict(model.identity),
        "model_provenance": dict(model.provenance),
        "generation": dict(model.generation),
        "vocab_size": model.vocab_size,
        "task": task.name,
        "task_hash": task.hash,
        "prompt_text": encoding.prompt_text,
        "prompt": list(encoding.prompt),
        "chat": encoding.chat,
        "delimiter": encoding.delimiter,
        "warnings": list(encoding.warnings),
    }


def open_probe(folder: Path | str) -> Probe:
    """Open a saved probe; the model is not needed.

    Raises:
        ProbeError: missing, cut short, or of another schema version.
    """
    folder = Path(folder)
    trie, answers, tokens, provenance = store.read_trie(folder)
    blocks = PrefixFile(folder)
    if len(blocks) != len(trie.prefixes):
        raise ProbeError(
            f"{folder} holds {len(blocks)} of {len(trie.prefixes)} prefixes; run the probe again"
        )
    names = tuple(spellings[0] for spellings in answers)
    return Probe(trie, names, tokens, provenance, blocks, folder)
