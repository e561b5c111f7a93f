"""Named points at which a test may end, stop or fail the process. In production `reach` is one comparison.

Only the mechanism belongs here. The names are written where the code passes them, and the harness under tests/
collects them.
"""

from __future__ import annotations

from collections.abc import Callable

_hook: Callable[[str], None] | None = None


def reach(name: str) -> None:
    """Tell the installed hook, if any, that the process is at `name`."""
    if _hook is not None:
        _hook(name)


def install(hook: Callable[[str], None] | None) -> None:
    """Install the hook of a test; None takes it away."""
    global _hook  # noqa: PLW0603  (one process, one hook: the point of the file)
    _hook = hook
