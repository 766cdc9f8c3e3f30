"""Writes text for spreadsheets as text: a cell that begins like a formula would be run as one.

Names of compounds, clones and plates come from others. ``=HYPERLINK("http://…")`` among them would
be a link in a colleague's program, and ``=cmd|'/C …'!A0`` once was a command. Parquet files keep
every text as it is; in CSV files such a cell gets the apostrophe before it by which spreadsheet
programs mark text, and which hcs takes off when it reads a table.
"""

from __future__ import annotations

import re
from typing import Final

import pandas as pd

_RUN: Final = re.compile(r"[=@\t\r＝＠]|[+\-＋－].*[(|!=]", re.DOTALL)
"""What is run: ``=``, ``@``; after ``+`` and ``-`` only what calls something: +DOX is a name."""


def mark_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Mark text that a spreadsheet program would run; numbers and other text stay.

    Parameters
    ----------
    frame
        A table that is to be written as CSV.

    Returns
    -------
    DataFrame
        The same, or a copy in which such cells and names of columns begin with an apostrophe.
    """
    marked = {}
    for name in frame.columns:
        column = frame[name]
        if not (pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column)):
            continue
        found = {text: f"'{text}" for text in column.dropna().unique() if _is_run(text)}
        if found:
            marked[name] = column.replace(found)
    marked_frame = frame.assign(**marked) if marked else frame
    headers = {name: f"'{name}" for name in frame.columns if _is_run(name)}
    return marked_frame.rename(columns=headers) if headers else marked_frame


def _is_run(text: object) -> bool:
    return isinstance(text, str) and _RUN.match(text) is not None
