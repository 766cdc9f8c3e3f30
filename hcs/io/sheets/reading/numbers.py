"""Reads a column of numbers: its decimal sign is judged from all of its cells, never assumed."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from hcs.io.sheets.reading.typed import Stored

MISSING: Final = frozenset({"", "na", "n/a", "nan", "null", "<na>", "-", "--", "–", "—"})
"""What people write where there is no value, in folded letter case."""

SIGN_OF: Final = {"point": ".", "comma": ","}

_ERRORS: Final = re.compile(
    r"#(div/0!|n/a|value!|ref!|name\?|num!|null!|spill!|calc!|getting_data)|err:\d+",
    re.IGNORECASE,
)
_BEYOND: Final = re.compile(
    r"[<>≤≥]=?\s*(max\w*|min\w*|[\d.,]+\s*%?)|#?\s*(sat|saturated|satur)|[-+]?(inf|infinity|∞)"
    r"|1\.#(inf|qnan|ind)|#+|\*+|\?+|(ov|over|under|out)[\s._-]*(er)?(r?flw|flow|range|scale|load|of[\s._-]range)?"
    r"|o\.?o\.?r\.?|masked|error|err|fail|failed|invalid|no[\s_-]*read|n\.?d\.?",
    re.IGNORECASE,
)  # fmt: skip
_DIGITS: Final = r"\d[\d.,'’\s]*|[.,]\d+"
NUMBER: Final = re.compile(rf"(?P<minus>[-+−]?)\s*(?P<body>{_DIGITS})(?P<power>[eE][-+−]?\d+)?")
_POINT: Final = re.compile(r"[-+]?(?:\d+|0?\.\d+|\d{4,}\.\d+|\d{1,3}\.(?:\d{1,2}|\d{4,}))")
"""A number that can be read in one way, with a point or without any sign."""

_OTHER: Final = {".": ",", ",": "."}
_FEW: Final = 3
"""A decimal sign is the odd one where the other stands in so many times as many cells."""

_SPACES: Final = "'’ \u00a0\u202f\u2009"


class _Reading(NamedTuple):
    """One way to read a cell: the decimal sign and the grouping sign that it uses, if any."""

    decimal: str | None
    group: str | None
    value: float


class Unread(NamedTuple):
    """A cell that is no number: which one, and why."""

    place: int
    message: str
    expected: str


class NoNumber(NamedTuple):
    """A cell of a value column in which an instrument or a spreadsheet says that it has none."""

    plate: str
    well: str
    column: str
    row: int
    text: str


@dataclass(frozen=True)
class Numbers:
    """A column read as numbers.

    Attributes
    ----------
    values
        A number for every cell; None where there is none.
    unread
        Cells that are not understood, or that allow two readings.
    beyond
        Cells in which an instrument or a spreadsheet says that it has no number (``OVRFLW``).
    n_numbers
        How many cells look like numbers, understood or not.
    """

    values: tuple[float | None, ...]
    unread: tuple[Unread, ...] = ()
    beyond: tuple[int, ...] = ()
    n_numbers: int = 0


@dataclass
class _Evidence:
    """What the cells of a column prove, each with the first cell that does; what else is known."""

    stated: str | None = None
    hint: str | None = None
    point: bool = False
    decimals: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    n_decimals: Counter[str] = field(default_factory=Counter)

    def add(self, readings: Sequence[_Reading], cell: str) -> None:
        """Learn from a cell that can be read in one way only."""
        if len(readings) == 1:
            if readings[0].decimal:
                self.decimals.setdefault(readings[0].decimal, cell)
                self.n_decimals[readings[0].decimal] += 1
            if readings[0].group and readings[0].group in ".,":
                self.groups.setdefault(readings[0].group, cell)

    def choose(self, readings: Sequence[_Reading]) -> float | None:
        """Choose the value of a cell; None where two readings stay open."""
        if len(readings) == 1:
            return readings[0].value
        as_decimal, as_group = sorted(readings, key=lambda reading: reading.decimal is None)
        sign = as_decimal.decimal
        other = _OTHER[sign or "."]
        if sign in self.groups or self.stated == other:
            return as_group.value
        if sign in self.decimals or other in self.groups or self.stated == sign:
            return as_decimal.value
        if other in self.decimals or self.hint == other:
            return None
        return as_decimal.value if self.hint == sign or (self.point and sign == ".") else None

    @property
    def odd(self) -> str | None:
        """The decimal sign of the few where most cells have the other one."""
        if self.stated is not None or len(self.n_decimals) < len(_OTHER) or self.groups:
            return None
        (_, many), (sign, few) = self.n_decimals.most_common()
        return sign if few * _FEW <= many else None

    @property
    def clash(self) -> tuple[str, str] | None:
        """Two cells that cannot be of one way of writing, or one that is not as stated."""
        stated = {self.stated, None}
        signs = [*self.decimals.items(), *((_OTHER[sign], c) for sign, c in self.groups.items())]
        for sign, cell in signs:
            if stated != {None} and sign not in stated:
                return (cell, f"--decimal {'point' if self.stated == '.' else 'comma'}")
        if len(self.decimals) > 1:
            return (self.decimals["."], self.decimals[","])
        if len(self.groups) > 1:
            return (self.groups["."], self.groups[","])
        both = self.decimals.keys() & self.groups.keys()
        return next(((self.decimals[sign], self.groups[sign]) for sign in both), None)


def is_error(cell: str) -> bool:
    """Whether a cell holds an error of a spreadsheet, such as ``#DIV/0!``."""
    return cell[:1] in {"#", "E", "e"} and _ERRORS.fullmatch(cell) is not None


