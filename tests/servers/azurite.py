"""Azurite, Microsoft's own stand-in for Azure Blob Storage: https with a self-made certificate, SAS, block lists.

It is installed once by npm into the repository's `.cache`. What is in its containers is the test's business.
"""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from azure.core.exceptions import AzureError
from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas

from tests.servers.missing import apt_install, give_up

VERSION = "3.35.0"
CACHE = Path(__file__).parents[2] / ".cache" / "azurite"
ACCOUNT = "acct"
START_SECONDS = 60


@dataclass(frozen=True)
class Azurite:
    """A running server: its account's address and key, and the certificate that a client may verify it by."""

    url: str
    key: str
    certificate: Path

    @property
    def service(self) -> BlobServiceClient:
        """The account's owner."""
        return BlobServiceClient(
            self.url,
            credential={"account_name": ACCOUNT, "account_key": self.key},
            connection_verify=str(self.certificate),
        )

    @property
    def connection_string(self) -> str:
        """What the portal shows under "Access keys"."""
        return f"AccountName={ACCOUNT};AccountKey={self.key};BlobEndpoint={self.url};"

    def sas(self, container: str, rights: str = "rcwdl", hours: float = 1, **settings: Any) -> str:
        """A SAS for a container, such as a partner hands out."""
        return generate_container_sas(
            ACCOUNT,
            container,
            account_key=self.key,
            permission=ContainerSasPermissions.from_string(rights),
            expiry=datetime.now(UTC) + timedelta(hours=hours),
            **settings,
        )


@contextmanager
def running_azurite() -> Iterator[Azurite]:
    """Start it on a free port, its data in a temporary folder, and stop it at the end."""
    program = _program()
    home = Path(tempfile.mkdtemp(prefix="outgate-azurite-"))
    try:
        names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
        key = ("-newkey", "rsa:2048", "-nodes", "-keyout", home / "key.pem", "-out", home / "cert.pem")
        subprocess.run(["openssl", "req", "-x509", "-days", "3", *names, *key], check=True, capture_output=True)
        server = Azurite(f"https://127.0.0.1:{_free_port()}/{ACCOUNT}", _key(), home / "cert.pem")
        process = _started(program, home, server)
        try:
            _wait(server, process)
            yield server
        finally:
            process.kill()
            process.wait()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _started(program: list[str], home: Path, server: Azurite) -> subprocess.Popen[bytes]:
    port = server.url.rpartition(":")[2].partition("/")[0]
    place = ["--location", str(home / "data"), "--blobHost", "127.0.0.1", "--blobPort", port]
    secure = ["--cert", str(home / "cert.pem"), "--key", str(home / "key.pem")]
    command = [*program, *place, *secure, "--skipApiVersionCheck", "--silent", "--disableTelemetry"]
    environment = os.environ | {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{server.key}"}
    with (home / "log").open("ab") as log:
        return subprocess.Popen(command, cwd=home, env=environment, stdout=log, stderr=log)


def _wait(server: Azurite, process: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + START_SECONDS
    while time.monotonic() < ends and process.poll() is None:
        try:
            with server.service as service:
                service.get_service_properties(retry_total=0)
        except AzureError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError("Azurite did not start")


def _program() -> list[str]:
    node = shutil.which("node") or (apt_install("nodejs", "npm") and shutil.which("node"))
    if not node:
        give_up("Azurite", "there is no node on PATH, and apt-get cannot install nodejs")
    main = CACHE / "node_modules/azurite/dist/src/blob/main.js"
    if not main.is_file():
        CACHE.mkdir(parents=True, exist_ok=True)
        npm = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(CACHE), f"azurite@{VERSION}"]
        subprocess.run(npm, check=False, capture_output=True)
    if not main.is_file():
        give_up("Azurite", f"npm cannot install azurite@{VERSION}")
    return [str(node), str(main)]


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(64)).decode()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
