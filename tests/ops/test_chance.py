"""P values of shuffles never reach 0, and count ties as at least as good."""

from __future__ import annotations

import numpy as np
import pytest

from hcs.ops.chance import bound_null, compare_with_null

NULL = np.array([0.1, 0.5, 0.5, 0.9])


@pytest.mark.parametrize(
    ("observed", "p_value"),
    [(1.0, 1 / 5), (0.9, 2 / 5), (0.9 + 1e-12, 2 / 5), (0.5, 4 / 5), (0.0, 1.0)],
)
def test_p_values(observed, p_value):
    assert compare_with_null(observed, NULL) == pytest.approx(p_value)


def test_without_shuffles_nothing_is_surprising():
    assert compare_with_null(1.0, NULL[:0]) == 1.0


def test_the_middle_95_percent():
    assert bound_null(np.linspace(0, 1, 41)) == pytest.approx((0.025, 0.975))
