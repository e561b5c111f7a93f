"""The way to an SFTP server: its key, the login, a jump host, and what is said when one of them fails."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from resources.stores.sftp import Sftp
from spec.errors import ConnectorError
from tests.servers.recorder import Recorder, recording
from tests.servers.sshd import PASSPHRASE, PASSWORD, Sshd, running_sshd

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can let a password in")
CANARY = "canary-f00d"
FORMS = {
    "pkcs1": ("rsa", ["-m", "PEM"]),
    "pkcs8": ("ecdsa", ["-m", "PKCS8"]),
    "sec1": ("ecdsa", ["-m", "PEM"]),
}


def problems(server: Sshd, **settings: Any) -> list[str]:
    """What `outgate check --connect` would print."""
    return Sftp.model_validate(server.declared(folder=server.folder().name) | settings).check()


def refused(server: Sshd, **settings: Any) -> ConnectorError:
    """How a call ends."""
    store = Sftp.model_validate(server.declared() | settings)
    with pytest.raises(ConnectorError) as failed:
        store.stat("x.csv")
    store.close()
    return failed.value


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, str]]:
    """References to a right and a wrong password, to what opens the locked key and what does not."""
    values = {"right": PASSWORD, "wrong": CANARY, "opens": PASSPHRASE, "no_key": "-----BEGIN x-----"}
    for name, value in values.items():
        monkeypatch.setenv(f"TEST_{name.upper()}", value)
    return {name: {"env": f"TEST_{name.upper()}"} for name in values}


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_key_of_each_kind_lets_in(sshd: Sshd, kind: str) -> None:
    """In OpenSSH's own form."""
    assert problems(sshd, private_key={"file": str(sshd.key(kind))}) == []


@pytest.mark.parametrize("form", FORMS)
def test_a_key_in_pem_lets_in(sshd: Sshd, tmp_path: Path, form: str) -> None:
    """In each of the forms that openssl writes; locked ones with what opens them."""
    kind, options = FORMS[form]
    key = tmp_path / "key"
    key.write_bytes(sshd.key(kind).read_bytes())
    key.chmod(0o600)
    (tmp_path / "opens").write_text("four words or five\n")
    for passphrase in ("", "four words or five"):
        change = ["ssh-keygen", "-q", "-p", "-P", "", "-N", passphrase, *options, "-f", str(key)]
        subprocess.run(change, check=True, capture_output=True)
        assert "BEGIN OPENSSH" not in key.read_text()
        more = {"passphrase": {"file": str(tmp_path / "opens")}} if passphrase else {}
        assert problems(sshd, private_key={"file": str(key)}, **more) == []


def test_a_locked_key_is_opened(sshd: Sshd, secrets: dict[str, dict[str, str]]) -> None:
    """The controls: without what opens it, with the wrong words, and with something that is no key."""
    locked = {"file": str(sshd.key("locked"))}
    assert problems(sshd, private_key=locked, passphrase=secrets["opens"]) == []
    assert "say what opens it in `passphrase`" in str(refused(sshd, private_key=locked))
    assert "`passphrase` does not open it" in str(refused(sshd, private_key=locked, passphrase=secrets["wrong"]))
    assert "is not a private key" in str(refused(sshd, private_key=secrets["no_key"]))


@ROOT
def test_a_password_lets_in(sshd: Sshd, secrets: dict[str, dict[str, str]]) -> None:
    """Also where a key is declared that the server does not know; a wrong one is refused, without being shown."""
    stranger = {"file": str(sshd.home / "stranger")}
    assert problems(sshd, private_key=None, password=secrets["right"]) == []
    assert problems(sshd, private_key=stranger, password=secrets["right"]) == []
    wrong = refused(sshd, private_key=None, password=secrets["wrong"])
    assert "the password refused" in str(wrong)
    assert "check `user`, `password` and `private_key`" in str(wrong)
    assert (wrong.retriable, CANARY in str(wrong)) == (False, False)


def test_a_strange_key_is_refused(sshd: Sshd) -> None:
    """With what the server wants instead; a second try would not help."""
    wrong = refused(sshd, private_key={"file": str(sshd.home / "stranger")})
    assert "the key refused: check `user`" in str(wrong)
    assert not wrong.retriable
    assert "what it was given is not enough" in str(refused(sshd, private_key=None))


