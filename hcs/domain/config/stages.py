"""One configuration a stage; a choice is a discriminated union; units stand in the names."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

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
    Assay,
    Cells,
    FeatureSet,
    FixedLevel,
    Marker,
    MorphologyConfig,
    NeuriteLevel,
    Neurons,
    NoiseLevel,
    Nuclei,
    Otsu,
    Sizes,
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
from hcs.domain.config.options import (
    EmbedOptions,
    ForestOptions,
    IngestOptions,
    ProbeOptions,
    SplitsOptions,
    StackOptions,
    TrainOptions,
)
from hcs.domain.config.planes import OneTime, PlaneChoice, TimeChoice
from hcs.domain.config.screening import HitsOptions
from hcs.domain.config.simulating import SIMULATE_PRESETS, SimulateConfig
from hcs.domain.plate import Frozen, Name, PertType

# ── ingest ──────────────────────────────────────────────────────────────────────────────────────


class IngestConfig(IngestOptions):
    """From a folder of TIFFs and a plate map to ``plate.zarr``.

    ``verify`` reads the plate once more and compares every pixel's checksum with the source. With
    an OME-Zarr plate as ``source`` and the same as ``out`` nothing is copied: the plate map and a
    table of its images are added.
    """

    out: str
    plate_name: Name | None = None
    verify: bool = False
    strict: bool = False

    @model_validator(mode="after")
    def _barcodes_need_a_map(self) -> Self:
        if self.barcodes and not self.platemap:
            msg = "a barcode table says which plate map a plate carries: give platemap as well"
            raise ValueError(msg)
        return self


# ── convert ─────────────────────────────────────────────────────────────────────────────────────


class ConvertConfig(Frozen):
    """From an OME-Zarr plate of any version to one of the version that another program takes."""

    plate: str
    out: str
    ome_zarr: Literal["0.4"] = "0.4"
    strict: bool = False


# ── features ────────────────────────────────────────────────────────────────────────────────────


class FeaturesConfig(Frozen):
    """From plates to ``features.parquet`` and label images.

    ``plane`` and ``time`` must be said where a plate has several planes or time points. ``scales``
    is a file of sizes that an earlier run wrote beside its table.
    """

    plates: tuple[str, ...] = Field(min_length=1)
    out: str
    channel: str | None = None
    plane: PlaneChoice | None = None
    time: TimeChoice | None = None
    morphology: MorphologyConfig = MorphologyConfig()
    scales: str | None = None
    write_labels: bool = True
    strict: bool = False


# ── splits ──────────────────────────────────────────────────────────────────────────────────────


class SplitsConfig(SplitsOptions):
    """From plates to ``splits.json``."""

    plates: tuple[str, ...] = Field(min_length=1)
    out: str
    seed: Seed = 0


# ── network ─────────────────────────────────────────────────────────────────────────────────────


class StackConfig(StackOptions):
    """From plates to ``stack.zarr``.

    ``plane`` and ``time`` must be said where a plate has several planes or time points.
    """

    plates: tuple[str, ...] = Field(min_length=1)
    out: str
    channel: str | None = None
    plane: PlaneChoice | None = None
    time: OneTime | None = None
    images_per_shard: PositiveInt = 32
    strict: bool = False


class EmbedConfig(EmbedOptions):
    """From ``stack.zarr`` to the feature bank."""

    stack: str
    out: str
    seed: Seed = 0


class TrainConfig(TrainOptions):
    """All heads of a study: one for every split.

    ``heads_per_group`` train as one unit of work; left out, 64 on GPUs and 10 on CPUs.
    """

    bank: str
    splits: str
    out: str
    heads_per_group: PositiveInt | None = None
    seed: Seed = 0


class ForestConfig(ForestOptions):
    """From features to forests, on the same splits as the network.

    ``time`` must be said where the features are of several time points.
    """

    features: str
    splits: str
    out: str
    time: OneTime | None = None
    seed: Seed = 0


# ── use ─────────────────────────────────────────────────────────────────────────────────────────


class EvaluateConfig(Frozen):
    """Predictions of one or more model folders to ``evaluation.json``."""

    models: tuple[str, ...] = Field(min_length=1)
    out: str
    n_bootstrap: PositiveInt = 2000
    seed: Seed = 0


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
    """All heads of a study score every image of new plates.

    ``channel`` is the one that shows what the heads were trained on, where it has another name.
    ``plane`` and ``time`` are those of training where nothing else is said.
    """

    models: str
    plates: tuple[str, ...] = Field(min_length=1)
    out: str
    channel: str | None = None
    plane: PlaneChoice | None = None
    time: TimeChoice | None = None
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
    sheet, platemap_sheet
        Sheet of a workbook; by default the only one that holds such a table.
    decimal
        Decimal sign of both tables, where a column alone does not prove it.
    kinds
        What words in the plate configuration of a cellHTS2 screen mean, as ``geneA: negcon``.
    """

    kind: Literal["values"] = "values"
    path: str
    columns: tuple[str, ...] = ()
    cells: str | None = None
    platemap: str | None = None
    sheet: str | None = None
    platemap_sheet: str | None = None
    decimal: Literal["point", "comma"] | None = None
    kinds: dict[str, PertType] = Field(default_factory=dict)


class HitsConfig(HitsOptions):
    """Wells against on-plate controls: image scores, or any other values."""

    source: Annotated[ScoresOfImages | ValuesTable, Field(discriminator="kind")]
    out: str
    time: OneTime | None = None


class ScoreConfig(Frozen):
    """The forests of a study score the images of a features table."""

    models: str
    features: str
    out: str


class ExplainConfig(Frozen):
    """Grad-CAM and guided Grad-CAM of one well (Selvaraju 2017, doi 10.1109/ICCV.2017.74).

    ``plane`` and ``time`` are those of training where nothing else is said.
    """

    models: str
    plate: str
    well: str
    out: str
    plane: PlaneChoice | None = None
    time: TimeChoice | None = None
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
    "Assay",
    "Augmentation",
    "AutoLayout",
    "Backbone",
    "CellVoyagerLayout",
    "CellomicsLayout",
    "Cells",
    "Cluster",
    "ConvertConfig",
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
    "IngestOptions",
    "InlineCluster",
    "KubernetesCluster",
    "Layout",
    "LocalCluster",
    "Marker",
    "MorphologyConfig",
    "NeuriteLevel",
    "Neurons",
    "NoiseLevel",
    "Nuclei",
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
    "Sizes",
    "SlurmCluster",
    "SomaThreshold",
    "SplitsConfig",
    "StackConfig",
    "Threshold",
    "TrainConfig",
    "TunedOptimizer",
    "ValuesTable",
]
