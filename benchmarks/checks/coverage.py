"""How often the interval of the AUC over donors holds the truth, in simulated studies.

    python -m benchmarks.checks.coverage [--simulations 1000] [--donors 12 20 30 60]

A study is simulated at the level of the feature bank: every clone has a normal effect in each
feature, every image adds normal noise, and one feature differs between the classes. Heads are ridge
classifiers in closed form, one a split, in place of trained ones: thousands of studies take
minutes. Splits, AUC and interval are the project's own (``hcs.learn.splits``,
``hcs.learn.scores.pair_auc``). The truth is 0.5 without a planted effect, else the mean over the
cell's studies, by image and by clone.

A cell that the result file already has with as many simulations is not computed again, so that a
stopped run goes on; ``--fresh`` starts anew. The constants of the interval were chosen on studies
of 8 and 64 features with effects of 0, 1.5, 3 and 6 clone SDs; the cells here have others.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from benchmarks._table import RESULTS, report
from hcs.domain.columns import Role
from hcs.domain.splits import RoleCounts
from hcs.learn.scores.pair_auc import PairAuc, mean_pair_auc, pair_auc_interval
from hcs.learn.splits.designs import even_design

NAME = "check_coverage"
COUNTS = {12: (4, 1, 1), 20: (6, 2, 2), 30: (10, 3, 2), 60: (20, 6, 4)}
"""Train, validation and test clones a class for each number of donors."""
N_SPLITS = 55
FEATURES, EFFECTS = (4, 32), (0.0, 1.0, 2.0, 4.0)
DESIGNS = ("random splits", "k-fold", "held-out batch", "leave-pairs-out", "two clones a donor")
MOST_FOR_PAIRS = 20
IMAGES, NOISE, RIDGE = 8, 1.5, 0.1
AT_ONCE = 50
UNITS = ("image", "clone")


@dataclass(frozen=True)
class Study:
    """Donors of each class first: positives, then negatives; all ``(splits, clones)``."""

    train: np.ndarray
    test: np.ndarray
    owner: np.ndarray
    n_donors: int
    """Donors a class that are tested."""

    @property
    def n_side(self) -> int:
        """Clones of one class."""
        return len(self.owner) // 2


def design(kind: str, donors: int) -> Study:
    """Roles of all clones in all splits."""
    n = donors // 2
    if kind == "k-fold":
        folds = next(k for k in (5, 6) if n % k == 0)
        side = np.arange(n) % folds == np.arange(folds)[:, None]
        test = np.concatenate([side, side], axis=1)
        return Study(~test, test, np.arange(2 * n), n)
    if kind == "leave-pairs-out":
        first, second = (grid.ravel() for grid in np.meshgrid(np.arange(n), np.arange(n)))
        test = np.concatenate([np.eye(n, dtype=bool)[first], np.eye(n, dtype=bool)[second]], axis=1)
        return Study(~test, test, np.arange(2 * n), n)
    if kind == "held-out batch":  # as many donors in another batch, which heads learn from
        tested = np.tile(np.repeat([True, False], n), 2)[None]
        return Study(~tested, tested, np.arange(4 * n), n)
    train, validation, of_test = COUNTS[donors]
    counts = RoleCounts(train=train, validation=validation, test=of_test)
    sides = [even_design(n, N_SPLITS, counts, ("coverage", donors, side)) for side in (0, 1)]
    clones = 2 if kind == "two clones a donor" else 1
    train, test = (
        np.repeat(np.concatenate([side[role] for side in sides], axis=1), clones, axis=1)
        for role in (Role.TRAIN, Role.TEST)
    )
    return Study(train, test, np.repeat(np.arange(2 * n), clones), n)


def draw_images(
    study: Study, features: int, effect: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Images ``(studies, clones, images, features)`` and the class (±1) of each clone."""
    clones, n_owners = len(study.owner), len(np.unique(study.owner))
    label = np.repeat(np.float32([1, -1]), study.n_side)
    own = rng.standard_normal((AT_ONCE, n_owners, 1, features), dtype=np.float32)[:, study.owner]
    if clones > n_owners:
        apart = rng.standard_normal((AT_ONCE, clones, 1, features), dtype=np.float32)
        own = (own + apart) / np.sqrt(np.float32(2))
    noise = rng.standard_normal((AT_ONCE, clones, IMAGES, features), dtype=np.float32)
    images = own + np.float32(NOISE) * noise
    images[..., 0] += np.float32(effect) / 2 * label[:, None]
    return images, label


