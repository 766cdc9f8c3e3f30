"""Charts of growth: one thin line a well against time, one thick line a condition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from bokeh.models import ColumnDataSource

from hcs.domain import columns as col
from hcs.report.charts import style

_FEW_WELLS: Final = 24
"""From so many wells a condition on, their lines are fainter."""


def growth_figure(
    wells: pd.DataFrame, column: str, colors: Mapping[str, str], x_label: str, y_label: str
) -> Any:  # noqa: ANN401 - bokeh is untyped here
    """One line a well over time, and the mean of every condition.

    Parameters
    ----------
    wells
        One row a well and time: ``Metadata_Plate``, ``Metadata_Well``, ``condition``, ``time`` as
        it is shown, and the feature.
    column
        The feature; where it is missing a line is broken.
    colors
        Color by condition, in the order in which they are drawn.
    x_label, y_label
        Of the axes.
    """
    plot = style.new_figure(440, 280, x_label=x_label, y_label=y_label)
    for condition, color in colors.items():
        part = wells[wells["condition"] == condition]
        lines = [rows for _, rows in part.groupby(list(col.WELL_KEY), sort=True)]
        data: dict[str, Any] = {
            "x": [rows["time"].to_numpy(np.float64) for rows in lines],
            "y": [rows[column].to_numpy(np.float64) for rows in lines],
        }
        faint = 0.35 if len(lines) <= _FEW_WELLS else 0.12
        plot.multi_line("x", "y", source=ColumnDataSource(data), line_color=color, line_alpha=faint)
    for condition, color in colors.items():
        part = wells[(wells["condition"] == condition) & wells[column].notna()]
        means = part.groupby("time")[column].agg(["mean", "std", "count"]).reset_index()
        means["std"] = means["std"].fillna(0.0)
        means["condition"] = condition
        source = ColumnDataSource(means)
        plot.line("time", "mean", source=source, line_color=color, line_width=3)
        dots = plot.scatter("time", "mean", source=source, size=7, color=color)
        tips = [
            ("", "@condition"),
            (x_label, "@time{0.[00]}"),
            (y_label, "@mean{0,0.0} ± @std{0,0.0}"),
            ("wells", "@count"),
        ]
        style.add_hover(plot, tips, [dots])
    return plot
