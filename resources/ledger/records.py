"""What the ledger takes and gives: frozen records, one for each noun. No SQL here and no behaviour.

All instants are aware datetimes in UTC. `reached` is the furthest durable step, from which work resumes; `state` is
what people see: `reached`, or how the last attempt ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Kind = Literal["part", "manifest", "done_file"]
Charge = Literal["read", "delivery"]
Ending = Literal["failed", "held", "unknown", "planned"]
Tokens = Mapping[tuple[str, int], str]
"""The store's token of each staged artifact, by (kind, number)."""


@dataclass(frozen=True)
class WindowSpec:
    """The window that is wanted: `lo <= t < hi`, the declaration to freeze, and (name, connector) of each delivery."""

    export: str
    partition: str
    lo: datetime
    hi: datetime
    declaration: dict[str, object]
    deliveries: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Artifact:
    """One sealed file: `path` relative to the spool, `name` at the destination, `token` of the staged object.

    `attempted` says that its publication was begun, where that was recorded: see `Ledger.publishing`.
    """

    delivery: str
    kind: Kind
    number: int
    path: str
    name: str
    rows: int
    bytes: int
    sha256: str
    token: str | None = None
    attempted: bool = False


@dataclass(frozen=True)
class Delivery:
    """One partner's copy of a generation. `key` is the idempotency key: no clock, no attempt and no host is in it.

    `reached`: planned, sealed, uploaded, published, done. `attempt` starts at 1 and grows when the delivery is put back
    to sealed (restaged, redelivered, resolved as not delivered), never for a plain retry.
    """

    name: str
    connector: str
    key: str
    reached: str
    state: str
    attempt: int
    detail: str
    artifacts: tuple[Artifact, ...]
    receipt: dict[str, object] | None
    updated_at: datetime


@dataclass(frozen=True)
class Window:
    """One generation of one window. `reached`: planned, sealed, done; `bytes`: the sealed parts of all deliveries.

    `again` is what asked for this generation. `seen` says where the spool keeps the keys of the rows that were read:
    path, sha256, rows, and the source's position at that moment. `base` says the same of what all rows were.
    """

    id: int
    export: str
    partition: str
    generation: int
    again: str | None
    lo: datetime
    hi: datetime
    low_id: int | None
    high_id: int | None
    declaration: dict[str, object]
    seen: dict[str, object] | None
    base: dict[str, object] | None
    fingerprint: str | None
    server: str | None
    reached: str
    state: str
    fence: int
    attempts: int
    horizon: dict[str, object] | None
    rows: int | None
    bytes: int | None
    detail: str
    run: str | None
    started_at: datetime | None
    finished_at: datetime | None
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True)
class Lease:
    """The right to write to one window, good while the window's fence is still this one."""

    window_id: int
    export: str
    partition: str
    generation: int
    fence: int
    owner: str


@dataclass(frozen=True)
class Acquired:
    """The window as it stands. `lease` is None when it is done, or taken: then `busy` says by whom and until when."""

    window: Window
    lease: Lease | None
    busy: str


@dataclass(frozen=True)
class IdPosition:
    """Where a key's ids begin: after `low` (None: at the first id); `skipped` when a later key was fixed before."""

    low: int | None
    skipped: bool


@dataclass(frozen=True)
class Carried:
    """Late rows of window `partition` that window `into` delivers; `keys`: a Parquet file of their cursors and keys."""

    partition: str
    into: str
    rows: int
    keys: bytes


@dataclass(frozen=True)
class Ownership:
    """All that was carried out of a window or into it. `version` moves when it changes or the window is sealed."""

    version: int
    carried: tuple[Carried, ...]


@dataclass(frozen=True)
class Base:
    """What all rows of a window were, as a file of the spool: `facts` has path, sha256, rows and the types of the key.

    `since`: the id of the generation whose base they were compared with; `fresh`: with none, as was asked for.
    """

    facts: dict[str, object]
    since: int | None
    fresh: bool = False


@dataclass(frozen=True)
class Order:
    """Around a window of `mode: changes`: the newest delivered one before it, which its rows are compared with; those
    since that are sealed and not delivered; later ones that are sealed, the next first.
    """

    base: Window | None
    open: tuple[Window, ...]
    later: tuple[Window, ...]


@dataclass(frozen=True)
class QuotaRow:
    """One pool in one period, all three figures in `unit`."""

    pool: str
    period: str
    unit: str
    limit: int
    reserved: int
    committed: int


@dataclass(frozen=True)
class Event:
    """One line of the audit trail; never a secret."""

    at: datetime
    export: str | None
    partition: str | None
    generation: int | None
    delivery: str | None
    what: str
    who: str
    detail: str
