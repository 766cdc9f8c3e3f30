"""What each probe found, in a sentence; a probe that could not answer says why."""

from __future__ import annotations

from hcs.domain.probing import (
    LEAST_OWNERS,
    SIGNIFICANT,
    BaselineFacts,
    BaselineProbe,
    BatchFacts,
    Covariate,
    CovariateFacts,
    CurveFacts,
    CurvePoint,
    HeldOutBatch,
    LearningCurve,
    PermutationFacts,
    PermutationProbe,
    VariableFacts,
    VariableProbe,
)
from hcs.words.english import name_variable


def say_permutation(found: PermutationFacts) -> PermutationProbe:
    """Put into words whether the score is more than that of shuffled labels."""
    return PermutationProbe(**dict(found), sentence=_permutation_sentence(found))


def say_variable(found: VariableFacts) -> VariableProbe:
    """Put into words whether the features tell a variable."""
    return VariableProbe(**dict(found), sentence=_variable_sentence(found))


def say_baseline(found: BaselineFacts) -> BaselineProbe:
    """Put into words how far background and intensity alone get."""
    return BaselineProbe(**dict(found), sentence=_baseline_sentence(found))


def say_curve(found: CurveFacts) -> LearningCurve:
    """Put into words whether more data would help."""
    return LearningCurve(**dict(found), sentence=_curve_sentence(found))


def say_batch(found: BatchFacts) -> HeldOutBatch:
    """Put into words how well a batch never seen is told apart."""
    return HeldOutBatch(**dict(found), sentence=_batch_sentence(found))


def say_covariate(found: CovariateFacts) -> Covariate:
    """Put into words whether a property of the clones goes with their accuracy."""
    return Covariate(**dict(found), sentence=_covariate_sentence(found))


def _permutation_sentence(found: PermutationFacts) -> str:
    if found.observed is None or found.p_value is None:
        return "No test set holds all classes, so shuffled labels cannot be compared."
    chance = "more than" if found.p_value <= SIGNIFICANT else "no more than"
    tried = f"{found.n_permutations} shuffles"
    if found.are_all:
        tried = f"all {found.n_permutations} other arrangements"
    text = (
        f"AUC {found.observed:.2f} with the real labels, {found.null_low:.2f} to "
        f"{found.null_high:.2f} (middle 95%) with labels shuffled between {found.shuffled}s: "
        f"{chance} chance, p = {found.p_value:.2g} ({tried}; real and "
        f"shuffled labels alike with {found.n_splits} splits and {found.epochs} epochs, not tuned)."
    )
    if (floor := found.n_alike / found.n_arrangements) > SIGNIFICANT:
        alike = ""
        if found.n_alike > 1:
            alike = f", {found.n_alike} of them alike but for the names of the classes"
        text += (
            f" There are only {found.n_arrangements} arrangements of the labels{alike}: p cannot "
            f"fall below {floor:.2g}."
        )
    return text


def _variable_sentence(found: VariableFacts) -> str:
    word = name_variable(found.variable)
    if found.verdict == "untestable":
        why = (
            f"no two levels have {LEAST_OWNERS} clones each, so clone and {word} are the same thing"
        )
        if found.n_levels < 2:
            why = f"the study has {'one' if found.n_levels else 'no known'} {word}"
        return f"Whether features tell the {word} cannot be tested: {why}."
    finding = "tell" if found.verdict == "predictable" else "do not tell"
    return (
        f"The network's features {finding} the {word} of clones never seen: balanced accuracy "
        f"{found.balanced_accuracy:.2f} over {found.n_levels} levels, {found.null_low:.2f} to "
        f"{found.null_high:.2f} by chance, p = {found.p_value:.2g}."
    )


def _baseline_sentence(found: BaselineFacts) -> str:
    if not found.features:
        return "There are no measurements of background and intensity to compare with."
    if found.auc_mean is None:
        return "No test set holds all classes, so background and intensity cannot be judged."
    spread = "" if found.auc_sd is None else f" ± {found.auc_sd:.2f}"
    beside = "" if found.model_auc is None else f"; the {found.model} has {found.model_auc:.2f}"
    chance = "" if found.p_value is None else f", p = {found.p_value:.2g} against guessing"
    text = (
        f"Background and intensity alone ({len(found.features)} measurements, no structure) reach "
        f"AUC {found.auc_mean:.2f}{spread} on {found.n_splits} splits{chance}{beside}."
    )
    if found.verdict == "informative":
        text += (
            " Staining, exposure, or the number of cells differ between the classes: part of any "
            "score may come from there."
        )
    return text


def _curve_sentence(found: CurveFacts) -> str:
    by_group = found.varied == "groups"
    thing = "clones" if by_group else "images"
    what = f"{thing} a {'class' if by_group else 'clone'}"
    if found.gain is None or found.points[0].auc_mean is None or found.points[-1].auc_mean is None:
        return f"The study is too small for a learning curve over {what}."

    def describe_point(point: CurvePoint) -> str:
        return f"{point.auc_mean:.2f} with {point.n_groups if by_group else point.n_images}"

    text = (
        f"Test AUC {describe_point(found.points[0])} and {describe_point(found.points[-1])} {what}"
        f"; the last doubling brings {found.gain:+.2f} "
        f"({found.gain_low:+.2f} to {found.gain_high:+.2f})"
    )
    if found.rising:
        return f"{text}: the curve still rises, more {thing} would help."
    return f"{text}: no rise beyond the noise of the splits."


def _batch_sentence(found: BatchFacts) -> str:
    name, seen = found.batch, found.auc_seen
    if found.n_parts == 0:
        return f"Batch {name} cannot be held out: the other batches lack a class or clones."
    if found.auc is None:
        return f"Batch {name} holds one class only, so its AUC is not defined."
    beside = "" if seen is None else f" ({seen:.2f} when other clones of it were seen)"
    text = f"Batch {name}, never seen in training: AUC {found.auc:.2f}{beside}"
    if found.auc_low is None or found.auc_high is None:
        return f"{text}; too few donors were tested for an interval."
    return (
        f"{text}; 95 % interval {found.auc_low:.2f} to {found.auc_high:.2f} for other donors in "
        f"this batch ({found.n_donors} in the smallest class), not for other batches."
    )


def _covariate_sentence(found: CovariateFacts) -> str:
    word = found.column.removeprefix("Metadata_").replace("_", " ")
    if found.statistic is None or found.p_value is None or found.p_holm is None:
        return f"{found.model}: all clones are called right equally often, whatever their {word}."
    shown = {
        "spearman": f"Spearman r = {found.statistic:.2f}",
        "mann_whitney": f"Mann-Whitney U = {found.statistic:.1f}",
        "kruskal_wallis": (
            f"Kruskal-Wallis H = {found.statistic:.2f} over {found.n_levels} levels"
        ),
    }[found.test]
    finding = "goes with" if found.p_holm <= SIGNIFICANT else "does not go with"
    return (
        f"{found.model}: accuracy per clone {finding} {word}: {shown}, n = {found.n} clones, "
        f"p = {found.p_value:.2g}, Holm-adjusted {found.p_holm:.2g}."
    )
