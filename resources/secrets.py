"""Reading what references point to, and keeping what was read out of every text that leaves.

A value is revealed at the moment of use and remembered only to be taken out of messages again.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.parse import quote

from spec.errors import DeclarationError
from spec.secrets import FromEnv, Secret

_revealed: set[str] = set()
_SHORTEST, _LINE = 4, 12


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


def reveal_line(secret: Secret) -> str:
    """The same for a value of one line: a key, a token or a password that is sent as it is.

    Raises DeclarationError where a line break or another control character is in it.
    """
    value = reveal(secret)
    if not value.isprintable():
        raise DeclarationError(
            f"the value of {secret} has a line break or another control character in it; copy it again"
        )
    return value


def scrub(text: str) -> str:
    """The text without any value that was revealed, as it is, or in the forms of URLs, JSON and Python; of a value of
    several lines, without any of them.
    """
    for value in sorted(_revealed, key=len, reverse=True):
        forms = {value, quote(value, safe=""), quote(value), repr(value)[1:-1], json.dumps(value)[1:-1]}
        forms |= {line.strip() for line in value.splitlines() if len(line.strip()) >= _LINE}
        for form in sorted(forms, key=len, reverse=True):
            text = text.replace(form, "***") if len(form) >= _SHORTEST else text
    return text
