"""Creating and opening a ledger: what is refused, and what the spool's mirror is for."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text, update

from assets.plan import nulls_in
from resources import failpoint
from resources.ledger import Carried, Ledger, schema
from resources.ledger.engine import masked, parse
from spec.errors import DeclarationError, LedgerError, LedgerMissing
from tests.resources.ledger.conftest import Place
from tests.resources.ledger.windows import LONG, done, finish, leased, seal, spec


def test_open_finds_the_same_ledger(ledger: Ledger, place: Place) -> None:
    """A second opening sees the same id, and what the first wrote."""
    done(ledger)
    with closing(place.open()) as again:
        assert again.id == ledger.id
        assert again.states("events") == {"2024-01-01": "done"}


def test_open_refuses_where_no_ledger_is(place: Place) -> None:
    """Opening says how to make one."""
    with pytest.raises(LedgerMissing, match="outgate init"):
        place.open()


def test_open_creates_no_file(tmp_path: Path) -> None:
    """A mistyped path leaves nothing behind."""
    with pytest.raises(LedgerError, match="outgate init"):
        Ledger.open(f"sqlite:///{tmp_path / 'no' / 'ledger.db'}", tmp_path / "spool")
    assert list(tmp_path.iterdir()) == []


def test_create_refuses_a_second_ledger(ledger: Ledger, place: Place) -> None:
    """What is there is never overwritten, and its id stays."""
    with pytest.raises(LedgerError, match="already"):
        Ledger.create(place.url, place.spool)
    with closing(place.open()) as opened:
        assert opened.id == ledger.id


def test_create_refuses_where_the_spool_remembers_a_ledger(tmp_path: Path) -> None:
    """A lost ledger stops with a message instead of starting from zero."""
    spool, file = tmp_path / "spool", tmp_path / "ledger.db"
    Ledger.create(f"sqlite:///{file}", spool).close()
    file.unlink()
    for attempt in (Ledger.create, Ledger.open):
        with pytest.raises(LedgerError, match="a ledger was here") as refused:
            attempt(f"sqlite:///{file}", spool)
        assert not isinstance(refused.value, LedgerMissing)
    assert not file.exists()


def test_open_refuses_another_ledgers_spool(ledger: Ledger, place: Place) -> None:
    """A spool belongs to one ledger."""
    (place.spool / "ledger.json").write_text(json.dumps({"id": "other", "sequence": 0}))
    with pytest.raises(LedgerError, match="belongs to ledger 'other'"):
        place.open()
    with pytest.raises(LedgerError, match="belongs to ledger 'other'"):
        seal(ledger, leased(ledger))


def test_open_refuses_an_older_copy(tmp_path: Path) -> None:
    """A ledger restored from before a delivery would deliver it once more."""
    url, spool, file = f"sqlite:///{tmp_path / 'l.db'}", tmp_path / "spool", tmp_path / "l.db"
    first = Ledger.create(url, spool)
    first.close()
    shutil.copy(file, tmp_path / "copy")
    opened = Ledger.open(url, spool)
    done(opened)
    opened.close()
    shutil.copy(tmp_path / "copy", file)
    with pytest.raises(LedgerError, match="older copy was restored"):
        Ledger.open(url, spool)


def test_mirror_follows_each_seal_and_close(ledger: Ledger, place: Place) -> None:
    """The spool knows the sequence of the last seal or close, and the id."""
    mirror = place.spool / "ledger.json"
    assert json.loads(mirror.read_text()) == {"id": ledger.id, "sequence": 0}
    lease = leased(ledger)
    seal(ledger, lease)
    sealed = json.loads(mirror.read_text())["sequence"]
    finish(ledger, lease)
    assert 0 < sealed < json.loads(mirror.read_text())["sequence"]


def test_a_mirror_that_lags_is_caught_up(ledger: Ledger, place: Place) -> None:
    """A kill between commit and mirror is harmless, and the next opening writes what is missing."""
    mirror, before = place.spool / "ledger.json", (place.spool / "ledger.json").read_text()
    done(ledger)
    after = mirror.read_text()
    mirror.write_text(before)
    place.open().close()
    assert mirror.read_text() == after
    mirror.unlink()
    place.open().close()
    assert mirror.read_text() == after


def test_the_mirror_never_moves_backwards(ledger: Ledger, place: Place) -> None:
    """The later of two commits may reach the mirror first: the earlier one then changes nothing."""
    mirror = place.spool / "ledger.json"
    overtaken: list[str] = []

    def overtake(name: str) -> None:
        if name == "ledger.mirror" and not overtaken:
            overtaken.append(name)
            done(ledger, "2024-01-02")

    lease = leased(ledger)
    failpoint.install(overtake)
    try:
        seal(ledger, lease)
    finally:
        failpoint.install(None)
    kept = json.loads(mirror.read_text())["sequence"]
    assert kept > 1
    place.open().close()
    assert json.loads(mirror.read_text())["sequence"] == kept


def test_a_spoilt_mirror_is_not_guessed(ledger: Ledger, place: Place) -> None:
    """A mirror that cannot be read stops, and says what to do."""
    (place.spool / "ledger.json").write_text("{")
    with pytest.raises(LedgerError, match="not the mirror of a ledger"):
        place.open()


def test_open_refuses_a_newer_version(ledger: Ledger, place: Place) -> None:
    """An older release never writes to a newer ledger."""
    with ledger.write() as conn:
        conn.execute(update(schema.ledger).values(version=schema.VERSION + 1))
    with pytest.raises(LedgerError, match=f"version {schema.VERSION + 1}"):
        place.open()


def test_open_lifts_an_older_version(ledger: Ledger, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The statements between the two versions are run once, in one transaction."""
    known = schema.VERSION
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, ("ALTER TABLE export ADD COLUMN note TEXT",)))
    monkeypatch.setattr(schema, "VERSION", known + 1)
    for _ in range(2):
        place.open().close()
    with ledger.read() as conn:
        assert conn.execute(text("SELECT version FROM ledger")).scalar() == known + 1
        assert conn.execute(text("SELECT count(note) FROM export")).scalar() == 0
    assert [event.what for event in ledger.events()] == ["created", "upgraded"]


