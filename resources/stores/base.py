"""The contract of a store: a part is staged where nobody looks, then published under its final name in one step.

What to publish, in which order, what is tried again and when it counts as delivered is decided in assets/load.py; a
store keeps nothing but its connections.
"""

from __future__ import annotations

import hashlib
import re
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, BinaryIO, ClassVar

from pydantic import Field

from resources.connector import Connector
from resources.stores.probe import probe
from spec.errors import ConnectorError

SLICE = 1 << 20
"""Bytes that are read at once."""


FENCE = re.compile(r"g\d+-f\d+")
"""Generation and fencing number of a worker."""


def age(fence: str) -> tuple[int, ...]:
    """A fence such as "g1-f3" as numbers, so that an older one is less."""
    return tuple(map(int, re.findall(r"\d+", fence)))


@dataclass(frozen=True)
class Stat:
    """What a store tells of a published object: bytes always, sha256 (hex) where it is known without reading it all."""

    bytes: int
    sha256: str | None = None


def inside(name: str, place: str) -> str:
    """The name, if it stays below the store's own folder. Raises ConnectorError."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or {"..", "."} & set(name.split("/")):
        message = f"{name!r} would leave {place}"
        raise ConnectorError(message)
    return name


def occupied(where: str) -> ConnectorError:
    """The refusal to replace what is not known to be ours."""
    return ConnectorError(
        f"{where} is there already and was not written by this delivery of the export; remove it, or give the delivery "
        "another path"
    )


class Store(Connector):
    """A place for files. Names are relative, with `/` between folders.

    Errors leave as ConnectorError, `retriable` where the reason may pass by itself (a line that broke, a server that is
    busy); then the same call is made again, so each has to stand a repetition. Connections may be kept for the next
    call, are opened again when they are gone, and are given back by `close`. One thread at a time uses a store.
    """

    reads_to_stat: ClassVar[bool] = False
    """Whether the sha256 of `stat` is of the bytes that are there, and not what was written beside them once."""
    manifest_beside: bool = True
    """Whether a manifest is written beside the files unless the delivery says otherwise."""
    attempts: Annotated[int, Field(ge=1, le=20)] = 5
    """How often in all a step is tried that fails for a reason that may pass."""

    @abstractmethod
    def stage(self, source: Path, name: str, fence: str) -> str:
        """Bring the bytes to an invisible place, durably, and return the token that `publish` needs.

        `fence` is in the token ("g1-f3": generation and fencing number), so a late worker's leftovers can be told
        apart. Calling it again replaces what an earlier call of the same fence left.
        """

    @abstractmethod
    def staged(self, token: str) -> bool:
        """Whether that invisible object is still there."""

    @abstractmethod
    def publish(self, token: str, name: str, replaces: str | None, source: Path) -> None:
        """Make the staged object visible as `name`, atomically and durably.

        `replaces` is the sha256 that is known to stand there, None when nothing may stand there. Raises
        ConnectorError (not retriable) when something else is found, and FileNotFoundError when the staged object is
        gone. `source` is the file that was staged, for stores that keep back a last piece until now.
        """

    @abstractmethod
    def stat(self, name: str) -> Stat | None:
        """What is published under that name, None when nothing is."""

    @abstractmethod
    def sweep(self, name: str, keep: frozenset[str], fence: str) -> list[str]:
        """Remove the staged objects of that name that `fence` or an older one left, but for those in `keep`.

        Returns the tokens removed. What a newer fence staged stays: a late worker must not take it away. What such a
        worker hid in `remove` and left so is visible again, unless something else has its name.
        """

    @abstractmethod
    def remove(self, name: str, sha256: str, fence: str, confirm: Callable[[], None]) -> None:
        """Remove a published object that has this hash; nothing happens when it is not there, or is another.

        It is made invisible first; if `confirm` then raises, it is put back and the error goes on. So a worker that
        slept between looking and removing takes nothing away from whoever overtook it.
        """

    @abstractmethod
    def open(self, name: str) -> BinaryIO:
        """Read a published object as a stream. Raises FileNotFoundError when nothing has that name."""

    def digest(self, name: str) -> str:
        """The sha256 of a published object: all of it is read."""
        with self.open(name) as file:
            hashed = hashlib.sha256()
            while data := file.read(SLICE):
                hashed.update(data)
            return hashed.hexdigest()

    @abstractmethod
    def location(self, name: str) -> str:
        """The URL of a published object, or its absolute path."""

    def link(self, name: str, seconds: int) -> str:  # noqa: ARG002
        """A URL that anyone can read the object by for so long, where the store can sign one; its location else."""
        return self.location(name)

    def check(self) -> list[str]:
        """Take a probe along the way of a file: staged, published, read, removed."""
        return probe(self)

    def close(self) -> None:
        """Give connections back. The next call opens them again."""
