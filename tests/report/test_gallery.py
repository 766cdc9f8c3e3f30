"""The gallery: which fields it shows, what it draws, what it refuses."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tifffile
from PIL import Image
from small_plates import field, name_of

from hcs.domain.config.stages import FeaturesConfig, IngestConfig
from hcs.errors import InputError
from hcs.ops.overlay import draw_overlay, outlines
from hcs.report.gallery import write_gallery
from hcs.stages import features, ingest


@pytest.fixture(scope="module")
def plate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gallery")
    (folder / "tiffs").mkdir()
    for column in range(1, 5):
        tifffile.imwrite(folder / "tiffs" / name_of("A", column, 1), field(column))
    out = str(folder / "P1.zarr")
    ingest.run(
        IngestConfig(source=str(folder / "tiffs"), out=out, plate_name="P1", pixel_size_um=1.0)
    )
    features.run(FeaturesConfig(plates=(out,), out=str(folder / "features.parquet")))
    return out


def test_a_picture_holds_the_fields(plate, tmp_path):
    shown = write_gallery([plate], tmp_path / "g.png", n_fields=3, seed=1)
    assert len(shown) == 3
    assert all("2 cells" in caption for caption in shown)
    picture = np.asarray(Image.open(io.BytesIO((tmp_path / "g.png").read_bytes())))
    assert picture.shape[0] > 64
    assert (picture == (255, 170, 0)).all(axis=-1).any()  # somas are outlined


def test_a_page_needs_no_other_file(plate, tmp_path):
    shown = write_gallery([plate], tmp_path / "g.html", n_fields=99)
    page = (tmp_path / "g.html").read_text(encoding="utf-8")
    assert len(shown) == page.count("data:image/png;base64") == 4
    assert "http" not in page


def test_the_seed_decides_which_fields(plate, tmp_path):
    one, same, other = (
        write_gallery([plate], tmp_path / "g.png", n_fields=2, seed=seed) for seed in (0, 0, 2)
    )
    assert one == same != other


def test_other_endings_are_refused(plate, tmp_path):
    with pytest.raises(InputError, match=r"\.png or a \.html"):
        write_gallery([plate], tmp_path / "g.tif")


def test_outlines_part_neighbors():
    labels = np.zeros((7, 9), int)
    labels[1:6, 1:4], labels[1:6, 4:8] = 1, 2
    edge = outlines(labels)
    assert edge[3, 3]
    assert edge[3, 4]
    assert not edge[3, 2]
    assert not edge[0].any()


def test_a_flat_plane_can_be_drawn():
    nothing = np.zeros((5, 5), np.uint16)
    assert (draw_overlay(nothing, nothing, nothing) == 0).all()
