"""A whole study: the sections of ``study.yaml``."""

from __future__ import annotations

from collections import Counter
from typing import Literal, Self

from pydantic import Field, model_validator

from hcs.domain.config.clusters import Cluster, LocalCluster
from hcs.domain.config.measuring import MorphologyConfig
from hcs.domain.config.network import Seed
from hcs.domain.config.options import (
    EmbedOptions,
    ForestOptions,
    IngestOptions,
    ProbeOptions,
    SplitsOptions,
    StackOptions,
    TrainOptions,
)
from hcs.domain.config.planes import OneTime, PlaneChoice
from hcs.domain.config.screening import HitsOptions
from hcs.domain.limits import STUDY_PLATES
from hcs.domain.plate import FileName, Frozen, Name


class StudyPlate(IngestOptions):
    """One plate of a study: where its images are and what it is for."""

    name: FileName
    role: Literal["cohort", "screen"] = "cohort"


class StudyConfig(Frozen):
    """``study.yaml``: everything that ``hcs run`` does, in order.

    Paths are relative to the study file. Outputs go to ``out``. ``preset`` names the defaults of
    :mod:`hcs.domain.config.presets`; ``probes`` left out are not run. ``plane`` says what of a
    z-stack is looked at; of a time-lapse every time point is measured, and ``time`` says which one
    classifiers and hits are made from.
    """

    name: Name
    preset: Literal["imamura2021", "fast"] | None = None
    out: str = "study"
    plates: tuple[StudyPlate, ...] = Field(min_length=1)
    channel: str | None = None
    plane: PlaneChoice | None = None
    time: OneTime | None = None
    seed: Seed = 0
    morphology: MorphologyConfig = MorphologyConfig()
    splits: SplitsOptions = SplitsOptions()
    stack: StackOptions = StackOptions()
    embed: EmbedOptions = EmbedOptions()
    train: TrainOptions = TrainOptions()
    forest: ForestOptions = ForestOptions()
    probes: ProbeOptions | None = None
    hits: HitsOptions = HitsOptions()
    truth: str | None = None
    cluster: Cluster = LocalCluster()

    @model_validator(mode="after")
    def _names_are_unique_and_some_plate_is_a_cohort(self) -> Self:
        if len(self.plates) > STUDY_PLATES.most:
            raise ValueError(f"the study {STUDY_PLATES.describe_excess(len(self.plates))}")
        # Folders are named after them, and some disks do not tell A from a.
        counts = Counter(plate.name.casefold() for plate in self.plates)
        if twice := sorted({p.name for p in self.plates if counts[p.name.casefold()] > 1}):
            msg = f"plate names must be unique; {twice} stand more than once"
            raise ValueError(msg)
        if not any(plate.role == "cohort" for plate in self.plates):
            msg = "no plate has the role 'cohort', so there is nothing to train on"
            raise ValueError(msg)
        return self
