"""Reads Zeiss CZI through pylibCZIrw, Zeiss' own library; a scene is a field, or its tiles are.

Quoted from Zeiss' czitools: a scene's ``ArrayName`` is its well (``B4``) and its ``Name`` the
position (``P1``) or both (``A1-A1``). Written and read back: everything that pylibCZIrw writes.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from xml.etree import ElementTree as ET

import numpy.typing as npt

from hcs.domain.columns import Reason
from hcs.domain.plate import Channel
from hcs.domain.wells import Well
from hcs.errors import ImageReadError
from hcs.io.containers.model import ContainerImage, Foreign, Position, name_channels, parse_wells
from hcs.io.images.steps import Steps

_TYPES: Final = {"Gray8": "uint8", "Gray16": "uint16", "Gray32Float": "float32"}
_COLORS: Final = {"Bgr24": "uint8", "Bgr48": "uint16", "Bgr96Float": "float32", "Bgra32": "uint8"}
_OTHER_DIMENSIONS: Final = "RIHVB"
_JPEG: Final = 1
_JPEG_XR: Final = 4
_UM_PER_M: Final = 1e6

Rectangle = tuple[int, int, int, int]
"""Left, top, width and height in pixels."""


@dataclass(frozen=True, slots=True)
class _Block:
    """Header of one subblock of full resolution."""

    scene: int | None
    place: Rectangle
    position: Position
    pixels: str
    tile: int | None
    others: tuple[tuple[str, int], ...]


class CziContainer:
    """A CZI file that is open."""

    def __init__(self, reader: Foreign) -> None:
        self._reader = reader
        self.notes: tuple[str, ...] = ()
        blocks = self._list_blocks()
        metadata = ET.fromstring(reader.raw_metadata)
        # Parts of a longer file keep its numbers, and a plate counts from 0.
        self._first = tuple(min((b.position[i] for b in blocks), default=0) for i in range(3))
        n_channels = 1 + max((b.position[0] for b in blocks), default=0) - self._first[0]
        channels = _read_channels(metadata, self._first[0], n_channels)
        sizes, steps = _read_scaling(metadata)
        self._fields = tuple(_split(blocks, _read_scenes(metadata)))
        self._places = [{b.position: b.place for b in field.blocks} for field in self._fields]
        self.images: tuple[ContainerImage, ...] = tuple(
            dataclasses.replace(
                _make_image(field, channels, self._first), pixels_um=sizes, steps=steps
            )
            for field in self._fields
        )

    def _list_blocks(self) -> list[_Block]:
        """List what pixels of full resolution there are; smaller ones repeat them."""
        blocks: list[_Block] = []
        modes = set()

        def note(_: int, info: Foreign) -> bool:
            rectangle, size = info.logicalRect, info.physicalSize
            if (rectangle.w, rectangle.h) != (size.w, size.h):
                return True
            found: Mapping[str, int] = info.coordinate.to_dict()
            modes.add(int(info.compressionModeRaw))
            blocks.append(
                _Block(
                    scene=found.get("S"),
                    place=(rectangle.x, rectangle.y, rectangle.w, rectangle.h),
                    position=(found.get("C", 0), found.get("T", 0), found.get("Z", 0)),
                    pixels=info.pixelType.name,
                    tile=info.mIndex if info.is_mindex_valid() else None,
                    others=tuple((d, found[d]) for d in _OTHER_DIMENSIONS if found.get(d)),
                )
            )
            return True

        self._reader.enumerate_subblocks(note)
        if _JPEG in modes:
            self.notes = ("compressed as JPEG, which has changed intensities",)
        elif _JPEG_XR in modes:
            self.notes = ("compressed as JPEG XR, which changes intensities unless set lossless",)
        return blocks

    def read(self, image: int, position: Position) -> npt.NDArray[Any]:
        """Decode one plane of a scene or tile."""
        field = self._fields[image]
        channel, time, z = (n + first for n, first in zip(position, self._first, strict=True))
        found: npt.NDArray[Any] = self._reader.read(
            roi=self._places[image][channel, time, z],
            plane={"C": channel, "T": time, "Z": z},
            scene=field.scene,
            pixel_type=_type_name(self.images[image].dtype[position[0]]),
        )
        if found.ndim != 3 or found.shape[2] != 1:
            msg = f"{self.images[image].name}: pixels of shape {found.shape}"
            raise ImageReadError(msg, Reason.WRONG_TYPE)
        return found[:, :, 0].copy()

    def close(self) -> None:
        """Close the file."""
        self._reader.close()


def _type_name(dtype: str) -> str:
    return next(name for name, known in _TYPES.items() if known == dtype)


@dataclass(frozen=True, slots=True)
class _Field:
    """Blocks of one scene, or of one tile of it."""

    scene: int | None
    name: str
    well: Well | None
    place_um: tuple[float, float] | None
    blocks: tuple[_Block, ...]
    flaw: str | None = None


@dataclass(frozen=True, slots=True)
class _Scene:
    """What the metadata say of a scene."""

    name: str
    well: Well | None
    place_um: tuple[float, float] | None


def _read_scenes(metadata: ET.Element) -> dict[int, _Scene]:
    elements = metadata.findall(".//Information/Image/Dimensions/S/Scenes/Scene")
    names = [_name_well(element) for element in elements]
    wells = parse_wells(dict.fromkeys(names)) or {}
    found = {}
    for element, name in zip(elements, names, strict=True):
        place = (element.findtext("CenterPosition") or "").split(",")
        texts = (element.findtext("ArrayName"), element.get("Name"))
        title = "-".join(text for text in texts if text)
        scene = _Scene(title, wells.get(name), _parse_place(place))
        found[int(element.get("Index") or 0)] = scene
    return found


def _name_well(element: ET.Element) -> str:
    """Name of a scene's array, ``B4``, or what stands twice in its own, as in ``A1-A1``."""
    if array := (element.findtext("ArrayName") or "").strip():
        return array
    first, _, second = (element.get("Name") or "").strip().partition("-")
    return first if first == second else ""


