"""What it means that the class follows where a well stands, or that position tells the class."""

from __future__ import annotations

from collections.abc import Sequence

from hcs.domain.blinding import PositionFacts, PositionReport
from hcs.domain.evaluation import Association, AssociationFacts
from hcs.words.english import join_words, make_plural, name_variable


def say_associations(found: Sequence[AssociationFacts]) -> tuple[Association, ...]:
    """Put into words how far the class follows each variable."""
    return tuple(
        Association(**dict(entry), sentence=_association_sentence(entry)) for entry in found
    )


def list_confounding(found: Sequence[Association]) -> tuple[str, ...]:
    """List the sentences of those findings that a reader must know."""
    serious = ("confounded", "associated")
    return tuple(entry.sentence for entry in found if entry.verdict in serious)


def say_position(found: PositionFacts) -> PositionReport:
    """Put into words whether the position on the plate predicts the label."""
    return PositionReport(**dict(found), sentence=_position_sentence(found))


def _association_sentence(found: AssociationFacts) -> str:
    word = name_variable(found.variable)
    if found.cramers_v is None or found.p_value is None:
        what = "there is only one class" if found.n_levels > 1 else f"there is only one {word}"
        return f"Whether the class follows the {word} cannot be tested: {what}."
    numbers = f"Cramér's V = {found.cramers_v:.2f}, permutation p = {found.p_value:.2g}"
    if found.verdict == "unrelated":
        return f"The class does not follow the {word}: {numbers}."
    short = word.removeprefix("plate ")
    count = f"{found.n_pure_levels} of {found.n_levels} {make_plural(short)}"
    if found.verdict == "associated":
        return (
            f"The class follows the {word}: {count} hold one class only; {numbers}. "
            f"Part of any score may be an effect of the {word}."
        )
    pure = f"{count} hold one class only"
    if found.n_pure_levels == found.n_levels:
        pure = f"each {short} holds one class only ({count})"
    return (
        f"Class and {word} are confounded: {pure}; {numbers}. "
        f"A score cannot tell the class from an effect of the {word}."
    )


def _position_sentence(found: PositionFacts) -> str:
    label, p_value = found.label, found.p_value
    *views, together = found.scores
    joined = f"{join_words(score.position for score in views)} together reach"
    if found.verdict == "chance":
        even = ""
        if together.auc < together.null_low:
            even = " It lies below 0.5 because every row and column holds the classes evenly."
        return (
            f"Position on the plate does not predict the {label}: {joined} an AUC of "
            f"{together.auc:.2f} ({together.null_low:.2f} to {together.null_high:.2f} when dealt "
            f"at random; adjusted p = {p_value:.2g}).{even}"
        )
    best = max(found.scores, key=lambda score: (-score.p_value, score.auc))
    which = joined if best.position == "all" else f"the {best.position} alone reaches"
    return (
        f"Position on the plate predicts the {label}: {which} an AUC of {best.auc:.2f} "
        f"({best.null_low:.2f} to {best.null_high:.2f} when dealt at random; adjusted "
        f"p = {p_value:.2g}). A classifier can score by position alone: deal the clones with "
        "`hcs blind layout`, or judge the score with `hcs probe`."
    )
