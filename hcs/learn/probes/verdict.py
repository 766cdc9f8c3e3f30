"""Weigh the numbers of all probes: is there a score, and what else could explain it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from hcs.domain.evaluation import AssociationFacts
from hcs.domain.probing import (
    SIGNIFICANT,
    BaselineFacts,
    BatchFacts,
    CovariateFacts,
    CurveFacts,
    Outcome,
    PermutationFacts,
    VariableFacts,
)

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
    permutation: PermutationFacts
    baseline: BaselineFacts
    associations: Sequence[AssociationFacts] = ()
    variables: Sequence[VariableFacts] = ()
    learning_curves: Sequence[CurveFacts] = ()
    held_out_batches: Sequence[BatchFacts] = ()
    covariates: Sequence[CovariateFacts] = ()


Explains = Literal["nothing", "part", "all"]
"""How much of a score something other than structure could explain."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the probes say together.

    Attributes
    ----------
    outcome
        The verdict in one word.
    confounded
        Variables that the class cannot be told from.
    told
        Variables that the features tell, the class itself left out.
    followed_in_part
        Those among them that the class follows in part: a part of the score may come from there.
    not_followed
        Those among them that the class does not follow.
    by_intensity
        What background and intensity alone explain.
    fallen
        Batches to which the score does not carry over.
    fewest_groups
        Clones of the smallest class where they are few, else None.
    rising
        Learning curves that still rise.
    related
        Properties of the clones that go with their accuracy.
    """

    outcome: Outcome
    confounded: tuple[AssociationFacts, ...]
    told: tuple[str, ...]
    followed_in_part: tuple[str, ...]
    not_followed: tuple[str, ...]
    by_intensity: Explains
    fallen: tuple[BatchFacts, ...]
    fewest_groups: int | None
    rising: tuple[CurveFacts, ...]
    related: tuple[CovariateFacts, ...]


def judge(findings: Findings) -> Judgement:
    """Weigh the numbers of all probes.

    Parameters
    ----------
    findings
        Numbers of all probes.

    Returns
    -------
    Judgement
        Is there a score at all, what else could explain it, and what limits it in any case.
    """
    verdict_on = {entry.variable: entry.verdict for entry in findings.associations}
    confounded = tuple(e for e in findings.associations if e.verdict == "confounded")
    told = tuple(
        probe.variable
        for probe in findings.variables
        if probe.verdict == "predictable" and probe.variable != findings.label
    )
    in_part = tuple(name for name in told if verdict_on.get(name) == "associated")
    serious = {"associated", "confounded"}
    by_intensity = _weigh_baseline(findings.baseline)
    fallen = tuple(batch for batch in findings.held_out_batches if _has_fallen(batch, findings))
    fewest = min(findings.groups_per_class, default=0)
    doubted = bool(in_part or fallen) or by_intensity != "nothing"
    return Judgement(
        outcome=_decide(findings.permutation.p_value, bool(confounded), doubted),
        confounded=confounded,
        told=told,
        followed_in_part=in_part,
        not_followed=tuple(name for name in told if verdict_on.get(name) not in serious),
        by_intensity=by_intensity,
        fallen=fallen,
        fewest_groups=fewest if fewest < FEW_GROUPS else None,
        rising=tuple(curve for curve in findings.learning_curves if curve.rising),
        related=tuple(
            found
            for found in findings.covariates
            if found.p_holm is not None and found.p_holm <= SIGNIFICANT
        ),
    )


def _decide(p_value: float | None, confounded: bool, doubted: bool) -> Outcome:
    if p_value is None:
        return Outcome.UNDETERMINED
    if p_value > SIGNIFICANT:
        return Outcome.WITHIN_CHANCE
    if confounded:
        return Outcome.CONFOUNDED
    return Outcome.DOUBTFUL if doubted else Outcome.ABOVE_CHANCE


def _has_fallen(batch: BatchFacts, findings: Findings) -> bool:
    """Whether there is a score, and none on a batch never seen."""
    if batch.auc is None or (findings.permutation.p_value or 1.0) > SIGNIFICANT:
        return False
    at_chance = batch.auc <= _CHANCE and batch.n_groups >= _ENOUGH_IN_BATCH
    return at_chance or (batch.auc_seen is not None and batch.auc_seen - batch.auc > _FALLS)


def _weigh_baseline(baseline: BaselineFacts) -> Explains:
    if baseline.verdict != "informative" or baseline.auc_mean is None:
        return "nothing"
    as_good = baseline.model_auc is not None and baseline.auc_mean >= baseline.model_auc - _BESIDE
    return "all" if as_good else "part"
