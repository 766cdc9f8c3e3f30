"""The file format ``evaluation.json``: how well each model did, by split, by image and by group.

A *group* is what the splits keep together: a clone in a study. Numbers that are not defined (for
example the ROC AUC of a test set that holds one class only) are null, and ``warnings`` says why.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field, JsonValue

from hcs.domain.columns import Role
from hcs.domain.plate import Frozen, Name
from hcs.domain.readable_json import Document
from hcs.errors import UnknownNameError

Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
TestDesign = Literal["random splits", "k-fold", "leave-pairs-out", "one test set"]
Varied = Literal["donor", "group", "donor or group"]


class Unit(StrEnum):
    """What is counted once: an image, or a group (clone) with the mean score of its images."""

    IMAGE = "image"
    GROUP = "group"


class Metric(StrEnum):
    """What is measured on every split."""

    ACCURACY = "accuracy"
    BALANCED_ACCURACY = "balanced_accuracy"
    ROC_AUC = "roc_auc"
    PR_AUC = "pr_auc"
    F1 = "f1"
    BRIER = "brier"


METRIC_TITLES: Final = {
    Metric.ACCURACY: "accuracy",
    Metric.BALANCED_ACCURACY: "balanced accuracy",
    Metric.ROC_AUC: "ROC AUC",
    Metric.PR_AUC: "PR AUC (average precision)",
    Metric.F1: "F1",
    Metric.BRIER: "Brier score (lower is better)",
}
"""How people call them."""


class SplitScores(Frozen):
    """All metrics of one split, role and unit; ``n`` images or groups."""

    split: Count
    role: Role
    unit: Unit
    n: Count
    accuracy: Share | None
    balanced_accuracy: Share | None
    roc_auc: Share | None
    pr_auc: Share | None
    f1: Share | None
    brier: Share | None


class Summary(Frozen):
    """Mean and standard deviation (n − 1) of one metric over the ``n`` splits that define it."""

    role: Role
    unit: Unit
    metric: Metric
    mean: float | None
    sd: float | None
    n: Count


class MeanRoc(Frozen):
    """ROC curves of all test splits on one grid of false-positive rates, images as units.

    Attributes
    ----------
    fpr
        Grid from 0 to 1.
    tpr_mean, tpr_sd
        Mean and standard deviation over the splits at each grid point.
    tpr_pooled
        Curve of all test images of all splits taken together.
    n_splits
        Splits that have a curve.
    """

    fpr: tuple[Share, ...]
    tpr_mean: tuple[Share, ...]
    tpr_sd: tuple[float, ...]
    tpr_pooled: tuple[Share, ...]
    n_splits: Count


class GroupScore(Frozen):
    """One group (clone) over all splits in which it was tested.

    Attributes
    ----------
    accuracy
        Share of its images called right: mean over these splits.
    score
        Mean probability of the positive class.
    ci_low, ci_high
        Interval of the score; wells and splits are resampled, never single images.
    call
        Class that the mean score says.
    correct
        Whether the call is the label.
    clear
        Whether the interval keeps the call on one side of one half.
    """

    group: Name
    donor: Name | None
    label: Name
    n_images: Count
    n_wells: Count
    n_splits: Count
    accuracy: Share | None
    score: Share | None
    ci_low: Share | None
    ci_high: Share | None
    call: Name | None
    correct: bool | None
    clear: bool | None


class Confusion(Frozen):
    """Test predictions of all splits: rows are true classes, columns are calls."""

    unit: Unit
    labels: tuple[Name, ...]
    counts: tuple[tuple[Count, ...], ...]


class CalibrationBin(Frozen):
    """Test images of all splits whose score lies in ``low``..``high``."""

    low: Share
    high: Share
    n: Count
    mean_score: Share | None
    positive_share: Share | None


class Interval(Frozen):
    """A metric over the whole study, with an interval for other donors (clones) than these.

    Attributes
    ----------
    design
        How groups were tested, as far as the predictions show it: ``k-fold`` (each in one split),
        ``leave-pairs-out`` (every pair of two classes in one split), ``one test set`` (a single
        split), else ``random splits``.
    varied, n_varied
        What is independent of each other and varies, and how many of it are tested in the smallest
        class.
    method
        The same in words.
    """

    metric: Metric
    unit: Unit
    value: float | None
    low: float | None
    high: float | None
    level: Share = 0.95
    design: TestDesign = "random splits"
    varied: Varied = "donor"
    n_varied: Count = 0
    method: str


class ModelEvaluation(Frozen):
    """Everything about one model."""

    model: Name
    n_splits: Count
    summary: tuple[Summary, ...]
    intervals: tuple[Interval, ...]
    mean_roc: MeanRoc | None
    per_group: tuple[GroupScore, ...]
    confusion: tuple[Confusion, ...]
    calibration: tuple[CalibrationBin, ...]
    per_split: tuple[SplitScores, ...]

    def summary_of(
        self, metric: Metric | str, unit: Unit | str = Unit.IMAGE, role: Role | str = Role.TEST
    ) -> Summary:
        """Return mean ± SD of one metric over the splits."""
        for entry in self.summary:
            if (entry.metric, entry.unit, entry.role) == (metric, unit, role):
                return entry
        asked = f"{metric} by {unit} in {role}"
        existing = [f"{entry.metric} by {entry.unit} in {entry.role}" for entry in self.summary]
        raise UnknownNameError("summary", asked, f"model {self.model!r}", existing)


class Comparison(Frozen):
    """Two models on the same splits: paired differences, corrected for overlapping training sets.

    Attributes
    ----------
    mean_difference
        First minus second model, mean over splits.
    low, high
        Interval of the mean difference from the same corrected variance.
    t, p_value
        Corrected resampled t-test (Nadeau and Bengio 2003, doi 10.1023/A:1024068626366). ``t`` is
        null when all differences are equal.
    test_train_ratio
        Test over training groups, which the correction uses.
    """

    metric: Metric
    unit: Unit
    first: Name
    second: Name
    n_splits: Count
    mean_difference: float | None
    sd_difference: float | None
    low: float | None
    high: float | None
    t: float | None
    p_value: Share | None
    test_train_ratio: float


class AssociationFacts(Frozen):
    """The numbers of an :class:`Association`, before they are put into words."""

    variable: Name
    n_wells: Count
    n_levels: Count
    n_pure_levels: Count
    cramers_v: Share | None
    p_value: Share | None
    verdict: Literal["confounded", "associated", "unrelated", "untestable"]


class Association(AssociationFacts):
    """How far the class follows where a well stands (or another property of wells).

    Attributes
    ----------
    variable
        ``row``, ``column``, or a Metadata_ column such as plate or batch.
    n_levels, n_pure_levels
        Rows (columns, plates …) with at least two wells; those among them that hold one class.
    cramers_v
        0 (no association) to 1 (class and variable determine each other).
    p_value
        Share of permutations of the classes that are associated at least as strongly.
    verdict
        ``confounded``: the two cannot be told apart; ``associated``: more than chance;
        ``unrelated``; ``untestable``: fewer than two levels or classes.
    sentence
        The same in words.
    """

    sentence: str


class Evaluation(Document):
    """Content of ``evaluation.json``."""

    file_name = "evaluation.json"

    format: Literal["hcs-evaluation/1"] = "hcs-evaluation/1"
    group_by: Name
    label: Name
    classes: tuple[Name, ...]
    positive: Name
    warnings: tuple[str, ...] = ()
    models: tuple[ModelEvaluation, ...]
    comparisons: tuple[Comparison, ...] = ()
    associations: tuple[Association, ...] = ()
    provenance: dict[str, JsonValue] = Field(default_factory=dict)

    def model_named(self, model: str) -> ModelEvaluation:
        """Return one model's part, for example of ``cnn`` or ``forest``."""
        for entry in self.models:
            if entry.model == model:
                return entry
        raise UnknownNameError("model", model, "the evaluation", [e.model for e in self.models])
