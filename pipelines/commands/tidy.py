"""`tidy`: room in the spool. Which files can go is decided in assets/retention.py."""

from __future__ import annotations

import click

from pipelines.console import json_option, out, show
from pipelines.home import Home
from pipelines.project import Project
from spec.base import seconds
from spec.errors import DeclarationError


@click.command("tidy")
@click.option("--older-than", default="30d", show_default=True, help="How long ago windows were delivered.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed.")
@json_option
def tidy_command(older_than: str, *, dry_run: bool, as_json: bool) -> None:
    """Remove sealed files of delivered windows from the spool. Destinations are not touched; `redeliver` of such a
    window reads the source again.
    """
    from assets.retention import removable

    try:
        age = seconds(older_than)
    except ValueError as error:
        raise DeclarationError(f"--older-than: {error}") from None
    project = Project.find()
    ledger, spool = Home.find(project.root, project.environment).open()
    generations = ledger.history()
    rows = []
    for export in sorted({each.export for each in generations}):
        chosen = list(removable((each for each in generations if each.export == export), ledger.now(), age))
        sizes = [size for each in chosen if (size := spool.forget(each, really=not dry_run))]
        rows += [{"export": export, "windows": len(sizes), "bytes": sum(sizes)}] * bool(sizes)
    show(rows, ("export", "windows", "bytes"), as_json=as_json, empty=f"nothing is older than {older_than} and can go")
    if dry_run and rows and not as_json:
        out.print("nothing was removed (--dry-run)")
