"""The ledger as everybody else sees it: made once by `create`, opened by `open`, and whole only with its spool.

The steps are in the modules that this class is composed of; only the beginning and the end belong here.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Self, overload

from sqlalchemy import Connection, RowMapping, insert, inspect, select, update
from sqlalchemy.engine import URL

from resources.ledger import schema
from resources.ledger.carrying import Carrying
from resources.ledger.changing import Changing
from resources.ledger.decisions import Decisions
from resources.ledger.engine import Clock, masked, parse, process_clock, sqlite_file
from resources.ledger.exports import Exports
from resources.ledger.ids import Ids
from resources.ledger.mirror import Mirror, Mirrored, foreign
from resources.ledger.reading import Reading
from resources.ledger.records import Lease
from spec.errors import LedgerError, LedgerMissing

KNOWN = (schema.ledger.c.id, schema.ledger.c.version, schema.ledger.c.sequence)
"""What the ledger's own row has in every version."""
UNNAMED = schema.ledger.c.environment.is_(None)
log = logging.getLogger("outgate")


class Ledger(Decisions, Ids, Exports, Carrying, Changing, Reading):
    """What was promised, what was done, and who may do the next step.

    `id`: 32 hex digits; `url`: the database, password masked. `clock` is used on SQLite only: a server has its own.
    Every method may raise LedgerError (`retriable` when the database was busy or away).
    """

    def __init__(self, url: URL, spool: Path, clock: Clock, *, may_create: bool = False) -> None:
        super().__init__(url, clock, may_create=may_create)
        self.mirror = Mirror(spool)

    @classmethod
    def create(cls, url: str, spool: Path, *, environment: str = "", clock: Clock = process_clock) -> Self:
        """Make a new ledger of that environment, and its mirror.

        Raises LedgerError where one is, or where the spool remembers one.
        """
        parsed = parse(url)
        path = sqlite_file(parsed)
        if path is not None:
            if not path.exists():
                _refuse_remembered(Mirror(spool), masked(parsed))
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = cls(parsed, spool, clock, may_create=True)
        try:
            made._make(environment)
        except BaseException:
            made.close_connections()
            raise
        return made

    @classmethod
    def open(cls, url: str, spool: Path, *, environment: str = "", clock: Clock = process_clock) -> Self:
        """Open the ledger of this spool, lifted to this release's version.

        Raises LedgerMissing when there is none yet, and LedgerError when one was there and is gone, when it is newer
        than this release, when the spool belongs to another one, when the spool has seen more than it knows (an older
        copy was restored), and when it belongs to another environment.
        """
        parsed = parse(url)
        path = sqlite_file(parsed)
        if path is not None and not path.is_file():
            raise _missing(Mirror(spool), masked(parsed))
        opened = cls(parsed, spool, clock)
        try:
            opened._attach(environment)
        except BaseException:
            opened.close_connections()
            raise
        return opened

    def _make(self, environment: str) -> None:
        with self.write() as conn:
            if inspect(conn).has_table("ledger"):
                raise LedgerError(f"there is a ledger at {self.url} already; open it, or choose another place")
            _refuse_remembered(self.mirror, self.url)
            schema.tables.create_all(conn, checkfirst=False)
            self.id = uuid.uuid4().hex
            born = {"version": schema.VERSION, "created_at": self.instant(conn), "environment": environment}
            conn.execute(insert(schema.ledger).values(id=self.id, sequence=0, **born))
            self.note(conn, "created", {})
        self.mirror.advance(Mirrored(self.id, 0))

    def _attach(self, environment: str) -> None:
        # The mirror first: a rival that seals between the two looks moves the ledger before the mirror.
        mirrored = self.mirror.read()
        with self.read() as conn:
            row = self._row(conn)
        if row["version"] < schema.VERSION:
            self._upgrade()
        self.id = row["id"]
        _compare(self.mirror, mirrored, row, self.url)
        self._belong(environment)
        self.mirror.advance(Mirrored(self.id, row["sequence"]))

    def _row(self, conn: Connection) -> RowMapping:
        if not inspect(conn).has_table("ledger"):
            raise _missing(self.mirror, self.url)
        row = conn.execute(select(*KNOWN)).mappings().one_or_none()
        if row is None:
            raise _missing(self.mirror, self.url)
        if row["version"] > schema.VERSION:
            raise LedgerError(
                f"the ledger at {self.url} has version {row['version']}, and this release knows up to "
                f"{schema.VERSION}; use the release that wrote it, or a newer one"
            )
        return row

    def _upgrade(self) -> None:
        with self.write() as conn:
            found = conn.execute(select(schema.ledger.c.version).with_for_update()).scalar_one()
            if found < schema.VERSION:
                schema.upgrade(conn, found)
                self.note(conn, "upgraded", {}, detail=f"from version {found} to {schema.VERSION}")

    def _belong(self, environment: str) -> None:
        """Refuse the ledger of another environment; one that has no name yet takes this one."""
        query = select(schema.ledger.c.environment)
        with self.read() as conn:
            owner = conn.execute(query).scalar_one()
        if owner is None:
            with self.write() as conn:
                if conn.execute(update(schema.ledger).where(UNNAMED).values(environment=environment)).rowcount:
                    self.note(conn, "named", {}, detail=environment)
                    log.warning("the ledger at %s belongs to %s from now on", self.url, _named(environment))
                owner = conn.execute(query).scalar_one()
        if owner != environment:
            raise LedgerError(
                f"the ledger at {self.url} belongs to {_named(owner)}, and this is {_named(environment)}: what one "
                "delivers would be done for the other; give each a ledger and a spool of its own (OUTGATE_LEDGER, "
                "OUTGATE_SPOOL), or set OUTGATE_ENV to the name that belongs to this one"
            )

    def release(self, held: Lease | str) -> None:
        """Give back a window's lease, or the quota reserved under a key. Silent when it is not held any more.

        Raises LedgerError for a reservation that is committed.
        """
        if isinstance(held, Lease):
            self._release_lease(held)
        else:
            self._release_reservation(held)

    @overload
    def close(self) -> None: ...

    @overload
    def close(
        self, lease: Lease, delivery: str, receipt: dict[str, object], actual: Mapping[str, int] | None = None
    ) -> None: ...

    def close(
        self,
        lease: Lease | None = None,
        delivery: str = "",
        receipt: dict[str, object] | None = None,
        actual: Mapping[str, int] | None = None,
    ) -> None:
        """Close the ledger itself or, given a lease, one delivery of its window: see `Journey.close_delivery`."""
        if lease is None:
            self.close_connections()
        else:
            self.close_delivery(lease, delivery, receipt or {}, actual)


def _named(environment: str) -> str:
    return f"environment {environment!r}" if environment else "the environment without a name (no OUTGATE_ENV)"


def _missing(mirror: Mirror, url: str) -> LedgerMissing:
    _refuse_remembered(mirror, url)
    return LedgerMissing(
        f"there is no ledger at {url}; run `outgate init` to make one, or correct the URL if there should be one"
    )


def _refuse_remembered(mirror: Mirror, url: str) -> None:
    remembered = mirror.read()
    if remembered is not None:
        raise LedgerError(
            f"a ledger was here: {str(mirror.path)!r} remembers {remembered.id!r}, and it is not at {url}; "
            "restore it, or move the spool away to start anew"
        )


def _compare(mirror: Mirror, mirrored: Mirrored | None, row: RowMapping, url: str) -> None:
    if mirrored is None:
        return
    if mirrored.id != row["id"]:
        raise LedgerError(foreign(mirror, mirrored.id, row["id"]))
    if mirrored.sequence > row["sequence"]:
        raise LedgerError(
            f"the ledger at {url} is at sequence {row['sequence']}, but its spool {str(mirror.spool)!r} has seen "
            f"{mirrored.sequence}: an older copy was restored, and what was delivered since is not in it; "
            "restore the newest copy"
        )
