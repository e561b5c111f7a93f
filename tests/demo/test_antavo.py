"""The made-up programme for the recipe `antavo` is the same on every machine, and is what the product reads."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest

from demo.antavo.__main__ import main, make, write
from demo.antavo.tables import KINDS, TABLES, Row

UNTIL = date(2026, 3, 1)
PLANS = {"start_at", "end_at"}
"""Moments that may lie ahead."""


@pytest.fixture(scope="module")
def made() -> dict[str, list[Row]]:
    """A small programme."""
    return make(UNTIL, members=100)


def moments(rows: list[Row]) -> Iterator[datetime]:
    """Every moment of facts in rows."""
    for row in rows:
        yield from (each for name, each in row.items() if isinstance(each, datetime) and name not in PLANS)


def test_the_same_arguments_give_the_same_rows(made: dict[str, list[Row]]) -> None:
    """A second run makes equal rows; another seed makes other ones in every table."""
    assert make(UNTIL, members=100) == made
    other = make(UNTIL, members=100, seed=8)
    assert [name for name in TABLES if other[name] == made[name]] == []


def test_rows_have_the_columns_of_their_tables(made: dict[str, list[Row]]) -> None:
    """Each row has each column once, and no key comes twice."""
    for name, columns in TABLES.items():
        assert {frozenset(row) for row in made[name]} == {frozenset(each.name for each in columns)}
        assert len({row[columns[0].name] for row in made[name]}) == len(made[name])


def test_no_fact_is_later_than_the_day(made: dict[str, list[Row]]) -> None:
    """The last midnight is that of Budapest, and facts come close to it; some lie on midnights themselves."""
    end = datetime(2026, 2, 28, 23, tzinfo=UTC)
    newest = {name: max(moments(rows)) for name, rows in made.items() if any(moments(rows))}
    assert len(newest) == 10
    assert max(newest.values()) < end
    assert (end - newest["events"]).total_seconds() < 3600
    assert any(row["process_timestamp"].isoformat()[13:] == ":00:00+00:00" for row in made["events"])


def test_the_file_has_the_rows(made: dict[str, list[Row]], tmp_path: Path) -> None:
    """What DuckDB reads back has the declared types and equal values, JSON apart."""
    write(tmp_path / "antavo.duckdb", made)
    with duckdb.connect(tmp_path / "antavo.duckdb", read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name, columns in TABLES.items():
            table = connection.table(name)
            plain = [each.name for each in columns if each.kind != "object"]
            wanted = [KINDS[each.kind].duckdb.replace(" NOT NULL", "").replace(", ", ",") for each in columns]
            assert [str(each) for each in table.types] == [
                each.replace("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE") for each in wanted
            ]
            listed = ", ".join(f'"{each}"' for each in plain)
            found = connection.execute(f'SELECT {listed} FROM "{name}"').fetchall()
            assert found == [tuple(row[each] for each in plain) for row in made[name]]


def test_declarations_that_are_there_are_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The data is made anew, but a `pipelines/` of one's own is left alone."""
    (tmp_path / "pipelines").mkdir()
    main([str(tmp_path), "--members", "10", "--until", "2026-03-01"])
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["antavo.duckdb", "pipelines"]
    assert list((tmp_path / "pipelines").iterdir()) == []
    assert "10 customers" in capsys.readouterr().out
