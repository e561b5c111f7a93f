"""A project on SQLite for tests of the commands that look at a catalogue; what they print is the tests' business."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.small import Small

CONNECTORS = """\
shop: {type: duckdb, path: shop.duckdb}
lite: {type: sqlite, path: shop.sqlite}
folder: {type: local, path: out}
"""


def made(root: Path, *statements: str) -> Small:
    """The small project with a SQLite file beside its DuckDB, made by some statements; the ledger is there too."""
    small = Small.make(root, connectors=CONNECTORS)
    run(small, *statements)
    return small


def run(small: Small, *statements: str) -> None:
    """Change the SQLite file."""
    with closing(sqlite3.connect(small.root / "shop.sqlite")) as connection, connection:
        for statement in statements:
            connection.execute(statement)
