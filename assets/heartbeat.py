"""The heartbeat keeps a lease alive while its window is worked on. It never decides: the fence in the ledger does."""

from __future__ import annotations

import threading
from datetime import timedelta
from types import TracebackType
from typing import Self

from resources.ledger import Lease, Ledger
from spec.errors import LeaseLost


class Heartbeat:
    """Renews a lease three times in its life, in a thread; stops by itself when the lease is lost."""

    def __init__(self, ledger: Ledger, lease: Lease, ttl: timedelta) -> None:
        self._ledger, self._ttl = ledger, ttl
        self.lease = lease

    def follow(self, lease: Lease) -> Lease:
        """Keep another lease alive from now on: that of the generation which has taken the old one's place."""
        self._stop()
        self.lease = lease
        self.__enter__()
        return lease

    def __enter__(self) -> Self:
        self._over = threading.Event()
        name = f"lease {self.lease.export}/{self.lease.partition}"
        self._thread = threading.Thread(target=self._beat, args=(self.lease, self._over), name=name, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _beat(self, lease: Lease, over: threading.Event) -> None:
        while not over.wait(self._ttl.total_seconds() / 3):
            try:
                self._ledger.renew(lease, self._ttl)
            except LeaseLost:
                return  # the next write of the worker says so, with its place
            except Exception:  # noqa: BLE001, S112  (a busy ledger: the next beat tries again, and the fence still decides)
                continue
