"""What a window was made of: its rows' cursors and keys, kept beside its parts, and compared with the source later.

When a window is looked at again, and what is done about what was not there, is said in late.py.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator, Sequence
from contextlib import closing
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
from resources.ledger import Window as WindowRecord
from resources.spool import Spool
from spec.source import IdCursor

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

BATCH_ROWS = 100_000
SEEN = "seen.parquet"


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
        rows = _cut_keys(connection, plan, reading, window, ids, path)
    with path.open("rb") as file:
        os.fsync(file.fileno())
    reach("late.kept")
    position = reading.horizon.position
    return {"rows": rows, "path": spool.relative(path), "sha256": _sha256(path), "position": position}


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


def _cut_keys(
    connection: DuckDBPyConnection, plan: Plan, reading: Reading, window: Window, ids: Ids | None, path: Path
) -> int:
    columns = key_columns(plan)
    select = _select(columns).from_(_parquet(reading.path))
    for condition in cut(plan, window, ids):
        select = select.where(condition)
    rows, schema = 0, arrow_schema(columns)
    with _writer(path, columns) as writer:
        for batch in connection.sql(select.sql("duckdb")).to_arrow_reader(BATCH_ROWS):
            rows += batch.num_rows
            arrays = [each.cast(kind) for each, kind in zip(batch.columns, schema.types, strict=True)]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
    return rows


def count_late(
    plan: Plan, records: Sequence[WindowRecord], spool: Spool, connection: DuckDBPyConnection, folder: Path, server: str
) -> dict[str, int]:
    """How many rows of each finished window were not there when it was read, by partition key; only those with any.

    Raises ConnectorError. A window whose keys are gone from the spool is passed over.
    """
    columns = key_columns(plan)
    known = [(record, path) for record in records if _has_rows_to_come(plan, record) and (path := _seen(record, spool))]
    if not known or not columns:
        return {}
    found = _reread(plan, [record for record, _ in known], columns, folder / "sweep.parquet", server)
    reach("late.read")
    seen = exp.func("read_parquet", exp.array(*(exp.Literal.string(str(path)) for _, path in known)))
    late: dict[str, int] = {}
    for record, _ in known:
        window, ids = _span([record])
        missing = exp.select(exp.Count(this=exp.Star())).from_(_called("found", found))
        for condition in [*cut(plan, window, ids), exp.not_(_known(columns, seen))]:
            missing = missing.where(condition)
        if count := int(connection.sql(missing.sql("duckdb")).fetchall()[0][0]):
            late[record.partition] = count
    return late


def _has_rows_to_come(plan: Plan, record: WindowRecord) -> bool:
    by_id = isinstance(plan.export.source.cursor, IdCursor)
    return record.reached == "done" and (record.high_id is not None or not by_id)


def _known(columns: tuple[Column, ...], seen: exp.Expr) -> exp.Expr:
    pairs = (tuple(exp.column(each.name, table, quoted=True) for table in ("seen", "found")) for each in columns)
    same = [exp.NullSafeEQ(this=one, expression=other) for one, other in pairs]
    return exp.Exists(this=exp.select("1").from_(_called("seen", seen)).where(*same))


def _reread(
    plan: Plan, records: Sequence[WindowRecord], columns: tuple[Column, ...], path: Path, server: str
) -> exp.Expr:
    """The keys that the source shows now in the span of the windows, or of those only that it shows since then."""
    window, ids = _span(records)
    query = query_of(plan, window, ids)
    where = (*query.where, *_since(plan, records, server))
    schema = arrow_schema(columns)
    with plan.database.snapshot() as snapshot, pq.ParquetWriter(path, schema) as writer:
        for batch in snapshot.read(Query(query.relation, columns, where)):
            writer.write_batch(pa.record_batch(batch.columns, schema=schema))
    return _parquet(path)


def _since(plan: Plan, records: Sequence[WindowRecord], server: str) -> list[exp.Expr]:
    """What narrows the sweep to rows committed since, where the database can tell and is still the same one."""
    positions = [str((record.seen or {}).get("position") or "") for record in records]
    if not all(positions) or any(record.server != server for record in records):
        return []
    condition = plan.database.since(plan.relation.tree, min(positions, key=lambda text: (len(text), text)))
    return [] if condition is None else [condition]


def _span(records: Sequence[WindowRecord]) -> tuple[Window, Ids | None]:
    """From the first window's beginning to the last one's end."""
    window = Window(records[0].partition, min(r.lo for r in records), max(r.hi for r in records))
    highs = [record.high_id for record in records if record.high_id is not None]
    if not highs:
        return window, None
    lows = [record.low_id for record in records if record.high_id is not None]
    known = [low for low in lows if low is not None]
    return window, Ids(None if len(known) < len(lows) else min(known), max(highs))


def _seen(record: WindowRecord, spool: Spool) -> Path | None:
    facts: dict[str, Any] = record.seen or {}
    path = spool.root / str(facts.get("path", ""))
    return path if path.is_file() and _sha256(path) == facts["sha256"] else None


def _called(name: str, function: exp.Expr) -> exp.Table:
    return exp.Table(this=function.copy(), alias=exp.TableAlias(this=exp.to_identifier(name)))


def _select(columns: tuple[Column, ...]) -> exp.Select:
    return exp.select(*(exp.column(column.name, quoted=True) for column in columns))


def _parquet(path: Path) -> exp.Expr:
    return exp.func("read_parquet", exp.Literal.string(str(path)))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
