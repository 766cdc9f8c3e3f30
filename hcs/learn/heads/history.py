"""How the training of heads went, epoch by epoch, and which epoch's weights are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hcs.learn.heads.batches import HeadJob
from hcs.learn.heads.weights import F32, HeadWeights


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Cross-entropy (without the L2 term) and accuracy after each epoch, ``(E,)`` float32 each.

    As in Keras, training values are means over the epoch's batches, with dropout and augmented
    views; validation values are of the images themselves after the epoch. They are NaN where
    there are no validation images. A prediction that is not finite counts as wrong.
    """

    loss: F32
    accuracy: F32
    validation_loss: F32
    validation_accuracy: F32


@dataclass(frozen=True, slots=True, eq=False)
class TrainedHead:
    """One head after training.

    Attributes
    ----------
    job
        What was asked.
    weights
        This head alone (its stack has length 1).
    history
        How it went.
    kept_epoch
        0-based epoch whose weights these are.
    diverged_epoch
        First epoch with a loss or a weight that is not finite, or None.
    """

    job: HeadJob
    weights: HeadWeights
    history: History
    kept_epoch: int
    diverged_epoch: int | None

    @property
    def validation_accuracy(self) -> float:
        """Validation accuracy at the kept epoch; NaN without validation images."""
        return float(self.history.validation_accuracy[self.kept_epoch])


class Keeper:
    """Collects what each epoch reports and the weights that are kept.

    Parameters
    ----------
    n_heads, epochs
        How many heads and epochs there will be.
    keep
        ``last``, or ``best`` by validation accuracy (the earliest among equals).
    """

    def __init__(self, n_heads: int, epochs: int, keep: Literal["last", "best"]) -> None:
        self._keep = keep
        self._values = np.full((4, epochs, n_heads), np.nan, np.float32)
        self._finite = np.ones((epochs, n_heads), bool)
        self._best = np.full(n_heads, -1.0, np.float32)
        self._kept_epoch = np.full(n_heads, epochs - 1)
        self._kept: list[F32] = []

    def record(self, epoch: int, values: Sequence[F32], weights: Sequence[Any]) -> None:
        """Take in one epoch.

        Parameters
        ----------
        epoch
            0-based number.
        values
            Loss, accuracy, validation loss, validation accuracy, ``(H,)`` each.
        weights
            ``w1, b1, w2, b2`` with a leading head axis, as anything that NumPy can read; it is
            read only where it is kept.
        """
        self._values[:, epoch] = np.stack(values)
        loss, accuracy = self._values[0, epoch], self._values[3, epoch]
        self._finite[epoch] = np.isfinite(loss)
        if self._keep == "last":
            if epoch == self._values.shape[1] - 1:
                self._kept = [_copy(array) for array in weights]
                self._finite[epoch] &= np.isfinite(self._kept[0]).all(axis=(1, 2))
            return
        better = accuracy > self._best
        if better.any():
            arrays = [_copy(array) for array in weights]
            self._kept = self._kept or arrays
            for kept, array in zip(self._kept, arrays, strict=True):
                kept[better] = array[better]
            self._best[better] = accuracy[better]
            self._kept_epoch[better] = epoch

    def finish(self, jobs: Sequence[HeadJob], start: HeadWeights) -> list[TrainedHead]:
        """Return one result a job; ``start`` gives the standardization."""
        w1, b1, w2, b2 = self._kept
        units, classes = w2.shape[1:]
        weights = HeadWeights(
            w1, b1.reshape(-1, units), w2, b2.reshape(-1, classes), start.mean, start.scale
        )
        return [
            TrainedHead(
                job,
                weights.take([index]),
                History(*(np.array(values[:, index]) for values in self._values)),
                int(self._kept_epoch[index]),
                None if (fine := self._finite[:, index]).all() else int(np.argmin(fine)),
            )
            for index, job in enumerate(jobs)
        ]


def _copy(array: Any) -> F32:  # noqa: ANN401 -- a NumPy array or a tensor
    return np.array(array.numpy() if hasattr(array, "numpy") else array, np.float32)
