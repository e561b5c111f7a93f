"""What only S3 has: settings, credentials, rights, conditions, checksums, signed links, and answers that got lost."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import urllib3
from botocore.exceptions import ClientError, EndpointConnectionError
from pydantic import ValidationError

from resources import failpoint
from resources.stores.s3 import S3
from resources.stores.s3_errors import Refusal, translated
from resources.stores.s3_upload import MOST_PARTS, Piece, Upload, pieces
from spec.errors import ConnectorError
from spec.secrets import FromEnv
from tests.resources.stores.shelf_s3 import KEYS, Tray
from tests.servers.seaweed import BUCKET, READER, READER_SECRET, SeaweedServer, running_seaweed

KEY, SECRET = FromEnv(env="OUTGATE_S3_KEY"), FromEnv(env="OUTGATE_S3_SECRET")


@pytest.fixture
def tray(seaweed_server: SeaweedServer) -> Iterator[Tray]:
    """A folder of its own in a bucket, with the keys in the environment and none of the machine's own."""
    none = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/none", "AWS_SHARED_CREDENTIALS_FILE": "/none"}
    with mock.patch.dict(os.environ, KEYS | none):
        yield Tray(seaweed_server)


@pytest.fixture
def part(tmp_path: Path) -> Path:
    """A sealed part."""
    path = tmp_path / "part"
    path.write_bytes(b"rows")
    return path


def sha(data: bytes) -> str:
    """A hash as the ledger keeps it."""
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"access_key_id": KEY}, "belong together"),
        ({"session_token": KEY}, "needs the keys"),
        ({"access_key_id": KEY, "secret_access_key": SECRET, "profile": "x"}, "not both"),
        ({"external_id": "x"}, "belongs to a `role_arn`"),
        ({"endpoint_url": "http://minio.internal:9000"}, "allow_plaintext"),
        ({"endpoint_url": "minio.internal:9000"}, "write https://"),
        ({"proxy": "http://user:password@proxy:3128"}, "never written down"),
        ({"prefix": "/in"}, "at neither end"),
        ({"prefix": "in/../out"}, "at neither end"),
        ({"kms_key_id": "x"}, "belongs to `sse: aws:kms`"),
        ({"part_size": "4MiB"}, "5MiB or more"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, Any], words: str) -> None:
    """Each with what to write instead."""
    with pytest.raises(ValidationError, match=words):
        S3(bucket="b", **settings)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"access_key_id": KEY, "secret_access_key": SECRET, "session_token": KEY},
        {"profile": "x", "role_arn": "arn:aws:iam::1:role/x", "external_id": "x"},
        {"endpoint_url": "http://minio.internal:9000", "allow_plaintext": True},
        {"endpoint_url": "http://127.0.0.1:9000"},
        {"endpoint_url": "https://minio.internal:9000", "proxy": "http://proxy:3128", "prefix": "in/out"},
        {"sse": "aws:kms", "kms_key_id": "x", "part_size": "5MiB"},
    ],
)
def test_settings_that_fit_are_taken(settings: dict[str, Any]) -> None:
    """The control."""
    assert S3(bucket="b", **settings).location("x.csv").endswith("x.csv")


def test_ten_thousand_parts_are_enough_for_five_terabytes() -> None:
    """They grow in steps of a mebibyte, cover every byte once, and an empty file has one, empty."""
    for size, part_size in (
        (0, 5 << 20),
        (1, 5 << 20),
        (16 << 20, 16 << 20),
        (10**9, 16 << 20),
        (5 * 10**12, 16 << 20),
    ):
        found = pieces(0, size, part_size)
        assert (len(found) <= MOST_PARTS, sum(piece.size for piece in found)) == (True, size)
        assert [piece.start for piece in found[1:]] == [piece.start + piece.size for piece in found[:-1]]
        assert {piece.size % (1 << 20) for piece in found[:-1]} <= {0}
    assert [(piece.number, piece.size) for piece in pieces(0, 0, 5 << 20)] == [(1, 0)]


