"""`ui`: Dagster's web interface and daemon, on loopback."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from pipelines.home import Home
from pipelines.project import Project


@click.command("ui")
@click.option("--port", default=3000, show_default=True, help="The port on 127.0.0.1.")
def ui_command(port: int) -> None:
    """Open Dagster's UI. It has no login of its own: it listens on this machine only."""
    project = Project.find()
    home = Home.find(project.root, project.environment)
    home.open()[0].close()
    home.dagster.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings = home.dagster / "dagster.yaml"
    if not settings.exists():
        settings.write_text((Path(__file__).parents[2] / "dagster.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    os.environ["DAGSTER_HOME"] = str(home.dagster)
    click.echo(f"Dagster's UI: http://127.0.0.1:{port} (Ctrl-C ends it)")
    workspace = Path(__file__).parents[2] / "workspace.yaml"
    dagster = Path(sys.executable).parent / "dagster"
    os.execv(  # noqa: S606  (a program and its arguments, no shell wanted)
        dagster, [str(dagster), "dev", "-h", "127.0.0.1", "-p", str(port), "-w", str(workspace)]
    )
