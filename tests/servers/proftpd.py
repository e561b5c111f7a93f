"""A real ProFTPD of one's own: it demands TLS, and that data channels take up the control connection's TLS session.

Its packages are unpacked, not installed. What is in the user's folder is the test's business.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.missing import apt_download, give_up

USER = "outgate"
PASSWORD = "ftp-p@ss/word"
UNPRIVILEGED = 65534
START_SECONDS = 30
CACHE = Path(__file__).parents[2] / ".cache" / "debs"
LIBRARIES = ("libhiredis0.14", "libmemcached11", "libmemcachedutil2", "libhashkit2", "libpcre2-posix3")
PACKAGES = ("proftpd-core", "proftpd-mod-crypto", *LIBRARIES)
CONFIG = """\
ServerName test
ServerType standalone
DefaultServer on
DefaultAddress 127.0.0.1
UseIPv6 off
Port {port}
User nobody
Group nogroup
ModulePath {home}/root/usr/lib/proftpd
LoadModule mod_tls.c
LoadModule mod_digest.c
ControlsEngine off
PidFile {home}/pid
ScoreboardFile {home}/scoreboard
DelayTable none
SystemLog {home}/log
TransferLog none
WtmpLog off
AuthOrder mod_auth_file.c
AuthUserFile {home}/users
RequireValidShell off
UseReverseDNS off
AllowOverwrite on
MaxInstances 100
TLSEngine on
TLSRequired on
TLSProtocol TLSv1.2 TLSv1.3
TLSRSACertificateFile {certificate}.crt
TLSRSACertificateKeyFile {certificate}.key
TLSLog {home}/tls.log
{options}
"""


@dataclass(frozen=True)
class FTPServer:
    """A running server: where it listens, the certificate to verify it by, and the folder of its one user."""

    port: int
    folder: Path
    certificate: Path | None = None
    host: str = "localhost"
    user: str = USER
    password: str = PASSWORD

    @property
    def secret(self) -> Path:
        """A file with the password."""
        path = self.folder.parent / "password"
        path.write_text(self.password)
        return path


def own(path: Path) -> None:
    """Give a path to the user that servers run as."""
    if os.geteuid() == 0:
        os.chown(path, UNPRIVILEGED, UNPRIVILEGED)


def certificate(home: Path, names: str) -> Path:
    """A self-made certificate and its key, `.crt` and `.key`; the path without the ending."""
    stem = home / "server"
    command = ("openssl", "req", "-x509", "-days", "3", "-subj", "/CN=localhost", "-addext", f"subjectAltName={names}")
    key = ("-newkey", "rsa:2048", "-nodes", "-keyout", f"{stem}.key", "-out", f"{stem}.crt")
    subprocess.run((*command, *key), capture_output=True, check=True)
    for ending in ("key", "crt"):
        own(Path(f"{stem}.{ending}"))
    return stem


@contextmanager
def running_proftpd(
    *options: str, names: str = "DNS:localhost,IP:127.0.0.1", alter: Callable[[Path], None] = lambda _: None
) -> Iterator[FTPServer]:
    """Start a server in a temporary folder and stop it at the end.

    `options` are more lines of its configuration, `names` what its certificate is for, `alter` may change that.
    """
    if not apt_download(CACHE, *PACKAGES):
        give_up("ProFTPD", "apt-get cannot download proftpd-core and proftpd-mod-crypto")
    home = Path(tempfile.mkdtemp(prefix="outgate-proftpd-"))
    try:
        for package in PACKAGES:
            [deb, *_] = sorted(CACHE.glob(f"{package}_*.deb"))
            subprocess.run(("dpkg", "-x", deb, home / "root"), capture_output=True, check=True)
        stem = certificate(home, names)
        alter(stem)
        with _serving(home, options, stem) as server:
            yield server
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _serving(home: Path, options: tuple[str, ...], stem: Path) -> Iterator[FTPServer]:
    hashed = subprocess.run(("openssl", "passwd", "-6", PASSWORD), capture_output=True, text=True, check=True).stdout
    folder, users = home / "files", home / "users"
    folder.mkdir()
    users.write_text(f"{USER}:{hashed.strip()}:{UNPRIVILEGED}:{UNPRIVILEGED}::{folder}:/bin/sh\n")
    users.chmod(0o600)
    for path in (home, folder, users):
        own(path)
    process, port = _started(home, options, stem)
    try:
        yield FTPServer(port, folder, Path(f"{stem}.crt"))
    finally:
        process.terminate()
        process.wait()


def _started(home: Path, options: tuple[str, ...], stem: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start on a free port; another process may take it between the look and the start, hence more than one try."""
    libraries = home / "root/usr/lib/x86_64-linux-gnu"
    for _ in range(3):
        port = free_port()
        config = home / "proftpd.conf"
        config.write_text(CONFIG.format(home=home, port=port, certificate=stem, options="\n".join(options)))
        config.chmod(0o644)
        process: subprocess.Popen[bytes] = subprocess.Popen(
            (home / "root/usr/sbin/proftpd", "-n", "-q", "-c", config),
            env={"LD_LIBRARY_PATH": str(libraries), "PATH": os.environ["PATH"]},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **_who(),
        )
        if answers(port, process):
            return process, port
        process.kill()
        process.wait()
    raise RuntimeError(f"ProFTPD did not start: {(home / 'log').read_text(errors='replace')[-2000:]}")


def answers(port: int, process: subprocess.Popen[bytes] | None = None) -> bool:
    """Whether something listens there before long."""
    ends = time.monotonic() + START_SECONDS
    while time.monotonic() < ends and (process is None or process.poll() is None):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return True
    return False


def free_port() -> int:
    """A port that nobody has just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _who() -> dict[str, Any]:
    nobody = {"user": UNPRIVILEGED, "group": UNPRIVILEGED, "extra_groups": []}
    return nobody if os.geteuid() == 0 else {}
