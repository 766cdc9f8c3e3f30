"""Small real plates on disk: IN Cell-named 16-bit TIFFs with a plate map."""

from __future__ import annotations

from pathlib import Path

import pytest
import tifffile
from small_plates import field, name_of


class SourceFolder:
    """Folder of TIFFs and its plate map."""

    def __init__(self, folder: Path) -> None:
        self.images = folder / "tiffs"
        self.images.mkdir(parents=True)
        self.platemap = folder / "wells.csv"

    def write(self, rows: str, columns: range, sites: range) -> None:
        """Write one field a well and site, and a plate map of all wells."""
        lines = ["well,clone,donor,diagnosis,batch"]
        for r, row in enumerate(rows):
            for column in columns:
                for site in sites:
                    path = self.images / name_of(row, column, site)
                    tifffile.imwrite(path, field(1000 * r + 10 * column + site))
                number = r * len(columns) + column - columns.start
                sick = "ALS" if number % 2 else "control"
                lines.append(f"{row}{column},C{number:02d},D{number:02d},{sick},B1")
        self.platemap.write_text("\n".join(lines) + "\n")


@pytest.fixture
def source(tmp_path: Path) -> SourceFolder:
    """Twelve wells with two fields each."""
    folder = SourceFolder(tmp_path)
    folder.write("ABC", range(1, 5), range(1, 3))
    return folder
