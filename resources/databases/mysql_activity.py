"""Who could still commit rows to MySQL or MariaDB, and when the oldest of them began.

Four things about these servers shape this file. NOW() stands still within a statement, and a statement may wait long
before it has a transaction: so running statements count as well as transactions. INNODB_TRX is a copy that is renewed
only when nobody has read it for 0.1 s: so it is read until our own transaction is in it. `trx_started` is in whole
seconds of the server's own zone. And a transaction that is prepared for a distributed commit loses its session.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlglot import exp

from resources.databases.base import Activity
from resources.databases.mysql_errors import DENIED
from resources.databases.mysql_session import flavour, one, rows

CLOCK = "SELECT UTC_TIMESTAMP(6)"
SESSIONS = """
SELECT id, user, command, coalesce(state, ''), {began} FROM information_schema.processlist
WHERE id <> CONNECTION_ID() AND user NOT IN ('system user', 'unauthenticated user', 'event_scheduler')
"""
RESTING = frozenset({"Sleep", "Daemon", "Binlog Dump", "Binlog Dump GTID"})

# Where clocks were set back an hour, the same time came twice: the earlier is the safe one.
STARTED = """
LEAST(CONVERT_TZ({0}, 'SYSTEM', '+00:00'),
      IF(CONVERT_TZ(CONVERT_TZ({0}, 'SYSTEM', '+00:00') - INTERVAL 1 HOUR, '+00:00', 'SYSTEM') = {0},
         CONVERT_TZ({0}, 'SYSTEM', '+00:00') - INTERVAL 1 HOUR, CONVERT_TZ({0}, 'SYSTEM', '+00:00')))
"""
TRANSACTIONS = f"""
SELECT trx_mysql_thread_id, trx_mysql_thread_id = CONNECTION_ID(), trx_is_read_only, {STARTED.format("trx_started")}
FROM information_schema.innodb_trx
"""
OURS = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
PAUSES = (0.0, 0.11, 0.12, 0.15, 0.2, 0.3, 0.5, 0.7)
"""Seconds before each look at INNODB_TRX, up to as much again by chance: others may be looking too."""

PREPARED = "there are prepared XA transactions, which have no session any more"
STALE = "INNODB_TRX is read by others so often that the server does not renew it"
FORBIDDEN = "the user may not see the transactions of others: GRANT PROCESS to it"
BLIND: tuple[tuple[str, str], ...] = (
    (
        "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('read_only', 'innodb_read_only') AND Value NOT IN ('OFF', '0')",
        "the server is read-only: what it holds was written elsewhere",
    ),
    (
        "SHOW GLOBAL STATUS WHERE Variable_name = 'wsrep_cluster_size' AND Value > 1",
        "the server is one of a Galera cluster, which does not show the transactions of the others",
    ),
    (
        "SHOW GLOBAL VARIABLES WHERE Variable_name = 'group_replication_single_primary_mode' AND Value = 'OFF'",
        "the server is one of several that write, which does not show the transactions of the others",
    ),
    (
        "SELECT 1 FROM information_schema.processlist WHERE command = 'Delayed insert' LIMIT 1",
        "there are INSERT DELAYED, whose rows come later than they say",
    ),
)
# Engines whose transactions are not InnoDB's, or that others write to; asking for their tables is dear.
ENGINES = """
SELECT engine FROM information_schema.engines WHERE support IN ('YES', 'DEFAULT')
AND (transactions = 'YES' OR engine IN ('CONNECT', 'FEDERATED', 'OQGRAPH', 'SPIDER', 'SPHINX'))
AND engine NOT IN ('InnoDB', 'SEQUENCE')
"""
TABLES_OF = "SELECT 1 FROM information_schema.tables WHERE engine = %s LIMIT 1"


@dataclass(frozen=True)
class Session:
    """One session of somebody: who, doing what, and since when (aware); whether it runs a statement."""

    user: str
    doing: str
    since: datetime
    runs: bool


@dataclass(frozen=True)
class Look:
    """What was to be seen, by the session's number: first the sessions, then the transactions.

    `readers` have a transaction that cannot write; `detached` is whether there is one without a session; `fresh` is
    whether the list of transactions is younger than that of sessions.
    """

    sessions: dict[int, Session]
    writers: dict[int, datetime]
    readers: frozenset[int]
    detached: bool
    fresh: bool

    @property
    def running(self) -> dict[int, datetime]:
        """Since when the statements run that may write."""
        return {each: found.since for each, found in self.sessions.items() if found.runs and each not in self.readers}

    @property
    def waiting(self) -> frozenset[int]:
        """Sessions whose statement has no transaction yet."""
        return frozenset(self.running) - frozenset(self.writers)

    def names(self, sessions: Iterable[int]) -> frozenset[str]:
        """The names of these sessions' transactions: number and start are the same for all of its life."""
        return frozenset(f"{each}/{self.writers[each].isoformat()}" for each in sessions if each in self.writers)


class Waits:
    """Since when sessions had waited that then got a transaction: its first rows are stamped before its start.

    Only what this process has seen waiting is known. A server is named by its identity.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[str, int], tuple[datetime, datetime | None]] = {}
        self._lock = threading.Lock()

    def starts(self, server: str, look: Look) -> dict[int, datetime]:
        """Since when each writer's rows may be stamped; who waits now is remembered."""
        starts = dict(look.writers)
        with self._lock:
            before = {each: found for (place, each), found in self._seen.items() if place == server}
            others = {key: found for key, found in self._seen.items() if key[0] != server}
            now: dict[int, tuple[datetime, datetime | None]] = {
                each: (look.running[each], None) for each in look.waiting
            }
            for each, (since, start) in before.items():
                if each in starts and start in (None, look.writers[each]):
                    now[each] = (since, look.writers[each])
                    starts[each] = min(starts[each], since)
            self._seen = others | {(server, each): found for each, found in now.items()}
        return starts


