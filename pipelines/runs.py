"""Runs that the command line starts: Dagster runs in this process, one a chunk of windows, kept where the UI finds
them.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from assets.outcome import Outcome
from pipelines.console import Bars
from pipelines.home import Home
from pipelines.project import Project
from resources.owner import me
from spec.errors import OutgateError
from spec.reading import Declared

if TYPE_CHECKING:
    import dagster as dg

START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@contextmanager
def instance_of(home: Home, project: Project) -> Iterator[dg.DagsterInstance]:
    """Dagster's instance in the home, with the settings of the project's dagster.yaml."""
    import dagster as dg
    from dagster._core.instance.ref import InstanceRef

    home.dagster.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings = project.root if (project.root / "dagster.yaml").is_file() else Path(__file__).parents[1]
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home.dagster), config_dir=str(settings))) as instance:
        yield instance


def launch(
    project: Project,
    home: Home,
    declared: Declared,
    keys: list[str],
    bars: Bars,
    *,
    again: bool,
    accept: bool,
    refresh: bool = False,
) -> int:
    """Run the windows chunk by chunk; return the number of runs. What became of each window is in `bars.outcomes`.

    Where nothing can be read, the chunks that are left are not begun.
    """
    from assets.graph import OWNER
    from assets.partitions import refuse_other_keys
    from pipelines.definitions import build_definitions
    from schedules.housekeeping import end_dead

    refuse_other_keys(declared)
    export = declared.export
    job = build_definitions(project, home, lambda: bars).resolve_job_def(f"{export.export}_job")
    runs, chunks = 0, list(chunked(declared, keys))
    switches = {"again": again, "accept_columns": accept, "full_refresh": refresh}
    tags = {name: str(on).lower() for name, on in switches.items()} | {"outgate/from": "command line"}
    with _storage(home), instance_of(home, project) as instance:
        end_dead(instance)
        for chunk in chunks:
            before, run_id = len(bars.outcomes), str(uuid.uuid4())
            with _kept_open(instance, run_id):
                result = job.execute_in_process(
                    instance=instance, tags=tags | {OWNER: me(), START: chunk[0], END: chunk[-1]}, raise_on_error=False,
                    run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}, run_id=run_id,
                )  # fmt: skip
            runs += 1
            _nothing_lost(result, chunk, bars.outcomes[before:])
            if any(outcome.barred for outcome in bars.outcomes):
                break
    return runs


@contextmanager
def _storage(home: Home) -> Iterator[None]:
    """What Dagster's own books say when their disk is full, as a sentence. Windows are in the ledger, not in them."""
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except (OSError, sqlite3.Error, DBAPIError) as error:
        cause = getattr(error, "orig", None) or error
        raise OutgateError(
            f"Dagster's records in {home.dagster} cannot be written: {cause}; is the disk full? Make room there, then "
            "run the same command again: it goes on from the ledger"
        ) from None


@contextmanager
def _kept_open(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Keep Dagster's SQLite event logs open for a run: it opens and closes them several times an event, and SQLite
    folds its write-ahead log away, with three flushes of the disk, whenever the last connection closes.
    """
    from dagster._core.storage.event_log import SqliteEventLogStorage

    storage = instance.event_log_storage
    with ExitStack() as stack:
        if isinstance(storage, SqliteEventLogStorage):
            with storage.run_connection(run_id):
                pass  # now the file of the run is there
            for shard in ("index", run_id):
                kept = stack.enter_context(closing(sqlite3.connect(storage.path_for_shard(shard))))
                kept.execute("SELECT count(*) FROM sqlite_master").fetchall()
        yield


def _nothing_lost(result: dg.ExecuteInProcessResult, chunk: list[str], outcomes: list[Outcome]) -> None:
    """A run that failed outside the windows (a bug, a broken instance) must not look like one that did nothing."""
    asked = [outcome for outcome in outcomes if outcome.asked]
    if [outcome.key for outcome in asked] == chunk and result.success == all(outcome.good for outcome in outcomes):
        return
    if any(event.event_type_value == "PIPELINE_CANCELED" for event in result.all_events):
        raise KeyboardInterrupt
    failures = [event for event in result.all_events if event.is_failure]
    text = failures[0].message if failures else "the run ended early"
    data = getattr(failures[0], "event_specific_data", None) if failures else None
    error = getattr(data, "error", None)
    cause = error.cause or error if error else None
    if error and "Interrupted" in (error.cls_name or ""):
        raise KeyboardInterrupt
    raise OutgateError(f"{chunk[0]} to {chunk[-1]}: {text or ''} {cause.message if cause else ''}".strip())


def chunked(declared: Declared, keys: list[str]) -> Iterator[list[str]]:
    """Neighbouring windows in lists of at most `partitions.chunk`; a gap begins a new list."""
    from assets.plan import grid_of

    grid, last = grid_of(declared.export), None
    chunk: list[str] = []
    for key in keys:
        window = grid.window(key)
        if chunk and (len(chunk) == declared.export.partitions.chunk or (last is not None and window.lo != last)):
            yield chunk
            chunk = []
        chunk.append(key)
        last = window.hi
    if chunk:
        yield chunk
