"""OpenPGP keys of made-up partners, made when they are asked for, and what their owners can read.

Keys that only another program makes are in servers/gpg.py.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pysequoia import Cert, Tsk, decrypt
from pysequoia.packet import KeyFlags, Packet, PacketPile

from resources.pgp import Recipient, recipient
from spec.secrets import FromFile


@dataclass(frozen=True)
class Partner:
    """One who has a secret key."""

    secret: Tsk

    @classmethod
    def make(cls, user: str = "Ann <ann@partner.example>", seconds: int | None = None) -> Partner:
        """A new one, whose key lives for so many seconds, or for ever."""
        return cls(Tsk.generate(user_id=user, validity_seconds=seconds))

    @property
    def public(self) -> Cert:
        """What a partner gives away."""
        return self.secret.extract_certificate()

    @property
    def fingerprint(self) -> str:
        """As people compare it."""
        return self.public.fingerprint.upper()

    def recipient(self, folder: Path) -> Recipient:
        """The partner as a recipient, by way of a file."""
        path = folder / f"{self.fingerprint}.pgp"
        path.write_bytes(bytes(self.public))
        return recipient(FromFile(file=path.name), folder)

    def read(self, data: bytes) -> bytes:
        """What an encrypted file says; RuntimeError where it is not for this one."""
        found = decrypt(data, decryptor=self.secret.decryptor()).bytes
        assert found is not None
        return found


def expired() -> Cert:
    """A key whose time is over."""
    found = Partner.make(seconds=1).public
    while found.expiration is None or found.expiration > datetime.now(UTC):
        time.sleep(0.1)
    return found


def revoked() -> Cert:
    """A key that its owner took back."""
    partner = Partner.make()
    return Cert.from_bytes(bytes(partner.public) + bytes(partner.public.revoke(partner.secret.certifier())))


def ending(days: int) -> Cert:
    """A key that ends in so many days and an hour."""
    partner = Partner.make()
    end = datetime.now(UTC) + timedelta(days=days, hours=1)
    return partner.public.set_expiration(end, partner.secret.certifier())


def sign_only() -> Cert:
    """A key without the part that encrypts."""
    packets = list(PacketPile.from_bytes(bytes(Partner.make().public)))
    drop = next(number for number, packet in enumerate(packets) if _encrypts(packet.key_flags))
    return Cert.from_packets(_without(packets, drop))


def _encrypts(flags: KeyFlags | None) -> bool:
    return flags is not None and flags.transport_encryption


def _without(packets: list[Packet], binding: int) -> list[Packet]:
    return packets[: binding - 1] + packets[binding + 1 :]
