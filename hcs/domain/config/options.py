"""The choices of each stage without its paths: what a study's sections and the stages share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, StringConstraints

from hcs.domain import columns as col
from hcs.domain.config.layouts import AutoLayout, Layout, PageAxis
from hcs.domain.config.measuring import FeatureSet
from hcs.domain.config.network import Augmentation, Backbone, FixedOptimizer, Head, Optimizer
from hcs.domain.plate import Frozen

OnePlane = Annotated[
    str, StringConstraints(pattern=r"^z:(\d+|[+-]?\d+(\.\d+)?\s*[uµμ]m)$", strip_whitespace=True)
]
"""One plane of a stack, by its index (``z:2``) or its height (``z:4.5um``)."""


class IngestOptions(Frozen):
    """Where a plate's images are and how they are read.

    ``barcodes`` is a table of plates and the plate map that each carries. ``sheet`` is the sheet
    of a plate map in a workbook, ``barcodes_sheet`` that of the barcode table, ``decimal`` the
    map's decimal sign, where a column does not prove it.
    ``projection`` makes one plane of a z-stack; ``focus`` is the sharpest of each channel, ``z:2``
    or ``z:4.5um`` one of them.
    ``acquisition`` is the one of an OME-Zarr plate that is read; without it several become channels
    of the same fields.
    ``pages`` says what the pages of a file are where its header does not.
    """

    source: str
    layout: Layout = AutoLayout()
    platemap: str | None = None
    barcodes: str | None = None
    sheet: str | None = None
    barcodes_sheet: str | None = None
    decimal: Literal["point", "comma"] | None = None
    plate_wells: Literal[6, 12, 24, 48, 96, 384, 1536] | None = None
    pixel_size_um: PositiveFloat | None = None
    pages: PageAxis | None = None
    projection: Literal["keep", "max", "mean", "focus"] | OnePlane = "keep"
    acquisition: int | None = Field(default=None, ge=0)


class SplitsOptions(Frozen):
    """Group-disjoint, class-balanced splits: counts are groups (clones) per class."""

    group_by: str = col.CLONE
    label: str = col.DIAGNOSIS
    positive: str | None = None
    n_splits: PositiveInt = 55
    train: PositiveInt = 10
    validation: PositiveInt = 3
    test: PositiveInt = 2


class StackOptions(Frozen):
    """Normalised, resized 8-bit images: median → ``median_level``, clip at 255."""

    image_px: Annotated[int, Field(ge=32, le=2048)] = 256
    median_level: Annotated[float, Field(gt=0, lt=255)] = 63.0


class EmbedOptions(Frozen):
    """The frozen network and the augmented views of every image that it sees."""

    backbone: Backbone = Backbone()
    views: Annotated[int, Field(ge=0, le=512)] = 8
    augmentation: Augmentation = Augmentation()
    batch_images: PositiveInt = 16


class TrainOptions(Frozen):
    """The heads, and how they are trained."""

    head: Head = Head()
    optimizer: Optimizer = FixedOptimizer()
    epochs: PositiveInt = 64
    batch_size: PositiveInt = 32


class ForestOptions(Frozen):
    """Random forest on image features.

    ``importance_repeats`` shuffles of each feature, on the test rows of each split, give its
    permutation importance; 0 leaves it out.
    """

    feature_set: FeatureSet = "classic"
    n_trees: PositiveInt = 500
    min_samples_leaf: PositiveInt = 5
    importance_repeats: Annotated[int, Field(ge=0)] = 3


class ProbeOptions(Frozen):
    """The reduced settings under which the probes train their heads.

    The same for real and shuffled labels, and never tuned. Vectors longer than ``max_features``
    are shortened by a random projection. ``epochs`` left out are as many as give about 600
    training steps, 4 to 64.
    """

    n_permutations: PositiveInt = 200
    n_splits: PositiveInt = 8
    epochs: PositiveInt | None = None
    learning_rate: PositiveFloat = 1e-2
    momentum: Annotated[float, Field(ge=0, le=1)] = 0.9
    max_features: PositiveInt = 512
