"""The choices of plate statistics: aggregation, correction, normalization, limits and calling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from hcs.domain.plate import Frozen

Probability = Annotated[float, Field(gt=0, lt=1)]

# ── image → well ────────────────────────────────────────────────────────────────────────────────


class MeanOfImages(Frozen):
    """The arithmetic mean of a well's images."""

    kind: Literal["mean"] = "mean"


class MedianOfImages(Frozen):
    """The median of a well's images."""

    kind: Literal["median"] = "median"


class TrimmedMeanOfImages(Frozen):
    """The mean after a fraction of the images is cut off at each end (rounded down)."""

    kind: Literal["trimmed"] = "trimmed"
    cut_fraction: Annotated[float, Field(ge=0, lt=0.5)] = 0.1


Aggregation = Annotated[
    MeanOfImages | MedianOfImages | TrimmedMeanOfImages, Field(discriminator="kind")
]

# ── spatial correction ──────────────────────────────────────────────────────────────────────────


class NoCorrection(Frozen):
    """Values stay as measured."""

    kind: Literal["none"] = "none"


class MedianPolish(Frozen):
    """Row and column effects of Tukey's two-way median polish are subtracted."""

    kind: Literal["median-polish"] = "median-polish"
    tolerance: PositiveFloat = 0.01
    max_iterations: PositiveInt = 10


class MedianFilter(Frozen):
    """The deviation of a local median from the plate's median is subtracted."""

    kind: Literal["median-filter"] = "median-filter"
    window_rows: Annotated[int, Field(ge=3)] = 5
    window_columns: Annotated[int, Field(ge=3)] = 5


class Loess(Frozen):
    """The deviation of a robust local quadratic surface from the plate's median is subtracted."""

    kind: Literal["loess"] = "loess"
    span: Annotated[float, Field(gt=0, le=1)] = 0.6
    robust_iterations: Annotated[int, Field(ge=0, le=10)] = 3


class LoessWithEdge(Frozen):
    """As loess, and a step between the outermost wells and all others, which no surface follows."""

    kind: Literal["loess-edge"] = "loess-edge"
    span: Annotated[float, Field(gt=0, le=1)] = 0.6
    robust_iterations: Annotated[int, Field(ge=0, le=10)] = 3


SpatialCorrection = Annotated[
    NoCorrection | MedianPolish | MedianFilter | Loess | LoessWithEdge, Field(discriminator="kind")
]

# ── normalization ───────────────────────────────────────────────────────────────────────────────


class NoNormalization(Frozen):
    """Values stay on their own scale."""

    kind: Literal["none"] = "none"


class PercentOfControl(Frozen):
    """100 × value / mean of one kind of control."""

    kind: Literal["percent-of-control"] = "percent-of-control"
    control: Literal["negcon", "poscon"] = "negcon"


class PercentInhibition(Frozen):
    """Normalized percent inhibition: 0 at the negative, 100 at the positive control."""

    kind: Literal["npi"] = "npi"


class PlateMedian(Frozen):
    """Value divided by the median of the treated wells, or minus it (additive scales, logs)."""

    kind: Literal["plate-median"] = "plate-median"
    scale: Literal["multiplicative", "additive"] = "multiplicative"


class ZScore(Frozen):
    """(value − mean) / standard deviation of the reference wells."""

    kind: Literal["z"] = "z"


class RobustZScore(Frozen):
    """(value − median) / (1.4826 × MAD) of the reference wells."""

    kind: Literal["robust-z"] = "robust-z"


class BScore(Frozen):
    """Residual of a two-way median polish / its MAD on the plate."""

    kind: Literal["b-score"] = "b-score"
    tolerance: PositiveFloat = 0.01
    max_iterations: PositiveInt = 10


Normalization = Annotated[
    NoNormalization
    | PercentOfControl
    | PercentInhibition
    | PlateMedian
    | ZScore
    | RobustZScore
    | BScore,
    Field(discriminator="kind"),
]

# ── calling ─────────────────────────────────────────────────────────────────────────────────────


class RobustZCall(Frozen):
    """Robust z beyond ``robust_z_threshold`` and adjusted p within ``fdr``."""

    kind: Literal["robust-z"] = "robust-z"


class SsmdCall(Frozen):
    """SSMD beyond a strength; 1.645 is Zhang's 'fairly strong', 2 'strong', 3 'very strong'."""

    kind: Literal["ssmd"] = "ssmd"
    min_ssmd: PositiveFloat = 2.0


class EmpiricalCall(Frozen):
    """Empirical p against pooled negative controls, adjusted, within ``fdr``."""

    kind: Literal["empirical"] = "empirical"


Call = Annotated[RobustZCall | SsmdCall | EmpiricalCall, Field(discriminator="kind")]


Limit = tuple[float | None, float | None]
"""Least and greatest value; None is no limit."""


def runs_upwards(limits: Mapping[str, Limit]) -> None:
    """Refuse a limit whose least value is above its greatest.

    Raises
    ------
    ValueError
        With the name of the limit.
    """
    for name, (low, high) in limits.items():
        if low is not None and high is not None and low > high:
            msg = f"{name} runs downwards: {low:g} to {high:g}"
            raise ValueError(msg)


