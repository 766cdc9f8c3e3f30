"""Tables of several time points: one is kept, as it was chosen, and none is mixed with another."""

from __future__ import annotations

import numpy as np
import pandas as pd
from pydantic import TypeAdapter

from hcs.domain import columns as col
from hcs.domain.config import planes as cfg
from hcs.errors import ChoiceError
from hcs.io.files import parquet

_SAME_MIN = 1e-3

_PLANE: TypeAdapter[cfg.PlaneChoice | None] = TypeAdapter(cfg.PlaneChoice | None)


def image_key(*tables: pd.DataFrame) -> list[str]:
    """Columns that identify a row of an image in all of some tables, the time where it stands."""
    timed = all(col.TIME in table for table in tables)
    return [*col.IMAGE_KEY, *([col.TIME] if timed else [])]


def keep_time(table: pd.DataFrame, said: cfg.OneTime | None, where: str) -> pd.DataFrame:
    """Keep the rows of one time point of every plate.

    Parameters
    ----------
    table
        One row an image and time point; a table without times is one of the first.
    said
        Which time point is meant.
    where
        Names the table in messages.

    Raises
    ------
    ChoiceError
        When a plate has several and none was said, or it has not the one that was.
    """
    table = _count_times(table)
    if col.TIME not in table or not pd.api.types.is_integer_dtype(table[col.TIME]):
        _refuse_other_times(table, where)
        if isinstance(said, cfg.TimeMinutes) or (isinstance(said, cfg.TimeIndex) and said.index):
            msg = f"{where} holds one time point: there is no time {said}"
            raise ChoiceError(msg)
        return table
    kept = np.zeros(len(table), dtype=bool)
    for plate, places in table.groupby(col.PLATE, sort=True, dropna=False).indices.items():
        times = table[col.TIME].iloc[places].to_numpy(np.int64)
        found = sorted({int(time) for time in times})
        wanted = _find(table.iloc[places], found, said)
        if wanted is None:
            points = "time point" if len(found) == 1 else "time points"
            has = f"{where} holds {len(found)} {points} of plate {plate} ({_list(found)})"
            if said is None:
                msg = f"{has}: choose one with --time (time: in a study file), {cfg.TIME_WORDS}"
            else:
                msg = f"{has}: there is no time {said}"
            raise ChoiceError(msg)
        kept[places] = times == wanted
    return table[kept]


def _count_times(table: pd.DataFrame) -> pd.DataFrame:
    """Take times that are whole numbers of another type, as after a detour, for what they are."""
    if col.TIME not in table or pd.api.types.is_integer_dtype(table[col.TIME]):
        return table
    numbers = pd.to_numeric(table[col.TIME], errors="coerce").to_numpy(np.float64, na_value=np.nan)
    if not (np.isfinite(numbers) & (numbers == np.rint(numbers))).all():
        return table
    return table.assign(**{col.TIME: numbers.astype(np.int64)})


def _refuse_other_times(table: pd.DataFrame, where: str) -> None:
    """Refuse images with several times that are no numbers of time points: none could be chosen.

    Of one time each they are what a plate map says of its wells.
    """
    if col.TIME not in table or table.empty:
        return
    times = table[col.TIME]
    keys = [name for name in col.IMAGE_KEY if name in table]
    counts = times.fillna("").astype(str).groupby([table[key] for key in keys], dropna=False)
    most = counts.nunique()
    if int(most.max()) < 2:
        return
    place = most.idxmax()
    named = " ".join(map(str, place if isinstance(place, tuple) else (place,)))
    found = list(dict.fromkeys(counts.get_group(place)))
    msg = (
        f"{where}: image {named} has {len(found)} values of {col.TIME} "
        f"({', '.join(value or 'none' for value in found[:4])}), which are no numbers of time "
        "points: number them 0, 1, 2 … or keep the rows of one"
    )
    raise ChoiceError(msg)


def measured_plane(features: str) -> cfg.PlaneChoice | None:
    """Plane that a table of features was measured on, by its provenance; None where it is silent.

    Parameters
    ----------
    features
        Table that ``hcs features`` wrote.
    """
    made = parquet.read_provenance(features)
    return _PLANE.validate_python(made.get("config", {}).get("plane"))


def refuse_other_plane(trained: object, measured: cfg.PlaneChoice | None, where: str) -> None:
    """Refuse features of another projection than forests were trained on.

    One plane may have another place in another stack. Where either side knows of no choice, as
    for plates that were projected when they were ingested, there is nothing to hold it against.

    Parameters
    ----------
    trained
        From the manifest of the forests.
    measured, where
        Of the features, and their name in the message.

    Raises
    ------
    ChoiceError
        With what to measure them on.
    """
    known = _PLANE.validate_python(trained)
    if known is None or measured is None or known.kind == measured.kind:
        return
    if {known.kind, measured.kind} <= {"z", "height"}:
        return
    msg = (
        f"the forests were trained on features of plane {known}, {where} was measured on plane "
        f"{measured}: measure it with hcs features --plane {known}"
    )
    raise ChoiceError(msg)


def _find(rows: pd.DataFrame, found: list[int], said: cfg.OneTime | None) -> int | None:
    if said is None:
        return found[0] if len(found) == 1 else None
    if isinstance(said, cfg.FirstTime | cfg.LastTime):
        return found[0] if said.kind == "first" else found[-1]
    if isinstance(said, cfg.TimeIndex):
        return said.index if said.index in found else None
    if col.TIME_MIN not in rows:
        return None
    near = np.isclose(rows[col.TIME_MIN].astype(float), said.minutes, rtol=0, atol=_SAME_MIN)
    return int(rows[col.TIME].to_numpy()[near][0]) if near.any() else None


def _list(found: list[int]) -> str:
    shown = [str(time) for time in found]
    return ", ".join(shown if len(shown) <= 12 else [*shown[:10], "…", shown[-1]])
