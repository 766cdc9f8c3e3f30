"""The frozen base: where its weights come from, and what it computes."""

from __future__ import annotations

import functools
import hashlib
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from hcs.domain.config.stages import Backbone
from hcs.errors import InputError, UnknownNameError, WeightsError
from hcs.learn.network import backbone as module
from hcs.learn.network import hashes
from hcs.learn.network import published as published_module
from hcs.learn.network import weights as weights_module
from hcs.learn.network.backbone import Embedder, build_base, load_embedder, resolve_weights

# Keras copies TensorFlow variables in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RANDOM = Backbone(weights="random", seed=3)
PX = 32


@pytest.fixture(scope="module")
def embedder():
    return load_embedder(RANDOM, PX, 4, resolve_weights(RANDOM).fingerprint)


@pytest.fixture(scope="module")
def base():
    return build_base(RANDOM, PX)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (7, PX, PX), dtype=np.uint8)


def arrays_of(base):
    return {
        f"{layer.name}/{variable.name}": variable.numpy()
        for layer in base.layers
        for variable in layer.weights
    }


@pytest.fixture(scope="module")
def npz(base, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "vgg16.npz"
    np.savez(path, **arrays_of(base))
    return path


@pytest.fixture(scope="module")
def plain_vgg16(base):
    import keras

    vgg16 = keras.applications.VGG16(include_top=False, weights=None, input_shape=(PX, PX, 3))
    vgg16.set_weights(base.get_weights())
    return vgg16


def test_importing_stays_light():
    code = (
        "import sys, hcs.learn.network.backbone, hcs.learn.network.augment,"
        "hcs.learn.network.saliency, hcs.learn.network.weights, hcs.learn.heads.training"
    )
    check = "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", f"{code}; {check}"], check=True)


def test_features_equal_plain_keras(embedder, plain_vgg16, images):
    import keras

    rgb = np.repeat(images[..., None], 3, axis=-1).astype(np.float32)
    inputs = keras.applications.vgg16.preprocess_input(rgb)
    expected = plain_vgg16.predict(inputs, verbose=0).mean(axis=(1, 2))
    found = embedder.features(images)
    assert found.dtype == np.float32
    assert found.shape == (7, 512)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * expected.max())


def test_a_vector_does_not_depend_on_its_batch(embedder, images):
    together = embedder.features(images)
    alone = np.concatenate([embedder.features(image[None]) for image in images])
    backwards = embedder.features(images[::-1].copy())[::-1]
    np.testing.assert_allclose(alone, together, rtol=1e-6)
    np.testing.assert_allclose(backwards, together, rtol=1e-6)


def test_no_images_no_vectors(embedder):
    assert embedder.features(np.empty((0, PX, PX), np.uint8)).shape == (0, 512)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(np.zeros((2, 16, 16), np.uint8), id="size"),
        pytest.param(np.zeros((2, PX, PX), np.float32), id="type"),
    ],
)
def test_wrong_images_are_refused(embedder, wrong):
    with pytest.raises(InputError, match="built for uint8 images"):
        embedder.features(wrong)


