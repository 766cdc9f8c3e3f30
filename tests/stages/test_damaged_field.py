"""One damaged field, also the first in line, is listed and the rest goes on without it."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest
import small_studies

from hcs.domain import columns as col
from hcs.domain.config.stages import FeaturesConfig, StackConfig
from hcs.io import stack as io_stack
from hcs.io.plates.describe import describe
from hcs.io.plates.validate import faults_of
from hcs.stages import features, stack


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    small_studies.write_inputs(folder, with_network=False)
    return folder


def chunk(field):
    return field / "0/c/0/0/0"


def as_folder(path):
    path.unlink()
    path.mkdir()


def as_file(path):
    shutil.rmtree(path)
    path.write_text("x")


DAMAGES = {
    "chunk cut": lambda field: chunk(field).write_bytes(chunk(field).read_bytes()[:100]),
    "chunk empty": lambda field: chunk(field).write_bytes(b""),
    "chunk noise": lambda field: chunk(field).write_bytes(bytes(range(256)) * 20),
    "chunk a folder": lambda field: as_folder(chunk(field)),
    "array empty": lambda field: (field / "0/zarr.json").write_text(""),
    "array gone": lambda field: (field / "0/zarr.json").unlink(),
    "field empty": lambda field: (field / "zarr.json").write_text(""),
    "field gone": shutil.rmtree,
    "field a file": as_file,
}


@pytest.mark.parametrize(
    ("damage", "place"),
    [
        *(pytest.param(damage, "A/1/0", id=f"first, {damage}") for damage in DAMAGES),
        pytest.param("chunk cut", "B/2/0", id="middle, chunk cut"),
    ],
)
def test_stages_go_on_without_it(inputs, tmp_path, damage, place):
    plate = tmp_path / "P1.zarr"
    shutil.copytree(inputs / "P1.zarr", plate)
    DAMAGES[damage](plate / place)
    made = stack.run(StackConfig(plates=(str(plate),), out=str(tmp_path / "s.zarr"), image_px=32))
    # Of a field without its own document all pixels are there: nothing is missing from tables.
    lost = 0 if damage == "field empty" else 1
    wells = {f"{place[0]}0{place[2]}"} if lost else set()
    assert {item.well for item in made.problems} == wells
    valid = io_stack.open_stack(made.out).frame["valid"]
    assert (valid.sum(), len(valid)) == (12 - lost, 12)
    fixed = {"sizes": {"soma_diameter_um": 8, "neurite_width_um": 2}, "illumination": "none"}
    measured = features.run(
        FeaturesConfig(
            plates=(str(plate),), out=str(tmp_path / "f.parquet"), write_labels=False,
            morphology=fixed,
        )
    )  # fmt: skip
    assert {item.well for item in measured.problems} == wells
    table = pd.read_parquet(measured.out)
    assert len(table) == 12 - lost
    assert (table[col.N_CELLS] == 2).all()
    assert describe(plate)["fields"] == 12
    faults = faults_of(plate, pixels=True)
    assert any(place[:3] in fault for fault in faults)
    assert (faults_of(plate) == []) == (damage in {"chunk cut", "chunk noise"})
