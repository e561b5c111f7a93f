"""An SSH server that lets nobody in and writes down what it was given to get in with: what a wrong server would learn.

Unlike sshd it can also answer logins as some partners do, by questions (keyboard-interactive) only.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import paramiko


class Recorder(paramiko.ServerInterface):  # type: ignore[misc]  # the library ships no types
    """What clients offered, in their order; `questions` has only these asked, `right` answered lets a client in."""

    def __init__(self, *, questions: bool = False, right: str = "") -> None:
        self.offered: list[str] = []
        self.port = 0
        self.host_key = ""
        self.questions, self.right = questions, right

    def get_allowed_auths(self, username: str) -> str:
        """What may be tried."""
        self.offered.append(username)
        return "keyboard-interactive" if self.questions else "password,publickey"

    def check_auth_none(self, username: str) -> int:
        """Nothing is enough."""
        self.offered.append(username)
        return int(paramiko.AUTH_FAILED)

    def check_auth_password(self, username: str, password: str) -> int:
        """A password."""
        self.offered += [username, password]
        return int(paramiko.AUTH_FAILED)

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        """A key."""
        self.offered += [username, key.get_base64()]
        return int(paramiko.AUTH_FAILED)

    def check_auth_interactive(self, username: str, submethods: str) -> paramiko.InteractiveQuery:
        """One question."""
        self.offered += [username, submethods]
        return paramiko.InteractiveQuery("", "", ("Password:", False))

    def check_auth_interactive_response(self, responses: list[str]) -> int:
        """The answer to it."""
        self.offered += responses
        return int(paramiko.AUTH_SUCCESSFUL if responses == [self.right] else paramiko.AUTH_FAILED)


@contextmanager
def recording(recorder: Recorder) -> Iterator[Recorder]:
    """Listen on a free port until the end."""
    key = paramiko.RSAKey.generate(2048)
    recorder.host_key = f"{key.get_name()} {key.get_base64()}"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        recorder.port = listening.getsockname()[1]
        threading.Thread(target=_serve, args=(listening, key, recorder), daemon=True).start()
        yield recorder
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)


def _serve(listening: socket.socket, key: paramiko.PKey, recorder: Recorder) -> None:
    lines = []
    with suppress(OSError):
        while True:
            line, _ = listening.accept()
            transport = paramiko.Transport(line)
            transport.set_log_channel("outgate.recorder")
            transport.add_server_key(key)
            with suppress(EOFError, paramiko.SSHException):
                transport.start_server(server=recorder)
            lines.append(transport)
    for transport in lines:
        transport.close()
