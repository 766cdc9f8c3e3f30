"""Do values follow the row, the column or the edge of the plate? A test for each."""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2, rankdata

from hcs.screen.groups import Codes, Floats, divide
from hcs.screen.plates import Screen


def kruskal_wallis(plates: Floats, labels: Codes) -> Floats:
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
    ndarray
        p of each plate, shape ``(P,)``; NaN where fewer than two groups have values, or where
        all values are equal.

    References
    ----------
    Kruskal & Wallis 1952, J Am Stat Assoc 47:583-621, doi 10.1080/01621459.1952.10483441.
    """
    if plates.size == 0:
        return np.full(plates.shape[0], np.nan)
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
    return p


def position_tests(screen: Screen) -> dict[str, Floats]:
    """Test row, column and edge effects among the usable samples of every plate.

    Controls are left out: they often fill whole columns, so their difference would pass for a
    column effect.

    Returns
    -------
    dict
        ``row_p``, ``column_p`` and ``edge_p`` (edge against interior), shape ``(n_plates,)``
        each; NaN where a plate has too few wells to tell.
    """
    result = {name: np.full(screen.n_plates, np.nan) for name in ("row_p", "column_p", "edge_p")}
    value = np.where(screen.usable & screen.is_sample, screen.value, np.nan)
    for stack in screen.stacks():
        n_plates, n_rows, n_columns = stack.index.shape
        members = screen.plate[stack.index.reshape(n_plates, -1).max(axis=1)]
        rows, columns = np.divmod(np.arange(n_rows * n_columns), n_columns)
        edge = (rows == 0) | (rows == n_rows - 1) | (columns == 0) | (columns == n_columns - 1)
        flat = stack.gather(value).reshape(n_plates, -1)
        result["row_p"][members] = kruskal_wallis(flat, rows)
        result["column_p"][members] = kruskal_wallis(flat, columns)
        result["edge_p"][members] = kruskal_wallis(flat, edge.astype(np.intp))
    return result
