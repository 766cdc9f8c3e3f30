"""One level parts negative from positive cells, also where very few are positive."""

from __future__ import annotations

import numpy as np
import pytest

from hcs.ops.markers import part_in_two


def _negatives(seed, count=228):
    return np.random.default_rng(seed).uniform(0, 25, count)


@pytest.mark.parametrize("n_positive", [1, 2, 6, 20])
@pytest.mark.parametrize("brightness", [120, 200, 2000])
def test_few_positive_cells_are_set_off_whatever_their_share(n_positive, brightness):
    positives = np.random.default_rng(1).uniform(0.9, 1.1, n_positive) * brightness
    values = np.concatenate([_negatives(0), positives])
    level = part_in_two(values)
    assert 25 < level < positives.min()
    assert int((values > level).sum()) == n_positive


@pytest.mark.parametrize("seed", range(8))
def test_cells_of_one_group_are_all_negative(seed):
    rng = np.random.default_rng(seed)
    for values in (_negatives(seed), rng.normal(100, 10, 300), rng.lognormal(4, 0.3, 300)):
        assert part_in_two(values) == np.inf
