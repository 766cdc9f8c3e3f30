"""Turns the grids of a sheet into one table of wells, a column for each title."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hcs.domain.wells import Well
from hcs.errors import Fault
from hcs.io.sheets.platemap_columns import NAMES, has_meaning, normal
from hcs.io.sheets.reading.grids import Block, corner_title
from hcs.io.sheets.reading.notes import list_some
from hcs.io.sheets.reading.numbers import MISSING, is_number
from hcs.io.sheets.reading.workbook import Page

_TITLE_KEYS: Final = frozenset(
    {"title", "label", "layer", "name", "measurement", "read", "channel", "value", "values",
     "feature", "wavelength", "data", "result", "results", "column"}
)  # fmt: skip
_PLATE_KEYS: Final = frozenset({*NAMES["plate"], "plate_number", "plate_no"})
_RESULT: Final = re.compile(r"(calculated|raw|blank|average|norm|corrected|result)", re.IGNORECASE)
_PLATE: Final = re.compile(r"(?:plate|barcode)[\s_#]*\w[\w.-]*", re.IGNORECASE)


@dataclass(frozen=True)
class _Plate:
    """Name of a plate; whether it only counts the plates of a file."""

    name: str | None
    is_number: bool = False


@dataclass(frozen=True)
class Layer:
    """One column of the table to be: cells of a grid under their title, on a plate."""

    block: Block
    number: int
    title: str | None
    plate: _Plate


@dataclass(frozen=True)
class GridTable:
    """Grids as a table.

    Attributes
    ----------
    header, rows
        As of a sheet; rows are numbered from 1.
    places
        Row of the file by number and column.
    notes
        What was read as what, and which lines were passed over.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    places: dict[tuple[int, str], int]
    notes: tuple[str, ...]


def read_layers(
    page: Page, blocks: Sequence[Block], file: str, *, of_values: bool
) -> tuple[GridTable | None, list[Fault]]:
    """Put the grids of a sheet into one table.

    Parameters
    ----------
    page
        The sheet.
    blocks
        Its grids.
    file
        Name for messages.
    of_values
        Whether a grid without title is a value, and one whose title is a plate that plate's.

    Returns
    -------
    GridTable or None
        ``plate`` where lines name it, ``well``, and a column for each title; None with faults.
    list of Fault
        Grids without title, or two of the same title on one plate.
    """
    layers, used = _find_layers(page, blocks, of_values=of_values)
    if faults := _check_titles(layers, file, of_values=of_values):
        return None, faults
    notes = [_say(page, layer) for layer in layers]
    passed = [
        f"{number} ({next(cell for cell in record if cell)[:40]!r})"
        for number, record in enumerate(page.records, start=1)
        if any(record) and number - 1 not in used
    ]
    if passed:
        notes.append(f"rows passed over: {list_some(passed, 6)}")
    return _make_table(page, layers, tuple(notes)), []


def _say(page: Page, layer: Layer) -> str:
    of_plate = f" of plate {layer.plate.name}" if layer.plate.name else ""
    extent = f", wells {layer.block.say_extent()}" if layer.block.say_extent() else ""
    cells = [cell for _, _, cell in layer.block.list_cells(page.records, layer.number)]
    n_empty = sum(not cell for cell in cells)
    empty = f", {n_empty} of {len(cells)} cells empty" if n_empty else ""
    return f"grid at {layer.block.say_place()} is {layer.title!r}{of_plate}{extent}{empty}"


def _find_layers(
    page: Page, blocks: Sequence[Block], *, of_values: bool
) -> tuple[list[Layer], set[int]]:
    """Find title and plate of every grid, and the rows that were used."""
    layers: list[Layer] = []
    used = {row for block in blocks for row in range(block.top, block.bottom + 1)}
    plate = _Plate(None)
    for block in blocks:
        lines = _list_lines_above(page, blocks, block)
        own, title, rows = _read_lines(lines, of_values=of_values)
        corner = corner_title(page.records, block)
        if corner and of_values and _PLATE.fullmatch(corner) and own.name is None:
            own, corner = _Plate(corner), None
        plate = own if own.name else plate
        if block.is_empty(page.records):
            continue
        used |= rows
        for number in range(block.n_layers):
            best = _choose_title(block, number, corner, title) or _name_of_page(page)
            layers.append(Layer(block, number, best or ("value" if of_values else None), plate))
    if len({layer.plate.name for layer in layers}) == 1 and plate.is_number:
        layers = [dataclasses.replace(layer, plate=_Plate(None)) for layer in layers]
    return layers, used


def _choose_title(block: Block, number: int, corner: str | None, title: str | None) -> str | None:
    """Choose among what stands in the corner, above, and right of a line of a grid."""
    label = block.labels[number] if block.labels else None
    if block.n_layers == 1:
        return corner or title or label
    is_well = normal(label or "") in NAMES["well"]
    return f"{title or 'Layout'} {label}" if is_well else label


def _name_of_page(page: Page) -> str | None:
    """Name of a sheet that is the name of a column of plate maps."""
    return page.name if has_meaning(page.name) else None


def _list_lines_above(
    page: Page, blocks: Sequence[Block], block: Block
) -> list[tuple[int, list[str]]]:
    """List the filled lines between a grid and the one above it, the nearest first."""
    right = block.right
    neighbors = [b for b in blocks if b is not block and b.top <= block.top <= b.bottom]
    starts = sorted(b.left for b in neighbors if b.left > block.left)
    until = starts[0] if starts else max(right + 1, *map(len, page.records))
    lines = []
    for row in range(block.top - 1, -1, -1):
        if any(
            b.top <= row <= b.bottom and b.left < until and b.right >= block.left for b in blocks
        ):
            break
        cells = page.records[row][block.left : until]
        if any(cells):
            lines.append((row, cells))
    return lines


