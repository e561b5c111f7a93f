"""The durable steps of an attempt: what each records, what it refuses, and that repeating it is harmless."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from resources.ledger import Lease, Ledger, Window
from spec.errors import LedgerError
from tests.resources.ledger.windows import LONG, finish, leased, part, publish, seal, spec


def current(ledger: Ledger) -> Window:
    """The window that these tests are about."""
    found = ledger.window("events", "2024-01-01")
    assert found is not None
    return found


def test_seal_records_what_will_be_delivered(ledger: Ledger) -> None:
    """From here on the ledger knows every file, the horizon and what the source looked like."""
    sealed = (part("partner", 0), part("partner", 1), part("warehouse"))
    seal(ledger, leased(ledger), *sealed)
    window = current(ledger)
    assert (window.reached, window.state, window.rows, window.bytes) == ("sealed", "sealed", 10, 300)
    assert (window.horizon, window.fingerprint, window.server) == ({"kind": "gate"}, "f1", "s1")
    assert tuple(one for delivery in window.deliveries for one in delivery.artifacts) == sealed
    assert {one.reached for one in window.deliveries} == {"sealed"}


def test_sealed_bytes_are_never_replaced(ledger: Ledger) -> None:
    """A second seal is refused and leaves the first as it was."""
    lease = leased(ledger)
    seal(ledger, lease)
    before = current(ledger)
    with pytest.raises(LedgerError, match="never replaced"):
        seal(ledger, lease, part("partner", 7))
    assert current(ledger) == before


def test_a_seal_for_a_delivery_that_is_not_declared_is_refused(ledger: Ledger) -> None:
    """Nothing of such a seal is kept, and the message lists what there is."""
    lease = leased(ledger)
    with pytest.raises(LedgerError, match="no delivery 'nobody'; it has 'partner', 'warehouse'"):
        seal(ledger, lease, part("partner"), part("nobody"))
    assert current(ledger).reached == "planned"


def test_a_window_is_done_with_its_last_delivery(ledger: Ledger) -> None:
    """Each delivery ends with its own receipt; the window ends with the last of them and not before."""
    lease = leased(ledger)
    seal(ledger, lease)
    publish(ledger, lease, "partner")
    ledger.close(lease, "partner", {"rows": 10})
    window = current(ledger)
    assert (window.reached, window.finished_at) == ("sealed", None)
    assert [(one.reached, one.receipt) for one in window.deliveries] == [("done", {"rows": 10}), ("sealed", None)]
    publish(ledger, lease, "warehouse")
    ledger.close(lease, "warehouse", {})
    window = current(ledger)
    assert (window.reached, window.state) == ("done", "done")
    assert window.finished_at is not None
    assert window.finished_at.utcoffset() is not None


def test_tokens_are_kept_for_whoever_goes_on(ledger: Ledger) -> None:
    """A successor finds where the bytes were staged, and may replace the tokens by its own."""
    lease = leased(ledger)
    seal(ledger, lease)
    ledger.uploaded(lease, "partner", {("part", 0): "old"})
    ledger.uploaded(lease, "partner", {("part", 0): "new"})
    assert [one.token for one in current(ledger).deliveries[0].artifacts] == ["new"]
    assert current(ledger).deliveries[1].artifacts[0].token is None


def test_a_token_for_a_part_that_was_not_sealed_is_refused(ledger: Ledger) -> None:
    """Only sealed bytes can be uploaded; the step is undone as a whole."""
    lease = leased(ledger)
    seal(ledger, lease)
    with pytest.raises(LedgerError, match="no sealed part number 9"):
        ledger.uploaded(lease, "partner", {("part", 9): "t"})
    assert current(ledger).deliveries[0].reached == "sealed"


STEPS: dict[str, Callable[[Ledger, Lease], None]] = {
    "uploaded": lambda ledger, lease: ledger.uploaded(lease, "partner", {("part", 0): "t"}),
    "published": lambda ledger, lease: ledger.published(lease, "partner"),
    "done": lambda ledger, lease: ledger.close(lease, "partner", {"rows": 10}),
}


@pytest.mark.parametrize("upto", STEPS)
def test_repeating_a_step_is_harmless(ledger: Ledger, upto: str) -> None:
    """A worker whose answer was lost may say the same once more: no change and no second event."""
    lease = leased(ledger)
    seal(ledger, lease)
    names = list(STEPS)
    for name in names[: names.index(upto) + 1]:
        STEPS[name](ledger, lease)
    before = (current(ledger), ledger.events())
    STEPS[upto](ledger, lease)
    assert (current(ledger), ledger.events()) == before


@pytest.mark.parametrize(
    ("done", "step"),
    [
        ((), "uploaded"),
        ((), "published"),
        ((), "done"),
        (("seal",), "published"),
        (("seal",), "done"),
        (("seal", "uploaded"), "done"),
        (("seal", "uploaded", "published", "done"), "uploaded"),
        (("seal", "uploaded", "published"), "uploaded"),
        (("seal", "uploaded", "published", "done"), "published"),
    ],
)
def test_steps_out_of_order_are_refused(ledger: Ledger, done: tuple[str, ...], step: str) -> None:
    """Nothing is published that was not recorded as uploaded, and nothing done that was not published."""
    lease = leased(ledger)
    for name in done:
        if name == "seal":
            seal(ledger, lease)
        else:
            STEPS[name](ledger, lease)
    before = current(ledger)
    with pytest.raises(LedgerError, match=r"can be .* only from"):
        STEPS[step](ledger, lease)
    assert current(ledger) == before


def test_restage_goes_back_to_sealed(ledger: Ledger) -> None:
    """What is not at the destination any more is uploaded anew: tokens are forgotten, the attempt is counted."""
    lease = leased(ledger)
    seal(ledger, lease)
    ledger.uploaded(lease, "partner", {("part", 0): "t"})
    ledger.restage(lease, "partner", "collected by nobody")
    delivery = current(ledger).deliveries[0]
    assert (delivery.reached, delivery.state, delivery.attempt) == ("sealed", "sealed", 2)
    assert delivery.artifacts[0].token is None
    finish(ledger, lease)
    assert current(ledger).state == "done"


def test_a_closed_delivery_is_not_restaged(ledger: Ledger) -> None:
    """What was delivered is reopened by a person, never by a worker."""
    lease = leased(ledger)
    seal(ledger, lease)
    publish(ledger, lease, "partner")
    ledger.close(lease, "partner", {})
    with pytest.raises(LedgerError, match="only from"):
        ledger.restage(lease, "partner", "why")


@pytest.mark.parametrize("ending", ["failed", "held", "unknown"])
def test_a_failed_attempt_keeps_what_was_reached(ledger: Ledger, ending: str) -> None:
    """State and detail say how it ended; work goes on from `reached`."""
    lease = leased(ledger)
    ledger.fail(lease, ending, "the reason")  # type: ignore[arg-type]
    window = current(ledger)
    assert (window.reached, window.state, window.detail) == ("planned", ending, "the reason")


def test_not_yet_is_no_failure(ledger: Ledger) -> None:
    """A window that the source is not ready for shows what it has reached, with the reason."""
    lease = leased(ledger)
    ledger.fail(lease, "planned", "a transaction is open")
    assert (current(ledger).state, current(ledger).detail) == ("planned", "a transaction is open")


def test_a_window_shows_its_worst_delivery(ledger: Ledger) -> None:
    """An unknown outweighs a failure, and a failure outweighs a hold, in whichever order they come."""
    lease = leased(ledger)
    seal(ledger, lease)
    shown = []
    for name, ending in (("partner", "held"), ("warehouse", "failed"), ("partner", "unknown"), ("warehouse", "held")):
        ledger.fail(lease, ending, "why", name)  # type: ignore[arg-type]
        shown.append(current(ledger).state)
    assert shown == ["held", "failed", "unknown", "unknown"]


def test_one_failed_delivery_does_not_hold_the_other(ledger: Ledger) -> None:
    """Its neighbour ends in the same attempt, and the next attempt has only the failed one left."""
    lease = leased(ledger)
    seal(ledger, lease)
    ledger.fail(lease, "failed", "why", "partner")
    publish(ledger, lease, "warehouse")
    ledger.close(lease, "warehouse", {})
    assert current(ledger).state == "failed"
    window = ledger.acquire(spec(), "worker", LONG).window
    assert [one.reached for one in window.deliveries] == ["sealed", "done"]


def test_closing_settles_the_quota_of_the_deliveries(ledger: Ledger) -> None:
    """The last close commits them, to what was really used where it is told, and leaves those charged at read alone."""
    lease = leased(ledger)
    keys = {"a": "delivery", "b": "delivery", "c": "read"}
    for key, charge in keys.items():
        ledger.reserve("api", "2024-01", "rows", 100, 20, key, window_id=lease.window_id, charge=charge)  # type: ignore[arg-type]
    seal(ledger, lease)
    publish(ledger, lease, "partner")
    ledger.close(lease, "partner", {})
    assert ledger.quota()[0].reserved == 60
    publish(ledger, lease, "warehouse")
    ledger.close(lease, "warehouse", {}, {"a": 15})
    assert (ledger.quota()[0].reserved, ledger.quota()[0].committed) == (20, 35)
