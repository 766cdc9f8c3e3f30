"""How good the classifiers are: ROC, table of metrics, calls, calibration, clones, training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pandas as pd

from hcs.domain.evaluation import (
    METRIC_TITLES,
    Confusion,
    Evaluation,
    GroupScore,
    Metric,
    ModelEvaluation,
    Unit,
)
from hcs.errors import UnknownNameError
from hcs.report import wording
from hcs.report.blocks import (
    Block,
    Chart,
    Charts,
    Column,
    Folded,
    Note,
    Section,
    Table,
    Text,
)
from hcs.report.charts import curves, style
from hcs.report.overview import interval_of
from hcs.report.study import Absent, Study
from hcs.words import english

_RIGHT_WRONG: Final = (("●", "called right"), ("○", "called wrong"))


def classifiers(study: Study) -> Section:
    """Return the section on test scores: ROC with band, metrics, comparison, calls."""
    evaluation = study.evaluation
    if isinstance(evaluation, Absent):
        return Section("classifiers", "Classifiers", (Note("missing", evaluation.why),))
    blocks: list[Block] = [_roc_charts(evaluation), _metric_table(evaluation)]
    blocks += list(_interval_table(evaluation))
    if evaluation.comparisons:
        compared = _comparison_table(evaluation)
        blocks.append(Folded("Classifiers compared on the same splits", (compared,)))
    blocks.append(Folded("Calls against labels", tuple(_confusion_tables(evaluation))))
    return Section("classifiers", "Classifiers", tuple(blocks))


def _comparison_table(evaluation: Evaluation) -> Table:
    titles = (
        Column("Difference"),
        Column("Metric"),
        Column("By"),
        Column("Mean", numeric=True),
        Column("95% interval", numeric=True),
        Column("p", numeric=True),
        Column("Splits", numeric=True),
    )
    group = wording.noun(evaluation.group_by)
    rows = tuple(
        (
            f"{wording.model_title(entry.first)} minus {wording.model_title(entry.second)}",
            METRIC_TITLES[entry.metric],
            "image" if entry.unit is Unit.IMAGE else group,
            wording.number(entry.mean_difference),
            wording.span(entry.low, entry.high),
            wording.p_value(entry.p_value),
            str(entry.n_splits),
        )
        for entry in evaluation.comparisons
    )
    caption = (
        "Paired over splits; t-test corrected for overlapping training sets (Nadeau and Bengio "
        "2003, doi 10.1023/A:1024068626366)."
    )
    return Table(titles, rows, caption)


def _roc_charts(evaluation: Evaluation) -> Block:
    rocs = {m.model: m.mean_roc for m in evaluation.models if m.mean_roc is not None}
    if not rocs:
        return Note("missing", "No split has both classes in its test set, so there is no ROC.")
    legend: list[tuple[str, Text]] = []
    for position, model in enumerate(rocs):
        found = evaluation.model_named(model).summary_of(Metric.ROC_AUC, Unit.IMAGE)
        name = wording.capital(wording.model_title(model))
        words = f"{name}: AUC {wording.plus_minus(found.mean, found.sd)}"
        legend.append((style.model_color(model, position), words))
    roc = Chart(
        curves.roc_figure(rocs),
        "Mean ROC curve of the test images",
        "Each point of a curve is one way of setting the limit above which an image is called "
        f"{evaluation.positive}: how many {evaluation.positive} images are then found (upwards) "
        "and how many others are called so wrongly (to the right). Lines are means over the "
        "splits, bands one standard deviation, the dashed line is guessing.",
    )
    calibration = Chart(
        curves.calibration_figure(evaluation.models),
        "Is a score of 0.8 right in 80% of images?",
        f"Share of {evaluation.positive} among the test images of all splits, in ten bins of "
        "their score. On the dashed line the score is a true probability.",
    )
    return Charts((roc, calibration), legend=tuple(legend))


def _metric_table(evaluation: Evaluation) -> Table:
    group = wording.noun(evaluation.group_by)
    units = ((Unit.IMAGE, "image"), (Unit.GROUP, group))
    titles = [Column("Test sets, mean ± SD over splits")]
    titles += [
        Column(f"{wording.capital(wording.model_title(model.model))}, by {by}", numeric=True)
        for model in evaluation.models
        for _, by in units
    ]
    rows = tuple(
        (
            wording.capital(METRIC_TITLES[metric]),
            *(_cell(model, metric, unit) for model in evaluation.models for unit, _ in units),
        )
        for metric in Metric
    )
    caption = (
        f"By image, every image counts once; by {group}, every {group} counts once with the mean "
        "score of its images. An AUC of 0.5 is guessing, 1 is perfect."
    )
    return Table(tuple(titles), rows, caption)


def _cell(model: ModelEvaluation, metric: Metric, unit: Unit) -> str:
    try:
        found = model.summary_of(metric, unit)
    except UnknownNameError:  # an evaluation of an older or a foreign version
        return wording.NONE
    return wording.plus_minus(found.mean, found.sd)


def _interval_table(evaluation: Evaluation) -> Iterator[Block]:
    group = wording.noun(evaluation.group_by)
    rows = []
    level = 0.95
    for model in evaluation.models:
        for unit, by in ((Unit.IMAGE, "image"), (Unit.GROUP, group)):
            found = interval_of(model, unit)
            if found is not None:
                level = found.level
                name = wording.capital(wording.model_title(model.model))
                span = wording.span(found.low, found.high)
                rows.append((name, by, wording.number(found.value), span, found.method))
    if rows:
        titles = (
            Column("ROC AUC over the whole study"),
            Column("By"),
            Column("Value", numeric=True),
            Column(f"{wording.percent(level)} interval", numeric=True),
            Column("Method"),
        )
        yield Table(titles, tuple(rows))


def _confusion_tables(evaluation: Evaluation) -> Iterator[Block]:
    for model in evaluation.models:
        for confusion in model.confusion:
            yield _confusion_table(model, confusion, wording.noun(evaluation.group_by))


def _confusion_table(model: ModelEvaluation, confusion: Confusion, group: str) -> Table:
    by = "image" if confusion.unit is Unit.IMAGE else group
    titles = [Column("Label")]
    titles += [Column(f"called {name}", numeric=True) for name in confusion.labels]
    rows = tuple(
        (name, *(f"{n:,}" for n in counts))
        for name, counts in zip(confusion.labels, confusion.counts, strict=True)
    )
    name = wording.capital(wording.model_title(model.model))
    return Table(tuple(titles), rows, f"{name}, by {by}: test predictions of all splits added up.")


# ── clones ──────────────────────────────────────────────────────────────────────────────────────


def groups(study: Study) -> Section:
    """Return the section on single clones: their scores with intervals, by class."""
    name = english.make_plural(wording.noun(study.group_by))
    title = f"Single {name}"
    evaluation = study.evaluation
    if isinstance(evaluation, Absent):
        return Section("clones", title, (Note("missing", evaluation.why),))
    colors = style.class_colors(study.classes, evaluation.positive)
    charts = tuple(
        Chart(
            curves.groups_figure(_sort_groups(model, study.classes), colors),
            wording.capital(wording.model_title(model.model)),
        )
        for model in evaluation.models
    )
    caption = (
        f"Score (mean probability of {evaluation.positive}) of every {wording.noun(study.group_by)}"
        " over the splits in which it was tested. Bars are 95% intervals that resample wells and "
        "splits, never single images. Right of the dashed line it is called "
        f"{evaluation.positive}."
    )
    legend: list[tuple[str, Text]] = [(colors[c], c) for c in study.classes if c in colors]
    blocks: list[Block] = [Charts(charts, caption, (*legend, *_RIGHT_WRONG))]
    blocks += [_group_table(model, study) for model in evaluation.models]
    return Section("clones", title, (blocks[0], Folded("The same as tables", tuple(blocks[1:]))))


def _sort_groups(model: ModelEvaluation, classes: tuple[str, ...]) -> list[GroupScore]:
    rank = {name: position for position, name in enumerate(classes)}
    return sorted(
        model.per_group,
        key=lambda row: (rank.get(row.label, len(rank)), row.score or 0.0, row.group),
    )


def _group_table(model: ModelEvaluation, study: Study) -> Table:
    titles = (
        Column(wording.capital(wording.noun(study.group_by))),
        Column("Donor"),
        Column("Label"),
        Column("Called"),
        Column("Clear", hint="the interval lies on one side of 0.5"),
        Column("Score", numeric=True),
        Column("Interval", numeric=True),
        Column("Images called right", numeric=True),
        Column("Images", numeric=True),
        Column("Splits", numeric=True),
    )
    rows = tuple(
        (
            row.group,
            wording.text(row.donor),
            row.label,
            wording.text(row.call),
            wording.NONE if row.clear is None else "yes" if row.clear else "no",
            wording.number(row.score),
            wording.span(row.ci_low, row.ci_high),
            wording.percent(row.accuracy),
            f"{row.n_images:,}",
            str(row.n_splits),
        )
        for row in _sort_groups(model, study.classes)
    )
    right = sum(row.correct is True for row in model.per_group)
    called = sum(row.call is not None for row in model.per_group)
    name = wording.capital(wording.model_title(model.model))
    group = english.make_plural(wording.noun(study.group_by))
    return Table(titles, rows, f"{name}: {right} of {called} {group} called right.")


# ── training ────────────────────────────────────────────────────────────────────────────────────


def training(study: Study) -> Section:
    """Return the section on how the network's heads learned."""
    history = study.history
    if isinstance(history, Absent):
        return Section("training", "Training history", (Note("missing", history.why),))
    legend: tuple[tuple[str, Text], ...] = (
        (curves.TRAIN_COLOR, "training images"),
        (curves.VALIDATION_COLOR, "validation images (clones kept out of training)"),
    )
    charts = (
        Chart(curves.history_figure(history, "loss", "loss (cross-entropy)"), "Loss"),
        Chart(curves.history_figure(history, "accuracy", "accuracy"), "Accuracy"),
    )
    splits = wording.count(int(history["split"].nunique()), "split")
    caption = (
        f"Mean over {splits}, bands one standard deviation. A validation loss that rises while "
        "the training loss falls is overfitting."
    )
    blocks: list[Block] = [Charts(charts, caption, legend)]
    diverged = _count_diverged(history)
    if diverged:
        lost = wording.count(diverged, "split")
        blocks.append(Note("info", f"Training diverged in {lost}; these epochs do not count."))
    return Section("training", "Training history", tuple(blocks))


def _count_diverged(history: pd.DataFrame) -> int:
    return int(history.loc[history["loss"].isna(), "split"].nunique())
