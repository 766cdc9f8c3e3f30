"""Features of one name that are defined in two ways meet in no score."""

from __future__ import annotations

import pandas as pd
import pytest

from hcs.errors import StaleError
from hcs.io.files import parquet
from hcs.planes.definitions import (
    FEATURES_FORMAT,
    KEY,
    read_definitions,
    refuse_other_definitions,
)


@pytest.mark.parametrize(
    ("provenance", "expected"),
    [
        pytest.param({"stage": "features", KEY: 6}, 6, id="now"),
        pytest.param({"stage": "features"}, 0, id="before formats were noted"),
        pytest.param({"stage": "bank"}, None, id="of another program"),
    ],
)
def test_the_format_is_read_from_the_table(tmp_path, provenance, expected):
    file = tmp_path / "features.parquet"
    parquet.write_table(file, pd.DataFrame({"Image_Count_Cells": [1.0]}), provenance)
    assert read_definitions(str(file)) == expected


def test_other_definitions_are_refused_with_what_to_do():
    refuse_other_definitions(FEATURES_FORMAT, FEATURES_FORMAT, "f.parquet")
    refuse_other_definitions(None, FEATURES_FORMAT, "f.parquet")
    refuse_other_definitions(0, None, "f.parquet")
    with pytest.raises(StaleError, match="train the forests again"):
        refuse_other_definitions(0, FEATURES_FORMAT, "f.parquet")
    with pytest.raises(StaleError, match=r"measure f\.parquet again"):
        refuse_other_definitions(FEATURES_FORMAT, 0, "f.parquet")
