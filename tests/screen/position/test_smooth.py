"""Running median and local quadratic surface, against plain loops and known surfaces."""

import numpy as np
import pytest

from hcs.screen.position.smooth import local_median, loess_surface


@pytest.mark.parametrize("window", [(3, 3), (5, 5), (3, 7), (4, 4)])
def test_the_running_median_equals_a_plain_loop(window):
    plates = np.random.default_rng(0).normal(size=(3, 8, 12))
    plates[0, 3:5, 3:5] = np.nan
    found = local_median(plates, *window)
    up, left = window[0] // 2, window[1] // 2
    for plate, row, column in [(0, 0, 0), (0, 4, 4), (1, 7, 11), (2, 3, 0)]:
        piece = plates[
            plate,
            max(row - up, 0) : row - up + window[0],
            max(column - left, 0) : column - left + window[1],
        ]
        assert found[plate, row, column] == pytest.approx(np.nanmedian(piece))


def test_a_window_without_values_is_missing():
    plates = np.full((1, 8, 12), np.nan)
    plates[0, 0, 0] = 2.0
    found = local_median(plates, 3, 3)
    assert found[0, 1, 1] == 2.0
    assert np.isnan(found[0, 5, 5])


def quadratic(n_rows=16, n_columns=24):
    rows, columns = np.mgrid[0:n_rows, 0:n_columns]
    return 3 + 0.2 * rows - 0.1 * columns + 0.01 * rows * columns - 0.02 * rows**2


@pytest.mark.parametrize("span", [0.2, 0.6, 1.0])
def test_a_quadratic_surface_is_found_exactly(span):
    plates = np.stack([quadratic(), 2 * quadratic()])
    plates[0, 2:5, 7] = np.nan
    found = loess_surface(plates, span)
    assert np.allclose(found[0], quadratic())
    assert np.allclose(found[1], 2 * quadratic())


def test_robust_iterations_ignore_hits():
    rng = np.random.default_rng(4)
    plates = quadratic()[None] + rng.normal(0, 0.05, (1, 16, 24))
    hit = rng.random((1, 16, 24)) < 0.05
    plates[hit] += 5
    plain = np.abs(loess_surface(plates, 0.6, robust_iterations=0)[0] - quadratic()).max()
    robust = np.abs(loess_surface(plates, 0.6, robust_iterations=3)[0] - quadratic()).max()
    assert robust < 0.1 < plain


@pytest.mark.parametrize(
    "plates",
    [
        pytest.param(np.full((1, 8, 12), np.nan), id="no value"),
        pytest.param(np.where(np.arange(96).reshape(1, 8, 12) < 4, 1.0, np.nan), id="four values"),
    ],
)
def test_too_few_values_for_a_quadratic_are_missing(plates):
    assert np.isnan(loess_surface(plates)).all()


def test_a_constant_plate_is_its_own_surface():
    assert np.allclose(loess_surface(np.full((2, 8, 12), 4.0)), 4.0)


def plain_loess(plate, span, iterations):
    """The published algorithm, one position at a time: tricube, quadratic, bisquare."""
    rows, columns = (axis.ravel() for axis in np.mgrid[0 : plate.shape[0], 0 : plate.shape[1]])
    y, n = plate.ravel(), plate.size
    present, robust = np.isfinite(y), np.ones(n)
    for _ in range(iterations + 1):
        fitted = np.empty(n)
        for i in range(n):
            dy, dx = rows - rows[i], columns - columns[i]
            distance = np.hypot(dy, dx)
            reach = np.sort(distance)[int(np.ceil(span * n)) - 1]
            weight = np.clip(1 - (distance / reach) ** 3, 0, None) ** 3 * robust
            root = np.sqrt(weight[present])
            basis = np.stack([np.ones(n), dy, dx, dy**2, dy * dx, dx**2], axis=1)[present]
            solution = np.linalg.lstsq(basis * root[:, None], y[present] * root, rcond=None)
            fitted[i] = solution[0][0]
        size = np.abs(y - fitted)
        scale = 6 * np.nanmedian(size)
        robust = np.where(size < scale, (1 - (size / scale) ** 2) ** 2, 0)
    return fitted.reshape(plate.shape)


@pytest.mark.parametrize("iterations", [0, 2])
def test_the_surface_equals_a_plain_loop(iterations):
    rng = np.random.default_rng(6)
    plate = rng.normal(size=(8, 12))
    plate[2, 3], plate[5, 8] = 6.0, np.nan
    found = loess_surface(plate[None], 0.5, iterations)[0]
    assert np.allclose(found, plain_loess(plate, 0.5, iterations))
