"""One field at one time: its planes read, evened out, and measured by the assay of the plan."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.domain import columns as col
from hcs.domain.config.stages import Neurons
from hcs.io.plates.reader import PlateReader
from hcs.ops import morphology
from hcs.ops.cells.measure import Channel, FieldCells, measure_cells, measure_channels
from hcs.ops.given import Given
from hcs.planes.given import Located, find_z
from hcs.planes.reading import read_with_index
from hcs.stages.work.measuring.plans import PlatePlan

Measured = morphology.FieldMorphology | FieldCells


class _Planes:
    """Planes of a field at one time, each read once; which z was in focus is kept."""

    def __init__(self, reader: PlateReader, field_path: str, time: int, plan: PlatePlan) -> None:
        self._place = reader, field_path, time, plan
        self.in_focus: dict[str, int] = {}
        self.z_of: dict[int, int | None] = {}
        self.read = functools.cache(self._read)

    def _read(self, channel: int) -> NDArray[Any]:
        reader, field_path, time, plan = self._place
        plane, index = read_with_index(reader, field_path, channel, plan.chosen.plane, time)
        self.z_of[channel] = index
        if index is not None:
            self.in_focus[f"{col.FOCUS_PLANE}{reader.channels[channel]}"] = index
        return plane

    def even(self, channel: int | None) -> NDArray[Any] | None:
        """Return a plane over its illumination; None for no channel."""
        if channel is None:
            return None
        plane = self.read(channel)
        flat = self._place[3].flat(channel, plane.shape)
        return plane if flat is None else plane / flat


def measure_plane(
    reader: PlateReader,
    plan: PlatePlan,
    located: Mapping[str, Located],
    field_path: str,
    time: int,
) -> tuple[Measured, dict[str, int]]:
    """Measure one field at one time; also say which z-planes were in focus.

    Raises
    ------
    ImageReadError
        When a plane or a label image cannot be read, or cannot be measured.
    """
    planes, channels = _Planes(reader, field_path, time, plan), plan.channels
    picture = planes.read(channels.main)
    z_index = find_z(plan.chosen.plane, planes.z_of[channels.main])
    given = Given(
        **{
            kind: item.read(reader, field_path, picture.shape, z_index=z_index, t_index=time)
            for kind, item in located.items()
        }
    )
    nuclei = None if given.nuclei is not None else planes.even(channels.nuclei)
    markers = {name: _some(planes.even(index)) for name, index in channels.markers.items()}
    measured = {
        name: Channel(
            _some(planes.even(index)), _full_scale(planes.read(index)), channels.with_texture
        )
        for name, index in channels.measured.items()
    }
    size = reader.pixel_size_um
    if not isinstance(plan.settings.assay, Neurons):
        cells = measure_cells(
            planes.even(channels.body),
            nuclei,
            pixel_size_um=size,
            settings=plan.settings,
            channels=measured,
            markers=markers,
            given=given,
        )
        return cells, planes.in_focus
    found = morphology.measure_field(
        picture,
        pixel_size_um=size,
        settings=plan.settings,
        nuclei=nuclei,
        markers=markers,
        flat=plan.flat(channels.main, picture.shape),
        given=given,
    )
    return measure_channels(found, measured), planes.in_focus


def _some(plane: NDArray[Any] | None) -> NDArray[Any]:
    assert plane is not None
    return plane


def _full_scale(plane: NDArray[Any]) -> float:
    """Greatest value of a plane's type; 1 for floats, as CellProfiler takes them.

    NaN for floats that are larger: nothing says what their greatest value is.
    """
    if plane.dtype.kind in "ui":
        return float(np.iinfo(plane.dtype).max)
    return 1.0 if float(np.nanmax(plane, initial=0.0)) <= 1 else np.nan
