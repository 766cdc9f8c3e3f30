"""Build clone-disjoint, class-balanced splits, or say why they cannot be built."""

from __future__ import annotations

import logging
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from hcs.domain import columns as col
from hcs.domain.columns import Role
from hcs.domain.splits import ROLES, Group, Proof, RoleCounts, Split, Splits
from hcs.errors import InputError, SplitError, UnknownNameError
from hcs.learn.splits.designs import (
    BoolArray,
    Design,
    IntArray,
    donor_design,
    donor_faults,
    even_design,
)

logger = logging.getLogger(__name__)

CONTROL_NAMES = frozenset(
    {
        "control", "controls", "ctrl", "con", "ctl", "healthy", "hc", "normal", "unaffected", "wt",
        "wildtype", "wild-type", "wild type", "negcon", "dmso", "vehicle", "untreated", "mock",
    }
)  # fmt: skip
"""Names of the class that is *not* the disease, lower case."""

_ATTEMPTS = 20
"""Designs drawn before equal splits are accepted."""

_ATTEMPTS_WITH_DONORS = 5
"""The same where every split is an integer programme of some milliseconds."""


def make_splits(  # noqa: PLR0913 - the words of the command line, one to one
    groups: Sequence[Group],
    *,
    group_by: str,
    label: str,
    positive: str | None,
    n_splits: int,
    train: int,
    validation: int,
    test: int,
    seed: int,
) -> Splits:
    """Draw splits whose counts are groups (clones) per class.

    Every group stands in validation and in test at least once. Where no donor has several groups,
    the numbers of times that the groups of a class stand in test differ by at most 1, and likewise
    in validation; otherwise whole donors are placed, as evenly as their sizes allow. The splits are
    all different where that is possible. Random numbers come from counters (Philox), so the answer
    depends on the groups and the seed alone, not on the order of the groups.

    Parameters
    ----------
    groups
        All groups with class, donor and number of images; order does not matter.
    group_by, label
        Metadata columns that the groups' names and classes come from.
    positive
        Class whose probability is the score; None takes the class that is not named like a
        control, see :func:`choose_positive`.
    n_splits
        Number of splits.
    train, validation, test
        Groups per class in each role of every split, at least 1.
    seed
        Study seed, at least 0.

    Returns
    -------
    Splits
        Checked splits with their proof.

    Raises
    ------
    SplitError
        When the request cannot be met; the message lists every reason found.
    """
    ordered = sorted(groups, key=lambda group: group.name)
    counts = RoleCounts.model_construct(train=train, validation=validation, test=test)
    if faults := _faults_of_request(ordered, n_splits, counts):
        raise _refusal(faults)
    classes = tuple(sorted({group.label for group in ordered}))
    chosen = choose_positive(classes) if positive is None else positive
    if chosen not in classes:
        raise UnknownNameError("class", chosen, f"column {label!r}", classes)
    rows = _rows(ordered, n_splits, counts, seed)
    names = np.array([group.name for group in ordered], dtype=object)
    splits = tuple(
        Split(index=index, **{role.value: tuple(names[row[role]]) for role in ROLES})
        for index, row in enumerate(rows)
    )
    return Splits(
        group_by=group_by,
        label=label,
        classes=classes,
        positive=chosen,
        seed=seed,
        counts=counts,
        groups=tuple(ordered),
        splits=splits,
        proof=Proof.of(ordered, splits),
    )


def choose_positive(classes: Sequence[str]) -> str:
    """Take the class whose probability is the score when nobody named it.

    The one class that is not named like a control (``control``, ``healthy``, ``WT``, ``DMSO`` …);
    when that does not single one out, the last in alphabetical order.

    Raises
    ------
    InputError
        When there is no class.
    """
    if not classes:
        msg = "no class to choose the positive one from"
        raise InputError(msg)
    others = [name for name in classes if name.strip().lower() not in CONTROL_NAMES]
    chosen = max(others or classes)
    if len(others) != 1:
        logger.warning(
            "took %r of %s as the positive class (the score is its probability); "
            "name one with 'positive' to choose",
            chosen,
            sorted(classes),
        )
    return chosen


