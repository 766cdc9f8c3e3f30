"""One configuration a stage; a choice is a discriminated union; units stand in the names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from hcs.domain import tables
from hcs.domain.plate import Frozen, Name
from hcs.domain.screening import HitsOptions

Fraction = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]

# ── where work runs ─────────────────────────────────────────────────────────────────────────────


class LocalCluster(Frozen):
    """Worker processes on this machine; sizes left out are fitted to it."""

    kind: Literal["local"] = "local"
    n_workers: PositiveInt | None = None
    threads_per_worker: PositiveInt = 1
    memory_gib_per_worker: PositiveFloat | None = None


class InlineCluster(Frozen):
    """No workers: everything runs in the calling process, one unit after the other."""

    kind: Literal["inline"] = "inline"


class ExistingCluster(Frozen):
    """A running Dask scheduler."""

    kind: Literal["address"] = "address"
    address: Annotated[str, Field(pattern=r"^(tcp|tls|ws|wss|inproc|ucx)://")]


class GpuCluster(Frozen):
    """One worker process a GPU on this machine, beside CPU workers."""

    kind: Literal["gpu"] = "gpu"
    devices: tuple[int, ...] | None = None
    n_cpu_workers: PositiveInt | None = None


class SlurmCluster(Frozen):
    """Workers as SLURM jobs (needs the extra ``slurm``)."""

    kind: Literal["slurm"] = "slurm"
    n_jobs: PositiveInt = 1
    cores: PositiveInt = 8
    memory_gib: PositiveFloat = 32
    queue: str | None = None
    walltime: str = "04:00:00"
    gpus_per_job: Annotated[int, Field(ge=0)] = 0


class KubernetesCluster(Frozen):
    """Workers as pods (needs the extra ``kubernetes``)."""

    kind: Literal["kubernetes"] = "kubernetes"
    image: str
    n_workers: PositiveInt = 2
    namespace: str = "default"


Cluster = Annotated[
    LocalCluster | InlineCluster | ExistingCluster | GpuCluster | SlurmCluster | KubernetesCluster,
    Field(discriminator="kind"),
]

# ── simulate ────────────────────────────────────────────────────────────────────────────────────


SIMULATE_PRESETS: Final[Mapping[str, Mapping[str, Any]]] = {
    "demo": {"clones_per_class": 6, "fields_per_well": 2, "screen_fields_per_well": 1},
    "cohort": {},
    "null": {"phenotype_strength": 0.0},
    "screen": {"screen_plates": 2, "screen_replicates": 2},
}
"""What a preset of :class:`SimulateConfig` sets where nothing is given."""


class SimulateConfig(Frozen):
    """What ``hcs simulate`` draws.

    ``demo``, ``cohort`` and ``null`` make a cohort of clones on plates; ``demo`` adds a screen
    plate; ``screen`` makes screen plates alone. A preset only sets other defaults: whatever is
    given counts. ``neurons_per_image`` left out is 110 neurons a mm², whatever the field's size.
    ``screen_replicates`` screen plates carry the same compounds.
    """

    out: str
    preset: Literal["demo", "cohort", "null", "screen"] = "demo"
    seed: Seed = 0
    image_px: Annotated[int, Field(ge=32, le=4096)] = 512
    pixel_size_um: PositiveFloat = 0.65
    clones_per_class: PositiveInt = 8
    images_per_clone: PositiveInt = 12
    fields_per_well: PositiveInt = 4
    batches: PositiveInt = 2
    phenotype_strength: Annotated[float, Field(ge=0, le=3)] = 1.0
    clone_variation: Annotated[float, Field(ge=0, le=3)] = 1.0
    batch_variation: Annotated[float, Field(ge=0, le=3)] = 1.0
    neurons_per_image: PositiveFloat | None = None
    screen_wells: Literal[24, 96, 384] = 96
    screen_plates: PositiveInt = 1
    screen_replicates: PositiveInt = 1
    screen_fields_per_well: PositiveInt = 2
    gradient_strength: Annotated[float, Field(ge=0, le=3)] = 1.0

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, given: Any) -> Any:  # noqa: ANN401 - pydantic hands over raw input
        if not isinstance(given, Mapping):
            return given
        preset = str(given.get("preset", "demo"))
        return {**SIMULATE_PRESETS.get(preset, {}), **given}

    @model_validator(mode="after")
    def _null_has_no_phenotype(self) -> Self:
        if self.preset == "null" and self.phenotype_strength > 0:
            msg = "the preset 'null' has no class difference: phenotype_strength must be 0"
            raise ValueError(msg)
        return self


# ── ingest ──────────────────────────────────────────────────────────────────────────────────────


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


class OmeTiffLayout(Frozen):
    """OME-TIFF files and companion sets whose OME-XML describes a plate."""

    kind: Literal["ometiff"] = "ometiff"


class RegexLayout(Frozen):
    r"""Any naming as a regular expression with named groups, matched on the relative path.

    Groups: ``well`` or ``row`` + ``column``; optional ``site``, ``channel``, ``z``, ``t``,
    ``plate``. For example ``(?P<column>\d\d)(?P<row>[A-H])_(?P<channel>\w+)\.tif``. The pattern
    must match the whole relative path, or the whole name without folders. ``pages`` says what the
    pages of a file are when the file does not; ``well`` is the well of all files when their names
    do not tell it.
    """

    kind: Literal["regex"] = "regex"
    pattern: Name
    pages: Literal["channel", "z", "t"] | None = None
    well: Annotated[str, Field(pattern=r"^[A-Za-z]{1,2}[0-9]{1,2}$")] | None = None

    @field_validator("pattern")
    @classmethod
    def _is_an_expression(cls, pattern: str) -> str:
        try:
            groups = set(re.compile(pattern).groupindex)
        except re.error as error:
            msg = f"not a regular expression: {error}"
            raise ValueError(msg) from error
        known = {"well", "row", "column", "site", "channel", "z", "t", "plate"}
        if unknown := groups - known:
            msg = f"unknown groups {sorted(unknown)}; known are {sorted(known)}"
            raise ValueError(msg)
        return pattern

    @model_validator(mode="after")
    def _has_one_well(self) -> Self:
        groups = set(re.compile(self.pattern).groupindex)
        named = "well" in groups or {"row", "column"} <= groups
        if not named and self.well is None:
            msg = "the pattern needs a group 'well', or the groups 'row' and 'column'"
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
    | OmeTiffLayout
    | RegexLayout,
    Field(discriminator="kind"),
]


class IngestConfig(Frozen):
    """From a folder of TIFFs and a plate map to ``plate.zarr``."""

    source: str
    out: str
    layout: Layout = AutoLayout()
    platemap: str | None = None
    plate_name: Name | None = None
    plate_wells: Literal[6, 12, 24, 48, 96, 384, 1536] | None = None
    pixel_size_um: PositiveFloat | None = None
    strict: bool = False


# ── features ────────────────────────────────────────────────────────────────────────────────────


class Otsu(Frozen):
    """Threshold between two classes of intensity (Otsu 1979, doi 10.1109/TSMC.1979.4310076)."""

    kind: Literal["otsu"] = "otsu"


class FixedLevel(Frozen):
    """A threshold in counts of the acquired image, background subtracted."""

    kind: Literal["fixed"] = "fixed"
    level_counts: PositiveFloat


class NoiseLevel(Frozen):
    """A threshold as a multiple of the image's own noise (1.4826 × MAD of the ridge response)."""

    kind: Literal["noise"] = "noise"
    multiple: PositiveFloat = 5.0


