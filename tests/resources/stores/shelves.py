"""The stores under test, each with the partner's own view of it, which owes nothing to the store's code.

A new store is one function here and one line in SHELVES; what every store must do is in test_conformance.py.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, ClassVar, Protocol
from unittest import mock

import pytest

from resources.stores.base import Store
from resources.stores.local import Local
from resources.stores.s3 import S3
from spec.secrets import FromEnv
from tests.servers.seaweed import BUCKET, KEY, SECRET, SeaweedServer, running_seaweed


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


KEYS = {"OUTGATE_S3_KEY": KEY, "OUTGATE_S3_SECRET": SECRET}

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


class OneByOne(S3):
    """S3 completes an upload and looks at its condition in one step; SeaweedFS 4.48, unlike with a PUT, in two.

    So in the tests completions wait for each other.
    """

    _turn: ClassVar[threading.Lock] = threading.Lock()

    def _call(self, doing: str, operation: str, **parameters: Any) -> dict[str, Any]:
        with self._turn if operation == "complete_multipart_upload" else nullcontext():
            return super()._call(doing, operation, **parameters)


class Tray:
    """A folder of a bucket, looked at by a client of the owner's."""

    def __init__(self, server: SeaweedServer) -> None:
        self.server, self.prefix, self.client = server, server.prefix(), server.client()

    def store(self, **settings: Any) -> S3:
        """A store in this folder; its keys are in the environment."""
        usual: dict[str, Any] = {
            "bucket": BUCKET,
            "prefix": self.prefix,
            "endpoint_url": self.server.url,
            "access_key_id": FromEnv(env="OUTGATE_S3_KEY"),
            "secret_access_key": FromEnv(env="OUTGATE_S3_SECRET"),
        }
        return OneByOne(**usual | settings)

    def key(self, name: str) -> str:
        """The object's key."""
        return f"{self.prefix}/{name}"

    def names(self) -> list[str]:
        """Keys below the prefix, without those whose last part begins with a dot."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=self.key(""))
        keys = [each["Key"].removeprefix(self.key("")) for page in pages for each in page.get("Contents", ())]
        return sorted(key for key in keys if not key.rpartition("/")[2].startswith("."))

    def hidden(self) -> list[str]:
        """Open uploads; by SeaweedFS all in one page."""
        found = self.client.list_multipart_uploads(Bucket=BUCKET, Prefix=self.key(""))
        return sorted(each["Key"] for each in found.get("Uploads", ()))

    def get(self, name: str) -> bytes:
        """The object's bytes."""
        data: bytes = self.client.get_object(Bucket=BUCKET, Key=self.key(name))["Body"].read()
        return data

    def put(self, name: str, data: bytes) -> None:
        """Write it, as any tool does."""
        self.client.put_object(Bucket=BUCKET, Key=self.key(name), Body=data)

    def take(self, name: str) -> None:
        """Delete it."""
        self.client.delete_object(Bucket=BUCKET, Key=self.key(name))


@contextmanager
def s3(request: pytest.FixtureRequest, _folder: Path) -> Iterator[Tray]:
    """A folder of its own in a bucket."""
    server: SeaweedServer = request.getfixturevalue("seaweed_server")
    with mock.patch.dict(os.environ, KEYS):
        yield Tray(server)


SHELVES: dict[str, Shelves] = {
    "local": local,
    "s3": s3,
}
"""Every store, by its name in the tests."""
SERVERS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "seaweed_server": running_seaweed,
}
"""How the servers that shelves ask for by fixture are started where there is no pytest."""
