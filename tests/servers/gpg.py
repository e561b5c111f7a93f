"""GnuPG with a home of its own: another program's keys, and another program that reads what was encrypted for them."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.missing import apt_install, give_up

ALONE = ("--batch", "--no-tty", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "")
LONG_AGO = ("--faked-system-time", "20250101T000000")


@dataclass(frozen=True)
class Gpg:
    """A home with its agent."""

    home: Path

    def run(self, *arguments: str, data: bytes = b"") -> bytes:
        """What a command writes; it has to succeed."""
        command = ["gpg", "--homedir", str(self.home), *ALONE, *arguments]
        ended = subprocess.run(command, input=data, capture_output=True, check=False)
        assert ended.returncode == 0, ended.stderr.decode()
        return ended.stdout

    def make(self, user: str, algorithm: str = "future-default", usage: str = "default", *, old: bool = False) -> str:
        """A new key without an end, of today or of 2025; returns its fingerprint."""
        self.run(*LONG_AGO * old, "--quick-generate-key", user, algorithm, usage, "never")
        listed = self.run("--with-colons", "--list-keys", user).decode().splitlines()
        return next(line.split(":")[9] for line in listed if line.startswith("fpr"))

    def public(self, user: str, *, armoured: bool = True) -> bytes:
        """What its owner gives away."""
        return self.run(*["--armor"] * armoured, "--export", user)

    def read(self, data: bytes) -> bytes:
        """What an encrypted file says."""
        return self.run("--decrypt", data=data)


@contextmanager
def home() -> Iterator[Gpg]:
    """A home with a short path, for the agent's socket, and no agent left when it is over."""
    if shutil.which("gpg") is None and not apt_install("gnupg"):
        give_up("gpg", "it is not on PATH, and cannot be installed")
    with tempfile.TemporaryDirectory(prefix="gpg-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Gpg(Path(folder))
        subprocess.run(["gpgconf", "--homedir", folder, "--kill", "all"], check=False)
