"""Plates as they stand on the bench: one square a well, controls and hits marked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from bokeh.models import BasicTicker, ColumnDataSource, LinearColorMapper, Range1d
from bokeh.models.annotations.legends import ColorBar
from bokeh.palettes import RdYlBu11, YlGnBu9, interp_palette
from numpy.typing import NDArray

from hcs.domain import columns as col
from hcs.domain.plate import PertType
from hcs.domain.wells import PlateFormat, Well
from hcs.report import wording
from hcs.report.charts import style

DIVERGING: Final = interp_palette(RdYlBu11, 128)
"""Blue (low) over pale yellow to red (high)."""

SEQUENTIAL: Final = interp_palette(YlGnBu9[::-1], 128)
"""Pale (few) to dark blue (many)."""

_WIDTH_PX: Final = 318
_LARGE_WIDTH_PX: Final = 490
"""For plates of 1536 wells: two maps in a row instead of three."""

_MARGIN_LEFT_PX, _MARGIN_TOP_PX, _BAR_PX = 26, 24, 52

_MAX_Z: Final = 10.0
"""Colors end here: where controls hardly vary, z runs into the hundreds and says no more."""

MARKS: Final = (
    ("○", "negative control"),
    ("△", "positive control"),
    ("★", "hit"),
    ("×", "flagged: neither control nor hit"),
)
"""Signs on the wells, for the legend."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Colours and limits of one map.

    Attributes
    ----------
    column
        Column of the wells that is shown.
    palette
        Colours from low to high.
    low, high
        Values of the first and the last colour; beyond them the colour stays the same.
    """

    column: str
    palette: tuple[str, ...]
    low: float
    high: float


def score_scale(wells: pd.DataFrame, column: str = col.SCORE) -> Scale:
    """0 to 1 for probabilities, the data's own range for other values."""
    values = _select_finite(wells, column)
    if values.size and (values.min() < 0 or values.max() > 1):
        return Scale(column, DIVERGING, *_range(values))
    return Scale(column, DIVERGING, 0.0, 1.0)


def value_scale(wells: pd.DataFrame, column: str) -> Scale:
    """Range of the data, its outermost hundredths left out."""
    values = _select_finite(wells, column)
    return Scale(column, DIVERGING, *(_range(values) if values.size else (0.0, 1.0)))


def z_scale(wells: pd.DataFrame, column: str = col.ROBUST_Z) -> Scale:
    """Symmetric around 0, so that the color tells the direction; ± 3 to ± 10.

    Controls do not count where there are treated wells: their distance is known beforehand, and
    would leave the rest pale.
    """
    if col.PERT_TYPE in wells and (wells[col.PERT_TYPE] == PertType.TREATMENT.value).any():
        wells = wells[wells[col.PERT_TYPE] == PertType.TREATMENT.value]
    values = np.abs(_select_finite(wells, column))
    limit = float(np.clip(np.percentile(values, 95), 3, _MAX_Z)) if values.size else 3.0
    return Scale(column, DIVERGING, -limit, limit)


def count_scale(wells: pd.DataFrame, column: str = col.N_CELLS) -> Scale:
    """From 0 to the largest count."""
    values = _select_finite(wells, column)
    return Scale(column, SEQUENTIAL, 0.0, max(1.0, float(values.max(initial=1.0))))


def _select_finite(wells: pd.DataFrame, column: str) -> NDArray[np.float64]:
    if column not in wells:
        return np.empty(0)
    values: NDArray[np.float64] = wells[column].to_numpy(np.float64, na_value=np.nan)
    return values[np.isfinite(values)]


