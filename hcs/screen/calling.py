"""Does a well, or a compound, lie beyond the limits of the chosen call."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hcs.domain import columns as col
from hcs.domain.config.screening import EmpiricalCall, HitsOptions, RobustZCall, SsmdCall
from hcs.domain.plate import PertType
from hcs.screen.groups import Flags, Floats
from hcs.screen.plates import read_kinds
from hcs.screen.significance import orient


def is_beyond(table: pd.DataFrame, options: HitsOptions) -> Flags:
    """Say of every row whether it lies beyond the limits; missing numbers never do.

    Toxic rows stand outside the adjustment for many tests: they count as beyond on their own z or
    p, so that the reason why they are no hits can be given.

    Parameters
    ----------
    table
        Wells or compounds with their statistics, ``hit_direction`` and ``toxic``, N rows.
    options
        ``call`` and its limits.

    Returns
    -------
    ndarray
        Shape ``(N,)``.
    """

    def column(name: str) -> Floats:
        return table[name].to_numpy(np.float64)

    direction, toxic = column(col.DIRECTION), table[col.TOXIC].to_numpy(bool)
    match options.call:
        case RobustZCall():
            far = orient(column(col.ROBUST_Z), direction) >= options.robust_z_threshold
            beyond = far & ((column(col.Q_VALUE) <= options.fdr) | toxic)
        case SsmdCall():
            beyond = orient(column(col.SSMD), direction) >= options.call.min_ssmd
        case EmpiricalCall():
            p = np.where(toxic, column(col.P_EMPIRICAL), column(col.Q_EMPIRICAL))
            beyond = p <= options.fdr
    return np.asarray(beyond, bool)


def is_evident(hits: pd.DataFrame, options: HitsOptions) -> Flags:
    """Say of every well whether it is a hit, or would be one if it were not toxic.

    Parameters
    ----------
    hits
        Wells with their statistics, N rows; only usable treated ones are evident.
    options
        ``call`` and its limits.

    Returns
    -------
    ndarray
        Shape ``(N,)``.
    """
    evident = is_beyond(hits, options)
    evident &= read_kinds(hits) == PertType.TREATMENT.value
    if col.USABLE in hits:
        evident &= hits[col.USABLE].to_numpy(bool)
    return evident
