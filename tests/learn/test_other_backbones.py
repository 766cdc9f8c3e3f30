"""Networks other than VGG-16: own preprocessing, lengths known beforehand, files, precision.

Weights are random here: the published files of these networks were not at hand.
"""

from __future__ import annotations

import numpy as np
import pytest

from hcs.domain.config.stages import Backbone
from hcs.errors import InputError
from hcs.learn.network.backbone import Embedder, build_base, feature_count

# Keras copies TensorFlow variables in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PX = 40  # not a multiple of 32: networks that pad round up, the others down
NAMES = {
    "vgg19": ("VGG19", "vgg19"),
    "resnet50": ("ResNet50", "resnet"),
    "efficientnetv2-b0": ("EfficientNetV2B0", "efficientnet_v2"),
    "convnext_tiny": ("ConvNeXtTiny", "convnext"),
}
networks = pytest.mark.parametrize("name", [pytest.param(name, id=name) for name in NAMES])


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, PX, PX), dtype=np.uint8)


@networks
def test_features_equal_plain_keras_from_a_file(name, images, tmp_path):
    import keras

    builder, module = NAMES[name]
    plain = getattr(keras.applications, builder)(
        include_top=False, weights=None, input_shape=(PX, PX, 3)
    )
    ours = build_base(Backbone(name=name, weights="random"), PX)
    plain.set_weights(ours.get_weights())
    path = tmp_path / "saved.weights.h5"
    plain.save_weights(path)
    rgb = np.repeat(images[..., None], 3, axis=-1).astype(np.float32)
    inputs = getattr(keras.applications, module).preprocess_input(rgb)
    expected = plain(inputs, training=False).numpy().mean(axis=(1, 2))
    spec = Backbone(name=name, weights=str(path))
    embedder = Embedder(spec, PX, 4)
    found = embedder.features(images)
    assert np.ptp(expected, axis=0).max() > 1e-3
    assert np.abs(expected).max() < np.finfo(np.float16).max / 4
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    assert feature_count(spec, PX) == embedder.n_features
    flat = spec.model_copy(update={"pooling": "flatten"})
    assert feature_count(flat, PX) == np.prod(ours.output.shape[1:])


def test_random_weights_do_not_depend_on_what_was_built_before():
    spec = Backbone(name="convnext_tiny", weights="random")  # Keras numbers some of its layers
    first, second = (build_base(spec, PX) for _ in range(2))
    assert first.layers[-1].name != second.layers[-1].name
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        pytest.param("block3_conv1", 256, id="in the middle"),
        pytest.param("block1_conv2", 64, id="early"),
    ],
)
def test_length_of_a_named_layer(layer, expected):
    assert feature_count(Backbone(layer=layer), PX) == expected


def test_a_layer_without_maps_is_refused():
    with pytest.raises(InputError, match="no maps to pool"):
        feature_count(Backbone(name="efficientnetv2-b0", layer="block4a_se_squeeze"), PX)


def test_mixed_precision_is_a_choice_and_leaves_the_rest_alone(images):
    import keras

    exact = Embedder(Backbone(weights="random"), PX, 4).features(images)
    mixed = Embedder(Backbone(weights="random", precision="mixed_bfloat16"), PX, 4).features(images)
    assert keras.config.dtype_policy().name == "float32"
    assert mixed.dtype == np.float32
    assert not np.array_equal(mixed, exact)
    np.testing.assert_allclose(mixed, exact, rtol=0, atol=0.05 * np.abs(exact).max())
