"""What each channel of a plate holds, and where and when its planes were taken, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hcs.domain.display import COLOR_NAMES
from hcs.io.plates.reader import PlateReader


def describe_channels(reader: PlateReader) -> dict[str, str]:
    """Say of every channel which planes the first field has of it, and how it is shown.

    Returns
    -------
    dict
        One line a channel that has something to tell; places of z and time where there are
        several.
    """
    first = reader.first_field
    shown = reader.field_metadata(first).get("omero", {}).get("channels", [])
    found = {}
    for index, name in enumerate(reader.channels):
        parts = [*_say_planes(reader, first, index)]
        if (binning := reader.binning(index)) > 1:
            parts.append(f"binned {binning} × {binning}, its pixels are repeated")
        if index < len(shown) and (window := _say_window(shown[index])):
            parts.append(window)
        if parts:
            found[f"channel {name}"] = "; ".join(parts)
    places = {
        "z": _say_places(reader.n_z, reader.z_positions_um, "planes", "µm"),
        "time": _say_places(reader.n_t, reader.times_min, "points", "min"),
    }
    return found | {name: text for name, text in places.items() if text}


def _say_planes(reader: PlateReader, field: str, channel: int) -> list[str]:
    if (reader.n_t, reader.n_z) == (1, 1):
        return []
    there = reader.acquired(field, channel)
    axes = [("z planes", there.any(axis=0)), ("times", there.any(axis=1))]
    told = [f"{int(any_.sum())} of {any_.size} {what}" for what, any_ in axes if any_.size > 1]
    full = int(np.prod([any_.sum() for _, any_ in axes]))
    alone = [] if there.sum() == full else [f"{int(there.sum())} planes in all"]
    return [" at ".join(told), *alone]


def _say_window(channel: dict[str, Any]) -> str | None:
    window = channel.get("window") or {}
    start, end = window.get("start"), window.get("end")
    if not isinstance(start, (int, float)) or not isinstance(end, (int, float)):
        return None  # other programs may leave it out
    color = str(channel.get("color") or "")
    name = COLOR_NAMES.get(color.upper(), color)
    return f"shown from {start:g} to {end:g}" + (f" in {name}" if name else "")


def _say_places(count: int, places: Sequence[float] | None, what: str, unit: str) -> str | None:
    """Say where several planes or times lie; None for one."""
    if count == 1:
        return None
    if places is None:
        return f"{count} {what}, their distance is not known"
    return f"{count} {what} from {places[0]:g} to {places[-1]:g} {unit}"
