"""Trained heads as a stage uses them: with the base that they were trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hcs.domain.config.network import Backbone
from hcs.errors import UnknownNameError, WeightsError
from hcs.io import heads as io_heads
from hcs.learn.heads import training
from hcs.learn.heads.weights import HeadWeights
from hcs.learn.network.weights import resolve_weights


def choose_backbone(manifest: Mapping[str, Any], weights: str | None) -> Backbone:
    """Return the base that the heads were trained on, its weights checked by fingerprint.

    Raises
    ------
    WeightsError
        When they are absent, or are others.
    """
    base = Backbone.model_validate(manifest["backbone"])
    if weights is not None:
        base = base.model_copy(update={"weights": weights})
    found = resolve_weights(base)
    if found.fingerprint != manifest["weights_fingerprint"]:
        msg = (
            f"the heads were trained on {manifest['weights']}; {base.weights} holds other weights "
            f"({found.description}): name the right ones with --weights"
        )
        raise WeightsError(msg)
    return base


def build_model(models: str, split: int, weights: str | None) -> tuple[Any, dict[str, Any]]:
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
    base = choose_backbone(manifest, weights)
    model = training.export_keras(base, int(manifest["images"]["image_px"]), stacked, split)
    return model, manifest
