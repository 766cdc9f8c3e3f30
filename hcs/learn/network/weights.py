"""Where the frozen network's weights come from: Keras' own copy, a file, or a stated random draw.

Files are read as plain arrays (NumPy without pickle, HDF5 without its model configuration), so no
code from a weights file is ever run, whatever its format.
"""

from __future__ import annotations

import functools
import hashlib
import io
import logging
import math
import os
import re
import threading
import urllib.error
import urllib.request
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
from hcs.learn import counters

log = logging.getLogger(__name__)

LayerArrays = Mapping[str, Mapping[str, NDArray[np.float32]]]
"""Layer name → variable name (``kernel``) or position (``0``) → array."""

PROBE_SECONDS = 4.0
_READ_SECONDS = 20.0
_ALTERNATIVES = (
    "Name a file with --weights FILE (.npz, .h5, .weights.h5 or .keras), or state --weights random"
)
_STORE = "https://storage.googleapis.com/tensorflow/keras-applications/"


@dataclass(frozen=True, slots=True)
class Published:
    """Where Keras publishes the ImageNet weights of a network without its top."""

    folder: str
    file: str
    hash_name: Literal["md5", "sha256"]
    hash_hex: str

    @property
    def url(self) -> str:
        """Address of the file."""
        return f"{_STORE}{self.folder}/{self.file}"

    @property
    def cached(self) -> Path:
        """Where Keras keeps its copy on this machine (``KERAS_HOME``, else ``~/.keras``)."""
        home = os.environ.get("KERAS_HOME")
        folder = Path(home) if home else Path.home() / ".keras"
        return folder / "models" / self.file


# Addresses and hashes as in keras.applications 3.15.
PUBLISHED: dict[str, Published] = {
    "vgg16": Published(
        "vgg16",
        "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "md5",
        "6d6bbae143d832006294945121d1f1fc",
    ),
    "vgg19": Published(
        "vgg19",
        "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "md5",
        "253f8cb515780f3b799900260a226db6",
    ),
    "resnet50": Published(
        "resnet",
        "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "md5",
        "4d473c1dd8becc155b73f8504c6f6626",
    ),
}
PUBLISHED |= {
    name: Published("efficientnet_v2", f"{name}_notop.h5", "md5", hash_hex)
    for name, hash_hex in {
        "efficientnetv2-b0": "893217f2bb855e2983157299931e43ff",
        "efficientnetv2-b1": "0e80663031ca32d657f9caa404b6ec37",
        "efficientnetv2-b2": "1dfe2e7a5d45b6632553a8961ea609eb",
        "efficientnetv2-b3": "f6abf7b5849ac99a89b50dd3fd532856",
        "efficientnetv2-s": "af0682fb74e8c54910f2d4393339c070",
        "efficientnetv2-m": "1b8dc055df72dde80d614482840fe342",
        "efficientnetv2-l": "b0b66b5c863aef5b46e8608fe1711615",
    }.items()
}
PUBLISHED |= {
    name: Published("convnext", f"{name}_notop.h5", "sha256", hash_hex)
    for name, hash_hex in {
        "convnext_tiny": "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
        "convnext_small": "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab",
        "convnext_base": "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45",
        "convnext_large": "96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd",
    }.items()
}

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
        published = PUBLISHED[backbone.name]
        path = _imagenet_file(backbone.name, published, probe_seconds)
        description = f"ImageNet {backbone.name} weights of Keras ({path})"
        return ResolvedWeights("imagenet", path, _fingerprint(path), description)
    path = Path(backbone.weights).expanduser()
    if not path.is_file():
        msg = (
            f"no weights file {str(path)!r} for {backbone.name}. {_ALTERNATIVES}, "
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
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if "model.weights.h5" in archive.namelist():
                    content = io.BytesIO(archive.read("model.weights.h5"))
                    return _read_hdf5(content, layers)
            return _read_npz(path, layers)
        if h5py.is_hdf5(path):
            return _read_hdf5(path, layers)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        msg = f"weights file {str(path)!r} cannot be read: {error}"
        raise WeightsError(msg) from error
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


def _imagenet_file(name: str, published: Published, probe_seconds: float) -> Path:
    path = published.cached
    if path.is_file():
        if _hash(path, published.hash_name) == published.hash_hex:
            return path
        log.warning("%s is damaged (wrong hash), fetching it again", path)
    if (reason := _unreachable(published.url, probe_seconds)) is not None:
        msg = (
            f"ImageNet weights of {name} are not in {path} and {published.url} cannot be reached "
            f"({reason}). {_ALTERNATIVES}"
        )
        raise WeightsError(msg)
    log.info("downloading %s", published.url)
    try:
        _download(published, path)
    except (OSError, ValueError) as error:
        msg = f"downloading {published.url} to {path} failed: {error}. {_ALTERNATIVES}"
        raise WeightsError(msg) from error
    return path


def _unreachable(url: str, seconds: float) -> str | None:
    """Why a server does not answer in time, or None; name look-up counts as waiting too."""
    outcome: list[str | None] = []

    def probe() -> None:
        request = urllib.request.Request(url, method="HEAD")
        try:
            with urllib.request.urlopen(request, timeout=seconds):
                outcome.append(None)
        except (OSError, ValueError) as error:
            outcome.append(str(error))

    # A thread, because the look-up of a name has no timeout of its own.
    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    thread.join(seconds)
    return outcome[0] if outcome else f"no answer within {seconds:g} s"


def _download(published: Published, path: Path) -> None:
    """Fetch a file whole and check its hash before it takes its place."""
    import pooch

    # Not keras.utils.get_file: it prints to stdout, waits for ever, raises bare Exception.
    pooch.get_logger().setLevel(logging.WARNING)
    pooch.retrieve(
        published.url,
        known_hash=f"{published.hash_name}:{published.hash_hex}",
        fname=path.name,
        path=path.parent,
        downloader=pooch.HTTPDownloader(timeout=_READ_SECONDS),
    )


def _fingerprint(path: Path) -> str:
    return f"sha256:{_hash(path, 'sha256')}"


def _hash(path: Path, name: str) -> str:
    """Hash a file's content; a file that was not touched since is not read again."""
    state = path.stat()
    version = (state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)
    return _hash_version(path, name, version)


@functools.lru_cache(maxsize=64)
def _hash_version(path: Path, name: str, version: tuple[int, ...]) -> str:
    del version  # it is what tells one content at this path from another
    with path.open("rb") as file:
        return hashlib.file_digest(file, name).hexdigest()