def test_importing_tensorflow_says_nothing_but_errors_pass_through():
    code = (
        "import os; from hcs.learn.network import backbone;"
        "tf = backbone.load_tensorflow(); tf.constant(1.0) + 1;"
        "context = backbone._hide_import_chatter(); context.__enter__();"
        "os.write(2, b'real trouble\\nI0000 00:00:17.1 1 port.cc] chatter\\n');"
        "context.__exit__(None, None, None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stderr == b"real trouble\n"
    assert done.stdout == b""


def test_one_embedder_a_process(embedder):
    assert load_embedder(RANDOM, PX, 4, resolve_weights(RANDOM).fingerprint) is embedder


def test_threads_of_a_process_compute_one_after_the_other(embedder, images, monkeypatch):
    forward, inside, most = embedder._forward, [0], [0]

    def watched(batch):
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        time.sleep(0.01)
        inside[0] -= 1
        return forward(batch)

    monkeypatch.setattr(embedder, "_forward", watched)
    with ThreadPoolExecutor(max_workers=4) as threads:
        list(threads.map(embedder.features, [images] * 4))
    assert most == [1]


@pytest.mark.parametrize(
    ("pooling", "length"),
    [pytest.param("max", 256, id="max"), pytest.param("flatten", 8 * 8 * 256, id="flatten")],
)
def test_layer_and_pooling(pooling, length, images):
    embedder = Embedder(
        Backbone(weights="random", layer="block3_conv1", pooling=pooling), PX, batch_images=8
    )
    assert embedder.n_features == length
    assert embedder.features(images).shape == (7, length)


def test_an_unknown_layer_is_refused():
    with pytest.raises(UnknownNameError, match="block3_conv1"):
        build_base(Backbone(weights="random", layer="block9"), PX)


def test_tiny_images_are_refused():
    with pytest.raises(InputError, match="at least 32"):
        build_base(RANDOM, 16)


def test_random_weights_are_the_same_everywhere(base):
    arrays = arrays_of(base)
    kernel = arrays["block3_conv2/kernel"]
    assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * 256)), rel=0.01)
    assert not arrays["block3_conv2/bias"].any()
    # Written down once: a machine that draws anything else breaks the promise.
    expected = [-0.0012959479, 0.0250226520, 0.0330369808]
    np.testing.assert_allclose(kernel[0, 0, 0, :3], expected, rtol=1e-5)
    again = arrays_of(build_base(RANDOM, 64))
    assert all(np.array_equal(arrays[key], again[key]) for key in arrays)
    other = weights_module.random_array((3, 3, 256, 256), "kernel", 4, "block3_conv2")
    assert not np.array_equal(kernel, other)


