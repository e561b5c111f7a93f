"""Azure Blob Storage alone: ways to log in, what the service refuses, lost answers, workers that come late, links."""

from __future__ import annotations

import hashlib
import re
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from ssl import create_default_context
from typing import Any

import pytest
from azure.storage.blob import ContainerClient
from pydantic import ValidationError

from resources import failpoint
from resources.stores.azure import BLOCK, Azure
from spec.errors import ConnectorError, DeclarationError
from spec.secrets import FromFile
from tests.servers.azurite import Azurite

BIG = hashlib.shake_256(b"seed").digest(2 * BLOCK + 1000)
KNOWN = hashlib.sha256(BIG).hexdigest()


@pytest.fixture
def box(azurite: Azurite, request: pytest.FixtureRequest) -> Iterator[ContainerClient]:
    """A container of one's own, as its owner."""
    with azurite.service as service:
        name = "box-" + hashlib.sha256(request.node.name.encode()).hexdigest()[:12]
        owner = service.create_container(name)
        yield owner
        owner.delete_container()


@pytest.fixture
def part(tmp_path: Path) -> Path:
    """A sealed part of two blocks and a bit."""
    path = tmp_path / "part"
    path.write_bytes(BIG)
    return path


class Making:
    """Makes stores for one container, with secrets in files."""

    def __init__(self, server: Azurite, box: ContainerClient, folder: Path) -> None:
        self.server, self.box, self.folder = server, box, folder

    def secret(self, text: str) -> FromFile:
        """A secret."""
        path = self.folder / hashlib.sha256(text.encode()).hexdigest()[:8]
        path.write_text(text, encoding="utf-8")
        return FromFile(file=str(path))

    def __call__(self, **settings: Any) -> Azure:
        """A store; texts under the names of secrets become files."""
        usual: dict[str, Any] = {"ca_file": str(self.server.certificate)}
        if "container_url" not in settings:
            usual["container"] = self.box.container_name
        if {"sas", "key"} & settings.keys():
            usual["url"] = self.server.url
        for name in ("sas", "key", "connection_string", "container_url"):
            if name in settings:
                settings[name] = self.secret(settings[name])
        return Azure(**usual | settings)

    def sas(self, rights: str = "rcwd", hours: float = 1) -> str:
        """A SAS for the container."""
        return self.server.sas(self.box.container_name, rights, hours)


@pytest.fixture
def make(azurite: Azurite, box: ContainerClient, tmp_path: Path) -> Making:
    """What makes stores."""
    return Making(azurite, box, tmp_path)


@contextmanager
def at(point: str, action: Any) -> Iterator[None]:
    """Do something whenever a store is at a point."""
    failpoint.install(lambda name: action() and None if name == point else None)
    try:
        yield
    finally:
        failpoint.install(None)


def names(box: ContainerClient) -> list[str]:
    """What a listing shows."""
    return sorted(box.list_blob_names())


@pytest.mark.parametrize("way", ["connection_string", "container_url", "sas", "?sas", "key", "string with a SAS"])
def test_every_way_to_log_in(make: Making, part: Path, way: str) -> None:
    """As Azure's portal gives it to copy."""
    server, container = make.server, make.box.container_name
    store = make(
        **{
            "connection_string": {"connection_string": server.connection_string},
            "string with a SAS": {"connection_string": f"BlobEndpoint={server.url};SharedAccessSignature={make.sas()}"},
            "container_url": {"container_url": f"{server.url}/{container}?{make.sas()}"},
            "sas": {"sas": make.sas()},
            "?sas": {"sas": f"?{make.sas()}"},
            "key": {"key": server.key},
        }[way]
    )
    store.publish(store.stage(part, "a b.csv", "g1-f1"), "a b.csv", None, part)
    assert names(make.box) == ["a b.csv"]
    assert store.location("a b.csv") == f"{server.url}/{container}/a b.csv"
    assert store.check() == []
    store.close()


def altered(sas: str) -> str:
    """The same with another signature."""
    return re.sub(r"sig=..", lambda found: "sig=" + ("AA" if found[0] != "sig=AA" else "BB"), sas)


