"""Plates drawn as plain SVG: a page of one needs no script, a tenth of the bytes and of the time.

A screen of 400 plates has 400 pages. With interactive charts each took 0.4 s and 1.4 MB, most of it
the library that draws them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from markupsafe import Markup, escape
from numpy.typing import NDArray

from hcs.domain import columns as col
from hcs.domain.wells import PlateFormat, Well
from hcs.report import wording
from hcs.report.charts import plate_maps, style
from hcs.report.charts.plate_maps import Scale

_LEFT_PX, _TOP_PX, _BAR_PX = 26, 18, 52
_NO_VALUE: Final = "#cbd2d9"
_BAR_STEPS: Final = 16


@dataclass(frozen=True, slots=True)
class Drawing:
    """One picture: SVG, and how large it is."""

    svg: Markup
    width: int
    height: int


def draw_maps(
    wells: pd.DataFrame, plate_format: PlateFormat, scales: Sequence[Scale], full: int = 0
) -> list[Drawing]:
    """Draw the wells of one plate, once a scale.

    Parameters
    ----------
    wells, plate_format
        As of :func:`hcs.report.charts.plate_maps.plate_figure`.
    scales
        What the colors show.
    full
        Number of the map that tells all of a well where it is pointed at; the others tell the value
        that they show.
    """
    places = [Well.parse(str(name)) for name in wells[col.WELL]]
    told = plate_maps.describe_wells(wells)
    drawn = []
    for number, scale in enumerate(scales):
        values = wells[scale.column].to_numpy(np.float64, na_value=np.nan)
        short = (
            f"{well.name} {wording.number(value)}"
            for well, value in zip(places, values.tolist(), strict=True)
        )
        titles = told if number == full else short
        drawn.append(_draw(wells, plate_format, scale, places, values, list(titles)))
    return drawn


def _draw(
    wells: pd.DataFrame,
    plate_format: PlateFormat,
    scale: Scale,
    places: Sequence[Well],
    values: NDArray[np.float64],
    titles: Sequence[str],
) -> Drawing:
    width = plate_maps.choose_width(plate_format)
    rows, columns = plate_format.value
    step = (width - _LEFT_PX - _BAR_PX) / columns
    height = _TOP_PX + 4 + round(step * rows)
    squares = "".join(
        f'<rect x="{well.column}" y="{well.row}" fill="{color}"><title>{escape(title)}'
        "</title></rect>"
        for well, color, title in zip(places, _colors(values, scale), titles, strict=True)
    )
    empty = f"M0 0h{columns}v{rows}h-{columns}z"
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'font-family="{style.FONT}" font-size="10" text-anchor="middle" role="img">'
        ),
        (
            f'<g class="wells" transform="translate({_LEFT_PX} {_TOP_PX}) scale({step:.4g})">'
            f'<path d="{empty}" fill="{style.EMPTY}"/>{squares}</g>'
        ),
        *_name_rows_and_columns(plate_format, step),
        *_mark(wells, places, step),
        *_add_bar(scale, width - _BAR_PX + 8, round(step * rows)),
        "</svg>",
    ]
    return Drawing(Markup("".join(parts)), width, height)


def _colors(values: NDArray[np.float64], scale: Scale) -> list[str]:
    span = scale.high - scale.low
    with np.errstate(invalid="ignore"):
        shares = np.clip((values - scale.low) / (span if span > 0 else 1), 0, 1)
    last = len(scale.palette) - 1
    places = np.nan_to_num(shares * len(scale.palette)).astype(int).clip(0, last)
    known = np.isfinite(values)
    return [
        scale.palette[at] if is_known else _NO_VALUE
        for at, is_known in zip(places.tolist(), known.tolist(), strict=True)
    ]


def _name_rows_and_columns(plate_format: PlateFormat, step: float) -> Iterator[str]:
    """Name every row and column of small plates, some of large ones."""
    rows, columns = plate_format.value
    yield f'<g fill="{style.MUTED}">'
    for row in range(0, rows, max(1, rows // 16)):
        y = _TOP_PX + (row + 0.45) * step + 3.5
        yield f'<text x="{_LEFT_PX - 10}" y="{y:.1f}">{plate_format.row_names[row]}</text>'
    for column in range(0, columns, max(1, columns // 12)):
        x = _LEFT_PX + (column + 0.45) * step
        yield f'<text x="{x:.1f}" y="{_TOP_PX - 5}">{column + 1}</text>'
    yield "</g>"


def _mark(wells: pd.DataFrame, places: Sequence[Well], step: float) -> Iterator[str]:
    """Put the signs of controls, hits and flagged wells on them."""
    size = float(np.clip(0.8 * step, 5, 14))
    yield f'<g font-size="{size:.1f}" fill="{style.INK}" pointer-events="none">'
    for sign, chosen in plate_maps.list_marks(wells):
        for at in np.flatnonzero(chosen.fillna(value=False).to_numpy(bool)).tolist():
            x = _LEFT_PX + (places[at].column + 0.45) * step
            y = _TOP_PX + (places[at].row + 0.45) * step + 0.35 * size
            yield f'<text x="{x:.1f}" y="{y:.1f}">{sign}</text>'
    yield "</g>"


def _add_bar(scale: Scale, left: int, height: int) -> Iterator[str]:
    """Add the colors with the values of the lowest, the middle and the highest one."""
    each = height / _BAR_STEPS
    yield '<g text-anchor="start">'
    for number in range(_BAR_STEPS):
        color = scale.palette[(len(scale.palette) - 1) * number // (_BAR_STEPS - 1)]
        y = _TOP_PX + height - (number + 1) * each
        yield f'<path d="M{left} {y:.1f}h9v{each + 0.3:.1f}h-9z" fill="{color}"/>'
    for share in (0.0, 0.5, 1.0):
        value = scale.low + share * (scale.high - scale.low)
        y = _TOP_PX + 6 + (1 - share) * (height - 8)
        text = wording.number(value)
        yield f'<text x="{left + 12}" y="{y:.1f}" fill="{style.MUTED}">{escape(text)}</text>'
    yield "</g>"
