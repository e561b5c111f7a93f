"""The asset graph: `extract`, `transform` and one `load` a delivery, made by one step that drives window after
window.

What a window's journey is, is in journey.py; here is only how Dagster sees it: keys, groups, owners, metadata,
failures.
"""

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from assets.journey import Journey
from assets.outcome import Outcome, Reporter
from assets.partitions import partitions_of
from assets.plan import grid_of
from resources.ledger import Delivery
from resources.ledger import Window as WindowRecord
from resources.owner import me
from resources.registry import Connectors
from spec.errors import OutgateError
from spec.export import Export
from spec.reading import Declared

Prepare = Callable[[Declared, Reporter], Journey]
AGAIN, ACCEPT, REFRESH = "again", "accept_columns", "full_refresh"
HELD = "outgate/held"
RETRIES, RETRY_SECONDS = 2, 30
OWNER = "outgate/owner"
"""The tag that says which process a run is in: schedules/housekeeping.py ends those whose process is gone."""
FROM = "outgate/from"
"""Who started a run that a person is waiting for: it ends with its message and is not tried again by itself."""


class StepConfig(dg.Config):
    """The Launchpad's switches: read and deliver windows again that are done already, as a new generation; deliver
    although columns changed; in `mode: changes` deliver all rows as added.
    """

    again: bool = False
    accept_columns: bool = False
    full_refresh: bool = False


def assets_of(
    declared: Declared, prepare: Prepare, kinds: dict[str, str], reporter: Callable[[], Reporter] = Reporter
) -> list[Any]:
    """The assets of one export and its source. `kinds` names the type of each connector, for the icons."""
    export = declared.export
    specs = _specs(export, kinds)
    pool = f"export_{export.export}"

    @dg.multi_asset(
        name=export.export, specs=specs, can_subset=True, partitions_def=partitions_of(export),
        description=export.description,
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=export.partitions.chunk),
        pool=pool,
        required_resource_keys={export.source.connector, *(delivery.to for delivery in export.deliver)},
    )  # fmt: skip
    def step(context: dg.AssetExecutionContext, config: StepConfig) -> Iterator[dg.MaterializeResult[None]]:
        outcomes = []
        try:
            for outcome in _journey(context, config, prepare(declared, reporter())).run(_keys(context, export)):
                outcomes.append(outcome)
                _log(context, outcome)
        except OutgateError as error:
            raise _ending(context, dg.Failure(str(error)), retriable=error.retriable) from None
        _raise_for(context, outcomes)
        yield from ()  # each partition was logged when it was done; an output would count for all of them

    return [step, *_source_of(export, kinds)]


def _keys(context: dg.AssetExecutionContext, export: Export) -> list[str]:
    """The windows of the run, as the grid has them: only its ends are Dagster's."""
    return grid_of(export).between(context.partition_keys[0], context.partition_keys[-1])


def _journey(context: dg.AssetExecutionContext, config: StepConfig, journey: Journey) -> Journey:
    """The journey of this run: who started it, and the switches, from the Launchpad or from the run's tags."""
    run = context.run
    if OWNER not in run.tags:
        context.instance.add_run_tags(run.run_id, {OWNER: me()})
    journey.run_id = run.root_run_id or run.run_id
    journey.full_refresh = config.full_refresh or run.tags.get(REFRESH) == "true"
    again = config.again or run.tags.get(AGAIN) == "true" or journey.full_refresh
    journey.again = journey.run_id if again else None
    journey.accept_columns = config.accept_columns or run.tags.get(ACCEPT) == "true"
    return journey


def resource_of(connectors: Connectors, name: str) -> dg.ResourceDefinition:
    """A declared connector as a Dagster resource. It has no config: settings and secrets stay off the UI's pages."""
    return dg.ResourceDefinition(
        resource_fn=lambda _: connectors.get(name), description=f"{connectors.kind(name)}, declared in connectors.yaml"
    )


def _specs(export: Export, kinds: dict[str, str]) -> list[dg.AssetSpec]:
    common: dict[str, Any] = {
        "group_name": export.export,
        "skippable": True,
        "owners": [export.owner] if export.owner else None,
    }
    extract, transform = (dg.AssetKey([export.export, name]) for name in ("extract", "transform"))
    source = export.source
    read = f"Reads `{source.table or 'sql'}` of `{source.connector}` by window, in one snapshot, into the spool."
    shaped = "Shapes the rows (filters, fields, aggregation) and seals the parts: named, hashed, fsynced."
    specs = [
        dg.AssetSpec(
            extract,
            deps=[_source_key(export)],
            description=read,
            kinds={_kind(kinds, source.connector), "parquet"},
            **common,
        ),
        dg.AssetSpec(transform, deps=[extract], description=shaped, kinds={"duckdb"}, **common),
    ]
    for delivery in export.deliver:
        text = f"Delivers to `{delivery.to}` as `{delivery.path}` ({delivery.format.type}), with a receipt."
        key = dg.AssetKey([export.export, f"load_{delivery.label}"])
        specs.append(
            dg.AssetSpec(
                key,
                deps=[transform],
                description=text,
                kinds={_kind(kinds, delivery.to), delivery.format.type},
                **common,
            )
        )
    return specs


def _kind(kinds: dict[str, str], connector: str) -> str:
    return {"postgres": "postgresql", "local": "file"}.get(kinds.get(connector, ""), kinds.get(connector, "file"))


