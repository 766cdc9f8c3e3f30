"""What this machine has and lacks for a run, in words."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Final, Literal

import hcs
from hcs.compute.budget import GIB, machine_memory_bytes
from hcs.compute.client import local_size
from hcs.domain.config.stages import Backbone, LocalCluster
from hcs.domain.plate import Frozen
from hcs.errors import WeightsError
from hcs.learn.network import backbone
from hcs.learn.network.weights import resolve_weights

_PACKAGES: Final = ("tensorflow", "keras", "dask", "distributed", "zarr", "tifffile", "imagecodecs")
_LITTLE_MEMORY_GIB: Final = 4


class Check(Frozen):
    """One thing that was looked at; ``remedy`` is empty when nothing is to be done."""

    name: str
    state: Literal["ok", "note", "fault"]
    found: str
    remedy: str = ""


def examine() -> list[Check]:
    """Look at Python, packages, devices, cluster size, memory and weights."""
    python = f"{platform.python_version()} ({sys.executable})"
    checks = [
        Check(name="hcs", state="ok", found=hcs.__version__),
        Check(name="Python", state="ok", found=python),
    ]
    checks += [_package(name) for name in _PACKAGES]
    checks += [_devices(), _workers(), _memory(), _weights()]
    return checks


def _package(name: str) -> Check:
    try:
        return Check(name=name, state="ok", found=version(name))
    except PackageNotFoundError:
        return Check(name=name, state="fault", found="not installed", remedy=f"pip install {name}")


def _devices() -> Check:
    tensorflow = backbone.load_tensorflow()
    gpus = tensorflow.config.list_physical_devices("GPU")
    if gpus:
        names = ", ".join(device.name for device in gpus)
        return Check(name="devices", state="ok", found=f"{len(gpus)} GPUs: {names}")
    return Check(
        name="devices",
        state="note",
        found=f"no GPU; the network runs on {os.cpu_count()} processors",
        remedy="with an NVIDIA GPU: pip install 'hcs[gpu]'",
    )


def _workers() -> Check:
    n_workers, threads, gib = local_size(LocalCluster())
    found = f"{n_workers} workers × {threads} thread, {gib:.1f} GiB each"
    return Check(name="local cluster", state="ok", found=found)


def _memory() -> Check:
    gib = machine_memory_bytes() / GIB
    if gib < _LITTLE_MEMORY_GIB:
        remedy = "use small batches (--batch-images 4) or a cluster"
        return Check(name="memory", state="note", found=f"{gib:.1f} GiB", remedy=remedy)
    return Check(name="memory", state="ok", found=f"{gib:.1f} GiB")


def _weights() -> Check:
    try:
        found = resolve_weights(Backbone())
    except WeightsError as error:
        return Check(
            name="ImageNet weights",
            state="note",
            found="not here and not to be fetched",
            remedy=str(error),
        )
    return Check(name="ImageNet weights", state="ok", found=found.description)
