"""The file format ``probes.json``: what else than biology the scores of a study could mean.

A probe asks one question about a score, and answers in numbers (its *facts*) and in a sentence.
What a probe cannot answer with the data at hand is null, and its sentence says why.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal

from pydantic import Field, JsonValue

from hcs.domain.evaluation import Count, Share
from hcs.domain.plate import Frozen, Name
from hcs.domain.readable_json import Document

SIGNIFICANT: Final = 0.05
"""p at or below which a probe speaks of more than chance."""

LEAST_OWNERS: Final = 2
"""Donors that a level of a variable must have, so that donor and level can be told apart."""


class Outcome(StrEnum):
    """The verdict in one word.

    ``undetermined``: nothing could be tested; ``within_chance``: the score is none;
    ``confounded``: the class cannot be told from a batch, plate or position; ``doubtful``: above
    chance, but something other than biology may explain part of it; ``above_chance``: above
    chance, and no probe found another explanation.
    """

    UNDETERMINED = "undetermined"
    WITHIN_CHANCE = "within_chance"
    CONFOUNDED = "confounded"
    DOUBTFUL = "doubtful"
    ABOVE_CHANCE = "above_chance"


class ProbeSettings(Frozen):
    """The reduced settings under which every head of the probes was trained.

    Attributes
    ----------
    n_splits, epochs, batch_size, learning_rate, momentum
        The same for all heads, real labels or shuffled; nothing is tuned, since tuning on the
        real labels would favor them.
    n_features, projected_from
        Length of the vectors, and the length before a random projection (null without one).
    views
        Only the image itself is used, never its augmented views.
    """

    n_splits: Count
    epochs: Count
    batch_size: Count
    learning_rate: float
    momentum: float
    hidden_units: Count
    dropout: float
    l2: float
    n_features: Count
    projected_from: Count | None
    views: Literal["image only"] = "image only"


class PermutationFacts(Frozen):
    """The numbers of a :class:`PermutationProbe`, before they are put into words."""

    observed: Share | None
    null: tuple[Share, ...]
    null_mean: Share | None
    null_low: Share | None
    null_high: Share | None
    p_value: Share | None
    n_permutations: Count
    n_splits: Count
    epochs: Count
    shuffled: Literal["group", "donor"]
    n_arrangements: Count
    n_alike: Count = 1
    are_all: bool = False


class PermutationProbe(PermutationFacts):
    """The ROC AUC under the reduced settings against the same with labels shuffled.

    Attributes
    ----------
    observed
        Mean test AUC over the reduced splits with the real labels; null when no split has it.
    null
        The same for every shuffle, in order.
    null_mean, null_low, null_high
        Mean of the null and the interval of its middle 95 %.
    p_value
        ``(1 + b) / (1 + n)`` with ``b`` shuffles at least as good as the real labels (Phipson and
        Smyth 2010, doi 10.2202/1544-6115.1585).
    shuffled
        What kept its label together: ``group`` (clone) or ``donor``.
    n_arrangements
        Different ways to give out the labels.
    n_alike
        Those that are the real one but for the names of the classes: p is never below
        ``n_alike / n_arrangements``.
    are_all
        Whether every arrangement was tried, each once, instead of shuffles.
    """

    sentence: str


class VariableFacts(Frozen):
    """The numbers of a :class:`VariableProbe`, before they are put into words."""

    variable: Name
    n_images: Count
    n_groups: Count
    n_levels: Count
    balanced_accuracy: Share | None
    chance: Share | None
    null_low: Share | None
    null_high: Share | None
    p_value: Share | None
    n_permutations: Count
    shuffled: Literal["between_groups", "within_groups"] | None
    verdict: Literal["predictable", "chance", "untestable"]


class VariableProbe(VariableFacts):
    """Whether the network's features can tell plate, row, column, batch (or the class).

    Attributes
    ----------
    balanced_accuracy
        Mean share of images put right, over the levels; every image is judged by a classifier
        that never saw its clone or donor.
    chance
        One over the number of levels.
    null_low, null_high, p_value
        Middle 95 % of the same when levels are shuffled, and ``(1 + b) / (1 + n)``.
    shuffled
        ``between_groups`` where every clone has one level, else wells ``within_groups``.
    verdict
        ``predictable``, ``chance`` or ``untestable``.
    """

    sentence: str


class BaselineFacts(Frozen):
    """The numbers of a :class:`BaselineProbe`, before they are put into words."""

    features: tuple[str, ...]
    n_splits: Count
    auc_mean: Share | None
    auc_sd: float | None
    low: float | None
    high: float | None
    p_value: Share | None
    model: Name | None
    model_auc: Share | None
    verdict: Literal["informative", "chance", "untestable"]


class BaselineProbe(BaselineFacts):
    """A forest on background and intensity alone, on the splits of the study.

    Attributes
    ----------
    auc_mean, auc_sd
        Test AUC over ``n_splits`` splits.
    low, high, p_value
        Interval of the mean, and test against 0.5, corrected for overlapping training sets
        (Nadeau and Bengio 2003, doi 10.1023/A:1024068626366).
    model_auc
        Mean AUC of ``model`` on the same splits.
    """

    sentence: str


class CurvePoint(Frozen):
    """One point: training ``n_groups`` clones a class and ``n_images`` images a clone at most."""

    n_groups: Count
    n_images: Count
    epochs: Count
    auc_mean: Share | None
    auc_sd: float | None
    n_splits: Count


class CurveFacts(Frozen):
    """The numbers of a :class:`LearningCurve`, before they are put into words."""

    varied: Literal["groups", "images"]
    points: tuple[CurvePoint, ...]
    gain: float | None
    gain_low: float | None
    gain_high: float | None
    rising: bool | None


class LearningCurve(CurveFacts):
    """Test AUC against the amount of training data, on the same test clones at every point.

    Attributes
    ----------
    varied
        ``groups`` (clones a class) or ``images`` (images a clone).
    gain, gain_low, gain_high
        AUC with all data minus AUC at the point next to half of it, with the corrected interval.
    rising
        Whether that interval lies above 0; null where it is not defined.
    """

    sentence: str


class BatchFacts(Frozen):
    """The numbers of a :class:`HeldOutBatch`, before they are put into words."""

    batch: Name
    n_images: Count
    n_groups: Count
    n_train_groups: Count
    n_parts: Count
    auc: Share | None
    accuracy: Share | None
    auc_seen: Share | None
    auc_low: Share | None = None
    auc_high: Share | None = None
    n_donors: Count = 0


class HeldOutBatch(BatchFacts):
    """One batch as test data for heads that saw only other batches and other clones.

    Attributes
    ----------
    auc, accuracy
        Mean over ``n_parts`` parts of the batch's clones; each part is tested by a head that was
        trained without these clones (and their donors) and without the batch.
    auc_seen
        The same test images, when the heads also saw the batch's other clones; null where the
        batch has none.
    auc_low, auc_high, n_donors
        95 % interval of ``auc`` for other donors (clones where none is known) in the same batch,
        and how many of them are tested in the smallest class. It says nothing of other batches.
    """

    sentence: str


class CovariateFacts(Frozen):
    """The numbers of a :class:`Covariate`, before they are put into words."""

    model: Name
    column: Name
    test: Literal["spearman", "mann_whitney", "kruskal_wallis"]
    n: Count
    n_levels: Count | None
    statistic: float | None
    p_value: Share | None
    p_holm: Share | None


class Covariate(CovariateFacts):
    """One property of the clones against how often their images are called right.

    Attributes
    ----------
    test
        Spearman's correlation for numbers, Mann-Whitney for two categories, Kruskal-Wallis for
        more.
    statistic
        Spearman's rho, U, or H.
    p_holm
        ``p_value`` adjusted over the covariates of a model (Holm 1979).
    """

    sentence: str


class Probes(Document):
    """Content of ``probes.json``."""

    file_name = "probes.json"

    format: Literal["hcs-probes/1"] = "hcs-probes/1"
    group_by: Name
    label: Name
    classes: tuple[Name, ...]
    positive: Name
    groups_per_class: tuple[Count, ...]
    outcome: Outcome
    verdict: tuple[str, ...]
    settings: ProbeSettings
    permutation: PermutationProbe
    variables: tuple[VariableProbe, ...] = ()
    baseline: BaselineProbe
    learning_curves: tuple[LearningCurve, ...] = ()
    held_out_batches: tuple[HeldOutBatch, ...] = ()
    covariates: tuple[Covariate, ...] = ()
    provenance: dict[str, JsonValue] = Field(default_factory=dict)
