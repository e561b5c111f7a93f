"""Amazon S3, and services that speak as it does, as a store: multipart uploads that nobody sees until completed.

How the bucket is reached is in s3_session.py, how bytes are cut and sent in s3_upload.py, what errors mean in
s3_errors.py.
"""

from __future__ import annotations

import hashlib
import io
import re
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast
from urllib.parse import urlencode

from pydantic import PrivateAttr

from resources.failpoint import reach
from resources.files import sha256_of
from resources.stores.base import Stat, age, inside, occupied
from resources.stores.probe import FENCE as PROBE
from resources.stores.s3_errors import Refusal, translated
from resources.stores.s3_session import Bucket
from resources.stores.s3_upload import Upload, send
from spec.base import size
from spec.errors import ConnectorError

SHA256 = re.compile(r"[0-9a-f]{64}")
MISSING = frozenset({"404", "NoSuchKey"})
GONE = frozenset({"NoSuchUpload", "ConditionalRequestConflict"})
"""It cannot be completed any more. After a conflict S3 wants a new upload (API Reference, CompleteMultipartUpload)."""
CHANGED = frozenset({"PreconditionFailed", "412", "409", "404", "NoSuchKey"})
CARELESS = (
    "{} replaced a file on condition that there was none: it does not keep conditions (If-None-Match), and would let a "
    "delivery take the place of files of others; use a service, or a newer release of it, that keeps them"
)
LONGEST_LINK = 7 * 24 * 3600
"""Seconds: what a signature of version 4 can say."""


