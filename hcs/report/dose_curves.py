"""Effect against concentration, compound by compound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from bokeh.models import ColumnDataSource, Range1d
from bokeh.models.annotations.geometry import Span

from hcs.domain import tables
from hcs.domain.plate import PertType
from hcs.report import style, wording

MIN_DOSES: Final = 3
"""A curve needs at least three different concentrations."""

_MAX_TICKS: Final = 6

HIT_COLOR: Final = "#d55e00"
OTHER_COLOR: Final = "#616e7c"


def effect_column(hits: pd.DataFrame) -> str:
    """Return ``rescue`` where it could be measured on any well, else ``robust_z``."""
    if tables.RESCUE in hits and hits[tables.RESCUE].notna().any():
        return tables.RESCUE
    return tables.ROBUST_Z


def dosed_compounds(hits: pd.DataFrame, effect: str) -> list[tuple[str, pd.DataFrame]]:
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
    if not {tables.COMPOUND, tables.CONCENTRATION_UM} <= set(hits.columns):
        return []
    treated = hits[hits[tables.COMPOUND].notna() & (hits[tables.CONCENTRATION_UM] > 0)]
    if tables.PERT_TYPE in treated:
        treated = treated[treated[tables.PERT_TYPE] == PertType.TREATMENT.value]
    treated = treated[treated[effect].notna()]
    found: list[tuple[float, str, pd.DataFrame]] = []
    for name, wells in treated.groupby(tables.COMPOUND, sort=True):
        if wells[tables.CONCENTRATION_UM].nunique() >= MIN_DOSES:
            medians = wells.groupby(tables.CONCENTRATION_UM)[effect].median()
            found.append((float(medians.abs().max()), str(name), wells))
    found.sort(key=lambda item: (-item[0], item[1]))
    return [(name, wells) for _, name, wells in found]


def shared_range(curves: Sequence[pd.DataFrame], effect: str) -> tuple[float, float]:
    """One range for all curves, so that they can be compared; 0 and 1 are always inside."""
    values = np.concatenate([wells[effect].to_numpy(np.float64) for wells in curves])
    low, high = min(0.0, float(values.min())), max(1.0, float(values.max()))
    margin = 0.06 * (high - low)
    return low - margin, high + margin


def dose_figure(wells: pd.DataFrame, effect: str, limits: tuple[float, float]) -> Any:  # noqa: ANN401 - bokeh is untyped here
    """Every well as a dot (hits coloured), the median of each concentration as a line."""
    plot = style.new_figure(
        234,
        190,
        x_label="concentration (µM)",
        x_axis_type="log",
        y_range=Range1d(start=limits[0], end=limits[1]),
    )
    plot.axis.axis_label_text_font_size = "11px"
    doses = np.unique(wells[tables.CONCENTRATION_UM].to_numpy(np.float64))
    named = doses[:: -(-len(doses) // _MAX_TICKS)].tolist()
    style.name_ticks(plot.xaxis[0], named, [wording.trimmed(dose) for dose in named])
    for level in (0.0, 1.0) if effect == tables.RESCUE else (0.0,):
        plot.add_layout(
            Span(location=level, dimension="width", line_color="#9aa5b1", line_dash="dashed")
        )
    medians = wells.groupby(tables.CONCENTRATION_UM)[effect].median()
    plot.line(
        medians.index.to_numpy(np.float64),
        medians.to_numpy(np.float64),
        line_color=style.INK,
        line_width=1.5,
    )
    hit = wells[tables.HIT].fillna(value=False).astype(bool)
    data = {
        "dose": wells[tables.CONCENTRATION_UM].to_numpy(np.float64),
        "effect": wells[effect].to_numpy(np.float64),
        "color": np.where(hit, HIT_COLOR, OTHER_COLOR).tolist(),
        "plate": wells[tables.PLATE].astype(str).tolist(),
        "well": wells[tables.WELL].astype(str).tolist(),
    }
    dots = plot.scatter(
        "dose", "effect", source=ColumnDataSource(data), size=7, color="color", fill_alpha=0.7
    )
    tips = [("", "@plate @well"), ("µM", "@dose{0.[0000]}"), ("effect", "@effect{0.00}")]
    style.add_hover(plot, tips, [dots])
    return plot