Threshold = Annotated[Otsu | FixedLevel | NoiseLevel, Field(discriminator="kind")]


class MorphologyConfig(Frozen):
    """Scales of segmentation, in µm where the plate has a pixel size, else in pixels."""

    soma_diameter_um: PositiveFloat = 14.0
    neurite_width_um: PositiveFloat = 2.0
    soma_diameter_px: PositiveFloat = 22.0
    neurite_width_px: PositiveFloat = 3.0
    soma_threshold: Threshold = Otsu()
    neurite_threshold: Threshold = NoiseLevel()
    min_neurite_length_um: Annotated[float, Field(ge=0)] = 10.0
    min_neurite_length_px: Annotated[float, Field(ge=0)] = 15.0


class FeaturesConfig(Frozen):
    """From plates to ``features.parquet`` and label images."""

    plates: tuple[str, ...] = Field(min_length=1)
    out: str
    channel: str | None = None
    morphology: MorphologyConfig = MorphologyConfig()
    write_labels: bool = True
    strict: bool = False


# ── splits ──────────────────────────────────────────────────────────────────────────────────────


class SplitsConfig(Frozen):
    """Group-disjoint, class-balanced splits: counts are groups (clones) per class."""

    plates: tuple[str, ...] = Field(min_length=1)
    out: str
    group_by: str = tables.CLONE
    label: str = tables.DIAGNOSIS
    positive: str | None = None
    n_splits: PositiveInt = 55
    train: PositiveInt = 10
    validation: PositiveInt = 3
    test: PositiveInt = 2
    seed: Seed = 0


