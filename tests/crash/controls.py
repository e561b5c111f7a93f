"""Wrong orders, patched in by the harness and by nothing else: each of them must be caught, or the harness sees
nothing.

They are what one writes without the house's order of writes: the cursor saved first, names made up anew in each
attempt, and files sent before the ledger knows them.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from assets import journey, seal
from assets.load import Loading, ordered
from resources.failpoint import reach
from resources.ledger import Delivery, Ledger
from resources.stores.base import Store


def cursor_first() -> None:
    """The window is recorded as done, and then it is sent."""

    def load(self: Loading) -> None:
        delivery = self.record()
        _record(self, delivery)
        for one in ordered(delivery.artifacts):
            _send(self.store, self.spool.sealed(one), one.name)

    Loading.run = load  # type: ignore[method-assign]


def random_names() -> None:
    """Every attempt sends its files under names of its own."""

    def load(self: Loading) -> None:
        delivery, attempt = self.record(), uuid.uuid4().hex[:6]
        for one in ordered(delivery.artifacts):
            folder, _, name = one.name.rpartition("/")
            stem, dot, rest = name.partition(".")
            _send(self.store, self.spool.sealed(one), f"{folder}/{stem}-{attempt}{dot}{rest}")
        _record(self, delivery)

    Loading.run = load  # type: ignore[method-assign]


def no_seal() -> None:
    """Files are sent as soon as they are written, and recorded afterwards; what is there already is taken as sent."""

    def send_then_seal(*args: Any, **more: Any) -> None:
        plan, _, _, _, _, lease, ledger, spool, store_of, *_ = args
        sealing = ledger.seal

        def late(lease_: object, **facts: Any) -> None:
            for one in facts["artifacts"]:
                store = store_of(next(each.to for each in plan.export.deliver if each.label == one.delivery))
                if store.stat(one.name) is None or lease.generation > 1:
                    _send(store, spool.root / one.path, one.name)
            sealing(lease_, **facts)

        ledger.seal = late
        try:
            seal.seal(*args, **more)
        finally:
            del ledger.seal

    def load(self: Loading) -> None:
        _record(self, self.record())

    journey.seal = send_then_seal  # type: ignore[attr-defined]
    Loading.run = load  # type: ignore[method-assign]


def _record(loading: Loading, delivery: Delivery) -> None:
    ledger: Ledger = loading.ledger
    steps = {
        "sealed": lambda: ledger.uploaded(loading.lease, delivery.name, {}),
        "uploaded": lambda: ledger.published(loading.lease, delivery.name),
        "published": lambda: ledger.close(loading.lease, delivery.name, loading._receipt(delivery)),
    }
    while step := steps.get(loading.record().reached):
        step()


def _send(store: Store, source: Path, name: str) -> None:
    """Stage and publish, over whatever is there."""
    token = store.stage(source, name, "g1-f0")
    reach("control.staged")
    there = store.stat(name)
    store.publish(token, name, there.sha256 if there else None, source)
    reach("control.sent")


CONTROLS: dict[str, Callable[[], None]] = {
    "cursor first": cursor_first,
    "random names": random_names,
    "no seal": no_seal,
}
"""By name."""