def test_an_object_says_its_hash_and_what_was_asked_for(tray: Tray, part: Path) -> None:
    """Metadata, encryption, storage class and tags arrive, of one part and of several."""
    asked = {"sse": "AES256", "storage_class": "STANDARD_IA", "tags": {"team": "crm & co"}, "part_size": "5MiB"}
    store = tray.store(**asked)
    for name, data in (("one.csv", b"rows"), ("many.bin", os.urandom(12 << 20))):
        part.write_bytes(data)
        token = store.stage(part, name, "g1-f1")
        assert len(Upload.of(token).parts) == (1 if name == "one.csv" else 3)
        store.publish(token, name, None, part)
        head = tray.client.head_object(Bucket=BUCKET, Key=tray.key(name))
        assert (head["Metadata"], head["ServerSideEncryption"]) == ({"sha256": sha(data)}, "AES256")
        tags = tray.client.get_object_tagging(Bucket=BUCKET, Key=tray.key(name))["TagSet"]
        assert tags == [{"Key": "team", "Value": "crm & co"}]
        assert (head["StorageClass"], tray.get(name)) == ("STANDARD_IA", data)
    store.close()


@pytest.mark.parametrize("checksum", ["crc32", "md5"])
def test_damaged_bytes_are_refused_by_the_server(tray: Tray, part: Path, checksum: str) -> None:
    """A part that is not what its checksum was made of is not taken; the control is the same without the change."""
    store = tray.store(checksum=checksum)
    other = mock.patch.object(Piece, "blocks", return_value=[b"Rows"])
    with other, pytest.raises(ConnectorError, match="BadDigest") as refused:
        store.stage(part, "x.csv", "g1-f1")
    assert refused.value.retriable
    store.publish(store.stage(part, "x.csv", "g1-f1"), "x.csv", None, part)
    assert (tray.get("x.csv"), tray.hidden()) == (b"rows", [])
    store.close()


def test_a_lost_answer_is_no_second_publication(tray: Tray, part: Path) -> None:
    """Completing again finds our own object, or no upload: equal bytes are success, once there."""
    store = tray.store()
    token = store.stage(part, "x.csv", "g1-f1")
    with failing("s3.publish.completed"), pytest.raises(KeyboardInterrupt):
        store.publish(token, "x.csv", None, part)
    store.publish(token, "x.csv", None, part)
    store.publish(token, "x.csv", sha(b"older"), part)
    assert (tray.names(), tray.get("x.csv"), tray.hidden()) == (["x.csv"], b"rows", [])
    second = store.stage(part, "x.csv", "g1-f2")
    store.publish(second, "x.csv", None, part)
    assert tray.hidden() == []
    store.close()


def test_a_file_that_appears_at_the_last_moment_stays(tray: Tray, part: Path) -> None:
    """Between the look and the completion: it is the server that refuses, new and replacing alike."""
    store = tray.store()
    token = store.stage(part, "x.csv", "g1-f1")
    with (
        at("s3.publish.looked", lambda: tray.put("x.csv", b"else")),
        pytest.raises(ConnectorError, match="not written by"),
    ):
        store.publish(token, "x.csv", None, part)
    with (
        at("s3.publish.looked", lambda: tray.put("x.csv", b"anew")),
        pytest.raises(ConnectorError, match="not written by"),
    ):
        store.publish(token, "x.csv", sha(b"else"), part)
    assert tray.get("x.csv") == b"anew"
    store.publish(token, "x.csv", sha(b"anew"), part)
    assert tray.get("x.csv") == b"rows"
    store.close()


def test_a_file_that_goes_at_the_last_moment_is_looked_for_again(tray: Tray, part: Path) -> None:
    """A try that may be made again, and then goes through."""
    store = tray.store()
    tray.put("x.csv", b"else")
    token = store.stage(part, "x.csv", "g1-f1")
    with at("s3.publish.looked", lambda: tray.take("x.csv")), pytest.raises(ConnectorError) as changed:
        store.publish(token, "x.csv", sha(b"else"), part)
    assert changed.value.retriable
    store.publish(token, "x.csv", sha(b"else"), part)
    assert tray.get("x.csv") == b"rows"
    store.close()