@ROOT
@pytest.mark.parametrize("order", ["publickey,password", "password,publickey"])
def test_a_server_may_want_both(secrets: dict[str, dict[str, str]], order: str) -> None:
    """Key and password, in either order; one of them is not enough."""
    with running_sshd(f"AuthenticationMethods {order}") as server:
        assert problems(server, password=secrets["right"]) == []
        assert "the server wants" in str(refused(server))
        assert "the password refused" in str(refused(server, password=secrets["wrong"]))


@ROOT
def test_too_many_tries_end_the_login(secrets: dict[str, dict[str, str]]) -> None:
    """The server's own words are passed on."""
    with running_sshd("MaxAuthTries 1") as server:
        stranger = {"file": str(server.home / "stranger")}
        assert "Too many authentication failures" in str(
            refused(server, private_key=stranger, password=secrets["right"])
        )


def test_a_server_whose_key_is_not_pinned_learns_nothing(
    sshd: Sshd, tmp_path: Path, secrets: dict[str, dict[str, str]]
) -> None:
    """Not even the user's name. Its fingerprint is shown. With the right pin, the control, it is given everything."""
    key = {"file": str(sshd.key())}
    empty = tmp_path / "known_hosts"
    empty.touch()
    with recording(Recorder()) as server:
        given = {
            "host": "127.0.0.1",
            "port": server.port,
            "user": "ann",
            "password": secrets["wrong"],
            "private_key": key,
        }
        for pinned, told in (
            (sshd.host_key(), "not the pinned one"),
            (sshd.fingerprint(), "not the pinned one"),
            ([], "none is pinned"),
        ):
            error = refused(sshd, **given, host_key=pinned, known_hosts=str(empty))
            assert told in str(error)
            assert "ssh-rsa SHA256:" in str(error)
            assert "Nothing was sent to it" in str(error)
            assert not error.retriable
        assert server.offered == []
        assert "refused" in str(refused(sshd, **given, host_key=server.host_key))
        assert {"ann", CANARY} <= set(server.offered)


def test_a_password_is_given_where_it_is_asked_for(secrets: dict[str, dict[str, str]]) -> None:
    """By a server that lets people in by questions only, as some partners do (a stand-in: it has no files)."""
    with recording(Recorder(questions=True, right=PASSWORD)) as server:
        given = {"host": "127.0.0.1", "port": server.port, "user": "ann", "host_key": server.host_key}
        for which, said in (
            ("right", "opening SFTP failed"),
            ("wrong", "refused; the server wants keyboard-interactive"),
        ):
            with pytest.raises(ConnectorError, match=said):
                Sftp.model_validate(given | {"password": secrets[which], "connect_timeout": 2}).stat("x.csv")
        assert {PASSWORD, CANARY} <= set(server.offered)


def test_a_server_that_never_opens_sftp_is_not_waited_for(secrets: dict[str, dict[str, str]]) -> None:
    """It lets people in, and does not say whether it has files: the library would wait for ever."""

    class Silent(Recorder):
        def check_channel_request(self, *_: object) -> int:
            return 0  # granted

        def check_channel_subsystem_request(self, *_: object) -> bool:
            over.wait(30)
            return False

    over = threading.Event()
    with recording(Silent(questions=True, right=PASSWORD)) as server:
        given = {"host": "127.0.0.1", "port": server.port, "user": "ann", "host_key": server.host_key}
        store = Sftp.model_validate(given | {"password": secrets["right"], "connect_timeout": 2, "idle_timeout": 1})
        with pytest.raises(ConnectorError, match="opening SFTP") as error:
            store.stat("x.csv")
        assert error.value.retriable
        over.set()


