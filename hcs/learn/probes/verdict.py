"""What a score can and cannot mean, in words, from the numbers of all probes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from hcs.domain.evaluation import Association
from hcs.domain.probing import (
    SIGNIFICANT,
    BaselineProbe,
    Covariate,
    HeldOutBatch,
    LearningCurve,
    Outcome,
    PermutationProbe,
    VariableProbe,
)
from hcs.learn.probes.leaks import variable_word

FEW_GROUPS: Final = 10
"""Clones a class below which a verdict says that they are few; the study trained on ten."""

_FALLS: Final = 0.1
"""Loss of AUC on a batch never seen that is spoken of."""

_BESIDE: Final = 0.02
"""A baseline whose AUC is at most this much below the model's explains all of it."""

_CHANCE: Final = 0.5

_ENOUGH_IN_BATCH: Final = 4
"""Clones below which an AUC of a batch at or below one half may well be luck."""


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that the verdict is drawn from.

    Attributes
    ----------
    groups_per_class
        Number of clones of each class.
    associations
        How far the class follows row, column, plate and batch, from
        :func:`hcs.learn.probes.positions.plate_position_association`.
    variables
        What the features can tell; the class itself may be among them and is not judged.
    label
        Column of the class.
    """

    label: str
    groups_per_class: tuple[int, ...]
    permutation: PermutationProbe
    baseline: BaselineProbe
    associations: Sequence[Association] = ()
    variables: Sequence[VariableProbe] = ()
    learning_curves: Sequence[LearningCurve] = ()
    held_out_batches: Sequence[HeldOutBatch] = ()
    covariates: Sequence[Covariate] = ()


def verdict(findings: Findings) -> tuple[Outcome, tuple[str, ...]]:
    """Say what the score can and cannot mean.

    Parameters
    ----------
    findings
        Numbers of all probes.

    Returns
    -------
    Outcome
        The verdict in one word.
    tuple of str
        Sentences: first whether there is a score at all, then what else could explain it, then
        what it cannot mean in any case.
    """
    p_value = findings.permutation.p_value
    sentences = [_headline(findings.permutation)]
    confounded = [entry for entry in findings.associations if entry.verdict == "confounded"]
    doubts = list(_doubts(findings))
    if p_value is None:
        outcome = Outcome.UNDETERMINED
    elif p_value > SIGNIFICANT:
        outcome = Outcome.WITHIN_CHANCE
    elif confounded:
        outcome = Outcome.CONFOUNDED
    else:
        outcome = Outcome.DOUBTFUL if doubts else Outcome.ABOVE_CHANCE
    sentences += [_confounded(entry, findings) for entry in confounded]
    sentences += doubts
    if outcome is Outcome.ABOVE_CHANCE:
        sentences.append(
            "No probe found another explanation: the class does not follow plate, position or "
            "batch, and background and intensity alone do not tell it."
        )
    sentences += _limits(findings)
    return outcome, tuple(sentences)


def _headline(permutation: PermutationProbe) -> str:
    if permutation.p_value is None:
        return "Whether the score is more than chance could not be tested. " + permutation.sentence
    if permutation.p_value > SIGNIFICANT:
        return (
            "The score is within chance: labels shuffled between clones do as well "
            f"(p = {permutation.p_value:.2g}). It says nothing about the class."
        )
    return (
        "The score is more than chance: clones never seen are told apart better than with "
        f"shuffled labels (p = {permutation.p_value:.2g})."
    )


def _confounded(entry: Association, findings: Findings) -> str:
    word = variable_word(entry.variable)
    tells = any(
        probe.variable == entry.variable and probe.verdict == "predictable"
        for probe in findings.variables
    )
    heard = f", and the features do tell the {word}" if tells else ""
    return (
        f"Class and {word} cannot be told apart in this layout{heard}: the score may be an effect "
        f"of the {word} through and through, and no analysis of these plates can say otherwise."
    )


def _doubts(findings: Findings) -> Iterator[str]:
    """Sentences on everything, short of confounding, that may explain part of the score."""
    follows = {e.variable for e in findings.associations if e.verdict == "associated"}
    confounded = {e.variable for e in findings.associations if e.verdict == "confounded"}
    for probe in findings.variables:
        if probe.variable in confounded | {findings.label} or probe.verdict != "predictable":
            continue
        word = variable_word(probe.variable)
        if probe.variable in follows:
            yield (
                f"The features tell the {word}, and the class follows the {word} in part: part of "
                "the score may come from there."
            )
    if (baseline := _baseline_doubt(findings.baseline)) is not None:
        yield baseline
    for batch in findings.held_out_batches:
        fallen = batch.auc is not None and (
            (batch.auc <= _CHANCE and batch.n_groups >= _ENOUGH_IN_BATCH)
            or (batch.auc_seen is not None and batch.auc_seen - batch.auc > _FALLS)
        )
        if fallen and (findings.permutation.p_value or 1.0) <= SIGNIFICANT:
            yield f"{batch.sentence} The score does not carry over to that batch."


def _baseline_doubt(baseline: BaselineProbe) -> str | None:
    if baseline.verdict != "informative" or baseline.auc_mean is None:
        return None
    if baseline.model_auc is not None and baseline.auc_mean >= baseline.model_auc - _BESIDE:
        return (
            f"Background and intensity alone do as well (AUC {baseline.auc_mean:.2f} against "
            f"{baseline.model_auc:.2f}): the score need not mean any difference in structure."
        )
    return (
        f"Background and intensity alone reach AUC {baseline.auc_mean:.2f}: part of the score may "
        "be staining, exposure or the number of cells instead of structure."
    )


def _limits(findings: Findings) -> Iterator[str]:
    """Sentences on what holds whatever the score."""
    follows = {
        entry.variable
        for entry in findings.associations
        if entry.verdict in {"associated", "confounded"}
    }
    told = [
        variable_word(probe.variable)
        for probe in findings.variables
        if probe.verdict == "predictable" and probe.variable not in follows | {findings.label}
    ]
    if told:
        yield (
            f"The features also tell {_listed(told)}. The class does not follow "
            f"{'it' if len(told) == 1 else 'them'} here, so this does not explain the score; in a "
            "layout that is not randomized it would."
        )
    fewest = min(findings.groups_per_class, default=0)
    if fewest < FEW_GROUPS:
        yield (
            f"Few clones: {fewest} in the smallest class. Intervals are wide, and how well other "
            "donors would be told apart is hardly known."
        )
    for curve in findings.learning_curves:
        if curve.rising:
            yield curve.sentence
    for found in findings.covariates:
        if found.p_holm is not None and found.p_holm <= SIGNIFICANT:
            yield found.sentence
    yield (
        "The score is about the clones of this study, grown and imaged in one laboratory; it does "
        "not say what the network sees, nor that other laboratories' images would be told apart."
    )


def _listed(words: Sequence[str]) -> str:
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
