"""Partners elsewhere: the two of the crashed project, in the place of one store that is no folder of this machine.

What they have is brought into folders before it is judged, by the partner's own client; the stores and their servers
are those of the conformance suite (tests/resources/stores/shelves.py).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from tests.resources.stores.shelves import SERVERS, SHELVES, Shelf

LOST = "left-behind"
"""The folder in which whatever is still staged is shown to the judge."""


class Servers:
    """What a shelf asks pytest for, outside pytest: servers by the name of their fixture, each started once."""

    def __init__(self, opened: ExitStack) -> None:
        self._opened, self._made = opened, dict[str, Any]()

    def getfixturevalue(self, name: str) -> Any:
        """The running server."""
        if name not in self._made:
            self._made[name] = self._opened.enter_context(SERVERS[name]())
        return self._made[name]


@dataclass(frozen=True)
class Partners:
    """One place of one store, which both partners share: `lake` has the files of one folder, `partner` of two."""

    shelf: Shelf

    @property
    def declared(self) -> str:
        """connectors.yaml, as the store would be declared."""
        store = self.shelf.store()
        data = store.model_dump(mode="json", exclude_unset=True) | {"type": store.type, "manifest_beside": True}
        return "".join(f"{name}: {json.dumps(data)}\n" for name in ("partner", "lake"))

    def forget(self) -> None:
        """Take away everything that is there."""
        for name in self.shelf.names():
            self.shelf.take(name)

    def bring(self, out: Path) -> None:
        """Show in folders what the partners have, and what is staged and hidden."""
        shutil.rmtree(out, ignore_errors=True)
        for name in self.shelf.names():
            file = out / ("lake" if name.count("/") == 1 else "partner") / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(self.shelf.get(name))
        for number, name in enumerate(self.shelf.hidden()):
            (out / LOST).mkdir(parents=True, exist_ok=True)
            (out / LOST / f"{number}-{name.replace('/', '-')[-80:]}.part").touch()

    def become(self, out: Path) -> None:
        """Have what the folders show, and nothing else."""
        self.forget()
        for file in sorted(path for path in out.rglob("*") if path.is_file()):
            self.shelf.put("/".join(file.relative_to(out).parts[1:]), file.read_bytes())


@contextmanager
def partners(store: str, folder: Path, count: int) -> Iterator[list[Partners | None]]:
    """So many places of a store, or nothing for each where the partners' folders are on this machine."""
    if not store:
        yield [None] * count
        return
    with ExitStack() as opened:
        request = cast("pytest.FixtureRequest", Servers(opened))
        places = [folder / f"shelf{number}" for number in range(count)]
        for place in places:
            place.mkdir()
        yield [Partners(opened.enter_context(SHELVES[store](request, place))) for place in places]
