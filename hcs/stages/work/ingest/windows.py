"""Display windows: one a channel for the whole plate, from a sample of its fields.

They are found before any field is written, so that every field is written with them, and are no
part of what a field is made from: a plate that grows shows its old fields in a new window, and does
not write their pixels again.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hcs.domain import columns as col
from hcs.domain.display import Window
from hcs.domain.plate import Plane, SourcePlate
from hcs.domain.wells import Well
from hcs.errors import ImageReadError
from hcs.io.files.written import record_writes
from hcs.io.images.sources import Source, open_source
from hcs.io.plates import plate
from hcs.io.runs.fingerprints import fingerprint
from hcs.io.runs.ledger import Ledger
from hcs.ops import intensity, projection
from hcs.ops.projection import Projection
from hcs.stages.frame import Frame, MadeFrom
from hcs.stages.work.ingest.reading import WellJob

_FIELDS: Final = 24
"""Planes of a channel that are looked at: a share of the reading that does not show."""

_SHORTEST: Final = 3
"""Stacks that are projected at least, however deep they are."""

_PLANES: Final = 72
"""Planes of a channel that are read at most, where stacks are projected."""

_PIXELS: Final = 2**12
"""Pixels of a plane that count."""

_PERCENTILES: Final = (0.1, 99.9)

_FORMAT: Final = 1
_NAME: Final = "windows"

_Stack = tuple[Plane, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """Planes by which a plate's windows are judged, for every channel in order.

    Attributes
    ----------
    root, layout
        Where they lie.
    stacks
        For every channel those planes that make one picture, several times.
    projection
        How planes become one; None where a stack has one plane only.
    shape, dtype
        Of the plate's planes and pixels.
    """

    root: str
    layout: str
    stacks: tuple[tuple[_Stack, ...], ...]
    projection: Projection | None
    shape: tuple[int, int]
    dtype: str

    @property
    def made_from(self) -> list[object]:
        """What the windows depend on."""
        source = open_source(self.root, self.layout)
        stamps = [
            [(item.path, item.page, source.stamp(item)) for stack in stacks for item in stack]
            for stacks in self.stacks
        ]
        return [stamps, self.projection, self.dtype]


def draw_sample(source: SourcePlate, job: WellJob) -> Sample:
    """Draw fields by a hash of their names: the same ones, however many others come and go.

    Parameters
    ----------
    source
        The plate as found.
    job
        Any of its wells, which says how planes are to be read.
    """
    found: dict[str, dict[tuple[Well, int], list[Plane]]] = {
        channel.name: defaultdict(list) for channel in source.channels
    }
    for item in source.planes:
        found[item.channel][item.well, item.site].append(item)
    ranks = {key: _rank(key) for fields in found.values() for key in fields}
    stacks = tuple(
        tuple(_choose_stacks(found[channel.name], ranks, job.projection))
        for channel in source.channels
    )
    return Sample(job.source, job.layout, stacks, job.projection, job.shape, job.dtype)


def _rank(field: tuple[Well, int]) -> int:
    well, site = field
    text = f"{well.row} {well.column} {site}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest())


def _choose_stacks(
    fields: dict[tuple[Well, int], list[Plane]],
    ranks: dict[tuple[Well, int], int],
    how: Projection | None,
) -> Iterator[_Stack]:
    """Choose planes of one channel, a stack each when stacks are projected."""
    if not fields:
        return
    by_field: dict[tuple[Well, int], list[_Stack]] = {}
    for key, planes in fields.items():
        stacks: dict[object, list[Plane]] = defaultdict(list)
        for item in planes:
            stacks[item.t_index if how else (item.t_index, item.z_index)].append(item)
        by_field[key] = [tuple(stack) for stack in stacks.values()]
    depth = max(len(stack) for stacks_ in by_field.values() for stack in stacks_)
    wanted = min(_FIELDS, max(_SHORTEST, _PLANES // depth))
    chosen = sorted(by_field, key=ranks.__getitem__)[:wanted]
    each = -(-wanted // len(chosen))
    for key in chosen:
        own = by_field[key]
        start = ranks[key] % len(own)
        steps = {(start + number * len(own) // each) % len(own) for number in range(each)}
        yield from (own[index] for index in sorted(steps))


def measure_windows(sample: Sample) -> tuple[Window, ...]:
    """Read the sample and say between which values each channel is shown.

    What cannot be read is passed over: the units that read it report it. A channel of which
    nothing can be read is shown over all values of its type.
    """
    with closing(open_source(sample.root, sample.layout)) as source:
        return tuple(
            _choose_window(list(_read_pixels(source, sample, stacks)), np.dtype(sample.dtype))
            for stacks in sample.stacks
        )


def _read_pixels(
    source: Source, sample: Sample, stacks: Sequence[_Stack]
) -> Iterator[NDArray[Any]]:
    """Read a grid of pixels of every picture that can be read."""
    for stack in stacks:
        try:
            planes = (_read_plane(source, sample, item) for item in stack)
            if sample.projection is None or len(stack) == 1:
                picture = next(planes)
            else:
                picture, _ = projection.project(planes, sample.projection)
        except ImageReadError:
            continue
        step = max(1, int(np.sqrt(picture.size / _PIXELS)))
        yield picture[::step, ::step].ravel()


def _read_plane(source: Source, sample: Sample, item: Plane) -> NDArray[Any]:
    """Read a plane; of a channel that differs from the plate's others the header says how."""
    try:
        found = source.read(item, sample.shape, sample.dtype)
    except ImageReadError:
        header = source.header(item)
        found = source.read(item, header.shape, header.dtype)
    return intensity.finite(found)


