"""A folder of a bucket of SeaweedFS, looked at by a client of the owner's."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import pytest

from resources.stores.s3 import S3
from spec.secrets import FromEnv
from tests.servers.seaweed import BUCKET, KEY, SECRET, SeaweedServer

KEYS = {"OUTGATE_S3_KEY": KEY, "OUTGATE_S3_SECRET": SECRET}


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
