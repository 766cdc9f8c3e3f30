"""Features of other plates or time points are no cell counts of the images that were scored."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hcs.domain import columns as col
from hcs.domain.config.stages import HitsConfig, ProbeConfig, ScoresOfImages
from hcs.errors import InputError
from hcs.stages import hits
from hcs.stages.work.probe_inputs import intensity_table

DEAD = "A06"


def run_with(tmp_path, n: int = 96, **features):
    """One plate scored at time point 1, where a dead well looks rescued; features as stated."""
    draws = np.random.default_rng(6)
    scores, counts = [], []
    for row, column in np.ndindex(8, 12):
        well = f"{'ABCDEFGH'[row]}{column + 1:02d}"
        kind = {0: "negcon", 11: "poscon"}.get(column, "trt")
        low = kind == "poscon" or well == DEAD
        key = {col.PLATE: "P1", col.WELL: well, col.SITE: 0, col.TIME: 1}
        score = 0.6 + draws.normal(0, 0.02) - 0.4 * low
        model = {col.MODEL: "cnn", col.SPLIT: 0, col.ROLE: "new", col.SCORE: score}
        scores.append({**key, col.PERT_TYPE: kind, **model})
        counts.append({**key, col.N_CELLS: 5 if well == DEAD else 100})
    pd.DataFrame(scores).to_parquet(tmp_path / "p.parquet")
    pd.DataFrame(counts).head(n).assign(**features).to_parquet(tmp_path / "f.parquet")
    source = ScoresOfImages(path=str(tmp_path / "p.parquet"), features=str(tmp_path / "f.parquet"))
    return hits.run(HitsConfig(source=source, out=str(tmp_path / "hits.parquet")))


def test_a_dead_well_is_no_hit(tmp_path):
    result = run_with(tmp_path)
    assert result.problems == ()
    called = pd.read_parquet(result.out).set_index(col.WELL)
    assert called.loc[DEAD, col.TOXIC]
    assert not called.loc[DEAD, col.HIT]


@pytest.mark.parametrize(
    "other", [{col.TIME: 0}, {col.PLATE: "P2"}], ids=["another-time", "another-plate"]
)
def test_features_that_have_no_scored_image_are_refused(tmp_path, other):
    with pytest.raises(InputError, match=r"f\.parquet has no image of plate P1 at time point 1"):
        run_with(tmp_path, **other)


def test_images_that_the_features_lack_are_counted_and_their_wells_named(tmp_path):
    (problem,) = run_with(tmp_path, n=94).problems
    assert problem.message.startswith("2 of 96 scored images at time point 1 have no row in")
    assert "(H11, H12)" in problem.message
    assert problem.kept


def test_probes_refuse_the_intensity_of_another_time_point(tmp_path):
    key = {col.PLATE: ["P1"], col.WELL: ["A01"], col.SITE: [0]}
    features = pd.DataFrame({**key, col.TIME: [0], "Image_Intensity_Mean": [3.0]})
    features.to_parquet(tmp_path / "f.parquet")
    config = ProbeConfig(
        bank="b", splits="s", out="p.json", features=str(tmp_path / "f.parquet"), plates=()
    )
    seen = pd.DataFrame({**key, col.TIME: [1]})
    with pytest.raises(InputError, match=r"none of the images that the network saw, at time point"):
        intensity_table(config, None, seen)
