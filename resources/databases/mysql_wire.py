"""Rows of the MySQL text protocol as Arrow, a column at a time: no value of a row ever becomes an object of Python.

The driver (PyMySQL) logs in, encrypts and sends; from the first row on its socket is read here. A row is a run of
length-prefixed texts: where each column's texts begin is computed for all rows of a chunk at once, and Arrow takes them
out of the bytes as they came. What the texts mean is in mysql_types.py.
"""

# ruff: noqa: SLF001  (the driver has no public door to the bytes)

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

Numbers: TypeAlias = Any
"""A numpy array; numpy itself is imported on first use."""

CHUNK_BYTES = 2 << 20
RECEIVE_BYTES = 1 << 18
DRAIN_BYTES = 64 << 20
HEADER_BYTES, LONGEST = 4, 0xFFFFFF
NULL, END, ERROR = 0xFB, 0xFE, 0xFF
END_BYTES = 9
"""A packet that begins with END is the end only when it is shorter than this: else that byte announces a length."""
WIDTHS = {0xFC: 2, 0xFD: 3, 0xFE: 8}
"""By the first byte of a text, how many bytes of length follow; a byte below NULL is the length itself."""
COM_QUERY = 3
LOST = 2013
_FOUR_BYTES = struct.Struct("<I").unpack_from


class Rows:
    """The rows of one statement, on their way. `fields` are the driver's descriptions of the columns."""

    def __init__(self, connection: Any, statement: str) -> None:
        """Send the statement and receive the columns' descriptions. Raises the driver's errors."""
        from pymysql import err
        from pymysql.protocol import FieldDescriptorPacket

        connection._execute_command(COM_QUERY, statement.encode())
        count = connection._read_packet().read_length_encoded_integer()
        if not count:  # the answer to a statement without rows, or a request for a file of ours
            raise err.InternalError(0, "the server did not answer with rows")
        self.fields = [connection._read_packet(FieldDescriptorPacket) for _ in range(count)]
        connection._read_packet()
        self._connection = connection
        self._rest = bytearray()
        self._ended = False

    def texts(self) -> Iterator[list[pa.BinaryArray]]:
        """The columns of some 2 MiB of rows after the other, as bytes; once.

        What is left when the reader goes early is received and dropped, so that the connection can be asked again; if
        that is much, the connection is dropped instead. Raises the driver's errors, also those sent amid the rows.
        """
        try:
            while not self._ended:
                buffer, starts, ends = self._chunk()
                if starts:
                    yield columns(buffer, starts, ends, len(self.fields))
        finally:
            self._drain()

    def _chunk(self) -> tuple[bytearray, list[int], list[int]]:
        """Bytes, and where in them whole rows begin and end."""
        buffer, at = self._rest, 0
        starts: list[int] = []
        ends: list[int] = []
        while not self._ended and at < CHUNK_BYTES:
            at = self._scan(buffer, at, starts, ends)
            if not self._ended and at < CHUNK_BYTES:
                buffer += self._received()
        self._rest = buffer[at:]
        return buffer, starts, ends

    def _scan(self, buffer: bytearray, at: int, starts: list[int], ends: list[int]) -> int:
        """Note the whole rows from `at` on; the place behind the last of them, or behind the end of all rows."""
        size = len(buffer)
        while at + HEADER_BYTES < size:
            begin = at + HEADER_BYTES
            length = _length_at(buffer, at)
            end = begin + length
            if end > size:
                break
            if length == LONGEST:
                end = _joined(buffer, begin)
                size = len(buffer)
                if not end:
                    break
            elif buffer[begin] >= END and (buffer[begin] == ERROR or length < END_BYTES):
                self._end(buffer[begin:end])
                return end
            starts.append(begin)
            ends.append(end)
            at = end
        return at

    def _end(self, packet: bytearray) -> None:
        from pymysql import err

        self._ended = True
        if packet[0] == ERROR:
            err.raise_mysql_exception(bytes(packet))

    def _received(self) -> bytes:
        from pymysql import err

        try:
            found: bytes = self._connection._rfile.read1(RECEIVE_BYTES)
        except OSError as error:
            self._drop()
            raise err.OperationalError(LOST, f"Lost connection to the server amid the rows ({error})") from None
        if not found:
            self._drop()
            raise err.OperationalError(LOST, "Lost connection to the server amid the rows")
        return found

    def _drain(self) -> None:
        from pymysql import err

        self._ended = self._ended or not self._connection.open
        with suppress(err.MySQLError):
            received = 0
            while not self._ended and received < DRAIN_BYTES:
                buffer, _, _ = self._chunk()
                received += len(buffer)
            if not self._ended:
                self._drop()

    def _drop(self) -> None:
        self._ended = True
        self._connection._force_close()


def _length_at(buffer: bytearray, at: int) -> int:
    length: int = _FOUR_BYTES(buffer, at)[0] & LONGEST
    return length


def _joined(buffer: bytearray, begin: int) -> int:
    """Take the headers out of a row that came in several packets; its end, or 0 while it is not all there."""
    headers, at, length = [], begin - HEADER_BYTES, LONGEST
    while length == LONGEST:
        if at + HEADER_BYTES > len(buffer):
            return 0
        length = _length_at(buffer, at)
        headers.append(at)
        at += HEADER_BYTES + length
    if at > len(buffer):
        return 0
    for header in reversed(headers[1:]):
        del buffer[header : header + HEADER_BYTES]
    return at - HEADER_BYTES * (len(headers) - 1)


def columns(buffer: bytearray, starts: list[int], ends: list[int], count: int) -> list[pa.BinaryArray]:
    """The `count` columns of the rows that begin and end there. Raises InternalError where the two do not agree."""
    import numpy as np
    from pymysql import err

    data, at = np.frombuffer(buffer, np.uint8), np.array(starts, np.int64)
    every = np.arange(0, 2 * len(starts), 2, dtype=np.int32)
    places = []
    try:
        for _ in range(count):
            begin, at, null = _texts(data, at)
            places.append((begin, at, null))
    except IndexError:
        places = []
    if not places or not np.array_equal(at, ends):
        raise err.InternalError(0, "a row does not end where its last column does")
    return [_taken(buffer, begin, end, every, null) for begin, end, null in places]


def _texts(data: Numbers, at: Numbers) -> tuple[Numbers, Numbers, Numbers | None]:
    """Where the texts that are announced at `at` begin and end, and which of them are NULL (None: not one)."""
    first = data[at]
    begin, length, null = at + 1, first.astype("int64"), None
    if first.max() >= NULL:
        null = first == NULL
        length[null] = 0
        for mark, width in WIDTHS.items():
            rows = (first == mark).nonzero()[0]
            length[rows] = sum(data[begin[rows] + place].astype("int64") << 8 * place for place in range(width))
            begin[rows] += width
    return begin, begin + length, null


def _taken(buffer: bytearray, begin: Numbers, end: Numbers, every: Numbers, null: Numbers | None) -> pa.BinaryArray:
    """The bytes between each begin and end: one array of these and of what lies between them, and every other of it."""
    import numpy as np

    offsets = np.empty(2 * len(begin), np.int32)
    offsets[0::2], offsets[1::2] = begin, end
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(buffer)]
    alternating = pa.Array.from_buffers(pa.binary(), len(offsets) - 1, buffers)
    return pc.take(alternating, pa.array(every, mask=null), boundscheck=False)
