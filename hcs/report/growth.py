"""How wells grow over a time-lapse: features against time, by class or by what a well holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from hcs.domain import columns as col
from hcs.report import wording
from hcs.report.blocks import Block, Chart, Charts, Column, Paragraph, Section, Table
from hcs.report.charts import style
from hcs.report.charts.growth_curves import growth_figure
from hcs.report.class_features import choose_columns
from hcs.report.study import Absent, Study
from hcs.screen.curves.slopes import PER_HOUR, measure_growth

_ALL: Final = "all wells"
_HOURS_FROM_MIN: Final = 180.0
_PERT_TYPES: Final = {"negcon": "negative control", "poscon": "positive control", "trt": "treated"}


@dataclass(frozen=True, slots=True)
class Clock:
    """How time is shown.

    Attributes
    ----------
    column
        Of the table.
    unit
        In which it is shown; empty for numbers of time points.
    factor
        From the column to what is shown.
    """

    column: str
    unit: str = ""
    factor: float = 1.0

    @property
    def label(self) -> str:
        """Name and unit of the axis."""
        return f"time ({self.unit})" if self.unit else "time point"

    def say(self, time: float) -> str:
        """Name a time as it is shown."""
        number = wording.trim_number(time)
        return f"{number} {self.unit}" if self.unit else f"time point {number}"


def growth(study: Study) -> Section | None:
    """Return the section on growth; None where features are of one time point."""
    table = study.features_over_time
    if isinstance(table, Absent) or col.TIME not in table or table[col.TIME].nunique() < 2:
        return None
    columns = [name for name in choose_columns(table) if table[name].notna().any()]
    if not columns:
        return None
    return Section("growth", "Growth over time", tuple(_blocks(study, table, columns)))


def _blocks(study: Study, table: pd.DataFrame, columns: Sequence[str]) -> Iterator[Block]:
    clock = choose_clock(table)
    named = table.assign(condition=name_conditions(table, study))
    wells = average_wells(named, columns, clock)
    colors = _choose_colors(wells, study)
    charts = []
    for column in columns:
        name, unit = wording.feature(column)
        label = wording.with_unit(name, unit)
        figure = growth_figure(wells, column, colors, clock.label, label)
        charts.append(Chart(figure, wording.capital(name)))
    legend = tuple((color, name) for name, color in colors.items())
    caption = (
        "Thin lines are wells (means of their images), thick lines the means of the wells that "
        "were imaged at that time."
    )
    yield Charts(tuple(charts), caption, legend)
    yield _changes(named, wells, columns, clock, list(colors))
    yield Paragraph(
        "Wells stand for themselves here, not for clones or donors: the spread is between wells."
    )


def choose_clock(table: pd.DataFrame) -> Clock:
    """Take minutes (hours, where it is long) where all rows have them, else count time points."""
    if col.TIME_MIN not in table or table[col.TIME_MIN].isna().any():
        return Clock(col.TIME)
    if float(table[col.TIME_MIN].max()) >= _HOURS_FROM_MIN:
        return Clock(col.TIME_MIN, "h", 1 / 60)
    return Clock(col.TIME_MIN, "min")


def name_conditions(table: pd.DataFrame, study: Study) -> pd.Series:
    """Name what every row is compared as: its class, else what its well holds, else nothing."""
    names = pd.Series(_ALL, index=table.index, dtype=object)
    if col.PERT_TYPE in table:
        held = table[col.PERT_TYPE].astype("string")
        known = held.notna() & (held != "")
        names[known] = held[known].map(lambda kind: _PERT_TYPES.get(kind, kind))
    if study.label in table:
        classes = table[study.label]
        known = classes.notna()
        names[known] = classes[known].astype(str)
    return names


def average_wells(table: pd.DataFrame, columns: Sequence[str], clock: Clock) -> pd.DataFrame:
    """Mean of the images of every well at every time, with its condition; ``time`` as shown."""
    keys = [*col.WELL_KEY, "condition", col.TIME]
    means = table.groupby(keys, sort=True, dropna=False)[list(columns)].mean()
    shown = table.groupby(keys, sort=True, dropna=False)[clock.column].first() * clock.factor
    return means.assign(time=shown).reset_index()


def _choose_colors(wells: pd.DataFrame, study: Study) -> Mapping[str, str]:
    found = list(dict.fromkeys(wells["condition"]))
    if found == [_ALL]:
        return {_ALL: style.MODEL_COLORS["cnn"]}
    of_classes = style.class_colors(study.classes, study.positive)
    others = style.class_colors([name for name in found if name not in of_classes], None)
    known = [*(name for name in study.classes if name in found), *others]
    palette = {**others, **of_classes}
    return {name: palette[name] for name in known}


def _changes(
    named: pd.DataFrame,
    wells: pd.DataFrame,
    columns: Sequence[str],
    clock: Clock,
    conditions: Sequence[str],
) -> Table:
    """Tell first and last mean of each condition, and by how much wells changed."""
    first, last = wells["time"].min(), wells["time"].max()
    titles = (
        Column("Feature"),
        Column("Wells of"),
        Column(f"At {clock.say(first)}", numeric=True),
        Column(f"At {clock.say(last)}", numeric=True),
        Column("Change of a well", numeric=True, hint="mean ± SD over wells"),
        Column("Growth per hour", numeric=True, hint="mean ± SD of the slopes of wells"),
    )
    slopes = _fit_wells(named, columns, clock)
    rows = []
    for column in columns:
        title = wording.capital(wording.with_unit(*wording.feature(column)))
        for name in conditions:
            part = wells[wells["condition"] == name]
            by_time = part.pivot_table(index=list(col.WELL_KEY), columns="time", values=column)
            ends = by_time.reindex(columns=[first, last]).dropna()
            if ends.empty:
                continue
            change = (ends[last] - ends[first]).to_numpy(np.float64)
            sd = change.std(ddof=1) if len(change) > 1 else None
            rows.append(
                (
                    title,
                    f"{name} (n = {len(ends)})",
                    wording.number(ends[first].mean(), 1),
                    wording.number(ends[last].mean(), 1),
                    wording.plus_minus(change.mean(), sd, 1),
                    _say_slope(slopes, column, name),
                )
            )
    note = "Over the wells that were imaged at both times; slopes over all of their times."
    if not clock.unit:
        note += " The plates do not state the minutes of all time points, so no growth per hour."
    return Table(titles, tuple(rows), note)


def _fit_wells(named: pd.DataFrame, columns: Sequence[str], clock: Clock) -> pd.DataFrame:
    """Slope of every well per hour, with its condition; no rows where hours are not known."""
    if not clock.unit:
        return pd.DataFrame()
    held = named.drop_duplicates(list(col.WELL_KEY))[[*col.WELL_KEY, "condition"]]
    return measure_growth(named, columns).merge(held, on=list(col.WELL_KEY))


def _say_slope(slopes: pd.DataFrame, column: str, condition: str) -> str:
    if slopes.empty:
        return wording.number(None, 1)
    found = slopes.loc[slopes["condition"] == condition, f"{column}{PER_HOUR}"].dropna()
    if found.empty:
        return wording.number(None, 1)
    return wording.plus_minus(found.mean(), found.std(ddof=1) if len(found) > 1 else None, 2)
