"""How much of anything is read: every limit in one place, with the sentence that refuses more.

A small file can ask for a large machine: a cell in the last corner of a sheet, an alias of an
alias of an alias, a header that claims 4 × 10⁹ pixels a side. Each limit is far above what
instruments and programs write, and what exceeds it is refused before memory or hours are spent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hcs.errors import InputError


@dataclass(frozen=True, slots=True)
class Limit:
    """The most that is read of one thing.

    Attributes
    ----------
    most
        Largest number that is read.
    of
        What is counted.
    ordinary
        What is seen in practice, for the message.
    remedy
        What to do.
    """

    most: int
    of: str
    ordinary: str
    remedy: str

    def refuse_more(self, found: int, where: str) -> None:
        """Refuse what exceeds the limit.

        Parameters
        ----------
        found
            How many there are, or are claimed.
        where
            The file, and the place in it.

        Raises
        ------
        InputError
            With file, number, limit, and what to do.
        """
        if found > self.most:
            raise InputError(f"{where} {self.describe_excess(found)}")

    def describe_excess(self, found: int) -> str:
        """Say how much too much there is: ``has 9,000,000 cells, more than …``."""
        return (
            f"has {found:,} {self.of}, more than the {self.most:,} that are read "
            f"({self.ordinary}): {self.remedy}"
        )


SHEET_CELLS: Final = Limit(
    5_000_000,
    "cells",
    "1,536 wells with 30 columns have 46,000",
    "delete what stands far outside the table",
)
"""Cells that a sheet may span: a stray cell in its last corner spans 17 thousand million."""

MERGED_CELLS: Final = Limit(
    5_000_000,
    "cells in merged ranges",
    "a plate map merges some hundred",
    "undo the merging where nothing stands",
)

SHEET_BYTES: Final = Limit(
    2**28,
    "bytes",
    "1,536 wells take 1 MiB",
    "give the table alone, or write it as parquet",
)
"""Of a table in text, and of a workbook when it is unpacked."""

METADATA_BYTES: Final = Limit(
    2**25,
    "bytes",
    "the metadata of a plate of 1,536 wells take 1 MiB",
    "it is no metadata document, or was damaged: fetch it again from where it came",
)
"""Of a JSON document that programs write. Parsed, one of nothing but brackets takes 25 times it."""

SETTINGS_BYTES: Final = Limit(
    2**22,
    "bytes",
    "a study of 2,000 plates takes 0.6 MB",
    "settings take no more; give a YAML file of settings",
)

SETTINGS_NODES: Final = Limit(
    400_000,
    "entries once its aliases are followed",
    "a study of 2,000 plates has 20,000",
    "write the values out, without aliases (*name) of lists that hold aliases",
)

SETTINGS_DEPTH: Final = Limit(
    64,
    "levels",
    "settings have five",
    "settings are not nested so deep",
)

IMAGE_PIXELS: Final = Limit(
    2**27,
    "pixels",
    "no camera has more than 11,585 × 11,585",
    "cut the image into fields",
)

STUDY_PLATES: Final = Limit(
    10_000,
    "plates",
    "a large screen has 2,000",
    "make several studies of it",
)

PATTERN_SECONDS: Final = 2.0
"""Time in which a regular expression must have judged one name."""
