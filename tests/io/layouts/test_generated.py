"""Whole folders of every vendor: the names of any set of fields give back that set, unshifted."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcs.domain.config.stages import AutoLayout
from hcs.domain.wells import PlateFormat, Well, row_name
from hcs.io import layouts

GUID = "247376DD-6ADD-442D-AE47-F54A05F3EA94"
SCANS = ("Phase", "Green", "NIR")
WAVES = ("UV - DAPI", "Blue - FITC", "Red - Cy5")

# (row letters, 1-based row, 1-based column, site, 1-based channel) → a name as the vendor writes it
NAMES = {
    "incell": lambda r, n, c, s, w: f"{r} - {c:02d}(fld {s} wv {WAVES[w - 1]}).tif",
    "operetta": lambda r, n, c, s, w: f"r{n:02d}c{c:02d}f{s:02d}p01-ch{w}sk1fk1fl1.tiff",
    "imagexpress": lambda r, n, c, s, w: f"P1_{r}{c:02d}_s{s}_w{w}{GUID}.tif",
    "cellvoyager": lambda r, n, c, s, w: f"AP_{r}{c:02d}_T0001F{s:03d}L01A01Z01C{w:02d}.tif",
    "cellomics": lambda r, n, c, s, w: f"P1_{r}{c:02d}f{s:02d}d{w}.tif",
    "scanr": lambda r, n, c, s, w: f"{r}{c}--W00001--P{s:05d}--Z00000--T00000--{WAVES[w - 1]}.tif",
    "cytation": lambda r, n, c, s, w: f"{r}{c}_01_{w}_{s}_{WAVES[w - 1]}_001.tif",
    "embl": lambda r, n, c, s, w: f"P1--{r}{c}--{r}{c}--W0001--P{s:03d}--T0001--Z001--C{w:02d}.png",
    "incucyte": lambda r, n, c, s, w: f"VID7_{SCANS[w - 1]}_{r}{c}_{s}_2024y02m29d_23h59m.tif",
}
NO_NAMES = {"container", "flex", "ometiff"}
"""The position of an OME-TIFF stands in its header, whatever the file is called."""


def name_in(kind, well, site, wave):
    row = row_name(well.row)
    return NAMES[kind](row, well.row + 1, well.column + 1, site, wave)


def test_every_vendor_that_names_its_files_is_here():
    assert set(NAMES) | NO_NAMES == set(layouts.list_vendors())


@pytest.mark.parametrize("kind", sorted(NAMES))
@settings(max_examples=12, deadline=None)
@given(
    fields=st.sets(
        st.tuples(st.integers(0, 15), st.integers(0, 23), st.integers(1, 40)),
        min_size=1,
        max_size=20,
    ),
    n_waves=st.integers(1, 3),
    data=st.data(),
)
def test_any_folder_comes_back_and_a_missing_field_shifts_nobody(
    kind, fields, n_waves, data, tmp_path_factory
):
    folder = tmp_path_factory.mktemp("any")
    named = {
        name_in(kind, Well(r, c), site, wave): (Well(r, c), site, wave)
        for r, c, site in fields
        for wave in range(1, n_waves + 1)
    }
    for name in named:
        (folder / name).write_bytes(b"")
    gone = data.draw(st.sampled_from(sorted(named)))
    for missing in (None, gone if len(fields) > 1 else None):
        if missing is not None:
            (folder / missing).unlink()
        result = layouts.scan(folder, AutoLayout(), plate_format=PlateFormat.WELLS_384)
        assert result.plate.layout == kind
        found = {plane.path: (plane.well, plane.site) for plane in result.plate.planes}
        assert found == {
            name: (well, site) for name, (well, site, _) in named.items() if name != missing
        }
        channel_of = {named[plane.path][2]: plane.channel for plane in result.plate.planes}
        assert len(set(channel_of.values())) == len(channel_of)
        assert all(
            plane.channel == channel_of[named[plane.path][2]] for plane in result.plate.planes
        )
