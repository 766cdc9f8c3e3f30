"""What the metadata of an OME-Zarr plate and its wells say: wells, acquisitions, format."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hcs.domain.columns import Reason
from hcs.domain.ome.images import ome_of
from hcs.domain.wells import PlateFormat, Well, row_name
from hcs.errors import InputError


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something wrong with a piece of a plate; ``kept`` when the piece is read all the same."""

    reason: Reason
    path: str
    message: str
    well: Well | None = None
    site: int | None = None
    kept: bool = False


@dataclass(frozen=True, slots=True)
class ListedWell:
    """A well that the plate lists, and the path of its group."""

    well: Well
    path: str


@dataclass(frozen=True, slots=True)
class ListedImage:
    """An image that a well lists: its path in the plate, its name in the well."""

    path: str
    name: str
    acquisition: int | None


@dataclass(frozen=True, slots=True)
class ListedField:
    """One place that was imaged: its well and number, and its image in each acquisition."""

    well: Well
    site: int
    images: tuple[ListedImage, ...]


@dataclass(frozen=True, slots=True)
class PlateMetadata:
    """Metadata of a plate.

    Attributes
    ----------
    name
        None where the plate has none.
    version
        Empty where the plate does not say.
    rows, columns
        Declared names.
    wells
        In listing order; those whose position is not understood are among the flaws.
    acquisitions
        Names by id, None where it has none.
    flaws
        What is wrong with single wells.
    """

    name: str | None
    version: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    wells: tuple[ListedWell, ...]
    acquisitions: dict[int, str | None]
    flaws: tuple[Flaw, ...]

    @property
    def plate_format(self) -> PlateFormat:
        """Format whose rows and columns are all declared, else the smallest that has all wells."""
        declared = {_place(row, "1") for row in self.rows}, {_place("A", c) for c in self.columns}
        for plate_format in PlateFormat:
            rows = {Well(row, 0) for row in range(plate_format.n_rows)}
            columns = {Well(0, column) for column in range(plate_format.n_columns)}
            if declared == (rows, columns):
                return plate_format
        return PlateFormat.smallest_for({item.well for item in self.wells})

    @property
    def is_complete(self) -> bool:
        """Whether all rows and columns of the format are declared, so that it is no guess."""
        return (len(set(self.rows)), len(set(self.columns))) == self.plate_format.value


def parse_plate(attributes: Mapping[str, Any]) -> PlateMetadata:
    """Read the metadata of a plate group.

    Raises
    ------
    InputError
        When there are none, or they list no wells.
    """
    ome = ome_of(attributes)
    plate = ome.get("plate")
    if not isinstance(plate, Mapping):
        raise InputError("has no plate metadata")
    if not isinstance(plate.get("wells"), list):
        raise InputError("its plate metadata list no wells")
    rows, columns = (_names(plate.get(key)) for key in ("rows", "columns"))
    wells: list[ListedWell] = []
    flaws: list[Flaw] = []
    seen: dict[Well, str] = {}
    for entry in plate["wells"]:
        found = entry if isinstance(entry, Mapping) else {}
        path = str(found.get("path", "")).strip("/")
        well = place_of(path)
        if well is None:
            message = f"well {path!r} is no row and column such as A/1; its images are left out"
            flaws.append(Flaw(Reason.UNREADABLE, path or "plate", message))
            continue
        if well in seen:
            message = f"{path} and {seen[well]} are both well {well.name}; the latter is used"
            flaws.append(Flaw(Reason.DUPLICATE, path, message, well))
            continue
        seen[well] = path
        if (said := contradiction(found, path, well, rows, columns)) is not None:
            message = f"{said}; the path is believed"
            flaws.append(Flaw(Reason.CONTRADICTORY, path, message, well, kept=True))
        wells.append(ListedWell(well, path))
    name = plate.get("name")
    return PlateMetadata(
        name=str(name) if name not in (None, "") else None,
        version=str(ome.get("version") or plate.get("version") or ""),
        rows=rows,
        columns=columns,
        wells=tuple(wells),
        acquisitions=_acquisitions(plate.get("acquisitions")),
        flaws=tuple(flaws),
    )


