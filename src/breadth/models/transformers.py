"""Any causal language model that transformers can load."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from breadth.errors import ModelError, TokenizationError
from breadth.models.base import Model
from breadth.models.hf_tokenizer import HFTokenizer
from breadth.models.hub import library, one_line, quiet
from breadth.trie import Trie

if TYPE_CHECKING:
    from breadth.models.network import Network
    from breadth.models.paths import PathName, Walk

__all__ = ["Options", "TransformersModel", "in_memory", "open_model"]

_DTYPES = ("float32", "bfloat16", "float16")
_ATTENTION = ("eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention")
_SAMPLING = (
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "typical_p",
    "epsilon_cutoff",
    "eta_cutoff",
    "top_h",
)


@dataclass(frozen=True)
class Options:
    """What a user may choose about a model; `breadth.models.load.load_model` explains each."""

    revision: str | None = None
    dtype: str | None = None
    device: str | None = None
    attention: str | None = None
    template_arguments: Mapping[str, Any] = field(default_factory=dict)
    trust_remote_code: bool = False


class TransformersModel(Model):
    """A causal language model of transformers. `open_model` makes one by name, `in_memory` from a module.

    Args:
        name: what the user called it.
        tokenizer: its tokeniser.
        load: gives the module; called when its numbers are first asked for.
        vocab_size: number of logits.
        end_tokens: tokens that end a turn.
        generation: sampling settings of its own.
        identity: what determines its numbers.
        provenance: what else a reader should know; the path is added once it is chosen.
        path: how prefixes are run; if not given, the fastest way that gives the model's own numbers.
    """

    def __init__(
        self,
        name: str,
        tokenizer: HFTokenizer,
        load: Callable[[], Any],
        *,
        vocab_size: int,
        end_tokens: Sequence[int],
        generation: Mapping[str, float],
        identity: Mapping[str, str],
        provenance: Mapping[str, str],
        path: PathName | None = None,
    ) -> None:
        self.name = name
        self.tokenizer: HFTokenizer = tokenizer
        self.vocab_size = vocab_size
        self.end_tokens = tuple(sorted({token for token in end_tokens if token < vocab_size}))
        self.generation = generation
        self.identity = identity
        self.provenance: dict[str, str] = dict(provenance)
        self._load = load
        self._path = path

    @property
    def module(self) -> Any:
        """The module of transformers itself, its output head in float32; loaded when first asked for."""
        return self._ready[0].module

    @property
    def tokens_computed(self) -> int:
        """How many tokens have gone through the model, its self-check apart."""
        return self._ready[0].tokens_computed

    @cached_property
    def _ready(self) -> tuple[Network, Walk | None]:
        """The loaded network and the way its prefixes are run."""
        from breadth.models.network import Network
        from breadth.models.paths import choose_path

        network = Network(self._load())
        self.provenance["parameters"] = str(network.module.num_parameters())
        self.provenance["path"], walk = choose_path(network, self._path)
        return network, walk

    def next_logits(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """Logits after `tokens`, by a plain run without a cache."""
        self._check(tokens)
        network, _ = self._ready
        logits: NDArray[np.float32] = network(np.array([tokens]), use_cache=False)[0]
        return logits[0, -1, :]

    def walk(
        self, prompt: Sequence[int], trie: Trie
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Logits at every prefix of `trie`, each token computed once."""
        self._check([*prompt, int(trie.token.max())])
        _, walk = self._ready
        return super().walk(prompt, trie) if walk is None else walk(prompt, trie)

    def _check(self, tokens: Sequence[int]) -> None:
        if max(tokens) >= self.vocab_size:
            raise TokenizationError(
                f"{self.name} cannot read token {max(tokens)}, which its tokeniser gives: it has only "
                f"{self.vocab_size:,} tokens"
            )


def in_memory(
    module: Any, tokenizer: Any, *, name: str = "in memory", path: PathName | None = None
) -> TransformersModel:
    """A model from a module and a tokeniser that are already there.

    Args:
        module: a `…ForCausalLM`; set to evaluation, and its output head to float32.
        tokenizer: its fast tokeniser.
        name: shown in tables.
        path: how prefixes are run; chosen if not given.
    """
    torch = library("torch")
    from breadth.models.network import logits_width

    vocab_size = logits_width(module)
    own = HFTokenizer(tokenizer, name=name, vocab_size=vocab_size)
    settings = module.generation_config.to_dict() if module.generation_config else {}
    digest = hashlib.sha256()
    for key, tensor in module.state_dict().items():
        digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return TransformersModel(
        name,
        own,
        lambda: module,
        vocab_size=vocab_size,
        end_tokens=_end_tokens(module.config, settings, own),
        generation=_sampling(settings),
        identity={
            "weights": digest.hexdigest(),
            "config": hashlib.sha256(module.config.to_json_string().encode()).hexdigest(),
            "dtype": str(module.dtype).removeprefix("torch."),
            "attention": str(module.config._attn_implementation),
            "device": _device_name(module.device),
        },
        provenance=_versions(),
        path=path,
    )


