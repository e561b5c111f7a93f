"""pyftpdlib in a thread: plain FTP, another server's listings and replies; each test may take commands away from it."""

from __future__ import annotations

import shutil
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.servers.proftpd import PASSWORD, USER, FTPServer

RIGHTS = "elradfmwMT"


@contextmanager
def running_pyftpd(without: tuple[str, ...] = (), rights: str = RIGHTS, **settings: Any) -> Iterator[FTPServer]:
    """Start a server in a temporary folder: `without` these commands, with these rights and settings of its handler."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it is written on asyncore
        from pyftpdlib.authorizers import DummyAuthorizer
        from pyftpdlib.handlers import FTPHandler
        from pyftpdlib.ioloop import IOLoop
        from pyftpdlib.servers import FTPServer as Listening
    home = Path(tempfile.mkdtemp(prefix="outgate-pyftpd-"))
    folder = home / "files"
    folder.mkdir()
    people = DummyAuthorizer()
    people.add_user(USER, PASSWORD, str(folder), perm=rights)
    commands = {name: said for name, said in FTPHandler.proto_cmds.items() if name not in without}
    kind = type("Handler", (FTPHandler,), {"authorizer": people, "proto_cmds": commands, **settings})
    loop = IOLoop()
    listening = Listening(("127.0.0.1", 0), kind, ioloop=loop)
    ended = threading.Event()
    thread = threading.Thread(target=_serve, args=(loop, ended))
    thread.start()
    try:
        yield FTPServer(listening.address[1], folder)
    finally:
        ended.set()
        thread.join()
        listening.close_all()
        shutil.rmtree(home, ignore_errors=True)


def _serve(loop: Any, ended: threading.Event) -> None:
    while not ended.is_set():
        loop.loop(timeout=0.05, blocking=False)
