"""The day that it is for the product: modes that read all rows deliver the newest window only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from resources.ledger import Ledger


@contextmanager
def after(key: str) -> Iterator[None]:
    """Noon of the day after a daily window, by the ledger's clock; leases go by the real one."""
    noon = datetime.fromisoformat(key).replace(hour=12, tzinfo=UTC) + timedelta(days=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "now", lambda _: noon)
        yield
