"""Which planes of a field are there: what is recorded of them, and how they are named to users."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hcs.domain.plate import PlaneNumbers

_NAMED: Final = 8
"""Planes named one by one; the rest is counted."""


class PlaneState(IntEnum):
    """What is known of one time point and z of a channel.

    ``NOT_ACQUIRED``: the microscope was not told to take it. ``MISSING``: it was taken, and its
    file is absent or cannot be read. On disk both are zeros, which nobody may measure.
    """

    PRESENT = 0
    NOT_ACQUIRED = 1
    MISSING = 2


_KEYS: Final = {PlaneState.NOT_ACQUIRED: "not_acquired", PlaneState.MISSING: "missing"}


def describe_states(state: NDArray[np.uint8]) -> dict[str, list[list[int]]]:
    """Describe planes ``(t, c, z)`` that are not there, for a field's attributes.

    Returns
    -------
    dict
        ``not_acquired`` and ``missing``, lists of ``[t, c, z]``; empty when all are there.
    """
    found = {key: np.argwhere(state == value).tolist() for value, key in _KEYS.items()}
    return {key: places for key, places in found.items() if places}


def read_states(described: Mapping[str, Any], shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return the states ``(t, c, z)`` that :func:`describe_states` described."""
    state = np.full(shape, PlaneState.PRESENT, np.uint8)
    for value, key in _KEYS.items():
        for place in described.get(key, ()):
            state[tuple(place)] = value
    return state


def list_planes(places: Iterable[tuple[int, int]], numbers: PlaneNumbers) -> str:
    """Name planes ``(t, z)`` by the numbers that the source gives them, else by their index.

    An axis with one number is none, and is not named.

    Examples
    --------
    >>> list_planes([(0, 1), (0, 2)], PlaneNumbers(z=(1, 3, 5)))
    'z 3, 5'
    >>> list_planes([(0, 0), (1, 0)], PlaneNumbers(z=(1, 2), t=(0, 10)))
    'z 1 at time 0, 10'
    """
    of_time: dict[int, list[int]] = {}
    for t, z in sorted(places):
        of_time.setdefault(t, []).append(z)
    times_of: dict[tuple[int, ...], list[int]] = {}
    for t, planes in of_time.items():
        times_of.setdefault(tuple(planes), []).append(t)
    has_t, has_z = len(numbers.t) != 1, len(numbers.z) != 1
    if not has_z:
        return f"time {_join(list(of_time), numbers.t)}" if has_t else "the plane"
    texts = [
        f"z {_join(planes, numbers.z)}" + (f" at time {_join(times, numbers.t)}" if has_t else "")
        for planes, times in times_of.items()
    ]
    more = f"; and {len(texts) - _NAMED} more sets" if len(texts) > _NAMED else ""
    return "; ".join(texts[:_NAMED]) + more


def _join(indices: Sequence[int], numbers: Sequence[float]) -> str:
    named = [f"{numbers[i]:g}" if i < len(numbers) else str(i) for i in indices]
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return ", ".join(named[:_NAMED]) + more
