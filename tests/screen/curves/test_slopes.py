"""Growth of wells: planted slopes are found, whatever fields are missing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hcs.domain import columns as col
from hcs.screen.curves.slopes import choose_growing, fit_slope, measure_growth

HOURS = np.repeat([0.0, 2.0, 4.0, 6.0], 3)
SITES = np.tile([1, 2, 3], 4)
LEVELS = np.array([0.0, 100.0, 1000.0, 5000.0])[SITES]


def test_the_slope_of_a_line_and_its_error():
    rng = np.random.default_rng(3)
    means = 5.0 * np.unique(HOURS) + rng.normal(0, 1, 4)
    values = LEVELS + np.repeat(means, 3)
    found = fit_slope(HOURS, SITES, values)
    (slope, _), covariance = np.polyfit(np.unique(HOURS), means, 1, cov="unscaled")
    left = means - np.polyval(np.polyfit(np.unique(HOURS), means, 1), np.unique(HOURS))
    assert found.per_hour == pytest.approx(slope)
    assert found.error == pytest.approx(np.sqrt(covariance[0, 0] * (left @ left) / 2))
    assert found.n_times == 4


def test_a_missing_field_is_no_growth():
    values = LEVELS + 7.0 * HOURS
    kept = ~((SITES == 3) & (HOURS > 2))
    found = fit_slope(HOURS[kept], SITES[kept], values[kept])
    assert found.per_hour == pytest.approx(7.0)
    assert found.error == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("keep", "n_times", "slope"),
    [(HOURS == 0, 1, np.nan), (HOURS < 3, 2, 7.0), ((HOURS == 0) & (SITES == 1), 1, np.nan)],
)
def test_few_time_points(keep, n_times, slope):
    found = fit_slope(HOURS[keep], SITES[keep], (LEVELS + 7.0 * HOURS)[keep])
    assert found.n_times == n_times
    assert found.per_hour == pytest.approx(slope, nan_ok=True)
    assert np.isnan(found.error)


def test_fields_that_share_no_time_say_nothing():
    keep = ((SITES == 1) & (HOURS < 1)) | ((SITES == 2) & (HOURS > 5))
    assert np.isnan(fit_slope(HOURS[keep], SITES[keep], LEVELS[keep]).per_hour)


def test_wells_and_their_doublings():
    rows = [
        {
            col.PLATE: "P1", col.WELL: well, col.SITE: site, col.TIME: t, col.TIME_MIN: 90.0 * t,
            col.N_CELLS: cells * site * 2.0 ** (1.5 * t / 10), "Image_Quality_Blur": 1.0,
        }
        for well, cells in (("A01", 8.0), ("A02", 0.0))
        for site in (1, 2)
        for t in range(3)
    ]  # fmt: skip
    table = measure_growth(pd.DataFrame(rows), choose_growing(list(rows[0])))
    assert table[col.WELL].tolist() == ["A01", "A02"]
    assert table["Image_Count_Cells_doublings_per_h"].tolist() == pytest.approx(
        [0.1, np.nan], nan_ok=True
    )
    assert table["Image_Count_Cells_per_h"][1] == 0
    assert table["Metadata_Growth_n_times"].tolist() == [3, 3]
    assert table["Metadata_Growth_to_min"].tolist() == [180.0, 180.0]
    assert not [name for name in table if "Quality" in name]
