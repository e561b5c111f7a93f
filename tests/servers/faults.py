"""A bad line: a TCP relay in front of a server that delays, stalls, cuts, half-closes, or loses the answer.

Which connection suffers what, and at which byte, is told by a seed. After so many faults the line is good, so that
whoever tries again comes through in the end.
"""

from __future__ import annotations

import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from time import sleep

PIECE = 1 << 16
KINDS = ("cut", "half-closed", "stalled", "answer lost", "late", "slow")


@dataclass(frozen=True)
class Fault:
    """What happens to one connection once so many bytes went `up` (to the server) or down."""

    kind: str
    up: bool
    after: int


@dataclass
class Line:
    """A relay on `port`. `struck`: how often each fault came about."""

    target: tuple[str, int]
    seed: int
    most: int
    port: int = 0
    struck: Counter[str] = field(default_factory=Counter)

    def fault(self, number: int) -> Fault | None:
        """What the connection of that number suffers: nothing, every third time, and once the line is good."""
        chance = random.Random(f"{self.seed} {number}")
        if sum(self.struck.values()) >= self.most or chance.random() < 1 / 3:
            return None
        kind = chance.choice(KINDS)
        up = kind != "answer lost" and chance.random() < 0.5
        return Fault(kind, up, int(2 ** chance.uniform(0, 17)))


class _Connection:
    """One client and its way to the server."""

    def __init__(self, line: Line, client: socket.socket, fault: Fault | None) -> None:
        self._line, self._fault, self._over = line, fault, threading.Event()
        self._client, self._server = client, socket.create_connection(line.target)

    def run(self) -> None:
        """Relay both ways, each in a thread of its own, and close both ends when both have come to theirs."""
        ways = [threading.Thread(target=self._relay, args=(up,), daemon=True) for up in (True, False)]
        for way in ways:
            way.start()
        threading.Thread(target=self._close, args=(ways,), daemon=True).start()

    def _close(self, ways: list[threading.Thread]) -> None:
        for way in ways:
            way.join()
        self._client.close()
        self._server.close()

    def _relay(self, up: bool) -> None:
        source, target = (self._client, self._server) if up else (self._server, self._client)
        fault = self._fault if self._fault and self._fault.up == up else None
        left = fault.after if fault else None
        with suppress(OSError):
            while data := source.recv(PIECE if left is None else min(PIECE, max(left, 1))):
                if fault is not None and left is not None and len(data) >= left:
                    target.sendall(data[: left - 1])
                    if not self._strike(fault, target):
                        return
                    target.sendall(data[left - 1 :])
                    left = None
                else:
                    target.sendall(data)
                    left = left if left is None else left - len(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def _strike(self, fault: Fault, target: socket.socket) -> bool:
        """Let it happen; whether the connection goes on."""
        self._line.struck[fault.kind] += 1
        if fault.kind in {"late", "slow"}:
            sleep(0.3)
            return True
        if fault.kind == "half-closed":
            target.shutdown(socket.SHUT_WR)
        elif fault.kind == "stalled":
            self._over.wait(20)
        elif fault.kind == "answer lost":
            sleep(0.2)
        if fault.kind != "half-closed":
            self._cut()
        return False

    def _cut(self) -> None:
        """Reset both ends, as a firewall does."""
        self._over.set()
        for end in (self._client, self._server):
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RD)  # wakes the thread that reads it; a reset follows, not an end
            end.close()


@contextmanager
def bad_line(port: int, seed: int, most: int = 6, host: str = "127.0.0.1") -> Iterator[Line]:
    """A relay to a server of this machine, with at most so many faults."""
    line = Line((host, port), seed, most)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        line.port = listening.getsockname()[1]
        threading.Thread(target=_accept, args=(line, listening), daemon=True).start()
        yield line
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)


def _accept(line: Line, listening: socket.socket) -> None:
    number = 0
    with suppress(OSError):
        while True:
            client, _ = listening.accept()
            with suppress(OSError):
                _Connection(line, client, line.fault(number)).run()
            number += 1
