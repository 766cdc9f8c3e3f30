"""Normalizations against numbers worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from hcs.domain import columns as col
from hcs.domain.config.screening import (
    BScore,
    HitsOptions,
    NoNormalization,
    PercentInhibition,
    PercentOfControl,
    PlateMedian,
    RobustZScore,
    ZScore,
)
from hcs.screen.normalize import normalize
from hcs.screen.plates import read_wells
from hcs.screen.position.correction import correct, correction_of

VALUES = [8.0, 10.0, 12.0, 38.0, 40.0, 42.0, 20.0, 25.0, 30.0, 35.0]
KINDS = ["negcon"] * 3 + ["poscon"] * 3 + ["trt"] * 4


def wells(values=VALUES, kinds=KINDS, plate="P1"):
    names = [f"A{i + 1:02d}" for i in range(len(values))]
    return pd.DataFrame(
        {col.PLATE: plate, col.BATCH: "b", col.WELL: names, col.SCORE: values, col.PERT_TYPE: kinds}
    )


def normalized(table, **options):
    options = HitsOptions(**options)
    screen = read_wells(table)
    corrected, level, _ = correct(screen, correction_of(options))
    return normalize(screen.with_value(corrected), level, options)


@pytest.mark.parametrize(
    ("how", "options", "of_20"),
    [
        pytest.param(NoNormalization(), {}, 20, id="none"),
        pytest.param(PercentOfControl(), {}, 200, id="percent of negative control"),
        pytest.param(PercentOfControl(control="poscon"), {}, 50, id="percent of positive control"),
        pytest.param(PercentInhibition(), {}, 100 * 10 / 30, id="percent inhibition"),
        pytest.param(PlateMedian(), {}, 20 / 27.5, id="plate median, multiplicative"),
        pytest.param(PlateMedian(scale="additive"), {}, -7.5, id="plate median, additive"),
        pytest.param(ZScore(), {}, 10 / 2, id="z"),
        pytest.param(RobustZScore(), {}, 10 / (1.4826 * 2), id="robust z"),
        pytest.param(
            ZScore(),
            {"reference": "samples"},
            -7.5 / np.std([20, 25, 30, 35], ddof=1),
            id="z against samples",
        ),
        pytest.param(
            RobustZScore(),
            {"reference": "samples"},
            -7.5 / (1.4826 * 5),
            id="robust z against samples",
        ),
    ],
)
def test_worked_examples(how, options, of_20):
    assert normalized(wells(), normalization=how, **options)[6] == pytest.approx(of_20)


def test_over_a_batch_the_controls_of_all_plates_count():
    table = pd.concat([wells(), wells([v + 10 for v in VALUES], plate="P2")])
    found = normalized(table, normalization=PercentOfControl(), normalize_over="batch")
    assert found[6] == pytest.approx(100 * 20 / 15)
    assert found[16] == pytest.approx(100 * 30 / 15)


@pytest.mark.parametrize(
    "how",
    [PercentOfControl(), PercentInhibition(), ZScore(), RobustZScore()],
    ids=lambda how: how.kind,
)
@pytest.mark.parametrize(
    "table",
    [
        pytest.param(wells(kinds=["trt"] * 10), id="no control"),
        pytest.param(wells(values=[0.0] * 10), id="all zero"),
        pytest.param(wells(values=[np.nan] * 10), id="all missing"),
        pytest.param(wells(kinds=["negcon"] + ["trt"] * 9), id="one control"),
    ],
)
def test_without_controls_or_spread_all_is_missing(how, table):
    assert np.isnan(normalized(table, normalization=how)).all()


def test_b_score_is_the_residual_over_its_mad():
    # [[1, 2], [3, 8]]: row medians 1.5 and 5.5, then column medians ∓1.5, leave residuals of ±1.
    table = pd.DataFrame(
        {col.PLATE: "P1", col.WELL: ["A01", "A02", "B01", "B02"], col.SCORE: [1.0, 2.0, 3.0, 8.0]}
    )
    found = normalized(table, normalization=BScore())
    assert found * 1.4826 == pytest.approx([1, -1, -1, 1])


def test_b_score_without_spread_is_missing():
    # R's ?medpolish example: more than half of its residuals are 0, and so is their MAD.
    deaths = [14, 15, 14, 7, 4, 7, 8, 2, 10, 15, 9, 10, 0, 2, 0]
    names = [f"{row}{column:02d}" for row in "ABCDE" for column in (1, 2, 3)]
    table = pd.DataFrame({col.PLATE: "P1", col.WELL: names, col.SCORE: np.array(deaths, float)})
    assert np.isnan(normalized(table, normalization=BScore())).all()
