"""How surprising a number is among those that shuffled labels give."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_TOLERANCE: Final = 1e-9
"""Numbers that are equal but for rounding count as equal."""


def compare_with_null(
    observed: float, null: NDArray[np.float64], *, tolerance: float = _TOLERANCE
) -> float:
    """P value of a number that is large where there is an effect.

    ``(1 + b) / (1 + n)`` with ``b`` of the ``n`` shuffles at least as large (Phipson and Smyth
    2010, doi 10.2202/1544-6115.1585).

    Parameters
    ----------
    observed
        Number of the real labels.
    null
        ``(n,)`` numbers of the shuffles; none gives 1.
    tolerance
        How far below `observed` a shuffle still counts as equal, for rounding.
    """
    return (1 + int((null >= observed - tolerance).sum())) / (1 + len(null))


def bound_null(null: NDArray[np.float64]) -> tuple[float, float]:
    """Find the ends of the middle 95 % of ``(n,)`` numbers, n ≥ 1."""
    low, high = np.percentile(null, [2.5, 97.5])
    return float(low), float(high)
