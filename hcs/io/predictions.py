"""Reads tables of predictions: what is no score of a known image, or stands twice, is refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.domain import columns as col
from hcs.domain.wells import Well
from hcs.errors import Fault, FaultsError, InputError
from hcs.io.files import parquet
from hcs.io.files.edge import as_name
from hcs.io.files.paths import AnyPath

_WHAT: Final = "predictions"
_REMEDY: Final = "predictions are written by hcs predict and hcs train; write them again"
_BEYOND: Final = 1e-6
"""Probabilities of float32 leave 0..1 by this much at most."""


def read_predictions(path: AnyPath, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a table of predictions whole.

    Parameters
    ----------
    path
        The parquet file.
    columns
        Those that are read; all of them by default.

    Raises
    ------
    NotFoundError, InputError
        When it is absent, damaged, or lacks a column.
    FaultsError
        When a row names no image, an image has two scores of one head, or a score is none.
    """
    frame = parquet.read_table(
        path, columns=columns or (), what=_WHAT, no_others=columns is not None
    )
    refuse_no_scores(frame, path)
    return frame


def iterate_plates(path: AnyPath, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
    """Read whole plates, a few at a time: the file has the plates one after the other.

    Parameters and errors as of :func:`read_predictions`, and InputError where a plate comes back
    after others.
    """
    done: set[str] = set()
    waiting = pd.DataFrame()
    for part in parquet.row_groups(path, columns=columns, what=_WHAT):
        here = set(part[col.PLATE])
        if again := here & done:
            msg = (
                f"predictions {as_name(path)} come back to plate {min(map(str, again))!r} after "
                "other plates: sort the table by Metadata_Plate"
            )
            raise InputError(msg)
        if len(waiting):
            goes_on = waiting[col.PLATE].isin(here)
            if not goes_on.all():
                done |= set(waiting.loc[~goes_on, col.PLATE])
                yield _check(waiting[~goes_on].reset_index(drop=True), path)
            part = pd.concat([waiting[goes_on], part], ignore_index=True)  # noqa: PLW2901
        waiting = part
    if len(waiting):
        yield _check(waiting, path)


def _check(frame: pd.DataFrame, path: AnyPath) -> pd.DataFrame:
    refuse_no_scores(frame, path)
    return frame


def refuse_no_scores(frame: pd.DataFrame, path: AnyPath) -> None:
    """Refuse rows that are no score of one image by one head.

    Parameters
    ----------
    frame
        One row an image, split and model. A head that diverged has no scores (NaN).
    path
        Where it was read, for messages.

    Raises
    ------
    FaultsError
        With the first of every kind of fault, and how many there are.
    """
    of_names = _find_no_text(frame) or _find_nameless(frame) or _find_twice(frame)
    found = [*([of_names] if of_names else []), *_find_no_numbers(frame)]
    if found:
        where = as_name(path)
        faults = [Fault(where, what, row, column, value) for row, column, what, value in found]
        raise FaultsError(f"{_WHAT} {where} ({_REMEDY})", faults)


_Found = tuple[int, str, str, str]
"""Row from 1, column, what is wrong, and what stands there."""


def _find_no_text(frame: pd.DataFrame) -> _Found | None:
    """Find lists and the like in place of names and numbers."""
    for name in (col.MODEL, col.SPLIT, *col.IMAGE_KEY, col.TIME):
        if name not in frame or frame[name].dtype != object:
            continue
        wrong = ~frame[name].map(lambda value: value is None or np.isscalar(value)).to_numpy(bool)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            return row + 1, name, _count("no name", wrong), str(frame[name].iloc[row])[:80]
    return None


def _find_nameless(frame: pd.DataFrame) -> _Found | None:
    for name in (col.MODEL, col.PLATE, col.WELL):
        if name not in frame:
            continue
        values = frame[name]
        if name == col.WELL:
            known = {text: _is_well(text) for text in values.unique()}
            wrong = ~values.map(known).astype(bool).to_numpy()
            what = "no well"
        else:
            wrong = (values.isna() | (values.astype("string") == "")).to_numpy(bool)
            what = "no name"
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            return row + 1, name, _count(what, wrong), str(values.iloc[row])[:80]
    return None


def _is_well(text: object) -> bool:
    try:
        return Well.parse(str(text)).name == text  # A01, as hcs writes it: A1 would be another
    except InputError:
        return False


def _find_twice(frame: pd.DataFrame) -> _Found | None:
    key = [col.MODEL, col.SPLIT, *col.IMAGE_KEY, col.TIME]
    key = [name for name in key if name in frame]
    twice = frame.duplicated(key).to_numpy()
    if not twice.any() or col.SITE not in key:
        return None
    row = int(np.flatnonzero(twice)[0])
    image = " ".join(str(frame[name].iloc[row]) for name in key)
    return row + 1, col.SCORE, _count("a second score of one image, split and model", twice), image


def _find_no_numbers(frame: pd.DataFrame) -> Iterator[_Found]:
    for name in frame:
        if name != col.SCORE and not str(name).startswith(f"{col.SCORE}_"):
            continue
        if not pd.api.types.is_numeric_dtype(frame[name]):
            first = str(frame[name].iloc[0])[:80]
            yield 1, str(name), "text where probabilities are expected", first
            continue
        values = frame[name].to_numpy(np.float64, na_value=np.nan)
        beyond = (values < -_BEYOND) | (values > 1 + _BEYOND)
        if beyond.any():
            row = int(np.flatnonzero(beyond)[0])
            yield row + 1, str(name), _count("no probability", beyond), f"{values[row]:g}"


def _count(what: str, wrong: NDArray[np.bool_]) -> str:
    n = int(wrong.sum())
    return what if n == 1 else f"{what}, as in {n - 1:,} more rows"
