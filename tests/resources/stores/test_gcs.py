"""Google Cloud Storage alone: lost answers, broken lines, what the service refuses, keys and addresses, links."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.auth.credentials import Credentials
from google.cloud import storage
from google.oauth2 import service_account
from pydantic import ValidationError

from resources import failpoint
from resources.stores import gcs
from resources.stores.gcs import PIECE, Gcs
from spec.errors import ConnectorError, DeclarationError
from spec.secrets import FromFile
from tests.servers.gcs import BUCKET, GcsServer, running_gcs

BIG = hashlib.shake_256(b"seed").digest(2 * PIECE + 1000)


@pytest.fixture
def server() -> Iterator[GcsServer]:
    """A stand-in of one's own, whose faults are nobody else's."""
    with running_gcs() as made:
        yield made


@pytest.fixture
def part(tmp_path: Path) -> Path:
    """A sealed part of two pieces and a bit."""
    path = tmp_path / "part"
    path.write_bytes(BIG)
    return path


def made(server: GcsServer, folder: Path, role: str = "user", *, known: bool = True, **settings: Any) -> Gcs:
    """A store with a service account of that role."""
    (folder / f"{role}.json").write_text(server.account(role, known=known), encoding="utf-8")
    usual: dict[str, Any] = {"bucket": BUCKET, "endpoint": server.url}
    return Gcs(credentials=FromFile(file=str(folder / f"{role}.json")), **usual | settings)


@pytest.fixture
def store(server: GcsServer, tmp_path: Path) -> Iterator[Gcs]:
    """A store that may do what is needed."""
    store = made(server, tmp_path)
    yield store
    store.close()


def once(what: str | int, pattern: str) -> Callable[[str], str | int | None]:
    """A fault that strikes the first request that looks so."""
    left = iter([what])
    return lambda line: next(left, None) if re.search(pattern, line) else None


LAST = r"^PUT .*bytes \d+-\d+/\d+$"
"""The request that ends an upload."""


@pytest.mark.parametrize("fault", ["answer lost", "lost", 503, 429])
def test_a_publication_is_taken_again(server: GcsServer, store: Gcs, part: Path, fault: str | int) -> None:
    """Whether it was the request that got lost, or its answer: there is one object, written once."""
    token = store.stage(part, "x.csv", "g1-f1")
    server.fault = once(fault, LAST)
    with pytest.raises(ConnectorError) as lost:
        store.publish(token, "x.csv", None, part)
    assert lost.value.retriable
    assert server.things.keys() == ({"x.csv"} if fault == "answer lost" else set())
    store.publish(token, "x.csv", None, part)
    found = server.things["x.csv"]
    store.publish(token, "x.csv", None, part)
    assert (found.data, server.things["x.csv"].generation) == (BIG, found.generation)


@pytest.mark.parametrize("fault", ["answer lost", "lost", 503])
def test_a_line_that_breaks_costs_a_piece(server: GcsServer, store: Gcs, part: Path, fault: str | int) -> None:
    """Staging goes on from what the server has, without another upload."""
    server.fault = once(fault, r"bytes 8388608-")
    store.publish(store.stage(part, "x.csv", "g1-f1"), "x.csv", None, part)
    assert server.things["x.csv"].data == BIG
    assert sum("uploadType=resumable&name" in line for line in server.requests) == 1


@pytest.mark.parametrize(("status", "said"), [(503, "503"), (308, "kept nothing of a piece")])
def test_a_line_that_stays_broken_ends_the_step(
    server: GcsServer, store: Gcs, part: Path, status: int, said: str
) -> None:
    """The control: it is not tried for ever, and said to be worth another try."""
    server.fault = lambda line: status if "bytes 8388608-" in line else None
    with pytest.raises(ConnectorError, match=said) as broken:
        store.stage(part, "x.csv", "g1-f1")
    assert broken.value.retriable


def test_the_last_piece_is_kept_back(server: GcsServer, store: Gcs, part: Path) -> None:
    """Staging sends whole pieces of unknown total; the bytes that make the object come with publish."""
    token = store.stage(part, "x.csv", "g1-f1")
    sent = [line.rpartition(" ")[2] for line in server.requests if "bytes" in line]
    assert sent == [f"0-{PIECE - 1}/*", f"{PIECE}-{2 * PIECE - 1}/*"]
    store.publish(token, "x.csv", None, part)
    assert server.requests[-2].endswith(f"bytes {2 * PIECE}-{len(BIG) - 1}/{len(BIG)}")


def test_a_file_that_changed_since_is_refused_by_the_server(server: GcsServer, store: Gcs, part: Path) -> None:
    """Its crc32c and MD5 were sent when the upload began: damaged bytes never become an object."""
    token = store.stage(part, "x.csv", "g1-f1")
    part.write_bytes(BIG[:-1] + b"!")
    with pytest.raises(ConnectorError, match="doesn't match calculated"):
        store.publish(token, "x.csv", None, part)
    assert not server.things


def test_what_was_written_since_stage_saw_is_not_replaced(server: GcsServer, store: Gcs, part: Path) -> None:
    """Known or not: the upload was for another state. A stranger's is refused, our own wants a new upload."""
    token = store.stage(part, "x.csv", "g1-f1")
    server.put("x.csv", b"else")
    with pytest.raises(ConnectorError, match="was not written by this delivery"):
        store.publish(token, "x.csv", None, part)
    with pytest.raises(FileNotFoundError):
        store.publish(token, "x.csv", hashlib.sha256(b"else").hexdigest(), part)
    assert server.things["x.csv"].data == b"else"


