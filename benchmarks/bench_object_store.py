"""Which client Zarr should use for S3: s3fs or obstore, side by side against one local server.

    python -m benchmarks.bench_object_store [--fields 24] [--rounds 3]

Both write the same fields of 2 × 1024² uint16 (one shard a level, two levels) through zarr-python
and read them back plane by plane, in turns. The server is moto on this machine, which is slower
than Amazon's and has no distance: only the ratio within a run is worth anything.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import zarr
from upath import UPath
from zarr.abc.store import Store
from zarr.storage import FsspecStore

from benchmarks._table import report
from hcs.domain import ngff
from hcs.io.files import objects
from hcs.io.plates import shards

SIDE = 1024
BUCKET = "bench"


@contextlib.contextmanager
def server() -> Iterator[None]:
    """Start moto's S3 server on a free port and point this process at it."""
    with contextlib.closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with contextlib.closing(socket.socket()) as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        os.environ |= {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        yield
    finally:
        started.terminate()
        started.wait()


def write(store: Store, image: np.ndarray, fields: int) -> None:
    for number in range(fields):
        group = zarr.create_group(store, path=f"A/1/{number}", overwrite=True, zarr_format=3)
        for index, level in enumerate(ngff.pyramid(image.shape, 2)):
            array = group.create_array(
                str(index),
                shape=level.shape,
                dtype=image.dtype,
                chunks=level.chunks,
                shards=level.shards,
                compressors=shards.codec(image.dtype.name),
            )
            array[...] = image[:, :: level.factor, :: level.factor]


def read(store: Store, image: np.ndarray, fields: int) -> None:
    root = zarr.open_group(store, mode="r")
    for number in range(fields):
        for channel in range(2):
            plane: Any = root[f"A/1/{number}/0"]
            if not np.array_equal(plane[channel], image[channel]):
                msg = f"field {number} came back otherwise"
                raise RuntimeError(msg)


def seconds(act: Callable[..., None], *arguments: object) -> float:
    started = time.perf_counter()
    act(*arguments)
    return time.perf_counter() - started


def main() -> None:
    """Measure in turns and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fields", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    image = np.random.default_rng(0).normal(300, 15, (2, SIDE, SIDE)).astype(np.uint16)
    taken: dict[tuple[str, str], list[float]] = {}
    with server():
        UPath(f"s3://{BUCKET}").mkdir()
        for turn in range(asked.rounds):
            address = UPath(f"s3://{BUCKET}/turn{turn}")
            clients = {
                "s3fs": lambda path: FsspecStore.from_url(str(path)),
                "obstore": lambda path: objects.open_store(path, read_only=False),
            }
            for name, opened in clients.items():
                store = opened(address / f"{name}.zarr")
                for act in (write, read):
                    spent = seconds(act, store, image, asked.fields)
                    taken.setdefault((name, act.__name__), []).append(spent)
    mib = image.nbytes * asked.fields / 2**20
    median = {key: float(np.median(times)) for key, times in taken.items()}
    rows = [
        {
            "client": name,
            "write MiB/s": mib / median[name, "write"],
            "read MiB/s": mib / median[name, "read"],
            "write, times s3fs": median["s3fs", "write"] / median[name, "write"],
            "read, times s3fs": median["s3fs", "read"] / median[name, "read"],
        }
        for name in ("s3fs", "obstore")
    ]
    report("bench_object_store", rows, [f"{asked.fields} fields, median of {asked.rounds} rounds"])


if __name__ == "__main__":
    main()
