"""The first section: the verdict in words, after everything that limits it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pandas as pd
from markupsafe import Markup

from hcs.domain import columns as col
from hcs.domain.config.studies import StudyConfig
from hcs.domain.evaluation import Comparison, Evaluation, Interval, Metric, ModelEvaluation, Unit
from hcs.report import wording
from hcs.report.blocks import (
    Block,
    Bullets,
    Fact,
    Facts,
    Heading,
    Note,
    Paragraph,
    Section,
    Text,
    Warnings,
)
from hcs.report.study import Absent, Study
from hcs.words import english

_CHANCE: Final = 0.5

_SIMULATED: Final = (
    "The images were drawn by software with a known answer; nothing here says anything about "
    "patients."
)
_RANDOM: Final = (
    "The base of the image network was not trained on any images; this was chosen when the study "
    "was run. Its scores are no measure of what the method can do."
)


def overview(study: Study) -> Section:
    """Return the section with warnings, verdict, and what the figures can and cannot mean."""
    warnings = tuple(warnings_of(study))
    blocks: list[Block] = [Warnings("Read this first", warnings)] if warnings else []
    blocks.append(Facts(tuple(_facts(study))))
    evaluation = study.evaluation
    if isinstance(evaluation, Absent):
        blocks.append(Note("missing", f"No verdict on classifiers: {evaluation.why}"))
    else:
        group = wording.noun(evaluation.group_by)
        blocks += [Paragraph(text) for text in verdicts(evaluation)]
        blocks += _meaning(study, evaluation, group)
    if isinstance(study.hits, pd.DataFrame):
        blocks.append(Paragraph(_screen_sentence(study.hits)))
    return Section("verdict", "What was found", tuple(blocks))


def warnings_of(study: Study) -> Iterator[Text]:
    """Everything that a reader must know before the figures: one sentence each, no repeats."""
    if is_simulated(study):
        yield wording.join_sentences(
            [
                wording.strong("Simulated data."),
                _SIMULATED,
            ]
        )
    if has_random_weights(study):
        yield wording.join_sentences(
            [
                wording.strong("Random network weights."),
                _RANDOM,
            ]
        )
    evaluation = study.evaluation
    said: tuple[str, ...] = ()
    if not isinstance(evaluation, Absent):
        said = evaluation.warnings
        yield from said
        for association in evaluation.associations:
            if association.verdict == "confounded" and association.sentence not in said:
                yield association.sentence
    yield from _data_warnings(study)


def _data_warnings(study: Study) -> Iterator[str]:
    problems = study.problems
    if isinstance(problems, pd.DataFrame) and len(problems):
        lost = int((~problems["kept"].astype(bool)).sum())
        tail = f"; {lost:,} of these images, wells or rows did not go on" if lost else ""
        yield f"{wording.count(len(problems), 'problem')} in the data{tail}: see Problems."
    quality = study.quality
    if isinstance(quality, pd.DataFrame) and "passed" in quality:
        failed = quality.loc[~quality["passed"].astype(bool), col.PLATE].astype(str).unique()
        if len(failed):
            names = english.join_words([*failed[:8], *(["…"] if len(failed) > 8 else [])])
            yield f"{wording.count(len(failed), 'plate')} broke a stated limit: {names}."


def is_simulated(study: Study) -> bool:
    """Whether the study has a known, planted answer."""
    if not isinstance(study.planted, Absent):
        return True
    return isinstance(study.config, StudyConfig) and study.config.truth is not None


def has_random_weights(study: Study) -> bool:
    """Whether the network's base carries random weights."""
    return weights_asked(study) == "random"


def weights_asked(study: Study) -> str | None:
    """Weights that were asked for: ``imagenet``, ``random`` or a file; None when not known."""
    if not isinstance(study.bank, Absent):
        asked = study.bank.provenance.get("config", {}).get("backbone", {}).get("weights")
        if asked is not None:
            return str(asked)
    if isinstance(study.config, StudyConfig):
        return study.config.embed.backbone.weights
    return None


# ── big numbers ─────────────────────────────────────────────────────────────────────────────────


