"""The stores under test, each with the partner's own view of it, which owes nothing to the store's code.

A new store is one function here and one line in SHELVES; what every store must do is in test_conformance.py.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import pytest
import requests

from resources.stores.azure import Azure
from resources.stores.base import Store
from resources.stores.gcs import Gcs
from resources.stores.local import Local
from spec.secrets import FromFile
from tests.servers.azurite import Azurite, running_azurite
from tests.servers.gcs import BUCKET, GcsServer, gcs_process


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
    """A local folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def store(self) -> Store:
        """A store in this folder."""
        return Local(path=str(self.path))

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
    yield Folder(folder / "out")


class Bucket:
    """A prefix of a bucket, seen by its owner."""

    def __init__(self, server: GcsServer, key: Path) -> None:
        self.server, self.key, self.prefix = server, key, f"shelf-{uuid.uuid4().hex[:8]}"

    def store(self) -> Store:
        """A store of this prefix."""
        return Gcs(
            bucket=BUCKET, prefix=self.prefix, endpoint=self.server.url, credentials=FromFile(file=str(self.key))
        )

    def names(self) -> list[str]:
        """Objects below the prefix."""
        found: list[str] = self._ask("GET", "").json()
        below = f"{self.prefix}/"
        return [name.removeprefix(below) for name in found if name.startswith(below)]

    def hidden(self) -> list[str]:
        """Uploads cannot be listed."""
        return []

    def get(self, name: str) -> bytes:
        """The object's bytes."""
        return self._ask("GET", f"{self.prefix}/{name}").content

    def put(self, name: str, data: bytes) -> None:
        """Write it, without any metadata."""
        self._ask("PUT", f"{self.prefix}/{name}", data)

    def take(self, name: str) -> None:
        """Remove it."""
        self._ask("DELETE", f"{self.prefix}/{name}")

    def _ask(self, method: str, name: str, data: bytes = b"") -> requests.Response:
        answer = requests.request(method, f"{self.server.url}/partner/{quote(name, safe='')}", data=data, timeout=60)
        answer.raise_for_status()
        return answer


@contextmanager
def gcs(request: pytest.FixtureRequest, folder: Path) -> Iterator[Shelf]:
    """A prefix of Google Cloud Storage."""
    server: GcsServer = request.getfixturevalue("gcs_server")
    key = requests.get(f"{server.url}/account?role=user", timeout=60).text
    (folder / "key.json").write_text(key, encoding="utf-8")
    yield Bucket(server, folder / "key.json")


class Container:
    """A container of Azurite, seen by the account's owner."""

    def __init__(self, server: Azurite, folder: Path) -> None:
        self.server, self.folder, self.container = server, folder, f"shelf-{uuid.uuid4().hex[:8]}"
        self.owner = server.service.create_container(self.container)
        (folder / "sas").write_text(server.sas(self.container, "rcwd"), encoding="utf-8")

    def store(self) -> Store:
        """A store of this container, by a SAS that allows what is needed and no more."""
        return Azure(
            url=self.server.url,
            container=self.container,
            prefix="in",
            sas=FromFile(file=str(self.folder / "sas")),
            ca_file=str(self.server.certificate),
        )

    def names(self) -> list[str]:
        """Blobs, as a listing shows them."""
        return sorted(blob.name.removeprefix("in/") for blob in self.owner.list_blobs())

    def hidden(self) -> list[str]:
        """Blobs that have blocks which nobody committed."""
        found = [blob.name for blob in self.owner.list_blobs(include=["uncommittedblobs"])]
        return [name for name in found if self.owner.get_blob_client(name).get_block_list("uncommitted")[1]]

    def get(self, name: str) -> bytes:
        """The blob's bytes."""
        return bytes(self.owner.download_blob(f"in/{name}").readall())

    def put(self, name: str, data: bytes) -> None:
        """Write it, without any metadata."""
        self.owner.upload_blob(f"in/{name}", data, overwrite=True)

    def take(self, name: str) -> None:
        """Remove it."""
        self.owner.delete_blob(f"in/{name}")


@contextmanager
def azure(request: pytest.FixtureRequest, folder: Path) -> Iterator[Shelf]:
    """A container of Azure Blob Storage."""
    shelf = Container(request.getfixturevalue("azurite"), folder)
    yield shelf
    shelf.owner.delete_container()
    shelf.owner.close()


SHELVES: dict[str, Shelves] = {
    "local": local,
    "azure": azure,
    "gcs": gcs,
}
"""Every store, by its name in the tests."""
SERVERS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "azurite": running_azurite,
    "gcs_server": gcs_process,
}
"""How the servers that shelves ask for by fixture are started where there is no pytest."""
