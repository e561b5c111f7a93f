"""`init` and `schema`: what one needs before the first export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from pipelines.home import Home
from pipelines.project import CONNECTORS, Project
from spec.errors import LedgerMissing

CONNECTORS_YAML = """\
# Named connections, shared by all exports.
# A secret is never written here: {env: NAME} or {file: PATH} says where it is.
# warehouse: {type: postgres, host: db.internal, database: loyalty, user: outgate, password: {env: PGPASSWORD}}
folder: {type: local, path: deliveries}
"""


@click.command("init")
@click.option("--ledger", "new_ledger", is_flag=True, help="Only make sure that there is a ledger; write no files.")
def init_command(*, new_ledger: bool) -> None:
    """Make the home, the ledger and a first folder of declarations. What is there already stays as it is."""
    project = Project.find()
    if not new_ledger:
        _write_new(project.folder / f"{CONNECTORS}.yaml", CONNECTORS_YAML)
    home = Home.find(project.root, project.environment)
    try:
        ledger, _ = home.open()
        click.echo(f"the ledger is there already: {ledger.url} ({ledger.id})")
    except LedgerMissing:
        ledger = home.create()
        click.echo(f"made the ledger {ledger.url} ({ledger.id})")
    ledger.close()


def _write_new(path: Path, text: str) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        click.echo(f"made {path}")


@click.command("schema")
@click.option("--connectors", is_flag=True, help="The schema of connectors.yaml instead of that of an export.")
def schema_command(*, connectors: bool) -> None:
    """Print the JSON Schema, for editors that complete and check YAML while one writes."""
    click.echo(json.dumps(connectors_schema() if connectors else export_schema(), indent=2))


def export_schema() -> dict[str, Any]:
    """The JSON Schema of an export's declaration."""
    from spec.export import Export

    schema = Export.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def connectors_schema() -> dict[str, Any]:
    """The JSON Schema of connectors.yaml: names to connectors, a union on `type`."""
    from pydantic import TypeAdapter

    from resources.registry import union

    names: Any = dict[str, union()]  # type: ignore[misc]
    schema = TypeAdapter(names).json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
