"""Results that can hardly be right: few cells for their nuclei, neurites inside of cells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pandas as pd
import pyarrow.parquet as pq

from hcs.domain import columns as col
from hcs.domain.results import Problem
from hcs.io.files.paths import as_path
from hcs.ops.morphology import BROAD, NUCLEI, NUCLEI_SKIPPED, TOTAL_LENGTH

_UNASSIGNED: Final = "Image_Neurite_UnassignedFraction"

_MIN_NUCLEI: Final = 50
_MIN_SHARE: Final = 0.2
"""Fewer cells than this share of the nuclei are doubted, from so many nuclei on. Of the nuclei of
``isl_tuj1`` 29 % are neurons; where the size was wrong 1 and 11 % were."""

_MAX_BROAD: Final = 0.5
"""More of the length on broad ground is doubted: of neurites at most a third was, of lines inside
of round cells at least six tenths (``docs/tuning.md``, ``broad_contrast``)."""

_MAX_UNASSIGNED: Final = 0.9
_MIN_FIELDS: Final = 8
_MAX_EMPTY: Final = 0.5
"""More of the length that leads to no cell, or of at least so many fields without one, is doubted.
"""

_REASONS: Final = {
    "NoStain": "have no stain around them",
    "FaintStain": "are stained more faintly than cells",
    "NoRoom": "have no room beside others",
    "TooMany": "are more than a label image numbers",
}


def find_doubts(features: str, stage: str) -> list[Problem]:
    """Doubt a table of neurons, plate by plate.

    Parameters
    ----------
    features
        Table of images that was written.
    stage
        Which stage wrote it.

    Returns
    -------
    list of Problem
        All ``kept``; none for tables of another assay.
    """
    with as_path(features).open("rb") as stream:
        names = pq.read_schema(stream).names
        length = next((n for n in names if n in {f"{TOTAL_LENGTH}_um", f"{TOTAL_LENGTH}_px"}), None)
        if length is None or not {col.N_CELLS, BROAD, _UNASSIGNED} <= set(names):
            return []
        counted = [name for name in names if name.startswith(NUCLEI)]
        chosen = [col.PLATE, col.N_CELLS, length, BROAD, _UNASSIGNED, *counted]
        rows = pq.read_table(stream, columns=chosen).to_pandas()
    return [
        Problem(
            stage=stage,
            file=str(plate),
            plate=str(plate),
            reason=col.Reason.DOUBTFUL,
            message=message,
            kept=True,
        )
        for plate, images in rows.groupby(col.PLATE, sort=True)
        for message in _doubt_plate(images, length)
    ]


def _doubt_plate(images: pd.DataFrame, length: str) -> Iterator[str]:
    cells, total = int(images[col.N_CELLS].sum()), float(images[length].sum())
    nuclei = int(images[NUCLEI].sum()) if NUCLEI in images else 0
    if nuclei >= _MIN_NUCLEI and cells < _MIN_SHARE * nuclei:
        yield (
            f"{cells} cells beside {nuclei} nuclei{_name_skipped(images)}: unless few of them are"
            " neurons, the assumed soma diameter does not fit (--soma-um or --soma-px sets it) or"
            " these are no neurons: try --assay cells"
        )
    broad, lost = (
        float((images[length] * images[name]).sum()) / total if total > 0 else 0.0
        for name in (BROAD, _UNASSIGNED)
    )
    if broad > _MAX_BROAD:
        yield (
            f"{broad:.0%} of the neurite length stands on broad bright ground, as lines inside of"
            " round cells do: these look like round cells: try --assay cells"
        )
    if lost > _MAX_UNASSIGNED:
        yield (
            f"{lost:.0%} of the neurite length leads to no cell: the assumed soma diameter does not"
            " fit (--soma-um or --soma-px sets it), or these are no neurons: try --assay cells"
        )
    empty = int((images[col.N_CELLS] == 0).sum())
    if len(images) >= _MIN_FIELDS and empty > _MAX_EMPTY * len(images):
        yield (
            f"{empty} of {len(images)} images show no cell: look at some, and at the assumed soma"
            " diameter (--soma-um or --soma-px sets it)"
        )


def _name_skipped(images: pd.DataFrame) -> str:
    counts = {
        words: int(images[f"{NUCLEI_SKIPPED}_{why}"].sum())
        for why, words in _REASONS.items()
        if f"{NUCLEI_SKIPPED}_{why}" in images
    }
    named = [f"{count} {words}" for words, count in counts.items() if count]
    return f" ({', '.join(named)})" if named else ""
