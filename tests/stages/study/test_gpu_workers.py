"""Network tasks of embed, train and predict run on the workers that advertise a GPU, nowhere else.

No GPU is at hand: the workers are real processes that carry made-up device numbers.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from distributed import get_task_stream

from hcs.compute.client import open_client
from hcs.domain.config.stages import (
    Backbone,
    EmbedConfig,
    GpuCluster,
    Head,
    IngestConfig,
    PredictConfig,
    SplitsConfig,
    StackConfig,
    TrainConfig,
)
from hcs.stages import embed, ingest, predict, splits, stack, train


def _process() -> dict[str, object]:
    return {
        "device": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "growth": os.environ.get("TF_FORCE_GPU_ALLOW_GROWTH"),
        "network": "tensorflow" in sys.modules,
    }


@pytest.fixture
def prepared(source, tmp_path) -> Path:
    """Make a plate, its stack and its splits, without any worker."""
    plate = str(tmp_path / "P1.zarr")
    ingest.run(
        IngestConfig(
            source=str(source.images), out=plate, platemap=str(source.platemap), plate_name="P1"
        )
    )
    stack.run(StackConfig(plates=(plate,), out=str(tmp_path / "stack.zarr"), image_px=32))
    splits.run(
        SplitsConfig(
            plates=(plate,), out=str(tmp_path / "splits.json"), n_splits=8, train=3, validation=1,
            test=1,
        )
    )  # fmt: skip
    return tmp_path


def test_every_network_task_lands_on_a_gpu_worker(prepared, monkeypatch):
    monkeypatch.setattr(embed, "_SHARD_BYTES", 2 * 2 * 512 * 2)  # two images a shard: 12 tasks
    monkeypatch.setattr(embed, "_PICTURES_TOGETHER", 1)
    monkeypatch.setattr(predict, "_IMAGES_TOGETHER", 4)
    bank, models = str(prepared / "bank.zarr"), str(prepared / "models")
    with open_client(GpuCluster(devices=(0, 1), n_cpu_workers=1)) as client:
        client.wait_for_workers(3, timeout=60)
        device_of = {
            address: found["device"] for address, found in client.run(_process).items()
        }  # fmt: skip
        assert sorted(device_of.values()) == ["-1", "0", "1"]
        with get_task_stream(client) as tasks:
            embedded = embed.run(
                EmbedConfig(
                    stack=str(prepared / "stack.zarr"), out=bank, views=1, batch_images=4,
                    backbone=Backbone(weights="random"),
                ),
                client,
            )  # fmt: skip
            trained = train.run(
                TrainConfig(
                    bank=bank, splits=str(prepared / "splits.json"), out=models, epochs=1,
                    head=Head(hidden_units=4), heads_per_group=2,
                ),
                client,
            )  # fmt: skip
            predicted = predict.run(
                PredictConfig(
                    models=models, plates=(str(prepared / "P1.zarr"),),
                    out=str(prepared / "predictions.parquet"), batch_images=4,
                ),
                client,
            )  # fmt: skip
        after = client.run(_process)
    # Shards, heads and wells; two heads and two wells are one task.
    assert [embedded.n_run, trained.n_run, predicted.n_run] == [12, 8, 12]
    done = [task for task in tasks.data if task["key"].startswith("units-")]
    done.sort(key=lambda task: min(part["start"] for part in task["startstops"]))
    assert len(done) == 12 + 4 + 1 + 6
    del done[16]  # scores the study with the heads, which takes no network and any worker
    assert {device_of[task["worker"]] for task in done} == {"0", "1"}
    # Nothing else brought the network to the CPU worker either; memory grows from the start.
    assert {found["device"]: found["network"] for found in after.values()} == {
        "-1": False, "0": True, "1": True,
    }  # fmt: skip
    assert {found["growth"] for found in after.values()} == {"true"}