def _facts(study: Study) -> Iterator[Fact]:
    evaluation = study.evaluation
    if not isinstance(evaluation, Absent):
        for model in evaluation.models:
            for unit in Unit:
                found = model.summary_of(Metric.ROC_AUC, unit)
                if found.mean is not None:
                    by = "image" if unit is Unit.IMAGE else wording.noun(evaluation.group_by)
                    yield Fact(
                        wording.plus_minus(found.mean, found.sd),
                        f"ROC AUC by {by}",
                        f"{wording.model_title(model.model)}, {found.n} splits",
                    )
    cohort = study.cohort
    if not isinstance(cohort, Absent):
        groups = cohort[study.group_by].nunique()
        yield Fact(
            f"{groups:,}",
            english.make_plural(wording.noun(study.group_by)),
            f"{len(cohort):,} images",
        )
    if isinstance(study.hits, pd.DataFrame):
        plates = study.hits[col.PLATE].nunique()
        hits = study.hits[study.hits[col.HIT].fillna(value=False).astype(bool)]
        n = len(hits.drop_duplicates(list(col.WELL_KEY)))
        yield Fact(f"{n:,}", "hit wells", f"on {wording.count(plates, 'screened plate')}")


# ── words ───────────────────────────────────────────────────────────────────────────────────────


def verdicts(evaluation: Evaluation) -> Iterator[Text]:
    """One paragraph a model, then one that compares them."""
    for model in evaluation.models:
        yield _verdict(evaluation, model)
    for comparison in evaluation.comparisons:
        if comparison.metric is Metric.ROC_AUC and comparison.unit is Unit.IMAGE:
            yield compare_models(comparison)


def _verdict(evaluation: Evaluation, model: ModelEvaluation) -> Text:
    group = wording.noun(evaluation.group_by)
    others = english.join_words(
        [name for name in evaluation.classes if name != evaluation.positive]
    )
    by_image = model.summary_of(Metric.ROC_AUC, Unit.IMAGE)
    by_group = model.summary_of(Metric.ROC_AUC, Unit.GROUP)
    accuracy = model.summary_of(Metric.ACCURACY, Unit.IMAGE)
    title = wording.strong(wording.capital(f"the {wording.model_title(model.model)}"))
    if by_image.mean is None:
        return Markup("{} has no ROC AUC on any test set.").format(title)
    sentence = Markup(
        "{}, asked to tell {} from {} on images of {} it had never seen, reached ROC AUC {} and "
        "accuracy {} (mean ± SD over {}); {} by {} the AUC is {}."
    ).format(
        title,
        evaluation.positive,
        others,
        english.make_plural(group),
        wording.strong(wording.plus_minus(by_image.mean, by_image.sd)),
        wording.plus_minus(accuracy.mean, accuracy.sd),
        wording.count(by_image.n, "split"),
        group,
        group,
        wording.strong(wording.plus_minus(by_group.mean, by_group.sd)),
    )
    interval = interval_of(model)
    return wording.join_sentences([sentence, chance(interval, group)]) if interval else sentence


def interval_of(model: ModelEvaluation, unit: Unit = Unit.IMAGE) -> Interval | None:
    """Interval of the ROC AUC for other donors (clones) than these."""
    for interval in model.intervals:
        if interval.metric is Metric.ROC_AUC and interval.unit is unit:
            return interval
    return None


def chance(interval: Interval, group: str) -> str:
    """Say whether an AUC can be told from chance by its interval."""
    if interval.low is None or interval.high is None:
        return "No interval could be computed, so it cannot be told from chance."
    level = wording.percent(interval.level)
    varied = "donors" if interval.varied == "donor" else english.make_plural(group)
    span = f"{level} interval over {interval.n_varied} {varied} in the smallest class: "
    span += wording.span(interval.low, interval.high)
    if interval.low > _CHANCE:
        return f"This is above chance ({span}, chance is 0.50)."
    if interval.high < _CHANCE:
        return f"This is below chance ({span}): look for swapped labels or too few {group}s."
    return f"This cannot be told from chance ({span}, chance is 0.50)."


