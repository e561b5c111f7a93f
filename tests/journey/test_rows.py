"""Which rows a window has, asked of every database from the declaration to the delivered file.

What one database can do alone is in its own tests; which windows a grid has in tests/assets/test_grid.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
import pytest

from tests.journey.sources import DATABASES, INSTANTS, MOMENTS, NUMBERED, Source, once, quoted
from tests.journey.test_ids import Meanwhile

DAYS = ("2024-01-01", "2024-01-02", "2024-01-03")
PARIS = "Europe/Paris"
NIGHTS = [datetime(2024, 3, 30, 22), datetime(2024, 10, 26, 22)]  # noqa: DTZ001
"""Clocks change there at 01:00 UTC."""
BY_TIME = {"by": "time", "column": "at", "key": "id", "timezone": "UTC"}
BY_ID = {"by": "id", "column": "id", "lag": "0s"}
COLUMNS = {"id": "integer", "at": "moment"}
QUERIES = (
    "SELECT * FROM events WHERE 1=1 OR 1=1",
    "SELECT * FROM events WHERE 1=0 UNION ALL SELECT * FROM events -- ) WHERE 1=1",
)
MOVED = "UPDATE events SET \"at\" = '2024-01-02 13:00:00' WHERE id = 2"
ODD = {"select": "integer", 'or"der': "moment", "sel`ect": "text", "wh'ere %s ?": "text", "{low} -- ; ü": "text"}
ODD_TABLE = "ev\"en`ts'; -- %s {high}"


@pytest.fixture(params=DATABASES)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    """A project on each of the databases in turn."""
    return Source.of(request.param, request.getfixturevalue(request.param), tmp_path)


def only(*names: str) -> pytest.MarkDecorator:
    """These of the databases alone."""
    return pytest.mark.parametrize("source", names, indirect=True)


def noon(day: int) -> datetime:
    """In the middle of a day of January 2024, on a clock without a zone."""
    return datetime(2024, 1, day, 12)  # noqa: DTZ001


def ids(first: int, last: int) -> list[int]:
    """All ids from the first to the last."""
    return list(range(first, last + 1))


def test_ties_at_the_border_of_two_windows(source: Source) -> None:
    """Rows of one stamp around a border are in one window each, however few of them a statement brings."""
    midnight, tick = datetime(2024, 1, 2), timedelta(microseconds=1)  # noqa: DTZ001
    stamps = [midnight - tick] * 5 + [midnight] * 6 + [midnight + tick] * 3
    source.make(COLUMNS, enumerate(stamps, 1))
    for size in (1, 2, 7, 1000):
        source.declare(cursor=BY_TIME, batch_rows=size)
        assert source.deliver(*DAYS[:2], again=f"{size} a statement") == [ids(1, 5), ids(6, 14)]


def test_rows_without_a_cursor(source: Source) -> None:
    """They stop the window, with their number and the ways out; left out or taken in, they come never or once."""
    source.make(COLUMNS, [(1, noon(1)), (2, None), (3, noon(2)), (4, None)])
    source.declare(cursor=BY_TIME)
    (stopped,) = source.trial.run(DAYS[0])
    assert (stopped.exit_code, stopped.state, source.trial.files("parquet")) == (1, "failed", [])
    for words in ("2 rows", "'at'", "nulls: exclude", "nulls: include", "rows.yaml:"):
        assert words in stopped.detail
    source.declare(cursor=BY_TIME | {"nulls": "exclude"})
    assert source.deliver(*DAYS[:2]) == [[1], [3]]
    source.declare(cursor=BY_TIME | {"nulls": "include"})
    assert source.deliver(*DAYS[:2], again="with all") == [[1, 2, 4], [3]]


@pytest.mark.parametrize("night", NIGHTS)
def test_local_times_of_a_change_of_clocks(source: Source, night: datetime) -> None:
    """A local time of Paris is in the window of the last instant at which its clock had reached it and no later time:
    repeated ones in that of the second pass, skipped ones in that of the change, also where windows begin amid these.
    """
    first, step = night.replace(tzinfo=UTC), timedelta(minutes=10)
    shown = {each: each.astimezone(ZoneInfo(PARIS)).replace(tzinfo=None) for each in times(first, step, 48)}
    stamps = dict(enumerate(times(night + timedelta(hours=2), step, 36)))
    last = {number: max(each for each, wall in shown.items() if wall <= at) for number, at in stamps.items()}
    source.make(COLUMNS, stamps.items())
    source.declare(cursor=BY_TIME | {"timezone": PARIS}, partitions=hours(night + timedelta(hours=6), "Asia/Kolkata"))
    check(source, last, first + timedelta(hours=6))


@pytest.mark.parametrize("night", NIGHTS)
def test_instants_of_a_change_of_clocks(source: Source, night: datetime) -> None:
    """Instants are in the window that holds them, both passes of a repeated hour in windows of their own."""
    first = night.replace(tzinfo=UTC)
    moments = dict(enumerate(times(first, timedelta(minutes=10), 36)))
    source.make({"id": "integer", "at": "instant"}, moments.items())
    source.declare(cursor={"by": "time", "column": "at"}, partitions=hours(night + timedelta(hours=3), PARIS))
    check(source, moments, first + timedelta(hours=5))


def times(first: datetime, step: timedelta, count: int) -> list[datetime]:
    """The first of them and those after it."""
    return [first + number * step for number in range(count)]


def hours(first: datetime, zone: str) -> dict[str, str]:
    """The hours of a zone from a local time of it on."""
    return {"every": "hour", "start": first.isoformat(timespec="minutes"), "timezone": zone}


def check(source: Source, moments: Mapping[int, datetime], until: datetime) -> None:
    """Deliver the windows that end by an instant: each has the ids whose moments it holds, and there are some."""
    grid = source.trial.plan().grid
    windows = [grid.window(key) for key in grid.keys(until)]
    held = [[number for number, at in moments.items() if each.lo <= at < each.hi] for each in windows]
    assert len(windows) >= 3
    assert sum(map(len, held)) >= 18
    assert source.deliver(*(each.key for each in windows)) == held


def test_digits_of_a_second(source: Source) -> None:
    """Of the rows around a window's borders, one for each unit of the cursor's precision, those inside are in it."""
    kinds = [
        (kind, digits, zone)
        for zone, found in ((None, MOMENTS), (UTC, INSTANTS))
        for kind, digits in found[source.name].items()
    ]
    units = [(datetime(2024, 1, 1, tzinfo=zone), timedelta(seconds=1) / 10**digits) for _, digits, zone in kinds]
    around = [timedelta(days=day) for day in (0, 1)]
    rows = [[first + border + step * unit for first, unit in units] for border in around for step in range(-3, 4)]
    columns = {f"of {kind}": kind for kind, _, _ in kinds}
    source.make({"id": "integer"} | columns, [[number, *row] for number, row in enumerate(rows)])
    for name in columns:
        source.declare(cursor=BY_TIME | {"column": name})
        assert source.deliver(DAYS[0], again=name) == [ids(3, 9)], name


@only(*(name for name in DATABASES if name != "duck"))
def test_a_row_that_moves_while_it_is_read(source: Source) -> None:
    """It is in its window as it was when that was read, and again in the window of its new stamp; no other row is."""
    source.make(COLUMNS, [(1, noon(1)), (2, noon(1)), (3, noon(2))])
    source.declare(cursor=BY_TIME, batch_rows=1)
    with once("extract.snapshot", lambda: source.subject.run(MOVED)):
        assert source.deliver(DAYS[0]) == [[1, 2]]
    assert source.trial.column("at") == [noon(1), noon(1)]
    assert source.deliver(DAYS[1]) == [[2, 3]]
    assert source.trial.column("at", DAYS[1]) == [noon(2), noon(2) + timedelta(hours=1)]


def test_a_row_that_moves_before_it_is_read(source: Source) -> None:
    """A row that moved when its window was planned, and not yet read, is in the later window alone."""
    source.make(COLUMNS, [(1, noon(1)), (2, noon(1)), (3, noon(2))])
    source.declare(cursor=BY_TIME)
    with once("journey.horizon", lambda: source.subject.run(MOVED)):
        assert source.deliver(DAYS[0]) == [[1]]
    assert source.deliver(DAYS[1]) == [[2, 3]]


def test_ids_with_gaps(source: Source) -> None:
    """Ids that were rolled back are missed by nobody, and ids in another order than that of their rows are all read."""
    source.make(COLUMNS, [(9, noon(1)), (5, None), (2, noon(3)), (1, noon(2))])
    with source.session() as execute:
        for statement in ("BEGIN", "INSERT INTO events (id) VALUES (7), (11)", "ROLLBACK"):
            execute(statement)
    source.declare(cursor=BY_ID, batch_rows=3)
    assert source.deliver(*DAYS[:2]) == [[1, 2, 5, 9], []]
    source.add([(30, noon(1)), (12, noon(1))])
    assert source.deliver(DAYS[2]) == [[12, 30]]


@only(*NUMBERED)
@pytest.mark.parametrize(("end", "found"), [("COMMIT", [1, 2]), ("ROLLBACK", [2])])
def test_ids_that_end_in_another_order(source: Source, end: str, found: list[int]) -> None:
    """While the transaction of a lower id is open its range is not read: then that id is in it, or never was."""
    source.make({"id": NUMBERED[source.name], "note": "text"})
    source.declare(cursor=BY_ID | {"stamped_by": "database"})
    with source.session() as execute:
        for statement in ("BEGIN", "INSERT INTO events (note) VALUES ('first')"):
            execute(statement)
        source.subject.run("INSERT INTO events (note) VALUES ('second')")
        told = Meanwhile(lambda: execute(end))
        assert source.deliver(*DAYS[:2], reporter=told) == [found, []]
    assert told.said
    assert (source.trial.record(DAYS[0]).horizon or {})["kind"] == "gate"


def test_windows_without_rows(source: Source) -> None:
    """A window without rows, and one of an empty table, is delivered: a file with the columns and no rows."""
    source.make(COLUMNS)
    source.declare(cursor=BY_TIME)
    assert source.deliver(DAYS[0]) == [[]]
    source.add([(1, noon(3))])
    assert source.deliver(*DAYS[1:]) == [[], [1]]
    schemas = [pq.read_schema(path) for path in source.trial.files("parquet")]
    assert schemas == [schemas[-1]] * 3


def test_rows_of_the_future(source: Source) -> None:
    """Rows of the far future move no window, are not read before their time, and come once when their date is mended."""
    source.make(COLUMNS, [(1, noon(1)), (2, datetime(2999, 1, 1, 12)), (4, datetime(2150, 1, 1))])  # noqa: DTZ001
    source.declare(cursor=BY_TIME)
    today, early = source.trial.run(DAYS[0], "2150-01-01")
    assert (today.state, early.state, early.exit_code, source.trial.column()) == ("done", "planned", 3, [1])
    source.add([(3, noon(2))])
    source.subject.run(MOVED.replace("01-02", "01-03"))
    assert source.deliver(*DAYS[1:]) == [[3], [2]]


def test_own_sql_of_one_tenant(source: Source) -> None:
    """Whatever a query of one's own asks for, the rows of the declared tenant are delivered, and no other."""
    tenants = ["acme", "globex", "", None] * 3
    source.make(COLUMNS | {"tenant": "text"}, [(number, noon(1), tenant) for number, tenant in enumerate(tenants)])
    for query in QUERIES:
        source.declare(sql=query, cursor=BY_TIME, batch_rows=2, tenant={"column": "tenant", "equals": "acme"})
        assert source.deliver(DAYS[0], again=query) == [[0, 4, 8]]
        assert source.trial.column("tenant") == ["acme"] * 3


