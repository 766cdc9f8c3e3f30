"""Images that the network sees: which of a plate can be normalized, and each made ready."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.domain import columns as col
from hcs.domain.config.planes import PlaneChoice, TimeChoice
from hcs.domain.results import Problem
from hcs.errors import ImageReadError, InputError
from hcs.io.files import parquet
from hcs.io.files.paths import as_path
from hcs.io.plates.reader import PlateReader
from hcs.io.runs.fingerprints import file_stamp
from hcs.ops import intensity, resizing
from hcs.planes.reading import Chosen, choose, read_chosen
from hcs.stages.work.plates import open_plates
from hcs.stages.work.tables import keys_first

MAY_PASS: Final = frozenset({col.Reason.UNREADABLE, col.Reason.MISSING_FILE, col.Reason.CHECKSUM})
"""Why an image could not be read that may be mended with the image's fingerprint unchanged: such
images are tried again by the next run."""

CHANNEL: Final = "channel"
"""Column of :attr:`Images.frame`: index of the wanted channel in the plate."""

PATH: Final = "plate_path"
"""Column of :attr:`Images.frame`: where the plate lies."""


@dataclass(frozen=True, slots=True)
class ImageJob:
    """One image: where it stands, and which channel, plane and time point of it are wanted."""

    plate_path: str
    plate: str
    well: str
    site: int
    field_path: str
    channel: int
    plane: PlaneChoice | None = None
    time: int = 0

    @property
    def key(self) -> str:
        """What tells the image from the others of its plate."""
        return f"{self.field_path}@{self.time}" if self.time else self.field_path


@dataclass(frozen=True, slots=True)
class Images:
    """Images of plates that can be normalized, and those that cannot.

    Attributes
    ----------
    frame
        One row an image with its metadata, in the order of plate, well, site and time.
    problems
        Images left out.
    chosen
        Plane and time points, by the name of the plate.
    """

    frame: pd.DataFrame
    problems: list[Problem]
    chosen: Mapping[str, Chosen] = field(default_factory=dict)

    def jobs(self, places: list[int] | slice = slice(None)) -> list[ImageJob]:
        """Return some rows of the frame as jobs."""
        columns = [PATH, *col.IMAGE_KEY, col.FIELD_PATH, CHANNEL]
        columns += [col.TIME] if col.TIME in self.frame else []
        rows = self.frame[columns].iloc[places]
        return [
            ImageJob(
                path,
                plate,
                well,
                int(site),
                path_in,
                int(channel),
                self._plane(plate),
                *map(int, time),
            )
            for path, plate, well, site, path_in, channel, *time in rows.itertuples(
                index=False, name=None
            )
        ]

    def _plane(self, plate: str) -> PlaneChoice | None:
        return self.chosen[plate].plane if plate in self.chosen else None

    @property
    def described(self) -> pd.DataFrame:
        """The frame without what only this run needs."""
        return self.frame.drop(columns=[PATH, CHANNEL])


def name_image(plate: object, well: object, site: object) -> str:
    """Name of an image from which its random numbers are drawn."""
    return f"{plate}/{well}/{site}"


def list_images(
    plates: Sequence[str],
    channel: str | None,
    stage: str,
    plane: PlaneChoice | None = None,
    time: TimeChoice | None = None,
    *,
    every: bool = False,
) -> Images:
    """List the images of plates that can be normalized, and those that cannot.

    Parameters
    ----------
    plates
        Paths of OME-Zarr plates.
    channel
        Channel name; None takes the only one.
    stage
        Named in the problems.
    plane, time
        What of a z-stack and of a time-lapse is meant.
    every
        Whether all time points may be meant.

    Raises
    ------
    InputError
        When two plates have one name, or one has several planes or time points and nothing was
        said, or has not those that were.
    """
    frames: list[pd.DataFrame] = []
    problems: list[Problem] = []
    readers = open_plates(plates)
    chosen = choose(readers, plane, time, every=every)
    is_timed = any(item.is_timed for item in chosen.values())
    for reader in readers:
        index = reader.channel_index(channel)
        name = reader.channels[index]
        listed = reader.images
        # What ingest measured is over all planes and times, so it says nothing of one of several.
        one = reader.n_z == 1 and reader.n_t == 1
        reasons = _find_unusable(listed, name) if one else {}
        for position, reason in reasons.items():
            problems.append(_describe(listed.iloc[position], reason, name, stage))
        kept = listed.drop(index=listed.index[sorted(reasons)])
        named = [name for name in kept.columns if name.startswith("Metadata_")]
        kept = kept[[*named, col.FIELD_PATH, col.FINGERPRINT]]
        kept = repeat_over_times(kept, chosen[reader.name]) if is_timed else kept.copy()
        kept[PATH], kept[CHANNEL] = reader.path, index
        frames.append(kept)
    frame = pd.concat(frames, ignore_index=True)
    order = [*col.IMAGE_KEY, *([col.TIME] if is_timed else [])]
    frame = frame.sort_values(order, ignore_index=True, kind="stable")
    return Images(frame, problems, chosen)


def repeat_over_times(images: pd.DataFrame, chosen: Chosen) -> pd.DataFrame:
    """One row an image and chosen time point, the time beside the other keys."""
    parts = []
    for time in chosen.times:
        part = images.assign(**{col.TIME: np.int64(time)})
        if (minutes := chosen.minutes_of(time)) is not None:
            part[col.TIME_MIN] = minutes
        parts.append(part)
    found = pd.concat(parts, ignore_index=True)
    return found[keys_first(list(found.columns))]


def refuse_nothing(images: Images, plates: Sequence[str], out: str) -> None:
    """Stop when no image is left; the problems are written first, so that none is lost.

    Raises
    ------
    InputError
        When there are no images; the message gives the reasons.
    """
    if len(images.frame):
        return
    parquet.write_problems(out, [problem.row() for problem in images.problems])
    reasons = "; ".join(sorted({problem.message for problem in images.problems}))
    msg = f"no image of {', '.join(plates)} can be normalized: {reasons or 'they hold no images'}"
    raise InputError(msg)


def _find_unusable(images: pd.DataFrame, channel: str) -> dict[int, col.Reason]:
    """Images that cannot be normalized, by the statistics that ingest measured."""
    columns = [f"Image_Intensity_{kind}Intensity_{channel}" for kind in ("Min", "Median", "Max")]
    if not set(columns) <= set(images.columns):
        return {}
    low, median, high = (images[name].to_numpy() for name in columns)
    found = {int(i): col.Reason.ZERO_MEDIAN for i in np.flatnonzero(median == 0)}
    found.update({int(i): col.Reason.CONSTANT for i in np.flatnonzero(low == high)})
    return found


def _describe(row: pd.Series[Any], reason: col.Reason, channel: str, stage: str) -> Problem:
    what = {
        col.Reason.ZERO_MEDIAN: "the median is 0, so it cannot be scaled to the median level",
        col.Reason.CONSTANT: "every pixel has the same value",
    }
    return Problem(
        stage=stage,
        file=str(row[col.FIELD_PATH]),
        reason=reason,
        message=f"channel {channel}: {what[reason]}; the image is left out",
        plate=str(row[col.PLATE]),
        well=str(row[col.WELL]),
        site=int(row[col.SITE]),
    )


@functools.lru_cache(maxsize=8)
def _open_plate(path: str, stamp: str) -> PlateReader:
    """Keep a plate open: its tables take six times as long to read as one image of it."""
    del stamp  # of the plate when it was opened; another one opens it anew
    return PlateReader(path)


def _stamp(path: str) -> str:
    described = as_path(path) / "zarr.json"
    return file_stamp(described) if described.exists() else ""


def normalize(job: ImageJob, image_px: int, median_level: float) -> NDArray[np.uint8]:
    """Read one image and bring it into the form that the network sees.

    Returns
    -------
    ndarray
        ``(image_px, image_px)`` uint8, median at ``median_level``, clipped at 255.

    Raises
    ------
    ImageReadError
        When it cannot be read or normalized.
    """
    reader = _open_plate(job.plate_path, _stamp(job.plate_path))
    plane = read_chosen(reader, job.field_path, job.channel, job.plane, job.time)
    scaled = intensity.rescale_to_median(plane, median_level=median_level)
    return resizing.resize_plane(scaled, (image_px, image_px)).astype(np.uint8, copy=False)


def normalize_each(
    jobs: Sequence[ImageJob], image_px: int, median_level: float, stage: str, *, strict: bool
) -> Iterator[NDArray[np.uint8] | Problem]:
    """Yield every image, or the problem that names why it cannot be used.

    Raises
    ------
    ImageReadError
        At the first such image, when ``strict``.
    """
    for job in jobs:
        try:
            yield normalize(job, image_px, median_level)
        except ImageReadError as error:
            if strict:
                raise
            problem = Problem.from_error(
                error,
                stage=stage,
                file=job.key,
                plate=job.plate,
                well=job.well,
                site=job.site,
            )
            yield problem
