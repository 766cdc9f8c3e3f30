"""Cells that a workbook or a parquet file keeps as a number, a date or an error, not as text."""

from __future__ import annotations


class Stored(str):
    """Text of a stored number, which no locale can change; a point is its decimal sign."""

    __slots__ = ("number",)
    number: float

    def __new__(cls, text: str, number: float) -> Stored:
        """Keep the number beside its text."""
        made = super().__new__(cls, text)
        made.number = number
        return made


class Dated(str):
    """Text of a date: what a spreadsheet program makes of ``1-2`` and ``MAR1``."""

    __slots__ = ()
