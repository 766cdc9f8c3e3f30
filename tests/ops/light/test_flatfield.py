"""Tests of vendors' illumination profiles."""

from __future__ import annotations

import pytest

from hcs.domain.plate import FlatField
from hcs.ops.light.flatfield import profile_image


def profile(*coefficients):
    return FlatField(
        channel="DAPI", coefficients=coefficients, origin_px=(2.0, 1.0), scale=(0.5, 0.25)
    )


@pytest.mark.parametrize(
    ("coefficients", "expected"),
    [
        pytest.param([(1.5,)], 1.5, id="flat"),
        pytest.param([(1.0,), (0.2, 0.0)], 1 + 0.2 * 1.0, id="along-x"),
        pytest.param([(1.0,), (0.0, 0.4)], 1 + 0.4 * 0.5, id="along-y"),
        pytest.param([(0.0,), (0, 0), (1, 10, 100)], 1 + 10 * 0.5 + 100 * 0.25, id="quadratic"),
    ],
)
def test_one_pixel_worked_out_by_hand(coefficients, expected):
    # The pixel at x = 4, y = 3 is at (4 - 2) / 2 = 1 and (3 - 1) / 4 = 0.5.
    image = profile_image(profile(*coefficients), (5, 6))
    assert image.shape == (5, 6)
    assert image[3, 4] == pytest.approx(expected)
