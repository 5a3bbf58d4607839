"""Both fast paths give what plain runs of the module give, on every family, at every block size."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import tiny
from breadth.errors import ModelError, TokenizationError
from breadth.models import by_depth, packed, paths
from breadth.models.base import Model
from breadth.models.load import load_model
from breadth.models.network import Network
from breadth.models.packed import masks_for
from breadth.models.transformers import Options, TransformersModel, in_memory, open_model
from breadth.trie import END, Trie, build_trie

TOLERANCE = 1e-4
BLOCKS = (1, 2, 7, 64)


def log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def plain(module: Any, prompt: Sequence[int], trie: Trie) -> NDArray[np.float64]:
    """Log-probabilities at every prefix, each in a run of its own without a cache."""
    import torch

    rows = []
    for node in trie.prefixes:
        tokens = torch.tensor([[*prompt, *trie.path(int(node))]])
        with torch.inference_mode():
            rows.append(module(input_ids=tokens, use_cache=False).logits[0, -1].float().numpy())
    return log_softmax(np.array(rows))


def walked(
    blocks: Iterable[tuple[NDArray[np.int64], NDArray[np.float32]]], trie: Trie
) -> NDArray[np.float64]:
    """The same from a walk; every prefix comes once."""
    nodes, rows = [], []
    for block, logits in blocks:
        assert logits.shape[0] == len(block)
        assert logits.dtype == np.float32
        nodes.append(block.copy())
        rows.append(logits.copy())
    order = np.concatenate(nodes)
    assert sorted(order) == trie.prefixes.tolist()
    return log_softmax(np.concatenate(rows)[np.argsort(order)])


@cache
def network(family: str) -> Network:
    return Network(tiny.network(family))


@cache
def plain_tiny(family: str) -> NDArray[np.float64]:
    logp = plain(network(family).module, tiny.PROMPT, tiny.trie())
    # Comparing near-constant rows would prove nothing: prefixes differ by much, and within a row too.
    distance = np.abs(np.exp(logp[:, None]) - np.exp(logp[None])).sum(-1) / 2
    assert np.median(distance) > 0.2
    assert np.median(logp.std(axis=1)) > 1
    return logp


class TestEqualToPlainRuns:
    @pytest.mark.parametrize("block", BLOCKS)
    @pytest.mark.parametrize("family", tiny.PACKED)
    def test_packed(self, family: str, block: int) -> None:
        trie = tiny.trie()
        masks = masks_for(network(family))[0]
        blocks = packed.walk(network(family), tiny.PROMPT, trie, masks, block_tokens=block)
        assert np.abs(walked(blocks, trie) - plain_tiny(family)).max() < TOLERANCE

    @pytest.mark.parametrize("chunk", [*BLOCKS, None])
    @pytest.mark.parametrize("family", tiny.FAMILIES)
    def test_by_depth(self, family: str, chunk: int | None) -> None:
        trie = tiny.trie()
        blocks = by_depth.walk(network(family), tiny.PROMPT, trie, chunk=chunk)
        assert np.abs(walked(blocks, trie) - plain_tiny(family)).max() < TOLERANCE

    @pytest.mark.parametrize("family", tiny.FAMILIES)
    def test_as_chosen(self, family: str) -> None:
        trie = tiny.trie()
        model = in_memory(tiny.network(family), tiny.byte_level_tokenizer())
        assert np.abs(walked(model.walk(tiny.PROMPT, trie), trie) - plain_tiny(family)).max() < TOLERANCE
        assert model.provenance["path"] == ("by-depth" if family in tiny.BY_DEPTH else "packed")
        assert model.tokens_computed == len(tiny.PROMPT) + len(trie.prefixes) - 1

    @pytest.mark.parametrize("family", ["llama", "qwen3.5"])
    def test_one_by_one(self, family: str) -> None:
        trie = tiny.trie()
        model = in_memory(tiny.network(family), tiny.byte_level_tokenizer(), path="one-by-one")
        assert np.abs(walked(model.walk(tiny.PROMPT, trie), trie) - plain_tiny(family)).max() < TOLERANCE

    @pytest.mark.parametrize("family", ["llama", "gemma3"])
    def test_eager_attention(self, family: str) -> None:
        trie = tiny.trie()
        eager = Network(tiny.network(family, attention="eager"))
        blocks = packed.walk(eager, tiny.PROMPT, trie, masks_for(eager)[0], block_tokens=7)
        assert np.abs(walked(blocks, trie) - plain_tiny(family)).max() < TOLERANCE

    @given(
        seed=st.integers(0, 10**6),
        prompt=st.integers(1, 20),
        block=st.integers(1, 20),
        logits=st.integers(1, 9),
        family=st.sampled_from(["llama", "olmo3"]),
    )
    @settings(max_examples=30, deadline=None)
    def test_packed_on_any_trie(self, seed: int, prompt: int, block: int, logits: int, family: str) -> None:
        """Any shape of trie, length of prompt and way of cutting into blocks."""
        trie = tiny.trie(seed, branches=2 + seed % 3, depth=2, tail=seed % 9)
        tokens = (tiny.PROMPT * 2)[:prompt]
        blocks = packed.walk(
            network(family),
            tokens,
            trie,
            masks_for(network(family))[0],
            block_tokens=block,
            block_logits=logits * tiny.VOCAB,
        )
        assert np.abs(walked(blocks, trie) - plain(network(family).module, tokens, trie)).max() < TOLERANCE

    @given(seed=st.integers(0, 10**6), prompt=st.integers(1, 20), chunk=st.integers(1, 9))
    @settings(max_examples=15, deadline=None)
    def test_by_depth_on_any_trie(self, seed: int, prompt: int, chunk: int) -> None:
        trie = tiny.trie(seed, branches=2 + seed % 3, depth=2, tail=seed % 9)
        tokens = (tiny.PROMPT * 2)[:prompt]
        blocks = by_depth.walk(network("qwen3.5"), tokens, trie, chunk=chunk)
        logp = plain(network("qwen3.5").module, tokens, trie)
        assert np.abs(walked(blocks, trie) - logp).max() < TOLERANCE

    @pytest.mark.parametrize("family", ["llama", "qwen3.5"])
    def test_nothing_but_the_root(self, family: str) -> None:
        trie = build_trie([(END,), (5,)], [0, 1], n_answers=2, end_tokens=[2])
        model = in_memory(tiny.network(family), tiny.byte_level_tokenizer())
        assert np.abs(walked(model.walk([7], trie), trie) - plain(model.module, [7], trie)).max() < TOLERANCE


class TestBounds:
    def test_a_block_has_as_many_logits_as_allowed(self) -> None:
        net = network("llama")
        trie = tiny.trie()
        walk = packed.walk(net, tiny.PROMPT, trie, masks_for(net)[0], block_logits=5 * tiny.VOCAB)
        sizes = [len(nodes) for nodes, _ in walk]
        assert max(sizes) == 5
        assert sum(sizes) == len(trie.prefixes)

    def test_only_ancestors_stay_between_blocks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        lengths = []
        attention = packed._attention
        monkeypatch.setattr(
            packed, "_attention", lambda *a: (lengths.append(len(a[3]) - len(a[2])), attention(*a))[1]
        )
        net = network("llama")
        trie = tiny.trie(branches=3, depth=4)
        list(packed.walk(net, tiny.PROMPT, trie, masks_for(net)[0], block_tokens=4))
        assert max(lengths) <= len(tiny.PROMPT) + trie.depth.max()

    def test_states_alive_by_depth(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """At most one chunk of states for every level, whatever the trie's width."""
        import weakref

        alive: weakref.WeakSet[Any] = weakref.WeakSet()
        most = 0
        branch = by_depth._branch

        def counted(state: Any, rows: Any) -> Any:
            nonlocal most
            twin = branch(state, rows)
            alive.add(twin)
            most = max(most, len(alive))
            return twin

        monkeypatch.setattr(by_depth, "_branch", counted)
        answers = [(a, b, c, END) for a in range(3, 7) for b in range(3, 7) for c in range(3, 7)]
        trie = build_trie(answers, range(64), n_answers=64, end_tokens=[2])
        list(by_depth.walk(network("qwen3.5"), tiny.PROMPT, trie, chunk=2))
        assert most <= trie.depth.max()

    def test_a_model_without_logits_to_keep(self) -> None:
        net = Network(tiny.network("llama"))
        net._keeps = False
        trie = tiny.trie()
        blocks = packed.walk(net, tiny.PROMPT, trie, masks_for(net)[0], block_tokens=7)
        assert np.abs(walked(blocks, trie) - plain_tiny("llama")).max() < TOLERANCE


