"""What a plate is measured with: its channels, its scales and its illumination, found once."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from numpy.typing import NDArray

from hcs.domain import columns as col
from hcs.domain.config.stages import FeaturesConfig, MorphologyConfig
from hcs.domain.tuning.planes import LightTuning
from hcs.domain.tuning.sets import Tuning
from hcs.errors import ImageReadError
from hcs.io.files.atomic import write_json
from hcs.io.files.paths import sidecar
from hcs.io.imageset import name_group
from hcs.io.plates.reader import PlateReader
from hcs.io.runs.fingerprints import fingerprint
from hcs.ops.blank import fill_blank
from hcs.ops.filters import FloatPlane
from hcs.ops.light.flatfield import profile_image
from hcs.ops.light.illumination import Illumination, estimate_illumination, judge_illumination
from hcs.planes.definitions import FEATURES_FORMAT
from hcs.planes.reading import Chosen, read_chosen
from hcs.stages.work.measuring.channels import Channels, choose_channels

_LIGHT_FIELDS: Final = 24
"""Fields from which illumination is estimated."""


@dataclass(frozen=True)
class PlatePlan:
    """How one plate is measured.

    Attributes
    ----------
    channels
        Indices of the channels that are used.
    settings
        With all sizes filled in.
    light
        Illumination of each channel that is used, by its index.
    chosen
        Plane and time points that are measured.
    """

    channels: Channels
    settings: MorphologyConfig
    light: dict[int, Illumination]
    chosen: Chosen

    def flat(self, channel: int, shape: tuple[int, ...]) -> FloatPlane | None:
        """Return what planes of a channel are divided by, or None."""
        found = self.light.get(channel)
        return None if found is None else found.plane(shape)

    def keep_what_measures(self) -> PlatePlan:
        """Return the plan without light that no image is divided by.

        What was found of it differs with every image of the plate and changes no number.
        """
        return replace(self, light={k: found for k, found in self.light.items() if found.helps})

    def _record_channels(self, reader: PlateReader) -> dict[str, Any]:
        """Which channel served for what, by name."""
        names, used = reader.channels, self.channels
        return {
            "channels": {
                "found_in": names[used.main],
                "nuclei": None if used.nuclei is None else names[used.nuclei],
                "body": None if used.body is None else names[used.body],
                "measured": [names[index] for index in used.measured.values()],
                "markers": {name: names[index] for name, index in used.markers.items()},
            }
        }

    def record(self, reader: PlateReader) -> dict[str, Any]:
        """Return what was estimated, for the provenance of the results."""
        light = {
            reader.channels[channel]: {
                "range_fraction": round(found.range_fraction, 4),
                "gain": round(found.gain, 4),
                "corrected": found.helps,
                "source": "vendor" if found.vendor else "plate",
                "why": found.why,
            }
            for channel, found in self.light.items()
        }
        return {
            "assay": self.settings.assay.kind,
            **self.settings.sizes.model_dump(exclude_none=True),
            "feature_set": self.settings.assay.feature_set,
            "illumination": light,
            **self._record_channels(reader),
        }


def plan_plate(config: FeaturesConfig, reader: PlateReader, chosen: Chosen) -> PlatePlan:
    """Find out how to measure a plate; what an earlier run found for the same pixels is read back.

    Raises
    ------
    UnknownNameError, InputError
        When a channel does not exist, two markers have one name, or a size is given in µm and the
        plate has no pixel size.
    """
    settings = config.morphology
    settings.sizes.check_units(reader.pixel_size_um, f"plate {reader.name}")
    channels = choose_channels(config, reader)
    mark = fingerprint(
        FEATURES_FORMAT,
        settings,
        (channels, chosen),
        (reader.pixel_size_um, reader.flat_fields),
        reader.images[col.FINGERPRINT].tolist(),
    )
    file = sidecar(config.out) / f"measuring-{name_group(reader.name)}.json"
    kept = json.loads(file.read_text()) if file.exists() else {}
    if kept.get("fingerprint") != mark:
        unread: set[str] = set()
        planes = functools.partial(_iterate_planes, reader, chosen, unread, settings.tuning)
        kept = {
            "fingerprint": mark,
            "light": _find_light(settings, reader, channels, planes),
        }
        if not unread:  # what is read of a damaged plate is not what it holds
            write_json(file, kept)
    light = {int(index): Illumination(**item) for index, item in kept["light"].items()}
    return PlatePlan(channels, settings, light, chosen)


def _find_light(
    settings: MorphologyConfig,
    reader: PlateReader,
    channels: Channels,
    planes: Callable[[int, int], Iterator[NDArray[Any]]],
) -> dict[str, Any]:
    if settings.illumination != "auto":
        return {}
    return {
        str(index): asdict(_estimate_light(reader, index, planes, settings.tuning.light))
        for index in channels.used()
    }


def _estimate_light(
    reader: PlateReader,
    channel: int,
    read: Callable[[int, int], Iterator[NDArray[Any]]],
    tuning: LightTuning,
) -> Illumination:
    """Illumination of one channel: the vendor's profile where the plate carries one."""
    planes = list(read(channel, _LIGHT_FIELDS))
    name = reader.channels[channel]
    for profile in reader.flat_fields:
        if profile.channel == name and planes and planes[0].ndim == 2:
            height, width = planes[0].shape
            return judge_illumination(profile_image(profile, (height, width)), planes, tuning)
    return estimate_illumination(planes, tuning)


def _iterate_planes(
    reader: PlateReader, chosen: Chosen, unread: set[str], tuning: Tuning, channel: int, count: int
) -> Iterator[NDArray[Any]]:
    """Fields spread evenly over plate and time; ``unread`` grows by those that cannot be read."""
    for path, time in spread_places(reader, chosen, channel, count):
        try:
            yield fill_blank(read_chosen(reader, path, channel, chosen.plane, time), tuning.blank)[
                0
            ]
        except ImageReadError as error:  # the field's own row in the problems says so
            if error.reason != col.Reason.NOT_ACQUIRED:
                unread.add(path)


def spread_places(
    reader: PlateReader, chosen: Chosen, channel: int, count: int
) -> Iterator[tuple[str, int]]:
    """Paths and times of fields spread evenly over a plate and its time points."""
    paths = reader.images[col.FIELD_PATH].tolist()
    spread = sorted({round((k + 0.5) * len(paths) / count - 0.5) for k in range(count)})
    for turn, index in enumerate(spread):
        path = str(paths[min(max(index, 0), len(paths) - 1)])
        there = reader.acquired(path, channel)
        times = [time for time in chosen.times if there[time].any()] or chosen.times
        yield path, times[turn * len(times) // len(spread)]
