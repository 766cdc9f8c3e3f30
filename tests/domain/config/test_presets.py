"""A preset fills what a study file leaves out, and never overrides what stands there."""

from __future__ import annotations

import pytest

from hcs.domain.config.presets import PRESETS, with_preset
from hcs.domain.config.stages import FixedOptimizer, TunedOptimizer
from hcs.domain.config.studies import StudyConfig
from hcs.errors import FaultsError, UnknownNameError
from hcs.stages.study.run import read_study

PLATES = [{"name": "P1", "source": "tiffs"}]


def study(**content):
    return StudyConfig.model_validate(with_preset({"name": "x", "plates": PLATES, **content}))


def test_the_study_as_published():
    found = study(preset="imamura2021")
    splits = found.splits
    assert (splits.n_splits, splits.train, splits.validation, splits.test) == (55, 10, 3, 2)
    assert (found.stack.image_px, found.stack.median_level) == (256, 63.0)
    assert (found.embed.backbone.name, found.embed.backbone.pooling) == ("vgg16", "flatten")
    assert found.embed.views == found.train.epochs == 64
    optimizer = found.train.optimizer
    assert isinstance(optimizer, TunedOptimizer)
    assert (optimizer.learning_rate_min, optimizer.learning_rate_max) == (1e-4, 1e-2)
    assert (optimizer.momentum_min, optimizer.momentum_max) == (0.7, 1.0)
    assert found.train.batch_size == 32
    assert found.probes is not None
    assert found.probes.n_permutations >= 200


def test_fast_pools_and_shows_few_views():
    found = study(preset="fast")
    assert found.embed.backbone.pooling == "avg"
    assert found.embed.views <= 4
    assert isinstance(found.train.optimizer, FixedOptimizer)
    assert found.probes is None


def test_explicit_settings_win_at_any_depth():
    found = study(
        preset="imamura2021",
        splits={"n_splits": 7},
        embed={"backbone": {"weights": "random"}},
        train={"optimizer": {"trials": 3}},
    )
    assert (found.splits.n_splits, found.splits.train) == (7, 10)
    assert (found.embed.backbone.weights, found.embed.backbone.pooling) == ("random", "flatten")
    assert found.embed.views == 64
    assert found.train.optimizer.trials == 3
    assert found.train.optimizer.sampler == "tpe"


def test_another_kind_takes_nothing_from_the_presets_kind():
    found = study(preset="imamura2021", train={"optimizer": {"kind": "fixed"}})
    assert found.train.optimizer == FixedOptimizer()
    assert found.train.epochs == 64


def test_probes_can_be_turned_off():
    assert study(preset="imamura2021", probes=None).probes is None


def test_no_preset_changes_nothing():
    content = {"name": "x", "plates": PLATES, "splits": {"n_splits": 3}}
    assert with_preset(content) == content


@pytest.mark.parametrize("name", ["imamura2020", 3, ["fast"]])
def test_an_unknown_preset_is_named_with_those_that_exist(name):
    with pytest.raises(UnknownNameError, match="'fast', 'imamura2021'"):
        with_preset({"preset": name})


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_is_a_valid_study(name):
    assert study(preset=name).preset == name


def test_presets_are_not_changed_by_use():
    filled = with_preset({"preset": "fast"})
    filled["train"]["epochs"] = 1
    assert PRESETS["fast"]["train"]["epochs"] == 16


def test_study_files_may_name_a_preset(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text("name: x\npreset: fast\nplates: [{name: P1, source: tiffs}]\n")
    assert read_study(str(file)).stack.image_px == 128
    file.write_text("name: x\npreset: slow\nplates: [{name: P1, source: tiffs}]\n")
    with pytest.raises(FaultsError, match="no preset 'slow'"):
        read_study(str(file))
