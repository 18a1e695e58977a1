"""Counts over the records of a dataset, in memory that does not grow with them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.jobs.tokens.records import TokenWarning
from tunixrt.log.digests import Digest

if TYPE_CHECKING:
    from tunixrt.jobs.tokens.records import RecordTokens

_N_NAMED: Final = 10
#: Bins that are kept while lengths are counted, and the most that a histogram has.
_N_FINE: Final = 256
_N_BINS: Final = 16


class WarningCount(msgspec.Struct, frozen=True):
    """A warning, how many records have it, and the first of them."""

    warning: TokenWarning
    n_records: int
    traces: tuple[Digest, ...]


class LengthBin(msgspec.Struct, frozen=True):
    """How many records have between ``at_least`` and ``at_most`` tokens."""

    at_least: int
    at_most: int
    n_records: int


class TokenSummary(msgspec.Struct, frozen=True):
    """The records of a dataset as tokens, in numbers.

    Attributes:
        n_records: all of them; they are kept, dropped, truncated or redacted.
        n_kept: trained on whole.
        n_dropped: not trained on.
        n_truncated: trained on in part.
        n_redacted: no longer readable.
        n_tokens: in all records; they are trained, masked, dropped or truncated.
        n_trained_tokens: that the model learns to write.
        n_masked_tokens: that it only reads.
        n_dropped_tokens: of dropped records.
        n_truncated_tokens: that were cut off.
        reasons: how many records are not kept, by reason.
        warnings: what is suspicious, with the first ten records of each kind.
        lengths: a histogram of the lengths of all records that can be read.
    """

    n_records: int
    n_kept: int
    n_dropped: int
    n_truncated: int
    n_redacted: int
    n_tokens: int
    n_trained_tokens: int
    n_masked_tokens: int
    n_dropped_tokens: int
    n_truncated_tokens: int
    reasons: dict[str, int]
    warnings: tuple[WarningCount, ...]
    lengths: tuple[LengthBin, ...]


class Lengths:
    """A histogram whose bins become wider as longer records arrive, and do not depend on the order.

    Bin k holds the lengths from k times the width on. The width is a power of two, so two bins make
    exactly one of twice the width.
    """

    def __init__(self) -> None:
        self._width = 1
        self._counts: Counter[int] = Counter()

    def add(self, length: int) -> None:
        """Count one length, 0 or more."""
        while length // self._width >= _N_FINE:
            self._counts = _merged(self._counts)
            self._width *= 2
        self._counts[length // self._width] += 1

    def bins(self) -> tuple[LengthBin, ...]:
        """Return the bins from the shortest length to the longest, at most 16 of one width."""
        counts, width = self._counts, self._width
        if not counts:
            return ()
        while max(counts) - min(counts) >= _N_BINS:
            counts, width = _merged(counts), width * 2
        return tuple(
            LengthBin(k * width, (k + 1) * width - 1, counts[k])
            for k in range(min(counts), max(counts) + 1)
        )


def _merged(counts: Counter[int]) -> Counter[int]:
    merged: Counter[int] = Counter()
    for number, n in counts.items():
        merged[number // 2] += n
    return merged


class TokenTally:
    """Counts records one by one."""

    def __init__(self) -> None:
        self._outcomes: Counter[str] = Counter()
        self._tokens: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._warned: Counter[TokenWarning] = Counter()
        self._named: dict[TokenWarning, list[Digest]] = {warning: [] for warning in TokenWarning}
        self._lengths = Lengths()

    def add(self, record: RecordTokens) -> None:
        """Count a record."""
        self._outcomes[record.outcome] += 1
        if record.reason is not None:
            self._reasons[record.reason] += 1
        if record.outcome == "redacted":
            return
        self._lengths.add(record.n_tokens)
        self._tokens["trained"] += record.n_trained
        self._tokens["masked"] += record.n_masked
        self._tokens["dropped"] += record.n_dropped
        self._tokens["truncated"] += record.n_truncated
        for warning in record.warnings:
            self._warned[warning] += 1
            if len(self._named[warning]) < _N_NAMED:
                self._named[warning].append(record.trace)

    def summary(self) -> TokenSummary:
        """Return the counts so far."""
        return TokenSummary(
            n_records=self._outcomes.total(),
            n_kept=self._outcomes["kept"],
            n_dropped=self._outcomes["dropped"],
            n_truncated=self._outcomes["truncated"],
            n_redacted=self._outcomes["redacted"],
            n_tokens=self._tokens.total(),
            n_trained_tokens=self._tokens["trained"],
            n_masked_tokens=self._tokens["masked"],
            n_dropped_tokens=self._tokens["dropped"],
            n_truncated_tokens=self._tokens["truncated"],
            reasons=dict(sorted(self._reasons.items())),
            warnings=tuple(
                WarningCount(warning, self._warned[warning], tuple(self._named[warning]))
                for warning in TokenWarning
                if self._warned[warning]
            ),
            lengths=self._lengths.bins(),
        )
