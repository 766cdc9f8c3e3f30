"""A table of wells becomes arrays: positions, kinds, stacks, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from hcs.domain import columns as col
from hcs.domain.wells import PlateFormat
from hcs.errors import InputError, UnknownNameError
from hcs.screen.plates import read_wells


def frame(wells, **columns):
    return pd.DataFrame({col.PLATE: "P1", col.WELL: wells, col.SCORE: 1.0} | columns)


def test_positions_and_kinds():
    kinds = ["negcon", " PosCon ", "trt", "empty", None, "dmso?"]
    screen = read_wells(frame(["A01", "A02", "B01", "H12", "C03", "D04"], **{col.PERT_TYPE: kinds}))
    assert screen.row.tolist() == [0, 0, 1, 7, 2, 3]
    assert screen.column.tolist() == [0, 1, 0, 11, 2, 3]
    assert screen.is_negcon.tolist() == [True, *[False] * 5]
    assert screen.is_poscon.tolist() == [False, True, *[False] * 4]
    assert screen.is_sample.tolist() == [False, False, True, False, True, True]


def test_without_a_plate_map_all_are_samples():
    screen = read_wells(frame(["A01", "A02"]))
    assert screen.is_sample.all()
    assert screen.plates.to_dict("records") == [{col.MODEL: "score", col.PLATE: "P1"}]


def test_plates_and_batches_of_two_models_stay_apart():
    table = pd.concat(
        [
            frame(["A01", "A02"], **{col.MODEL: model, col.BATCH: batch, col.PLATE: plate})
            for model in ("cnn", "forest")
            for plate, batch in (("P1", "b1"), ("P2", "b1"), ("P3", None))
        ]
    )
    screen = read_wells(table)
    assert (screen.n_plates, screen.n_batches, screen.n_models) == (6, 4, 2)
    assert screen.plate.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert screen.batch.tolist() == [0, 0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 3]
    assert screen.plates[col.PLATE].tolist() == ["P1", "P2", "P3"] * 2


def test_stacks_hold_plates_of_one_format_and_give_values_back():
    names = [well.name for well in PlateFormat.WELLS_96.wells()]
    table = pd.concat([frame(names), frame(["A01", "P24"], **{col.PLATE: "P2"})])
    table[col.SCORE] = np.arange(len(table), dtype=float)
    screen = read_wells(table.sample(frac=1, random_state=0))
    shapes, back = [], np.full(len(table), np.nan)
    for stack in screen.stacks():
        plates = stack.gather(screen.value)
        shapes.append(plates.shape)
        stack.scatter(plates, back)
    assert sorted(shapes) == [(1, 8, 12), (1, 16, 24)]
    assert np.array_equal(back, screen.value)


def test_usable_needs_a_value_and_no_flag():
    table = frame(["A01", "A02", "A03"], **{col.USABLE: [True, False, True]})
    table.loc[2, col.SCORE] = np.nan
    assert read_wells(table).usable.tolist() == [True, False, False]


def test_an_empty_table():
    screen = read_wells(frame([]))
    assert (screen.n_plates, screen.n_batches, screen.n_models) == (0, 0, 0)
    assert list(screen.stacks()) == []


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        pytest.param(frame(["A01", "A01"]), InputError, "1 wells stand more than once", id="twice"),
        pytest.param(frame(["A01", "water"]), InputError, "'water' is not a well", id="no well"),
        pytest.param(
            frame(["A01", "A50"]), InputError, "outside every format", id="beyond 1536 wells"
        ),
        pytest.param(
            frame(["A01"]).drop(columns=col.SCORE),
            UnknownNameError,
            "no column 'score'",
            id="column",
        ),
    ],
)
def test_refused(table, error, message):
    with pytest.raises(error, match=message):
        list(read_wells(table).stacks())
