"""How far the position on the plate predicts a class, so that a classifier could lean on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from hcs.design.placement import edge_distance
from hcs.domain.blinding import PositionFacts, PositionScore
from hcs.domain.wells import PlateFormat, Well
from hcs.errors import InputError
from hcs.ops.chance import bound_null, compare_with_null

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

_FOLDS: Final = 10
_RIDGE: Final = 1.0
_SIGNIFICANT: Final = 0.05
_FEWEST_A_CLASS: Final = 2


def predict_from_position(
    label: str,
    placed: Sequence[tuple[str, Well, str]],
    plate_format: PlateFormat,
    *,
    n_permutations: int,
    seed: int,
) -> PositionFacts:
    """Predict the class of every well from its row, column, edge distance and plate.

    Ridge regression on indicators of rows and columns, in ten folds of wells drawn at random; the
    null is the same with the classes dealt to the wells anew, which is what a randomized layout
    is. The adjusted p takes the largest standardized AUC over the views (Westfall and Young's
    step-down maximum, first step; Ge, Dudoit and Speed 2003, doi 10.1007/BF02595811).

    Parameters
    ----------
    label
        What the classes are called.
    placed
        Plate, well and class of every filled well.
    plate_format
        The plates' format, for the distance to the edge.
    n_permutations, seed
        Of the null.

    Returns
    -------
    PositionFacts
        A well-balanced layout has an AUC below 0.5: what is left out is then the rarer class.

    Raises
    ------
    InputError
        When fewer than two classes have two wells.
    """
    plates = sorted({plate for plate, _, _ in placed})
    classes = sorted({name for _, _, name in placed})
    truth = np.array([classes.index(name) for _, _, name in placed], dtype=np.intp)
    enough = [name for number, name in enumerate(classes) if (truth == number).sum() >= 2]
    if len(enough) < _FEWEST_A_CLASS:
        found = ", ".join(repr(name) for name in classes) or "none"
        msg = f"position can predict a {label} where two have two wells each; there are {found}"
        raise InputError(msg)
    rng = np.random.Generator(np.random.Philox(key=seed))
    shuffles = np.stack([truth, *(rng.permutation(truth) for _ in range(n_permutations))])
    fold = rng.permutation(len(truth)) % min(_FOLDS, len(truth))
    views = _views([(plates.index(plate), well) for plate, well, _ in placed], plate_format)
    aucs = np.stack([_cross_validate(x, fold, shuffles, len(classes)) for x in views.values()])
    scores = tuple(_score(name, auc) for name, auc in zip(views, aucs, strict=True))
    p_value = _test_all_views(aucs)
    return PositionFacts(
        label=label,
        classes=tuple(classes),
        n_wells=len(placed),
        n_plates=len(plates),
        n_permutations=n_permutations,
        scores=scores,
        p_value=p_value,
        verdict="predictable" if p_value <= _SIGNIFICANT else "chance",
    )


def _views(places: Sequence[tuple[int, Well]], plate_format: PlateFormat) -> dict[str, Floats]:
    """Return what may be known of a position, each view a matrix with one row a well."""
    rows = _indicators(np.array([well.row for _, well in places]))
    columns = _indicators(np.array([well.column for _, well in places]))
    edge = np.array([[edge_distance(well, plate_format)] for _, well in places], dtype=float)
    edge = np.concatenate([(edge - edge.mean()) / (edge.std() or 1.0), edge == 0], axis=1)
    plate = _indicators(np.array([number for number, _ in places]))
    views = {"row": rows, "column": columns, "edge distance": edge}
    if plate.shape[1] > 1:
        views["plate"] = plate
    return views | {"all": np.concatenate(list(views.values()), axis=1)}


def _indicators(level: Codes) -> Floats:
    return np.equal(level[:, None], np.unique(level)).astype(np.float64)


def _cross_validate(x: Floats, fold: Codes, shuffles: Codes, n_classes: int) -> Floats:
    """AUC of every shuffle, the mean over the classes: ``(shuffles,)``.

    The regression is linear in the classes, so one matrix a fold predicts all shuffles at once.
    The training mean is taken off and not put back: it only says which class was left out.
    """
    told_apart = range(1, n_classes) if n_classes == 2 else range(n_classes)
    hats = []
    for number in np.unique(fold):
        test, train = fold == number, fold != number
        mean = x[train].mean(axis=0)
        known = x[train] - mean
        gram = known.T @ known + _RIDGE * np.eye(x.shape[1])
        hats.append((test, train, (x[test] - mean) @ np.linalg.solve(gram, known.T)))
    aucs = np.zeros(len(shuffles))
    for name in told_apart:
        member = np.equal(shuffles.T, name).astype(float)
        predicted = np.zeros_like(member)
        for test, train, hat in hats:
            predicted[test] = hat @ (member[train] - member[train].mean(axis=0))
        n_in = member.sum(axis=0)
        sums = (rankdata(np.round(predicted, 9), axis=0) * member).sum(axis=0)
        aucs += (sums - n_in * (n_in + 1) / 2) / (n_in * (len(member) - n_in))
    return aucs / len(told_apart)


def _score(position: str, auc: Floats) -> PositionScore:
    observed, null = float(auc[0]), auc[1:]
    low, high = bound_null(null)
    p_value = compare_with_null(observed, null)
    return PositionScore(
        position=position, auc=observed, null_low=low, null_high=high, p_value=p_value
    )


def _test_all_views(aucs: Floats) -> float:
    """Return the p of the largest standardized AUC over the views."""
    spread = aucs.std(axis=1, keepdims=True)
    standard = (aucs - aucs.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1.0)
    largest = standard.max(axis=0)
    return compare_with_null(float(largest[0]), largest[1:])
