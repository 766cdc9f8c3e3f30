"""Many heads trained in step: equal to Keras, independent of each other, blind to test images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hcs.domain.config.stages import Backbone, Head
from hcs.errors import InputError, MemoryBudgetError
from hcs.learn.heads import training as module
from hcs.learn.heads.batches import dropout_masks, plan_threads, train_batches, views_of_epoch
from hcs.learn.heads.training import (
    HeadJob,
    HeadWeights,
    export_keras,
    plan_groups,
    predict_heads,
    train_heads,
)
from hcs.learn.heads.weights import HeadRecipe, initial_weights
from hcs.learn.network.backbone import Embedder

# Keras copies TensorFlow variables in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

N, F, SEED = 60, 12, 5


@pytest.fixture(params=["a thread each", "in step"], autouse=True)
def way(request, monkeypatch):
    """Train both ways: as on a CPU, and as on a GPU (on the CPU that there is)."""
    monkeypatch.setattr(module, "sees_gpu", lambda: request.param == "in step")
    return request.param


PLAIN = Head(hidden_units=8, dropout=0.0, l2=1e-2, standardize=False)
STANDARD = Head(hidden_units=8, dropout=0.3)


def cohort(n_views=1, n_classes=2):
    """Vectors whose first features tell the class."""
    rng = np.random.default_rng(1)
    labels = np.arange(N) % n_classes
    features = rng.normal(size=(N, n_views, F)).astype(np.float32)
    features[..., :3] += 1.5 * labels[:, None, None]
    return features, labels


def job(split=0, trial=0, train=slice(0, 37), validation=slice(37, 50), rate=0.05, momentum=0.9):
    rows = np.random.default_rng(split).permutation(N)
    return HeadJob(split, trial, rows[train], rows[validation], rate, momentum)


def train(features, labels, jobs, head=STANDARD, epochs=4, **options):
    n_classes = options.pop("n_classes", 2)
    return train_heads(features, labels, jobs, HeadRecipe(head, n_classes, epochs, 8, SEED))


def arrays(result):
    weights = result.weights
    return [weights.w1[0], weights.b1[0], weights.w2[0], weights.b2[0]]


def keras_head(start, l2, rate, momentum, batch_normalization=False):
    import keras

    regularizer = keras.regularizers.L2(l2)
    hidden = keras.layers.Dense(8, kernel_regularizer=regularizer)
    middle = [keras.layers.BatchNormalization()] if batch_normalization else []
    output = keras.layers.Dense(start.n_classes, "softmax", kernel_regularizer=regularizer)
    model = keras.Sequential([keras.Input((F,)), hidden, *middle, keras.layers.ReLU(), output])
    hidden.set_weights([start.w1[0], start.b1[0]])
    output.set_weights([start.w2[0], start.b2[0]])
    model.compile(
        keras.optimizers.SGD(rate, momentum),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


@pytest.mark.parametrize("n_classes", [2, 3])
def test_equal_to_keras_fit_on_the_same_batches(n_classes):
    features, labels = cohort(n_classes=n_classes)
    jobs = [job(0), job(1, trial=2, rate=0.02, momentum=1.0)][: 4 - n_classes]
    epochs = 4
    results = train(features, labels, jobs, PLAIN, epochs, n_classes=n_classes)
    for one, result in zip(jobs, results, strict=True):
        start = initial_weights(PLAIN, F, n_classes, (SEED, one.split, one.trial))
        model = keras_head(start, PLAIN.l2, one.learning_rate, one.momentum)
        for epoch in range(epochs):
            batches = train_batches([one], 8, SEED, epoch)
            order = batches.rows[batches.weights > 0]
            fit = model.fit(
                features[order, 0], labels[order], batch_size=8, shuffle=False, verbose=0
            )
            accuracy = fit.history["accuracy"][0]
            assert result.history.accuracy[epoch] == pytest.approx(accuracy, abs=1e-6)
        for mine, theirs in zip(arrays(result), model.get_weights(), strict=True):
            np.testing.assert_allclose(mine, theirs, atol=1e-5)
        seen = features[one.validation_rows, 0]
        expected = model.predict(seen, verbose=0)
        np.testing.assert_allclose(predict_heads(seen, result.weights)[0], expected, atol=1e-5)
        right = expected.argmax(axis=1) == labels[one.validation_rows]
        assert result.history.validation_accuracy[-1] == pytest.approx(right.mean(), abs=1e-6)
        chosen = expected[np.arange(len(seen)), labels[one.validation_rows]]
        assert result.history.validation_loss[-1] == pytest.approx(-np.log(chosen).mean(), abs=1e-5)


def test_batch_normalization_equals_keras_and_is_folded():
    features, labels = cohort()
    head = PLAIN.model_copy(update={"batch_normalization": True})
    jobs = [job(0), job(1, train=slice(0, 20), rate=0.02, momentum=0.8)]  # one waits for the other
    results = train(features, labels, jobs, head)
    for one, result in zip(jobs, results, strict=True):
        start = initial_weights(head, F, 2, (SEED, one.split, one.trial))
        model = keras_head(start, head.l2, one.learning_rate, one.momentum, True)
        for epoch in range(4):
            batches = train_batches([one], 8, SEED, epoch)
            order = batches.rows[batches.weights > 0]
            fit = model.fit(
                features[order, 0], labels[order], batch_size=8, shuffle=False, verbose=0
            )
            accuracy = fit.history["accuracy"][0]
            assert result.history.accuracy[epoch] == pytest.approx(accuracy, abs=1e-6)
        seen = features[one.validation_rows, 0]
        expected = model.predict(seen, verbose=0)
        np.testing.assert_allclose(predict_heads(seen, result.weights)[0], expected, atol=1e-5)
        right = expected.argmax(axis=1) == labels[one.validation_rows]
        assert result.history.validation_accuracy[-1] == pytest.approx(right.mean(), abs=1e-6)


def test_a_planted_difference_is_learned():
    features, labels = cohort()
    results = train(features, labels, [job(split) for split in range(10)], epochs=15)
    assert [result.job.split for result in results] == list(range(10))
    assert np.mean([result.validation_accuracy for result in results]) > 0.85
    assert all(result.diverged_epoch is None and result.kept_epoch == 14 for result in results)
    assert results[0].history.loss[-1] < results[0].history.loss[0]


def test_a_head_does_not_depend_on_its_neighbours():
    features, labels = cohort(n_views=3)
    jobs = [job(split) for split in range(10)]
    together = train(features, labels, jobs)
    for index in (0, 4, 9):
        (alone,) = train(features, labels, [jobs[index]])
        for one, other in zip(arrays(alone), arrays(together[index]), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("batch_normalization", [False, True])
def test_a_head_does_not_depend_on_how_heads_are_grouped_into_calls(
    batch_normalization, monkeypatch
):
    features, labels = cohort(n_views=3)
    short = job(1, train=slice(0, 20), rate=0.02)  # waits for the others where there are any
    jobs = [job(0), short, job(0, trial=1), job(2), job(1, trial=1)]
    head = replace_head(batch_normalization=batch_normalization)
    together = train(features, labels, jobs, head)
    monkeypatch.setattr(module, "plan_groups", lambda n_heads, *_: min(n_heads, 2))
    for calls in ([jobs[:2], jobs[2:]], [[each] for each in jobs[::-1]]):
        found = {}
        for call in calls:
            found |= {
                (one.job.split, one.job.trial): one for one in train(features, labels, call, head)
            }
        for one in together:
            other = found[one.job.split, one.job.trial]
            for mine, theirs in zip(arrays(one), arrays(other), strict=True):
                np.testing.assert_allclose(mine, theirs, atol=1e-6)
            for name in ("loss", "accuracy", "validation_loss", "validation_accuracy"):
                mine, theirs = (getattr(each.history, name) for each in (one, other))
                np.testing.assert_allclose(mine, theirs, atol=1e-6)


def test_heads_of_several_widths_stack_without_changing_what_they_predict():
    features, labels = cohort()
    (narrow,) = train(features, labels, [job(0)], STANDARD)
    (wide,) = train(features, labels, [job(1)], STANDARD.model_copy(update={"hidden_units": 16}))
    stacked = HeadWeights.concatenate([narrow.weights, wide.weights])
    assert stacked.w1.shape == (2, F, 16)
    together = predict_heads(features[:, 0], stacked)
    for index, one in enumerate((narrow, wide)):
        alone = predict_heads(features[:, 0], one.weights)[0]
        np.testing.assert_allclose(together[index], alone, atol=1e-6)


def test_rows_that_no_job_names_are_never_read():
    features, labels = cohort(n_views=2)
    jobs = [job(0), job(0, trial=1)]
    clean = train(features, labels, jobs)
    poisoned = features.copy()
    test_rows = np.setdiff1d(
        np.arange(N), np.concatenate([jobs[0].train_rows, jobs[0].validation_rows])
    )
    poisoned[test_rows] = np.nan
    for one, other in zip(clean, train(poisoned, labels, jobs), strict=True):
        for mine, theirs in zip(arrays(one), arrays(other), strict=True):
            np.testing.assert_array_equal(mine, theirs)


class Watched:
    """Features that are no array, as those on disk, and remember which images were asked for."""

    def __init__(self, features):
        self._features = features
        self.ndim, self.shape, self.dtype = features.ndim, features.shape, features.dtype
        self.read = set()

    def __len__(self):
        return len(self._features)

    def __getitem__(self, key):
        self.read |= set(np.arange(len(self))[key[0]].tolist())
        return self._features[key]


def test_features_on_disk_give_the_same_and_only_named_rows_are_asked_for():
    features, labels = cohort(n_views=3)
    watched = Watched(features.astype(np.float16))
    (result,) = train(watched, labels, [job()])
    assert watched.read == named(job())
    (expected,) = train(features.astype(np.float16), labels, [job()])
    for one, other in zip(arrays(result), arrays(expected), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_validation_images_change_nothing_but_the_history():
    features, labels = cohort(n_views=2)
    (clean,) = train(features, labels, [job()])
    poisoned = features.copy()
    poisoned[job().validation_rows] = np.nan
    (other,) = train(poisoned, labels, [job()])
    for one, two in zip(arrays(clean), arrays(other), strict=True):
        np.testing.assert_array_equal(one, two)
    assert other.history.validation_accuracy.tolist() == [0, 0, 0, 0]


def test_a_poisoned_row_of_another_split_does_no_harm():
    features, labels = cohort()
    # Image 0 is a test image of the first head and a training image of the second.
    first = next(one for one in map(job, range(50)) if 0 not in named(one))
    second = next(one for one in map(job, range(50)) if 0 in one.train_rows)
    poisoned = features.copy()
    poisoned[0] = np.nan
    clean, _ = train(features, labels, [first, second])
    mine, theirs = train(poisoned, labels, [first, second])
    np.testing.assert_array_equal(arrays(clean)[0], arrays(mine)[0])
    np.testing.assert_array_equal(clean.history.validation_loss, mine.history.validation_loss)
    assert theirs.diverged_epoch == 0


def named(one):
    return {*one.train_rows, *one.validation_rows}


def test_divergence_stays_with_its_head():
    features, labels = cohort()
    calm, wild = job(0), job(0, trial=1, rate=1e30)
    (alone,) = train(features, labels, [calm])
    together = train(features, labels, [wild, calm, wild])
    np.testing.assert_allclose(arrays(together[1])[0], arrays(alone)[0], atol=1e-6)
    assert together[1].diverged_epoch is None
    assert together[0].diverged_epoch is not None
    assert together[0].history.validation_accuracy[-1] == 0


def test_heads_with_different_numbers_of_images():
    features, labels = cohort()
    long, short = job(0), job(1, train=slice(0, 9), validation=slice(9, 11))
    none = job(2, validation=slice(0, 0))
    together = train(features, labels, [long, short, none], PLAIN)
    for index, one in enumerate([long, short, none]):
        (alone,) = train(features, labels, [one], PLAIN)
        np.testing.assert_allclose(arrays(together[index])[0], arrays(alone)[0], atol=1e-6)
        np.testing.assert_allclose(together[index].history.loss, alone.history.loss, rtol=1e-5)
    assert np.isnan(together[2].history.validation_loss).all()
    assert np.isnan(together[2].validation_accuracy)


def test_dropout_drops_as_often_as_asked():
    jobs = [job(0), job(1), job(2)]
    masks = dropout_masks(jobs, [0.5, 0.2, 0.0], (20, 32, 64), SEED, 0)
    assert masks.shape == (20, 3, 32, 64)
    np.testing.assert_allclose((~masks).mean(axis=(0, 2, 3)), [0.5, 0.2, 0], atol=0.01)
    per_place = (~masks).mean(axis=0)[0]
    assert 0.05 < per_place.min() < per_place.max() < 0.95
    assert not np.array_equal(masks, dropout_masks(jobs, [0.5, 0.2, 0.0], (20, 32, 64), SEED, 1))
    longer = dropout_masks(jobs[:1], [0.5], (25, 32, 64), SEED, 0)
    np.testing.assert_array_equal(longer[:20, 0], masks[:, 0])


def test_dropout_slows_fitting_and_is_off_when_judging():
    features, labels = cohort()
    heavy = train(features, labels, [job()], replace_head(dropout=0.8), epochs=10)[0]
    none = train(features, labels, [job()], replace_head(dropout=0.0), epochs=10)[0]
    assert heavy.history.loss[-1] > none.history.loss[-1] + 0.1
    first = predict_heads(features[:, 0], heavy.weights)
    np.testing.assert_array_equal(first, predict_heads(features[:, 0], heavy.weights))


def test_a_step_with_dropout_follows_its_masks():
    features, labels = cohort()
    one = job(train=slice(0, 8), validation=slice(0, 0))
    (result,) = train(features, labels, [one], replace_head(standardize=False), epochs=1)
    start = initial_weights(STANDARD, F, 2, (SEED, 0, 0))
    batches = train_batches([one], 8, SEED, 0)
    keep = dropout_masks([one], [STANDARD.dropout], (1, 8, 8), SEED, 0)[0, 0] / (
        1 - STANDARD.dropout
    )
    rows = batches.rows[0, 0]
    inputs, targets = features[rows, 0], np.eye(2)[labels[rows]]
    before = inputs @ start.w1[0]
    hidden = np.maximum(before, 0) * keep
    scores = np.exp(hidden @ start.w2[0])
    d_logits = (scores / scores.sum(axis=1, keepdims=True) - targets) / 8
    d_before = np.where(before > 0, d_logits @ start.w2[0].T * keep, 0)
    slope = inputs.T @ d_before + 2 * STANDARD.l2 * start.w1[0]
    np.testing.assert_allclose(arrays(result)[0], start.w1[0] - 0.05 * slope, atol=1e-6)


FREE = Head(hidden_units=8, dropout=0.5, l2=0.0, standardize=False)


@pytest.fixture(scope="module")
def losses_of_keras():
    """Training losses of the third epoch of heads with dropout, each from weights of its own."""
    import keras

    keras.utils.set_random_seed(SEED)
    features, labels = cohort()
    one = job()
    model = keras.Sequential(
        [
            keras.Input((F,)),
            keras.layers.Dense(8, "relu"),
            keras.layers.Dropout(FREE.dropout),
            keras.layers.Dense(2, "softmax"),
        ]
    )
    optimizer = keras.optimizers.SGD(one.learning_rate, one.momentum)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    found = []
    for trial in range(24):
        start = initial_weights(FREE, F, 2, (SEED, 0, 1000 + trial))
        model.set_weights([start.w1[0], start.b1[0], start.w2[0], start.b2[0]])
        for variable in optimizer.variables[2:]:  # the velocities; before them count and rate
            variable.assign(np.zeros(variable.shape, np.float32))
        fit = model.fit(
            features[one.train_rows, 0], labels[one.train_rows], batch_size=8, epochs=3, verbose=0
        )
        found.append(fit.history["loss"][-1])
    return np.array(found)


def test_heads_with_dropout_are_distributed_as_those_of_keras(losses_of_keras):
    features, labels = cohort()
    jobs = [replace(job(), trial=trial) for trial in range(96)]
    ours = [one.history.loss[-1] for one in train(features, labels, jobs, FREE, epochs=3)]
    error = np.hypot(np.std(ours) / np.sqrt(96), np.std(losses_of_keras) / np.sqrt(24))
    assert abs(np.mean(ours) - np.mean(losses_of_keras)) < 3.5 * error
    assert 0.5 < np.std(ours) / np.std(losses_of_keras) < 2
    without = FREE.model_copy(update={"dropout": 0.0})
    plain = [one.history.loss[-1] for one in train(features, labels, jobs, without, epochs=3)]
    assert np.mean(losses_of_keras) - np.mean(plain) > 5 * error  # the comparison can tell


def replace_head(**changes):
    return STANDARD.model_copy(update=changes)


def test_settings_of_one_head_override_the_shared_ones():
    features, labels = cohort()
    own = replace(job(), dropout=0.0, l2=0.3)
    shared, single = train(features, labels, [job(), own])
    (expected,) = train(features, labels, [job()], replace_head(dropout=0.0, l2=0.3))
    np.testing.assert_allclose(arrays(single)[0], arrays(expected)[0], atol=1e-6)
    assert not np.allclose(arrays(shared)[0], arrays(single)[0], atol=1e-3)


def test_labels_of_one_head_are_its_own():
    features, labels = cohort()
    flipped = replace(job(), labels=1 - labels)
    one, other = train(features, labels, [job(), flipped], epochs=10)
    first = predict_heads(features[:, 0], one.weights)[0, :, 1]
    second = predict_heads(features[:, 0], other.weights)[0, :, 1]
    assert np.corrcoef(first, second)[0, 1] < -0.8


def test_keeping_the_best_epoch():
    features, labels = cohort()
    jobs = [job(0, rate=0.3), job(1, rate=0.3)]
    results = train(features, labels, jobs, replace_head(keep="best"), epochs=8)
    for index, result in enumerate(results):
        best = int(np.argmax(result.history.validation_accuracy))
        assert result.kept_epoch == best
        upto = train(features, labels, jobs, STANDARD, epochs=best + 1)[index]
        np.testing.assert_allclose(arrays(result)[0], arrays(upto)[0], atol=1e-6)


def test_standardization_uses_training_rows_only_and_folds_away():
    features, labels = cohort()
    features[..., 5] = 7.0  # constant: must not divide by zero
    features[..., 6] *= 1000
    (result,) = train(features, labels, [job()], epochs=2)
    rows = job().train_rows
    np.testing.assert_allclose(result.weights.mean[0], features[rows, 0].mean(axis=0), rtol=1e-4)
    assert (result.weights.scale > 0).all()
    assert np.isfinite(arrays(result)[0]).all()
    folded = result.weights.folded()
    assert folded.mean is None
    np.testing.assert_allclose(
        predict_heads(features[:, 0], folded),
        predict_heads(features[:, 0], result.weights),
        atol=1e-5,
    )


def test_float16_features_are_as_good():
    features, labels = cohort(n_views=2)
    half = features.astype(np.float16)
    (one,) = train(half, labels, [job()])
    (other,) = train(half.astype(np.float32), labels, [job()])
    np.testing.assert_allclose(arrays(one)[0], arrays(other)[0], atol=1e-5)


def test_augmented_views_are_trained_on_and_the_image_itself_is_judged():
    features, labels = cohort(n_views=4)
    changed = features.copy()
    changed[:, 1:] += 5
    (one,) = train(features, labels, [job()])
    (other,) = train(changed, labels, [job()])
    assert not np.allclose(arrays(one)[0], arrays(other)[0])
    unaugmented = features.copy()
    unaugmented[job().train_rows, 0] = np.nan  # view 0 of training images: standardization only
    (blind,) = train(unaugmented, labels, [job()], PLAIN)
    assert blind.diverged_epoch is None
    unseen = features.copy()
    unseen[job().validation_rows, 1:] = np.nan
    (judged,) = train(unseen, labels, [job()])
    np.testing.assert_array_equal(judged.history.validation_loss, one.history.validation_loss)


def test_every_view_is_shown_once_before_any_is_shown_again():
    images = np.array([2, 3, 11])
    shown = np.stack([views_of_epoch(images, 5, SEED, epoch) for epoch in range(8)])
    for block in (shown[:4], shown[4:]):
        np.testing.assert_array_equal(np.sort(block, axis=0), np.arange(1, 5)[:, None].repeat(3, 1))
    alone = [views_of_epoch(images[2:], 5, SEED, epoch)[0] for epoch in range(8)]
    np.testing.assert_array_equal(shown[:, 2], alone)
    assert views_of_epoch(images, 1, SEED, 3).tolist() == [0, 0, 0]


def test_no_jobs_no_heads():
    features, labels = cohort()
    assert train(features, labels, []) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"train_rows": np.array([], np.int64)}, "no training images", id="empty"),
        pytest.param({"train_rows": np.array([0, N])}, f"of {N} images", id="outside"),
        pytest.param({"train_rows": np.arange(N)}, "of the same images", id="leak"),
        pytest.param({"labels": np.full(N, 2)}, "labels 2 to 2 of 2 classes", id="labels"),
    ],
)
def test_impossible_jobs_are_refused(change, message):
    features, labels = cohort()
    with pytest.raises(InputError, match=message):
        train(features, labels, [replace(job(), **change)])


def test_the_best_epoch_needs_validation_images():
    features, labels = cohort()
    with pytest.raises(InputError, match="no validation images"):
        train(features, labels, [job(validation=slice(0, 0))], replace_head(keep="best"))


def test_labels_must_belong_to_the_features():
    features, labels = cohort()
    with pytest.raises(InputError, match="59 labels"):
        train(features, labels[:-1], [job()])


@pytest.mark.parametrize(
    ("n_heads", "budget_mib", "expected"),
    [
        pytest.param(55, 1024, 55, id="all"),
        pytest.param(55, 256, 28, id="even"),  # two groups, not 51 and 4
        pytest.param(55, 9, 1, id="memory"),
        pytest.param(0, 2048, 0, id="none"),
    ],
)
def test_a_gpu_takes_as_many_heads_as_fit(n_heads, budget_mib, expected):
    assert plan_groups(n_heads, 512, 256, budget_mib * 2**20) == expected


def test_a_cpu_takes_a_head_a_thread_where_they_fit():
    assert plan_threads(4, 512, 256) == 4
    assert plan_threads(4, 32768, 256, 2**29) == 3


def test_a_head_that_cannot_fit_is_refused():
    with pytest.raises(MemoryBudgetError, match="pooling 'avg'"):
        plan_groups(1, 32768, 256, 2**20)
    with pytest.raises(MemoryBudgetError, match="pooling 'avg'"):
        plan_threads(1, 32768, 256, 2**20)


def test_stacking_and_taking():
    parts = [initial_weights(PLAIN, F, 2, (SEED, index)) for index in range(3)]
    stacked = HeadWeights.concatenate(parts)
    assert (len(stacked), stacked.n_features, stacked.n_classes) == (3, F, 2)
    np.testing.assert_array_equal(stacked.take([2]).w1, parts[2].w1)
    assert not np.array_equal(parts[0].w1, parts[1].w1)
    bad = replace(parts[0], mean=np.zeros((1, F)), scale=np.ones((1, F)))
    with pytest.raises(InputError, match="standardized"):
        HeadWeights.concatenate([parts[0], bad])


def test_predicting():
    weights = initial_weights(PLAIN, F, 3, (SEED,))
    assert predict_heads(np.empty((0, F), np.float16), weights).shape == (1, 0, 3)
    features, _ = cohort()
    probabilities = predict_heads(features[:, 0], weights)
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, rtol=1e-6)
    with pytest.raises(InputError, match="same backbone"):
        predict_heads(features[:, 0, :5], weights)


@pytest.mark.parametrize("pooling", ["avg", "flatten"])
def test_an_exported_head_predicts_the_same_in_plain_keras(pooling, tmp_path):
    import keras

    spec = Backbone(weights="random", layer="block2_pool", pooling=pooling)
    images = np.random.default_rng(0).integers(0, 256, (12, 32, 32), dtype=np.uint8)
    features = Embedder(spec, 32, 4).features(images)
    labels = np.arange(12) % 2
    one = HeadJob(0, 0, np.arange(8), np.arange(8, 12), 0.01, 0.9)
    (result,) = train_heads(features[:, None], labels, [one], HeadRecipe(STANDARD, 2, 3, 4, SEED))
    model = export_keras(spec, 32, result.weights)
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    model.save(tmp_path / "head.keras")
    loaded = keras.saving.load_model(tmp_path / "head.keras", safe_mode=True)
    found = loaded.predict(images[..., None].astype(np.float32), verbose=0)
    np.testing.assert_allclose(found, predict_heads(features, result.weights)[0], atol=1e-4)
    with pytest.raises(InputError, match="these heads want"):
        export_keras(spec, 32, initial_weights(STANDARD, 5, 2, (SEED,)))


def test_the_public_names_exist():
    assert all(hasattr(module, name) for name in module.__all__)
