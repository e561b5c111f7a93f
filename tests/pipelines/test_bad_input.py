"""What goes wrong on an ordinary day: one clear message each, nothing delivered, nothing lost, and the next run goes
on.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

import pytest

from assets.plan import Plan, grid_of
from resources.databases.base import Activity
from resources.databases.duckdb import DuckDB
from spec.errors import ConnectorError
from tests.small import CONNECTORS, EXPORT, ROWS_A_DAY, Ended, Small, day


@pytest.fixture
def small(tmp_path: Path) -> Small:
    """A project after `outgate init`."""
    made = Small.make(tmp_path)
    assert made.outgate("init").returncode == 0
    return made


def run(small: Small, number: int = 0) -> Ended:
    """Deliver one day."""
    return small.outgate("run", "sales", "--partition", day(number))


def delivered(small: Small) -> list[Path]:
    """Every file at the destination, hidden ones too."""
    return [path for path in (small.root / "out").rglob("*") if path.is_file()]


def goes_on(small: Small) -> None:
    """After the cause is gone the window is delivered, whole and once, with no other step."""
    assert run(small).returncode == 0
    assert len(small.rows(day(0))) == ROWS_A_DAY
    assert sorted(path.name for path in delivered(small)) == ["_manifest.json", f"sales_{day(0)}.csv"]


WRONG = [
    ("column: sold_at", "column: sold", 2, "pipelines/sales.yaml:6: 'sales' has no column 'sold'; did you mean 'sold_at'? (it has: id,"),
    ("table: sales", "table: sails", 2, "pipelines/sales.yaml:5: "),
    ("{partition}/", "{partitio}/", 2, "unknown variable {partitio}; a path knows {date}"),
    ("connector: shop", "connector: shp", 2, "pipelines/sales.yaml:4: there is no connector 'shp'; declared are: folder, shop"),
    ("to: folder", "to: shop", 2, "connector 'shop' (duckdb) is not one that files can be delivered to"),
    ("column: sold_at", "column: amount", 2, "cursor 'amount' is DECIMAL(10,2); `by: time` needs a date or timestamp column"),
    ("deliver:", "filters: {any: [{all: [{field: nope, is: empty}]}]}\ndeliver:", 2, "has no column 'nope'"),
    ("deliver:", "filters: {any: [{all: [{field: buyer_email, is: before, value: '2026-01-31'}]}]}\ndeliver:", 2, "pipelines/sales.yaml:8: `is: before` is not for column 'buyer_email', which is text (VARCHAR)"),
    ("deliver:", "filters: {any: [{all: [{field: amount, is: equals, value: abc}]}]}\ndeliver:", 2, "column 'amount' is a number (DECIMAL(10,2)): 'abc' is not a number"),
    ("deliver:", "fields: [{expression: upper(buyer), to: b}]\ndeliver:", 2, "pipelines/sales.yaml:8: 'sales' has no column 'buyer'; did you mean"),
    ("deliver:", "fields: [{from: id, cast: date}]\ndeliver:", 2, "pipelines/sales.yaml:8: column 'id' is a number (BIGINT), which cannot be cast to date"),
    ("deliver:", "fields: [{from: buyer_email, cast: integer}]\ndeliver:", 1, "column 'buyer_email' holds •••, which cannot be"),
    ("deliver:", "fields: [{from: buyer}]\ndeliver:", 2, "'sales' has no column 'buyer'; did you mean"),
    ("table: sales", "sql: 'DELETE FROM sales'", 2, "expected one SELECT"),
    ("table: sales", "sql: 'SELECT * FROM sales; SELECT 1'", 2, "expected one SELECT"),
    ("table: sales", "sql: {file: ../../etc/passwd}", 2, "is outside the folder of the declaration"),
    ("deliver:", "transform: {sql: 'SELECT x FROM extract'}\ndeliver:", 2, "the shape cannot be computed"),
    ("deliver:", "transform: {polars: 'nowhere:f'}\ndeliver:", 2, "'nowhere:f' cannot be imported"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "code", "said"), WRONG, ids=[new[:40] for _, new, _, _ in WRONG])
def test_a_wrong_declaration(small: Small, old: str, new: str, code: int, said: str) -> None:
    """File, line, what was found, what is allowed; nothing is at the destination."""
    small.declare(EXPORT.replace(old, new, 1))
    ended = run(small)
    assert ended.returncode == code, ended.stderr
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert delivered(small) == []
    small.declare(EXPORT)
    goes_on(small)


def test_a_filter_that_does_not_fit_its_column_is_found_before_a_run(small: Small) -> None:
    """By `check --connect`, and by `preview` before it reads; `check` alone knows no columns."""
    conditions = "filters: {any: [{all: [{field: amount, is: starts_with, value: a}]}]}\ndeliver:"
    small.declare(EXPORT.replace("deliver:", conditions, 1))
    said = "`is: starts_with` is not for column 'amount', which is a number (DECIMAL(10,2))"
    for command in (("check", "--connect"), ("preview", "sales", "--partition", day(0))):
        ended = small.outgate(*command)
        assert (ended.returncode, said in ended.stderr) == (2, True), ended.stderr
    assert small.outgate("check").returncode == 0


def test_a_missing_secret_is_named_and_never_a_value(small: Small) -> None:
    """`check` finds it before the night does."""
    text = CONNECTORS + "crm: {type: postgres, host: h, database: d, user: u, password: {env: NO_SUCH_SECRET}}\n"
    (small.root / "pipelines/connectors.yaml").write_text(text, encoding="utf-8")
    ended = small.outgate("check")
    assert ended.returncode == 2
    assert "pipelines/connectors.yaml:3: connector 'crm': the value of {env: NO_SUCH_SECRET} is missing" in ended.stderr


def test_a_secret_that_is_written_down_is_refused_unseen(small: Small) -> None:
    """A literal password is an error, and the error does not repeat it."""
    text = CONNECTORS + "crm: {type: postgres, host: h, database: d, user: u, password: hunter2secret}\n"
    (small.root / "pipelines/connectors.yaml").write_text(text, encoding="utf-8")
    ended = small.outgate("check")
    assert ended.returncode == 2
    assert "pipelines/connectors.yaml:3" in ended.stderr
    assert "{env: NAME}" in ended.stderr
    assert "hunter2secret" not in ended.stderr + ended.stdout


def test_an_unreachable_host(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the connector's place and what to look at, and ends with 1."""
    monkeypatch.setenv("CRM_PASSWORD", "s3cret-value")
    text = CONNECTORS.replace(
        "shop: {type: duckdb, path: shop.duckdb}",
        "shop: {type: postgres, host: 127.0.0.1, port: 1, database: d, user: u, password: {env: CRM_PASSWORD}, sslmode: prefer}",
    )
    (small.root / "pipelines/connectors.yaml").write_text(text, encoding="utf-8")
    ended = run(small)
    assert ended.returncode == 1
    assert "127.0.0.1" in ended.stderr
    assert "s3cret-value" not in ended.stderr
    assert "Traceback" not in ended.stderr
    (small.root / "pipelines/connectors.yaml").write_text(CONNECTORS, encoding="utf-8")
    goes_on(small)