def test_what_comes_in_the_last_moment_is_not_replaced(server: GcsServer, store: Gcs, part: Path) -> None:
    """After the look and before the last piece: the server's precondition refuses."""
    token = store.stage(part, "x.csv", "g1-f1")

    def meddle(name: str) -> None:
        if name == "gcs.publish.finishes":
            server.put("x.csv", b"else")

    failpoint.install(meddle)
    try:
        with pytest.raises(ConnectorError, match="was not written by this delivery"):
            store.publish(token, "x.csv", None, part)
    finally:
        failpoint.install(None)
    assert server.things["x.csv"].data == b"else"


def test_what_comes_before_the_removal_stays(server: GcsServer, store: Gcs, part: Path) -> None:
    """The same bytes written anew by somebody who overtook us are not the object that was looked at."""
    store.publish(store.stage(part, "x.csv", "g1-f1"), "x.csv", None, part)

    def overtake() -> None:
        server.put("x.csv", BIG)

    store.remove("x.csv", hashlib.sha256(BIG).hexdigest(), "g1-f1", overtake)
    assert server.things["x.csv"].data == BIG


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a deleted key": ({"known": False}, "credentials were not accepted"),
    "a role that only reads": ({"role": "viewer"}, r"403 .*roles/storage\.objectUser"),
    "a role that only writes": ({"role": "creator"}, r"403 .*roles/storage\.objectUser"),
    "no such bucket": ({"bucket": "nobodys"}, "there is no such bucket: check `bucket`"),
    "nobody listens": ({"endpoint": "http://127.0.0.1:9"}, "the line broke, or nothing listens there"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_is_one_sentence(server: GcsServer, part: Path, tmp_path: Path, case: str) -> None:
    """It names the step and the bucket, says what to do, and holds no secret. `check --connect` says the same."""
    settings, said = REFUSED[case]
    store = made(server, tmp_path, **settings)
    with pytest.raises(ConnectorError, match=said) as refused:
        store.stage(part, "x.csv", "g1-f1")
    assert "PRIVATE KEY" not in str(refused.value)
    assert re.match(r"(looking for|writing) 'x.csv' in gs://", str(refused.value))
    assert refused.value.retriable == (case == "nobody listens")
    [problem] = store.check()
    assert re.search(said, problem)


def test_the_address_of_an_upload_is_in_no_text(server: GcsServer, store: Gcs, part: Path) -> None:
    """Whoever has it can write the object: it is in the token and nowhere else."""
    token = store.stage(part, "x.csv", "g1-f1")
    number = next(iter(server.uploads))
    assert number in token
    said = []
    for fault in ("lost", 503, 400, 403):
        server.fault = lambda line, fault=fault: fault if "upload_id" in line else None
        for step in (lambda: store.staged(token), lambda: store.publish(token, "x.csv", None, part)):
            with pytest.raises(ConnectorError) as refused:
                step()
            said.append(str(refused.value))
    assert len(said) == 8
    assert number not in "".join(said)


def test_an_upload_that_is_over_is_begun_again(server: GcsServer, store: Gcs, part: Path) -> None:
    """After a week the server has forgotten it."""
    token = store.stage(part, "x.csv", "g1-f1")
    server.uploads.clear()
    assert not store.staged(token)
    with pytest.raises(FileNotFoundError):
        store.publish(token, "x.csv", None, part)


def test_a_token_of_another_place_is_not_used(server: GcsServer, store: Gcs, part: Path, tmp_path: Path) -> None:
    """The declaration has changed since."""
    token = store.stage(part, "x.csv", "g1-f1")
    other = made(server, tmp_path, prefix="elsewhere")
    with pytest.raises(FileNotFoundError):
        other.publish(token, "x.csv", None, part)
    assert not server.things


def test_what_an_object_is_given(server: GcsServer, part: Path, tmp_path: Path) -> None:
    """Class, metadata, key, ACL and who pays are asked for as they are declared."""
    store = made(
        server, tmp_path, prefix="/in/", storage_class="NEARLINE", metadata={"team": "crm"}, kms_key="projects/p/k",
        predefined_acl="bucketOwnerFullControl", project="payer",
    )  # fmt: skip
    store.publish(store.stage(part, "x.csv", "g1-f1"), "x.csv", None, part)
    about = server.things["in/x.csv"].about
    assert (about["storageClass"], about["metadata"]["team"]) == ("NEARLINE", "crm")
    [begun] = [line for line in server.requests if line.startswith("POST /upload")]
    for wanted in ("kmsKeyName=projects%2Fp%2Fk", "predefinedAcl=bucketOwnerFullControl", "userProject=payer"):
        assert wanted in begun


def test_plain_text_is_refused_unless_it_is_wanted() -> None:
    """A loopback is no network."""
    for endpoint in ("http://gcs.example.com", "ftp://x", "nonsense"):
        with pytest.raises(ValidationError, match=r"plain text|is no address"):
            Gcs(bucket=BUCKET, endpoint=endpoint)
    Gcs(bucket=BUCKET, endpoint="http://gcs.example.com", allow_plaintext=True)
    Gcs(bucket=BUCKET, endpoint="http://[::1]:80")


def test_credentials_that_are_none_are_said_to_be(
    server: GcsServer, part: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is no key, and a machine without default credentials; with them, it works."""
    (tmp_path / "key").write_text('{"type": "service_account", "private_key": "s3cret"}', encoding="utf-8")
    with pytest.raises(DeclarationError, match="is not the JSON key") as refused:
        Gcs(bucket=BUCKET, endpoint=server.url, credentials=FromFile(file=str(tmp_path / "key"))).stat("x")
    assert "s3cret" not in str(refused.value)
    default = Gcs(bucket=BUCKET, endpoint=server.url)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    (tmp_path / "key.json").write_text(server.account(), encoding="utf-8")
    default.publish(default.stage(part, "x.csv", "g1-f1"), "x.csv", None, part)
    assert list(server.things) == ["x.csv"]


def test_a_link_is_signed(server: GcsServer, store: Gcs, part: Path) -> None:
    """By the account's key, version 4, for a week at most; who has no key gets the location."""
    link = store.link("a b.csv", 60)
    assert link.startswith(f"{server.url}/{BUCKET}/a%20b.csv?X-Goog-Algorithm=GOOG4-RSA-SHA256")
    assert "X-Goog-Expires=60&" in link
    assert "X-Goog-Expires=604800&" in store.link("a b.csv", 10**9)
    store._session.credentials = Credentials  # what a metadata server's account looks like: it cannot sign
    assert store.link("a b.csv", 60) == f"gs://{BUCKET}/a b.csv"


def test_googles_own_client_reads_it(server: GcsServer, store: Gcs, part: Path) -> None:
    """The stand-in is enough of the service for the vendor's library."""
    store.publish(store.stage(part, "a/ö.csv", "g1-f1"), "a/ö.csv", None, part)
    account = service_account.Credentials.from_service_account_info(json.loads(server.account()))
    client = storage.Client("test", account, client_options={"api_endpoint": server.url})
    [blob] = client.list_blobs(BUCKET)
    assert (blob.name, blob.size, blob.metadata[gcs.SHA256]) == ("a/ö.csv", len(BIG), hashlib.sha256(BIG).hexdigest())
    client.close()


def test_a_download_that_breaks_off_is_no_end(server: GcsServer, store: Gcs, part: Path) -> None:
    """Half of the bytes are never taken for the object."""
    store.publish(store.stage(part, "x.csv", "g1-f1"), "x.csv", None, part)
    server.fault = lambda line: "cut" if "alt=media" in line else None
    with pytest.raises(ConnectorError, match="line broke") as broken:
        store.digest("x.csv")
    assert broken.value.retriable