def _read_lines(
    lines: Sequence[tuple[int, list[str]]], *, of_values: bool
) -> tuple[_Plate, str | None, set[int]]:
    """Find plate and title in the lines above a grid, the nearest first."""
    plate = _Plate(None)
    stated: str | None = None
    titles: dict[str, int] = {}
    used: set[int] = set()
    below: list[str] = []
    for row, record in lines:
        cells = list(dict.fromkeys(cell for cell in record if cell))  # a merged title stands once
        key, value = _split_key(cells)
        named = _read_plate(cells, key, value, of_values=of_values)
        named = named if named.name else _read_plate_table(record, below)
        if named.name is not None:
            used.add(row)
            if plate.name is None or (plate.is_number and not named.is_number):
                plate = named
        elif key in _TITLE_KEYS and value:
            if stated is None:
                stated = value
                used.add(row)
        elif len(cells) == 1 and _is_title(cells[0], key):
            titles.setdefault(cells[0], row)
        below = record
    known = [title for title in titles if not of_values and has_meaning(title)]
    nearest = next(iter([*known, *titles]), None)
    if nearest is not None:
        used.add(titles[nearest])
    return plate, nearest or stated, used


def _read_plate(cells: list[str], key: str | None, value: str | None, *, of_values: bool) -> _Plate:
    """Read the plate that a line names: ``Plate: P1``."""
    if key in _PLATE_KEYS and value and value.casefold() not in MISSING:
        return _Plate(value, is_number=key == "plate_number" or value.isdigit())
    if len(cells) == 1 and of_values and _PLATE.fullmatch(cells[0]):
        return _Plate(cells[0])
    return _Plate(None)


def _read_plate_table(record: list[str], below: list[str]) -> _Plate:
    """Read the plate from a line of names above a line of values."""
    folded = [normal(cell) for cell in record]
    if sum(map(bool, record)) > 2:
        for name in ("barcode", "plate_barcode", "plate_name", "plate_id", "plate"):
            place = folded.index(name) if name in folded else len(below)
            if place < len(below) and below[place].casefold() not in MISSING:
                return _Plate(below[place], is_number=below[place].isdigit())
    return _Plate(None)


def _is_title(cell: str, key: str | None) -> bool:
    return not is_number(cell) and (not key or _RESULT.match(cell) is not None)


def _split_key(cells: Sequence[str]) -> tuple[str | None, str | None]:
    """Split ``Plate: P1``, in one cell or two, into a folded name and its value."""
    if len(cells) == 1 and ":" in cells[0]:
        key, _, value = cells[0].partition(":")
        return normal(key), value.strip() or None
    if len(cells) == 2:
        return normal(cells[0].rstrip(":= ")), cells[1]
    return None, None


def _check_titles(layers: Sequence[Layer], file: str, *, of_values: bool) -> list[Fault]:
    """Refuse grids that cannot be told apart, or that do not say what they hold."""
    faults: list[Fault] = []
    remedy = "a line above each grid with what it holds, or 'Plate: NAME' where they are plates"
    seen: dict[tuple[str | None, str], Layer] = {}
    plates = {layer.plate.name for layer in layers}
    for layer in layers:
        row = layer.block.top + 1
        if layer.title is None:
            expected = "compound, concentration_um, clone, pert_type … above the grid"
            faults.append(Fault(file, "the grid has no title", row, expected=expected))
            continue
        title = layer.title
        first = seen.setdefault((layer.plate.name, normal(title)), layer)
        if first is not layer:
            place = first.block.say_place()
            untitled = of_values and title == "value"
            message = (
                f"the grid at {place} {'has no title either' if untitled else 'is called so too'}"
            )
            faults.append(Fault(file, message, row, None, None if untitled else title, remedy))
    if None in plates and len(plates) > 1:
        first_row = next(layer.block.top + 1 for layer in layers if layer.plate.name is None)
        message = "the grid names no plate, and others do"
        faults.append(Fault(file, message, first_row, expected="'Plate: NAME' above it"))
    return faults


def _make_table(page: Page, layers: Sequence[Layer], notes: tuple[str, ...]) -> GridTable:
    titles: dict[str, str] = {}
    for layer in layers:
        titles.setdefault(normal(layer.title or ""), layer.title or "")
    cells: dict[tuple[str, Well], dict[str, tuple[str, int]]] = {}
    for layer in layers:
        title = titles[normal(layer.title or "")]
        for well, place, cell in layer.block.list_cells(page.records, layer.number):
            if cell:
                cells.setdefault((layer.plate.name or "", well), {})[title] = (cell, place + 1)
    with_plate = any(plate for plate, _ in cells)
    header = (*(["plate"] if with_plate else []), "well", *titles.values())
    rows = []
    places: dict[tuple[int, str], int] = {}
    for number, ((plate, well), of) in enumerate(cells.items(), start=1):
        texts = [of[title][0] if title in of else "" for title in titles.values()]
        rows.append((number, (*([plate] if with_plate else []), well.name, *texts)))
        places |= {(number, title): of[title][1] for title in of}
        places |= {(number, key): min(row for _, row in of.values()) for key in ("plate", "well")}
    return GridTable(header, tuple(rows), places, notes)
