"""Where fetched and converted models are kept, and what a weight file hashes to."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

from breadth.errors import StorageError
from breadth.files import new_file

__all__ = ["cache_folder", "file_sha256", "known_sha256"]


def cache_folder(folder: Path | str | None = None) -> Path:
    """`folder` if given, else `$BREADTH_CACHE`, else `~/.cache/breadth`."""
    return Path(folder or os.environ.get("BREADTH_CACHE") or Path.home() / ".cache" / "breadth")


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def known_sha256(path: Path, cache: Path) -> str:
    """SHA-256 of a large file, read again only when its size or its time of change differs."""
    path = path.resolve()
    state = path.stat()
    stamp = [str(path), state.st_size, state.st_mtime_ns]
    note = cache / "hashes" / f"{hashlib.sha256(str(path).encode()).hexdigest()}.json"
    try:
        known = json.loads(note.read_text(encoding="utf-8"))
        if known["stamp"] == stamp:
            return str(known["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # never hashed, or the note is damaged: it is written anew
    digest = file_sha256(path)
    # Only a note to save time: a cache that cannot be written does not stop a model that can be read.
    with suppress(StorageError), new_file(note) as temporary:
        temporary.write_text(json.dumps({"stamp": stamp, "sha256": digest}), encoding="utf-8")
    return digest
