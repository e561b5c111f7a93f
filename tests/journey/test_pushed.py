"""What is pushed to the source: random filters keep the same rows on real databases as DuckDB keeps without help."""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from assets import extract
from assets.glance import _read
from assets.pushed import pushed
from assets.transform import engine, shape
from tests.journey.sources import DATABASES, Source

COLUMNS = {"id": "integer", "exact": "money", "wide": "exact", "day": "day", "moment": "moment", "moment_tz": "instant",
           "word": "text"}  # fmt: skip
NUMBERS = [-9007199254740993, -1, 0, 1, 2, 7, 9007199254740992, 9007199254740993, 9223372036854775807]
CENTS = [Decimal(text) for text in ("-0.01", "0.00", "0.10", "1.00", "9999999999.98", "9999999999.99")]
WIDE = [Decimal(text) for text in ("0.1", "0.1000000001", "12345678901234567890.1234567891", "-3.0000000000")]
MOMENTS = [
    datetime.fromisoformat(text)
    for text in ("2024-03-31 01:59:59.999999", "2024-03-31 03:00", "2023-12-31", "1999-01-01")
]
WORDS = ["", "a", "A", "ä", None]
ORDERED = ("equals", "less_than", "at_most", "more_than", "at_least", "between", "in", "not_equals")
DATED = ("equals", "before", "after", "on_or_before", "on_or_after", "between", "in", "not_equals")
KEY = "2024-03-31"
SETS = 500 if os.environ.get("OUTGATE_PROVE") == "1" else 25


