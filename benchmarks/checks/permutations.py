"""Is the permutation p of ``hcs probe`` uniform where nothing is planted.

    python -m benchmarks.checks.permutations [--simulations 1000] [--clones 3 5 10]

Cohorts are simulated at the level of the feature bank: clones differ, classes do not. Arrangements
of the labels, splits and p are the project's own (``hcs.learn.probes``); heads that take the
difference of the class means stand in for trained ones, and like those they are the same for all
arrangements but for the labels. The distribution of p is held against the uniform one at the values
that p can take, by Kolmogorov and Smirnov's test, which is lenient for a p of few values.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import stats

from benchmarks._table import report
from hcs.domain.splits import RoleCounts
from hcs.learn.probes.arrangements import Arrangements
from hcs.learn.probes.heads import Cohort
from hcs.learn.probes.permutation import draw_heads, judge_permutations

NAME = "check_permutations"
COUNTS = {3: (1, 1, 1), 5: (3, 1, 1), 10: (6, 2, 2)}
"""Train, validation and test clones a class for each number of clones a class."""
N_SPLITS, N_WANTED = 8, 199
FEATURES, IMAGES, NOISE = 8, 8, 1.5
AT_ONCE = 25
"""Cohorts that share one draw of arrangements."""


def arrange(clones: int, seed: int) -> tuple[Arrangements, np.ndarray, np.ndarray]:
    """Arrangements with the training weights and the test signs of clones in all their splits."""
    label = np.repeat([0, 1], clones)
    every = np.arange(2 * clones)
    cohort = Cohort(np.zeros((2 * clones, 1), np.float32), every, label, every, 2, 1)
    among = Arrangements(cohort, N_WANTED, seed)
    train, validation, test = COUNTS[clones]
    counts = RoleCounts(train=train, validation=validation, test=test)
    shape = (among.n, N_SPLITS, 2 * clones)
    weight, sign = np.zeros(shape, np.float32), np.zeros(shape, int)
    for number in range(among.n):
        side = np.where(among.label(number) == 1, 1, -1)
        heads = draw_heads(cohort, among.label(number), counts, N_SPLITS, seed)
        for split, head in enumerate(heads):
            weight[number, split, head.train_rows] = side[head.train_rows] / train
            sign[number, split, head.test_rows] = side[head.test_rows]
    return among, weight, sign


def mean_aucs(images: np.ndarray, weight: np.ndarray, sign: np.ndarray) -> np.ndarray:
    """Mean test AUC of every arrangement for one cohort ``(clones, images, features)``."""
    arrangements, splits, clones = weight.shape
    flat = weight.reshape(-1, clones)
    score = np.einsum("hp,gmp->hgm", flat @ images.mean(axis=1), images, optimize=True)
    signs = sign.reshape(-1, clones)
    n_test = int((signs[0] == 1).sum())
    head = np.arange(len(flat))[:, None]
    first = score[head, np.argsort(-signs, axis=1, kind="stable")[:, :n_test]]
    second = score[head, np.argsort(signs, axis=1, kind="stable")[:, :n_test]]
    above = first.reshape(len(flat), -1, 1) > second.reshape(len(flat), 1, -1)
    aucs: np.ndarray = above.mean(axis=(1, 2)).reshape(arrangements, splits).mean(axis=1)
    return aucs


def simulate(clones: int, n: int) -> Iterator[tuple[float, Arrangements]]:
    """P of every simulated cohort."""
    rng = np.random.default_rng([clones, 1])
    for number in range(n):
        if number % AT_ONCE == 0:
            among, weight, sign = arrange(clones, number // AT_ONCE)
        own = rng.standard_normal((2 * clones, 1, FEATURES), dtype=np.float32)
        noise = rng.standard_normal((2 * clones, IMAGES, FEATURES), dtype=np.float32)
        aucs = mean_aucs(own + np.float32(NOISE) * noise, weight, sign)
        yield judge_permutations(among, aucs.tolist(), N_SPLITS, 1).p_value or 0.0, among


def run_size(clones: int, n: int) -> dict[str, Any]:
    """Distribution of p for one number of clones a class."""
    found, judged = zip(*simulate(clones, n), strict=True)
    p = np.array(found)
    values = np.unique(p)
    reached = np.searchsorted(np.sort(p), values, side="right") / n
    distance = float(np.abs(reached - values).max())
    return {
        "clones": f"{clones} + {clones}",
        "arrangements": judged[0].n_possible,
        "compared": judged[0].n,
        "least p": judged[0].n_alike / judged[0].n_possible,
        "simulations": n,
        "mean p": float(p.mean()),
        "p ≤ 0.05": float((p <= 0.05).mean()),
        "p ≤ 0.1": float((p <= 0.1 + 1e-9).mean()),
        "KS distance": distance,
        "KS p": float(stats.kstwo.sf(distance, n)),
    }


def main() -> None:
    """Print one row a size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--clones", type=int, nargs="+", default=list(COUNTS), choices=COUNTS)
    options = parser.parse_args()
    how = (
        f"simulated, nothing planted: {IMAGES} images a clone, {FEATURES} features, image noise "
        f"{NOISE} clone SDs, {N_SPLITS} splits, heads of class means"
    )
    report(NAME, [run_size(clones, options.simulations) for clones in options.clones], (how,))


if __name__ == "__main__":
    main()
