"""Times of a table of values: the column that holds them, and the time point of every row."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.domain import columns as col
from hcs.domain.wells import Well
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
    stated, counted, n_faults = None, None, len(faults)
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
    if len(faults) == n_faults:
        own = np.array((counted or stated or ("", []))[1], dtype=np.float64)
        times = _number_reads(times, own, _list_wells(sheet, columns), sheet.file, faults)
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
_Key = tuple[str | None, Well | None]


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


def _number_reads(
    times: Times,
    values: NDArray[np.float64],
    wells: Sequence[_Key],
    file: str,
    faults: list[Fault],
) -> Times:
    """Give each well's reads their number, where a plate was read well by well.

    By their times alone each time point would be one well, and the others would drop out.
    """
    plates: defaultdict[str | None, defaultdict[Well | None, list[int]]]
    plates = defaultdict(lambda: defaultdict(list))
    for row, (plate, well) in enumerate(wells):
        plates[plate][well].append(row)
    if not any(_is_scattered(values, of_well) for of_well in plates.values()):
        return times
    index = np.zeros(len(values), dtype=np.int64)
    for plate, of_well in plates.items():
        groups = _group_reads(values, of_well)
        if groups is None:
            name = "" if plate is None else f" of plate {plate}"
            message = (
                f"the {len(of_well)} wells{name} were measured at so many different times that "
                "these make no common time points"
            )
            expected = "a column Timepoint that numbers the reads 0, 1, 2 …"
            faults.append(Fault(file, message, column=times.columns[0], expected=expected))
            return times
        for number, group in enumerate(groups):
            index[group] = number
    spans = [values[index == number] for number in range(int(index.max()) + 1)]
    told = list_some([f"{span.min():g} to {span.max():g}" for span in spans])
    unit = "" if times.minutes is None else " min"
    note = (
        f"column {times.columns[0]!r} holds times, one of its own for a well: time points are 0, "
        f"1, … in the order of each well's reads, at {told}{unit}"
    )
    return dataclasses.replace(times, index=tuple(index.tolist()), note=note)


def _group_reads(
    values: NDArray[np.float64], of_well: Mapping[Well | None, list[int]]
) -> list[list[int]] | None:
    """Rows of the first read of every well, of the second …; None where these lie in no order."""
    reads = [sorted(own, key=lambda row: values[row]) for own in of_well.values()]
    if len({len(own) for own in reads}) > 1:
        return None
    groups = [list(group) for group in zip(*reads, strict=True)]
    in_order = all(values[a].max() < values[b].min() for a, b in itertools.pairwise(groups))
    return groups if in_order else None


def _is_scattered(values: NDArray[np.float64], of_well: Mapping[Well | None, list[int]]) -> bool:
    """Whether there are more times than reads, one of less than half of the wells."""
    counts = Counter(values[list(itertools.chain(*of_well.values()))].tolist())
    n_reads = max(len(own) for own in of_well.values())
    return len(counts) > n_reads and 2 * min(counts.values()) < len(of_well)


def _list_wells(sheet: Sheet, columns: Columns) -> list[_Key]:
    place = columns.of.get("plate")
    return [
        (None if place is None else str(cells[place]), read_well(tuple(cells), columns))
        for _, cells in sheet.rows
    ]


def _has_repeats(sheet: Sheet, columns: Columns) -> bool:
    known = [key for key in _list_wells(sheet, columns) if key[1] is not None]
    return len(set(known)) < len(known)


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
