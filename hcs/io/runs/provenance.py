"""How an output came to be: version, configuration, inputs, time."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

import hcs


def provenance(
    stage: str, config: BaseModel, inputs: Mapping[str, str], started: float
) -> dict[str, Any]:
    """Say how an output came to be.

    Parameters
    ----------
    stage
        Name of the stage.
    config
        Its whole configuration.
    inputs
        Fingerprint of every input by its name.
    started
        ``time.time()`` at the start.
    """
    return {
        "software": "hcs",
        "version": hcs.__version__,
        "stage": stage,
        "config": config.model_dump(mode="json"),
        "inputs": dict(inputs),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(time.time() - started, 2),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
    }
