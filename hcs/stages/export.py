"""From one trained head to an ordinary Keras model with its base, for use without hcs."""

from __future__ import annotations

from typing import Final

from hcs.domain.config.planes import describe_choice
from hcs.domain.config.stages import ExportConfig
from hcs.domain.results import StageResult
from hcs.errors import InputError
from hcs.io.files.atomic import replacing
from hcs.stages.frame import Frame, open_frame
from hcs.stages.work.models import build_model

STAGE: Final = "export"


def run(config: ExportConfig) -> StageResult:
    """Write one head with its base as one flat functional ``.keras`` model.

    It takes normalized gray images ``(N, Y, X, 1)`` in 0..255 and gives class probabilities.

    Raises
    ------
    InputError
        When the output is not named ``.keras``.
    UnknownNameError
        When there is no such split.
    """
    if not config.out.endswith(".keras"):
        msg = f"{config.out} must end in .keras, the format that Keras reads safely"
        raise InputError(msg)
    with open_frame(STAGE, config, out=config.out, reads=(config.models,)) as frame:
        return _run(config, frame)


def _run(config: ExportConfig, frame: Frame) -> StageResult:
    model, manifest = build_model(config.models, config.split, config.weights)
    with replacing(config.out) as temporary:
        named = temporary.with_suffix(".keras")
        try:
            model.save(named)
            named.replace(temporary)
        finally:
            named.unlink(missing_ok=True)
    side = manifest["images"]["image_px"]
    chosen = describe_choice(manifest["images"])
    frame.n_run = 1
    return frame.result(
        {
            "input": f"gray images ({side}, {side}, 1), median at "
            f"{manifest['images']['median_level']:g}, 0..255" + (f"; {chosen}" if chosen else ""),
            "output": ", ".join(manifest["classes"]),
            "head of split": config.split,
        }
    )
