"""GGUF files: converted once into a folder that transformers loads quickly.

Reading a GGUF takes tens of seconds, most of them for its tokeniser. The folder holds the same weights
in float32, with bit-identical logits, and the tokeniser.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

from breadth.errors import ModelError, StorageError
from breadth.files import new_folder, storage_errors
from breadth.models.hub import library, one_line, quiet

__all__ = ["converted", "converted_folder", "only_one", "write_conversion"]

CONVERSION = "1"
"""Raised when a conversion of the same file would give other numbers or another tokeniser."""

# Pre-tokenisers that split digits from each other first, which transformers reads as GPT-2's.
_DIGITS_APART = frozenset({"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"})


def converted_folder(sha256: str, cache: Path) -> Path:
    """Where the conversion of the GGUF with this hash is kept; it exists only once it is whole."""
    return cache / "gguf" / f"{sha256}-{CONVERSION}"


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold a lock beside `folder`, so that of several processes one makes it and the others wait."""
    filelock = library("filelock")
    with storage_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(f"{folder}.lock")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def converted(gguf: Path, sha256: str, cache: Path, report: Callable[[str], None]) -> Path:
    """The folder of a GGUF's conversion; made if it is missing.

    Args:
        gguf: the file.
        sha256: its hash, by which the conversion is known.
        cache: the cache folder.
        report: told, in a line, what takes time.

    Raises:
        ModelError: not a GGUF, or of an architecture that transformers cannot read.
        StorageError: the disk is full or not writable.
    """
    folder = converted_folder(sha256, cache)
    if not folder.is_dir():
        with only_one(folder):
            if not folder.is_dir():
                write_conversion(gguf, folder, report)
    return folder


def write_conversion(gguf: Path, folder: Path, report: Callable[[str], None]) -> None:
    """Convert `gguf` into `folder`, which appears only when it is whole."""
    report(f"converting {gguf.name} for transformers, once; up to a minute")
    tokenizer, network = _read(gguf)
    with new_folder(folder) as temporary:
        _save(tokenizer, network, temporary)


def _read(gguf: Path) -> tuple[Any, Any]:
    torch, transformers = library("torch"), library("transformers")
    for needed in ("gguf", "accelerate"):
        library(needed)
    # Some architectures would keep their weights packed, which cannot be saved.
    packed = getattr(transformers, "GgufConfig", None)
    unpack = {"quantization_config": packed(dequantize=True)} if packed else {}
    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    try:
        with quiet(), redirect_stderr(io.StringIO()):  # its progress bar asks nobody
            tokenizer = transformers.AutoTokenizer.from_pretrained(**source)
            network = transformers.AutoModelForCausalLM.from_pretrained(
                **source, dtype=torch.float32, **unpack
            )
        _split_digits(tokenizer, gguf)
    except Exception as error:  # a damaged file fails in any of the readers' ways
        raise ModelError(f"cannot read {gguf} as a GGUF model: {one_line(error)}") from error
    return tokenizer, network


def _split_digits(tokenizer: Any, gguf: Path) -> None:
    """Give back the rule that each digit stands alone, to tokenisers from which the reading took it."""
    splits = library("tokenizers").pre_tokenizers
    if not isinstance(tokenizer.backend_tokenizer.pre_tokenizer, splits.ByteLevel):
        return
    kind = library("gguf").GGUFReader(gguf).fields.get("tokenizer.ggml.pre")
    if kind is not None and kind.contents() in _DIGITS_APART:
        tokenizer.backend_tokenizer.pre_tokenizer = splits.Sequence(
            [splits.Digits(individual_digits=True), splits.ByteLevel(add_prefix_space=False, use_regex=True)]
        )


def _save(tokenizer: Any, network: Any, folder: Path) -> None:
    # Without these two transformers refuses to save what it has read from a GGUF.
    network.hf_quantizer = None
    if hasattr(network.config, "quantization_config"):
        del network.config.quantization_config
    try:
        with quiet():
            network.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
    except library("safetensors").SafetensorError as error:
        raise StorageError(f"cannot write {folder.parent}: {one_line(error)}") from error
