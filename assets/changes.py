"""`mode: changes`: what became of each row since the last delivery. All rows are compared, by key, with the keys and
hashes of those that were delivered then: the base, a file of the spool.

Which window's base counts is the ledger's to say (resources/ledger/changing.py). A row is what its line of ndjson says:
names, values, NULL and '' apart.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from assets.lines import line
from assets.plan import Plan
from assets.spelling import literal, quoted
from assets.transform import BATCH_ROWS, Shaped, refused
from assets.windows import Window
from resources.failpoint import reach
from resources.files import sha256_of
from resources.ledger import Base, Ledger, Order
from resources.ledger import Window as WindowRecord
from resources.spool import Spool
from spec.changes import OPERATIONS, Changes
from spec.errors import DeclarationError, OutgateError, RowsRefused
from spec.formats import Ndjson
from spec.kinds import FLOATS, Kind, kind_of

BASE = "base.parquet"
HASH = "hash of the row"
KINDS: frozenset[Kind] = frozenset({"text", "number", "boolean", "date", "time", "local", "instant"})
"""What a key can be of; floats and numbers of more than 38 digits are not among them."""
WIDE = frozenset({"HUGEINT", "UHUGEINT"})
TABLE = "changed"
KNOWN, NOW = '"rows as they were"', '"rows as they are"'
"""Aliases that no column has; the first is registered without its quotes."""


@dataclass(frozen=True)
class Compared:
    """How many rows each operation has, and the base to be: its file, its rows and the types of its key.

    `since`: the window that they were compared with, None for nothing at all.
    """

    counts: Mapping[str, int]
    path: Path
    rows: int
    key: Mapping[str, str]
    since: WindowRecord | None
    fresh: bool

    @property
    def told(self) -> dict[str, object]:
        """For the receipt and the manifest."""
        return {"since": self.since.partition if self.since else None, **self.counts}

    def keep(self, folder: Path, spool: Spool) -> Base:
        """Put the base into the window's workshop."""
        path = folder / BASE
        self.path.rename(path)
        with path.open("rb") as file:
            os.fsync(file.fileno())
        reach("changes.kept")
        facts: dict[str, object] = {"rows": self.rows, "path": spool.relative(path), "sha256": sha256_of(path)}
        return Base(facts | {"key": dict(self.key)}, self.since.id if self.since else None, self.fresh)


def order(export: str, window: Window, ledger: Ledger, *, fresh: bool) -> Order:
    """What the window's rows are to be compared with. Raises OutgateError where it is not this window's turn."""
    found = ledger.order(export, window.key, window.lo)
    if found.later and not _follows(found.later[0], window):
        raise OutgateError(
            f"{export} {window.key}: the changes of {found.later[-1].partition!r} were delivered since, and have all "
            "that this window would have; there is nothing to do"
        )
    if found.open and not fresh:
        first = found.open[0]
        raise OutgateError(
            f"{export} {window.key}: those of {first.partition!r} come before, and are {first.state}: deliver them "
            f"(`outgate run {export} --partition {first.partition}`), or give them up and deliver all rows as "
            f"added (`outgate run {export} --full-refresh`)"
        )
    return found


def _follows(later: WindowRecord, window: Window) -> bool:
    """Whether a window was compared with this one, which was delivered before that: it may be sent again."""
    told: dict[str, Any] = (later.horizon or {}).get("changes") or {}  # type: ignore[assignment]
    return told.get("since") == window.key


def compare(
    plan: Plan, window: Window, shaped: Shaped, folder: Path, ledger: Ledger, spool: Spool, *, fresh: bool
) -> Shaped:
    """The rows that are not as they were delivered last, with the operation before them; and what is delivered then.

    Of a removed row only the key is known. Raises DeclarationError, RowsRefused and OutgateError.
    """
    changes = plan.export.changes
    assert changes is not None  # noqa: S101  (the caller looked)
    key = _key(plan, changes, shaped)
    known = None if fresh else order(plan.export.export, window, ledger, fresh=False).base
    path = _base(plan, known, key, spool) if known else None
    with refused(plan, "the rows cannot be compared with those delivered before"):
        counts = _compared(shaped, changes, key, path)
        reach("changes.compared")
        _refuse_nothing(plan, shaped, key)
        rows = _next(shaped, key, path, folder / BASE)
        _refuse_twice(plan, shaped, key, rows)
    columns = {changes.column: "VARCHAR"} | shaped.columns
    names = ", ".join(map(quoted, columns))
    found = Compared(counts, folder / BASE, rows, key, known, fresh)
    return replace(shaped, sql=f"SELECT {names} FROM {TABLE}", columns=columns, compared=found)


