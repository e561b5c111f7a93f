"""Windows to test with, and short ways to bring one to each step. No assertions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from resources.ledger import Artifact, Lease, Ledger, WindowSpec

DAY = datetime(2024, 1, 1, tzinfo=UTC)
LONG = timedelta(hours=1)
OVER = timedelta(0)
"""A lease that has ended as soon as it is given."""

NAMES = ("partner", "warehouse")


def spec(partition: str = "2024-01-01", export: str = "events", names: tuple[str, ...] = NAMES) -> WindowSpec:
    """A day with a delivery to each name, over a connector of the same name."""
    deliveries = tuple((name, f"{name}_connector") for name in names)
    return WindowSpec(export, partition, DAY, DAY + timedelta(days=1), {"table": "events"}, deliveries)


def part(delivery: str, number: int = 0, name: str = "", sha256: str = "aa") -> Artifact:
    """One sealed part of 10 rows and 100 bytes."""
    return Artifact(delivery, "part", number, f"spool/{delivery}-{number}", name or f"{number}.csv", 10, 100, sha256)


def leased(ledger: Ledger, partition: str = "2024-01-01", names: tuple[str, ...] = NAMES) -> Lease:
    """A fresh window, leased for an hour."""
    lease = ledger.acquire(spec(partition, names=names), "worker", LONG).lease
    assert lease is not None
    return lease


def seal(
    ledger: Ledger, lease: Lease, *artifacts: Artifact, fingerprint: str = "f1", takes_nulls: bool = False
) -> None:
    """Seal a leased window, by default with one part a delivery."""
    found = ledger.window(lease.export, lease.partition)
    assert found is not None
    sealed = artifacts or tuple(part(one.name) for one in found.deliveries)
    ledger.seal(
        lease, horizon={"kind": "gate"}, fingerprint=fingerprint, server="s1", rows=10, artifacts=sealed,
        takes_nulls=takes_nulls,
    )  # fmt: skip


def publish(ledger: Ledger, lease: Lease, name: str) -> None:
    """Bring one sealed delivery to published."""
    ledger.uploaded(lease, name, {("part", 0): f"token-{lease.fence}"})
    ledger.published(lease, name)


def finish(ledger: Ledger, lease: Lease, names: tuple[str, ...] = NAMES) -> None:
    """Bring every sealed delivery to its receipt, and give the lease back."""
    for name in names:
        publish(ledger, lease, name)
        ledger.close(lease, name, {"rows": 10})
    ledger.release(lease)


def done(ledger: Ledger, partition: str = "2024-01-01", *artifacts: Artifact, again: str | None = None) -> Lease:
    """Bring one window, or one more generation of it, all the way."""
    lease = ledger.acquire(spec(partition), "worker", LONG, again=again).lease
    assert lease is not None
    seal(ledger, lease, *artifacts)
    finish(ledger, lease)
    return lease
