"""What a score can and cannot mean, in words, from what the probes say together."""

from __future__ import annotations

from collections.abc import Iterator

from hcs.domain.probing import BaselineFacts, Outcome, PermutationFacts
from hcs.learn.probes.verdict import Findings, Judgement
from hcs.words.english import join_words, name_variable
from hcs.words.probes import say_batch, say_covariate, say_curve, say_permutation


def say_verdict(judgement: Judgement, findings: Findings) -> tuple[str, ...]:
    """Say what the score can and cannot mean.

    Parameters
    ----------
    judgement
        From :func:`hcs.learn.probes.verdict.judge`.
    findings
        The numbers that it was drawn from.

    Returns
    -------
    tuple of str
        Sentences: first whether there is a score at all, then what else could explain it, then
        what it cannot mean in any case.
    """
    return (
        _headline(findings.permutation, judgement.outcome),
        *_confounding(judgement),
        *_doubts(judgement, findings.baseline),
        *_limits(judgement),
    )


def _headline(permutation: PermutationFacts, outcome: Outcome) -> str:
    if permutation.p_value is None:
        sentence = say_permutation(permutation).sentence
        return "Whether the score is more than chance could not be tested. " + sentence
    if outcome is Outcome.WITHIN_CHANCE:
        return (
            "The score is within chance: labels shuffled between clones do as well "
            f"(p = {permutation.p_value:.2g}). It says nothing about the class."
        )
    return (
        "The score is more than chance: clones never seen are told apart better than with "
        f"shuffled labels (p = {permutation.p_value:.2g})."
    )


def _confounding(judgement: Judgement) -> Iterator[str]:
    for entry in judgement.confounded:
        word = name_variable(entry.variable)
        heard = f", and the features do tell the {word}" if entry.variable in judgement.told else ""
        yield (
            f"Class and {word} cannot be told apart in this layout{heard}: the score may be an "
            f"effect of the {word} through and through, and no analysis of these plates can say "
            "otherwise."
        )


def _doubts(judgement: Judgement, baseline: BaselineFacts) -> Iterator[str]:
    """Sentences on everything, short of confounding, that may explain part of the score."""
    for variable in judgement.followed_in_part:
        word = name_variable(variable)
        yield (
            f"The features tell the {word}, and the class follows the {word} in part: part of "
            "the score may come from there."
        )
    if judgement.by_intensity == "all":
        yield (
            f"Background and intensity alone do as well (AUC {baseline.auc_mean:.2f} against "
            f"{baseline.model_auc:.2f}): the score need not mean any difference in structure."
        )
    elif judgement.by_intensity == "part":
        yield (
            f"Background and intensity alone reach AUC {baseline.auc_mean:.2f}: part of the score "
            "may be staining, exposure or the number of cells instead of structure."
        )
    for batch in judgement.fallen:
        yield f"{say_batch(batch).sentence} The score does not carry over to that batch."
    if judgement.outcome is Outcome.ABOVE_CHANCE:
        yield (
            "No probe found another explanation: the class does not follow plate, position or "
            "batch, and background and intensity alone do not tell it."
        )


def _limits(judgement: Judgement) -> Iterator[str]:
    """Sentences on what holds whatever the score."""
    if told := [name_variable(variable) for variable in judgement.not_followed]:
        yield (
            f"The features also tell {join_words(told)}. The class does not follow "
            f"{'it' if len(told) == 1 else 'them'} here, so this does not explain the score; in a "
            "layout that is not randomized it would."
        )
    if judgement.fewest_groups is not None:
        yield (
            f"Few clones: {judgement.fewest_groups} in the smallest class. Intervals are wide, and "
            "how well other donors would be told apart is hardly known."
        )
    yield from (say_curve(curve).sentence for curve in judgement.rising)
    yield from (say_covariate(found).sentence for found in judgement.related)
    yield (
        "The score is about the clones of this study, grown and imaged in one laboratory; it does "
        "not say what the network sees, nor that other laboratories' images would be told apart."
    )
