"""What was measured on cells and neurites, class against class, with clones as units."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Final

import pandas as pd
from scipy import stats

from hcs.domain import columns as col
from hcs.ops import morphology
from hcs.report import measured, wording
from hcs.report.blocks import Block, Chart, Charts, Column, Note, Paragraph, Section, Table
from hcs.report.charts import curves, style
from hcs.report.study import Absent, Study
from hcs.words import english

_STEMS: Final = (
    col.N_CELLS,
    morphology.MEAN_SOMA_AREA,
    morphology.TOTAL_LENGTH,
    morphology.LENGTH_PER_CELL,
)

ByClass = Mapping[str, pd.Series]


def class_features(study: Study) -> Section:
    """Return the section on morphology by class."""
    title = "Cells and neurites by class"
    features = study.features
    if isinstance(features, Absent):
        return Section("features", title, (Note("missing", features.why),))
    columns = choose_columns(features)
    if not {study.group_by, study.label} <= set(features.columns) or not columns:
        why = f"features.parquet names no {wording.noun(study.label)} or holds no known feature."
        return Section("features", title, (Note("missing", why),))
    if isinstance(study.cohort, pd.DataFrame):
        features = features[features[col.PLATE].isin(study.cohort[col.PLATE])]
    found = {column: group_means(features, column, study) for column in columns}
    return Section("features", title, tuple(_blocks(features, found, study)))


def choose_columns(features: pd.DataFrame) -> list[str]:
    """Columns of the classic features and of length per cell, in µm or px as they come."""
    return [
        str(column)
        for stem in _STEMS
        for column in features.columns
        if column == stem or str(column).removeprefix(stem) in {"_um", "_um2", "_px", "_px2"}
    ]


def group_means(features: pd.DataFrame, column: str, study: Study) -> ByClass:
    """Mean of a feature over the images of each group (clone), by class."""
    known = features[features[study.label].notna()]
    labels = known[study.label].astype(str)
    means = known.groupby([labels, study.group_by])[column].mean().dropna()
    present = set(means.index.get_level_values(0))
    return {name: means.xs(name, level=0) for name in study.classes if name in present}


def _blocks(features: pd.DataFrame, found: Mapping[str, ByClass], study: Study) -> Iterator[Block]:
    colors = style.class_colors(study.classes, study.positive)
    group = wording.noun(study.group_by)
    charts = []
    for column, by_class in found.items():
        name, unit = wording.feature(column)
        figure = curves.classes_figure(by_class, colors, wording.with_unit(name, unit))
        charts.append(Chart(figure, wording.capital(name)))
    yield Charts(
        tuple(charts), f"One dot a {group}: the mean of its images. Bars are the means of classes."
    )
    if col.TIME in features:
        shown = ", ".join(str(time) for time in sorted(features[col.TIME].unique()))
        yield Paragraph(
            f"Of the time-lapse, time point {shown} is compared here (time: {study.time})."
        )
    yield _table(found, study)
    yield from measured.what_differs(study)
    yield from measured.how_measured(study)
    yield Paragraph(
        "Differences that are small here while the image network separates the classes mean that "
        "it sees something other than these features."
    )


def _table(found: Mapping[str, ByClass], study: Study) -> Table:
    classes = study.classes
    two = len(classes) == 2
    titles = [Column(f"Mean ± SD over {english.make_plural(wording.noun(study.group_by))}")]
    titles += [Column(name, numeric=True) for name in classes]
    if two:
        titles.append(Column("Difference", numeric=True, hint="second class against first"))
        titles.append(Column("p", numeric=True, hint="Student's t-test, not corrected"))
    rows = []
    for column, by_class in found.items():
        row = [wording.capital(wording.with_unit(*wording.feature(column)))]
        for name in classes:
            series = by_class.get(name, pd.Series(dtype=float))
            row.append(_mean_sd(series))
        if two:
            row += _difference(by_class, classes)
        rows.append(tuple(row))
    caption = "p: Student's t-test on these means, two-sided, not corrected for several features."
    return Table(tuple(titles), tuple(rows), caption if two else "")


def _mean_sd(series: pd.Series) -> str:
    if series.empty:
        return wording.NONE
    digits = 0 if abs(series.mean()) >= 100 else 2
    sd = series.std() if len(series) > 1 else None
    return f"{wording.plus_minus(series.mean(), sd, digits)} (n = {len(series)})"


def _difference(by_class: ByClass, classes: tuple[str, ...]) -> list[str]:
    first, second = (by_class.get(name, pd.Series(dtype=float)) for name in classes)
    if len(first) < 2 or len(second) < 2 or first.mean() == 0:
        return [wording.NONE, wording.NONE]
    change = 100 * (second.mean() / first.mean() - 1)
    with warnings.catch_warnings():
        # Equal values in a class leave no variance; the p is then NaN and shown as a dash.
        warnings.simplefilter("ignore", RuntimeWarning)
        p = float(stats.ttest_ind(second, first).pvalue)
    sign = "+" if change > 0 else ""
    return [f"{sign}{wording.number(change, 1)}%", wording.p_value(p)]
