"""A study says before its first plate is read that its plate maps cannot give its splits."""

from __future__ import annotations

import pytest
import tifffile
from small_plates import field, name_of

from hcs.errors import SplitError
from hcs.io.sheets import platemap
from hcs.stages.study import planning
from hcs.stages.study import run as study


def write_study(folder, n_plates, maps, clones, splits="train: 1, validation: 1, test: 1"):
    lines = ["well,clone,donor,diagnosis,batch"]
    for number in range(clones):
        sick = ("ALS", "control")[number % 2]
        lines.append(f"A{number + 1:02d},C{number},D{number},{sick},B1")
    for name in maps:
        (folder / name).write_text("\n".join(lines) + "\n")
    plates = []
    for number in range(n_plates):
        source = folder / f"P{number}"
        source.mkdir()
        tifffile.imwrite(source / name_of("A", 1, 1), field(number, shape=(16, 16)))
        shared = maps[number % len(maps)]
        plates.append(f"- {{name: P{number}, source: P{number}, platemap: {shared}}}\n")
    (folder / "study.yaml").write_text(
        f"name: tiny\nout: out\nplates:\n{''.join(plates)}splits: {{n_splits: 3, {splits}}}\n"
        "embed: {backbone: {weights: random}}\n"
    )
    return study.read_study(str(folder / "study.yaml"))


def test_too_few_clones_are_said_before_any_work_and_a_shared_map_is_read_once(
    tmp_path, monkeypatch
):
    config = write_study(tmp_path, 5, ["map.csv"], clones=5)
    read = []
    whole = platemap.read_platemap
    monkeypatch.setattr(
        platemap, "read_platemap", lambda *given: read.append(given[0]) or whole(*given)
    )
    told = r"study tiny: .*class 'control' has 2 groups; train 1 .*needs 3$"
    with pytest.raises(SplitError, match=told):
        study.run(config)
    assert len(read) == 1
    assert not (tmp_path / "out").exists()


def test_enough_clones_pass_also_over_several_maps(tmp_path):
    planning.refuse_shortages(write_study(tmp_path, 3, ["a.csv", "b.csv"], clones=6))


def test_without_maps_nothing_is_known_yet(tmp_path):
    config = write_study(tmp_path, 2, ["map.csv"], clones=1)
    bare = tuple(plate.model_copy(update={"platemap": None}) for plate in config.plates)
    planning.refuse_shortages(config.model_copy(update={"plates": bare}))
