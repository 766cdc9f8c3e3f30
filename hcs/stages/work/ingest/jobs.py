"""From a plate as found to the units of work of ingest: what every field must be, well by well."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, Final

from hcs.domain.config.stages import IngestConfig
from hcs.domain.plate import Plane, PlaneNumbers, SourcePlate
from hcs.domain.wells import Well
from hcs.io.images.sources import OME_ZARR, Source, open_source
from hcs.io.runs.fingerprints import fingerprint
from hcs.ops.projection import Projection
from hcs.stages.work.ingest.channels import Expected
from hcs.stages.work.ingest.earlier import Earlier
from hcs.stages.work.ingest.reading import FieldJob, WellJob
from hcs.stages.work.ingest.vanished import choice_of

FORMAT: Final = 5
"""Raised when what ingest writes changes, so that older plates are redone."""


def well_jobs(
    config: IngestConfig,
    plate: SourcePlate,
    expected: Expected,
    earlier: Earlier,
    *,
    in_place: bool,
) -> list[WellJob]:
    """Group the planes of a plate by well and field, with the fingerprint of each field.

    Parameters
    ----------
    config
        What to read and where to write.
    plate
        The plate as found.
    expected
        What every image must be.
    earlier
        Where an earlier run put each field.
    in_place
        Whether the plate is used as it lies, and nothing is copied.
    """
    grouped: dict[Well, dict[int, list[Plane]]] = {}
    for item in plate.planes:
        grouped.setdefault(item.well, {}).setdefault(item.site, []).append(item)
    source = open_source(config.source, plate.layout)
    # Of one plane that was chosen before, the maximum is the plane itself.
    how: Any = "max" if config.projection.startswith("z:") else config.projection
    projection: Projection | None = None if how == "keep" else how
    paths = _field_paths(plate, earlier, in_place=in_place)
    known = (*plate.planes, *plate.missing) if plate.layout == OME_ZARR else plate.planes
    n_planes = 1 + max(item.z_index for item in known)
    n_times = 1 + max(item.t_index for item in known)
    channels, size = plate.channels, (n_times, n_planes)
    patterns = _Patterns(plate)
    numbers = _name_planes(plate.numbers, n_planes, n_times)
    places = (numbers.z_um, numbers.t_min)
    # Named once: what all fields share would else be written out for each of 10,000.
    chosen = choice_of(config)
    common = fingerprint(FORMAT, expected, channels, size, plate.name, projection, places)
    jobs = []
    for well, sites in sorted(grouped.items()):
        fields = tuple(
            _make_field_job(source, common, paths[well, site], planes, patterns.missing_of(planes))
            for site, planes in sorted(sites.items())
        )
        jobs.append(
            WellJob(
                source=config.source,
                layout=plate.layout,
                out=config.out,
                plate=plate.name,
                well=well,
                fields=fields,
                channels=channels,
                own_pixels=expected.own,
                n_planes=n_planes,
                n_times=n_times,
                numbers=numbers,
                shape=expected.shape,
                dtype=expected.dtype,
                pixel_size_um=expected.pixel_size_um,
                projection=projection,
                in_place=in_place,
                strict=config.strict,
                chosen=chosen,
            )
        )
    return jobs


def _name_planes(numbers: PlaneNumbers, n_planes: int, n_times: int) -> PlaneNumbers:
    """Give planes and times that the source does not number their index."""
    z = numbers.z if len(numbers.z) == n_planes else tuple(range(n_planes))
    t = numbers.t if len(numbers.t) == n_times else tuple(range(n_times))
    return numbers.model_copy(update={"z": z, "t": t})


class _Patterns:
    """Which planes each channel has, so that those which were not acquired are told from missing.

    A plane ``(t, z)`` of a channel is missing in a field that has other planes of the channel when
    a sidecar names its file, or when more than half of the channel's fields have it. Any other was
    not acquired. What no field of the channel has was not acquired either, whatever a sidecar
    lists: a copy of a plate may hold one plane of each stack on purpose, and each file that a
    sidecar names in vain is a row of its own. A channel of which a field has nothing is missing
    there when a sidecar names its files, or when more than half of all fields have it. Images of
    OME-Zarr say themselves which planes they have: of those is missing what the plate notes, and
    nothing else.
    """

    def __init__(self, plate: SourcePlate) -> None:
        self._order = {channel.name: index for index, channel in enumerate(plate.channels)}
        self._fields: Counter[str] = Counter()
        self._have: defaultdict[str, Counter[tuple[int, int]]] = defaultdict(Counter)
        seen = set()
        for plane in plate.planes:
            self._have[plane.channel][plane.t_index, plane.z_index] += 1
            if (place := (plane.well, plane.site, plane.channel)) not in seen:
                seen.add(place)
                self._fields[plane.channel] += 1
        is_noted = plate.layout == OME_ZARR
        self._usual = {
            channel: {
                place for place, n in have.items() if 2 * n > self._fields[channel] and not is_noted
            }
            for channel, have in self._have.items()
        }
        self._is_plain = all(
            n == self._fields[channel]
            for channel, have in self._have.items()
            for n in have.values()
        )
        self._listed: defaultdict[tuple[Well, int, str], set[tuple[int, int]]] = defaultdict(set)
        for plane in plate.missing:
            if is_noted or (plane.t_index, plane.z_index) in self._have.get(plane.channel, ()):
                key = (plane.well, plane.site, plane.channel)
                self._listed[key].add((plane.t_index, plane.z_index))
        n_fields = len({place[:2] for place in seen})
        self._is_plain &= all(n == n_fields for n in self._fields.values())
        self._is_plain &= not (is_noted and self._listed)
        self._lost = set(self._listed) - seen
        self._common = {c for c, n in self._fields.items() if 2 * n > n_fields and not is_noted}

    def missing_of(self, planes: Sequence[Plane]) -> tuple[tuple[int, int, int], ...]:
        """Places ``(t, c, z)`` that a field lacks although it should have them."""
        if self._is_plain:
            return ()
        present: defaultdict[str, set[tuple[int, int]]] = defaultdict(set)
        for plane in planes:
            present[plane.channel].add((plane.t_index, plane.z_index))
        well, site = planes[0].well, planes[0].site
        lacking = [
            (t, self._order[channel], z)
            for channel, there in present.items()
            for t, z in (self._usual[channel] | self._listed.get((well, site, channel), set()))
            - there
        ]
        for channel, order in self._order.items():
            if channel in present:
                continue
            wanted = set(self._usual.get(channel, ())) if channel in self._common else set()
            if (well, site, channel) in self._lost:
                wanted |= self._listed[well, site, channel]
            lacking += [(t, order, z) for t, z in wanted]
        return tuple(sorted(lacking))


def _field_paths(
    plate: SourcePlate, earlier: Earlier, *, in_place: bool
) -> dict[tuple[Well, int], str]:
    """Path of every field in the plate to be.

    It is the distance from the plate's first site, which is that of the earlier run as long as
    there is none before it: a field missing anywhere never shifts its neighbors.
    """
    if in_place:
        return {(item.well, item.site): item.path for item in plate.planes}
    first_site = earlier.find_first_site(plate)
    return {
        (item.well, item.site): f"{item.well.path}/{item.site - first_site}"
        for item in plate.planes
    }


def _make_field_job(
    source: Source,
    common: str,
    path: str,
    planes: list[Plane],
    missing: tuple[tuple[int, int, int], ...],
) -> FieldJob:
    ordered = tuple(sorted(planes, key=lambda item: (item.channel, *item.key[3:])))
    stamps = [(item.path, item.page, item.key[2:], source.stamp(item)) for item in ordered]
    return FieldJob(
        path=path,
        site=ordered[0].site,
        planes=ordered,
        fingerprint=fingerprint(common, stamps, missing),
        missing=missing,
    )