def test_a_key_is_pinned_in_each_of_its_forms(sshd: Sshd, tmp_path: Path) -> None:
    """Whole, as a fingerprint, among others, of a type that is not the server's first, in known_hosts, hashed too."""
    other = " ".join((sshd.home / "stranger.pub").read_text().split()[:2])
    pins: list[str | list[str]] = [sshd.host_key("rsa"), sshd.fingerprint(), sshd.fingerprint("rsa")]
    for pinned in [*pins, [other, sshd.host_key()], f"[127.0.0.1]:{sshd.port} {sshd.host_key()} a comment"]:
        assert problems(sshd, host_key=pinned) == []
    hosts = tmp_path / "known_hosts"
    hosts.write_text(f"# ours\nelsewhere {other}\n[127.0.0.1]:{sshd.port} {sshd.host_key()}\n")
    assert problems(sshd, host_key=[], known_hosts=str(hosts)) == []
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(hosts)], check=True, capture_output=True)
    assert "127.0.0.1" not in hosts.read_text()
    assert problems(sshd, host_key=[], known_hosts=str(hosts)) == []
    for line in (
        f"127.0.0.1 {sshd.host_key()}",
        f"@revoked [127.0.0.1]:{sshd.port} {sshd.host_key()}",
        f"[*]:{sshd.port},![127.*]:* {sshd.host_key()}",
        f"@revoked * {sshd.host_key()}\n[127.0.0.1]:{sshd.port} {sshd.host_key()}",
        f"   \n|1|damaged {sshd.host_key()}\n|1|a|b|c {sshd.host_key()}",
    ):
        hosts.write_text(line + "\n")
        assert "none is pinned" in problems(sshd, host_key=[], known_hosts=str(hosts))[0]
    assert "cannot be read" in problems(sshd, known_hosts=str(tmp_path / "none"))[0]


def test_what_is_no_host_key_is_refused_when_it_is_read(sshd: Sshd) -> None:
    """With how one looks."""
    for said in ("SHA256:short", "MD5:aa:bb", "ssh-ed25519", "ssh-ed25519 AAAA!"):
        with pytest.raises(ValidationError, match="write 'ssh-ed25519 AAAA"):
            Sftp.model_validate(sshd.declared(host_key=said))


def test_old_algorithms_are_not_spoken(sshd: Sshd) -> None:
    """A server with nothing else is refused, and told what it needs; one with something newer beside it is the control."""
    for old in (
        "Ciphers aes128-cbc,3des-cbc",
        "Ciphers aes128-ctr\nMACs hmac-sha1,hmac-sha1-96",
        "KexAlgorithms diffie-hellman-group14-sha1",
    ):
        with running_sshd(old) as server:
            error = refused(server)
            assert "no algorithm in common that is safe" in str(error)
            assert not error.retriable
    with running_sshd("Ciphers aes128-cbc,aes128-ctr\nMACs hmac-sha1,hmac-sha2-256") as server:
        assert problems(server) == []


def test_a_jump_host_is_on_the_way(sshd: Sshd) -> None:
    """Each of the two servers is known by its own key; the partner's address is resolved from there."""
    with running_sshd("AllowTcpForwarding yes") as jump:
        way = {"jump_host": jump.host, "jump_port": jump.port, "jump_host_key": jump.host_key()}
        way |= {"jump_private_key": {"file": str(jump.key())}, "jump_user": jump.user}
        assert problems(sshd, host="localhost", **way) == []
        assert "not the pinned one" in problems(sshd, **way | {"jump_host_key": sshd.host_key()})[0]
        closed = problems(sshd, port=free_port(), **way)[0]
        assert "going on to 127.0.0.1" in closed
        assert "Connect failed" in closed
    with running_sshd("AllowTcpForwarding no") as jump:
        way |= {"jump_port": jump.port, "jump_host_key": jump.host_key(), "jump_private_key": {"file": str(jump.key())}}
        assert "no forwarding there" in problems(sshd, **way)[0]


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def hang_up(listening: socket.socket) -> None:
    """Take a line and let it go."""
    listening.accept()[0].close()


def test_no_server_is_there(sshd: Sshd) -> None:
    """The name, the port, the silence: each says what to look at, and may pass."""
    gone = refused(sshd, port=free_port())
    unknown = refused(sshd, host="no-such-host.invalid")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        quiet = refused(sshd, port=silent.getsockname()[1], connect_timeout=1)
    with socket.create_server(("127.0.0.1", 0)) as rude:
        threading.Thread(target=hang_up, args=(rude,), daemon=True).start()
        full = refused(sshd, port=rude.getsockname()[1])
    said = {gone: "nothing listens there", unknown: "the name does not resolve", full: "`MaxStartups` there"}
    said[quiet] = "protocol banner"
    for error, words in said.items():
        assert words in str(error)
        assert str(error).startswith("SFTP ")
        assert error.retriable


def test_a_session_too_many_is_told_apart() -> None:
    """The login was right: it may pass."""
    with running_sshd("MaxSessions 0") as server:
        error = refused(server)
        assert "opening SFTP failed: Connect failed: " in str(error)
        assert error.retriable
