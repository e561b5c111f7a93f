"""What leaves of personal data, against Python's own hashes, and that it is shown nowhere."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spec.errors import DeclarationError
from spec.personal import MASK, UNSAID, cut, hide, pads, variables
from spec.shape import compile_shape
from tests.spec.columns import NOW, declare, shaped

WHITE = " \t\n\r\f"
"""What RE2 takes for white space."""


def normal(value: str) -> str:
    """An e-mail in small letters, a phone number as E.164 where it says its country; without white space around."""
    trimmed = value.strip(WHITE)
    if "@" in value:
        return trimmed.lower()
    if not re.fullmatch(r"[+]?[ (]*[0-9][0-9 ()./-]*", trimmed):
        return value
    international = re.match(r"[+]|00[1-9]", trimmed)
    if international:
        trimmed = trimmed.replace("(0)", "", 1)
    digits = re.sub("[^0-9]", "", trimmed)
    return f"+{digits.removeprefix('00') if trimmed.startswith('00') else digits}" if international else digits


def hashed(value: str | None, key: bytes | None) -> str | None:
    """The digest in hex; what is nothing stays nothing."""
    if not value:
        return value
    data = normal(value).encode()
    return hmac.new(key, data, hashlib.sha256).hexdigest() if key else hashlib.sha256(data).hexdigest()


def left(tag: Any, values: list[Any], key: bytes = b"", kind: pa.DataType | None = None) -> list[Any]:
    """What leaves of a column with a tag."""
    declared = declare(fields=[{"from": "n"}, {"from": "c", "pii": tag}])
    with duckdb.connect(config={"threads": 1}) as connection:
        rows = pa.table({"n": range(len(values)), "c": pa.array(values, kind or pa.string())})
        connection.register("extract", rows)
        for name, pad in zip(variables("c"), pads(key, lambda data: hashlib.sha256(data).digest()), strict=True):
            connection.execute(f'SET VARIABLE "{name}" = ?::BLOB', [pad])
        columns = dict(zip(["n", "c"], map(str, connection.table("extract").types), strict=True))
        sql = compile_shape(declared, columns, NOW).sql(dialect="duckdb")
        return [value for _, value in sorted(connection.sql(sql).fetchall())]


_WORDS = st.text(st.sampled_from("aB@.+(0) -/0123456789é\t"), max_size=14)


@settings(max_examples=30, deadline=None)
@given(values=st.lists(st.none() | _WORDS, min_size=1, max_size=30), key=st.binary(min_size=1, max_size=100))
@example(values=[" Ann@Example.COM\n", "+33 (0)1 23-45", "0033 1 23 45", "01 23 45", "Ann", "", None], key=b"k" * 65)
def test_a_hash_is_that_of_the_normal_form(values: list[str | None], key: bytes) -> None:
    """SHA-256, and HMAC-SHA-256 with a key of any length; NULL and an empty text stay what they are."""
    assert left("hash", values) == [hashed(value, None) for value in values]
    assert left({"hash": {"env": "HASH_KEY"}}, values, key) == [hashed(value, key) for value in values]


def test_spellings_of_one_person_have_one_hash() -> None:
    """And the known digest of a known address."""
    for same in (
        ["ann@example.com", " ANN@example.com "],
        ["+33123456789", "0033 1 23 45 67 89", "+33 (0)1.23-45/67 89"],
    ):
        assert len(set(left("hash", same))) == 1
    assert left("hash", ["A@b.c"]) == [hashlib.sha256(b"a@b.c").hexdigest()]
    assert left("hash", [33123456789], kind=pa.int64()) == [hashlib.sha256(b"33123456789").hexdigest()]


def test_masked_values_leave_as_stars_and_dropped_columns_not_at_all() -> None:
    """NULL and an empty text stay what they are; the other columns stay where they were."""
    assert left("mask", ["Ann", "", None]) == ["***", "", None]
    assert left(True, ["Ann", None]) == ["Ann", None]
    assert shaped(declare(fields=[{"from": "n", "pii": "drop"}, {"from": "c"}]), c=(pa.string(), ["a"])) == [("a",)]


def test_computed_fields_and_groups_can_be_hashed() -> None:
    """A group is that of the hash, so that two spellings are one."""
    [(found,)] = shaped(
        declare(fields=[{"expression": "upper(c)", "to": "f", "pii": "hash"}]), c=(pa.string(), ["a@b"])
    )
    assert found == hashed("A@B", None)
    fields = [{"from": "c", "pii": "hash", "aggregate": "group"}, {"from": "c", "to": "n", "aggregate": "count"}]
    assert shaped(declare(fields=fields), c=(pa.string(), ["a@b", "A@b "])) == [(hashed("a@b", None), 2)]


WRONG: list[tuple[list[dict[str, Any]], str]] = [
    ([{"from": "c", "pii": "hidden"}], "`fields.0.pii`"),
    (
        [{"from": "c", "pii": {"hash": "a literal key"}}],
        "`fields.0.pii.hash` is a secret and never written down; say {env: NAME}",
    ),
    ([{"from": "c", "pii": "drop"}], "every field is dropped"),
    (
        [{"from": "c", "aggregate": "group"}, {"from": "c", "to": "d", "pii": "mask", "aggregate": "max"}],
        "only a group can be hashed",
    ),
    ([{"from": "c", "aggregate": "group", "pii": "drop"}], "only a group can be hashed"),
]


@pytest.mark.parametrize(("fields", "said"), WRONG)
def test_a_wrong_tag_is_an_error_at_check(fields: list[dict[str, Any]], said: str) -> None:
    """An unknown one, a key that is written down, one that aggregation cannot follow."""
    with pytest.raises(DeclarationError) as caught:
        declare(fields=fields)
    assert said in str(caught.value)
    assert "literal key" not in str(caught.value)


def test_a_date_cannot_be_hashed() -> None:
    """It has no one spelling: say a format."""
    with pytest.raises(DeclarationError, match="`pii: hash` is for text and numbers"):
        left("hash", [], kind=pa.date32())


@pytest.mark.parametrize("value", ["joe", "joe, which is", 'O\'Brien "x"', "a holds b", "two\nlines, which joe"])
def test_an_error_hides_the_value_of_a_tagged_column(value: str) -> None:
    """It names the column still, and values of other columns are shown; an error of the engine shows none at all."""
    for column in ("column 'email'", "column 'email' (varchar(20))"):
        said = f"{column} holds {value}, which is no BIGINT: correct it"
        assert hide(said, ["email"]) == f"{column} holds {MASK}, which cannot be delivered: correct it at the source"
    other = f"column 'note' holds {value}, which is no BIGINT: correct it"
    assert hide(other, ["phone"]) == hide(other, []) == other
    assert hide(f"Could not convert string '{value}' to INT32", ["email"]) == UNSAID
    assert cut("the cursor 'at' is NULL in 3 rows", ["email"]) == "the cursor 'at' is NULL in 3 rows"
