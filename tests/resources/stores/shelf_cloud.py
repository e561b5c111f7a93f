"""Places of Google Cloud Storage and of Azure Blob Storage, looked at by their owner."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from resources.stores.azure import Azure
from resources.stores.base import Store
from resources.stores.gcs import Gcs
from spec.secrets import FromFile
from tests.resources.stores.shelf import Shelf
from tests.servers.azurite import Azurite
from tests.servers.gcs import BUCKET, GcsServer


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
