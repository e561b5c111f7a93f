"""DuckDB files, attached read-only to an engine that stays: starting one takes 40 ms, attaching a file takes one.

What is asked of a file is not here, but in duckdb.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from sqlglot import exp

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

CLOSED = {
    "preserve_insertion_order": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
TAKEN = frozenset({"memory", "system", "temp", "main"})
"""Names that DuckDB has for databases and schemas of its own."""


class Engine:
    """One in-memory DuckDB that can see one file and nothing else of the machine. Made by `engine`."""

    def __init__(self, path: str, memory_limit: str, threads: int) -> None:
        import duckdb

        config: dict[str, Any] = CLOSED | {"memory_limit": memory_limit, "threads": threads}
        stem = Path(path).stem
        self._name = exp.to_identifier(f"{stem}_" if stem.lower() in TAKEN else stem, quoted=True).sql("duckdb")
        self._path = exp.Literal.string(path).sql("duckdb")
        self._connection = duckdb.connect(":memory:", config=config)
        self._connection.execute(
            f"SET allowed_paths = [{self._path}, {exp.Literal.string(path + '.wal').sql('duckdb')}];"
            "SET enable_external_access = false; SET GLOBAL TimeZone = 'UTC'; SET enable_progress_bar = false"
        )
        self._lock, self._users = Lock(), 0

    @contextmanager
    def attached(self) -> Iterator[DuckDBPyConnection]:
        """A connection whose default database is the file, which is locked against writers as long as one is open."""
        with self._lock:
            if not self._users:
                self._connection.execute(f"ATTACH {self._path} AS {self._name} (READ_ONLY)")
            self._users += 1
        try:
            with self.cursor() as connection:
                yield connection
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._connection.execute(f"DETACH {self._name}")

    def cursor(self) -> DuckDBPyConnection:
        """One more connection to the attached file; an open result occupies its own."""
        connection = self._connection.cursor()
        connection.execute(f"USE {self._name}")
        return connection


@lru_cache(maxsize=8)
def engine(path: str, memory_limit: str, threads: int) -> Engine:
    """The process's engine for a file's absolute path, bytes such as "512MB", and threads."""
    return Engine(path, memory_limit, threads)
