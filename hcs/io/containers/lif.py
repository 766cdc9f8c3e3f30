"""Reads Leica LIF through liffile: an image, or a tile of a mosaic, is a field.

Quoted from users of LAS X and the Fractal platform's converter: images of plates are called
``TileScan 1/A/1``, ``TileScan 1/A/1/R1`` or ``TileScan 1/A1``, and what was merged of them
``…_Merged``. Written by the tests and read back: XML and memory blocks as liffile reads them.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hcs.domain.plate import Channel
from hcs.domain.wells import Well
from hcs.io.containers.model import ContainerImage, Foreign, Position, name_channels, parse_wells
from hcs.io.images.steps import UM_PER_UNIT, Steps

_ROW: Final = re.compile(r"[A-P]|A[A-F]")
_COLUMN: Final = re.compile(r"[1-9]|0[1-9]|[1-4][0-9]")
_DERIVED: Final = re.compile(r"(?i)(?:^|[ _-])(?:merg(?:ed|ing)|icc|lng|autofocus)[_ 0-9]*$")
_KNOWN_AXES: Final = frozenset("XYZTCMS")
_LOST: Final = "liffile does not give it: another image has the same name and folder"
_IMAGE_TAGS: Final = ("Image", 'SingleMoleculeDetection[@IsImage="true"]')
_AXIS_IDS: Final = {"1": "X", "2": "Y", "3": "Z", "4": "T"}


class LifContainer:
    """A LIF file that is open."""

    def __init__(self, file: Foreign) -> None:
        self._file = file
        self._series = list(file.images)
        wells = _find_wells([series.path for series in self._series])
        self._tiles: list[tuple[int, int | None]] = []
        images: list[ContainerImage] = []
        notes = []
        for index, series in enumerate(self._series):
            image = _describe(series, *wells.get(series.path, (None, "")))
            n_tiles = _count_tiles(series)
            if n_tiles == 1:
                images.append(image)
                self._tiles.append((index, None))
                continue
            notes.append(f"the {n_tiles} tiles of {series.path!r} are fields")
            for tile in range(n_tiles):
                images.append(_name_tile(image, tile))
                self._tiles.append((index, tile))
        for path in _list_lost(file.xml_element, [series.path for series in self._series]):
            images.append(ContainerImage(path, None, (), (1, 1), (), flaw=_LOST))
            self._tiles.append((0, None))
        if notes:
            notes = [*notes[:3], "where tiles overlap, cells count twice"]
        self.images: tuple[ContainerImage, ...] = tuple(images)
        self.notes: tuple[str, ...] = tuple(notes)

    def read(self, image: int, position: Position) -> npt.NDArray[Any]:
        """Read one plane from its memory block."""
        index, tile = self._tiles[image]
        series = self._series[index]
        channel, time, z = position
        wanted = {"C": channel, "T": time, "Z": z, "M": tile}
        found: npt.NDArray[Any] = series.frame(
            **{axis: n for axis, n in wanted.items() if axis in series.sizes and n is not None}
        )
        return np.array(found).reshape(self.images[image].shape)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _list_lost(element: Foreign, known: Iterable[str]) -> list[str]:
    """List the images in the XML that are not among those that liffile gives."""
    counts = Counter(_list_paths(element, ""))
    counts.subtract(known)
    return list(counts.elements())


def _list_paths(element: Foreign, path: str) -> Iterator[str]:
    """Yield the paths of all images; the file's own name is no part of them."""
    for inner in (*element.findall("./Element"), *element.findall("./Children/Element")):
        own = inner.get("Name") or ""
        is_root = element.tag != "Element"
        below = "" if is_root else f"{path}/{own}".lstrip("/")
        if any(inner.find(f"./Data/{kind}") is not None for kind in _IMAGE_TAGS):
            yield below or own
        yield from _list_paths(inner, below)


def _find_wells(paths: list[str]) -> dict[str, tuple[Well | None, str]]:
    """Read the wells and runs of images by the folders in which they lie."""
    found: dict[str, tuple[Well | None, str]] = {}
    rest = {}
    for path in paths:
        parts = path.split("/")
        at = _find_row(parts)
        if at is None:
            rest[path] = parts
        else:
            well = Well.parse(f"{parts[at]}{parts[at + 1]}")
            found[path] = (well, "/".join(parts[:at]))
    wells = parse_wells(dict.fromkeys(part for parts in rest.values() for part in parts)) or {}
    for path, parts in rest.items():
        at = next((index for index, part in enumerate(parts) if part in wells), None)
        if at is not None:
            found[path] = (wells[parts[at]], "/".join(parts[:at]))
    return found


