"""What a reader of an evaluation must know: what is missing in it, and what is not defined."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from hcs.domain.columns import Role
from hcs.domain.evaluation import METRIC_TITLES, Evaluation, Interval, ModelEvaluation, Unit
from hcs.domain.splits import Splits
from hcs.learn.scores.scored import JUDGED
from hcs.learn.scores.split_scores import NEEDS_ALL_CLASSES
from hcs.words.english import list_some

FEWEST_CHECKED: Final = 6
"""Donors a class from which intervals of the ROC AUC were simulated."""

FEWEST_WRONG: Final = 0.5
"""Donors' worth of pairs ranked wrong; with fewer the spread is assumed."""


def warn_of_gaps(judged: Evaluation, splits: Splits) -> tuple[str, ...]:
    """Say what is missing or not defined in an evaluation.

    Parameters
    ----------
    judged
        From :func:`hcs.learn.scores.metrics.evaluate`.
    splits
        The splits that the models were trained on.

    Returns
    -------
    tuple of str
        First what is missing in each model's predictions, then what is not defined.
    """
    missing = [text for model in judged.models for text in _say_what_is_missing(model, splits)]
    undefined = [text for model in judged.models for text in _say_what_is_undefined(model)]
    return (*missing, *undefined)


def warn_of_diverged(diverged: Mapping[str, Sequence[int]], splits: Splits) -> tuple[str, ...]:
    """Name the heads that diverged, which no figure counts.

    Parameters
    ----------
    diverged
        From :func:`hcs.learn.scores.scored.find_diverged`.
    splits
        Of the study.
    """
    return tuple(
        f"{model}: {len(numbers)} of {len(splits.splits)} heads diverged and are left out of all "
        f"figures: splits {list_some(numbers)}"
        for model, numbers in diverged.items()
    )


def _say_what_is_missing(model: ModelEvaluation, splits: Splits) -> Iterator[str]:
    """Say which splits and groups lack predictions, and which intervals lack wells."""
    for role in JUDGED:
        there = {row.split for row in model.per_split if row.role is role}
        if absent := [s.index for s in splits.splits if s.index not in there]:
            yield f"{model.model}: no {role} prediction in splits {list_some(absent)}"
    tested = {name for split in splits.splits for name in split.of(Role.TEST)}
    for entry in model.per_group:
        if entry.group in tested and not entry.n_wells:
            yield f"{model.model}: {entry.group!r} is in test but has no predictions"
    if one_well := [entry.group for entry in model.per_group if entry.n_wells == 1]:
        yield (
            f"{model.model}: the intervals of {list_some(one_well)} come from a single well each "
            "and lack the variation between wells"
        )


def _say_what_is_undefined(model: ModelEvaluation) -> Iterator[str]:
    titles = ", ".join(METRIC_TITLES[metric] for metric in NEEDS_ALL_CLASSES)
    for role in JUDGED:
        for unit in Unit:
            rows = [row for row in model.per_split if (row.role, row.unit) == (role, unit)]
            if lacking := [row.split for row in rows if row.roc_auc is None]:
                yield (
                    f"{model.model}, {role}, by {unit}: splits {list_some(lacking)} lack a class, "
                    f"so {titles} are not defined there"
                )
    for entry in model.intervals:
        if entry.low is None:
            yield (
                f"{model.model}: the interval of the ROC AUC by {entry.unit} needs at least two "
                "tested donors of each class"
            )
            continue
        yield from _say_what_an_interval_rests_on(model.model, entry)


def _say_what_an_interval_rests_on(model: str, entry: Interval) -> Iterator[str]:
    """Say where an interval was not checked, or is known to be wider than it says."""
    if entry.value is None:
        return
    about = f"{model}: the interval of the ROC AUC by {entry.unit}"
    things = "donors" if entry.varied == "donor" else "groups"
    if entry.n_varied < FEWEST_CHECKED:
        yield (
            f"{about} rests on {entry.n_varied} {things} in the smallest class; what it covers was "
            f"measured by simulation with {FEWEST_CHECKED} or more only"
        )
    if entry.n_varied * min(entry.value, 1 - entry.value) < FEWEST_WRONG:
        yield (
            f"{about} is cautious: with hardly a pair ranked against the rest its spread is "
            "assumed, and in simulations it then held the truth in 97 to 100 % instead of 95 %"
        )
