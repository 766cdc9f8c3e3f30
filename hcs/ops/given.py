"""Label images of other programs as objects: their numbers kept, what is no label image refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label as label_pieces

from hcs.domain.columns import Reason
from hcs.errors import ImageReadError

_DENSE: Final = 2**22
"""Up to this number objects are looked up in a table; above, they are sorted."""

_PIECES_PER_OBJECT: Final = 1.5
"""A label image has one piece an object, and few that are cut; a binary mask has many pieces of one
number, a photograph a number for every few pixels."""

_BACKGROUND_SHARE: Final = 0.5
"""What covers more of a field than this and reaches all of its edges is its background."""


@dataclass(frozen=True, slots=True)
class Objects:
    """Objects of one field, numbered without gaps for the kernels.

    Attributes
    ----------
    labels
        Shape (Y, X), uint16, or uint32 where there are more objects: 0 background, else
        1 … ``count``.
    numbers
        Shape (count,), int64: the number that each object was given, ascending.
    """

    labels: NDArray[Any]
    numbers: NDArray[np.int64]

    @property
    def count(self) -> int:
        """Number of objects."""
        return int(self.numbers.size)

    def restore(self, labels: NDArray[Any], kept: int | None = None) -> NDArray[Any]:
        """Put the given numbers in the place of 1 … ``count`` in a label image.

        Parameters
        ----------
        labels
            Shape (Y, X), made from :attr:`labels`.
        kept
            A larger number that has a meaning of its own; it becomes the largest of the new type.

        Returns
        -------
        ndarray
            uint16 where the numbers fit, else uint32.
        """
        largest = int(self.numbers.max(initial=0))
        dtype = np.uint16 if largest < np.iinfo(np.uint16).max else np.uint32
        table = np.concatenate([[0], self.numbers]).astype(dtype)
        if kept is None:
            return np.asarray(table[labels])
        own = np.where(labels == kept, 0, labels)
        return np.where(labels == kept, np.iinfo(dtype).max, table[own]).astype(dtype)


@dataclass(frozen=True, slots=True)
class Given:
    """Objects of one field that somebody else has segmented; None are to be found here."""

    cells: Objects | None = None
    nuclei: Objects | None = None


NOTHING: Final = Given()


def number_objects(plane: NDArray[Any], name: str) -> Objects:
    """Take the objects of a label image.

    Parameters
    ----------
    plane
        Shape (Y, X), integers of any type; 0 is background, gaps in the numbers are fine.
    name
        Of the label image, for messages.

    Raises
    ------
    ImageReadError
        When it is no label image: numbers that are not whole or are below 0, one number for many
        pieces (a binary mask), numbers for every few pixels (a photograph), or a numbered
        background. The message says what to do.
    """
    if plane.dtype == np.bool_:
        plane = plane.view(np.uint8)
    if plane.dtype.kind not in "ui":
        msg = f"{name}: pixels are {plane.dtype}; a label image has whole numbers, one an object"
        raise ImageReadError(msg, Reason.WRONG_TYPE)
    least, largest = (int(plane.min()), int(plane.max())) if plane.size else (0, 0)
    if least < 0:
        msg = f"{name}: holds the number {least}; the background is 0, objects are above"
        raise ImageReadError(msg, Reason.WRONG_TYPE)
    if largest > np.iinfo(np.uint32).max:
        msg = f"{name}: holds the number {largest}; numbers up to 4,294,967,295 are read"
        raise ImageReadError(msg, Reason.WRONG_TYPE)
    if largest == 0:
        return Objects(np.zeros(plane.shape, np.uint16), np.zeros(0, np.int64))
    numbers, labels = _close_gaps(plane, largest)
    _refuse_no_label(labels, numbers, name)
    return Objects(labels, numbers)


def _close_gaps(plane: NDArray[Any], largest: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Numbers of the objects, and the plane with 1, 2, … in their places."""
    if largest > _DENSE:
        found, places = np.unique(plane, return_inverse=True)
        has_background = int(found[0]) == 0
        labels = places.reshape(plane.shape) + (not has_background)
        numbers = found[int(has_background) :].astype(np.int64)
    else:
        present = np.zeros(largest + 1, bool)
        present[plane.ravel()] = True
        present[0] = False
        numbers = np.flatnonzero(present).astype(np.int64)
        table = np.zeros(largest + 1, np.uint32)
        table[numbers] = np.arange(1, numbers.size + 1)
        labels = table[plane]
    small = numbers.size < np.iinfo(np.uint16).max
    return numbers, labels.astype(np.uint16 if small else np.uint32)


def _refuse_no_label(labels: NDArray[Any], numbers: NDArray[np.int64], name: str) -> None:
    pieces = label_pieces(labels.astype(np.int32), background=0, connectivity=2)
    n_pieces, count = int(pieces.max()), int(numbers.size)
    if count == 1 and n_pieces > 1:
        msg = (
            f"{name}: one number, {int(numbers[0])}, on {n_pieces} separate pieces: this is a "
            "binary mask, whose objects have no numbers yet; number its pieces first "
            "(skimage.measure.label, or Fiji's Connected Components Labeling)"
        )
        raise ImageReadError(msg, Reason.WRONG_TYPE)
    if n_pieces > _PIECES_PER_OBJECT * count + 1:
        msg = (
            f"{name}: {count} numbers on {n_pieces} separate pieces: this is no label image of "
            "objects, which has one piece an object, but classes of pixels or a photograph"
        )
        raise ImageReadError(msg, Reason.WRONG_TYPE)
    _refuse_background(labels, numbers, name)


def _refuse_background(labels: NDArray[Any], numbers: NDArray[np.int64], name: str) -> None:
    areas = np.bincount(labels.ravel(), minlength=numbers.size + 1)
    areas[0] = 0
    widest = int(areas.argmax())
    edges = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    around = all((edge == widest).any() for edge in edges)
    if numbers.size > 1 and around and areas[widest] > _BACKGROUND_SHARE * labels.size:
        msg = (
            f"{name}: number {int(numbers[widest - 1])} covers "
            f"{areas[widest] / labels.size:.0%} of the field and reaches all of its edges: it is "
            "the background, which must be 0"
        )
        raise ImageReadError(msg, Reason.WRONG_TYPE)
