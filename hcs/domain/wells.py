"""Plate formats and well names: ``A1``, ``a01`` and ``A - 1`` are one well."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from enum import Enum

from hcs.errors import InputError

_COLUMN_FIRST = re.compile(r"0*([1-9][0-9]?)\s*([A-Za-z]{1,2})")
_WELL = re.compile(r"^\s*([A-Za-z]{1,2})\s*[-_ ]?\s*0*([1-9][0-9]?)\s*$")
_LETTERS = 26


class PlateFormat(Enum):
    """Standard microplates as (rows, columns), ANSI/SLAS 4-2004."""

    WELLS_6 = (2, 3)
    WELLS_12 = (3, 4)
    WELLS_24 = (4, 6)
    WELLS_48 = (6, 8)
    WELLS_96 = (8, 12)
    WELLS_384 = (16, 24)
    WELLS_1536 = (32, 48)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.value[0]

    @property
    def n_columns(self) -> int:
        """Number of columns."""
        return self.value[1]

    @property
    def n_wells(self) -> int:
        """Number of wells."""
        return self.n_rows * self.n_columns

    @property
    def row_names(self) -> tuple[str, ...]:
        """``A``, ``B``, … ``AF``."""
        return tuple(row_name(row) for row in range(self.n_rows))

    @property
    def column_names(self) -> tuple[str, ...]:
        """``1``, ``2``, … without padding, as OME-Zarr paths in wide use have them."""
        return tuple(str(column + 1) for column in range(self.n_columns))

    def holds(self, well: Well) -> bool:
        """Whether the well exists on this plate."""
        return well.row < self.n_rows and well.column < self.n_columns

    def wells(self) -> tuple[Well, ...]:
        """All wells, row by row."""
        return tuple(Well(r, c) for r in range(self.n_rows) for c in range(self.n_columns))

    @classmethod
    def of_size(cls, n_wells: int) -> PlateFormat:
        """Return the format with this many wells."""
        for plate_format in cls:
            if plate_format.n_wells == n_wells:
                return plate_format
        sizes = ", ".join(str(plate_format.n_wells) for plate_format in cls)
        msg = f"no plate format has {n_wells} wells; there are {sizes}"
        raise InputError(msg)

    @classmethod
    def smallest_for(cls, wells: frozenset[Well] | set[Well]) -> PlateFormat:
        """Return the smallest standard format that holds all these wells."""
        for plate_format in cls:
            if all(plate_format.holds(well) for well in wells):
                return plate_format
        outside = sorted(well for well in wells if not cls.WELLS_1536.holds(well))
        names = ", ".join(well.name for well in outside)
        msg = f"wells {names} lie outside every plate format up to 1536 wells"
        raise InputError(msg)


def row_name(row: int) -> str:
    """Name of a 0-based row: 0 → ``A``, 25 → ``Z``, 26 → ``AA``, 31 → ``AF``."""
    high, low = divmod(row, _LETTERS)
    letter = chr(ord("A") + low)
    return letter if high == 0 else chr(ord("A") + high - 1) + letter


def row_index(name: str) -> int:
    """0-based row of a name; the inverse of :func:`row_name`, letter case ignored."""
    text = name.strip()
    if not re.fullmatch(r"[A-Za-z]{1,2}", text):  # before upper(), which makes SS of ß
        msg = f"row {name!r} is not one or two letters (A … AF)"
        raise InputError(msg)
    index = 0
    for letter in text.upper():
        index = index * _LETTERS + ord(letter) - ord("A") + 1
    return index - 1


@dataclass(frozen=True, slots=True, order=True)
class Well:
    """One well by 0-based row and column; ordered row by row."""

    row: int
    column: int

    @property
    def name(self) -> str:
        """Name with a letter row and a column of two digits: ``A01``, ``AF48``."""
        return f"{row_name(self.row)}{self.column + 1:02d}"

    @property
    def path(self) -> str:
        """Path within an OME-Zarr plate: ``A/1``."""
        return f"{row_name(self.row)}/{self.column + 1}"

    @classmethod
    @functools.lru_cache(maxsize=4096)
    def parse(cls, text: str) -> Well:
        """Read ``A1``, ``a01``, ``A - 1``, ``AF-48``.

        Raises
        ------
        InputError
            When the text is not a row of one or two letters and a column from 1 to 99.
        """
        match = _WELL.match(text)
        if match is None:
            msg = f"{text!r} is not a well name such as 'A1', 'A01' or 'A - 1'"
            raise InputError(msg)
        return cls(row_index(match[1]), int(match[2]) - 1)


def read_column_first(text: str) -> Well | None:
    """Read a well whose column comes first, ``01A``; None when it is no such name."""
    match = _COLUMN_FIRST.fullmatch(text.strip())
    return Well(row_index(match[2]), int(match[1]) - 1) if match else None


def numbered_well(number: int, plate_format: PlateFormat) -> Well | None:
    """Return the well of a number that counts from 1, row by row; None below 1."""
    row, column = divmod(number - 1, plate_format.n_columns)
    return Well(row, column) if row >= 0 else None
