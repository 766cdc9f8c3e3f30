"""Finds the grids in a sheet: blocks of wells in a frame of rows A, B, … and columns 1, 2, …."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from hcs.domain.wells import PlateFormat, Well, row_index, row_name
from hcs.errors import Fault, InputError
from hcs.io.sheets.reading.framing import is_summary
from hcs.io.sheets.reading.numbers import MISSING, is_number

_MIN_COLUMNS: Final = 3
"""The smallest plate has 2 × 3 wells."""

_WIDTHS: Final = frozenset(plate_format.n_columns for plate_format in PlateFormat)
_COLUMN_LABEL: Final = re.compile(r"0*([1-9]\d?)")
_PLAIN_CORNERS: Final = frozenset(
    {"", "<>", "#", "\\", "/", "row", "rows", "column", "columns", "col", "well", "wells",
     "row/col", "row/column", "row\\col", "row\\column", "row \\ column", "r/c", "x"}
)  # fmt: skip
"""What stands in the corner of a frame without being a title, in folded letter case."""


@dataclass
class Block:
    """One grid: where it stands and what its frame says.

    Attributes
    ----------
    top, left
        Place of the frame's corner, from 0.
    columns
        Numbers in the frame, from the cell right of the corner on.
    rows
        Place of each line of cells, from 0, and its row on the plate, from 0.
    n_layers
        Lines of each row: several where an instrument writes its readings below each other.
    labels
        Text right of each line; empty where there is none.
    """

    top: int
    left: int
    columns: list[int]
    rows: list[tuple[int, int]] = field(default_factory=list)
    n_layers: int = 1
    labels: list[str] = field(default_factory=list)

    @property
    def right(self) -> int:
        """Place of its last column of cells."""
        return self.left + len(self.columns)

    @property
    def bottom(self) -> int:
        """Place of its last line of cells."""
        return max((place for place, _ in self.rows), default=self.top)

    def covers(self, row: int, column: int) -> bool:
        """Whether a place belongs to the frame or its cells."""
        return self.top <= row <= self.bottom and self.left <= column <= self.right

    def say_place(self) -> str:
        """Say where it stands, in rows as a spreadsheet shows them."""
        return f"rows {self.top + 1} to {self.bottom + 1}"

    def say_extent(self) -> str | None:
        """Say which wells it covers, where these are not a whole plate."""
        rows = {row for _, row in self.rows}
        shape = (len(rows), len(self.columns))
        whole = min(rows) == 0 and self.columns[0] == 1
        if whole and shape in {plate_format.value for plate_format in PlateFormat}:
            return None
        first = Well(min(rows), self.columns[0] - 1).name
        return f"{first} to {Well(max(rows), self.columns[-1] - 1).name} only"

    def list_cells(
        self, records: Sequence[Sequence[str]], layer: int
    ) -> list[tuple[Well, int, str]]:
        """List wells, the place of their row, and their cells."""
        found = []
        for place, row in self.rows[layer :: self.n_layers]:
            record = records[place]
            for offset, column in enumerate(self.columns, start=self.left + 1):
                cell = record[offset] if offset < len(record) else ""
                found.append((Well(row, column - 1), place, cell))
        return found

    def is_empty(self, records: Sequence[Sequence[str]]) -> bool:
        """Whether no well holds anything."""
        return all(
            cell.casefold() in MISSING
            for layer in range(self.n_layers)
            for _, _, cell in self.list_cells(records, layer)
        )


def find_blocks(records: Sequence[Sequence[str]], file: str) -> tuple[list[Block], list[Fault]]:
    """Find all grids of a sheet.

    Parameters
    ----------
    records
        Rows of cells.
    file
        Name for messages.

    Returns
    -------
    list of Block
        From the top down, then from the left.
    list of Fault
        Frames whose labels are out of order, and cells beside or below them that have no label.
    """
    blocks: list[Block] = []
    faults: list[Fault] = []
    for row, record in enumerate(records):
        letters = records[row + 1] if row + 1 < len(records) else []
        for column in range(min(len(record), len(letters))):
            if _read_row_label(letters[column]) is None or any(
                block.covers(row, column) for block in blocks
            ):
                continue
            block = _read_frame(records, row, column)
            if block is None:
                continue
            faults += _read_rows(records, block, file)
            faults += _read_labels(records, block, file)
            blocks.append(block)
    faults += find_strays(records, blocks, file)
    return blocks, sorted(faults, key=lambda fault: fault.row or 0)


def find_strays(
    records: Sequence[Sequence[str]], blocks: Sequence[Block], file: str
) -> list[Fault]:
    """Find lines and columns that belong to a grid and stand apart from it.

    Such are lines with the letter of a row or the numbers of columns outside of all grids, lines
    that lack cells which the others have, and cells right of a grid under a number or in most of
    its lines. What else stands around grids is passed over.
    """
    faults: list[Fault] = []
    inside = {place for block in blocks for place in range(block.top, block.bottom + 1)}
    inside |= {block.bottom + 1 for block in blocks if _repeats_columns(records, block)}
    for place, record in enumerate(records):
        if blocks and place not in inside and _looks_like_a_line(record, blocks):
            message = "the line looks like one of a grid, and stands outside of all"
            expected = "rows A, B, … below each other, under columns 1, 2, …"
            label = next(cell for cell in record if cell)
            faults.append(Fault(file, message, place + 1, None, label, expected))
    for block in blocks:
        faults += _find_stray_columns(records, block, blocks, file)
        faults += _find_short_lines(records, block, file)
    return faults


def _looks_like_a_line(record: Sequence[str], blocks: Sequence[Block]) -> bool:
    """Whether a line has the letter of a row before cells, or the numbers of columns."""
    for block in blocks:
        cells = record[block.left : block.right + 1]
        if cells and _read_row_label(cells[0]) is not None and sum(map(bool, cells)) > 2:
            return True
        if [*cells[1 : 1 + _MIN_COLUMNS]] == ["1", "2", "3"]:
            return True
    return False


def _repeats_columns(records: Sequence[Sequence[str]], block: Block) -> bool:
    """Whether the line below a block is its frame's lower edge."""
    cells = [
        _cell(records, block.bottom + 1, block.left + 1 + i) for i in range(len(block.columns))
    ]
    return cells == [str(number) for number in block.columns]


