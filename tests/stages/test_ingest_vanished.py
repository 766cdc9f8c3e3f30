"""Files that vanish between two runs of ingest: named, and what is stored stays."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from hcs.domain.columns import Reason
from hcs.domain.config.layouts import RegexLayout
from hcs.domain.config.stages import IngestConfig
from hcs.errors import ImageReadError, InputError
from hcs.io.plates.reader import PlateReader
from hcs.stages import ingest

PATTERN = r"(?P<well>[A-H]\d\d)_f(?P<site>\d)_(?P<channel>[A-Z]+)_t(?P<t>\d)\.tif"
SIDE = 16


def value_of(well: str, site: int, channel: str, t: int) -> int:
    return 1000 * int(well[1:]) + 100 * site + 10 * (channel == "TH") + t + 1


def write(folder: Path, wells=("A01", "A02"), sites=(1, 2), channels=("DAPI", "TH"), times=(0, 1)):
    folder.mkdir(exist_ok=True)
    for well in wells:
        for site in sites:
            for channel in channels:
                for t in times:
                    pixels = np.full((SIDE, SIDE), value_of(well, site, channel, t), "uint16")
                    pixels[0] += 7
                    tifffile.imwrite(folder / f"{well}_f{site}_{channel}_t{t}.tif", pixels)
    return folder


def take(source: Path, **more):
    out = str(source.parent / "P.zarr")
    given = {"source": str(source), "out": out, "layout": RegexLayout(pattern=PATTERN)}
    kept = {name: value for name, value in (given | more).items() if value is not None}
    return ingest.run(IngestConfig.model_validate(kept))


def remove(folder: Path, pattern: str) -> list[tuple[Path, bytes]]:
    files = [(file, file.read_bytes()) for file in folder.glob(pattern)]
    assert files
    for file, _ in files:
        file.unlink()
    return files


def stored(out: str, field: str) -> np.ndarray:
    return zarr.open_array(f"{out}/{field}/0", mode="r")[:, :, -1, -1]


def test_a_well_whose_files_vanished_is_said_in_every_run_until_they_are_back(tmp_path):
    source = write(tmp_path / "in")
    first = take(source)
    before = stored(first.out, "A/2/0")
    files = remove(source, "A02_*")
    for _ in range(2):
        second = take(source)
        assert [(p.reason, p.well, p.site, p.kept) for p in second.problems] == [
            (Reason.MISSING_FILE, "A02", 1, False),
            (Reason.MISSING_FILE, "A02", 2, False),
        ]
        assert f"stay at {first.out}/A/2/0" in second.problems[0].message
        assert [well.name for well in PlateReader(first.out).wells] == ["A01"]
        assert set(PlateReader(first.out).images["Metadata_Well"]) == {"A01"}
        assert (stored(first.out, "A/2/0") == before).all()
    for file, data in files:
        file.write_bytes(data)
    third = take(source)
    assert third.problems == ()
    assert [well.name for well in PlateReader(first.out).wells] == ["A01", "A02"]
    assert (stored(first.out, "A/2/0") == before).all()


def test_a_strict_run_stops_where_files_vanished(tmp_path):
    source = write(tmp_path / "in")
    take(source)
    remove(source, "A02_f1_*")
    for _ in range(2):
        with pytest.raises(ImageReadError, match="well A02 site 1 was written by an earlier run"):
            take(source, strict=True)
    assert len(take(source).problems) == 1


def test_a_folder_that_the_user_removed_is_not_said_again(tmp_path):
    source = write(tmp_path / "in")
    first = take(source)
    remove(source, "A02_*")
    assert len(take(source).problems) == 2
    shutil.rmtree(Path(first.out) / "A/2")
    assert take(source).problems == ()


def test_a_field_whose_files_vanished_is_said_and_its_pixels_stay(tmp_path):
    source = write(tmp_path / "in")
    first = take(source)
    before = stored(first.out, "A/1/1")
    remove(source, "A01_f2_*")
    for _ in range(2):
        second = take(source)
        assert [(p.reason, p.well, p.site) for p in second.problems] == [
            (Reason.MISSING_FILE, "A01", 2)
        ]
        assert (stored(first.out, "A/1/1") == before).all()
        listed = zarr.open_group(f"{first.out}/A/1", mode="r").attrs["ome"]["well"]["images"]
        assert listed == [{"path": "0"}]


def test_planes_of_a_field_that_vanished_are_named(tmp_path):
    source = write(tmp_path / "in", sites=(1,))
    take(source)
    remove(source, "A01_f1_TH_t1.tif")
    for _ in range(2):
        again = take(source)
        (row,) = [p for p in again.problems if "earlier run found" in p.message]
        assert (row.reason, row.well, row.site, row.kept) == (
            Reason.MISSING_FILE,
            "A01",
            1,
            True,
        )
        assert "3 of the 4 planes" in row.message
        assert "A01_f1_TH_t1.tif is no longer there" in row.message


@pytest.mark.parametrize(
    ("pattern", "lost"),
    [("*_TH_*", "channel 'TH'"), ("*_t1.tif", "time point 1")],
)
def test_a_channel_or_time_point_that_vanished_is_not_written_over(tmp_path, pattern, lost):
    source = write(tmp_path / "in")
    first = take(source)
    before = stored(first.out, "A/1/0")
    files = remove(source, pattern)
    with pytest.raises(InputError, match=lost):
        take(source)
    assert (stored(first.out, "A/1/0") == before).all()
    for file, data in files:
        file.write_bytes(data)
    assert take(source).problems == ()


def test_a_new_first_field_is_no_loss(tmp_path):
    source = write(tmp_path / "in", sites=(2, 3))
    take(source)
    write(source, sites=(1,))
    assert take(source).problems == ()
    reader = PlateReader(str(tmp_path / "P.zarr"))
    rows = reader.images.set_index(["Metadata_Well", "Metadata_Site"])["field_path"]
    assert rows["A01", 1] == "A/1/0"
    assert stored(reader.path, "A/1/1")[0, 0] == value_of("A01", 2, "DAPI", 0)


def test_a_narrower_choice_is_no_loss(tmp_path):
    source = write(tmp_path / "in")
    take(source)
    narrow = RegexLayout(pattern=PATTERN.replace("[A-Z]+", "TH"))
    again = take(source, layout=narrow)
    assert not [p for p in again.problems if p.reason == Reason.MISSING_FILE]
    assert PlateReader(again.out).channels == ("TH",)


def rows_of(out: str) -> dict[tuple[str, int], str]:
    images = PlateReader(out).images
    keys = zip(images["Metadata_Well"], images["Metadata_Site"], strict=True)
    return dict(zip(keys, images["field_path"], strict=True))


def test_the_first_site_may_vanish_everywhere_and_no_other_takes_its_place(tmp_path):
    source = write(tmp_path / "in", sites=(1, 2, 3))
    first = take(source)
    places = rows_of(first.out)
    files = remove(source, "*_f1_*")
    for _ in range(2):
        again = take(source)
        assert rows_of(again.out) == {key: path for key, path in places.items() if key[1] > 1}
        for (well, site), path in places.items():
            assert stored(again.out, path)[0, 0] == value_of(well, site, "DAPI", 0)
        assert [(p.well, p.site) for p in again.problems] == [("A01", 1), ("A02", 1)]
        assert again.n_run <= 2  # fields that are kept are not read again
    for file, data in files:
        file.write_bytes(data)
    assert take(source).problems == ()
    assert rows_of(first.out) == places


def test_a_new_first_site_is_not_written_over_one_that_vanished(tmp_path):
    source = write(tmp_path / "in", sites=(2, 3))
    first = take(source)
    remove(source, "A01_f2_*")
    write(source, sites=(1,))
    with pytest.raises(InputError, match="well A01 site 2 at A/1/0, which site 1"):
        take(source)
    assert stored(first.out, "A/1/0")[0, 0] == value_of("A01", 2, "DAPI", 0)


def name_fields(well: Path, names: dict[str, str]) -> None:
    group = zarr.open_group(well, mode="r+")
    ome = dict(group.attrs["ome"])
    group.attrs["ome"] = ome | {"well": {"images": [{"path": name} for name in names.values()]}}
    for old, new in names.items():
        (well / old).rename(well / new)


def test_fields_numbered_in_order_do_not_move_into_the_place_of_one_that_vanished(tmp_path):
    source = write(tmp_path / "in", sites=(1, 2, 3))
    other = Path(take(source, out=str(tmp_path / "foreign.zarr")).out)
    document = other / "zarr.json"
    document.write_text(document.read_text().replace('"hcs"', '"was"'))  # now it is not ours
    for well in ("A/1", "A/2"):
        name_fields(other / well, {"0": "left", "1": "middle", "2": "right"})
    first = take(other, layout=None, out=str(tmp_path / "copy.zarr"))
    before = stored(first.out, "A/1/0")
    shutil.rmtree(other / "A/1/left")
    name_fields(other / "A/1", {"middle": "middle", "right": "right"})
    with pytest.raises(InputError, match="well A01 site 0 at A/1/0, which site 0 of A/1/middle"):
        take(other, layout=None, out=first.out)
    assert (stored(first.out, "A/1/0") == before).all()


def test_a_time_lapse_that_rolls_on_is_not_written_over(tmp_path):
    source = write(tmp_path / "in", times=(0, 1))
    first = take(source)
    before = stored(first.out, "A/1/0")
    remove(source, "*_t0.tif")
    write(source, times=(2,))
    with pytest.raises(InputError, match="time point 0"):
        take(source)
    assert (stored(first.out, "A/1/0") == before).all()


def test_sites_that_another_expression_numbers_anew_are_not_called_vanished(tmp_path):
    source = write(tmp_path / "in", sites=(1, 2))
    first = take(source)
    for file in sorted(source.glob("*_f2_*")):
        shutil.copy(file, file.with_name(file.name.replace("_f2_", "_f12_")))
        file.unlink()
    anew = PATTERN.replace(r"(?P<site>\d)", r"(?P<site>\d+)")
    again = take(source, layout=RegexLayout(pattern=anew))
    assert rows_of(first.out) == {
        (w, s): f"A/{w[2]}/{s - 1}" for w in ("A01", "A02") for s in (1, 12)
    }
    assert {(p.well, p.site) for p in again.problems} == {("A01", 2), ("A02", 2)}
