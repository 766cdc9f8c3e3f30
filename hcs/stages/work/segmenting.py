"""Planes as a pixel classifier sees them: channels of a field on the scale of their plate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hcs.domain.config.segmenting import Normalize
from hcs.errors import ImageReadError
from hcs.io.plates.reader import PlateReader
from hcs.ops.blank import fill_blank
from hcs.ops.intensity import plane_statistics
from hcs.planes.reading import Chosen, read_with_index
from hcs.stages.work.measuring.plans import spread_places

_FIELDS: Final = 24
"""Fields that tell the range of a channel, spread over the plate."""

_SAMPLE: Final = 20_000
"""Pixels taken of each."""

_LOW, _HIGH = 1.0, 99.8
"""Percentiles that become 0 and 1."""

Ranges = tuple[tuple[float, float], ...]
"""What becomes 0 and 1, by channel."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What of a plate a classifier sees.

    Attributes
    ----------
    channels
        Indices.
    chosen
        Plane and time points.
    ranges
        Of each channel; None where every field has its own.
    """

    channels: tuple[int, ...]
    chosen: Chosen
    ranges: Ranges | None


def look_at(
    reader: PlateReader, channels: Sequence[str], chosen: Chosen, normalize: Normalize
) -> Seen:
    """Find out how fields of a plate are to be scaled.

    Raises
    ------
    UnknownNameError, InputError
        When a channel does not exist, or several do and none is named.
    """
    names: Sequence[str | None] = channels or (None,)
    indices = tuple(reader.channel_index(name) for name in names)
    if normalize == "image":
        return Seen(indices, chosen, None)
    return Seen(indices, chosen, tuple(_find_range(reader, i, chosen) for i in indices))


def _find_range(reader: PlateReader, channel: int, chosen: Chosen) -> tuple[float, float]:
    samples = []
    for path, time in spread_places(reader, chosen, channel, _FIELDS):
        try:
            plane, _ = read_with_index(reader, path, channel, chosen.plane, time)
            plane_statistics(plane)
        except ImageReadError:  # the field's own row in the problems says so
            continue
        values = fill_blank(plane)[0].ravel()
        samples.append(values[:: max(1, values.size // _SAMPLE)].astype(np.float64))
    return _range_of(np.concatenate(samples)) if samples else (0.0, 1.0)


def _range_of(values: NDArray[np.floating]) -> tuple[float, float]:
    low, high = np.percentile(values, [_LOW, _HIGH])
    return float(low), float(high) if high > low else float(low) + 1.0


def read_seen(
    reader: PlateReader, field_path: str, seen: Seen, time: int
) -> tuple[NDArray[np.float32], int | None]:
    """Read the channels of one field at one time.

    Returns
    -------
    ndarray, int or None
        Shape (C, Y, X), 0 and 1 being the ends of the range; and the plane of the first channel
        that was in focus, where that was chosen.

    Raises
    ------
    ImageReadError
        When a channel cannot be read.
    """
    planes, first = [], None
    for place, channel in enumerate(seen.channels):
        plane, index = read_with_index(reader, field_path, channel, seen.chosen.plane, time)
        plane_statistics(plane)
        first = index if place == 0 else first
        values = fill_blank(plane)[0].astype(np.float32)
        low, high = _range_of(values) if seen.ranges is None else seen.ranges[place]
        planes.append((values - np.float32(low)) / np.float32(high - low))
    return np.stack(planes), first