# ── network ─────────────────────────────────────────────────────────────────────────────────────


class StackConfig(Frozen):
    """Normalised, resized 8-bit images of all plates: median → ``median_level``, clip at 255."""

    plates: tuple[str, ...] = Field(min_length=1)
    out: str
    channel: str | None = None
    image_px: Annotated[int, Field(ge=32, le=2048)] = 256
    median_level: Annotated[float, Field(gt=0, lt=255)] = 63.0
    images_per_shard: PositiveInt = 32
    strict: bool = False


class Augmentation(Frozen):
    """Ranges of the random affine of an augmented view; all zero and no flips is none."""

    rotation_deg: Annotated[float, Field(ge=0, le=180)] = 180.0
    shift_fraction: Fraction = 0.1
    zoom_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.1
    flip_horizontal: bool = True
    flip_vertical: bool = True


class Backbone(Frozen):
    """The frozen network: weights are ``imagenet``, ``random``, or a file.

    Features are the output of ``layer`` (the last one when left out), pooled.
    """

    name: Literal["vgg16", "vgg19", "resnet50"] = "vgg16"
    weights: Name = "imagenet"
    layer: Name | None = None
    pooling: Literal["avg", "max", "flatten"] = "avg"
    seed: Seed = 0


class EmbedConfig(Frozen):
    """From ``stack.zarr`` to the feature bank."""

    stack: str
    out: str
    backbone: Backbone = Backbone()
    views: Annotated[int, Field(ge=0, le=512)] = 8
    augmentation: Augmentation = Augmentation()
    batch_images: PositiveInt = 16
    seed: Seed = 0


class Head(Frozen):
    """The new, regularised head: dense → ReLU → dropout → dense.

    ``standardize`` brings every feature to zero mean and unit spread over the training images of
    the split. ``keep`` is the epoch whose weights are kept: the ``last`` one, or the ``best`` by
    validation accuracy. The study states neither.
    """

    hidden_units: PositiveInt = 256
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    l2: Annotated[float, Field(ge=0)] = 1e-4
    standardize: bool = True
    keep: Literal["last", "best"] = "last"


class FixedOptimizer(Frozen):
    """The same learning rate and momentum for every split."""

    kind: Literal["fixed"] = "fixed"
    learning_rate: PositiveFloat = 1e-2
    momentum: Annotated[float, Field(ge=0, le=1)] = 0.9


class TunedOptimizer(Frozen):
    """Learning rate (log-uniform) and momentum tuned by validation accuracy, split by split."""

    kind: Literal["tuned"] = "tuned"
    sampler: Literal["tpe", "random"] = "tpe"
    trials: PositiveInt = 20
    trials_at_once: PositiveInt = 5
    learning_rate_min: PositiveFloat = 1e-4
    learning_rate_max: PositiveFloat = 1e-2
    momentum_min: Annotated[float, Field(ge=0, le=1)] = 0.7
    momentum_max: Annotated[float, Field(ge=0, le=1)] = 1.0

    @model_validator(mode="after")
    def _ranges_run_upwards(self) -> Self:
        if self.learning_rate_min > self.learning_rate_max:
            msg = "learning_rate_min is above learning_rate_max"
            raise ValueError(msg)
        if self.momentum_min > self.momentum_max:
            msg = "momentum_min is above momentum_max"
            raise ValueError(msg)
        return self