def test_a_mistake_of_all_windows_is_said_once(small: Small) -> None:
    """A backfill of several runs ends with the first; what was not tried is as it was. The control delivers them."""
    small.declare(EXPORT.replace("every: day", "every: day, chunk: 3").replace("column: sold_at", "column: sold"))
    ended = small.outgate("backfill", "sales", "--from", day(0), "--to", day(9))
    assert (ended.returncode, ended.stderr.count("has no column 'sold'")) == (2, 1)
    assert "0 of 10 windows delivered in 1 run\n9 windows were not tried: " in ended.stdout
    assert [(each["partition"], each["state"]) for each in small.history()] == [(day(0), "failed")]
    small.declare(EXPORT.replace("every: day", "every: day, chunk: 3"))
    assert "10 of 10 windows delivered in 4 runs" in small.outgate(
        "backfill", "sales", "--from", day(0), "--to", day(9)
    ).stdout  # fmt: skip


def test_a_source_that_went_away_is_not_waited_for_again_and_again(small: Small) -> None:
    """Two windows in a row that cannot ask it end the run; one that can, in between, does not count as a row."""
    asked: list[str] = []
    find = DuckDB.activity

    def activity(database: DuckDB) -> Activity:
        asked.append("")
        if len(asked) in {2, 4, 5}:
            raise ConnectorError("nobody answers")
        return find(database)

    small.declare(EXPORT.replace("every: day", "every: day, chunk: 1"))
    journey = small.journey()
    with mock.patch.object(DuckDB, "activity", activity):
        outcomes = list(journey.run([day(number) for number in range(8)]))
    assert [each.good for each in outcomes] == [True, False, True] + [False] * 5
    assert [each.tried for each in outcomes] == [True] * 5 + [False] * 3
    assert len(asked) == 5
    assert all(each.good for each in small.journey().run([day(number) for number in range(8)]))


