"""OpenPGP keys of partners: read, judged, and named to people. Only public keys belong here, and nothing is kept.

What is encrypted, and when, is the assets room's work; the library's own part of it is in pgp_process.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from spec.errors import DeclarationError
from spec.secrets import FromEnv, Secret

if TYPE_CHECKING:
    from pysequoia import Cert
    from pysequoia.packet import Packet, PacketPile

SOON = timedelta(days=30)
"""How long before its end a key is spoken of at `check`."""
ASK = "ask the partner for a key that can be used, as `gpg --armor --export` writes it"


@dataclass(frozen=True)
class Recipient:
    """One who can read what is encrypted: the binary public key, its fingerprint and user id, and its last moment."""

    key: bytes
    fingerprint: str
    user: str
    expires: datetime | None

    def __str__(self) -> str:
        return f"{self.fingerprint} ({self.user})"

    def refuse_expired(self, now: datetime) -> None:
        """Raise DeclarationError for a key whose time is over: the library would encrypt with it all the same."""
        if self.expires is not None and self.expires <= now:
            raise DeclarationError(f"the key {self} expired on {self.expires:%Y-%m-%d}; {ASK}")

    def soon(self, now: datetime) -> str:
        """What is to be said of a key that ends within 30 days; "" of any other."""
        if self.expires is None or self.expires > now + SOON:
            return ""
        return f"the key {self} expires on {self.expires:%Y-%m-%d}, and no window can be read from then on; {ASK}"


def recipient(source: Secret, root: Path) -> Recipient:
    """The one whose public key, armoured or binary, is in a file (relative to `root`) or an environment variable.

    Raises DeclarationError for a key that is not there, is secret, revoked, expired, or cannot encrypt.
    """
    data = _bytes(source, root)
    try:
        return _judged(data)
    except RuntimeError as error:
        raise DeclarationError(f"{source} is no OpenPGP public key ({_first_line(error)}); {ASK}") from None
    except DeclarationError as error:
        raise DeclarationError(f"{source}: {error}") from None


def _bytes(source: Secret, root: Path) -> bytes:
    if isinstance(source, FromEnv):
        data = os.environb.get(source.env.encode(), b"")
        why = "the environment variable is not set"
    else:
        path = root / source.file
        try:
            data, why = path.read_bytes(), "the file is empty"
        except OSError as error:
            data, why = b"", f"{path} cannot be read: {error.strerror}"
    if not data:
        raise DeclarationError(f"the key {source} is missing: {why}; {ASK}")
    return data


def _judged(data: bytes) -> Recipient:
    from pysequoia import Cert
    from pysequoia.packet import PacketPile

    certs, packets = Cert.split_bytes(data), PacketPile.from_bytes(data)
    if len(certs) != 1:
        names = ", ".join(cert.fingerprint.upper() for cert in certs) or "none"
        raise DeclarationError(
            f"one key is wanted, found {len(certs)}: {names}; give each an entry and a file of its own"
        )
    user = next((packet.user_id for packet in packets if packet.user_id), "without a user id")
    named = Recipient(bytes(certs[0]), certs[0].fingerprint.upper(), user, None)
    _refuse_secret(packets, named)
    if certs[0].is_revoked:
        raise DeclarationError(f"the key {named} is revoked; {ASK}")
    found = replace(named, expires=_expires(certs[0], packets, named))
    found.refuse_expired(datetime.now(UTC))
    return found


def _refuse_secret(packets: PacketPile, named: Recipient) -> None:
    from pysequoia.packet import Tag

    if any(packet.tag in (Tag.SecretKey, Tag.SecretSubkey) for packet in packets):
        raise DeclarationError(
            f"the key {named} is a SECRET one, which is not needed here and must not be; take it away, and put what "
            f"`gpg --armor --export {named.fingerprint}` writes in its place"
        )


def _expires(cert: Cert, packets: PacketPile, named: Recipient) -> datetime | None:
    """The last moment at which a key may be encrypted for: its own, or that of the last of its parts that can."""
    from pysequoia import encrypt

    try:
        own, trial = cert.expiration, encrypt(b"", recipients=[cert], armor=False)
    except RuntimeError as error:
        said = _first_line(error)
        raise DeclarationError(f"the key {named} cannot be used to encrypt ({said}); {ASK}") from None
    ends = [_end_of(used, packets) for used in _used(trial)]
    last = None if None in ends else max(filter(None, ends))
    return min(filter(None, (own, last)), default=None)


def _used(message: bytes) -> Iterator[str]:
    """The fingerprints or key ids (in messages of version 3) that a message was encrypted for."""
    from pysequoia.packet import PacketPile, Tag

    for packet in PacketPile.from_bytes(message):
        if packet.tag == Tag.PKESK:
            body = packet.body
            yield (body[3 : body[1] + 2] if body[0] > 3 else body[1:9]).hex()  # noqa: PLR2004  (the version)


def _end_of(used: str, packets: PacketPile) -> datetime | None:
    """When the part with that fingerprint or id ends by itself, as its newest binding has it; None if it does not."""
    from pysequoia.packet import SignatureType

    own = list(_of_key(used, packets))
    bound = [each for each in own if each.signature_type == SignatureType.SubkeyBinding]
    dated = [(each.signature_created, each.key_validity_period) for each in bound if each.signature_created]
    _, period = max(dated, key=lambda one: one[0], default=(None, None))
    begun = own[0].key_created if own else None
    return begun + period if begun and period else None


def _of_key(used: str, packets: Sequence[Packet] | PacketPile) -> Iterator[Packet]:
    """The packet of that key and what follows it, up to the next key."""
    inside = False
    for packet in packets:
        if packet.fingerprint:
            inside = used in {packet.fingerprint, packet.key_id}
        if inside:
            yield packet


def _first_line(error: Exception) -> str:
    """The library adds where in its own source it was."""
    return str(error).partition("\n")[0]