@pytest.mark.parametrize("name", ["saved.h5", "saved.weights.h5", "saved.keras", "top.h5"])
def test_every_file_format_loads(name, tmp_path, plain_vgg16, base, caplog):
    import keras

    path = tmp_path / name
    if name == "top.h5":  # a classifier that somebody trained, saved whole
        pooled = keras.layers.GlobalAveragePooling2D()(plain_vgg16.output)
        head = keras.layers.Dense(2, name="head")(pooled)
        keras.Model(plain_vgg16.input, head).save(path)
    elif name == "saved.weights.h5":
        plain_vgg16.save_weights(path)
    else:
        plain_vgg16.save(path)
    loaded = build_base(Backbone(weights=str(path)), PX)
    for one, other in zip(base.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_npz_loads_and_has_a_fingerprint(npz, base):
    spec = Backbone(weights=str(npz))
    resolved = resolve_weights(spec)
    assert (resolved.kind, resolved.path) == ("file", npz)
    assert resolved.fingerprint.startswith("sha256:")
    loaded = build_base(spec, PX, resolved)
    for one, other in zip(base.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            {"block2_conv1/kernel": None}, "'block2_conv1' kernel: found nothing", id="no"
        ),
        pytest.param(
            {"block1_conv1/kernel": np.zeros((3, 3, 1, 64), np.float32)},
            r"'block1_conv1' kernel: found shape \(3, 3, 1, 64\), expected \(3, 3, 3, 64\)",
            id="shape",
        ),
        pytest.param(
            {"block1_conv1/bias": np.full(64, np.nan, np.float32)}, "not finite", id="nan"
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(change, message, base, tmp_path):
    arrays = {k: v for k, v in (arrays_of(base) | change).items() if v is not None}
    path = tmp_path / "other.npz"
    np.savez(path, **arrays)
    with pytest.raises(WeightsError, match=message) as caught:
        build_base(Backbone(weights=str(path)), PX)
    assert "other.npz" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not weights", b"PK\x03\x04 broken"])
def test_a_file_that_holds_no_weights_is_refused(content, tmp_path):
    path = tmp_path / "weights.h5"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"weights\.h5"):
        build_base(Backbone(weights=str(path)), PX)


def test_pickled_weights_are_refused(tmp_path):
    path = tmp_path / "weights.npz"
    np.savez(path, **{"block1_conv1/kernel": np.array([print], dtype=object)})
    with pytest.raises(WeightsError, match="cannot be read"):
        build_base(Backbone(weights=str(path)), PX)


FIRST = Backbone(weights="random", layer="block1_conv1", seed=7)
"""A network of one layer: its weights file has a few kilobytes."""


def write_first_layer(path, seed):
    arrays = arrays_of(build_base(FIRST.model_copy(update={"seed": seed}), PX))
    with path.open("wb") as file:
        np.savez(file, **arrays)
    return Embedder(FIRST.model_copy(update={"seed": seed}), PX, 4)


def test_a_file_replaced_while_a_process_lives_is_noticed(tmp_path, images):
    path = tmp_path / "weights.npz"
    spec = FIRST.model_copy(update={"weights": str(path)})
    old = write_first_layer(path, seed=7)
    planned = resolve_weights(spec).fingerprint
    loaded = load_embedder(spec, PX, 4, planned)
    np.testing.assert_array_equal(loaded.features(images), old.features(images))
    assert load_embedder(spec, PX, 4, planned) is loaded

    new = write_first_layer(path, seed=8)  # of the same length, into the same file
    actual = resolve_weights(spec).fingerprint
    assert actual != planned
    with pytest.raises(WeightsError) as caught:
        load_embedder(spec, PX, 4, planned)
    message = str(caught.value)
    assert all(part in message for part in (str(path), planned, actual, "Put the expected file"))
    again = load_embedder(spec, PX, 4, actual)
    np.testing.assert_array_equal(again.features(images), new.features(images))
    assert not np.array_equal(again.features(images), loaded.features(images))


def test_other_weights_under_the_same_path_on_another_machine_are_refused(tmp_path):
    path = tmp_path / "weights.npz"
    write_first_layer(path, seed=7)
    spec = FIRST.model_copy(update={"weights": str(path)})
    with pytest.raises(WeightsError, match=r"weights\.npz.* expected sha256:0000"):
        load_embedder(spec, PX, 4, "sha256:0000")
    with pytest.raises(WeightsError, match="random:vgg16:8"):
        load_embedder(FIRST, PX, 4, "random:vgg16:8")


def test_a_file_replaced_between_finding_and_loading_is_refused(tmp_path):
    path = tmp_path / "weights.npz"
    write_first_layer(path, seed=7)
    spec = FIRST.model_copy(update={"weights": str(path)})
    found = resolve_weights(spec)
    write_first_layer(path, seed=8)
    with pytest.raises(WeightsError, match="was replaced"):
        build_base(spec, PX, found)


def test_a_file_that_stays_is_read_once(tmp_path):
    path = tmp_path / "weights.npz"
    path.write_bytes(b"content")
    spec = Backbone(weights=str(path))
    first = resolve_weights(spec)
    read = hashes._hash_version.cache_info().misses
    assert [resolve_weights(spec) for _ in range(3)] == [first] * 3
    assert hashes._hash_version.cache_info().misses == read


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"no weights file .*absent\.npz.*--weights random"):
        resolve_weights(Backbone(weights=str(tmp_path / "absent.npz")))


def test_no_network_is_said_within_seconds(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))

    def never(*args, **kwargs):
        time.sleep(2)
        raise OSError

    monkeypatch.setattr(published_module.urllib.request, "urlopen", never)
    start = time.monotonic()
    with pytest.raises(WeightsError, match=r"no answer within .*--weights FILE .*random"):
        resolve_weights(Backbone(), probe_seconds=0.3)
    assert time.monotonic() - start < 1.5


