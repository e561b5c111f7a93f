"""The journey: each window of a run is driven from wherever the ledger says it is to `done`, or to the reason why not.

One class for every caller: the command line, the Dagster step and the tests. What the steps do is in the files of the
steps; here is only their order, what happens when one fails, and who may take them.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import cast

from assets import changes, late, memory, rules
from assets.heartbeat import Heartbeat
from assets.load import Loading
from assets.outcome import Outcome, Reporter, masked_preview
from assets.plan import Plan, grid_of
from assets.readings import Readings, refuse_old_snapshot
from assets.seal import seal
from assets.transform import shape
from assets.windows import Window
from resources.failpoint import reach
from resources.ledger import Acquired, Lease, Ledger, WindowSpec
from resources.ledger import Delivery as DeliveryRecord
from resources.ledger import Window as WindowRecord
from resources.owner import is_dead, me
from resources.registry import Connectors
from resources.secrets import scrub
from resources.spool import Spool
from resources.stores.base import Store
from spec.delivery import Delivery
from spec.errors import DeclarationError, LeaseLost, LedgerError, OutgateError, RowsRefused, SpoolLost
from spec.personal import cut
from spec.reading import Declared

LEASE = timedelta(seconds=30)
log = logging.getLogger("outgate")


@dataclass
class Journey:
    """One run of one export over some of its windows."""

    declared: Declared
    ledger: Ledger
    spool: Spool
    connectors: Connectors
    make_plan: Callable[[], Plan]
    reporter: Reporter = field(default_factory=Reporter)
    again: str | None = None
    run_id: str | None = None
    accept_columns: bool = False
    full_refresh: bool = False
    lease: timedelta = LEASE
    owner: str = field(default_factory=me)

    def run(self, keys: Sequence[str]) -> Iterator[Outcome]:
        """Drive the windows in turn and yield what became of each; an error of one does not stop the next.

        An error of all does: windows that would be read are left as they are once the source cannot be read at all.
        """
        memory.settle()
        export = self.declared.export
        grid = grid_of(export)
        self.ledger.record_grid(export.export, grid.fingerprint)
        windows = [grid.window(key) for key in keys]
        windows = [*self._open(windows), *windows]
        with ExitStack() as stack:
            folder = stack.enter_context(self.spool.reading())
            readings = Readings(
                self.make_plan, self.ledger, self.spool, folder, self.reporter, self.owner,
                again=self.again is not None,
            )  # fmt: skip
            stack.enter_context(closing(readings))
            for number, window in enumerate(windows):
                self.reporter.window(window.key, number, len(windows))
                outcome = self._untried(window, readings) or self._drive(
                    window, windows[number + 1 :], readings, self.again
                )
                outcome = replace(outcome, before=window.key not in keys)
                self.reporter.done(outcome)
                yield outcome
            yield from self._corrections({window.key for window in windows}, readings, folder)

    def _open(self, windows: list[Window]) -> Iterator[Window]:
        """What `mode: changes` delivers first: sealed windows of before, whose rows are not read again."""
        if self.declared.export.mode != "changes" or not windows or self.full_refresh:
            return
        driven = {window.key for window in windows}
        for record in self.ledger.order(self.declared.export.export, windows[0].key, windows[0].lo).open:
            if record.reached == "sealed" and record.partition not in driven:
                yield Window(record.partition, record.lo, record.hi)

    def _untried(self, window: Window, readings: Readings) -> Outcome | None:
        if readings.barred is None or not self._is_unread(window.key, self.again):
            return None
        return Outcome.untried(window.key, self.declared.export.export, readings.barred)

    def _corrections(self, driven: set[str], readings: Readings, folder: Path) -> Iterator[Outcome]:
        """Deliver again the recent windows of other runs that lack rows which were committed late."""
        records = late.due(self.declared.export, self.ledger, driven)
        if not records:
            return
        try:
            plan = readings.plan
            found = late.look(plan, records, self.ledger, self.spool, folder, self.owner, self.reporter.say)
        except OutgateError as error:
            self.reporter.say(f"late rows were not looked for: {scrub(str(error))}")
            return
        for record in records:
            if record.partition in found or late.is_begun(record):
                window = Window(record.partition, record.lo, record.hi)
                rows = found.get(record.partition, 0)
                outcome = self._drive(window, [], readings, late.asked(record, rows))
                outcome = replace(outcome, late=rows)
                self.reporter.done(outcome)
                yield outcome

    def _drive(self, window: Window, rest: list[Window], readings: Readings, again: str | None) -> Outcome:
        try:
            acquired = self._acquire(window, again)
        except OutgateError as error:
            return self._failed(window.key, None, error)
        if acquired.lease is None:
            return Outcome.of(acquired.window, skipped=True, busy=acquired.busy)
        beat = Heartbeat(self.ledger, acquired.lease, self.lease)
        try:
            with beat:
                return self._steps(beat, acquired.window, window, rest, readings)
        except Exception as error:  # noqa: BLE001  (one bad window must not stop the others)
            told = self._told(window, error)
            if isinstance(told, DeclarationError):
                readings.barred = told
            return replace(self._failed(window.key, beat.lease, told), barred=readings.barred is not None)
        finally:
            reach("journey.ends")
            with suppress(LedgerError):  # then it ends by itself, and what went wrong before is what is told
                self.ledger.release(beat.lease)

    def _told(self, window: Window, error: Exception) -> OutgateError:
        """The error as a person is told it; one that nobody foresaw goes to the log with all its details."""
        _refuse_interrupt(error)
        if isinstance(error, RowsRefused):
            return RowsRefused(cut(str(error), self.declared.export.personal))
        if isinstance(error, OutgateError):
            return error
        place = f"{self.declared.export.export} {window.key}"
        if isinstance(error, OSError):
            return OutgateError(f"{place}: the disk refused: {error}; mend it, then run it again")
        log.error("%s: %s", place, scrub("".join(traceback.format_exception(error))))
        return OutgateError(f"{place}: unexpected {type(error).__name__}: {error}; the log has more, please report it")

    def _acquire(self, window: Window, again: str | None) -> Acquired:
        export = self.declared.export
        if self._is_unread(window.key, again):
            refuse_old_snapshot(export, grid_of(export), window, self.ledger.now())
        if export.mode == "changes" and not self._is_finished(window.key, again):
            changes.order(export.export, window, self.ledger, fresh=self.full_refresh)
        return self.ledger.acquire(self._spec(window), self.owner, self.lease, again, self.run_id, dead=is_dead)

    def _spec(self, window: Window) -> WindowSpec:
        export = self.declared.export
        return WindowSpec(
            export.export, window.key, window.lo, window.hi, self.declared.document.data,
            tuple((delivery.label, delivery.to) for delivery in export.deliver),
        )  # fmt: skip

    def _is_finished(self, key: str, again: str | None) -> bool:
        """Whether there is nothing to do for the window."""
        record = self.ledger.window(self.declared.export.export, key)
        return record is not None and record.reached == "done" and (again is None or record.again == again)

    def _is_unread(self, key: str, again: str | None) -> bool:
        """Whether the source would be read for the window."""
        record = self.ledger.window(self.declared.export.export, key)
        if record is None or record.reached == "planned":
            return True
        return record.reached == "done" and again is not None and record.again != again

    def _steps(
        self, beat: Heartbeat, record: WindowRecord, window: Window, rest: list[Window], readings: Readings
    ) -> Outcome:
        reach("journey.leased")
        if self.full_refresh and record.reached == "sealed" and not _is_fresh(record):
            refuse_old_snapshot(self.declared.export, grid_of(self.declared.export), window, self.ledger.now())
            beat.follow(self.ledger.supersede(
                beat.lease, "given up for a full refresh", self.owner, self.lease, self._spec(window)
            ))  # fmt: skip
            record = self._record(window.key)
        preview = self._sealed(beat.lease, record, window, rest, readings)
        try:
            self._load_all(beat.lease, window.key)
        except SpoolLost as error:
            self.reporter.say(f"{error}; the window is read again")
            preview = self._sealed(
                self._superseded(beat, window, error), self._record(window.key), window, rest, readings
            )
            self._load_all(beat.lease, window.key)
        reach("journey.loaded")
        return Outcome.of(self._record(window.key), preview=preview)

    def _sealed(
        self, lease: Lease, record: WindowRecord, window: Window, rest: list[Window], readings: Readings
    ) -> str:
        if record.reached != "planned":
            return ""
        preview = self._seal(lease, record, window, rest, readings)
        reach("journey.sealed")
        return preview

    def _superseded(self, beat: Heartbeat, window: Window, error: SpoolLost) -> Lease:
        """The lease of a new generation, unless reading the window again would be wrong."""
        export = self.declared.export
        refuse_old_snapshot(export, grid_of(export), window, self.ledger.now())
        taken = {delivery.label for delivery in export.deliver if delivery.collects}
        there = {one.name for one in self._record(window.key).deliveries if _may_be_there(one)}
        if self.again is None and (gone := sorted(taken & there)):
            raise OutgateError(
                f"{error}; but {', '.join(gone)} may have its files already, and a partner that takes them away would "
                "get the rows twice. Put the part back, or deliver all of the window anew with `--again`"
            )
        return beat.follow(self.ledger.supersede(beat.lease, str(error), self.owner, self.lease, self._spec(window)))

    def _seal(self, lease: Lease, record: WindowRecord, window: Window, rest: list[Window], readings: Readings) -> str:
        plan, reading, ids = readings.of(lease, record, window, rest, accept=self.accept_columns)
        with readings.engine(reading) as connection:
            shaped = shape(connection, plan, reading, window, ids)
            rules.refuse(shaped, plan)
            if plan.export.changes is not None:
                shaped = changes.compare(
                    plan, window, shaped, reading.path.parent, self.ledger, self.spool, fresh=self.full_refresh
                )
            rows = late.late_rows(record)
            seal(plan, window, ids, reading, shaped, lease, self.ledger, self.spool, self._store, rows)
            return masked_preview(shaped, plan.export)

    def _load_all(self, lease: Lease, key: str) -> None:
        """Every delivery has its try; the first error is raised when all have had it."""
        errors: list[OutgateError] = []
        declared = {delivery.label: delivery for delivery in self.declared.export.deliver}
        for delivery in self._record(key).deliveries:
            try:
                self._load(lease, key, delivery, declared.get(delivery.name))
            except (LeaseLost, SpoolLost):
                raise
            except OutgateError as error:
                self.ledger.fail(lease, error.state, scrub(str(error)), delivery.name)
                errors.append(error)
        if errors:
            raise errors[0]

    def _load(self, lease: Lease, key: str, delivery: DeliveryRecord, declared: Delivery | None) -> None:
        if delivery.reached == "done":
            return
        Loading(
            self._store(delivery.connector), self.ledger, self.spool, lease,
            lambda: next(each for each in self._record(key).deliveries if each.name == delivery.name),
            bool(declared and declared.collects), self.declared.export.mode == "snapshot", self.reporter.sent,
        ).run()  # fmt: skip

    def _store(self, name: str) -> Store:
        connector = self.connectors.get(name)
        if not isinstance(connector, Store):
            place = self.declared.where("deliver")
            raise DeclarationError(f"{place}: connector {name!r} ({connector.type}) does not take files")
        return connector

    def _record(self, key: str) -> WindowRecord:
        return cast("WindowRecord", self.ledger.window(self.declared.export.export, key))

    def _failed(self, key: str, lease: Lease | None, error: OutgateError) -> Outcome:
        if lease is not None and not isinstance(error, LeaseLost):
            error = self._recorded(lease, key, error)
        record_now = self.ledger.window(self.declared.export.export, key)
        return Outcome.failure(key, self.declared.export.export, error, scrub(str(error)), record_now)

    def _recorded(self, lease: Lease, key: str, error: OutgateError) -> OutgateError:
        """Record how the attempt ended, unless another worker has the window by now: then that is what ended it."""
        try:
            self.ledger.check(lease)
            record = self._record(key)
            said = any(delivery.state != delivery.reached for delivery in record.deliveries)
            if not said and record.reached != "done":
                self.ledger.fail(lease, error.state, scrub(str(error)))
        except LeaseLost as lost:
            return lost
        except LedgerError as refused:
            return OutgateError(f"{error}\nand that could not be recorded: {refused}")
        return error


def _may_be_there(delivery: DeliveryRecord) -> bool:
    """Whether a file of the delivery was given its name, or was about to be."""
    return delivery.reached in {"published", "done"} or any(artifact.attempted for artifact in delivery.artifacts)


def _is_fresh(record: WindowRecord) -> bool:
    """Whether all rows were sealed as added."""
    told = (record.horizon or {}).get("changes")
    return isinstance(told, dict) and told.get("since") is None


def _refuse_interrupt(error: BaseException) -> None:
    """Raise KeyboardInterrupt where DuckDB made an error of its own of it: an interrupted run must end, not go on."""
    seen: BaseException | None = error
    while seen is not None:
        if "query interrupted" in str(seen).lower() or type(seen).__name__ == "InterruptException":
            raise KeyboardInterrupt from error
        seen = seen.__cause__ or seen.__context__
