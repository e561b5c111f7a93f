"""A small project that delivers over FTPS, by the command line alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.resources.stores.shelf_served import Remote
from tests.servers.proftpd import PASSWORD, FTPServer
from tests.small import CONNECTORS, Small, day

WRONG = "canary-that-is-wrong"
NAME = f"sales/{day(0)}/sales_{day(0)}.csv"


@pytest.fixture
def shelf(proftpd_server: FTPServer) -> Remote:
    """The partner's folder."""
    return Remote(proftpd_server)


@pytest.fixture
def small(tmp_path: Path, shelf: Remote) -> Small:
    """A project whose one delivery goes there."""
    server = shelf.server
    partner = {"type": "ftps", "host": server.host, "port": server.port, "user": server.user}
    partner |= {"folder": shelf.path.name, "tls_ca": str(server.certificate), "password": {"env": "PARTNER"}}
    connectors = f"{CONNECTORS.splitlines()[0]}\nfolder: {json.dumps(partner)}\n"
    made = Small.make(tmp_path / "project", connectors=connectors)
    assert made.outgate("init", PARTNER=PASSWORD).returncode == 0
    return made


def test_delivered_once_and_again(small: Small, shelf: Remote) -> None:
    """A second run changes nothing, `verify` agrees, `redeliver` sends the same bytes, the password is nowhere."""
    checked = small.outgate("check", "--connect", PARTNER=PASSWORD)
    ran = small.outgate("run", "sales", "--partition", day(0), PARTNER=PASSWORD)
    assert (checked.returncode, ran.returncode) == (0, 0), (checked, ran)
    sent, stamp = shelf.get(NAME), (shelf.path / NAME).stat()
    assert shelf.names() == [NAME]
    again = small.outgate("run", "sales", "--partition", day(0), PARTNER=PASSWORD)
    assert again.returncode == 0
    assert (shelf.path / NAME).stat().st_ino == stamp.st_ino
    verified = small.outgate("verify", "sales", PARTNER=PASSWORD)
    assert verified.returncode == 0
    assert verified.stdout == "1 of 1 deliveries are as the receipts say\n"
    shelf.take(NAME)
    assert "is gone" in "".join(small.outgate("verify", "sales", PARTNER=PASSWORD).stdout.split("\n"))
    resent = small.outgate("redeliver", "sales", "--partition", day(0), PARTNER=PASSWORD)
    assert resent.returncode == 0
    assert (shelf.get(NAME), shelf.names(), shelf.hidden()) == (sent, [NAME], [])
    said = "".join(each.stdout + each.stderr for each in (checked, ran, again, verified, resent))
    assert PASSWORD not in said
    assert PASSWORD.encode() not in everything(small.root, shelf.path)


def test_a_refused_password_is_nowhere(small: Small, shelf: Remote) -> None:
    """The run fails in words; nothing that is kept or printed has what was tried. The control: the environment had it."""
    failed = small.outgate("run", "sales", "--partition", day(0), PARTNER=WRONG)
    checked = small.outgate("check", "--connect", PARTNER=WRONG)
    assert (failed.returncode, checked.returncode) == (1, 2)
    assert "Login incorrect" in failed.stdout + failed.stderr
    assert "Login incorrect" in checked.stdout + checked.stderr
    assert all(WRONG not in text for text in (failed.stdout, failed.stderr, checked.stdout, checked.stderr))
    assert WRONG.encode() not in everything(small.root)
    assert small.outgate("run", "sales", "--partition", day(0), PARTNER=PASSWORD).returncode == 0
    assert shelf.names() == [NAME]


def everything(*folders: Path) -> bytes:
    """All files: declarations, ledger, spool, manifests, deliveries."""
    return b"".join(path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file())
