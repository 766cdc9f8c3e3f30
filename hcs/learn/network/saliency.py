"""What a classifier looks at: Grad-CAM and guided Grad-CAM.

Selvaraju et al. 2017, doi 10.1109/ICCV.2017.74; guided backpropagation: Springenberg et al. 2015,
arXiv 1412.6806. TensorFlow is imported inside functions only, so that importing this module stays
light.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hcs.errors import InputError, UnknownNameError
from hcs.learn.network.backbone import load_tensorflow

F32 = NDArray[np.float32]
Model = Any  # keras ships no types

_BATCH_IMAGES: Final = 8


def grad_cam(model: Model, images: NDArray[np.uint8], layer: str, class_index: int) -> F32:
    """Where evidence for a class lies, seen from one layer.

    Parameters
    ----------
    model
        Flat functional model from ``(N, Y, X, 1)`` gray images to ``(N, C)`` probabilities, such
        as :func:`hcs.learn.heads.training.export_keras` builds. It is not changed.
    images
        ``(N, Y, X)`` normalized gray images in 0..255.
    layer
        Name of a layer with a spatial output, such as ``block3_conv3``.
    class_index
        Class whose evidence is wanted; its logit is differentiated, not its probability.

    Returns
    -------
    ndarray
        ``(N, Y, X)`` float32 ≥ 0, resized bilinearly to the image; not normalized, so that images
        can be compared. Empty for no images.

    Raises
    ------
    UnknownNameError
        When there is no such layer.
    InputError
        When the layer has no spatial output, or images or class do not fit the model.
    """
    _check(model, images, layer, class_index)
    return _apply_in_batches(_Cam(model, layer, class_index), images)


def guided_grad_cam(model: Model, images: NDArray[np.uint8], layer: str, class_index: int) -> F32:
    """Grad-CAM times guided backpropagation: the same evidence at the detail of the image.

    Parameters
    ----------
    model, images, layer, class_index
        As for :func:`grad_cam`.

    Returns
    -------
    ndarray
        ``(N, Y, X)`` float32, positive where more light speaks for the class. Empty for no images.

    Raises
    ------
    UnknownNameError, InputError
        As for :func:`grad_cam`.
    """
    coarse = grad_cam(model, images, layer, class_index)
    return coarse * _apply_in_batches(_GuidedGradient(model, class_index), images)


def guided_backpropagation(model: Model, images: NDArray[np.uint8], class_index: int) -> F32:
    """Gradient of a class' logit by the image, through positive signals only.

    Parameters
    ----------
    model, images, class_index
        As for :func:`grad_cam`.

    Returns
    -------
    ndarray
        ``(N, Y, X)`` float32.
    """
    _check(model, images, None, class_index)
    return _apply_in_batches(_GuidedGradient(model, class_index), images)


def _check(model: Model, images: NDArray[np.uint8], layer: str | None, class_index: int) -> None:
    expected = tuple(model.input.shape[1:3])
    if images.ndim != 3 or images.shape[1:] != expected:
        msg = f"images {images.shape} do not fit the model, which wants (N, Y, X) = N × {expected}"
        raise InputError(msg)
    n_classes = int(model.output.shape[-1])
    if not 0 <= class_index < n_classes:
        msg = f"class {class_index} of a model with {n_classes} classes"
        raise InputError(msg)
    if layer is None:
        return
    spatial = [each.name for each in model.layers if _is_spatial(each)]
    if layer not in [each.name for each in model.layers]:
        raise UnknownNameError("layer", layer, "the model", spatial)
    if layer not in spatial:
        msg = f"layer {layer!r} has no spatial output; {', '.join(spatial)} have"
        raise InputError(msg)


def _is_spatial(layer: Any) -> bool:  # noqa: ANN401
    shape = getattr(layer.output, "shape", ())
    return len(shape) == 4


class _Cam:
    def __init__(self, model: Model, layer: str, class_index: int) -> None:
        import keras

        linear = _rebuild(model, guided=False)
        outputs = [linear.get_layer(layer).output, linear.output]
        self._model = keras.Model(linear.input, outputs)
        self._class_index = class_index

    def __call__(self, images: Any) -> Any:  # noqa: ANN401
        tf = load_tensorflow()
        with tf.GradientTape() as tape:
            maps, logits = self._model(images, training=False)
            chosen = logits[:, self._class_index]
        weights = tf.reduce_mean(tape.gradient(chosen, maps), axis=(1, 2), keepdims=True)
        evidence = tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1, keepdims=True))
        return tf.image.resize(evidence, images.shape[1:3], method="bilinear")[..., 0]


class _GuidedGradient:
    def __init__(self, model: Model, class_index: int) -> None:
        self._model = _rebuild(model, guided=True)
        self._class_index = class_index

    def __call__(self, images: Any) -> Any:  # noqa: ANN401
        tf = load_tensorflow()
        with tf.GradientTape() as tape:
            tape.watch(images)
            chosen = self._model(images, training=False)[:, self._class_index]
        return tape.gradient(chosen, images)[..., 0]


def _apply_in_batches(function: _Cam | _GuidedGradient, images: NDArray[np.uint8]) -> F32:
    tf = load_tensorflow()
    compiled = tf.function(function.__call__, reduce_retracing=True)
    result = np.zeros(images.shape, np.float32)
    for start in range(0, len(images), _BATCH_IMAGES):
        batch = images[start : start + _BATCH_IMAGES]
        missing = _BATCH_IMAGES - len(batch)
        padded = np.pad(batch, ((0, missing), (0, 0), (0, 0)))[..., None].astype(np.float32)
        result[start : start + len(batch)] = compiled(tf.constant(padded)).numpy()[: len(batch)]
    return result


def _rebuild(model: Model, *, guided: bool) -> Model:
    """Copy a flat model with a linear output and, if asked, guided ReLUs; weights included."""
    load_tensorflow()
    import keras

    last = model.layers[-1].name

    def copy(layer: Any) -> Any:  # noqa: ANN401
        if isinstance(layer, keras.layers.ReLU) and guided:
            return keras.layers.Activation(_make_guided_relu(), name=layer.name)
        copied = type(layer).from_config(layer.get_config())
        if layer.name == last and hasattr(copied, "activation"):
            copied.activation = keras.activations.linear
        elif guided and getattr(copied, "activation", None) is keras.activations.relu:
            copied.activation = _make_guided_relu()
        return copied

    rebuilt = keras.models.clone_model(model, clone_function=copy)
    rebuilt.set_weights(model.get_weights())
    return rebuilt


def _make_guided_relu() -> Any:  # noqa: ANN401
    """ReLU whose gradient passes only where signal and gradient are both positive."""
    tf = load_tensorflow()

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def relu(values: Any) -> Any:  # noqa: ANN401
        def gradient(upstream: Any) -> Any:  # noqa: ANN401
            return tf.nn.relu(upstream) * tf.cast(values > 0, upstream.dtype)

        return tf.nn.relu(values), gradient

    return relu
