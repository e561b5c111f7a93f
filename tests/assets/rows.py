"""Rows that are easily mangled, as many as are asked for and the same every time, and what makes readings comparable."""

from __future__ import annotations

import random
from base64 import b64decode
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

Row = tuple[Any, ...]
HARD = [
    "", " ", '"', '""', "'", ",", ";", "|", "\t", "\n", "\r", "\r\n", "\\", "\\\\", "\\N", '\\"', "NULL", "null", "NaN", "=1+1", "#",
    "\ufeff", "\x01\x7f", "\x0b\x0c\x1c\x85", "\u2028\u2029", "e\u0301", "😀👩‍👩‍👧", "a,b", 'say "x"', "end\\", "true", "0", "-0.0",
    " both ", "$", "{}", "[1]", "\u202eabc", "ß", "\U0010ffff", "x" * 300,
]  # fmt: skip
ALPHABET = "\"',;|\\\t\r\n aé😀N\x01=\u2028"
TYPES: dict[str, pa.DataType] = {
    "n": pa.int64(), "one": pa.string(), "two": pa.string(), "whole": pa.int64(), "money": pa.decimal128(12, 2),
    "wide": pa.decimal128(38, 10), "double": pa.float64(), "flag": pa.bool_(), "day": pa.date32(),
    "moment": pa.timestamp("us"), "instant": pa.timestamp("us", tz="UTC"), "octets": pa.binary(),
}  # fmt: skip
NAMES = tuple(TYPES)
BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
SECONDS = int((datetime(9999, 12, 31, tzinfo=UTC) - BEGINNING).total_seconds())


def text(dice: random.Random, *, tame: bool) -> str | None:
    """A text or NULL; a tame one has nothing that separates cells or rows, and is not empty."""
    chance = dice.random()
    if chance < 0.1:
        return None
    found = dice.choice(HARD) if chance < 0.6 else "".join(dice.choices(ALPHABET, k=dice.randrange(7)))
    if not tame:
        return found
    return "".join(each for each in found if each not in ",;|\t\r\n\\\"'") or "x"


def row(number: int, dice: random.Random, *, tame: bool = False) -> Row:
    """One row; every column but the number is NULL now and then."""
    moment = BEGINNING + timedelta(seconds=dice.randrange(SECONDS), microseconds=dice.choice((0, 1, 999_999, 500_000)))
    values = (
        text(dice, tame=tame), text(dice, tame=tame),
        dice.choice((2**63 - 1, -(2**63), 9_007_199_254_740_993, 0, dice.randrange(10**9))),
        Decimal(dice.choice((999_999_999_999, -1, 0, dice.randrange(10**9)))).scaleb(-2),
        Decimal(dice.choice((10**27 + 1, -1, 0, dice.randrange(10**18)))).scaleb(-10),
        dice.choice((0.1, -0.0, 5e-324, 1.7976931348623157e308, dice.random())),
        dice.random() < 0.5, moment.date(), moment.replace(tzinfo=None), moment, dice.randbytes(dice.randrange(4)),
    )  # fmt: skip
    return (number, values[0], values[1], *(None if dice.random() < 0.05 else value for value in values[2:]))


def table(count: int, seed: int, *, tame: bool = False) -> pa.Table:
    """So many rows as Arrow; the same for the same arguments."""
    dice = random.Random(seed)
    return of(row(number, dice, tame=tame) for number in range(count))


def of(rows: Any) -> pa.Table:
    """Rows as Arrow."""
    columns = list(zip(*rows, strict=True)) or [()] * len(TYPES)
    return pa.table([pa.array(values, kind) for values, kind in zip(columns, TYPES.values(), strict=True)], NAMES)


def _number(value: Any) -> Decimal:
    return Decimal(str(value))


CANONICAL: dict[str, Callable[[Any], Any]] = {
    "n": int, "one": str, "two": str, "whole": int, "money": _number, "wide": _number, "double": lambda value: repr(float(value)),
    "flag": lambda value: {"true": True, "false": False, True: True, False: False}[value],
    "day": lambda value: value if isinstance(value, date) else date.fromisoformat(value),
    "moment": lambda value: value if isinstance(value, datetime) else datetime.fromisoformat(value),
    "instant": lambda value: (value if isinstance(value, datetime) else datetime.fromisoformat(value)).astimezone(UTC),
    "octets": lambda value: value if isinstance(value, bytes) else b64decode(value, validate=True),
}  # fmt: skip
"""What a text, or a value of a reader's own, means in a column."""
