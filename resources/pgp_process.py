"""A program of its own: encrypts what comes on its standard input into a file, for the keys that come first.

The library holds Python's lock from a file's first byte to its last; in the process of a run, nothing else would happen
meanwhile, and the lease would be lost. Started by path, it needs nothing of Outgate. Which keys, is in pgp.py.
"""

from __future__ import annotations

import os
import sys

LENGTH = 8
"""Bytes, big-endian, that say how long the keys are that follow them."""


def main(target: str) -> str | None:
    """Read the keys, then encrypt the rest; returns what went wrong, in one line, or None."""
    from pysequoia import Cert, encrypt_file

    try:
        keys = _exactly(int.from_bytes(_exactly(LENGTH)))
        encrypt_file("/dev/stdin", target, recipients=Cert.split_bytes(keys), armor=False)
    except (OSError, RuntimeError) as error:
        return str(error).partition("\n")[0]
    return None


def _exactly(count: int) -> bytes:
    """So many bytes, and none of those after them."""
    data = b""
    while len(data) < count:
        more = os.read(0, count - len(data))
        if not more:
            raise OSError("the keys are cut short")
        data += more
    return data


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
