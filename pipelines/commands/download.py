"""`download`: delivered files brought here, compared with their receipt; or links that others can read them by."""

from __future__ import annotations

import hashlib
from pathlib import Path

import click

from pipelines.commands.after import open_ledger, store_of
from pipelines.console import out
from resources.ledger import Artifact, Ledger, Window
from resources.stores.base import SLICE, Store
from spec.base import seconds
from spec.errors import ConnectorError, DeclarationError


@click.command("download")
@click.argument("export")
@click.option("--partition", help="The window; the newest that is delivered by default.")
@click.option("--delivery", "deliveries", multiple=True, help="Only this delivery; all by default.")
@click.option(
    "--to", "folder", type=click.Path(path_type=Path), default=Path(), help="The folder; this one by default."
)
@click.option(
    "--link", help="Print links that last so long (1h, 7d) where the store can sign them; bring nothing here."
)
def download_command(
    export: str, partition: str | None, deliveries: tuple[str, ...], folder: Path, link: str | None
) -> None:
    """Bring delivered files here, each compared with its receipt. What is here already is not replaced."""
    project, ledger = open_ledger()
    window = _chosen(export, partition, ledger)
    found = [each for each in window.deliveries if not deliveries or each.name in deliveries]
    if not found:
        known = ", ".join(each.name for each in window.deliveries)
        raise DeclarationError(f"{export} {window.partition} has no such delivery; there are: {known}")
    for delivery in found:
        store = store_of(project, delivery)
        try:
            for artifact in delivery.artifacts:
                if link:
                    out.print(_linked(store, artifact.name, link), soft_wrap=True, markup=False, highlight=False)
                else:
                    _bring(store, artifact, folder / delivery.name / artifact.name)
        finally:
            store.close()


def _chosen(export: str, partition: str | None, ledger: Ledger) -> Window:
    done = [each for each in ledger.history(export, partition) if each.state == "done"]
    if not done:
        what = f"window {partition!r}" if partition else "window"
        raise DeclarationError(
            f"{export} has no {what} that is delivered; `outgate history {export}` shows what there is"
        )
    return max(done, key=lambda each: (each.lo, each.generation))


def _linked(store: Store, name: str, link: str) -> str:
    try:
        lasting = seconds(link)
    except ValueError as error:
        raise DeclarationError(f"--link: {error}") from None
    return store.link(name, int(lasting.total_seconds()))


def _bring(store: Store, artifact: Artifact, path: Path) -> None:
    if path.exists():
        raise DeclarationError(f"{path} is here already; remove it, or say another folder with --to")
    path.parent.mkdir(parents=True, exist_ok=True)
    coming = path.with_name(f".{path.name}.coming")
    hashed = hashlib.sha256()
    try:
        with store.open(artifact.name) as reader, coming.open("wb") as writer:
            while data := reader.read(SLICE):
                hashed.update(data)
                writer.write(data)
        if hashed.hexdigest() != artifact.sha256:
            raise ConnectorError(f"{store.location(artifact.name)} is not what was delivered; who changed it?")
        coming.rename(path)
    except FileNotFoundError:
        where = store.location(artifact.name)
        raise ConnectorError(
            f"{where} is gone: taken by the partner, or removed; `outgate redeliver` sends it again"
        ) from None
    finally:
        coming.unlink(missing_ok=True)
    out.print(f"{path} ({artifact.bytes} bytes, as delivered)", soft_wrap=True, markup=False, highlight=False)
