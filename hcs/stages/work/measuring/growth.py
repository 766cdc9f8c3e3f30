"""Growth of wells, found as the rows of a time-lapse pass by, and what is to be said of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
from upath import UPath

from hcs.domain import columns as col
from hcs.io.files import parquet
from hcs.io.files.paths import AnyPath, as_path
from hcs.io.files.together import Replacement
from hcs.planes.reading import Chosen
from hcs.screen.curves.slopes import choose_growing, measure_growth


def locate_growth(out: AnyPath) -> UPath:
    """Return where the table of growth lies, one row a well."""
    path = as_path(out)
    return path.parent / f"{path.stem}_growth.parquet"


def can_grow(chosen: Mapping[str, Chosen]) -> bool:
    """Whether any plate was measured at several times whose minutes it states."""
    return any(len(item.times) > 1 and item.minutes is not None for item in chosen.values())


def say_growth(out: AnyPath, chosen: Mapping[str, Chosen]) -> dict[str, str]:
    """Say where growth stands, or why there is none; nothing for one time point."""
    several = {name: item for name, item in chosen.items() if len(item.times) > 1}
    silent = sorted(name for name, item in several.items() if item.minutes is None)
    said = {"growth per hour": locate_growth(out).name} if can_grow(chosen) else {}
    if silent:
        named = ", ".join(silent)
        said["no growth per hour"] = (
            f"{named} does not state the minutes of its time points; ingest it again from names or "
            "files that do (t_min, t_h), or add Metadata_Time_min to the table"
        )
    return said


class GrowthTable:
    """Fits each well when its rows pass."""

    def __init__(self, chosen: Mapping[str, Chosen]) -> None:
        self._is_asked = can_grow(chosen)
        self._wells: list[pd.DataFrame] = []

    def add(self, rows: pa.Table) -> None:
        """Take the rows of one well."""
        if not self._is_asked or col.TIME_MIN not in rows.column_names:
            return
        images = rows.to_pandas()
        images = images[images[col.TIME_MIN].notna()]
        if images[col.TIME_MIN].nunique() < 2:
            return
        numbers = images.select_dtypes("number").columns
        columns = choose_growing([str(name) for name in numbers])
        grown = measure_growth(images, columns)
        about = [
            name
            for name in images.columns
            if name.startswith("Metadata_")
            and name not in {*col.WELL_KEY, col.SITE, col.TIME, col.TIME_MIN}
        ]
        self._wells.append(pd.concat([grown, images[about].head(1).reset_index(drop=True)], axis=1))

    def write(self, out: AnyPath, place: Replacement, made: Mapping[str, Any]) -> None:
        """Write the table beside that of the images; without wells an old one goes."""
        where = locate_growth(out)
        if not self._wells:
            if where.exists():
                place.drop(where)
            return
        table = pd.concat(self._wells, ignore_index=True)
        first = [name for name in table.columns if name.startswith("Metadata_")]
        rest = [name for name in table.columns if name not in first]
        parquet.write_table(str(place(where)), table[[*first, *rest]], made)