def _parse_place(texts: Sequence[str]) -> tuple[float, float] | None:
    try:
        x, y = (float(text) for text in texts)
    except ValueError:
        return None
    return x, y


def _split(blocks: Sequence[_Block], scenes: Mapping[int, _Scene]) -> Iterator[_Field]:
    """Split a file into scenes, and scenes of several tiles into those."""
    by_scene: defaultdict[int | None, list[_Block]] = defaultdict(list)
    for block in blocks:
        by_scene[block.scene].append(block)
    for scene in sorted(by_scene, key=lambda number: -1 if number is None else number):
        own = by_scene[scene]
        told = scenes.get(scene or 0) or _Scene("", None, None)
        name = " ".join(text for text in (f"scene {1 + (scene or 0)}", told.name) if text)
        by_plane: defaultdict[Position, list[_Block]] = defaultdict(list)
        for block in own:
            by_plane[block.position].append(block)
        flaw = _find_flaw(own, by_plane)
        if flaw is not None or all(len(found) == 1 for found in by_plane.values()):
            yield _Field(scene, name, told.well, told.place_um, tuple(own), flaw)
            continue
        tiles: defaultdict[Any, list[_Block]] = defaultdict(list)
        for block in own:
            tiles[block.place if block.tile is None else block.tile].append(block)
        for number, key in enumerate(sorted(tiles), start=1):
            yield _Field(scene, f"{name} tile {number}", told.well, None, tuple(tiles[key]))


def _find_flaw(blocks: Sequence[_Block], by_plane: Mapping[Position, list[_Block]]) -> str | None:
    """Say why a scene cannot be read field by field."""
    other = sorted({name for block in blocks for name, _ in block.others})
    if other:
        words = {"R": "rotations", "I": "illuminations", "H": "phases", "V": "views", "B": "blocks"}
        told = " and ".join(words[name] for name in other)
        return f"it has several {told}, which are no axis of a plate"
    if len({block.place[2:] for block in blocks}) > 1:
        return "its tiles or channels are of several sizes"
    if len({block.tile is None for block in blocks}) > 1:
        return "some of its tiles are numbered and some are not"
    known = set()
    for found in by_plane.values():
        places = tuple(sorted(block.place for block in found))
        if (
            len(places) > 1
            and places not in known
            and any(_overlap(*p) for p in _neighbors(places))
        ):
            return (
                f"its {len(places)} tiles overlap, so that cells would count twice and pixels mix: "
                "stitch them in ZEN, or export the tiles as OME-TIFF"
            )
        known.add(places)
    return None


