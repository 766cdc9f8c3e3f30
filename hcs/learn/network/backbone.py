"""The frozen convolutional base: 8-bit gray images in, feature vectors out.

Keras and TensorFlow are imported inside functions only, so that importing this module stays light.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from hcs.domain.config.stages import Backbone
from hcs.errors import InputError, UnknownNameError
from hcs.learn.network.variables import fill
from hcs.learn.network.weights import ResolvedWeights, resolve_same_weights, resolve_weights

__all__ = [
    "Embedder",
    "ResolvedWeights",
    "build_base",
    "load_embedder",
    "load_tensorflow",
    "network_turn",
    "pool",
    "resolve_weights",
    "sees_gpu",
    "set_threads",
    "silence_tensorflow",
]

log = logging.getLogger(__name__)

# ImageNet means of blue, green, red in 0..255, as in keras.applications (mode "caffe").
_CAFFE_MEAN_BGR: Final = (103.939, 116.779, 123.68)
# CUDA, ROCm, and GPUs of Windows seen from its Linux.
_GPU_DEVICES: Final = (Path("/dev/nvidiactl"), Path("/dev/kfd"), Path("/dev/dxg"))


@dataclass(frozen=True, slots=True)
class _Network:
    """A network of ``keras.applications`` without its top.

    ``builder`` is the function's name, ``channels`` the number of maps of the last layer, which is
    32 times smaller than the image. ``caffe`` networks want the means of ImageNet taken off; the
    others have their preprocessing inside. ``padded`` ones round the size of their maps up.
    """

    builder: str
    channels: int
    caffe: bool = False
    padded: bool = False


_NETWORKS: Final[Mapping[str, _Network]] = {
    "vgg16": _Network("VGG16", 512, caffe=True),
    "vgg19": _Network("VGG19", 512, caffe=True),
    "resnet50": _Network("ResNet50", 2048, caffe=True, padded=True),
    "efficientnetv2-b0": _Network("EfficientNetV2B0", 1280, padded=True),
    "efficientnetv2-b1": _Network("EfficientNetV2B1", 1280, padded=True),
    "efficientnetv2-b2": _Network("EfficientNetV2B2", 1408, padded=True),
    "efficientnetv2-b3": _Network("EfficientNetV2B3", 1536, padded=True),
    "efficientnetv2-s": _Network("EfficientNetV2S", 1280, padded=True),
    "efficientnetv2-m": _Network("EfficientNetV2M", 1280, padded=True),
    "efficientnetv2-l": _Network("EfficientNetV2L", 1280, padded=True),
    "convnext_tiny": _Network("ConvNeXtTiny", 768),
    "convnext_small": _Network("ConvNeXtSmall", 768),
    "convnext_base": _Network("ConvNeXtBase", 1024),
    "convnext_large": _Network("ConvNeXtLarge", 1536),
}

_SMALLEST_PX: Final = 32
_CHATTER: Final = re.compile(rb"WARNING: All log messages before absl|[IW]\d{4} [\d:.]+ ")
_LOCK = threading.Lock()
_TURN = threading.Lock()


def silence_tensorflow() -> None:
    """Turn TensorFlow's chatter off; works only before its first import in this process."""
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    for name in ("tensorflow", "absl", "h5py"):
        logging.getLogger(name).setLevel(logging.ERROR)


def set_threads(n_threads: int) -> bool:
    """Limit the network library to so many threads, through the environment.

    Parameters
    ----------
    n_threads
        Threads within one operation; operations run one after the other.

    Returns
    -------
    bool
        Whether it took effect: not once TensorFlow is loaded in this process.
    """
    if "tensorflow" in sys.modules:
        return False
    os.environ["TF_NUM_INTRAOP_THREADS"] = str(n_threads)
    os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    os.environ["OMP_NUM_THREADS"] = str(n_threads)
    return True


@contextlib.contextmanager
def _hide_import_chatter() -> Iterator[None]:
    """Drop the lines that TensorFlow's libraries print before they read any setting.

    They go straight to file descriptor 2; all else that arrives there is passed on afterwards.
    """
    with tempfile.TemporaryFile() as caught:
        try:
            real = os.dup(2)
        except OSError:  # no standard error at all, as in some services
            yield
            return
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(real, 2)
            caught.seek(0)
            for line in caught:
                if not _CHATTER.match(line):
                    os.write(real, line)
            os.close(real)


