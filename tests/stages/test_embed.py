"""``hcs embed``: views computed across images and shards are those of each image alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hcs.domain import columns as col
from hcs.domain.config.stages import Augmentation, Backbone, EmbedConfig
from hcs.errors import ImageReadError, InputError
from hcs.io import imageset, imagewriting
from hcs.io import stack as io_stack
from hcs.io.bank import open_bank
from hcs.learn.network import augment
from hcs.learn.network.backbone import load_embedder
from hcs.learn.network.weights import random_array, resolve_weights
from hcs.stages import embed
from hcs.stages.frame import Frame

PX, VIEWS, N = 32, 2, 11
BASE = Backbone(weights="random")


@pytest.fixture
def stack(tmp_path):
    """Write a stack of noise, one image a well."""
    images = np.random.default_rng(0).integers(0, 255, (N, PX, PX), dtype=np.uint8)
    frame = pd.DataFrame(
        {
            col.PLATE: "P1", col.WELL: [f"A{i + 1:02d}" for i in range(N)], col.SITE: 0,
            col.CLONE: "C1", col.FINGERPRINT: [f"f{i}" for i in range(N)], imageset.VALID: True,
        }
    )  # fmt: skip
    path = tmp_path / "stack.zarr"
    imagewriting.write_images(path, io_stack.layout(PX, 4), frame, images, {})
    return path, images


def config_of(stack, out, **more):
    settings = {"views": VIEWS, "backbone": BASE, "batch_images": 4, "seed": 5} | more
    return EmbedConfig(stack=str(stack), out=str(out), **settings)


def small_shards(monkeypatch, parts_wanted):
    monkeypatch.setattr(embed, "_SHARD_BYTES", 2 * (1 + VIEWS) * 512 * 2)  # two images a shard
    monkeypatch.setattr(embed, "_PARTS_WANTED", parts_wanted)


def test_the_bank_is_what_each_image_gives_alone(stack, tmp_path, monkeypatch):
    path, images = stack
    small_shards(monkeypatch, parts_wanted=2)  # tasks of three shards, the last one not full
    result = embed.run(config_of(path, tmp_path / "bank.zarr"))
    bank = open_bank(tmp_path / "bank.zarr")
    assert bank.array("P1").shards[0] == 2
    assert result.n_run == 6
    embedder = load_embedder(BASE, PX, 4, resolve_weights(BASE).fingerprint)
    names = [embed.name_image("P1", f"A{i + 1:02d}", 0) for i in range(N)]
    matrices = augment.view_parameters(Augmentation(), 5, names, range(1 + VIEWS))
    for index, image in enumerate(images):
        views = augment.apply_views(np.repeat(image[None], 1 + VIEWS, axis=0), matrices[index])
        expected = embedder.features(views).astype(np.float16)
        np.testing.assert_array_equal(bank.read(index, index + 1)[0], expected)


def test_a_weights_file_replaced_in_a_live_process_gives_the_new_features(stack, tmp_path):
    path, _ = stack
    file = tmp_path / "weights.npz"
    base = Backbone(weights=str(file), layer="block1_conv1")
    found = []
    for number, seed in enumerate((1, 2, 1)):
        write_weights(file, seed)
        out = tmp_path / f"{number}.zarr"
        embed.run(config_of(path, out, backbone=base))
        found.append(open_bank(out).read(0, N))
    np.testing.assert_array_equal(found[0], found[2])
    assert not np.array_equal(found[0], found[1])


def test_a_worker_with_other_weights_than_planned_fails_the_unit(stack, tmp_path, monkeypatch):
    path, _ = stack
    file = tmp_path / "weights.npz"
    write_weights(file, 1)
    do = Frame.do

    def replace_before(*args, **kwargs):
        write_weights(file, 2)
        return do(*args, **kwargs)

    monkeypatch.setattr(Frame, "do", replace_before)
    base = Backbone(weights=str(file), layer="block1_conv1")
    with pytest.raises(Exception, match=r"weights\.npz.* expected sha256"):
        embed.run(config_of(path, tmp_path / "bank.zarr", backbone=base))


def write_weights(file, seed):
    kernel = random_array((3, 3, 3, 64), "kernel", seed, "block1_conv1")
    with file.open("wb") as opened:
        np.savez(opened, **{"block1_conv1/kernel": kernel, "block1_conv1/bias": np.zeros(64)})


def test_workers_with_several_threads_write_the_same_and_a_second_run_nothing(
    stack, tmp_path, monkeypatch
):
    path, _ = stack
    small_shards(monkeypatch, parts_wanted=99)
    embed.run(config_of(path, tmp_path / "one.zarr"))
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=1, threads_per_worker=3, processes=False, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        result = embed.run(config_of(path, tmp_path / "three.zarr"), client)
    assert result.n_run == 6
    one, three = (open_bank(tmp_path / f"{name}.zarr").read(0, N) for name in ("one", "three"))
    np.testing.assert_array_equal(one, three)
    again = embed.run(config_of(path, tmp_path / "three.zarr"))
    assert (again.n_run, again.n_skipped) == (0, 6)


def test_a_stack_that_cannot_be_read_fails_the_unit(stack, tmp_path):
    path, _ = stack
    for file in (path / "P1" / io_stack.IMAGES / "c").rglob("*"):
        if file.is_file():
            file.write_bytes(b"no shard")
    with pytest.raises(ImageReadError, match=r"P1/images/c/0/0/0 is damaged"):
        embed.run(config_of(path, tmp_path / "bank.zarr"))


def test_activations_beyond_half_precision_are_refused(stack, tmp_path, monkeypatch):
    path, _ = stack
    embedder = load_embedder(BASE, PX, 4, resolve_weights(BASE).fingerprint)
    monkeypatch.setattr(
        type(embedder), "features", lambda self, views: np.full((len(views), 512), 1e6, np.float32)
    )
    with pytest.raises(InputError, match="exceed half precision"):
        embed.run(config_of(path, tmp_path / "bank.zarr"))


@pytest.mark.parametrize(
    ("n_images", "n_views", "per_shard", "expected"),
    [
        pytest.param(6750, 5, 32, 128, id="several shards until 512 views"),
        pytest.param(6750, 65, 1, 8, id="one flattened image a shard"),
        pytest.param(144, 3, 32, 32, id="few images: one shard, so that all workers have some"),
        pytest.param(0, 3, 32, 32, id="none"),
    ],
)
def test_tasks_are_whole_shards_long_enough_to_fill_batches(n_images, n_views, per_shard, expected):
    assert embed.images_together(n_images, n_views, per_shard) == expected
