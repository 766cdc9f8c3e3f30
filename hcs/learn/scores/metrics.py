"""Judge models by split, by image and by group (clone): all numbers of ``evaluation.json``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Final

import numpy as np
import pandas as pd

from hcs.domain.columns import Role
from hcs.domain.evaluation import (
    Comparison,
    Evaluation,
    GroupScore,
    Interval,
    Metric,
    ModelEvaluation,
    Unit,
    Varied,
)
from hcs.domain.splits import Group, Splits
from hcs.errors import InputError
from hcs.learn.scores.intervals import (
    LEVEL,
    compare_over_splits,
    mean_interval_over_wells_and_splits,
)
from hcs.learn.scores.pair_auc import (
    TRAINING_FACTORS,
    mean_pair_auc,
    pair_auc,
    pair_auc_interval,
    recognize_design,
)
from hcs.learn.scores.scored import Scored, find_diverged, read_models
from hcs.learn.scores.split_scores import (
    calibration,
    confusion,
    list_judged_classes,
    mean_roc,
    score_split,
    summarize,
)

COMPARED: Final = (Metric.ACCURACY, Metric.ROC_AUC)


def evaluate(
    predictions: pd.DataFrame, splits: Splits, *, n_bootstrap: int = 2000, seed: int = 0
) -> Evaluation:
    """Judge every model of a table of predictions.

    Parameters
    ----------
    predictions
        One row an image, split and model; see :func:`hcs.learn.scores.scored.read_models` for the
        columns. Only validation and test rows count.
    splits
        The splits that the models were trained on.
    n_bootstrap
        Draws for the interval of every group's score.
    seed
        Study seed.

    Returns
    -------
    Evaluation
        Without provenance, which the caller knows, and without warnings, which
        :func:`hcs.words.evaluation.warn_of_gaps` draws from it. What is not defined is None.

    Raises
    ------
    InputError
        When the table cannot be used or holds no validation or test prediction.
    StaleError
        When the table does not belong to the splits.
    """
    models = read_models(predictions, splits)
    if not models:
        msg = "the predictions hold no image in validation or test, so there is nothing to judge"
        if lost := find_diverged(predictions, splits):
            msg = (
                f"every head of {', '.join(lost)} diverged, so there is nothing to judge: train "
                "again with a lower learning rate"
            )
        raise InputError(msg)
    judged = [_evaluate_model(scored, splits, n_bootstrap, seed) for scored in models]
    return Evaluation(
        group_by=splits.group_by,
        label=splits.label,
        classes=splits.classes,
        positive=splits.positive,
        models=tuple(judged),
        comparisons=tuple(_comparisons(judged, splits)),
    )


def _evaluate_model(scored: Scored, splits: Splits, n_bootstrap: int, seed: int) -> ModelEvaluation:
    positive = splits.classes.index(splits.positive)
    units = {Unit.IMAGE: scored, Unit.GROUP: scored.means_by_group()}
    per_split = [
        score_split(part, positive, split=split, role=role, unit=unit)
        for unit, values in units.items()
        for role, split, part in values.by_split()
    ]
    test = {unit: values.of_role(Role.TEST) for unit, values in units.items()}
    return ModelEvaluation(
        model=scored.model,
        n_splits=len(np.unique(scored.split)),
        summary=tuple(summarize(per_split)),
        intervals=tuple(_auc_intervals(test, splits)),
        mean_roc=mean_roc(test[Unit.IMAGE], positive),
        per_group=tuple(_group_scores(test[Unit.IMAGE], splits, n_bootstrap, seed)),
        confusion=tuple(confusion(test[unit], splits.classes, positive, unit) for unit in Unit),
        calibration=tuple(calibration(test[Unit.IMAGE], positive)),
        per_split=tuple(per_split),
    )


def _auc_intervals(scored: Mapping[Unit, Scored], splits: Splits) -> Iterable[Interval]:
    classes = splits.classes
    chosen = list_judged_classes(len(classes), classes.index(splits.positive))
    owners = [owner(group) for group in splits.groups]
    number_of = {name: number for number, name in enumerate(sorted(set(owners)))}
    owner_of = np.array([number_of[name] for name in owners], dtype=int)
    for unit, values in scored.items():
        tested = np.unique(values.group)
        sides = [{owners[k] for k in tested if splits.groups[k].label == name} for name in classes]
        n_donors = min(len(side) for side in sides)
        pairs = [pair_auc(values, k, len(splits.groups)) for k in chosen]
        ends = pair_auc_interval(pairs, owner_of, n_donors)
        design = recognize_design(pairs)
        varied = _name_varied([splits.groups[k] for k in tested])
        yield Interval(
            metric=Metric.ROC_AUC,
            unit=unit,
            value=mean_pair_auc(pairs),
            low=None if ends is None else ends[0],
            high=None if ends is None else ends[1],
            level=LEVEL,
            design=design,
            varied=varied,
            n_varied=n_donors,
            method=_say_method(unit, len(classes), varied, n_donors, TRAINING_FACTORS[design]),
        )


def _name_varied(tested: Sequence[Group]) -> Varied:
    """Name what an interval lets vary: donors, or groups where no donor is known, or both."""
    known = {group.donor is not None for group in tested}
    if len(known) > 1:
        return "donor or group"
    return "donor" if known == {True} else "group"


def _say_method(unit: Unit, n_classes: int, varied: Varied, n_donors: int, factor: float) -> str:
    things = "images" if unit is Unit.IMAGE else "mean scores"
    against = f"{things} of every positive against every negative group of the same split"
    if n_classes > 2:
        against = (
            f"{things} of the groups of each class against those of the rest in the same split, "
            "mean over classes"
        )
    who = {"donor": "donors", "group": "groups", "donor or group": "donors, or groups of none,"}
    return (
        f"{against}; {who[varied]} vary ({n_donors} in the smallest class), their variance "
        f"times {factor:g} for what training adds; score interval, which "
        "held the truth in 92 to 100 % of simulated studies: wider than need be for a high AUC"
    )


def owner(group: Group) -> str:
    """Name what is independent of all else: the donor, or the group where none is known."""
    return f"group {group.name}" if group.donor is None else f"donor {group.donor}"


def _group_scores(
    test: Scored, splits: Splits, n_bootstrap: int, seed: int
) -> Iterable[GroupScore]:
    positive = splits.classes.index(splits.positive)
    for number, group in enumerate(splits.groups):
        part = test.rows(test.group == number)
        about = {"group": group.name, "donor": group.donor, "label": group.label}
        sizes = {
            "n_images": len(np.unique(part.image)),
            "n_wells": len(np.unique(part.well)),
            "n_splits": len(np.unique(part.split)),
        }
        if not len(part):
            nothing = dict.fromkeys(
                ("accuracy", "score", "ci_low", "ci_high", "call", "correct", "clear")
            )
            yield GroupScore(**about, **sizes, **nothing)
            continue
        yield GroupScore(**about, **sizes, **_verdict(part, splits, positive, n_bootstrap, seed))


def _verdict(
    part: Scored, splits: Splits, positive: int, n_bootstrap: int, seed: int
) -> dict[str, float | str | bool]:
    mean = part.probability.mean(axis=0)
    call = positive if len(mean) == 2 and mean[positive] >= 0.5 else int(mean.argmax())
    ends = {}
    for number in {positive, call}:
        values = part.probability[:, number]
        key = ("group-score", seed, splits.groups[part.group[0]].name)
        ends[number] = mean_interval_over_wells_and_splits(
            values, part.well, part.split, n_bootstrap, *key
        )
    # Mean over splits, so that a split with more images does not count more.
    hits = pd.Series(part.calls(positive) == part.truth).groupby(part.split).mean()
    return {
        "accuracy": float(hits.mean()),
        "score": float(mean[positive]),
        "ci_low": ends[positive][0],
        "ci_high": ends[positive][1],
        "call": splits.classes[call],
        "correct": bool(call == part.truth[0]),
        "clear": bool(ends[call][0] > 0.5),
    }


# ── models against each other ───────────────────────────────────────────────────────────────────


def _comparisons(judged: Sequence[ModelEvaluation], splits: Splits) -> Iterable[Comparison]:
    ratio = splits.counts.test / splits.counts.train
    for first, second in combinations(judged, 2):
        for unit in Unit:
            for metric in COMPARED:
                a, b = (_by_split(model, metric, unit) for model in (first, second))
                common = sorted(a.keys() & b.keys())
                differences = np.array([a[s] - b[s] for s in common], dtype=float)
                found = compare_over_splits(differences, ratio)
                yield Comparison(
                    metric=metric,
                    unit=unit,
                    first=first.model,
                    second=second.model,
                    n_splits=found.n,
                    mean_difference=found.mean,
                    sd_difference=found.sd,
                    low=found.low,
                    high=found.high,
                    t=found.t,
                    p_value=found.p_value,
                    test_train_ratio=ratio,
                )


def _by_split(model: ModelEvaluation, metric: Metric, unit: Unit) -> dict[int, float]:
    rows = [row for row in model.per_split if row.role is Role.TEST and row.unit is unit]
    values = {row.split: getattr(row, metric.value) for row in rows}
    return {split: value for split, value in values.items() if value is not None}
