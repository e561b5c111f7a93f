"""`ui`: Dagster's web interface and daemon, on loopback, once a home."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click

from pipelines.home import Home
from pipelines.project import Project
from resources.owner import is_dead, me
from spec.errors import DeclarationError

MARK = "OUTGATE_UI"
"""The variable by which the processes of a UI know each other; its value is the home."""
SERVERS = (b"dagster_webserver", b"dagster._daemon")
"""What `dagster dev` leaves running when it is killed; its code servers end by themselves."""
PATIENCE = 3.0
"""Seconds that such a process has to end before it is killed."""


@click.command("ui")
@click.option("--port", default=3000, show_default=True, help="The port on 127.0.0.1.")
def ui_command(port: int) -> None:
    """Open Dagster's UI. It has no login of its own: it listens on this machine only."""
    project = Project.find()
    home = Home.find(project.root, project.environment)
    home.open()[0].close()
    home.dagster.mkdir(parents=True, exist_ok=True, mode=0o700)
    _take(home.dagster, port)
    settings = home.dagster / "dagster.yaml"
    if not settings.exists():
        settings.write_text((Path(__file__).parents[2] / "dagster.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    os.environ |= {"DAGSTER_HOME": str(home.dagster), MARK: str(home.dagster)}
    click.echo(f"Dagster's UI: http://127.0.0.1:{port} (Ctrl-C ends it)")
    workspace = Path(__file__).parents[2] / "workspace.yaml"
    dagster = Path(sys.executable).parent / "dagster"
    sys.stdout.flush()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's `&` has it ignored, and Dagster ends its servers by it
    os.execv(  # noqa: S606  (a program and its arguments, no shell wanted)
        dagster, [str(dagster), "dev", "-h", "127.0.0.1", "-p", str(port), "-w", str(workspace)]
    )


def _take(folder: Path, port: int) -> None:
    """Be the one UI of the home: two daemons would start each schedule's runs twice. Raises DeclarationError."""
    mark = folder / "ui.owner"
    owner = mark.read_text(encoding="utf-8") if mark.exists() else ""
    if owner and not is_dead(owner):
        raise DeclarationError(
            f"the UI of {folder.parent} is open already (process {owner.split(':')[1]}); end it first"
        )
    if ended := list(_end_servers(folder)):
        click.echo(f"ended what a UI that was killed had left running: process {', '.join(map(str, ended))}")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise DeclarationError(f"port {port} of 127.0.0.1 cannot be used: {error.strerror}; say --port") from None
    mark.write_text(me(), encoding="utf-8")


def _end_servers(folder: Path) -> Iterator[int]:
    wanted = f"{MARK}={folder}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            arguments = (process / "cmdline").read_bytes().split(b"\0")
            if {*SERVERS} & {*arguments} and wanted in (process / "environ").read_bytes().split(b"\0"):
                _end(int(process.name))
                yield int(process.name)


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + PATIENCE
    with suppress(ProcessLookupError):
        while time.monotonic() < until:
            os.kill(pid, 0)
            time.sleep(0.1)
        os.kill(pid, signal.SIGKILL)
