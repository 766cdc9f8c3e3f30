"""Times of a table of values: the column that holds them, and the time point of every row."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from hcs.domain import columns as col
from hcs.errors import Fault
from hcs.io.sheets.body import read_well
from hcs.io.sheets.platemap_columns import Columns, normal
from hcs.io.sheets.reading.cells import Sheet
from hcs.io.sheets.reading.notes import list_some

_MINUTES: Final = {
    "ms": 1 / 60_000,
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1 / 60),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 1.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 60.0),
    **dict.fromkeys(("d", "day", "days"), 1440.0),
}
_UNIT: Final = "|".join(sorted(_MINUTES, key=len, reverse=True))
_NAME: Final = re.compile(
    rf"(?:(?:\w+_)?time(?:_?points?)?(?:_(?P<unit>{_UNIT}))?|t(?:_(?P<of_t>{_UNIT}))?"
    r"|(?P<bare>minutes|hours|seconds|days?|min))"
)
_CLOCK: Final = re.compile(r"(?:(\d+)(?: days?,? |\.))?(\d+):(\d\d)(?::(\d\d(?:\.\d+)?))?")


@dataclass(frozen=True, slots=True)
class Times:
    """When the rows of a table were measured.

    Attributes
    ----------
    index
        Time point of every row, from 0, or the numbers that a column without unit has.
    minutes
        The same in minutes; None where no unit is known.
    columns
        Names of the columns that were read.
    note
        What was done, in words.
    """

    index: tuple[int, ...]
    minutes: tuple[float, ...] | None
    columns: tuple[str, ...]
    note: str

    def add_to(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return a table of these rows with the columns of times."""
        timed = table.assign(**{col.TIME: np.array(self.index, np.int64)})
        return timed if self.minutes is None else timed.assign(**{col.TIME_MIN: self.minutes})


def read_times(
    sheet: Sheet, columns: Columns, units: dict[int, str], faults: list[Fault]
) -> tuple[Times | None, Columns]:
    """Read when the rows were measured, where wells stand in several.

    Parameters
    ----------
    sheet, columns
        The table and what its columns mean.
    units
        Units that a row below the header states, by position of the column.
    faults
        Grows by cells that are no times.

    Returns
    -------
    Times or None
        None where each well has one row, or no column is called after time.
    Columns
        Without those that hold the times.
    """
    columns = _take_reserved(sheet, columns, faults)
    names = [name for name in columns.extra if _NAME.fullmatch(normal(name))]
    if not names or sheet.places or not _has_repeats(sheet, columns):
        return None, columns
    stated, counted = None, None
    for name in names:
        position = columns.extra[name]
        unit = _unit_of(name) or _MINUTES.get(units.get(position, "").casefold())
        values, has_unit = _read_column(sheet, position, unit, faults)
        if has_unit and stated is None:
            stated = (name, values)
        elif not has_unit and counted is None:
            counted = (name, values)
    used = tuple(name for name, _ in filter(None, (stated, counted)))
    rest = {name: place for name, place in columns.extra.items() if name not in used}
    times = _combine(stated, counted, used)
    return times, dataclasses.replace(columns, extra=rest)


def _take_reserved(sheet: Sheet, columns: Columns, faults: list[Fault]) -> Columns:
    """Take columns that plate maps may not have, being of images: values may be of times."""
    names = {name.removeprefix("Metadata_") for name in (col.TIME, col.TIME_MIN)}
    found = {}
    for position, written in enumerate(sheet.header):
        name = written.removeprefix("Metadata_")
        if name in names and name not in found:
            found[name] = position
            faults[:] = [fault for fault in faults if fault.column != written]
    return dataclasses.replace(columns, extra={**columns.extra, **found}) if found else columns


_Column = tuple[str, list[float]]


def _combine(stated: _Column | None, counted: _Column | None, used: tuple[str, ...]) -> Times:
    """Give time points their numbers, by a column of numbers, else in the order of their times."""
    name, values = next(each for each in (counted, stated) if each is not None)
    known = sorted(set(values))
    whole = counted is not None and all(value == int(value) >= 0 for value in known)
    index = [int(v) for v in values] if whole else [known.index(v) for v in values]
    minutes = None if stated is None else tuple(stated[1])
    shown = [f"{value:g}" for value in known]
    what = f"numbers {list_some(shown)}" if whole else f"0, 1, … in the order of {list_some(shown)}"
    unit = "" if counted is not None else " min"
    note = f"column {name!r} holds times: time points are {what}{unit}"
    return Times(tuple(index), minutes, used, note)


def _has_repeats(sheet: Sheet, columns: Columns) -> bool:
    place = columns.of.get("plate")
    seen = set()
    for _, cells in sheet.rows:
        well = read_well(tuple(cells), columns)
        key = (None if place is None else str(cells[place]), well)
        if well is not None and key in seen:
            return True
        seen.add(key)
    return False


def _unit_of(name: str) -> float | None:
    """Minutes of the unit that a column's name states."""
    match = _NAME.fullmatch(normal(name))
    unit = None if match is None else match["unit"] or match["of_t"] or match["bare"]
    return _MINUTES.get(unit or "")


def _read_column(
    sheet: Sheet, position: int, unit: float | None, faults: list[Fault]
) -> tuple[list[float], bool]:
    """Read a column of times in minutes, or as it is where no unit is known; and whether one is."""
    cells = sheet.list_column(position)
    clocks = [_read_clock(cell) for cell in cells]
    if any(clock is not None for clock in clocks):
        found: Sequence[float | None] = clocks
        factor, has_unit = 1.0, True
    else:
        found = sheet.read_numbers(cells).values
        factor, has_unit = unit or 1.0, unit is not None
    for index, value in enumerate(found):
        if value is None:
            number, column = sheet.rows[index][0], sheet.header[position]
            place = sheet.find_row(number, column)
            message = "no time, and wells stand in several rows"
            expected = "a number, or hours and minutes as 1:30:00"
            faults.append(Fault(sheet.file, message, place, column, str(cells[index]), expected))
    # A fault is a time of its own: it is no second row of another time's.
    read = [
        -1.0 - i if value is None else round(value * factor, 6) for i, value in enumerate(found)
    ]
    return read, has_unit


def _read_clock(cell: str) -> float | None:
    """Minutes of hours, minutes and seconds: ``1:30:00``, ``1 day, 0:15:00``."""
    match = _CLOCK.fullmatch(cell.strip())
    if match is None:
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return days * 1440 + hours * 60 + minutes + seconds / 60
