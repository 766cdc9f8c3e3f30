"""``s3://`` sources and plates against a local S3 server: listing, retry, cuts, locks, refusals."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
import time
from functools import partial

import numpy as np
import pandas as pd
import pytest
import tifffile
from foreign_plates import Image, write_plate
from object_server import Fault, free_port, object_server
from small_plates import field, name_of
from typer.testing import CliRunner
from upath import UPath

from hcs.domain import columns as col
from hcs.domain.config.stages import ConvertConfig, FeaturesConfig, IngestConfig, StackConfig
from hcs.errors import InputError, LockedError, MissingExtraError, NotFoundError, StorageError
from hcs.io.files import objects, parquet
from hcs.io.layouts.listing import list_source
from hcs.io.plates.reader import PlateReader
from hcs.io.plates.validate import faults_of
from hcs.io.runs.locks import locked
from hcs.io.stack import open_stack
from hcs.stages import convert, features, ingest, stack
from hcs_cli.app import app

pytest.importorskip("s3fs")
pytest.importorskip("obstore")
pytest.importorskip("moto")

SETTINGS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture(scope="module")
def server():
    """Start the server, and point everything in this process at it."""
    import s3fs

    with pytest.MonkeyPatch.context() as patch, object_server() as proxy:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.server_port}")
        s3fs.S3FileSystem.clear_instance_cache()
        s3fs.S3FileSystem().mkdir("lab")
        yield proxy
        s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def bucket(server, request):
    """Return a folder of the bucket that no other test uses, with nothing going wrong yet."""
    server.faults.clear()
    server.failed.clear()
    server.requests.clear()
    yield f"s3://lab/{request.node.name.replace('[', '-').replace(']', '')}"
    server.faults.clear()


@pytest.fixture
def source(bucket):
    """Upload three wells with one field each, and their plate map."""
    folder = UPath(bucket) / "tiffs"
    lines = ["well,clone,donor,diagnosis,batch"]
    for column in range(1, 4):
        put_image(folder / name_of("A", column, 1), field(column))
        lines.append(f"A{column},C{column},D{column},{('ALS', 'control')[column % 2]},B1")
    (UPath(bucket) / "wells.csv").write_bytes(("\n".join(lines) + "\n").encode())
    return str(folder)


def put_image(path: UPath, image: np.ndarray) -> None:
    sink = io.BytesIO()
    tifffile.imwrite(sink, image)
    path.fs.pipe_file(path.path, sink.getvalue())


def config_of(source, bucket, **more):
    given = {
        "source": source, "out": f"{bucket}/P1.zarr", "plate_name": "P1", "plate_wells": 24,
        "platemap": f"{bucket}/wells.csv",
    }  # fmt: skip
    return IngestConfig.model_validate(given | more)


def test_from_an_s3_folder_to_an_s3_plate_and_on(source, bucket, tmp_path):
    result = ingest.run(config_of(source, bucket))
    assert (result.problems, result.n_run) == ((), 3)
    reader = PlateReader(result.out)
    np.testing.assert_array_equal(reader.read_plane("A/3/0", 0), field(3))
    assert reader.well_table[col.CLONE].tolist() == ["C1", "C2", "C3"]
    assert faults_of(result.out) == []
    shown = CliRunner().invoke(app, ["info", result.out, "--json"])
    assert json.loads(shown.stdout)["fields"] == 3
    again = ingest.run(config_of(source, bucket))
    assert (again.n_run, again.n_skipped) == (0, 3)
    out = str(tmp_path / "features.parquet")
    measured = features.run(FeaturesConfig(plates=(result.out,), out=out))
    assert measured.problems == ()
    assert reader.label_names("A/1/0") == ("soma", "neurites")
    stacked = stack.run(StackConfig(plates=(result.out,), out=f"{bucket}/stack.zarr", image_px=32))
    assert open_stack(stacked.out).n_images == 3


def test_only_changed_fields_are_written_again(source, bucket, server):
    out = ingest.run(config_of(source, bucket)).out
    time.sleep(1.1)  # S3 tells time in seconds
    put_image(UPath(source) / name_of("A", 2, 1), field(99, shape=(64, 64)))
    server.requests.clear()
    again = ingest.run(config_of(source, bucket))
    assert (again.n_run, again.n_skipped) == (1, 2)
    written = {
        line.split("P1.zarr/")[1] for line in server.requests if "PUT" in line and "/c/" in line
    }
    assert {path.rsplit("/c/")[0].rsplit("/", 1)[0] for path in written} == {"A/2/0"}
    np.testing.assert_array_equal(PlateReader(out).read_plane("A/2/0", 0), field(99))


def _take(environment):
    os.environ.update(environment)


def test_workers_write_to_s3_the_bytes_that_one_process_writes(source, bucket, cluster, server):
    here = {name: os.environ[name] for name in (*SETTINGS, "AWS_ENDPOINT_URL")}
    cluster.register_worker_callbacks(setup=partial(_take, here))  # also of workers to come
    alone = ingest.run(config_of(source, bucket)).out
    shared = ingest.run(config_of(source, bucket, out=f"{bucket}/P2.zarr"), cluster).out
    fs = UPath(alone).fs
    fs.invalidate_cache()
    one, other = (fs.cat(fs.find(UPath(plate).path)) for plate in (alone, shared))
    names = {path.split("P1.zarr/")[1]: data for path, data in one.items()}
    others = {path.split("P2.zarr/")[1]: data for path, data in other.items()}
    assert len(names) > 15
    names.pop("zarr.json"), others.pop("zarr.json")  # the time of the run
    assert names == others


def test_a_listing_of_several_pages_is_read_whole(bucket, server, monkeypatch):
    monkeypatch.setattr(server, "page_keys", 50)  # S3 has 1,000 a page
    names = {name_of("ABCDEFGH"[n % 8], 1 + n // 8 % 12, 1 + n // 96) for n in range(120)}
    folder = UPath(bucket) / "tiffs"
    folder.fs.pipe({f"{folder.path}/{name}": b"II*\0" for name in names})
    server.requests.clear()
    listing = list_source(str(folder))
    assert set(listing.images) == names
    assert sum("continuation-token" in line for line in server.requests) >= 2


@pytest.mark.parametrize(
    ("status", "method", "match"),
    [
        pytest.param(503, "GET", "A%20-%2002", id="read-image-503"),
        pytest.param(503, "PUT", "P1.zarr/A/2/0/0/c", id="write-shard-503"),
        pytest.param(500, "GET", "list-type=2", id="list-500"),
    ],
)
def test_a_server_that_fails_for_a_moment_is_asked_again(
    source, bucket, server, status, method, match
):
    server.faults.append(Fault(method, match, status))
    result = ingest.run(config_of(source, bucket))
    assert len(server.failed) == 1
    assert result.problems == ()
    np.testing.assert_array_equal(PlateReader(result.out).read_plane("A/2/0", 0), field(2))


def test_an_image_whose_transfer_breaks_off_is_read_again(source, bucket, server):
    server.faults.append(Fault("GET", "A%20-%2002", times=2))
    result = ingest.run(config_of(source, bucket))
    assert len(server.failed) == 2
    assert result.problems == ()
    np.testing.assert_array_equal(PlateReader(result.out).read_plane("A/2/0", 0), field(2))


def test_a_shard_whose_transfer_breaks_off_is_read_again(source, bucket, server):
    out = ingest.run(config_of(source, bucket)).out
    server.faults.append(Fault("GET", "P1.zarr/A/2/0/0/c", times=2))
    np.testing.assert_array_equal(PlateReader(out).read_plane("A/2/0", 0), field(2))
    assert len(server.failed) == 2


def test_an_unknown_bucket_is_said(server, tmp_path):
    with pytest.raises(NotFoundError, match="no bucket 'nowhere' at http"):
        ingest.run(IngestConfig(source="s3://nowhere/tiffs", out=str(tmp_path / "P.zarr")))
    with pytest.raises(NotFoundError, match="no bucket 'nowhere' at http"):
        _ = PlateReader("s3://nowhere/P.zarr").metadata
    with pytest.raises(NotFoundError, match="no bucket 'nowhere' at http"):
        ingest.run(IngestConfig(source=str(tmp_path), out="s3://nowhere/P.zarr"))


def test_refused_credentials_are_said(source, bucket, server):
    server.faults.append(Fault("*", "/", 403, times=1000))
    done = CliRunner().invoke(app, ["info", f"{bucket}/P1.zarr"])
    assert done.exit_code == 1
    assert "is refused" in done.stderr
    assert "AWS_PROFILE or the access keys" in done.stderr
    with pytest.raises(InputError, match="refused"):
        ingest.run(config_of(source, bucket))


def test_absent_keys_and_a_server_that_is_away_are_said(server, monkeypatch):
    import s3fs

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(InputError, match="no access keys are found; set AWS_PROFILE"):
        _ = PlateReader("s3://lab/P.zarr").metadata
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(InputError, match="does not answer: EndpointConnectionError"):
        _ = PlateReader("s3://lab/P.zarr").metadata
    s3fs.S3FileSystem.clear_instance_cache()


def test_a_folder_or_plate_that_is_not_there(bucket):
    with pytest.raises(NotFoundError, match="does not exist"):
        ingest.run(IngestConfig(source=f"{bucket}/nothing", out=f"{bucket}/P.zarr"))
    with pytest.raises(NotFoundError, match="does not exist"):
        _ = PlateReader(f"{bucket}/nothing.zarr").metadata


def test_a_missing_package_is_named(bucket, monkeypatch):
    objects._s3_store.cache_clear()
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'hcs\[s3\]'"):
        _ = PlateReader(f"{bucket}/P.zarr").metadata


# ── lock ────────────────────────────────────────────────────────────────────────────────────────


def test_two_runs_into_one_plate_at_a_time_are_refused(source, bucket):
    config = config_of(source, bucket)
    with locked(config.out), pytest.raises(LockedError, match=f"process {os.getpid()} on"):
        ingest.run(config)
    assert ingest.run(config).n_run == 3


def test_of_many_that_want_the_lock_one_gets_it(bucket):
    out, got, refused = f"{bucket}/P1.zarr", [], []
    ready, release = threading.Barrier(6), threading.Event()

    def want() -> None:
        ready.wait()
        try:
            with locked(out):
                got.append(1)
                release.wait(30)
        except LockedError:
            refused.append(1)
            if len(refused) == 5:
                release.set()

    threads = [threading.Thread(target=want) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), len(refused)) == (1, 5)


def test_the_lock_of_a_killed_run_is_taken_over(bucket, monkeypatch):
    lock = UPath(bucket) / "P1.zarr.hcs" / "lock"
    killed = {"token": "x", "process": 1, "machine": "gone", "renewed": time.time() - 121}
    lock.fs.pipe_file(lock.path, json.dumps(killed).encode())
    with (
        locked(f"{bucket}/P1.zarr"),
        pytest.raises(LockedError),
        locked(f"{bucket}/P1.zarr"),
    ):
        pass
    lock.fs.invalidate_cache()
    assert not lock.exists()


def test_a_lock_is_renewed_while_it_is_held(bucket, monkeypatch):
    monkeypatch.setattr(objects, "_BEAT_SECONDS", 0.05)
    lock = UPath(bucket) / "P1.zarr.hcs" / "lock"
    with locked(f"{bucket}/P1.zarr"):
        first = json.loads(lock.fs.cat_file(lock.path))["renewed"]
        deadline = time.monotonic() + 10
        while json.loads(lock.fs.cat_file(lock.path))["renewed"] == first:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_lost_answer_to_the_lock_is_no_lock_of_another(bucket, server):
    server.faults.append(Fault("PUT", "P1.zarr.hcs/lock"))
    with locked(f"{bucket}/P1.zarr"):
        assert len(server.failed) == 1


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_plate_of_another_program_is_read_from_the_store_and_written_there(
    bucket, tmp_path, version
):
    import s3fs

    images = {"0": Image(acquisition=0), "1": Image(acquisition=1, labels=("TOM20",))}
    source = write_plate(tmp_path / "in.zarr", {"A/1": images}, version=version)["A/1", "1"]
    s3fs.S3FileSystem().put(str(tmp_path / "in.zarr"), f"{bucket}/in.zarr", recursive=True)
    made = ingest.run(IngestConfig(source=f"{bucket}/in.zarr", out=f"{bucket}/P.zarr"))
    assert made.problems == ()
    reader = PlateReader(made.out)
    index = reader.channel_index("TOM20")
    np.testing.assert_array_equal(reader.read_plane("A/1/0", index), source[0, 0])
    out = f"{bucket}/old.zarr"
    assert convert.run(ConvertConfig(plate=made.out, out=out)).problems == ()
    np.testing.assert_array_equal(PlateReader(out).read_plane("A/1/0", index), source[0, 0])
    assert faults_of(out) == []


def read_arrays(plate):
    """Pixels of every level of every field and label, by path."""
    reader = PlateReader(str(plate))
    found = {}
    for path in reader.images[col.FIELD_PATH]:
        images = [path, *(f"{path}/labels/{name}" for name in reader.label_names(path))]
        for image in images:
            for level in range(reader.n_levels):
                found[f"{image}/{level}"] = reader.read_array(f"{image}/{level}")
    return found


def test_results_on_s3_are_those_on_disk(source, bucket, tmp_path):
    tables, stacks, pixels = [], [], []
    for place in (bucket, str(tmp_path)):
        plate = ingest.run(config_of(source, bucket, out=f"{place}/P1.zarr")).out
        measured = features.run(
            FeaturesConfig(plates=(plate,), out=f"{place}/features.parquet")
        ).out
        tables.append(parquet.read_table(measured))
        made = stack.run(StackConfig(plates=(plate,), out=f"{place}/stack.zarr", image_px=32)).out
        stacks.append(open_stack(made).read(0, 3))
        pixels.append(read_arrays(plate))
    assert len(pixels[0]) >= 9
    assert pixels[0].keys() == pixels[1].keys()
    for path, array in pixels[0].items():
        np.testing.assert_array_equal(array, pixels[1][path], err_msg=path)
    np.testing.assert_array_equal(*stacks)
    pd.testing.assert_frame_equal(*tables)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        pytest.param("gs://b/x.zarr", "gs://… is no place that hcs reads or writes", id="gs"),
        pytest.param("memory://x.zarr", "memory://… is no place that hcs", id="memory"),
        pytest.param("s3://", "s3:// names no place in a bucket", id="nothing"),
        pytest.param("s3://lab", "s3://lab names no place in a bucket", id="bucket-alone"),
        pytest.param("s3://lab/", "names no place in a bucket", id="bucket-with-slash"),
        pytest.param("s3://KEY:hunter2@lab/z.zarr", "access keys in an address", id="keys"),
    ],
)
def test_addresses_that_lead_nowhere_are_refused(tmp_path, address, told):
    tifffile.imwrite(tmp_path / name_of("A", 1, 1), field(1))
    for given in (
        ["ingest", str(tmp_path), address, "--cluster", "inline"],
        ["stack", str(tmp_path / "P.zarr"), "--out", address, "--cluster", "inline"],
    ):
        shown = CliRunner().invoke(app, given)
        assert shown.exit_code == 1
        assert told in " ".join(shown.stderr.split())
        assert "hunter2" not in shown.output


def test_sources_at_such_addresses_are_refused(tmp_path):
    for source, told in (("gs://b/tiffs", "gs://…"), ("s3://KEY:hunter2@lab/t", "access keys")):
        with pytest.raises(InputError, match=told) as caught:
            ingest.run(IngestConfig(source=source, out=str(tmp_path / "P.zarr"), plate_name="P"))
        assert "hunter2" not in str(caught.value)


def test_a_server_that_dies_is_the_reason_and_not_its_lock(tmp_path, monkeypatch):
    from botocore.exceptions import EndpointConnectionError

    lock = UPath("memory://dies/P1.zarr.hcs/lock")
    gone = EndpointConnectionError(endpoint_url="http://127.0.0.1:1")

    def fail(_):
        raise gone

    def hold_and_lose():
        with objects.plain_errors(str(tmp_path), "s3://lab/P.zarr"), objects.locked(lock, "P1"):
            monkeypatch.setattr(objects, "_content", fail)
            fail(None)

    with pytest.raises(StorageError, match=r"s3://lab/P\.zarr: .* run the same command again"):
        hold_and_lose()
    with pytest.raises(ValueError, match="of our own"), objects.plain_errors("s3://lab/P.zarr"):
        raise ValueError("of our own")
