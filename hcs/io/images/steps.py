"""How far planes and time points lie apart, as metadata of images state it; never invented."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from xml.etree import ElementTree as ET

from hcs.domain.ngff import even_step
from hcs.domain.plate import PlaneNumbers

UM_PER_UNIT: Final = {
    "": 1.0,
    "µm": 1.0,
    "μm": 1.0,
    "um": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    r"\u00b5m": 1.0,
    "nm": 1e-3,
    "mm": 1e3,
    "cm": 1e4,
    "m": 1e6,
}
_S_PER_UNIT: Final = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("µs", "μs", "us"), 1e-6),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86_400.0),
}
_SAME: Final = 1e-3
"""Relative difference of two statements that say the same."""

_DIGITS: Final = 9


@dataclass(frozen=True, slots=True)
class Steps:
    """What metadata state of the third axis and of time; None and empty where they are silent.

    Attributes
    ----------
    z_um, t_s
        Between neighboring planes in µm, and between time points in seconds.
    heights_um, times_s
        Of every plane and time point, from the first.
    """

    z_um: float | None = None
    t_s: float | None = None
    heights_um: tuple[float, ...] = ()
    times_s: tuple[float, ...] = ()


NOTHING_STATED: Final = Steps()


@dataclass(slots=True)
class Places:
    """Collects where and when single planes were taken, as a vendor's index lists them."""

    _heights: dict[Hashable, dict[int, float]] = field(default_factory=dict)
    _times: dict[Hashable, dict[int, float]] = field(default_factory=dict)

    def note(
        self, stack: Hashable, z: int, t: int, *, z_um: float | None, t_s: float | None
    ) -> None:
        """Note one plane.

        Parameters
        ----------
        stack
            Field and channel that it belongs to.
        z, t
            Its numbers.
        z_um, t_s
            Height in µm and time in seconds from anywhere; None where they are not stated.
        """
        if z_um is not None:
            self._heights.setdefault((stack, t), {})[z] = z_um
        if t_s is not None:
            self._times.setdefault((stack, z), {})[t] = t_s

    def steps(self) -> Steps:
        """Return that in which the fields of the plate agree."""
        heights = [_in_order(places) for places in self._heights.values()]
        times = [_in_order(places) for places in self._times.values()]
        return agree(
            [Steps(heights_um=each) for each in heights] + [Steps(times_s=each) for each in times]
        )


def _in_order(places: Mapping[int, float]) -> tuple[float, ...]:
    values = [places[number] for number in sorted(places)]
    return _from_first(values) if len(values) > 1 else ()


def read_ome(pixels: ET.Element) -> Steps:
    """Read the ``Pixels`` element of OME-XML.

    Places of single planes win over the step of the whole: a step is what was asked for, and a
    place what was reached.
    """
    z_um = _measure(pixels, "PhysicalSizeZ", UM_PER_UNIT, "µm")
    t_s = _measure(pixels, "TimeIncrement", _S_PER_UNIT, "s")
    heights = _list_places(pixels, "Z", "PositionZ", UM_PER_UNIT, "?")
    times = _list_places(pixels, "T", "DeltaT", _S_PER_UNIT, "s")
    return Steps(z_um, t_s, heights, times)


def _measure(
    element: ET.Element, name: str, factors: Mapping[str, float], default: str
) -> float | None:
    value = _read_number(element, name, factors, default)
    return value if value is not None and value > 0 else None


def _read_number(
    element: ET.Element, name: str, factors: Mapping[str, float], default: str
) -> float | None:
    """Read an attribute in the unit that stands beside it; None when it is no finite number."""
    factor = factors.get(element.get(f"{name}Unit") or default)
    try:
        value = float(element.get(name) or "")
    except ValueError:
        return None
    return None if factor is None or not math.isfinite(value) else value * factor