def of(shaped: Shaped, column: str, operation: str) -> Shaped:
    """The rows of one operation, without its column."""
    columns = {name: kind for name, kind in shaped.columns.items() if name != column}
    names = ", ".join(map(quoted, columns))
    sql = f"SELECT {names} FROM ({shaped.sql}) WHERE {quoted(column)} = {literal(operation)}"
    return replace(shaped, sql=sql, columns=columns)


def _key(plan: Plan, changes: Changes, shaped: Shaped) -> dict[str, str]:
    """The types of the key's columns. Raises DeclarationError for one that is not there or cannot be a key."""
    where, types = plan.declared.where("changes", "key"), shaped.columns
    has = ", ".join(types)
    problems = [
        f"{where}: the rows have no column {name!r} (it has: {has})" for name in changes.key if name not in types
    ]
    problems += [
        f"{where}: {name!r} is {types[name]}, which cannot tell rows apart exactly; `cast:` it"
        for name in changes.key
        if name in types and (kind_of(types[name]) not in KINDS or types[name] in FLOATS | WIDE)
    ]
    if {changes.column.casefold(), HASH} & {name.casefold() for name in types}:
        problems.append(f"{where}: the rows have a column {changes.column!r} of their own; say another `column:`")
    if problems:
        raise DeclarationError(*problems)
    return {name: types[name] for name in changes.key}


def _base(plan: Plan, record: WindowRecord, key: Mapping[str, str], spool: Spool) -> Path:
    way = f"or deliver all rows as added: `outgate run {plan.export.export} --full-refresh`"
    _refuse_newcomers(plan, record, way)
    if record.base is None:
        raise DeclarationError(
            f"{plan.declared.where('mode')}: {record.partition!r} was delivered in another mode, so nobody can tell "
            f"what changed since; give the export a new name, {way}"
        )
    facts: dict[str, Any] = record.base
    path = spool.root / str(facts["path"])
    if not path.is_file() or sha256_of(path) != facts["sha256"]:
        raise OutgateError(
            f"{plan.export.export}: what was delivered with {record.partition!r} is missing from the spool or altered "
            f"({str(facts['path'])!r}), so nobody can tell what changed since; put the file back, {way}"
        )
    if facts["key"] != dict(key):
        was, now = (", ".join(f"{name} {kind}" for name, kind in each.items()) for each in (facts["key"], key))
        raise DeclarationError(
            f"{plan.declared.where('changes', 'key')}: the key of what was delivered with {record.partition!r} was "
            f"({was}), and is ({now}) now; declare the key of then, {way}"
        )
    return path


def _refuse_newcomers(plan: Plan, record: WindowRecord, way: str) -> None:
    """A delivery that the window before did not have would get the differences from what it never got."""
    known = {each.name for each in record.deliveries}
    for number, delivery in enumerate(plan.export.deliver):
        if delivery.label not in known:
            raise DeclarationError(
                f"{plan.declared.where('deliver', number)}: delivery {delivery.label!r} is new, and would get what "
                f"changed since {record.partition!r} without the rows of then; make it an export of its own, {way}"
            )


