"""The pieces of one multipart upload: how many, their checksums, sent by several threads, and the token of it all.

Which requests are made before and after is in s3.py.
"""

from __future__ import annotations

import hashlib
import json
import os
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from isal import isal_zlib

from resources.failpoint import reach

MOST_PARTS = 10_000
"""S3's limit of parts in one upload (Amazon S3 User Guide, "Multipart upload limits")."""
BLOCK = 1 << 20
STEP = 1 << 20

Checksum = Literal["crc32", "md5"]


@dataclass(frozen=True)
class Upload:
    """A staged object: all that completing it takes. `parts` has ETag and CRC32 (base64, or "") of each."""

    key: str
    upload: str
    fence: str
    sha256: str
    parts: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, token: str) -> Upload:
        """Read a token."""
        found = json.loads(token)
        return cls(**found | {"parts": tuple((etag, crc) for etag, crc in found["parts"])})

    @property
    def token(self) -> str:
        """As text, for the ledger."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @property
    def request(self) -> dict[str, Any]:
        """The list of parts that completes it."""
        return {
            "Parts": [
                {"PartNumber": number, "ETag": f'"{etag}"'} | ({"ChecksumCRC32": crc} if crc else {})
                for number, (etag, crc) in enumerate(self.parts, 1)
            ]
        }


@dataclass
class Piece:
    """Bytes `start` to `start + size` of an open file, as the file that a client sends; part `number` of an upload."""

    handle: int
    number: int
    start: int
    size: int
    at: int = 0

    def read(self, count: int = -1) -> bytes:
        """The next bytes: a whole block where less is asked, as the client asks for 16 KiB at a time."""
        left = self.size - self.at
        data = os.pread(self.handle, left if count < 0 else min(max(count, BLOCK), left), self.start + self.at)
        self.at += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place, as a client does to measure it and to send it again."""
        self.at = offset + (0, self.at, self.size)[whence]
        return self.at

    def tell(self) -> int:
        """The place."""
        return self.at

    def blocks(self) -> Iterator[bytes]:
        """All of it, from the beginning, and back to the beginning."""
        self.seek(0)
        while data := self.read(BLOCK):
            yield data
        self.seek(0)


def pieces(handle: int, size: int, part_size: int) -> list[Piece]:
    """Parts of equal size, larger where 10,000 of `part_size` do not reach; one, empty, of an empty file."""
    least = -(-size // MOST_PARTS)
    each = max(part_size, -(-least // STEP) * STEP)
    return [Piece(handle, number, start, min(each, size - start)) for number, start in _starts(size, each)]


def _starts(size: int, each: int) -> Iterator[tuple[int, int]]:
    return enumerate(range(0, max(size, 1), each), 1)


def send(
    put: Callable[..., dict[str, Any]], source: Path, part_size: int, threads: int, checksum: Checksum
) -> tuple[tuple[str, str], ...]:
    """Upload all parts; ETag and CRC32 of each, in order. `put(PartNumber=, Body=, ...)` uploads one."""

    def one(piece: Piece) -> tuple[str, str]:
        reach("s3.stage.part_begins")
        checks = CHECKS[checksum](piece)
        answer = put(PartNumber=piece.number, Body=piece, ContentLength=piece.size, **checks)
        reach("s3.stage.part_sent")
        return answer["ETag"].strip('"'), checks.get("ChecksumCRC32", "")

    with source.open("rb") as file:
        found = pieces(file.fileno(), os.fstat(file.fileno()).st_size, part_size)
        if len(found) == 1:
            return (one(found[0]),)
        with ThreadPoolExecutor(min(threads, len(found)), "s3") as pool:
            return tuple(pool.map(one, found))


def _crc32(piece: Piece) -> dict[str, str]:
    value = 0
    for data in piece.blocks():
        value = isal_zlib.crc32(data, value)
    return {"ChecksumCRC32": b64encode(value.to_bytes(4, "big")).decode()}


def _md5(piece: Piece) -> dict[str, str]:
    hashed = hashlib.md5(usedforsecurity=False)
    for data in piece.blocks():
        hashed.update(data)
    return {"ContentMD5": b64encode(hashed.digest()).decode()}


CHECKS: dict[Checksum, Callable[[Piece], dict[str, str]]] = {"crc32": _crc32, "md5": _md5}
"""The headers by which a server refuses damaged bytes."""
