"""A whole study: the sections of ``study.yaml``."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from hcs.domain import columns as col
from hcs.domain.config.measuring import FeatureSet
from hcs.domain.config.screening import HitsOptions
from hcs.domain.config.stages import (
    Augmentation,
    AutoLayout,
    Backbone,
    Cluster,
    FixedOptimizer,
    Head,
    Layout,
    LocalCluster,
    MorphologyConfig,
    Optimizer,
    ProbeOptions,
    Seed,
)
from hcs.domain.plate import Frozen, Name


class StudyPlate(Frozen):
    """One plate of a study: where its images are and what it is for."""

    name: Name
    source: str
    role: Literal["cohort", "screen"] = "cohort"
    layout: Layout = AutoLayout()
    platemap: str | None = None
    barcodes: str | None = None
    plate_wells: Literal[6, 12, 24, 48, 96, 384, 1536] | None = None
    pixel_size_um: PositiveFloat | None = None
    projection: Literal["keep", "max", "mean", "best"] = "keep"


class StudySplits(Frozen):
    """The ``splits`` section of a study file."""

    group_by: str = col.CLONE
    label: str = col.DIAGNOSIS
    positive: str | None = None
    n_splits: PositiveInt = 55
    train: PositiveInt = 10
    validation: PositiveInt = 3
    test: PositiveInt = 2


class StudyStack(Frozen):
    """The ``stack`` section of a study file."""

    image_px: Annotated[int, Field(ge=32, le=2048)] = 256
    median_level: Annotated[float, Field(gt=0, lt=255)] = 63.0


class StudyEmbed(Frozen):
    """The ``embed`` section of a study file."""

    backbone: Backbone = Backbone()
    views: Annotated[int, Field(ge=0, le=512)] = 8
    augmentation: Augmentation = Augmentation()
    batch_images: PositiveInt = 16


class StudyTrain(Frozen):
    """The ``train`` section of a study file."""

    head: Head = Head()
    optimizer: Optimizer = FixedOptimizer()
    epochs: PositiveInt = 64
    batch_size: PositiveInt = 32


class StudyForest(Frozen):
    """The ``forest`` section of a study file."""

    feature_set: FeatureSet = "classic"
    n_trees: PositiveInt = 500
    min_samples_leaf: PositiveInt = 5
    importance_repeats: Annotated[int, Field(ge=0)] = 3


class StudyProbes(ProbeOptions):
    """The ``probes`` section of a study file."""


class StudyHits(HitsOptions):
    """The ``hits`` section of a study file."""


class StudyConfig(Frozen):
    """``study.yaml``: everything that ``hcs run`` does, in order.

    Paths are relative to the study file. Outputs go to ``out``. ``preset`` names the defaults of
    :mod:`hcs.domain.config.presets`; ``probes`` left out are not run.
    """

    name: Name
    preset: Literal["imamura2021", "fast"] | None = None
    out: str = "study"
    plates: tuple[StudyPlate, ...] = Field(min_length=1)
    channel: str | None = None
    seed: Seed = 0
    morphology: MorphologyConfig = MorphologyConfig()
    splits: StudySplits = StudySplits()
    stack: StudyStack = StudyStack()
    embed: StudyEmbed = StudyEmbed()
    train: StudyTrain = StudyTrain()
    forest: StudyForest = StudyForest()
    probes: StudyProbes | None = None
    hits: StudyHits = StudyHits()
    truth: str | None = None
    cluster: Cluster = LocalCluster()

    @model_validator(mode="after")
    def _names_are_unique_and_some_plate_is_a_cohort(self) -> Self:
        names = [plate.name for plate in self.plates]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            msg = f"plate names must be unique; {twice} stand more than once"
            raise ValueError(msg)
        if not any(plate.role == "cohort" for plate in self.plates):
            msg = "no plate has the role 'cohort', so there is nothing to train on"
            raise ValueError(msg)
        return self
