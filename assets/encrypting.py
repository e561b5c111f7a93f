"""Encrypting: the file of a part whose bytes pass through OpenPGP on their way to the disk, where nothing else is.

What the bytes are is the business of parts.py; whose keys they are encrypted for, of resources/pgp.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, cast

from assets.parts import Hashing, Part
from resources import pgp_process
from resources.failpoint import reach
from resources.files import sha256_of
from resources.pgp import Recipient
from spec.errors import OutgateError

OVERHEAD = 64 << 10


class Encrypting(Hashing):
    """A file that a process of its own encrypts; `count` is of the bytes before, size and hash are of those after."""

    _process: subprocess.Popen[bytes]

    @property
    def overhead(self) -> int:  # type: ignore[override]
        """A session key for each recipient, the lengths of packets, and a tag for each of their pieces."""
        return OVERHEAD + self.count // 500

    def __init__(self, path: Path, recipients: Sequence[Recipient]) -> None:
        for each in recipients:
            each.refuse_expired(datetime.now(UTC))
        super().__init__(path)
        command = [sys.executable, "-P", pgp_process.__file__, str(path)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, bufsize=0
        )
        self._pipe = cast("IO[bytes]", self._process.stdin).fileno()
        keys = b"".join(each.key for each in recipients)
        self._send(memoryview(len(keys).to_bytes(pgp_process.LENGTH) + keys))

    def write(self, data: Any) -> int:
        """Hand all of it to the process."""
        view = memoryview(data).cast("B")
        self._send(view)
        self.count += len(view)
        return len(view)

    def _send(self, view: memoryview) -> None:
        try:
            while view:
                view = view[os.write(self._pipe, view) :]
        except BrokenPipeError:
            self._wait()
            raise OutgateError(_message("it ended before the data did")) from None

    def _wait(self) -> None:
        """The end of the process, which has to be a good one."""
        _, said = self._process.communicate()
        if code := self._process.returncode:
            raise OutgateError(_message(said.decode(errors="replace").strip() or f"it ended with {code}"))

    def finish(self, rows: int) -> Part:
        """Let the process end, fsync what it wrote, and tell what that is."""
        self._wait()
        os.fsync(self._file)
        self.abandon()
        reach("part.synced")
        return Part(self.path, rows, self.path.stat().st_size, sha256_of(self.path))

    def abandon(self) -> None:
        """Close the file as it is; a process that has not ended is ended."""
        super().abandon()
        if "_process" in vars(self) and self._process.returncode is None:
            self._process.kill()
            self._process.communicate()


def _message(why: str) -> str:
    return f"a part could not be encrypted: {why}; nothing was delivered, run it again"
