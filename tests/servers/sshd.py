"""The machine's own OpenSSH as an SFTP server: its own host keys, `internal-sftp` only, logged in to by key or password.

As root it runs in a mount namespace of its own, where /etc/passwd and /etc/shadow know one account more: the machine's
accounts are not touched. Else it serves the user who runs the tests, by key only.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers.missing import apt_install, give_up

PASSWORD = "partner-p@ss/word"
PASSPHRASE = "opens the key"
UNPRIVILEGED = 65534
START_SECONDS = 20
FULL = 1 << 20
"""Bytes of the folder that is soon full (root only)."""

CONFIG = """
ListenAddress 127.0.0.1:{port}
HostKey {home}/host_ed25519
HostKey {home}/host_rsa
PidFile none
UsePAM no
StrictModes no
UseDNS no
AuthorizedKeysFile {home}/authorized
Subsystem sftp internal-sftp {subsystem}
ForceCommand internal-sftp {subsystem}
PasswordAuthentication {password}
KbdInteractiveAuthentication no
MaxStartups 100
LogLevel VERBOSE
{extra}
"""
MOUNT = """
mount --make-rprivate / &&
mount --bind {home}/passwd /etc/passwd && mount --bind {home}/shadow /etc/shadow &&
mkdir -p /run/sshd && mount -t tmpfs -o size={full},mode=777 none {home}/files/full &&
exec {sshd} -D -e -f {home}/config
"""


@dataclass(frozen=True)
class Sshd:
    """A running server: where it listens, whom it lets in, and the folder that its sessions begin in."""

    port: int
    home: Path
    pid: int
    host: str = "127.0.0.1"
    user: str = field(default_factory=lambda: "partner" if os.geteuid() == 0 else pwd.getpwuid(os.getuid()).pw_name)

    @property
    def files(self) -> Path:
        """What sessions see first."""
        return self.home / "files"

    def host_key(self, kind: str = "ed25519") -> str:
        """`ssh-ed25519 AAAA...`."""
        return " ".join((self.home / f"host_{kind}.pub").read_text().split()[:2])

    def fingerprint(self, kind: str = "ed25519") -> str:
        """As ssh-keygen says it."""
        said = subprocess.run(
            ["ssh-keygen", "-lf", self.home / f"host_{kind}.pub"], capture_output=True, text=True, check=True
        )
        return said.stdout.split()[1]

    def key(self, kind: str = "ed25519") -> Path:
        """The private key of an account that is let in: ed25519, ecdsa, rsa, and `locked` by PASSPHRASE."""
        return self.home / f"user_{kind}"

    def folder(self) -> Path:
        """A new folder that the account may write in."""
        made = self.files / uuid.uuid4().hex[:12]
        made.mkdir()
        if os.geteuid() == 0:
            os.chown(made, UNPRIVILEGED, UNPRIVILEGED)
        return made

    def declared(self, **settings: Any) -> dict[str, Any]:
        """The settings of a connector that may log in by key."""
        usual = {"host": self.host, "port": self.port, "user": self.user, "host_key": self.host_key()}
        return usual | {"private_key": {"file": str(self.key())}} | settings

    def sessions(self) -> list[int]:
        """The processes of the sessions that are open now."""
        return _below(self.pid)


def _below(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    return [each for child in map(int, found) for each in (child, *_below(child))]


@contextmanager
def running_sshd(extra: str = "", subsystem: str = "") -> Iterator[Sshd]:
    """Start a server and stop it at the end; `extra` are lines of its configuration, `subsystem` options of SFTP."""
    sshd = _binary()
    home = Path(tempfile.mkdtemp(prefix="outgate-sshd-"))
    home.chmod(0o755)
    try:
        _furnish(home)
        process, port = _started(sshd, home, extra, subsystem)
        try:
            yield Sshd(port, home, process.pid)
        finally:
            process.kill()
            process.wait()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _binary() -> str:
    found = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if found is None and apt_install("openssh-server"):
        found = shutil.which("sshd", path="/usr/sbin")
    if found is None:
        give_up("OpenSSH", "no sshd in /usr/sbin, and apt-get cannot install openssh-server")
    return found


def _furnish(home: Path) -> None:
    (home / "files").mkdir()
    (home / "files/full").mkdir()
    keys = [("host_ed25519", "ed25519", ""), ("host_rsa", "rsa", ""), ("user_ed25519", "ed25519", "")]
    keys += [("user_rsa", "rsa", ""), ("user_ecdsa", "ecdsa", ""), ("user_locked", "ed25519", PASSPHRASE)]
    bits = {"rsa": ["-b", "2048"]}
    for name, kind, passphrase in [*keys, ("stranger", "ed25519", "")]:
        command = ["ssh-keygen", "-q", "-t", kind, *bits.get(kind, []), "-N", passphrase, "-f", str(home / name)]
        subprocess.run(command, check=True, capture_output=True)
    allowed = [(home / f"{name}.pub").read_text() for name, *_ in keys if name.startswith("user_")]
    (home / "authorized").write_text("".join(allowed))
    if os.geteuid() == 0:
        hashed = subprocess.run(["openssl", "passwd", "-6", PASSWORD], capture_output=True, text=True, check=True)
        account = f"partner:x:{UNPRIVILEGED}:{UNPRIVILEGED}::{home}/files:/bin/sh\n"
        (home / "passwd").write_text(Path("/etc/passwd").read_text() + account)
        (home / "shadow").write_text(f"{Path('/etc/shadow').read_text()}partner:{hashed.stdout.strip()}:19000::::::\n")
        (home / "shadow").chmod(0o600)
        os.chown(home / "files", UNPRIVILEGED, UNPRIVILEGED)


def _started(sshd: str, home: Path, extra: str, subsystem: str) -> tuple[subprocess.Popen[bytes], int]:
    """Start on a free port; another process may take it between the look and the start, hence more than one try."""
    root = os.geteuid() == 0
    for _ in range(3):
        port = _free_port()
        values = {
            "port": port,
            "home": home,
            "extra": extra,
            "subsystem": subsystem,
            "password": "yes" if root else "no",
        }
        (home / "config").write_text(CONFIG.format(**values))
        command = [sshd, "-D", "-e", "-f", str(home / "config")]
        if root:
            command = ["unshare", "--mount", "sh", "-c", MOUNT.format(home=home, sshd=sshd, full=FULL)]
        with (home / "log").open("ab") as log:
            process: subprocess.Popen[bytes] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        if _answers(process, port):
            return process, port
        process.kill()
        process.wait()
    raise RuntimeError(f"sshd did not start: {(home / 'log').read_text(errors='replace')[-2000:]}")


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    ends = time.monotonic() + START_SECONDS
    while time.monotonic() < ends and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as line:
                if line.recv(4) == b"SSH-":
                    return True
        except OSError:
            time.sleep(0.05)
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
