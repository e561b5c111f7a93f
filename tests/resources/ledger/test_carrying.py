"""Which window has the late rows of another: recorded by the seal, and only while nobody else took them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from resources.ledger import Carried, Lease, Ledger
from spec.errors import LedgerError
from tests.resources.ledger.windows import LONG, done, finish, leased, part, spec

ONE, TWO, THREE = "2024-01-01", "2024-01-02", "2024-01-03"


def carries(
    ledger: Ledger, lease: Lease, carried: Sequence[Carried] = (), basis: Mapping[str, int] | None = None
) -> None:
    """Seal a leased window that carries rows."""
    parts = (part("partner"), part("warehouse"))
    ledger.seal(
        lease, horizon={}, fingerprint="f", server="s", rows=10, artifacts=parts, carried=carried, basis=basis
    )  # fmt: skip


def rows(into: str, count: int = 3) -> Carried:
    """Some rows of the first window."""
    return Carried(ONE, into, count, bytes(range(256)))


def test_what_a_seal_has_carried(ledger: Ledger) -> None:
    """It is found from both windows, byte for byte, for every generation; no other window or export has it."""
    done(ledger, ONE)
    first = leased(ledger, TWO)
    carries(ledger, first, [rows(TWO)], {ONE: ledger.ownership("events", ONE).version})
    second = ledger.supersede(first, "lost", "worker", LONG, spec(TWO))
    assert ledger.ownership("events", ONE).carried == (rows(TWO),)
    carries(ledger, second, [rows(TWO, 4)])
    for key in (ONE, TWO):
        assert ledger.ownership("events", key).carried == (rows(TWO), rows(TWO, 4))
    assert ledger.ownership("events", THREE).carried == ledger.ownership("other", ONE).carried == ()


def test_a_version_moves_with_every_seal_that_says_whose_rows_are_whose(ledger: Ledger) -> None:
    """The window's own, and that of one that carries out of it; a window that takes nothing moves nothing."""
    assert ledger.ownership("events", ONE).version == 0
    done(ledger, ONE)
    first = ledger.ownership("events", ONE).version
    done(ledger, THREE)
    assert 0 < first == ledger.ownership("events", ONE).version
    carries(ledger, leased(ledger, TWO), [rows(TWO)], {ONE: first})
    second = ledger.ownership("events", ONE).version
    done(ledger, ONE, again="more")
    assert first < second < ledger.ownership("events", ONE).version


def test_the_second_of_two_carriers_is_refused(ledger: Ledger) -> None:
    """Nothing of its seal is kept, and it may be tried again as of the version that it finds then."""
    done(ledger, ONE)
    two, three = leased(ledger, TWO), leased(ledger, THREE)
    basis = {ONE: ledger.ownership("events", ONE).version}
    carries(ledger, two, [rows(TWO)], basis)
    with pytest.raises(LedgerError, match=f"another run delivered rows of '{ONE}' meanwhile") as refused:
        carries(ledger, three, [rows(THREE)], basis)
    assert refused.value.retriable
    found = ledger.window("events", THREE)
    assert (found and found.reached, ledger.ownership("events", ONE).carried) == ("planned", (rows(TWO),))
    carries(ledger, three, (), {ONE: ledger.ownership("events", ONE).version})


def test_a_window_run_again_is_refused_when_its_rows_were_carried_meanwhile(ledger: Ledger) -> None:
    """And its later generation cannot take them without knowing."""
    done(ledger, ONE)
    basis = {ONE: ledger.ownership("events", ONE).version}
    again = ledger.acquire(spec(ONE), "worker", LONG, again="more").lease
    assert again is not None
    two = leased(ledger, TWO)
    carries(ledger, two, [rows(TWO)], basis)
    with pytest.raises(LedgerError, match="it looks again"):
        carries(ledger, again, (), basis)
    carries(ledger, again, (), {ONE: ledger.ownership("events", ONE).version})
    finish(ledger, again)
