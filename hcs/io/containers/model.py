"""What every reader of containers tells of a file, and how planes of one are counted."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from hcs.domain.plate import Channel
from hcs.domain.wells import Well
from hcs.io.images.steps import NOTHING_STATED, Steps

Foreign = Any
"""An object of a package that may not be installed."""

Position = tuple[int, int, int]
"""Indices of channel, time and z within an image."""

_WELL_NAME: Final = re.compile(r"(?P<row>[A-P]|A[A-F])(?P<column>[1-9]|0[1-9]|[1-4][0-9])")
_OTHER_WORDS: Final = frozenset("FMPRST")
"""Rows whose letter also begins field, multipoint, position, region, scene and tile."""

_SAME: Final = 1e-3


@dataclass(frozen=True, slots=True)
class ContainerImage:
    """One field of a container: all planes that belong to one place of the stage.

    Attributes
    ----------
    name
        What the container calls it, with its folders: ``TileScan 1/A/1/R1``.
    well
        The well, where the container's metadata tell it.
    group
        Run within the container, where it holds several.
    channels
        All different.
    n_times, n_planes
        Planes are counted by channel, time and z.
    shape, dtype
        ``(Y, X)`` and the pixel type of every channel.
    color
        Samples of a pixel, where it is a color image, which cannot be read.
    pixels_um
        Edges of a pixel along x and y; empty where they are not stated.
    steps
        Distances between planes and times.
    place_um
        Where the stage stood.
    absent
        Planes that the container's dimensions promise and that it does not hold.
    flaw
        Why it cannot be read as a field; None where it can.
    """

    name: str
    well: Well | None
    channels: tuple[Channel, ...]
    shape: tuple[int, int]
    dtype: tuple[str, ...]
    n_times: int = 1
    n_planes: int = 1
    group: str = ""
    color: int = 1
    pixels_um: tuple[float, ...] = ()
    steps: Steps = NOTHING_STATED
    place_um: tuple[float, float] | None = None
    absent: frozenset[Position] = frozenset()
    flaw: str | None = None

    @property
    def n_pages(self) -> int:
        """Number of planes, those that are absent as well."""
        return len(self.channels) * self.n_times * self.n_planes

    @property
    def pixel_size_um(self) -> float | None:
        """Edge of a pixel; None where it is not stated, or x and y differ."""
        if not self.pixels_um:
            return None
        low, high = min(self.pixels_um), max(self.pixels_um)
        return self.pixels_um[0] if high - low <= _SAME * high else None

    def page_of(self, position: Position) -> int:
        """Count the planes of the image before this one."""
        channel, time, z = position
        return (channel * self.n_times + time) * self.n_planes + z

    def position_of(self, page: int) -> Position:
        """Find channel, time and z of a plane by its number."""
        rest, z = divmod(page, self.n_planes)
        channel, time = divmod(rest, self.n_times)
        return channel, time, z


class Container(Protocol):
    """An open file; used by one thread at a time."""

    @property
    def images(self) -> tuple[ContainerImage, ...]:
        """All images, in the container's order."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the user."""

    def read(self, image: int, position: Position) -> npt.NDArray[Any]:
        """Pixels ``(Y, X)`` of one plane; raises ``ImageReadError``, or what the reader raises."""

    def close(self) -> None:
        """Close the file."""


def first_pages(images: Iterable[ContainerImage]) -> list[int]:
    """Return the page of the file at which each image begins, and the number of all pages."""
    return [0, *np.cumsum([image.n_pages for image in images], dtype=int).tolist()]


def parse_wells(names: Iterable[str]) -> dict[str, Well] | None:
    """Read names of positions as wells, where nothing speaks against it.

    Parameters
    ----------
    names
        Names of the positions of one container.

    Returns
    -------
    dict or None
        The wells of those names that are wells. None where all of them may as well number
        something else: ``P1``, ``P2`` are positions to some, and wells of row P to others.

    Examples
    --------
    >>> parse_wells(["A1", "overview"])
    {'A1': Well(row=0, column=0)}
    >>> parse_wells(["P1", "P2", "F1"]) is None
    True
    """
    found = {name: match for name in names if (match := _WELL_NAME.fullmatch(name))}
    columns: defaultdict[str, set[str]] = defaultdict(set)
    for match in found.values():
        columns[match["row"]].add(match["column"])
    counted = all(own == {str(n + 1) for n in range(len(own))} for own in columns.values())
    if found and columns.keys() <= _OTHER_WORDS and counted:
        return None
    return {name: Well.parse(name) for name in found}


def name_channels(
    stated: Iterable[tuple[str | None, float | None, float | None]],
) -> tuple[Channel, ...]:
    """Make channels of names and wavelengths (excitation, emission) in nm.

    One without a name gets its number, one whose name stands before it gets its number behind it.
    """
    channels: list[Channel] = []
    for index, (text, excitation_nm, emission_nm) in enumerate(stated):
        name = (text or "").strip() or str(index)
        if any(name == other.name for other in channels):
            name = f"{name} {index}"
        channels.append(
            Channel(name=name, excitation_nm=excitation_nm or None, emission_nm=emission_nm or None)
        )
    return tuple(channels)