def _choose_window(grids: Sequence[NDArray[Any]], dtype: np.dtype[Any]) -> Window:
    whole = dtype.kind == "u"
    low, high = (0, int(np.iinfo(dtype).max)) if whole else (0.0, 1.0)
    if not grids:
        return Window(low, high, low, high)
    # Every plane counts alike, however many pixels it has.
    weights = np.concatenate([np.full(grid.size, 1.0 / grid.size) for grid in grids])
    values = np.concatenate(grids)
    order = np.argsort(values, kind="stable")
    values, shares = values[order], np.cumsum(weights[order])
    places = np.searchsorted(shares, np.array(_PERCENTILES) / 100 * shares[-1])
    start, end = values[np.minimum(places, values.size - 1)].tolist()
    if not whole:
        low, high = values[0].item(), max(values[-1].item(), values[0].item() + 1.0)
    if start == end:  # fewer than a thousandth of the pixels differ
        start, end = values[0].item(), values[-1].item()
    if start == end:
        start, end = (start, start + 1) if start < high else (start - 1, start)
    return Window(low, high, start, end)


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of a plate, and what is known of them from the last run.

    Attributes
    ----------
    windows
        One a channel.
    made_from
        Fingerprint of the sample.
    everywhere
        Whether all fields of earlier runs have these windows.
    """

    windows: tuple[Window, ...]
    made_from: str
    everywhere: bool

    def give_to(self, jobs: Sequence[WellJob]) -> list[WellJob]:
        """Return the wells to be written with these windows."""
        return [dataclasses.replace(job, windows=self.windows) for job in jobs]


def plan_windows(source: SourcePlate, jobs: Sequence[WellJob], frame: Frame) -> Windows:
    """Choose the windows of a plate before it is written; pixels of a known sample stay unread."""
    sample = draw_sample(source, jobs[0])
    made_from = fingerprint(_FORMAT, sample.made_from)
    known = frame.recall(_NAME, whole=True)
    before = tuple(Window(*values) for values in known.get("windows", ()))
    windows = before if known.get("made_from") == made_from else measure_windows(sample)
    return Windows(windows, made_from, everywhere=windows == before)


def join_windows(shown: Windows, jobs: Sequence[WellJob], frame: Frame) -> int:
    """Let the fields of earlier runs be shown in these windows; returns how many were changed."""
    changed = 0

    def write(_: Mapping[str, Any]) -> dict[str, Any]:
        nonlocal changed
        if not shown.everywhere:
            others = [job for job in jobs if job.well.name not in frame.ran]
            changed = _renew(frame.out, others, shown.windows)
        windows = [dataclasses.astuple(window) for window in shown.windows]
        return {"windows": windows, "made_from": shown.made_from}

    frame.join(_NAME, MadeFrom(_FORMAT, pixels=shown.made_from), write)
    return changed


def _renew(out: str, jobs: Sequence[WellJob], windows: Sequence[Window]) -> int:
    ledger = Ledger.of(out)
    changed = 0
    for job in jobs:
        record = ledger.read(job.well.name)
        if record is None:
            continue
        with record_writes() as written:
            for row in record.result["images"]:
                plate.set_windows(out, row[col.FIELD_PATH], windows)
        if written:
            # A kill before this leaves sizes that do not fit: the well is then written anew.
            files = {**(record.files or {}), **ledger.continuations(written)}
            ledger.write(job.well.name, dataclasses.replace(record, files=files), 0.0)
            changed += len(written)
    return changed
