"""Probes on disk: a folder of Parquet files that names its schema and where its numbers come from.

    trie.parquet        one row per node of the trie, and in the file's metadata the provenance
    answers.parquet     one row per answer
    prefixes.parquet    one row per valid prefix: its ranked next-token distribution
    tokens.parquet      the text of every token that the other files name

docs/data-model.md lists every column.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from breadth.errors import ProbeError
from breadth.ranked import RAGGED_COLUMNS, ROW_COLUMNS, Ranked
from breadth.trie import Trie

__all__ = ["SCHEMA_VERSION", "PrefixFile", "PrefixWriter", "read_header", "read_trie", "write_trie"]

SCHEMA_VERSION = 1
"""Raised whenever a column changes its meaning; a probe of another version is refused."""

TRIE = "trie.parquet"
ANSWERS = "answers.parquet"
PREFIXES = "prefixes.parquet"
TOKENS = "tokens.parquet"

ROWS_PER_GROUP = 256
"""Prefixes of one row group: what is read, and evaluated, at once."""

HEADER = b"breadth"

FLOAT_MATRICES = ("head_logit", "tail_logit", "tail_correction")
MATRIX_COLUMNS = ("head_token", *FLOAT_MATRICES)
REQUIRED_COLUMNS = {
    "head_token",
    "head_logit",
    *(name for name in ROW_COLUMNS if name not in MATRIX_COLUMNS),
    *(name for names in RAGGED_COLUMNS.values() for name in names),
}


def write_trie(
    folder: Path,
    trie: Trie,
    answers: Sequence[tuple[str, ...]],
    tokens: Mapping[int, bytes],
    header: Mapping[str, Any],
) -> None:
    """Write everything but the distributions.

    Args:
        folder: where.
        trie: the answers' sequences.
        answers: spellings of every answer, the answer itself first.
        tokens: the bytes of every token that a person may want to read.
        header: provenance, JSON.
    """
    columns = {
        "parent": trie.parent,
        "token": trie.token,
        "depth": trie.depth,
        "weight": trie.weight,
        "answer": trie.answer,
        "complete": trie.complete,
    }
    metadata = {**header, "end_tokens": trie.end_tokens.tolist(), "n_answers": trie.n_answers}
    _write(pa.table(columns), folder / TRIE, metadata)
    spellings = pa.array([list(texts) for texts in answers], pa.list_(pa.string()))
    names = pa.array([texts[0] for texts in answers], pa.string())
    _write(pa.table({"answer": names, "spellings": spellings}), folder / ANSWERS)
    ids = pa.array(list(tokens), pa.int32())
    _write(pa.table({"token": ids, "bytes": pa.array(list(tokens.values()), pa.binary())}), folder / TOKENS)


def _write(table: pa.Table, path: Path, metadata: Mapping[str, Any] | None = None) -> None:
    pq.write_table(_with_header(table, metadata), path, compression="zstd", write_page_checksum=True)


def _with_header(table: pa.Table, metadata: Mapping[str, Any] | None) -> pa.Table:
    header = {"schema_version": SCHEMA_VERSION, **(metadata or {})}
    return table.replace_schema_metadata({HEADER: json.dumps(header, ensure_ascii=False)})


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Damage in a file is told in one line, wherever it shows."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ProbeError(f"{path} is damaged or cut short; run the probe again") from error


def _read(path: Path) -> tuple[pa.Table, dict[str, Any]]:
    """A whole file of a probe, and its header."""
    file, header = _open(path)
    with _reading(path):
        return file.read(), header


def _open(path: Path) -> tuple[pq.ParquetFile, dict[str, Any]]:
    """Open a file of a probe and check that it is whole and of this schema."""
    if not path.exists():
        raise ProbeError(f"{path} does not exist; a probe is a folder written by `breadth run --out`")
    with _reading(path):
        file = pq.ParquetFile(path, memory_map=True, page_checksum_verification=True)
        header = json.loads((file.schema_arrow.metadata or {}).get(HEADER, b"null"))
    if not isinstance(header, dict):
        raise ProbeError(f"{path} was not written by breadth; name a folder written by `breadth run --out`")
    version = header.get("schema_version")
    if version != SCHEMA_VERSION:
        raise ProbeError(
            f"{path} has probe schema version {version}, but this breadth reads version {SCHEMA_VERSION}; "
            "run the probe again"
        )
    return file, header


def read_header(folder: Path) -> dict[str, Any]:
    """The provenance of a saved probe."""
    return _open(folder / TRIE)[1]


def read_trie(folder: Path) -> tuple[Trie, list[tuple[str, ...]], dict[int, bytes], dict[str, Any]]:
    """What `write_trie` wrote: trie, spellings of the answers, tokens' bytes, provenance."""
    nodes, header = _read(folder / TRIE)
    columns = {name: _numpy(column) for name, column in _columns(nodes)}
    trie = Trie(
        **columns,
        n_answers=header["n_answers"],
        end_tokens=np.array(header["end_tokens"], dtype=np.int32),
    )
    answers = _read(folder / ANSWERS)[0].column("spellings").to_pylist()
    tokens = _read(folder / TOKENS)[0].to_pydict()
    return (
        trie,
        [tuple(spellings) for spellings in answers],
        dict(zip(tokens["token"], tokens["bytes"], strict=True)),
        header,
    )