def place_of(path: str) -> Well | None:
    """Return the well of a path ``A/1``, ``A/01`` or ``1/1``; None when it is none."""
    row, slash, column = path.partition("/")
    return _place(row, column) if slash else None


def _place(row: str, column: str) -> Well | None:
    if re.fullmatch(r"[0-9]{1,2}", row) and 1 <= int(row) <= PlateFormat.WELLS_1536.n_rows:
        row = row_name(int(row) - 1)
    try:
        return Well.parse(f"{row}{column}") if re.fullmatch(r"[A-Za-z]{1,2}", row) else None
    except InputError:
        return None


def contradiction(
    entry: Mapping[str, Any], path: str, well: Well, rows: Sequence[str], columns: Sequence[str]
) -> str | None:
    """Say where a well's indices point elsewhere than its path; None where they agree.

    An index counts in the declared names, or on the physical plate: programs do either where only
    the used rows and columns are declared.
    """
    row, _, column = path.partition("/")
    said = []
    for key, name, names, physical in (
        ("rowIndex", row, rows, well.row),
        ("columnIndex", column, columns, well.column),
    ):
        index = entry.get(key)
        if index is None or index == physical or index == _position(name, names):
            continue
        inside = isinstance(index, int) and 0 <= index < len(names)
        there = repr(names[index]) if inside else "nothing"
        said.append(f"{key} {index} points at {there}, its path says {name!r}")
    return f"well {path}: {'; '.join(said)}" if said else None


def _position(name: str, names: Sequence[str]) -> int | None:
    return names.index(name) if name in names else None


def _names(entries: object) -> tuple[str, ...]:
    items = entries if isinstance(entries, list) else []
    return tuple(str(item.get("name")) for item in items if isinstance(item, Mapping))


def _acquisitions(entries: object) -> dict[int, str | None]:
    items = entries if isinstance(entries, list) else []
    found = {}
    for item in items:
        if isinstance(item, Mapping) and isinstance(item.get("id"), int):
            name = item.get("name")
            found[int(item["id"])] = str(name) if name not in (None, "") else None
    return found


def parse_well(attributes: Mapping[str, Any], path: str) -> tuple[ListedImage, ...]:
    """Read the images that a well lists, in order.

    Raises
    ------
    InputError
        When the group has no well metadata.
    """
    well = ome_of(attributes).get("well")
    if not isinstance(well, Mapping) or not isinstance(well.get("images"), list):
        raise InputError("has no well metadata that list images")
    listed = []
    for entry in well["images"]:
        found = entry if isinstance(entry, Mapping) else {}
        name = str(found.get("path", "")).strip("/")
        if ".." in name.split("/"):
            raise InputError(f"lists an image at {name!r}, which lies outside of the well")
        acquisition = found.get("acquisition")
        number = acquisition if isinstance(acquisition, int) else None
        listed.append(ListedImage(f"{path}/{name}", name, number))
    return tuple(listed)


def number_sites(wells: Sequence[Sequence[str]]) -> list[list[int]]:
    """Give the images of wells numbers: by their names, or by their order in the list.

    Names count only where all names of the plate are plain integers and none repeats in its well:
    ``left`` and ``right``, or ``1_10`` and ``110``, say nothing that digits could tell apart.

    Examples
    --------
    >>> number_sites([["3", "7"], ["3"]])
    [[3, 7], [3]]
    >>> number_sites([["1_10", "110"], ["110"]])
    [[0, 1], [0]]
    """
    plain = all(re.fullmatch(r"[0-9]{1,9}", name) for names in wells for name in names)
    if plain:
        numbers = [[int(name) for name in names] for names in wells]
        if all(len(set(sites)) == len(sites) for sites in numbers):
            return numbers
    order = {name: index for index, name in enumerate(dict.fromkeys(n for w in wells for n in w))}
    if len(order) == max(map(len, wells), default=0):  # one set of names: a name is one place
        return [[order[name] for name in names] for names in wells]
    return [list(range(len(names))) for names in wells]
