"""A small simulated study from nothing to its result: the newcomer's first command."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hcs.compute import progress
from hcs.domain.config.stages import Backbone, SimulateConfig
from hcs.domain.results import StageResult
from hcs.errors import WeightsError
from hcs.learn.network.weights import resolve_weights
from hcs.simulate import run as simulation
from hcs.stages.study import run as study

if TYPE_CHECKING:
    from distributed import Client

STAGE: Final = "demo"


def run(
    out: str, *, weights: str | None = None, seed: int = 0, client: Client | None = None
) -> StageResult:
    """Simulate a small cohort and a screen, run the whole study, compare with what was planted.

    Parameters
    ----------
    out
        Folder to write: ``images`` and ``study`` go there.
    weights
        ``imagenet``, ``random`` or a file; None takes ImageNet weights where Keras has or can
        fetch them within seconds, else random ones, and says which.
    seed
        Of the simulation and the study.
    client
        Dask client.

    Raises
    ------
    WeightsError
        When weights were asked for by name and are absent.
    """
    started = time.time()
    chosen, why = choose_weights(weights)
    progress.current().say(f"weights: {why}")
    images = Path(out) / "images"
    simulated = simulation.run(SimulateConfig(out=str(images), preset="demo", seed=seed), client)
    settings = study.read_study(str(images / "study.yaml"))
    settings = study.with_weights(settings, chosen).model_copy(
        update={"out": str(Path(out) / "study"), "seed": seed}
    )
    result = study.run(settings, client)
    return result.model_copy(
        update={
            "stage": STAGE,
            "summary": {"weights": why, **result.summary},
            "n_run": result.n_run + simulated.n_run,
            "n_skipped": result.n_skipped + simulated.n_skipped,
            "seconds": time.time() - started,
        }
    )


def choose_weights(asked: str | None) -> tuple[str, str]:
    """Choose the weights of the demo, and say which and why."""
    if asked is not None:
        return asked, resolve_weights(Backbone(weights=asked)).description
    try:
        return "imagenet", resolve_weights(Backbone()).description
    except WeightsError:
        why = (
            "random, because no ImageNet weights are here and none can be fetched; "
            "the planted phenotype is strong enough for them"
        )
        return "random", why
