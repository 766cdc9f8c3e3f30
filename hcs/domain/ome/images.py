"""What the metadata of one OME-Zarr image say, whatever version they follow.

Read are 0.1 and 0.2 (axes are always t, c, z, y, x), 0.3 (axes are names), 0.4 and 0.5 (axes with
type and unit, scale a level) and 0.6 (axes in coordinate systems).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hcs.domain.ome.units import length_um, time_min
from hcs.errors import InputError

_OLD_AXES: Final = ("t", "c", "z", "y", "x")
_AXES_ARE_FIXED: Final = frozenset({"0.1", "0.2"})
_SAME_SIZE: Final = 1e-3
"""Relative difference up to which two pixel sizes are one."""


@dataclass(frozen=True, slots=True)
class ImageMetadata:
    """Metadata of one image.

    Attributes
    ----------
    version
        Version of OME-Zarr; empty where the image does not say.
    axes
        In array order: ``t``, ``c``, ``z``, ``y``, ``x``; any other axis by its own name.
    levels
        Paths of the arrays, largest first.
    labels, colors
        As the ``omero`` entry has them, which may name fewer channels than there are, or more.
    pixel_size_um, z_step_um, t_step_min
        None where unknown.
    notes
        What is unusual and how it was read.
    """

    version: str
    axes: tuple[str, ...]
    levels: tuple[str, ...]
    labels: tuple[str, ...]
    colors: tuple[str, ...]
    pixel_size_um: float | None
    z_step_um: float | None
    t_step_min: float | None
    notes: tuple[str, ...] = ()


def ome_of(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the OME metadata of a group: under ``ome`` from 0.5 on, the attributes before."""
    ome = attributes.get("ome", attributes)
    return dict(ome) if isinstance(ome, Mapping) else {}


def parse_image(attributes: Mapping[str, Any]) -> ImageMetadata:
    """Read the metadata of an image group.

    Raises
    ------
    InputError
        When it has no pixels that can be found or told apart.
    """
    ome = ome_of(attributes)
    entries = [item for item in _items(ome.get("multiscales")) if isinstance(item, Mapping)]
    if not entries:
        raise InputError("has no image metadata ('multiscales')")
    entry = entries[0]
    version = str(ome.get("version") or entry.get("version") or "")
    datasets = [item for item in _items(entry.get("datasets")) if isinstance(item, Mapping)]
    datasets = [item for item in datasets if item.get("path") not in (None, "")]
    if not datasets:
        raise InputError("its metadata name no array ('datasets')")
    described = find_axes(entry, version)
    axes = _name_axes(described)
    notes = [] if len(entries) == 1 else ["only the first of its multiscales is read"]
    ordered = _order_levels(entry, datasets, axes, version)
    if ordered != datasets:
        notes.append("its levels are listed out of order; the finest is read")
    datasets = ordered
    scale = _scale_of(entry, datasets[0], len(axes), version)
    steps = dict(zip(axes, scale, strict=True)) if scale is not None else {}
    units = dict(zip(axes, (_unit_of(item) for item in described), strict=True))
    labels, colors = _read_omero(ome)
    size, note = _pixel_size(steps, units)
    return ImageMetadata(
        version=version,
        axes=axes,
        levels=tuple(str(item["path"]) for item in datasets),
        labels=labels,
        colors=colors,
        pixel_size_um=size,
        z_step_um=_step(steps.get("z"), length_um(units.get("z"))),
        t_step_min=_step(steps.get("t"), time_min(units.get("t"))),
        notes=(*notes, *note),
    )


def name_channels(labels: Sequence[str], n_channels: int) -> tuple[tuple[str, ...], bool]:
    """Name the channels of an image: by label, by number where there is none.

    Parameters
    ----------
    labels
        As the image has them.
    n_channels
        Channels of its array.

    Returns
    -------
    tuple of str, bool
        Names that are all different, and whether some labels had to get their number appended.

    Examples
    --------
    >>> name_channels(["DAPI", "GFP", "DAPI"], 4)
    (('DAPI 0', 'GFP', 'DAPI 2', '3'), True)
    """
    given = [labels[index].strip() if index < len(labels) else "" for index in range(n_channels)]
    wanted = [label or str(index) for index, label in enumerate(given)]
    counts = Counter(wanted)
    taken = {name for name in wanted if counts[name] == 1}
    names = []
    for index, name in enumerate(wanted):
        unique = name
        if counts[name] > 1:
            unique = f"{name} {index}"
            while unique in taken:
                unique += "*"
            taken.add(unique)
        names.append(unique)
    return tuple(names), len(counts) < n_channels


def is_same_size(one: float | None, other: float | None) -> bool:
    """Whether two pixel sizes are one; unknown is only the same as unknown."""
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=_SAME_SIZE)


def _items(value: object) -> list[Any]:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []


