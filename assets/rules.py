"""Rules for rows: what a partner asks of the data itself, looked at in the shaped rows before anything is sealed.

A table of rules, each the SQL of a row that breaks it; all of them in one pass, and a second one for keys that repeat.
What a partner asks of files is in spec/profiles.py, and never depends on rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from assets.plan import Plan
from assets.spelling import quoted
from assets.transform import Shaped, refused
from spec.errors import RowsRefused
from spec.personal import PERSONAL
from spec.profiles import DATED, named_as_date

EXAMPLE = 60
"""Characters of a value that are shown."""
_DAY = r"regexp_full_match({0}, '\d{{4}}-\d{{2}}-\d{{2}}( \d{{2}}:\d{{2}}:\d{{2}})?')"
_REAL = "try_strptime({0}, ['%Y-%m-%d', '%Y-%m-%d %H:%M:%S']) IS NOT NULL"


@dataclass(frozen=True)
class Rule:
    """`broken` is the SQL of a row that breaks it, of `column`; `says` what is wrong with so many `{rows}`.

    `{value}` is an example, where the column may be shown, and nothing where it is personal.
    """

    place: str
    column: str
    broken: str
    says: str


Columns = Mapping[str, str]
"""DuckDB types by the name that a column leaves with."""


def refuse(shaped: Shaped, plan: Plan) -> None:
    """Raise RowsRefused, with the number of rows and an example, for every rule that the rows of a window break."""
    with refused(plan, "the rows cannot be checked"):
        found = [*_broken(shaped, plan), *_repeated(shaped, plan)]
    if found:
        raise RowsRefused("; ".join(found) + ". Nothing was delivered; correct the rows at the source, or filter them")


def _filled(plan: Plan, _: Columns) -> Iterator[Rule]:
    for number, name in enumerate(plan.export.unique or ()):
        says = f"column {name!r} holds NULL in {{rows}} rows, which no part of a unique key may be"
        yield Rule(plan.declared.where("unique", number), name, f"{quoted(name)} IS NULL", says)


def _dated(plan: Plan, columns: Columns) -> Iterator[Rule]:
    if plan.export.profile not in DATED:
        return
    for name, kind in columns.items():
        if kind == "VARCHAR" and named_as_date(name):
            right = f"({_DAY} AND {_REAL})".format(quoted(name))
            says = (
                f"column {name!r} holds {{value}} in {{rows}} rows, which is no yyyy-MM-dd and no yyyy-MM-dd hh:mm:ss"
            )
            yield Rule(plan.declared.where("profile"), name, f"{quoted(name)} IS NOT NULL AND NOT {right}", says)


RULES: tuple[Callable[[Plan, Columns], Iterator[Rule]], ...] = (_filled, _dated)


def _broken(shaped: Shaped, plan: Plan) -> Iterator[str]:
    """One pass over the rows for all rules."""
    rules = [rule for make in RULES for rule in make(plan, shaped.columns)]
    if not rules:
        return
    asked = (
        f"count_if({rule.broken}), min(CAST({quoted(rule.column)} AS VARCHAR)) FILTER (WHERE {rule.broken})"
        for rule in rules
    )
    (found,) = shaped.connection.sql(f"SELECT {', '.join(asked)} FROM ({shaped.sql})").fetchall()
    for number, rule in enumerate(rules):
        rows, value = found[2 * number : 2 * number + 2]
        if rows:
            shown = _shown(plan, [rule.column], [value]) or "something else"
            yield f"{rule.place}: " + rule.says.replace("{rows}", str(rows)).replace("{value}", shown)


def _repeated(shaped: Shaped, plan: Plan) -> Iterator[str]:
    """Rows that are not the only ones with their key; DuckDB spills what does not fit into its memory."""
    names = plan.export.unique
    if not names:
        return
    keys, texts = ", ".join(map(quoted, names)), ", ".join(f"CAST({quoted(name)} AS VARCHAR)" for name in names)
    whole = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in names)
    groups = f"SELECT [{texts}], count(*) FROM ({shaped.sql}) WHERE {whole} GROUP BY {keys} HAVING count(*) > 1"
    asked = f"SELECT sum(repeated.count), min(repeated.key) FROM ({groups}) AS repeated(key, count)"
    ((rows, values),) = shaped.connection.sql(asked).fetchall()
    if rows:
        such = f", such as {shown}" if (shown := _shown(plan, names, values)) else ""
        where, what = plan.declared.where("unique"), ", ".join(map(repr, names))
        yield f"{where}: the window holds {rows} rows that are not the only ones with their {what}{such}"


def _shown(plan: Plan, names: list[str], values: list[str | None]) -> str:
    """The values, unless one of the columns is personal."""
    tagged = {field.name for field in plan.export.listed if field.personal}
    if any(name in tagged or PERSONAL.search(name) for name in names):
        return ""
    return ", ".join(repr((value or "")[:EXAMPLE]) for value in values)
