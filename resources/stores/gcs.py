"""A bucket of Google Cloud Storage as a store: an upload is invisible until its last piece arrives.

How requests travel and what refusals mean is in gcs_session.py. Facts of the service: "Resumable uploads" and
"Request preconditions" of its documentation.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, NoReturn
from urllib.parse import quote

from pydantic import Field, PrivateAttr, field_validator, model_validator

from resources.failpoint import reach
from resources.secrets import reveal
from resources.stores.base import SLICE, Stat, Store, inside, occupied
from resources.stores.endpoints import ConnectSeconds, IdleSeconds, refuse_plaintext
from resources.stores.gcs_session import Session, broken
from spec.errors import ConnectorError
from spec.secrets import Secret

PIECE = 8 << 20
"""Bytes sent at once; all pieces but the last have to be multiples of 256 KiB."""
SHA256, UPLOAD = "outgate-sha256", "outgate-upload"
"""Metadata of each object: the hash of its bytes, and which upload made it."""
FIELDS = "generation,metageneration,size,metadata"
LONGEST_LINK = 7 * 24 * 3600
OK, MISSING, CHANGED = frozenset({200, 201}), frozenset({404}), frozenset({412})
UNFINISHED, ENDED = 308, frozenset({404, 410, 499})
ANSWERS = OK | CHANGED | ENDED | {UNFINISHED}
"""What an upload may answer that is for us to judge."""
RESUMES = 3
"""How often staging goes on after a broken line before the whole step is taken again."""


@dataclass(frozen=True)
class Staged:
    """An upload that wants its last piece. `generation` is what had the name when it began, "0" for nothing."""

    fence: str
    place: str
    upload: str
    uri: str
    generation: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Seen:
    """What has a name now; generation "0" is nothing."""

    generation: str = "0"
    metageneration: str = "0"
    size: int = 0
    sha256: str | None = None
    upload: str | None = None


class Gcs(Store):
    """Objects of one bucket, below `prefix`."""

    type: Literal["gcs"] = "gcs"
    bucket: str = Field(min_length=3, max_length=222)
    prefix: str = ""
    credentials: Secret | None = Field(default=None, description="a service account's JSON key")
    project: str | None = Field(default=None, description="who pays where the requester pays")
    endpoint: str = "https://storage.googleapis.com"
    allow_plaintext: bool = False
    storage_class: str | None = None
    kms_key: str | None = None
    predefined_acl: str | None = None
    metadata: dict[str, str] = Field(default_factory=dict)
    connect_timeout: ConnectSeconds = 10
    idle_timeout: IdleSeconds = 60

    _kept: Session | None = PrivateAttr(default=None)

    @field_validator("prefix")
    @classmethod
    def _plain_prefix(cls, prefix: str) -> str:
        return prefix.strip("/")

    @model_validator(mode="after")
    def _https(self) -> Gcs:
        refuse_plaintext(self.endpoint, allowed=self.allow_plaintext)
        return self

    def stage(self, source: Path, name: str, fence: str) -> str:
        """Begin an upload for what has the name now, and send all pieces but the last."""
        place, doing = self.location(name), f"writing {name!r}"
        seen, upload, sums = self._seen(name), uuid.uuid4().hex, _Sums(source)
        reach("gcs.stage.begins")
        uri = self._begin(name, seen, upload, sums)
        reach("gcs.stage.begun")
        with source.open("rb") as reader:
            self._send_patiently(doing, uri, reader, last_piece(sums.size))
        reach("gcs.stage.sent")
        return json.dumps(asdict(Staged(fence, place, upload, uri, seen.generation, sums.sha256, sums.size)))

    def _begin(self, name: str, seen: Seen, upload: str, sums: _Sums) -> str:
        about = {
            "name": self._object(name),
            "contentType": "application/octet-stream",
            "metadata": self.metadata | {SHA256: sums.sha256, UPLOAD: upload},
            "crc32c": sums.crc32c,
            "md5Hash": sums.md5,
        } | ({"storageClass": self.storage_class} if self.storage_class else {})
        asked = {
            "uploadType": "resumable",
            "name": self._object(name),
            "ifGenerationMatch": seen.generation,
            "kmsKeyName": self.kms_key,
            "predefinedAcl": self.predefined_acl,
        }
        url = f"{self._base}/upload/storage/v1/b/{quote(self.bucket, safe='')}/o"
        answer = self._session.ask(f"writing {name!r}", "POST", url, OK, params=self._paid(asked), json=about)
        uri = answer.headers.get("Location")
        if not uri:
            raise ConnectorError(f"writing {name!r} in {self._where}: the server began no upload", retriable=True)
        return str(uri)

    def _send_patiently(self, doing: str, uri: str, reader: BinaryIO, end: int) -> None:
        """Send all bytes before `end`; after a broken line, go on with what the server has not got."""
        at = 0
        for tries_left in range(RESUMES, -1, -1):
            try:
                at = at if tries_left == RESUMES else _arrived(self._asked(doing, uri))
                self._send(doing, uri, reader, at, end, "*")
            except ConnectorError as error:
                if not error.retriable or not tries_left:
                    raise
            else:
                return

    def _send(self, doing: str, uri: str, reader: BinaryIO, at: int, end: int, total: str) -> Any:
        """Send bytes from `at` to `end`; the answer to the last piece, None when there was none to send."""
        answer = None
        while at < end:
            reader.seek(at)
            data = reader.read(min(PIECE, end - at))
            headers = {"Content-Range": f"bytes {at}-{at + len(data) - 1}/{total}"}
            answer = self._session.upload(doing, "PUT", uri, ANSWERS, data=data, headers=headers)
            reach("gcs.piece")
            if answer.status_code != UNFINISHED:
                return answer
            if _arrived(answer) <= at:
                raise ConnectorError(f"{doing} in {self._where}: the server kept nothing of a piece", retriable=True)
            at = _arrived(answer)
        return answer

    def staged(self, token: str) -> bool:
        """Whether the upload is there with all pieces that were sent."""
        staged = _read(token)
        answer = self._asked(f"asking for the upload of {staged.place}", staged.uri)
        return answer.status_code == UNFINISHED and _arrived(answer) >= last_piece(staged.size)

    def _asked(self, doing: str, uri: str, total: str = "*") -> Any:
        """How much of an upload has arrived; with the total, it ends where all has."""
        headers = {"Content-Range": f"bytes */{total}"}
        return self._session.upload(doing, "PUT", uri, ANSWERS, headers=headers)

    def publish(self, token: str, name: str, replaces: str | None, source: Path) -> None:
        """Send the last piece: the object appears, if what has its name is still what stage saw."""
        staged, seen = _read(token), self._seen(name)
        if staged.place != self.location(name):
            raise FileNotFoundError(staged.place)
        reach("gcs.publish.begins")
        if seen.upload == staged.upload:
            return  # the answer was lost
        if seen.generation != staged.generation:
            self._overtaken(name, replaces, staged, seen)
        if seen.generation != "0" and self._hash(name, seen) != replaces:
            raise occupied(self.location(name))
        answer = self._finish(name, staged, source)
        reach("gcs.publish.answered")
        if answer.status_code not in OK or self._seen(name).upload != staged.upload:
            self._conflict(name, replaces, staged)

    def _finish(self, name: str, staged: Staged, source: Path) -> Any:
        doing = f"publishing {name!r}"
        asked = self._asked(doing, staged.uri)
        if asked.status_code != UNFINISHED:
            return asked
        reach("gcs.publish.finishes")
        with source.open("rb") as reader:
            answer = self._send(doing, staged.uri, reader, _arrived(asked), staged.size, str(staged.size))
        return answer or self._asked(doing, staged.uri, str(staged.size))

    def _conflict(self, name: str, replaces: str | None, staged: Staged) -> None:
        """Something else was there first, or the upload is over; if it is ours, only its answer was lost."""
        seen = self._seen(name)
        if seen.upload == staged.upload:
            return
        self._overtaken(name, replaces, staged, seen)

    def _overtaken(self, name: str, replaces: str | None, staged: Staged, seen: Seen) -> NoReturn:
        if seen.generation == "0" or self._hash(name, seen) in {replaces, staged.sha256}:
            raise FileNotFoundError(staged.place)
        raise occupied(self.location(name))

    def stat(self, name: str) -> Stat | None:
        """Size and sha256, the latter from the metadata that was written with the bytes."""
        seen = self._seen(name)
        return None if seen.generation == "0" else Stat(seen.size, seen.sha256)

    def _seen(self, name: str) -> Seen:
        answer = self._ask(f"looking for {name!r}", "GET", name, OK | MISSING, fields=FIELDS)
        if answer.status_code in MISSING:
            return Seen()
        found, labels = answer.json(), answer.json().get("metadata") or {}
        return Seen(
            found["generation"], found["metageneration"], int(found["size"]), labels.get(SHA256), labels.get(UPLOAD)
        )

    def _hash(self, name: str, seen: Seen) -> str:
        return seen.sha256 or self.digest(name)

    def sweep(self, name: str, keep: frozenset[str], fence: str) -> list[str]:  # noqa: ARG002
        """Nothing to do: nobody can list uploads, they cost nothing and end after a week.

        One of an older worker can no longer be published once something else has the name.
        """
        inside(name, self._where)
        return []

    def remove(self, name: str, sha256: str, fence: str, confirm: Callable[[], None]) -> None:  # noqa: ARG002
        """Delete just what was looked at: not what came after it."""
        seen = self._seen(name)
        if seen.generation == "0" or self._hash(name, seen) != sha256:
            return
        reach("gcs.remove.begins")
        confirm()
        match = {"ifGenerationMatch": seen.generation, "ifMetagenerationMatch": seen.metageneration}
        self._ask(f"removing {name!r}", "DELETE", name, OK | MISSING | CHANGED | {204}, **match)
        reach("gcs.removed")

    def open(self, name: str) -> BinaryIO:
        """Read an object as a stream of the bytes that are stored."""
        headers = {"Accept-Encoding": "identity"}
        answer = self._ask(f"reading {name!r}", "GET", name, OK | MISSING, stream=True, headers=headers, alt="media")
        if answer.status_code in MISSING:
            raise FileNotFoundError(self.location(name))
        return io.BufferedReader(_Body(answer, f"reading {name!r} in {self._where}"), SLICE)

    def location(self, name: str) -> str:
        """gs://bucket/name."""
        return f"gs://{self.bucket}/{self._object(name)}"

    def link(self, name: str, seconds: int) -> str:
        """A signed URL (version 4), for seven days at most; the location where the account has no key to sign with."""
        from google.auth.credentials import Signing
        from google.cloud import storage

        credentials = self._session.credentials
        if not isinstance(credentials, Signing):
            return self.location(name)
        client = storage.Client(self.project or "-", credentials, client_options={"api_endpoint": self._base})
        blob = client.bucket(self.bucket).blob(self._object(name))
        signed = blob.generate_signed_url(version="v4", expiration=min(seconds, LONGEST_LINK), method="GET")
        return str(signed)

    def close(self) -> None:
        """Hang up; the next call connects again."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    @property
    def _session(self) -> Session:
        if self._kept is None:
            key = reveal(self.credentials) if self.credentials else None
            self._kept = Session(key, self._where, self.connect_timeout, self.idle_timeout)
        return self._kept

    @property
    def _where(self) -> str:
        return f"gs://{self.bucket}/{self.prefix}".rstrip("/")

    @property
    def _base(self) -> str:
        return self.endpoint.rstrip("/")

    def _object(self, name: str) -> str:
        return f"{self.prefix}/{inside(name, self._where)}".lstrip("/")

    def _paid(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in (asked | {"userProject": self.project}).items() if value is not None}

    def _ask(self, doing: str, method: str, name: str, accept: frozenset[int], **more: Any) -> Any:
        request = {key: more.pop(key) for key in ("stream", "headers") if key in more}
        url = f"{self._base}/storage/v1/b/{quote(self.bucket, safe='')}/o/{quote(self._object(name), safe='')}"
        return self._session.ask(doing, method, url, accept, params=self._paid(more), **request)


class _Sums:
    """Size and hashes of a file, in one reading."""

    def __init__(self, source: Path) -> None:
        import google_crc32c

        sha256, md5, crc32c = hashlib.sha256(), hashlib.md5(usedforsecurity=False), google_crc32c.Checksum()
        self.size = 0
        with source.open("rb") as reader:
            while data := reader.read(SLICE):
                self.size += len(data)
                for each in (sha256, md5, crc32c):
                    each.update(data)
        self.sha256 = sha256.hexdigest()
        self.md5 = base64.b64encode(md5.digest()).decode()
        self.crc32c = base64.b64encode(crc32c.digest()).decode()


class _Body(io.RawIOBase):
    """The body of an answer as a file."""

    def __init__(self, answer: Any, doing: str) -> None:
        self._answer, self._doing = answer, doing

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Raises ConnectorError when the line breaks, also before the end that was announced."""
        from urllib3.exceptions import HTTPError

        try:
            data = self._answer.raw.read(len(buffer), decode_content=False)
        except HTTPError as error:
            raise broken(error, self._doing) from None
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Give the line back."""
        self._answer.close()
        super().close()


def last_piece(size: int) -> int:
    """Where the piece begins that `publish` sends; it has one byte at least, unless there are none."""
    return max(size - 1, 0) // PIECE * PIECE


def _arrived(answer: Any) -> int:
    """How many bytes the server has kept, from "bytes=0-N"; without such a header none."""
    return int(answer.headers["Range"].rpartition("-")[2]) + 1 if "Range" in answer.headers else 0


def _read(token: str) -> Staged:
    return Staged(**json.loads(token))
