"""Reads Nikon ND2 through nd2: an XY position is a field, its name may be its well.

Quoted from the converters of nd2 and of the Fractal platform: positions are named like their wells
(``B04``), and files of one well each begin with it (``WellB04_…``).
"""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hcs.domain.columns import Reason
from hcs.domain.plate import Channel
from hcs.domain.wells import Well
from hcs.errors import ImageReadError
from hcs.io.containers.model import ContainerImage, Foreign, Position, name_channels, parse_wells
from hcs.io.images.steps import Steps

_KNOWN_AXES: Final = frozenset("TPZCYXS")
_FILE_OF_WELL: Final = re.compile(r"(?:.*[^A-Za-z])?Well(?P<well>[A-P][0-9]{2})(?![0-9]).*")
_SECONDS_PER_MS: Final = 1e-3


class UnmappedFile(io.RawIOBase):
    """A file that cannot be mapped into memory.

    nd2 maps what it can, and every page that was ever read counts as memory of the worker, which
    Dask would end on a container of 20 GB.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115, PTH123  (close() closes it)

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401
        """Read into a buffer."""
        return self._file.readinto(buffer) or 0

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Say where the next byte is read."""
        return self._file.tell()

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be read from any place on."""
        return True

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


class Nd2Container:
    """An ND2 file that is open."""

    def __init__(self, file: Foreign, name: str) -> None:
        self._file = file
        self.notes: tuple[str, ...] = ()
        if file.attributes.compressionType == "lossy":
            self.notes = ("compressed with losses, which has changed intensities",)
        sizes: Mapping[str, int] = file.sizes
        loops = {loop.type: loop for loop in file.experiment}
        points = getattr(loops.get("XYPosLoop"), "parameters", None)
        self._points = list(points.points) if points is not None else []
        self._frames = _number_frames(file)
        self._last: tuple[int, npt.NDArray[Any]] | None = None
        shared = _describe(file, sizes, loops)
        flaw = _find_flaw(sizes)
        names = [point.name for point in self._points if point.name]
        wells = parse_wells(dict.fromkeys(names))
        own = _read_file_name(name)
        self.images: tuple[ContainerImage, ...] = tuple(
            ContainerImage(
                name=self._name(index),
                well=_choose_well(self._name_of(index), wells, own),
                place_um=self._place(index),
                absent=self._list_absent(index, shared),
                flaw=flaw or _compare(self._name_of(index), wells, own, name),
                **shared,
            )
            for index in range(sizes.get("P", 1))
        )

    def _name_of(self, index: int) -> str | None:
        return self._points[index].name if index < len(self._points) else None

    def _name(self, index: int) -> str:
        return self._name_of(index) or f"position {index + 1}"

    def _place(self, index: int) -> tuple[float, float] | None:
        if index >= len(self._points):
            return None
        stage = self._points[index].stagePositionUm
        return float(stage.x), float(stage.y)

    def _list_absent(self, index: int, shared: Mapping[str, Any]) -> frozenset[Position]:
        """List planes of a run that was stopped before its end."""
        places = itertools.product(range(shared["n_times"]), range(shared["n_planes"]))
        return frozenset(
            (channel, time, z)
            for time, z in places
            if (index, time, z) not in self._frames
            for channel in range(len(shared["channels"]))
        )

    def read(self, image: int, position: Position) -> npt.NDArray[Any]:
        """Read one plane; all channels of a place lie in one frame of the file."""
        channel, time, z = position
        number = self._frames[image, time, z]
        if self._last is None or self._last[0] != number:
            self._last = (number, self._file.read_frame(number))
        frame = self._last[1]
        count = len(self.images[image].channels)
        frame = frame.reshape(count, *self.images[image].shape)
        if not frame.any():  # nd2 gives zeros for a frame that is not there
            msg = f"{self.images[image].name}: frame {number} is not in the file, or holds only 0"
            raise ImageReadError(msg, Reason.TRUNCATED)
        return np.array(frame[channel])

    def close(self) -> None:
        """Close the file."""
        self._last = None
        self._file.close()


def _number_frames(file: Foreign) -> dict[Position, int]:
    """Find the number of the frame of every position, time and z that was taken."""
    taken = int(file.attributes.sequenceCount)
    return {
        (index.get("P", 0), index.get("T", 0), index.get("Z", 0)): number
        for number, index in enumerate(file.loop_indices or ({},))
        if number < taken
    }


def _read_file_name(name: str) -> Well | None:
    match = _FILE_OF_WELL.fullmatch(name)
    return Well.parse(match["well"]) if match else None


def _choose_well(
    name: str | None, wells: Mapping[str, Well] | None, own: Well | None
) -> Well | None:
    """Well by the position's name, or of the whole file where no position is named like one."""
    return wells.get(name or "") if wells else own


def _compare(
    name: str | None, wells: Mapping[str, Well] | None, own: Well | None, file: str
) -> str | None:
    """Say where a file's name and that of a position name two wells."""
    well = (wells or {}).get(name or "")
    if well is None or own is None or well == own:
        return None
    return f"{file} is called after well {own.name}, and this position after {well.name}"


def _find_flaw(sizes: Mapping[str, int]) -> str | None:
    others = sorted(axis for axis in sizes if axis not in _KNOWN_AXES and sizes[axis] > 1)
    return f"it has an axis {', '.join(others)}, which a plate has not" if others else None


def _describe(file: Foreign, sizes: Mapping[str, int], loops: Mapping[str, Any]) -> dict[str, Any]:
    """Say what all positions of a file share."""
    stated = getattr(file.metadata, "channels", None) or []
    channels = _read_channels(stated, sizes.get("C", 1))
    return {
        "channels": channels,
        "shape": (int(sizes["Y"]), int(sizes["X"])),
        "dtype": (str(np.dtype(file.dtype)),) * len(channels),
        "n_times": sizes.get("T", 1),
        "n_planes": sizes.get("Z", 1),
        "color": sizes.get("S", 1),
        "pixels_um": _read_pixels_um(stated),
        "steps": Steps(z_um=_read_z_um(loops), t_s=_read_t_s(loops)),
    }


def _read_channels(stated: Foreign, count: int) -> tuple[Channel, ...]:
    found = [
        (each.channel.name, each.channel.excitationLambdaNm, each.channel.emissionLambdaNm)
        for each in stated[:count]
    ]
    return name_channels([*found, *[(None, None, None)] * (count - len(found))])


def _read_pixels_um(stated: Foreign) -> tuple[float, ...]:
    """Edges of a pixel, where Nikon says that they were calibrated."""
    if not stated:
        return ()
    volume = stated[0].volume
    if not all(volume.axesCalibrated[:2]):
        return ()
    edges = tuple(float(edge) for edge in volume.axesCalibration[:2])
    return edges if all(edge > 0 for edge in edges) else ()


def _read_z_um(loops: Mapping[str, Any]) -> float | None:
    loop = loops.get("ZStackLoop")
    return float(loop.parameters.stepUm) or None if loop is not None else None


def _read_t_s(loops: Mapping[str, Any]) -> float | None:
    """Time between time points; None where there was none, or several."""
    periods = set()
    if (loop := loops.get("TimeLoop")) is not None:
        periods = {float(loop.parameters.periodMs)}
    if (loop := loops.get("NETimeLoop")) is not None:
        periods |= {float(period.periodMs) for period in loop.parameters.periods}
    return periods.pop() * _SECONDS_PER_MS or None if len(periods) == 1 else None
