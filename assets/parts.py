"""Parts: the files of one delivery, written once, compressed, split by size or rows, hashed while they are written,
and fsynced.

What a line looks like is in lines.py; names at the destination are given when the window is sealed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path
from shutil import copyfileobj
from typing import Any, BinaryIO, Protocol, cast

import pyarrow as pa

from assets.archives import OVERHEAD, Member, gzipped, pack
from assets.encodings import encoded
from assets.excel import ExcelSink
from resources.failpoint import reach
from spec.formats import ARCHIVES, Csv, Excel, Format, Json, Ndjson, Parquet, Psv, Tsv

SLICE = 1 << 20
"""Bytes of text that are compressed at once; a part ends on such a border, before it would exceed its size."""


LAG = 256 << 10
"""More bytes than a compressor keeps back (measured: 130 KB)."""
GROUP = 4 << 20
"""Bytes of Arrow's in a row group of Parquet."""
FOOTER = 512
"""More bytes than the footer has for a column of a row group."""
SHARES = 16
"""A part of a given size is made of so many slices at least."""


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
    overhead = 0
    """The most bytes that the file will have more than `count`."""

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

    @property
    def held(self) -> int:
        """The most bytes that the rows written so far may still add to the file."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Append the rows of a batch."""

    def close(self) -> None:
        """Flush everything into the file."""


def compressed(file: Hashing, compression: str, level: int | None = None) -> BinaryIO:
    """The stream that text is written to."""
    if compression == "gzip":
        return gzipped(file, level or 1)
    if compression == "zstd":
        return cast("BinaryIO", pa.CompressedOutputStream(pa.PythonFile(file, mode="w"), "zstd"))
    return cast("BinaryIO", file)


@dataclass(frozen=True)
class Frame:
    """What every part of a delivery has in common: its format, the schema of batches, and what stands around rows."""

    form: Format
    schema: pa.Schema
    header: bytes = b""
    footer: bytes = b""
    names: tuple[str, ...] = ()
    member: Callable[[int], str] = str
    """The name inside an archive, by the part's number."""
    open: Callable[[Path], Hashing] = Hashing
    """Makes the file of a part."""


class TextSink:
    """Lines: the value buffer of Arrow's string column is the text of the file."""

    def __init__(self, stream: BinaryIO, frame: Frame, form: Csv | Psv | Tsv | Ndjson | Json) -> None:
        self._stream = stream
        self._frame, self._form, self._rows = frame, form, 0
        self._coded = form if isinstance(form, Csv | Psv | Tsv) and form.encoding != "utf-8" else None
        self._stream.write(frame.header)
        self.held = len(frame.footer) + (0 if form.compression == "none" else LAG)

    def write(self, batch: pa.RecordBatch) -> None:
        """Append the lines of the batch's only column."""
        text: memoryview | bytes = text_of(batch)
        if self._coded:
            text = encoded(memoryview(text), batch, self._coded, self._frame.names, self._rows)
        if isinstance(self._form, Json) and not self._rows:
            text = text[1:]  # no comma before the first object
        self._stream.write(text)
        self._rows += batch.num_rows

    def close(self) -> None:
        """Close the stream; a Hashing stays open, for its fsync still has to come."""
        self._stream.write(self._frame.footer)
        self._stream.close()


