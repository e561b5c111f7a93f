"""The stores that are measured, each with its server and its contenders; and the measured process, one of them.

How they take turns and what is asked of them is in upload.py. A new store is one row of STORES.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OURS = "outgate"
Place = Mapping[str, str]
"""Where the server is and how one logs in, in the store's own words."""
Contender = Callable[[Place, Sequence[Path]], None]
"""Sends the files, each under its own name in a folder with the contender's name."""


@dataclass(frozen=True)
class Measurable:
    """A store to measure: its server, who contends, and how the partner reads what arrived."""

    server: Callable[[Path], AbstractContextManager[Place]]
    contenders: Mapping[str, Contender]
    get: Callable[[Place, str], bytes]


@contextmanager
def _seaweed(folder: Path) -> Iterator[Place]:
    from tests.servers.seaweed import BUCKET, KEY, SECRET, running_seaweed

    with running_seaweed(folder) as server:
        yield {"endpoint_url": server.url, "bucket": BUCKET, "key": KEY, "secret": SECRET}


def _s3(place: Place, files: Sequence[Path]) -> None:
    from resources.stores.s3 import S3
    from spec.secrets import FromEnv

    os.environ.update(OUTGATE_BENCH_KEY=place["key"], OUTGATE_BENCH_SECRET=place["secret"])
    keys = {"access_key_id": FromEnv(env="OUTGATE_BENCH_KEY"), "secret_access_key": FromEnv(env="OUTGATE_BENCH_SECRET")}
    store = S3(bucket=place["bucket"], endpoint_url=place["endpoint_url"], prefix=OURS, **keys)
    for file in files:
        store.publish(store.stage(file, file.name, "g1-f1"), file.name, None, file)
        store.stat(file.name)
    store.close()


def _client(place: Place, connections: int = 10) -> Any:
    import boto3
    from botocore.config import Config

    config = Config(s3={"addressing_style": "path"}, max_pool_connections=connections)
    keys = {"aws_access_key_id": place["key"], "aws_secret_access_key": place["secret"]}
    return boto3.client("s3", endpoint_url=place["endpoint_url"], region_name="us-east-1", config=config, **keys)


def _boto3(name: str, **tuned: int) -> Contender:
    def run(place: Place, files: Sequence[Path]) -> None:
        from boto3.s3.transfer import TransferConfig

        client = _client(place)
        for file in files:
            client.upload_file(str(file), place["bucket"], f"{name}/{file.name}", Config=TransferConfig(**tuned))

    return run


def _get(place: Place, name: str) -> bytes:
    data: bytes = _client(place).get_object(Bucket=place["bucket"], Key=name)["Body"].read()
    return data


def _tuned() -> dict[str, Contender]:
    names = {"boto3 as it comes": {}} | {
        f"boto3 16 MiB x {threads}": {"multipart_chunksize": 16 << 20, "max_concurrency": threads}
        for threads in (4, 10)
    }
    return {name: _boto3(name, **tuned) for name, tuned in names.items()}


STORES: Mapping[str, Measurable] = {
    "s3": Measurable(_seaweed, {OURS: _s3, **_tuned()}, _get),
}


def main() -> int:
    """`python -m bench.uploading STORE CONTENDER KEY=VALUE ... -- FILE ...`."""
    at = sys.argv.index("--")
    place = dict(word.split("=", 1) for word in sys.argv[3:at])
    STORES[sys.argv[1]].contenders[sys.argv[2]](place, [Path(file) for file in sys.argv[at + 1 :]])
    return 0


if __name__ == "__main__":
    sys.exit(main())
