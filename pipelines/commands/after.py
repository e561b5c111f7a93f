"""`history`, `verify`, `redeliver` and `resolve`: what was delivered, whether it is still there, and what to do when
not.
"""

from __future__ import annotations

import getpass
from typing import Any

import click

from pipelines.console import json_option, out, show
from pipelines.home import Home
from pipelines.project import Project
from pipelines.views import history_rows
from resources.ledger import Delivery, Ledger, Window
from resources.spool import Spool
from resources.stores.base import Stat, Store
from spec.errors import ConnectorError, DeclarationError, SpoolLost
from spec.reading import Declared


@click.command("history")
@click.argument("export", required=False)
@click.option("--partition", help="Only this window.")
@click.option("--all", "everything", is_flag=True, help="Also generations that were replaced.")
@json_option
def history_command(export: str | None, partition: str | None, *, everything: bool, as_json: bool) -> None:
    """Show the receipts: one line a window and delivery."""
    project, ledger = open_ledger()
    if export and export not in project.exports and not ledger.history(export):
        project.get(export)
    windows = ledger.history(export, partition)
    newest = {(w.export, w.partition): w.generation for w in sorted(windows, key=lambda w: w.generation)}
    kept = [w for w in windows if everything or w.generation == newest[w.export, w.partition]]
    columns = (
        "export",
        "partition",
        "generation",
        "delivery",
        "state",
        "rows",
        "bytes",
        "horizon",
        "finished_at",
        "detail",
    )
    show(history_rows(kept), columns, as_json=as_json, empty="nothing was delivered yet")


@click.command("verify")
@click.argument("export")
@click.option("--partition", help="Only this window; all that are done by default.")
@click.option("--quick", is_flag=True, help="Compare sizes, and the hashes that stores keep, without reading files.")
@json_option
def verify_command(export: str, partition: str | None, *, quick: bool, as_json: bool) -> None:
    """Read the destinations back and compare names, sizes and hashes with the receipts; exit 1 when something
    differs. Files of a delivery with `collects: true` may be gone.
    """
    project, ledger = open_ledger()
    if not ledger.states(export):
        project.get(export)
    windows = _begun(ledger.history(export))
    chosen = [window for window in windows if partition in {None, window.partition}]
    if partition and not chosen:
        raise DeclarationError(f"{export} has no window {partition!r} in the ledger")
    newest = _newest_writers(windows)
    done = [(window, each) for window in chosen for each in window.deliveries if each.reached == "done"]
    try:
        rows = [_verified(project, window, delivery, newest, quick=quick) for window, delivery in done]
    finally:
        for name in {delivery.connector for _, delivery in done}:
            _hang_up(project, name)
    bad = [row for row in rows if row["found"] == "different"]
    if as_json or bad:
        show(rows if as_json else bad, ("partition", "delivery", "found", "detail"), as_json=as_json)
    if not as_json:
        records = ledger.windows(export, newest_first=False)
        left = [
            window.partition for window in records if window.state != "done" and partition in {None, window.partition}
        ]
        taken = sum(row["found"] == "collected" for row in rows)
        said = f", {taken} collected" * bool(taken) + f"; not done: {', '.join(left[:5])}" * bool(left)
        out.print(f"{len(rows) - len(bad) - taken} of {len(rows)} deliveries are as the receipts say{said}")
    raise SystemExit(1 if bad else 0)


def _begun(generations: list[Window]) -> list[Window]:
    """Of each window the newest generation that has sealed something: one that was only planned has changed nothing."""
    found = {each.partition: each for each in generations if each.reached != "planned"}
    return list(found.values())


def _newest_writers(windows: list[Window]) -> dict[tuple[str, str], int]:
    """Which window wrote each name last: snapshots may share one, and an older one's file is not there any more."""
    ended = sorted((window for window in windows if window.finished_at), key=lambda window: window.lo)
    found = [
        (window.id, delivery.name, one.name)
        for window in ended
        for delivery in window.deliveries
        for one in delivery.artifacts
    ]
    return {(delivery, name): window for window, delivery, name in found}


def _verified(
    project: Project, window: Window, delivery: Delivery, newest: dict[tuple[str, str], int], *, quick: bool
) -> dict[str, Any]:
    store, wrong, gone = store_of(project, delivery), [], []
    for artifact in delivery.artifacts:
        if newest.get((delivery.name, artifact.name), window.id) != window.id:
            continue
        try:
            there = _there(store, artifact.name, quick=quick)
        except ConnectorError as error:
            wrong.append(str(error))
            continue
        if there is None:
            gone.append(f"{artifact.name} is gone")
        elif there.bytes != artifact.bytes or there.sha256 not in {artifact.sha256, None}:
            wrong.append(f"{artifact.name} was changed ({there.bytes} bytes, {artifact.bytes} delivered)")
    different = wrong or (gone and not _collects(project, window, delivery.name))
    return {
        "export": window.export, "partition": window.partition, "generation": window.generation,
        "delivery": delivery.name,
        "found": "different" if different else "collected" if gone else "as delivered",
        "detail": "; ".join(wrong + gone),
    }  # fmt: skip