REFUSED: dict[str, tuple[Callable[[Making], dict[str, Any]], str]] = {
    "no right to write": (lambda make: {"sas": make.sas("rd")}, r"403 AuthorizationPermissionMismatch.*`sp=rcwd`"),
    "no right to read": (lambda make: {"sas": make.sas("cwd")}, r"403 AuthorizationPermissionMismatch.*`sp=rcwd`"),
    "expired": (lambda make: {"sas": make.sas(hours=-1)}, r"403 Auth.*Fail.*has expired.*valid until 20\d\d-"),
    "altered": (lambda make: {"sas": altered(make.sas())}, r"403 Auth\w+; the key or SAS was not accepted"),
    "wrong key": (lambda _: {"key": "d3Jvbmc="}, r"403 Auth\w+; the key or SAS was not accepted"),
    "no container": (
        lambda make: {"key": make.server.key, "container": "nobodys"}, "404 ContainerNotFound.*check `container`",
    ),
    "unknown certificate": (lambda make: {"sas": make.sas(), "ca_file": None}, "TLS was not accepted"),
    "nobody listens": (lambda make: {"sas": make.sas(), "url": "https://127.0.0.1:9/acct"}, "nothing answers there"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_is_one_sentence(make: Making, part: Path, case: str) -> None:
    """It names the step and the container, says what to do, and holds no secret."""
    settings, said = REFUSED[case]
    store = make(**settings(make))
    with pytest.raises(ConnectorError, match=said) as refused:
        store.publish(store.stage(part, "x.csv", "g1-f1"), "x.csv", None, part)
    text = str(refused.value)
    assert re.match(r"(looking for|writing) 'x.csv' in https://127", text)
    assert "sig=" not in text
    assert refused.value.retriable == (case == "nobody listens")
    [problem] = store.check()
    assert re.search(said, problem)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"key": "abc"}, "is no base64 text"),
        ({"connection_string": "geheim=1"}, "`connection_string` is not what Azure calls one"),
        ({"container_url": "geheim"}, "`container_url` is not what Azure calls one"),
        ({"container_url": "http://blob.example.com/box?sig=geheim"}, "plain text"),
        (
            {"connection_string": "BlobEndpoint=http://blob.example.com;AccountName=a;AccountKey=Z2VoZWlt"},
            "plain text",
        ),
    ],
)
def test_secrets_that_are_none(make: Making, settings: dict[str, Any], said: str) -> None:
    """Found out when they are used; what they hold is not shown."""
    with pytest.raises(DeclarationError, match=said) as refused:
        make(**settings).stat("x.csv")
    assert "geheim" not in str(refused.value)
    assert "Z2VoZWlt" not in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "no right to log in"),
        ({"sas": FromFile(file="a"), "key": FromFile(file="b"), "account": "a", "container": "c"}, "sas and key"),
        ({"sas": FromFile(file="a"), "container": "c"}, "wants `account` or `url`"),
        ({"sas": FromFile(file="a"), "account": "a"}, "say `container`"),
        ({"container_url": FromFile(file="a"), "container": "c"}, "say `container`"),
        ({"sas": FromFile(file="a"), "url": "http://blob.example.com", "container": "c"}, "plain text"),
    ],
)
def test_settings_that_do_not_go_together(settings: dict[str, Any], said: str) -> None:
    """Found out in the declaration."""
    with pytest.raises(ValidationError, match=said):
        Azure(**settings)


def test_an_account_has_its_usual_address() -> None:
    """And a network that is trusted may be spoken to in plain text."""
    secret = FromFile(file=__file__)
    store = Azure(account="acme", sas=secret, container="box")
    assert store._way()["url"] == "https://acme.blob.core.windows.net"
    Azure(url="http://blob.example.com", sas=secret, container="box", allow_plaintext=True)


def test_what_a_blob_is_given(make: Making, part: Path) -> None:
    """Tier, metadata and the MD5 of its bytes, as declared."""
    store = make(sas=make.sas(), tier="Cool", metadata={"team": "crm"}, prefix="/in/")
    store.publish(store.stage(part, "x.csv", "g1-f1"), "x.csv", None, part)
    found = make.box.get_blob_client("in/x.csv").get_blob_properties()
    assert (found.blob_tier, found.metadata["team"], found.metadata["outgate_sha256"]) == ("Cool", "crm", KNOWN)
    assert bytes(found.content_settings.content_md5 or b"") == hashlib.md5(BIG, usedforsecurity=False).digest()


