"""Transform: a window's rows out of the extract, shaped by the declaration, written as the parts of each delivery.

DuckDB does the work with bounded memory, spilling into the spool. The shape is compiled in spec/shape.py, the spelling
of values in lines.py, the files in parts.py.
"""

from __future__ import annotations

import hashlib
import importlib
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sqlglot import exp

from assets.carry import parts
from assets.encrypting import Encrypting
from assets.excel import cells
from assets.extract import Ids, Reading, arrow_schema
from assets.lines import footer, header, line
from assets.parts import Frame, Hashing, Part, write_parts
from assets.plan import Plan
from assets.seen import called
from assets.spelling import quoted
from assets.windows import Window
from resources.databases.base import Column
from spec.delivery import Delivery
from spec.errors import DeclarationError, OutgateError
from spec.export import PolarsTransform, SqlTransform
from spec.filters import numbered
from spec.formats import ARCHIVES, Csv, Excel, Parquet, Psv, Tsv
from spec.personal import PERSONAL, hide, pads, variables
from spec.shape import EXTRACT, compile_shape, made_of, missing, unique_of
from spec.template import member

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from assets.changes import Compared
    from assets.stream import Stream

ARRIVING = "arriving"
BATCH_ROWS = 16_384
MEMORY = "256MB"


@dataclass(frozen=True)
class Shaped:
    """The shaped window as a DuckDB query, with the names and DuckDB types of its columns.

    Rows that come out of a `stream` can be asked for once. `compared`: they are those that changed, see changes.py.
    """

    connection: duckdb.DuckDBPyConnection
    sql: str
    columns: dict[str, str]
    stream: Stream | None = None
    compared: Compared | None = None

    def batches(self, sql: str) -> pa.RecordBatchReader:
        """Stream a query over the shaped rows."""
        return self.connection.sql(sql).to_arrow_reader(BATCH_ROWS)

    def preview(self, rows: int = 10) -> list[tuple[object, ...]]:
        """The first rows as text; of a stream that is over, those of its first batch."""
        if self.stream is not None:
            self.connection.register(ARRIVING, self.stream.head)
        cells = ", ".join(f"CAST({quoted(name)} AS VARCHAR)" for name in self.columns)
        return self.connection.sql(f"SELECT {cells} FROM ({self.sql}) LIMIT {rows}").fetchall()


