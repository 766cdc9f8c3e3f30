"""Putting stored or random arrays into the variables of a network, every misfit named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.domain.config.stages import Backbone
from hcs.errors import WeightsError
from hcs.learn.network.weights import (
    LayerArrays,
    ResolvedWeights,
    random_array,
    read_layers,
    refuse_changed,
    stable_name,
)


@dataclass(frozen=True, slots=True)
class _Variable:
    layer: str
    name: str
    position: int
    keras_variable: Any


def _variables(base: Any) -> Iterator[_Variable]:  # noqa: ANN401
    for layer in base.layers:
        if hasattr(layer, "layers"):  # ConvNeXt's stem and steps are small models of their own
            yield from _variables(layer)
            continue
        name = stable_name(layer.name)
        for position, variable in enumerate(layer.weights):
            yield _Variable(name, stable_name(variable.name), position, variable)


def fill(base: Any, backbone: Backbone, resolved: ResolvedWeights) -> None:  # noqa: ANN401
    """Assign all variables of a network.

    Parameters
    ----------
    base
        Keras model.
    backbone
        Its name for messages, and the seed of random weights.
    resolved
        Where the weights are.

    Raises
    ------
    WeightsError
        When arrays are absent or do not fit, the message naming the first of them; or when the
        file was replaced since it was found.
    """
    variables = list(_variables(base))
    if resolved.path is None:
        for each in variables:
            shape = tuple(each.keras_variable.shape)
            array = random_array(shape, each.name, backbone.seed, each.layer)
            each.keras_variable.assign(array)
        return
    found = read_layers(resolved.path, {each.layer for each in variables})
    refuse_changed(resolved)  # after reading: what was read is then what was found
    faults = [fault for each in variables if (fault := _misfit(each, found))]
    if faults:
        shown = "; ".join(faults[:4]) + ("; …" if len(faults) > 4 else "")
        msg = (
            f"{str(resolved.path)!r} does not fit {backbone.name}: "
            f"{len(faults)} of {len(variables)} arrays are wrong: {shown}"
        )
        raise WeightsError(msg)
    for each in variables:
        each.keras_variable.assign(_array_of(each, found))


def _array_of(variable: _Variable, found: LayerArrays) -> NDArray[np.float32] | None:
    arrays = found.get(variable.layer, {})
    return arrays.get(variable.name, arrays.get(str(variable.position)))


def _misfit(variable: _Variable, found: LayerArrays) -> str | None:
    array = _array_of(variable, found)
    expected = tuple(variable.keras_variable.shape)
    what = f"layer {variable.layer!r} {variable.name}"
    if array is None:
        return f"{what}: found nothing, expected shape {expected}"
    if array.shape != expected:
        return f"{what}: found shape {array.shape}, expected {expected}"
    if not np.isfinite(array).all():
        return f"{what}: found values that are not finite"
    return None
