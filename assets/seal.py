"""Seal: a shaped window becomes named, hashed, fsynced files that the ledger knows. No remote byte before this.

From here on a delivery is a pure function of these bytes. The manifest is made here too; nothing of the attempt's clock
is in a name or in a file.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC
from pathlib import Path

from assets.carry import carried
from assets.changes import of
from assets.extract import Ids, Reading
from assets.late import is_kept
from assets.parts import Part
from assets.plan import Plan
from assets.seen import keep_keys
from assets.transform import Shaped, write
from assets.windows import Window
from resources.failpoint import reach
from resources.files import write_durably
from resources.ledger import Artifact, Lease, Ledger
from resources.ledger.records import Kind
from resources.spool import Spool
from resources.stores.base import Store
from spec.changes import OPERATIONS
from spec.delivery import Delivery
from spec.errors import DeclarationError
from spec.export import Export
from spec.filters import dates_of
from spec.template import render, tells_windows_apart, variables

MANIFEST = "_manifest.json"
DONE = ".DONE"
DAY, MINUTES = len("2024-01-31"), len("2024-01-31-14:00")


def seal(
    plan: Plan, window: Window, ids: Ids | None, reading: Reading, shaped: Shaped,
    lease: Lease, ledger: Ledger, spool: Spool, store_of: Callable[[str], Store], late_rows: int | None = None,
) -> None:  # fmt: skip
    """Write the parts of every delivery into the spool and record them in one transaction.

    `late_rows` says how many rows had come late, where this generation is the correction for them.
    """
    _refuse_others(plan, lease, ledger)
    others = carried(window, reading.carry)
    corrects: dict[str, object] = {} if late_rows is None else {"late": late_rows}
    corrects |= {"carried": {each.partition: each.rows for each in others}} if others else {}
    if dates := dates_of(plan.export.filters, window.hi, plan.export.partitions.timezone):
        corrects["dates"] = dates
    corrects |= {"changes": shaped.compared.told} if shaped.compared else {}
    spool.tidy(lease)
    folder = spool.workshop(lease)
    artifacts: list[Artifact] = []
    rows = 0
    for delivery in plan.export.deliver:
        named = _parts(plan, delivery, shaped, folder / delivery.label, window, lease, spool)
        rows = sum(part.rows for part in named)
        if not named:
            shutil.rmtree(folder / delivery.label, ignore_errors=True)
            continue
        beside = store_of(delivery.to).manifest_beside if delivery.manifest is None else delivery.manifest
        document = _manifest(plan, delivery, window, ids, reading, shaped, lease, named, ledger)
        document |= _encryption(plan, delivery) | corrects
        artifacts += named
        artifacts += _beside(plan, delivery, folder / delivery.label, named, document, spool, manifest=beside)
        spool.seal(folder / delivery.label)
        reach("seal.delivery")
    keep = is_kept(plan, window, reading.horizon)
    seen = keep_keys(shaped.connection, plan, reading, window, ids, folder, spool) if keep else None
    base = shaped.compared.keep(folder, spool) if shaped.compared else None
    spool.seal(folder)
    reach("seal.files")
    horizon = reading.horizon
    ledger.seal(
        lease,
        horizon=horizon.as_dict() | corrects,
        fingerprint=reading.fingerprint,
        server=horizon.server,
        rows=rows,
        artifacts=artifacts,
        seen=seen,
        takes_nulls=plan.takes_nulls(window),
        carried=others,
        basis=reading.carry.basis if reading.carry is not None else None,
        base=base,
    )


def _refuse_others(plan: Plan, lease: Lease, ledger: Ledger) -> None:
    """A delivery of the generation that nothing is sealed for would count as done without a file."""
    record = ledger.window(lease.export, lease.partition)
    planned = {delivery.name for delivery in record.deliveries} if record else set()
    declared = {delivery.label for delivery in plan.export.deliver}
    if planned != declared:
        raise DeclarationError(
            f"{plan.declared.where('deliver')}: the window was planned for {', '.join(sorted(planned))}, and declared "
            f"are {', '.join(sorted(declared))} by now; run it again"
        )


def path_values(export: Export, window: Window, generation: int) -> dict[str, object]:
    """What the variables of a path stand for, but for those of the single part.

    Date and time are those of the key: two windows may begin at one instant, where a clock skipped the first one.
    """
    day, clock, again = window.key[:DAY], window.key[DAY + 1 : MINUTES], window.key[MINUTES:]
    time = f"{clock.replace(':', '') or '0000'}00{again}"  # `again`: the offset, where an hour comes twice
    tenant = export.source.tenant
    return {
        "export": export.export, "partition": window.key, "timezone": export.partitions.timezone,
        "date": day, "time": time, "datetime": f"{day.replace('-', '')}_{time}",
        "tenant": tenant.equals if tenant else "all", "generation": generation,
    }  # fmt: skip


def _parts(
    plan: Plan, delivery: Delivery, shaped: Shaped, folder: Path, window: Window, lease: Lease, spool: Spool
) -> list[Artifact]:
    """The parts of a delivery, in as many sets as its path has; [] where it is to have none for no rows."""
    values, found = path_values(plan.export, window, lease.generation), list[Artifact]()
    for own, rows in _sets(plan, delivery, shaped):
        workshop = folder.joinpath(*own.values())
        parts = write(rows, delivery, workshop, plan, values | own)
        if delivery.empty == "deliver" or any(part.rows for part in parts):
            found += _named(plan, delivery, values | own, parts, len(found), spool)
            spool.seal(workshop)
    return found


def _sets(plan: Plan, delivery: Delivery, shaped: Shaped) -> Iterator[tuple[dict[str, str], Shaped]]:
    """A set of parts for each operation where the path has it, with what it stands for; else one."""
    if plan.export.changes is None or "operation" not in variables(delivery.path):
        yield {}, shaped
        return
    for operation in OPERATIONS:
        yield {"operation": operation}, of(shaped, plan.export.changes.column, operation)


def _named(
    plan: Plan, delivery: Delivery, values: Mapping[str, object], parts: list[Part], before: int, spool: Spool
) -> list[Artifact]:
    values = {**values, "parts": len(parts)}
    width = max(3, len(str(len(parts))))
    found = []
    for number, part in enumerate(parts, 1):
        try:
            name = render(delivery.path, values | {"part": f"{number:0{width}d}"})
        except ValueError as error:
            raise DeclarationError(f"{plan.declared.where('deliver')}: {error}") from None
        found.append(
            Artifact(
                delivery.label, "part", before + number, spool.relative(part.path), name,
                part.rows, part.bytes, part.sha256,
            )
        )  # fmt: skip
    return found


def _manifest(
    plan: Plan, delivery: Delivery, window: Window, ids: Ids | None, reading: Reading, shaped: Shaped,
    lease: Lease, parts: list[Artifact], ledger: Ledger,
) -> dict[str, object]:  # fmt: skip
    span: dict[str, object] = {
        "from": window.lo.astimezone(UTC).isoformat(),
        "to": window.hi.astimezone(UTC).isoformat(),
    }
    if ids is not None:
        span |= {"after_id": ids.low, "to_id": ids.high}
    return {
        "export": plan.export.export, "partition": window.key, "generation": lease.generation,
        "delivery": delivery.label,
        "mode": plan.export.mode, "window": span, "timezone": plan.export.partitions.timezone,
        "horizon": {"at": reading.horizon.at.isoformat(), "kind": reading.horizon.kind},
        "ledger": ledger.id, "rows": sum(part.rows for part in parts),
        "columns": [{"name": name, "type": kind} for name, kind in shaped.columns.items()],
        "parts": [{"name": part.name, "rows": part.rows, "bytes": part.bytes, "sha256": part.sha256} for part in parts],
    }  # fmt: skip


def _encryption(plan: Plan, delivery: Delivery) -> dict[str, object]:
    if delivery.encrypt is None:
        return {}
    return {"encryption": "pgp", "recipients": [each.fingerprint for each in plan.recipients[delivery.label]]}


def _beside(
    plan: Plan,
    delivery: Delivery,
    folder: Path,
    parts: list[Artifact],
    document: dict[str, object],
    spool: Spool,
    *,
    manifest: bool,
) -> list[Artifact]:
    """The manifest and the done file, sealed like parts."""
    data = (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
    found: list[Artifact] = []
    wanted: list[tuple[Kind, str, bytes]] = [("manifest", MANIFEST, data)] * manifest
    wanted += [("done_file", DONE, b"")] * delivery.done_file
    for kind, name, content in wanted:
        path = folder / name
        write_durably(path, content)
        digest = hashlib.sha256(content).hexdigest()
        found.append(
            Artifact(
                delivery.label,
                kind,
                1,
                spool.relative(path),
                _aside(plan, delivery, parts[0].name, name),
                0,
                len(content),
                digest,
            )
        )
    return found


def _aside(plan: Plan, delivery: Delivery, part: str, name: str) -> str:
    """In the folder of the parts when that is this window's and delivery's own; else named after the first part."""
    folder, _, file = part.rpartition("/")
    template = delivery.path.rpartition("/")[0]
    shared = (
        sum((other.to, other.path.rpartition("/")[0]) == (delivery.to, template) for other in plan.export.deliver) > 1
    )
    named = "export" in variables(template) or plan.export.export in template
    own = tells_windows_apart(template, plan.export.partitions.cadence) and named and not shared
    prefix = f"{folder}/" if folder else ""
    return f"{prefix}{name}" if own else f"{prefix}{file}{name}"
