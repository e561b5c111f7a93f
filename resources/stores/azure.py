"""A container of Azure Blob Storage as a store: blocks are invisible until a list of them is committed.

How one logs in and what refusals mean is in azure_session.py. Facts of the service: "Put Block", "Put Block List" and
"Specifying conditional headers" of its REST reference.
"""

from __future__ import annotations

import hashlib
import io
import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Literal

from pydantic import Field, PrivateAttr, field_validator, model_validator

from resources.failpoint import reach
from resources.secrets import reveal
from resources.stores.azure_session import bare, code_of, connected, expiry, translated
from resources.stores.base import SLICE, Stat, Store, age, inside, occupied
from resources.stores.endpoints import ConnectSeconds, IdleSeconds, refuse_plaintext
from spec.secrets import Secret

BLOCK = 8 << 20
"""Bytes of a block; 50,000 of them are the most that a blob has."""
SHA256, UPLOAD = "outgate_sha256", "outgate_upload"
"""Metadata of each blob: the hash of its bytes, and which upload made it. Azure wants names of identifiers."""
MISSING = frozenset({"BlobNotFound"})
CHANGED = frozenset({"ConditionNotMet", "BlobAlreadyExists", "TargetConditionNotMet", "InvalidBlockList"})
WAYS = ("connection_string", "container_url", "sas", "key")


