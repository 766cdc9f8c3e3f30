"""Grouped statistics equal numpy's and scipy's, group by group, and never warn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hcs.screen import groups

values_and_groups = st.lists(
    st.tuples(
        st.floats(-1e3, 1e3) | st.just(float("nan")) | st.just(float("inf")), st.integers(-1, 4)
    ),
    max_size=60,
)


@settings(deadline=None)  # a busy machine is no fault
@given(values_and_groups)
def test_each_group_equals_numpy(pairs):
    values = np.array([value for value, _ in pairs], dtype=np.float64)
    codes = np.array([code for _, code in pairs], dtype=np.intp)
    found = groups.summarize(values, codes, 5)
    for code in range(5):
        members = values[(codes == code) & np.isfinite(values)]
        assert found.count[code] == members.size
        if members.size == 0:
            assert np.isnan([found.mean[code], found.median[code], found.mad[code]]).all()
            continue
        assert found.mean[code] == pytest.approx(members.mean(), abs=1e-9)
        assert found.median[code] == pytest.approx(np.median(members), abs=1e-9)
        rounding = groups.RESOLUTION * np.abs(members).max()
        mad = 1.4826 * np.median(np.abs(members - np.median(members)))
        assert found.mad[code] == pytest.approx(mad if mad > rounding else 0, abs=1e-9)
        if members.size == 1:
            assert np.isnan(found.sd[code])
        else:
            sd = members.std(ddof=1)
            assert found.sd[code] == pytest.approx(sd if sd > rounding else 0, abs=1e-7)


@settings(deadline=None)  # a busy machine is no fault
@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=40), st.floats(0, 0.49))
def test_trimmed_mean_equals_scipy(values, cut):
    array = np.array(values)
    found = groups.group_trimmed_mean(array, np.zeros(array.size, np.intp), 1, cut)
    assert found[0] == pytest.approx(stats.trim_mean(array, cut), abs=1e-9)


def test_equal_values_have_exactly_no_spread():
    values = np.full(7, 0.1)
    found = groups.summarize(values, np.zeros(7, np.intp), 1)
    assert (found.mean[0], found.sd[0], found.mad[0]) == (0.1, 0.0, 0.0)


def test_groups_below_the_least_size_have_no_statistics_but_keep_their_count():
    found = groups.summarize(np.array([1.0, 2.0, 3.0]), np.array([0, 0, 1]), 2).at_least(2)
    assert found.count.tolist() == [2, 1]
    assert found.mean[0] == 1.5
    assert np.isnan([found.mean[1], found.median[1], found.mad[1]]).all()


@pytest.mark.parametrize("denominator", [0.0, np.nan, np.inf])
def test_division_by_nothing_is_missing(denominator):
    assert np.isnan(groups.divide(np.array([1.0]), np.array([denominator])))[0]


def test_nan_median_along_an_axis():
    values = np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan], [4.0, 1.0, 2.0]])
    assert np.array_equal(groups.nan_median(values, 1), [2.0, np.nan, 2.0], equal_nan=True)
    assert np.array_equal(groups.nan_median(values, 0), [2.5, 1.0, 2.5])
