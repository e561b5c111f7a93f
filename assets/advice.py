"""What `check --connect` advises about an export whose source it has seen: sentences that stop nothing.

What would stop a run is refused where the run would refuse it, not here. Nothing in this file speaks to a database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa
from sqlglot import exp

from assets.plan import Plan
from resources.databases.base import Activity, Column, Facts

INDEXES: dict[str, str] = {
    "postgres": "CREATE INDEX CONCURRENTLY",
    "mysql": "CREATE INDEX",
    "tsql": "CREATE INDEX",
    "oracle": "CREATE INDEX",
    "sqlite": "CREATE INDEX",
}
"""How an index is made, by sqlglot dialect; a database that is not here finds a window without one."""

Advice = Iterator[str]


def advice(plan: Plan, facts: Facts | None, activity: Activity) -> list[str]:
    """One sentence each, with `file:line`. `facts` is None where the source is a query of one's own."""
    found = list(_blind(plan, activity))
    if facts is not None:
        found += [sentence for rule in RULES for sentence in rule(plan, facts)]
    return found


def index_sql(dialect: str, table: exp.Table, columns: list[str]) -> str:
    """The statement that makes an index, "" for a database that needs none."""
    if dialect not in INDEXES:
        return ""
    named = [exp.to_identifier(name, quoted=True).sql(dialect) for name in ("_".join([table.name, *columns]), *columns)]
    plain = exp.Table(this=table.this.copy(), db=table.args.get("db"), catalog=table.args.get("catalog"))
    return f"{INDEXES[dialect]} {named[0]} ON {plain.sql(dialect)} ({', '.join(named[1:])});"


def _blind(plan: Plan, activity: Activity) -> Advice:
    cursor = plan.export.source.cursor
    if not activity.blind or not incremental(plan) or cursor is None or cursor.stamped_by != "database":
        return
    place = plan.declared.where("source", "cursor", "stamped_by")
    mend = f"; to mend it: {activity.remedy}" if activity.remedy else ""
    yield f"{place}: the receipts will say `lag`, not `gate` ({activity.blind}); the lag is {cursor.lag}{mend}"


def _index(plan: Plan, facts: Facts) -> Advice:
    cursor, table = plan.relation.cursor, plan.relation.tree
    if not incremental(plan) or cursor is None or not isinstance(table, exp.Table) or facts.is_view:
        return
    key, tenant = plan.export.source.cursor and plan.export.source.cursor.key, _tenant(plan)
    sql = index_sql(plan.database.dialect, table, [*tenant, cursor.name, *([key] if key else [])])
    helps = {(cursor.name,), (*tenant, cursor.name)}
    if sql and not any(names[:size] in helps for names in facts.indexes for size in (1, len(tenant) + 1)):
        place = plan.declared.where("source", "cursor", "column")
        yield f"{place}: no index begins with {cursor.name!r}, so a reading looks at all rows; to mend it: {sql}"


def _nulls(plan: Plan, _: Facts) -> Advice:
    cursor, source = plan.relation.cursor, plan.export.source.cursor
    if incremental(plan) and cursor is not None and source is not None and cursor.nullable and source.nulls == "error":
        yield (
            f"{plan.declared.where('source', 'cursor', 'column')}: {cursor.name!r} may be NULL, and one NULL stops"
            " every window; declare the column NOT NULL, or say `nulls:` in `cursor:`"
        )


def _key(plan: Plan, facts: Facts) -> Advice:
    source = plan.export.source.cursor
    if source is None or not incremental(plan):
        return
    place = plan.declared.where("source", "cursor", *(["key"] if source.key else []))
    enough = {(source.key,), (source.column, source.key)}
    if not facts.key and not facts.is_view:
        yield f"{place}: the table has no primary key and no unique index over NOT NULL columns to tell its rows apart"
    elif source.by == "time" and source.key is None and facts.key:
        yield f"{place}: `cursor:` has no `key:` for rows of one moment; the table's key is {_said(facts.key)}"
    elif source.key and facts.key and tuple(name for name in facts.key if name not in _tenant(plan)) not in enough:
        yield f"{place}: `key: {source.key}` alone is not known to be unique; the table's key is {_said(facts.key)}"


def _doubtful_key(plan: Plan, facts: Facts) -> Advice:
    source = plan.export.source.cursor
    column = _column(plan, source.key) if source and source.key and incremental(plan) else None
    if column is None:
        return
    place = plan.declared.where("source", "cursor", "key")
    if pa.types.is_floating(column.type):
        yield f"{place}: {column.name!r} is {column.declared}: two keys may be one number; take a key of another type"
    if column.name in facts.loose:
        yield f"{place}: {column.name!r} has a collation that may call different texts equal; take another key"


def _loose_tenant(plan: Plan, facts: Facts) -> Advice:
    tenant = plan.relation.tenant
    if tenant is not None and tenant[0].name in facts.loose:
        yield (
            f"{plan.declared.where('source', 'tenant', 'column')}: {tenant[0].name!r} has a collation that may call"
            f" different texts equal: a row of another spelling than {tenant[1]!r} would stop the run"
        )


RULES: tuple[Callable[[Plan, Facts], Advice], ...] = (_index, _nulls, _key, _doubtful_key, _loose_tenant)


def incremental(plan: Plan) -> bool:
    """Whether the cursor is used: a snapshot reads all rows."""
    return plan.export.mode == "incremental"


def _tenant(plan: Plan) -> tuple[str, ...]:
    """The column that is the same in all rows that are read; () without a tenant."""
    return (plan.relation.tenant[0].name,) if plan.relation.tenant else ()


def _column(plan: Plan, name: str) -> Column | None:
    return next((each for each in plan.relation.columns if each.name == name), None)


def _said(key: tuple[str, ...]) -> str:
    return ", ".join(map(repr, key))