@dataclass(frozen=True)
class Staged:
    """Blocks that want to be committed."""

    fence: str
    place: str
    upload: str
    sha256: str
    md5: str
    size: int

    def blocks(self) -> list[str]:
        """Their ids, in order; all ids of a blob have to be of one length."""
        return [self.block(number) for number in range(-(-self.size // BLOCK))]

    def block(self, number: int) -> str:
        """The id of one block."""
        generation, fence = age(self.fence)
        return f"g{generation:08}-f{fence:08}-{self.upload}-{number:05}"

    def sent(self) -> list[str]:
        """The ids that have to be there: an empty file, which has no block, leaves a mark instead."""
        return self.blocks() or [self.block(99_999)]


@dataclass(frozen=True)
class Seen:
    """A blob that is there now."""

    etag: str
    size: int
    sha256: str | None
    upload: str | None


class Azure(Store):
    """Blobs of one container, below `prefix`."""

    type: Literal["azure"] = "azure"
    connection_string: Secret | None = None
    container_url: Secret | None = Field(default=None, description="a container's address with a SAS")
    account: str | None = None
    url: str | None = Field(default=None, description="the account's address, where it is not the usual one")
    sas: Secret | None = None
    key: Secret | None = None
    container: str | None = Field(default=None, min_length=1)
    prefix: str = ""
    tier: Literal["Hot", "Cool", "Cold", "Archive"] | None = None
    metadata: dict[str, str] = Field(default_factory=dict)
    allow_plaintext: bool = False
    ca_file: str | None = None
    proxy: str | None = None
    connect_timeout: ConnectSeconds = 10
    idle_timeout: IdleSeconds = 60

    _kept: Any = PrivateAttr(default=None)

    @field_validator("prefix")
    @classmethod
    def _plain_prefix(cls, prefix: str) -> str:
        return prefix.strip("/")

    @model_validator(mode="after")
    def _one_way(self) -> Azure:
        given = [name for name in WAYS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"found {' and '.join(given) or 'no right to log in'}; say one of {', '.join(WAYS)}")
        if given[0] in {"sas", "key"} and (self.account is None) == (self.url is None):
            raise ValueError(f"`{given[0]}` wants `account` or `url`, and not both")
        if (given[0] == "container_url") == (self.container is not None):
            raise ValueError("say `container`, unless `container_url` does")
        if self.url:
            refuse_plaintext(self.url, allowed=self.allow_plaintext)
        return self

    def stage(self, source: Path, name: str, fence: str) -> str:
        """Send all blocks; the server checks each by its MD5."""
        sha256, md5, size = _sums(source)
        staged = Staged(fence, self.location(name), uuid.uuid4().hex, sha256, md5, size)
        blob = self._blob(name)
        reach("azure.stage.begins")
        with self._asking(f"writing {name!r}"), source.open("rb") as reader:
            for block in staged.sent():
                data = reader.read(BLOCK) or b"-"
                blob.stage_block(block, data, length=len(data), validate_content=True, retry_total=3)
                reach("azure.stage.block")
        return json.dumps(asdict(staged))

    def staged(self, token: str) -> bool:
        """Whether all blocks are there and not committed."""
        staged = _read(token)
        name = staged.place.removeprefix(self.location("-")[:-1])
        return staged.place == self.location(name) and self._waiting(name, staged)

    def _waiting(self, name: str, staged: Staged) -> bool:
        from azure.core.exceptions import ResourceNotFoundError

        with self._asking(f"asking for the blocks of {name!r}"):
            try:
                _, blocks = self._blob(name).get_block_list("uncommitted")
            except ResourceNotFoundError as error:
                if code_of(error) not in MISSING:
                    raise
                return False
        return set(staged.sent()) <= {block.id for block in blocks}

    def publish(self, token: str, name: str, replaces: str | None, source: Path) -> None:  # noqa: ARG002
        """Commit the blocks, if what has the name is still what was looked at."""
        staged, seen = _read(token), self._seen(name)
        reach("azure.publish.begins")
        if seen and seen.upload == staged.upload:
            return  # the answer was lost
        if staged.place != self.location(name) or not self._waiting(name, staged):
            raise FileNotFoundError(staged.place)
        if seen and self._hash(name, seen) != replaces:
            raise occupied(self.location(name))
        reach("azure.publish.commits")
        committed = self._commit(name, staged, seen)
        reach("azure.publish.committed")
        if not committed:
            self._conflict(name, replaces, staged)

    def _commit(self, name: str, staged: Staged, seen: Seen | None) -> bool:
        """False when something else has the name by now, or the blocks are gone."""
        from azure.core import MatchConditions
        from azure.core.exceptions import HttpResponseError
        from azure.storage.blob import BlobBlock, BlockState, ContentSettings, StandardBlobTier

        blocks = [BlobBlock(block, BlockState.UNCOMMITTED) for block in staged.blocks()]
        match: dict[str, Any] = {"match_condition": MatchConditions.IfMissing}
        if seen:
            match = {"etag": seen.etag, "match_condition": MatchConditions.IfNotModified}
        about = ContentSettings("application/octet-stream", content_md5=bytearray.fromhex(staged.md5))
        tier = StandardBlobTier(self.tier) if self.tier else None
        labels = self.metadata | {SHA256: staged.sha256, UPLOAD: staged.upload}
        with self._asking(f"publishing {name!r}"):
            try:
                self._blob(name).commit_block_list(
                    blocks, content_settings=about, metadata=labels, standard_blob_tier=tier, **match
                )
            except HttpResponseError as error:
                if code_of(error) in CHANGED:
                    return False
                raise
        return True

    def _conflict(self, name: str, replaces: str | None, staged: Staged) -> None:
        """Something else was there first; if it is ours, only its answer was lost."""
        seen = self._seen(name)
        if seen and seen.upload == staged.upload:
            return
        if seen is None or self._hash(name, seen) in {replaces, staged.sha256}:
            raise FileNotFoundError(staged.place)
        raise occupied(self.location(name))

    def stat(self, name: str) -> Stat | None:
        """Size and sha256, the latter from the metadata that was written with the bytes."""
        seen = self._seen(name)
        return Stat(seen.size, seen.sha256) if seen else None

    def _seen(self, name: str) -> Seen | None:
        from azure.core.exceptions import ResourceNotFoundError

        with self._asking(f"looking for {name!r}"):
            try:
                found = self._blob(name).get_blob_properties()
            except ResourceNotFoundError as error:
                if code_of(error) not in MISSING:
                    raise
                return None
        labels = found.metadata or {}
        return Seen(found.etag, found.size, labels.get(SHA256), labels.get(UPLOAD))

    def _hash(self, name: str, seen: Seen) -> str:
        return seen.sha256 or self.digest(name)

    def sweep(self, name: str, keep: frozenset[str], fence: str) -> list[str]:  # noqa: ARG002
        """Nothing to do: publishing drops all other blocks of a blob, and the server those of a week ago."""
        inside(name, self.prefix)
        return []

    def remove(self, name: str, sha256: str, fence: str, confirm: Callable[[], None]) -> None:  # noqa: ARG002
        """Delete just what was looked at: not what came after it."""
        from azure.core import MatchConditions
        from azure.core.exceptions import HttpResponseError

        seen = self._seen(name)
        if seen is None or self._hash(name, seen) != sha256:
            return
        reach("azure.remove.begins")
        confirm()
        with self._asking(f"removing {name!r}"):
            try:
                self._blob(name).delete_blob(etag=seen.etag, match_condition=MatchConditions.IfNotModified)
            except HttpResponseError as error:
                if code_of(error) not in CHANGED | MISSING:
                    raise
        reach("azure.removed")

    def open(self, name: str) -> BinaryIO:
        """Read a blob as a stream, in pieces of the same version."""
        from azure.core.exceptions import ResourceNotFoundError

        with self._asking(f"reading {name!r}"):
            try:
                return io.BufferedReader(_Body(self._blob(name).download_blob(), self._asking, name), SLICE)
            except ResourceNotFoundError as error:
                if code_of(error) not in MISSING:
                    raise
        raise FileNotFoundError(self.location(name))

    def location(self, name: str) -> str:
        """The blob's address, without any SAS."""
        return f"{bare(self._client.url)}/{self._object(name)}"

    def link(self, name: str, seconds: int) -> str:
        """An address with a SAS to read it, where the account's key is there to sign one; its location else."""
        from azure.storage.blob import BlobSasPermissions, generate_blob_sas

        right = self._client.credential
        if not getattr(right, "account_key", None):
            return self.location(name)
        blob = self._blob(name)
        query = generate_blob_sas(
            right.account_name,
            blob.container_name,
            blob.blob_name,
            account_key=right.account_key,
            permission=BlobSasPermissions(read=True),
            expiry=datetime.now(UTC) + timedelta(seconds=seconds),
        )
        return f"{bare(blob.url)}?{query}"

    def close(self) -> None:
        """Hang up; the next call connects again."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    @property
    def _client(self) -> Any:
        if self._kept is None:
            self._kept = connected(self._way(), self.container, self._settings(), plaintext=self.allow_plaintext)
        return self._kept

    def _way(self) -> dict[str, str]:
        """The one secret, revealed, and the account's address where it is not in it."""
        given = {name: reveal(secret) for name in WAYS if (secret := getattr(self, name)) is not None}
        return given | {"url": self.url or f"https://{self.account}.blob.core.windows.net"}

    def _settings(self) -> dict[str, Any]:
        """The library's own retries are off, but for blocks: what is tried again is decided by whoever calls."""
        from azure.storage.blob import LinearRetry

        return {
            "retry_policy": LinearRetry(backoff=1, retry_total=0),
            "connection_timeout": self.connect_timeout,
            "read_timeout": self.idle_timeout,
            "connection_verify": self.ca_file or True,
            "max_single_get_size": BLOCK,
            "max_chunk_get_size": BLOCK,
        } | ({"proxies": {"https": self.proxy, "http": self.proxy}} if self.proxy else {})

    @contextmanager
    def _asking(self, doing: str) -> Iterator[None]:
        [secret] = (value for name, value in self._way().items() if name in WAYS)
        with translated(f"{doing} in {bare(self._client.url)}", expiry(secret)):
            yield

    def _blob(self, name: str) -> Any:
        return self._client.get_blob_client(self._object(name))

    def _object(self, name: str) -> str:
        return f"{self.prefix}/{inside(name, self.prefix or 'the container')}".lstrip("/")


class _Body(io.RawIOBase):
    """A download as a file."""

    def __init__(self, download: Any, asking: Callable[[str], Any], name: str) -> None:
        self._download, self._asking, self._name = download, asking, name

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Raises ConnectorError when the line breaks."""
        with self._asking(f"reading {self._name!r}"):
            data = self._download.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _sums(source: Path) -> tuple[str, str, int]:
    """The sha256 and MD5 of a file in hex, and its size, in one reading."""
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    with source.open("rb") as reader:
        while data := reader.read(SLICE):
            size += len(data)
            sha256.update(data)
            md5.update(data)
    return sha256.hexdigest(), md5.hexdigest(), size


def _read(token: str) -> Staged:
    return Staged(**json.loads(token))
