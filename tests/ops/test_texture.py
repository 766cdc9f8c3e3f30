"""Tests of texture on stripes, whose pairs of gray levels can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hcs.domain.tuning.sets import DEFAULTS
from hcs.ops.texture import texture

APART = (DEFAULTS.texture.levels - 1) ** 2
STRIPES = np.tile(np.array([0, 0, 9, 9], np.float32), (64, 16))
"""Two columns dark, two bright: pixels two columns apart always differ."""


@pytest.mark.parametrize(
    ("plane", "distance_px", "contrast", "correlation"),
    [
        pytest.param(STRIPES, 2, 0.75 * APART, -0.5, id="columns-half-a-period-apart"),
        pytest.param(STRIPES.T, 2, 0.75 * APART, -0.5, id="rows-half-a-period-apart"),
        pytest.param(STRIPES, 4, 0, 1, id="columns-a-period-apart"),
        pytest.param(STRIPES.T, 4, 0, 1, id="rows-a-period-apart"),
    ],
)
def test_stripes(plane, distance_px, contrast, correlation):
    """Along the stripes pairs are alike; across them and on both diagonals they are not."""
    found = texture(plane, distance_px)
    assert found["Contrast"] == pytest.approx(contrast)
    assert found["Correlation"] == pytest.approx(correlation, abs=0.01)
    assert found["Energy"] == pytest.approx(0.5**0.5, abs=0.001), "two pairs, as frequent"
    assert found["Entropy"] == pytest.approx(1, abs=0.001), "one bit"


@pytest.mark.parametrize("plane", [np.full((64, 64), 7, np.float32), STRIPES[:4, :2]])
def test_a_plane_without_contrast_or_pairs(plane):
    assert texture(plane, 2) == {
        "Contrast": 0,
        "Correlation": 1,
        "Energy": 1,
        "Homogeneity": 1,
        "Entropy": 0,
    }
