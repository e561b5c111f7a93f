"""Personal data: how a field is tagged with `pii:`, what leaves of it, and how it is kept out of texts.

`true` leaves as it is; `mask` as ***; `drop` not at all; `hash` as SHA-256 of the normalised e-mail or phone number, or
as HMAC-SHA-256 where a key is referred to. None of them is ever shown. Reading the key is the assets room's work.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any, Literal

from pydantic import field_validator
from sqlglot import exp

from spec.base import Model
from spec.kinds import FLOATS, WORDS, kind_of
from spec.secrets import FromEnv, FromFile

MASK = "•••"
PERSONAL = re.compile(r"(?i)e-?mail|phone|mobile|birth|first_?name|last_?name|full_?name|address|iban|passport")
"""Columns whose names look personal are not shown either."""
BLOCK = 64
"""Bytes of a block of SHA-256."""
UNSAID = "a value cannot be converted, and is not shown because the export has personal data"
_OWN = re.compile(r"column (?:'((?:[^'\\]|\\.)*)'|\"([^\"]*)\")(?: \([^\n()]*(?:\([^\n()]*\)[^\n()]*)*\))? holds ")
"""How errors of ours begin to speak of a value."""
_NORMAL = r"""
CASE WHEN contains(v, '@') THEN lower(t)
     WHEN regexp_full_match(t, '[+]?[ (]*[0-9][0-9 ()./-]*') THEN concat(
          CASE WHEN regexp_matches(t, '^([+]|00[1-9])') THEN '+' ELSE '' END,
          regexp_replace(regexp_replace(regexp_replace(t, '^([+].*|00[1-9].*)[(]0[)]', '\1'), '^00([1-9])', '\1'),
                         '[^0-9]', '', 'g'))
     ELSE v END
"""
"""`v` is the value, `t` the same without white space around it; E.164 where a country is said."""


class Keyed(Model):
    """HMAC-SHA-256 with the key that a reference leads to: `pii: {hash: {env: NAME}}`."""

    hash: FromEnv | FromFile

    @field_validator("hash", mode="before")
    @classmethod
    def _referred(cls, value: Any) -> Any:
        """A key that was written down is not repeated by the error."""
        if not isinstance(value, dict):
            message = "is a secret and never written down; say {env: NAME} or {file: PATH}"
            raise ValueError(message)  # noqa: TRY004  (what a validator raises)
        return value


Pii = bool | Literal["mask", "drop", "hash"] | Keyed


def compile_pii(value: exp.Expr, type_: str | None, pii: Pii, name: str) -> exp.Expr:
    """What leaves of a value of a DuckDB type (None: of an expression). NULL and '' stay what they are.

    Raises ValueError for a hash of what is neither text nor a whole number or decimal.
    """
    if isinstance(pii, bool):
        return value
    if pii != "mask" and type_ and (kind_of(type_) not in {"text", "number"} or type_ in FLOATS):
        message = f"`pii: hash` is for text and numbers, and {name!r} is {WORDS[kind_of(type_)]} ({type_})"
        raise ValueError(message)
    text = exp.cast(value, "text")
    made: exp.Expr = exp.Literal.string("***") if pii == "mask" else _digest(text, pii, name)
    blank = exp.EQ(this=text.copy(), expression=exp.Literal.string(""))
    nothing = exp.Is(this=value.copy(), expression=exp.null())
    return exp.Case().when(nothing, exp.null()).when(blank, exp.Literal.string("")).else_(made)


def _digest(text: exp.Expr, pii: Pii, name: str) -> exp.Expr:
    trimmed = _filled(r"regexp_replace(v, '^\s+|\s+$', '', 'g')", {"v": text})
    normal = _filled(_NORMAL, {"t": trimmed, "v": text})
    if not isinstance(pii, Keyed):
        return _filled("sha256(n)", {"n": normal})
    inner, outer = (exp.convert(each) for each in variables(name))
    hmac = "sha256(getvariable(o) || unhex(sha256(getvariable(i) || encode(n))))"
    return _filled(hmac, {"n": normal, "i": inner, "o": outer})


def _filled(sql: str, parts: dict[str, exp.Expr]) -> exp.Expr:
    """SQL of ours with its columns replaced by expressions."""
    tree: exp.Expr = exp.maybe_parse(sql, dialect="duckdb")
    return tree.transform(lambda node: parts[node.name].copy() if isinstance(node, exp.Column) else node)


def variables(name: str) -> tuple[str, str]:
    """The engine's variables that hold the two pads of a field's key, so that no key is ever in a statement."""
    return f"inner key of {name}", f"outer key of {name}"


def pads(key: bytes, digest: Callable[[bytes], bytes]) -> tuple[bytes, bytes]:
    """The key as HMAC mixes it into the inner and the outer hash (RFC 2104)."""
    whole = (digest(key) if len(key) > BLOCK else key).ljust(BLOCK, b"\0")
    return bytes(byte ^ 0x36 for byte in whole), bytes(byte ^ 0x5C for byte in whole)


def hide(text: str, columns: Collection[str]) -> str:
    """An engine's error without any value, where there are personal columns; one of ours keeps what is not theirs."""
    return cut(text, columns) if _OWN.match(text) or not columns else UNSAID


def cut(text: str, columns: Collection[str]) -> str:
    """Our own error, without what it says of the value of a personal column, and all that comes after it."""
    for found in _OWN.finditer(text):
        name = (found[1] or found[2]).replace("\\'", "'")
        if name in columns or PERSONAL.search(name):
            return f"{text[: found.end()]}{MASK}, which cannot be delivered: correct it at the source"
    return text
