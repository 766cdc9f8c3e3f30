"""Effect against concentration, compound by compound, with the fitted curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from bokeh.models import ColumnDataSource, Range1d
from bokeh.models.annotations.geometry import BoxAnnotation, Span

from hcs.domain import columns as col
from hcs.domain.plate import PertType
from hcs.report import wording
from hcs.report.charts import style
from hcs.screen.curves.dose import find_toxic
from hcs.screen.curves.logistic import log_logistic

MIN_DOSES: Final = 3
"""A curve needs at least three different concentrations."""

_MAX_TICKS: Final = 6
_CURVE_POINTS: Final = 80

HIT_COLOR: Final = "#d55e00"
OTHER_COLOR: Final = "#616e7c"
FIT_COLOR: Final = "#0072b2"

Fit = Mapping[str, Any]
"""One row of the table of fits."""


def effect_column(hits: pd.DataFrame, doses: pd.DataFrame | None = None) -> str:
    """Return the column that was fitted; without fits ``rescue`` where there is any."""
    if doses is not None and len(doses) and doses["response"].iloc[0] in hits:
        return str(doses["response"].iloc[0])
    if col.RESCUE in hits and hits[col.RESCUE].notna().any():
        return col.RESCUE
    return col.ROBUST_Z


def effect_words(effect: str) -> str:
    """Say what an effect is."""
    return {
        col.RESCUE: "rescue (0 diseased, 1 healthy control)",
        col.ROBUST_Z: "robust z",
        col.NORMALIZED: "normalized value",
        col.GR: "growth-rate inhibition",
    }.get(effect, effect)


def fits_of(doses: pd.DataFrame | None, model: str) -> dict[str, Fit]:
    """Fit of every compound of one model."""
    if doses is None:
        return {}
    rows = doses[doses[col.MODEL] == model].to_dict(orient="records")
    return {str(row[col.COMPOUND]): {str(k): v for k, v in row.items()} for row in rows}


def rank_compounds(hits: pd.DataFrame, effect: str) -> list[tuple[str, pd.DataFrame]]:
    """Treated wells of every compound that has a curve, strongest effect first.

    Parameters
    ----------
    hits
        One row a well of one model.
    effect
        Column of the effect.

    Returns
    -------
    list of (str, DataFrame)
        Compound and its wells, sorted by the largest absolute median effect of any concentration;
        empty when there are no compounds with three concentrations.
    """
    if not {col.COMPOUND, col.CONCENTRATION_UM} <= set(hits.columns):
        return []
    treated = hits[hits[col.COMPOUND].notna() & (hits[col.CONCENTRATION_UM] > 0)]
    if col.PERT_TYPE in treated:
        treated = treated[treated[col.PERT_TYPE] == PertType.TREATMENT.value]
    treated = treated[treated[effect].notna()]
    found: list[tuple[float, str, pd.DataFrame]] = []
    for name, wells in treated.groupby(col.COMPOUND, sort=True):
        if wells[col.CONCENTRATION_UM].nunique() >= MIN_DOSES:
            medians = wells.groupby(col.CONCENTRATION_UM)[effect].median()
            found.append((float(medians.abs().max()), str(name), wells))
    found.sort(key=lambda item: (-item[0], item[1]))
    return [(name, wells) for _, name, wells in found]


def shared_range(curves: Sequence[pd.DataFrame], effect: str) -> tuple[float, float]:
    """One range for all curves, so that they can be compared; 0 and 1 are always inside."""
    values = np.concatenate([wells[effect].to_numpy(np.float64) for wells in curves])
    low, high = min(0.0, float(values.min())), max(1.0, float(values.max()))
    margin = 0.06 * (high - low)
    return low - margin, high + margin


def fit_words(fit: Fit | None) -> str:
    """Say what a fit found, or why there is none."""
    if fit is None:
        return ""
    if fit["status"] == "turns back":
        return f"Turns back: {fit['message']}."
    if fit["status"] != "fitted":
        return f"No curve: {fit['message'] or fit['status']}."
    falls = fit["at_infinity"] < fit["at_zero"]
    low, high = (_bound(fit[name]) for name in ("ec50_um_low", "ec50_um_high"))
    name = "IC50" if falls else "EC50"
    return (
        f"{name} {wording.significant(fit['ec50_um'], 2)} µM ({low} to {high}), "
        f"Hill {wording.number(fit['hill'], 1)}, plateau {wording.number(fit['at_infinity'])}"
        + (f"; {fit['message']}" if fit["message"] else "")
    )


def _bound(value: float) -> str:
    """End of an interval; the data may leave one open."""
    return "?" if not np.isfinite(value) or value <= 0 else wording.significant(value, 2)


def dose_figure(
    wells: pd.DataFrame, effect: str, limits: tuple[float, float], fit: Fit | None = None
) -> Any:  # noqa: ANN401 - bokeh is untyped here
    """Every well as a dot (hits colored), with the fitted curve and the interval of its EC50.

    Toxic wells, which no curve is fitted to, are hollow. Without a fit a thin line joins the
    medians of the others.
    """
    plot = style.new_figure(
        234,
        190,
        x_label="concentration (µM)",
        x_axis_type="log",
        y_range=Range1d(start=limits[0], end=limits[1]),
    )
    plot.axis.axis_label_text_font_size = "11px"
    doses = np.unique(wells[col.CONCENTRATION_UM].to_numpy(np.float64))
    named = doses[:: -(-len(doses) // _MAX_TICKS)].tolist()
    style.name_ticks(plot.xaxis[0], named, [wording.trim_number(dose) for dose in named])
    for level in (0.0, 1.0) if effect == col.RESCUE else (0.0,):
        plot.add_layout(
            Span(location=level, dimension="width", line_color="#9aa5b1", line_dash="dashed")
        )
    if fit is not None and fit["status"] == "fitted":
        _draw_fit(plot, fit, float(doses[0]), float(doses[-1]))
    else:
        _draw_medians(plot, wells, effect)
    dots = plot.scatter(
        "dose",
        "effect",
        source=ColumnDataSource(_dots(wells, effect)),
        size=7,
        line_color="color",
        fill_color="fill",
        fill_alpha=0.7,
    )
    tips = [("", "@plate @well @toxic"), ("µM", "@dose{0.[0000]}"), ("effect", "@effect{0.00}")]
    style.add_hover(plot, tips, [dots])
    return plot


def _dots(wells: pd.DataFrame, effect: str) -> dict[str, Any]:
    hit = wells[col.HIT].fillna(value=False).astype(bool)
    toxic = find_toxic(wells)
    color = np.where(hit, HIT_COLOR, OTHER_COLOR)
    return {
        "dose": wells[col.CONCENTRATION_UM].to_numpy(np.float64),
        "effect": wells[effect].to_numpy(np.float64),
        "color": color.tolist(),
        "fill": np.where(toxic, "#ffffff", color).tolist(),
        "toxic": np.where(toxic, "(toxic)", "").tolist(),
        "plate": wells[col.PLATE].astype(str).tolist(),
        "well": wells[col.WELL].astype(str).tolist(),
    }


def _draw_medians(plot: Any, wells: pd.DataFrame, effect: str) -> None:  # noqa: ANN401
    medians = wells[~find_toxic(wells)].groupby(col.CONCENTRATION_UM)[effect].median()
    x, y = medians.index.to_numpy(np.float64), medians.to_numpy(np.float64)
    plot.line(x, y, line_color="#9aa5b1", line_width=1, line_dash="dotted")


def _draw_fit(plot: Any, fit: Fit, lowest: float, highest: float) -> None:  # noqa: ANN401
    """Draw the curve over the tested concentrations, and where its EC50 may lie."""
    x = np.logspace(np.log10(lowest), np.log10(highest), _CURVE_POINTS)
    log10_ec50 = float(np.log10(fit["ec50_um"]))
    y = log_logistic(x, fit["at_zero"], fit["at_infinity"], log10_ec50, fit["hill"])
    low, high = float(fit["ec50_um_low"]), float(fit["ec50_um_high"])
    band = BoxAnnotation(
        left=max(low, lowest / 10) if np.isfinite(low) else lowest / 10,
        right=min(high, highest * 10) if np.isfinite(high) else highest * 10,
        fill_color=FIT_COLOR,
        fill_alpha=0.08,
        line_color=None,
    )
    plot.add_layout(band)
    plot.x_range = Range1d(start=lowest / 1.6, end=highest * 1.6)
    plot.line(x, y, line_color=FIT_COLOR, line_width=2)
    plot.add_layout(
        Span(location=fit["ec50_um"], dimension="height", line_color=FIT_COLOR, line_width=1)
    )
