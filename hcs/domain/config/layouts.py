"""How image files are named: one class a vendor, or an expression."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from hcs.domain.plate import Frozen, Name

PageAxis = Literal["channel", "z", "t"]
"""What the pages of a file of several may be."""


MINUTES: Final = {"t_s": 1 / 60, "t_min": 1.0, "t_h": 60.0}
"""Groups of an expression that state a time, with their factors."""


class AutoLayout(Frozen):
    """Recognise the vendor from the file names; refuse when two fit."""

    kind: Literal["auto"] = "auto"


class InCellLayout(Frozen):
    """GE IN Cell names such as ``A - 01(fld 001 wv Blue - FITC).tif``."""

    kind: Literal["incell"] = "incell"


class OperettaLayout(Frozen):
    """Opera Phenix and Operetta names such as ``r03c03f01p01-ch1sk1fk1fl1.tiff``."""

    kind: Literal["operetta"] = "operetta"


class ImageXpressLayout(Frozen):
    """ImageXpress names such as ``Plate_A01_s1_w1.tif``."""

    kind: Literal["imagexpress"] = "imagexpress"


class CellVoyagerLayout(Frozen):
    """CellVoyager and CQ1 names such as ``Plate_D08_T0001F001L01A01Z01C01.tif``."""

    kind: Literal["cellvoyager"] = "cellvoyager"


class CellomicsLayout(Frozen):
    """Cellomics ArrayScan names such as ``Plate_D03f00d0.tif``."""

    kind: Literal["cellomics"] = "cellomics"


class ScanRLayout(Frozen):
    """ScanR names such as ``A1--W00001--P00001--Z00000--T00000--DAPI.tif``."""

    kind: Literal["scanr"] = "scanr"


class CytationLayout(Frozen):
    """Cytation names such as ``A1_01_1_1_DAPI_001.tif``."""

    kind: Literal["cytation"] = "cytation"


class EmblLayout(Frozen):
    """EMBL screening names such as ``P1--A1--A1--W0001--P001--T00001--Z001--C01.tif``."""

    kind: Literal["embl"] = "embl"


class IncucyteLayout(Frozen):
    """Incucyte exports such as ``VID123_Phase_A1_1_2023y07m20d_14h48m.tif``."""

    kind: Literal["incucyte"] = "incucyte"


class OmeTiffLayout(Frozen):
    """OME-TIFF files and companion sets whose OME-XML describes a plate."""

    kind: Literal["ometiff"] = "ometiff"


class FlexLayout(Frozen):
    """FLEX files of an Opera, a well each."""

    kind: Literal["flex"] = "flex"


class ContainerLayout(Frozen):
    """Containers of microscope makers: CZI, ND2, LIF."""

    kind: Literal["container"] = "container"


class OmeZarrLayout(Frozen):
    """An existing OME-Zarr plate, 0.4 or 0.5."""

    kind: Literal["omezarr"] = "omezarr"


class RegexLayout(Frozen):
    r"""Any naming as a regular expression with named groups, matched on the relative path.

    Groups: ``well`` or ``row`` + ``column``, or ``well_number``, which counts from 1 row by row
    and needs the size of the plate; optional ``site``, ``channel``, ``z``, ``t``, ``plate``. A
    height or time with a unit is captured as ``z_um``, or as ``t_s``, ``t_min`` or ``t_h``. For
    example ``(?P<column>\d\d)(?P<row>[A-H])_(?P<channel>\w+)\.tif``. The pattern must match the
    whole relative path, or the whole name without folders. ``well`` is the well of all files when
    their names do not tell it.
    """

    kind: Literal["regex"] = "regex"
    pattern: Name
    well: Annotated[str, Field(pattern=r"^[A-Za-z]{1,2}[0-9]{1,2}$")] | None = None

    @field_validator("pattern")
    @classmethod
    def _is_an_expression(cls, pattern: str) -> str:
        try:
            groups = set(re.compile(pattern).groupindex)
        except (re.error, RecursionError, OverflowError) as error:
            msg = f"not a regular expression: {error}"
            raise ValueError(msg) from error
        known = {"well", "well_number", "row", "column", "site", "channel", "plate"}
        known |= {"z", "z_um", "t", *MINUTES}
        if unknown := groups - known:
            msg = f"unknown groups {sorted(unknown)}; known are {sorted(known)}"
            raise ValueError(msg)
        for several in (groups & {"z", "z_um"}, groups & {"t", *MINUTES}):
            if len(several) > 1:
                msg = f"groups {sorted(several)} say the same thing: keep one of them"
                raise ValueError(msg)
        return pattern

    @model_validator(mode="after")
    def _has_one_well(self) -> Self:
        groups = set(re.compile(self.pattern).groupindex)
        named = groups & {"well", "well_number"} or {"row", "column"} <= groups
        if not named and self.well is None:
            msg = "the pattern needs a group 'well' or 'well_number', or 'row' and 'column'"
            raise ValueError(msg)
        if named and self.well is not None:
            msg = "the pattern tells the well, so 'well' cannot be given as well"
            raise ValueError(msg)
        return self


Layout = Annotated[
    AutoLayout
    | InCellLayout
    | OperettaLayout
    | ImageXpressLayout
    | CellVoyagerLayout
    | CellomicsLayout
    | ScanRLayout
    | CytationLayout
    | EmblLayout
    | IncucyteLayout
    | OmeTiffLayout
    | FlexLayout
    | ContainerLayout
    | OmeZarrLayout
    | RegexLayout,
    Field(discriminator="kind"),
]
