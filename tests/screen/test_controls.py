"""Controls are counted, and plates without usable ones are named."""

import numpy as np
import pandas as pd
import pytest

from hcs.domain import columns as col
from hcs.domain.config.screening import HitsOptions
from hcs.screen.controls import control_stats, find_control_faults
from hcs.screen.plates import read_wells
from hcs.words.hits import say_faults


def plate(name, negcon=(), poscon=(), samples=(0.5, 0.6, 0.7, 0.8), **columns):
    values = [*negcon, *poscon, *samples]
    kinds = ["negcon"] * len(negcon) + ["poscon"] * len(poscon) + ["trt"] * len(samples)
    wells = [f"A{i + 1:02d}" for i in range(len(values))]
    data = {col.PLATE: name, col.WELL: wells, col.SCORE: values, col.PERT_TYPE: kinds} | columns
    return pd.DataFrame(data)


GOOD = plate("good", negcon=(0.9, 1.0, 1.1), poscon=(0.0, 0.1, 0.2), **{col.BATCH: "b1"})


def test_statistics_of_each_plate():
    screen = read_wells(pd.concat([GOOD, plate("poor", negcon=(1.0, 2.0))]))
    stats = control_stats(screen, HitsOptions(), "plate")
    assert stats.negcon.count.tolist() == [3, 2]
    assert stats.negcon.mean[0] == pytest.approx(1.0)
    assert np.isnan([stats.negcon.mean[1], stats.poscon.mean[1]]).all()
    assert stats.reference is stats.negcon


def test_a_batch_pools_its_plates():
    table = pd.concat([GOOD, plate("poor", negcon=(1.0, 2.0), **{col.BATCH: "b1"})])
    stats = control_stats(read_wells(table), HitsOptions(), "batch")
    assert stats.negcon.count.tolist() == [5]
    assert stats.negcon.mean[0] == pytest.approx(1.2)


def test_samples_are_the_reference_only_when_asked_for():
    screen = read_wells(GOOD)
    stats = control_stats(screen, HitsOptions(reference="samples"), "plate")
    assert stats.reference.median[0] == pytest.approx(0.65)
    assert stats.is_reference.tolist() == screen.is_sample.tolist()


def test_flagged_and_missing_controls_do_not_count():
    table = GOOD.assign(**{col.USABLE: [False] + [True] * 9})
    table.loc[1, col.SCORE] = np.nan
    stats = control_stats(read_wells(table), HitsOptions(min_controls=2), "plate")
    assert stats.negcon.count.tolist() == [1]


@pytest.mark.parametrize(
    ("table", "options", "expected"),
    [
        pytest.param(GOOD, {}, [], id="good"),
        pytest.param(
            plate("P", negcon=(1.0, 1.1)),
            {},
            [("no-controls", "2 usable negative controls (negcon), 3 needed")],
            id="too few negative controls, and no positive ones by design",
        ),
        pytest.param(plate("P"), {"reference": "samples"}, [], id="samples were asked for"),
        pytest.param(
            plate("P", negcon=(1.0,) * 4),
            {},
            [("no-spread", "the MAD of 4 negative controls (negcon) is 0")],
            id="controls all equal",
        ),
        pytest.param(
            plate("P", negcon=(1.0, 1.1, 1.2), poscon=(0.1,)),
            {},
            [("no-controls", "1 usable positive controls (poscon), 3 needed")],
            id="one positive control",
        ),
        pytest.param(
            plate("P", negcon=(1.0,), poscon=(0.1,)),
            {},
            [("no-controls", "1 usable negative"), ("no-controls", "1 usable positive")],
            id="both",
        ),
    ],
)
def test_problems_name_the_plate_and_the_reason(table, options, expected):
    faults = find_control_faults(read_wells(table), HitsOptions(**options))
    problems = say_faults(faults, "hits")
    assert len(problems) == len(expected)
    for problem, (reason, message) in zip(problems, expected, strict=True):
        assert (problem.plate, problem.reason, problem.kept) == ("P", reason, True)
        assert message in problem.message
