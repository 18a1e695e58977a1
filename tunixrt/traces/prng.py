"""Integers that depend only on a seed, on every platform and in every version of Python.

The stream is SHA-256 in counter mode: block ``k`` is the SHA-256 of the seed's text, a line feed
and ``k`` in decimal, cut into four 64-bit big-endian words. Python's ``random`` promises the same
numbers only for ``random()`` itself, so it is not used for anything that reaches a stored byte.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORD_BITS = 64


class Sha256Stream:
    """Uniform whole numbers from a seed text."""

    def __init__(self, seed: str) -> None:
        self._seeded = hashlib.sha256(f"{seed}\n".encode())
        self._words = self._stream()

    def _stream(self) -> Iterator[int]:
        counter = 0
        while True:
            block = self._seeded.copy()
            block.update(str(counter).encode())
            digest = block.digest()
            for at in range(0, len(digest), 8):
                yield int.from_bytes(digest[at : at + 8], "big")
            counter += 1

    def below(self, bound: int) -> int:
        """Return a number from 0 to ``bound`` - 1, uniformly; ``bound`` is at least 1.

        Words beyond the largest multiple of ``bound`` are rejected: taking the remainder of
        every word would favour small numbers.
        """
        n_words = max(1, -(-(bound - 1).bit_length() // _WORD_BITS))
        space = 1 << (_WORD_BITS * n_words)
        fair = space - space % bound
        while True:
            word = 0
            for _ in range(n_words):
                word = word << _WORD_BITS | next(self._words)
            if word < fair:
                return word % bound

    def permutation(self, n: int) -> Iterator[int]:
        """Yield the numbers from 0 to ``n`` - 1 in random order.

        A Fisher-Yates shuffle that stores only the places it has swapped: taking ``k`` of ``n``
        numbers takes O(k) time and memory, and the first ``k`` do not depend on how many are
        taken.
        """
        moved: dict[int, int] = {}
        for at in range(n):
            own = moved.pop(at, at)
            other = at + self.below(n - at)
            if other == at:
                yield own
            else:
                yield moved.get(other, other)
                moved[other] = own