def _there(store: Store, name: str, *, quick: bool) -> Stat | None:
    """What is there; the hash is of its bytes, unless it is wanted quickly: then what the store says, if anything."""
    there = store.stat(name)
    if there is None or quick or store.reads_to_stat:
        return there
    try:
        return Stat(there.bytes, store.digest(name))
    except FileNotFoundError:
        return None


def store_of(project: Project, delivery: Delivery) -> Store:
    """The store of a delivery. Raises DeclarationError."""
    store = project.connectors.get(delivery.connector)
    if not isinstance(store, Store):
        raise DeclarationError(f"connector {delivery.connector!r} does not keep files any more")
    return store


def _hang_up(project: Project, name: str) -> None:
    store = project.connectors.get(name)
    if isinstance(store, Store):
        store.close()


def _collects(project: Project, window: Window, name: str) -> bool:
    """Whether the partner takes files away, as declared now or, where the export is not any more, with the window."""
    now = project.exports.get(window.export)
    declared: Any = (now.document.data if now else window.declaration)["deliver"]
    return any(one.get("name", one["to"]) == name and one.get("collects") for one in declared)


@click.command("redeliver")
@click.argument("export")
@click.option("--partition", required=True, help="The window whose sealed bytes go out again.")
@click.option("--delivery", "deliveries", multiple=True, help="Only this delivery; all by default.")
@json_option
def redeliver_command(export: str, partition: str, deliveries: tuple[str, ...], *, as_json: bool) -> None:
    """Send the same sealed bytes again; the source is not read."""
    from pipelines.commands.run import _execute

    project, ledger = open_ledger()
    _refuse_old_snapshot(project.get(export), partition, ledger)
    _refuse_given_up(project.get(export), partition, ledger)
    ledger.reopen(export, partition, deliveries, _who())
    ledger.close()
    _execute(project, export, [partition], again=False, accept=False, as_json=as_json)


def _refuse_given_up(declared: Declared, partition: str, ledger: Ledger) -> None:
    """In `mode: changes` a window that a full refresh passed over is not sent again: what came after has its rows."""
    from assets import changes
    from assets.plan import grid_of

    if declared.export.mode == "changes":
        changes.order(declared.export.export, grid_of(declared.export).window(partition), ledger, fresh=True)


def _refuse_old_snapshot(declared: Declared, partition: str, ledger: Ledger) -> None:
    """A snapshot whose name a newer one has, or an old one whose parts are gone, cannot be sent again.

    Of any other window whose parts are gone the source is read again.
    """
    from assets.plan import grid_of
    from assets.readings import refuse_old_snapshot

    export, record = declared.export, ledger.window(declared.export.export, partition)
    spool, grid = Spool(ledger.mirror.spool), grid_of(export)
    for artifact in (one for each in record.deliveries for one in each.artifacts) if record else ():
        newer = record and export.mode == "snapshot" and ledger.taken_by(record.id, artifact.delivery, artifact.name)
        if newer:
            raise DeclarationError(
                f"{artifact.name!r} holds the newer window {newer!r}: {partition!r} is not put over it"
            )
        try:
            spool.sealed(artifact)
        except SpoolLost as lost:
            refuse_old_snapshot(export, grid, grid.window(partition), ledger.now())
            click.echo(f"{lost}; the source is read again", err=True)
            return


@click.command("resolve")
@click.argument("export")
@click.option("--partition", required=True, help="The window.")
@click.option("--delivery", required=True, help="The delivery that is `unknown`.")
@click.option(
    "--as", "verdict", required=True, type=click.Choice(["delivered", "not-delivered"]), help="What the partner says."
)
def resolve_command(export: str, partition: str, delivery: str, verdict: str) -> None:
    """Decide a delivery whose outcome is unknown; who said so is kept in the ledger."""
    _, ledger = open_ledger()
    ledger.resolve(export, partition, delivery, delivered=verdict == "delivered", who=_who())
    click.echo(
        f"{export} {partition} {delivery}: resolved as {verdict}; "
        f"`outgate run {export} --partition {partition}` goes on from here"
    )


def open_ledger() -> tuple[Project, Ledger]:
    """The project and its ledger. Raises DeclarationError, LedgerError."""
    project = Project.find()
    ledger, _ = Home.find(project.root, project.environment).open()
    return project, ledger


def _who() -> str:
    return getpass.getuser()
