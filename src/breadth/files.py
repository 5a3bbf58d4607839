"""Writing so that nothing is ever half-written: to a temporary name beside the target, then renamed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from breadth.errors import StorageError

__all__ = ["new_file", "new_folder", "storage_errors"]


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn the machine's refusals (full disk, missing rights) into a one-line StorageError."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(f"cannot write {path}: {reason}; nothing was left half-written") from error


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A temporary path to write to; renamed to `path` when the block ends well, removed when it does not."""
    with storage_errors(path), _parent_of(path):
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder that takes the place of `path` when the block ends well."""
    with storage_errors(path), _parent_of(path):
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        try:
            yield temporary
            temporary.chmod(0o777 & ~_umask())
            _replace_folder(temporary, path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


@contextmanager
def _parent_of(path: Path) -> Iterator[None]:
    """The folder of `path`; made if it is not there, and if it was made for nothing removed again."""
    is_new = not path.parent.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if is_new:
            with suppress(OSError):  # somebody else may have put something into it
                path.parent.rmdir()
        raise


def _replace_folder(new: Path, path: Path) -> None:
    """Rename over an existing folder, which rename alone refuses when it is not empty."""
    if not path.exists():
        new.rename(path)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{path.name}.old.", dir=path.parent))
    path.rename(old / path.name)
    try:
        new.rename(path)
    except OSError:
        with suppress(OSError):
            (old / path.name).rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