def is_beyond(cell: str) -> bool:
    """Whether a cell says that there is no number: out of range, saturated, an error."""
    return is_error(cell) or _BEYOND.fullmatch(cell) is not None


def is_number(cell: str) -> bool:
    """Whether a cell is a number in some way of writing."""
    return isinstance(cell, Stored) or bool(_list_readings(cell))


def find_decimal(columns: Iterable[Sequence[str]]) -> str | None:
    """Find the decimal sign that columns prove, where none proves the other one.

    Parameters
    ----------
    columns
        Cells of each column of a table; those that are mostly text are passed over.
    """
    found = set()
    for cells in columns:
        filled = [cell for cell in cells if cell.casefold() not in MISSING]
        readings = [(_list_readings(cell), cell) for cell in filled]
        if sum(bool(of) for of, _ in readings) * 2 <= len(filled):
            continue
        evidence = _Evidence()
        for of, cell in readings:
            evidence.add(of, cell)
        found |= {*evidence.decimals, *(_OTHER[sign] for sign in evidence.groups)}
    return next(iter(found)) if len(found) == 1 else None


def read_numbers(
    cells: Sequence[str], *, stated: str | None = None, hint: str | None = None, point: bool = False
) -> Numbers:
    """Read a column of numbers in whatever way it is written, or say which cells are unclear.

    ``1.000`` is one or a thousand. It is read where other cells of the column prove one of the
    two (``0.5`` the point, ``1.000.000`` the comma), else where other columns do; it is refused
    where they prove only that the decimal sign is the other one (``0,5``), for whether a point
    parts thousands is then a guess.

    Parameters
    ----------
    cells
        As they stand; those of :class:`~hcs.io.sheets.reading.typed.Stored` were numbers already.
    stated
        Decimal sign that the user says: a point or a comma.
    hint
        Decimal sign that other columns of the table prove.
    point
        Whether commas part the columns, so that an unproven point is a decimal one.
    """
    plain = [cell if isinstance(cell, Stored) else cell.removesuffix("%") for cell in cells]
    read = [[] if _is_special(cell) else _list_readings(cell) for cell in plain]
    evidence = _Evidence(stated, hint, point)
    for readings, cell in zip(read, cells, strict=True):
        evidence.add(readings, cell)
    values: list[float | None] = []
    unread: list[Unread] = []
    for place, (readings, cell) in enumerate(zip(read, cells, strict=True)):
        value, why = _read_cell(readings, cell, evidence)
        values.append(value)
        if why:
            unread.append(Unread(place, *why))
    numbers = [i for i, of in enumerate(read) if of or isinstance(cells[i], Stored)]
    unread += _list_mixed_percent(cells, numbers)
    beyond = tuple(i for i, value in enumerate(values) if value is None and is_beyond(cells[i]))
    return Numbers(tuple(values), tuple(unread), beyond, len(numbers))


