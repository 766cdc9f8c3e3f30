"""Trained heads as a stage uses them: with the base that they were trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from hcs.domain.config.network import Backbone
from hcs.domain.config.planes import PlaneChoice, TimeChoice
from hcs.errors import ChoiceError, UnknownNameError, WeightsError
from hcs.io import heads as io_heads
from hcs.learn.heads import training
from hcs.learn.heads.weights import HeadWeights
from hcs.learn.network.weights import resolve_weights
from hcs.stages.work.images import Images, list_images


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


_PLANE: TypeAdapter[PlaneChoice | None] = TypeAdapter(PlaneChoice | None)
_TIME: TypeAdapter[TimeChoice | None] = TypeAdapter(TimeChoice | None)


def list_as_trained(
    plates: Sequence[str],
    treated: Mapping[str, Any],
    stage: str,
    *,
    channel: str | None = None,
    plane: PlaneChoice | None = None,
    time: TimeChoice | None = None,
) -> Images:
    """List images of plates to be treated as those were that heads were trained on.

    Parameters
    ----------
    plates, stage
        As of :func:`hcs.stages.work.images.list_images`.
    treated
        How those of training were treated, from the manifest of the models.
    channel, plane, time
        What is meant on these plates, where it is not what was meant there.

    Raises
    ------
    ChoiceError
        When a plate has not the plane or time point of training, or training knew of none.
    """
    trained_plane = _PLANE.validate_python(treated["plane"])
    trained_time = _TIME.validate_python(treated["time"])
    try:
        return list_images(
            plates,
            channel or treated["channel"],
            stage,
            plane or trained_plane,
            time or trained_time,
            every=True,
        )
    except ChoiceError as error:
        said = f"plane {trained_plane or 'the only one'}, time {trained_time or 'the only one'}"
        msg = f"the heads were trained on images of {said}; {error}"
        raise ChoiceError(msg) from error
