"""Containers of microscope makers, whose own metadata tell wells, fields, channels and planes."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

from hcs.domain.columns import Reason
from hcs.domain.ome.images import is_same_size
from hcs.domain.plate import Channel
from hcs.domain.wells import Well
from hcs.errors import ImageReadError, InputError, MissingExtraError
from hcs.io.containers.model import ContainerImage, Position, first_pages
from hcs.io.containers.opening import is_container, open_container
from hcs.io.files.paths import local_path
from hcs.io.images.sources import CONTAINER
from hcs.io.images.steps import agree
from hcs.io.layouts.base import (
    Listing,
    NameFields,
    NamePatterns,
    Sidecar,
    file_name,
    problem,
    stage_position,
)
from hcs.io.layouts.regex import NamedGroups
from hcs.io.layouts.suggest import suggest_pattern

_MINOR: Final = 0.1
"""Share of a folder's images below which containers do not name the missing package."""

_SHOWN: Final = 4


@dataclass(frozen=True)
class ContainerLayout(NamePatterns):
    """Files whose planes stand in their own metadata; ``names`` tell what those leave out."""

    names: NamedGroups | None = None

    def sidecar(self, listing: Listing) -> Sidecar | None:
        """Read the metadata of every container.

        Raises
        ------
        InputError
            When no image tells its well, or names say what containers say otherwise.
        MissingExtraError
            When the package that reads them is not installed.
        """
        paths = [path for path in listing.images if is_container(path)]
        if not paths:
            return None
        if local_path(str(listing.root)) is None:
            msg = f"{paths[0]}: containers are read on this machine only; copy them here first"
            raise InputError(msg)
        try:
            found = _Found(listing, paths, self.names)
        except MissingExtraError:
            if len(paths) < _MINOR * len(listing.images):
                return None  # an overview beside a plate: it is named among the problems
            raise
        return found.sidecar()


LAYOUT: Final = ContainerLayout(
    kind=CONTAINER, title="CZI, ND2 or LIF", example="", patterns=(), marks=()
)


@dataclass(slots=True)
class _Placed:
    """An image of a container, and which field it is."""

    path: str
    first_page: int
    image: ContainerImage
    named: NameFields
    run: str = ""
    site: int = 0

    @property
    def well(self) -> Well:
        return self.named.well


