"""Rules for rows: each finds the rows that break it, counts them and shows one, and lets all others through."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from assets import transform
from assets.plan import Plan
from assets.rules import refuse
from assets.transform import Shaped, engine
from spec.errors import OutgateError, RowsRefused
from tests.assets.files import shaped
from tests.spec.texts import RIGHT, declared

MANY = "SELECT md5((i % 999_999)::VARCHAR) AS local_id FROM range(1_000_000) r(i)"
"""Two of a million are alike."""


def planned(head: str = "unique: [id]\n", fields: str = "all") -> Plan:
    """A plan with rules; what is said of the source is not looked at."""
    before, _, rest = RIGHT.partition("fields:\n")
    text = before.replace("source:", head + "source:", 1) + f"fields: {fields}\n" + rest[rest.index("deliver:") :]
    return Plan(declared(text), None, None, None)  # type: ignore[arg-type]


def said(sql: str, plan: Plan) -> str:
    """What is said of the rows that are refused; "" where none is."""
    with shaped(sql) as rows:
        try:
            refuse(rows, plan)
        except RowsRefused as refused:
            return str(refused)
    return ""


@pytest.mark.parametrize(("values", "words"), [
    ("(1), (2), (3)", ""),
    ("(1), (2), (1), (1), (2), (3)", "x.yaml:2: the window holds 5 rows that are not the only ones with their 'id', such as '1'. Nothing"),
    ("(1), (NULL), (NULL)", "x.yaml:2: column 'id' holds NULL in 2 rows, which no part of a unique key may be. Nothing"),
    ("(1.10), (1.1)", "holds 2 rows that are not the only ones with their 'id', such as '1.10'"),
    ("('a'), ('A'), ('a '), ('')", ""),
    ("('a'), ('a')", "such as 'a'"),
])  # fmt: skip
def test_one_column_is_unique(values: str, words: str) -> None:
    """Rows that share a value are counted, and so are those without one; texts are compared as they are."""
    found = said(f"SELECT * FROM (VALUES {values}) r(id)", planned())
    assert words in found
    assert bool(words) == bool(found)


def test_several_columns_are_unique_together() -> None:
    """Each may repeat by itself; a NULL in one is no value of the key. Both are told at once, with a key that is there."""
    plan = planned('unique: [id, "a \\"b"]\n')
    rows = "SELECT * FROM (VALUES (1, 'x'), (1, 'y'), (2, 'x')) r(id, \"a \"\"b\")"
    assert said(rows, plan) == ""
    found = said(f"{rows} UNION ALL VALUES (1, 'y'), (3, 'a'), (3, 'a'), (9, NULL), (9, NULL)", plan)
    assert "4 rows that are not the only ones with their 'id', 'a \"b', such as '1', 'y'" in found
    assert "column 'a \"b' holds NULL in 2 rows" in found


def test_a_column_with_a_name_of_ours() -> None:
    """The names of the query are its own."""
    plan = planned("unique: [key, count]\n")
    assert said('SELECT 1 AS "key", 1 AS "count", i AS repeated FROM range(1) r(i)', plan) == ""
    assert "2 rows" in said('SELECT 1 AS "key", 1 AS "count", i AS repeated FROM range(2) r(i)', plan)


@pytest.mark.parametrize(("fields", "shown"), [
    ("[{from: id}]", True), ("[{from: id, pii: true}]", False), ("[{from: phone, to: id}]", False),
])  # fmt: skip
def test_personal_values_are_not_shown(fields: str, shown: bool) -> None:
    """Neither those of a tagged field nor those of a column that looks personal; the number is."""
    found = said("SELECT 'secret-7' AS id FROM range(2)", planned(fields=fields))
    assert "holds 2 rows" in found
    assert ("secret-7" in found) == shown


OPTIMOVE = "profile: optimove\nunique: [id]\n"


@pytest.mark.parametrize(("value", "right"), [
    ("2024-02-29", True), ("2024-02-29 23:59:59", True), (None, True), ("2023-02-29", False), ("2024-01-01T00:00:00", False),
    ("2024-01-01 00:00:00Z", False), ("2024-01-01 24:00:00", False), ("2024-1-1", False), ("01.02.2024", False), ("", False),
    (" 2024-01-01", False), ("2024-01-01\n", False), ("2024-01-01 10:00", False), ("never", False),
])  # fmt: skip
def test_text_that_is_called_a_date(value: str | None, right: bool) -> None:
    """It is a day or a second that there is, in Optimove's spelling. The control: other columns and partners may have any."""
    literal = "NULL::VARCHAR" if value is None else "'" + value + "'"
    rows = f"SELECT 1 AS id, {literal} AS created_at, {literal} AS note"
    found = said(rows, planned(OPTIMOVE))
    assert (found == "") == right
    if not right:
        assert f"x.yaml:2: column 'created_at' holds {value!r} in 1 rows, which is no yyyy-MM-dd" in found
    assert said(rows, planned()) == ""


def test_dates_with_a_type_are_right() -> None:
    """They are spelled by the format; all rules that are broken are told at once."""
    typed = "SELECT 1 AS id, DATE '2024-01-01' AS birth_date, TIMESTAMP '2024-01-01 10:00:00' AS created_at"
    assert said(typed, planned(OPTIMOVE)) == ""
    found = said("SELECT 1 AS id, 'x' AS a_at, 'y' AS b_date, 'z' AS date FROM range(3)", planned(OPTIMOVE))
    assert found.count("in 3 rows, which is no yyyy-MM-dd") == 3
    assert found.count("not the only ones") == 1


def test_a_value_that_cannot_be_computed() -> None:
    """The message is that of writing it, without anything of DuckDB's around it."""
    sql = "SELECT CAST(t AS INTEGER) AS id FROM (VALUES ('1'), ('x')) r(t)"
    with shaped(sql) as rows, pytest.raises(OutgateError, match="loyalty_events: the rows cannot be checked: "):
        refuse(rows, planned())


def test_keys_that_do_not_fit_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A million keys are counted with a tenth of the memory that they need: they go to the disk. The control has none."""
    monkeypatch.setattr(transform, "MEMORY", "48MB")
    plan = planned("unique: [local_id]\n")
    with engine(tmp_path) as connection:
        rows = Shaped(connection, MANY, {"local_id": "VARCHAR"})
        with pytest.raises(RowsRefused, match="holds 2 rows that are not the only ones"):
            refuse(rows, plan)
    with duckdb.connect(config={"memory_limit": "48MB", "threads": 2, "temp_directory": ""}) as connection:
        rows = Shaped(connection, MANY, {"local_id": "VARCHAR"})
        with pytest.raises(OutgateError, match=r"(?i)out of memory|could not allocate"):
            refuse(rows, plan)
