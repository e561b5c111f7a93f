"""Personal data from the declaration to the file: hashed there, and in no preview, error or history."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import pytest

from tests.small import EXPORT, Small, day

KEY = "a key for tests"


def declared(fields: str) -> str:
    """The small export with fields."""
    return EXPORT.replace("deliver:", f"fields: [{{from: id}}, {fields}]\ndeliver:", 1)


@pytest.fixture
def small(tmp_path: Path) -> Small:
    """A project after `outgate init`, whose buyers have e-mails."""
    made = Small.make(tmp_path)
    assert made.outgate("init").returncode == 0
    made.sql("UPDATE sales SET buyer_email = ' Ann' || id || '@Example.com'")
    return made


def test_a_hash_with_a_key_is_delivered_and_not_shown(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing key is found by `check`; the file has the HMAC; the preview has neither value nor hash."""
    small.declare(declared("{from: buyer_email, to: who, pii: {hash: {env: HASH_KEY}}}"))
    ended = small.outgate("check")
    assert (ended.returncode, "pipelines/sales.yaml:8: the value of {env: HASH_KEY} is missing" in ended.stderr) == (
        2,
        True,
    )
    monkeypatch.setenv("HASH_KEY", KEY)
    shown = small.outgate("preview", "sales", "--partition", day(0))
    assert shown.returncode == 0, shown.stderr
    assert small.outgate("run", "sales", "--partition", day(0)).returncode == 0
    expected = [hmac.new(KEY.encode(), f"ann{n}@example.com".encode(), hashlib.sha256).hexdigest() for n in range(5)]
    assert [row["who"] for row in small.rows(day(0))] == expected
    assert "•••" in shown.stdout
    assert "Ann" not in shown.stdout
    assert expected[0] not in shown.stdout


def test_an_error_about_a_tagged_column_keeps_the_value(small: Small) -> None:
    """Not on the screen, not in the history; the control shows a value that is nobody's."""
    small.sql("ALTER TABLE sales ADD COLUMN note VARCHAR DEFAULT 'none'")
    for fields, seen in (
        ("{from: buyer_email, pii: true, cast: integer}", False),
        ("{from: note, cast: integer}", True),
    ):
        small.declare(declared(fields))
        ended = small.outgate("run", "sales", "--partition", day(0))
        said = ended.stderr + ended.stdout + small.outgate("history", "sales", "--json").stdout
        assert ended.returncode == 1
        assert ("which is no BIGINT" in said, "which cannot be delivered" in said) == (seen, not seen)
        assert ("Ann" in said, "holds none" in said) == (False, seen)
