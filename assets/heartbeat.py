"""The heartbeat keeps a lease alive while its window is worked on. It never decides: the fence in the ledger does."""

from __future__ import annotations

import threading
from datetime import timedelta
from types import TracebackType

from resources.ledger import Lease, Ledger
from spec.errors import LeaseLost


class Heartbeat:
    """Renews a lease three times in its life, in a thread; stops by itself when the lease is lost."""

    def __init__(self, ledger: Ledger, lease: Lease, ttl: timedelta) -> None:
        self._ledger, self._lease, self._ttl = ledger, lease, ttl
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease {lease.export}/{lease.partition}", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._over.wait(self._ttl.total_seconds() / 3):
            try:
                self._ledger.renew(self._lease, self._ttl)
            except LeaseLost:
                return  # the next write of the worker says so, with its place
            except Exception:  # noqa: BLE001, S112  (a busy ledger: the next beat tries again, and the fence still decides)
                continue
