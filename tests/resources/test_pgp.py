"""Keys of partners: one that can be used is read however it is spelled, every other is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pysequoia import encrypt

from resources.pgp import recipient
from spec.errors import DeclarationError
from spec.secrets import FromEnv, FromFile
from tests.keys import Partner, ending, expired, revoked, sign_only
from tests.servers.gpg import LONG_AGO, Gpg, home

FILE = FromFile(file="partner.asc")


@pytest.fixture
def gpg() -> Iterator[Gpg]:
    """A home of its own."""
    with home() as made:
        yield made


def refused(data: bytes, folder: Path) -> str:
    """What is said of a key that is refused."""
    (folder / FILE.file).write_bytes(data)
    with pytest.raises(DeclarationError) as error:
        recipient(FILE, folder)
    assert "Stack backtrace" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("spelled", [lambda key: str(key).encode(), bytes], ids=["armoured", "binary"])
def test_a_key_in_a_file(tmp_path: Path, spelled: Callable[[object], bytes]) -> None:
    """It is named by fingerprint and user id, and has no end."""
    partner = Partner.make()
    (tmp_path / FILE.file).write_bytes(spelled(partner.public))
    found = recipient(FILE, tmp_path)
    assert str(found) == f"{partner.fingerprint} (Ann <ann@partner.example>)"
    assert (found.expires, found.soon(datetime.now(UTC))) == (None, "")


def test_a_key_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same key by way of a variable; a variable that is not set is missed by name."""
    partner = Partner.make()
    monkeypatch.setenv("PARTNER_KEY", str(partner.public))
    assert recipient(FromEnv(env="PARTNER_KEY"), tmp_path).fingerprint == partner.fingerprint
    monkeypatch.delenv("PARTNER_KEY")
    with pytest.raises(
        DeclarationError, match=r"the key \{env: PARTNER_KEY\} is missing: .*is not set; ask the partner"
    ):
        recipient(FromEnv(env="PARTNER_KEY"), tmp_path)


def test_what_is_no_key(tmp_path: Path) -> None:
    """Garbage, an empty file, none at all, a message, and two keys in one file."""
    with pytest.raises(DeclarationError, match=r"the key \{file: partner.asc\} is missing: .*No such file"):
        recipient(FILE, tmp_path)
    one, two = Partner.make(), Partner.make()
    for data, said in (
        (b"ssh-ed25519 AAAAC3Nza ann@partner", "{file: partner.asc} is no OpenPGP public key ("),
        (b"", "the file is empty"),
        (encrypt(b"x", recipients=[one.public]), "is no OpenPGP public key ("),
        (bytes(one.public) + bytes(two.public), f"found 2: {one.fingerprint}, {two.fingerprint}"),
        (str(one.public).encode() + str(two.secret).encode(), f"found 2: {one.fingerprint}, {two.fingerprint}"),
        (str(one.public).encode()[:-200], "{file: partner.asc}"),
    ):
        assert said in refused(data, tmp_path), data


@pytest.mark.parametrize(("key", "said"), [
    (expired, "expired on "), (revoked, "is revoked; "), (sign_only, "cannot be used to encrypt (No suitable encryption subkey"),
])  # fmt: skip
def test_a_key_that_cannot_be_used(tmp_path: Path, key: Callable[[], object], said: str) -> None:
    """Named by fingerprint and user id, with what to do."""
    made = key()
    text = refused(bytes(made), tmp_path)  # type: ignore[call-overload]
    assert text.startswith(f"{{file: partner.asc}}: the key {made.fingerprint.upper()} (Ann <ann@partner.example>) ")  # type: ignore[attr-defined]
    assert said in text
    assert "ask the partner for a key that can be used" in text


def test_a_secret_key(tmp_path: Path) -> None:
    """It is refused in either spelling, by name, and nothing of it is repeated."""
    partner = Partner.make()
    for data in (str(partner.secret).encode(), bytes(partner.secret)):
        text = refused(data, tmp_path)
        assert "is a SECRET one" in text
        assert f"gpg --armor --export {partner.fingerprint}" in text
        assert "PRIVATE" not in text


@pytest.mark.parametrize(("days", "soon"), [(29, True), (30, False)])
def test_a_key_that_ends_soon(tmp_path: Path, days: int, soon: bool) -> None:
    """It can be used until then, is spoken of for thirty days, and is refused from its last moment on."""
    (tmp_path / FILE.file).write_bytes(bytes(ending(days)))
    found, now = recipient(FILE, tmp_path), datetime.now(UTC)
    assert found.expires is not None
    assert bool(found.soon(now)) == soon
    found.refuse_expired(found.expires - timedelta(seconds=1))
    with pytest.raises(DeclarationError, match="expired on"):
        found.refuse_expired(found.expires)


def test_a_part_that_ended_before_its_key(tmp_path: Path, gpg: Gpg) -> None:
    """The part that encrypts has an end of its own, past which the library would still use it: a newer part mends that."""
    mark = gpg.make("old@partner.example", "ed25519", "sign", old=True)
    gpg.run(*LONG_AGO, "--quick-add-key", mark, "cv25519", "encr", "1d")
    assert f"the key {mark} (old@partner.example) expired on 2025-01-02" in refused(gpg.public(mark), tmp_path)
    gpg.run("--quick-add-key", mark, "cv25519", "encr", "20d")
    (tmp_path / FILE.file).write_bytes(gpg.public(mark))
    found = recipient(FILE, tmp_path)
    assert found.expires is not None
    assert timedelta(days=19) < found.expires - datetime.now(UTC) <= timedelta(days=20)
    gpg.run("--quick-set-expire", mark, "10d")
    (tmp_path / FILE.file).write_bytes(gpg.public(mark))
    sooner = recipient(FILE, tmp_path).expires
    assert sooner is not None
    assert sooner < found.expires


@pytest.mark.parametrize(("algorithm", "usage"), [("rsa2048", "sign,encrypt"), ("future-default", "default")])
def test_keys_of_gnupg(tmp_path: Path, gpg: Gpg, algorithm: str, usage: str) -> None:
    """A key that does everything, and one with parts: neither has an end."""
    mark = gpg.make("ann@partner.example", algorithm, usage)
    (tmp_path / FILE.file).write_bytes(gpg.public(mark, armoured=False))
    found = recipient(FILE, tmp_path)
    assert (found.fingerprint, found.expires) == (mark, None)


def test_keys_of_gnupg_that_cannot_be_used(tmp_path: Path, gpg: Gpg) -> None:
    """A part that was taken back, a key that is signed by a broken hash, and a secret one."""
    mark = gpg.make("ann@partner.example")
    assert "is a SECRET one" in refused(gpg.run("--armor", "--export-secret-keys", mark), tmp_path)
    gpg.run("--command-fd", "0", "--no-batch", "--edit-key", mark, data=b"key 1\nrevkey\ny\n0\n\ny\nsave\n")
    assert "cannot be used to encrypt (No suitable" in refused(gpg.public(mark), tmp_path)
    gpg.run("--cert-digest-algo", "SHA1", "--quick-generate-key", "sha@partner.example", "rsa2048", "default", "never")
    assert "(sha@partner.example) cannot be used to encrypt (" in refused(gpg.public("sha@partner.example"), tmp_path)
