"""Random numbers drawn from named counters, so that they are the same on every worker and machine.

A draw is keyed by what it is for (a purpose, the study seed, an image, a view, a split …), never
by the state of a generator that lives in some worker. Only the raw output of NumPy's bit
generators is used: NumPy promises that to stay the same between versions (NEP 19), but not the
streams of its distributions.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

_MANTISSA_SHIFT = np.uint64(11)
_UNIT = 2.0**-53


def digest(*key: str | int) -> bytes:
    """64 bytes that belong to a key; 3 and "3" are different keys.

    Parameters
    ----------
    *key
        Purpose first, then whatever tells this draw from any other.

    Returns
    -------
    bytes
        BLAKE2b of the key's parts (RFC 7693).
    """
    text = "\x1f".join(
        f"s{len(part)}:{part}" if isinstance(part, str) else f"i{int(part)}" for part in key
    )
    return hashlib.blake2b(text.encode()).digest()


def raw_words(count: int, *key: str | int) -> NDArray[np.uint64]:
    """``count`` random 64-bit words of a key (Philox 4×64-10, doi 10.1145/2063384.2063405)."""
    philox_key = np.frombuffer(digest(*key)[:16], dtype="<u8").astype(np.uint64)
    return np.asarray(np.random.Philox(key=philox_key).random_raw(count), dtype=np.uint64)


def uniforms(count: int, *key: str | int) -> NDArray[np.float64]:
    """``count`` numbers from the half-open interval [0, 1); an empty array for 0."""
    return _to_unit(raw_words(count, *key))


def few_uniforms(*key: str | int) -> NDArray[np.float64]:
    """Eight numbers from [0, 1) straight from the key's digest: quick for very many keys."""
    return _to_unit(np.frombuffer(digest(*key), dtype="<u8").astype(np.uint64))


def normals(count: int, *key: str | int) -> NDArray[np.float64]:
    """``count`` standard normal numbers (Box & Muller 1958, doi 10.1214/aoms/1177706645)."""
    half = (count + 1) // 2
    draws = uniforms(2 * half, *key)
    radius = np.sqrt(-2.0 * np.log1p(-draws[:half]))
    angle = 2.0 * np.pi * draws[half:]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count]


def name_number(name: str) -> int:
    """Number a name with 64 bits, the same everywhere; two names share one by chance of 2⁻⁶⁴."""
    return int.from_bytes(digest("number", name)[:8], "little")


def words_of(numbers: NDArray[np.uint64], count: int, *key: str | int) -> NDArray[np.uint64]:
    """``(N, count)`` random words of things with numbers: a thing's own, whatever is beside it.

    SplitMix64 (Steele et al. 2014, doi 10.1145/2660193.2660195) of each number and of ``count``
    words of the key.
    """
    with np.errstate(over="ignore"):
        mixed = np.asarray(numbers, np.uint64)[:, None] ^ raw_words(count, *key)[None, :]
        mixed += np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))


def permutation(count: int, *key: str | int) -> NDArray[np.int64]:
    """Give the integers below ``count`` in random order."""
    return np.argsort(raw_words(count, *key), kind="stable").astype(np.int64)


def _to_unit(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    return np.asarray((words >> _MANTISSA_SHIFT).astype(np.float64) * _UNIT)
