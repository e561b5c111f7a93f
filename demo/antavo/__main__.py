"""Make a folder in which the recipe `antavo` runs at once: `python -m demo.antavo FOLDER`.

The same day, seed and size give the same rows. Here are arguments and files; what is in the rows is made elsewhere.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from demo.antavo import goods, people
from demo.antavo.chance import ZONE, Chance, World
from demo.antavo.tables import KINDS, TABLES, Column, Row

RECIPE = Path(__file__).parents[2] / "pipelines" / "recipes" / "antavo"
MEMBERS = 2000
CODES = {"S": 60, "P": 200, "C": 100}
"""How many stores, products and coupon pools there are, by the letter of their codes."""
MAKERS = {
    maker.__name__: maker
    for maker in (
        goods.challenges, people.changes, people.content_approval, goods.coupons, goods.coupon_pools, people.customers,
        people.customer_fields, people.events, goods.products, goods.rewards, goods.stores, goods.webhook_logs,
    )
}  # fmt: skip


def today() -> date:
    """The day that has begun where the programme is."""
    return datetime.now(ZONE).date()


def make(until: date, *, members: int = MEMBERS, seed: int = 7) -> dict[str, list[Row]]:
    """The rows of the twelve tables; no fact is dated `until` 00:00 in ZONE or later, but plans may be."""
    end, chance = datetime.combine(until, time(), ZONE).astimezone(UTC), Chance(f"{seed} keys")
    customers = [chance.key() for _ in range(members)]
    codes = ([f"{letter}{number:03d}" for number in range(count)] for letter, count in CODES.items())
    world = World(end, customers, *codes)
    return {name: list(MAKERS[name](Chance(f"{seed} {name}"), world)) for name in TABLES}


def write(path: Path, tables: dict[str, list[Row]]) -> None:
    """Write the DuckDB file anew, as one rename at the end."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    try:
        with duckdb.connect(unfinished) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            for name, rows in tables.items():
                connection.execute(_create(name, TABLES[name]))
                connection.register("made", arrow(TABLES[name], rows))
                connection.execute(f'INSERT INTO "{name}" SELECT * FROM made')
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _create(name: str, columns: tuple[Column, ...]) -> str:
    listed = ", ".join(f'"{each.name}" {KINDS[each.kind].duckdb}' for each in columns)
    return f'CREATE TABLE "{name}" ({listed}, PRIMARY KEY ("{columns[0].name}"))'


def arrow(columns: tuple[Column, ...], rows: list[Row]) -> pa.Table:
    """The rows with their exact types."""
    arrays = [pa.array([_plain(each, row[each.name]) for row in rows], KINDS[each.kind].arrow) for each in columns]
    return pa.Table.from_arrays(arrays, names=[each.name for each in columns])


def _plain(column: Column, value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if column.kind == "object" and value is not None else value


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, make what is asked for and say what to do with it."""
    parser = argparse.ArgumentParser(prog="python -m demo.antavo", description="Make a project to try the recipe in.")
    parser.add_argument("folder", type=Path, help="where the data goes, and a copy of the recipe unless there is one")
    parser.add_argument("--until", type=date.fromisoformat, default=today(), help="no fact is later (%(default)s)")
    parser.add_argument("--members", type=int, default=MEMBERS, help="rows of the table `customers` (%(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="another seed, another programme (%(default)s)")
    chosen = parser.parse_args(arguments)
    chosen.folder.mkdir(parents=True, exist_ok=True)
    tables = make(chosen.until, members=chosen.members, seed=chosen.seed)
    write(chosen.folder / "antavo.duckdb", tables)
    if not (chosen.folder / "pipelines").exists():
        shutil.copytree(RECIPE, chosen.folder / "pipelines")
    print(", ".join(f"{len(rows):,} {name}" for name, rows in tables.items()))
    print(f"{chosen.folder}: the data in antavo.duckdb, the declarations in pipelines/")


if __name__ == "__main__":
    main()
