"""Half precision for compiled loops: numba has no float16 on CPUs."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import types
from numba.extending import overload

Array = Any  # numba compiles for the types that come

__all__ = ["FAST", "widen"]

FAST: Final = {"contract", "reassoc", "nsz", "arcp"}
"""What compiled loops may do to arithmetic; what is not a number stays so."""

_HALF_TO_SINGLE: Final = np.float32(2.0**112)
_HALF_NOT_FINITE: Final = 0x7C00


def widen(source: Array, target: Array) -> None:
    """Copy float32, or the bits of float16, to float32; exists only compiled."""
    raise NotImplementedError


@overload(widen, jit_options={"fastmath": FAST})
def _choose_by_type(source: Array, target: Array) -> Array:  # noqa: ARG001
    """Choose by type: numba has no float16 on CPUs."""
    if source.dtype != types.uint16:

        def copy(source: Array, target: Array) -> None:
            target[:] = source

        return copy

    def widen_half(source: Array, target: Array) -> None:
        bits = target.view(np.int32)
        exponent = 0
        for j in range(source.size):
            half = int(source[j])
            exponent = max(exponent, half & _HALF_NOT_FINITE)
            bits[j] = ((half & 0x7FFF) << 13) | ((half & 0x8000) << 16)
        for j in range(source.size):
            target[j] *= _HALF_TO_SINGLE  # exact, for denormal numbers too
        if exponent == _HALF_NOT_FINITE:
            for j in range(source.size):
                if source[j] & _HALF_NOT_FINITE == _HALF_NOT_FINITE:
                    target[j] *= np.inf if source[j] & 0x3FF == 0 else np.nan

    return widen_half
