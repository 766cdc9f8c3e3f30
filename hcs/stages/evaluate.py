"""From the predictions of all models to one judgement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

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
from hcs.io.predictions import read_predictions
from hcs.io.runs.fingerprints import fingerprint_file
from hcs.learn.probes.positions import plate_position_association
from hcs.learn.scores import metrics
from hcs.learn.scores.scored import class_score_column, find_diverged
from hcs.stages.frame import MadeFrom, open_frame
from hcs.stages.work.study import fingerprint_splits, read_splits
from hcs.words.evaluation import warn_of_diverged, warn_of_gaps
from hcs.words.positions import list_confounding, say_associations

STAGE: Final = "evaluate"

_FORMAT: Final = 3


def run(config: EvaluateConfig) -> StageResult:
    """Judge all models of ``config.models`` and write ``config.out``.

    Raises
    ------
    NotFoundError
        When a folder holds no predictions.
    StaleError
        When the models were not trained on the same splits.
    """
    reads = config.models
    with open_frame(STAGE, config, out=config.out, reads=reads, apart=("models", "out")) as frame:
        splits = _read_shared_splits(config)
        tables = [str(as_path(folder) / heads.PREDICTIONS) for folder in config.models]
        marks = [fingerprint_file(table) for table in tables]
        frame.inputs |= dict(zip(config.models, marks, strict=True))
        values = [fingerprint_splits(splits), *marks]

        def write(made: Mapping[str, Any]) -> Mapping[str, Any]:
            judged = _judge(config, splits, tables).model_copy(update={"provenance": dict(made)})
            write_bytes(config.out, judged.to_json().encode())
            return {"summary": summary_of(judged)}

        made_from = MadeFrom(_FORMAT, frame.settings, values=values)
        return frame.result(frame.join("evaluation", made_from, write, is_work=True)["summary"])


def _judge(config: EvaluateConfig, splits: Splits, tables: Sequence[str]) -> Evaluation:
    frames = [_read_scores(table, splits) for table in tables]
    predictions = pd.concat(frames, ignore_index=True)
    judged = metrics.evaluate(predictions, splits, n_bootstrap=config.n_bootstrap, seed=config.seed)
    associations = positions(frames[0], splits)
    warnings = (
        *warn_of_diverged(find_diverged(predictions, splits), splits),
        *warn_of_gaps(judged, splits),
        *list_confounding(associations),
    )
    return judged.model_copy(update={"warnings": warnings, "associations": associations})


def _read_scores(table: str, splits: Splits) -> pd.DataFrame:
    """Read what a judgement looks at: the table has a row an image, split and model."""
    wanted = [col.MODEL, col.SPLIT, col.ROLE, *col.IMAGE_KEY, splits.group_by, splits.label]
    wanted += [col.DONOR, col.BATCH, col.SCORE, *(class_score_column(n) for n in splits.classes)]
    schema = parquet.read_schema(table)
    names = set(wanted) if schema is None else set(schema.names)
    columns = [name for name in dict.fromkeys(wanted) if name in names]
    return read_predictions(table, columns)


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


def _read_shared_splits(config: EvaluateConfig) -> Splits:
    read = {folder: read_splits(as_path(folder) / heads.SPLITS) for folder in config.models}
    marks = {folder: fingerprint_splits(splits) for folder, splits in read.items()}
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
