"""What only FTP has: refusals in words, and TLS."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from resources.stores.ftp import FTP, FTPS
from spec.secrets import FromFile
from tests.resources.stores.ftp_stores import CANARY, MADE, plain, refusal, secure
from tests.servers.proftpd import FTPServer, running_proftpd
from tests.servers.scripted_ftp import scripted_ftp


def test_data_channels_take_up_the_session(proftpd_server: FTPServer, part: Path) -> None:
    """The control: this server refuses one that does not; both versions of TLS do."""
    without = secure(proftpd_server, tls_session_reuse=False)
    said = refusal(lambda: without.stage(part, "x.csv", "g1-f1"))
    without.close()
    assert "see `tls_session_reuse`" in str(said)
    assert not said.retriable
    for minimum in ("1.2", "1.3"):
        store = secure(proftpd_server, tls_minimum=minimum)
        assert store.check() == []


def test_wrong_password(proftpd_server: FTPServer, tmp_path: Path) -> None:
    """It says where, and what to look at."""
    (tmp_path / "wrong").write_text("not-the-password")
    store = secure(proftpd_server, password=FromFile(file=str(tmp_path / "wrong")))
    said = refusal(lambda: store.stat("x.csv"))
    assert "Login incorrect" in str(said)
    assert f"localhost:{proftpd_server.port}" in str(said)
    assert "check `user`" in str(said)
    assert not said.retriable
    assert "not-the-password" not in str(said)


def test_certificates_are_verified(proftpd_server: FTPServer) -> None:
    """An unknown authority, and another host's name; the control is every other test."""
    said = refusal(lambda: secure(proftpd_server, tls_ca=None).stat("x.csv"))
    assert "say in `tls_ca`" in str(said)
    with running_proftpd(names="DNS:elsewhere.example") as other:
        said = refusal(lambda: secure(other).stat("x.csv"))
    assert "it is another host's" in str(said)
    assert not said.retriable


def test_an_expired_certificate_is_refused() -> None:
    """And the message says whose business that is."""
    with running_proftpd(alter=expire) as other:
        said = refusal(lambda: secure(other).stat("x.csv"))
    assert "the partner has to renew it" in str(said)


def expire(stem: Path) -> None:
    """The same certificate, out of date."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    key: Any = serialization.load_pem_private_key(Path(f"{stem}.key").read_bytes(), None)
    old = x509.load_pem_x509_certificate(Path(f"{stem}.crt").read_bytes())
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(old.issuer, old.subject, old.public_key(), 7, now - timedelta(9), now - timedelta(2))
    for extension in old.extensions:
        made = made.add_extension(extension.value, extension.critical)
    Path(f"{stem}.crt").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


@pytest.mark.parametrize(("replies", "words"), [
    ({}, "refused AUTH TLS"),
    ({"AUTH": "421 no"}, "refused AUTH TLS"),
])  # fmt: skip
def test_no_password_without_tls(secret: FromFile, replies: dict[str, str], words: str) -> None:
    """Where somebody in between strips AUTH TLS, the password is never sent; the control: plain FTP sends it."""
    with scripted_ftp(replies) as server:
        MADE.append(store := FTPS(host="127.0.0.1", port=server.port, user="outgate", password=secret))
        assert words in str(refusal(lambda: store.stat("x.csv")))
        assert "PASS" not in server.commands
        plain(secret, server.port).stat("x.csv")
        assert f"PASS {CANARY}" in server.heard


REPLIES = {
    "421 Too many connections (2)": (True, "no connection left"),
    "425 Unable to build data connection: Operation not permitted": (False, "see `tls_session_reuse`"),
    "425 Can't open data connection": (True, "passive ports"),
    "426 Connection closed; transfer aborted": (True, "lost the data channel"),
    "450 File busy": (True, "has the file open"),
    "451 Local error": (True, "an error of its own"),
    "452 Insufficient storage": (True, "no room left"),
    "522 SSL connection failed: session reuse required": (False, "see `tls_session_reuse`"),
    "530 Sorry, the maximum number of clients (3) for this user": (True, "no connection left"),
    "550 Permission denied": (False, "write, rename, list and delete"),
    "550 No space left on device": (False, "no room left"),
    "552 Quota exceeded": (False, "no room left"),
    "553 File name not allowed": (False, "does not take this name"),
    "599 Whatever": (False, "the server's own words"),
}


@pytest.mark.parametrize("reply", REPLIES)
def test_refusals_in_words(secret: FromFile, part: Path, reply: str) -> None:
    """As servers put them: what they said, what to do, and whether trying again can help."""
    retriable, words = REPLIES[reply]
    with scripted_ftp({"STOR": reply}) as server:
        store = plain(secret, server.port)
        said = refusal(lambda: store.stage(part, "x.csv", "g1-f1"))
        store.close()
    assert said.retriable == retriable
    assert words in str(said)
    assert reply in str(said)
    assert "writing 'x.csv'" in str(said)


def test_a_busy_server_is_tried_again(secret: FromFile) -> None:
    """It says 421 instead of hello."""
    with scripted_ftp({}, welcome="421 Too many connections") as server:
        said = refusal(lambda: plain(secret, server.port).stat("x.csv"))
    assert said.retriable


def test_a_short_file_is_no_success(secret: FromFile, part: Path) -> None:
    """The server says 226 for a data channel that was cut; the control: with all bytes there it is staged."""
    with scripted_ftp({"SIZE": "213 3"}) as server:
        store = plain(secret, server.port)
        said = refusal(lambda: store.stage(part, "x.csv", "g1-f1"))
        assert "3 of 4 bytes are there" in str(said)
        assert said.retriable
    with scripted_ftp({}) as server:
        store = plain(secret, server.port)
        assert store.stage(part, "x.csv", "g1-f1") == ".x.csv.g1-f1.part"
        store.close()


def test_a_blocked_data_channel(secret: FromFile, part: Path) -> None:
    """Nothing listens at the port that the server names; the host that it names is never asked."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with scripted_ftp({"PASV": f"227 (192,0,2,1,{port // 256},{port % 256})"}) as server:
        said = refusal(lambda: plain(secret, server.port).stage(part, "x.csv", "g1-f1"))
    assert "passive ports" in str(said)
    assert said.retriable


def test_nobody_there(secret: FromFile) -> None:
    """A name that does not resolve, a port where nothing listens, a server that never answers."""
    unknown = refusal(lambda: plain(secret, 21, host="no-such-host.invalid").stat("x"))
    assert "check `host`" in str(unknown)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        said = refusal(lambda: plain(secret, port, connect_timeout=1).stat("x"))
        assert "no answer in time" in str(said)
    closed = refusal(lambda: plain(secret, port).stat("x"))
    assert "nothing listens there" in str(closed)
    assert (said.retriable, closed.retriable) == (True, True)


@pytest.mark.parametrize("name", ["x\r\nDELE y", "x\ny", "a\0", " x", "x ", "a /b"])
def test_names_that_would_be_commands(secret: FromFile, part: Path, name: str) -> None:
    """They are refused before anything is sent."""
    with scripted_ftp({}) as server:
        store = plain(secret, server.port)
        for step in (lambda: store.stage(part, name, "g1-f1"), lambda: store.stat(name), lambda: store.staged(name)):
            assert "cannot be a name there" in str(refusal(step))
        assert server.heard == []


def test_plain_ftp_is_off(secret: FromFile) -> None:
    """Until somebody says so; then it warns."""
    with pytest.raises(ValidationError, match="allow_plaintext: true"):
        FTP(host="x", user="y", password=secret)
    assert "in the clear" in plain(secret, 21).warnings()[0]
