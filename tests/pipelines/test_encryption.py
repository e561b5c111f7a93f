"""Encryption by the command line: keys are judged before anything is read, and only the partner reads what is delivered."""

from __future__ import annotations

import gzip
import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.keys import Partner, ending, expired, revoked, sign_only
from tests.servers.gpg import home
from tests.small import EXPORT, ROWS_A_DAY, Small, day

TOP = Path(__file__).parents[2]
ENCRYPTED = EXPORT.replace("{partition}.csv", "{partition}.csv.gz.pgp").replace(
    "{type: csv}", "{type: csv, compression: gzip}\n    encrypt: {pgp: [{file: keys/partner.asc}]}"
)
POINTS = (
    "part.opened",
    "part.synced",
    "seal.files",
    "journey.sealed",
    "load.staged",
    "load.published_one",
    "load.verified",
)
SEALED = POINTS.index("journey.sealed")
KILLED = """
import os, signal, sys
from pathlib import Path
from resources.failpoint import install
from tests.small import Small, day
install(lambda name: os.kill(os.getpid(), signal.SIGKILL) if name == sys.argv[2] else None)
list(Small(Path(sys.argv[1])).journey().run([day(0)]))
"""


def make(folder: Path, key: object, export: str = ENCRYPTED) -> Small:
    """A project after `outgate init`, whose partner has that key."""
    small = Small.make(folder, export)
    (folder / "keys").mkdir()
    (folder / "keys/partner.asc").write_text(str(key))
    assert small.outgate("init").returncode == 0
    return small


def sealed(small: Small) -> list[str]:
    """The hashes of the files that the ledger says are sealed."""
    ledger, _ = small.home.open()
    record = ledger.window("sales", day(0))
    ledger.close()
    return [each.sha256 for delivery in record.deliveries for each in delivery.artifacts] if record else []


def delivered(small: Small, ending: str = "") -> list[Path]:
    """The files of the first day."""
    return sorted(path for path in (small.root / f"out/sales/{day(0)}").glob(f"*{ending}"))


def holding(folder: Path, word: bytes) -> list[str]:
    """The files in which a word can be read."""
    return [path.name for path in folder.rglob("*") if path.is_file() and word in path.read_bytes()]


@pytest.mark.parametrize(("key", "said"), [
    (expired, "expired on "), (revoked, "is revoked"), (sign_only, "cannot be used to encrypt"),
    (lambda: Partner.make().secret, "is a SECRET one"), (lambda: "no key", "is no OpenPGP public key"),
])  # fmt: skip
def test_a_key_that_cannot_be_used(tmp_path: Path, key: Callable[[], object], said: str) -> None:
    """`check` names it with its line, and a run that nobody checked is refused before it reads."""
    small = make(tmp_path, key())
    for command in (("check",), ("check", "sales"), ("run", "sales", "--partition", day(0))):
        ended = small.outgate(*command)
        assert ended.returncode == 2, ended
        assert "pipelines/sales.yaml:12: {file: keys/partner.asc}" in ended.stderr + ended.stdout
        assert said in ended.stderr + ended.stdout
    assert (sealed(small), delivered(small)) == ([], [])
    (tmp_path / "keys/partner.asc").write_text(str(Partner.make().public))
    assert small.outgate("check").returncode == 0


def test_a_key_is_judged_again_when_a_window_is_read(tmp_path: Path) -> None:
    """What is sealed needs none any more."""
    small = make(tmp_path, Partner.make().public)
    assert small.outgate("run", "sales", "--partition", day(0)).returncode == 0
    (tmp_path / "keys/partner.asc").write_text(str(expired()))
    delivered(small, ".pgp")[0].unlink()
    assert small.outgate("redeliver", "sales", "--partition", day(0)).returncode == 0
    ended = small.outgate("run", "sales", "--partition", day(1))
    assert (ended.returncode, "expired on" in ended.stderr + ended.stdout) == (2, True)


