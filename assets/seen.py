"""What a window was made of: its rows' cursors and keys, kept beside its parts, and compared with the source later.

When a window is looked at again, and what is done about what was not there, is said in late.py.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from assets.extract import Ids, Reading, arrow_schema, cut, query_of
from assets.plan import Plan, key_columns
from assets.windows import Window
from resources.databases.base import Column, Query
from resources.failpoint import reach
from resources.files import sha256_of
from resources.ledger import Carried, Ledger
from resources.ledger import Window as WindowRecord
from resources.spool import Spool
from spec.source import IdCursor

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

BATCH_ROWS = 100_000
SEEN = "seen.parquet"


@dataclass(frozen=True)
class Kept:
    """A delivered window and the files that have the keys of all its rows: its own, and those that others carried.

    `version`: as of which version of the ledger's ownership.
    """

    record: WindowRecord
    paths: tuple[Path, ...]
    version: int


def keep_keys(
    connection: DuckDBPyConnection, plan: Plan, reading: Reading, window: Window, ids: Ids | None,
    folder: Path, spool: Spool,
) -> dict[str, object]:  # fmt: skip
    """Put the keys of a window's rows into its workshop. Returns what the ledger keeps of them."""
    path = folder / SEEN
    if reading.stream is not None:
        rows = reading.stream.rows
        (reading.path.parent / SEEN).rename(path)
    else:
        rows = write_keys(connection, plan, reading.path, cut(plan, window, ids), path)
    with path.open("rb") as file:
        os.fsync(file.fileno())
    reach("late.kept")
    position = reading.horizon.position
    return {"rows": rows, "path": spool.relative(path), "sha256": sha256_of(path), "position": position}


def passing_keys(
    batches: Generator[pa.RecordBatch], columns: tuple[Column, ...], folder: Path
) -> Generator[pa.RecordBatch]:
    """The same batches; their keys are written into `folder` as they pass."""
    names = [column.name for column in columns]
    with closing(batches), _writer(folder / SEEN, columns) as writer:
        for batch in batches:
            writer.write_batch(batch.select(names))
            yield batch


def _writer(path: Path, columns: tuple[Column, ...]) -> pq.ParquetWriter:
    return pq.ParquetWriter(path, arrow_schema(columns), compression="zstd", compression_level=1)


def write_keys(
    connection: DuckDBPyConnection, plan: Plan, extract: Path, conditions: Sequence[exp.Expr], path: Path
) -> int:
    """Write the keys of those rows of an extract, the table `found` of the conditions. Returns how many they are."""
    columns = key_columns(plan)
    select = _select(columns).from_(called("found", _parquet([extract]))).where(*conditions)
    rows, schema = 0, arrow_schema(columns)
    with _writer(path, columns) as writer:
        for batch in connection.sql(select.sql("duckdb")).to_arrow_reader(BATCH_ROWS):
            rows += batch.num_rows
            arrays = [each.cast(kind) for each, kind in zip(batch.columns, schema.types, strict=True)]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
    return rows


def kept(plan: Plan, records: Sequence[WindowRecord], ledger: Ledger, spool: Spool, folder: Path) -> list[Kept]:
    """Those of the windows that are finished, with the keys of their rows.

    One whose keys are gone from the spool, or were of other columns than now, is passed over.
    """
    found = []
    for key in [record.partition for record in records] if key_columns(plan) else []:
        owned = ledger.ownership(plan.export.export, key)
        # Looked up after the version: a rival that seals between the two moves the version on.
        record = ledger.window(plan.export.export, key)
        others = files(plan, [each for each in owned.carried if each.partition == key], folder)
        own = _seen(plan, record, spool) if record and _has_rows_to_come(plan, record) else None
        if record is not None and own is not None and others is not None:
            found.append(Kept(record, (own, *others), owned.version))
    return found


def count_late(
    plan: Plan, known: Sequence[Kept], connection: DuckDBPyConnection, folder: Path, server: str
) -> dict[str, int]:
    """How many rows of each window were not there when it was read, by partition key; only those with any.

    Raises ConnectorError.
    """
    if not known:
        return {}
    path = folder / "sweep.parquet"
    _reread(plan, [each.record for each in known], key_columns(plan), path, server)
    reach("late.read")
    seen = among(plan, [path for each in known for path in each.paths])
    late: dict[str, int] = {}
    for record in [each.record for each in known]:
        missing = exp.select(exp.Count(this=exp.Star())).from_(called("found", _parquet([path])))
        missing = missing.where(*cut(plan, *span_of([record])), exp.not_(seen))
        if count := int(connection.sql(missing.sql("duckdb")).fetchall()[0][0]):
            late[record.partition] = count
    return late


