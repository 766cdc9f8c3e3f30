"""The feature catalogue: name, unit, definition and reference of everything that is measured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hcs.domain import catalog_cells
from hcs.domain.catalog_rows import CELLS, IMAGE, Feature
from hcs.domain.config.measuring import FeatureSet

_SHOLL_RADII: Final = range(1, 11)


def _rows() -> Iterator[Feature]:
    yield from IMAGE
    yield from CELLS
    for k in _SHOLL_RADII:
        yield Feature(
            f"Cells_Sholl_Intersections_{10 * k:03d}um",
            "count",
            0,
            "full",
            f"Crossings of the cell's neurites with a circle of radius {10 * k} µm about the middle"
            f" of its soma (without a pixel size: {15 * k} px, named …_{15 * k:03d}px).",
            "Sholl 1953, J Anat 87:387",
        )


def features(feature_set: FeatureSet = "full") -> tuple[Feature, ...]:
    """Return all features of a set, in the order of the documentation."""
    rows = _rows()
    return tuple(row for row in rows if feature_set == "full" or row.feature_set == "classic")


def columns(feature_set: FeatureSet, pixel_size_um: float | None) -> set[str]:
    """Columns that a set has, for plates with or without a pixel size, without markers."""
    names = {row.column(pixel_size_um) for row in features(feature_set)}
    if pixel_size_um is not None or feature_set == "classic":
        return names
    sholl = {name for name in names if name.startswith("Cells_Sholl_Intersections")}
    return names - sholl | {f"Cells_Sholl_Intersections_{15 * k:03d}px" for k in _SHOLL_RADII}


def as_markdown() -> str:
    """Return the catalogue as the page ``docs/features.md``."""
    head = (
        "# Features\n\n"
        "Written from `hcs/domain/catalog.py` by `make schemas`; a test holds it to what is"
        " measured. Lengths\nand areas are in µm where the plate has a pixel size, else in px, and"
        " the column's name ends with the\nunit. `classic` features are in both sets. Brightness is"
        " in counts above the local background unless\nit says otherwise.\n\n"
        "With a nuclear channel there is also `Image_Count_Nuclei`, and `Image_Count_NucleiSkipped`"
        " of nuclei that are\nno neuron, by the reason: `_NoStain` (nothing around is stained),"
        " `_FaintStain` (fainter than in cells), `_NoRoom`\n(other cells take all around),"
        " `_TooMany` (more than a label image numbers). Every marker NAME adds"
        " `Cells_NAME_MeanIntensity`,\n`Cells_NAME_Positive`, `Image_NAME_PositiveFraction`,"
        " `Image_NAME_PositiveCount` and `Image_NAME_MeanIntensity`:\na cell is positive when the"
        " mean of its soma in that channel exceeds the threshold of its rule.\n\n"
        "With `--plane focus`, `Image_BestFocusPlane_CHANNEL` is the z-plane that was sharpest. Of"
        " a time-lapse,\n`Metadata_Time` counts time points from 0, and `Metadata_Time_min` is"
        " their time in minutes where it is known.\n\n"
        "| feature | unit | set | what it is | not defined without | reference |\n"
        "|---|---|---|---|---|---|\n"
    )
    lines = [
        f"| `{row.name}` | {row.unit} | {row.feature_set} | {row.definition} |"
        f" {'' if row.empty == 'never' else row.empty} | {row.reference} |"
        for row in features()
    ]
    return head + "\n".join(lines) + "\n" + catalog_cells.as_markdown()
