"""Regular expressions that users write: they are matched within a time, or refused.

An expression such as ``(a+)+b`` tries every way to part a name, and there are more ways than
seconds. The package ``regex`` reads what the standard library reads, and stops when it is told to.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

import regex

from hcs.domain.limits import PATTERN_SECONDS
from hcs.errors import InputError

_SLOW_SECONDS: Final = 0.01
"""Names that take less are not counted: a thousandth of it is usual."""


@dataclass
class UserPattern:
    """An expression of the user's.

    Attributes
    ----------
    text
        As it was written.
    ignore_case
        Whether ``a`` also means ``A``.
    spent_seconds
        What slow names took so far: the limit is for all of them together.
    """

    text: str
    ignore_case: bool = False
    spent_seconds: float = field(default=0.0, compare=False)

    def __post_init__(self) -> None:
        """Refuse what is no expression."""
        try:
            self._compiled = regex.compile(self.text, regex.IGNORECASE if self.ignore_case else 0)
        except (regex.error, RecursionError, OverflowError, MemoryError) as error:
            msg = f"{self.text[:200]!r} is not a regular expression: {error or 'it is too deep'}"
            raise InputError(msg) from error

    @property
    def groups(self) -> frozenset[str]:
        """Names of its groups."""
        return frozenset(self._compiled.groupindex)

    def match_whole(self, text: str) -> dict[str, str | None] | None:
        """Match a whole text.

        Returns
        -------
        dict or None
            What the named groups captured; None where the text does not match.

        Raises
        ------
        InputError
            When it takes longer than :data:`~hcs.domain.limits.PATTERN_SECONDS`.
        """
        started = time.perf_counter()
        try:
            left = max(PATTERN_SECONDS - self.spent_seconds, _SLOW_SECONDS)
            found = self._compiled.fullmatch(text, timeout=left)
        except TimeoutError as error:
            msg = (
                f"the expression {self.text[:200]!r} takes more than {PATTERN_SECONDS:g} s on "
                f"names such as {text[:200]!r}: it repeats what repeats, as (a+)+ does; say more "
                "exactly what may stand there, such as [^_]+ in place of .*"
            )
            raise InputError(msg) from error
        taken = time.perf_counter() - started
        if taken > _SLOW_SECONDS:
            self.spent_seconds += taken
        return None if found is None else dict(found.groupdict())
