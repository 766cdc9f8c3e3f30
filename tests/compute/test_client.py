"""Clusters: local ones that fit the machine, GPU-pinned ones, and clear refusals.

No GPU is at hand: pinning is shown with workers that carry made-up device numbers.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hcs.compute import budget
from hcs.compute.client import (
    GPU,
    has_gpus,
    local_size,
    network_resources,
    open_client,
    worker_environment,
)
from hcs.domain.config.stages import ExistingCluster, GpuCluster, InlineCluster, LocalCluster
from hcs.errors import MemoryBudgetError, NotFoundError


def _device() -> str:
    return os.environ.get("CUDA_VISIBLE_DEVICES", "")


def test_inline_has_no_client():
    with open_client(InlineCluster()) as client:
        assert client is None
    assert network_resources(None) == {}


def test_local_workers_listen_on_loopback_only(cluster):
    info = cluster.scheduler_info(n_workers=-1)
    addresses = [info["address"], *info["workers"]]
    assert all("127.0.0.1" in address for address in addresses)
    assert not has_gpus(cluster)


def test_local_cluster_fits_the_machine():
    n_workers, threads, gib = local_size(LocalCluster())
    assert n_workers >= 1
    assert threads == 1
    assert n_workers * gib * budget.GIB <= budget.machine_memory_bytes()


def test_an_existing_cluster_is_used_by_address(cluster):
    with open_client(ExistingCluster(address=cluster.scheduler.address)) as client:
        assert client.submit(sum, (1, 2)).result() == 3


def test_a_scheduler_that_does_not_answer_is_named():
    nowhere = ExistingCluster(address="tcp://127.0.0.1:9")
    with pytest.raises(NotFoundError, match=r"tcp://127\.0\.0\.1:9"), open_client(nowhere):
        pass


def test_network_tasks_land_on_gpu_workers_only():
    with open_client(GpuCluster(devices=(0, 1), n_cpu_workers=1)) as client:
        client.wait_for_workers(3, timeout=60)
        resources = network_resources(client)
        assert resources == {GPU: 1.0}
        futures = [client.submit(_device, pure=False, resources=resources) for _ in range(12)]
        assert set(client.gather(futures)) <= {"0", "1"}
        everyone = client.run(_device)
        assert sorted(everyone.values()) == ["-1", "0", "1"]


def test_gpu_cluster_without_gpus_is_refused(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(NotFoundError, match="no GPU found"), open_client(GpuCluster()):
        pass


def _environment() -> dict[str, str]:
    return dict(os.environ)


def test_workers_get_our_environment_not_only_dasks(cluster):
    wanted = worker_environment(1)
    for found in cluster.run(_environment).values():
        assert {name: found.get(name) for name in wanted} == wanted


def _environment_at_birth() -> bytes:
    return Path("/proc/self/environ").read_bytes()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux's /proc")
def test_workers_are_born_with_the_settings_of_the_memory_allocator(monkeypatch):
    """The C library reads them when a process starts; set later they do nothing."""
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "65536")  # as another cluster leaves it behind
    with open_client(LocalCluster(n_workers=1)) as client:
        (found,) = client.run(_environment_at_birth).values()
    settings = found.split(b"\0")
    assert b"MALLOC_TRIM_THRESHOLD_=268435456" in settings
    assert b"OMP_NUM_THREADS=1" in settings
    assert os.environ["MALLOC_TRIM_THRESHOLD_"] == "65536"


def test_a_step_that_cannot_fit_says_so(cluster):
    with pytest.raises(MemoryBudgetError, match=r"embed needs about 1024\.0 GiB"):
        budget.check_budget("embed", 1024 * budget.GIB, cluster, "use smaller batches")
