"""Images become wells: means, spread between splits, out-of-fold rule, flags."""

import numpy as np
import pandas as pd
import pytest

from hcs.domain import columns as col
from hcs.domain.config.screening import (
    HitsOptions,
    MedianOfImages,
    PercentOfControl,
    TrimmedMeanOfImages,
)
from hcs.domain.wells import PlateFormat
from hcs.errors import InputError, UnknownNameError
from hcs.screen.aggregate import log_odds, well_scores, well_values
from hcs.screen.hits import call_hits


def long_table(scores, roles, well="A01", **extra):
    """One row an image × split: scores and roles are lists of lists, a list a split."""
    rows = [
        {
            col.MODEL: "cnn",
            col.SPLIT: split,
            col.ROLE: roles[split],
            col.PLATE: "P1",
            col.WELL: well,
            col.SITE: site,
            col.SCORE: score,
            **extra,
        }
        for split, of_split in enumerate(scores)
        for site, score in enumerate(of_split)
    ]
    return pd.DataFrame(rows)


def test_worked_example_of_mean_and_spread():
    table = long_table([[0.2, 0.4], [0.6, 0.8]], ["new", "new"])
    row = well_scores(table).iloc[0]
    # Splits' own means are 0.3 and 0.7: mean 0.5, SD (n − 1) 0.4 / √2.
    assert row[col.SCORE] == pytest.approx(0.5)
    assert row[col.SCORE_SPREAD] == pytest.approx(0.4 / np.sqrt(2))
    assert (row[col.N_IMAGES], row[col.N_SPLITS_USED], row[col.N_SPLITS]) == (2, 2, 2)
    assert row[col.OUT_OF_FOLD]
    assert row[col.USABLE]
    assert row[col.FLAGS] == ""


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [
        pytest.param(MedianOfImages(), 0.2, id="median"),
        pytest.param(TrimmedMeanOfImages(cut_fraction=0.2), 0.2, id="trimmed"),
    ],
)
def test_other_aggregations(aggregation, expected):
    table = long_table([[0.1, 0.2, 0.2, 0.2, 0.9]], ["new"])
    options = HitsOptions(aggregation=aggregation)
    assert well_scores(table, options)[col.SCORE].iloc[0] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("roles", "score", "n_used", "out_of_fold"),
    [
        pytest.param(["train", "test"], 0.9, 1, True, id="test beats train"),
        pytest.param(["validation", "new"], 0.9, 1, True, id="new beats validation"),
        pytest.param(["unused", "train"], 0.1, 1, True, id="unused was never seen"),
        pytest.param(["train", "validation"], 0.5, 2, False, id="nothing else: all, and said"),
        pytest.param(["test", "test"], 0.5, 2, True, id="all unseen"),
    ],
)
def test_out_of_fold_rule(roles, score, n_used, out_of_fold):
    row = well_scores(long_table([[0.1, 0.1], [0.9, 0.9]], roles)).iloc[0]
    assert row[col.SCORE] == pytest.approx(score)
    assert (row[col.N_SPLITS_USED], row[col.N_SPLITS]) == (n_used, 2)
    assert row[col.OUT_OF_FOLD] == out_of_fold
    if n_used == 1:
        assert np.isnan(row[col.SCORE_SPREAD])


def test_the_rule_holds_well_by_well():
    seen = long_table([[0.1], [0.3]], ["train", "train"], well="A01", **{col.CLONE: "c1"})
    partly = long_table([[0.5], [0.7]], ["train", "test"], well="A02", **{col.CLONE: "c2"})
    wells = well_scores(pd.concat([partly, seen])).set_index(col.WELL)
    assert wells.loc["A01", col.SCORE] == pytest.approx(0.2)
    assert wells.loc["A02", col.SCORE] == pytest.approx(0.7)
    assert wells[col.OUT_OF_FOLD].to_dict() == {"A01": False, "A02": True}
    assert wells[col.CLONE].to_dict() == {"A01": "c1", "A02": "c2"}


def test_missing_scores_do_not_count():
    row = well_scores(long_table([[0.2, np.nan]], ["new"])).iloc[0]
    assert (row[col.SCORE], row[col.N_IMAGES]) == (0.2, 1)


@pytest.mark.parametrize(
    ("cells", "scores", "flags"),
    [
        pytest.param(30.0, [0.1, 0.2], "", id="fine"),
        pytest.param(30.0, [0.1], "too-few-images", id="few images"),
        pytest.param(3.0, [0.1, 0.2], "too-few-cells", id="few cells"),
        pytest.param(3.0, [0.1], "too-few-images|too-few-cells", id="both"),
        pytest.param(np.nan, [0.1, 0.2], "", id="cells not counted"),
        pytest.param(30.0, [np.nan] * 2, "not-finite|too-few-images", id="no score"),
    ],
)
def test_flags(cells, scores, flags):
    table = long_table([scores], ["new"], **{col.N_CELLS: cells})
    row = well_scores(table, HitsOptions(min_images=2, min_cells=5)).iloc[0]
    assert row[col.FLAGS] == flags
    assert row[col.USABLE] == (flags == "")
    if np.isfinite(scores[0]):
        assert np.isfinite(row[col.SCORE])


def test_models_stay_apart_and_rows_are_sorted():
    table = pd.concat(
        [
            long_table([[0.9]], ["new"], well="B01").assign(model="forest"),
            long_table([[0.2]], ["new"], well="B01"),
            long_table([[0.1]], ["new"], well="A01"),
        ]
    )
    wells = well_scores(table)
    assert wells[[col.MODEL, col.WELL, col.SCORE]].to_numpy().tolist() == [
        ["cnn", "A01", 0.1],
        ["cnn", "B01", 0.2],
        ["forest", "B01", 0.9],
    ]