def compare_models(comparison: Comparison) -> str:
    """Compare two models on the same splits in words."""
    if comparison.mean_difference is None:
        return "The models could not be compared on the same splits."
    first, second = (wording.model_title(name) for name in (comparison.first, comparison.second))
    difference = wording.number(comparison.mean_difference)
    sign = "+" if comparison.mean_difference > 0 else ""
    return (
        f"On the same {wording.count(comparison.n_splits, 'split')}, the AUC by image of the "
        f"{first} minus that of the {second} is {sign}{difference} "
        f"(interval {wording.span(comparison.low, comparison.high)}, "
        f"p {_equals(wording.p_value(comparison.p_value))}; t-test corrected for overlapping "
        "training sets, Nadeau and Bengio 2003)."
    )


def _equals(p: str) -> str:
    return p if p.startswith("<") else f"= {p}"


def _meaning(study: Study, evaluation: Evaluation, group: str) -> Iterator[Block]:
    """Say what the scores can and cannot mean: by the probes where there are any."""
    if not isinstance(study.probes, Absent):
        yield Heading("What this can and cannot mean")
        yield Bullets((*study.probes.verdict, *_about_spread(study, group)))
        return
    yield Heading("What this can mean")
    yield Bullets(tuple(_can_mean(evaluation, group)))
    yield Heading("What it cannot mean")
    yield Bullets(tuple(_cannot_mean(study, evaluation, group)))


def _about_spread(study: Study, group: str) -> Iterator[str]:
    if not isinstance(study.splits, Absent) and study.splits.counts.test == 1:
        yield (
            f"Each split tests one {group} a class, so its AUC by {group} is 0 or 1: rather look "
            f"at single {english.make_plural(group)} below."
        )
    yield (
        "The ± is the spread between splits. Splits share training "
        f"{english.make_plural(group)}, so it is no confidence interval; the intervals in the text "
        "let donors vary."
    )


def _can_mean(evaluation: Evaluation, group: str) -> Iterator[str]:
    yield (
        f"Every {group} in a test set was kept out of training and tuning of that split, so the "
        f"score tells how well the class can be read from images of a {group} that is new to the "
        "classifier, made in the same laboratory in the same way."
    )
    if len(evaluation.models) > 1:
        yield (
            "All classifiers saw the same splits. Where the image network is ahead of the random "
            "forest, the images hold something that count, soma size and neurite length do not."
        )


def _cannot_mean(study: Study, evaluation: Evaluation, group: str) -> Iterator[str]:
    yield from _about_spread(study, group)
    per_class = _groups_per_class(evaluation)
    if per_class:
        yield (
            f"With {per_class}, anything else in which these groups of donors differ (age, sex, "
            "passage, reprogramming) cannot be told from the class."
        )
    linked = [a.variable for a in evaluation.associations if a.verdict == "confounded"]
    if linked:
        names = english.join_words([wording.noun(name) for name in linked])
        yield (
            f"Class and {names} go together on these plates: any score here may be a score of "
            f"{names}, not of the class."
        )
    cohort = study.cohort
    if not isinstance(cohort, Absent) and col.BATCH in cohort:
        batches = cohort[col.BATCH].nunique()
        if batches < 2:
            yield "One batch (or none stated): nothing shows that it would hold in another batch."
    yield "A classifier that works does not say what it looked at, and is no diagnostic test."


def _groups_per_class(evaluation: Evaluation) -> str:
    if not evaluation.models:
        return ""
    group = wording.noun(evaluation.group_by)
    labels = [row.label for row in evaluation.models[0].per_group]
    return english.join_words(
        [
            f"{wording.count(labels.count(name), group)} of {name}"
            for name in evaluation.classes
            if name in labels
        ]
    )


def _screen_sentence(hits: pd.DataFrame) -> Text:
    found = hits[hits[col.HIT].fillna(value=False).astype(bool)]
    wells = len(found.drop_duplicates(list(col.WELL_KEY)))
    plates = wording.count(hits[col.PLATE].nunique(), "plate")
    if wells == 0:
        return f"The screen of {plates} has no hit under the chosen limits."
    what = wording.strong(wording.count(wells, "hit well"))
    names = []
    if col.COMPOUND in found:
        names = [str(name) for name in found[col.COMPOUND].dropna().unique()]
    tail = ""
    if names:
        more = [f"{len(names) - 6} more"] if len(names) > 6 else []
        compounds = wording.count(len(names), "compound")
        tail = f", {compounds}: {english.join_words([*names[:6], *more])}"
    return Markup("The screen of {} has {}{}.").format(plates, what, tail)