class S3(Bucket):
    """Objects below `prefix` of one bucket. The sha256 of each is in its metadata, as `sha256`."""

    type: Literal["s3"] = "s3"
    _bucket_seen: bool = PrivateAttr(default=False)
    _begun: dict[str, dict[str, str]] = PrivateAttr(default_factory=dict)
    """Uploads that this object began: by key, the fence of each."""

    def stage(self, source: Path, name: str, fence: str) -> str:
        """Begin a multipart upload and send all its parts, each with a checksum that the server compares."""
        key = self._key(name)
        for upload in [upload for upload, by in self._begun.get(key, {}).items() if by == fence]:
            self._abort(key, upload)
        sha256 = sha256_of(source)
        reach("s3.stage.begun")
        doing = f"uploading {self.location(name)}"
        upload = self._call(doing, "create_multipart_upload", Key=key, **self._properties(sha256))["UploadId"]
        self._begun.setdefault(key, {})[upload] = fence
        reach("s3.stage.created")

        def put(**part: Any) -> dict[str, Any]:
            return self._call(doing, "upload_part", Key=key, UploadId=upload, **part)

        parts = send(put, source, size(self.part_size), self.concurrency, self.checksum)
        reach("s3.stage.sent")
        return Upload(key, upload, fence, sha256, parts).token

    def _properties(self, sha256: str) -> dict[str, Any]:
        wanted = {
            "ChecksumAlgorithm": "CRC32" if self.checksum == "crc32" else None,
            "ServerSideEncryption": self.sse,
            "SSEKMSKeyId": self.kms_key_id,
            "StorageClass": self.storage_class,
            "Tagging": urlencode(self.tags),
            "ACL": self.acl,
        }
        return {"Metadata": {"sha256": sha256}} | {name: value for name, value in wanted.items() if value}

    def staged(self, token: str) -> bool:
        """Whether the upload is still open."""
        upload = Upload.of(token)
        where = f"s3://{self.bucket}/{upload.key}"
        try:
            self._call(
                f"looking for the upload of {where}", "list_parts", Key=upload.key, UploadId=upload.upload, MaxParts=1
            )
        except Refusal as refusal:
            if refusal.code not in GONE | MISSING:
                raise
            return False
        return True

    def publish(self, token: str, name: str, replaces: str | None, source: Path) -> None:  # noqa: ARG002
        """Complete the upload, on condition that nothing is there, or the object whose hash is `replaces`."""
        upload = Upload.of(token)
        known = {"UploadId": upload.upload, "MultipartUpload": upload.request}
        reach("s3.publish.begins")
        condition = self._condition(name, replaces)
        reach("s3.publish.looked")
        try:
            self._call(
                f"publishing {self.location(name)}", "complete_multipart_upload", Key=upload.key, **known, **condition
            )
        except Refusal as refusal:
            if refusal.code not in GONE | CHANGED:
                raise
            self._settle(upload, name, replaces, refusal)
        reach("s3.publish.completed")
        self._begun.get(upload.key, {}).pop(upload.upload, None)

    def _condition(self, name: str, replaces: str | None) -> dict[str, str]:
        there = self._head(name) if replaces else None
        if there is None:
            return {"IfNoneMatch": "*"}
        return {"IfMatch": there["ETag"]} if self._hash(name, there) == replaces else {"IfNoneMatch": "*"}

    def _settle(self, upload: Upload, name: str, replaces: str | None, refusal: Refusal) -> None:
        """It was not completed now. If our bytes are there, then before, and the answer was lost; else say why not."""
        there = self._head(name)
        if there is not None and _sha256(there) == upload.sha256:
            self._abort(upload.key, upload.upload)
        elif refusal.code in GONE:
            raise FileNotFoundError(f"the upload of {self.location(name)} is gone")
        elif there is None or self._hash(name, there) == replaces:
            message = f"{self.location(name)} changed while it was published; the next try looks again"
            raise ConnectorError(message, retriable=True)
        else:
            raise occupied(self.location(name))

    def stat(self, name: str) -> Stat | None:
        """Size, and the sha256 of the object's metadata: None where it has none, as with a stranger's."""
        there = self._head(name)
        return Stat(there["ContentLength"], _sha256(there)) if there else None

    def _head(self, name: str) -> dict[str, Any] | None:
        try:
            return self._call(f"looking at {self.location(name)}", "head_object", Key=self._key(name))
        except Refusal as refusal:
            if refusal.code not in MISSING:
                raise
            self._refuse_no_bucket()
            return None

    def _refuse_no_bucket(self) -> None:
        """HEAD says 404 of an object whether there is a bucket or not; who may not ask for the bucket is let be."""
        if not self._bucket_seen:
            try:
                self._call(f"looking at s3://{self.bucket}", "head_bucket")
            except Refusal as refusal:
                if refusal.code not in {"403", "AccessDenied"}:
                    raise
            self._bucket_seen = True

    def _hash(self, name: str, there: dict[str, Any]) -> str:
        return _sha256(there) or self.digest(name)

    def sweep(self, name: str, keep: frozenset[str], fence: str) -> list[str]:
        """Abort the uploads of that very name which can be said to be as old as `fence`, or older.

        S3 tells when an upload began and not by whom. Of those that this object began the fence is known. An upload
        that began no later than one to keep is older, as the lease was ours after that. Without one to keep it is,
        if it began before this worker first spoke with the server.
        """
        key, kept = self._key(name), {Upload.of(token).upload for token in keep}
        found = dict(self._uploads(key))
        until = max((found[upload] for upload in kept & set(found)), default=None)
        own = self._begun.get(key, {})

        def older(upload: str) -> bool:
            if upload in own:
                return age(own[upload]) <= age(fence)
            begun = found[upload]
            return begun <= until if until else self._since is not None and begun < self._since

        gone = [upload for upload in found if upload not in kept and older(upload)]
        for upload in gone:
            self._abort(key, upload)
            reach("s3.swept")
        return [Upload(key, upload, own.get(upload, ""), "", ()).token for upload in gone]

    def _uploads(self, key: str) -> Iterator[tuple[str, Any]]:
        """Open uploads of that key, and when each began (the server's clock, in seconds)."""
        marks: dict[str, str] = {}
        while True:
            doing = f"listing the uploads of s3://{self.bucket}/{key}"
            page = self._call(doing, "list_multipart_uploads", Prefix=key, **marks)
            yield from ((each["UploadId"], each["Initiated"]) for each in page.get("Uploads", ()) if each["Key"] == key)
            if not page.get("IsTruncated"):
                return
            marks = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def _abort(self, key: str, upload: str) -> None:
        try:
            doing = f"taking away what was staged of s3://{self.bucket}/{key}"
            self._call(doing, "abort_multipart_upload", Key=key, UploadId=upload)
        except Refusal as refusal:
            if refusal.code not in GONE | MISSING:
                raise
        self._begun.get(key, {}).pop(upload, None)

    def remove(self, name: str, sha256: str, fence: str, confirm: Callable[[], None]) -> None:  # noqa: ARG002
        """Delete it, on condition that it is still the object that was looked at."""
        confirm()
        there = self._head(name)
        if there is None or self._hash(name, there) != sha256:
            return
        reach("s3.remove.begins")
        confirm()
        try:
            self._call(f"removing {self.location(name)}", "delete_object", Key=self._key(name), IfMatch=there["ETag"])
        except Refusal as refusal:
            if refusal.code not in CHANGED | GONE:
                raise
        reach("s3.removed")

    def open(self, name: str) -> BinaryIO:
        """Read it as a stream."""
        doing = f"reading {self.location(name)}"
        try:
            answer = self._call(doing, "get_object", Key=self._key(name))
        except Refusal as refusal:
            if refusal.code not in MISSING:
                raise
            raise FileNotFoundError(f"nothing is at {self.location(name)}") from None
        return cast(BinaryIO, io.BufferedReader(_Reading(answer["Body"], doing), 1 << 20))

    def location(self, name: str) -> str:
        """`s3://bucket/key`."""
        return f"s3://{self.bucket}/{self._key(name)}"

    def link(self, name: str, seconds: int) -> str:
        """A signed URL. Raises ConnectorError for more than seven days, or than the credentials last."""
        if seconds > LONGEST_LINK:
            raise ConnectorError(f"a link to {self.location(name)} can be given for {LONGEST_LINK} s at most (7 days)")
        self._refuse_longer(seconds)
        with translated(f"signing a link to {self.location(name)}"):
            where = {"Bucket": self.bucket, "Key": self._key(name)}
            signed: str = self._opened().generate_presigned_url("get_object", Params=where, ExpiresIn=seconds)
        return signed

    def check(self) -> list[str]:
        """Take a probe along the way of a file, and see that the service minds conditions."""
        return super().check() or self._careless()

    def _careless(self) -> list[str]:
        """A service that drops conditions would replace a stranger's file."""
        name = f".outgate-probe-{uuid.uuid4().hex[:12]}"
        with tempfile.TemporaryDirectory(prefix="outgate-probe-") as folder:
            source = Path(folder) / "probe"
            try:
                return self._second(source, name)
            except ConnectorError as error:
                return [f"looking whether conditions are kept: {error}"]
            finally:
                self.close()

    def _second(self, source: Path, name: str) -> list[str]:
        for content in (b"first", b"second"):
            source.write_bytes(content)
            token = self.stage(source, name, PROBE)
            try:
                self.publish(token, name, None, source)
            except ConnectorError as refused:
                if content == b"first" or refused.retriable:
                    raise
                self._abort(self._key(name), Upload.of(token).upload)
        found = self.digest(name)
        self.remove(name, found, PROBE, lambda: None)
        kept = found == hashlib.sha256(b"first").hexdigest()
        return [] if kept else [CARELESS.format(self.endpoint_url or "S3")]

    def _key(self, name: str) -> str:
        inside(name, f"s3://{self.bucket}/{self.prefix}")
        return f"{self.prefix}/{name}" if self.prefix else name


class _Reading(io.RawIOBase):
    """The body of an answer, whose length is checked at its end and whose broken line is a ConnectorError."""

    def __init__(self, body: Any, doing: str) -> None:
        self._body, self._doing = body, doing

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        with translated(self._doing):
            return int(self._body.readinto(into))

    def close(self) -> None:
        self._body.close()
        super().close()


def _sha256(there: dict[str, Any]) -> str | None:
    found = there.get("Metadata", {}).get("sha256", "")
    return found if SHA256.fullmatch(found) else None
