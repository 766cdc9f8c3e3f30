"""Codes and random draws that only the holder of a secret can make, and their way back."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hcs.domain.blinding import BlindKey, CloneEntry
from hcs.errors import Fault, InputError

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no letter that reads as a digit, none that makes words with U."""

_CODE_LETTERS: Final = 8
"""40 bits: among 1,536 clones two codes agree once in a million keys, and that is noticed."""

_SECRET_BYTES: Final = 32


def new_secret() -> str:
    """Draw a secret from the operating system: 64 hexadecimal digits."""
    return secrets.token_hex(_SECRET_BYTES)


def digest_with_key(secret: str, *parts: str | int) -> bytes:
    """HMAC-SHA-256 (RFC 2104) of the parts under the secret; 3 and "3" are different parts."""
    text = "\x1f".join(
        f"s{len(part)}:{part}" if isinstance(part, str) else f"i{part}" for part in parts
    )
    return hmac.digest(bytes.fromhex(secret), text.encode(), hashlib.sha256)


def draw_keyed_words(secret: str, count: int, *parts: str | int) -> NDArray[np.uint64]:
    """``count`` random 64-bit words of a key (Philox 4×64-10, doi 10.1145/2063384.2063405).

    A seed alone would not do for a layout: who has the clone table and the seed could deal it
    again and read the clones off it.
    """
    key = np.frombuffer(digest_with_key(secret, *parts)[:16], dtype="<u8").astype(np.uint64)
    return np.asarray(np.random.Philox(key=key).random_raw(count), dtype=np.uint64)


def code_of(secret: str, identity: str) -> str:
    """Anonymous code of a clone, ``X`` and eight letters: the same on every plate of a key."""
    number = int.from_bytes(digest_with_key(secret, "code", identity)[:5], "big")
    letters = [_ALPHABET[(number >> (5 * place)) & 31] for place in range(_CODE_LETTERS)]
    return "X" + "".join(letters)


def add_clones(
    key: BlindKey, entries: Sequence[CloneEntry], file: str
) -> tuple[BlindKey, list[Fault]]:
    """Give codes to clones, those of the key file keeping theirs.

    Parameters
    ----------
    key
        The key so far; may know clones of earlier plates.
    entries
        The clone table.
    file
        Name of the clone table, for messages.

    Returns
    -------
    BlindKey
        With the new clones, in the order of their codes, which says nothing of the table's.
    list of Fault
        Clones that the key file knows otherwise.

    Raises
    ------
    InputError
        When two clones get one code, which a new key file mends.
    """
    known = dict(key.clones)
    faults = []
    for entry in entries:
        code = code_of(key.secret, entry.identity)
        before = known.setdefault(code, entry)
        if before.identity != entry.identity:
            msg = f"clones {before.clone!r} and {entry.clone!r} get one code: choose a new key file"
            raise InputError(msg)
        faults += _find_changes(before, entry, file)
    clones = {code: known[code] for code in sorted(known)}
    return key.model_copy(update={"clones": clones}), faults


def _find_changes(before: CloneEntry, entry: CloneEntry, file: str) -> list[Fault]:
    return [
        Fault(
            file,
            f"clone {entry.clone!r} has another {name} in the key file",
            value=str(getattr(entry, name)),
            expected=str(getattr(before, name)),
        )
        for name in ("donor", "diagnosis")
        if getattr(before, name) != getattr(entry, name)
    ]


def reveal_faults(
    key: BlindKey, wells: Iterable[tuple[str | None, str, str | None]], file: str, *, whole: bool
) -> list[Fault]:
    """Say why wells cannot be given back their clones: every reason at once.

    Parameters
    ----------
    key
        The key.
    wells
        Plate (None when the table has none), well as ``A01`` and code of every row; None where a
        well has no code.
    file
        Name of the table, for messages.
    whole
        Whether the table must have every well that the layout filled.
    """
    wells = list(wells)
    plates = {plate.plate: plate.wells for plate in key.plates}
    only = next(iter(plates)) if len(plates) == 1 else None
    faults: list[Fault] = []
    present: dict[str, set[str]] = {}
    for name, well, code in wells:
        plate = name or only
        if plate is None or plate not in plates:
            expected = "one of " + ", ".join(map(repr, sorted(plates)))
            faults.append(
                Fault(file, "the key file has no such plate", value=name, expected=expected)
            )
            continue
        present.setdefault(plate, set()).add(well)
        faults += _code_faults(key, plates[plate], f"{plate} {well}", well, code, file)
    if whole:
        for plate, seen in present.items():
            faults += [
                Fault(file, f"{plate} {well} is missing", expected=f"code {code}")
                for well, code in plates[plate].items()
                if well not in seen
            ]
    return list(dict.fromkeys(faults))


def _code_faults(
    key: BlindKey, layout: Mapping[str, str], where: str, well: str, code: str | None, file: str
) -> list[Fault]:
    expected = layout.get(well)
    if code == expected:
        return []
    if code is None:
        return [Fault(file, f"{where} has no code", expected=f"{expected}")]
    if code not in key.clones:
        return [Fault(file, f"{where}: unknown code", value=code, expected=expected)]
    wanted = expected or "an empty well"
    return [Fault(file, f"{where}: not the code of the layout", value=code, expected=wanted)]