class TestChoice:
    def test_a_wrong_mask_is_noticed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def everything(*arguments: Any) -> Any:
            net, _, block, seen, _ = arguments
            return packed._additive(net, np.tril(np.ones((len(block), len(seen)), dtype=bool), len(seen)))

        monkeypatch.setattr(packed, "_attention", everything)
        assert paths.choose_path(network("llama"))[0] == "by-depth"

    def test_a_wrong_state_is_noticed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(by_depth, "_shallow", lambda layer: layer)  # siblings share what they change
        assert paths.choose_path(network("qwen3.5"))[0] == "one-by-one"
        with pytest.raises(ModelError, match="by-depth"):
            paths.choose_path(network("qwen3.5"), "by-depth")

    def test_an_undeclared_window_is_not_crossed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        model = in_memory(tiny.network("mistral"), tiny.byte_level_tokenizer())
        assert model._ready[0].tokens_computed == 0  # loads, and chooses
        trie = build_trie([(5, 6), (7, 8)], [0, 1], n_answers=2)
        monkeypatch.setattr(by_depth, "walk", lambda *_: iter(()))
        assert sum(len(nodes) for nodes, _ in model.walk((3, 4), trie)) == 3
        assert not list(model.walk((3, 4, 5, 6), trie))

    def test_half_precision_has_a_head_in_float32(self) -> None:
        import torch

        module = tiny.network("llama").to(torch.bfloat16)
        model = in_memory(module, tiny.byte_level_tokenizer())
        trie = tiny.trie()
        ((nodes, logits), *_) = model.walk(tiny.PROMPT, trie)
        assert model.identity["dtype"] == "bfloat16"
        assert model.provenance["path"] == "packed"
        rounded = torch.tensor(logits).bfloat16().float().numpy()
        assert np.mean(rounded != logits) > 0.9  # not values that bfloat16 can hold
        p, q = np.exp(log_softmax(logits)), np.exp(plain_tiny("llama")[: len(nodes)])
        assert np.median(np.abs(p - q).sum(-1) / 2) < 0.05


