"""The stores under test, each with the partner's own view of it, which owes nothing to the store's code.

A new store is one function in a file beside this one and one line in SHELVES; what every store must do is in
test_conformance.py.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from tests.resources.stores.shelf import Shelf, Shelves, local
from tests.resources.stores.shelf_cloud import azure, gcs
from tests.resources.stores.shelf_s3 import s3
from tests.resources.stores.shelf_served import proftpd, pyftpd, sftp
from tests.servers.azurite import running_azurite
from tests.servers.gcs import gcs_process
from tests.servers.proftpd import running_proftpd
from tests.servers.pyftpd import running_pyftpd
from tests.servers.seaweed import running_seaweed
from tests.servers.sshd import running_sshd

__all__ = ["SERVERS", "SHELVES", "Shelf"]

SHELVES: dict[str, Shelves] = {
    "local": local,
    "s3": s3,
    "gcs": gcs,
    "azure": azure,
    "sftp": sftp,
    "ftps": proftpd,
    "ftp": pyftpd,
}
"""Every store, by its name in the tests."""
SERVERS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "azurite": running_azurite,
    "gcs_server": gcs_process,
    "proftpd_server": running_proftpd,
    "pyftpd_server": running_pyftpd,
    "seaweed_server": running_seaweed,
    "sshd": running_sshd,
}
"""How the servers that shelves ask for by fixture are started where there is no pytest."""
