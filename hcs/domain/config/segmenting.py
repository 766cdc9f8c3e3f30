"""A pixel classifier of one's own: what it learns from, and the plates that it segments."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from hcs.domain.config.labels import GivenObjects, LabelName
from hcs.domain.config.network import Seed
from hcs.domain.config.planes import PlaneChoice, TimeChoice
from hcs.domain.plate import Frozen

BACKGROUND: Final = 1
OBJECT: Final = 2
RIM: Final = 3
"""Classes of pixels, by their number in strokes: ground, inside of objects, edges between them."""

Normalize = Literal["plate", "image"]
"""What brightness is compared with: the fields of the plate together, or each field by itself. By
itself a field without objects has its noise stretched, so the plate is the default."""


class Strokes(Frozen):
    """A few strokes: 0 unlabeled, 1 background, 2 object, 3 (may be absent) edge of an object.

    ``diameter_px`` is that of the objects, which strokes do not tell.
    """

    kind: Literal["strokes"] = "strokes"
    source: GivenObjects
    diameter_px: PositiveFloat


class ObjectLabels(Frozen):
    """Label images in which every object is drawn: 0 background, else one number an object."""

    kind: Literal["objects"] = "objects"
    source: GivenObjects


Annotations = Annotated[Strokes | ObjectLabels, Field(discriminator="kind")]


class PixelOptions(Frozen):
    """How pixels are described and told apart.

    Attributes
    ----------
    sigma_min_px, sigma_max_px
        Scales of the filters, doubled from one to the other (``multiscale_basic_features`` of
        scikit-image: brightness, edges and texture at each).
    normalize
        What brightness is compared with.
    pixels_per_class
        At most so many of each class are drawn from an image.
    n_trees, min_samples_leaf
        Of the forest.
    """

    sigma_min_px: PositiveFloat = 1.0
    sigma_max_px: PositiveFloat = 16.0
    normalize: Normalize = "plate"
    pixels_per_class: PositiveInt = 3000
    n_trees: PositiveInt = 60
    min_samples_leaf: PositiveInt = 4

    @model_validator(mode="after")
    def _ascend(self) -> Self:
        if self.sigma_min_px > self.sigma_max_px:
            msg = f"scales from {self.sigma_min_px:g} to {self.sigma_max_px:g} px: turn them round"
            raise ValueError(msg)
        return self


class SegmentTrainConfig(Frozen):
    """From annotated fields of plates to a pixel classifier.

    ``channels`` left out: the only one. ``plane`` and ``time`` must be said where a plate has
    several planes or time points.
    """

    plates: tuple[str, ...] = Field(min_length=1)
    annotations: Annotations
    out: str
    channels: tuple[str, ...] = ()
    plane: PlaneChoice | None = None
    time: TimeChoice | None = None
    pixels: PixelOptions = PixelOptions()
    seed: Seed = 0
    strict: bool = False


class SegmentConfig(Frozen):
    """A pixel classifier over plates: label images there, and a table with one row an image.

    ``channels`` left out: those of training.
    """

    model: str
    plates: tuple[str, ...] = Field(min_length=1)
    out: str
    name: LabelName = "objects"
    channels: tuple[str, ...] = ()
    plane: PlaneChoice | None = None
    time: TimeChoice | None = None
    strict: bool = False
