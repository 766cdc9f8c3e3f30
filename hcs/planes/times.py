"""Tables of several time points: one is kept, as it was chosen, and none is mixed with another."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hcs.domain import columns as col
from hcs.domain.config import planes as cfg
from hcs.errors import ChoiceError

_SAME_MIN = 1e-3


def image_key(*tables: pd.DataFrame) -> list[str]:
    """Columns that identify a row of an image in all of some tables, the time where it stands."""
    timed = all(col.TIME in table for table in tables)
    return [*col.IMAGE_KEY, *([col.TIME] if timed else [])]


def keep_time(table: pd.DataFrame, said: cfg.OneTime | None, where: str) -> pd.DataFrame:
    """Keep the rows of one time point of every plate.

    Parameters
    ----------
    table
        One row an image and time point; tables without times are returned as they are.
    said
        Which time point is meant.
    where
        Names the table in messages.

    Raises
    ------
    ChoiceError
        When a plate has several and none was said, or it has not the one that was.
    """
    if col.TIME not in table or not pd.api.types.is_integer_dtype(table[col.TIME]):
        return table
    kept = np.zeros(len(table), dtype=bool)
    for plate, places in table.groupby(col.PLATE, sort=True, dropna=False).indices.items():
        times = table[col.TIME].iloc[places].to_numpy(np.int64)
        found = sorted({int(time) for time in times})
        wanted = _find(table.iloc[places], found, said)
        if wanted is None:
            has = f"{where} holds {len(found)} time points of plate {plate} ({_list(found)})"
            if said is None:
                msg = f"{has}: choose one with --time (time: in a study file), {cfg.TIME_WORDS}"
            else:
                msg = f"{has}: there is no time {said}"
            raise ChoiceError(msg)
        kept[places] = times == wanted
    return table[kept]


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
