from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from hcs.report import wording
from hcs.words import english


@pytest.mark.parametrize(
    ("value", "words"),
    [
        pytest.param(0.93125, "0.93", id="two-decimals"),
        pytest.param(-1.5, "−1.50", id="true-minus"),
        pytest.param(1234.5, "1,234.50", id="thousands"),
        pytest.param(None, "–", id="none"),
        pytest.param(math.nan, "–", id="nan"),
        pytest.param(pd.NA, "–", id="pandas-na"),
    ],
)
def test_number(value, words):
    assert wording.number(value) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        pytest.param(8, "8", id="integer"),
        pytest.param(2143.0, "2,143", id="integral-float"),
        pytest.param(0.65, "0.65", id="no-idle-zero"),
        pytest.param(0.000123456, "0.000123", id="small"),
        pytest.param(2098.52, "2,099", id="large"),
        pytest.param(100.0, "100", id="zeros-of-an-integer-stay"),
        pytest.param(0, "0", id="zero"),
        pytest.param(None, "–", id="none"),
    ],
)
def test_trim_number(value, words):
    assert wording.trim_number(value) == words


@given(st.floats(min_value=1e-6, max_value=1e6))
def test_trim_number_keeps_three_significant_digits(value):
    assert float(wording.trim_number(value).replace(",", "")) == pytest.approx(value, rel=6e-3)


@pytest.mark.parametrize(
    ("p", "words"),
    [
        pytest.param(0.5, "0.50", id="half"),
        pytest.param(0.0031, "0.0031", id="small"),
        pytest.param(1e-20, "< 0.001", id="tiny"),
        pytest.param(None, "–", id="none"),
    ],
)
def test_p_value(p, words):
    assert wording.p_value(p) == words


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        pytest.param(0.51, "0.51 s", id="below-a-second"),
        pytest.param(42, "42 s", id="seconds"),
        pytest.param(600, "10.0 min", id="minutes"),
        pytest.param(7200, "2.0 h", id="hours"),
    ],
)
def test_seconds(duration, words):
    assert wording.seconds(duration) == words


@pytest.mark.parametrize(
    ("items", "words"),
    [
        pytest.param([], "", id="none"),
        pytest.param(["a"], "a", id="one"),
        pytest.param(["a", "b"], "a and b", id="two"),
        pytest.param(["a", "b", "c"], "a, b and c", id="three"),
    ],
)
def test_join_words(items, words):
    assert english.join_words(items) == words


@pytest.mark.parametrize(
    ("n", "thing", "words"),
    [
        pytest.param(1, "clone", "1 clone", id="one"),
        pytest.param(3, "clone", "3 clones", id="some"),
        pytest.param(2, "batch", "2 batches", id="batches"),
        pytest.param(2, "epoch", "2 epochs", id="epochs"),
        pytest.param(2, "covariate", "2 covariates", id="covariates"),
        pytest.param(1200, "image", "1,200 images", id="many"),
    ],
)
def test_count(n, thing, words):
    assert wording.count(n, thing) == words


@pytest.mark.parametrize(
    ("column", "words"),
    [
        pytest.param("Image_Count_Cells", ("cells per image", ""), id="count"),
        pytest.param("Image_Soma_MeanArea_um2", ("mean soma area", "µm²"), id="area"),
        pytest.param(
            "Image_Neurite_TotalLength_px", ("total neurite length per image", "px"), id="length"
        ),
        pytest.param("Image_Other_Thing_um", ("Other Thing", "µm"), id="unknown"),
    ],
)
def test_feature(column, words):
    assert wording.feature(column) == words


def test_percent_and_spans_do_not_break():
    assert wording.percent(0.5) == "50%"
    assert wording.plus_minus(0.5, 0.1) == "0.50\u00a0±\u00a00.10"
    assert wording.plus_minus(0.5, None) == "0.50"
    assert wording.span(0.1, None) == "–"


def test_joined_sentences_are_escaped_unless_they_are_markup():
    said = wording.join_sentences(["<b>", wording.strong("<i>")])
    assert said == Markup("&lt;b&gt; <strong>&lt;i&gt;</strong>")


@pytest.mark.parametrize(
    ("column", "noun"),
    [
        pytest.param("Metadata_Clone", "clone", id="clone"),
        pytest.param("Metadata_Passage_Number", "Passage Number", id="any"),
        pytest.param("column", "column", id="not-metadata"),
    ],
)
def test_noun(column, noun):
    assert wording.noun(column) == noun