def _range(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.percentile(values, [1, 99])
    return (float(low), float(high)) if high > low else (float(low) - 1, float(low) + 1)


def plate_format_of(wells: pd.DataFrame) -> PlateFormat:
    """Return the smallest standard format that holds all wells of a table."""
    return PlateFormat.smallest_for({Well.parse(str(name)) for name in wells[col.WELL]})


def choose_width(plate_format: PlateFormat) -> int:
    """Return how many pixels of the screen a map takes."""
    return _LARGE_WIDTH_PX if plate_format is PlateFormat.WELLS_1536 else _WIDTH_PX


def plate_figure(wells: pd.DataFrame, plate_format: PlateFormat, scale: Scale) -> Any:  # noqa: ANN401
    """Draw one plate.

    Parameters
    ----------
    wells
        One row a well of this plate: ``Metadata_Well``, the column of `scale`, and what is there
        of kind, compound, concentration, score, robust z, cell count, hit, flags and reasons.
    plate_format
        Rows and columns that are drawn; wells without a row stay empty squares.
    scale
        What the colour shows.
    """
    rows, columns = plate_format.value
    width = choose_width(plate_format)
    px_per_well = (width - _MARGIN_LEFT_PX - _BAR_PX) / columns
    plot = style.new_figure(
        width,
        _MARGIN_TOP_PX + 8 + round(px_per_well * rows),
        x_range=Range1d(start=0.5, end=columns + 0.5),
        y_range=Range1d(start=rows - 0.5, end=-0.5),
        x_axis_location="above",
    )
    _name_rows_and_columns(plot, plate_format)
    places = [(well.column + 1, well.row) for well in plate_format.wells()]
    x, y = zip(*places, strict=True)
    plot.rect(x, y, 0.9, 0.9, fill_color=style.EMPTY, line_color=style.GRID, line_width=0.5)
    source = ColumnDataSource(_well_data(wells, scale))
    mapper = LinearColorMapper(
        palette=list(scale.palette), low=scale.low, high=scale.high, nan_color="#cbd2d9"
    )
    squares = plot.rect(
        "x",
        "y",
        0.9,
        0.9,
        source=source,
        fill_color={"field": "value", "transform": mapper},
        line_color=None,
    )
    _add_marks(plot, wells, px_per_well)
    _add_color_bar(plot, mapper)
    style.add_hover(plot, _tooltips(wells), [squares])
    return plot


def _name_rows_and_columns(plot: Any, plate_format: PlateFormat) -> None:  # noqa: ANN401
    """Name every row and column of small plates, some of large ones."""
    rows, columns = plate_format.value
    row_step, column_step = max(1, rows // 16), max(1, columns // 12)
    at_rows = list(range(0, rows, row_step))
    style.name_ticks(plot.yaxis[0], at_rows, [plate_format.row_names[row] for row in at_rows])
    at_columns = list(range(1, columns + 1, column_step))
    style.name_ticks(plot.xaxis[0], at_columns, [str(column) for column in at_columns])
    plot.grid.grid_line_color = None
    plot.axis.axis_line_color = None
    plot.axis.major_tick_line_color = None
    plot.axis.major_label_text_font_size = "10px"
    plot.axis.major_label_standoff = 1


def _add_color_bar(plot: Any, mapper: LinearColorMapper) -> None:  # noqa: ANN401
    bar = ColorBar(
        color_mapper=mapper,
        width=9,
        padding=4,
        margin=0,
        label_standoff=4,
        ticker=BasicTicker(desired_num_ticks=4),
        background_fill_color=None,
        major_tick_line_color=None,
        major_label_text_font=style.FONT,
        major_label_text_font_size="10px",
        major_label_text_color=style.MUTED,
    )
    plot.add_layout(bar, "right")


def _positions(names: pd.Series) -> tuple[list[int], list[int]]:
    wells = [Well.parse(str(name)) for name in names]
    return [well.column + 1 for well in wells], [well.row for well in wells]


def _well_data(wells: pd.DataFrame, scale: Scale) -> dict[str, Any]:
    x, y = _positions(wells[col.WELL])
    values = wells[scale.column].to_numpy(np.float64, na_value=np.nan)
    return {"x": x, "y": y, "value": values, **_describe_data(wells)}


def _describe_data(wells: pd.DataFrame) -> dict[str, list[str]]:
    """Write what is known of wells as texts."""
    data: dict[str, list[str]] = {}
    for key, column, digits in (
        ("score", col.SCORE, 3),
        ("spread", col.SCORE_SPREAD, 3),
        ("z", col.ROBUST_Z, 2),
        ("cells", col.N_CELLS, 1),
        ("dose", col.CONCENTRATION_UM, None),
    ):
        if column in wells:
            data[key] = [
                wording.trim_number(v) if digits is None else wording.number(v, digits)
                for v in wells[column].tolist()
            ]
    for key, column in (
        ("well", col.WELL),
        ("kind", col.PERT_TYPE),
        ("compound", col.COMPOUND),
        ("flags", col.FLAGS),
        ("reasons", col.REASONS),
    ):
        if column in wells:
            data[key] = [wording.text(v) for v in wells[column].tolist()]
    return data


def _tooltips(wells: pd.DataFrame) -> style.Tooltips:
    lines = [
        (col.WELL, "well", "@well"),
        (col.PERT_TYPE, "kind", "@kind"),
        (col.COMPOUND, "compound", "@compound"),
        (col.CONCENTRATION_UM, "concentration (µM)", "@dose"),
        (col.SCORE, "score", "@score"),
        (col.SCORE_SPREAD, "SD between splits", "@spread"),
        (col.ROBUST_Z, "robust z", "@z"),
        (col.N_CELLS, "cells per image", "@cells"),
        (col.FLAGS, "flags", "@flags"),
        (col.REASONS, "reasons", "@reasons"),
    ]
    return [(title, field) for column, title, field in lines if column in wells]


def describe_wells(wells: pd.DataFrame) -> list[str]:
    """Say all of every well, a line each: what is shown where a well is pointed at."""
    lines = [(title, field.removeprefix("@")) for title, field in _tooltips(wells)]
    data = _describe_data(wells)
    return [
        "\n".join(
            f"{title}: {text}" for (title, _), text in zip(lines, values, strict=True) if text
        )
        for values in zip(*(data[field] for _, field in lines), strict=True)
    ]


def list_marks(wells: pd.DataFrame) -> list[tuple[str, pd.Series]]:
    """Return the sign of every kind of marked well, and whether each well is of that kind."""
    kind = wells[col.PERT_TYPE] if col.PERT_TYPE in wells else pd.Series("", wells.index)
    usable = wells[col.USABLE].astype(bool) if col.USABLE in wells else kind.notna() | True
    chosen = (
        usable & (kind == PertType.NEGCON.value),
        usable & (kind == PertType.POSCON.value),
        wells[col.HIT].fillna(value=False).astype(bool),
        ~usable,
    )
    return [(sign, of) for (sign, _), of in zip(MARKS, chosen, strict=True)]


def _add_marks(plot: Any, wells: pd.DataFrame, px_per_well: float) -> None:  # noqa: ANN401
    size = float(np.clip(0.42 * px_per_well, 3, 11))
    markers = (("circle", size), ("triangle", size), ("star", 1.25 * size), ("x", size))
    for (_, chosen), (marker, size_px) in zip(list_marks(wells), markers, strict=True):
        if chosen.any():
            x, y = _positions(wells.loc[chosen, col.WELL])
            plot.scatter(
                x, y, marker=marker, size=size_px, fill_color="#ffffff", line_color=style.INK
            )