def find_axes(entry: Mapping[str, Any], version: str) -> list[Any]:
    """Axes as they stand in the metadata: names, or names with type and unit."""
    if systems := _items(entry.get("coordinateSystems")):  # from 0.6 on; the first is the image's
        entry = systems[0] if isinstance(systems[0], Mapping) else {}
    axes = _items(entry.get("axes"))
    if axes:
        return axes
    if version in _AXES_ARE_FIXED or not version:
        return [{"name": name} for name in _OLD_AXES]
    raise InputError(f"its metadata name no axes, which OME-Zarr {version} needs")


def _name_axes(described: Sequence[Any]) -> tuple[str, ...]:
    """Names of axes by name and by type: those of space count from the last, x, y, z."""
    names = []
    for item in described:
        name = str(item.get("name", "") if isinstance(item, Mapping) else item).lower()
        kind = item.get("type") if isinstance(item, Mapping) else None
        letter = {"channel": "c", "time": "t"}.get(str(kind), name)
        names.append((letter, kind))
    free = [letter for letter in "xyz" if letter not in {name for name, _ in names}]
    for place in reversed(range(len(names))):
        name, kind = names[place]
        if kind == "space" and name not in {"x", "y", "z"} and free:
            names[place] = (free.pop(0), kind)
    axes = tuple(name for name, _ in names)
    if len(set(axes)) < len(axes) or not {"y", "x"} <= set(axes):
        raise InputError(f"its axes {list(axes)} are not those of an image: y and x, once each")
    return axes


def _unit_of(axis: object) -> object:
    return axis.get("unit") if isinstance(axis, Mapping) else None


def _scale_of(
    entry: Mapping[str, Any], dataset: Mapping[str, Any], n_axes: int, version: str
) -> list[float] | None:
    """Scale of the largest level along every axis; None where it is no plain scale."""
    steps = _items(dataset.get("coordinateTransformations"))
    if version in {"", "0.1", "0.2", "0.3", "0.4", "0.5"}:  # later ones lead to other systems
        steps += _items(entry.get("coordinateTransformations"))
    scale = [1.0] * n_axes
    found = False
    while steps:
        step = steps.pop(0)
        kind = str(step.get("type")) if isinstance(step, Mapping) else ""
        if kind == "sequence":
            steps = _items(step.get("transformations")) + steps
        elif kind == "scale":
            factors = _items(step.get("scale"))
            if len(factors) != n_axes or not all(map(_is_positive, factors)):
                return None
            scale = [old * float(new) for old, new in zip(scale, factors, strict=True)]
            found = True
        elif kind not in {"identity", "translation"}:
            return None
    return scale if found else None


def _order_levels(
    entry: Mapping[str, Any], datasets: list[Mapping[str, Any]], axes: Sequence[str], version: str
) -> list[Mapping[str, Any]]:
    """Put the finest level first, which the specification asks for; as listed without scales."""
    scales = [_scale_of(entry, item, len(axes), version) for item in datasets]
    if None in scales:
        return datasets
    x = axes.index("x")
    steps = [scale[x] for scale in scales if scale is not None]
    return [datasets[i] for i in sorted(range(len(datasets)), key=steps.__getitem__)]


def _is_positive(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and value > 0  # type: ignore[operator,arg-type]


def _read_omero(ome: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    omero = ome.get("omero")
    entries = _items(omero.get("channels")) if isinstance(omero, Mapping) else []
    labels, colors = [], []
    for item in entries:
        found = item if isinstance(item, Mapping) else {}
        label, color = found.get("label"), found.get("color")
        labels.append("" if label is None else str(label))
        colors.append(str(color) if _is_color(color) else "FFFFFF")
    return tuple(labels), tuple(colors)


def _is_color(text: object) -> bool:
    return isinstance(text, str) and len(text) == 6 and set(text.upper()) <= set("0123456789ABCDEF")


def _pixel_size(
    steps: Mapping[str, float], units: Mapping[str, object]
) -> tuple[float | None, tuple[str, ...]]:
    """Pixel size in µm, and why there is none although the metadata say something."""
    if not steps:
        return None, ()
    factors = [length_um(units.get(axis)) for axis in "yx"]
    if None in factors:
        named = sorted({str(units[axis]) for axis in "yx" if units.get(axis) is not None})
        note = f"the unit {', '.join(named)} is no length that is known" if named else ""
        return None, (f"{note}, so the pixel size is unknown",) if named else ()
    high, wide = (
        float(f"{steps[axis] * (factor or 0):.12g}")
        for axis, factor in zip("yx", factors, strict=True)
    )
    if not math.isclose(high, wide, rel_tol=_SAME_SIZE):
        return None, (
            f"pixels are {wide:g} µm wide and {high:g} µm high, so no pixel size is taken over",
        )
    return wide, ()


def _step(step: float | None, factor: float | None) -> float | None:
    return None if step is None or factor is None else float(f"{step * factor:.12g}")