WAITS = Waits()


def activity(session: Any, place: str) -> Activity:
    """Who could still commit rows. The clock is read first: what begins after it is stamped later than it.

    Blindness is asked last: a transaction that is prepared meanwhile is then seen as open, or as prepared.
    """
    clock = _aware(one(session, CLOCK))
    server = _server(session) or place
    seen = _look(session)
    if seen is None:
        blind, missing = _blind(session)
        remedy = _remedy(session, ["PROCESS", *missing])
        return Activity(clock, server, blind="; ".join([FORBIDDEN, *blind]), remedy=remedy)
    # An id is taken an instant before its transaction begins: who has none is looked at twice.
    again = (_look(session) if seen.waiting else None) or seen
    starts = WAITS.starts(server, seen)
    begun = starts | {each: min(since, starts.get(each, since)) for each, since in seen.running.items()}
    oldest = min(begun, key=begun.__getitem__, default=None)
    blind, missing = _blind(session)
    return Activity(
        clock=clock,
        server=server,
        open=seen.names(seen.writers) | again.names(seen.waiting),
        oldest=None if oldest is None else begun[oldest],
        blind="; ".join([*_unsure(session, seen, again), *blind]),
        remedy=_remedy(session, missing),
        detail="" if oldest is None else _detail(clock, oldest, begun[oldest], seen.sessions.get(oldest)),
    )


def _look(session: Any) -> Look | None:
    """What is to be seen; None without the right to see it.

    Sessions first: a statement that gets its transaction meanwhile is then seen at least without it.
    """
    found = rows(session, SESSIONS.format(began=flavour(session).began))
    people = {
        number: Session(user, state or command, _aware(since), command not in RESTING)
        for number, user, command, state, since in found
    }
    if (listed := _allowed(lambda: _transactions(session))) is None:
        return None
    others = [(number, reads, _aware(start)) for number, ours, reads, start in listed if not ours]
    return Look(
        sessions=people,
        writers={number: start for number, reads, start in others if number and not reads},
        readers=frozenset(number for number, reads, _ in others if reads),
        detached=any(not number for number, *_ in others),
        fresh=len(others) < len(listed),
    )


def _transactions(session: Any) -> list[tuple[Any, ...]]:
    """All transactions, ours among them, which began after this was called; without it they are too old a list."""
    found: list[tuple[Any, ...]] = []
    session.query(OURS)
    try:
        for pause in PAUSES:
            time.sleep(pause * random.uniform(1, 2))  # noqa: S311  (no secret: others should not look when we do)
            found = rows(session, TRANSACTIONS)
            if any(ours for _, ours, *_ in found):
                break
    finally:
        session.query("ROLLBACK")
    return found


def _unsure(session: Any, *looks: Look) -> list[str]:
    """What was wrong with the looks themselves. Without a session there are also transactions of the server's own."""
    stale = not all(look.fresh for look in looks)
    prepared = any(look.detached for look in looks) and _allowed(lambda: rows(session, "XA RECOVER")) != []
    return [*([STALE] if stale else []), *([PREPARED] if prepared else [])]


def _blind(session: Any) -> tuple[list[str], list[str]]:
    """Why others may write unseen, and the rights without which that is not known."""
    reasons = [why for question, why in BLIND if rows(session, question)]
    for (engine,) in rows(session, ENGINES):
        if rows(session, TABLES_OF, (engine,)):
            reasons.append(f"there are tables of {engine}, which does not show its transactions")
    kind = flavour(session)
    sources = _allowed(lambda: rows(session, kind.replica))
    if sources:
        reasons.append("the server is a replica, which does not show the transactions of its source")
    if sources is not None:
        return reasons, []
    unknown = f"the user may not see whether the server is a replica: GRANT {kind.sees_replica} to it"
    return [*reasons, unknown], [kind.sees_replica]


def _remedy(session: Any, rights: list[str]) -> str:
    if not rights:
        return ""
    user, _, host = str(one(session, "SELECT CURRENT_USER()")).rpartition("@")
    account = "@".join(exp.to_identifier(part, quoted=True).sql("mysql") for part in (user, host))
    return f"GRANT {', '.join(rights)} ON *.* TO {account};"


def _server(session: Any) -> str:
    """The server's own identity, which a replica does not share, and the database."""
    found = rows(session, "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('server_uuid', 'server_uid')")
    return f"{found[0][1]}/{one(session, 'SELECT DATABASE()')}" if found else ""


def _detail(clock: datetime, number: int, since: datetime, who: Session | None) -> str:
    said = f" ({who.user}, {who.doing})" if who else ""
    return f"connection {number}{said}, open for {max((clock - since).total_seconds(), 0):.0f} s"


def _allowed(ask: Callable[[], list[tuple[Any, ...]]]) -> list[tuple[Any, ...]] | None:
    """The answer, None where a right to ask is missing."""
    from pymysql import err

    try:
        return ask()
    except err.MySQLError as error:
        if error.args and error.args[0] == DENIED:
            return None
        raise


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)
