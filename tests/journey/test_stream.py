"""Readings that stream: the same deliveries as by way of a file, and never a short one, whatever breaks on the way."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from psycopg.rows import TupleRow

from assets.horizon import look
from assets.stream import DETOURS, QUEUED, Asked, Stream, detour
from assets.transform import engine
from assets.windows import Window
from resources import failpoint
from spec.errors import OutgateError, RowsRefused
from tests.journey.test_values import insert, make
from tests.journey.trial import FORMATS, Told, Trial, delivery
from tests.journey.values import KINDS

DAY, NEXT = "2024-01-01", "2024-01-02"
CURSOR = {"by": "time", "column": "at", "stamped_by": "database"}
PLAIN = {"table": "rows", "cursor": CURSOR}
SHAPES: dict[str, dict[str, Any]] = {
    "all": {},
    "filtered and renamed": {
        "filters": {"any": [{"all": [{"field": "n", "is": "more_than", "value": 20}]}]},
        "fields": [
            {"from": "n", "to": "number"}, {"from": "flag", "default": False}, {"from": "short", "to": 'a"b'},
            {"from": "money", "replace": {"0.00": "nothing"}}, {"from": "doc"},
        ],
    },
    "none left": {"filters": {"any": [{"all": [{"field": "n", "is": "less_than", "value": 0}]}]}},
}  # fmt: skip
BIG = """
CREATE TABLE rows AS
SELECT i AS n, timestamptz '2024-01-01Z' + i * interval '1 millisecond' AS at, repeat(md5(i::text), 32) AS note,
       timestamp '2024-01-01' AS odd FROM generate_series(1, 80000) AS r(i)
"""
"""About 80 MB: more than the queue and DuckDB's own buffers hold."""

Session = psycopg.Connection[TupleRow]


@contextmanager
def points(hook: Any = None) -> Iterator[list[str]]:
    """The failpoints that were passed; `hook` is called at each, in whichever thread."""
    passed: list[str] = []

    def told(name: str) -> None:
        passed.append(name)
        if hook:
            hook(name)

    failpoint.install(told)
    try:
        yield passed
    finally:
        failpoint.install(None)


def deliver(trial: Trial, **how: Any) -> tuple[bool, str]:
    """Deliver the day; whether the reading streamed, and the preview."""
    with points() as passed:
        (outcome,) = trial.run(DAY, **how)
    assert outcome.good, outcome.detail
    streamed = "extract.streamed" in passed
    assert streamed != ("extract.written" in passed)
    return streamed, outcome.preview


def comparable(path: Path) -> Any:
    """The rows of a file, in an order of their own: lines as they are, Parquet as types and the spelling of values."""
    if path.suffix != ".parquet":
        return sorted(line.rstrip(b",") for line in path.read_bytes().split(b"\n"))  # a JSON array has commas
    table = pq.read_table(path)
    return table.schema, sorted(map(repr, table.to_pylist()))  # NaN is not NaN, but it is spelled the same


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("shape", SHAPES)
def test_both_ways_deliver_the_same(trial: Trial, source: Session, form: str, shape: str) -> None:
    """Every value of every type, as it is or shaped: streamed or by way of a file, the bytes and the preview are equal."""
    make(source, {name: kind.type for name, kind in KINDS.items()})
    for name, kind in KINDS.items():
        for text in (*kind.texts, None):
            insert(source, name, kind.type, text)
    trial.declare(PLAIN, formats=[form], **SHAPES[shape])
    streamed, preview = deliver(trial)
    found = [comparable(path) for path in trial.files(form)]
    twice = [delivery(form), delivery(form, name="twin", path="twin/{partition}")]
    trial.declare(PLAIN, **{"deliver": twice, **SHAPES[shape]})
    filed, other = deliver(trial, again=uuid4().hex)
    assert (streamed, filed) == (True, False)
    assert len(found) == 1
    assert all(one == two for one, two in zip(found, map(comparable, trial.files(form)), strict=True))
    assert sorted(preview.splitlines()) == sorted(other.splitlines())


def test_a_source_that_breaks_off(trial: Trial, source: Session) -> None:
    """Its session is ended in the middle of the rows: nothing is delivered, the message says why, the next try is whole."""
    source.execute(BIG)
    trial.declare(PLAIN, formats=["csv"])
    ended: list[Any] = []

    def hook(name: str) -> None:
        if name == "extract.batch" and not ended:
            ended.extend(source.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'outgate' "
                "AND datname = current_database() AND backend_type = 'client backend'").fetchall())  # fmt: skip

    with points(hook) as passed:
        (outcome,) = trial.run(DAY)
    assert ended == [(True,)]
    assert (outcome.state, outcome.retriable, trial.files("csv")) == ("failed", True, [])
    assert outcome.detail.startswith("PostgreSQL ")
    assert "extract.streamed" not in passed
    assert trial.record(DAY).deliveries[0].state != "done"
    assert deliver(trial)[0]
    assert sum(len(path.read_bytes().splitlines()) for path in trial.files("csv")) == 80001


