"""Whatever planes a plate has and however files hold them: each is in the plate, or named."""

from __future__ import annotations

import itertools
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hcs.domain.columns import Reason
from hcs.domain.config.layouts import RegexLayout
from hcs.domain.config.stages import IngestConfig
from hcs.errors import HcsError
from hcs.io.plates.reader import PlateReader
from hcs.stages import ingest

PATTERN = (
    r"(?P<well>[A-H]\d\d)_s(?P<site>\d)(?:_(?P<channel>[A-Z]+))?(?:_z(?P<z>\d+))?"
    r"(?:_t(?P<t>\d+))?\.tif"
)
AXES = {"C": "channel", "Z": "z", "T": "t"}


@dataclass(frozen=True)
class Channel:
    """One channel of a plate to be: which planes it has, and what its images are."""

    name: str
    z: tuple[int, ...]
    t: tuple[int, ...]
    binning: int
    dtype: str


@dataclass(frozen=True)
class Plate:
    """A plate to be: ``paged`` is the axis along which files hold pages.

    ``header`` is who tells it, ``said`` whether the user does; ``lost`` and ``damaged`` are files.
    """

    channels: tuple[Channel, ...]
    fields: tuple[tuple[str, int], ...]
    paged: str | None
    header: str
    said: bool
    lost: frozenset[int]
    damaged: frozenset[int]


ONE_TIME = Channel("DAPI", z=(1,), t=(3,), binning=1, dtype="uint16")
THREE_TIMES = Channel("TL", z=(1,), t=(1, 2, 3), binning=1, dtype="uint16")
WITH_ONE_CHANNEL_DAMAGED = Plate(
    channels=(ONE_TIME, THREE_TIMES),
    fields=(("A02", 1),),
    paged="T",
    header="imagej",
    said=False,
    lost=frozenset(),
    damaged=frozenset({1}),
)

numbers = st.sampled_from([(1, 2, 3), (0, 5, 10), (1, 3), (4,)])


@st.composite
def plates(draw):
    """Draw plates of at most 3 fields, 2 channels, 3 planes and 3 times."""
    z, t = draw(numbers), draw(numbers)
    paged = draw(st.sampled_from(["Z", "T", "C", None]))
    channels = []
    for name in draw(st.sampled_from([("DAPI", "TL"), ("DAPI",)])):
        own_z = draw(st.sampled_from([z, z[:1], z[-1:]]))
        own_t = draw(st.sampled_from([t, t[-1:]]))
        if paged == "C":
            own_z, own_t = z, t
        plain = paged == "C"
        binning = 1 if plain else draw(st.sampled_from([1, 1, 2]))
        dtype = "uint16" if plain else draw(st.sampled_from(["uint16", "uint16", "uint8"]))
        channels.append(Channel(name, own_z, own_t, binning, dtype))
    wells = draw(st.sampled_from([("A01", "A02", "C05"), ("A01", "C05"), ("A02",)]))
    header = draw(st.sampled_from(["imagej", "ome", "shaped", "one-directory", "none"]))
    said = draw(st.booleans())
    lost = draw(st.sampled_from([frozenset(), frozenset({0}), frozenset({3, 7})]))
    damaged = draw(st.sampled_from([frozenset(), frozenset({1})]))
    fields = tuple((well, 1) for well in wells)
    return Plate(tuple(channels), fields, paged, header, said, lost, damaged)


def write_pages(path: Path, stack: np.ndarray, axis: str, header: str) -> None:
    """Write a file of one or several pages."""
    more = {"photometric": "minisblack"}
    if len(stack) == 1:
        tifffile.imwrite(path, stack[0], metadata=None)
    elif header == "imagej":
        tifffile.imwrite(path, stack, imagej=True, metadata={"axes": f"{axis}YX"}, **more)
    elif header == "ome":
        tifffile.imwrite(path, stack, ome=True, metadata={"axes": f"{axis}YX"}, **more)
    elif header == "shaped":
        tifffile.imwrite(path, stack, metadata={"axes": f"{axis}YX"}, **more)
    elif header == "one-directory":
        tifffile.imwrite(path, stack, metadata={"axes": f"{axis}YX"}, truncate=True, **more)
    else:
        tifffile.imwrite(path, stack, metadata=None, **more)


Key = tuple[str, str, int, int]
"""Well, channel, z and time of a plane."""

Held = dict[Key, tuple[str, np.ndarray]]
"""File and pixels of every plane."""


