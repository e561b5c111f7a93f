"""Which windows are read together, and when: one snapshot serves a chunk of neighbours, so a backfill reads its
source once.

A reading lives as long as the run. Nothing of it is in the ledger: what counts is sealed, or it is read again.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from assets import carry, late
from assets.carry import Carry
from assets.extract import Ids, Reading, refuse_changes
from assets.horizon import Horizon, look, settle_ids, wait_for
from assets.outcome import Reporter
from assets.plan import Plan, nulls_in
from assets.stream import Asked, begin, detour, read
from assets.transform import engine
from assets.windows import Grid, Window
from resources.failpoint import reach
from resources.ledger import Lease, Ledger
from resources.ledger import Window as WindowRecord
from resources.owner import is_dead
from resources.spool import Spool
from spec.base import seconds
from spec.errors import ConnectorError, DeclarationError, NotYet, OutgateError
from spec.export import Export
from spec.source import IdCursor

if TYPE_CHECKING:
    import duckdb

UNREAD = frozenset({"planned", "held", "failed"})


class Readings:
    """The readings of one run."""

    def __init__(
        self,
        make_plan: Callable[[], Plan],
        ledger: Ledger,
        spool: Spool,
        folder: Path,
        reporter: Reporter,
        owner: str,
        *,
        again: bool,
    ) -> None:
        self._make_plan, self._ledger, self._spool, self._folder = make_plan, ledger, spool, folder
        self._reporter, self._owner, self._again = reporter, owner, again
        self._plan: Plan | None = None
        self.barred: OutgateError | None = None
        """Why no window can be read: the declaration is wrong, or the source is not there."""
        self._unreached = 0
        self._span: Window | None = None
        self._reading: Reading | None = None
        self._deadline: float | None = None
        self._number = 0
        self._looked = False
        self._settled: tuple[int | None, Horizon] | None = None
        self._engine: duckdb.DuckDBPyConnection | None = None
        self._engines = ExitStack()

    @property
    def plan(self) -> Plan:
        """The plan, made when the first window needs it: a run with nothing to read does not touch the source."""
        if self._plan is None:
            plan = self._made()
            self._plan = replace(plan, nulls_in=nulls_in(self._ledger, plan.export.export))
        return self._plan

    def _made(self) -> Plan:
        """One try a run: a source that does not answer is waited for once."""
        if self.barred is not None:
            raise self.barred
        try:
            return self._make_plan()
        except OutgateError as error:
            self.barred = error
            raise

    def of(
        self, lease: Lease, record: WindowRecord, window: Window, rest: list[Window], *, accept: bool
    ) -> tuple[Plan, Reading, Ids | None]:
        """A reading that has the window's rows. Raises NotYet, RowsRefused, SourceChanged, ConnectorError."""
        plan = self.plan
        cursor = plan.export.source.cursor
        refuse_old_snapshot(plan.export, plan.grid, window, self._ledger.now())
        if isinstance(cursor, IdCursor) and plan.export.mode == "incremental":
            ids, horizon = self._ids(plan, cursor, lease, record, window)
            reading = self._read(plan, window, window, ids, horizon, self._carry(plan, window))
        else:
            ids, reading = None, self._by_time(plan, window, rest)
        if not accept:
            refuse_changes(self._ledger.last_fingerprint(plan.export.export), reading, plan.declared)
        return plan, reading, ids

    def _by_time(self, plan: Plan, window: Window, rest: list[Window]) -> Reading:
        """A reading that was begun for an earlier window will do, unless rows of others are to come with this one."""
        begun, cursor = self._reading if self._covers(window) else None, plan.export.source.cursor
        if begun is None:
            with self._reaching():
                horizon = wait_for(plan.database, cursor, window.hi, self._until(plan), self._reporter.say)
            reach("journey.horizon")
        else:
            horizon = begun.horizon
        found = self._carry(plan, window)
        if begun is not None and not found.sources:
            return replace(begun, carry=found)
        span = window if found.sources else self._chunk(plan, window, rest, horizon)
        return self._read(plan, window, span, None, horizon, found)

    def _carry(self, plan: Plan, window: Window) -> Carry:
        """Whose rows are whose. The first recent window that a run reads looks for late ones, for all of them."""
        records = None if self._looked else late.before(plan.export, self._ledger, window)
        places = (self._ledger, self._spool, self._folder)
        found = late.look(plan, records, *places, self._owner, self._reporter.say) if records else {}
        self._looked = self._looked or records is not None
        lacking = [record for record in records or [] if record.partition in found]
        return carry.find(plan, window, lacking, *places)

    @contextmanager
    def engine(self, reading: Reading) -> Iterator[duckdb.DuckDBPyConnection]:
        """The DuckDB that shapes a reading's windows: started once, and anew after an error or a `transform`.

        A stream is spent when this ends, however it ends; what needs its rows again reads again.
        """
        if self._engine is None:
            self._engine = self._engines.enter_context(engine(reading.path.parent, self._folder))
        good = False
        try:
            yield self._engine
            export = self.plan.export
            good = export.transform is None and export.changes is None  # their tables would stay in memory
        finally:
            if reading.stream is not None:
                reading.stream.close()
                self._span = None
            if not good:
                self.close()

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """A source that cannot be asked for two windows, one after the other, is taken to be away."""
        try:
            yield
        except ConnectorError as error:
            self._unreached += 1
            if self._unreached > 1:
                self.barred = error
            raise
        self._unreached = 0

    def close(self) -> None:
        """Stop the DuckDB."""
        self._engine = None
        self._engines.close()

    def _covers(self, window: Window) -> bool:
        return self._span is not None and self._span.lo <= window.lo and window.hi <= self._span.hi

    def _until(self, plan: Plan) -> float:
        """One `cursor.wait` a run, not one a window."""
        if self._deadline is None:
            cursor = plan.export.source.cursor
            self._deadline = time.monotonic() + (seconds(cursor.wait).total_seconds() if cursor else 0)
        return self._deadline

    def _chunk(self, plan: Plan, window: Window, rest: list[Window], horizon: Horizon) -> Window:
        if plan.export.whole or plan.relation.places:
            return window
        states, last = self._ledger.states(plan.export.export), window
        for following in rest[: plan.export.partitions.chunk - 1]:
            unread = self._again or states.get(following.key, "planned") in UNREAD
            if not unread or following.lo != last.hi or following.hi > horizon.at:
                break
            last = following
        return Window(window.key, window.lo, last.hi)

    def _read(
        self, plan: Plan, window: Window, span: Window, ids: Ids | None, horizon: Horizon, found: Carry
    ) -> Reading:
        self.close()
        if self._reading is not None:
            shutil.rmtree(self._reading.path.parent, ignore_errors=True)
        self._span = self._reading = None
        self._number += 1
        folder = self._folder / str(self._number)
        folder.mkdir(mode=0o700)
        asked = Asked(plan, window, span, horizon, carried=found.moves)
        if detour(asked):
            also = carry.queries(plan, found, horizon.server)
            reading = read(plan, span, ids, horizon, folder, self._reporter.read, also)
        else:
            reading = begin(asked, ids, folder, self._reporter.read)
        self._reading, self._span = reading, span
        if found.sources:
            with engine(folder, self._spool.root) as connection:
                found = carry.take(plan, found, reading, connection)
        return replace(reading, carry=found)

    def _ids(
        self, plan: Plan, cursor: IdCursor, lease: Lease, record: WindowRecord, window: Window
    ) -> tuple[Ids, Horizon]:
        """The range of the window, fixed at its first attempt under the export's lock, in key order.

        One highest id is settled a run: the first of its windows has all that is new, the others are empty.
        """
        wait_for_end(self._ledger, window)
        if record.high_id is not None:
            return Ids(record.low_id, record.high_id), self._settle(plan, cursor, record.high_id)[1]
        ttl = seconds(cursor.wait) + seconds("1m")
        with self._ledger.export_lock(plan.export.export, self._owner, ttl, dead=is_dead):
            position = self._ledger.last_id(plan.export.export, window.key)
            low = position.low if position.low is not None else (None if cursor.start is None else cursor.start - 1)
            if position.skipped:
                high, horizon = low, look(plan.database, cursor)
            else:
                high, horizon = self._settled = self._settled or self._settle(plan, cursor)
            high = low if high is None or (low is not None and high <= low) else high
            if high is None:
                return Ids(None, None), horizon
            low, high = self._ledger.fix_ids(lease, low, high)
        return Ids(low, high), horizon

    def _settle(self, plan: Plan, cursor: IdCursor, fixed: int | None = None) -> tuple[int | None, Horizon]:
        relation = plan.relation.between(None, None)
        with self._reaching():
            return settle_ids(plan.database, relation, cursor, self._until(plan), self._reporter.say, fixed)


def wait_for_end(ledger: Ledger, window: Window) -> None:
    """An id window is read once its key's time is over, like any other window. Raises NotYet."""
    if ledger.now() < window.hi:
        message = f"not yet: the window ends at {window.hi:%Y-%m-%d %H:%M:%S} UTC"
        raise NotYet(message)


def refuse_old_snapshot(export: Export, grid: Grid, window: Window, now: datetime) -> None:
    """Raise DeclarationError where rows as of `now` would come under the label of an older window."""
    newest = grid.newest(now)
    if export.whole and window.key != newest:
        raise DeclarationError(
            f"{export.export}: `mode: {export.mode}` reads the rows as they are now, so it is for the "
            f"newest partition, {newest!r}, alone; {window.key!r} would carry today's rows under an old label"
        )
