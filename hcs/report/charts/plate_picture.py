"""Draws a whole plate as one picture: every field small, wells as they lie on the plate."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from hcs.domain import columns as col
from hcs.domain.config.planes import PlaneChoice, TimeChoice
from hcs.domain.wells import Well
from hcs.errors import ImageReadError, InputError
from hcs.io.files.atomic import write_bytes
from hcs.io.plates.overview import WELL_PX, read_overview
from hcs.io.plates.reader import PlateReader
from hcs.io.runs.places import refuse_other_file
from hcs.ops.mosaic import lay_out, place_fields, shrink
from hcs.planes.reading import Chosen, choose_in, read_chosen

_PICTURE_PX: Final = 2400
"""Longer edge of the picture, about."""

_WELL_PX: Final = (24, WELL_PX)
_GAP_PX: Final = 2
_MARGIN_PX: Final = 28
_BACKGROUND: Final = 255
_NO_IMAGE: Final = 225
_DARK_PERCENTILE: Final = 1.0
_BRIGHT_PERCENTILE: Final = 99.8
_READERS: Final = 8
"""Threads that read fields: most of the time is waiting for files."""

_SAMPLED_WELLS: Final = 48
"""Wells whose gray levels set the contrast, which is one for the whole plate."""


def draw_plate(
    plate: str,
    out: str,
    channel: str | None = None,
    plane: PlaneChoice | None = None,
    time: TimeChoice | None = None,
) -> dict[str, str | int]:
    """Draw one channel of a plate and write it as PNG.

    Wells stand in their rows and columns, the fields of a well in rows of their own in the order of
    their numbers. All have one contrast, so that bright and dark wells show. Wells without images
    are gray, fields that cannot be read black.

    Parameters
    ----------
    plate
        OME-Zarr plate.
    out
        PNG file to write.
    channel
        Name of the channel; may be left out where there is only one.
    plane, time
        What of z-stacks and of a time-lapse is drawn; may be left out where there is only one.

    Returns
    -------
    dict
        What was drawn, for the screen.

    Raises
    ------
    NotFoundError, InputError, UnknownNameError
        When there is no such plate or channel, or it was not said what of a z-stack or a time-lapse
        is meant.
    """
    refuse_other_file(out, ".png")
    reader = PlateReader(plate)
    index = reader.channel_index(channel)
    look = choose_in(reader, plane, time)
    images = reader.images.sort_values([col.WELL, col.SITE])
    fields = {
        Well.parse(str(name)): [str(path) for path in rows[col.FIELD_PATH]]
        for name, rows in images.groupby(col.WELL)
    }
    pictures, n_unread = _read_wells(reader, fields, index, look)
    counts = {well: len(paths) for well, paths in fields.items()}
    canvas = _draw_wells(reader, pictures, counts)
    sink = io.BytesIO()
    _label_plate(canvas, reader).save(sink, format="PNG")
    write_bytes(out, sink.getvalue())
    return {
        "overview": out,
        "channel": reader.channels[index],
        **({"plane drawn": str(look.plane)} if reader.n_z > 1 else {}),
        **({"time drawn": look.times[0]} if look.is_timed else {}),
        "fields drawn": len(images) - n_unread,
        **({"fields that cannot be read": n_unread} if n_unread else {}),
    }


def _read_wells(
    reader: PlateReader, fields: Mapping[Well, Sequence[str]], channel: int, look: Chosen
) -> tuple[dict[Well, NDArray[Any]], int]:
    """Wells in small, and the number of fields that cannot be read.

    From the plate's overview; of wells that it lacks, of plates that have none, and of z-stacks and
    time-lapses, from the smallest level of every field.
    """
    one = reader.n_z == reader.n_t == 1
    stored = read_overview(reader.path, channel) if one else None
    pictures: dict[Well, NDArray[Any]] = {}
    if stored is not None:
        pictures = {well: stored[well.row, well.column] for well in fields if _is_in(stored, well)}
    n_unread = 0
    missing = [well for well in fields if well not in pictures]
    with ThreadPoolExecutor(_READERS) as pool:
        for well in missing:
            read = partial(_read_field, reader, channel, look)
            found = list(pool.map(read, fields[well]))
            n_unread += sum(picture is None for picture in found)
            dark = np.zeros((1, 1), np.float32)
            known = [dark if picture is None else picture for picture in found]
            pictures[well] = lay_out([picture.astype(np.float32) for picture in known], WELL_PX)
    return pictures, n_unread


def _is_in(stored: NDArray[Any], well: Well) -> bool:
    inside = well.row < stored.shape[0] and well.column < stored.shape[1]
    return inside and bool(stored[well.row, well.column].any())


def _read_field(reader: PlateReader, channel: int, look: Chosen, path: str) -> NDArray[Any] | None:
    try:
        level = reader.n_levels - 1
        return read_chosen(reader, path, channel, look.plane, look.times[0], level=level)
    except (ImageReadError, InputError):
        return None


def _draw_wells(
    reader: PlateReader, pictures: Mapping[Well, NDArray[Any]], counts: Mapping[Well, int]
) -> NDArray[np.uint8]:
    """Put every well into its place, all with one contrast."""
    rows, columns = reader.plate_format.n_rows, reader.plate_format.n_columns
    low, high = _WELL_PX
    edge = min(max(_PICTURE_PX // max(columns, rows), low), high)
    step = edge + _GAP_PX
    dark, bright = _find_contrast(pictures, counts)
    canvas = np.full((rows * step, columns * step), _BACKGROUND, np.uint8)
    for row, column in np.ndindex(rows, columns):
        well = Well(row, column)
        square = np.full((WELL_PX, WELL_PX), _NO_IMAGE, np.float32)
        for window in place_fields(counts.get(well, 0), WELL_PX):
            gray = (pictures[well][window] - dark) * (255 / (bright - dark))
            square[window] = np.clip(gray, 0, 255)
        top, left = row * step, column * step
        canvas[top : top + edge, left : left + edge] = shrink(square, edge)
    return canvas


def _find_contrast(
    pictures: Mapping[Well, NDArray[Any]], counts: Mapping[Well, int]
) -> tuple[float, float]:
    """Gray levels that become black and white, from the fields of some wells."""
    if not pictures:
        return 0.0, 1.0
    chosen = list(pictures)[:: max(1, len(pictures) // _SAMPLED_WELLS)]
    windows = [(well, window) for well in chosen for window in place_fields(counts[well], WELL_PX)]
    values = np.concatenate([pictures[well][window].ravel() for well, window in windows])
    low, high = np.percentile(values, (_DARK_PERCENTILE, _BRIGHT_PERCENTILE))
    return float(low), float(max(high, low + 1))


def _label_plate(canvas: NDArray[np.uint8], reader: PlateReader) -> Image.Image:
    """Put the names of rows and columns around the plate."""
    plate_format = reader.plate_format
    height, width = canvas.shape
    page = Image.new("L", (width + _MARGIN_PX, height + _MARGIN_PX), _BACKGROUND)
    page.paste(Image.fromarray(canvas), (_MARGIN_PX, _MARGIN_PX))
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(14)
    for number, name in enumerate(plate_format.row_names):
        y = _MARGIN_PX + (number + 0.5) * height / plate_format.n_rows
        draw.text((_MARGIN_PX / 2, y), name, fill=0, font=font, anchor="mm")
    for number, name in enumerate(plate_format.column_names):
        x = _MARGIN_PX + (number + 0.5) * width / plate_format.n_columns
        draw.text((x, _MARGIN_PX / 2), name, fill=0, font=font, anchor="mm")
    return page
