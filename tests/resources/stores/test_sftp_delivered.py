"""A delivery to an SFTP server from the command line: sent once, found again, sent again, and never with a secret."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.servers.sshd import PASSPHRASE, PASSWORD, Sshd
from tests.small import CONNECTORS, EXPORT, Small, day

ROOT = os.geteuid() == 0


@pytest.fixture
def folder(sshd: Sshd) -> Path:
    """The partner's folder."""
    return sshd.folder()


@pytest.fixture
def small(sshd: Sshd, folder: Path, tmp_path: Path) -> Small:
    """A project whose partner has an SFTP server; every secret that there may be is declared."""
    secrets = {
        "password": {"env": "SFTP_PASSWORD"},
        "private_key": {"env": "SFTP_KEY"},
        "passphrase": {"env": "SFTP_OPENS"},
    }
    partner = sshd.declared(folder=str(folder), **secrets) | {"type": "sftp", "manifest_beside": True}
    export = EXPORT.replace("to: folder", "to: partner")
    return Small.make(tmp_path / "p", export, CONNECTORS + f"partner: {json.dumps(partner)}\n")


def written(root: Path) -> str:
    """Everything that is below a folder, as text."""
    return "".join(path.read_bytes().decode(errors="replace") for path in root.rglob("*") if path.is_file())


def test_a_partner_gets_each_file_once(small: Small, sshd: Sshd, folder: Path) -> None:
    """A second run changes nothing, `verify` finds what was delivered, `redeliver` sends the same bytes."""
    secret = {"SFTP_PASSWORD": PASSWORD, "SFTP_KEY": sshd.key("locked").read_text(), "SFTP_OPENS": PASSPHRASE}
    said = []

    def outgate(*words: str) -> str:
        ended = small.outgate(*words, **secret)
        said.append(ended.stdout + ended.stderr)
        assert ended.returncode == 0, said[-1]
        return said[-1]

    def files() -> dict[str, tuple[bytes, int]]:
        found = [path for path in folder.rglob("*") if path.is_file()]
        return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in found}

    outgate("init")
    outgate("check", "--connect")
    outgate("run", "sales", "--partition", day(0))
    first = files()
    name = f"sales/{day(0)}/sales_{day(0)}.csv"
    assert sorted(first) == sorted([name, f"sales/{day(0)}/_manifest.json"])
    assert len(first[name][0].splitlines()) == 6
    outgate("run", "sales", "--partition", day(0))
    assert files() == first
    assert [row["found"] for row in json.loads(outgate("verify", "sales", "--json"))] == ["as delivered"]
    (folder / name).unlink()
    outgate("redeliver", "sales", "--partition", day(0))
    assert {each: data for each, (data, _) in files().items()} == {each: data for each, (data, _) in first.items()}
    everything = "".join(said) + written(small.root) + written(folder)
    body = secret["SFTP_KEY"].splitlines()[2]
    assert not [value for value in (PASSWORD, PASSPHRASE, body) if value in everything]


def test_a_failed_login_shows_no_secret(small: Small, sshd: Sshd, folder: Path) -> None:
    """Neither on the screen nor in what is kept; the reason is said, and nothing was sent."""
    canaries = {
        "SFTP_PASSWORD": "canary-pass-1",
        "SFTP_KEY": (sshd.home / "stranger").read_text(),
        "SFTP_OPENS": "canary-pass-2",
    }
    small.outgate("init", **canaries)
    ended = small.outgate("run", "sales", "--partition", day(0), **canaries)
    assert ended.returncode == 1
    assert "refused" in ended.stdout + ended.stderr
    everything = ended.stdout + ended.stderr + written(small.root)
    body = canaries["SFTP_KEY"].splitlines()[2]
    assert not [value for value in (canaries["SFTP_PASSWORD"], canaries["SFTP_OPENS"], body) if value in everything]
    assert list(folder.iterdir()) == []