def _source_key(export: Export) -> dg.AssetKey:
    return dg.AssetKey([export.source.connector, *(export.source.table or f"{export.export}_sql").split(".")])


def _source_of(export: Export, kinds: dict[str, str]) -> list[dg.AssetSpec]:
    text = f"A source, read and never written: `{export.source.table or 'sql'}` of `{export.source.connector}`."
    return [
        dg.AssetSpec(
            _source_key(export), description=text, group_name="sources", kinds={_kind(kinds, export.source.connector)}
        )
    ]


def _log(context: dg.AssetExecutionContext, outcome: Outcome) -> None:
    """Materializations of a window that is done; for any other its reason, in the run's log."""
    if not outcome.good or outcome.record is None:
        level = logging.ERROR if outcome.tried else logging.INFO
        context.log.log(level, "%s: %s: %s", outcome.key, outcome.state.upper(), outcome.detail)
        return
    if outcome.skipped:
        context.log.info("%s: %s", outcome.key, outcome.detail)
    metadata = _metadata(outcome)
    keys = {key.path[-1]: key for key in context.selected_asset_keys}
    for name, found in metadata.items():  # downstream last, or Dagster calls it out of date
        if name in keys:  # a delivery that was declared after the window was sealed has nothing in it
            context.log_event(dg.AssetMaterialization(keys[name], partition=outcome.key, metadata=found))


def _metadata(outcome: Outcome) -> dict[str, dict[str, Any]]:
    """By asset, upstream first."""
    record = outcome.record
    assert record is not None  # noqa: S101  (the caller looked)
    window: dict[str, Any] = {
        "window": f"{record.lo:%Y-%m-%d %H:%M:%S} to {record.hi:%Y-%m-%d %H:%M:%S} UTC",
        "generation": record.generation, "horizon": str((record.horizon or {}).get("kind", "")),
    }  # fmt: skip
    shown = {"late": "late rows", "carried": "late rows carried", "changes": "changes"}
    window |= {shown[name]: found for name, found in (record.horizon or {}).items() if name in shown}
    rows = {"dagster/row_count": record.rows or 0, "rows": record.rows or 0}
    preview = {"preview": dg.MetadataValue.md(outcome.preview)} if outcome.preview else {}
    extract = rows | window | {"horizon detail": str((record.horizon or {}).get("detail", ""))}
    shaped = rows | window | {"bytes": record.bytes or 0} | preview
    loads = {f"load_{delivery.name}": _delivered(record, delivery) | window for delivery in record.deliveries}
    return {"extract": extract, "transform": shaped} | loads


def _delivered(record: WindowRecord, delivery: Delivery) -> dict[str, Any]:
    receipt: dict[str, Any] = delivery.receipt or {}
    parts = receipt.get("parts", [])
    found: dict[str, Any] = {
        "dagster/row_count": receipt.get("rows", 0), "rows": receipt.get("rows", 0), "bytes": receipt.get("bytes", 0),
        "parts": len(parts), "idempotency key": delivery.key,
    }  # fmt: skip
    if parts:
        found["destination"] = dg.MetadataValue.path(parts[0]["location"])
        table = "\n".join(
            f"| {part['name']} | {part['rows']} | {part['bytes']} | `{part['sha256'][:12]}` |" for part in parts[:50]
        )
        found["files"] = dg.MetadataValue.md("| name | rows | bytes | sha256 |\n|---|---|---|---|\n" + table)
    if record.finished_at:
        found["delivered at"] = dg.MetadataValue.timestamp(record.finished_at.astimezone(UTC))
    return found


def _raise_for(context: dg.AssetExecutionContext, outcomes: list[Outcome]) -> None:
    """One Failure for all windows that did not get there; HELD and NOT YET are tagged and never retried by
    themselves.
    """
    bad = [outcome for outcome in outcomes if not outcome.good]
    if not bad:
        return
    waiting = [outcome for outcome in bad if outcome.exit_code == 3]  # noqa: PLR2004  (held or not yet)
    title = "HELD" if any(outcome.state == "held" for outcome in waiting) else "NOT YET"
    if len(waiting) == len(bad):
        context.instance.add_run_tags(context.run.run_id, {HELD: title.lower()})
    lines = [f"{outcome.key}: {outcome.detail or outcome.state}" for outcome in bad if outcome.tried]
    head = title if len(waiting) == len(bad) else "FAILED"
    good = sum(outcome.asked for outcome in outcomes if outcome.good)
    failure = dg.Failure(
        f"{head}: {len(bad)} of {len(outcomes)} windows, {good} delivered. " + "\n".join(lines[:20]),
        metadata={"windows": len(outcomes), "delivered": good, "at": datetime.now(UTC).isoformat()},
    )
    raise _ending(context, failure, retriable=any(outcome.retriable for outcome in bad)) from None


def _ending(context: dg.AssetExecutionContext, failure: dg.Failure, *, retriable: bool) -> Exception:
    """The failure itself, or a wish to be tried again: only for what time can mend, and when nobody is waiting for it.

    A retry policy would also try again what a person interrupted.
    """
    if not retriable or FROM in context.run.tags or context.retry_number >= RETRIES:
        return failure
    context.log.warning("%s", failure.description)
    return dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=RETRY_SECONDS * 2**context.retry_number)