def test_what_changed_after_the_look_is_not_removed(tray: Tray, part: Path) -> None:
    """The server compares; the control is the removal of what was looked at."""
    store = tray.store()
    store.publish(store.stage(part, "x.csv", "g1-f1"), "x.csv", None, part)
    with at("s3.remove.begins", lambda: tray.put("x.csv", b"else")):
        store.remove("x.csv", sha(b"rows"), "g2-f1", lambda: None)
    assert tray.get("x.csv") == b"else"
    store.remove("x.csv", sha(b"else"), "g2-f1", lambda: None)
    assert tray.names() == []
    store.close()


def test_a_newer_upload_stays_and_an_older_one_goes(tray: Tray, part: Path) -> None:
    """Of other workers nothing is known but when they began: before ours it goes, after ours it stays."""
    old, worker, new = tray.store(), tray.store(), tray.store()
    left = old.stage(part, "x.csv", "g1-f1")
    worker.stat("x.csv")
    pause()
    mine = worker.stage(part, "x.csv", "g1-f2")
    pause()
    newer = new.stage(part, "x.csv", "g1-f3")
    assert [Upload.of(token).upload for token in worker.sweep("x.csv", frozenset({mine}), "g1-f2")] == [
        Upload.of(left).upload
    ]
    assert [worker.staged(token) for token in (left, mine, newer)] == [False, True, True]
    worker.sweep("x.csv", frozenset(), "g1-f2")
    assert [worker.staged(token) for token in (mine, newer)] == [False, True]
    for store in (old, worker, new):
        store.close()


def test_a_worker_that_stages_nothing_sweeps_what_was_there_before_it(tray: Tray, part: Path) -> None:
    """And leaves what began since it first spoke with the server."""
    old, worker, new = tray.store(), tray.store(), tray.store()
    left = old.stage(part, "x.csv", "g1-f1")
    pause()
    worker.stat("x.csv")
    newer = new.stage(part, "x.csv", "g1-f3")
    worker.sweep("x.csv", frozenset(), "g1-f2")
    assert [worker.staged(token) for token in (left, newer)] == [False, True]
    for store in (old, worker, new):
        store.close()


def test_an_endpoint_without_conditions_is_found_out(tray: Tray) -> None:
    """`outgate check --connect` says so; the control is the server as it is."""
    store = tray.store()
    assert store.check() == []

    def drop(request: Any, **_: Any) -> None:
        del request.headers["If-None-Match"]

    made = store._made
    with mock.patch.object(S3, "_made", side_effect=lambda: listening(made(), drop)):
        [problem] = store.check()
    assert "does not keep conditions" in problem
    assert (tray.names(), tray.hidden()) == ([], [])


def test_wrong_keys_are_named_and_never_shown(tray: Tray, part: Path) -> None:
    """An unknown key, a wrong secret, a user without the right to write, no credentials at all."""
    for settings, environment, words in (
        ({}, {"OUTGATE_S3_KEY": "AKIACANARYCANARY"}, "InvalidAccessKeyId.*check `access_key_id`"),
        ({}, {"OUTGATE_S3_SECRET": "canary-secret"}, "SignatureDoesNotMatch.*check `access_key_id`"),
        ({}, {"OUTGATE_S3_KEY": READER, "OUTGATE_S3_SECRET": READER_SECRET}, "AccessDenied.*s3:PutObject"),
        ({"access_key_id": None, "secret_access_key": None}, {}, "credentials.*`profile`"),
    ):
        with mock.patch.dict(os.environ, environment):
            store = tray.store(**settings)
            with pytest.raises(ConnectorError, match=f"uploading s3://{BUCKET}/.*{words}") as refused:
                store.stage(part, "x.csv", "g1-f1")
            [problem] = store.check()
        assert (refused.value.retriable, "canary" in (str(refused.value) + problem).lower()) == (False, False)