def _has_rows_to_come(plan: Plan, record: WindowRecord) -> bool:
    by_id = isinstance(plan.export.source.cursor, IdCursor)
    return record.reached == "done" and (record.high_id is not None or not by_id)


def among(plan: Plan, paths: Sequence[Path]) -> exp.Expr:
    """Whether the cursor and key of a row of the table `found` are in one of the files."""
    names = [column.name for column in key_columns(plan)]
    pairs = (tuple(exp.column(name, table, quoted=True) for table in ("seen", "found")) for name in names)
    same = [exp.NullSafeEQ(this=one, expression=other) for one, other in pairs]
    return exp.Exists(this=exp.select("1").from_(called("seen", _parquet(paths))).where(*same))


def _reread(plan: Plan, records: Sequence[WindowRecord], columns: tuple[Column, ...], path: Path, server: str) -> None:
    """Write the keys that the source shows now in the span of the windows, or those only that it shows since then."""
    query = query_of(plan, *span_of(records))
    where = (*query.where, *since(plan, records, server))
    schema = arrow_schema(columns)
    with plan.database.snapshot() as snapshot, pq.ParquetWriter(path, schema) as writer:
        for batch in snapshot.read(Query(query.relation, columns, where)):
            writer.write_batch(pa.record_batch(batch.columns, schema=schema))


def since(plan: Plan, records: Sequence[WindowRecord], server: str) -> list[exp.Expr]:
    """What narrows the sweep to rows committed since, where the database can tell and is still the same one."""
    positions = [str((record.seen or {}).get("position") or "") for record in records]
    if not all(positions) or any(record.server != server for record in records):
        return []
    condition = plan.database.since(plan.relation.tree, min(positions, key=lambda text: (len(text), text)))
    return [] if condition is None else [condition]


def span_of(records: Sequence[WindowRecord]) -> tuple[Window, Ids | None]:
    """From the first window's beginning to the last one's end."""
    window = Window(records[0].partition, min(r.lo for r in records), max(r.hi for r in records))
    highs = [record.high_id for record in records if record.high_id is not None]
    if not highs:
        return window, None
    lows = [record.low_id for record in records if record.high_id is not None]
    known = [low for low in lows if low is not None]
    return window, Ids(None if len(known) < len(lows) else min(known), max(highs))


def _seen(plan: Plan, record: WindowRecord, spool: Spool) -> Path | None:
    facts: dict[str, Any] = record.seen or {}
    path = spool.root / str(facts.get("path", ""))
    return path if path.is_file() and sha256_of(path) == facts["sha256"] and _has_keys(plan, path) else None


def files(plan: Plan, found: Sequence[Carried], folder: Path) -> tuple[Path, ...] | None:
    """The keys of carried rows as files in `folder`; None where they were of other columns than now."""
    paths = []
    for each in found:
        paths.append(folder / f"{hashlib.sha256(each.keys).hexdigest()}.parquet")
        paths[-1].write_bytes(each.keys)
    return tuple(paths) if all(_has_keys(plan, path) for path in paths) else None


def _has_keys(plan: Plan, path: Path) -> bool:
    return list(pq.read_schema(path).names) == [column.name for column in key_columns(plan)]


def called(name: str, function: exp.Expr) -> exp.Table:
    """What a query takes rows from, under a name of its own."""
    return exp.Table(this=function.copy(), alias=exp.TableAlias(this=exp.to_identifier(name)))


def _select(columns: tuple[Column, ...]) -> exp.Select:
    return exp.select(*(exp.column(column.name, quoted=True) for column in columns))


def _parquet(paths: Sequence[Path]) -> exp.Expr:
    files = exp.array(*(exp.Literal.string(str(path)) for path in paths))
    wide = exp.EQ(this=exp.to_identifier("union_by_name"), expression=exp.true())
    return exp.func("read_parquet", files, wide)
