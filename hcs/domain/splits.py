"""The file format ``splits.json``: a split that shares a clone or donor cannot exist as an object.

Splits are lists of group names (clones), never of images. The file carries what a reviewer needs to
see that it is fair: the counts, the groups with donor and number of images, and how often every
group stands in each role.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Self

from pydantic import ConfigDict, Field, JsonValue, ValidationError, model_validator
from pydantic_core import from_json

from hcs.domain.columns import Role
from hcs.domain.plate import Frozen, Name
from hcs.domain.readable_json import Document
from hcs.errors import SplitError, UnknownNameError

ROLES: Final = (Role.TRAIN, Role.VALIDATION, Role.TEST)
"""The three roles that a split gives out, in the order in which files list them."""

Count = Annotated[int, Field(ge=0)]


class Group(Frozen):
    """One group (clone) that stays together: its class, its donor, its number of images."""

    name: Name
    label: Name
    donor: Name | None = None
    n_images: Count


class RoleCounts(Frozen):
    """One number for each role."""

    train: Count
    validation: Count
    test: Count


class RoleLists(Frozen):
    """The three lists of one split as they stand in a file, before anything is checked."""

    index: Count
    train: tuple[Name, ...]
    validation: tuple[Name, ...]
    test: tuple[Name, ...]

    def of(self, role: Role) -> tuple[str, ...]:
        """Return the groups of one role: empty for roles that a split does not give out."""
        return {Role.TRAIN: self.train, Role.VALIDATION: self.validation, Role.TEST: self.test}.get(
            role, ()
        )


class Split(RoleLists):
    """One split: groups to train on, to tune on, and to test on; no group stands in two."""

    @model_validator(mode="after")
    def _no_group_has_two_roles(self) -> Self:
        if faults := _find_shared_groups(self):
            raise SplitError("; ".join(faults))
        return self


class Appearances(Frozen):
    """How often one group stands in each role."""

    group: Name
    train: Count
    validation: Count
    test: Count


class Proof(Frozen):
    """What a reviewer would otherwise have to count by hand.

    Attributes
    ----------
    disjoint_by
        ``group``, and ``donor`` when every donor is known: nothing of these is shared between
        roles. Where some are not known, ``known donor``: the others may be one person.
    n_unknown_donors
        Groups whose donor is not known.
    n_distinct_splits
        Number of different splits; lower than their number when some are equal.
    least, most
        Smallest and largest number of appearances of any group in each role.
    appearances
        The same for every group.
    """

    disjoint_by: tuple[Literal["group", "donor", "known donor"], ...]
    n_unknown_donors: Count = 0
    n_distinct_splits: Count
    least: RoleCounts
    most: RoleCounts
    appearances: tuple[Appearances, ...]

    @classmethod
    def of(cls, groups: Sequence[Group], splits: Sequence[RoleLists]) -> Proof:
        """Count; the splits themselves are checked by :class:`Splits`."""
        counted = {role: Counter(n for s in splits for n in s.of(role)) for role in ROLES}
        rows = [{role.value: counted[role][g.name] for role in ROLES} for g in groups]
        least = {r.value: min((row[r.value] for row in rows), default=0) for r in ROLES}
        most = {r.value: max((row[r.value] for row in rows), default=0) for r in ROLES}
        n_unknown = sum(group.donor is None for group in groups)
        donor = "donor" if n_unknown == 0 else "known donor"
        return cls(
            disjoint_by=("group", donor) if n_unknown < len(groups) else ("group",),
            n_unknown_donors=n_unknown,
            n_distinct_splits=len({tuple(frozenset(s.of(r)) for r in ROLES) for s in splits}),
            least=RoleCounts(**least),
            most=RoleCounts(**most),
            appearances=tuple(
                Appearances(group=g.name, **row) for g, row in zip(groups, rows, strict=True)
            ),
        )


class _Draft(Frozen):
    """The part of a file that leaks are looked for in, so that all of them are named at once."""

    model_config = ConfigDict(extra="ignore")

    groups: tuple[Group, ...]
    splits: tuple[RoleLists, ...]


class Splits(Document):
    """All splits of a study.

    Attributes
    ----------
    group_by, label
        Metadata columns that name the group and its class.
    classes
        Class names, sorted.
    positive
        The class whose probability is the score.
    counts
        Groups per class in each role of every split.
    """

    file_name = "splits.json"

    format: Literal["hcs-splits/1"] = "hcs-splits/1"
    group_by: Name
    label: Name
    classes: Annotated[tuple[Name, ...], Field(min_length=2)]
    positive: Name
    seed: Count
    counts: RoleCounts
    groups: Annotated[tuple[Group, ...], Field(min_length=1)]
    splits: Annotated[tuple[Split, ...], Field(min_length=1)]
    proof: Proof
    provenance: dict[str, JsonValue] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_fair(self) -> Self:
        faults = [*leaks(self.groups, self.splits), *self._inconsistencies()]
        if not faults and self.proof != Proof.of(self.groups, self.splits):
            faults = [
                "the proof does not belong to these splits; leave it out to have it recounted"
            ]
        if faults:
            raise SplitError(_list_faults(faults))
        return self

    def _inconsistencies(self) -> Iterable[str]:
        names = Counter(group.name for group in self.groups)
        yield from (f"group {n!r} is described {k} times" for n, k in names.items() if k > 1)
        if self.classes != tuple(sorted({group.label for group in self.groups})):
            yield f"classes {list(self.classes)} are not the sorted labels of the groups"
        if self.positive not in self.classes:
            yield f"positive class {self.positive!r} is not one of {list(self.classes)}"
        if [split.index for split in self.splits] != list(range(len(self.splits))):
            yield "splits are not numbered 0, 1, 2, … in order"
        label_of = {group.name: group.label for group in self.groups}
        for split in self.splits:
            for role in ROLES:
                yield from self._wrong_counts(split, role, label_of)

    def _wrong_counts(self, split: Split, role: Role, label_of: Mapping[str, str]) -> Iterable[str]:
        where = f"split {split.index}, {role}"
        members = split.of(role)
        for name in members:
            if name not in label_of:
                yield f"{where}: group {name!r} is not among the groups of this file"
        found = Counter(label_of[name] for name in members if name in label_of)
        asked: int = getattr(self.counts, role.value)
        for label in self.classes:
            if found[label] != asked:
                yield f"{where}: {found[label]} groups of class {label!r} instead of {asked}"

    def role_of(self, split_index: int) -> dict[str, Role]:
        """Role of every group in one split; groups that the split leaves out are ``unused``.

        Raises
        ------
        UnknownNameError
            When there is no split of this number.
        """
        if not 0 <= split_index < len(self.splits):
            raise UnknownNameError("split", split_index, "the file", range(len(self.splits)))
        roles = dict.fromkeys((group.name for group in self.groups), Role.UNUSED)
        for role in ROLES:
            roles.update(dict.fromkeys(self.splits[split_index].of(role), role))
        return roles

    def label_of(self) -> dict[str, str]:
        """Class of every group."""
        return {group.name: group.label for group in self.groups}

    @classmethod
    def read_json(cls, text: str | bytes, where: str | None = None) -> Self:
        """Read the file's text; a missing ``proof`` is counted anew.

        Raises
        ------
        SplitError
            When the text is no splits file, or shares a group or donor between roles; every
            leak is listed.
        """
        try:
            draft = _Draft.model_validate_json(text)
            if faults := leaks(draft.groups, draft.splits):
                raise SplitError(f"{where or cls.file_name}: {_list_faults(faults)}")
            data: dict[str, Any] = from_json(text)
            data.setdefault("proof", Proof.of(draft.groups, draft.splits))
            return cls.model_validate(data)
        except ValidationError as error:
            msg = f"{where or cls.file_name}: {_list_faults(_messages(error))}"
            raise SplitError(msg) from error


def leaks(groups: Sequence[Group], splits: Sequence[RoleLists]) -> list[str]:
    """List every group and every donor that stands in two roles of one split, in words.

    Parameters
    ----------
    groups
        All groups; those without donor are each taken for a donor of their own.
    splits
        Splits, checked or not. No splits: no leaks.

    Returns
    -------
    list of str
        One sentence a leak, empty when there is none.
    """
    donor_of = {group.name: group.donor for group in groups if group.donor is not None}
    found: list[str] = []
    for split in splits:
        found += [f"split {split.index}: {fault}" for fault in _find_shared_groups(split)]
        members: dict[str, dict[Role, set[str]]] = defaultdict(lambda: defaultdict(set))
        for role in ROLES:
            for name in split.of(role):
                if name in donor_of:
                    members[donor_of[name]][role].add(name)
        for donor, by_role in members.items():
            if len(by_role) > 1 and len(set().union(*by_role.values())) > 1:
                places = " and ".join(f"{r} ({', '.join(sorted(n))})" for r, n in by_role.items())
                found.append(f"split {split.index}: donor {donor!r} stands in {places}")
    return found


def _find_shared_groups(split: RoleLists) -> list[str]:
    places: dict[str, list[str]] = defaultdict(list)
    for role in ROLES:
        for name in split.of(role):
            places[name].append(role.value)
    return [
        f"group {name!r} stands in {' and '.join(roles)}"
        for name, roles in places.items()
        if len(roles) > 1
    ]


def _list_faults(faults: Sequence[str]) -> str:
    heading = f"{len(faults)} fault{'s' if len(faults) != 1 else ''}"
    return "\n  ".join([heading, *faults])


def _messages(error: ValidationError) -> list[str]:
    """One line a fault; the faults that one of our own validators listed stay as they are."""
    lines = []
    for entry in error.errors(include_url=False, include_input=False):
        own = entry.get("ctx", {}).get("error")
        if isinstance(own, SplitError):
            lines += [line.strip() for line in str(own).splitlines()[1:]] or [str(own)]
        else:
            place = ".".join(str(part) for part in entry["loc"])
            lines.append(f"{place}: {entry['msg']}" if place else entry["msg"])
    return lines
