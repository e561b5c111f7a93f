"""Parts: the files of one delivery, written once, compressed, split by size, hashed while they are written, and
fsynced.

What a line looks like is in lines.py; names at the destination are given when the window is sealed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

import pyarrow as pa

from resources.failpoint import reach
from spec.delivery import Format, Parquet

SLICE = 1 << 20
"""Bytes of text that are compressed at once; a part ends on such a border, before it would exceed its size."""


@dataclass(frozen=True)
class Part:
    """One finished file."""

    path: Path
    rows: int
    bytes: int
    sha256: str


class Hashing(RawIOBase):
    """A file that hashes and counts what is written, and is fsynced when it is closed."""

    _file = -1

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        self._hash = hashlib.sha256()
        self.path, self.count = path, 0

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: Any) -> int:
        """Write all of it."""
        view = memoryview(data).cast("B")
        self._hash.update(view)
        rest = view
        while rest:
            rest = rest[os.write(self._file, rest) :]
        self.count += len(view)
        return len(view)

    def finish(self, rows: int) -> Part:
        """Fsync, close, and tell what was written."""
        os.fsync(self._file)
        self.abandon()
        reach("part.synced")
        return Part(self.path, rows, self.count, self._hash.hexdigest())

    def abandon(self) -> None:
        """Close the file as it is; closing twice is allowed."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def close(self) -> None:
        """Nothing: compressors close what they write to, and the fsync still has to come."""

    def __del__(self) -> None:
        """Do not leak the handle when writing failed."""
        self.abandon()


class Sink(Protocol):
    """What writes one part: text through a compressor, or Parquet."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Append the rows of a batch."""

    def close(self) -> None:
        """Flush everything into the file."""


def compressed(file: Hashing, compression: str) -> BinaryIO:
    """The stream that text is written to."""
    if compression == "gzip":
        from isal import igzip

        stream: object = igzip.IGzipFile(  # type: ignore[no-untyped-call]
            filename="", mode="wb", fileobj=file, compresslevel=1, mtime=0
        )
        return cast("BinaryIO", stream)
    if compression == "zstd":
        return cast("BinaryIO", pa.CompressedOutputStream(pa.PythonFile(file, mode="w"), "zstd"))
    return cast("BinaryIO", file)


class TextSink:
    """Lines: the value buffer of Arrow's string column is the text of the file."""

    def __init__(self, file: Hashing, compression: str, header: bytes) -> None:
        self._file, self._stream = file, compressed(file, compression)
        self._stream.write(header)

    def write(self, batch: pa.RecordBatch) -> None:
        """Append the lines of the batch's only column."""
        self._stream.write(text_of(batch))

    def close(self) -> None:
        """Close the compressor, not the file."""
        if self._stream is not cast("BinaryIO", self._file):
            self._stream.close()


class ParquetSink:
    """Row groups of Parquet."""

    def __init__(self, file: Hashing, form: Parquet, schema: pa.Schema) -> None:
        import pyarrow.parquet as pq

        self._sink = pa.PythonFile(file, mode="w")
        self._writer = pq.ParquetWriter(self._sink, schema, compression=form.compression)

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch as a row group."""
        self._writer.write_batch(batch)

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()


def text_of(batch: pa.RecordBatch) -> memoryview:
    """The bytes of a batch of lines, without a copy."""
    column = batch.column(0)
    wide = pa.types.is_large_string(column.type)
    _, offsets, values = column.buffers()
    if values is None or not len(column):
        return memoryview(b"")
    edges = memoryview(offsets).cast("q" if wide else "i")
    return memoryview(values)[edges[column.offset] : edges[column.offset + len(column)]]


def write_parts(
    batches: Iterator[pa.RecordBatch], form: Format, header: bytes, schema: pa.Schema, folder: Path
) -> list[Part]:
    """Write batches as one or more parts named 1, 2, ... in `folder`. There is always at least one."""
    return list(_Parts(form, header, schema, folder).run(batches))


class _Parts:
    def __init__(self, form: Format, header: bytes, schema: pa.Schema, folder: Path) -> None:
        self._form, self._header, self._schema, self._folder = form, header, schema, folder
        self._number, self._rows, self._ratio = 0, 0, 1.0

    def run(self, batches: Iterator[pa.RecordBatch]) -> Iterator[Part]:
        sink, file = self._next()
        for batch in batches:
            for piece in _slices(batch):
                if self._rows and self._full(file, piece):
                    yield self._finish(sink, file)
                    sink, file = self._next()
                before = file.count
                sink.write(piece)
                self._rows += piece.num_rows
                self._ratio = max(0.02, (file.count - before) / piece.nbytes) if piece.nbytes else self._ratio
        yield self._finish(sink, file)

    def _next(self) -> tuple[Sink, Hashing]:
        self._number, self._rows = self._number + 1, 0
        file = Hashing(self._folder / str(self._number))
        reach("part.opened")
        if isinstance(self._form, Parquet):
            return ParquetSink(file, self._form, self._schema), file
        return TextSink(file, self._form.compression, self._header), file

    def _full(self, file: Hashing, piece: pa.RecordBatch) -> bool:
        limit = self._form.part_bytes
        return limit is not None and file.count + piece.nbytes * self._ratio * 1.1 > limit

    def _finish(self, sink: Sink, file: Hashing) -> Part:
        sink.close()
        reach("part.written")
        return file.finish(self._rows)


def _slices(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    rows = max(1, batch.num_rows * SLICE // max(batch.nbytes, 1))
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)