def open_model(
    name: str, source: str, hashes: Mapping[str, str], options: Options, *, origin: str
) -> TransformersModel:
    """Open a model: tokeniser and configuration now, weights when they are needed.

    Args:
        name: what the user called it.
        source: a folder, or the name of a repository on the hub.
        hashes: what identifies its weights; for a repository, whose commit does that, nothing.
        options: the user's.
        origin: where it comes from, for the record.

    Raises:
        ModelError: no such model, a missing package, or an option that does not fit.
    """
    torch, transformers = library("torch"), library("transformers")
    from breadth.models.network import logits_width

    device = _device(options.device)
    if options.attention not in (None, *_ATTENTION):
        raise ModelError(f"attention {options.attention!r} is unknown; use {', '.join(_ATTENTION)}")
    where = {"revision": options.revision, "trust_remote_code": options.trust_remote_code}
    with quiet(), _model_errors(name):
        config = transformers.AutoConfig.from_pretrained(source, **where)
        own_attention = {"attn_implementation": options.attention} if options.attention else {}
        # Without weights, to learn what transformers would choose and how many logits there will be.
        with torch.device("meta"):
            outline = transformers.AutoModelForCausalLM.from_config(
                config, trust_remote_code=options.trust_remote_code, **own_attention
            )
        raw_tokenizer = transformers.AutoTokenizer.from_pretrained(source, **where)
        settings = _generation_settings(source, options)
    dtype = _dtype(options.dtype, config, device)
    attention = str(outline.config._attn_implementation)
    vocab_size = logits_width(outline)
    tokenizer = HFTokenizer(
        raw_tokenizer,
        name=name,
        template_arguments=options.template_arguments,
        vocab_size=vocab_size,
    )

    def load() -> Any:
        with quiet(), _model_errors(name):
            module, report = transformers.AutoModelForCausalLM.from_pretrained(
                source, **where, dtype=dtype, attn_implementation=attention, output_loading_info=True
            )
            if report["missing_keys"]:
                raise ValueError(f"it lacks the weights {sorted(report['missing_keys'])[0]}")
            return module.to(device)

    commit = getattr(config, "_commit_hash", None)
    return TransformersModel(
        name,
        tokenizer,
        load,
        vocab_size=vocab_size,
        end_tokens=_end_tokens(config, settings, tokenizer),
        generation=_sampling(settings),
        identity={
            **(hashes or {"repository": source, "commit": str(commit)}),
            "dtype": str(dtype).removeprefix("torch."),
            "attention": attention,
            "device": _device_name(device),
        },
        provenance={"origin": origin, **_versions()},
    )


# What transformers says in many words or many lines, and what that means here.
_REASONS = (
    ("trust_remote_code", "it needs code of its own, which runs only with --trust-remote-code"),
    ("is not a local folder", "the hub has no such model, or it cannot be reached from here"),
    ("connect to", "the hub has no such model, or it cannot be reached from here"),
    ("Couldn't instantiate the backend tokenizer", "it has no fast tokeniser (a tokenizer.json)"),
    ("for this kind of AutoModel", "it is not a causal language model"),
    ("out of memory", "it does not fit into memory; try a smaller dtype or another device"),
)


@contextmanager
def _model_errors(name: str) -> Iterator[None]:
    """One line for the many ways in which transformers says no."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        said = str(error)
        reason = next((ours for theirs, ours in _REASONS if theirs in said), one_line(error))
        raise ModelError(f"cannot load {name}: {reason}") from error


def _device(wanted: str | None) -> Any:
    torch = library("torch")
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted is None:
        return torch.device(next(kind for kind, found in there.items() if found))
    try:
        device = torch.device(wanted)
    except RuntimeError:
        device = None
    if (
        device is None
        or not there.get(device.type)
        or (device.index or 0) >= max(torch.cuda.device_count(), 1)
    ):
        raise ModelError(
            f"device {wanted!r} is not there; this machine has "
            f"{', '.join(kind for kind, found in there.items() if found)}"
        )
    return device


def _device_name(device: Any) -> str:
    return library("torch").cuda.get_device_name(device) if device.type == "cuda" else str(device.type)


def _dtype(wanted: str | None, config: Any, device: Any) -> Any:
    torch = library("torch")
    if wanted is None:
        own = getattr(config.get_text_config(), "dtype", None) or getattr(config, "dtype", None)
        return torch.float32 if device.type == "cpu" or own is None else own
    if wanted not in _DTYPES:
        raise ModelError(f"dtype {wanted!r} is unknown; use {', '.join(_DTYPES)}")
    return getattr(torch, wanted)


def _generation_settings(source: str, options: Options) -> Mapping[str, Any]:
    """The model's own generation_config.json: what it really sets, without the defaults of a class."""
    file = library("transformers").utils.cached_file(
        source,
        "generation_config.json",
        revision=options.revision,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    return dict(json.loads(Path(file).read_text(encoding="utf-8"))) if file else {}


def _sampling(settings: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(settings[name]) for name in _SAMPLING if settings.get(name) is not None}


def _end_tokens(config: Any, settings: Mapping[str, Any], tokenizer: HFTokenizer) -> list[int]:
    """Everything that anyone calls an end: generation config, configuration, tokeniser, chat template."""
    ends: list[int] = []
    for named in (
        settings.get("eos_token_id"),
        getattr(config, "eos_token_id", None),
        getattr(config.get_text_config(), "eos_token_id", None),
        tokenizer.tokenizer.eos_token_id,
        tokenizer.turn_end,
    ):
        ends += named if isinstance(named, list) else [named] if named is not None else []
    return ends


def _versions() -> dict[str, str]:
    names = ("torch", "transformers", "tokenizers")
    return {name: str(library(name).__version__) for name in names}
