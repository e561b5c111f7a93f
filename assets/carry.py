"""Carried rows: a row that came late is delivered once, with a later window, and belongs to that one for ever.

Which rows of a window belong to others, and which rows of others it takes, in the snapshot that it is read in. When a
window looks for late rows is said in late.py, how rows are told apart in seen.py; what was carried is in the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sqlglot import exp

from assets.extract import Ids, Reading, cut, query_of
from assets.plan import Plan, key_columns
from assets.seen import Kept, among, files, kept, since, span_of, write_keys
from assets.windows import Window
from resources.databases.base import Query
from resources.failpoint import reach
from resources.ledger import Carried, Ledger
from resources.ledger import Window as WindowRecord
from resources.spool import Spool
from spec.errors import DeclarationError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True)
class Source:
    """A window whose rows are read along: those in `mine`, and those that are in none of `known` (None: no others)."""

    record: WindowRecord
    mine: tuple[Path, ...] = ()
    known: tuple[Path, ...] | None = None


@dataclass(frozen=True)
class Taken:
    """The rows that a window takes from another one: how many, and the file of their cursors and keys."""

    rows: int
    path: Path


@dataclass(frozen=True)
class Carry:
    """`out`: files with keys of its own rows that belong to others. `taken`: rows of others, by their partition.

    `basis` says, by partition, as of which version of the ledger's ownership that holds.
    """

    out: tuple[Path, ...] = ()
    sources: tuple[Source, ...] = ()
    basis: Mapping[str, int] = field(default_factory=dict)
    taken: Mapping[str, Taken] = field(default_factory=dict)

    @property
    def moves(self) -> bool:
        """Whether the window's rows are not just those of its own span."""
        return bool(self.out or self.sources)


def find(
    plan: Plan, window: Window, lacking: Sequence[WindowRecord], ledger: Ledger, spool: Spool, folder: Path
) -> Carry:
    """Whose rows are whose before a window is read; `lacking`: the windows that late rows were found in.

    Raises DeclarationError where the rows that were carried cannot be told apart any more.
    """
    name = plan.export.export
    own = ledger.ownership(name, window.key)
    basis = {window.key: own.version} if own.version else {}
    mine: dict[str, list[Carried]] = {}
    for each in own.carried:
        if each.into == window.key:
            mine.setdefault(each.partition, []).append(each)
    found = {each.record.partition: each for each in kept(plan, lacking, ledger, spool, folder)}
    sources = []
    for partition in sorted({*mine, *found}):
        source = _source(plan, partition, found.get(partition), ledger)
        sources.append(replace(source, mine=_files(plan, mine.get(partition, []), folder)))
        basis |= {partition: found[partition].version} if partition in found else {}
    out = [each for each in own.carried if each.partition == window.key]
    return Carry(_files(plan, out, folder), tuple(sources), basis)


def _source(plan: Plan, partition: str, lacking: Kept | None, ledger: Ledger) -> Source:
    if lacking is not None:
        return Source(lacking.record, known=lacking.paths)
    record = ledger.window(plan.export.export, partition)
    assert record is not None  # noqa: S101  (rows were carried out of it)
    return Source(record)


def _files(plan: Plan, found: Sequence[Carried], folder: Path) -> tuple[Path, ...]:
    paths = files(plan, found, folder)
    if paths is None:
        ours = ", ".join(repr(column.name) for column in key_columns(plan)) or "none"
        raise DeclarationError(
            f"{plan.declared.where('source', 'cursor')}: rows of {found[0].partition!r} were delivered with "
            f"{found[0].into!r} because they came late, and cannot be told apart by {ours}; declare the cursor and key "
            "of then"
        )
    return paths


def queries(plan: Plan, carry: Carry, server: str) -> list[Query]:
    """What is read along, in the window's own snapshot: rows written since, where only those can be missing."""
    found = []
    for source in carry.sources:
        query = query_of(plan, *span_of([source.record]))
        narrowed = [] if source.mine else since(plan, [source.record], server)
        found.append(replace(query, where=(*query.where, *narrowed)))
    return found


def take(plan: Plan, carry: Carry, reading: Reading, connection: DuckDBPyConnection) -> Carry:
    """The same, with the rows that are taken from each source, as the reading's snapshot showed them."""
    taken = {}
    for number, source in enumerate(carry.sources):
        wanted = [among(plan, source.mine)] if source.mine else []
        wanted += [] if source.known is None else [exp.not_(among(plan, source.known))]
        path = reading.path.parent / f"carried-{number}.parquet"
        conditions = [*cut(plan, *span_of([source.record])), exp.or_(*wanted)]
        if rows := write_keys(connection, plan, reading.path, conditions, path):
            taken[source.record.partition] = Taken(rows, path)
    reach("carry.taken")
    return replace(carry, taken=taken)


def parts(plan: Plan, carry: Carry | None, window: Window, ids: Ids | None) -> list[list[exp.Expr]]:
    """The conditions on a reading (as the table `found`) that make up a window, one list for each kind of its rows."""
    own = cut(plan, window, ids)
    if carry is None:
        return [own]
    left = [exp.not_(among(plan, carry.out))] if carry.out else []
    others = [among(plan, [each.path for each in carry.taken.values()])] if carry.taken else []
    return [[*own, *left], *([others] if others else [])]


def carried(window: Window, carry: Carry | None) -> list[Carried]:
    """What the ledger keeps of it."""
    found = carry.taken.items() if carry else ()
    return [Carried(partition, window.key, each.rows, each.path.read_bytes()) for partition, each in found]