def _columns(table: pa.Table) -> Iterator[tuple[str, pa.Array]]:
    for name in table.column_names:
        column = table.column(name).combine_chunks()
        yield name, column.chunk(0) if isinstance(column, pa.ChunkedArray) else column


def _numpy(array: pa.Array) -> NDArray[Any]:
    return np.asarray(array.to_numpy(zero_copy_only=False))


class PrefixWriter:
    """Appends blocks of ranked distributions to a file, so that the whole is never held in memory."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / PREFIXES
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[Ranked] = []

    def __enter__(self) -> PrefixWriter:
        """Ready to append."""
        return self

    def append(self, ranked: Ranked) -> None:
        """Add a block; it is written once a row group is full."""
        self._waiting.append(ranked)
        if sum(map(len, self._waiting)) >= ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            return
        ranked = Ranked.concatenate(self._waiting)
        self._waiting = []
        table = _with_header(_to_table(ranked), {"vocab_size": ranked.vocab_size})
        if self._writer is None:
            # Sorted floats share their high bytes: split by byte they compress to about half.
            floats = [f"{name}.list.element" for name in FLOAT_MATRICES if name in table.column_names]
            self._writer = pq.ParquetWriter(
                self.path,
                table.schema,
                compression="zstd",
                compression_level=1,
                use_dictionary=False,
                use_byte_stream_split=floats,
                write_statistics=False,
                write_page_checksum=True,
            )
        self._writer.write_table(table, row_group_size=ROWS_PER_GROUP)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write what waits and the footer; after an error only let go of the file."""
        try:
            if kind is None:
                self._flush()
        finally:
            if self._writer is not None:
                self._writer.close()


def _to_table(ranked: Ranked) -> pa.Table:
    columns: dict[str, pa.Array] = {
        "node": pa.array(ranked.node, pa.int32()),
        "std_logit": pa.array(ranked.std_logit),
        "n_finite": pa.array(ranked.n_finite),
    }
    for name in MATRIX_COLUMNS:
        matrix = getattr(ranked, name)
        if not matrix.shape[1]:
            continue  # a vocabulary that fits into the head has no tail, and Arrow has no lists of size 0
        columns[name] = pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), matrix.shape[1])
    for start, names in RAGGED_COLUMNS.items():
        offsets = pa.array(getattr(ranked, start), pa.int32())
        for name in names:
            columns[name] = pa.ListArray.from_arrays(offsets, pa.array(getattr(ranked, name)))
    return pa.table(columns)


class PrefixFile:
    """The distributions of a saved probe, read a row group at a time. Iterate as often as you like."""

    def __init__(self, folder: Path, *, keep: int = 128 * 2**20) -> None:
        """Open the file; blocks stay in memory while they fit into `keep` bytes together."""
        self._path = folder / PREFIXES
        self._file, header = _open(self._path)
        lacking = REQUIRED_COLUMNS - set(self._file.schema_arrow.names)
        if lacking:
            raise ProbeError(f"{self._path} lacks the column {min(lacking)}; run the probe again")
        self.vocab_size: int = header["vocab_size"]
        self._kept: dict[int, Ranked] = {}
        self._room = keep

    def __len__(self) -> int:
        """Number of prefixes."""
        return int(self._file.metadata.num_rows)

    def __iter__(self) -> Iterator[Ranked]:
        """Blocks of at most a few hundred prefixes."""
        for index in range(self._file.num_row_groups):
            yield self._block(index)

    def _block(self, index: int) -> Ranked:
        if index in self._kept:
            # A copy without what was derived from the columns: that is larger than they are.
            return replace(self._kept[index])
        with _reading(self._path):
            ranked = _from_table(self._file.read_row_group(index), self.vocab_size)
        if ranked.nbytes <= self._room:
            self._kept[index] = replace(ranked)
            self._room -= ranked.nbytes
        return ranked


def _from_table(table: pa.Table, vocab_size: int) -> Ranked:
    columns: dict[str, Any] = {
        name: np.empty((len(table), 0), dtype=np.float32) for name in ("tail_logit", "tail_correction")
    }
    start_of = {name: start for start, names in RAGGED_COLUMNS.items() for name in names}
    for name, column in _columns(table):
        if name in MATRIX_COLUMNS:
            size = column.type.list_size
            columns[name] = _numpy(column.flatten()).reshape(len(column), size)
        elif name in start_of:
            offsets = _numpy(column.offsets).astype(np.int64)
            columns[start_of[name]] = offsets - offsets[0]
            columns[name] = _numpy(column.flatten())
        else:
            columns[name] = _numpy(column)
    columns["node"] = columns["node"].astype(np.int64)
    return Ranked(vocab_size=vocab_size, **columns)
