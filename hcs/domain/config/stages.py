"""One configuration a stage; a choice is a discriminated union; units stand in the names."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from hcs.domain import columns as col
from hcs.domain.config.clusters import (
    Cluster,
    ExistingCluster,
    GpuCluster,
    InlineCluster,
    KubernetesCluster,
    LocalCluster,
    SlurmCluster,
)
from hcs.domain.config.layouts import (
    AutoLayout,
    CellomicsLayout,
    CellVoyagerLayout,
    CytationLayout,
    ImageXpressLayout,
    InCellLayout,
    Layout,
    OmeTiffLayout,
    OmeZarrLayout,
    OperettaLayout,
    RegexLayout,
    ScanRLayout,
)
from hcs.domain.config.measuring import (
    FeatureSet,
    FixedLevel,
    Marker,
    MorphologyConfig,
    NeuriteLevel,
    NoiseLevel,
    Otsu,
    SomaThreshold,
    Threshold,
)
from hcs.domain.config.network import (
    Augmentation,
    Backbone,
    FixedOptimizer,
    Fraction,
    Head,
    Optimizer,
    Seed,
    TunedOptimizer,
)
from hcs.domain.config.screening import HitsOptions
from hcs.domain.config.simulating import SIMULATE_PRESETS, SimulateConfig
from hcs.domain.plate import Frozen, Name

# ── ingest ──────────────────────────────────────────────────────────────────────────────────────


class IngestConfig(Frozen):
    """From a folder of TIFFs and a plate map to ``plate.zarr``.

    ``barcodes`` is a table of plates and the plate map that each carries. ``projection`` makes one
    plane of a z-stack; ``best`` is the sharpest of each channel. ``verify`` reads the plate once
    more and compares every pixel's checksum with the source. With an OME-Zarr plate as ``source``
    and the same as ``out`` nothing is copied: the plate map and a table of its images are added.
    """

    source: str
    out: str
    layout: Layout = AutoLayout()
    platemap: str | None = None
    barcodes: str | None = None
    plate_name: Name | None = None
    plate_wells: Literal[6, 12, 24, 48, 96, 384, 1536] | None = None
    pixel_size_um: PositiveFloat | None = None
    projection: Literal["keep", "max", "mean", "best"] = "keep"
    verify: bool = False
    strict: bool = False

    @model_validator(mode="after")
    def _barcodes_need_a_map(self) -> Self:
        if self.barcodes and not self.platemap:
            msg = "a barcode table says which plate map a plate carries: give platemap as well"
            raise ValueError(msg)
        return self


# ── features ────────────────────────────────────────────────────────────────────────────────────


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
    group_by: str = col.CLONE
    label: str = col.DIAGNOSIS
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


class EmbedConfig(Frozen):
    """From ``stack.zarr`` to the feature bank."""

    stack: str
    out: str
    backbone: Backbone = Backbone()
    views: Annotated[int, Field(ge=0, le=512)] = 8
    augmentation: Augmentation = Augmentation()
    batch_images: PositiveInt = 16
    seed: Seed = 0


class TrainConfig(Frozen):
    """All heads of a study: one for every split.

    ``heads_per_group`` train as one unit of work; left out, 64 on GPUs and 10 on CPUs.
    """

    bank: str
    splits: str
    out: str
    head: Head = Head()
    optimizer: Optimizer = FixedOptimizer()
    epochs: PositiveInt = 64
    batch_size: PositiveInt = 32
    heads_per_group: PositiveInt | None = None
    seed: Seed = 0


class ForestConfig(Frozen):
    """Random forest on image features, on the same splits.

    ``importance_repeats`` shuffles of each feature, on the test rows of each split, give its
    permutation importance; 0 leaves it out.
    """

    features: str
    splits: str
    out: str
    feature_set: FeatureSet = "classic"
    n_trees: PositiveInt = 500
    min_samples_leaf: PositiveInt = 5
    importance_repeats: Annotated[int, Field(ge=0)] = 3
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


class ScoresOfImages(Frozen):
    """What ``hcs predict`` wrote; ``features`` adds cell counts."""

    kind: Literal["predictions"] = "predictions"
    path: str
    features: str | None = None


class ValuesTable(Frozen):
    """Plate-reader values or any feature column.

    Attributes
    ----------
    path
        Parquet, CSV, TSV or XLSX with plate, well and values, or a cellHTS2 plate list.
    columns
        Columns of values, each through the statistics on its own; none names the only one.
    cells
        Column of cell counts; by default ``Image_Count_Cells`` where there is one.
    platemap
        What the wells hold, where the table does not say it.
    """

    kind: Literal["values"] = "values"
    path: str
    columns: tuple[str, ...] = ()
    cells: str | None = None
    platemap: str | None = None


class HitsConfig(HitsOptions):
    """Wells against on-plate controls: image scores, or any other values."""

    source: Annotated[ScoresOfImages | ValuesTable, Field(discriminator="kind")]
    out: str


class ScoreConfig(Frozen):
    """The forests of a study score the images of a features table."""

    models: str
    features: str
    out: str


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


__all__ = [
    "SIMULATE_PRESETS",
    "Augmentation",
    "AutoLayout",
    "Backbone",
    "CellVoyagerLayout",
    "CellomicsLayout",
    "Cluster",
    "CytationLayout",
    "EmbedConfig",
    "EvaluateConfig",
    "ExistingCluster",
    "ExplainConfig",
    "ExportConfig",
    "FeatureSet",
    "FeaturesConfig",
    "FixedLevel",
    "FixedOptimizer",
    "ForestConfig",
    "Fraction",
    "GpuCluster",
    "Head",
    "HitsConfig",
    "ImageXpressLayout",
    "InCellLayout",
    "IngestConfig",
    "InlineCluster",
    "KubernetesCluster",
    "Layout",
    "LocalCluster",
    "Marker",
    "MorphologyConfig",
    "NeuriteLevel",
    "NoiseLevel",
    "OmeTiffLayout",
    "OmeZarrLayout",
    "OperettaLayout",
    "Optimizer",
    "Otsu",
    "PredictConfig",
    "ProbeConfig",
    "ProbeOptions",
    "RegexLayout",
    "ReportConfig",
    "ScanRLayout",
    "ScoreConfig",
    "ScoresOfImages",
    "Seed",
    "SimulateConfig",
    "SlurmCluster",
    "SomaThreshold",
    "SplitsConfig",
    "StackConfig",
    "Threshold",
    "TrainConfig",
    "TunedOptimizer",
    "ValuesTable",
]
