"""Archives of one member: zip, tar and tgz around the text of a part. The same text makes the same bytes: no clock, no
owner, no order.

The member is kept beside the part until it ends, because an archive says its size before its bytes. What the text is
belongs to lines.py, its name to spec/template.py.
"""

from __future__ import annotations

import struct
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

BLOCK = 1 << 16
"""Bytes that are read at once; deflated, at most a thousand times as many."""
OVERHEAD = 1 << 14
"""Bytes that an archive may have more than its member: headers, and the last record of a tar."""
_LIMIT = 0xFFFFFFFF
_FIRST_DAY = 0x21
"""1980-01-01 as a zip spells it: the earliest that it can."""
_FILE, _UTF8, _DEFLATED, _UNIX = 0o100644, 0x800, 8, 3


class Member:
    """The text of one part: deflated on its way into a file, or as it is where it is to be in a plain tar."""

    def __init__(self, file: Any, archive: str) -> None:
        from isal import isal_zlib

        self._file, self._crc32 = file, isal_zlib.crc32
        self._pack = None if archive == "tar" else isal_zlib.compressobj(1, isal_zlib.DEFLATED, -15)
        self.size, self.crc = 0, 0

    def write(self, data: Any) -> None:
        """Append bytes."""
        self.size, self.crc = self.size + len(data), self._crc32(data, self.crc)
        self._file.write(self._pack.compress(data) if self._pack else data)

    def close(self) -> None:
        """Flush into the file, which stays open."""
        if self._pack:
            self._file.write(self._pack.flush())


def pack(archive: str, path: Path, name: str, member: Member, target: Any) -> None:
    """Write the archive of the member that lies at `path` into `target`."""
    _ARCHIVES[archive](path, name, member, target)


def _zip(path: Path, name: str, member: Member, target: Any) -> None:
    """One deflated file; sizes of 4 GiB and more in the fields of Zip64, which nothing smaller has."""
    packed, named = path.stat().st_size, name.encode()
    wide = max(packed, member.size) >= _LIMIT
    sizes = (_LIMIT, _LIMIT) if wide else (packed, member.size)
    extra = struct.pack("<HHQQ", 1, 16, member.size, packed) if wide else b""
    flags = 0 if name.isascii() else _UTF8
    version = 45 if wide else 20
    common = struct.pack(
        "<HHHHHLLLHH", version, flags, _DEFLATED, 0, _FIRST_DAY, member.crc, *sizes, len(named), len(extra)
    )
    target.write(b"PK\3\4" + common + named + extra)
    for block in _blocks(path):
        target.write(block)
    entry = b"PK\1\2" + bytes((version, _UNIX)) + common + struct.pack("<HHHLL", 0, 0, 0, _FILE << 16, 0)
    at, entry = 30 + len(named) + len(extra) + packed, entry + named + extra
    target.write(entry + _end_of_zip(at, len(entry)))


def _end_of_zip(at: int, size: int) -> bytes:
    """The end of the directory, which begins `at` that byte; in Zip64 too where that is beyond 4 GiB."""
    far = at >= _LIMIT
    wide = struct.pack("<4sQHHLLQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, size, at) if far else b""
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, at + size, 1) if far else b""
    return wide + locator + struct.pack("<4sHHHHLLH", b"PK\5\6", 0, 0, 1, 1, size, _LIMIT if far else at, 0)


def _tar(path: Path, name: str, member: Member, target: Any) -> None:
    with path.open("rb") as file:
        _tarred(cast("IO[bytes]", file), name, member, target)


def _tgz(path: Path, name: str, member: Member, target: Any) -> None:
    with closing(gzipped(target)) as stream:
        _tarred(cast("IO[bytes]", _Inflated(path)), name, member, stream)


def _tarred(text: IO[bytes], name: str, member: Member, target: Any) -> None:
    found = tarfile.TarInfo(name)
    found.size, found.mode, found.mtime = member.size, 0o644, 0
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(found, text)


class _Inflated:
    """The text of a deflated member, to be read once."""

    def __init__(self, path: Path) -> None:
        self._blocks, self._left = self._inflated(path), b""

    @staticmethod
    def _inflated(path: Path) -> Iterator[bytes]:
        from isal import isal_zlib

        inflate = isal_zlib.decompressobj(-15)
        for block in _blocks(path):
            yield inflate.decompress(block)
        yield inflate.flush()

    def read(self, size: int) -> bytes:
        """So many bytes, or what is left."""
        while len(self._left) < size and (block := next(self._blocks, None)) is not None:
            self._left += block
        found, self._left = self._left[:size], self._left[size:]
        return found


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


def gzipped(file: Any, level: int = 1) -> BinaryIO:
    """A gzip stream into a file, without a name or a time. All levels of isal are as small as zlib's 4, and fast."""
    import gzip

    from isal import igzip

    stream: object = (
        igzip.IGzipFile(filename="", mode="wb", fileobj=file, compresslevel=level, mtime=0)  # type: ignore[no-untyped-call]
        if level == 1
        else gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=level, mtime=0)
    )
    return cast("BinaryIO", stream)


_ARCHIVES: dict[str, Callable[[Path, str, Member, Any], None]] = {"zip": _zip, "tar": _tar, "tgz": _tgz}