def test_a_value_refused_in_the_last_batch(trial: Trial, source: Session) -> None:
    """What no type can carry is refused by name though all rows before it are in the part already; nothing is sealed."""
    source.execute(BIG)
    source.execute("UPDATE rows SET odd = 'infinity' WHERE n = 80000")
    trial.declare({"sql": "SELECT * FROM rows ORDER BY n", "cursor": CURSOR}, formats=["csv"])
    with points() as passed:
        (outcome,) = trial.run(DAY)
    assert (outcome.state, outcome.exit_code, trial.files("csv")) == ("failed", 1, [])
    assert "'odd'" in outcome.detail
    assert passed.count("extract.batch") >= 3
    assert not {"extract.streamed", "part.synced", "ledger.seal.before"} & {*passed}


@pytest.mark.parametrize("point", ["extract.snapshot", "extract.batch", "extract.streamed", "part.opened"])
def test_an_interrupt_ends_the_run(trial: Trial, source: Session, point: str) -> None:
    """Wherever Ctrl-C strikes, it comes through as itself, and neither a thread nor the source's transaction stays."""
    source.execute(BIG)
    trial.declare(PLAIN, formats=["csv"])

    def hook(name: str) -> None:
        if name == point:
            raise KeyboardInterrupt

    with points(hook), pytest.raises(KeyboardInterrupt):
        trial.run(DAY)
    assert [thread for thread in threading.enumerate() if thread.name == "outgate-reading"] == []
    left = "SELECT pid FROM pg_stat_activity WHERE application_name = 'outgate' AND datname = current_database()"
    for _ in range(100):  # the server notices a moment later
        if not source.execute(left).fetchall():
            break
        time.sleep(0.1)
    assert source.execute(left).fetchall() == []
    assert deliver(trial)[0]


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """SIGINT as a terminal has it: a job in the background begins with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("delay", [0, 0.05, 0.2])
def test_a_real_interrupt(trial: Trial, source: Session, delay: float) -> None:
    """A signal that arrives while the rows come ends the run as it would anything else."""
    source.execute(BIG)
    trial.declare(PLAIN, formats=["csv"])
    begun = threading.Event()

    def strike() -> None:
        begun.wait()
        time.sleep(delay)
        os.kill(os.getpid(), signal.SIGINT)

    striker = threading.Thread(target=strike)
    striker.start()
    with points(lambda name: begun.set() if name == "extract.snapshot" else None), pytest.raises(KeyboardInterrupt):
        trial.run(DAY)
    striker.join()
    assert trial.files("csv") == []


@pytest.mark.usefixtures("ctrl_c")
def test_an_interrupt_where_duckdb_asks() -> None:
    """Where the main thread itself takes the batches for DuckDB, the interrupt is not taken for an error of the disk."""

    def read() -> Iterator[pa.RecordBatch]:
        yield from batches(1)
        threading.Event().wait(1)

    made = stream(read())
    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt), made.whole(), pytest.raises(OSError):  # noqa: PT011  (whatever it is made of)
        made.reader().read_all()


def test_sealed_parts_that_are_lost_are_streamed_again(trial: Trial, source: Session) -> None:
    """In the same run, too: a stream that was taken is not taken for one that has the rows."""
    source.execute(BIG)
    trial.declare(PLAIN, formats=["csv"])
    lost: list[Path] = []

    def hook(name: str) -> None:
        if name == "journey.sealed" and not lost:
            lost.extend((trial.home.spool_folder / "sealed").rglob("*-f*/csv/1"))
            lost[0].unlink()

    with points(hook) as passed:
        (outcome,) = trial.run(DAY)
    assert outcome.good, outcome.detail
    assert passed.count("extract.streamed") == 2
    assert sum(len(path.read_bytes().splitlines()) for path in trial.files("csv")) == 80001


def test_progress_is_told_of_all_rows(trial: Trial, source: Session) -> None:
    """The reporter hears of as many rows as the ledger has, in the thread of the run."""
    source.execute(BIG)
    trial.declare(PLAIN, formats=["csv"])
    told, threads = Told(), set()
    with points(lambda name: threads.add(threading.current_thread()) if name == "extract.batch" else None):
        assert [outcome.good for outcome in trial.run(DAY, reporter=told)] == [True]
    assert (told.rows, trial.record(DAY).rows) == (80000, 80000)
    assert threads == {threading.main_thread()}


def test_the_same_keys_are_kept(trial: Trial, source: Session) -> None:
    """What the sweep for late rows compares with is equal, whether it was cut out of a file or written in passing."""
    source.execute(BIG)
    cursor = CURSOR | {"key": "n", "lookback": "9000d", "late": "restate"}
    found = []
    for forms in (["csv"], ["csv", "ndjson"]):
        trial.declare({"table": "rows", "cursor": cursor}, formats=forms)
        assert deliver(trial, again=str(len(forms)))[0] == (len(forms) == 1)
        seen = trial.record(DAY).seen or {}
        kept = pq.read_table(trial.home.spool_folder / str(seen["path"]))
        found.append((seen["rows"], kept.schema, kept.sort_by("n").to_pylist()))
    assert found[0][0] == 80000
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("why", "more"),
    [
        ("several windows", {}),
        ("late rows are carried", {}),
        ("each delivery", {"formats": ["csv", "ndjson"]}),
        ("`transform:`", {"transform": {"sql": "SELECT * FROM extract"}}),
        ("rows are checked", {"unique": ["n"]}),
        ("all rows are compared", {"mode": "changes", "changes": {"key": ["n"]}}),
        ("groups", {"mode": "snapshot", "fields": [{"from": "n", "aggregate": "group"}]}),
        ("", {}),
    ],
)
def test_what_goes_through_a_file(trial: Trial, source: Session, why: str, more: dict[str, Any]) -> None:
    """Rows that are needed more than once are read into a file, and the table says why; all others stream."""
    source.execute("CREATE TABLE rows (n integer PRIMARY KEY, at timestamptz)")
    trial.declare(PLAIN, **more)
    plan = trial.plan()
    window = plan.grid.window(DAY)
    span = Window(DAY, window.lo, window.hi + timedelta(days=why == "several windows"))
    horizon = look(plan.database, plan.export.source.cursor)
    found = detour(Asked(plan, window, span, horizon, carried=why == "late rows are carried"))
    assert (found == "") == (why == "")
    assert why in found
    assert len(DETOURS) == 7


SCHEMA = pa.schema([("n", pa.int64())])


def batches(count: int, error: Exception | None = None) -> Iterator[pa.RecordBatch]:
    """So many batches of a thousand rows, and then an error."""
    for number in range(count):
        yield pa.record_batch([pa.array(range(number * 1000, number * 1000 + 1000))], schema=SCHEMA)
    if error:
        raise error


def stream(read: Iterator[pa.RecordBatch]) -> Stream:
    """A stream of those batches that tells nobody."""
    return Stream(SCHEMA, lambda: read, lambda _rows, _bytes: None)  # type: ignore[arg-type, return-value]


def test_an_error_that_became_an_end(tmp_path: Path) -> None:
    """A consumer that takes the source's error for the end of the rows is not believed."""
    made = stream(batches(3, RowsRefused("the last one is odd")))
    with pytest.raises(RowsRefused, match="odd"), made.whole(), pytest.raises(OSError, match="broke off"):
        made.reader().read_all()
    assert made.rows == 3000
    with engine(tmp_path) as connection:
        broken = stream(batches(3, ValueError("broken")))
        connection.register("arriving", broken.reader())
        with pytest.raises(ValueError, match="broken"), broken.whole():
            connection.sql("SELECT sum(n) FROM arriving").fetchall()


