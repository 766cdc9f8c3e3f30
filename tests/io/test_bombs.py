"""Small files that unpack to large ones: XML entities in sidecars, workbooks, plate maps."""

from __future__ import annotations

import itertools
import tracemalloc
import zipfile

import pytest
import tifffile
from small_plates import field

from hcs.domain.config.stages import AutoLayout
from hcs.errors import HcsError
from hcs.io import layouts
from hcs.io.sheets.platemap import read_platemap

LAUGHS = """<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "haha">{entities}]>
<{root}><Layer>&{last};</Layer></{root}>"""


def laughs(root: str) -> str:
    """Write XML whose one entity stands for 4 × 10⁹ letters."""
    names = "abcdefghij"
    entities = "".join(
        f'<!ENTITY {name} "{10 * f"&{before};"}">' for before, name in itertools.pairwise(names)
    )
    return LAUGHS.format(entities=entities, root=root, last=names[-1])


@pytest.fixture
def little_memory():
    tracemalloc.start()
    yield
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 100e6  # expat lets 8 MiB unpack before it counts, and stops soon after


SIDECARS = [
    pytest.param("A - 01(fld 1 wv UV - DAPI).tif", "P.xdce", "ImageStack", id="incell"),
    pytest.param("r01c01f01p01-ch1sk1fk1fl1.tiff", "Index.idx.xml", "EvaluationInputData",
                 id="operetta"),
    pytest.param("AP_A01_T0001F001L01A01Z01C01.tif", "MeasurementData.mlf",
                 "MeasurementData", id="cellvoyager"),
]  # fmt: skip


@pytest.mark.parametrize(("image", "sidecar", "root"), SIDECARS)
def test_a_sidecar_of_entities_is_one_problem(tmp_path, little_memory, image, sidecar, root):
    tifffile.imwrite(tmp_path / image, field(1))
    (tmp_path / sidecar).write_text(laughs(root))
    result = layouts.scan(tmp_path, AutoLayout())
    assert len(result.plate.planes) == 1
    assert {row["file"]: row["reason"] for row in result.problems} == {sidecar: "unreadable"}


def test_a_plate_map_of_entities_is_refused(tmp_path, little_memory):
    path = tmp_path / "layout.xml"
    path.write_text(laughs("AssayLayout"))
    with pytest.raises(HcsError, match=r"layout\.xml"):
        read_platemap(path)


def test_a_workbook_that_unpacks_to_300_mb_is_refused(tmp_path, little_memory):
    path = tmp_path / "wells.xlsx"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("xl/worksheets/sheet1.xml", "w") as entry,
    ):
        for _ in range(300):
            entry.write(bytes(2**20))
    assert path.stat().st_size < 1e6
    with pytest.raises(HcsError, match="unpacked, has 314,572,800 bytes"):
        read_platemap(path)