def test_an_empty_file_is_published_once(make: Making, part: Path) -> None:
    """It has no block to commit; its mark tells whether it is still staged."""
    part.write_bytes(b"")
    store = make(sas=make.sas())
    token = store.stage(part, "x.csv", "g1-f1")
    assert (store.staged(token), names(make.box)) == (True, [])
    store.publish(token, "x.csv", None, part)
    assert (store.staged(token), make.box.download_blob("x.csv").readall()) == (False, b"")
    make.box.delete_blob("x.csv")
    with pytest.raises(FileNotFoundError):
        store.publish(token, "x.csv", None, part)


def test_a_lost_answer_is_no_failure(make: Making, part: Path) -> None:
    """Publishing again finds our own blob, and writes nothing."""
    store = make(sas=make.sas())
    token = store.stage(part, "x.csv", "g1-f1")
    store.publish(token, "x.csv", None, part)
    etag = make.box.get_blob_client("x.csv").get_blob_properties().etag
    store.publish(token, "x.csv", None, part)
    assert make.box.get_blob_client("x.csv").get_blob_properties().etag == etag


def test_what_the_library_might_send_twice_is_no_failure(make: Making, part: Path) -> None:
    """The same list committed between the look and the commit is refused as there already: it is ours."""
    store, twin = make(sas=make.sas()), make(sas=make.sas())
    token = store.stage(part, "x.csv", "g1-f1")

    def first() -> None:
        failpoint.install(None)
        twin.publish(token, "x.csv", None, part)

    with at("azure.publish.commits", first):
        store.publish(token, "x.csv", None, part)
    assert make.box.download_blob("x.csv").readall() == BIG


@pytest.mark.parametrize("replaces", [None, hashlib.sha256(b"ours").hexdigest()])
def test_what_comes_in_the_last_moment_is_not_replaced(make: Making, part: Path, replaces: str | None) -> None:
    """After the look and before the commit: If-None-Match and If-Match refuse, for a new name and a known one."""
    store = make(sas=make.sas())
    if replaces:
        make.box.upload_blob("x.csv", b"ours")
    token = store.stage(part, "x.csv", "g1-f1")

    def meddle() -> None:
        make.box.upload_blob("x.csv", b"else", overwrite=True)

    with at("azure.publish.commits", meddle), pytest.raises(ConnectorError, match="was not written by this delivery"):
        store.publish(token, "x.csv", replaces, part)
    assert make.box.download_blob("x.csv").readall() == b"else"


def test_a_late_worker_finds_its_blocks_gone(make: Making, part: Path) -> None:
    """Whoever published dropped them; that it is the same bytes is for the next look to find."""
    store = make(sas=make.sas())
    late, mine = store.stage(part, "x.csv", "g1-f9"), store.stage(part, "x.csv", "g1-f10")
    store.publish(mine, "x.csv", None, part)
    assert not store.staged(late)
    for replaces in (None, KNOWN):
        with pytest.raises(FileNotFoundError):
            store.publish(late, "x.csv", replaces, part)


def test_what_comes_before_the_removal_stays(make: Making, part: Path) -> None:
    """The same bytes written anew by somebody who overtook us are not the blob that was looked at."""
    store = make(sas=make.sas())
    store.publish(store.stage(part, "x.csv", "g1-f1"), "x.csv", None, part)

    def overtake() -> None:
        make.box.upload_blob("x.csv", BIG, overwrite=True)

    store.remove("x.csv", KNOWN, "g1-f1", overtake)
    assert names(make.box) == ["x.csv"]


def test_another_programs_upload_is_said_to_be_in_the_way(make: Making, part: Path) -> None:
    """Ids of another length on the same name: the server takes no others."""
    make.box.get_blob_client("x.csv").stage_block("short", b"x", length=1)
    with pytest.raises(ConnectorError, match="InvalidBlobOrBlock; another program has an unfinished upload"):
        make(sas=make.sas()).stage(part, "x.csv", "g1-f1")


def test_a_link_needs_the_key(make: Making, part: Path) -> None:
    """Anyone reads by it; where only a SAS is there, nothing can be signed and the location is given."""
    store = make(key=make.server.key)
    store.publish(store.stage(part, "a b.csv", "g1-f1"), "a b.csv", None, part)
    trusting = create_default_context(cafile=str(make.server.certificate))
    with urllib.request.urlopen(store.link("a b.csv", 60), context=trusting) as answer:  # noqa: S310  (ours, https)
        assert answer.read() == BIG
    other = make(sas=make.sas())
    assert other.link("a b.csv", 60) == other.location("a b.csv")
    assert "sig=" not in other.location("a b.csv")
