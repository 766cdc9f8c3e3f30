"""Growth-rate inhibition: a drug's effect per cell division, where counts at time zero exist."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from hcs.domain import columns as col
from hcs.screen.curves.dose import area_observed, concentration_at
from hcs.screen.curves.logistic import Bounds, Curve, fit_curve
from hcs.screen.groups import Floats, divide

_LEAST_RATIO = 1e-6
"""A well without cells counts as so many times the cells at time zero: its logarithm exists."""


@dataclass(frozen=True, slots=True)
class GrowthResponse:
    """GR metrics of one compound.

    Attributes
    ----------
    curve
        Fit of GR over concentration, 1 without the compound.
    gr50_um
        Concentration where GR is 0.5; NaN where it never is.
    gec50_um, gr_inf, hill
        Half-effect concentration, GR at saturation, slope.
    gr_max
        Lowest mean GR of the two highest concentrations.
    gr_aoc
        Mean of 1 − GR over log10 concentration.
    """

    curve: Curve
    gr50_um: float
    gec50_um: float
    gr_inf: float
    hill: float
    gr_max: float
    gr_aoc: float


def growth_rate_inhibition(count: Floats, control_count: Floats, count_at_zero: Floats) -> Floats:
    """GR value: 2^(log2(count / count at 0 h) / log2(control / count at 0 h)) − 1.

    1 is growth as without the compound, 0 is no growth, below 0 cells die.

    Parameters
    ----------
    count
        Cells of the treated well at the end.
    control_count
        Cells of untreated wells at the end.
    count_at_zero
        Cells when the compound was added.

    Returns
    -------
    ndarray
        Same shape; NaN where a count is missing, the control did not change, or no cells were
        there at time zero.

    References
    ----------
    Hafner et al. 2016, Nat Methods 13:521-527, doi 10.1038/nmeth.3853.
    """
    ratio = divide(count, count_at_zero)
    control = divide(control_count, count_at_zero)
    doublings, expected = (np.log2(np.maximum(part, _LEAST_RATIO)) for part in (ratio, control))
    return np.exp2(divide(doublings, expected)) - 1.0


def fit_growth(concentration_um: Floats, gr: Floats) -> GrowthResponse:
    """Fit GR over concentration, with GR = 1 at concentration 0 and −1 ≤ GR ≤ 1 at saturation.

    Parameters
    ----------
    concentration_um, gr
        Shape ``(n,)`` each.

    Returns
    -------
    GrowthResponse
        When the curve is flat or cannot be fitted, ``curve.status`` says so and the fitted
        metrics are NaN; ``gr_max`` and ``gr_aoc`` are always those of the data.

    References
    ----------
    Hafner et al. 2016, Nat Methods 13:521-527, doi 10.1038/nmeth.3853.
    """
    curve = fit_curve(concentration_um, gr, Bounds(at_zero=(1.0, 1.0), at_infinity=(-1.0, 1.0)))
    kept = np.isfinite(concentration_um) & np.isfinite(gr) & (concentration_um > 0)
    dose, value = concentration_um[kept], gr[kept]
    highest = np.unique(dose)[-2:]
    means = [float(value[dose == level].mean()) for level in highest]
    return GrowthResponse(
        curve=curve,
        gr50_um=concentration_at(curve, 0.5),
        gec50_um=float(np.power(10.0, curve.log10_ec50)),
        gr_inf=curve.at_infinity,
        hill=curve.hill,
        gr_max=min(means) if means else np.nan,
        gr_aoc=area_observed(dose, 1.0 - value),
    )


def fit_growths(hits: pd.DataFrame) -> pd.DataFrame:
    """Fit GR metrics to every compound with several concentrations and counts at time zero.

    Parameters
    ----------
    hits
        One row a well, with ``Metadata_Compound``, ``Metadata_concentration_um`` and ``gr``;
        unusable wells are left out.

    Returns
    -------
    DataFrame
        One row a model × compound: ``gr_status`` (``fitted`` or why not), ``gr50_um``,
        ``gec50_um``, ``gr_inf``, ``gr_hill``, ``gr_max``, ``gr_aoc``. No rows when no count at
        time zero is known.
    """
    names = ("gr_status", "gr50_um", "gec50_um", "gr_inf", "gr_hill", "gr_max", "gr_aoc")
    keys = [key for key in (col.MODEL, col.COMPOUND) if key in hits]
    needed = {col.COMPOUND, col.CONCENTRATION_UM, col.GR}
    rows: list[tuple[object, ...]] = []
    kept = hits.dropna(subset=list(needed)) if needed <= set(hits) else hits.iloc[:0]
    if col.USABLE in kept:
        kept = kept[kept[col.USABLE].astype(bool)]
    for group, wells in kept.groupby(keys, sort=True, observed=True) if len(kept) else ():
        dose = wells[col.CONCENTRATION_UM].to_numpy(np.float64)
        if np.unique(dose[dose > 0]).size < 2:
            continue
        found = fit_growth(dose, wells[col.GR].to_numpy(np.float64))
        metrics = (found.gr50_um, found.gec50_um, found.gr_inf, found.hill)
        rows.append((*group, found.curve.status, *metrics, found.gr_max, found.gr_aoc))
    return pd.DataFrame(rows, columns=[*keys, *names])