@functools.cache
def load_tensorflow() -> ModuleType:
    """Import TensorFlow quietly, with GPU memory growing as needed; at once when already done."""
    silence_tensorflow()
    with _hide_import_chatter():
        import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:
            # Someone used the device before us; growth was asked for in the environment too.
            log.debug("memory growth of %s can no longer be set", gpu.name)
    module: ModuleType = tf
    return module


def sees_gpu() -> bool:
    """Whether TensorFlow sees a GPU.

    On Linux it is asked only where some driver's device is: its import takes seconds and 400 MB.
    """
    if sys.platform == "linux" and not any(path.exists() for path in _GPU_DEVICES):
        return False
    return bool(load_tensorflow().config.list_physical_devices("GPU"))


def network_turn() -> threading.Lock:
    """Return the lock that whoever computes with the network holds meanwhile.

    On workers with several threads tasks read and write side by side, but compute one after the
    other: each computation uses all threads of the process already, and two of them would only
    need twice the memory.
    """
    return _TURN


def build_base(backbone: Backbone, image_px: int, weights: ResolvedWeights | None = None) -> Any:  # noqa: ANN401 -- keras ships no types
    """Build the frozen base as one flat functional model, weights loaded.

    Parameters
    ----------
    backbone
        Network, weights, and the layer whose output is wanted (the last one by default).
    image_px
        Side of the square images.
    weights
        Where the weights are; found by :func:`resolve_weights` when left out.

    Returns
    -------
    keras.Model
        From ``(N, Y, X, 1)`` gray images in 0..255, preprocessing inside, to ``(N, y, x, C)``.

    Raises
    ------
    WeightsError
        When the weights are absent or do not fit.
    InputError
        When the images are too small for the network.
    UnknownNameError
        When there is no such layer.
    """
    if image_px < _SMALLEST_PX:
        msg = f"images of {image_px} px are too small for {backbone.name}: at least {_SMALLEST_PX}"
        raise InputError(msg)
    resolved = weights or resolve_weights(backbone)
    base = _architecture(backbone, image_px)
    base.trainable = False
    fill(base, backbone, resolved)
    return base


def _architecture(backbone: Backbone, image_px: int) -> Any:  # noqa: ANN401
    """Build the network up to the chosen layer, with Keras' own initial weights."""
    load_tensorflow()
    import keras

    network = _NETWORKS[backbone.name]
    builder = getattr(keras.applications, network.builder)
    usual = keras.config.dtype_policy()
    keras.config.set_dtype_policy(backbone.precision)
    try:
        gray = keras.Input((image_px, image_px, 1), name="image", dtype="float32")
        shown = keras.layers.Concatenate(name="three_channels", dtype="float32")([gray] * 3)
        if network.caffe:
            offset = [-mean for mean in _CAFFE_MEAN_BGR]
            shown = keras.layers.Rescaling(1.0, offset=offset, name="subtract_mean")(shown)
        base = builder(include_top=False, weights=None, input_tensor=shown)
    finally:
        keras.config.set_dtype_policy(usual)
    names = [layer.name for layer in base.layers]
    if backbone.layer is not None and backbone.layer not in names:
        raise UnknownNameError("layer", backbone.layer, backbone.name, names)
    chosen = base.get_layer(backbone.layer or names[-1])
    # Rebuilt in any case: keras.applications makes the input a list, which saved models keep.
    return keras.Model(gray, chosen.output, name=backbone.name)


def pool(
    features: Any,  # noqa: ANN401 -- keras ships no types
    pooling: Literal["avg", "max", "flatten"],
) -> Any:  # noqa: ANN401
    """Append the pooling layer that turns ``(N, y, x, C)`` into ``(N, F)``."""
    import keras

    layers = {
        "avg": keras.layers.GlobalAveragePooling2D,
        "max": keras.layers.GlobalMaxPooling2D,
        "flatten": keras.layers.Flatten,
    }
    # In float32 whatever the precision of the network: means over many pixels need it.
    return layers[pooling](name="features", dtype="float32")(features)


