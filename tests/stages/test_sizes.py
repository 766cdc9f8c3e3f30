"""Sizes of a study: found on all plates, kept beside the table, taken from a file."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage

from hcs.domain.config.stages import FeaturesConfig, IngestConfig
from hcs.errors import InputError
from hcs.io.files.parquet import read_provenance
from hcs.io.plates.reader import PlateReader
from hcs.stages import features, ingest
from hcs.stages.work.measuring import sizes as sizes_module
from hcs.stages.work.measuring.sizes import locate_sizes
from hcs.stages.work.measuring.trying import try_sizes


def _draw(diameter, seed):
    y, x = np.mgrid[:200, :200]
    plane = np.zeros((200, 200))
    for cy in (50, 150):
        for cx in (50, 150):
            plane[np.hypot(y - cy, x - cx) <= diameter / 2] = 1500
    noisy = ndimage.gaussian_filter(plane, 1) + 200
    return np.random.default_rng(seed).poisson(noisy).astype(np.uint16)


def _ingest_two(tmp_path):
    """Ingest a plate of two channels."""
    folder = tmp_path / "two"
    folder.mkdir()
    for wave in ("Blue - FITC", "Green - TRITC"):
        tifffile.imwrite(folder / f"A - 01(fld 1 wv {wave}).tif", _draw(24, 5))
    out = str(tmp_path / "P3.zarr")
    given = {"source": str(folder), "out": out, "plate_name": "P3", "layout": {"kind": "incell"}}
    ingest.run(IngestConfig.model_validate({**given, "pixel_size_um": 0.5}))
    return out


def _ingest(tmp_path, name, diameter, pixel_size_um=0.5):
    folder = tmp_path / name
    folder.mkdir()
    for column in range(1, 4):
        file = folder / f"A - {column:02d}(fld 1 wv Blue - FITC).tif"
        tifffile.imwrite(file, _draw(diameter, column))
    out = str(tmp_path / f"{name}.zarr")
    given = {"source": str(folder), "out": out, "plate_name": name, "layout": {"kind": "incell"}}
    ingest.run(IngestConfig.model_validate({**given, "pixel_size_um": pixel_size_um}))
    return out


@pytest.fixture(scope="module")
def plates(tmp_path_factory):
    """Ingest two plates whose cells are of 20 and 24 px."""
    folder = tmp_path_factory.mktemp("plates")
    return _ingest(folder, "P1", 20), _ingest(folder, "P2", 24)


def _measure(tmp_path, *plates, name="features.parquet", **more):
    given = {"plates": plates, "out": str(tmp_path / name), "write_labels": False, **more}
    return features.run(FeaturesConfig.model_validate(given))


def _soma(result, plate):
    return read_provenance(result.out)["measured_with"][plate]["soma_diameter_um"]


def test_all_plates_are_measured_with_one_size(plates, tmp_path):
    result = _measure(tmp_path, *plates)
    document = json.loads(locate_sizes(result.out).read_text())
    found = document["found"]["soma_diameter"]
    assert _soma(result, "P1") == _soma(result, "P2") == found["value"]
    assert found["by_plate"]["P1"] == pytest.approx(10, rel=0.08)
    assert found["by_plate"]["P2"] == pytest.approx(12, rel=0.08)
    assert found["by_plate"]["P1"] <= found["value"] <= found["by_plate"]["P2"]
    assert found["low"] <= found["value"] <= found["high"]
    assert f"{found['value']:g} µm ({found['low']:g} to {found['high']:g}" in str(
        result.summary["soma diameter"]
    )


def test_a_plate_that_is_added_is_measured_as_the_others_were(plates, tmp_path):
    first = _measure(tmp_path, plates[0])
    alone = _soma(first, "P1")
    result = _measure(tmp_path, *plates)
    assert _soma(result, "P1") == _soma(result, "P2") == alone
    assert "as an earlier run found them on P1" in str(result.summary["sizes kept"])
    assert result.n_skipped == 3
    locate_sizes(result.out).unlink()
    assert _soma(_measure(tmp_path, *plates), "P1") > alone


def test_sizes_of_a_file_are_used_for_other_plates(plates, tmp_path):
    first = _measure(tmp_path, plates[0])
    file = str(locate_sizes(first.out))
    second = _measure(tmp_path, plates[1], name="second.parquet", scales=file)
    assert _soma(second, "P2") == _soma(first, "P1")
    assert "(given)" in str(second.summary["soma diameter"])
    given = {"sizes": {"soma_diameter_px": 20}}
    with pytest.raises(InputError, match="soma_diameter is given and also in"):
        _measure(tmp_path, plates[1], name="third.parquet", scales=file, morphology=given)
    broken = tmp_path / "broken.json"
    broken.write_text('{"sizes": {"soma_diameter_um": -3}}')
    with pytest.raises(InputError, match=r"broken\.json: .*greater than 0$"):
        _measure(tmp_path, plates[1], name="third.parquet", scales=str(broken))


def test_other_settings_or_pixels_find_sizes_anew(plates, tmp_path):
    _measure(tmp_path, plates[0])
    document = locate_sizes(tmp_path / "features.parquet")
    before = json.loads(document.read_text())["made_with"]
    _measure(tmp_path, plates[0], morphology={"assay": {"kind": "neurons", "contrast": "mixed"}})
    assert json.loads(document.read_text())["made_with"] != before


def test_doubtful_sizes_are_said_with_what_to_do(plates, tmp_path):
    other = _ingest(tmp_path, "P9", 46)
    result = _measure(tmp_path, *plates, other)
    doubts = str(result.summary["doubtful sizes"])
    assert "plate P1 alone gives" in doubts
    assert "--soma-um" in doubts
    (problem,) = [p for p in result.problems if "plate P1 alone gives" in p.message]
    assert (problem.reason, problem.kept) == ("doubtful", True)


def test_a_size_at_which_nothing_is_found_is_doubted(plates, tmp_path):
    given = {"sizes": {"soma_diameter_px": 150}}
    result = _measure(tmp_path, plates[0], morphology=given)
    assert result.summary["cells"] == 0
    (problem,) = result.problems
    assert "no image shows an object at the assumed size (soma diameter 150 px" in problem.message


def test_nuclei_that_are_dark_on_a_bright_ground_are_not_counted_in_silence(tmp_path):
    folder = tmp_path / "inverted"
    folder.mkdir()
    file = folder / "A - 01(fld 1 wv Blue - FITC).tif"
    tifffile.imwrite(file, 65535 - _draw(20, 1))
    out = str(tmp_path / "P.zarr")
    given = {"source": str(folder), "out": out, "layout": {"kind": "incell"}}
    ingest.run(IngestConfig.model_validate(given))
    morphology = {"assay": {"kind": "nuclei"}}
    result = _measure(tmp_path, out, morphology=morphology)
    told = " ".join(problem.message for problem in result.problems)
    assert "dark objects on a bright ground" in told
    assert "no nuclei were found to take it from" in told


def test_a_trial_draws_three_sizes_and_writes_nothing_else(plates, tmp_path):
    given = {"plates": plates, "out": str(tmp_path / "features.parquet")}
    result = try_sizes(FeaturesConfig.model_validate(given), 2)
    assert [file.name for file in tmp_path.iterdir()] == ["features_try.png"]
    assert PlateReader(plates[0]).label_names("A/1/0") == ()
    with Image.open(result.out) as picture:
        assert picture.width == 3 * (420 + 4)
        assert picture.height == 2 * (420 + 20)
        assert len(picture.getcolors(2**20) or []) > 100
    flags = [name for name in result.summary if name.startswith("--soma-um")]
    assert len(flags) == 3
    found = float(str(result.summary["soma diameter"]).split()[0])
    assert float(flags[1].split()[1]) == found
    assert result.summary[flags[1]] == "8 objects in 2 fields"
    with pytest.raises(InputError, match="--try 0"):
        try_sizes(FeaturesConfig.model_validate(given), 0)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        pytest.param({"morphology": {"assay": {"kind": "nuclei"}}}, "assay 'nuclei'", id="assay"),
        pytest.param({"channel": "Green - TRITC"}, "in Green - TRITC", id="channel"),
    ],
)
def test_a_file_of_sizes_of_other_objects_is_refused(plates, tmp_path, changed, words):
    first = _measure(tmp_path, plates[0], channel="Blue - FITC")
    file = locate_sizes(first.out)
    value = json.loads(file.read_text())["sizes"]["soma_diameter_um"]
    two = str(_ingest_two(tmp_path))
    given = {"channel": "Blue - FITC", "scales": str(file), "name": "other.parquet"}
    with pytest.raises(InputError, match=rf"{words}.*--soma-um {value}") as refused:
        _measure(tmp_path, two, **given | changed)
    assert "holds sizes of the assay 'neurons' in Blue - FITC" in str(refused.value)
    assert _soma(_measure(tmp_path, two, **given), "P3") == value


def test_a_file_of_sizes_in_px_is_refused_where_pixels_have_a_size(plates, tmp_path):
    blind = _ingest(tmp_path, "P4", 20, pixel_size_um=None)
    file = locate_sizes(_measure(tmp_path, blind).out)
    with pytest.raises(InputError, match=r"in px of plates.*pixels of plate P1 are of 0.5 µm"):
        _measure(tmp_path, plates[0], name="other.parquet", scales=str(file))
    other = _ingest(tmp_path, "P5", 24, pixel_size_um=None)
    _measure(tmp_path, other, name="other.parquet", scales=str(file))
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 1}))
    with pytest.raises(InputError, match="is of another version"):
        _measure(tmp_path, other, name="third.parquet", scales=str(file))


def test_the_order_of_plates_changes_no_size(plates, tmp_path):
    sizes = [
        json.loads(locate_sizes(_measure(tmp_path, *order, name=name).out).read_text())["found"]
        for order, name in ((plates, "a.parquet"), (plates[::-1], "b.parquet"))
    ]
    assert sizes[0] == sizes[1]


def test_of_a_large_plane_the_middle_is_held():
    plane = np.arange(12, dtype=np.uint16)[None] + np.zeros((3000, 1), np.uint16)
    middle = sizes_module._crop_middle(plane)
    assert middle.shape == (2160, 12)
