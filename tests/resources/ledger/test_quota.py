"""Quota: what is reserved, settled and given back, against a model, and the harm that a naive check does."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import update

from resources.ledger import Ledger, QuotaRow, schema
from spec.errors import LedgerError
from tests.resources.ledger.windows import leased

LIMIT = 100


def take(ledger: Ledger, amount: int, key: str, *, limit: int = LIMIT, period: str = "2024-01") -> bool:
    """Reserve that many rows of one pool."""
    return ledger.reserve("api", period, "rows", limit, amount, key, window_id=None, charge="read")


def figures(ledger: Ledger) -> tuple[int, int]:
    """Reserved and committed of that pool."""
    (row,) = ledger.quota()
    return row.reserved, row.committed


def test_a_reservation_is_settled_to_what_was_used(ledger: Ledger) -> None:
    """An estimate of 40 that turns out to be 30 leaves 70."""
    assert take(ledger, 40, "a")
    assert ledger.quota("api") == [QuotaRow("api", "2024-01", "rows", LIMIT, 40, 0)]
    ledger.commit("a", 30)
    assert figures(ledger) == (0, 30)
    assert not take(ledger, 71, "b")
    assert take(ledger, 70, "b")


def test_what_is_not_used_is_given_back(ledger: Ledger) -> None:
    """Once, however often it is said; the key may be used again."""
    take(ledger, 100, "a")
    assert not take(ledger, 1, "b")
    ledger.release("a")
    ledger.release("a")
    ledger.release("never heard of")
    assert figures(ledger) == (0, 0)
    assert take(ledger, 60, "a")
    assert figures(ledger) == (60, 0)


def test_a_key_takes_once(ledger: Ledger) -> None:
    """A retry finds its own reservation, even where nothing is left, and settling twice changes nothing."""
    take(ledger, 100, "a")
    assert take(ledger, 100, "a")
    ledger.commit("a", 100)
    ledger.commit("a", 1)
    assert take(ledger, 100, "a")
    assert figures(ledger) == (0, 100)


def test_a_refusal_takes_nothing(ledger: Ledger) -> None:
    """A refused key holds nothing, and may be granted when the limit grows."""
    assert not take(ledger, 101, "a")
    assert figures(ledger) == (0, 0)
    assert take(ledger, 101, "a", limit=200)


def test_periods_and_pools_are_apart(ledger: Ledger) -> None:
    """A new month has its whole limit, and so has another pool."""
    assert take(ledger, 100, "a")
    assert take(ledger, 100, "b", period="2024-02")
    assert ledger.reserve("other", "2024-01", "rows", LIMIT, 100, "c", window_id=None, charge="read")
    assert [(one.pool, one.period) for one in ledger.quota()] == [
        ("api", "2024-01"),
        ("api", "2024-02"),
        ("other", "2024-01"),
    ]
    assert [one.pool for one in ledger.quota("other")] == ["other"]


def test_spent_quota_is_not_given_back(ledger: Ledger) -> None:
    """Nor is anything settled that was never reserved."""
    take(ledger, 10, "a")
    ledger.commit("a", 10)
    take(ledger, 10, "b")
    ledger.release("b")
    wrong: dict[str, Callable[[], object]] = {
        "not given back": lambda: ledger.release("a"),
        "a released reservation under key 'b'": lambda: ledger.commit("b", 1),
        "nothing under key 'c'": lambda: ledger.commit("c", 1),
        "0 and more": lambda: take(ledger, -1, "d"),
    }
    for message, act in wrong.items():
        with pytest.raises(LedgerError, match=message):
            act()
    assert figures(ledger) == (0, 10)


def test_release_knows_a_lease_from_a_key(ledger: Ledger) -> None:
    """Giving back a lease leaves the quota, and the other way round."""
    lease = leased(ledger)
    take(ledger, 10, "a")
    ledger.release("a")
    ledger.check(lease)
    take(ledger, 10, "a")
    ledger.release(lease)
    assert figures(ledger) == (10, 0)


def both_at_once(work: Callable[[Barrier, str], object]) -> None:
    """Run it in two threads that meet at a barrier."""
    barrier = Barrier(2, timeout=60)
    threads = [Thread(target=work, args=(barrier, key)) for key in ("a", "b")]
    for one in threads:
        one.start()
    for one in threads:
        one.join()


def test_control_a_naive_check_overshoots(ledger: Ledger) -> None:
    """Read, decide, then write: two workers see the same 100 left and take 80 each."""
    take(ledger, 0, "pool")

    def naive(barrier: Barrier, _key: str) -> None:
        left = LIMIT - sum(figures(ledger))
        barrier.wait()
        if left >= 80:
            with ledger.write() as conn:
                conn.execute(update(schema.quota).values(reserved=schema.quota.c.reserved + 80))

    both_at_once(naive)
    assert figures(ledger) == (160, 0)


def test_the_same_race_does_not_overshoot(ledger: Ledger) -> None:
    """With `reserve` one of the two is refused, however they meet."""
    taken: list[bool] = []

    def right(barrier: Barrier, key: str) -> None:
        left = LIMIT - sum(figures(ledger))
        barrier.wait()
        taken.append(left >= 80 and take(ledger, 80, key))

    take(ledger, 0, "pool")
    both_at_once(right)
    assert sorted(taken) == [False, True]
    assert figures(ledger) == (80, 0)


KEYS = st.sampled_from("abcde")
AMOUNTS = st.integers(0, 60)


class QuotaMachine(RuleBasedStateMachine):
    """The ledger's quota beside a dict of key -> (state, amount)."""

    @initialize()
    def begin(self) -> None:
        """An empty ledger and an empty model."""
        self.folder = tempfile.TemporaryDirectory()
        self.place = (f"sqlite:///{self.folder.name}/ledger.db", Path(self.folder.name) / "spool")
        self.ledger = Ledger.create(*self.place)
        self.model: dict[str, tuple[str, int]] = {}
        take(self.ledger, 0, "pool")

    def used(self, state: str) -> int:
        """What the model holds in that state."""
        return sum(amount for found, amount in self.model.values() if found == state)

    @rule(key=KEYS, amount=AMOUNTS)
    def reserve(self, key: str, amount: int) -> None:
        """Granted when the key is live already, or when it fits."""
        live = self.model.get(key, ("released", 0))[0] != "released"
        fits = self.used("reserved") + self.used("committed") + amount <= LIMIT
        assert take(self.ledger, amount, key) == (live or fits)
        if fits and not live:
            self.model[key] = ("reserved", amount)

    @rule(key=KEYS, actual=AMOUNTS)
    def commit(self, key: str, actual: int) -> None:
        """Only what is reserved moves."""
        self.agrees(key, {"reserved", "committed"}, lambda: self.ledger.commit(key, actual))
        if self.model.get(key, ("", 0))[0] == "reserved":
            self.model[key] = ("committed", actual)

    @rule(key=KEYS)
    def release(self, key: str) -> None:
        """Only what is reserved comes back."""
        self.agrees(key, {"reserved", "released", ""}, lambda: self.ledger.release(key))
        if self.model.get(key, ("", 0))[0] == "reserved":
            self.model[key] = ("released", 0)

    def agrees(self, key: str, allowed: set[str], act: Callable[[], None]) -> None:
        """The ledger refuses where the model does."""
        if self.model.get(key, ("", 0))[0] in allowed:
            act()
        else:
            with pytest.raises(LedgerError):
                act()

    @rule()
    def crash(self) -> None:
        """A new process sees the same figures."""
        self.ledger.close()
        self.ledger = Ledger.open(*self.place)

    @invariant()
    def figures_agree(self) -> None:
        """Reserved and committed are those of the model."""
        if hasattr(self, "ledger"):
            assert figures(self.ledger) == (self.used("reserved"), self.used("committed"))

    def teardown(self) -> None:
        """Leave nothing behind."""
        self.ledger.close()
        self.folder.cleanup()


TestQuotaMachine: Any = QuotaMachine.TestCase
TestQuotaMachine.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
