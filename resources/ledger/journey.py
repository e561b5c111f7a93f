"""The durable steps of one attempt: sealed, uploaded, published, closed, or how it failed. Each is one transaction.

Every write here says WHERE fence = mine. Steps that a person takes belong in decisions.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, RowMapping, and_, insert, select, update

from resources.failpoint import reach
from resources.ledger import carrying, changing, rows
from resources.ledger.mirror import Mirror, Mirrored
from resources.ledger.quotas import Quotas
from resources.ledger.records import Artifact, Base, Carried, Ending, Lease, Tokens
from resources.ledger.schema import artifact, delivery, export, window
from spec.errors import LedgerError

FROM = {
    "uploaded": ("sealed", "uploaded"),
    "published": ("uploaded", "published"),
    "done": ("published", "done"),
    "restaged": ("sealed", "uploaded", "published"),
}
"""What a delivery must have reached for each step; the step itself is among them, for it may be repeated."""

WORST = ("unknown", "failed", "held")


class Journey(Quotas):
    """What the holder of a lease records. All raise LeaseLost, and LedgerError for a step out of order."""

    id: str
    mirror: Mirror

    def seal(
        self,
        lease: Lease,
        *,
        horizon: dict[str, object],
        fingerprint: str,
        server: str,
        rows: int,
        artifacts: Sequence[Artifact],
        seen: dict[str, object] | None = None,
        takes_nulls: bool = False,
        carried: Sequence[Carried] = (),
        basis: Mapping[str, int] | None = None,
        base: Base | None = None,
    ) -> None:
        """Record the sealed bytes of every delivery: from here on nothing is read from the source any more.

        `takes_nulls` says that the rows without a cursor are among them: no other window of the export may have them.
        `carried`: the late rows of other windows among them; `basis`: the version, by partition, of the ownership that
        they and the window's own rows were told apart by; `base`: what all rows were, in `mode: changes`.
        Raises LedgerError when the window is sealed already, when another one has the rows without a cursor, when a
        version has moved, and when other changes were delivered since.
        """
        facts = {"horizon": horizon, "fingerprint": fingerprint, "server": server, "rows": rows, "seen": seen}
        facts |= {"base": base.facts if base else None}
        reach("ledger.seal.before")
        with self.write() as conn:
            if takes_nulls:
                _take_nulls(conn, lease)
            carrying.refuse_moved(conn, lease, basis or {})
            if base is not None:
                changing.refuse_disorder(conn, lease, base.since, fresh=base.fresh)
            sequence = self._seal(conn, lease, facts, artifacts, carried)
        self._mirrored(sequence)
        reach("ledger.seal.after")

    def _seal(
        self, conn: Connection, lease: Lease, facts: dict[str, object], artifacts: Sequence[Artifact],
        carried: Sequence[Carried],
    ) -> int:  # fmt: skip
        row = rows.fenced(conn, lease)
        if row["reached"] != "planned":
            raise LedgerError(f"{rows.place(row)} is {row['reached']!r}: sealed bytes are never replaced; deliver them")
        _keep(conn, row, artifacts)
        carrying.keep(conn, row, carried)
        reached = {"reached": "sealed", "state": "sealed", "detail": ""}
        now = self.instant(conn)
        conn.execute(update(delivery).where(delivery.c.window_id == row["id"]).values(**reached, updated_at=now))
        self.note(conn, "sealed", row, who=lease.owner, detail=f"{facts['rows']} rows, {len(artifacts)} artifacts")
        sequence = rows.bump(conn)
        total = sum(one.bytes for one in artifacts if one.kind == "part")
        rows.set_window(conn, row, **reached, **facts, bytes=total, sealed=sequence)
        return sequence

    def uploaded(self, lease: Lease, delivery: str, tokens: Tokens) -> None:
        """Record that every artifact lies at the destination where nobody looks; `tokens` say where."""
        reach("ledger.uploaded.before")
        with self.write() as conn:
            found = self._step(conn, lease, delivery, "uploaded", f"{len(tokens)} staged")
            _keep_tokens(conn, found, tokens)
        reach("ledger.uploaded.after")

    def publishing(self, lease: Lease, delivery: str, kind: str, number: int, *, begun: bool = True) -> None:
        """Record that one artifact is about to get its final name: if it is gone afterwards, it was there before; or,
        with `begun` False, that it certainly did not get it.
        """
        reach("ledger.publishing.before")
        with self.write() as conn:
            found = rows.delivery_of(conn, rows.fenced(conn, lease), delivery)
            one = and_(artifact.c.delivery_id == found["id"], artifact.c.kind == kind, artifact.c.number == number)
            conn.execute(update(artifact).where(one).values(attempted=begun))
        reach("ledger.publishing.after")

    def published(self, lease: Lease, delivery: str) -> None:
        """Record that the destination shows every artifact under its final name."""
        reach("ledger.published.before")
        with self.write() as conn:
            found = self._step(conn, lease, delivery, "published")
            if found["reached"] != "published":
                rows.set_delivery(conn, found, published=rows.bump(conn))
        reach("ledger.published.after")

    def restage(self, lease: Lease, delivery: str, reason: str) -> None:
        """Put a delivery back to sealed, because what was staged or published is not at the destination any more."""
        with self.write() as conn:
            found = self._step(conn, lease, delivery, "restaged", reason)
            rows.clear_tokens(conn, found)
            rows.set_delivery(conn, found, reached="sealed", state="sealed", attempt=found["attempt"] + 1)

    def staged_again(self, lease: Lease, delivery: str, kind: str, number: int, token: str) -> None:
        """Record where one artifact lies now whose staged bytes were gone; what became of the others stays as it is."""
        with self.write() as conn:
            row = rows.fenced(conn, lease)
            found = rows.delivery_of(conn, row, delivery)
            _keep_tokens(conn, found, {(kind, number): token})
            one = and_(artifact.c.delivery_id == found["id"], artifact.c.kind == kind, artifact.c.number == number)
            conn.execute(update(artifact).where(one).values(attempted=False))
            self.note(conn, "restaged", row, delivery=delivery, who=lease.owner, detail=f"{kind} {number} was gone")

    def close_delivery(
        self,
        lease: Lease,
        delivery: str,
        receipt: dict[str, object],
        actual: Mapping[str, int] | None = None,
    ) -> None:
        """End a delivery with its receipt and, when it was the last open one, the window and its quota with it.

        `actual`: units really used, by reservation key; a reservation that it does not name is spent as reserved.
        """
        reach("ledger.close.before")
        with self.write() as conn:
            sequence = self._close(conn, lease, delivery, receipt, actual or {})
        self._mirrored(sequence)
        reach("ledger.close.after")

    def _close(
        self, conn: Connection, lease: Lease, name: str, receipt: dict[str, object], actual: Mapping[str, int]
    ) -> int:
        found = self._step(conn, lease, name, "done")
        if found["reached"] != "done":
            rows.set_delivery(conn, found, receipt=receipt)
            still = and_(delivery.c.window_id == lease.window_id, delivery.c.reached != "done")
            if conn.execute(select(delivery.c.id).where(still)).first() is None:
                self.settle(conn, lease.window_id, actual)
                ended = {"reached": "done", "state": "done", "detail": "", "finished_at": self.instant(conn)}
                conn.execute(update(window).where(window.c.id == lease.window_id).values(**ended))
        return rows.bump(conn)

    def fail(self, lease: Lease, error_state: Ending, detail: str, delivery: str | None = None) -> None:
        """Record how the attempt ended; what was reached stays. `planned` says that there was nothing to do yet.

        With a `delivery` it is that delivery's end, and the window shows the worst of its deliveries.
        """
        with self.write() as conn:
            row = rows.fenced(conn, lease)
            state = row["reached"] if error_state == "planned" else error_state
            if delivery is not None:
                state = self._fail_delivery(conn, row, delivery, error_state, detail)
            rows.set_window(conn, row, state=state, detail=detail)
            self.note(conn, error_state, row, delivery=delivery, who=lease.owner, detail=detail)

    def _fail_delivery(self, conn: Connection, row: RowMapping, name: str, ending: Ending, detail: str) -> str:
        found = rows.delivery_of(conn, row, name)
        state = found["reached"] if ending == "planned" else ending
        rows.set_delivery(conn, found, state=state, detail=detail, updated_at=self.instant(conn))
        return worst(conn, row, str(row["reached"]))

    def _step(self, conn: Connection, lease: Lease, name: str, to: str, detail: str = "") -> RowMapping:
        """Move one delivery on, or raise; returns its row as it was before."""
        row = rows.fenced(conn, lease)
        found = rows.delivery_of(conn, row, name)
        if found["reached"] not in FROM[to]:
            allowed = " or ".join(map(repr, FROM[to]))
            raise LedgerError(
                f"{rows.place(row)}, delivery {name!r} is {found['reached']!r}: it can be {to} only from {allowed}; "
                "read the window again and go on from what it has reached"
            )
        if found["reached"] != to or found["state"] != to:
            values = {"reached": to, "state": to, "detail": "", "updated_at": self.instant(conn)}
            rows.set_delivery(conn, found, **values)
            self.note(conn, to, row, delivery=name, who=lease.owner, detail=detail)
        return found

    def _mirrored(self, sequence: int) -> None:
        reach("ledger.mirror")
        self.mirror.advance(Mirrored(self.id, sequence))


def _take_nulls(conn: Connection, lease: Lease) -> None:
    holder = rows.lock_export(conn, lease.export)["nulls_in"]
    if holder not in {None, lease.partition}:
        problem = LedgerError(
            f"{rows.place(lease)}: window {holder!r} took the rows without a cursor meanwhile; "
            "nothing was kept: run it again, and it is read without them"
        )
        problem.retriable = True
        raise problem
    conn.execute(update(export).where(export.c.name == lease.export).values(nulls_in=lease.partition))


def worst(conn: Connection, row: RowMapping, reached: str) -> str:
    """What a window shows: the worst of its deliveries' endings, or `reached` when none of them ended badly."""
    states = set(conn.execute(select(delivery.c.state).where(delivery.c.window_id == row["id"])).scalars())
    return next((state for state in WORST if state in states), reached)


def _keep(conn: Connection, row: RowMapping, artifacts: Sequence[Artifact]) -> None:
    ids = {one.delivery: rows.delivery_of(conn, row, one.delivery)["id"] for one in artifacts}
    kept = [
        {**{name: value for name, value in vars(one).items() if name != "delivery"}, "delivery_id": ids[one.delivery]}
        for one in artifacts
    ]
    if kept:
        conn.execute(insert(artifact), kept)


def _keep_tokens(conn: Connection, found: RowMapping, tokens: Tokens) -> None:
    for (kind, number), token in tokens.items():
        one = and_(artifact.c.delivery_id == found["id"], artifact.c.kind == kind, artifact.c.number == number)
        if conn.execute(update(artifact).where(one).values(token=token)).rowcount == 0:
            raise LedgerError(f"delivery {found['name']!r} has no sealed {kind} number {number!r}")