def test_a_consumer_that_leaves_early() -> None:
    """Rows that nobody took are missed, however the consumer ended."""
    made = stream(batches(9))
    with pytest.raises(OutgateError, match="only 1000 rows"), made.whole():
        made.reader().read_next_batch()
    made.close()


def test_no_more_than_the_queue_is_read_ahead() -> None:
    """A slow consumer holds the source back: memory does not grow with the window."""
    asked: list[int] = []

    def read() -> Iterator[pa.RecordBatch]:
        for batch in batches(50):
            asked.append(batch.num_rows)
            yield batch

    made = stream(read())
    reader = made.reader()
    for number in range(1, 20):
        reader.read_next_batch()
        assert len(asked) <= number + QUEUED + 1
    made.close()
    assert len(asked) <= 19 + QUEUED + 2


def test_an_only_window_among_done_ones_streams(trial: Trial, source: Session) -> None:
    """Two new windows share a file; when one of them is delivered again, it streams."""
    source.execute("CREATE TABLE rows AS SELECT i AS id, timestamptz '2024-01-01Z' + i * interval '1 day' AS at "
                   "FROM generate_series(0, 1) AS r(i)")  # fmt: skip
    trial.declare(PLAIN)
    with points() as passed:
        assert [outcome.good for outcome in trial.run(DAY, NEXT)] == [True, True]
    assert (passed.count("extract.written"), passed.count("extract.streamed")) == (1, 0)
    assert deliver(trial, again="again")[0]
    assert trial.column() == [0, 1]
