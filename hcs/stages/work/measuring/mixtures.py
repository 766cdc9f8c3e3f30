"""Plates of one table whose numbers do not compare: other pixels, other types of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow.parquet as pq

from hcs.domain import columns as col
from hcs.domain.config.stages import MorphologyConfig, Neurons
from hcs.domain.results import Problem
from hcs.errors import ImageReadError, InputError
from hcs.io.files.paths import as_path
from hcs.io.plates.reader import PlateReader

_SAME: Final = 0.01
"""Sizes of pixels that differ by less than this share are the same."""

_TEXTURE: Final = "_Texture_AngularSecondMoment_"


def doubt_mixtures(
    out: str, stage: str, settings: MorphologyConfig, readers: Sequence[PlateReader]
) -> list[Problem]:
    """Doubt a table whose plates differ in what its columns count in, and textures without a scale.

    Parameters
    ----------
    out, stage
        Table of images that was written, and which stage wrote it.
    settings
        What was measured.
    readers
        The plates.

    Returns
    -------
    list of Problem
        All ``kept``.
    """
    types = {r.name: kind for r in readers if (kind := _read_type(r)) is not None}
    messages: list[tuple[str | None, str]] = []
    if len(set(types.values())) > 1:
        told = ", ".join(f"{name} {kind}" for name, kind in types.items())
        message = (
            f"plates have pixels of different types ({told}): brightness in counts, thresholds in"
            " counts and textures do not compare between them; normalize plate by plate"
        )
        messages.append((None, message))
    sizes = {r.name: r.pixel_size_um for r in readers if r.pixel_size_um is not None}
    in_px = not isinstance(settings.assay, Neurons) or settings.measured
    if in_px and sizes and not np.allclose(list(sizes.values()), min(sizes.values()), rtol=_SAME):
        told = ", ".join(f"{name} {size:g} µm" for name, size in sizes.items())
        message = (
            f"plates have pixels of different sizes ({told}): columns that count pixels (AreaShape,"
            " IntegratedIntensity) and textures, of pairs 3 px apart, do not compare between them;"
            " those in µm or µm² do"
        )
        messages.append((None, message))
    messages += _doubt_textures(out, types)
    return [
        Problem(
            stage=stage,
            file=plate or out,
            plate=plate,
            reason=col.Reason.DOUBTFUL,
            message=message,
            kept=True,
        )
        for plate, message in messages
    ]


def _read_type(reader: PlateReader) -> str | None:
    """Type of the pixels of a plate: that of the first field that opens."""
    for path in reader.images[col.FIELD_PATH]:
        try:
            return str(reader.level(str(path), 0).dtype)
        except (InputError, ImageReadError):  # the field's own row in the problems says so
            continue
    return None


def _doubt_textures(out: str, types: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Name plates of floats of unknown full scale, whose textures were left out."""
    if not any(kind.startswith("float") for kind in types.values()):
        return
    with as_path(out).open("rb") as stream:
        names = [name for name in pq.read_schema(stream).names if _TEXTURE in name]
        rows = pq.read_table(stream, columns=[col.PLATE, col.N_CELLS, *names]).to_pandas()
    for plate, images in rows[rows[col.N_CELLS] > 0].groupby(col.PLATE, sort=True):
        name = str(plate)
        if names and types.get(name, "").startswith("float") and images[names].isna().all().any():
            message = (
                f"pixels of plate {name} are {types[name]} above 1, and nothing says which value"
                " is white: textures of such channels are left empty; ingest whole numbers, or"
                " floats from 0 to 1"
            )
            yield name, message