def test_a_refused_connection_gives_its_reason(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(WeightsError, match="cannot be reached"):
        resolve_weights(Backbone())


def test_keras_own_copy_is_used(tmp_path, monkeypatch, plain_vgg16):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    published = published_module.PUBLISHED["vgg16"]
    published.cached.parent.mkdir()
    plain_vgg16.save_weights(tmp_path / "x.weights.h5")
    (tmp_path / "x.weights.h5").rename(published.cached)
    digest = hashlib.md5(published.cached.read_bytes(), usedforsecurity=False).hexdigest()
    known = published_module.Published(published.folder, published.file, "md5", digest)
    monkeypatch.setitem(published_module.PUBLISHED, "vgg16", known)
    resolved = resolve_weights(Backbone())
    assert (resolved.kind, resolved.path) == ("imagenet", published.cached)

    published.cached.write_bytes(b"half a file")  # a download that was interrupted
    monkeypatch.setattr(published_module, "_unreachable", lambda *_: "no network in tests")
    with pytest.raises(WeightsError, match="no network in tests"):
        resolve_weights(Backbone())


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Serve a folder as the store of Keras does."""
    folder = tmp_path / "server"
    (folder / "vgg16").mkdir(parents=True)
    handler = functools.partial(QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setattr(published_module, "_STORE", f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
        yield folder
        server.shutdown()
        thread.join()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def test_a_download_is_checked_and_whole(store, tmp_path, monkeypatch, capfd):
    (store / "vgg16" / "file.h5").write_bytes(b"weights")
    good = hashlib.md5(b"weights", usedforsecurity=False).hexdigest()
    published = published_module.Published("vgg16", "file.h5", "md5", good)
    monkeypatch.setitem(published_module.PUBLISHED, "vgg16", published)
    assert resolve_weights(Backbone()).path == tmp_path / "home" / "models" / "file.h5"
    assert published.cached.read_bytes() == b"weights"

    published.cached.write_bytes(b"half")  # a copy that was damaged is fetched again
    assert resolve_weights(Backbone()).path.read_bytes() == b"weights"

    published.cached.unlink()
    wrong = published_module.Published("vgg16", "file.h5", "md5", "0" * 32)
    monkeypatch.setitem(published_module.PUBLISHED, "vgg16", wrong)
    with pytest.raises(WeightsError, match=r"downloading .* failed: .*hash.*--weights FILE"):
        resolve_weights(Backbone())
    assert list(published.cached.parent.iterdir()) == []
    assert capfd.readouterr().out == ""


def test_a_file_that_the_store_lacks_is_said(store):
    with pytest.raises(WeightsError, match=r"cannot be reached .*404.*--weights FILE"):
        resolve_weights(Backbone())


def test_memory_growth_is_on_before_a_device_is_used():
    code = """
import os, sys, types
used = []
class Config(types.SimpleNamespace):
    def list_physical_devices(self, kind):
        assert kind == "GPU"
        assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
        return [types.SimpleNamespace(name="GPU:0"), types.SimpleNamespace(name="GPU:1")]
config = Config(experimental=types.SimpleNamespace(
    set_memory_growth=lambda gpu, on: used.append((gpu.name, on))))
sys.modules["tensorflow"] = types.SimpleNamespace(config=config)  # anything else would raise
from hcs.learn.network.backbone import load_tensorflow
assert load_tensorflow() is sys.modules["tensorflow"]
load_tensorflow()
assert used == [("GPU:0", True), ("GPU:1", True)], used
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_threads_are_set_before_the_first_import_only():
    assert module.set_threads(1) is False  # TensorFlow is loaded in this process by now
    code = (
        "import os; from hcs.learn.network.backbone import set_threads; assert set_threads(1);"
        "assert os.environ['TF_NUM_INTRAOP_THREADS'] == '1'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_published_weights_of_a_real_file(test_data, images):
    path = test_data.parent / "weights" / "vgg16_imagenet_notop.npz"
    if not path.is_file():
        pytest.skip(f"no ImageNet weights at {path}")
    vectors = Embedder(Backbone(weights=str(path)), PX, 8).features(images)
    assert np.isfinite(vectors).all()
    assert vectors.std() > 0
