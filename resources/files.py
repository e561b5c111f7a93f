"""Durable files on this machine: what a rename and an fsync owe each other. Used by the spool, the mirror and the
local store.
"""

from __future__ import annotations

import os
from pathlib import Path

from resources.failpoint import reach


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder durable. An error is fatal: an fsync is never tried again."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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