@contextmanager
def _known(shaped: Shaped, key: Mapping[str, str], path: Path | None) -> Iterator[None]:
    """The base as a table that can be read once."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if path is None:
        nothing = ", ".join(f"CAST(NULL AS {kind}) AS {quoted(name)}" for name, kind in key.items())
        shaped.connection.execute(
            f"CREATE OR REPLACE TEMP VIEW {KNOWN} AS SELECT {nothing}, CAST(NULL AS BLOB) AS {quoted(HASH)} WHERE false"
        )
        yield
        return
    with pq.ParquetFile(path) as file:
        batches = file.iter_batches(BATCH_ROWS, use_threads=False)
        shaped.connection.register(KNOWN.strip('"'), pa.RecordBatchReader.from_batches(file.schema_arrow, batches))
        try:
            yield
        finally:
            shaped.connection.unregister(KNOWN.strip('"'))


def _compared(shaped: Shaped, changes: Changes, key: Mapping[str, str], path: Path | None) -> dict[str, int]:
    """The table of the rows that differ, made in one pass; how many each operation has."""
    digest, same = quoted(HASH), " AND ".join(f"{NOW}.{quoted(name)} = {_was(name, key)}" for name in key)
    cells = [
        f"coalesce({NOW}.{quoted(name)}, {_was(name, key)}) AS {quoted(name)}"
        if name in key
        else f"{NOW}.{quoted(name)}"
        for name in shaped.columns
    ]
    shaped.connection.execute(f"DROP TABLE IF EXISTS {TABLE}")
    with _known(shaped, key, path):
        shaped.connection.execute(
            f"CREATE TEMP TABLE {TABLE} AS SELECT CASE WHEN {KNOWN}.{digest} IS NULL THEN 'added' "
            f"WHEN {NOW}.{digest} IS NULL THEN 'removed' ELSE 'changed' END AS {quoted(changes.column)}, "
            f"{', '.join(cells)}, {NOW}.{digest} FROM ("
            f"SELECT *, unhex(sha256({line(Ndjson(), shaped.columns)})) AS {digest} FROM ({shaped.sql})) AS {NOW} "
            f"FULL JOIN {KNOWN} ON {same} WHERE {NOW}.{digest} IS DISTINCT FROM {KNOWN}.{digest}"
        )
    found = shaped.connection.sql(f"SELECT {quoted(changes.column)}, count(*) FROM {TABLE} GROUP BY ALL").fetchall()
    return dict.fromkeys(map(str, OPERATIONS), 0) | dict(found)


def _was(name: str, key: Mapping[str, str]) -> str:
    return f"CAST({KNOWN}.{quoted(name)} AS {key[name]})"


def _next(shaped: Shaped, key: Mapping[str, str], path: Path | None, made: Path) -> int:
    """Write what all rows are now: those of before that did not change, and those that did. Returns how many."""
    import pyarrow.parquet as pq

    names, digest = ", ".join(map(quoted, key)), quoted(HASH)
    same = " AND ".join(f"{TABLE}.{quoted(name)} = {_was(name, key)}" for name in key)
    kept = ", ".join(f"{_was(name, key)} AS {quoted(name)}" for name in key)
    rows = 0
    with _known(shaped, key, path):
        reader = shaped.batches(
            f"SELECT {kept}, {digest} FROM {KNOWN} WHERE NOT EXISTS (FROM {TABLE} WHERE {same}) "
            f"UNION ALL SELECT {names}, {digest} FROM {TABLE} WHERE {digest} IS NOT NULL"
        )
        with pq.ParquetWriter(made, reader.schema, compression="zstd", compression_level=1) as writer:
            for batch in reader:
                rows += batch.num_rows
                writer.write_batch(batch)
    return rows


def _refuse_nothing(plan: Plan, shaped: Shaped, key: Mapping[str, str]) -> None:
    nothing = " OR ".join(f"{quoted(name)} IS NULL" for name in key)
    if count := _count(shaped, f"{TABLE} WHERE {nothing}"):
        raise RowsRefused(
            f"{plan.declared.where('changes', 'key')}: {count} rows have no value in the key ({', '.join(key)}), so "
            "nobody could say later what became of them; leave them out with `filters:`, or choose another key"
        )


def _refuse_twice(plan: Plan, shaped: Shaped, key: Mapping[str, str], kept: int) -> None:
    """Of two rows with one key both differ from what was, and are in the table; or one does not, and is not kept."""
    names = ", ".join(map(quoted, key))
    every = _count(shaped, f"({shaped.sql})")
    twice = f"(SELECT {names} FROM {TABLE} WHERE {quoted(HASH)} IS NOT NULL GROUP BY {names} HAVING count(*) > 1)"
    if every == kept and not _count(shaped, twice):
        return
    found = f"(SELECT {names}, count(*) AS times FROM ({shaped.sql}) GROUP BY {names} HAVING count(*) > 1)"
    raise RowsRefused(
        f"{plan.declared.where('changes', 'key')}: {_count(shaped, found)} values of the key ({', '.join(key)}) are in "
        "more than one row, so nobody can tell which row changed; choose a key that no two rows share"
    )


def _count(shaped: Shaped, rows: str) -> int:
    return int(shaped.connection.sql(f"SELECT count(*) FROM {rows}").fetchall()[0][0])
