"""Metrics of one split, and their means, curves and tables over all splits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hcs.domain.columns import Role
from hcs.domain.evaluation import (
    CalibrationBin,
    Confusion,
    MeanRoc,
    Metric,
    SplitScores,
    Summary,
    Unit,
)
from hcs.learn.scores.scored import FloatArray, IntArray, Scored

ROC_GRID_POINTS: Final = 101
CALIBRATION_BINS: Final = 10
NEEDS_ALL_CLASSES: Final = (Metric.BALANCED_ACCURACY, Metric.ROC_AUC, Metric.PR_AUC, Metric.F1)
"""Metrics that are not defined where the truth lacks a class."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """True and false positives when the threshold falls from above all scores to below all.

    Attributes
    ----------
    true, false
        ``(T + 1,)`` numbers of positives and negatives with a score at or above each of the T
        distinct scores; both start with 0.
    """

    true: FloatArray
    false: FloatArray

    def roc_auc(self) -> float:
        """Area under the ROC curve; ties count one half."""
        return float(np.trapezoid(self.true, self.false) / (self.true[-1] * self.false[-1]))

    def average_precision(self) -> float:
        """Mean precision, weighted by the rise of recall (as scikit-learn defines PR AUC)."""
        precision = self.true[1:] / (self.true[1:] + self.false[1:])
        return float(np.sum(np.diff(self.true) * precision) / self.true[-1])


def rank(truth: NDArray[np.bool_], score: FloatArray) -> Ranking:
    """Rank ``(N,)`` scores once, for all curves and areas.

    scikit-learn's own functions check and sort the same few hundred numbers again for each metric,
    which takes most of the time of an evaluation; the tests hold these against them.
    """
    order = np.argsort(-score, kind="stable")
    last_of_ties = np.flatnonzero(np.diff(score[order], append=-np.inf))
    true = np.cumsum(truth[order])[last_of_ties]
    false = last_of_ties + 1 - true
    return Ranking(np.concatenate([[0.0], true]), np.concatenate([[0.0], false]))


def list_judged_classes(n_classes: int, positive: int) -> list[int]:
    """Classes whose curves are taken, each against the rest: of two the positive one, else all."""
    return [positive] if n_classes == 2 else list(range(n_classes))


def score_split(part: Scored, positive: int, *, split: int, role: Role, unit: Unit) -> SplitScores:
    """Compute all metrics of one split.

    Two classes: F1, ROC AUC and PR AUC (average precision) are those of the positive class; more:
    means over the classes, each against the rest. Brier score: half the sum of squares over the
    classes, which for two classes is the squared error of the score.

    Parameters
    ----------
    part
        At least one prediction.
    positive
        Position of the positive class.
    split, role, unit
        Carried into the answer.

    Returns
    -------
    SplitScores
        Where the truth lacks a class, only accuracy and Brier score are given.
    """
    n_classes = part.probability.shape[1]
    counted = _confusion_counts(part, positive)
    truth = np.eye(n_classes)[part.truth]
    metrics: dict[str, float | None] = dict.fromkeys(NEEDS_ALL_CLASSES)
    metrics[Metric.ACCURACY] = float(np.trace(counted) / counted.sum())
    metrics[Metric.BRIER] = float(((part.probability - truth) ** 2).sum(axis=1).mean() / 2)
    if counted.sum(axis=1).all():
        recall = np.diag(counted) / counted.sum(axis=1)
        f1 = 2 * np.diag(counted) / (counted.sum(axis=0) + counted.sum(axis=1))
        chosen = list_judged_classes(n_classes, positive)
        curves = [rank(part.truth == k, part.probability[:, k]) for k in chosen]
        metrics[Metric.BALANCED_ACCURACY] = float(recall.mean())
        metrics[Metric.F1] = float(f1[chosen].mean())
        metrics[Metric.ROC_AUC] = float(np.mean([curve.roc_auc() for curve in curves]))
        metrics[Metric.PR_AUC] = float(np.mean([curve.average_precision() for curve in curves]))
    return SplitScores(split=split, role=role, unit=unit, n=len(part), **metrics)


def _confusion_counts(part: Scored, positive: int) -> IntArray:
    n_classes = part.probability.shape[1]
    cells = part.truth * n_classes + part.calls(positive)
    return np.bincount(cells, minlength=n_classes**2).reshape(n_classes, n_classes)


def summarize(per_split: Sequence[SplitScores]) -> Iterable[Summary]:
    """Mean and standard deviation of every metric over the splits that define it."""
    groups: dict[tuple[Role, Unit], list[SplitScores]] = defaultdict(list)
    for row in per_split:
        groups[row.role, row.unit].append(row)
    for (role, unit), rows in groups.items():
        for metric in Metric:
            raw = [getattr(row, metric.value) for row in rows]
            values = np.array([value for value in raw if value is not None], dtype=float)
            yield Summary(
                role=role,
                unit=unit,
                metric=metric,
                mean=float(values.mean()) if len(values) else None,
                sd=float(values.std(ddof=1)) if len(values) > 1 else None,
                n=len(values),
            )


def mean_roc(test: Scored, positive: int) -> MeanRoc | None:
    """Average the ROC curves of the splits at fixed false-positive rates (vertical averaging).

    Fawcett 2006, doi 10.1016/j.patrec.2005.10.010. At a false-positive rate where a curve jumps,
    its upper end counts.

    Returns
    -------
    MeanRoc or None
        None when no split holds both the positive class and another.
    """
    grid = np.linspace(0, 1, ROC_GRID_POINTS)

    def on_grid(part: Scored) -> FloatArray | None:
        truth = part.truth == positive
        if not truth.any() or truth.all():
            return None
        curve = rank(truth, part.probability[:, positive])
        fpr, tpr = curve.false / curve.false[-1], curve.true / curve.true[-1]
        return np.asarray(np.interp(grid, fpr, tpr))

    curves = [curve for _, _, part in test.by_split() if (curve := on_grid(part)) is not None]
    pooled = on_grid(test)
    if not curves or pooled is None:
        return None
    stacked = np.stack(curves)
    return MeanRoc(
        fpr=tuple(grid.tolist()),
        tpr_mean=tuple(np.clip(stacked.mean(axis=0), 0, 1).tolist()),
        tpr_sd=tuple(stacked.std(axis=0, ddof=min(1, len(curves) - 1)).tolist()),
        tpr_pooled=tuple(pooled.tolist()),
        n_splits=len(curves),
    )


def confusion(test: Scored, classes: Sequence[str], positive: int, unit: Unit) -> Confusion:
    """Count the calls of all test splits together; an image counts once for every split."""
    counts = _confusion_counts(test, positive)
    rows = tuple(tuple(int(n) for n in row) for row in counts)
    return Confusion(unit=unit, labels=tuple(classes), counts=rows)


def calibration(test: Scored, positive: int) -> Iterable[CalibrationBin]:
    """Compare scores with the share of positive images, in bins of equal width."""
    score = test.probability[:, positive]
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    number = np.minimum((score * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    for index in range(CALIBRATION_BINS):
        inside = number == index
        yield CalibrationBin(
            low=float(edges[index]),
            high=float(edges[index + 1]),
            n=int(inside.sum()),
            mean_score=float(score[inside].mean()) if inside.any() else None,
            positive_share=(
                float((test.truth[inside] == positive).mean()) if inside.any() else None
            ),
        )
