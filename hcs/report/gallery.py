"""A quick look: random fields of plates with what was found drawn over them, on one picture."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from hcs.domain import columns as col
from hcs.domain.config.planes import PlaneChoice, TimeChoice
from hcs.errors import InputError
from hcs.io.files.atomic import write_bytes
from hcs.io.files.paths import AnyPath, as_path
from hcs.io.plates.reader import PlateReader
from hcs.ops.overlay import draw_overlay
from hcs.planes.reading import Chosen, choose_in, read_chosen

_CAPTION_PX: Final = 22
_GAP_PX: Final = 6
_GROUND: Final = (24, 24, 24)
_INK: Final = (235, 235, 235)
_BODIES: Final = ("soma", "cells")
LEGEND: Final = (
    "orange: soma or cell; blue: nucleus; green: neurite of a soma; magenta: neurite of no soma"
)


@dataclass(frozen=True, slots=True)
class Tile:
    """One field of the gallery: its picture and what it is."""

    picture: NDArray[np.uint8]
    caption: str


def write_gallery(
    plates: Sequence[str],
    out: AnyPath,
    *,
    channel: str | None = None,
    plane: PlaneChoice | None = None,
    time: TimeChoice | None = None,
    n_fields: int = 12,
    tile_px: int = 512,
    seed: int = 0,
) -> list[str]:
    """Draw random fields with their labels into one PNG or HTML page.

    Parameters
    ----------
    plates
        OME-Zarr plates; labels are drawn where ``hcs features`` wrote them.
    out
        ``.png`` or ``.html``.
    channel
        Channel to show; may be left out where a plate has one.
    plane, time
        What of z-stacks and time-lapses is shown; may be left out where there is one of them. Of
        several time points every field shows one, drawn at random.
    n_fields
        How many fields, drawn at random over all plates.
    tile_px
        Edge of a field on the picture; larger fields show a random window in full resolution, so
        that traces can be judged.
    seed
        Which fields.

    Returns
    -------
    list of str
        Captions of the fields that are shown.

    Raises
    ------
    InputError
        When ``out`` has another ending, the plates hold no fields, or it was not said what of a
        z-stack or a time-lapse is meant.
    """
    target = as_path(out)
    if target.suffix not in {".png", ".html"}:
        msg = f"{out}: a gallery is a .png or a .html file"
        raise InputError(msg)
    rng = np.random.default_rng(seed)
    readers = [PlateReader(path) for path in plates]
    looks = [choose_in(reader, plane, time, every=True) for reader in readers]
    fields = pd.concat([_fields(reader, k) for k, reader in enumerate(readers)], ignore_index=True)
    if fields.empty:
        msg = f"{', '.join(plates)}: no fields to show"
        raise InputError(msg)
    chosen = np.sort(rng.choice(len(fields), min(n_fields, len(fields)), replace=False))
    tiles = [
        _tile(readers[int(row["reader"])], row, channel, looks[int(row["reader"])], tile_px, rng)
        for _, row in fields.iloc[chosen].iterrows()
    ]
    data = _write_png(tiles) if target.suffix == ".png" else _write_html(tiles).encode()
    write_bytes(target, data)
    return [tile.caption for tile in tiles]


def _fields(reader: PlateReader, number: int) -> pd.DataFrame:
    return reader.images.assign(reader=number)


def _tile(
    reader: PlateReader,
    row: pd.Series,
    channel: str | None,
    look: Chosen,
    tile_px: int,
    rng: np.random.Generator,
) -> Tile:
    path = str(row[col.FIELD_PATH])
    shown = look.times[0] if len(look.times) == 1 else int(rng.choice(look.times))
    image = read_chosen(reader, path, reader.channel_index(channel), look.plane, shown)
    labels = {
        name: reader.read_label(path, name, t_index=shown)
        for name in ("soma", "cells", "neurites", "nuclei")
        if name in reader.label_names(path, shown)
    }
    window = tuple(_window(size, tile_px, rng) for size in image.shape)
    nothing = np.zeros(image.shape, np.uint16)
    bodies = next((labels[name] for name in _BODIES if name in labels), labels.get("nuclei"))
    nuclei = labels.get("nuclei")
    picture = draw_overlay(
        image[window],
        next((labels[name] for name in _BODIES if name in labels), nothing)[window],
        labels.get("neurites", nothing)[window],
        None if nuclei is None else nuclei[window],
    )
    parts = [str(row[name]) for name in (col.PLATE, col.WELL)]
    parts.append(f"field {row[col.SITE]}")
    parts += [f"time {shown}"] if look.is_timed else []
    parts += [str(row[name]) for name in (col.CLONE, col.DIAGNOSIS) if _is_known(row.get(name))]
    if bodies is not None:
        parts.append(f"{_count(bodies)} cells in the field")
    else:
        parts.append("not measured")
    return Tile(picture, ", ".join(parts))


def _count(labels: NDArray[Any]) -> int:
    """Count objects; given ones may have gaps in their numbers."""
    return int(np.unique(labels[labels > 0]).size)


def _is_known(value: Any) -> bool:  # noqa: ANN401 - a cell of a table
    return value is not None and not pd.isna(value)


def _window(size: int, tile_px: int, rng: np.random.Generator) -> slice:
    start = int(rng.integers(0, max(size - tile_px, 0) + 1))
    return slice(start, min(start + tile_px, size))


def _write_png(tiles: Sequence[Tile]) -> bytes:
    """All tiles on one sheet, about as wide as high."""
    n_columns = max(1, round(len(tiles) ** 0.5 * 1.2))
    n_rows = -(-len(tiles) // n_columns)
    height = max(tile.picture.shape[0] for tile in tiles) + _CAPTION_PX + _GAP_PX
    width = max(tile.picture.shape[1] for tile in tiles) + _GAP_PX
    sheet = Image.new("RGB", (n_columns * width, n_rows * height + _CAPTION_PX), _GROUND)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for index, tile in enumerate(tiles):
        row, column = divmod(index, n_columns)
        left, top = column * width, row * height
        pen.text((left + 4, top + 3), tile.caption, fill=_INK, font=font)
        sheet.paste(Image.fromarray(tile.picture), (left, top + _CAPTION_PX))
    pen.text((4, n_rows * height + 3), LEGEND, fill=_INK, font=font)
    return _png(sheet)


def _png(picture: Image.Image) -> bytes:
    sink = io.BytesIO()
    picture.save(sink, "PNG")
    return sink.getvalue()


def _write_html(tiles: Sequence[Tile]) -> str:
    """Return a page that needs no other file."""
    figures = []
    for tile in tiles:
        data = base64.b64encode(_png(Image.fromarray(tile.picture))).decode()
        caption = html.escape(tile.caption)
        figures.append(
            f'<figure><img alt="{caption}" src="data:image/png;base64,{data}">'
            f"<figcaption>{caption}</figcaption></figure>"
        )
    style = (
        "body{background:#181818;color:#ebebeb;font:14px sans-serif;margin:1rem}"
        "main{display:flex;flex-wrap:wrap;gap:.6rem}figure{margin:0}"
        "img{display:block;max-width:100%}figcaption{padding:.2rem 0}"
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Gallery</title>'
        f"<style>{style}</style></head><body><p>{LEGEND}</p><main>{''.join(figures)}</main>"
        "</body></html>\n"
    )