def test_views(source: Source) -> None:
    """A view is read like a table, by time and by id."""
    source.make(COLUMNS, [(1, noon(1)), (2, noon(2)), (3, noon(2)), (4, None)], table="base")
    source.subject.run("CREATE VIEW events AS SELECT a.id, b.at FROM base a JOIN base b ON b.id = a.id WHERE a.id <> 3")
    source.declare(cursor=BY_TIME | {"nulls": "exclude"}, batch_rows=1)
    assert source.deliver(*DAYS[:2]) == [[1], [2]]
    source.declare(cursor=BY_ID)
    assert source.deliver(*DAYS[1:], again="by id") == [[1, 2, 4], []]


def test_odd_names(source: Source) -> None:
    """Reserved words, quotes and what looks like a placeholder name tables and columns of every part."""
    source.make(ODD, table=quoted(ODD_TABLE))
    for number, moment in enumerate(("'2024-01-01 12:00:00'", "'2024-01-02 12:00:00'", "NULL")):
        source.subject.run(f"INSERT INTO {quoted(ODD_TABLE)} VALUES ({number}, {moment}, 'x', 'acme', '')")
    key, column, _, tenant, _ = ODD
    source.declare(
        table=ODD_TABLE, tenant={"column": tenant, "equals": "acme"}, batch_rows=1,
        cursor=BY_TIME | {"column": column, "key": key, "nulls": "exclude"},
    )  # fmt: skip
    assert [outcome.detail for outcome in source.trial.run(*DAYS[:2])] == ["", ""]
    assert [source.trial.column(key, day) for day in DAYS[:2]] == [[0], [1]]
    assert pq.read_schema(source.trial.files("parquet")[0]).names == [*ODD]


@only("postgres", "mysql", "duck")
def test_a_table_of_a_schema(source: Source) -> None:
    """A table is found by the schema that is said, beside one of the same name where tables are looked up."""
    (schema,) = source.subject.schemas
    source.subject.run(f"CREATE SCHEMA {schema}")
    source.make(COLUMNS, [(1, noon(1))])
    source.make(COLUMNS, [(2, noon(1))], table=f"{schema}.events")
    source.declare(table=f"{schema}.events", cursor=BY_TIME)
    assert source.deliver(DAYS[0]) == [[2]]