def test_what_cannot_be_reached_is_said(tray: Tray, part: Path) -> None:
    """No bucket of that name; nobody at that port, which may pass."""
    with pytest.raises(ConnectorError, match=r"NoSuchBucket.*check `bucket`"):
        tray.store(bucket="no-such-bucket").stage(part, "x.csv", "g1-f1")
    with pytest.raises(ConnectorError, match="check `endpoint_url`") as refused:
        tray.store(endpoint_url="http://127.0.0.1:1").stage(part, "x.csv", "g1-f1")
    assert refused.value.retriable


def test_a_certificate_is_verified(part: Path) -> None:
    """By `ca_file`; the control is refused, and says what to give."""
    with mock.patch.dict(os.environ, KEYS), running_seaweed(tls=True) as server:
        tray = Tray(server)
        store = tray.store(ca_file=str(server.certificate))
        store.publish(store.stage(part, "x.csv", "g1-f1"), "x.csv", None, part)
        assert tray.get("x.csv") == b"rows"
        store.close()
        with pytest.raises(ConnectorError, match="`ca_file`") as refused:
            tray.store().stage(part, "x.csv", "g1-f1")
        assert not refused.value.retriable


def test_a_link_is_for_anyone_and_for_a_time(tray: Tray, part: Path) -> None:
    """It reads that object only, a changed one is refused, and seven days are the most."""
    store = tray.store()
    store.publish(store.stage(part, "ä b.csv", "g1-f1"), "ä b.csv", None, part)
    signed = store.link("ä b.csv", 60)
    assert fetched(signed) == (200, b"rows")
    assert fetched(signed.replace("X-Amz-Expires=60", "X-Amz-Expires=600"))[0] == 403
    with pytest.raises(ConnectorError, match="7 days"):
        store.link("ä b.csv", 604_801)
    assert KEYS["OUTGATE_S3_SECRET"] not in signed
    store.close()


def test_a_link_that_would_end_sooner_is_refused(tray: Tray) -> None:
    """With a session token nobody knows the end of, and with a role that is left before."""
    with pytest.raises(ConnectorError, match="nothing says when they end"):
        tray.store(session_token=KEY).link("x.csv", 60)
    ends = datetime.now(UTC) + timedelta(minutes=30)
    with assuming(ends) as asked:
        store = tray.store(role_arn="arn:aws:iam::1:role/x", external_id="partner-7", region="eu-west-1")
        assert "X-Amz-Security-Token=role-token" in store.link("x.csv", 600)
        with pytest.raises(ConnectorError, match=r"end in \d+ s"):
            store.link("x.csv", 3600)
    assert asked == [
        {
            "DurationSeconds": 3600,
            "ExternalId": "partner-7",
            "RoleArn": "arn:aws:iam::1:role/x",
            "RoleSessionName": "outgate",
        }
    ]


def test_a_role_is_assumed_again_before_it_ends(tray: Tray) -> None:
    """Each link is signed with credentials that last; a refusal says what was asked and never the keys."""
    with assuming(datetime.now(UTC) + timedelta(minutes=5)) as asked:
        store = tray.store(role_arn="arn:aws:iam::1:role/x")
        store.link("x.csv", 60)
        store.link("x.csv", 60)
    assert len(asked) > 1
    with assuming(None), pytest.raises(ConnectorError, match="AccessDenied"):
        tray.store(role_arn="arn:aws:iam::1:role/x").link("x.csv", 60)


RECORDED = [
    ("SlowDown", 503, "Please reduce your request rate.", True, "lower `concurrency`"),
    ("InternalError", 500, "We encountered an internal error. Please try again.", True, "busy or in trouble"),
    ("ExpiredToken", 400, "The provided token has expired.", False, "renew them"),
    ("RequestTimeTooSkewed", 403, "The difference between the request time and the current time is too large.", False, "clock"),
    ("AuthorizationHeaderMalformed", 400, "the region 'us-east-1' is wrong; expecting 'eu-west-1'", False, "`region`"),
    ("KMS.DisabledException", 400, "arn:aws:kms:eu-west-1:1:key/x is disabled.", False, "`kms_key_id`"),
    ("AccessControlListNotSupported", 400, "The bucket does not allow ACLs", False, "leave `acl` out"),
    ("TooManyRequests", 429, "", True, "busy"),
    ("SomethingNew", 400, "who knows", False, "who knows"),
]  # fmt: skip
"""Answers of S3 that the server of the tests never gives (API Reference, Error responses)."""


