"""Concentration-response curves of all compounds of a screen, one row a compound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from hcs.domain import columns as col
from hcs.domain.config.screening import DoseOptions
from hcs.errors import UnknownNameError
from hcs.screen.curves.bell import LEAST_CONCENTRATIONS as LEAST_OF_BELL
from hcs.screen.curves.bell import Bell, fit_bell
from hcs.screen.curves.logistic import SLOPES, Bounds, Curve, fit_curve, squares_of_logistic
from hcs.screen.curves.profile import N_PARAMETERS
from hcs.screen.groups import Flags, Floats

_AT_THE_END: Final = 0.999

_MEASURES = ("at_zero", "at_infinity", "ec50_um", "hill")


def fit_doses(hits: pd.DataFrame, options: DoseOptions | None = None) -> pd.DataFrame:
    """Fit a four-parameter log-logistic curve to every compound with several concentrations.

    Parameters
    ----------
    hits
        One row a well: ``Metadata_Compound``, ``Metadata_concentration_um`` and the column to
        fit (``rescue`` by default); unusable and toxic wells are left out: a compound that rescues
        and kills at its highest doses would get the EC50 of its killing.
    options
        The column, limits of the asymptotes, and the level that ``reaches_level_at_um`` asks for.

    Returns
    -------
    DataFrame
        One row a model × compound: ``response`` (name of the fitted column), ``n_values``,
        ``n_toxic`` (wells left out), ``n_concentrations``, ``lowest_um``, ``highest_um``,
        ``status`` (``fitted``, ``turns back``, or why not), ``message``; where fitted ``at_zero``,
        ``at_infinity``, ``ec50_um`` (relative: half-way between the asymptotes; an IC50 where the
        curve falls), ``hill``, each with ``…_low`` and ``…_high`` (95 %, infinite or 0 where the
        data do not bound it), ``reaches_level_at_um`` (absolute EC50), ``residual_sd`` and
        ``auc_fitted``; always ``auc_observed``. Areas are over log10 concentration, divided by
        its range: the mean response. A curve that clearly rises and falls again (``turns_p`` below
        0.01) has the EC50 of its rise and ``falls_at_um``, half-way down. Compounds at one
        concentration are left out.

    Raises
    ------
    UnknownNameError
        When a needed column is absent.

    References
    ----------
    Ritz et al. 2015, PLoS ONE 10:e0146021, doi 10.1371/journal.pone.0146021.
    """
    options = options or DoseOptions()
    response = response_column(hits, options)
    for name in (col.COMPOUND, col.CONCENTRATION_UM, response):
        if name not in hits:
            raise UnknownNameError("column", name, "the table of hits", list(hits.columns))
    kept = hits[col.COMPOUND].notna() & hits[col.CONCENTRATION_UM].notna()
    if col.USABLE in hits:
        kept &= hits[col.USABLE].astype(bool)
    keys = [key for key in (col.MODEL, col.COMPOUND) if key in hits]
    rows = []
    for names, wells in hits[kept].groupby(keys, sort=True, observed=True):
        dose = wells[col.CONCENTRATION_UM].to_numpy(np.float64)
        if np.unique(dose[dose > 0]).size < 2:
            continue
        value = wells[response].to_numpy(np.float64)
        toxic = find_toxic(wells)
        named = dict(zip(keys, names, strict=True)) | {"response": response}
        found = describe(dose[~toxic], value[~toxic], options)
        if toxic.any():
            found["message"] = _say_toxic(str(found["message"]), int(toxic.sum()), dose[toxic])
        rows.append(named | {"n_toxic": int(toxic.sum())} | found)
    empty = {"n_toxic": 0} | describe(np.array([]), np.array([]), options)
    return pd.DataFrame(rows, columns=[*keys, "response", *empty])


def find_toxic(wells: pd.DataFrame) -> Flags:
    """Say of every well whether it lost too many cells, shape ``(N,)``."""
    if col.TOXIC not in wells:
        return np.zeros(len(wells), dtype=bool)
    return wells[col.TOXIC].fillna(value=False).to_numpy(bool)


def _say_toxic(message: str, n: int, dose_um: Floats) -> str:
    low, high = dose_um.min(), dose_um.max()
    at = f"at {low:g} µM" if low == high else f"at {low:g} to {high:g} µM"
    left_out = f"{n} toxic {'well' if n == 1 else 'wells'} {at} left out"
    return f"{message}; {left_out}" if message else left_out


def response_column(hits: pd.DataFrame, options: DoseOptions) -> str:
    """Return the column that curves are fitted to."""
    if options.value is not None:
        return options.value
    if col.RESCUE in hits and hits[col.RESCUE].notna().any():
        return col.RESCUE
    return col.NORMALIZED if col.NORMALIZED in hits else col.RESCUE


def describe(dose_um: Floats, value: Floats, options: DoseOptions) -> dict[str, object]:
    """Fit one compound and lay out the numbers of :func:`fit_doses`."""
    finite = np.isfinite(dose_um) & np.isfinite(value)
    dose_um, value = dose_um[finite], value[finite]
    bounds = Bounds(options.at_zero, options.at_infinity)
    curve = fit_curve(dose_um, value, bounds)
    bell = _try_bell(dose_um, value, bounds)
    tested = np.unique(dose_um[dose_um > 0])
    lowest, highest = (tested[0], tested[-1]) if tested.size else (np.nan, np.nan)
    described: dict[str, object] = {
        "n_values": int(value.size),
        "n_concentrations": int(tested.size),
        "lowest_um": float(lowest),
        "highest_um": float(highest),
        "status": curve.status,
        "message": curve.message or _say_steepness(curve),
        **_measures(curve),
        "reaches_level_at_um": concentration_at(curve, options.level),
        "residual_sd": curve.residual_sd,
        "auc_fitted": area_fitted(curve, float(lowest), float(highest)),
        "auc_observed": area_observed(dose_um, value),
        "turns_p": bell.p,
        "falls_at_um": np.nan,
    }
    return described | _describe_bell(bell) if bell.is_clear else described


def _try_bell(dose_um: Floats, value: Floats, bounds: Bounds) -> Bell:
    """Fit a curve that turns back, where the asymptotes are free."""
    free = bounds.n_free == N_PARAMETERS
    if not free or np.unique(dose_um[dose_um > 0]).size < LEAST_OF_BELL or np.ptp(value) == 0:
        return Bell(np.nan)
    return fit_bell(dose_um, value, squares_of_logistic(dose_um, value, bounds))


def _describe_bell(bell: Bell) -> dict[str, object]:
    """Lay out a curve that turns back: EC50 is that of its rise; what has no interval has none."""
    unknown = {f"{name}_{end}": np.nan for name in _MEASURES for end in ("low", "high")}
    rise, fall = float(10.0**bell.log10_rise), float(10.0**bell.log10_fall)
    return unknown | {
        "status": "turns back",
        "message": (
            f"the effect rises (half-way at {rise:.3g} µM) and turns back (half-way at {fall:.3g} "
            f"µM; p {bell.p:.2g} against a curve that does not): EC50 is that of the rise"
        ),
        "at_zero": bell.at_zero,
        "at_infinity": bell.plateau,
        "ec50_um": rise,
        "ec50_um_low": float(10.0**bell.rise_low),
        "ec50_um_high": float(10.0**bell.rise_high),
        "hill": bell.hill,
        "residual_sd": bell.residual_sd,
        "reaches_level_at_um": np.nan,
        "auc_fitted": np.nan,
        "falls_at_um": fall,
    }


def _measures(curve: Curve) -> Mapping[str, object]:
    """Lay out parameters and intervals; EC50 and slope turn back from logarithms."""
    intervals = np.full((4, 2), np.nan) if curve.intervals is None else curve.intervals.copy()
    intervals[2:] = np.power(10.0, intervals[2:])
    best = (curve.at_zero, curve.at_infinity, float(np.power(10.0, curve.log10_ec50)), curve.hill)
    laid_out: dict[str, object] = {}
    for name, value, (low, high) in zip(_MEASURES, best, intervals, strict=True):
        laid_out |= {name: value, f"{name}_low": float(low), f"{name}_high": float(high)}
    return laid_out


def _say_steepness(curve: Curve) -> str:
    """Say where the slope stopped at an end of what is searched: EC50 leans on it."""
    if curve.status != "fitted":
        return ""
    least, most = SLOPES
    if curve.hill >= most * _AT_THE_END:
        return f"slope at {most:g} or more, the steepest that is searched: EC50 leans on it"
    if curve.hill <= least / _AT_THE_END:
        return f"slope at {least:g} or less, the flattest that is searched: EC50 leans on it"
    return ""


def concentration_at(curve: Curve, level: float) -> float:
    """Concentration where the fitted curve crosses `level` (absolute EC50 or IC50).

    Returns
    -------
    float
        NaN without a fit, and where the curve never reaches the level.
    """
    if curve.status != "fitted":
        return np.nan
    share = (level - curve.at_zero) / (curve.at_infinity - curve.at_zero)
    if not 0.0 < share < 1.0:
        return np.nan
    return float(10.0**curve.log10_ec50 * (share / (1.0 - share)) ** (1.0 / curve.hill))


def area_fitted(curve: Curve, lowest: float, highest: float) -> float:
    """Mean of the fitted curve over log10 concentration, from `lowest` to `highest`.

    The integral of 1 / (1 + 10^(h (e − x))) is log10(1 + 10^(h (x − e))) / h.
    """
    if curve.status != "fitted":
        return np.nan
    ends = np.log10([lowest, highest])
    # log10(1 + 10^z) without overflow.
    integral = np.logaddexp(0.0, np.log(10.0) * curve.hill * (ends - curve.log10_ec50))
    share = float(np.diff(integral)[0]) / np.log(10.0) / curve.hill / float(np.diff(ends)[0])
    return float(curve.at_zero + (curve.at_infinity - curve.at_zero) * share)


def area_observed(dose_um: Floats, value: Floats) -> float:
    """Mean of the observed response over log10 concentration, by the trapezoidal rule.

    Replicates are averaged first; concentration 0 is left out. NaN below two concentrations.
    """
    table = pd.DataFrame({"x": dose_um, "y": value})
    means = table[table["x"] > 0].groupby("x")["y"].mean()
    if len(means) < 2:
        return np.nan
    x = np.log10(means.index.to_numpy(np.float64))
    return float(np.trapezoid(means.to_numpy(np.float64), x) / (x[-1] - x[0]))
