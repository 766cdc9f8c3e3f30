"""From bank, splits and models to ``probes.json``: what else than biology the scores could mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from hcs.compute import budget
from hcs.compute.client import network_resources
from hcs.compute.units import Unit
from hcs.domain import columns as col
from hcs.domain.config.stages import ProbeConfig
from hcs.domain.probing import BatchFacts, Probes, ProbeSettings, VariableFacts
from hcs.domain.results import StageResult
from hcs.domain.splits import Splits
from hcs.io import bank, heads, imageset
from hcs.io.files import parquet
from hcs.io.files.atomic import write_bytes
from hcs.io.files.paths import as_path
from hcs.io.predictions import read_predictions
from hcs.io.runs.fingerprints import fingerprint
from hcs.learn.heads.batches import DEFAULT_BUDGET_BYTES
from hcs.learn.probes import covariates, intensity_baseline, learning_curve, permutation, verdict
from hcs.learn.probes.arrangements import Arrangements
from hcs.learn.probes.positions import plate_position_association
from hcs.stages.frame import Frame, MadeFrom, open_frame
from hcs.stages.work import probe_work
from hcs.stages.work.probe_inputs import (
    VARIABLES,
    IntensityTable,
    cohort_of,
    intensity_table,
    model_auc,
    study_frame,
)
from hcs.stages.work.study import fingerprint_splits, read_splits
from hcs.stages.work.tables import hash_rows
from hcs.words import probes as words
from hcs.words.verdict import say_verdict

if TYPE_CHECKING:
    from distributed import Client

STAGE: Final = "probe"

_FORMAT: Final = 4
_BASELINE_SPLITS: Final = 5


def run(config: ProbeConfig, client: Client | None = None) -> StageResult:
    """Probe the scores of a study and write ``config.out``.

    Raises
    ------
    NotFoundError, InputError
        When bank, splits, models, features or plates are missing or do not fit together.
    StaleError
        When the models were not trained on these splits.
    """
    given = (config.features,) if config.features else ()
    reads = (config.bank, config.splits, *config.models, *config.plates, *given)
    with open_frame(STAGE, config, client, out=config.out, reads=reads) as frame:
        return _run(config, frame)


def _run(config: ProbeConfig, run: Frame) -> StageResult:
    splits = read_splits(config.splits)
    opened = bank.open_bank(config.bank)
    frame = study_frame(config, opened, splits)
    config = config.model_copy(update={"epochs": probe_work.epochs(config, frame, splits)})
    intensity = intensity_table(config, splits, frame)
    _check_budget(config, opened, run.client)
    if intensity.columns:
        parquet.write_table(
            probe_work.part(config, probe_work.INTENSITY, ".parquet"), intensity.images
        )
    mark = _fingerprint_study(config, opened, splits, frame)
    groups = _units(config, splits, frame, (mark, intensity))
    results: dict[str, dict[str, Any]] = {}
    for label, units in groups.items():
        resources = network_resources(run.client) if label == "probe heads" else None
        found = run.do(probe_work.perform, units, label=label, resources=resources)
        results.update(zip((unit.id for unit in units), found, strict=True))
    run.inputs |= {"bank": opened.fingerprint, "splits": fingerprint_splits(splits)}
    judged = _collect(config, splits, frame, intensity, results)
    judged = judged.model_copy(update={"provenance": run.provenance()})
    write_bytes(config.out, judged.to_json().encode())
    return run.result(summary_of(judged))


def _fingerprint_study(
    config: ProbeConfig, opened: imageset.ImageSet, splits: Splits, frame: pd.DataFrame
) -> str:
    """Say what all probes are made from; a compound, for one, is nothing to them."""
    named = [*col.IMAGE_KEY, splits.group_by, splits.label, col.DONOR, col.BATCH]
    known = frame[[name for name in dict.fromkeys(named) if name in frame]]
    return MadeFrom(
        _FORMAT,
        config.seed,
        pixels=opened.fingerprint,
        metadata=hash_rows(known),
        values=fingerprint_splits(splits),
    ).fingerprint


def summary_of(found: Probes) -> dict[str, str | int | float]:
    """Return the figures to show: the outcome, then the verdict in sentences."""
    shown: dict[str, str | int | float] = {"probes": found.outcome.value.replace("_", " ")}
    for number, sentence in enumerate(found.verdict, start=1):
        shown[f"verdict {number}"] = sentence
    return shown


def _check_budget(config: ProbeConfig, opened: imageset.ImageSet, client: Client | None) -> None:
    n_images, n_views, n_features = opened.shape
    short = min(n_features, config.max_features)
    needed = budget.NETWORK_FLOOR_BYTES + DEFAULT_BUDGET_BYTES + 4 * n_images * short * 4
    if short < n_features:
        needed += 3 * n_features * short * 4 + probe_work.IMAGES_AT_ONCE * n_views * n_features * 4
    budget.check_budget(STAGE, needed, client, "lower max_features")


# ── units of work ───────────────────────────────────────────────────────────────────────────────


def _units(
    config: ProbeConfig, splits: Splits, frame: pd.DataFrame, marks: tuple[str, IntensityTable]
) -> dict[str, list[Unit[probe_work.ProbeJob]]]:
    """All units by what they need: first the vectors, which all others read."""
    mark, intensity = marks
    splits_mark = fingerprint_splits(splits)
    short = fingerprint(mark, config.max_features)
    recipe = fingerprint(
        short, config.head, config.learning_rate, config.momentum, config.epochs, config.batch_size
    )

    def unit(
        kind: str, name: str, item: tuple[Any, ...], *settings: object
    ) -> Unit[probe_work.ProbeJob]:
        return Unit(
            name,
            fingerprint(kind, item, *settings),
            probe_work.ProbeJob(config, splits_mark, kind, item),
        )

    step, among = config.permutations_per_unit, _arrange(config, splits, frame)
    blocks = [(start, min(start + step, among.n)) for start in range(0, among.n, step)]
    shuffled = (recipe, config.n_splits, among.are_all, _FORMAT)
    trained = [unit("shuffles", f"shuffles-{a:05d}", (a, b), *shuffled) for a, b in blocks]
    trained += [
        unit("amount", probe_work.amount_name(amount), (amount,), recipe, config.n_splits)
        for amount in probe_work.all_amounts(splits)
    ]
    _, batches = probe_work.batches_of_images(frame)
    if len(batches) > 1:
        trained += [
            unit("batch", f"batch-{number:04d}", (number, name), recipe)
            for number, name in enumerate(batches)
        ]
    plain = [
        unit("variable", f"variable-{name}", (name,), short, config.n_permutations)
        for name in (*VARIABLES, splits.label)
    ]
    if intensity.columns:
        for start in range(0, len(splits.splits), _BASELINE_SPLITS):
            part = (start, min(start + _BASELINE_SPLITS, len(splits.splits)), intensity.columns)
            plain.append(
                unit("baseline", f"baseline-{start:04d}", part, mark, intensity.fingerprint)
            )
    return {
        "probe vectors": [unit("vectors", probe_work.VECTORS, (), short)],
        "probe heads": trained,
        "probe layout": plain,
    }


def _arrange(config: ProbeConfig, splits: Splits, frame: pd.DataFrame) -> Arrangements:
    cohort = cohort_of(np.zeros((len(frame), 0), np.float32), frame, splits)
    return Arrangements(cohort, config.n_permutations, config.seed)


# ── the judgement ───────────────────────────────────────────────────────────────────────────────


def _collect(
    config: ProbeConfig,
    splits: Splits,
    frame: pd.DataFrame,
    intensity: IntensityTable,
    results: Mapping[str, Mapping[str, Any]],
) -> Probes:
    def of(kind: str) -> list[Mapping[str, Any]]:
        return [result for name, result in results.items() if name.startswith(f"{kind}-")]

    predictions = _predictions(config)
    among = _arrange(config, splits, frame)
    shuffled = [auc for result in of("shuffles") for auc in result["aucs"]]
    baseline = [auc for result in of("baseline") for auc in result["aucs"]]
    findings = verdict.Findings(
        label=splits.label,
        groups_per_class=tuple(
            sum(group.label == name for group in splits.groups) for name in splits.classes
        ),
        permutation=permutation.judge_permutations(
            among, shuffled, config.n_splits, probe_work.recipe_of(config).epochs
        ),
        associations=plate_position_association(
            frame,
            splits.label,
            group_by=None if splits.group_by == col.WELL else splits.group_by,
            seed=config.seed,
        ),
        variables=tuple(VariableFacts.model_validate(dict(found)) for found in of("variable")),
        baseline=intensity_baseline.judge_baseline(
            intensity.columns, baseline, splits, model_auc(predictions, splits)
        ),
        learning_curves=_curves(splits, results),
        held_out_batches=tuple(BatchFacts.model_validate(dict(found)) for found in of("batch")),
        covariates=_covariates(predictions, splits, intensity, frame),
    )
    return _put_into_words(config, splits, findings)


def _put_into_words(config: ProbeConfig, splits: Splits, findings: verdict.Findings) -> Probes:
    judgement = verdict.judge(findings)
    length = bank.open_bank(config.bank).item_shape[1]
    settings = ProbeSettings(
        n_splits=config.n_splits,
        epochs=probe_work.recipe_of(config).epochs,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        momentum=config.momentum,
        hidden_units=config.head.hidden_units,
        dropout=config.head.dropout,
        l2=config.head.l2,
        n_features=min(length, config.max_features),
        projected_from=length if length > config.max_features else None,
    )
    return Probes(
        group_by=splits.group_by,
        label=splits.label,
        classes=splits.classes,
        positive=splits.positive,
        groups_per_class=findings.groups_per_class,
        outcome=judgement.outcome,
        verdict=say_verdict(judgement, findings),
        settings=settings,
        permutation=words.say_permutation(findings.permutation),
        variables=tuple(words.say_variable(found) for found in findings.variables),
        baseline=words.say_baseline(findings.baseline),
        learning_curves=tuple(words.say_curve(found) for found in findings.learning_curves),
        held_out_batches=tuple(words.say_batch(found) for found in findings.held_out_batches),
        covariates=tuple(words.say_covariate(found) for found in findings.covariates),
    )


def _predictions(config: ProbeConfig) -> pd.DataFrame | None:
    frames = [read_predictions(as_path(folder) / heads.PREDICTIONS) for folder in config.models]
    return pd.concat(frames, ignore_index=True) if frames else None


def _curves(splits: Splits, results: Mapping[str, Mapping[str, Any]]) -> tuple[Any, ...]:
    curves = []
    for varied in probe_work.VARIED:
        points = []
        for amount in learning_curve.amounts(varied, splits):
            result = results[probe_work.amount_name(amount)]
            points.append((amount, int(result["epochs"]), result["aucs"]))
        curves.append(learning_curve.judge_curve(varied, points, splits))
    return tuple(curves)


def _covariates(
    predictions: pd.DataFrame | None,
    splits: Splits,
    intensity: IntensityTable,
    frame: pd.DataFrame,
) -> Sequence[Any]:
    if predictions is None:
        return ()
    images = frame if intensity.images.empty else intensity.images
    columns = covariates.group_columns(images, splits)
    accuracies = covariates.group_accuracies(predictions, splits)
    return [
        entry
        for model, accuracy in accuracies.items()
        for entry in covariates.covariate_tests(model, accuracy, columns)
    ]
