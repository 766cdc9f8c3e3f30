"""Is the score real: shuffled labels, what else the features tell, held-out batches, covariates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hcs.domain.probing import Outcome, Probes
from hcs.report import wording
from hcs.report.blocks import (
    Block,
    Chart,
    Charts,
    Column,
    Heading,
    Note,
    Paragraph,
    Section,
    Table,
    Text,
)
from hcs.report.charts import probe_charts
from hcs.report.study import Absent, Study
from hcs.words import english

OUTCOMES: Final = {
    Outcome.UNDETERMINED: "It could not be tested whether the score is more than chance.",
    Outcome.WITHIN_CHANCE: "The score is within chance.",
    Outcome.CONFOUNDED: "The score cannot be told from an effect of plate, position or batch.",
    Outcome.DOUBTFUL: "The score is above chance, but something else may explain part of it.",
    Outcome.ABOVE_CHANCE: "The score is above chance, and no probe found another explanation.",
}

_TITLE: Final = "Is the score real?"


def probes(study: Study) -> Section:
    """Return the section on the probes."""
    found = study.probes
    if isinstance(found, Absent):
        return Section("probes", _TITLE, (Note("missing", found.why),))
    blocks: list[Block] = [
        Paragraph(wording.strong(OUTCOMES[found.outcome])),
        *_permutation(found),
        *_variables(found),
        Heading("Background and intensity alone"),
        Paragraph(found.baseline.sentence),
        *_learning_curves(found),
        *_batches(found),
        *_covariates(found),
    ]
    return Section("probes", _TITLE, tuple(blocks))


def _permutation(found: Probes) -> Iterator[Block]:
    probe = found.permutation
    yield Heading("Labels shuffled between clones")
    yield Paragraph(probe.sentence)
    if not probe.null:
        return
    legend: list[tuple[str, Text]] = [
        (probe_charts.NULL_COLOR, f"{probe.n_permutations:,} shuffles")
    ]
    if probe.observed is not None:
        words = f"real labels: {wording.number(probe.observed)}"
        legend.append((probe_charts.OBSERVED_COLOR, words))
    caption = (
        f"{wording.count(probe.n_splits, 'split')}, {wording.count(probe.epochs, 'epoch')} "
        "for the real labels and for every shuffle, so that they can be compared; the real AUC "
        f"may differ from that above. p = {wording.p_value(probe.p_value)}."
    )
    yield Charts((Chart(probe_charts.permutation_figure(probe)),), caption, tuple(legend))


def _variables(found: Probes) -> Iterator[Block]:
    if not found.variables:
        return
    yield Heading("What else the features tell")
    if any(probe.balanced_accuracy is not None for probe in found.variables):
        caption = (
            "Dots: share of images put right, for clones never seen by that classifier. Gray: "
            "the same with levels shuffled. A dot right of its gray bar means that images carry "
            "a mark of it."
        )
        yield Charts((Chart(probe_charts.variables_figure(found.variables)),), caption)
    titles = (
        Column("Property"),
        Column("Levels", numeric=True),
        Column("Balanced accuracy", numeric=True),
        Column("Chance", numeric=True),
        Column("Shuffled", numeric=True),
        Column("p", numeric=True),
        Column("Verdict"),
    )
    rows = tuple(
        (
            wording.noun(probe.variable),
            str(probe.n_levels),
            wording.number(probe.balanced_accuracy),
            wording.number(probe.chance),
            wording.span(probe.null_low, probe.null_high),
            wording.p_value(probe.p_value),
            probe.sentence,
        )
        for probe in found.variables
    )
    yield Table(titles, rows)


def _learning_curves(found: Probes) -> Iterator[Block]:
    if not found.learning_curves:
        return
    group = wording.noun(found.group_by)
    labels = {
        "groups": f"training {english.make_plural(group)} a class",
        "images": f"training images a {group}",
    }
    yield Heading("How much data is enough")
    charts = tuple(
        Chart(
            probe_charts.learning_figure(curve, labels[curve.varied]),
            caption=curve.sentence,
        )
        for curve in found.learning_curves
    )
    yield Charts(charts, "Means over splits, bands one standard deviation; same test clones.")


def _batches(found: Probes) -> Iterator[Block]:
    if not found.held_out_batches:
        return
    yield Heading("Whole batches held out")
    titles = (
        Column("Batch"),
        Column("Images", numeric=True),
        Column("Clones", numeric=True),
        Column("AUC, batch never seen", numeric=True),
        Column("95% interval", numeric=True, hint="for other donors in the same batch"),
        Column("AUC, batch seen", numeric=True, hint="other clones of the batch in training"),
        Column("Accuracy", numeric=True),
    )
    rows = tuple(
        (
            batch.batch,
            f"{batch.n_images:,}",
            str(batch.n_groups),
            wording.number(batch.auc),
            wording.span(batch.auc_low, batch.auc_high),
            wording.number(batch.auc_seen),
            wording.number(batch.accuracy),
        )
        for batch in found.held_out_batches
    )
    yield Table(titles, rows, "The clones tested, and their donors, never stand in training.")


def _covariates(found: Probes) -> Iterator[Block]:
    if not found.covariates:
        return
    yield Heading("Properties of the clones")
    titles = (
        Column("Classifier"),
        Column("Property"),
        Column("Test"),
        Column("n", numeric=True),
        Column("Statistic", numeric=True),
        Column("p", numeric=True),
        Column("p (Holm)", numeric=True),
    )
    rows = tuple(
        (
            wording.model_title(entry.model),
            wording.noun(entry.column),
            entry.test.replace("_", "-"),
            str(entry.n),
            wording.number(entry.statistic),
            wording.p_value(entry.p_value),
            wording.p_value(entry.p_holm),
        )
        for entry in found.covariates
    )
    yield Table(titles, rows, "Against the share of each clone's images that are called right.")
