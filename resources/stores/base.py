"""The contract of a store: a part is staged where nobody looks, then published under its final name in one step.

What to publish, in which order and when it counts as delivered is decided in assets/load.py; a store keeps no state.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from resources.connector import Connector


def age(fence: str) -> tuple[int, ...]:
    """A fence such as "g1-f3" as numbers, so that an older one is less."""
    return tuple(map(int, re.findall(r"\d+", fence)))


@dataclass(frozen=True)
class Stat:
    """What a store tells of a published object: bytes always, sha256 (hex) where it can be had."""

    bytes: int
    sha256: str | None = None


class Store(Connector):
    """A place for files. Names are relative, with `/` between folders; errors leave as ConnectorError."""

    manifest_beside: bool = True
    """Whether a manifest is written beside the files unless the delivery says otherwise."""

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
    def publish(self, token: str, name: str, replaces: str | None) -> None:
        """Make the staged object visible as `name`, atomically and durably.

        `replaces` is the sha256 that is known to stand there, None when nothing may stand there. Raises
        ConnectorError (not retriable) when something else is found, and FileNotFoundError when the staged object is
        gone.
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
        """Read a published object."""

    @abstractmethod
    def location(self, name: str) -> str:
        """The URL of a published object, or its absolute path."""
