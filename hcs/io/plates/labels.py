"""Label images of one field: one for all time points, encoded as they come."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import zarr
from numpy.typing import NDArray
from upath import UPath

from hcs.domain import ngff
from hcs.errors import InputError
from hcs.io.files.atomic import remove, replace_folder
from hcs.io.files.paths import AnyPath, as_path, as_text
from hcs.io.plates import plate, shards
from hcs.io.plates.codecs import open_array
from hcs.io.plates.pixels import read_pixels
from hcs.io.plates.plate import MADE_BY, NOTES

_TIMES: Final = "times"


@dataclass
class _Series:
    """One label over time: its levels, and the encoded planes so far."""

    levels: tuple[ngff.Level, ...]
    dtype: str
    times: list[int] = field(default_factory=list)
    objects: dict[str, list[bytes]] = field(default_factory=dict)


@dataclass
class LabelImages:
    """Labels of one field that are found time point by time point.

    Of a plate with one time point a label has the axes y and x. Else it has those of the field less
    the channel, z having one plane, since what was measured is one plane or a projection; of times
    that were not measured nothing is written, and the label says which were. Planes are encoded at
    once: those of a long time-lapse would not fit in memory.

    Attributes
    ----------
    n_z, n_t
        Planes and time points of the field.
    stage
        That makes them.
    """

    n_z: int
    n_t: int
    stage: str = "features"
    _planes: dict[str, NDArray[Any]] = field(default_factory=dict)
    _series: dict[str, _Series] = field(default_factory=dict)

    def add(self, name: str, label: NDArray[Any], time: int) -> None:
        """Take the label ``(Y, X)`` of one time point."""
        if self.n_t == 1:
            self._planes[name] = label
            return
        levels = ngff.pyramid(label.shape, label.dtype.itemsize)
        if name not in self._series:
            over_time = tuple(self._over_time(level) for level in levels)
            self._series[name] = _Series(over_time, label.dtype.name)
        series = self._series[name]
        series.times.append(time)
        ahead = (1,) * len(self._leading)
        for index, (flat, level) in enumerate(zip(levels, series.levels, strict=True)):
            pixels = plate.pick_pixels(label, flat).reshape(*ahead, *flat.shape)
            place = (time, *(0,) * (len(level.shape) - 1))
            key = "/".join(map(str, ("c", *place)))
            series.objects[f"{index}/{key}"] = shards.encode_shard(
                pixels, level.shards, level.chunks
            )

    def write(self, out: AnyPath, field_path: str, pixel_size_um: float | None) -> None:
        """Write all labels into a plate, in place of those of the same names that hcs wrote.

        Raises
        ------
        InputError
            When one of the same name was not written by hcs.
        """
        refuse_others(out, field_path, [*self._planes, *self._series], self.stage)
        for name, label in self._planes.items():
            plate.write_label(out, field_path, name, label, pixel_size_um, self.stage)
        if self._series:
            plate.prepare_labels(out, field_path)
        for name, series in self._series.items():
            axes = ("t", *(("z",) if self.n_z > 1 else ()), "y", "x")
            attributes = ngff.label_attributes(name, series.levels, pixel_size_um, axes)
            attributes[NOTES] = {MADE_BY: f"hcs {self.stage}", _TIMES: series.times}
            documents = {
                f"{index}/{shards.DOCUMENT}": [shards.array_document(level, series.dtype, axes)]
                for index, level in enumerate(series.levels)
            }
            documents[shards.DOCUMENT] = [shards.group_document(attributes)]
            replace_folder(f"{as_text(out)}/{field_path}/labels/{name}", series.objects | documents)
            plate.list_label(out, field_path, name)

    @property
    def _leading(self) -> tuple[int, ...]:
        return (self.n_t, 1) if self.n_z > 1 else (self.n_t,)

    def _over_time(self, level: ngff.Level) -> ngff.Level:
        """One shard a time point."""
        ones = (1,) * len(self._leading)
        whole = tuple(
            -(-length // edge) * edge
            for length, edge in zip(level.shape, level.chunks, strict=True)
        )
        return ngff.Level(
            level.factor,
            (*self._leading, *level.shape),
            (*ones, *level.chunks),
            (*ones, *whole),
        )


def place_in_time(shape: tuple[int, ...], time: int) -> tuple[Any, ...]:
    """Index of the plane of one time point in a label of that shape."""
    if len(shape) == 2:
        return (slice(None), slice(None))
    return (time, *(0,) * (len(shape) - 3), slice(None), slice(None))


def is_of_time(attributes: Mapping[str, Any], time: int) -> bool:
    """Whether a label of a time-lapse was made of a time point, by the attributes of its group.

    What hcs wrote says of which times it is. Of others a label with a time axis is of all times;
    one without is of none: nobody says of which.
    """
    notes = attributes.get(NOTES, {})
    if _TIMES in notes:
        return time in notes[_TIMES]
    ome = attributes.get("ome", attributes)
    axes = [axis["name"] for axis in ome["multiscales"][0]["axes"]]
    return "t" in axes


def find_maker(attributes: Mapping[str, Any]) -> str | None:
    """Name the command of hcs that wrote a label; None where another program did.

    Parameters
    ----------
    attributes
        Of its group.
    """
    made_by = _read_maker(attributes)
    return made_by if made_by.startswith("hcs ") else None


def read_label(
    root: zarr.Group, plate_path: str, image: str, level: str, time: int | None = None
) -> NDArray[Any]:
    """Read one level of a label as it is stored, or the plane of one time point.

    Parameters
    ----------
    root, plate_path
        The plate.
    image, level
        Path of the label in it, and of the array in that.
    time
        Which plane; None for all, zeros where hcs wrote none of a time.

    Raises
    ------
    KeyError
        When there is no such label.
    ImageReadError
        When a file of it is lost or damaged.
    """
    array = open_array(root, f"{image}/{level}", f"{plate_path}/{image}/{level}")
    attributes: dict[str, Any] = dict(root[image].attrs)
    made_by = find_maker(attributes)
    if time is not None:
        return read_pixels(plate_path, array, place_in_time(array.shape, time), made_by)
    times = attributes.get(NOTES, {}).get(_TIMES) if made_by else None
    if times is None:
        return read_pixels(plate_path, array, (slice(None),) * array.ndim, made_by)
    found = np.zeros(array.shape, array.dtype)
    for at in times:
        place = (at, *(slice(None),) * (array.ndim - 1))
        found[place] = read_pixels(plate_path, array, place, made_by)
    return found


def _read_maker(attributes: Mapping[str, Any]) -> str:
    notes = attributes.get(NOTES, {})
    return str(notes.get(MADE_BY, "")) if isinstance(notes, Mapping) else ""


def refuse_others(out: AnyPath, field_path: str, names: Iterable[str], stage: str) -> None:
    """Refuse to write labels over those that another program, stage or person left in a field.

    Raises
    ------
    InputError
        Naming the label, and what to do.
    """
    for name in names:
        place = as_path(out) / field_path / "labels" / name
        documents = [place / shards.DOCUMENT, place / ".zattrs", place / ".zgroup"]
        found = next((file for file in documents if file.exists()), None)
        if found is None or _read_maker(_read_attributes(found)) == f"hcs {stage}":
            continue
        remedy = (
            f"measure it in place of our own segmentation (--labels {name}), write no labels "
            "(--no-write-labels)"
            if stage == "features"
            else "give the new label another name (--name)"
        )
        msg = (
            f"{place} was not written by hcs {stage}, so it stays as it is: {remedy}, or remove it"
        )
        raise InputError(msg)


def drop_former(
    out: AnyPath, field_path: str, names: Iterable[str], stage: str = "features"
) -> None:
    """Remove labels of a field that an earlier run of a stage made and this one does not.

    Those of other programs and stages stay.

    Parameters
    ----------
    out, field_path
        The plate, and the field in it.
    names
        Labels to remove, where they are there.
    stage
        That made them.
    """
    for name in names:
        place = as_path(out) / field_path / "labels" / name
        document = place / shards.DOCUMENT
        if document.exists() and _read_maker(_read_attributes(document)) == f"hcs {stage}":
            plate.unlist_label(out, field_path, name)
            remove(place)


def _read_attributes(document: UPath) -> dict[str, Any]:
    try:
        found = json.loads(document.read_text())
    except ValueError:
        return {}
    attributes = found.get("attributes", {}) if isinstance(found, dict) else {}
    return attributes if isinstance(attributes, dict) else {}
