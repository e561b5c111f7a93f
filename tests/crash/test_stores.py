"""A worker is killed while its files are on their way to a store elsewhere, whichever it is: between upload and done."""

from __future__ import annotations

from typing import Any

import pytest

from tests.crash.playing import play
from tests.resources.stores.shelves import SHELVES

PAIRS = 4
REMOTE = [name for name in SHELVES if name != "local"]


@pytest.mark.parametrize("store", REMOTE)
def test_no_kill_on_the_way_to_a_store_does_harm(store: str) -> None:
    """Every point is struck once; each row is there once, nothing is left behind, and manifests and ledger agree."""
    counts: dict[str, Any] = play("campaign", "--store", store, "--pairs", str(PAIRS))
    own = [name for name in counts["names"] if name.startswith(f"{store}.")]
    assert len(own) >= 5, counts["names"]
    assert (counts["lost"], counts["doubled"], counts["problems"]) == (0, 0, [])
    assert (counts["unreached"], counts["kills"]) == ([], counts["points"] + 2 * PAIRS)