@contextmanager
def engine(folder: Path, *also: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB that spills into `folder`, and knows no network and no other files than those there and in `also`."""
    import duckdb

    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": MEMORY,
        "threads": 2,
        "temp_directory": str(folder / "spill"),
        "preserve_insertion_order": False,
    }
    with duckdb.connect(":memory:", config=settings) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"SET allowed_directories = [{', '.join(map(_path, (folder, *also)))}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield connection


def shape(
    connection: duckdb.DuckDBPyConnection, plan: Plan, reading: Reading, window: Window, ids: Ids | None
) -> Shaped:
    """Cut the window out of a reading and shape it. Raises DeclarationError for what the declaration got wrong."""
    _extract_view(connection, plan, reading, window, ids)
    return _shaped(connection, plan, reading.path.parent, window, reading.stream)


def _shaped(
    connection: duckdb.DuckDBPyConnection, plan: Plan, folder: Path, window: Window, stream: Stream | None
) -> Shaped:
    with _located(plan):
        _transform(connection, plan, folder)
        _set_keys(connection, plan)
        columns = _describe(connection, f"SELECT * FROM {EXTRACT}")
        missing(_after_transform(plan), columns, "the result of `transform`")
        sql = compile_shape(plan.declared, columns, window.hi).sql(dialect="duckdb")
        leaving = _describe(connection, sql)
        missing(unique_of(plan.declared), leaving, "what leaves")
        return Shaped(connection, sql, leaving, stream)


def rehearse(plan: Plan) -> dict[str, str]:
    """Shape no row at all: what does not fit the types of the columns is seen before the source is read.

    Returns the DuckDB types of the columns that leave. A transform that makes its columns of the rows (Polars, PIVOT)
    cannot be seen without rows: then there are none. Raises DeclarationError.
    """
    import pyarrow as pa

    if isinstance(plan.export.transform, PolarsTransform) or "pivot" in plan.transform_sql.lower():
        return {}
    columns = plan.relation.columns
    with tempfile.TemporaryDirectory(prefix="outgate-") as name, engine(Path(name)) as connection:
        connection.register(ARRIVING, pa.Table.from_batches([], schema=arrow_schema(columns)))
        _view(connection, columns, exp.to_identifier(ARRIVING), [[]])
        shaped = _shaped(connection, plan, Path(name), plan.grid.first, None)
        with _located(plan):
            connection.sql(shaped.sql).fetchall()
        return shaped.columns


def _extract_view(
    connection: duckdb.DuckDBPyConnection, plan: Plan, reading: Reading, window: Window, ids: Ids | None
) -> None:
    rows: exp.Expr = exp.func("read_parquet", exp.Literal.string(str(reading.path)))
    if reading.stream is not None:
        connection.register(ARRIVING, reading.stream.reader())
        rows = exp.to_identifier(ARRIVING)
    _view(connection, reading.columns, rows, parts(plan, reading.carry, window, ids))


def _view(
    connection: duckdb.DuckDBPyConnection, columns: tuple[Column, ...], rows: exp.Expr,
    kinds: Iterable[Sequence[exp.Expr]],
) -> None:  # fmt: skip
    """Rows of the table `found`: those that one list of conditions holds for, and those of the next."""
    select = exp.select(*(_column(column.name, json=column.json) for column in columns)).from_(called("found", rows))
    whole = " UNION ALL ".join(select.where(*conditions).sql(dialect="duckdb") for conditions in kinds)
    connection.execute(f"CREATE OR REPLACE VIEW {EXTRACT} AS {whole}")


def _column(name: str, *, json: bool) -> exp.Expr:
    column = exp.column(name, quoted=True)
    return exp.alias_(exp.cast(column, "json"), name, quoted=True) if json else column


def _transform(connection: duckdb.DuckDBPyConnection, plan: Plan, folder: Path) -> None:
    transform = plan.export.transform
    if isinstance(transform, SqlTransform):
        connection.execute(f"CREATE OR REPLACE TABLE transformed AS {plan.transform_sql}")
    elif isinstance(transform, PolarsTransform):
        _run_polars(connection, plan, transform, folder)
    else:
        return
    connection.execute(f"CREATE OR REPLACE VIEW {EXTRACT} AS SELECT * FROM transformed")


def _run_polars(connection: duckdb.DuckDBPyConnection, plan: Plan, transform: PolarsTransform, folder: Path) -> None:
    import polars as pl

    before, after = folder / "before.parquet", folder / "after.parquet"
    connection.sql(f"SELECT * FROM {EXTRACT}").write_parquet(str(before))
    function = _function(plan, transform)
    try:
        frame = function(pl.scan_parquet(before))
        frame.lazy().sink_parquet(after)
    except Exception as error:  # noqa: BLE001  (whatever a user's function raises)
        place = plan.declared.where("transform", "polars")
        said = hide(str(error), _personal(plan))
        raise DeclarationError(f"{place}: {transform.polars} failed: {type(error).__name__}: {said}") from None
    connection.execute("CREATE OR REPLACE VIEW transformed AS SELECT * FROM read_parquet(" + _path(after) + ")")


def _path(path: Path) -> str:
    return exp.Literal.string(str(path)).sql(dialect="duckdb")


def _function(plan: Plan, transform: PolarsTransform):  # type: ignore[no-untyped-def]  # noqa: ANN202  (a user's function)
    module, _, name = transform.polars.partition(":")
    place = plan.declared.where("transform", "polars")
    if plan.folder not in sys.path:
        sys.path.insert(0, plan.folder)
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise DeclarationError(
            f"{place}: {transform.polars!r} cannot be imported ({error}); put it beside the declaration"
        ) from None


def _after_transform(plan: Plan) -> dict[str, str]:
    if plan.export.transform is None:
        return {}
    named = {condition.field: plan.declared.where(*path) for path, condition in numbered(plan.export.filters)}
    return made_of(plan.declared) | named


def _set_keys(connection: duckdb.DuckDBPyConnection, plan: Plan) -> None:
    """After the transform, whose author has no business with them, and as values: no statement has a key in it."""
    for name, key in plan.keys.items():
        both = pads(key, lambda data: hashlib.sha256(data).digest())
        for variable, pad in zip(variables(name), both, strict=True):
            connection.execute(f"SET VARIABLE {quoted(variable)} = ?::BLOB", [pad])


def _describe(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[str, str]:
    relation = connection.sql(sql)
    return dict(zip(relation.columns, map(str, relation.types), strict=True))


@contextmanager
def _located(plan: Plan) -> Iterator[None]:
    """DuckDB's complaints about the declaration become DeclarationErrors at its shape."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        part = "transform" if plan.export.transform else "fields"
        text = _said(plan, error)
        raise DeclarationError(f"{plan.declared.where(part)}: the shape cannot be computed: {text:.300}") from None


def write(
    shaped: Shaped, delivery: Delivery, folder: Path, plan: Plan, path_values: Mapping[str, object]
) -> list[Part]:
    """Write the parts of one delivery into `folder`. Raises what the source did, where the rows are still to come.

    `path_values` are what the path's variables stand for, but for the part's own: an archive has its name inside.
    """
    folder.mkdir(mode=0o700, parents=True)
    said = f"the rows of delivery {delivery.label!r} cannot be written"
    with _emptied(folder), shaped.stream.whole() if shaped.stream else nullcontext(), refused(plan, said):
        sql, columns = _rows(shaped, delivery, plan)
        reader = shaped.batches(sql)
        batches = shaped.stream.told(iter(reader)) if shaped.stream else iter(reader)
        parts = write_parts(batches, _frame(plan, delivery, columns, reader.schema, path_values), folder)
    _refuse_loss(shaped.stream, parts, plan)
    return parts


@contextmanager
def _emptied(folder: Path) -> Iterator[None]:
    """What was written before an error is worth nothing, and may be plain text of what is to be encrypted."""
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _rows(shaped: Shaped, delivery: Delivery, plan: Plan) -> tuple[str, dict[str, str]]:
    """The query of what a delivery's parts are made of, and the columns that it has in them."""
    form, sql, columns = delivery.format, shaped.sql, shaped.columns
    if isinstance(form, Parquet):
        return sql, columns
    if isinstance(form, Excel):
        return f"SELECT {cells(columns)} FROM ({sql})", columns
    if isinstance(form, Csv | Psv | Tsv) and form.row_number:
        if form.row_number.casefold() in map(str.casefold, columns):
            place = plan.declared.where("deliver", plan.export.deliver.index(delivery), "format", "row_number")
            raise DeclarationError(
                f"{place}: the rows have a column {form.row_number!r} of their own; say another name"
            )
        sql = f"SELECT row_number() OVER () AS {quoted(form.row_number)}, * FROM ({sql})"
        columns = {form.row_number: "BIGINT"} | columns
    return f"SELECT {line(form, columns)} AS line FROM ({sql})", columns


def _frame(
    plan: Plan, delivery: Delivery, columns: dict[str, str], schema: pa.Schema, values: Mapping[str, object]
) -> Frame:
    form = delivery.format
    opened = partial(Encrypting, recipients=plan.recipients[delivery.label]) if delivery.encrypt else Hashing
    if isinstance(form, Parquet | Excel):
        return Frame(form, schema, names=tuple(columns), open=opened)

    def named(number: int) -> str:
        part = {"part": f"{number:03d}"}
        return member(delivery.unencrypted, {**values, **part}, ARCHIVES[form.compression], form.type)

    return Frame(form, schema, header(form, columns), footer(form), tuple(columns), named, opened)


def _refuse_loss(stream: Stream | None, parts: list[Part], plan: Plan) -> None:
    """Whatever the source sent for the window is in it, unless `filters:` leave rows out."""
    rows = sum(part.rows for part in parts)
    if stream is not None and plan.export.filters is None and rows != stream.rows:
        raise OutgateError(
            f"{plan.export.export}: the source sent {stream.rows} rows of the window, and {rows} are left of them, "
            "though nothing filters them; nothing was delivered, please report it"
        )


@contextmanager
def refused(plan: Plan, what: str) -> Iterator[None]:
    """A value that a type cannot carry, or a full disk, ends the window with a message; nothing was sent."""
    import duckdb
    import pyarrow as pa

    try:
        yield
    except (duckdb.Error, pa.ArrowException) as error:
        raise OutgateError(f"{plan.export.export}: {what}: {_said(plan, error):.300}") from None
    except OSError as error:
        if error.errno is None:  # what the engine says after the first batch, as Arrow's reader raises it
            raise OutgateError(f"{plan.export.export}: {what}: {_said(plan, error):.300}") from None
        message = (
            f"{plan.export.export}: writing to the spool failed: {error.strerror}; make room there, then run it again"
        )
        raise OutgateError(message) from None


def _said(plan: Plan, error: Exception) -> str:
    """The engine's words; those that may have a value in them without it, where the export has personal data."""
    import duckdb

    text = " ".join(str(error).removeprefix("Invalid Input Error: ").split())
    plain = (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException, duckdb.SyntaxException)
    return text if isinstance(error, plain) else hide(text, _personal(plan))


def _personal(plan: Plan) -> set[str]:
    """The columns of the source whose values are in no text."""
    telling = (
        {column.name for column in plan.relation.columns if PERSONAL.search(column.name)} if plan.relation else set()
    )
    return telling | set(plan.export.personal)


__all__ = ["Shaped", "arrow_schema", "engine", "refused", "rehearse", "shape", "write"]
