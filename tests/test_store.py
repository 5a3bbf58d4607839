"""Probes on disk: what is written is what is read, and nothing is ever half-written."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from contextlib import AbstractContextManager
from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import strategies as some
import toys
from breadth import store
from breadth.errors import ProbeError, StorageError
from breadth.files import new_file, new_folder
from breadth.outcome import evaluate
from breadth.probe import open_probe, take_probe
from breadth.ranked import Ranked, rank_logits
from breadth.store import PrefixFile, PrefixWriter, read_header, read_trie, write_trie

FILES = ["trie.parquet", "answers.parquet", "prefixes.parquet", "tokens.parquet"]


def assert_equal(found: Ranked, expected: Ranked) -> None:
    assert found.vocab_size == expected.vocab_size
    for field in fields(Ranked):
        mine, theirs = getattr(found, field.name), getattr(expected, field.name)
        if isinstance(theirs, np.ndarray):
            assert mine.dtype == theirs.dtype, field.name
        np.testing.assert_array_equal(mine, theirs, err_msg=field.name)


def written(folder: Path, blocks: list[Ranked]) -> PrefixFile:
    with PrefixWriter(folder) as writer:
        for block in blocks:
            writer.append(block)
    return PrefixFile(folder)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(instance=some.instances(forbidden=True), size=st.integers(1, 9))
def test_distributions_come_back(tmp_path: Path, instance: some.Instance, size: int) -> None:
    trie = instance.trie()
    blocks = instance.blocks(trie, size=size)
    file = written(tmp_path, blocks)
    assert len(file) == len(trie.prefixes)
    assert_equal(Ranked.concatenate(list(file)), Ranked.concatenate(blocks))


@pytest.mark.parametrize("keep", [0, 2**20, 2**30])
def test_many_rows_with_a_tail_come_back(tmp_path: Path, keep: int) -> None:
    """Several row groups; some blocks stay in memory and some do not. Iterating twice gives the same."""
    random = np.random.default_rng(0)
    instance = some.Instance(tuple((((a, b)),) for a in range(30) for b in range(20)), (), {})
    trie = instance.trie()
    nodes = np.resize(trie.prefixes, 700)
    logits = random.normal(size=(len(nodes), 5000)).astype(np.float32)
    logits[::3, 4500:] = -np.inf
    blocks = [rank_logits(nodes[a : a + 90], logits[a : a + 90], trie) for a in range(0, len(nodes), 90)]
    written(tmp_path, blocks)
    file = PrefixFile(tmp_path, keep=keep)
    assert len(file) == 700
    for _ in range(2):
        read = list(file)
        assert len(read) > 1
        assert_equal(Ranked.concatenate(read), Ranked.concatenate(blocks))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(instance=some.instances(), names=st.lists(st.text(min_size=1), min_size=30, max_size=30))
def test_the_trie_comes_back(tmp_path: Path, instance: some.Instance, names: list[str]) -> None:
    trie = instance.trie()
    names = [name.encode("utf-8", "replace").decode() for name in names]
    answers = [(names[index], names[-index]) for index in range(len(instance.answers))]
    tokens = {0: b"", 5: b"\xff\x00", 7: "é".encode()}
    header = {"model": "toy — ü", "number": 1.5, "list": [1, 2], "nothing": None}
    write_trie(tmp_path, trie, answers, tokens, header)
    found, found_answers, found_tokens, found_header = read_trie(tmp_path)
    for column in ("parent", "token", "depth", "weight", "answer", "end_tokens"):
        mine, theirs = getattr(found, column), getattr(trie, column)
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)
    assert found.n_answers == trie.n_answers
    assert found_answers == answers
    assert found_tokens == tokens
    assert header.items() <= found_header.items()
    assert header.items() <= read_header(tmp_path).items()


def test_a_reopened_probe_gives_the_same_numbers(tmp_path: Path) -> None:
    rules = ["temperature=1", "temperature=2,top_k=4", "xtc=0.1:0.5", "oracle_size"]
    taken = take_probe(toys.broken_order(), toys.letters_task(), tmp_path / "probe")
    opened = open_probe(tmp_path / "probe")
    for one, other in zip(evaluate(taken, rules), evaluate(opened, rules), strict=True):
        np.testing.assert_array_equal(one.edge_logp, other.edge_logp)
        np.testing.assert_array_equal(one.edge_event_logp, other.edge_event_logp)
    assert opened.answers == tuple(toys.VALID)
    assert opened.nbytes == sum(path.stat().st_size for path in (tmp_path / "probe").iterdir())
    assert opened.provenance == taken.provenance


# Files that cannot be used


@pytest.fixture
def probe(tmp_path: Path) -> Path:
    folder = tmp_path / "probe"
    take_probe(toys.healthy(), toys.letters_task(), folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    return folder


def refused(folder: Path, *words: str) -> None:
    """Opening and reading everything ends in one line that names the file."""
    with pytest.raises(ProbeError) as caught:
        list(open_probe(folder).blocks)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message
    assert caught.value.exit_status == 2


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_file_cut_short(probe: Path, file: str, share: float) -> None:
    content = (probe / file).read_bytes()
    (probe / file).write_bytes(content[: int(share * len(content))])
    refused(probe, file, "cut short")


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file(probe: Path, file: str) -> None:
    (probe / file).unlink()
    refused(probe, file, "does not exist")


@pytest.mark.parametrize("file", FILES)
def test_another_kind_of_file(probe: Path, file: str) -> None:
    (probe / file).write_text("name: states\n" * 100)
    refused(probe, file)


@pytest.mark.parametrize("file", FILES)
def test_damage_in_the_middle(probe: Path, file: str) -> None:
    """The footer is whole, the pages are not."""
    content = bytearray((probe / file).read_bytes())
    content[4:60] = bytes(56)
    (probe / file).write_bytes(content)
    refused(probe, file)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("version", [0, 999, None])
def test_another_schema_version(probe: Path, file: str, version: int | None) -> None:
    table = pq.read_table(probe / file)
    header = json.loads(table.schema.metadata[b"breadth"]) | {"schema_version": version}
    pq.write_table(table.replace_schema_metadata({b"breadth": json.dumps(header)}), probe / file)
    refused(probe, file, str(version), str(store.SCHEMA_VERSION))


@pytest.mark.parametrize("file", FILES)
def test_a_parquet_file_of_someone_else(probe: Path, file: str) -> None:
    table = pq.read_table(probe / file)
    pq.write_table(table.replace_schema_metadata(None), probe / file)
    refused(probe, file, "not written by breadth")


def test_missing_prefixes(probe: Path) -> None:
    path = probe / "prefixes.parquet"
    table = pq.read_table(path)
    pq.write_table(table.slice(1), path)
    refused(probe, "6 of 7 prefixes")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", "nowhere", "does not exist")


# A full disk


def full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def stored(tmp_path: Path) -> list[str]:
    return sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))


@pytest.mark.parametrize("where", ["write_table", "ParquetWriter"])
@pytest.mark.parametrize("before", [False, True], ids=["new", "over an old one"])
def test_a_full_disk_leaves_things_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, before: bool
) -> None:
    folder = tmp_path / "probe"
    if before:
        take_probe(toys.healthy(), toys.letters_task(), folder)
    old = stored(tmp_path)
    monkeypatch.setattr(store.pq, where, full_disk)
    with pytest.raises(StorageError, match="No space left on device") as caught:
        take_probe(toys.broken_order(), toys.letters_task(), folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)
    assert caught.value.exit_status == 1
    assert stored(tmp_path) == old
    if before:
        assert open_probe(folder).provenance["model"] == "healthy"


LIMITED = """
import resource, sys
sys.path.insert(0, {tests!r})
import toys
from pathlib import Path
from breadth.errors import StorageError
from breadth.probe import take_probe

resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    take_probe(toys.healthy(), toys.letters_task(), Path({folder!r}))
except StorageError as error:
    print(error)
else:
    print("written")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit there")
@pytest.mark.parametrize("limit", [0, 100, 3000])
def test_a_file_that_may_not_grow(tmp_path: Path, limit: int) -> None:
    folder = tmp_path / "probe"
    code = LIMITED.format(tests=str(Path(__file__).parent), limit=limit, folder=str(folder))
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = shown.stdout.splitlines()
    assert len(lines) == 1
    assert "cannot write" in lines[0]
    assert shown.stderr == ""
    assert stored(tmp_path) == []


def test_a_place_that_may_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        take_probe(toys.healthy(), toys.letters_task(), tmp_path / "file" / "probe")
    assert stored(tmp_path) == ["file"]


# Writing


def test_a_file_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "table.csv"
    with new_file(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
        assert temporary.parent == path.parent
        assert temporary.suffix == ".csv"
    assert path.read_text() == "new"
    assert stored(tmp_path) == ["deep", "deep/table.csv"]


def fail_in(context: AbstractContextManager[Path], name: str, problem: BaseException) -> None:
    with context as path:
        (path / name if path.is_dir() else path).write_text("half")
        raise problem


@pytest.mark.parametrize(
    "problem", [KeyboardInterrupt(), ValueError(), OSError(errno.ENOSPC, "full")], ids=repr
)
def test_a_file_stays_as_it_was(tmp_path: Path, problem: BaseException) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(StorageError if isinstance(problem, OSError) else type(problem)):
        fail_in(new_file(path), "", problem)
    assert path.read_text() == "old"
    assert stored(tmp_path) == ["table.csv"]


def test_a_folder_takes_the_place_of_another(tmp_path: Path) -> None:
    path = tmp_path / "probe"
    with new_folder(path) as folder:
        (folder / "a").write_text("old")
        (folder / "b").write_text("only here")
    with new_folder(path) as folder:
        (folder / "a").write_text("new")
    assert stored(tmp_path) == ["probe", "probe/a"]
    assert (path / "a").read_text() == "new"
    with pytest.raises(KeyboardInterrupt):
        fail_in(new_folder(path), "a", KeyboardInterrupt())
    assert stored(tmp_path) == ["probe", "probe/a"]
    assert (path / "a").read_text() == "new"


def test_permissions_are_the_usual_ones(tmp_path: Path) -> None:
    (tmp_path / "usual").mkdir()
    (tmp_path / "usual file").write_text("")
    with new_folder(tmp_path / "ours"):
        pass
    with new_file(tmp_path / "our file"):
        pass
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode
    assert (tmp_path / "our file").stat().st_mode == (tmp_path / "usual file").stat().st_mode