@pytest.fixture(params=[name for name in DATABASES if name != "lite"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    """Five hundred rows of edges, a fifth of each column NULL, on each of the databases that are asked with filters."""
    made = Source.of(request.param, request.getfixturevalue(request.param), tmp_path)
    made.make({name: kind for name, kind in COLUMNS.items() if kind in made.subject.types})
    made.add(_row(random.Random(number), made) for number in range(500))
    return made


def _row(chance: random.Random, source: Source) -> list[Any]:
    moment = chance.choice(MOMENTS) + timedelta(microseconds=chance.choice([0, 0, 1]))
    found = {
        "id": chance.choice(NUMBERS) if source.subject.types["integer"] != "integer" else chance.randrange(-9, 9),
        "exact": chance.choice(CENTS), "wide": chance.choice(WIDE), "day": moment.date(), "moment": moment,
        "moment_tz": moment.replace(tzinfo=UTC) if source.name != "mysql" else moment, "word": chance.choice(WORDS),
    }  # fmt: skip
    return [
        None if chance.random() < 0.2 else found[name] for name, kind in COLUMNS.items() if kind in source.subject.types
    ]


def _filters(chance: random.Random, columns: list[str]) -> dict[str, Any]:
    return {"any": [{"all": [_condition(chance, columns) for _ in range(chance.choice([1, 1, 2]))]}
                    for _ in range(chance.choice([1, 1, 2]))]}  # fmt: skip


def _condition(chance: random.Random, columns: list[str]) -> dict[str, Any]:
    column = chance.choice(columns)
    if chance.random() < 0.2 or column == "word":
        operator = chance.choice(["empty", "not_empty"])
        return {"field": column, "is": operator}
    dated = column.startswith(("day", "moment"))
    operator = chance.choice(DATED if dated else ORDERED)
    values = sorted([_value(chance, column), _value(chance, column)], key=str)
    return {"field": column, "is": operator, "value": values if operator in {"between", "in"} else values[0]}


def _value(chance: random.Random, column: str) -> Any:
    if column == "day":
        return chance.choice(["2024-03-31", "2023-12-31", "1999-01-01", "date:-1 day"])
    if column.startswith("moment"):
        return chance.choice(
            [*(each.isoformat(sep=" ") for each in MOMENTS), "date:today", "date:-1 hour", "2024-03-31"]
        )
    numbers: dict[str, list[Any]] = {"id": [-1, 0, 1, 7, *NUMBERS], "exact": [*CENTS], "wide": [*WIDE]}
    return str(chance.choice(numbers[column]))


def rows(source: Source, folder: Path, *, push: bool) -> tuple[list[tuple[Any, ...]], int, bool]:
    """The rows that the filters keep, how many were read for them, and whether any condition was pushed."""
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        if not push:
            patch.setattr(extract, "pushed", lambda *_: [])
        plan = source.trial.plan()
        window = plan.grid.window(KEY)
        read = _read(plan, window, None, folder / "extract.parquet", 10_000)
        reading = extract.Reading(folder / "extract.parquet", plan.relation.columns, None)  # type: ignore[arg-type]
        with engine(folder) as connection:
            found = connection.sql(shape(connection, plan, reading, window, None).sql).fetchall()
    return sorted(found, key=repr), read, bool(pushed(plan, window))


def test_the_same_rows_are_kept(source: Source, tmp_path: Path) -> None:
    """Random sets of conditions: edges of types, microseconds, NULL, OR of AND, days when clocks change."""
    chance, columns = random.Random(11), [name for name, kind in COLUMNS.items() if kind in source.subject.types]
    narrowed = done = 0
    while done < SETS:
        filters = _filters(chance, columns)
        source.trial.declare(
            {"table": "events"}, mode="snapshot", filters=filters,
            partitions={"every": "day", "start": "2024-01-01", "timezone": "Europe/Paris"},
        )  # fmt: skip
        try:
            mine, read, was = rows(source, tmp_path / f"{done}-pushed", push=True)
        except Exception as error:
            if "is no value of" in str(error):  # a number that the column could never have
                (tmp_path / f"{done}-pushed").rename(tmp_path / f"{done}-{chance.random()}")
                continue
            raise
        other, whole, _ = rows(source, tmp_path / f"{done}-plain", push=False)
        assert mine == other, filters
        assert whole == 500
        assert was or read == whole
        narrowed += read < whole
        done += 1
    assert narrowed > SETS // 3


TEXTS: list[dict[str, Any]] = [{"field": "word", "is": "equals", "value": "a"}, {"field": "word", "is": "in", "value": ["a", "b"]},
         {"field": "word", "is": "starts_with", "value": "a"}, {"field": "word", "is": "empty"}]  # fmt: skip


@pytest.mark.parametrize("condition", TEXTS, ids=[str(each["is"]) for each in TEXTS])
def test_text_is_not_pushed(source: Source, tmp_path: Path, condition: dict[str, Any]) -> None:
    """A server may take 'A' for 'a' and 'ä' for 'a', and '' for NULL; alone in its set, nothing of the filter is."""
    number = {"field": "exact", "is": "at_least", "value": 0}
    for filters, pushes in (
        ([{"all": [condition, number]}], True),
        ([{"all": [condition]}, {"all": [number]}], False),
    ):
        source.trial.declare({"table": "events"}, mode="snapshot", filters={"any": filters})
        mine, _, was = rows(source, tmp_path / f"a{pushes}", push=True)
        assert (mine, was) == (rows(source, tmp_path / f"b{pushes}", push=False)[0], pushes)


@pytest.mark.parametrize("more", [{"mode": "incremental"}, {"transform": {"sql": "SELECT * FROM extract"}}])
def test_what_pushes_nothing(source: Source, more: dict[str, Any]) -> None:
    """Windows, whose late rows are told from the keys of what was read; and a transform, whose columns are its own."""
    cursor = {"by": "time", "column": "moment", "timezone": "UTC", "key": "id"}
    filters = {"any": [{"all": [{"field": "exact", "is": "at_least", "value": 0}]}]}
    source.trial.declare({"table": "events", "cursor": cursor}, **({"mode": "snapshot", "filters": filters} | more))
    plan = source.trial.plan()
    assert pushed(plan, plan.grid.window(KEY)) == []