def train_heads(images: np.ndarray, label: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Scores ``(studies, splits, clones, images)`` of a ridge classifier a split."""
    studies, clones, n_images, features = images.shape
    gram = images.transpose(0, 1, 3, 2) @ images
    total = images.sum(axis=2)
    role = train.astype(np.float32)
    shown = role.sum(axis=1)[:, None] * n_images
    mean = role @ total / shown
    second = (role @ gram.reshape(studies, clones, -1)).reshape(studies, -1, features, features)
    second = second / shown[..., None] - mean[..., :, None] * mean[..., None, :]
    second += np.float32(RIDGE) * np.eye(features, dtype=np.float32)
    target = (role * label) @ total / shown
    weights = np.linalg.solve(second, target[..., None])[..., 0]
    return np.einsum("bjp,bgmp->bjgm", weights, images, optimize=True)


def count_pairs(scores: np.ndarray, study: Study) -> Iterator[PairAuc]:
    """AUC between pairs of clones that are tested in one split, one entry a study."""
    clones = len(study.owner)
    total = np.zeros((len(scores), clones, clones))
    times = np.zeros((clones, clones))
    for split, tested in enumerate(study.test):
        members = np.flatnonzero(tested)
        first, second = members[members < study.n_side], members[members >= study.n_side]
        above = (
            scores[:, split, first][:, :, None, :, None]
            > scores[:, split, second][:, None, :, None, :]
        ).mean(axis=(3, 4))
        total[:, first[:, None], second] += above
        times[first[:, None], second] += 1
    return (PairAuc(entry, times, len(study.test)) for entry in total)


def run_cell(kind: str, donors: int, features: int, effect: float, n: int) -> Iterator[dict]:
    """Coverage by image and by clone of one cell."""
    study = design(kind, donors)
    rng = np.random.default_rng([DESIGNS.index(kind), donors, features, int(10 * effect)])
    found: dict[str, list[tuple[float, float, float]]] = {unit: [] for unit in UNITS}
    for _ in range(-(-n // AT_ONCE)):
        images, label = draw_images(study, features, effect, rng)
        scores = train_heads(images, label, study.train)
        for unit, values in zip(UNITS, (scores, scores.mean(3, keepdims=True)), strict=True):
            for pairs in count_pairs(values, study):
                low, high = pair_auc_interval([pairs], study.owner, study.n_donors) or (0, 0)
                found[unit].append((mean_pair_auc([pairs]) or 0.0, low, high))
    for unit, rows in found.items():
        auc, low, high = np.array(rows[:n]).T
        truth = float(auc.mean()) if effect else 0.5
        covered = float(((low <= truth) & (truth <= high)).mean())
        yield {
            "design": kind, "donors": donors, "features": features, "effect": effect, "by": unit,
            "simulations": n, "AUC": truth, "mean AUC": float(auc.mean()), "covered": covered,
            "± (binomial)": 1.96 * float(np.sqrt(covered * (1 - covered) / n)),
            "truth below": float((truth < low).mean()), "truth above": float((truth > high).mean()),
            "mean width": float((high - low).mean()), "perfect": float((auc == 1).mean()),
        }  # fmt: skip


def known_rows(n: int) -> list[Mapping[str, Any]]:
    """Rows of an earlier run with as many simulations."""
    path = RESULTS / f"{NAME}.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    return [row for row in rows if row["simulations"] == n]


def main() -> None:
    """Compute the cells that are missing and write the table after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--donors", type=int, nargs="+", default=list(COUNTS))
    parser.add_argument("--fresh", action="store_true")
    options = parser.parse_args()
    rows = [] if options.fresh else known_rows(options.simulations)
    keys = ("design", "donors", "features", "effect")
    done = {tuple(row[key] for key in keys) for row in rows}
    for cell in product(DESIGNS, options.donors, FEATURES, EFFECTS):
        if cell in done or (cell[0] == "leave-pairs-out" and cell[1] > MOST_FOR_PAIRS):
            continue
        rows += run_cell(*cell, options.simulations)
        print(*(f"{row[key]}" for row in rows[-1:] for key in (*keys, "covered")), flush=True)
        if len(rows) % 16 == 0:  # a stopped run loses at most eight cells
            save(rows)
    save(rows)


def save(rows: list[Mapping[str, Any]]) -> None:
    """Write the table with what it holds so far."""
    inside = sum(0.93 <= row["covered"] <= 0.97 for row in rows)
    low = sum(row["covered"] < 0.93 for row in rows)
    how = (
        f"simulated at the level of features: {IMAGES} images a clone, image noise {NOISE} clone "
        f"SDs, ridge heads in closed form, {N_SPLITS} random splits"
    )
    counts = (
        f"{inside} of {len(rows)} cells hold the truth in 93 to 97 %, {low} in fewer, "
        f"{len(rows) - inside - low} in more"
    )
    report(NAME, rows, (how, counts))


if __name__ == "__main__":
    main()
