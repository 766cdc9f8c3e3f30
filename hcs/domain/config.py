"""One configuration a stage; a choice is a discriminated union; units stand in the names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from hcs.domain import tables
from hcs.domain.clusters import (
    Cluster,
    ExistingCluster,
    GpuCluster,
    InlineCluster,
    KubernetesCluster,
    LocalCluster,
    SlurmCluster,
)
from hcs.domain.layouts import (
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
from hcs.domain.measuring import (
    FixedLevel,
    Marker,
    MorphologyConfig,
    NeuriteLevel,
    NoiseLevel,
    Otsu,
    SomaThreshold,
    Threshold,
)
from hcs.domain.network import (
    Augmentation,
    Backbone,
    FixedOptimizer,
    Fraction,
    Head,
    Optimizer,
    Seed,
    TunedOptimizer,
)
from hcs.domain.plate import Frozen, Name
from hcs.domain.screening import HitsOptions

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