class TestRecord:
    def test_identity_of_a_model_in_memory_is_its_weights(self) -> None:
        tokenizer = tiny.byte_level_tokenizer()
        one, same, other = (
            in_memory(tiny.network(family), tokenizer).identity for family in ("llama", "llama", "qwen3")
        )
        assert one == same != other

    def test_logits_outside_the_vocabulary_are_refused(self) -> None:
        model = in_memory(tiny.network("llama"), tiny.byte_level_tokenizer())
        with pytest.raises(TokenizationError, match="token 200"):
            model.next_logits([1, 200])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model as transformers saves one."""
    path = tmp_path_factory.mktemp("tiny-llama")
    tiny.network("llama").save_pretrained(path)
    tiny.byte_level_tokenizer().save_pretrained(path)
    return path


class TestOpening:
    def test_a_folder(self, folder: Path, tmp_path: Path) -> None:
        settings = {"eos_token_id": [2, 7], "temperature": 0.6, "top_k": 20, "do_sample": True}
        (folder / "generation_config.json").write_text(json.dumps(settings))
        model = load_model(str(folder), cache_dir=tmp_path, device="cpu")
        assert isinstance(model, TransformersModel)
        assert model.generation == {"temperature": 0.6, "top_k": 20.0}
        turn_end = 2  # <|turn|>
        assert set(model.end_tokens) == {1, 2, 7, turn_end}
        assert model.vocab_size == tiny.VOCAB
        assert model.identity["dtype"] == "float32"
        assert model.identity["attention"] == "sdpa"
        assert len(model.identity["model.safetensors"]) == 64
        assert "path" not in model.provenance  # nothing is loaded yet
        trie = tiny.trie()
        assert np.abs(walked(model.walk(tiny.PROMPT, trie), trie) - plain_tiny("llama")).max() < TOLERANCE
        assert model.provenance["path"] == "packed"

    def test_identity_is_known_without_weights_and_follows_them(self, folder: Path, tmp_path: Path) -> None:
        def identity() -> dict[str, str]:
            return dict(load_model(str(folder), cache_dir=tmp_path, device="cpu").identity)

        before = identity()
        weights = folder / "model.safetensors"
        whole = weights.read_bytes()
        weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        try:
            assert identity() != before
        finally:
            weights.write_bytes(whole)
        assert identity() == before

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            (Options(dtype="float8"), "dtype 'float8' is unknown; use float32, bfloat16, float16"),
            (Options(device="tpu"), "device 'tpu' is not there; this machine has "),
            (Options(device="cuda:99"), "device 'cuda:99' is not there"),
            (Options(attention="none"), "attention 'none' is unknown; use eager, sdpa"),
            (Options(attention="flash_attention_2"), "cannot load it: FlashAttention2"),
        ],
    )
    def test_bad_options(self, folder: Path, options: Options, says: str) -> None:
        with pytest.raises(ModelError) as caught:
            open_model("it", str(folder), {"x": "y"}, options, origin="test")
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_missing_weights_are_not_made_up(self, folder: Path, tmp_path: Path) -> None:
        from safetensors.numpy import load_file, save_file

        weights = load_file(folder / "model.safetensors")
        (tmp_path / "m").mkdir()
        for path in folder.iterdir():
            (tmp_path / "m" / path.name).write_bytes(path.read_bytes())
        weights.pop("model.layers.1.mlp.up_proj.weight")
        save_file(weights, tmp_path / "m" / "model.safetensors", metadata={"format": "pt"})
        model = load_model(str(tmp_path / "m"), cache_dir=tmp_path, device="cpu")
        with pytest.raises(ModelError, match=r"it lacks the weights model\.layers\.1\.mlp\.up_proj"):
            model.next_logits([1])

    @pytest.mark.parametrize(
        ("file", "content", "says"),
        [
            ("config.json", "{broken", "not a valid JSON file"),
            ("config.json", '{"model_type": "t5"}', "not a causal language model"),
            ("config.json", '{"model_type": "nonsense"}', "model type `nonsense`"),
            ("tokenizer.json", None, "no fast tokeniser"),
        ],
    )
    def test_a_broken_folder(
        self, file: str, content: str | None, says: str, folder: Path, tmp_path: Path
    ) -> None:
        for path in folder.iterdir():
            (tmp_path / path.name).write_bytes(path.read_bytes())
        if content is None:
            (tmp_path / file).unlink()
        else:
            (tmp_path / file).write_text(content)
        with pytest.raises(ModelError, match=says) as caught:
            load_model(str(tmp_path), cache_dir=tmp_path / "cache", device="cpu")
        assert "\n" not in str(caught.value)

    def test_code_of_its_own_is_not_run(self, folder: Path, tmp_path: Path) -> None:
        for path in folder.iterdir():
            (tmp_path / path.name).write_bytes(path.read_bytes())
        config = json.loads((tmp_path / "config.json").read_text())
        config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}
        (tmp_path / "config.json").write_text(json.dumps(config))
        (tmp_path / "own.py").write_text("raise SystemExit('this code ran')")
        with pytest.raises(ModelError, match="trust-remote-code"):
            load_model(str(tmp_path), cache_dir=tmp_path / "cache")

    @pytest.mark.parametrize(
        ("name", "says"),
        [
            ("smollm2-135", "did you mean smollm2-135m?"),
            ("Qwen/Qwen3-0.6B", "write hf:Qwen/Qwen3-0.6B"),
            ("./nowhere", "a model folder"),
            ("hf:", "a model folder"),
            ("gguf:/nowhere/x.gguf", "no file /nowhere/x.gguf"),
            ("/nowhere/x.gguf", "no file /nowhere/x.gguf"),
        ],
    )
    def test_unknown_names(self, name: str, says: str) -> None:
        with pytest.raises(ModelError) as caught:
            load_model(name)
        assert says in str(caught.value)
        assert name.removeprefix("gguf:") in str(caught.value)

    def test_a_revision_needs_a_hub_model(self, folder: Path) -> None:
        for name in ("smollm2-135m", str(folder), "some.gguf"):
            with pytest.raises(ModelError, match="no revisions"):
                load_model(name, revision="main")

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match=r"needs config\.json"):
            load_model(str(tmp_path))

    def test_a_hub_that_cannot_be_reached(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import huggingface_hub.constants

        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        with pytest.raises(ModelError, match="cannot be reached") as caught:
            load_model("hf:no-such-organisation/no-such-model")
        assert "\n" not in str(caught.value)

    def test_a_missing_package(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "transformers", None)
        with pytest.raises(ModelError, match=r"pip install 'breadth\[models\]'"):
            load_model(str(folder))

    def test_torch_is_imported_only_when_a_model_is_opened(self) -> None:
        code = (
            "import sys, breadth.models.base, breadth.models.load, breadth.models.bundled;"
            "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'tokenizers')))"
        )
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def in_context(model: Model, prompt: str, answers: Sequence[str]) -> tuple[list[int], Trie]:
    tokenizer = model.tokenizer
    head = tokenizer.encode([prompt])[0]
    tokens = [ids[len(head) :] for ids in tokenizer.encode([f"{prompt} {answer}" for answer in answers])]
    trie = build_trie(
        [(*ids, END) for ids in tokens],
        range(len(answers)),
        n_answers=len(answers),
        end_tokens=model.end_tokens,
    )
    return [*tokenizer.bos, *head], trie


FRUITS = "Random fruit: mango\nRandom color: teal\nRandom animal: otter\nRandom US state:"
STATES = ["Texas", "New York", "New Jersey", "New Mexico", "North Dakota", "North Carolina", "Ohio", "Oregon"]


@pytest.mark.model
@pytest.mark.parametrize("name", ["smollm2", "gemma3"])
class TestRealModels:
    def test_both_paths_equal_plain_runs(self, name: str, request: pytest.FixtureRequest) -> None:
        model = request.getfixturevalue(name)
        prompt, trie = in_context(model, FRUITS, STATES)
        net, _ = model._ready
        logp = plain(net.module, prompt, trie)
        by_packing = packed.walk(net, prompt, trie, masks_for(net)[0], block_tokens=9)
        assert np.abs(walked(by_packing, trie) - logp).max() < TOLERANCE
        assert np.abs(walked(by_depth.walk(net, prompt, trie, chunk=3), trie) - logp).max() < TOLERANCE

    def test_each_token_is_computed_once(self, name: str, request: pytest.FixtureRequest) -> None:
        model = request.getfixturevalue(name)
        prompt, trie = in_context(model, FRUITS, STATES)
        before = model.tokens_computed
        walked(model.walk(prompt, trie), trie)
        assert model.provenance["path"] == "packed"
        assert model.tokens_computed - before == len(prompt) + len(trie.prefixes) - 1

    @pytest.mark.slow
    def test_beyond_the_sliding_window(self, name: str, request: pytest.FixtureRequest) -> None:
        model = request.getfixturevalue(name)
        prompt, trie = in_context(model, FRUITS[:-16] * 40 + FRUITS, STATES[:2])
        assert len(prompt) > 512  # Gemma's window
        net, _ = model._ready
        logp = plain(net.module, prompt, trie)
        by_packing = packed.walk(net, prompt, trie, masks_for(net)[0], block_tokens=200)
        assert np.abs(walked(by_packing, trie) - logp).max() < TOLERANCE
