"""Objects that somebody else has segmented: where their label images lie, and of what they are."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from hcs.domain.plate import Frozen

LabelName = Annotated[str, StringConstraints(pattern=r"^[^/\\]+$")]
"""Name of a label image in a field; no path."""

Compartment = Literal["cells", "nuclei"]
"""What objects are: cells (in the neurons assay their somas), or nuclei."""

BlankLabels = Literal["refuse", "empty"]
"""What a label of which not one file of pixels is there means: programs may leave out chunks of
zeros, so that a field without objects cannot be told from a lost one. ``refuse`` lists such fields
in the problems, ``empty`` takes them for fields without objects."""


class PlateLabel(Frozen):
    """Label images in the plates, ``<field>/labels/<name>``."""

    kind: Literal["plate"] = "plate"
    name: LabelName


class MaskFolder(Frozen):
    """A folder of mask images, TIFF or PNG, named as the source images or by well and site."""

    kind: Literal["folder"] = "folder"
    path: str


GivenObjects = Annotated[PlateLabel | MaskFolder, Field(discriminator="kind")]


class GivenLabels(Frozen):
    """Objects to measure in place of those that hcs would segment.

    Their numbers are those of the single-cell table. ``blank``: see :data:`BlankLabels`.
    """

    cells: GivenObjects | None = None
    nuclei: GivenObjects | None = None
    blank: BlankLabels = "refuse"

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if self.cells is not None and self.cells == self.nuclei:
            msg = "cells and nuclei are given by the same labels; name one of them only"
            raise ValueError(msg)
        return self

    def __bool__(self) -> bool:
        """Whether any objects are given."""
        return self.cells is not None or self.nuclei is not None
