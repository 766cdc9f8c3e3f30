"""Writes small CZI, ND2 and LIF files: CZI by Zeiss' library, the others byte by byte."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

Key = tuple[int, int, int]
"""Indices of channel, time and z."""


@dataclass(frozen=True)
class Field:
    """A field to be: its planes by channel, time and z, and what its container says of it."""

    planes: Mapping[Key, np.ndarray]
    array: str | None = None
    name: str | None = None
    place_um: tuple[float, float] | None = None

    @property
    def size(self) -> Key:
        """Number of channels, times and planes."""
        return tuple(1 + max(key[axis] for key in self.planes) for axis in range(3))


def make_planes(
    seed: int, size: Key = (2, 1, 1), shape=(12, 16), dtype="uint16"
) -> dict[Key, np.ndarray]:
    """Draw planes that differ from all others; none is 0."""
    rng = np.random.default_rng(seed)
    return {key: rng.integers(1, 250, shape).astype(dtype) for key in np.ndindex(size)}


def write_czi(
    path: Path,
    fields: Sequence[Field],
    channels: Sequence[str] = ("DAPI", "GFP"),
    *,
    pixel_um: tuple[float, float] = (0.5, 0.5),
    z_um: float = 2.0,
    gap: int = 1000,
    tiles: Mapping[int, Sequence[tuple[int, int]]] | None = None,
    compression: str | None = None,
    pyramid: bool = False,
    unused: Sequence[str] = (),
) -> None:
    """Write scenes beside each other; of those in ``tiles`` planes lie at several places.

    A tile's pixels are those of its plane plus the number of the tile. ``pyramid`` adds a smaller
    level to the first scene. Channels that the metadata name and no plane has, the first ones, are
    ``unused``.
    """
    czi = pytest.importorskip("pylibCZIrw.czi")
    with czi.create_czi(str(path), compression_options=compression) as document:
        for scene, field in enumerate(fields):
            for (c, t, z), pixels in field.planes.items():
                for number, (x, y) in enumerate((tiles or {}).get(scene, [(0, 0)])):
                    document.write(
                        (pixels + number).astype(pixels.dtype),
                        plane={"C": c, "T": t, "Z": z},
                        scene=scene,
                        location=(scene * gap + x, y),
                    )
                if pyramid:
                    small = np.ascontiguousarray(pixels[::2, ::2])
                    plane = {"C": c, "T": t, "Z": z}
                    document.write(small, plane=plane, scene=scene, location=(scene * gap, 0))
        document.write_metadata(
            "made by a test",
            channel_names=dict(enumerate(channels)),
            scale_x=pixel_um[0] * 1e-6,
            scale_y=pixel_um[1] * 1e-6,
            scale_z=z_um * 1e-6,
        )
    if pyramid:
        shape = next(iter(fields[0].planes.values())).shape
        shrink_tiles(path, (shape[0] // 2, shape[1] // 2), shape)
    _add_scenes(path, fields, unused)


def _add_scenes(path: Path, fields: Sequence[Field], unused: Sequence[str] = ()) -> None:
    """Give a CZI the metadata of its scenes, which the library cannot write, in a new segment."""
    czi = pytest.importorskip("pylibCZIrw.czi")
    with czi.open_czi(str(path)) as document:
        root = ET.fromstring(document.raw_metadata)
    dimensions = root.find("./Metadata/Information/Image/Dimensions")
    scenes = ET.SubElement(ET.SubElement(dimensions, "S"), "Scenes")
    for number, name in enumerate(unused):
        channel = ET.Element("Channel", Id=f"Channel:{number}", Name=name)
        dimensions.find("Channels").insert(number, channel)
    for index, field in enumerate(fields):
        if field.array is None and field.name is None:
            continue
        scene = ET.SubElement(scenes, "Scene", Index=str(index), Name=field.name or "")
        if field.array is not None:
            ET.SubElement(scene, "ArrayName").text = field.array
        if field.place_um is not None:
            ET.SubElement(scene, "CenterPosition").text = "{},{}".format(*field.place_um)
    xml = ET.tostring(root)
    data = struct.pack("<ii248x", len(xml), 0) + xml
    segment = struct.pack("<16sqq", b"ZISRAWMETADATA", len(data), len(data)) + data
    content = bytearray(path.read_bytes())
    place = len(content)
    content[92:100] = struct.pack("<q", place)  # where the file says that its metadata lie
    path.write_bytes(bytes(content) + segment)


def write_lif(
    path: Path,
    images: Mapping[str, np.ndarray],
    channels: Sequence[str] = ("DAPI", "GFP"),
    *,
    pixel_um: float = 0.5,
    z_um: float = 2.0,
    t_s: float = 60.0,
    axes: str = "TZC",
    lost: int = 0,
    short: str | None = None,
) -> None:
    """Write images of axes T, Z, C (or M in place of T), Y, X by their paths in the project.

    ``lost`` bytes are cut from the end of the file, and one from the block of the image ``short``.
    """
    root = ET.Element("LMSDataContainerHeader", Version="2")
    project = ET.SubElement(root, "Element", Name="project")
    ET.SubElement(project, "Data")
    folders = {"": ET.SubElement(project, "Children")}
    blocks = []
    for number, (name, pixels) in enumerate(images.items()):
        # A dictionary holds a name once, a file may twice.
        *parents, own = name.removesuffix("*").split("/")
        at = ""
        for parent in parents:
            inner = f"{at}/{parent}".strip("/")
            if inner not in folders:
                element = ET.SubElement(folders[at], "Element", Name=parent)
                ET.SubElement(element, "Data")
                folders[inner] = ET.SubElement(element, "Children")
            at = inner
        element = ET.SubElement(folders[at], "Element", Name=own)
        image = ET.SubElement(ET.SubElement(element, "Data"), "Image")
        _describe_image(image, pixels, channels, axes, pixel_um, z_um, t_s)
        ET.SubElement(
            element, "Memory", Size=str(pixels.nbytes), MemoryBlockID=f"MemBlock_{number}"
        )
        blocks.append((f"MemBlock_{number}", pixels.tobytes()[: -1 if name == short else None]))
    xml = ET.tostring(root, encoding="unicode").encode("utf-16-le")
    content = struct.pack("<IIBI", 0x70, len(xml) + 5, 0x2A, len(xml) // 2) + xml
    for name, data in blocks:
        text = name.encode("utf-16-le")
        head = struct.pack("<IIBQBI", 0x70, len(text) + 14, 0x2A, len(data), 0x2A, len(name))
        content += head + text + data
    path.write_bytes(content[: len(content) - lost])


def _describe_image(image, pixels, channels, axes, pixel_um, z_um, t_s) -> None:
    description = ET.SubElement(image, "ImageDescription")
    sizes = dict(zip((*axes, "Y", "X"), pixels.shape, strict=True))
    strides = dict(zip((*axes, "Y", "X"), pixels.strides, strict=True))
    element = ET.SubElement(description, "Channels")
    for number in range(sizes.get("C", 1)):
        channel = ET.SubElement(
            element, "ChannelDescription", DataType="0" if pixels.dtype.kind == "u" else "1",
            ChannelTag="0", Resolution=str(pixels.itemsize * 8), NameOfMeasuredQuantity="",
            Min="0", Max="1", Unit="", LUTName="Gray", IsLUTInverted="0",
            BytesInc=str(number * strides.get("C", 0)), BitInc="0",
        )  # fmt: skip
        if number < len(channels):
            dye = ET.SubElement(channel, "ChannelProperty")
            ET.SubElement(dye, "Key").text = "DyeName"
            ET.SubElement(dye, "Value").text = channels[number]
    steps = {"X": pixel_um * 1e-6, "Y": pixel_um * 1e-6, "Z": z_um * 1e-6, "T": t_s, "M": 1}
    numbers = {"X": 1, "Y": 2, "Z": 3, "T": 4, "M": 10}
    element = ET.SubElement(description, "Dimensions")
    for axis, number in numbers.items():
        if axis in sizes:
            ET.SubElement(
                element, "DimensionDescription", DimID=str(number), Origin="0", BitInc="0",
                NumberOfElements=str(sizes[axis]), Length=str(steps[axis] * (sizes[axis] - 1)),
                Unit={"T": "s", "M": ""}.get(axis, "m"), BytesInc=str(strides[axis]),
            )  # fmt: skip


def write_nd2(
    path: Path,
    fields: Sequence[Field],
    channels: Sequence[str] = ("DAPI", "GFP"),
    *,
    pixel_um: float | None = 0.5,
    z_um: float = 2.0,
    t_s: float = 60.0,
    taken: int | None = None,
    lost: Sequence[int] = (),
    packed: bool = False,
) -> None:
    """Write XY positions in one file; frames run over time, position and z, as Nikon's do.

    Only the first ``taken`` frames count as taken; those of ``lost`` are promised and not there.
    """
    pytest.importorskip("nd2")
    n_channels, n_times, n_planes = fields[0].size
    first = fields[0].planes[0, 0, 0]
    frames = [
        np.stack([field.planes[c, t, z] for c in range(n_channels)], axis=-1)
        for t in range(n_times)
        for field in fields
        for z in range(n_planes)
    ]
    taken = len(frames) if taken is None else taken
    chunks = {
        b"ImageAttributesLV!": _pack(_attributes(first, n_channels, taken, packed=packed)),
        b"ImageMetadataSeqLV|0!": _pack(_metadata(channels[:n_channels], pixel_um)),
        b"ImageMetadataLV!": _pack(_experiment(fields, n_times, n_planes, z_um, t_s)),
        b"CustomData|AcqTimesCache!": np.arange(len(frames), dtype=float).tobytes(),
    }
    for number, frame in enumerate(frames[:taken]):
        if number not in lost:
            data = zlib.compress(frame.tobytes()) if packed else frame.tobytes()
            chunks[f"ImageDataSeq|{number}!".encode()] = bytes(8) + data
    signature = b"ND2 FILE SIGNATURE CHUNK NAME01!"
    content = struct.pack("<IIQ32s64s", 0x0ABECEDA, 32, 64, signature, b"Ver3.0")
    places = {}
    for name, data in chunks.items():
        places[name] = (len(content), len(data))
        content += _chunk(name, data)
    listed = b"".join(name + struct.pack("<QQ", *place) for name, place in places.items())
    end = b"ND2 CHUNK MAP SIGNATURE 0000001!"
    at = len(content)
    content += _chunk(b"ND2 FILEMAP SIGNATURE NAME 0001!", listed + end + struct.pack("<Q", at))
    path.write_bytes(content + end + struct.pack("<Q", at))


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack("<IIQ", 0x0ABECEDA, 4072, len(data)) + name.ljust(4072, b"\0") + data


def _attributes(first: np.ndarray, n_channels: int, taken: int, *, packed: bool) -> dict:
    height, width = first.shape
    return {
        "SLxImageAttributes": {
            "uiWidth": width, "uiWidthBytes": width * n_channels * first.itemsize,
            "uiHeight": height, "uiComp": n_channels, "uiBpcInMemory": first.itemsize * 8,
            "uiBpcSignificant": first.itemsize * 8, "uiSequenceCount": taken,
            "eCompression": 0 if packed else 2,
        }
    }  # fmt: skip


def _metadata(channels: Sequence[str], pixel_um: float | None) -> dict:
    planes = {
        f"a{number}": {
            "uiCompCount": 1,
            "sDescription": name,
            "uiColor": 255,
            "pFluorescentProbe": {
                "m_EmissionSpectrum": _peak(461.0),
                "m_ExcitationSpectrum": _peak(358.0),
            },
        }
        for number, name in enumerate(channels)
    }
    return {
        "SLxPictureMetadata": {
            "bCalibrated": pixel_um is not None, "dCalibration": pixel_um or 0.0,
            "sPicturePlanes": {"uiCount": len(channels), "sPlaneNew": planes},
        }
    }  # fmt: skip


def _peak(nm: float) -> dict:
    return {"uiCount": 1, "pPoint": {"Point0": {"dTValue": 1.0, "dWavelength": nm, "eType": 1}}}


def _experiment(
    fields: Sequence[Field], n_times: int, n_planes: int, z_um: float, t_s: float
) -> dict:
    points = {
        f"i{number:010}": {
            "dPosX": (field.place_um or (0.0, 0.0))[0], "dPosY": (field.place_um or (0.0, 0.0))[1],
            "dPosZ": 0.0, "dPosName": field.name or "",
        }
        for number, field in enumerate(fields)
    }  # fmt: skip
    time = {"uiCount": n_times, "dStart": 0.0, "dPeriod": t_s * 1e3, "dDuration": 0.0}
    loops = [
        (1, time if n_times > 1 else None),
        (2, {"uiCount": len(fields), "Points": points}),
        (4, {"uiCount": n_planes, "dZStep": z_um, "iType": 0} if n_planes > 1 else None),
    ]
    nested: dict = {}
    for kind, parameters in reversed(loops):
        if parameters is not None:
            level: dict = {"eType": kind, "uLoopPars": parameters}
            if nested:
                level["ppNextLevelEx"] = {"i0000000000": nested}
            nested = level
    return {"SLxExperiment": nested}


def _pack(values: Mapping[str, object]) -> bytes:
    """Pack nested values as Nikon's files do: type, name, value; a level ends with its places."""
    out = b""
    for name, value in values.items():
        text = (name + "\0").encode("utf-16-le")
        kind = {bool: 1, int: 3, float: 6, str: 8}.get(type(value), 11)
        head = struct.pack("<BB", kind, len(text) // 2) + text
        if kind == 11:
            inner = _pack(value)
            length = len(head) + 12 + len(inner)
            out += head + struct.pack("<IQ", len(value), length) + inner + bytes(8 * len(value))
        elif kind == 8:
            out += head + (value + "\0").encode("utf-16-le")
        else:
            out += head + struct.pack({1: "<B", 3: "<I", 6: "<d"}[kind], value)
    return out


def shrink_tiles(path: Path, stored: tuple[int, int], logical: tuple[int, int]) -> None:
    """Let a CZI's tiles of a stored size (Y, X) be level 1 of a pyramid: half of what they show."""
    content = bytearray(path.read_bytes())
    for axis, small, large in zip("YX", stored, logical, strict=True):
        head = struct.pack("<4sii", axis.encode(), 0, small)  # axis, start, size shown
        at = content.find(head)
        while at >= 0:
            if content[at + 16 : at + 20] == struct.pack("<i", small):
                content[at + 8 : at + 12] = struct.pack("<i", large)
            at = content.find(head, at + 1)
    path.write_bytes(content)
