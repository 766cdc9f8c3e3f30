"""Where work runs: a choice of clusters."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from hcs.domain.plate import Frozen


class LocalCluster(Frozen):
    """Worker processes on this machine; sizes left out are fitted to it."""

    kind: Literal["local"] = "local"
    n_workers: PositiveInt | None = None
    threads_per_worker: PositiveInt = 1
    memory_gib_per_worker: PositiveFloat | None = None


class InlineCluster(Frozen):
    """No workers: everything runs in the calling process, one unit after the other."""

    kind: Literal["inline"] = "inline"


class ExistingCluster(Frozen):
    """A running Dask scheduler."""

    kind: Literal["address"] = "address"
    address: Annotated[str, Field(pattern=r"^(tcp|tls|ws|wss|inproc|ucx)://")]


class GpuCluster(Frozen):
    """One worker process a GPU on this machine, beside CPU workers."""

    kind: Literal["gpu"] = "gpu"
    devices: tuple[int, ...] | None = None
    n_cpu_workers: PositiveInt | None = None


class SlurmCluster(Frozen):
    """Workers as SLURM jobs (needs the extra ``slurm``)."""

    kind: Literal["slurm"] = "slurm"
    n_jobs: PositiveInt = 1
    cores: PositiveInt = 8
    memory_gib: PositiveFloat = 32
    queue: str | None = None
    walltime: str = "04:00:00"
    gpus_per_job: Annotated[int, Field(ge=0)] = 0


class KubernetesCluster(Frozen):
    """Workers as pods (needs the extra ``kubernetes``)."""

    kind: Literal["kubernetes"] = "kubernetes"
    image: str
    n_workers: PositiveInt = 2
    namespace: str = "default"


Cluster = Annotated[
    LocalCluster | InlineCluster | ExistingCluster | GpuCluster | SlurmCluster | KubernetesCluster,
    Field(discriminator="kind"),
]
