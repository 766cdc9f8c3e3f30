"""From the predictions of all models to one judgement."""

from __future__ import annotations

import time
from typing import Final

import pandas as pd

from hcs.domain import columns as col
from hcs.domain.config.stages import EvaluateConfig
from hcs.domain.evaluation import Association, Evaluation, Metric, Unit
from hcs.domain.results import StageResult
from hcs.domain.splits import Splits
from hcs.errors import StaleError
from hcs.io import heads
from hcs.io.files import parquet
from hcs.io.files.atomic import write_bytes
from hcs.io.files.paths import as_path
from hcs.io.runs.provenance import provenance
from hcs.learn.probes.positions import plate_position_association
from hcs.learn.scores import metrics
from hcs.stages.splits import read_splits, splits_fingerprint
from hcs.words.evaluation import warn_of_gaps
from hcs.words.positions import list_confounding, say_associations

STAGE: Final = "evaluate"


def run(config: EvaluateConfig) -> StageResult:
    """Judge all models of ``config.models`` and write ``config.out``.

    Raises
    ------
    NotFoundError
        When a folder holds no predictions.
    StaleError
        When the models were not trained on the same splits.
    """
    started = time.time()
    splits = _shared_splits(config)
    frames = [
        parquet.read_table(as_path(folder) / heads.PREDICTIONS, what="predictions")
        for folder in config.models
    ]
    predictions = pd.concat(frames, ignore_index=True)
    judged = metrics.evaluate(predictions, splits, n_bootstrap=config.n_bootstrap, seed=config.seed)
    associations = positions(frames[0], splits)
    warnings = (*warn_of_gaps(judged, splits), *list_confounding(associations))
    inputs = {folder: splits_fingerprint(splits) for folder in config.models}
    made = provenance(STAGE, config, inputs, started)
    found = {"warnings": warnings, "associations": associations, "provenance": made}
    judged = judged.model_copy(update=found)
    write_bytes(config.out, judged.to_json().encode())
    return StageResult(
        stage=STAGE,
        out=config.out,
        summary=summary_of(judged),
        n_run=1,
        seconds=time.time() - started,
    )


def summary_of(judged: Evaluation) -> dict[str, str | int | float]:
    """Return the figures to show: accuracy and AUC of every model, then the warnings."""
    shown: dict[str, str | int | float] = {}
    for model in judged.models:
        for metric in (Metric.ACCURACY, Metric.ROC_AUC):
            for unit in Unit:
                found = model.summary_of(metric, unit)
                if found.mean is not None:
                    sd = "" if found.sd is None else f" ± {found.sd:.3f}"
                    name = f"{model.model} {metric.value} by {unit.value}"
                    shown[name] = f"{found.mean:.3f}{sd} (test, {found.n} splits)"
    for number, text in enumerate(judged.warnings, start=1):
        shown[f"warning {number}"] = text
    return shown


def _shared_splits(config: EvaluateConfig) -> Splits:
    read = {folder: read_splits(as_path(folder) / heads.SPLITS) for folder in config.models}
    marks = {folder: splits_fingerprint(splits) for folder, splits in read.items()}
    if len(set(marks.values())) > 1:
        msg = f"the models were not trained on the same splits: {marks}"
        raise StaleError(msg)
    return next(iter(read.values()))


def positions(predictions: pd.DataFrame, splits: Splits) -> tuple[Association, ...]:
    """How far the class follows row, column, plate and batch, on the images of the study."""
    first = predictions[predictions[col.SPLIT] == predictions[col.SPLIT].iloc[0]]
    # Where the splits are made by well, every well was assigned its class by itself.
    group_by = None if splits.group_by == col.WELL else splits.group_by
    found = plate_position_association(first, splits.label, group_by=group_by)
    return say_associations(found)
