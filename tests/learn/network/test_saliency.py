"""Grad-CAM finds the planted evidence, and does what its paper says."""

from __future__ import annotations

import numpy as np
import pytest

from hcs.domain.config.stages import Backbone, Head
from hcs.errors import InputError, UnknownNameError
from hcs.learn.heads.training import export_keras
from hcs.learn.heads.weights import initial_weights
from hcs.learn.network.saliency import _rebuild, grad_cam, guided_backpropagation, guided_grad_cam

# Keras copies TensorFlow variables in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PX = 48


@pytest.fixture(scope="module")
def vgg16():
    head = initial_weights(Head(hidden_units=8), 512, 3, ("test",))
    return export_keras(Backbone(weights="random"), PX, head)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, PX, PX), dtype=np.uint8)


@pytest.fixture(scope="module")
def detector():
    """A network built by hand: bright pixels speak for class 1, dark ones for class 0."""
    import keras

    image = keras.Input((PX, PX, 1))
    maps = keras.layers.Conv2D(2, 1, activation="relu", name="maps")(image)
    pooled = keras.layers.GlobalAveragePooling2D()(maps)
    output = keras.layers.Dense(2, activation="softmax", name="output")(pooled)
    model = keras.Model(image, output)
    kernel = np.array([-1.0, 1.0], np.float32).reshape(1, 1, 1, 2)
    model.get_layer("maps").set_weights([kernel, np.array([100, -100], np.float32)])
    model.get_layer("output").set_weights([np.eye(2, dtype=np.float32), np.zeros(2, np.float32)])
    return model


@pytest.fixture
def spot():
    image = np.zeros((1, PX, PX), np.uint8)
    image[0, 30:38, 10:18] = 200
    return image


def test_the_map_lies_where_the_evidence_is(detector, spot):
    area = PX * PX
    bright = grad_cam(detector, spot, "maps", 1)[0]
    # By hand: the gradient of the mean is 1 / area, the activation 200 - 100 or 100 - 0.
    np.testing.assert_allclose(bright, np.where(spot[0] > 0, 100 / area, 0), rtol=1e-4)
    dark = grad_cam(detector, spot, "maps", 0)[0]
    np.testing.assert_allclose(dark, np.where(spot[0] > 0, 0, 100 / area), rtol=1e-4)


def test_guided_gradients_pass_positive_signals_only(detector, spot):
    bright = guided_backpropagation(detector, spot, 1)[0]
    np.testing.assert_allclose(bright, np.where(spot[0] > 0, 1 / PX**2, 0), rtol=1e-5)
    product = guided_grad_cam(detector, spot, "maps", 1)
    np.testing.assert_allclose(product, bright * grad_cam(detector, spot, "maps", 1), rtol=1e-6)


@pytest.mark.parametrize("layer", ["block2_conv2", "block3_conv3", "block5_pool"])
def test_equal_to_the_textbook_formula_on_vgg16(layer, vgg16, images):
    import keras

    from hcs.learn.network.backbone import load_tensorflow

    tf = load_tensorflow()
    logits = keras.layers.Dense(3, name="logits")
    linear = logits(vgg16.get_layer("head_hidden").output)
    both = keras.Model(vgg16.input, [vgg16.get_layer(layer).output, linear])
    logits.set_weights(vgg16.get_layer("head_output").get_weights())
    with tf.GradientTape() as tape:
        maps, scores = both(images[..., None].astype(np.float32))
        chosen = scores[:, 2]
    alpha = tape.gradient(chosen, maps).numpy().mean(axis=(1, 2))
    coarse = np.maximum(np.einsum("nyxc,nc->nyx", maps.numpy(), alpha), 0)
    expected = tf.image.resize(coarse[..., None], (PX, PX)).numpy()[..., 0]
    found = grad_cam(vgg16, images, layer, 2)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-4 * expected.max())


def test_guided_backpropagation_is_not_the_plain_gradient(vgg16, images):
    from hcs.learn.network.backbone import load_tensorflow

    tf = load_tensorflow()
    inputs = tf.constant(images[..., None].astype(np.float32))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        chosen = _rebuild(vgg16, guided=False)(inputs)[:, 0]
    plain = tape.gradient(chosen, inputs).numpy()[..., 0]
    guided = guided_backpropagation(vgg16, images, 0)
    assert np.isfinite(guided).all()
    assert np.abs(guided).max() > 0
    assert abs(np.corrcoef(plain.ravel(), guided.ravel())[0, 1]) < 0.9


def test_the_model_is_left_alone(vgg16, images):
    before = vgg16.predict(images[..., None].astype(np.float32), verbose=0)
    guided_grad_cam(vgg16, images, "block3_conv3", 0)
    after = vgg16.predict(images[..., None].astype(np.float32), verbose=0)
    np.testing.assert_array_equal(before, after)
    assert after.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_more_images_than_a_batch(detector):
    images = np.random.default_rng(1).integers(0, 256, (11, PX, PX), dtype=np.uint8)
    together = grad_cam(detector, images, "maps", 1)
    np.testing.assert_allclose(grad_cam(detector, images[9:10], "maps", 1)[0], together[9])
    assert grad_cam(detector, images[:0], "maps", 1).shape == (0, PX, PX)


def test_wrong_requests_are_refused(vgg16, images):
    with pytest.raises(UnknownNameError, match=r"no layer 'block9'.*block3_conv3"):
        grad_cam(vgg16, images, "block9", 0)
    with pytest.raises(InputError, match="no spatial output"):
        grad_cam(vgg16, images, "head_hidden", 0)
    with pytest.raises(InputError, match="class 3 of a model with 3"):
        grad_cam(vgg16, images, "block3_conv3", 3)
    with pytest.raises(InputError, match="do not fit the model"):
        grad_cam(vgg16, images[:, :32, :32], "block3_conv3", 0)
