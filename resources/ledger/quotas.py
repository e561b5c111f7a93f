"""Quota: reserved before, committed or given back after, and never more than the limit in between.

Which pool a window draws from, and when, is decided in assets/; nothing here is released by time.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, RowMapping, and_, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from resources.ledger import rows
from resources.ledger.audit import Audit, Values
from resources.ledger.records import Charge, QuotaRow
from resources.ledger.schema import quota, reservation
from spec.errors import LedgerError

POOL = ("pool", "period", "unit")


def _is(row: Values) -> ColumnElement[bool]:
    return and_(*(quota.c[name] == row[name] for name in POOL))


def _find(conn: Connection, key: str) -> RowMapping | None:
    return conn.execute(select(reservation).where(reservation.c.key == key)).mappings().one_or_none()


def _locked(conn: Connection, key: str) -> RowMapping | None:
    """The reservation, with its pool locked: whoever moves units locks the pool first."""
    row = _find(conn, key)
    if row is None:
        return None
    conn.execute(select(quota).where(_is(row)).with_for_update(key_share=True))
    return _find(conn, key)


def _move(conn: Connection, row: RowMapping, state: str, committed: int) -> None:
    """End a live reservation: its amount leaves `reserved`, `committed` units are spent."""
    figures = {"reserved": quota.c.reserved - row["amount"], "committed": quota.c.committed + committed}
    conn.execute(update(quota).where(_is(row)).values(**figures))
    ended = {"state": state, "amount": committed if state == "committed" else row["amount"]}
    conn.execute(update(reservation).where(reservation.c.key == row["key"]).values(**ended))


class Quotas(Audit):
    """Pools by period and unit. A reservation is known by its key: asking twice takes once."""

    def reserve(
        self,
        pool: str,
        period: str,
        unit: str,
        limit: int,
        amount: int,
        key: str,
        *,
        window_id: int | None,
        charge: Charge,
    ) -> bool:
        """Take `amount` of `unit` if the pool has that much left in that period; False when it has not.

        A key that is reserved or committed already is True and takes nothing; a released key may reserve anew.
        `limit` is what the vendor says now: it replaces the one that was kept.
        """
        if amount < 0:
            raise LedgerError(f"quota {pool}/{period}: cannot reserve {amount!r} {unit}; allowed are 0 and more")
        asked: dict[str, object] = {"pool": pool, "period": period, "unit": unit}
        wanted = {"key": key, **asked, "amount": amount, "state": "reserved", "charge": charge, "window_id": window_id}
        with self.write() as conn:
            rows.insert_missing(conn, quota, **asked, limit=limit)
            conn.execute(update(quota).where(_is(asked)).values(limit=limit))
            return self._reserve(conn, wanted)

    def _reserve(self, conn: Connection, wanted: dict[str, object]) -> bool:
        found = _find(conn, str(wanted["key"]))
        if found is not None and found["state"] != "released":
            return True
        used = quota.c.reserved + quota.c.committed + wanted["amount"]
        more = update(quota).where(_is(wanted), used <= quota.c.limit)
        if conn.execute(more.values(reserved=quota.c.reserved + wanted["amount"])).rowcount == 0:
            return False
        if found is None:
            conn.execute(insert(reservation).values(wanted))
        else:
            conn.execute(update(reservation).where(reservation.c.key == wanted["key"]).values(wanted))
        self._noted(conn, "reserved", wanted, wanted["amount"])
        return True

    def commit(self, key: str, actual: int) -> None:
        """Settle a reservation to what was really used; the second time changes nothing.

        Raises LedgerError for a key that is unknown or was released.
        """
        with self.write() as conn:
            row = _locked(conn, key)
            if row is None or row["state"] == "released":
                found = "nothing" if row is None else "a released reservation"
                raise LedgerError(f"quota: {found} under key {key!r}; reserve before you commit")
            self._commit(conn, row, actual)

    def _commit(self, conn: Connection, row: RowMapping, actual: int) -> None:
        if row["state"] == "reserved":
            _move(conn, row, "committed", actual)
            self._noted(conn, "committed", row, actual)

    def _release_reservation(self, key: str) -> None:
        with self.write() as conn:
            row = _locked(conn, key)
            if row is not None and row["state"] == "committed":
                raise LedgerError(f"quota: {key!r} is committed ({row['amount']} {row['unit']}); not given back")
            if row is not None and row["state"] == "reserved":
                self._give_back(conn, row)

    def _give_back(self, conn: Connection, row: RowMapping) -> None:
        _move(conn, row, "released", 0)
        self._noted(conn, "given_back", row, row["amount"])

    def settle(self, conn: Connection, window_id: int, actual: Mapping[str, int], *, spent: bool = True) -> None:
        """End what a window reserved for its deliveries: committed (to `actual` by key) or, unspent, given back."""
        mine = and_(
            reservation.c.window_id == window_id, reservation.c.charge == "delivery", reservation.c.state == "reserved"
        )
        # One order for everybody, so that two windows that share two pools cannot wait for each other.
        order = (reservation.c.pool, reservation.c.period, reservation.c.unit, reservation.c.key)
        for key in conn.execute(select(reservation.c.key).where(mine).order_by(*order)).scalars().all():
            row = _locked(conn, key)
            if row is not None and row["state"] == "reserved":
                if spent:
                    self._commit(conn, row, actual.get(key, row["amount"]))
                else:
                    self._give_back(conn, row)

    def _noted(self, conn: Connection, what: str, row: Values, amount: object) -> None:
        self.note(conn, what, {}, detail=f"{row['key']}: {amount} {row['unit']} of {row['pool']}, {row['period']}")

    def quota(self, pool: str | None = None) -> list[QuotaRow]:
        """Every pool and period that anything was ever asked of, or those of one pool."""
        query = select(*(quota.c[name] for name in QuotaRow.__dataclass_fields__))
        query = query if pool is None else query.where(quota.c.pool == pool)
        with self.read() as conn:
            return [QuotaRow(*row) for row in conn.execute(query.order_by(*(quota.c[name] for name in POOL)))]