def groups_of_images(
    images: pd.DataFrame, group_by: str, label: str, donor: str = col.DONOR
) -> tuple[Group, ...]:
    """Collect the groups of a table that has one row an image.

    Parameters
    ----------
    images
        One row an image; needs the columns ``group_by`` and ``label``. Rows without group or class
        (for example compound wells) take no part.
    group_by, label
        Columns of the group and of its class.
    donor
        Column of the donor; groups have no donor when the table lacks it.

    Returns
    -------
    tuple of Group
        One entry for each combination of group, class and donor, so that a group with two classes
        appears twice and :func:`make_splits` can refuse it. Empty for an empty table.

    Raises
    ------
    UnknownNameError
        When the table lacks a column.
    """
    for column in (group_by, label):
        if column not in images:
            raise UnknownNameError("column", column, "the image table", list(images.columns))
    known = images[images[group_by].notna() & images[label].notna()]
    if left_out := len(images) - len(known):
        logger.info("%d images without %s or %s take no part", left_out, group_by, label)
    donors = known[donor] if donor in known else pd.Series(None, index=known.index, dtype=object)
    keys = zip(known[group_by], known[label], donors, strict=True)
    counted = Counter(
        (str(name), str(class_), None if pd.isna(whom) else str(whom))
        for name, class_, whom in keys
    )
    found = sorted(counted.items(), key=lambda item: tuple(str(part) for part in item[0]))
    return tuple(Group(name=n, label=c, donor=d, n_images=k) for (n, c, d), k in found)


# ── what cannot be ──────────────────────────────────────────────────────────────────────────────


def _faults_of_request(groups: Sequence[Group], n_splits: int, counts: RoleCounts) -> list[str]:
    faults = _faults_of_groups(groups)
    asked = {role: getattr(counts, role.value) for role in ROLES}
    faults += [f"at least 1 group per class is needed for {r}" for r, k in asked.items() if k < 1]
    if n_splits < 1:
        faults.append(f"{n_splits} splits were asked for; at least 1 is needed")
    if faults:
        return faults
    if faults := list_shortages(groups, counts):
        return faults
    if _has_shared_donors(groups):
        sizes, _, names = _donors(groups)
        return donor_faults(sizes, counts, names)
    smallest = _smallest_n_splits(groups, counts)
    return [_too_few_splits(n_splits, smallest)] if n_splits < smallest else []


def list_shortages(groups: Sequence[Group], counts: RoleCounts) -> list[str]:
    """Name the classes that have fewer groups than every split needs."""
    needed = counts.train + counts.validation + counts.test
    return [
        f"class {label!r} has {size} groups; train {counts.train} + validation "
        f"{counts.validation} + test {counts.test} needs {needed}"
        for label, size in sorted(Counter(group.label for group in groups).items())
        if size < needed
    ]


def _faults_of_groups(groups: Sequence[Group]) -> list[str]:
    faults: list[str] = []
    described: dict[str, list[Group]] = defaultdict(list)
    for group in groups:
        described[group.name].append(group)
    for name, entries in described.items():
        labels = sorted({entry.label for entry in entries})
        donors = sorted({str(entry.donor) for entry in entries})
        if len(labels) > 1:
            faults.append(f"group {name!r} has {len(labels)} classes: {labels}")
        if len(donors) > 1:
            faults.append(f"group {name!r} has {len(donors)} donors: {donors}")
        if len(entries) > 1 and len(labels) == len(donors) == 1:
            faults.append(f"group {name!r} is described {len(entries)} times")
    classes = sorted({group.label for group in groups})
    if len(classes) < 2:
        faults.append(f"at least 2 classes are needed; there are {classes}")
    for what, names in (
        ("classes", classes),
        ("groups", described),
        ("donors", {group.donor for group in groups if group.donor is not None}),
    ):
        faults += _list_look_alikes(what, names)
    return faults


def _list_look_alikes(what: str, names: Iterable[str]) -> list[str]:
    """Name what differs only in letter case or spaces: two classes of one, or a leak."""
    alike: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        alike["".join(name.split()).casefold()].append(name)
    return [
        f"{what} {', '.join(map(repr, found))} differ in letter case or spaces alone: write one "
        "name in the plate map where one is meant, or names that differ"
        for found in alike.values()
        if len(found) > 1
    ]


