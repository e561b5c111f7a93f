"""What the stores behind HTTPS share: which addresses may be spoken to in plain text, and how a broken line is told.

Nothing of one vendor belongs here.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field

from spec.base import like

Host = Annotated[str, like(r"^[^\s/@.]+(\.[^\s/@.]+)*$", "sftp.partner.example: a name or an address alone")]
ConnectSeconds = Annotated[int, Field(ge=1, le=600, description="seconds until a connection stands")]
IdleSeconds = Annotated[int, Field(ge=1, le=3600, description="seconds that the server may be silent")]


def refuse_plaintext(url: str, *, allowed: bool) -> str:
    """The address without a final slash. Raises ValueError where it is none, or would carry data in plain text."""
    parts = urlsplit(url)
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise ValueError(f"{parts.scheme or 'this'!r} is no address; write https://HOST")
    if parts.scheme == "http" and not (allowed or loopback(parts.hostname)):
        raise ValueError(
            f"http://{parts.hostname} would carry data and keys in plain text; use https, or say "
            "`allow_plaintext: true`"
        )
    return url.rstrip("/")


def loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