def test_a_source_that_does_not_answer_is_asked_once_a_run(small: Small) -> None:
    """Also where the run would look for late rows in the end; the next run asks it again."""
    small.declare(EXPORT.replace("stamped_by: database", "stamped_by: database, late: restate, lookback: 9000d"))
    assert run(small).returncode == 0
    asked: list[str] = []

    def dead() -> Plan:
        asked.append("")
        raise ConnectorError("nobody answers")

    for runs in (1, 2):
        journey = small.journey()
        journey.make_plan = dead
        assert [each.good for each in journey.run([day(1), day(2)])] == [False, False]
        assert len(asked) == runs


def test_what_is_sealed_is_delivered_without_its_source(small: Small) -> None:
    """Windows that are only to be sent go on where no window can be read."""
    (small.root / "out").write_text("in the way")
    assert run(small, 1).returncode == 1
    (small.root / "out").unlink()
    (small.root / "shop.duckdb").rename(small.root / "away.duckdb")
    outcomes = list(small.journey().run([day(0), day(1), day(2)]))
    assert [(each.state, each.tried) for each in outcomes] == [("failed", True), ("done", True), ("planned", False)]


def test_null_cursors_are_counted_and_refused(small: Small) -> None:
    """Rows that belong to no window are never passed over in silence."""
    small.sql("UPDATE sales SET sold_at = NULL WHERE id IN (7, 8)")
    ended = run(small)
    assert ended.returncode == 1
    assert "pipelines/sales.yaml:6: 2 rows have no value in cursor 'sold_at'" in ended.stderr
    assert delivered(small) == []
    small.sql("DELETE FROM sales WHERE sold_at IS NULL")
    goes_on(small)


def test_a_column_that_vanished(small: Small) -> None:
    """It worked yesterday: today's run says what is gone and delivers nothing; accepted, it goes on."""
    assert run(small, 1).returncode == 0
    small.sql("ALTER TABLE sales DROP COLUMN buyer_email")
    ended = run(small)
    assert ended.returncode == 1
    assert "'buyer_email' (VARCHAR) is gone" in ended.stderr
    assert not (small.root / f"out/sales/{day(0)}").exists()
    assert small.outgate("run", "sales", "--partition", day(0), "--accept-columns").returncode == 0
    assert set(small.rows(day(0))[0]) == {"id", "sold_at", "amount"}


def test_a_foreign_file_is_not_overwritten(small: Small) -> None:
    """What Outgate did not write it does not replace."""
    file = small.root / f"out/sales/{day(0)}/sales_{day(0)}.csv"
    file.parent.mkdir(parents=True)
    file.write_text("somebody else's")
    ended = run(small)
    assert ended.returncode == 1
    assert "was not written by this delivery of the export" in ended.stderr
    assert file.read_text() == "somebody else's"
    file.unlink()
    goes_on(small)


def test_a_destination_that_is_no_folder(small: Small) -> None:
    """A file where the folder should be: the sealed window waits for the cause to go."""
    (small.root / "out").write_text("a file")
    ended = run(small)
    assert ended.returncode == 1
    assert "local folder failed" in ended.stderr
    (small.root / "out").unlink()
    (small.root / "shop.duckdb").unlink()  # a sealed window does not need its source any more
    goes_on(small)


