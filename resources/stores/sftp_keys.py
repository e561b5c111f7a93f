"""Keys: the server's, which are pinned, and one's own, which is read from a secret. Nothing is sent from here."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from spec.errors import ConnectorError

PIN = re.compile(r"(?:^|\s)((?:ssh|ecdsa)-[a-z0-9-]+)\s+(AAAA[A-Za-z0-9+/]+=*)(?:\s|$)")
FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}=?")
SSH_PORT = 22


@dataclass(frozen=True)
class Pins:
    """The keys that a server may have: whole ones, (type, base64), and fingerprints."""

    keys: frozenset[tuple[str, str]]
    prints: frozenset[str]

    def __bool__(self) -> bool:
        return bool(self.keys or self.prints)

    def accept(self, kind: str, blob: bytes) -> bool:
        """Whether the server's key is one of them."""
        return (kind, base64.b64encode(blob).decode()) in self.keys or fingerprint(blob) in self.prints

    def algorithms(self, offered: Sequence[str]) -> tuple[str, ...]:
        """Those of pinned keys first: a server with several keys is to show the one that is known."""
        kinds = {kind for kind, _ in self.keys}
        return tuple(sorted(offered, key=lambda name: kind_of(name) not in kinds))


def kind_of(algorithm: str) -> str:
    """The key's type for a name of a signature: an RSA key has several."""
    return "ssh-rsa" if algorithm.startswith("rsa-") else algorithm


def fingerprint(blob: bytes) -> str:
    """As `ssh-keygen -l` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def pin(said: str) -> str:
    """The text, if it is a public key or a fingerprint. Raises ValueError."""
    key = PIN.search(said)
    if FINGERPRINT.fullmatch(said.strip()) or (key and _decodes(key[2])):
        return said
    message = (
        f"{said!r} is no host key; write 'ssh-ed25519 AAAA...' or 'SHA256:...', as ssh-keyscan and ssh-keygen -l do"
    )
    raise ValueError(message)


def _decodes(encoded: str) -> bool:
    try:
        return bool(base64.b64decode(encoded, validate=True))
    except binascii.Error:
        return False


def pins(said: Sequence[str], known_hosts: str | None, host: str, port: int) -> Pins:
    """What is pinned for a server. Raises ConnectorError where the file cannot be read."""
    lines = [*said, *(_known(known_hosts, host, port) if known_hosts else ())]
    found = [(match[1], match[2]) for line in lines if (match := PIN.search(line))]
    return Pins(
        frozenset(found), frozenset(line.strip().rstrip("=") for line in said if FINGERPRINT.match(line.strip()))
    )


def _known(path: str, host: str, port: int) -> list[str]:
    """The lines of a known_hosts file that are about this server, hashed ones too. Of the marked ones (@...) those of
    authorities are not; a key that is revoked is none of them.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConnectorError(f"`known_hosts` {path!r} cannot be read: {error}") from None
    name = host if port == SSH_PORT else f"[{host}]:{port}"
    said = [words for line in lines if (words := line.split()) and not words[0].startswith("#")]
    revoked = {words[3] for words in said if words[0] == "@revoked" and len(words) > 3}  # noqa: PLR2004
    return [
        " ".join(words)
        for words in said
        if not words[0].startswith("@") and not revoked & set(words) and _about(words[0], name.lower())
    ]


def _about(names: str, host: str) -> bool:
    if names.startswith("|1|"):
        _, _, salt, hashed, *_ = [*names.split("|"), "", ""]
        if not (_decodes(salt) and _decodes(hashed)):
            return False
        found = hmac.new(base64.b64decode(salt), host.encode(), hashlib.sha1).digest()
        return hmac.compare_digest(found, base64.b64decode(hashed))
    patterns = [name.replace("[", "[[]").lower() for name in names.split(",")]
    refused = any(fnmatch(host, each[1:]) for each in patterns if each.startswith("!"))
    return not refused and any(fnmatch(host, each) for each in patterns)


def private_key(data: str, passphrase: str | None, which: str) -> Any:
    """A key as the library wants it, from OpenSSH's form or PEM. Raises ConnectorError that shows nothing of it."""
    import paramiko
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.dsa import DSAPrivateKey
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = _loaded(data, passphrase, which)
    if isinstance(key, DSAPrivateKey):
        raise ConnectorError(f"{which} is a DSA key, which servers no longer take: make one with ssh-keygen -t ed25519")
    plain = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.OpenSSH, form.NoEncryption()).decode()
    kinds = ((Ed25519PrivateKey, paramiko.Ed25519Key), (EllipticCurvePrivateKey, paramiko.ECDSAKey))
    kind = next((kind for loaded, kind in kinds if isinstance(key, loaded)), paramiko.RSAKey)
    return kind.from_private_key(io.StringIO(plain))


def _loaded(data: str, passphrase: str | None, which: str) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization as form

    if data.startswith("PuTTY-User-Key-File"):
        raise ConnectorError(f"{which} is in PuTTY's form: export it with puttygen KEY -O private-openssh-new -o FILE")
    load = form.load_ssh_private_key if "BEGIN OPENSSH" in data else form.load_pem_private_key
    secret = passphrase.encode() if passphrase else None
    try:
        return load(data.strip().encode() + b"\n", secret)
    except TypeError:  # a passphrase where none is wanted, or none where one is
        if passphrase:
            return load(data.strip().encode() + b"\n", None)
        raise ConnectorError(f"{which} is locked: say what opens it in `passphrase`") from None
    except (ValueError, UnsupportedAlgorithm):
        hint = "or `passphrase` does not open it" if passphrase else "or is locked: then say `passphrase`"
        raise ConnectorError(f"{which} is not a private key in OpenSSH's form or PEM, {hint}") from None
