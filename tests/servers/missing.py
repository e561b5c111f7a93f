"""What to do without a server: install it where that is allowed, else fail under CI and skip by name on a laptop.

Which package a server comes from is said by the server's own file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest


def give_up(server: str, why: str) -> NoReturn:
    """Fail where CI=true, else skip: a server that is missing is never a silent one."""
    outcome = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
    outcome(f"{server} is not available here: {why}")


def apt_install(*packages: str) -> bool:
    """Install Debian packages where this process may; whether they are there now."""
    apt = shutil.which("apt-get")
    if os.geteuid() != 0 or apt is None:
        return False
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    commands = ([apt, "update", "-q"], [apt, "install", "-q", "-y", "--no-install-recommends", *packages])
    return all(
        subprocess.run(command, env=quiet, capture_output=True, check=False).returncode == 0 for command in commands
    )


def apt_download(folder: Path, *packages: str) -> bool:
    """Download Debian packages into a folder, once; whether they are there now. Nothing is installed."""
    apt = shutil.which("apt-get")
    if all(any(folder.glob(f"{package}_*.deb")) for package in packages):
        return True
    if apt is None:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    commands = ([apt, "download", "-q", *packages], [apt, "update", "-q"], [apt, "download", "-q", *packages])
    return any(
        subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0
        and command[1] == "download"
        for command in commands
    )
