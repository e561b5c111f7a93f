"""A place of a store under test, and the partner who looks at it; and the place that is a folder of this machine.

Those of other stores are in files beside this one; which there are is said in shelves.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import pytest

from resources.stores.base import Store
from resources.stores.local import Local


class Shelf(Protocol):
    """A store in an empty place of its own, and the partner who looks at that place."""

    def store(self) -> Store:
        """A new store of the same declaration: what another worker has."""

    def names(self) -> list[str]:
        """What the partner's listing shows, below the place and sorted; names that begin with a dot are not shown."""

    def get(self, name: str) -> bytes:
        """What the partner reads."""

    def put(self, name: str, data: bytes) -> None:
        """The partner, or anybody, writes a file."""

    def take(self, name: str) -> None:
        """The partner takes a file away."""

    def hidden(self) -> list[str]:
        """What is staged or hidden there by now, as far as the server can tell; in any form."""


Shelves = Callable[[pytest.FixtureRequest, Path], AbstractContextManager[Shelf]]


class Folder:
    """A folder of this machine, also where the store reaches it by way of a server."""

    def __init__(self, path: Path, make: Callable[[Path], Store]) -> None:
        self.path, self.make = path, make

    def store(self) -> Store:
        """A store in this folder."""
        return self.make(self.path)

    def _files(self) -> list[str]:
        return sorted(path.relative_to(self.path).as_posix() for path in self.path.rglob("*") if path.is_file())

    def names(self) -> list[str]:
        """Files without those whose name begins with a dot."""
        return [name for name in self._files() if not name.rpartition("/")[2].startswith(".")]

    def hidden(self) -> list[str]:
        """Files whose name begins with a dot."""
        return [name for name in self._files() if name.rpartition("/")[2].startswith(".")]

    def get(self, name: str) -> bytes:
        """The file's bytes."""
        return (self.path / name).read_bytes()

    def put(self, name: str, data: bytes) -> None:
        """Write it."""
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_bytes(data)

    def take(self, name: str) -> None:
        """Remove it."""
        (self.path / name).unlink()


@contextmanager
def local(_request: pytest.FixtureRequest, folder: Path) -> Iterator[Shelf]:
    """A folder of this machine."""
    yield Folder(folder / "out", lambda path: Local(path=str(path)))