def _list_places(
    pixels: ET.Element, axis: str, name: str, factors: Mapping[str, float], default: str
) -> tuple[float, ...]:
    """Places along an axis at the first index of the others, from the first; empty unless whole."""
    others = [f"The{other}" for other in "CZT" if other != axis]
    found = {
        int(plane.get(f"The{axis}") or 0): value
        for plane in pixels.findall("{*}Plane")
        if all((plane.get(other) or "0") == "0" for other in others)
        and (value := _read_number(plane, name, factors, default)) is not None
    }
    count = int(pixels.get(f"Size{axis}") or 1)
    if count < 2 or sorted(found) != list(range(count)):
        return ()
    return _from_first([found[index] for index in range(count)])


def _from_first(values: Sequence[float]) -> tuple[float, ...]:
    """Places from the first on, growing; empty when they do not all go one way."""
    sign = 1 if values[-1] > values[0] else -1
    places = [sign * (value - values[0]) for value in values]
    grows = all(later > earlier for earlier, later in itertools.pairwise(places))
    return tuple(round(place, _DIGITS) for place in places) if grows else ()


def read_imagej(metadata: Mapping[str, Any]) -> Steps:
    """Read ImageJ's description: ``spacing`` in its unit, ``finterval`` in its unit of time.

    Its frames a second are a speed of playing, and say nothing of the acquisition.
    """
    unit = str(metadata.get("unit") or "?").casefold()
    spacing = _positive(metadata.get("spacing"), UM_PER_UNIT.get(unit))
    unit = str(metadata.get("tunit") or "sec").casefold()
    return Steps(spacing, _positive(metadata.get("finterval"), _S_PER_UNIT.get(unit)))


def _positive(value: object, factor: float | None) -> float | None:
    known = isinstance(value, (int, float)) and math.isfinite(value) and value > 0
    return float(value) * factor if known and factor is not None else None  # type: ignore[arg-type]


def agree(found: Iterable[Steps]) -> Steps:
    """Say of a plate what its images say alike; that in which they differ is not known."""
    images = list(found)

    def common(values: Iterable[float | None]) -> float | None:
        stated = [value for value in values if value is not None]
        if not stated or max(stated) - min(stated) > _SAME * max(stated):
            return None
        return round(stated[0], _DIGITS)

    def middle(of: Callable[[Steps], tuple[float, ...]]) -> tuple[float, ...]:
        stated = [of(image) for image in images if of(image)]
        longest = max(map(len, stated), default=0)  # a channel may have fewer planes
        stated = [places for places in stated if len(places) == longest]
        if not stated:
            return ()
        places = [statistics.median(column) for column in zip(*stated, strict=True)]
        nearest = min(b - a for a, b in itertools.pairwise(places))
        spread = max(abs(a - b) for own in stated for a, b in zip(own, places, strict=True))
        # Images are taken one after the other: their clocks differ by less than a step.
        return tuple(places) if spread < nearest / 2 else ()

    return Steps(
        common(image.z_um for image in images),
        common(image.t_s for image in images),
        middle(lambda image: image.heights_um),
        middle(lambda image: image.times_s),
    )


def place_planes(numbers: PlaneNumbers, steps: Steps, n_planes: int, n_times: int) -> PlaneNumbers:
    """Give planes and times their places in µm and minutes, where they are stated.

    Parameters
    ----------
    numbers
        What names say of them. Places that stand there stay.
    steps
        What metadata say.
    n_planes, n_times
        Of the plate.
    """
    z_um = numbers.z_um or _place(numbers.z, n_planes, steps.heights_um, steps.z_um)
    t_s = _place(numbers.t, n_times, steps.times_s, steps.t_s)
    t_min = numbers.t_min or tuple(round(value / 60, _DIGITS) for value in t_s)
    return numbers.model_copy(update={"z_um": z_um, "t_min": t_min})


def _place(
    numbers: Sequence[float], count: int, places: tuple[float, ...], step: float | None
) -> tuple[float, ...]:
    if count < 2:
        return ()
    if len(places) == count:
        even = even_step(places)
        # A clock that jitters about what was asked for says the same.
        if step is None or even is None or abs(even - step) > step / 10:
            return places
    if step is None:
        return ()
    at = numbers if len(numbers) == count else tuple(range(count))
    return tuple(round(step * (number - at[0]), _DIGITS) for number in at)