def test_categorical_keys_and_shuffled_rows_change_nothing():
    rng = np.random.default_rng(0)
    table = pd.concat(
        [long_table(rng.random((3, 4)), ["new"] * 3, well=w) for w in ("A01", "B02", "C03")]
    )
    expected = well_scores(table)
    shuffled = table.sample(frac=1, random_state=1)
    for column in (col.PLATE, col.WELL, col.ROLE, col.MODEL):
        shuffled[column] = shuffled[column].astype("category")
    found = well_scores(shuffled)
    for column in (col.SCORE, col.SCORE_SPREAD):
        assert np.allclose(found[column], expected[column])
    assert found[col.WELL].tolist() == expected[col.WELL].tolist()


def test_an_empty_table_gives_no_wells():
    table = long_table([[0.5]], ["new"]).iloc[:0]
    wells = well_scores(table)
    assert len(wells) == 0
    assert col.USABLE in wells


def test_a_missing_column_is_named():
    with pytest.raises(UnknownNameError, match="no column 'score'; the table has"):
        well_scores(pd.DataFrame({col.PLATE: ["P"], col.WELL: ["A01"]}))


def test_any_column_goes_the_same_way():
    table = pd.DataFrame(
        {
            col.PLATE: "P1",
            col.WELL: ["a1", "A - 2", "A03"],
            col.PERT_TYPE: ["negcon", "trt", "trt"],
            "Luminescence": ["10", 20, 30.5],
            col.FLAGS: ["", None, "contaminated"],
        }
    )
    wells = well_values(table, "Luminescence")
    assert wells[col.MODEL].unique().tolist() == ["Luminescence"]
    assert wells[col.WELL].tolist() == ["A01", "A02", "A03"]
    assert wells[col.SCORE].tolist()[:2] == [10.0, 20.0]
    assert wells[col.FLAGS].tolist() == ["", "", "failed-quality|too-few-images"]
    assert wells[col.PERT_TYPE].tolist() == ["negcon", "trt", "trt"]


def test_a_column_of_words_is_refused():
    table = pd.DataFrame({col.PLATE: ["P"], col.WELL: ["A01"], "note": ["good"]})
    with pytest.raises(InputError, match="column 'note' is not numeric"):
        well_values(table, "note")


# ── the scale of the statistics ─────────────────────────────────────────────────────────────────


def test_log_odds_by_hand():
    found = log_odds(np.array([0.5, 0.8, 0.2, 1.0, 0.0, np.nan]))
    limit = np.log((1 - 1e-6) / 1e-6)
    assert found[:5] == pytest.approx([0, np.log(4), -np.log(4), limit, -limit])
    assert np.isnan(found[5])


def test_a_classifier_is_measured_in_mean_log_odds_and_shown_in_probabilities():
    rows = pd.DataFrame(
        {
            col.MODEL: "cnn",
            col.PLATE: "P1",
            col.WELL: "A01",
            col.SITE: [1, 2, 1, 2],
            col.SPLIT: [0, 0, 1, 1],
            col.SCORE: [0.9, 0.5, 0.99, 0.8],
        }
    )
    wells = well_scores(rows)
    assert wells[col.SCORE].tolist() == pytest.approx([0.7975])
    odds = [np.log(9), 0.0, np.log(99), np.log(4)]
    assert wells[col.LOG_ODDS].tolist() == pytest.approx([np.mean(odds)])
    assert col.LOG_ODDS not in well_scores(rows, HitsOptions(scale="score"))
    assert col.LOG_ODDS not in well_scores(rows, HitsOptions(normalization=PercentOfControl()))
    assert col.LOG_ODDS not in well_scores(rows.assign(**{col.MODEL: "Luminescence"}))


def test_saturated_controls_do_not_make_every_moderate_well_a_hit():
    # Inactive wells and controls alike: log-odds of mean 7 and SD 2, so most scores are 0.99…1.
    false = {}
    for scale in ("score", "log-odds"):
        called = []
        for seed in range(20):
            rng = np.random.default_rng(seed)
            kinds = np.array(["negcon"] * 12 + ["poscon"] * 12 + ["trt"] * 72)
            odds = rng.normal(np.where(kinds == "poscon", -3, 7), 2)
            rows = pd.DataFrame(
                {
                    col.MODEL: "cnn",
                    col.PLATE: "P1",
                    col.WELL: [well.name for well in PlateFormat.WELLS_96.wells()],
                    col.PERT_TYPE: kinds,
                    col.SCORE: 1 / (1 + np.exp(-odds)),
                }
            )
            options = HitsOptions(scale=scale)
            called.append(call_hits(well_scores(rows, options), options)[0][col.HIT].sum())
        false[scale] = np.mean(called)
    assert false["score"] > 1
    assert false["log-odds"] <= 0.1


def test_log_odds_of_no_probabilities_are_refused():
    rows = pd.DataFrame({col.PLATE: ["P1"], col.WELL: ["A01"], col.SCORE: [12.0]})
    with pytest.raises(InputError, match=r"scores run from 12 to 12: choose scale 'score'"):
        well_scores(rows, HitsOptions(scale="log-odds"))


def test_scores_of_several_time_points_are_never_averaged():
    early, late = (long_table([[0.2, 0.4]], ["new"], **{col.TIME: time}) for time in (0, 1))
    with pytest.raises(InputError, match="well A01 of plate P1 has scores of several time points"):
        well_scores(pd.concat([early, late]))
    assert well_scores(late).iloc[0][col.SCORE] == pytest.approx(0.3)