Optimizer = Annotated[FixedOptimizer | TunedOptimizer, Field(discriminator="kind")]


class TrainConfig(Frozen):
    """All heads of a study: one for every split."""

    bank: str
    splits: str
    out: str
    head: Head = Head()
    optimizer: Optimizer = FixedOptimizer()
    epochs: PositiveInt = 64
    batch_size: PositiveInt = 32
    heads_per_group: PositiveInt = 64
    seed: Seed = 0


class ForestConfig(Frozen):
    """Random forest on image features, on the same splits."""

    features: str
    splits: str
    out: str
    feature_set: Literal["classic", "all"] = "classic"
    n_trees: PositiveInt = 500
    min_samples_leaf: PositiveInt = 5
    seed: Seed = 0


# ── use ─────────────────────────────────────────────────────────────────────────────────────────


class EvaluateConfig(Frozen):
    """Predictions of one or more model folders to ``evaluation.json``."""

    models: tuple[str, ...] = Field(min_length=1)
    out: str
    n_bootstrap: PositiveInt = 2000
    seed: Seed = 0


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


class ProbeConfig(ProbeOptions):
    """What else than biology the scores could mean: bank, splits and models to ``probes.json``.

    ``features`` and the image tables of ``plates`` give background and intensity; ``models`` are
    folders with predictions, the first of which the baseline is held against.
    """

    bank: str
    splits: str
    models: tuple[str, ...] = ()
    features: str | None = None
    plates: tuple[str, ...] = ()
    out: str = "probes.json"
    head: Head = Head()
    batch_size: PositiveInt = 32
    permutations_per_unit: PositiveInt = 10
    seed: Seed = 0


class PredictConfig(Frozen):
    """All heads of a study score every image of new plates."""

    models: str
    plates: tuple[str, ...] = Field(min_length=1)
    out: str
    weights: str | None = None
    batch_images: PositiveInt = 16
    strict: bool = False


class HitsConfig(HitsOptions):
    """Per-well scores against on-plate controls; ``features`` adds cell counts."""

    predictions: str
    out: str
    features: str | None = None


class ExplainConfig(Frozen):
    """Grad-CAM and guided Grad-CAM of one well (Selvaraju 2017, doi 10.1109/ICCV.2017.74)."""

    models: str
    plate: str
    well: str
    out: str
    layer: str = "block3_conv3"
    split: Annotated[int, Field(ge=0)] = 0
    weights: str | None = None


class ExportConfig(Frozen):
    """One trained head with its base as an ordinary ``.keras`` model."""

    models: str
    out: str
    split: Annotated[int, Field(ge=0)] = 0
    weights: str | None = None


class ReportConfig(Frozen):
    """A study folder to one self-contained page."""

    study: str
    out: str


# ── a whole study ───────────────────────────────────────────────────────────────────────────────


class StudyPlate(Frozen):
    """One plate of a study: where its images are and what it is for."""

    name: Name
    source: str
    role: Literal["cohort", "screen"] = "cohort"
    layout: Layout = AutoLayout()
    platemap: str | None = None
    plate_wells: Literal[6, 12, 24, 48, 96, 384, 1536] | None = None
    pixel_size_um: PositiveFloat | None = None


class StudySplits(Frozen):
    """The ``splits`` section of a study file."""

    group_by: str = tables.CLONE
    label: str = tables.DIAGNOSIS
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

    feature_set: Literal["classic", "all"] = "classic"
    n_trees: PositiveInt = 500
    min_samples_leaf: PositiveInt = 5


class StudyProbes(ProbeOptions):
    """The ``probes`` section of a study file."""


class StudyHits(HitsOptions):
    """The ``hits`` section of a study file."""


class StudyConfig(Frozen):
    """``study.yaml``: everything that ``hcs run`` does, in order.

    Paths are relative to the study file. Outputs go to ``out``. ``preset`` names the defaults of
    :mod:`hcs.domain.presets`; ``probes`` left out are not run.
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
