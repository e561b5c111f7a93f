"""The spool: the folder where extracts are kept while they are read, and sealed parts until they are no longer needed.

Every worker writes into a folder of its own (generation and fence are in its name), so a late worker cannot touch what
another one sealed. Paths in the ledger are relative to the spool.
"""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from resources.failpoint import reach
from resources.files import fsync_folder, sha256_of
from resources.owner import is_dead, me
from spec.errors import SpoolLost
from spec.template import slug

if TYPE_CHECKING:
    from collections.abc import Iterator

    from resources.ledger import Artifact, Lease, Window


class Spool:
    """A local folder, private to its user."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True, mode=0o700)

    def workshop(self, lease: Lease) -> Path:
        """A new, empty folder for the parts of one attempt."""
        folder = self.root / "sealed" / lease.export / slug(lease.partition) / f"g{lease.generation}-f{lease.fence}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, mode=0o700)
        reach("spool.workshop")
        return folder

    def seal(self, folder: Path) -> None:
        """Make the names of a finished workshop durable, up to the spool itself."""
        while folder != self.root:
            fsync_folder(folder)
            reach("spool.synced")
            folder = folder.parent

    def tidy(self, lease: Lease) -> None:
        """Remove the unsealed workshops that earlier attempts of this generation left behind."""
        folder = self.root / "sealed" / lease.export / slug(lease.partition)
        for old in folder.glob(f"g{lease.generation}-f*"):
            if old.name != f"g{lease.generation}-f{lease.fence}":
                shutil.rmtree(old, ignore_errors=True)
                reach("spool.tidied")

    def forget(self, window: Window, *, really: bool = True) -> int:
        """Remove what one generation of a window sealed; the bytes that it had. Nothing happens when it is gone."""
        folder, size = self.root / "sealed" / window.export / slug(window.partition), 0
        for sealed in sorted(folder.glob(f"g{window.generation}-f*")):
            size += sum(path.stat().st_size for path in sealed.rglob("*") if path.is_file())
            if really:
                shutil.rmtree(sealed)
        if really and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        return size

    def relative(self, path: Path) -> str:
        """A path as the ledger keeps it."""
        return path.relative_to(self.root).as_posix()

    def sealed(self, artifact: Artifact) -> Path:
        """The file of a sealed artifact, after its bytes were compared with the ledger. Raises SpoolLost."""
        path = self.root / artifact.path
        if not path.is_file() or path.stat().st_size != artifact.bytes or sha256_of(path) != artifact.sha256:
            raise SpoolLost(f"the sealed part {artifact.path!r} is missing from the spool or altered")
        return path

    @contextmanager
    def reading(self) -> Iterator[Path]:
        """A folder for extracts, gone when the reading is over; those that dead processes left are removed."""
        base = self.root / "reading"
        base.mkdir(exist_ok=True, mode=0o700)
        for old in base.iterdir():
            if is_dead(old.name):
                shutil.rmtree(old, ignore_errors=True)
        folder = base / me()
        folder.mkdir(mode=0o700)
        reach("spool.reading")
        try:
            yield folder
        finally:
            reach("spool.read")
            shutil.rmtree(folder, ignore_errors=True)

    def free_bytes(self) -> int:
        """What is left on the spool's disk."""
        status = os.statvfs(self.root)
        return status.f_bavail * status.f_frsize