def _find_short_lines(records: Sequence[Sequence[str]], block: Block, file: str) -> list[Fault]:
    """Find lines that end before the last column: a lost cell moves all those after it.

    Programs that leave out empty cells at the end of a line do so in more than one.
    """
    lengths = {place: len(records[place]) for place, _ in block.rows}
    short = [place for place, length in lengths.items() if length <= block.right]
    pads = any(
        len(records[place]) > block.right and not records[place][block.right] for place in lengths
    )
    if not short or (len(short) > 1 and not pads):
        return []
    message = "the line has fewer cells than the grid has columns: was one lost?"
    expected = f"{len(block.columns)} cells, empty ones too"
    return [
        Fault(file, message, place + 1, None, records[place][block.left], expected)
        for place in short
    ]


def _find_stray_columns(
    records: Sequence[Sequence[str]], block: Block, blocks: Sequence[Block], file: str
) -> list[Fault]:
    places = [place for place, _ in block.rows]
    for column in range(block.right + 2, max(len(records[place]) for place in places)):
        if any(b.covers(places[0], column) for b in blocks):
            break
        texts = [_cell(records, place, column) for place in places]
        head = _cell(records, block.top, column)
        is_edge = [_read_row_label(text) for text in texts] == [row for _, row in block.rows]
        is_numbered = _COLUMN_LABEL.fullmatch(head) is not None
        filled = [text for text in texts if text]
        if filled and not is_edge and (is_numbered or len(filled) * 2 >= len(texts)):
            if is_summary([head]):
                continue
            message = f"cells stand apart from the grid at {block.say_place()}"
            expected = "the columns of a grid beside each other, without others between"
            return [Fault(file, message, block.top + 1, None, head or filled[0], expected)]
    return []


def _cell(records: Sequence[Sequence[str]], row: int, column: int) -> str:
    inside = 0 <= row < len(records) and 0 <= column < len(records[row])
    return records[row][column] if inside else ""


def _read_row_label(text: str) -> int | None:
    if not 1 <= len(text) <= 2:
        return None
    try:
        row = row_index(text)
    except InputError:
        return None
    return row if row < PlateFormat.WELLS_1536.n_rows else None


