"""Durable files on this machine: what a rename and an fsync owe each other. Used by the spool, the mirror and the
local store.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
from functools import cache
from pathlib import Path
from typing import Any

from resources.failpoint import reach


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder durable. An error is fatal: an fsync is never tried again."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


NO_REPLACE = 1
HERE = -100
UNKNOWN = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP}
"""What a kernel or file system says that has no such rename."""


def rename_new(source: Path, target: Path) -> None:
    """Give a file another name in one step, unless that name is taken: FileExistsError.

    Where the system has no such rename (NFS, macOS) the file has both names for a moment.
    """
    if _renamed(source, target):
        return
    os.link(source, target)
    reach("files.linked")
    source.unlink(missing_ok=True)


def _renamed(source: Path, target: Path) -> bool:
    rename = _renameat2()
    if rename is None:
        return False
    if rename(HERE, os.fsencode(source), HERE, os.fsencode(target), NO_REPLACE) == 0:
        return True
    number = ctypes.get_errno()
    if number in UNKNOWN:
        return False
    raise OSError(number, os.strerror(number), str(source), None, str(target))


@cache
def _renameat2() -> Any:
    return getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)


def write_durably(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace a file's content in one step: temporary file, fsync, rename, fsync of the folder."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        _write_all(handle, data)
        reach("durable.written")
        os.fsync(handle)
    finally:
        os.close(handle)
    reach("durable.synced")
    temporary.replace(path)
    reach("durable.renamed")
    fsync_folder(path.parent)


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def sha256_of(path: Path) -> str:
    """The hash of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
