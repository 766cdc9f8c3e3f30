"""Median polish against R's documented example; corrections remove planted gradients."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hcs.domain import columns as col
from hcs.domain.config.screening import (
    BScore,
    HitsOptions,
    Loess,
    MedianFilter,
    MedianPolish,
    NoCorrection,
)
from hcs.domain.wells import PlateFormat
from hcs.screen.plates import read_wells
from hcs.screen.position.correction import correct, correction_of, median_polish

# Deaths from sport parachuting: Tukey, ABC of EDA, p. 224; the example of R's ?medpolish, which
# prints "1: 19", "Final: 19", overall 8 and these effects and residuals.
DEATHS = np.array([[14, 15, 14], [7, 4, 7], [8, 2, 10], [15, 9, 10], [0, 2, 0]], dtype=float)


def plain_polish(x, eps=0.01, maxiter=10):
    """R's algorithm on one plate, written out plainly with numpy's own medians."""
    z = x.copy()
    overall, rows, columns, before = 0.0, np.zeros(z.shape[0]), np.zeros(z.shape[1]), 0.0
    for _ in range(maxiter):
        step = np.nanmedian(z, axis=1)
        z, rows = z - step[:, None], rows + step
        moved = np.nanmedian(columns)
        columns, overall = columns - moved, overall + moved
        step = np.nanmedian(z, axis=0)
        z, columns = z - step, columns + step
        moved = np.nanmedian(rows)
        rows, overall = rows - moved, overall + moved
        after = np.nansum(np.abs(z))
        if after == 0 or abs(after - before) < eps * after:
            break
        before = after
    return overall, rows, columns, z


def test_the_example_of_r():
    fit = median_polish(DEATHS[None])
    assert fit.overall.tolist() == [8]
    assert fit.row[0].tolist() == [6, -1, 0, 2, -8]
    assert fit.column[0].tolist() == [0, -1, 0]
    assert fit.residual[0].tolist() == [[0, 2, 0], [0, -2, 0], [0, -5, 2], [5, 0, 0], [0, 3, 0]]
    assert np.abs(fit.residual).sum() == 19


@settings(deadline=None)  # a busy machine is no fault
@given(
    arrays(
        np.float64,
        st.tuples(st.integers(1, 4), st.integers(2, 6), st.integers(2, 6)),
        elements=st.integers(-50, 50).map(float),
    )
)
def test_many_plates_at_once_equal_one_at_a_time(plates):
    fit = median_polish(plates)
    whole = fit.overall[:, None, None] + fit.row[:, :, None] + fit.column[:, None, :] + fit.residual
    assert np.allclose(whole, plates)
    for plate in range(plates.shape[0]):
        overall, rows, columns, residual = plain_polish(plates[plate])
        assert fit.overall[plate] == pytest.approx(overall)
        assert np.allclose(fit.row[plate], rows)
        assert np.allclose(fit.column[plate], columns)
        assert np.allclose(fit.residual[plate], residual)


def test_missing_wells_are_left_out_as_in_r():
    plates = np.random.default_rng(0).normal(size=(1, 8, 12))
    plates[0, 2, 3] = plates[0, 5, 5] = np.nan
    fit = median_polish(plates)
    overall, rows, _, residual = plain_polish(plates[0])
    assert fit.overall[0] == pytest.approx(overall)
    assert np.allclose(fit.row[0], rows)
    assert np.allclose(fit.residual[0], residual, equal_nan=True)


@pytest.mark.parametrize(
    "plates",
    [
        pytest.param(np.full((2, 3, 4), 7.0), id="all equal"),
        pytest.param(np.full((1, 3, 4), np.nan), id="all missing"),
        pytest.param(np.zeros((0, 3, 4)), id="no plate"),
    ],
)
def test_degenerate_plates(plates):
    fit = median_polish(plates)
    assert np.nansum(np.abs(fit.residual)) == 0
    assert fit.overall.shape == plates.shape[:1]


def screen_of(values, kinds=None, plate_format=PlateFormat.WELLS_384):
    """One plate from a matrix of values and a matrix of what the wells hold."""
    frame = pd.DataFrame(
        {
            col.PLATE: "P1",
            col.WELL: [well.name for well in plate_format.wells()],
            col.SCORE: np.asarray(values).ravel(),
        }
    )
    if kinds is not None:
        frame[col.PERT_TYPE] = np.asarray(kinds).ravel()
    return read_wells(frame)


# A window that the edge cuts off is not centred on its well: part of a gradient stays there.
LEFT_AT_THE_EDGE = {"median-polish": 0.15, "loess": 0.15, "median-filter": 0.35}

CORRECTIONS = [
    pytest.param(MedianPolish(), id="median polish"),
    pytest.param(MedianFilter(), id="median filter"),
    pytest.param(Loess(), id="loess"),
]


@pytest.mark.parametrize("how", CORRECTIONS)
def test_a_planted_gradient_goes_and_a_hit_stays(how):
    rng = np.random.default_rng(1)
    rows, columns = np.mgrid[0:16, 0:24]
    noise = rng.normal(0, 0.1, (16, 24))
    values = 5 + noise + 0.1 * rows + 0.02 * columns
    values[7, 11] += 3
    corrected, level, _ = correct(screen_of(values), how)
    plate = corrected.reshape(16, 24)
    assert level == pytest.approx(np.median(values), abs=0.2)
    ordinary = np.delete(corrected, 7 * 24 + 11)
    assert ordinary.std() < 0.14
    left = abs(np.corrcoef(ordinary, np.delete(rows.ravel(), 7 * 24 + 11))[0, 1])
    assert left < LEFT_AT_THE_EDGE[how.kind]
    assert plate[7, 11] - np.median(plate) == pytest.approx(3, abs=0.35)


@pytest.mark.parametrize("how", CORRECTIONS)
def test_controls_in_a_column_keep_their_distance(how):
    rng = np.random.default_rng(2)
    values = rng.normal(1, 0.05, (16, 24))
    kinds = np.full((16, 24), "trt", dtype=object)
    kinds[:, 0], values[:, 0] = "poscon", rng.normal(0.2, 0.05, 16)
    corrected, _, _ = correct(screen_of(values, kinds), how)
    assert corrected.reshape(16, 24)[:, 0].mean() == pytest.approx(0.2, abs=0.06)


@pytest.mark.parametrize("how", [*CORRECTIONS, pytest.param(NoCorrection(), id="none")])
@pytest.mark.parametrize(
    "values",
    [
        pytest.param(np.full((8, 12), 3.0), id="all equal"),
        pytest.param(np.full((8, 12), np.nan), id="all missing"),
        pytest.param(np.where(np.arange(96) == 40, 1.0, np.nan), id="one well"),
    ],
)
def test_degenerate_plates_stay_as_they_are(how, values):
    corrected, _, _ = correct(screen_of(values, plate_format=PlateFormat.WELLS_96), how)
    assert np.allclose(corrected, np.ravel(values), equal_nan=True)


def test_the_b_score_brings_its_own_polish():
    options = HitsOptions(normalization=BScore(tolerance=0.5, max_iterations=3))
    assert correction_of(options) == MedianPolish(tolerance=0.5, max_iterations=3)
    with pytest.raises(ValueError, match="is itself a median polish"):
        HitsOptions(normalization=BScore(), spatial=Loess())