def test_check_advises(tmp_path: Path) -> None:
    """Of a key that ends within thirty days, and of a name that does not tell; the control has neither."""
    partner = ending(10)
    small = make(tmp_path, partner, ENCRYPTED.replace(".csv.gz.pgp", ".csv.gz"))
    ended = small.outgate("check")
    assert ended.returncode == 0
    assert (
        "advice: pipelines/sales.yaml:10: the file is encrypted, and its name does not end with .pgp or .gpg"
        in ended.stdout
    )
    said = f"advice: pipelines/sales.yaml:12: the key {partner.fingerprint.upper()} (Ann <ann@partner.example>) expires on "
    assert said in " ".join(ended.stdout.split())
    (tmp_path / "keys/partner.asc").write_text(str(ending(40)))
    small.declare(ENCRYPTED)
    assert "advice" not in small.outgate("check").stdout


def test_what_is_delivered(tmp_path: Path) -> None:
    """Two partners read the file, each alone; the manifest names them in the clear; verified and sent again it is the same."""
    ann = Partner.make()
    export = ENCRYPTED.replace("asc}]}", "asc}, {env: OTHER_KEY}]}\n    done_file: true")
    small = make(tmp_path, ann.public, export)
    with home() as gpg:
        mark = gpg.make("bob@partner.example")
        armoured = gpg.public(mark).decode()
        ended = small.outgate("run", "sales", "--partition", day(0), OTHER_KEY=armoured)
        assert ended.returncode == 0, ended.stderr
        done, manifest, part = delivered(small, "")
        data = part.read_bytes()
        text = gzip.decompress(ann.read(data)).decode()
        assert gpg.read(data) == ann.read(data)
    assert len(text.splitlines()) == ROWS_A_DAY + 1
    found = json.loads(manifest.read_text())
    assert (found["encryption"], found["recipients"]) == ("pgp", [ann.fingerprint, mark])
    [entry] = found["parts"]
    assert (entry["rows"], entry["bytes"], entry["sha256"]) == (ROWS_A_DAY, len(data), hashlib.sha256(data).hexdigest())
    assert done.read_bytes() == b""
    part.unlink()
    assert small.outgate("redeliver", "sales", "--partition", day(0)).returncode == 0
    assert part.read_bytes() == data
    assert small.outgate("verify", "sales").returncode == 0


@pytest.mark.parametrize(("export", "readable"), [(ENCRYPTED, False), (EXPORT, True)], ids=["encrypted", "plain"])
def test_no_plain_text_is_left(tmp_path: Path, export: str, readable: bool) -> None:
    """Neither among the sealed parts nor at the partner's. The control: without encryption it is in both."""
    small = make(tmp_path, Partner.make().public, export.replace("compression: gzip", "compression: none"))
    assert small.outgate("run", "sales", "--partition", day(0)).returncode == 0
    assert bool(holding(small.home.spool_folder, b"Ann 1")) == readable
    assert bool(holding(tmp_path / "out", b"Ann 1")) == readable


def test_a_preview_needs_no_secret(tmp_path: Path) -> None:
    """It shows the rows, and the lines of the file before they are encrypted."""
    small = make(tmp_path, Partner.make().public)
    ended = small.outgate("preview", "sales", "--partition", day(0))
    assert "begins with\nid,sold_at,buyer_email,amount\\n\n0,2026-01-01T00:00:00Z,***,0.00\\n" in ended.stdout


@pytest.mark.parametrize("point", POINTS)
def test_a_retry_delivers_the_sealed_bytes(tmp_path: Path, point: str) -> None:
    """Encryption makes other bytes each time: what was sealed before the kill is what arrives, once and whole."""
    ann = Partner.make()
    small = make(tmp_path, ann.public)
    command = [sys.executable, "-c", KILLED, str(tmp_path), point]
    ended = subprocess.run(command, cwd=TOP, capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    before = sealed(small)
    assert bool(before) == (POINTS.index(point) >= SEALED)
    (outcome,) = small.journey().run([day(0)])
    assert outcome.good, outcome.detail
    after = sealed(small)
    assert before in ([], after)
    assert sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in delivered(small)) == sorted(after)
    (part,) = delivered(small, ".pgp")
    assert len(gzip.decompress(ann.read(part.read_bytes())).splitlines()) == ROWS_A_DAY + 1


def test_two_encryptions_differ(tmp_path: Path) -> None:
    """The control: a window that is delivered anew has other bytes, so equal ones were not made twice."""
    small = make(tmp_path, Partner.make().public)
    assert small.outgate("run", "sales", "--partition", day(0)).returncode == 0
    first = sealed(small)
    assert small.outgate("run", "sales", "--partition", day(0), "--again").returncode == 0
    assert set(first).isdisjoint(sealed(small))