def _neighbors(places: Sequence[Rectangle]) -> Iterator[tuple[Rectangle, Rectangle]]:
    """Yield sorted places that may overlap: all pairs would be a million for 1000 tiles."""
    for index, first in enumerate(places):
        for second in itertools.islice(places, index + 1, None):
            if second[0] >= first[0] + first[2]:
                break
            yield first, second


def _overlap(a: Rectangle, b: Rectangle) -> bool:
    return all(a[i] < b[i] + b[i + 2] and b[i] < a[i] + a[i + 2] for i in (0, 1))


def _make_image(field: _Field, names: Sequence[Channel], first: Sequence[int]) -> ContainerImage:
    """Describe a field by the blocks that it has; planes are counted from the ``first``."""
    width, height = field.blocks[0].place[2:]
    types: dict[int, set[str]] = defaultdict(set)
    positions = set()
    for block in field.blocks:
        channel, time, z = (n - start for n, start in zip(block.position, first, strict=True))
        positions.add((channel, time, z))
        types[channel].add(block.pixels)
    color = any(name in _COLORS for found in types.values() for name in found)
    flaw = field.flaw
    mixed = [number for number, found in types.items() if len(found) > 1]
    if mixed and flaw is None:
        flaw = f"channel {names[mixed[0]].name} has several pixel types: {sorted(types[mixed[0]])}"
    n_times, n_planes = (1 + max(position[i] for position in positions) for i in (1, 2))
    every = itertools.product(range(len(names)), range(n_times), range(n_planes))
    return ContainerImage(
        name=field.name,
        well=field.well,
        channels=tuple(names),
        shape=(height, width),
        dtype=tuple(_name_type(types.get(number, set())) for number in range(len(names))),
        n_times=n_times,
        n_planes=n_planes,
        color=3 if color else 1,
        place_um=field.place_um,
        absent=frozenset(set(every) - positions),
        flaw=flaw,
    )


def _name_type(found: set[str]) -> str:
    """Pixel type of a channel by NumPy's name, else by Zeiss' own, which is then refused."""
    name = min(found, default="Gray8")
    return _TYPES.get(name) or _COLORS.get(name) or name


def _read_channels(metadata: ET.Element, first: int, count: int) -> tuple[Channel, ...]:
    """Name the channels from the ``first`` on: by number where the XML has it, else in its order.

    A part of a longer file may list all channels, or those that it has.
    """
    elements = metadata.findall(".//Information/Image/Dimensions/Channels/Channel")
    by_id = {element.get("Id"): element for element in elements}
    ids = [f"Channel:{first + number}" for number in range(count)]
    own = [by_id[each] for each in ids] if set(ids) <= by_id.keys() else elements[:count]
    stated: list[tuple[str | None, float | None, float | None]] = []
    for element in own:
        nm = [_number(element.findtext(f"{side}Wavelength")) for side in ("Excitation", "Emission")]
        stated.append((element.get("Name"), nm[0], nm[1]))
    stated += [(None, None, None)] * (count - len(stated))
    return name_channels(stated)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if value > 0 else None


def _read_scaling(metadata: ET.Element) -> tuple[tuple[float, ...], Steps]:
    """Edges of a pixel in µm along x and y, and the distance of planes; states meters."""
    stated = {
        element.get("Id"): value * _UM_PER_M
        for element in metadata.iterfind(".//Scaling/Items/Distance")
        if (value := _number(element.findtext("Value"))) is not None
    }
    edges = tuple(round(stated[axis], 9) for axis in ("X", "Y") if axis in stated)
    z_um = stated.get("Z")
    return (edges if len(edges) == 2 else ()), Steps(None if z_um is None else round(z_um, 9))