def _smallest_n_splits(groups: Sequence[Group], counts: RoleCounts) -> int:
    largest = max(Counter(group.label for group in groups).values())
    return math.ceil(largest / min(counts.validation, counts.test))


def _too_few_splits(n_splits: int, smallest: int) -> str:
    return (
        f"{n_splits} splits are too few for every group to stand in validation and in test at "
        f"least once; {smallest} would do"
    )


def _refusal(faults: Sequence[str]) -> SplitError:
    return SplitError("\n  ".join(["these splits cannot be made:", *faults]))


def _has_shared_donors(groups: Sequence[Group]) -> bool:
    donors = [group.donor for group in groups if group.donor is not None]
    return len(set(donors)) < len(donors)


# ── how they are drawn ──────────────────────────────────────────────────────────────────────────


def _rows(
    groups: Sequence[Group], n_splits: int, counts: RoleCounts, seed: int
) -> list[dict[Role, BoolArray]]:
    """Draw designs until all groups are covered and all splits differ; keep the best one."""
    best: Design = {}
    fewest = (len(groups) + 1, n_splits + 1)
    for attempt in range(_ATTEMPTS_WITH_DONORS if _has_shared_donors(groups) else _ATTEMPTS):
        design = _draw(groups, n_splits, counts, seed=seed, attempt=attempt)
        rows = np.concatenate([design[role] for role in ROLES], axis=1)
        flaws = (_n_uncovered(design), n_splits - len(np.unique(rows, axis=0)))
        if flaws < fewest:
            best, fewest = design, flaws
        if fewest == (0, 0):
            break
    if fewest[0]:
        raise _refusal([_too_few_splits(n_splits, _enough_splits(groups, n_splits, counts, seed))])
    if fewest[1]:
        logger.warning("%d of %d splits equal another one", fewest[1], n_splits)
    return [{role: best[role][index] for role in ROLES} for index in range(n_splits)]


def _n_uncovered(design: Design) -> int:
    """Count groups that never stand in validation, or never in test."""
    covered = design[Role.VALIDATION].any(axis=0) & design[Role.TEST].any(axis=0)
    return int((~covered).sum())


def _enough_splits(groups: Sequence[Group], n_splits: int, counts: RoleCounts, seed: int) -> int:
    """Find how many splits cover every group, by drawing them."""
    while True:
        n_splits *= 2
        design = _draw(groups, n_splits, counts, seed=seed, attempt=0)
        if not _n_uncovered(design):
            firsts = [design[role].argmax(axis=0) for role in (Role.VALIDATION, Role.TEST)]
            return int(np.max(firsts)) + 1


def _draw(
    groups: Sequence[Group], n_splits: int, counts: RoleCounts, *, seed: int, attempt: int
) -> Design:
    if _has_shared_donors(groups):
        sizes, unit_of, _ = _donors(groups)
        placed = donor_design(sizes, n_splits, counts, ("splits", seed, attempt))
        return {role: placed[role][:, unit_of] for role in ROLES}
    labels = [group.label for group in groups]
    whole: Design = {role: np.zeros((n_splits, len(groups)), bool) for role in ROLES}
    for label in sorted(set(labels)):
        members = np.flatnonzero([own == label for own in labels])
        key = ("splits", seed, attempt, label)
        design = even_design(len(members), n_splits, counts, key)
        for role in ROLES:
            whole[role][:, members] = design[role]
    return whole


def _donors(groups: Sequence[Group]) -> tuple[IntArray, IntArray, list[str]]:
    """Count groups per donor and class; say whose each group is; name the donors."""
    owners = [f"donor {g.donor!r}" if g.donor else f"group {g.name!r}" for g in groups]
    names, unit_of = np.unique(owners, return_inverse=True)
    classes, class_of = np.unique([group.label for group in groups], return_inverse=True)
    sizes = np.zeros((len(names), len(classes)), int)
    np.add.at(sizes, (unit_of, class_of), 1)
    return sizes, unit_of, [str(name) for name in names]