@dataclass(slots=True)
class _Found:
    """What the containers of one folder hold."""

    listing: Listing
    paths: list[str]
    names: NamedGroups | None
    problems: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unknown: list[tuple[str, str]] = field(default_factory=list)

    def sidecar(self) -> Sidecar | None:
        """All of it; None when nothing of containers beside other images can be a field."""
        placed = self._name_runs(self._keep_size(list(self._read_all())))
        if not placed and len(self.paths) < len(self.listing.images):
            return None  # pictures beside a plate, which are named among its problems
        if not placed:
            self._refuse()
        self._number(placed)
        channels: dict[str, Channel] = {}
        for each in placed:
            for channel in each.image.channels:
                channels.setdefault(channel.name, channel)
        wells = len({(each.path, each.well) for each in placed})
        self.notes.append(f"{len(placed)} images of {wells} wells in {len(self.paths)} containers")
        places = [
            stage_position(each.well, each.site, *each.image.place_um)
            for each in placed
            if each.image.place_um is not None
        ]
        held, absent = _list_planes(placed)
        return Sidecar(
            source=self.paths[0],
            plate_name=PurePosixPath(self.paths[0]).stem if len(self.paths) == 1 else None,
            pixel_size_um=placed[0].image.pixel_size_um,
            steps=agree([each.image.steps for each in placed]),
            channels=tuple(channels.values()),
            listed=held,
            absent=absent,
            positions=tuple(place for place in places if place is not None),
            notes=tuple(self.notes),
            problems=tuple(self.problems),
            is_anchor=True,
        )

    def _read_all(self) -> Iterator[_Placed]:
        """Yield every image that can be a field, and note the others."""
        unknown: list[tuple[str, str]] = []
        for path in self.paths:
            try:
                with closing(open_container(f"{self.listing.root}/{path}")) as container:
                    images = container.images
                    self.notes += [f"{path}: {note}" for note in container.notes]
            except ImageReadError as error:
                self.problems.append(problem(Reason(error.reason), path, str(error)))
                continue
            for first, image in zip(first_pages(images), images, strict=False):
                named = self._name(path, image, len(images))
                if image.flaw is not None:
                    message = f"{path}: {image.name!r} is not read: {image.flaw}"
                    row = problem(Reason.UNREAD_PAGES, path, message, fields=named)
                    self.problems.append(row)
                elif named is None:
                    unknown.append((path, image.name))
                else:
                    yield _Placed(path, first, image, named)
        for path, name in unknown:
            message = f"{path}: {name!r} is not read: {self._say_unknown(path, name)}"
            self.problems.append(problem(Reason.UNMATCHED_FILE, path, message))

    def _say_unknown(self, path: str, name: str) -> str:
        if self.names is not None:
            return f"the pattern matches neither '{path}/{name}' nor {path!r}"
        self.unknown.append((path, name))
        return (
            "its metadata tell no well, and wells are not guessed: describe "
            f"'{path}/{name}', or the file alone, with --layout regex"
        )

    def _name(self, path: str, image: ContainerImage, n_images: int) -> NameFields | None:
        """Find well and field by the user's expression, or the well by the metadata alone."""
        if self.names is None:
            return None if image.well is None else NameFields(image.well)
        for name in (f"{path}/{image.name}", f"{file_name(path)}/{image.name}"):
            if (named := self.names.parse(name)) is not None:
                return self._check(path, image, named, 1)
        named = self.names.parse(path)
        return None if named is None else self._check(path, image, named, n_images)

    def _check(
        self, path: str, image: ContainerImage, named: NameFields, n_images: int
    ) -> NameFields:
        """Refuse names that say of a container what it says itself."""
        counts = {"site": n_images, "z": image.n_planes, "t": image.n_times}
        words = {"site": "images", "z": "planes", "t": "times"}
        for group, count in counts.items():
            if count > 1 and getattr(named, group) is not None:
                msg = (
                    f"the pattern captures {group!r} of {path}, which holds {count} "
                    f"{words[group]}: leave it out, or match the names of its images, as in "
                    f"{path}/{image.name}"
                )
                raise InputError(msg)
        return named

    def _keep_size(self, placed: list[_Placed]) -> list[_Placed]:
        """Keep the images of the size of pixels that most have: a plate has one."""
        sizes = Counter(each.image.pixel_size_um for each in placed)
        if not sizes:
            return []
        most = max(sizes, key=lambda size: (sizes[size], size is not None))
        kept = []
        for each in placed:
            if is_same_size(each.image.pixel_size_um, most):
                kept.append(each)
                continue
            message = (
                f"{each.path}: {each.image.name!r} is left out, as the edge of its pixels is "
                f"{_say_size(each.image.pixel_size_um)} and that of most {_say_size(most)}; ingest "
                "it into a plate of its own"
            )
            row = problem(Reason.WRONG_SCALE, each.path, message, fields=each.named)
            self.problems.append(row)
        uneven = [each for each in kept if len(set(each.image.pixels_um)) > 1 and most is None]
        if uneven:
            edges = " × ".join(f"{edge:g}" for edge in uneven[0].image.pixels_um)
            self.notes.append(f"pixels are {edges} µm, not square: the plate gets no pixel size")
        return kept

    def _name_runs(self, placed: list[_Placed]) -> list[_Placed]:
        """Make plates of runs that share wells: fields of two plates must not become one's."""
        if any(each.named.plate or each.named.site is not None for each in placed):
            return placed  # the user's expression tells what is what
        runs: defaultdict[tuple[str, str], set[tuple[Well, str | None]]] = defaultdict(set)
        for each in placed:
            key = (each.path, each.image.group)
            runs[key].add((each.well, each.named.channel))
        counts = Counter(well for wells in runs.values() for well in wells)
        if all(count == 1 for count in counts.values()) or self._differ_in_time(placed):
            return placed
        for each in placed:
            stem = str(PurePosixPath(each.path).with_suffix(""))
            texts = (stem if len(self.paths) > 1 else "", each.image.group)
            each.run = "/".join(text for text in texts if text) or stem
        return placed

    @staticmethod
    def _differ_in_time(placed: Iterable[_Placed]) -> bool:
        return all(each.named.t is not None or each.named.z is not None for each in placed)

    @staticmethod
    def _number(placed: Iterable[_Placed]) -> None:
        """Give the fields of each well numbers from 1, in the order of files and images."""
        seen: defaultdict[tuple[object, ...], int] = defaultdict(int)
        for each in placed:
            named = each.named
            key = (each.well, each.run, named.plate, named.channel, named.t, named.z)
            seen[key] += 1
            each.site = seen[key] if named.site is None else named.site

    def _refuse(self) -> None:
        """Say why nothing is left, and how to tell wells that metadata do not.

        Raises
        ------
        InputError
            With the first reasons.
        """
        shown = "".join(f"\n  {row['message']}" for row in self.problems[:_SHOWN])
        more = len(self.problems) - _SHOWN
        shown += f"\n  … and {more} more" if more > 0 else ""
        msg = f"no image of {self.listing.root} can be read:{shown}"
        if self.unknown:
            path, name = self.unknown[0]
            msg += (
                f"\nfor example --layout 'regex:{_suggest(file_name(path), name)}', and correct "
                "what its groups are called; well_number counts wells row by row and needs "
                "--plate-wells; --well is for files of one well"
            )
        raise InputError(msg)


def _suggest(file: str, image: str) -> str:
    """Build an expression from the name of a file, or of an image that ends in a number."""
    if (pattern := suggest_pattern([file])) is not None:
        return pattern
    start = re.match(r"\D*(?=\d)", image)
    inside = r"(?P<well>[A-H]\d+).*"
    if start is not None:
        rest = ".*" if re.search(r"\d\D", image) else ""
        inside = f"{start[0]}(?P<well_number>\\d+){rest}"
    return f"{re.escape(file)}/{inside}"


def _say_size(size_um: float | None) -> str:
    return "not known" if size_um is None else f"{size_um:g} µm"


Listed = tuple[tuple[str, NameFields], ...]


def _list_planes(placed: Iterable[_Placed]) -> tuple[Listed, Listed]:
    """List the planes of all images, and those that are absent."""
    held: list[tuple[str, NameFields]] = []
    absent: list[tuple[str, NameFields]] = []
    for each in placed:
        image = each.image
        for page in range(image.n_pages):
            position = image.position_of(page)
            fields = _name_plane(each, position, each.first_page + page)
            (absent if position in image.absent else held).append((each.path, fields))
    return tuple(held), tuple(absent)


def _name_plane(each: _Placed, position: Position, page: int) -> NameFields:
    channel, time, z = position
    own, named = each.image.channels[channel].name, each.named
    if named.channel is not None:
        alone = len(each.image.channels) == 1
        own = named.channel if alone else f"{named.channel} {own}"
    return dataclasses.replace(
        named,
        site=each.site,
        channel=own,
        z=z if named.z is None else named.z,
        t=time if named.t is None else named.t,
        plate=named.plate or each.run or None,
        page=page,
    )
