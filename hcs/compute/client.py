"""Dask clients for every kind of cluster: local, existing, GPU-pinned, SLURM, Kubernetes."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

from hcs.compute.budget import GIB, machine_memory_bytes
from hcs.compute.identity import check_workers
from hcs.compute.workers import read_workers
from hcs.domain.config import stages as config
from hcs.errors import InputError, MissingExtraError, NotFoundError

if TYPE_CHECKING:
    from distributed import Client

log = logging.getLogger(__name__)

GPU: Final = "GPU"
"""Name of the Dask resource that a GPU-pinned worker advertises."""

_TENSORFLOW_WORKER_GIB: Final = 2.0
"""A worker with VGG-16 loaded holds about 1 GiB; the rest is for batches."""

_READ_AT_START: Final = ("MALLOC_", "OMP_", "MKL_", "OPENBLAS_")

_LOOPBACK: Final = "127.0.0.1"


def worker_environment(threads: int) -> dict[str, str]:
    """Environment of a worker process: threads that do not fight, a quiet TensorFlow."""
    return {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "TF_NUM_INTEROP_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "PYTHONWARNINGS": "ignore",
        # Dask's own MALLOC_TRIM_THRESHOLD_=65536 makes every array a fresh mapping: six fields
        # measured took 248,000 page faults and 0.55 s of system time, with these 1,200 and 0.01 s.
        "MALLOC_TRIM_THRESHOLD_": str(256 * 1024**2),
        "MALLOC_MMAP_THRESHOLD_": str(32 * 1024**2),
    }


@contextmanager
def open_client(cluster: config.Cluster) -> Iterator[Client | None]:
    """Open a client for the block, and close what was started for it.

    The workers that are there must run the code of this process; those that come later are asked
    when they come (:mod:`hcs.compute.units`).

    Yields
    ------
    distributed.Client or None
        None for :class:`~hcs.domain.config.stages.InlineCluster`: work then runs in this process.

    Raises
    ------
    NotFoundError
        When no scheduler answers.
    VersionError
        When a worker runs another hcs, or has none.
    """
    if isinstance(cluster, config.InlineCluster):
        yield None
        return
    _quiet()
    from distributed import Client

    with ExitStack() as stack:
        if isinstance(cluster, config.ExistingCluster):
            try:
                client = stack.enter_context(Client(cluster.address, timeout="5s"))
            except (OSError, TimeoutError) as error:
                msg = f"no Dask scheduler answers at {cluster.address}: {error}"
                raise NotFoundError(msg) from error
            except ValueError as error:
                msg = (
                    f"{cluster.address} is no address of a scheduler ({error}): it is written as "
                    "tcp://HOST:PORT"
                )
                raise InputError(msg) from error
            except TypeError as error:  # Dask's way to say that TLS has no certificates
                msg = (
                    f"{cluster.address} needs certificates: name them in Dask's configuration "
                    f"(distributed.comm.tls, or DASK_DISTRIBUTED__COMM__TLS__…): {error}"
                )
                raise InputError(msg) from error
        else:
            started = stack.enter_context(_start(cluster))
            client = stack.enter_context(Client(started))
            client.register_worker_callbacks(setup=_hush)
        check_workers(client, client.nthreads())
        yield client


def has_gpus(client: Client | None) -> bool:
    """Whether some worker advertises the resource ``GPU``; waits until there is a worker."""
    if client is None:
        return False
    workers = read_workers(client).values()
    return any(worker.get("resources", {}).get(GPU, 0) >= 1 for worker in workers)


def network_resources(client: Client | None) -> dict[str, float]:
    """Resources that a network task asks for: one GPU where the cluster has any."""
    return {GPU: 1.0} if has_gpus(client) else {}


def _quiet() -> None:
    import dask

    dask.config.set(
        {
            "distributed.worker.profile.enabled": False,
            "distributed.admin.large-graph-warning-threshold": "100MiB",
            "distributed.scheduler.worker-saturation": 1.1,
        }
    )
    _hush(logging.ERROR)


def _hush(level: int = logging.CRITICAL) -> None:
    """Keep Dask's own log from the screen.

    On workers all of it: they would print a traceback for every unit that fails, which reaches the
    user as one error, and for every heartbeat that is lost when a run ends early.
    """
    for name in ("distributed", "distributed.worker", "distributed.nanny", "distributed.scheduler"):
        logging.getLogger(name).setLevel(level)


def local_size(cluster: config.LocalCluster) -> tuple[int, int, float]:
    """Workers, threads a worker, GiB a worker that fit this machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory_gib = machine_memory_bytes() / GIB
    threads = cluster.threads_per_worker
    by_cores = max(1, (cores or 1) // threads)
    by_memory = max(1, int(memory_gib * 0.9 // _TENSORFLOW_WORKER_GIB))
    n_workers = cluster.n_workers or min(by_cores, by_memory)
    gib = cluster.memory_gib_per_worker or memory_gib * 0.9 / n_workers
    return n_workers, threads, gib


@contextmanager
def _set_before_spawning(environment: dict[str, str]) -> Iterator[None]:
    """Let workers be born with what the C library reads when a process starts.

    Dask's ``env=`` sets variables once a worker runs: too late for the memory allocator, whose
    default of Dask costs 20,642 page faults where ours costs 1,542 (40 arrays of 8 MB). Dask puts
    these variables into its own process to pass them on, and what stands there, as after another
    cluster of this process, wins over its configuration; so they are set there and taken back.
    """
    import dask

    early = {name: text for name, text in environment.items() if name.startswith(_READ_AT_START)}
    before = {name: os.environ.get(name) for name in early}
    try:
        os.environ.update(early)
        with dask.config.set({"distributed.nanny.pre-spawn-environ": early}):
            yield
    finally:
        for name, text in before.items():
            os.environ.pop(name, None)
            if text is not None:
                os.environ[name] = text


@contextmanager
def _start(cluster: config.Cluster) -> Iterator[Any]:
    if isinstance(cluster, config.LocalCluster):
        from distributed import LocalCluster

        n_workers, threads, gib = local_size(cluster)
        with _set_before_spawning(worker_environment(threads)):
            local = LocalCluster(
                n_workers=n_workers,
                threads_per_worker=threads,
                memory_limit=int(gib * GIB),
                processes=True,
                host=_LOOPBACK,
                dashboard_address=f"{_LOOPBACK}:0",
                worker_dashboard_address=None,
                env=worker_environment(threads),
            )
        with local as started:
            yield started
    elif isinstance(cluster, config.GpuCluster):
        with _gpu_cluster(cluster) as started:
            yield started
    elif isinstance(cluster, config.SlurmCluster):
        with _slurm_cluster(cluster) as started:
            yield started
    elif isinstance(cluster, config.KubernetesCluster):
        with _kubernetes_cluster(cluster) as started:
            yield started
    else:
        msg = f"cannot start a cluster of kind {cluster.kind!r}"
        raise InputError(msg)


def visible_devices() -> tuple[int, ...]:
    """GPUs that this process may use, from ``CUDA_VISIBLE_DEVICES`` or the driver's list."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return tuple(int(part) for part in named.split(",") if part.strip().isdigit())
    from pathlib import Path

    found = sorted(Path("/proc/driver/nvidia/gpus").glob("*"))
    return tuple(range(len(found)))


def gpu_workers(cluster: config.GpuCluster, n_cpu: int, gib: float) -> dict[Any, dict[str, Any]]:
    """Worker specifications: one single-threaded process a GPU, CPU workers beside them."""
    from distributed import Nanny

    devices = visible_devices() if cluster.devices is None else cluster.devices
    if not devices:
        msg = "no GPU found; use --cluster local, or name the devices in the cluster section"
        raise NotFoundError(msg)
    shared = {"nthreads": 1, "memory_limit": int(gib * GIB), "dashboard": False}
    workers: dict[Any, dict[str, Any]] = {}
    for device in devices:
        env = {**worker_environment(1), "CUDA_VISIBLE_DEVICES": str(device)}
        workers[f"gpu-{device}"] = {
            "cls": Nanny,
            "options": {**shared, "resources": {GPU: 1}, "env": env},
        }
    for index in range(n_cpu):
        env = {**worker_environment(1), "CUDA_VISIBLE_DEVICES": "-1"}
        workers[f"cpu-{index}"] = {"cls": Nanny, "options": {**shared, "env": env}}
    return workers


@contextmanager
def _gpu_cluster(cluster: config.GpuCluster) -> Iterator[Any]:
    from distributed import Scheduler, SpecCluster

    cpus, _, gib = local_size(config.LocalCluster())
    n_cpu = cluster.n_cpu_workers or cpus
    workers = gpu_workers(cluster, n_cpu, gib * cpus / (n_cpu + 1))
    scheduler = {
        "cls": Scheduler,
        "options": {"host": _LOOPBACK, "dashboard_address": f"{_LOOPBACK}:0"},
    }
    with SpecCluster(workers=workers, scheduler=scheduler) as started:
        yield started


@contextmanager
def _slurm_cluster(cluster: config.SlurmCluster) -> Iterator[Any]:
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        msg = "SLURM needs the extra: pip install 'hcs[slurm]'"
        raise MissingExtraError(msg) from error
    gpus = cluster.gpus_per_job
    with SLURMCluster(
        queue=cluster.queue,
        cores=cluster.cores,
        processes=gpus or cluster.cores,
        memory=f"{cluster.memory_gib}GiB",
        walltime=cluster.walltime,
        job_extra_directives=[f"--gpus={gpus}"] if gpus else [],
        worker_extra_args=["--resources", f"{GPU}=1"] if gpus else [],
    ) as started:
        started.scale(jobs=cluster.n_jobs)
        yield started


@contextmanager
def _kubernetes_cluster(cluster: config.KubernetesCluster) -> Iterator[Any]:
    try:
        from dask_kubernetes.operator import KubeCluster
    except ImportError as error:
        msg = "Kubernetes needs the extra: pip install 'hcs[kubernetes]'"
        raise MissingExtraError(msg) from error
    with KubeCluster(
        name="hcs",
        image=cluster.image,
        n_workers=cluster.n_workers,
        namespace=cluster.namespace,
        env=worker_environment(1),
    ) as started:
        yield started