class QualityLimits(Frozen):
    """Limits that a plate must keep; None sets no limit.

    Attributes
    ----------
    min_z_prime, min_robust_z_prime
        Least separation of the controls; 0.5 is the usual mark of an excellent assay.
    min_ssmd
        Least absolute SSMD between positive and negative controls.
    max_cv_negcon
        Largest coefficient of variation of the negative controls, as a fraction.
    min_position_p
        Least p of the row, column and edge tests after correction.
    min_replicate_correlation
        Least median Spearman correlation with the plate's replicates.
    """

    min_z_prime: float | None = None
    min_robust_z_prime: float | None = None
    min_ssmd: PositiveFloat | None = None
    max_cv_negcon: PositiveFloat | None = None
    min_position_p: Probability | None = None
    min_replicate_correlation: Annotated[float, Field(ge=-1, le=1)] | None = None


class DoseOptions(Frozen):
    """What concentration-response curves are fitted to, and within which limits.

    Attributes
    ----------
    value
        Column of the table of hits; None is the rescue score where it could be had on any well,
        else the normalized value.
    at_zero, at_infinity
        Least and greatest response without the compound and at saturation; None is no limit,
        equal numbers hold it fixed.
    level
        Response for which the absolute EC50 is asked; 0.5 of a rescue is half-way to healthy.
    """

    value: str | None = None
    at_zero: Limit = (None, None)
    at_infinity: Limit = (None, None)
    level: float = 0.5

    @model_validator(mode="after")
    def _limits_run_upwards(self) -> Self:
        runs_upwards({"at_zero": self.at_zero, "at_infinity": self.at_infinity})
        return self


class HitsOptions(Frozen):
    """Everything that hit calling leaves to choose; the default needs no choice.

    Attributes
    ----------
    aggregation
        How images become one value a well.
    scale
        What the statistics are made of. ``log-odds``: ln(p / (1 − p)) of every image and split,
        averaged; probabilities pile up at 0 and 1, where controls then hardly spread and a
        moderate well stands dozens of robust SD away. ``score``: the numbers as they are.
        ``auto``: log-odds for classifier scores, unless the normalization divides by a control
        or a plate, which needs a scale with a true zero.
    min_images, min_cells
        A well with fewer images, or fewer cells an image on average, is flagged: it keeps its
        value, but is neither control nor hit.
    image_limits
        Limits on columns of the features (focus, saturation, debris, …): an image beyond one is
        named and does not count; a well without any other image is flagged.
    min_controls
        Fewest usable wells that make a kind of control usable on a plate (or batch).
    reference
        ``controls``: negative controls. ``samples``: the treated wells themselves, for screens
        that have no controls; never chosen silently.
    normalize_over, score_over
        Whether the reference wells of the normalization, and those of z scores, SSMD and p, are
        the plate's own or pooled over all plates of a batch.
    direction
        Which way a hit lies: ``auto`` is toward the positive controls where there are any, else
        down for classifier scores (probability of disease) and both ways for other values.
    min_cell_fraction
        A well whose cell count falls below this fraction of the negative controls' median is
        marked toxic and is no hit.
    replicates
        How replicates of one compound and concentration are combined.
    dose
        Concentration-response curves.
    """

    aggregation: Aggregation = MeanOfImages()
    scale: Literal["auto", "score", "log-odds"] = "auto"
    min_images: PositiveInt = 1
    min_cells: Annotated[float, Field(ge=0)] = 0.0
    image_limits: dict[str, Limit] = Field(default_factory=dict)
    min_controls: Annotated[int, Field(ge=2)] = 3
    reference: Literal["controls", "samples"] = "controls"
    normalize_over: Literal["plate", "batch"] = "plate"
    score_over: Literal["plate", "batch"] = "plate"
    spatial: SpatialCorrection = NoCorrection()
    normalization: Normalization = RobustZScore()
    direction: Literal["auto", "decrease", "increase", "both"] = "auto"
    call: Call = RobustZCall()
    robust_z_threshold: PositiveFloat = 3.0
    fdr: Probability = 0.05
    min_cell_fraction: Annotated[float, Field(ge=0, le=1)] = 0.5
    replicates: Literal["mean", "median", "min", "max", "stouffer"] = "median"
    limits: QualityLimits = QualityLimits()
    dose: DoseOptions = DoseOptions()

    @property
    def divides(self) -> bool:
        """Whether the normalization is a ratio."""
        how = self.normalization
        if isinstance(how, PlateMedian):
            return how.scale == "multiplicative"
        return isinstance(how, PercentOfControl)

    @model_validator(mode="after")
    def _image_limits_run_upwards(self) -> Self:
        runs_upwards(self.image_limits)
        return self

    @model_validator(mode="after")
    def _polishes_once(self) -> Self:
        if self.normalization.kind == "b-score" and self.spatial.kind != "none":
            msg = (
                "the B-score is itself a median polish: leave 'spatial' at 'none', "
                f"or choose another normalization than 'b-score' with spatial {self.spatial.kind!r}"
            )
            raise ValueError(msg)
        return self
