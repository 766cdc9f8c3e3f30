"""Planes of a plate as they were chosen: what was said against what there is, and their pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hcs.domain import columns as col
from hcs.domain.config import planes as cfg
from hcs.errors import ChoiceError, ImageReadError
from hcs.io.plates.reader import PlateReader
from hcs.ops.projection import project

_SHOWN: Final = 12
_SAME: Final = 1e-3
"""µm or minutes between two values that are one."""

Said = cfg.PlaneChoice | None
SaidTime = cfg.TimeChoice | None


@dataclass(frozen=True, slots=True)
class Chosen:
    """What of a plate is looked at.

    Attributes
    ----------
    plane
        Choice within a z-stack; None where there is one plane only. A height has become an index.
    times
        Time points, ascending.
    is_timed
        Whether the plate has several time points, so that a row must say which it is of.
    minutes
        Minutes of each of ``times``, where the plate states them.
    """

    plane: Said = None
    times: tuple[int, ...] = (0,)
    is_timed: bool = False
    minutes: tuple[float, ...] | None = None

    def minutes_of(self, time: int) -> float | None:
        """Minutes of one of the time points, where the plate states them."""
        return None if self.minutes is None else self.minutes[self.times.index(time)]


def choose(
    readers: Sequence[PlateReader], plane: Said, time: SaidTime, *, every: bool = False
) -> dict[str, Chosen]:
    """Hold what was said against what plates have, by their name.

    Parameters
    ----------
    readers
        The plates.
    plane, time
        What was said; None is nothing.
    every
        Whether all time points may be chosen, which the message then offers.

    Raises
    ------
    ChoiceError
        When a plate has several planes or time points and nothing was said, or has not the one that
        was; the message says what there is. All plates at once.
    """
    plates: dict[str, list[str]] = {}
    for reader in readers:
        doubts = (_doubt_plane(reader, plane), _doubt_time(reader, time, every=every))
        for doubt in filter(None, doubts):
            plates.setdefault(doubt, []).append(reader.name)
    if plates:
        raise ChoiceError("; ".join(_say(names, doubt) for doubt, names in plates.items()))
    return {reader.name: _resolve(reader, plane, time) for reader in readers}


def choose_in(reader: PlateReader, plane: Said, time: SaidTime, *, every: bool = False) -> Chosen:
    """Hold what was said against what one plate has.

    Parameters and errors as of :func:`choose`.
    """
    return choose([reader], plane, time, every=every)[reader.name]


def _say(names: Sequence[str], doubt: str) -> str:
    """Say once what is doubted of several plates."""
    if len(names) == 1:
        return f"plate {names[0]} has {doubt}"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"plates {', '.join(names[:_SHOWN])}{more} have {doubt}"


def _resolve(reader: PlateReader, plane: Said, time: SaidTime) -> Chosen:
    times = _resolve_times(reader, time)
    stated = reader.times_min
    return Chosen(
        plane=_resolve_plane(reader, plane),
        times=times,
        is_timed=reader.n_t > 1,
        minutes=None if stated is None else tuple(float(stated[index]) for index in times),
    )


def _list_values(count: int, values: Sequence[float] | None, unit: str) -> str:
    """Say which there are: their values where the plate states them, else their numbers."""
    last = count - 1
    if values is None:
        return f"0 to {last}"
    words = [f"{value:g}" for value in values]
    if count > _SHOWN:
        words = [*words[: _SHOWN - 2], "…", words[-1]]
    return f"0 to {last}: {', '.join(words)} {unit}"


def _describe_planes(reader: PlateReader) -> str:
    if reader.n_z == 1:
        return "one z-plane"
    values = _list_values(reader.n_z, reader.z_positions_um, "µm")
    return f"{reader.n_z} z-planes ({values})"


def _describe_times(reader: PlateReader) -> str:
    if reader.n_t == 1:
        return "one time point"
    values = _list_values(reader.n_t, reader.times_min, "min")
    return f"{reader.n_t} time points ({values})"


def _doubt_plane(reader: PlateReader, said: Said) -> str | None:
    if said is None and reader.n_z > 1:
        how = f"choose one with --plane (plane: in a study file), {cfg.PLANE_WORDS}"
        return f"{_describe_planes(reader)}: {how}"
    absent = isinstance(said, cfg.PlaneIndex) and said.index >= reader.n_z
    if isinstance(said, cfg.PlaneHeight):
        if reader.z_positions_um is None:
            return f"{_describe_planes(reader)} of unknown height: {said} cannot be found"
        absent = _find(reader.z_positions_um, said.height_um) is None
    return f"{_describe_planes(reader)}: there is no {said}" if absent else None


def _doubt_time(reader: PlateReader, said: SaidTime, *, every: bool) -> str | None:
    if said is None and reader.n_t > 1:
        words = f"all, {cfg.TIME_WORDS}" if every else cfg.TIME_WORDS
        return f"{_describe_times(reader)}: choose with --time (time: in a study file), {words}"
    absent = isinstance(said, cfg.TimeIndex) and said.index >= reader.n_t
    if isinstance(said, cfg.TimeMinutes):
        if reader.times_min is None:
            return f"{_describe_times(reader)} at unknown minutes: {said} cannot be found"
        absent = _find(reader.times_min, said.minutes) is None
    return f"{_describe_times(reader)}: there is no time {said}" if absent else None


def _find(values: Sequence[float] | None, value: float) -> int | None:
    """Index of a value, or None."""
    if values is None:
        return None
    near = np.flatnonzero(np.isclose(values, value, rtol=0, atol=_SAME))
    return int(near[0]) if near.size else None


def _resolve_plane(reader: PlateReader, said: Said) -> Said:
    if isinstance(said, cfg.PlaneHeight):
        index = _find(reader.z_positions_um, said.height_um)
        return None if index is None else cfg.PlaneIndex(index=index)
    return said


def _resolve_times(reader: PlateReader, said: SaidTime) -> tuple[int, ...]:
    n_times = reader.n_t
    if isinstance(said, cfg.AllTimes):
        return tuple(range(n_times))
    if isinstance(said, cfg.LastTime):
        return (n_times - 1,)
    if isinstance(said, cfg.TimeIndex):
        return (said.index,)
    if isinstance(said, cfg.TimeMinutes):
        index = _find(reader.times_min, said.minutes)
        return () if index is None else (index,)
    return (0,)


def read_chosen(
    reader: PlateReader,
    field_path: str,
    channel: int,
    choice: Said = None,
    t_index: int = 0,
    *,
    level: int = 0,
) -> NDArray[Any]:
    """Read one channel of a field at one time point, ``(Y, X)``, the plane as it was chosen.

    Parameters
    ----------
    reader, field_path, channel
        Where.
    choice
        Projections are over the planes of that channel that were acquired, none of which may be
        lost; None is the only plane.
    t_index
        Time point.
    level
        Of the pyramid.

    Raises
    ------
    ImageReadError
        When the pixels cannot be read, or nothing of it was acquired.
    """
    return read_with_index(reader, field_path, channel, choice, t_index, level=level)[0]


def read_with_index(
    reader: PlateReader,
    field_path: str,
    channel: int,
    choice: Said = None,
    t_index: int = 0,
    *,
    level: int = 0,
) -> tuple[NDArray[Any], int | None]:
    """As :func:`read_chosen`; also the index of the plane that was found in focus, else None."""
    if choice is None or isinstance(choice, cfg.PlaneIndex):
        index = 0 if choice is None else choice.index
        plane = reader.read_plane(field_path, channel, level, z_index=index, t_index=t_index)
        return plane, None
    if isinstance(choice, cfg.PlaneHeight):
        msg = f"{choice} is to be resolved first"
        raise TypeError(msg)
    for lost in np.flatnonzero(reader.missing(field_path, channel)[t_index])[:1].tolist():
        # The projection of what is left would be another image's: reading the lost plane says so.
        reader.read_plane(field_path, channel, level, z_index=lost, t_index=t_index)
    acquired = np.flatnonzero(reader.acquired(field_path, channel)[t_index])
    if not acquired.size:
        name = reader.channels[channel]
        msg = f"{reader.path}/{field_path}: channel {name} was not acquired at time {t_index}"
        raise ImageReadError(msg, col.Reason.NOT_ACQUIRED)

    def planes(at: int) -> Iterator[NDArray[Any]]:
        for index in acquired.tolist():
            yield reader.read_plane(field_path, channel, at, z_index=index, t_index=t_index)

    if choice.kind == "focus" and level > 0:
        # What is sharp is decided on the pixels as acquired.
        _, place = project(planes(0), "focus")
        index = int(acquired[place or 0])
        found = reader.read_plane(field_path, channel, level, z_index=index, t_index=t_index)
        return found, index
    found, place = project(planes(level), choice.kind)
    return found, None if place is None else int(acquired[place])