def _read_cell(
    readings: Sequence[_Reading], cell: str, evidence: _Evidence
) -> tuple[float | None, tuple[str, str] | None]:
    """Read one cell; what is wrong with it, and what was expected."""
    if isinstance(cell, Stored):
        return cell.number, None
    if not readings:
        is_clear = cell.casefold() in MISSING or is_beyond(cell)
        return None, None if is_clear else ("no number", "a number")
    if evidence.clash and any(reading.decimal or reading.group for reading in readings):
        if evidence.odd and {reading.decimal for reading in readings} == {_OTHER[evidence.odd]}:
            return readings[0].value, None  # the column is refused for the others
        one, other = evidence.clash
        message = f"decimal point or comma? The column holds {one!r} and {other!r}"
        return None, (message, "one decimal sign in the whole column")
    value = evidence.choose(readings)
    if value is not None:
        return value, None
    low, high = sorted(reading.value for reading in readings)
    beside = next((f" beside {c!r}" for c in evidence.decimals.values()), "")
    message = f"is this {low:g} or {high:.0f}{beside}? Its sign may part decimals or thousands"
    return None, (message, "numbers without thousands separators, or --decimal point|comma")


def _list_mixed_percent(cells: Sequence[str], numbers: Sequence[int]) -> list[Unread]:
    """List the rarer of percentages and plain numbers, where a column has both."""
    percent = [index for index in numbers if cells[index].endswith("%")]
    others = [index for index in numbers if not cells[index].endswith("%")]
    if not percent or not others:
        return []
    if len(percent) <= len(others):
        return [Unread(i, "a percentage among plain numbers", "a plain number") for i in percent]
    return [Unread(i, "a plain number among percentages", "a percentage") for i in others]


def _is_special(cell: str) -> bool:
    return isinstance(cell, Stored) or cell.casefold() in MISSING


def _list_readings(cell: str) -> list[_Reading]:
    """List all ways to read a cell; none when it is no number."""
    if cell[:1].isalpha():
        return []
    if _POINT.fullmatch(cell):  # most cells of most tables: quick
        return [_Reading("." if "." in cell else None, None, float(cell))]
    match = NUMBER.fullmatch(cell.strip())
    if match is None:
        return []
    body = re.sub(rf"[{_SPACES}]", " ", match["body"]).strip()
    power = (match["power"] or "").replace("−", "-")
    minus = "-" if match["minus"] in {"-", "−"} else ""
    found: dict[tuple[str | None, str | None], _Reading] = {}
    for decimal, group in ((".", ","), (",", "."), (".", " "), (",", " ")):
        whole, sign, rest = body.partition(decimal)
        grouped = group in whole
        if grouped and not re.fullmatch(rf"[1-9]\d{{0,2}}(?:{re.escape(group)}\d{{3}})+", whole):
            continue
        digits = whole.replace(group, "") if grouped else whole
        if not re.fullmatch(r"\d*", digits + rest) or not (digits + rest):
            continue
        if power and grouped:
            continue  # nobody groups a mantissa
        key = (decimal if sign else None, group if grouped else None)
        value = float(f"{minus}{digits or 0}.{rest or 0}{power}")
        if math.isfinite(value):
            found.setdefault(key, _Reading(*key, value))
    return list(found.values())
