"""Where a run's time goes: functions wrapped from outside, each second counted once, for the innermost wrapped one.

Only the main thread is counted. Which functions belong to which purse is said in traced.py.
"""

from __future__ import annotations

import functools
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any


class Clock:
    """Purses of wall and CPU seconds, and how often each was entered. It runs from the moment it is made."""

    def __init__(self, first: str) -> None:
        self.wall: defaultdict[str, float] = defaultdict(float)
        self.cpu: defaultdict[str, float] = defaultdict(float)
        self.calls: Counter[str] = Counter()
        self._stack = [first]
        self._at = time.perf_counter(), time.process_time()

    def _turn(self) -> None:
        now = time.perf_counter(), time.process_time()
        purse = self._stack[-1]
        self.wall[purse] += now[0] - self._at[0]
        self.cpu[purse] += now[1] - self._at[1]
        self._at = now

    @contextmanager
    def purse(self, name: str) -> Iterator[None]:
        """Count what happens inside for `name`."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._turn()
        self._stack.append(name)
        self.calls[name] += 1
        try:
            yield
        finally:
            self._turn()
            self._stack.pop()

    def report(self) -> dict[str, dict[str, float]]:
        """By purse: seconds of wall and CPU, and calls."""
        self._turn()
        return {name: {"wall": self.wall[name], "cpu": self.cpu[name], "calls": self.calls[name]} for name in self.wall}

    def function(self, owner: Any, name: str, purse: str) -> None:
        """Count the calls of `owner.name`."""
        inner: Callable[..., Any] = getattr(owner, name)

        @functools.wraps(inner)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.purse(purse):
                return inner(*args, **kwargs)

        setattr(owner, name, timed)

    def generator(self, owner: Any, name: str, purse: str) -> None:
        """Count the steps of the generator that `owner.name` makes; what its consumer does between them is not."""
        inner: Callable[..., Iterator[Any]] = getattr(owner, name)

        @functools.wraps(inner)
        def timed(*args: Any, **kwargs: Any) -> Iterator[Any]:
            steps = inner(*args, **kwargs)
            while True:
                with self.purse(purse):
                    step = next(steps, None)
                if step is None:
                    return
                yield step

        setattr(owner, name, timed)

    def context(self, owner: Any, name: str, purse: str) -> None:
        """Count the beginning and the end of the context manager that `owner.name` makes, not what is inside."""
        inner: Callable[..., AbstractContextManager[Any]] = getattr(owner, name)

        @contextmanager
        def timed(*args: Any, **kwargs: Any) -> Iterator[Any]:
            with self.purse(purse):
                manager = inner(*args, **kwargs)
                value = manager.__enter__()
            try:
                yield value
            finally:
                with self.purse(purse):
                    manager.__exit__(None, None, None)

        setattr(owner, name, timed)
