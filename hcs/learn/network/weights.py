"""Where the frozen network's weights come from: Keras' own copy, a file, or a stated random draw.

Files are read as plain arrays (NumPy without pickle, HDF5 without its model configuration), so no
code from a weights file is ever run, whatever its format.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from hcs.domain.config.stages import Backbone
from hcs.errors import WeightsError
from hcs.io.files.edge import refuse_damage
from hcs.learn import counters
from hcs.learn.network.hashes import hash_file
from hcs.learn.network.published import ALTERNATIVES, find_published

LayerArrays = Mapping[str, Mapping[str, NDArray[np.float32]]]
"""Layer name → variable name (``kernel``) or position (``0``) → array."""

PROBE_SECONDS: Final = 4.0

_NUMBERED: Final = re.compile(r"(layer_normalization|variable)_\d+")


def stable_name(name: str) -> str:
    """Name of a layer or variable without the count that Keras appends to names it makes itself.

    ConvNeXt leaves its last normalization and the scales of its blocks unnamed, so that their
    names depend on what was built before in the same process.
    """
    found = _NUMBERED.fullmatch(name)
    return found[1] if found else name


@dataclass(frozen=True, slots=True)
class ResolvedWeights:
    """Weights that were found, before they are loaded.

    Attributes
    ----------
    kind
        ``imagenet``, ``file`` or ``random``.
    path
        Local file; None for ``random``.
    fingerprint
        The same for the same weights: SHA-256 of the file, or the key of the random draw.
    description
        One line for logs and the report.
    """

    kind: Literal["imagenet", "file", "random"]
    path: Path | None
    fingerprint: str
    description: str


def resolve_weights(backbone: Backbone, *, probe_seconds: float = PROBE_SECONDS) -> ResolvedWeights:
    """Find the weights that a backbone names, downloading Keras' own copy when it can.

    Parameters
    ----------
    backbone
        ``weights`` is ``imagenet``, ``random``, or a path.
    probe_seconds
        How long to wait for the download server to answer at all.

    Returns
    -------
    ResolvedWeights
        What to hand to the backbone builder.

    Raises
    ------
    WeightsError
        No such file, or ImageNet weights neither stored here nor to be had; said within seconds.
    """
    if backbone.weights == "random":
        return ResolvedWeights(
            "random",
            None,
            f"random:{backbone.name}:{backbone.seed}",
            f"random {backbone.name} weights (He normal, seed {backbone.seed})",
        )
    if backbone.weights == "imagenet":
        path = find_published(backbone.name, probe_seconds)
        description = f"ImageNet {backbone.name} weights of Keras ({path})"
        return ResolvedWeights("imagenet", path, _fingerprint(path), description)
    path = Path(backbone.weights).expanduser()
    if not path.is_file():
        msg = (
            f"no weights file {str(path)!r} for {backbone.name}. {ALTERNATIVES}, "
            "or --weights imagenet"
        )
        raise WeightsError(msg)
    return ResolvedWeights("file", path, _fingerprint(path), f"{backbone.name} weights of {path}")


def resolve_same_weights(backbone: Backbone, expected: str) -> ResolvedWeights:
    """Find the weights that a backbone names, and refuse any but those that are expected.

    Parameters
    ----------
    backbone
        As for :func:`resolve_weights`.
    expected
        Fingerprint of the weights that the results are recorded under.

    Raises
    ------
    WeightsError
        As :func:`resolve_weights`; or other weights than expected.
    """
    found = resolve_weights(backbone)
    _refuse_others(found, expected)
    return found


def refuse_changed(weights: ResolvedWeights) -> None:
    """Refuse a file that no longer holds what it held when it was found.

    Raises
    ------
    WeightsError
        When its content is another.
    """
    if weights.path is not None:
        now = replace(weights, fingerprint=_fingerprint(weights.path))
        _refuse_others(now, weights.fingerprint)


def _refuse_others(found: ResolvedWeights, expected: str) -> None:
    if found.fingerprint == expected:
        return
    what = found.description if found.path is None else f"weights file {str(found.path)!r}"
    msg = (
        f"{what} holds {found.fingerprint}, expected {expected}: the file was replaced while "
        "in use, or is another one on this machine. Put the expected file there on every machine, "
        "or start again with the weights that are there"
    )
    raise WeightsError(msg)


def read_layers(path: Path, layers: Collection[str]) -> LayerArrays:
    """Read the arrays of the named layers; layers that the file lacks are absent.

    Parameters
    ----------
    path
        ``.npz`` with ``<layer>/<variable>``, legacy Keras ``.h5``, ``.weights.h5`` or ``.keras``.
    layers
        Layers that are wanted; others (such as a classifier on top) are not read.

    Returns
    -------
    LayerArrays
        Arrays by layer, then by variable name or by position.

    Raises
    ------
    WeightsError
        When the file is none of these formats or is damaged.
    """
    with refuse_damage(path, "weights file", kind=WeightsError):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if "model.weights.h5" in archive.namelist():
                    content = io.BytesIO(archive.read("model.weights.h5"))
                    return _read_hdf5(content, layers)
            return _read_npz(path, layers)
        if h5py.is_hdf5(path):
            return _read_hdf5(path, layers)
    msg = (
        f"weights file {str(path)!r} is neither .npz nor Keras .h5, .weights.h5 or .keras "
        "(or is damaged)"
    )
    raise WeightsError(msg)


def random_array(shape: tuple[int, ...], variable: str, *key: str | int) -> NDArray[np.float32]:
    """Draw one variable: He normal for kernels, 1 for scales and variances, 0 for the rest.

    A kernel with one output a channel (depthwise) sums over its window only. The normalization that
    ends a residual branch of ResNet starts at a quarter: sixteen branches as strong as what they
    are added to would double the variance sixteen times, beyond half precision.

    He et al. 2015, doi 10.1109/ICCV.2015.123. The draw depends on the key alone, so it is the
    same on every machine.

    Parameters
    ----------
    shape
        Shape of the variable; the last axis is the output of a kernel.
    variable
        Keras' name of it, such as ``kernel``, ``bias``, ``gamma``, ``moving_variance``;
        ``variable`` is ConvNeXt's scale of a block.
    *key
        Seed and layer name.
    """
    if "kernel" in variable:
        summed = shape[:2] if len(shape) == 4 and shape[-1] == 1 else shape[:-1]
        spread = math.sqrt(2.0 / math.prod(summed))
        values = counters.normals(math.prod(shape), "weights", *key, variable)
        return (values * spread).reshape(shape).astype(np.float32)
    value = 1.0 if variable in {"gamma", "moving_variance", "variable"} else 0.0
    if variable == "gamma" and str(key[-1]).endswith("_3_bn"):
        value = 0.25
    return np.full(shape, value, np.float32)


def _read_npz(path: Path, layers: Collection[str]) -> LayerArrays:
    found: dict[str, dict[str, NDArray[np.float32]]] = {}
    with np.load(path, allow_pickle=False) as archive:
        for key in archive.files:
            layer, _, variable = key.rpartition("/")
            if (layer := stable_name(layer)) in layers:
                array = np.asarray(archive[key], np.float32)
                found.setdefault(layer, {})[stable_name(variable)] = array
    return found


def _read_hdf5(source: Path | io.BytesIO, layers: Collection[str]) -> LayerArrays:
    found: dict[str, dict[str, NDArray[np.float32]]] = {}
    with h5py.File(source, "r") as file:
        for name, dataset in _hdf5_variables(file):
            if (layer := stable_name(name)) in layers:
                variables = found.setdefault(layer, {})
                variables[str(len(variables))] = np.asarray(dataset[()], np.float32)
    return found


def _hdf5_variables(group: h5py.Group) -> Iterator[tuple[str, h5py.Dataset]]:
    """Walk through both of Keras' HDF5 layouts, giving variables in the layer's own order."""
    if "weight_names" in group.attrs:  # legacy: variables listed by path
        for entry in group.attrs["weight_names"]:
            name = entry.decode() if isinstance(entry, bytes) else str(entry)
            parts = name.split("/")
            layer = parts[-2] if len(parts) > 1 else str(group.name).rsplit("/", 1)[-1]
            yield layer, group[name]
        return
    layer = group.attrs.get("name")
    for key in sorted(group, key=lambda text: (len(text), text)):
        child = group[key]
        if isinstance(child, h5py.Group):
            yield from _hdf5_variables(child)
        elif layer is not None:  # Keras 3: numbered variables, the layer's name beside them
            yield str(layer), child


def _fingerprint(path: Path) -> str:
    return f"sha256:{hash_file(path, 'sha256')}"