@pytest.mark.parametrize(("code", "status", "said", "retriable", "words"), RECORDED)
def test_what_s3_answers_is_said_with_what_to_do(
    code: str, status: int, said: str, retriable: bool, words: str
) -> None:
    """And whether the same may go well later."""
    answer: Any = {"Error": {"Code": code, "Message": said}, "ResponseMetadata": {"HTTPStatusCode": status}}
    with pytest.raises(Refusal, match=words) as refused, translated("uploading x"):
        raise ClientError(answer, "UploadPart")
    assert (refused.value.code, refused.value.retriable) == (code, retriable)


@pytest.mark.parametrize("code", ["ConditionalRequestConflict", "NoSuchUpload"])
def test_an_upload_that_cannot_be_completed_any_more_is_staged_again(tray: Tray, part: Path, code: str) -> None:
    """Unless our bytes are there already."""
    answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 409}}
    store = tray.store()
    token = store.stage(part, "x.csv", "g1-f1")

    def conflict(**_: Any) -> None:
        raise ClientError(answer, "CompleteMultipartUpload")

    with mock.patch.object(store._opened(), "complete_multipart_upload", conflict):
        with pytest.raises(FileNotFoundError):
            store.publish(token, "x.csv", None, part)
        tray.client.put_object(Bucket=BUCKET, Key=tray.key("x.csv"), Body=b"rows", Metadata={"sha256": sha(b"rows")})
        store.publish(token, "x.csv", None, part)
    store.close()


def test_an_endpoint_that_is_gone_is_no_refusal() -> None:
    """It has no code, and may come back."""
    with pytest.raises(ConnectorError) as broken, translated("uploading x"):
        raise EndpointConnectionError(endpoint_url="https://s3.example.com")
    assert (broken.value.retriable, isinstance(broken.value, Refusal)) == (True, False)


def fetched(url: str) -> tuple[int, bytes]:
    """Status and bytes that anyone gets."""
    answer = urllib3.request("GET", url)
    return answer.status, answer.data


def pause() -> None:
    """Into the server's next second: uploads began in whole ones."""
    time.sleep(1.1)


class at:  # noqa: N801  (used like a function)
    """Do something when the process is at a failpoint."""

    def __init__(self, name: str, do: Any) -> None:
        self.name, self.do = name, do

    def __enter__(self) -> None:
        failpoint.install(lambda name: self.do() if name == self.name else None)

    def __exit__(self, *_: object) -> None:
        failpoint.install(None)


def failing(name: str) -> at:
    """End the call at a failpoint, as a kill does."""

    def end() -> None:
        raise KeyboardInterrupt

    return at(name, end)


def listening(client: Any, before_sign: Any) -> Any:
    """A client whose requests to complete pass by here before they are signed."""
    client.meta.events.register("before-sign.s3.CompleteMultipartUpload", before_sign)
    return client


class assuming:  # noqa: N801  (used like a function)
    """STS, which cannot be had here: its answer as recorded, or AccessDenied for an end of None."""

    def __init__(self, ends: datetime | None) -> None:
        self.ends, self.asked = ends, list[dict[str, Any]]()

    def __enter__(self) -> list[dict[str, Any]]:
        from botocore.client import BaseClient

        call = BaseClient._make_api_call

        def answered(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
            if operation != "AssumeRole":
                return call(client, operation, parameters)
            self.asked.append(dict(sorted(parameters.items())))
            if self.ends is None:
                raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not authorized"}}, operation)
            keys = {"AccessKeyId": "ASIAROLE", "SecretAccessKey": "role-secret", "SessionToken": "role-token"}
            return {"Credentials": keys | {"Expiration": self.ends}, "AssumedRoleUser": {"Arn": "arn:aws:sts::1:x"}}

        self.patched = mock.patch.object(BaseClient, "_make_api_call", answered)
        self.patched.start()
        return self.asked

    def __exit__(self, *_: object) -> None:
        self.patched.stop()