@pytest.fixture
def tiny_disk(small: Small) -> Iterator[Path]:
    """A file system of 64 KiB as destination."""
    folder = small.root / "out"
    folder.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=False).returncode
    ):
        pytest.skip("a disk can only be made full here by root with the right to mount")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk(small: Small, tiny_disk: Path) -> None:
    """Said as such; once there is room the same sealed bytes arrive."""
    (tiny_disk / "ballast").write_bytes(b"x" * 60_000)
    small.sql(
        "INSERT INTO sales SELECT 1000 + i, timestamptz '2026-01-01 01:00:00Z', repeat('y', 100), 1 FROM range(500) r(i)"
    )
    ended = run(small)
    assert ended.returncode == 1
    assert "No space left on device" in ended.stderr
    assert [path.name for path in delivered(small) if not path.name.endswith(".part")] == ["ballast"]
    (tiny_disk / "ballast").unlink()
    subprocess.run(["mount", "-o", "remount,size=1m", tiny_disk], check=True)
    assert run(small).returncode == 0
    assert len(small.rows(day(0))) == ROWS_A_DAY + 500
    assert sorted(path.name for path in delivered(small)) == ["_manifest.json", f"sales_{day(0)}.csv"]


def test_the_newest_window_that_has_not_ended_is_not_yet(small: Small) -> None:
    """Exit 3: nothing is wrong, it is only too early."""
    small.declare(EXPORT.replace("stamped_by: database}", "stamped_by: application, lag: 5000d, wait: 0s}"))
    ended = run(small)
    assert ended.returncode == 3
    assert "not yet" in ended.stderr
    assert delivered(small) == []
    small.declare(EXPORT)
    goes_on(small)


TWO = """\
deliver:
  - to: folder
    path: "{export}/{partition}/{export}_{partition}.csv"
    format: {type: csv}
  - to: folder
    name: second
    path: "{export}/{partition}/{export}_{partition}.ndjson"
    format: {type: ndjson}
"""


def test_two_deliveries_to_one_folder_have_a_manifest_each(small: Small) -> None:
    """Neither writes over what proves the other."""
    small.declare(EXPORT[: EXPORT.index("deliver:")] + TWO)
    assert run(small).returncode == 0
    names = {path.name for path in delivered(small)}
    assert len(names) == 4
    assert "_manifest.json" not in names
    assert small.outgate("verify", "sales").returncode == 0


def test_another_exports_file_is_not_replaced(small: Small) -> None:
    """Two paths that differ as templates and come to one name: the second is refused, the first stays."""
    assert run(small).returncode == 0
    before = [(path.name, path.read_bytes()) for path in delivered(small)]
    rival = EXPORT.replace("export: sales", "export: rival").replace("deliver:", "fields: [{from: id}]\ndeliver:")
    same = rival.replace("{export}/{partition}/{export}_", "sales/{partition}/sales_")
    small.declare(same, "rival")
    for name in ("sales", "rival"):
        found = small.outgate("run", name, "--partition", day(1))
        assert found.returncode == 2
        assert "to the same path of 'folder'" in found.stderr
    small.declare(same.replace("{partition}", "{date}"), "rival")
    ended = small.outgate("run", "rival", "--partition", day(0))
    assert ended.returncode == 1
    assert "is there already" in ended.stderr
    assert [(path.name, path.read_bytes()) for path in delivered(small) if not path.name.endswith(".part")] == before


def test_a_newer_snapshot_takes_the_place_of_an_older_one(small: Small) -> None:
    """One name for all windows is what a partner who replaces everything asks for; the older window is not `changed`."""
    text = EXPORT.replace("partitions: {every: day", "mode: snapshot\npartitions: {every: hour")
    small.declare(text.replace("{export}/{partition}/{export}_{partition}.csv", "latest.csv"))
    hours = grid_of(small.project.get("sales").export)
    newest = hours.newest(datetime.now(UTC))
    assert newest is not None
    older = hours.between("2026-01-01-00:00", newest)[-2]
    with mock.patch("assets.windows.Grid.newest", return_value=older):
        [first] = small.journey().run([older])
    assert first.good, first.detail
    small.sql("DELETE FROM sales WHERE id > 2")
    assert small.outgate("run", "sales").returncode == 0
    assert (small.root / "out/latest.csv").read_text().count("\n") == 4
    assert small.outgate("verify", "sales").returncode == 0


