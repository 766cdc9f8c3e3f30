"""What the images of a plate's channels are: shape, pixel type, binning, and what fits no field."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from hcs.domain import columns as col
from hcs.domain.config.stages import IngestConfig
from hcs.domain.plate import Plane, SourcePlate
from hcs.domain.results import Problem
from hcs.errors import ImageReadError, InputError
from hcs.io.images.sources import Header, Source, open_source
from hcs.stages.work.ingest.reading import STAGE, ChannelPixels

_PROBED_FILES: Final = 25
"""Headers read to learn the pixel type and shape that most images of the plate have."""

_PROBED_OF_CHANNEL: Final = 5
"""Headers read of each channel at least: one may be damaged, and two in three would decide."""

_SAME_SIZE: Final = 0.02
"""Two stated pixel sizes that differ by less are the same: stages are calibrated no better."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the fields of a plate are, and what the images of each channel must be.

    ``shape`` and ``dtype`` hold every channel: those of the finest pixels, and the type that takes
    all values exactly.
    """

    shape: tuple[int, int]
    dtype: str
    pixel_size_um: float | None
    own: tuple[ChannelPixels, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """What most of the images of one channel are."""

    shape: tuple[int, int]
    dtype: str
    pixel_size_um: float | None
    n_images: int


def fit_channels(
    config: IngestConfig, plate: SourcePlate
) -> tuple[SourcePlate, Expected, list[Problem]]:
    """Find what the images of every channel are, and leave out channels that fit no field.

    Parameters
    ----------
    config
        What to read.
    plate
        The plate as found.

    Returns
    -------
    SourcePlate
        Without the channels that are left out.
    Expected
        Channels of an integer binning are taken to the finest pixels, others are left out.
    list of Problem
        A row for every channel that is left out.

    Raises
    ------
    InputError
        When none of the images that were tried can be read.
    """
    found = _probe_channels(config, plate)
    shape, size_um = _choose_shape(found)
    own: dict[str, ChannelPixels] = {}
    problems = []
    counts = Counter(item.channel for item in plate.planes)
    for channel in plate.channels:
        what = found.get(channel.name)
        factor = 1 if what is None else _binning(what, shape, size_um)
        if factor is None:
            problems.append(_name_misfit(plate, channel.name, found, shape, counts))
        elif what is None:  # no header could be read: each file says why when its turn comes
            own[channel.name] = ChannelPixels(shape, next(iter(found.values())).dtype)
        else:
            own[channel.name] = ChannelPixels(what.shape, what.dtype, factor)
    kept = _keep_channels(plate, own)
    dtype = str(np.result_type(*(np.dtype(each.dtype) for each in own.values())))
    pixel_size_um = config.pixel_size_um or plate.pixel_size_um or size_um
    expected = Expected(shape, dtype, pixel_size_um, tuple(own.values()))
    return kept, expected, problems


def _probe_channels(config: IngestConfig, plate: SourcePlate) -> dict[str, _Found]:
    """Read some headers of every channel, spread over the plate."""
    of_channel: defaultdict[str, list[Plane]] = defaultdict(list)
    for plane in plate.planes:
        of_channel[plane.channel].append(plane)
    wanted = max(_PROBED_OF_CHANNEL, _PROBED_FILES // max(1, len(of_channel)))
    errors: list[str] = []
    found = {}
    with closing(open_source(config.source, plate.layout)) as source:
        for channel, planes in of_channel.items():
            step = max(1, len(planes) // wanted)
            headers = _read_headers(source, planes[::step], errors)
            if headers:
                found[channel] = _summarize(headers, len(planes))
    if not found:
        msg = f"none of {len(errors)} images tried in {config.source} can be read: {errors[:2]}"
        raise InputError(msg)
    return found


def _read_headers(source: Source, planes: Sequence[Plane], errors: list[str]) -> list[Header]:
    headers = []
    for plane in planes:
        try:
            headers.append(source.header(plane))
        except ImageReadError as error:
            errors.append(str(error))
    return headers


def _summarize(headers: Sequence[Header], n_images: int) -> _Found:
    (shape, dtype), _ = Counter((each.shape, each.dtype) for each in headers).most_common(1)[0]
    sizes = [e.pixel_size_um for e in headers if e.shape == shape and e.pixel_size_um is not None]
    return _Found(shape, dtype, _agree_on_size(sizes), n_images)


def _agree_on_size(sizes: Sequence[float]) -> float | None:
    """Pixel size that all state; None where they differ or none does."""
    return sizes[0] if sizes and np.allclose(sizes, sizes[0], rtol=1e-3) else None


def _choose_shape(found: Mapping[str, _Found]) -> tuple[tuple[int, int], float | None]:
    """Choose the shape that most channels fit, and of equals that of most images.

    Returns
    -------
    tuple
        The shape, and the pixel size that all channels of it state, if any.
    """

    def rank(shape: tuple[int, int]) -> tuple[int, int, int]:
        fitting = [each for each in found.values() if _ratio(each.shape, shape) is not None]
        return len(fitting), sum(each.n_images for each in fitting), shape[0] * shape[1]

    shape = max(dict.fromkeys(each.shape for each in found.values()), key=rank)
    sizes = [e.pixel_size_um for e in found.values() if e.shape == shape and e.pixel_size_um]
    return shape, _agree_on_size(sizes)


def _ratio(small: tuple[int, int], large: tuple[int, int]) -> int | None:
    """Whole number that takes one shape to the other along both axes; None when none does."""
    factor = large[0] // small[0] if small[0] else 0
    fits = factor >= 1 and (small[0] * factor, small[1] * factor) == large
    return factor if fits else None


def _binning(found: _Found, shape: tuple[int, int], size_um: float | None) -> int | None:
    """Binning of a channel; None when its images do not lie on those of the other channels."""
    factor = _ratio(found.shape, shape)
    if factor is None or factor == 1 or size_um is None or found.pixel_size_um is None:
        return factor
    same = abs(found.pixel_size_um / (size_um * factor) - 1) <= _SAME_SIZE
    return factor if same else None


def _name_misfit(
    plate: SourcePlate,
    channel: str,
    found: Mapping[str, _Found],
    shape: tuple[int, int],
    counts: Mapping[str, int],
) -> Problem:
    what = found[channel]
    size = "" if what.pixel_size_um is None else f" of {what.pixel_size_um:g} µm"
    message = (
        f"channel {channel} is left out: its {counts[channel]} images are {what.shape[0]} × "
        f"{what.shape[1]} pixels{size}, which no whole binning takes to the {shape[0]} × "
        f"{shape[1]} of the other channels; to read it, ingest its files into a plate of their own"
    )
    first = next(plane.path for plane in plate.planes if plane.channel == channel)
    return Problem(
        stage=STAGE, file=first, reason=col.Reason.WRONG_SHAPE, message=message, plate=plate.name
    )


def _keep_channels(plate: SourcePlate, own: Mapping[str, ChannelPixels]) -> SourcePlate:
    """Return the plate with these channels alone, each with its binning."""
    channels = tuple(
        channel.model_copy(update={"binning": channel.binning * own[channel.name].binning})
        for channel in plate.channels
        if channel.name in own
    )
    update: dict[str, Any] = {"channels": channels}
    if len(channels) < len(plate.channels):
        update |= {
            name: tuple(plane for plane in getattr(plate, name) if plane.channel in own)
            for name in ("planes", "missing")
        }
    return plate.model_copy(update=update)
