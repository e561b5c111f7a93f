"""`outgate ui` as a user meets it: opened, opened twice, killed, opened again, ended. A real server each time."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.small import Small

LONGEST = 180
"""Seconds that Dagster may need on a busy machine."""


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def ui(small: Small, port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The command in a session of its own, of which nothing is left in the end."""
    command = [str(Path(sys.executable).parent / "outgate"), "ui", "--port", str(port)]
    kept = {key: value for key, value in os.environ.items() if not key.startswith("OUTGATE_")}
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=small.root, env=kept, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until_served(port: int, log: Path) -> None:
    """Until this one has said that it serves, and the page is there."""
    until = time.monotonic() + LONGEST
    while time.monotonic() < until:
        if "Serving dagster-webserver" in log.read_text(errors="replace"):
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=30):
                return
        time.sleep(0.5)
    raise AssertionError(log.read_text(errors="replace")[-3000:])


def is_served(port: int) -> bool:
    """Whether anybody listens."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_ui_that_was_killed_can_be_opened_again(tmp_path: Path) -> None:
    """What it left running is ended, and said; as long as one is open, a second one is refused."""
    small, port = Small.make(tmp_path), free_port()
    assert small.outgate("init").returncode == 0
    with ui(small, port, tmp_path / "first.log") as first:
        wait_until_served(port, tmp_path / "first.log")
        second = small.process("ui", "--port", str(free_port()))
        assert second.returncode == 2
        assert f"is open already (process {first.pid})" in second.stderr
        first.kill()
        first.wait()
        assert is_served(port), "the control: a killed UI leaves its server behind"
        with ui(small, port, tmp_path / "again.log") as again:
            wait_until_served(port, tmp_path / "again.log")
            assert "ended what a UI that was killed had left running: process" in (tmp_path / "again.log").read_text()
            again.terminate()
            again.wait(LONGEST)
        assert not is_served(port)


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    """It is named before anything starts."""
    small = Small.make(tmp_path)
    assert small.outgate("init").returncode == 0
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = small.process("ui", "--port", str(port))
    assert (ended.returncode, ended.stderr) == (
        2,
        f"port {port} of 127.0.0.1 cannot be used: Address already in use; say --port\n",
    )