def _read_frame(records: Sequence[Sequence[str]], row: int, column: int) -> Block | None:
    """Read the upper edge of a frame whose corner is here: numbers to the right, letters below."""
    numbers: list[int] = []
    while match := _COLUMN_LABEL.fullmatch(_cell(records, row, column + 1 + len(numbers))):
        number = int(match[1])
        if numbers and number != numbers[-1] + 1:
            break
        numbers.append(number)
    first, second = (_read_row_label(_cell(records, row + step, column)) for step in (1, 2))
    if second is None:  # several lines a row
        later = (_read_row_label(_cell(records, row + step, column)) for step in range(3, 12))
        second = next((label for label in later if label is not None), None)
    if len(numbers) < _MIN_COLUMNS or first is None or second is None or second <= first:
        return None
    if is_number(_cell(records, row, column)):
        return None  # of a frame whose columns are out of order
    inside = numbers[-1] <= PlateFormat.WELLS_1536.n_columns
    return Block(row, column, numbers) if inside else None


def _read_rows(records: Sequence[Sequence[str]], block: Block, file: str) -> list[Fault]:
    """Read the lines of a block down to its end; what looks like one and is none is a fault."""
    faults: list[Fault] = []
    expected = _read_row_label(_cell(records, block.top + 1, block.left)) or 0
    counts: list[int] = []
    for place in range(block.top + 1, len(records)):
        label = _cell(records, place, block.left)
        row = _read_row_label(label)
        if row != expected and _is_end(records, place, block):
            break
        if row is None and (label or not counts):
            message = "a line of this grid has no row"
            faults.append(Fault(file, message, place + 1, None, label, row_name(expected)))
            continue
        if row is None:
            counts[-1] += 1
            block.rows.append((place, expected - 1))
            continue
        if row != expected:
            message = "the rows of this grid are out of order"
            faults.append(Fault(file, message, place + 1, None, label, row_name(expected)))
        block.rows.append((place, row))
        expected = row + 1
        counts.append(1)
    block.n_layers = max(counts, default=1)
    if len(set(counts)) > 1:
        message = f"rows of the grid at {block.say_place()} have different numbers of lines"
        faults.append(Fault(file, message, block.top + 1))
        block.n_layers = 1
    return faults


def _is_end(records: Sequence[Sequence[str]], place: int, block: Block) -> bool:
    """Whether a line is below the last one of a block."""
    label = _cell(records, place, block.left)
    cells = [_cell(records, place, block.left + 1 + i) for i in range(len(block.columns))]
    if not any(cells):
        return True
    if not label:
        return cells == [str(number) for number in block.columns]  # the frame's lower edge
    is_row = _read_row_label(label) is not None
    return not is_row and (is_summary([label]) or _starts_anew(records, place, block))


def _starts_anew(records: Sequence[Sequence[str]], place: int, block: Block) -> bool:
    """Whether a line is the upper edge of the next frame, or a title above it."""
    filled = [cell for cell in records[place] if cell]
    is_title = len(set(filled)) == 1 or (len(filled) <= 2 and block.say_extent() is None)
    return is_title or _read_frame(records, place, block.left) is not None


def _read_labels(records: Sequence[Sequence[str]], block: Block, file: str) -> list[Fault]:
    """Read what stands right of the lines: what was measured, or the next frame."""
    edge = block.right + 1
    head = _cell(records, block.top, edge)
    if _COLUMN_LABEL.fullmatch(head):
        expected = str(block.columns[-1] + 1)
        message = "the columns of this grid are out of order"
        return [Fault(file, message, block.top + 1, None, head, expected)]
    texts = [_cell(records, place, edge) for place, _ in block.rows]
    is_next = _read_frame(records, block.top, edge) is not None
    is_edge = [_read_row_label(text) for text in texts] == [row for _, row in block.rows]
    if not any(texts) or is_next or is_edge or is_summary([head]):
        return []
    layers = [texts[layer :: block.n_layers] for layer in range(block.n_layers)]
    beyond = any(
        _cell(records, place, column)
        for place in (block.top, *(place for place, _ in block.rows))
        for column in range(edge + 1, edge + 3)
    )
    is_whole = block.columns[0] == 1 and len(block.columns) in _WIDTHS
    if is_whole and not (head or beyond) and all(len(set(of)) == 1 for of in layers):
        block.labels = [of[0] for of in layers]
        return []
    place = next(i for (i, _), text in zip(block.rows, texts, strict=True) if text)
    message = "cells right of this grid have no column number"
    found = next(text for text in texts if text)
    expected = f"column {block.columns[-1] + 1}, or an empty column between"
    return [Fault(file, message, place + 1, None, found, expected)]


def corner_title(records: Sequence[Sequence[str]], block: Block) -> str | None:
    """Title in the corner of a frame, unless that only says what the frame is."""
    corner = _cell(records, block.top, block.left)
    return None if corner.casefold() in _PLAIN_CORNERS else corner
