"""From one value an image and split to one value a well, with its uncertainty and its flags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
import pandas as pd

from hcs.domain import columns as col
from hcs.domain.columns import Reason, Role
from hcs.domain.config.screening import Aggregation, HitsOptions, Limit, TrimmedMeanOfImages
from hcs.domain.wells import Well
from hcs.errors import InputError, UnknownNameError
from hcs.screen import groups
from hcs.screen.groups import Codes, Flags, Floats

_SEEN_ROLES = (Role.TRAIN.value, Role.VALIDATION.value)

_LEAST_DOUBT = 1e-6
"""Probabilities end so far from 0 and 1: about the resolution of single precision near 1."""


def well_scores(predictions: pd.DataFrame, options: HitsOptions | None = None) -> pd.DataFrame:
    """One score a well and model from one score an image, split and model.

    A head that trained or tuned on a well's clone has seen the answer. Where other heads exist
    for the well (roles ``test``, ``new``, ``unused``), only those count and ``out_of_fold`` is
    true; where none exists, all count and ``out_of_fold`` is false. Rows whose ``flags`` are not
    empty never count. Wells do not depend on each other, so a large table may be given plate by
    plate.

    Parameters
    ----------
    predictions
        One row an image × split × model: ``model``, ``split``, ``role``, ``score``,
        ``Metadata_Plate``, ``Metadata_Well``, ``Metadata_Site``, any other ``Metadata_…``, and
        ``Image_Count_Cells`` where cells were counted. ``role``, ``split``, ``Metadata_Site``
        and ``model`` may be absent.
    options
        How images become a well, and the least images and cells of a usable well.

    Returns
    -------
    DataFrame
        One row a model × plate × well, sorted so: the keys, the metadata, ``score`` (mean over
        splits of the aggregate over images), ``log_odds`` (the same of the log-odds, where
        ``scale`` asks for it), ``score_sd_splits`` (standard deviation of the
        splits' own aggregates), ``n_images``, ``n_splits_used``, ``n_splits``, ``out_of_fold``,
        ``Image_Count_Cells`` (mean an image), ``usable`` and ``flags``. Without rows: no rows.

    Raises
    ------
    UnknownNameError
        When ``score``, ``Metadata_Plate`` or ``Metadata_Well`` is absent.
    InputError
        When log-odds are asked for, and scores are no probabilities, or a well has scores of
        several time points: its mean would be of none of them.

    References
    ----------
    Mean log-odds of several opinions: Genest & Zidek 1986, Stat Sci 1:114-135,
    doi 10.1214/ss/1177013825.
    """
    options = options or HitsOptions()
    _require(predictions, (col.SCORE, *col.WELL_KEY))
    keys = [k for k in (col.MODEL, *col.WELL_KEY) if k in predictions]
    _refuse_mixed_times(predictions)
    well = _codes(predictions, keys)
    n_wells = int(well.max(initial=-1)) + 1
    score = predictions[col.SCORE].to_numpy(np.float64)
    unflagged = _has_no_flag(predictions)
    unseen = _is_unseen(predictions)

    eligible = np.isfinite(score) & unflagged
    has_unseen = np.bincount(well[eligible & unseen], minlength=n_wells) > 0
    counted = np.where(eligible & (unseen | ~has_unseen[well]), well, -1)

    wells = _well_rows(predictions, well, n_wells)
    wells[col.SCORE], wells[col.SCORE_SPREAD], wells[col.N_SPLITS_USED] = _over_splits(
        score, counted, _column_codes(predictions, col.SPLIT), n_wells, options.aggregation
    )
    if _takes_log_odds(predictions, options):
        wells[col.LOG_ODDS], _, _ = _over_splits(
            log_odds(score),
            counted,
            _column_codes(predictions, col.SPLIT),
            n_wells,
            options.aggregation,
        )
    wells[col.N_SPLITS] = groups.count_distinct(
        well, _column_codes(predictions, col.SPLIT), n_wells
    )
    sites = _column_codes(predictions, col.SITE, rows_differ=True)
    wells[col.N_IMAGES] = groups.count_distinct(counted, sites, n_wells)
    wells[col.OUT_OF_FOLD] = has_unseen
    if col.N_CELLS in predictions:
        cells = predictions[col.N_CELLS].to_numpy(np.float64, na_value=np.nan)
        wells[col.N_CELLS] = groups.group_mean(cells, well, n_wells)
    had_flags = np.bincount(well[~unflagged], minlength=n_wells) > 0
    return _add_flags(wells, had_flags, options)


def _takes_log_odds(predictions: pd.DataFrame, options: HitsOptions) -> bool:
    if options.scale != "auto":
        return options.scale == "log-odds"
    models = set(predictions[col.MODEL].unique()) if col.MODEL in predictions else set()
    return bool(models) and models <= set(col.CLASSIFIERS) and not options.divides


def log_odds(probability: Floats) -> Floats:
    """ln(p / (1 − p)), with p kept 10⁻⁶ away from 0 and 1; NaN stays.

    Raises
    ------
    InputError
        When a number is no probability.
    """
    finite = probability[np.isfinite(probability)]
    if finite.size and (finite.min() < 0 or finite.max() > 1):
        msg = (
            f"log-odds need probabilities; the scores run from {finite.min():.4g} to "
            f"{finite.max():.4g}: choose scale 'score'"
        )
        raise InputError(msg)
    inside = np.clip(probability, _LEAST_DOUBT, 1 - _LEAST_DOUBT)
    return np.asarray(np.log(inside) - np.log1p(-inside), np.float64)


def well_values(
    table: pd.DataFrame, column: str, options: HitsOptions | None = None
) -> pd.DataFrame:
    """Give the table of :func:`well_scores` from any numeric column, named in ``model``.

    Takes plate-reader values (one row a well) or image features (one row an image). Well names
    are read in any usual spelling (``A1``, ``a01``, ``A - 1``).

    Parameters
    ----------
    table
        ``Metadata_Plate``, ``Metadata_Well`` and `column`; optionally ``Metadata_Site``, further
        ``Metadata_…``, ``Image_Count_Cells``, ``flags`` and ``flags of <column>``, which count
        for one column alone (rows with a flag do not count).
    column
        The column to take.
    options
        As for :func:`well_scores`.

    Returns
    -------
    DataFrame
        As of :func:`well_scores`, with `column` as ``model`` and its values as ``score``.

    Raises
    ------
    UnknownNameError
        When a needed column is absent.
    InputError
        When `column` is not numeric, or well names cannot be read.
    """
    _require(table, (column, *col.WELL_KEY))
    try:
        values = pd.to_numeric(table[column]).to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        msg = f"column {column!r} is not numeric: {error}"
        raise InputError(msg) from error
    kept = [c for c in table if str(c).startswith("Metadata_")]
    kept += [c for c in (col.N_CELLS, col.FLAGS) if c in table]
    own_flags = f"{col.FLAGS} of {column}"
    named = {str(name): Well.parse(str(name)).name for name in table[col.WELL].unique()}
    images = table[kept].copy()
    images[col.WELL] = table[col.WELL].astype(str).map(named)
    if own_flags in table:
        both = [images[col.FLAGS], table[own_flags]] if col.FLAGS in images else [table[own_flags]]
        texts = [flags.fillna("").astype(str).str.strip() for flags in both]
        images[col.FLAGS] = texts[0] if len(texts) == 1 else (texts[0] + " " + texts[1]).str.strip()
    images[col.MODEL] = column
    images[col.SCORE] = values
    return well_scores(images, options)


def beyond_limits(images: pd.DataFrame, limits: Mapping[str, Limit]) -> pd.Series:
    """Say of every image which limits it is beyond.

    Parameters
    ----------
    images
        With the columns that have limits; a missing value is beyond none.
    limits
        Least and greatest value by column.

    Returns
    -------
    Series of str
        Sentences joined with ``; ``, empty where the image keeps all limits. May stand as
        ``flags``: such images do not count in :func:`well_scores`.

    Raises
    ------
    UnknownNameError
        When a column is absent.
    """
    _require(images, tuple(limits))
    found = pd.Series("", index=images.index)
    for name, (low, high) in limits.items():
        values = images[name].to_numpy(np.float64, na_value=np.nan)
        for limit, sign, wrong in (
            (low, "<", values < (-np.inf if low is None else low)),
            (high, ">", values > (np.inf if high is None else high)),
        ):
            words = [f"{name} {value:.4g} {sign} {limit:g}; " for value in values[wrong]]
            found[wrong] = found[wrong] + np.array(words, dtype=object)
    return found.str.removesuffix("; ")


def _require(table: pd.DataFrame, names: tuple[str, ...]) -> None:
    for name in names:
        if name not in table:
            raise UnknownNameError("column", name, "the table", list(table.columns))


def _refuse_mixed_times(predictions: pd.DataFrame) -> None:
    if col.TIME not in predictions:
        return
    places = predictions[[*col.WELL_KEY, col.TIME]].drop_duplicates()
    twice = places[places.duplicated(list(col.WELL_KEY))]
    if len(twice):
        plate, well, _ = twice.iloc[0]
        msg = f"well {well} of plate {plate} has scores of several time points: keep one of them"
        raise InputError(msg)


def _is_unseen(predictions: pd.DataFrame) -> Flags:
    """Rows whose head never trained or tuned on the image's clone."""
    if col.ROLE not in predictions:
        return np.ones(len(predictions), dtype=bool)
    return (~predictions[col.ROLE].astype("string").isin(_SEEN_ROLES)).to_numpy(bool)


def _has_no_flag(predictions: pd.DataFrame) -> Flags:
    if col.FLAGS not in predictions:
        return np.ones(len(predictions), dtype=bool)
    return (predictions[col.FLAGS].fillna("").astype(str).str.strip() == "").to_numpy(bool)


def _codes(table: pd.DataFrame, keys: list[str]) -> Codes:
    grouped = table.groupby(keys, sort=True, dropna=False, observed=True)
    return cast("Codes", grouped.ngroup().to_numpy(np.intp))


def _column_codes(table: pd.DataFrame, column: str, *, rows_differ: bool = False) -> Codes:
    """Codes of a column's values; when absent, all rows alike or all different."""
    if column in table:
        return pd.factorize(table[column], use_na_sentinel=False)[0].astype(np.intp)
    return np.arange(len(table)) if rows_differ else np.zeros(len(table), dtype=np.intp)


def _over_splits(
    score: Floats, well: Codes, split: Codes, n_wells: int, aggregation: Aggregation
) -> tuple[Floats, Floats, Codes]:
    """Aggregate images within each well × split, then take mean and spread over splits."""
    n_splits = int(split.max(initial=0)) + 1
    pair = np.where(well >= 0, well * n_splits + split, -1)
    pairs, compact = np.unique(pair[pair >= 0], return_inverse=True)
    per_split = _aggregate(score[pair >= 0], compact.astype(np.intp), pairs.size, aggregation)
    owner = (pairs // n_splits).astype(np.intp)
    return (
        groups.group_mean(per_split, owner, n_wells),
        groups.group_sd(per_split, owner, n_wells),
        np.bincount(owner, minlength=n_wells),
    )


def _aggregate(values: Floats, codes: Codes, n_groups: int, how: Aggregation) -> Floats:
    if isinstance(how, TrimmedMeanOfImages):
        return groups.group_trimmed_mean(values, codes, n_groups, how.cut_fraction)
    kernel = groups.group_median if how.kind == "median" else groups.group_mean
    return kernel(values, codes, n_groups)


def _well_rows(predictions: pd.DataFrame, well: Codes, n_wells: int) -> pd.DataFrame:
    """Keys and metadata of every well, taken from its first row."""
    first = np.full(n_wells, len(predictions), dtype=np.intp)
    np.minimum.at(first, well, np.arange(len(predictions)))
    metadata = [c for c in predictions if str(c).startswith("Metadata_") and c != col.SITE]
    keys = [k for k in (col.MODEL, *col.WELL_KEY) if k in predictions]
    columns = [*keys, *(c for c in metadata if c not in keys)]
    rows = predictions[columns].iloc[first].reset_index(drop=True)
    if col.MODEL not in rows:
        rows.insert(0, col.MODEL, "score")
    return rows


def _add_flags(wells: pd.DataFrame, had_flags: Flags, options: HitsOptions) -> pd.DataFrame:
    """Add ``usable`` and ``flags``."""
    missing = ~np.isfinite(wells[col.SCORE].to_numpy(np.float64))
    faults: list[tuple[Reason, Flags]] = [
        (Reason.FAILED_QUALITY, missing & had_flags),
        (Reason.NOT_FINITE, missing & ~had_flags),
        (Reason.TOO_FEW_IMAGES, (wells[col.N_IMAGES] < options.min_images).to_numpy(bool)),
    ]
    if col.N_CELLS in wells:
        # An unknown count is no proof of too few cells: NaN compares false.
        few = (wells[col.N_CELLS] < options.min_cells).to_numpy(bool)
        faults.append((Reason.TOO_FEW_CELLS, few))
    flags = np.full(len(wells), "", dtype=object)
    for reason, wrong in faults:
        flags[wrong] = [f"{old}|{reason.value}" if old else reason.value for old in flags[wrong]]
    return wells.assign(**{col.USABLE: flags == "", col.FLAGS: flags})
