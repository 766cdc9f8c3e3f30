"""Who was imaged: clones, donors, wells and images by class, the plates, and a few images."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, Final

import imagecodecs
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.domain import columns as col
from hcs.domain.config.planes import describe_choice
from hcs.domain.evaluation import Association
from hcs.errors import HcsError
from hcs.io.imageset import VALID, ImageSet
from hcs.io.plates.reader import PlateReader
from hcs.report import wording
from hcs.report.blocks import Block, Column, Gallery, Note, Paragraph, Picture, Section, Table
from hcs.report.charts import style
from hcs.report.study import Absent, Study
from hcs.words import english

_PICTURES_PER_CLASS: Final = 6
_MAX_CLASSES: Final = 6
_THUMBNAIL_PX: Final = 256


def cohort(study: Study) -> Section:
    """Return the section on clones, wells, images and plates."""
    blocks: list[Block] = []
    images = study.cohort
    if isinstance(images, Absent):
        blocks.append(Note("missing", images.why))
    else:
        blocks.append(_class_table(images, study))
    if study.plates:
        blocks.append(_plate_table(study))
    if not isinstance(study.splits, Absent):
        blocks.append(Paragraph(_splits_sentence(study)))
    else:
        blocks.append(Note("missing", study.splits.why))
    if not isinstance(study.evaluation, Absent) and study.evaluation.associations:
        blocks.append(_association_table(study.evaluation.associations))
    return Section("cohort", "Cohort and plates", tuple(blocks))


def _class_table(images: pd.DataFrame, study: Study) -> Table:
    counted = [
        column
        for column in (study.group_by, col.DONOR, col.BATCH, col.PLATE)
        if column in images and images[column].notna().any()
    ]
    columns = [wording.noun(study.label), *(english.make_plural(wording.noun(c)) for c in counted)]
    rows = []
    labels = images[study.label].astype(str)
    everything = [(name, images[labels == name]) for name in study.classes]
    for name, part in [*everything, ("all", images)]:
        wells = len(part.drop_duplicates(list(col.WELL_KEY)))
        numbers = [*(part[column].nunique() for column in counted), wells, len(part)]
        rows.append((name, *(f"{n:,}" for n in numbers)))
    titles = [Column(wording.capital(columns[0]))]
    titles += [Column(wording.capital(title), numeric=True) for title in columns[1:]]
    titles += [Column("Wells", numeric=True), Column("Images", numeric=True)]
    return Table(tuple(titles), tuple(rows), "What the classifiers were trained and tested on.")


def _plate_table(study: Study) -> Table:
    titles = (
        Column("Plate"),
        Column("Used as"),
        Column("Format (wells)", numeric=True),
        Column("Wells with images", numeric=True),
        Column("Images", numeric=True),
        Column("Channels"),
        Column("Pixel size (µm)", numeric=True),
    )
    rows = tuple(_plate_row(reader, study) for reader in study.plates)
    return Table(titles, rows, "Plates of the study.")


def _plate_row(reader: PlateReader, study: Study) -> tuple[str, ...]:
    try:
        channels, size = english.join_words(reader.channels), reader.pixel_size_um
        wells = str(reader.plate_format.n_wells)
    except (HcsError, KeyError, OSError, ValueError):  # an empty or foreign plate
        channels, size, wells = wording.NONE, None, wording.NONE
    return (
        reader.name,
        study.use_of(reader.name),
        wells,
        f"{reader.images[col.WELL].nunique():,}",
        f"{len(reader.images):,}",
        channels,
        wording.trim_number(size) if size is not None else "not stated",
    )


def _splits_sentence(study: Study) -> str:
    splits = study.splits
    if isinstance(splits, Absent):
        return splits.why
    group = wording.noun(splits.group_by)
    counts, proof = splits.counts, splits.proof
    least, most = proof.least.test, proof.most.test
    times = wording.count(most, "split") if least == most else f"{least} to {most} splits"
    shared = ""
    if "donor" in proof.disjoint_by:
        shared = " and no donor"
    elif "known donor" in proof.disjoint_by:
        of_all = f"{proof.n_unknown_donors} of {len(splits.groups)}"
        shared = f" and no donor that is known (the donor of {of_all} is not)"
    return (
        f"{wording.count(len(splits.splits), 'split')} (seed {splits.seed}); in each, "
        f"{counts.train} {english.make_plural(group)} a class train, {counts.validation} tune and "
        f"{counts.test} test. No {group}{shared} stands in two of these roles of one split. "
        f"Every {group} was tested in {times}."
    )


def _association_table(associations: tuple[Association, ...]) -> Table:
    titles = (
        Column("Property"),
        Column(
            "Cramér's V", numeric=True, hint="0: no association; 1: class and property go together"
        ),
        Column("p", numeric=True, hint="share of permutations associated at least as strongly"),
        Column("Levels", numeric=True),
        Column("of one class", numeric=True),
        Column("Verdict"),
    )
    rows = tuple(
        (
            wording.noun(entry.variable),
            wording.number(entry.cramers_v),
            wording.p_value(entry.p_value),
            str(entry.n_levels),
            str(entry.n_pure_levels),
            entry.sentence,
        )
        for entry in associations
    )
    return Table(titles, rows, "Can the place on the plate, or the batch, tell the class?")


# ── images ──────────────────────────────────────────────────────────────────────────────────────


def example_images(study: Study) -> Section:
    """Return a few normalized images of every class, from different clones, as the network saw."""
    stack = study.stack
    blocks: list[Block] = []
    if isinstance(stack, Absent):
        blocks.append(Note("missing", stack.why))
    else:
        settings = stack.settings
        chosen = describe_choice(settings)
        median = wording.trim_number(settings.get("median_level"))
        blocks.append(
            Paragraph(
                "Images as the network saw them: each one rescaled so that its median gray level "
                f"becomes {median} and cut at 255, then resized to "
                f"{stack.item_shape[1]} × {stack.item_shape[0]} pixels. "
                "The fields were picked by position in the list, not by eye."
                + (f" Of stacks and time-lapses: {chosen}." if chosen else "")
            )
        )
        blocks += _galleries(stack, study)
    return Section("images", "Example images", tuple(blocks))


def _galleries(stack: ImageSet, study: Study) -> Iterator[Block]:
    frame = stack.frame
    if study.label not in frame or VALID not in frame:
        yield Note("missing", f"The stack does not name the {wording.noun(study.label)}.")
        return
    usable = frame[frame[VALID].astype(bool)]
    if isinstance(study.cohort, pd.DataFrame):
        usable = usable[usable[col.PLATE].isin(study.cohort[col.PLATE])]
    colors = style.class_colors(study.classes, study.positive)
    for name in study.classes[:_MAX_CLASSES]:
        chosen = _spread(usable[usable[study.label].astype(str) == name], study.group_by)
        pictures = tuple(_picture(stack, int(i), frame, study.group_by) for i in chosen)
        if pictures:
            yield Gallery(name, colors.get(name, style.MUTED), pictures)
    if len(study.classes) > _MAX_CLASSES:
        left = len(study.classes) - _MAX_CLASSES
        yield Paragraph(f"{left} more classes are not shown.")


def _spread(rows: pd.DataFrame, group_by: str) -> NDArray[np.int64]:
    """Positions of a few images, from as many different groups as there are."""
    turn = rows.groupby(group_by, dropna=False).cumcount() if group_by in rows else rows.index
    ordered = rows.assign(_turn=turn).sort_values("_turn", kind="stable")
    first_of_each = ordered[ordered["_turn"] == 0]
    if len(first_of_each) < _PICTURES_PER_CLASS:
        return ordered.index.to_numpy(np.int64)[:_PICTURES_PER_CLASS]
    picked = np.linspace(0, len(first_of_each) - 1, _PICTURES_PER_CLASS).round().astype(int)
    chosen: NDArray[np.int64] = first_of_each.index.to_numpy(np.int64)[picked]
    return chosen


def _picture(stack: ImageSet, index: int, frame: pd.DataFrame, group_by: str) -> Picture:
    pixels = stack.read(index, index + 1)[0]
    step = -(-pixels.shape[0] // _THUMBNAIL_PX)
    row = frame.loc[index]
    parts = [row.get(group_by), f"{row[col.PLATE]} {row[col.WELL]}"]
    label = " · ".join(str(part) for part in parts if not wording.is_missing(part))
    return Picture(png_address(pixels[::step, ::step]), label)


def png_address(pixels: NDArray[Any]) -> str:
    """Return an 8-bit gray image, ``(Y, X)``, as the address of an inline PNG."""
    encoded = imagecodecs.png_encode(np.ascontiguousarray(pixels, dtype=np.uint8), level=9)
    return "data:image/png;base64," + base64.b64encode(encoded).decode("ascii")