def _find_row(parts: list[str]) -> int | None:
    """Index of a folder called like a row that holds one called like a column."""
    pairs = itertools.pairwise(parts)
    return next(
        (i for i, (a, b) in enumerate(pairs) if _ROW.fullmatch(a) and _COLUMN.fullmatch(b)), None
    )


def _count_tiles(series: Foreign) -> int:
    try:
        return int(series.sizes.get("M", 1))
    except ValueError:
        return 1


def _name_tile(image: ContainerImage, tile: int) -> ContainerImage:
    return dataclasses.replace(image, name=f"{image.name}/tile {tile + 1}")


def _describe(series: Foreign, well: Well | None, group: str) -> ContainerImage:
    """Describe an image by its XML; what cannot be read has a flaw."""
    sizes, dtype, flaw = _measure(series)
    element = series.xml_element
    channels = _read_channels(element, sizes.get("C", 1))
    lengths = dict(_read_lengths(element))
    edges = tuple(lengths[axis] for axis in "XY" if axis in lengths)
    return ContainerImage(
        name=series.path,
        well=well,
        group=group,
        channels=channels,
        shape=(int(sizes.get("Y", 1)), int(sizes.get("X", 1))),
        dtype=(dtype,) * len(channels),
        n_times=int(sizes.get("T", 1)),
        n_planes=int(sizes.get("Z", 1)),
        color=int(sizes.get("S", 1)),
        pixels_um=edges if len(edges) == 2 else (),
        steps=Steps(z_um=lengths.get("Z"), t_s=lengths.get("T")),
        flaw=flaw,
    )


def _measure(series: Foreign) -> tuple[Mapping[str, int], str, str | None]:
    """Sizes by axis, the pixel type, and why an image cannot be read if it cannot."""
    if series.is_flim:
        return {}, "uint8", "it holds lifetimes of photons, not intensities"
    try:
        sizes: Mapping[str, int] = series.sizes
        dtype = str(np.dtype(series.dtype))
        held, wanted = int(series.memory_block.size), int(series.nbytes)
    except (ValueError, AssertionError, LookupError) as error:
        return {}, "uint8", f"liffile cannot tell its planes: {error}"
    if held < wanted:  # what follows in the file would be read in place of what is missing
        return {}, "uint8", f"{held} bytes of pixels are there, expected {wanted}: it is cut off"
    return sizes, dtype, _find_flaw(series.path, sizes)


def _find_flaw(path: str, sizes: Mapping[str, int]) -> str | None:
    others = sorted(axis for axis in sizes if axis not in _KNOWN_AXES and sizes[axis] > 1)
    if others:
        return f"it has an axis {', '.join(others)}, which a plate has not"
    if _DERIVED.search(path):
        return "LAS X made it of other images"
    return None


def _read_channels(element: Foreign, count: int) -> tuple[Channel, ...]:
    """Name channels by their dye, else by the color in which they are shown."""
    found = element.findall("./Data/Image/ImageDescription/Channels/ChannelDescription")
    found.sort(key=lambda each: int(each.get("BytesInc") or 0))
    stated: list[tuple[str | None, float | None, float | None]] = []
    for each in found[:count]:
        keys = {p.findtext("Key"): p.findtext("Value") for p in each.findall("ChannelProperty")}
        stated.append((keys.get("DyeName") or each.get("LUTName"), None, None))
    return name_channels([*stated, *[(None, None, None)] * (count - len(stated))])


def _read_lengths(element: Foreign) -> Iterator[tuple[str, float]]:
    """Yield edges of a pixel and distances of planes in µm, and of times in seconds."""
    for each in element.findall("./Data/Image/ImageDescription/Dimensions/DimensionDescription"):
        axis = _AXIS_IDS.get(each.get("DimID") or "")
        count = int(each.get("NumberOfElements") or 1)
        unit = (each.get("Unit") or "").casefold()
        factor = 1.0 if axis == "T" and unit == "s" else UM_PER_UNIT.get(unit or "?")
        if axis is None or count < 2 or factor is None or (axis == "T" and unit != "s"):
            continue
        length = abs(float(each.get("Length") or 0)) / (count - 1) * factor
        if length > 0:
            yield axis, round(length, 9)