class ParquetSink:
    """Row groups of Parquet: each costs memory until the file is closed, so they are large, but for parts of a size."""

    def __init__(self, file: Hashing, form: Parquet, schema: pa.Schema) -> None:
        import pyarrow.parquet as pq

        self._sink = pa.PythonFile(file, mode="w")
        self._writer = pq.ParquetWriter(self._sink, schema, compression=form.compression)
        self._schema, self._gathered, self._groups = schema, list[pa.RecordBatch](), 1
        self._wanted = min(GROUP, (form.part_bytes or GROUP * SHARES) // SHARES)

    @property
    def held(self) -> int:
        """The row group that is being gathered, as if nothing could be compressed, and the footer."""
        return self._size + FOOTER * len(self._schema) * (self._groups + 1)

    @property
    def _size(self) -> int:
        return sum(each.nbytes for each in self._gathered)

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch to the row group that is being gathered."""
        self._gathered.append(batch)
        if self._size >= self._wanted:
            self._flush()

    def _flush(self) -> None:
        self._writer.write_table(pa.Table.from_batches(self._gathered, self._schema))
        self._gathered, self._groups = [], self._groups + 1

    def close(self) -> None:
        """Write the last row group and the footer."""
        if self._gathered:
            self._flush()
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


def write_parts(batches: Iterator[pa.RecordBatch], frame: Frame, folder: Path) -> list[Part]:
    """Write batches as one or more parts named 1, 2, ... in `folder`. There is always at least one."""
    return list(_Parts(frame, folder).run(batches))


class _Parts:
    def __init__(self, frame: Frame, folder: Path) -> None:
        self._frame, self._form, self._folder = frame, frame.form, folder
        self._number, self._rows = 0, 0

    def run(self, batches: Iterator[pa.RecordBatch]) -> Iterator[Part]:
        sink, file = self._next()
        for batch in batches:
            for piece in self._pieces(batch):
                if self._rows and self._full(file, sink, piece):
                    yield self._finish(sink, file)
                    sink, file = self._next()
                sink.write(piece)
                self._rows += piece.num_rows
        yield self._finish(sink, file)

    def _next(self) -> tuple[Sink, Hashing]:
        self._number, self._rows = self._number + 1, 0
        archived = self._form.compression in ARCHIVES
        file = Hashing(self._folder / f"{self._number}.member") if archived else self._opened()
        reach("part.opened")
        if isinstance(self._form, Excel):
            return ExcelSink(self._folder / f"{self._number}.xlsx", self._frame.names, header=self._form.header), file
        if isinstance(self._form, Parquet):
            return ParquetSink(file, self._form, self._frame.schema), file
        return TextSink(self._stream(file), self._frame, self._form), file

    def _opened(self) -> Hashing:
        return self._frame.open(self._folder / str(self._number))

    def _stream(self, file: Hashing) -> BinaryIO:
        if self._form.compression not in ARCHIVES:
            return compressed(file, self._form.compression, getattr(self._form, "compression_level", None))
        self._member = Member(file, self._form.compression)
        return cast("BinaryIO", self._member)

    def _full(self, file: Hashing, sink: Sink, piece: pa.RecordBatch) -> bool:
        """Whether the piece might take the part over its size, if nothing of it could be compressed."""
        if self._rows == self._form.part_rows:
            return True
        limit = self._form.part_bytes
        if limit is not None and self._form.compression in ARCHIVES:
            limit -= OVERHEAD
        return limit is not None and file.count + file.overhead + sink.held + piece.nbytes > limit

    def _pieces(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """Slices of about SLICE bytes, none of which goes past the last row of a part."""
        most = min(SLICE, (self._form.part_bytes or SLICE * SHARES) // SHARES)
        wanted, start = max(1, batch.num_rows * most // max(batch.nbytes, 1)), 0
        while start < batch.num_rows:
            limit = self._form.part_rows
            rows = min(wanted, limit - self._rows % limit) if limit else wanted
            yield batch.slice(start, rows)
            start += rows

    def _finish(self, sink: Sink, file: Hashing) -> Part:
        sink.close()
        if self._form.compression in ARCHIVES:
            file = self._packed(file)
        elif isinstance(self._form, Excel):
            self._copy(file)
        reach("part.written")
        return file.finish(self._rows)

    def _copy(self, file: Hashing) -> None:
        book = self._folder / f"{self._number}.xlsx"
        with book.open("rb") as made:
            copyfileobj(made, file, SLICE)
        book.unlink()

    def _packed(self, member: Hashing) -> Hashing:
        """The archive instead of its member."""
        member.abandon()
        file = self._opened()
        pack(self._form.compression, member.path, self._frame.member(self._number), self._member, file)
        member.path.unlink()
        return file