def write_plate(plate: Plate, folder: Path) -> Held:
    """Write a plate's files; returns every plane that they hold by (well, channel, z, t)."""
    rng = np.random.default_rng(len(plate.fields))
    files: dict[str, list[tuple[Key, np.ndarray]]] = {}
    for well, site in plate.fields:
        for channel in plate.channels:
            for z, t in itertools.product(channel.z, channel.t):
                edge = 8 // channel.binning
                pixels = rng.integers(1, 250, (edge, edge)).astype(channel.dtype)
                parts = {"C": f"_{channel.name}", "Z": f"_z{z}", "T": f"_t{t}"}
                kept = "".join(text for axis, text in parts.items() if axis != plate.paged)
                name = f"{well}_s{site}{kept}.tif"
                files.setdefault(name, []).append(((well, channel.name, z, t), pixels))
    held = {}
    for number, (name, planes) in enumerate(sorted(files.items())):
        if number in plate.lost and len(files) > 1:
            continue
        stack = np.stack([pixels for _, pixels in planes])
        write_pages(folder / name, stack, plate.paged or "Z", plate.header)
        held |= {key: (name, pixels) for key, pixels in planes}
        if number in plate.damaged:
            (folder / name).write_bytes(b"II*\0 no image")
    return held


class Stored:
    """A plate that was written, asked for single planes of its source."""

    def __init__(self, reader: PlateReader, plate: Plate, held: Held) -> None:
        self.reader = reader
        self.plate = plate
        self.paths = dict(
            zip(reader.images["Metadata_Well"], reader.images["field_path"], strict=True)
        )
        self.numbers = [sorted({key[at] for key in held}) for at in (2, 3)]

    def index_of(self, axis: int, own: tuple[int, ...], number: int) -> int:
        """Index of a z (0) or time (1): of its page in a file, else of its number on the plate."""
        paged = self.plate.paged == "ZT"[axis]
        return own.index(number) if paged else self.numbers[axis].index(number)

    def holds(self, key: Key, pixels: np.ndarray) -> bool:
        """Whether a plane lies there under its own channel, time and z, with equal pixels."""
        well, name, z, t = key
        number = [each.name for each in self.plate.channels].index(name)
        own = self.plate.channels[number]
        shown = str(number) if self.plate.paged == "C" else name
        if well not in self.paths or shown not in self.reader.channels:
            return False
        channel = self.reader.channels.index(shown)
        at = self.index_of(1, own.t, t), self.index_of(0, own.z, z)
        there = self.reader.acquired(self.paths[well], channel)
        # The pages of a damaged file are not known: the plate may have fewer times and planes.
        if any(index >= n for index, n in zip(at, there.shape, strict=True)) or not there[at]:
            return False
        stored = self.reader.read_plane(self.paths[well], channel, t_index=at[0], z_index=at[1])
        k = self.reader.binning(channel)
        return np.array_equal(stored[::k, ::k], pixels)

    def count(self) -> int:
        """Number of planes that the plate says it has."""
        channels = range(len(self.reader.channels))
        return sum(
            int(self.reader.acquired(path, channel).sum())
            for path in self.paths.values()
            for channel in channels
        )


def is_named(key: Key, file: str, problems) -> bool:
    """Whether a row names the plane's file, or says that its field or channel is left out."""
    return any(
        file in (row.file, row.message.split(" ")[0])
        or (row.well == key[0] and not row.kept)
        or f"channel {key[1]} is left out" in row.message
        for row in problems
    )


@settings(max_examples=25, deadline=None)
@example(plate=WITH_ONE_CHANNEL_DAMAGED)
@given(plate=plates())
def test_every_plane_of_a_source_is_in_the_plate_or_named(plate):
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "in")
        source.mkdir()
        held = write_plate(plate, source)
        config = IngestConfig(
            source=str(source),
            out=str(Path(folder, "P.zarr")),
            layout=RegexLayout(pattern=PATTERN),
            plate_wells=96,
            verify=True,
            pages=None if not plate.said or plate.paged is None else AXES[plate.paged],
        )
        try:
            result = ingest.run(config)
        except HcsError:
            silent = plate.header == "none" and not plate.said
            if silent or plate.lost or plate.damaged:
                return
            raise
        stored = Stored(PlateReader(result.out), plate, held)
        found = [key for key, (_, pixels) in held.items() if stored.holds(key, pixels)]
        lost = [
            (key, file)
            for key, (file, _) in held.items()
            if key not in found and not is_named(key, file, result.problems)
        ]
        assert not lost, (lost, result.problems)
        assert stored.count() == len(found)
        assert not any(row.reason is Reason.CHECKSUM for row in result.problems)
        if not plate.lost and not plate.damaged and (plate.header != "none" or plate.said):
            assert result.problems == ()
            assert len(found) == len(held)
