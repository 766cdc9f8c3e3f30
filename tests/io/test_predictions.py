"""Tables of predictions: what is no score of a known image, or stands twice, is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hcs.domain import columns as col
from hcs.errors import FaultsError, InputError
from hcs.io.files import parquet
from hcs.io.predictions import iterate_plates, read_predictions

GOOD = pd.DataFrame(
    {
        col.PLATE: ["P1", "P1", "P2", "P2"],
        col.WELL: ["A01", "B12", "A01", "AF48"],
        col.SITE: 1,
        col.MODEL: "cnn",
        col.SPLIT: 0,
        col.SCORE: [0, 0.5, 1, np.nan],  # the last head diverged
    }
)


def write(folder, frame):
    parquet.write_table(folder / "p.parquet", frame)
    return folder / "p.parquet"


def test_scores_are_read_whole_and_plate_by_plate(tmp_path):
    file = write(tmp_path, GOOD)
    pd.testing.assert_frame_equal(read_predictions(file), GOOD)
    assert list(read_predictions(file, (col.WELL,))) == [col.WELL]
    found = list(iterate_plates(file, (col.PLATE, col.SCORE)))
    assert [set(frame[col.PLATE]) for frame in found] == [{"P1", "P2"}]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({col.SCORE: "x"}, "row 1, column 'score': text", id="text"),
        pytest.param({col.SCORE: [0, 2.0, 1, -1]}, r"row 2.*no probability, as in 1", id="beyond"),
        pytest.param({col.SCORE: np.inf}, "no probability", id="infinite"),
        pytest.param({"score_ALS": 3.0}, "row 1, column 'score_ALS'", id="score of a class"),
        pytest.param(
            {col.PLATE: [None, "P", "P", "P"]}, "row 1.*Metadata_Plate.*no name", id="no plate"
        ),
        pytest.param({col.WELL: ["A01", "?", "A1", "B1"]}, "row 2.*as in 2 more", id="no well"),
        pytest.param({col.WELL: [{"a": 1}] * 4}, "row 1.*no name", id="lists"),
        pytest.param({col.PLATE: "P1", col.WELL: "A01"}, "row 2.*a second score", id="twice"),
    ],
)
def test_rows_that_are_no_scores_are_named(tmp_path, change, said):
    file = write(tmp_path, GOOD.assign(**change))
    for read in (read_predictions, lambda path: list(iterate_plates(path, (col.PLATE,)))):
        with pytest.raises(FaultsError, match=rf"(?s)p\.parquet.*write them again.*{said}"):
            read(file)


def test_a_flipped_bit_is_found_by_the_checksum_of_its_page(tmp_path):
    frame = pd.DataFrame({"a": np.random.default_rng(0).random(2000)})
    file = write(tmp_path, frame)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(InputError, match=r"p\.parquet cannot be read .*CRC"):
        parquet.read_table(file)
