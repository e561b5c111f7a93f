"""Look-ups: what is where, which generation counts, and that they stay cheap."""

from __future__ import annotations

import pytest
from sqlalchemy import event

from resources.ledger import Ledger
from tests.resources.ledger.windows import LONG, done, leased, part, publish, seal, spec


def test_nothing_is_found_before_anything_ran(ledger: Ledger) -> None:
    """Every look-up has an answer for an export that the ledger does not know."""
    assert ledger.window("events", "2024-01-01") is None
    assert (ledger.windows("events"), ledger.states("events"), ledger.history()) == ([], {}, [])
    assert ledger.last_fingerprint("events") is None


def test_windows_shows_current_generations_only(ledger: Ledger) -> None:
    """Newest first or oldest first; history has the older generations as well."""
    done(ledger, "2024-01-01")
    done(ledger, "2024-01-02")
    done(ledger, "2024-01-01", again="run-a")
    leased(ledger, "2024-01-03")
    found = [(one.partition, one.generation) for one in ledger.windows("events")]
    assert found == [("2024-01-03", 1), ("2024-01-02", 1), ("2024-01-01", 2)]
    assert ledger.windows("events", newest_first=False) == ledger.windows("events")[::-1]
    assert ledger.states("events") == {"2024-01-01": "done", "2024-01-02": "done", "2024-01-03": "planned"}
    assert [one.generation for one in ledger.history("events", "2024-01-01")] == [1, 2]
    assert len(ledger.history()) == 4
    assert ledger.history("others") == []


def test_partition_keys_sort_as_text(ledger: Ledger) -> None:
    """They come in the order of their characters on every database, where a dictionary would put Z behind a."""
    keys = ["2024-01-31-02:05", "2024-01-31", "2024-02-01-00:00", "a", "Z"]
    for key in keys:
        leased(ledger, key)
    assert list(ledger.states("events")) == sorted(keys)


@pytest.mark.parametrize("count", [1, 40])
def test_the_number_of_queries_does_not_grow(ledger: Ledger, count: int) -> None:
    """Three queries, however many windows there are."""
    for number in range(count):
        seal(ledger, leased(ledger, f"2024-{number:05}"))
    statements: list[str] = []

    def counted(_c: object, _u: object, statement: str, *_: object) -> None:
        if statement.startswith("SELECT"):
            statements.append(statement)

    event.listen(ledger._reading, "before_cursor_execute", counted)
    assert len(ledger.windows("events")) == count
    event.remove(ledger._reading, "before_cursor_execute", counted)
    assert len(statements) == 3


def test_what_was_ever_sealed_for_a_name_is_known_as_ours(ledger: Ledger) -> None:
    """By this delivery, from whichever generation, published or not; other windows only where that is asked for."""
    done(ledger, "2024-01-01", part("partner", name="x.csv", sha256="one"), part("warehouse", name="y.csv"))
    lease = leased(ledger, "2024-01-02")
    seal(ledger, lease, part("partner", name="x.csv", sha256="two"), part("warehouse"))
    done(ledger, "2024-01-01", part("partner", name="x.csv", sha256="three"), part("warehouse"), again="run-a")
    assert ledger.written(lease, "partner", "x.csv", any_window=False) == {"two"}
    assert ledger.written(lease, "partner", "x.csv", any_window=True) == {"one", "two", "three"}
    assert ledger.written(lease, "warehouse", "x.csv", any_window=True) == frozenset()


def test_the_older_generations_tell_what_to_remove(ledger: Ledger) -> None:
    """Also of a generation that was given up half published: its files may be there."""
    done(ledger, "2024-01-01", part("partner", 0), part("partner", 1), part("warehouse", 0, sha256="w1"))
    second = ledger.acquire(spec(), "worker", LONG, again="run-a").lease
    assert second is not None
    assert {one.name for one in ledger.older_generations(second)} == {"0.csv", "1.csv"}
    seal(ledger, second, part("partner", 0, sha256="p2"), part("warehouse", 0, sha256="w2"))
    third = ledger.supersede(second, "gone", "worker", LONG, spec())
    assert {(one.delivery, one.sha256) for one in ledger.older_generations(third)} == {
        ("partner", "aa"),
        ("partner", "p2"),
        ("warehouse", "w1"),
        ("warehouse", "w2"),
    }


def test_the_first_generation_has_none_before_it(ledger: Ledger) -> None:
    """Neither its own artifacts nor those of another window are its predecessors."""
    done(ledger, "2024-01-01")
    lease = leased(ledger, "2024-01-02")
    seal(ledger, lease)
    publish(ledger, lease, "partner")
    assert ledger.older_generations(lease) == ()


def test_last_fingerprint_is_that_of_the_last_seal(ledger: Ledger) -> None:
    """The newest seal counts, not the newest key: a backfill sees the source as it is now."""
    seal(ledger, leased(ledger, "2024-01-02"), fingerprint="f2")
    seal(ledger, leased(ledger, "2024-01-01"), fingerprint="f1")
    leased(ledger, "2024-01-03")
    assert ledger.last_fingerprint("events") == ("f1", "2024-01-01")
