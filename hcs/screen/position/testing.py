"""Do values follow the row, the column or the edge of the plate? A test for each."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from scipy.stats import chi2, rankdata

from hcs.screen.controls import PlateFault, PositionEffect
from hcs.screen.groups import Codes, Floats, divide
from hcs.screen.plates import Screen

_CLEAR_P: Final = 1e-3
_LEAST_SHARE: Final = 0.1
"""Of the variance: a column gradient over the plate of less than one SD stays below it."""

_TESTS: Final = ("row", "column", "edge")


def kruskal_wallis(plates: Floats, labels: Codes) -> tuple[Floats, Floats]:
    """Test on every plate whether the groups differ in location (Kruskal-Wallis).

    Equal to :func:`scipy.stats.kruskal` on each plate, which handles one plate a call and
    refuses plates whose values are all equal.

    Parameters
    ----------
    plates
        Shape ``(P, W)``; NaN where there is no value.
    labels
        Group of every position, shape ``(W,)``, codes from 0.

    Returns
    -------
    p
        Of each plate, shape ``(P,)``; NaN where fewer than two groups have values, or where
        all values are equal.
    share
        Of the variance of the ranks that lies between the groups, less what chance puts there:
        η² = (H − k + 1) / (n − k), at least 0; NaN as p.

    References
    ----------
    Kruskal & Wallis 1952, J Am Stat Assoc 47:583-621, doi 10.1080/01621459.1952.10483441. The
    share: Tomczak & Tomczak 2014, Trends Sport Sci 21:19-25.
    """
    if plates.size == 0:
        return np.full(plates.shape[0], np.nan), np.full(plates.shape[0], np.nan)
    present = np.isfinite(plates)
    # Missing values are ranked last, so that they leave the ranks of the others alone.
    ranks = np.where(present, rankdata(np.where(present, plates, np.inf), axis=1), 0.0)
    member = (labels[:, None] == np.arange(labels.max() + 1)).astype(np.float64)
    sizes = present.astype(np.float64) @ member
    n = present.sum(axis=1).astype(np.float64)
    between = np.nansum(divide((ranks @ member) ** 2, sizes), axis=1)
    # Σ(t³ − t) over ties is 12 × what the variance of the ranks falls short of that of 1 … n.
    spread = (ranks**2).sum(axis=1) - n * (n + 1) ** 2 / 4
    statistic = divide(
        (n - 1) * (between - n * (n + 1) ** 2 / 4), np.where(spread > 1e-9, spread, 0)
    )
    freedom = (sizes > 0).sum(axis=1) - 1
    tested = freedom >= 1
    p = np.full(n.shape, np.nan)
    p[tested] = chi2.sf(statistic[tested], freedom[tested])
    share = np.where(tested, np.maximum(divide(statistic - freedom, n - 1 - freedom), 0), np.nan)
    return p, share


def position_tests(screen: Screen) -> dict[str, Floats]:
    """Test row, column and edge effects among the usable samples of every plate.

    Controls are left out: they often fill whole columns, so their difference would pass for a
    column effect.

    Returns
    -------
    dict
        ``row_p``, ``column_p`` and ``edge_p`` (edge against interior), and ``row_share`` … of the
        variance that they explain, shape ``(n_plates,)`` each; NaN where a plate has too few wells
        to tell.
    """
    names = [f"{test}_{what}" for what in ("p", "share") for test in _TESTS]
    result = {name: np.full(screen.n_plates, np.nan) for name in names}
    value = np.where(screen.usable & screen.is_sample, screen.value, np.nan)
    for stack in screen.stacks():
        n_plates, n_rows, n_columns = stack.index.shape
        members = screen.plate[stack.index.reshape(n_plates, -1).max(axis=1)]
        rows, columns = np.divmod(np.arange(n_rows * n_columns), n_columns)
        edge = (rows == 0) | (rows == n_rows - 1) | (columns == 0) | (columns == n_columns - 1)
        flat = stack.gather(value).reshape(n_plates, -1)
        for test, labels in (("row", rows), ("column", columns), ("edge", edge.astype(np.intp))):
            p, share = kruskal_wallis(flat, labels)
            result[f"{test}_p"][members], result[f"{test}_share"][members] = p, share
    return result


def find_position_effects(quality: pd.DataFrame, *, is_corrected: bool) -> list[PlateFault]:
    """Name the plates whose treated wells clearly follow their row, column or edge.

    Parameters
    ----------
    quality
        One row a plate, with ``corrected_row_p``, ``corrected_row_share`` … and ``n_hits``. Gets
        a column ``position_effect``: ``row``, ``column``, ``edge`` or empty.
    is_corrected
        Whether a correction was applied.

    Returns
    -------
    list of PlateFault
        One a plate with a test whose p, times the number of plates and tests, is below 0.001, and
        which explains at least a tenth of the variance.
    """
    p, share = (
        quality[[f"corrected_{test}_{what}" for test in _TESTS]].to_numpy(np.float64)
        for what in ("p", "share")
    )
    clear = (p * p.size <= _CLEAR_P) & (share >= _LEAST_SHARE)
    strongest = np.where(clear, share, -1.0).argmax(axis=1)
    named = np.where(clear.any(axis=1), np.array(_TESTS, dtype=object)[strongest], "")
    quality["position_effect"] = named
    return [
        PlateFault.of(
            quality.iloc[plate],
            PositionEffect(
                str(named[plate]),
                float(p[plate, strongest[plate]]),
                float(share[plate, strongest[plate]]),
                int(quality["n_hits"].iloc[plate]),
                is_corrected,
            ),
        )
        for plate in np.flatnonzero(clear.any(axis=1))
    ]
