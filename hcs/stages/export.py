"""From one trained head to an ordinary Keras model with its base, for use without hcs."""

from __future__ import annotations

import time
from typing import Final

from hcs.domain.config.stages import ExportConfig
from hcs.domain.results import StageResult
from hcs.errors import InputError
from hcs.io.files.atomic import replacing
from hcs.stages.explain import trained_model

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
    started = time.time()
    if not config.out.endswith(".keras"):
        msg = f"{config.out} must end in .keras, the format that Keras reads safely"
        raise InputError(msg)
    model, manifest = trained_model(config.models, config.split, config.weights)
    with replacing(config.out) as temporary:
        named = temporary.with_suffix(".keras")
        try:
            model.save(named)
            named.replace(temporary)
        finally:
            named.unlink(missing_ok=True)
    side = manifest["images"]["image_px"]
    return StageResult(
        stage=STAGE,
        out=config.out,
        summary={
            "input": f"gray images ({side}, {side}, 1), median at "
            f"{manifest['images']['median_level']:g}, 0..255",
            "output": ", ".join(manifest["classes"]),
            "head of split": config.split,
        },
        n_run=1,
        seconds=time.time() - started,
    )
