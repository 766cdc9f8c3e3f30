"""Results that can hardly be right: few cells for their nuclei, lines in cells, dark objects."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
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

_MAX_SHEET: Final = 0.45
"""Bodies that are found without nuclei and cover more of a field lie edge to edge: their outline
does not tell how many they are (5 for 334 at 0.54, 258 for 332 at 0.49 of the field)."""

_DARK: Final = 0.5
"""Of objects that are brighter than their ground the mean lies above the median; it lies below it
by at least this share of what the brightest pixels exceed it by where the ground is the bright
part: 0.9 to 1.3 of inverted nuclei and cells, at most 0 of the same as they were taken."""

_MAX_SKIPPED: Final = 0.1
"""More nuclei out of focus are doubted: of sharp fields at most 7 % were skipped, under glare 15 %
that were sharp."""

_MAX_UNSTAINED: Final = 0.5
"""More cells without a stain of the body are doubted: it is hardly the channel of their bodies."""

_LEAST_RATIO, _MOST_RATIO = 0.6, 1.6
_MIN_SIZED: Final = 10
"""Objects whose mean area is that of a disk outside of these shares of the assumed diameter were
sought at another size than theirs: 0.2 and 2.7 where it was given five times too large and too
small, 1.8 of the gaps between dark nuclei; of what fits 0.76 to 1.15."""

_AREAS: Final = ("Image_Soma_MeanArea", "Image_Cells_MeanArea", "Image_Nuclei_MeanArea")

_SKIPPED, _UNSTAINED = "Image_Count_SkippedNuclei", "Image_Count_UnstainedCells"

_MEAN, _MEDIAN = "Image_Intensity_Mean", "Image_Intensity_Median"
_TOPS: Final = ("Image_Intensity_P99", "Image_Intensity_Maximum")
_SHEET: Final = "Image_Cells_AreaFraction"

_REASONS: Final = {
    "NoStain": "have no stain around them",
    "FaintStain": "are stained more faintly than cells",
    "NoRoom": "have no room beside others",
    "TooMany": "are more than a label image numbers",
}


def find_doubts(
    features: str,
    stage: str,
    *,
    bright: bool = True,
    given: bool = False,
    assumed: Mapping[str, Mapping[str, float]] | None = None,
) -> list[Problem]:
    """Doubt a table of images, plate by plate.

    Parameters
    ----------
    features
        Table of images that was written.
    stage
        Which stage wrote it.
    bright
        Whether objects were sought that are brighter than their ground.
    given
        Whether another program found them.
    assumed
        By plate and column of a mean area: the diameter that was assumed, in its unit.

    Returns
    -------
    list of Problem
        All ``kept``; none for tables without what is doubted.
    """
    with as_path(features).open("rb") as stream:
        names = set(pq.read_schema(stream).names)
        wanted = {col.PLATE, col.N_CELLS, BROAD, _UNASSIGNED, _MEAN, _MEDIAN, _SHEET, *_TOPS}
        wanted |= {_SKIPPED, _UNSTAINED}
        wanted |= {name for name in names if name.startswith((TOTAL_LENGTH, NUCLEI, *_AREAS))}
        rows = pq.read_table(stream, columns=sorted(wanted & names)).to_pandas()
    if col.N_CELLS not in rows:
        return []
    length = next((n for n in (f"{TOTAL_LENGTH}_um", f"{TOTAL_LENGTH}_px") if n in rows), None)
    is_of_neurons = length is not None and {BROAD, _UNASSIGNED} <= names
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
        for message in (
            *(_doubt_plate(images, length) if is_of_neurons and length else ()),
            *_doubt_empty(images),
            *(_doubt_light(images) if bright and not given else ()),
            *(() if given else _doubt_sheet(images)),
            *(() if given else _doubt_shares(images)),
            *(() if given else _doubt_sizes(images, (assumed or {}).get(str(plate), {}))),
        )
    ]


def _doubt_empty(images: pd.DataFrame) -> Iterator[str]:
    empty = int((images[col.N_CELLS] == 0).sum())
    if len(images) >= _MIN_FIELDS and empty > _MAX_EMPTY * len(images):
        yield (
            f"{empty} of {len(images)} images show no cell: look at some, and at the assumed"
            " diameter (--soma-um or --soma-px sets that of somas, --nucleus-um or --nucleus-px"
            " that of nuclei)"
        )


def _doubt_light(images: pd.DataFrame) -> Iterator[str]:
    """Objects are sought above the ground: where the ground is the bright part, gaps are found."""
    top = next((name for name in _TOPS if name in images), None)
    if top is None or not {_MEAN, _MEDIAN} <= set(images):
        return
    below = (images[_MEDIAN] - images[_MEAN]) > _DARK * (images[top] - images[_MEDIAN])
    below &= images[_MEDIAN] > images[_MEAN]
    if (n_dark := int(below.sum())) > len(images) / 2:
        yield (
            f"{n_dark} of {len(images)} images are dark objects on a bright ground, or saturated,"
            f" and bright objects were sought: their {int(images[col.N_CELLS].sum())} objects may"
            " be the gaps between. Turn the images over before ingest (neurons: --contrast dark)"
        )


def _doubt_sheet(images: pd.DataFrame) -> Iterator[str]:
    if _SHEET not in images or NUCLEI in images:
        return
    share = float(images[_SHEET].median())
    if share > _MAX_SHEET:
        yield (
            f"{int(images[col.N_CELLS].sum())} cells, found without nuclei, cover {share:.0%} of"
            " the field: cells that lie edge to edge are seldom parted by their outline. Name the"
            " nuclear channel (--nuclei), or segment otherwise (docs/segmentation.md)"
        )


def _doubt_sizes(images: pd.DataFrame, assumed: Mapping[str, float]) -> Iterator[str]:
    cells = images[col.N_CELLS]
    for column, diameter in assumed.items():
        if column not in images or cells.sum() < _MIN_SIZED:
            continue
        area = float((images[column].fillna(0) * cells).sum() / cells.sum())
        found = 2 * math.sqrt(area / math.pi)
        if not _LEAST_RATIO * diameter <= found <= _MOST_RATIO * diameter:
            part, unit = column.split("_")[1].lower(), column.rsplit("_", 1)[1].removesuffix("2")
            yield (
                f"{part} that were found are {found:.3g} {unit} wide and were sought as"
                f" {diameter:.3g} {unit}: the assumed diameter does not fit, or they are something"
                " else. Look with --try 6"
            )


def _doubt_shares(images: pd.DataFrame) -> Iterator[str]:
    """Of cells by their nuclei: too many that are skipped, or without a body."""
    nuclei = int(images[NUCLEI].sum()) if NUCLEI in images else 0
    cells = int(images[col.N_CELLS].sum())
    skipped, unstained = (
        int(images[name].sum()) if name in images else 0 for name in (_SKIPPED, _UNSTAINED)
    )
    if nuclei >= _MIN_NUCLEI and skipped > _MAX_SKIPPED * nuclei:
        yield (
            f"{skipped} of {nuclei} nuclei have softer edges than the others, are taken for out of"
            " focus and counted as no cell: look at some; under glare or haze sharp ones are lost"
        )
    if cells >= _MIN_NUCLEI and unstained > _MAX_UNSTAINED * cells:
        yield (
            f"{unstained} of {cells} cells show no stain around their nucleus, which alone is then"
            " the cell: is --channel the stain of their bodies?"
        )


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


def _name_skipped(images: pd.DataFrame) -> str:
    counts = {
        words: int(images[f"{NUCLEI_SKIPPED}_{why}"].sum())
        for why, words in _REASONS.items()
        if f"{NUCLEI_SKIPPED}_{why}" in images
    }
    named = [f"{count} {words}" for words, count in counts.items() if count]
    return f" ({', '.join(named)})" if named else ""