def feature_count(backbone: Backbone, image_px: int) -> int:
    """Length of a feature vector; the network is built for it only where a layer is named.

    Raises
    ------
    UnknownNameError
        When there is no such layer.
    InputError
        When a layer without maps is named.
    """
    if backbone.layer is not None:
        shape = _architecture(backbone, image_px).output.shape
        if len(shape) != 4:
            msg = f"layer {backbone.layer!r} of {backbone.name} has no maps to pool: {shape}"
            raise InputError(msg)
        height, width, channels = (int(size) for size in shape[1:])
    else:
        network = _NETWORKS[backbone.name]
        height = width = -(-image_px // 32) if network.padded else image_px // 32
        channels = network.channels
    return channels * height * width if backbone.pooling == "flatten" else channels


class Embedder:
    """The frozen base, its pooling and its preprocessing as one compiled graph.

    Parameters
    ----------
    backbone
        Network, weights, layer and pooling.
    image_px
        Side of the square images.
    batch_images
        Images a call of the graph, which is compiled once for them; a vector does not depend on
        what else is in its batch.
    weights
        Where the weights are; found by :func:`resolve_weights` when left out.

    Attributes
    ----------
    n_features
        Length of a feature vector.
    weights
        Where the weights came from.

    Raises
    ------
    WeightsError
        When the weights are absent or do not fit.
    """

    def __init__(
        self,
        backbone: Backbone,
        image_px: int,
        batch_images: int = 16,
        weights: ResolvedWeights | None = None,
    ) -> None:
        self.backbone = backbone
        self.image_px = image_px
        self.batch_images = batch_images
        self.weights = weights or resolve_weights(backbone)
        tf = load_tensorflow()
        import keras

        base = build_base(backbone, image_px, self.weights)
        model = keras.Model(base.input, pool(base.output, backbone.pooling))
        self.n_features = int(model.output.shape[-1])
        signature = tf.TensorSpec((batch_images, image_px, image_px), tf.uint8)

        @tf.function(input_signature=[signature])  # type: ignore[untyped-decorator]
        def forward(images: Any) -> Any:  # noqa: ANN401
            return model(tf.cast(images, tf.float32)[..., None], training=False)

        self._forward = forward

    def features(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Compute one feature vector an image.

        Parameters
        ----------
        images
            ``(N, Y, X)`` uint8; N may be anything, 0 included.

        Returns
        -------
        ndarray
            ``(N, F)`` float32.

        Raises
        ------
        InputError
            When the images are not uint8 or not of the size that the graph was built for.
        """
        side = self.image_px
        if images.dtype != np.uint8 or images.shape[1:] != (side, side):
            msg = (
                f"images of shape {images.shape} and type {images.dtype}; this embedder was built "
                f"for uint8 images (N, {side}, {side})"
            )
            raise InputError(msg)
        vectors = np.empty((len(images), self.n_features), np.float32)
        for start in range(0, len(images), self.batch_images):
            batch = images[start : start + self.batch_images]
            missing = self.batch_images - len(batch)
            padded = np.pad(batch, ((0, missing), (0, 0), (0, 0))) if missing else batch
            with network_turn():
                computed = self._forward(padded).numpy()
            vectors[start : start + len(batch)] = computed[: len(batch)]
        return vectors


_cached_embedder = functools.lru_cache(maxsize=1)(Embedder)


def load_embedder(
    backbone: Backbone, image_px: int, batch_images: int, weights_fingerprint: str
) -> Embedder:
    """Return this process' embedder, building it only where settings or weights are new.

    One embedder is kept: it holds several hundred MB. The weights are looked at in every call,
    where they are used: a file may be replaced while a worker lives, or differ between machines.

    Parameters
    ----------
    backbone, image_px, batch_images
        As for :class:`Embedder`.
    weights_fingerprint
        What :func:`resolve_weights` found when the work was planned.

    Raises
    ------
    WeightsError
        When the weights are absent, do not fit, or are others than planned.
    """
    weights = resolve_same_weights(backbone, weights_fingerprint)
    with _LOCK:
        return _cached_embedder(backbone, image_px, batch_images, weights)
