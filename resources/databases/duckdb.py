"""DuckDB: a file opened read-only. While it is, no writer can have it: a snapshot sees all that was ever begun before.

The DuckDB that shapes rows is not here but in the assets room.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import pyarrow as pa
from pydantic import Field
from sqlglot import exp

from resources.databases import duckdb_catalog as catalog
from resources.databases import duckdb_types as types
from resources.databases.base import Activity, Column, Database, Facts, Query, Snapshot
from resources.databases.duckdb_files import Engine, engine
from resources.databases.values import batch_of, distinct
from spec.base import Size
from spec.errors import ConnectorError, RowsRefused

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

BATCH_ROWS = 20_480
ADVICE: tuple[tuple[str, bool, str], ...] = (
    ("Conflicting lock", True, "another process writes to it: try again when it has closed the file"),
    ("Unique file handle conflict", True, "this process has it open in another way: close that connection first"),
    ("does not exist", False, "check the name, and that the path starts at the project's folder"),
    ("not a valid DuckDB", False, "check `path`"),
    ("Out of Memory", False, "give the connector a higher `memory_limit`"),
)


class DuckDB(Database):
    """A DuckDB file, read as it stands."""

    dialect: ClassVar[str] = "duckdb"

    type: Literal["duckdb"] = "duckdb"
    path: str
    memory_limit: Size = "128MB"
    threads: Annotated[int, Field(ge=1, le=256)] = 2

    def columns(self, relation: exp.Expr, as_text: frozenset[str] = frozenset()) -> tuple[Column, ...]:
        """The columns, nested ones as JSON text. Raises ConnectorError for two of one name."""
        with self._asked() as connection:
            result = connection.sql(exp.select("*").from_(relation.copy()).limit(0).sql(self.dialect))
            named = list(zip(distinct(result.columns), result.types, strict=True))
            filled = _filled(connection, relation)
        return tuple(
            types.column(name, kind, nullable=name not in filled, as_text=name in as_text) for name, kind in named
        )

    def activity(self) -> Activity:
        """Nobody, without opening the file: a writer that has it now keeps the snapshot from being opened."""
        path = Path(self.path).resolve()
        if not path.is_file():
            raise ConnectorError(f"DuckDB {self.path!r} is not a file: check `path`", retriable=False)
        return Activity(clock=datetime.now(UTC), server=str(path))

    def newest(self, relation: exp.Expr, column: str) -> int | None:
        """The highest value of the column."""
        highest = exp.Max(this=exp.column(column, quoted=True))
        with self._asked() as connection:
            value = _one(connection, exp.select(highest).from_(relation.copy()).sql(self.dialect))
        return None if value is None else int(value)

    def sequential(self, relation: exp.Expr, column: str) -> bool:  # noqa: ARG002  (true of every column)
        """Always: one process writes at a time, and it has closed the file before we can open it."""
        return True

    def facts(self, table: exp.Table) -> Facts:
        """Key, indexes, comments and collations."""
        with self._asked() as connection:
            found = catalog.facts(connection, table)
        if found is None:
            raise ConnectorError(f"DuckDB {self.path!r} has no table {table.name!r}: check the table's name")
        return found

    def tables(self) -> list[str]:
        """Tables and views, those of another schema than main with its name."""
        qualified = "CASE WHEN table_schema = 'main' THEN '' ELSE table_schema || '.' END || table_name"
        listing = (
            f"SELECT {qualified} FROM information_schema.tables WHERE table_catalog = current_database() ORDER BY 1"
        )
        with self._asked() as connection:
            return [name for (name,) in connection.sql(listing).fetchall()]

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """The file, held open: a writer has to wait until it is closed."""
        opened = self._engine()
        with ExitStack() as stack:
            with translated(self.path):
                stack.enter_context(opened.attached())
            yield DuckDBSnapshot(opened, self.path)

    def check(self) -> list[str]:
        """Open the file and look for a table in it."""
        try:
            return [] if self.tables() else [f"DuckDB {self.path!r} has no table: check `path`"]
        except ConnectorError as error:
            return [str(error)]

    @contextmanager
    def _asked(self) -> Iterator[DuckDBPyConnection]:
        with translated(self.path), self._engine().attached() as connection:
            yield connection

    def _engine(self) -> Engine:
        return engine(str(Path(self.path).resolve()), self.memory_limit, self.threads)


class DuckDBSnapshot:
    """An open file. Each reading has a connection of its own."""

    def __init__(self, opened: Engine, path: str) -> None:
        self._engine = opened
        self._path = path

    def read(self, query: Query) -> Iterator[pa.RecordBatch]:
        """Stream the rows in batches of 20,480."""
        statement = query.select(*map(types.wire, query.columns)).sql("duckdb")
        narrowed = tuple(column.name for column in query.columns if types.narrowed(column))
        with translated(self._path, narrowed), self._engine.cursor() as cursor:
            for batch in cursor.sql(statement).to_arrow_reader(BATCH_ROWS):
                yield batch_of(query.columns, map(types.rebuilt, query.columns, batch.columns))

    def count(self, query: Query) -> int:
        """How many rows satisfy the query."""
        with translated(self._path), self._engine.cursor() as cursor:
            return int(_one(cursor, query.select(exp.Count(this=exp.Star())).sql("duckdb")))


@contextmanager
def translated(path: str, narrowed: tuple[str, ...] = ()) -> Iterator[None]:
    """Let every error of the driver leave as a ConnectorError that names the file.

    A value that DuckDB could not convert, of the columns that are `narrowed`, is a RowsRefused.
    """
    import duckdb

    try:
        yield
    except (duckdb.Error, OSError) as error:  # OSError is what the driver raises inside an Arrow stream
        raise _failure(str(error), path, narrowed) from None


def _failure(text: str, path: str, narrowed: tuple[str, ...]) -> ConnectorError | RowsRefused:
    said = f"DuckDB {path!r} said {text.partition(chr(10))[0]!r}"
    if narrowed and text.startswith("Conversion Error"):
        way_out = (
            f"add the column (of {', '.join(narrowed)}) to `source.as_text`, or leave those rows out in `source.sql`"
        )
        return RowsRefused(f"{said}: {way_out}")
    retriable, advice = next(((again, advice) for words, again, advice in ADVICE if words in text), (False, ""))
    return ConnectorError(f"{said}: {advice}" if advice else said, retriable=retriable)


def _one(connection: DuckDBPyConnection, statement: str) -> Any:
    return connection.sql(statement).fetchall()[0][0]


def _filled(connection: DuckDBPyConnection, relation: exp.Expr) -> set[str]:
    """The columns that are NOT NULL, which is only known of a table's own."""
    if not isinstance(relation, exp.Table):
        return set()
    table = exp.Table(this=relation.this.copy(), db=relation.args.get("db"), catalog=relation.args.get("catalog"))
    rows = connection.sql(f"DESCRIBE {table.sql('duckdb')}").fetchall()
    return {name for name, _, nullable, *_ in rows if nullable == "NO"}