def test_columns_that_differ_only_in_capitals_are_refused(small: Small) -> None:
    """The engine takes them for one: a value would silently take the other's place."""
    small.declare(EXPORT.replace("deliver:", "fields: [{from: id, to: X}, {from: amount, to: x}]\ndeliver:"))
    ended = run(small)
    assert ended.returncode == 2
    assert "two fields leave as 'X'; give one of them another `to:` (capitals do not count" in ended.stderr
    small.declare(EXPORT)
    goes_on(small)


def test_an_older_snapshot_is_not_written_over_a_newer_one(small: Small) -> None:
    """K1 was sealed and failed, K2 was delivered since under the same name: K1 says so and changes nothing."""
    text = EXPORT.replace("partitions: {every: day", "mode: snapshot\npartitions: {every: hour")
    small.declare(text.replace("{export}/{partition}/{export}_{partition}.csv", "latest.csv"))
    hours = grid_of(small.project.get("sales").export)
    newest = hours.newest(datetime.now(UTC))
    assert newest is not None
    older = hours.between("2026-01-01-00:00", newest)[-2]
    (small.root / "out").write_text("in the way")
    with mock.patch("assets.windows.Grid.newest", return_value=older):
        [first] = small.journey().run([older])
    assert (first.good, first.record and first.record.reached) == (False, "sealed")
    (small.root / "out").unlink()
    small.sql("DELETE FROM sales WHERE id > 2")
    [second] = small.journey().run([newest])
    assert second.good, second.detail
    [late] = small.journey().run([older])
    assert not late.good
    assert f"holds the newer window {newest!r}" in late.detail
    assert (small.root / "out/latest.csv").read_text().count("\n") == 4


def test_placeholders_are_not_written_in_quotes(small: Small) -> None:
    """`'{high}'` would be a text that no window ever reaches."""
    sql = "sql: \"SELECT * FROM sales WHERE sold_at < '{high}'\""
    small.declare(EXPORT.replace("table: sales", sql))
    ended = run(small)
    assert ended.returncode == 2
    assert "write them without quotes" in ended.stderr


def test_files_that_are_not_utf8_are_said_to_be(small: Small) -> None:
    """A secret and a SQL file alike."""
    (small.root / "pipelines/q.sql").write_bytes(b"SELECT '\xe9' AS x")
    small.declare(EXPORT.replace("table: sales", "sql: {file: q.sql}"))
    assert "'q.sql' is not UTF-8 text" in small.outgate("check").stderr
    assert small.outgate("verify", "nosuch").returncode == 2


def test_nan_inside_a_structure_is_refused(small: Small) -> None:
    """JSON has no word for it; what DuckDB writes no strict reader takes."""
    small.sql("ALTER TABLE sales ADD COLUMN s STRUCT(n DOUBLE)")
    small.sql("UPDATE sales SET s = {'n': 'nan'::DOUBLE} WHERE id = 1")
    ended = run(small)
    assert ended.returncode == 1
    assert "NaN or an infinity inside a structure" in ended.stderr
    small.sql("UPDATE sales SET s = {'n': 1.5} WHERE id = 1")
    goes_on(small)


@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet", "excel"])
@pytest.mark.parametrize("rows", [100, 40_000])
def test_a_value_that_is_bad_among_many(small: Small, form: str, rows: int) -> None:
    """The same message however late it comes, and nothing of the part is left in the spool."""
    small.sql("CREATE TABLE many AS SELECT i AS id, timestamptz '2026-01-01 01:00:00Z' AS sold_at, 'x' AS note FROM range("
              f"{rows}) r(i) UNION ALL SELECT {rows}, timestamptz '2026-01-01 01:00:00Z', 'bad'")  # fmt: skip
    small.sql("UPDATE many SET note = '1' WHERE note = 'x'")
    text = EXPORT.replace("table: sales", "table: many").replace("type: csv", f"type: {form}")
    small.declare(text.replace("deliver:", "fields: [{from: note, cast: integer}]\ndeliver:"))
    ended = run(small)
    assert ended.returncode == 1
    assert "cannot be written: column 'note' holds bad, which is no BIGINT" in ended.stderr
    assert [path for path in small.home.spool_folder.rglob("sealed/**/*") if path.is_file()] == []
