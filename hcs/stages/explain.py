"""From a trained head and one well to pictures of where the head looks."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from skimage.io import imsave

from hcs.domain import columns as col
from hcs.domain.config.stages import ExplainConfig
from hcs.domain.results import Problem, StageResult
from hcs.domain.splits import Splits
from hcs.domain.wells import Well
from hcs.errors import UnknownNameError
from hcs.io import heads as io_heads
from hcs.io.files.paths import as_path
from hcs.io.imageset import name_group
from hcs.learn.network import saliency
from hcs.stages.frame import Frame, open_frame
from hcs.stages.work.images import normalize_each
from hcs.stages.work.models import build_model, list_as_trained
from hcs.stages.work.study import read_splits

STAGE: Final = "explain"

_HEAT: Final = np.array([[0, 0, 0], [120, 0, 0], [255, 80, 0], [255, 220, 80], [255, 255, 255]])
"""Black to white through red, five steps, for the Grad-CAM overlay."""


def run(config: ExplainConfig) -> StageResult:
    """Write Grad-CAM and guided Grad-CAM of every image of one well as PNG files.

    Each file shows, side by side, the normalized image, Grad-CAM over it, and guided Grad-CAM, for
    the positive class.

    Raises
    ------
    UnknownNameError
        When the well has no images, or there is no such split or layer.
    """
    reads = (config.models, config.plate)
    with open_frame(STAGE, config, out=config.out, reads=reads) as frame:
        return _run(config, frame)


def _run(config: ExplainConfig, frame: Frame) -> StageResult:
    treated = io_heads.read_manifest(config.models)["images"]
    images = list_as_trained((config.plate,), treated, STAGE, plane=config.plane, time=config.time)
    model, _ = build_model(config.models, config.split, config.weights)
    splits = read_splits(as_path(config.models) / io_heads.SPLITS)
    well = Well.parse(config.well).name
    chosen = [job for job in images.jobs() if job.well == well]
    if not chosen:
        found = sorted(set(images.frame[col.WELL]))
        raise UnknownNameError("well", well, config.plate, found)
    frame.problems += [item for item in images.problems if item.well == well]
    side, level = int(treated["image_px"]), float(treated["median_level"])
    made = list(normalize_each(chosen, side, level, STAGE, strict=False))
    frame.problems += [item for item in made if isinstance(item, Problem)]
    read = [
        (job, picture)
        for job, picture in zip(chosen, made, strict=True)
        if not isinstance(picture, Problem)
    ]
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    if read:
        pictures = np.stack([picture for _, picture in read])
        positive = splits.classes.index(splits.positive)
        cams = saliency.grad_cam(model, pictures, config.layer, positive)
        guided = saliency.guided_grad_cam(model, pictures, config.layer, positive)
        for (job, picture), *maps in zip(read, cams, guided, strict=True):
            at = f"_t{job.time}" if images.chosen[job.plate].is_timed else ""
            name = f"{name_group(job.plate)}_{job.well}_{job.site}{at}_{config.layer}.png"
            imsave(out / name, side_by_side(picture, *maps), check_contrast=False)
    frame.n_run = 1
    return frame.result(_summary(config, splits, len(read)))


def _summary(config: ExplainConfig, splits: Splits, count: int) -> dict[str, str | int | float]:
    return {
        "pictures": count,
        "each shows": "image, Grad-CAM, guided Grad-CAM",
        "class": splits.positive,
        "layer": config.layer,
        "head of split": config.split,
    }


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