def test_a_migration_that_fails_changes_nothing(ledger: Ledger, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a migration is rolled back with the version."""
    known, broken = schema.VERSION, ("ALTER TABLE export ADD COLUMN note TEXT", "SELECT nothing")
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, broken))
    monkeypatch.setattr(schema, "VERSION", known + 1)
    with pytest.raises(LedgerError, match="nothing of this step was kept"):
        place.open()
    with pytest.raises(LedgerError, match="note"), ledger.read() as conn:
        conn.execute(text("SELECT note FROM export"))
    with ledger.read() as conn:
        assert conn.execute(text("SELECT version FROM ledger")).scalar() == known


CARRYING = Carried("2024-01-01", "2024-01-02", 1, b"\x00\xff")


def test_every_version_is_lifted_to_this_one(ledger: Ledger, place: Place) -> None:
    """A ledger of the first version becomes what a new one is, and keeps what was in it."""
    done(ledger)
    lower(ledger, 1)
    with closing(place.open()) as lifted:
        assert [(each.state, each.seen) for each in lifted.history()] == [("done", None)]
        assert [event.what for event in lifted.events()][-2:] == ["upgraded", "named"]
        lease = leased(lifted, "2024-01-02")
        lifted.seal(lease, horizon={}, fingerprint="", server="", rows=1, artifacts=(), carried=[CARRYING])
        assert lifted.ownership("events", "2024-01-01").carried == (CARRYING,)


COLUMNS = {2: {"window": "seen"}, 3: {"ledger": "environment", "export": "nulls_in"}, 5: {"window": "base"}}
"""What each version brought, by table."""
CARRIED = 4
"""The version that brought a table."""


def lower(ledger: Ledger, version: int) -> None:
    """Make the ledger what it was in an earlier version."""
    with ledger.write() as conn:
        if version < CARRIED:
            conn.execute(text("DROP TABLE carried"))
        for table, column in [item for known, each in COLUMNS.items() if known > version for item in each.items()]:
            conn.execute(text(f'ALTER TABLE "{table}" DROP COLUMN {column}'))
        conn.execute(update(schema.ledger).values(version=version))


@pytest.mark.parametrize(
    ("partition", "every", "start", "nulls", "found"),
    [
        ("2024-01-01", "day", "2024-01-01", "include", True),
        ("2024-01-01-00:00", "hour", "2024-01-01", "include", True),
        ("2024-01-01-06:00", {"cron": "0 6 * * *"}, "2024-01-01T05:00", "include", True),
        ("2024-01-08", "week", "2024-01-03", "include", True),
        ("2024-01-02", "day", "2024-01-01", "include", False),
        ("2024-01-01", "day", "2024-01-01", "exclude", False),
    ],
)
def test_an_upgrade_knows_who_took_the_rows_without_a_cursor(
    ledger: Ledger, place: Place, partition: str, every: object, start: str, nulls: str, found: bool
) -> None:
    """The window that its declaration begins with took them, whatever the grid; any other window did not."""
    partitions = {"every": every, "start": start}
    declaration: dict[str, object] = {"source": {"cursor": {"nulls": nulls}}, "partitions": partitions}
    lease = ledger.acquire(replace(spec(partition), declaration=declaration), "worker", LONG).lease
    assert lease is not None
    seal(ledger, lease)
    ledger.acquire(replace(spec("2023-01-01"), declaration=declaration), "worker", LONG)
    lower(ledger, 2)
    with closing(place.open()) as lifted:
        assert nulls_in(lifted, "events") == (partition if found else None)


def test_a_ledger_belongs_to_one_environment(place: Place) -> None:
    """Another one would take its windows for done: it is refused with both names, and leaves no trace in its spool."""
    Ledger.create(place.url, place.spool, environment="prod").close()
    Ledger.open(place.url, place.spool, environment="prod").close()
    for other, named in (("dev", "environment 'dev'"), ("", "no OUTGATE_ENV")):
        with pytest.raises(LedgerError, match=f"belongs to environment 'prod', and this is .*{named}.*OUTGATE_LEDGER"):
            Ledger.open(place.url, place.spool / "other", environment=other)
    assert not (place.spool / "other").exists()


def test_a_ledger_without_a_name_takes_the_first(
    ledger: Ledger, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """One of an older version belongs to the environment that opens it first, which is said and written down."""
    lower(ledger, 2)
    Ledger.open(place.url, place.spool, environment="dev").close()
    assert "belongs to environment 'dev' from now on" in caplog.text
    assert [(event.what, event.detail) for event in ledger.events()][-1] == ("named", "dev")
    with pytest.raises(LedgerError, match=r"belongs to environment 'dev', and this is the environment without a name"):
        place.open()


WRONG_URLS = (
    "mysql://u:secret@h/db", "sqlite://", "sqlite:///:memory:", "nonsense", "postgresql://u:secret@host:port/db",
    "postgresql://u:secret/db",
)  # fmt: skip


@pytest.mark.parametrize("url", WRONG_URLS)
def test_a_url_that_cannot_hold_a_ledger_is_refused(url: str, tmp_path: Path) -> None:
    """The message says what is allowed, and shows no password."""
    with pytest.raises(DeclarationError, match="allowed are sqlite") as refused:
        Ledger.create(url, tmp_path)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:p@secret/word@host/db", "postgresql://u:p@secret@host/db", "postgresql://u/x:secret@host/db"],
)
def test_a_password_that_was_not_escaped_is_refused_unseen(url: str, tmp_path: Path) -> None:
    """Half of it would be taken for the host, and shown in every message; escaped it is a password like any other."""
    with pytest.raises(DeclarationError, match="write @ as %40") as refused:
        Ledger.create(url, tmp_path)
    assert "secret" not in str(refused.value)
    assert masked(parse("postgresql://u:p%40secret%2Fword@host/db")) == "postgresql+psycopg://u:***@host/db"


def test_passwords_are_not_shown(tmp_path: Path) -> None:
    """Neither the attribute nor an error has the password, wherever in the URL it stands."""
    for url in ("postgresql://me:secret@127.0.0.1:1/db", "postgresql://me@127.0.0.1:1/db?password=secret"):
        with pytest.raises(LedgerError) as refused:
            Ledger.open(url, tmp_path)
        assert refused.value.retriable
        assert "secret" not in str(refused.value)
        assert "127.0.0.1" in str(refused.value)


def test_the_clock_is_the_ledgers(ledger: Ledger) -> None:
    """now() is aware, in UTC, and moves on."""
    first = ledger.now()
    assert first.tzinfo is UTC
    assert ledger.now() >= first


def test_a_clock_can_be_given_to_sqlite(tmp_path: Path) -> None:
    """A test may stand still in time."""
    noon = datetime(2024, 1, 1, 12, tzinfo=UTC)
    ledger = Ledger.create(f"sqlite:///{tmp_path / 'l.db'}", tmp_path / "spool", clock=lambda: noon)
    assert ledger.now() == noon
    ledger.close()


def test_sqlite_is_set_up_to_be_durable(tmp_path: Path) -> None:
    """Write-ahead log, a sync at each commit, and foreign keys, on the connections that are used."""
    ledger = Ledger.create(f"sqlite:///{tmp_path / 'l.db'}", tmp_path / "spool")
    with ledger.read() as conn:
        found = {name: conn.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")}
        assert conn.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    assert found == {"journal_mode": "wal", "synchronous": 2}
    ledger.close()


def test_a_write_locks_before_it_reads(tmp_path: Path) -> None:
    """On SQLite a second writer is kept out from the first statement on, so that nothing is decided on stale rows."""
    ledger = Ledger.create(f"sqlite:///{tmp_path / 'l.db'}", tmp_path / "spool")
    rival = sqlite3.connect(tmp_path / "l.db", timeout=0, isolation_level=None)
    with ledger.write(), pytest.raises(sqlite3.OperationalError, match="locked"):
        rival.execute("BEGIN IMMEDIATE")
    rival.close()
    ledger.close()
