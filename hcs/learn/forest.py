"""The baseline: a random forest on image features, on the same splits as the network.

Breiman 2001, doi 10.1023/A:1010933404324, by scikit-learn. Missing values (the mean soma area of an
image without cells) go to the forest as they are: its trees learn on which side of a threshold a
missing value belongs. Nothing is imputed.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
import skops.io
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.inspection import permutation_importance

from hcs.domain.config.measuring import FeatureSet
from hcs.errors import InputError, StaleError, UnknownNameError
from hcs.io.files.edge import refuse_damage
from hcs.learn.counters import raw_words
from hcs.ops.morphology import CLASSIC_COLUMNS, CLASSIC_COLUMNS_PX

FloatArray = NDArray[np.float64]

TRUSTED_TYPES: Final = ("sklearn.tree._tree.Tree",)
"""What a saved forest holds beyond the types that skops trusts by itself."""

_NOT_BIOLOGY = re.compile(
    r"^Image_(Quality_|BestFocusPlane_|.*_(Index|Number|Path|FileName|Location_.*)$)"
)
"""Image_ columns that say how the image was taken or where it is, not what the cells look like."""


def select_features(table: pd.DataFrame, feature_set: FeatureSet) -> tuple[str, ...]:
    """Choose the feature columns of a table with one row an image.

    Parameters
    ----------
    table
        Features and metadata.
    feature_set
        ``classic``: cell count, mean soma area and total neurite length, in µm or in px.
        ``full``: every numeric ``Image_`` column except those on image quality and identity, in
        alphabetical order.

    Returns
    -------
    tuple of str
        At least one column.

    Raises
    ------
    UnknownNameError
        When a column is missing.
    InputError
        When the classic columns stand there in both units.
    """
    if feature_set == "classic":
        return _classic_columns(table)
    found = tuple(
        name
        for name in sorted(str(column) for column in table.columns)
        if name.startswith("Image_")
        and not _NOT_BIOLOGY.match(name)
        and pd.api.types.is_numeric_dtype(table[name])
    )
    if not found:
        raise UnknownNameError("numeric column", "Image_*", "the table", list(table.columns))
    return found


def _classic_columns(table: pd.DataFrame) -> tuple[str, ...]:
    units = (CLASSIC_COLUMNS, CLASSIC_COLUMNS_PX)
    there = [names for names in units if set(names) <= set(table.columns)]
    if len(there) > 1:
        msg = (
            "the table has areas and lengths both in µm and in px (plates with and without a pixel "
            "size); give every plate a pixel size, or use plates of one kind"
        )
        raise InputError(msg)
    if there:
        return there[0]
    if any(str(column).startswith("Image_Mean_") for column in table.columns):
        msg = (
            "the classic set is of neurons, and this table was measured with --assay cells or"
            " nuclei: train on all of it with --features full"
        )
        raise InputError(msg)
    nearest = max(units, key=lambda names: len(set(names) & set(table.columns)))
    missing = [name for name in nearest if name not in table]
    existing = [column for column in table.columns if str(column).startswith("Image_")]
    raise UnknownNameError("feature", ", ".join(missing), "the table", existing)


def train_forest(
    features: pd.DataFrame | FloatArray,
    labels: Sequence[str] | NDArray[Any],
    train_rows: NDArray[Any],
    *,
    n_trees: int = 500,
    min_samples_leaf: int = 5,
    seed: int = 0,
    split: int = 0,
) -> RandomForestClassifier:
    """Train a forest on some rows.

    Parameters
    ----------
    features
        ``(N, F)`` numbers, NaN where there is none. With a table the forest remembers the columns,
        which :func:`predict_table` needs.
    labels
        ``(N,)`` class names.
    train_rows
        ``(N,)`` mask or indices of the rows to train on; no other row is looked at.
    n_trees, min_samples_leaf
        Settings of the forest; the others are scikit-learn's.
    seed, split
        Study seed and number of the split: together they seed the forest.

    Returns
    -------
    RandomForestClassifier
        Fitted on one core (``n_jobs=1``), since forests of many splits run side by side.

    Raises
    ------
    InputError
        When there is no row, one class only, a missing label, or an infinite value.
    """
    rows = np.arange(len(features))[np.asarray(train_rows)]
    known = features.iloc[rows] if isinstance(features, pd.DataFrame) else features[rows]
    classes = np.asarray(labels, dtype=object)[rows]
    if pd.isna(classes).any():
        msg = f"{int(pd.isna(classes).sum())} training rows have no label"
        raise InputError(msg)
    if len(names := sorted(set(classes.tolist()))) < 2:
        msg = f"a forest needs training rows of at least 2 classes; {len(rows)} rows have {names}"
        raise InputError(msg)
    _refuse_infinite(known)
    forest = RandomForestClassifier(
        n_estimators=n_trees,
        min_samples_leaf=min_samples_leaf,
        n_jobs=1,
        random_state=int(raw_words(1, "forest", seed, split)[0] >> np.uint64(32)),
    )
    return forest.fit(known, classes.astype(str))


def _refuse_infinite(values: pd.DataFrame | FloatArray) -> None:
    numbers = np.asarray(values, dtype=float)
    if (bad := np.isinf(numbers).any(axis=0)).any():
        columns = values.columns if isinstance(values, pd.DataFrame) else np.arange(len(bad))
        msg = f"infinite values in the features {[str(name) for name in columns[bad]]}"
        raise InputError(msg)


def dump_forest(forest: RandomForestClassifier) -> bytes:
    """Bytes of a ``.skops`` file: no pickle, and nothing in it runs when it is read."""
    data: bytes = skops.io.dumps(forest, compression=zipfile.ZIP_DEFLATED, compresslevel=1)
    return data


def load_forest(data: bytes, where: str = "the file") -> RandomForestClassifier:
    """Read the bytes of a ``.skops`` file.

    Raises
    ------
    InputError
        When they are no such file, hold types that a forest does not need, or no forest.
    """
    with refuse_damage(where, "forest", "run hcs forest again"):
        unknown = set(skops.io.get_untrusted_types(data=data)) - set(TRUSTED_TYPES)
    if unknown:
        msg = f"{where} holds types that no forest needs, so it is not loaded: {sorted(unknown)}"
        raise InputError(msg)
    with refuse_damage(where, "forest", "run hcs forest again"):
        forest = skops.io.loads(data, trusted=list(TRUSTED_TYPES))
    if not isinstance(forest, RandomForestClassifier):
        msg = f"{where} holds a {type(forest).__name__}, not a RandomForestClassifier"
        raise InputError(msg)
    return forest


def forest_importance(
    forest: RandomForestClassifier,
    features: pd.DataFrame,
    labels: Sequence[str] | NDArray[Any],
    rows: NDArray[Any],
    *,
    n_repeats: int = 10,
    seed: int = 0,
) -> pd.DataFrame:
    """Fall of the ROC AUC when one feature's values are shuffled between rows never trained on.

    Permutation importance, Breiman 2001, doi 10.1023/A:1010933404324. Features that say the same
    share their importance: both may look useless.

    Parameters
    ----------
    forest
        Fitted forest.
    features, labels
        ``(N, F)`` table and ``(N,)`` class names.
    rows
        Mask or indices of the test rows.
    n_repeats
        Shuffles of each feature.
    seed
        Study seed.

    Returns
    -------
    pandas.DataFrame
        Columns ``feature``, ``importance_mean``, ``importance_sd``, one row a feature, most
        important first; NaN when the rows lack a class, since there is no AUC then.
    """
    chosen = np.arange(len(features))[np.asarray(rows)]
    truth = np.asarray(labels, dtype=object)[chosen].astype(str)
    columns = [str(name) for name in features.columns]
    if set(truth.tolist()) != set(forest.classes_.tolist()):
        nothing = np.full(len(columns), np.nan)
        return pd.DataFrame(
            {"feature": columns, "importance_mean": nothing, "importance_sd": nothing}
        )
    found = permutation_importance(
        forest,
        features.iloc[chosen],
        truth,
        scoring="roc_auc" if len(forest.classes_) == 2 else "roc_auc_ovr",
        n_repeats=n_repeats,
        random_state=int(raw_words(1, "importance", seed)[0] >> np.uint64(32)),
        n_jobs=1,
    )
    table = pd.DataFrame(
        {
            "feature": columns,
            "importance_mean": found.importances_mean,
            "importance_sd": found.importances_std,
        }
    )
    return table.sort_values("importance_mean", ascending=False, ignore_index=True, kind="stable")


def predict_table(
    forest: RandomForestClassifier,
    table: Any,  # noqa: ANN401 - pandas or dask dataframe; dask has no types
    *,
    rows_per_block: int = 20_000,
) -> FloatArray:
    """Class probabilities of every row of a table, block by block.

    dask-ml's ``ParallelPostFit`` on a dataframe: memory depends on the block, not on the table.

    Parameters
    ----------
    forest
        Forest that was trained on a table, so that it knows its columns.
    table
        pandas or dask dataframe with at least these columns; order does not matter.
    rows_per_block
        Rows of a block when the table is a pandas dataframe.

    Returns
    -------
    FloatArray
        ``(N, classes)`` in the order of ``forest.classes_``; the same numbers as without Dask.

    Raises
    ------
    StaleError
        When the table lacks a column that the forest was trained on.
    InputError
        When the forest does not know its columns.
    """
    import dask.dataframe as dd
    from dask_ml.wrappers import ParallelPostFit

    columns = [str(name) for name in getattr(forest, "feature_names_in_", ())]
    if not columns:
        msg = "this forest was trained on a bare array and does not know its columns"
        raise InputError(msg)
    if missing := [name for name in columns if name not in table.columns]:
        msg = f"the forest was trained on the features {missing}, which the table lacks"
        raise StaleError(msg)
    if isinstance(table, pd.DataFrame) and table.empty:
        return np.zeros((0, len(forest.classes_)))
    frame = table[columns]
    if isinstance(frame, pd.DataFrame):
        frame = dd.from_pandas(frame, chunksize=rows_per_block, sort=False)
    wrapped = ParallelPostFit(
        estimator=forest,
        predict_proba_meta=np.zeros((0, len(forest.classes_))),
    )
    # In this thread: the plates of a table are already on all workers.
    return np.asarray(wrapped.predict_proba(frame).compute(scheduler="synchronous"))
