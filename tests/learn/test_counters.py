"""Random numbers that depend on their key alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hcs.learn import counters

keys = st.lists(st.one_of(st.integers(-5, 5), st.text(max_size=4)), min_size=1, max_size=4)


@given(keys, keys)
def test_different_keys_draw_differently(one, other):
    same = [(type(part), part) for part in one] == [(type(part), part) for part in other]
    assert (counters.digest(*one) == counters.digest(*other)) == same


def test_a_draw_is_frozen_for_ever():
    # These very words belong to this key: a change would break every study that was resumed.
    expected = [2440163620736302948, 6032539790880456321]
    assert counters.raw_words(2, "test", 1, "a").tolist() == expected


@given(st.integers(0, 200))
def test_a_permutation_holds_every_number_once(count):
    assert sorted(counters.permutation(count, "p", count)) == list(range(count))


@pytest.mark.parametrize("count", [0, 1, 7], ids=["none", "one", "odd"])
def test_counts(count):
    assert counters.uniforms(count, "u").shape == (count,)
    assert counters.normals(count, "n").shape == (count,)


def test_distributions():
    uniform = counters.uniforms(20_000, "u")
    normal = counters.normals(20_000, "n")
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert uniform.mean() == pytest.approx(0.5, abs=0.01)
    assert (normal.mean(), normal.std()) == (
        pytest.approx(0, abs=0.03),
        pytest.approx(1, abs=0.03),
    )
    few = np.stack([counters.few_uniforms("f", index) for index in range(2000)])
    assert few.shape == (2000, 8)
    np.testing.assert_allclose(few.mean(axis=0), 0.5, atol=0.03)
