"""A customer's SQL server in which two tenants share nine tables, on PostgreSQL or MariaDB: filled, and changed by turns.

Which tables there are is said in loymax_tables.py. Nothing here uses the product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple

from tests.recipes.loymax_tables import TABLES, Column, Row, Table

OURS, OTHER = "acme-corp", "globex"
FIRST = datetime(2024, 1, 1, tzinfo=UTC)
STRETCH = timedelta(hours=6)
TICK = timedelta(microseconds=1)
ROWS, LATE = 100, 5
PRODUCTS = ROWS * 2**8
"""All stamped by one statement; the vendor's own limit is 20,000 rows of one stamp."""


class Made(NamedTuple):
    """What a value is made of: a word that says whose it is, its row's key and stamp."""

    word: str
    key: int
    stamp: datetime


@dataclass
class Shop:
    """The server, by a session of its owner in UTC that commits every statement."""

    session: Any
    dialect: int
    chance: Random = field(default_factory=lambda: Random(20240131))

    def __post_init__(self) -> None:
        self.next = dict.fromkeys(TABLES, 1)

    def run(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """One statement, and its rows where it has any."""
        with self.session.cursor() as cursor:
            cursor.execute(statement, values)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    def insert(self, table: Table, tenant: str, stamps: Sequence[datetime], keys: Sequence[int] = ()) -> None:
        """As many new rows as there are stamps, with the next keys unless they are given."""
        keys = keys or range(self.next[table.name], self.next[table.name] + len(stamps))
        self.next[table.name] = max(self.next[table.name], max(keys) + 1)
        columns = [each for each in table.columns if each.kind != "serial"]
        rows = [
            (tenant, *(self.value(each, tenant, key, stamp) for each in columns))
            for key, stamp in zip(keys, stamps, strict=True)
        ]
        names, places = ", ".join(each.name for each in columns), ", ".join(["%s"] * len(columns))
        with self.session.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {table.name} (user_id, {names}) VALUES (%s, {places})", rows)

    def touch(self, table: Table, tenant: str, keys: Sequence[int], stamps: Sequence[datetime]) -> None:
        """Change rows: another value in the column before the last, and a new stamp."""
        column = table.columns[-2]
        change = (
            f"UPDATE {table.name} SET {column.name} = %s, updated_at = %s WHERE user_id = %s AND {table.key.name} = %s"
        )
        for key, stamp in zip(keys, stamps, strict=True):
            self.run(change, self.value(column, tenant, key, stamp), stamp, tenant, key)

    def value(self, column: Column, tenant: str, key: int, stamp: datetime) -> Any:
        """A value of the column's kind."""
        return self.chance.choice(VALUES[column.kind])(Made(f"{tenant} {column.name} {key} é'\\", key, stamp))

    def partner(self, table: Table) -> list[Row]:
        """Our tenant's rows as a partner should have them, read by the server's own driver."""
        names = ", ".join(each.name for each in table.columns)
        rows = self.run(f"SELECT {names} FROM {table.name} WHERE user_id = %s", OURS)
        return [table.partner(row) for row in rows]


VALUES: dict[str, tuple[Callable[[Made], Any], ...]] = {
    "key": (lambda made: made.key,),
    "stamp": (lambda made: made.stamp,),
    "name": (lambda made: made.word,),
    "word": (lambda made: made.word, lambda _: "", lambda _: None),
    "number": (lambda made: made.key, lambda _: 2**53 + 1, lambda _: None),
    "gender": (lambda _: "male", lambda _: "female", lambda _: "", lambda _: None),
    "money": (lambda made: Decimal(made.key) / 100, lambda _: Decimal("-0.10"), lambda _: None),
    "wide": (lambda made: Decimal(made.key), lambda _: Decimal("9999999999999999.99"), lambda _: None),
    "weight": (lambda made: Decimal(made.key) / 1000,),
    "flag": (lambda _: True, lambda _: False, lambda _: None),
    "day": (lambda _: date(1984, 2, 29), lambda _: None),
    "moment": (lambda made: made.stamp - 9 * STRETCH, lambda _: None),
    "document": (lambda made: f'{{"sum": 1.10, "n": {made.key}, "list": [null]}}',),
}
"""By kind of column: what its values are made of, one of them by chance."""


def stamps(chance: Random, stretch: int, count: int) -> list[datetime]:
    """Moments of one stretch of six hours: few of them, so that many rows share each, and both edges."""
    low = FIRST + stretch * STRETCH
    return chance.choices([low, low + TICK, low + STRETCH / 2, last(stretch)], k=count)


def last(stretch: int) -> datetime:
    """The last moment of a stretch."""
    return FIRST + (stretch + 1) * STRETCH - TICK


def fill(shop: Shop) -> None:
    """Make the tables, with the rows of the first stretch: tenants have the same ids where ids are their own."""
    for table in map(Table, TABLES):
        shop.run(table.create(shop.dialect))
        keys = range(1, 2 * ROWS, 2) if table.name == "events" else range(1, ROWS + 1)
        for tenant in (OURS, OTHER):
            shop.insert(table, tenant, stamps(shop.chance, 0, ROWS), keys)
    multiply(shop, Table("products"))


def multiply(shop: Shop, table: Table) -> None:
    """Double our rows of a table until they are as many as PRODUCTS."""
    others = ", ".join(each.name for each in table.columns[1:])
    copy = (
        f"INSERT INTO {table.name} (user_id, {table.key.name}, {others}) "
        f"SELECT user_id, {table.key.name} + %s, {others} FROM {table.name} WHERE user_id = %s"
    )
    while (many := shop.next[table.name] - 1) < PRODUCTS:
        shop.run(copy, many, OURS)
        shop.next[table.name] += many


def change(shop: Shop, stretch: int) -> None:
    """One stretch later: new rows, changed rows, and rows that come late with the last stamp of the stretch before."""
    for table in map(Table, TABLES):
        for tenant in (OURS, OTHER):
            shop.insert(table, tenant, stamps(shop.chance, stretch, ROWS // 5))
            if table.stamped:
                keys = shop.chance.sample(range(1, ROWS), ROWS // 5)
                shop.touch(table, tenant, keys, stamps(shop.chance, stretch, len(keys)))
                shop.insert(table, tenant, [last(stretch - 1)] * LATE)
        if table.name == "events":
            shop.insert(table, OURS, [last(stretch - 1)] * LATE, range(2 * LATE * stretch, 2 * LATE * (stretch + 1), 2))
    shop.run("DELETE FROM user_directories WHERE item_key <= %s", stretch)


def reprice(shop: Shop, stretch: int) -> None:
    """One statement gives every product of the beginning, of both tenants, the same stamp."""
    shop.run("UPDATE products SET price = 19.90, updated_at = %s WHERE product_id <= %s", last(stretch), PRODUCTS)
