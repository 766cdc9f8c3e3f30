"""From a trained head and one well to pictures of where the head looks."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from skimage.io import imsave

from hcs.domain import columns as col
from hcs.domain.config.stages import ExplainConfig
from hcs.domain.results import Problem, StageResult
from hcs.domain.splits import Splits
from hcs.domain.wells import Well
from hcs.errors import ImageReadError, UnknownNameError
from hcs.io import heads as io_heads
from hcs.io.files.paths import as_path
from hcs.learn.heads import training as heads
from hcs.learn.heads.weights import HeadWeights
from hcs.learn.network import saliency
from hcs.stages.predict import trained_backbone
from hcs.stages.splits import read_splits
from hcs.stages.stack import ImageJob, images_of, normalized

STAGE: Final = "explain"

_HEAT: Final = np.array([[0, 0, 0], [120, 0, 0], [255, 80, 0], [255, 220, 80], [255, 255, 255]])
"""Black to white through red, five steps, for the Grad-CAM overlay."""


def trained_model(models: str, split: int, weights: str | None) -> tuple[Any, dict[str, Any]]:
    """Build one head of a study with its base as one flat Keras model.

    Returns
    -------
    model
        From normalized gray images to class probabilities.
    manifest
        How images must be treated for it.

    Raises
    ------
    UnknownNameError
        When there is no such split.
    """
    manifest = io_heads.read_manifest(models)
    stacked = HeadWeights(**io_heads.read_heads(models))
    if split >= len(stacked):
        raise UnknownNameError("split", split, models, range(len(stacked)))
    base = trained_backbone(manifest, weights)
    model = heads.export_keras(base, int(manifest["images"]["image_px"]), stacked, split)
    return model, manifest


def run(config: ExplainConfig) -> StageResult:
    """Write Grad-CAM and guided Grad-CAM of every image of one well as PNG files.

    Each file shows, side by side, the normalized image, Grad-CAM over it, and guided Grad-CAM, for
    the positive class.

    Raises
    ------
    UnknownNameError
        When the well has no images, or there is no such split or layer.
    """
    started = time.time()
    model, manifest = trained_model(config.models, config.split, config.weights)
    splits = read_splits(as_path(config.models) / io_heads.SPLITS)
    treated = manifest["images"]
    frame, jobs, problems = images_of((config.plate,), treated["channel"], STAGE)
    well = Well.parse(config.well).name
    chosen = [job for job in jobs if job.well == well]
    if not chosen:
        raise UnknownNameError("well", well, config.plate, sorted(set(frame[col.WELL])))
    pictures, read, faults = _pictures(chosen, treated)
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    if len(pictures):
        positive = splits.classes.index(splits.positive)
        cams = saliency.grad_cam(model, pictures, config.layer, positive)
        guided = saliency.guided_grad_cam(model, pictures, config.layer, positive)
        for job, *maps in zip(read, pictures, cams, guided, strict=True):
            name = f"{job.plate}_{job.well}_{job.site}_{config.layer}.png"
            imsave(out / name, side_by_side(*maps), check_contrast=False)
    return StageResult(
        stage=STAGE,
        out=config.out,
        summary=_summary(config, splits, len(read)),
        n_run=1,
        problems=(*(item for item in problems if item.well == well), *faults),
        seconds=time.time() - started,
    )


def _summary(config: ExplainConfig, splits: Splits, count: int) -> dict[str, str | int | float]:
    return {
        "pictures": count,
        "each shows": "image, Grad-CAM, guided Grad-CAM",
        "class": splits.positive,
        "layer": config.layer,
        "head of split": config.split,
    }


def _pictures(
    jobs: list[ImageJob], treated: dict[str, Any]
) -> tuple[NDArray[np.uint8], list[ImageJob], list[Problem]]:
    pictures, read, faults = [], [], []
    for job in jobs:
        try:
            picture = normalized(job, int(treated["image_px"]), float(treated["median_level"]))
        except ImageReadError as error:
            faults.append(
                Problem(
                    stage=STAGE,
                    file=job.field_path,
                    reason=col.Reason(error.reason),
                    message=str(error),
                    plate=job.plate,
                    well=job.well,
                    site=job.site,
                )
            )
            continue
        pictures.append(picture)
        read.append(job)
    return np.array(pictures, dtype=np.uint8), read, faults


def side_by_side(
    image: NDArray[np.uint8], cam: NDArray[np.float32], guided: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Image, Grad-CAM over it, and guided Grad-CAM around mid-gray, ``(Y, 3 X, 3)`` uint8."""
    gray = np.repeat(image[..., None], 3, axis=2).astype(np.float32)
    share = cam / cam.max() if cam.max() > 0 else cam
    steps = np.linspace(0, 1, len(_HEAT))
    heat = np.stack([np.interp(share, steps, _HEAT[:, band]) for band in range(3)], axis=-1)
    over = np.clip(0.6 * gray + 0.6 * heat, 0, 255)
    spread = float(np.percentile(np.abs(guided), 99.5)) or 1.0
    sensed = np.clip(127.5 + 127.5 * guided / spread, 0, 255)
    return np.concatenate([gray, over, np.repeat(sensed[..., None], 3, axis=2)], axis=1).astype(
        np.uint8
    )
