"""What a plate is made of: planes found by a layout, channels, clones and the plate map."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from hcs.domain.wells import PlateFormat, Well

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]

_FILE_NAME_BYTES = 200
"""File systems take 255 a name, and endings are added."""


def _check_file_name(name: str) -> str:
    """Refuse a name that would be a path: what is called so would be written elsewhere."""
    if name in {".", ".."} or any(sign in name for sign in "/\\") or not name.isprintable():
        msg = "a file is named after it, so it takes no / or \\, no line breaks, and is not . or .."
        raise ValueError(msg)
    if len(name.encode()) > _FILE_NAME_BYTES:
        msg = f"a file is named after it, so it takes at most {_FILE_NAME_BYTES} bytes"
        raise ValueError(msg)
    return name


FileName = Annotated[Name, AfterValidator(_check_file_name)]
"""A name after which a file or folder is called."""


class Frozen(BaseModel):
    """Base of all models: immutable, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class PertType(StrEnum):
    """Values of ``Metadata_pert_type`` (JUMP convention)."""

    NEGCON = "negcon"
    POSCON = "poscon"
    TREATMENT = "trt"
    EMPTY = "empty"


class Plane(Frozen):
    """One image file (or page) that a layout recognised: one channel of one field of one well.

    Attributes
    ----------
    path
        File, relative to the source folder, with forward slashes.
    well, site
        Where it was taken. ``site`` is the microscope's own field number, never renumbered.
    channel
        Channel name as the source gives it.
    z_index, t_index
        0-based plane and time point; 0 where the source has none.
    page
        Page within a multi-page file.
    file_pages
        How many pages of the file are planes of the plate. Of a file that stands for one plane,
        whoever reads it must see that it holds no more.
    plate
        Plate name when the file name carries one.
    """

    path: Name
    well: Well
    site: int = Field(ge=0)
    channel: Name = "0"
    z_index: int = Field(default=0, ge=0)
    t_index: int = Field(default=0, ge=0)
    page: int = Field(default=0, ge=0)
    file_pages: int = Field(default=1, ge=1)
    plate: str | None = None

    @property
    def key(self) -> tuple[Well, int, str, int, int]:
        """What this plane is; two planes with the same key are duplicates."""
        return (self.well, self.site, self.channel, self.z_index, self.t_index)


class Channel(Frozen):
    """One channel of a plate.

    ``binning`` × ``binning`` pixels of the plate repeat one pixel that the camera took.
    """

    name: Name
    color: Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{6}$")] = "FFFFFF"
    excitation_nm: float | None = Field(default=None, gt=0)
    emission_nm: float | None = Field(default=None, gt=0)
    binning: int = Field(default=1, ge=1)


def quote_names(channels: Iterable[Channel]) -> str:
    """Names of channels in quotes: a channel may be called 1, which reads as a count.

    Examples
    --------
    >>> quote_names([Channel(name="1"), Channel(name="DAPI")])
    '"1", "DAPI"'
    """
    return ", ".join(f'"{channel.name}"' for channel in channels)


class FlatField(Frozen):
    """A vendor's illumination profile of one channel: a polynomial over the field.

    Attributes
    ----------
    channel
        Name of the channel.
    coefficients
        One tuple a degree, from 0: the factors of x^d, x^(d-1)·y, …, y^d.
    origin_px, scale
        (x, y) each: a pixel is taken to ``(pixel - origin) · scale`` first.
    """

    channel: Name
    coefficients: tuple[tuple[float, ...], ...] = Field(min_length=1)
    origin_px: tuple[float, float]
    scale: tuple[float, float]


class FieldPosition(Frozen):
    """Where the stage stood for a field, as the microscope states it, in µm."""

    well: Well
    site: int
    x_um: float
    y_um: float


class PlaneNumbers(Frozen):
    """What the source calls the z planes and time points of a plate, in the order of their index.

    Attributes
    ----------
    z, t
        Numbers as file names and sidecars have them, in any counting: 1, 3, 5 or 0, 5, 10. Empty
        where the source has none.
    z_um, t_min
        The same places in µm and minutes, empty where the source states no unit.
    """

    z: tuple[float, ...] = ()
    t: tuple[float, ...] = ()
    z_um: tuple[float, ...] = ()
    t_min: tuple[float, ...] = ()


class SourcePlate(Frozen):
    """A plate as a layout found it on disk, before any pixel is read.

    ``excluded`` are wells that the microscope was told to skip; ``missing`` are planes that a
    sidecar names and that are not there; ``numbers`` is what the source calls its planes.
    """

    name: Name
    layout: Name
    plate_format: PlateFormat
    channels: tuple[Channel, ...]
    planes: tuple[Plane, ...]
    missing: tuple[Plane, ...] = ()
    numbers: PlaneNumbers = PlaneNumbers()
    unmatched: tuple[str, ...] = ()
    pixel_size_um: float | None = Field(default=None, gt=0)
    positions: tuple[FieldPosition, ...] = ()
    excluded: tuple[Well, ...] = ()
    flat_fields: tuple[FlatField, ...] = ()


class Clone(Frozen):
    """One iPSC clone (cell line) with its donor and what is known of it."""

    name: Name
    donor: str | None = None
    diagnosis: str | None = None


class PlateMapRow(Frozen):
    """What one well holds, as the plate map says."""

    well: Well
    plate: str | None = None
    clone: str | None = None
    donor: str | None = None
    diagnosis: str | None = None
    batch: str | None = None
    pert_type: PertType | None = None
    compound: str | None = None
    concentration_um: float | None = Field(default=None, ge=0)
    extra: dict[str, str | float | int | bool | None] = Field(default_factory=dict)


class PlateMap(Frozen):
    """All wells that a plate map describes; ``notes`` say what was done to read it."""

    rows: tuple[PlateMapRow, ...]
    source: str = ""
    notes: tuple[str, ...] = ()

    def of_plate(self, plate: str) -> PlateMap:
        """Return the rows of one plate; rows without a plate name belong to every plate."""
        kept = tuple(row for row in self.rows if row.plate is None or row.plate == plate)
        return PlateMap(rows=kept, source=self.source, notes=self.notes)
