"""Which planes of a plate's fields are there, and which are only padding, as ingest noted them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from hcs.domain import columns as col
from hcs.domain.planes import PlaneState, list_planes, read_states
from hcs.domain.plate import PlaneNumbers
from hcs.errors import ImageReadError
from hcs.io.plates.plate import NOTES, PLANES


@dataclass(frozen=True)
class Padding:
    """Notes on the planes of a plate; fields are opened only where the plate has padding.

    Attributes
    ----------
    root
        Group of the plate.
    shape
        Numbers of time points, channels and z planes of a field.
    """

    root: zarr.Group
    shape: tuple[int, int, int]
    _states: dict[str, NDArray[np.uint8]] = field(default_factory=dict, repr=False)

    @cached_property
    def note(self) -> Mapping[str, Any]:
        """What ingest notes of the plate's planes; empty where another program wrote it."""
        notes: Any = self.root.attrs.get(NOTES, {})
        return dict(notes.get(PLANES, {}))

    def binning(self, channel: int) -> int:
        """How many pixels of the plate, along y and x, repeat one of the channel's own."""
        channels = self.note.get("channels", ())
        return int(channels[channel]["binning"]) if channel < len(channels) else 1

    def places(self, axis: str, step: float | None) -> tuple[float, ...] | None:
        """Heights in µm (axis ``z``) or times in minutes (``t``), None where they are not known.

        They are those that ingest noted, else by the ``step`` that the metadata of an image state.
        """
        count = self.shape[0 if axis == "t" else 2]
        noted = self.note.get({"z": "z_um", "t": "t_min"}[axis], ())
        if len(noted) == count:
            return tuple(float(value) for value in noted)
        return None if step is None else tuple(step * index for index in range(count))

    def states(self, field_path: str) -> NDArray[np.uint8] | None:
        """State of every plane ``(t, c, z)`` of a field; None when all of them are there."""
        if field_path not in self._states:
            if not self.note.get("padded"):
                return None
            notes: Any = self.root[field_path].attrs.get(NOTES, {})
            self._states[field_path] = read_states(notes.get(PLANES, {}), self.shape)
        return self._states[field_path]

    def acquired(self, field_path: str, channel: int) -> NDArray[np.bool_]:
        """Whether each plane ``(t, z)`` of a channel is there."""
        states = self.states(field_path)
        if states is None:
            return np.ones(self.shape[::2], dtype=bool)
        there: NDArray[np.bool_] = states[:, channel] == PlaneState.PRESENT
        return there

    def missing(self, field_path: str, channel: int) -> NDArray[np.bool_]:
        """Whether each plane ``(t, z)`` of a channel was taken and is lost."""
        states = self.states(field_path)
        if states is None:
            return np.zeros(self.shape[::2], dtype=bool)
        lost: NDArray[np.bool_] = states[:, channel] == PlaneState.MISSING
        return lost

    def refuse(self, place: str, field_path: str, at: Sequence[int], channel_name: str) -> None:
        """Refuse the plane at ``(t, c, z)`` when it is only padding.

        Raises
        ------
        ImageReadError
            With the reason ``not-acquired`` or ``missing-file``.
        """
        states = self.states(field_path)
        state = PlaneState.PRESENT if states is None else states[tuple(at)]
        if state == PlaneState.PRESENT:
            return
        numbers = PlaneNumbers(**{axis: tuple(self.note.get(axis, ())) for axis in "zt"})
        what = f"{list_planes([(at[0], at[2])], numbers)} of channel {channel_name}"
        if state == PlaneState.NOT_ACQUIRED:
            raise ImageReadError(f"{place}: {what} was not acquired", col.Reason.NOT_ACQUIRED)
        msg = f"{place}: {what} was missing in the source when the plate was made"
        raise ImageReadError(msg, col.Reason.MISSING_FILE)
