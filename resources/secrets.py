"""Reading what references point to, and keeping what was read out of every text that leaves.

A value is revealed at the moment of use and remembered only to be taken out of messages again.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from spec.errors import DeclarationError
from spec.secrets import FromEnv, Secret

_revealed: set[str] = set()
_SHORTEST = 4


def reveal(secret: Secret) -> str:
    """The value behind a reference. Raises DeclarationError naming the reference when there is none."""
    value = os.environ.get(secret.env) if isinstance(secret, FromEnv) else _read(Path(secret.file))
    if not value:
        kind = (
            "the environment variable is not set"
            if isinstance(secret, FromEnv)
            else "the file cannot be read, is empty or is not UTF-8 text"
        )
        raise DeclarationError(f"the value of {secret} is missing: {kind}")
    _revealed.add(value)
    return value


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError):
        return ""


def scrub(text: str) -> str:
    """The text without any value that was revealed, in its plain or URL form."""
    for value in sorted(_revealed, key=len, reverse=True):
        if len(value) >= _SHORTEST:
            text = text.replace(value, "***").replace(quote(value, safe=""), "***")
    return text
