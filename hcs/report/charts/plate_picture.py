"""Draws a whole plate as one picture: every field small, wells as they lie on the plate."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from hcs.domain import columns as col
from hcs.domain.wells import Well
from hcs.io.files.atomic import write_bytes
from hcs.io.plates.plate import PlateReader
from hcs.io.plates.thumbnails import read_thumbnails

_PICTURE_PX: Final = 2400
"""Longer edge of the picture, about."""

_WELL_PX: Final = (24, 300)
_GAP_PX: Final = 2
_MARGIN_PX: Final = 28
_BACKGROUND: Final = 255
_NO_IMAGE: Final = 225
_UNREADABLE: Final = 160
_DARK_PERCENTILE: Final = 1.0
_BRIGHT_PERCENTILE: Final = 99.8
_SAMPLED_FIELDS: Final = 200
"""Fields whose gray levels set the contrast, which is one for the whole plate."""


def draw_plate(plate: str, out: str, channel: str | None = None) -> dict[str, str | int]:
    """Draw one channel of a plate and write it as PNG.

    Wells stand in their rows and columns, the fields of a well in rows of their own in the order of
    their numbers. All have one contrast, so that bright and dark wells show. Wells without images
    are light gray, fields that cannot be read dark gray.

    Parameters
    ----------
    plate
        OME-Zarr plate.
    out
        PNG file to write.
    channel
        Name of the channel; may be left out where there is only one.

    Returns
    -------
    dict
        What was drawn, for the screen.

    Raises
    ------
    NotFoundError, InputError, UnknownNameError
        When there is no such plate or channel.
    """
    reader = PlateReader(plate)
    index = reader.channel_index(channel)
    images = reader.images.sort_values([col.WELL, col.SITE])
    paths = [str(path) for path in images[col.FIELD_PATH]]
    wells = [Well.parse(str(name)) for name in images[col.WELL]]
    fields_per_well = int(images.groupby(col.WELL).size().max())
    side = _field_px(reader, fields_per_well)
    small: dict[str, NDArray[Any] | None] = {}
    for path, picture in read_thumbnails(reader, paths, index):
        small[path] = None if picture is None else _shrink_picture(picture, side)
    canvas = _canvas(reader, side * math.ceil(math.sqrt(fields_per_well)))
    _place(canvas, small, wells, side, fields_per_well)
    sink = io.BytesIO()
    _name_rows_and_columns(canvas, reader).save(sink, format="PNG")
    write_bytes(out, sink.getvalue())
    unread = sum(picture is None for picture in small.values())
    return {
        "overview": out,
        "channel": reader.channels[index],
        "fields drawn": len(small) - unread,
        **({"fields that cannot be read": unread} if unread else {}),
    }


def _field_px(reader: PlateReader, fields_per_well: int) -> int:
    """Edge of a field in the picture."""
    columns, rows = reader.plate_format.n_columns, reader.plate_format.n_rows
    low, high = _WELL_PX
    well_px = min(max(_PICTURE_PX // max(columns, rows), low), high)
    return max(4, well_px // math.ceil(math.sqrt(fields_per_well)))


def _shrink_picture(picture: NDArray[Any], side: int) -> NDArray[np.float32]:
    """Shrink to (side, side): each pixel the mean of four of its block, which is quick and enough.

    Thousands of fields are shrunk; the mean of whole blocks takes ten times as long.
    """
    factor = max(1, max(picture.shape) // side)
    half = factor // 2
    height, width = (length // factor * factor for length in picture.shape)
    means = np.zeros((height // factor, width // factor), np.float32)
    for row, column in ((0, 0), (0, half), (half, 0), (half, half)):
        means += picture[row:height:factor, column:width:factor]
    longest = max(means.shape)
    rows, columns = (
        np.minimum((np.arange(side) * longest) // side, length - 1) for length in means.shape
    )
    shrunk: NDArray[np.float32] = means[np.ix_(rows, columns)] * np.float32(0.25)
    return shrunk


def _canvas(reader: PlateReader, well_px: int) -> NDArray[np.uint8]:
    rows, columns = reader.plate_format.n_rows, reader.plate_format.n_columns
    step = well_px + _GAP_PX
    canvas = np.full((rows * step, columns * step), _BACKGROUND, np.uint8)
    for row in range(rows):
        for column in range(columns):
            top, left = row * step, column * step
            canvas[top : top + well_px, left : left + well_px] = _NO_IMAGE
    return canvas


def _place(
    canvas: NDArray[np.uint8],
    small: Mapping[str, NDArray[Any] | None],
    wells: list[Well],
    side: int,
    fields_per_well: int,
) -> None:
    """Put every field into its well."""
    low, high = _contrast([picture for picture in small.values() if picture is not None])
    grid = math.ceil(math.sqrt(fields_per_well))
    step = side * grid + _GAP_PX
    placed: dict[Well, int] = {}
    for well, picture in zip(wells, small.values(), strict=True):
        number = placed.get(well, 0)
        placed[well] = number + 1
        top = well.row * step + number // grid * side
        left = well.column * step + number % grid * side
        window = (slice(top, top + side), slice(left, left + side))
        if picture is None:
            canvas[window] = _UNREADABLE
        else:
            gray = (picture - low) * (255 / (high - low))
            canvas[window] = np.clip(gray, 0, 255)


def _contrast(pictures: list[NDArray[Any]]) -> tuple[float, float]:
    if not pictures:
        return 0.0, 1.0
    step = max(1, len(pictures) // _SAMPLED_FIELDS)
    values = np.concatenate([picture.ravel() for picture in pictures[::step]])
    low, high = np.percentile(values, (_DARK_PERCENTILE, _BRIGHT_PERCENTILE))
    return float(low), float(max(high, low + 1))


def _name_rows_and_columns(canvas: NDArray[np.uint8], reader: PlateReader) -> Image.Image:
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
