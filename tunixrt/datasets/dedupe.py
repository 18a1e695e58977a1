"""Finds traces that repeat an earlier one, by one of three rules.

- ``prompt``: the prompts have the same characters.
- ``normalised``: the prompts have the same tokens (:mod:`tunixrt.traces.normal_text`).
- ``near:THRESHOLD``: the whole texts share at least that part of their distinct 5-grams of tokens
  (Jaccard similarity, estimated by MinHash). Broder 1997, "On the resemblance and containment of
  documents"; candidates are found by locality-sensitive hashing, as in Leskovec, Rajaraman and
  Ullman, "Mining of Massive Datasets", section 3.4.

The prompt of a conversation is all of its user messages. Traces are compared in the order of the
store, and of several that repeat each other the first stays. So appended traces never displace one
that stays; a merge can, because it interleaves the orders of its branches.

Equal inputs give equal answers on every machine: the permutations of MinHash come from SHA-256 of
their numbers, not from a random generator, and everything is integer arithmetic. Signatures and
keys are in a private table on disk, so memory does not grow with the number of traces.
"""

from __future__ import annotations

import hashlib
import re
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.extras import DEDUPE, require
from tunixrt.log.digests import Digest, from_raw, raw_of
from tunixrt.traces.conversation import Conversation, Role
from tunixrt.traces.normal_text import grams_of, tokens_of
from tunixrt.traces.spill import spill
from tunixrt.words import did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunixrt.traces.schema import AnyTrace


class Rule(StrEnum):
    """By what two traces count as one."""

    PROMPT = "prompt"
    NORMALISED = "normalised"
    NEAR = "near"


#: The similarity from which two texts count as one if `near` states none.
DEFAULT_THRESHOLD: Final = "0.8"
_N_PERMUTATIONS: Final = 128
_GRAM: Final = 5
_THRESHOLD: Final = re.compile(r"0\.[0-9]{1,4}|1(?:\.0{1,4})?", re.ASCII)


class DedupeError(BadInputError):
    """A rule that does not exist, or a threshold that cannot be used."""


class Duplicate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A trace that a dataset left out, and the one that it repeats: a line of the ledger."""

    duplicate_of: Digest
    trace: Digest


def parse_rule(text: str) -> str:
    """Return the normal form of a rule: ``prompt``, ``normalised`` or ``near:0.8``.

    Raises:
        DedupeError: It is neither; the message lists the rules.
    """
    name, colon, threshold = text.partition(":")
    if name not in list(Rule):
        raise DedupeError(
            f"There is no rule {quoted(text)} for duplicates. {did_you_mean(name, [*Rule])}"
        )
    if name != Rule.NEAR:
        if colon:
            raise DedupeError(
                f"The rule {name} takes no threshold; only {Rule.NEAR} does, as in "
                f"{Rule.NEAR}:{DEFAULT_THRESHOLD}."
            )
        return name
    wanted = threshold if colon else DEFAULT_THRESHOLD
    if _THRESHOLD.fullmatch(wanted) is None or Fraction(wanted) < Fraction(1, 2):
        raise DedupeError(
            f"The threshold of {Rule.NEAR} should be a decimal number from 0.5 to 1 with at most "
            f"4 decimals, such as {DEFAULT_THRESHOLD}, but is {quoted(wanted)}."
        )
    return f"{Rule.NEAR}:{wanted.rstrip('0').rstrip('.') if '.' in wanted else wanted}"


class Deduper(Protocol):
    """Takes traces in the order of the store, and says which one each of them repeats."""

    def original(self, trace_id: Digest, trace: AnyTrace) -> Digest | None:
        """Return the earlier trace that this one repeats; None, and keep this one, otherwise."""

    def close(self) -> None:
        """Free the table."""


def deduper_of(rule: str) -> Deduper:
    """Return a deduper that has met no trace.

    Args:
        rule: The normal form that `parse_rule` returns.

    Raises:
        MissingExtraError: The rule is ``near``, and datasketch is not installed.
    """
    name, _, threshold = rule.partition(":")
    match Rule(name):
        case Rule.PROMPT:
            return _EqualKeys(_prompt_key)
        case Rule.NORMALISED:
            return _EqualKeys(_normalised_key)
        case Rule.NEAR:
            return _NearDuplicates(Fraction(threshold))


def prompt_of(trace: AnyTrace) -> str:
    """Return the prompt, or all user messages of a conversation, with a line feed between."""
    if isinstance(trace, Conversation):
        return "\n".join(m.content for m in trace.messages if m.role is Role.USER)
    return trace.prompt


def text_of(trace: AnyTrace) -> str:
    """Return everything that is written in a trace, without its metadata."""
    if isinstance(trace, Conversation):
        parts = [part for m in trace.messages for part in (m.thought, m.content) if part]
        return "\n".join(parts)
    return "\n".join([trace.prompt, *(step.content for step in trace.steps), trace.final_answer])


def _prompt_key(trace: AnyTrace) -> bytes:
    return hashlib.sha256(prompt_of(trace).encode()).digest()


def _normalised_key(trace: AnyTrace) -> bytes:
    # No token contains a space.
    return hashlib.sha256(" ".join(tokens_of(prompt_of(trace))).encode()).digest()


class _EqualKeys:
    """Traces repeat each other if they have the same key."""

    def __init__(self, key: Any) -> None:
        self._key = key
        self._database = spill()
        self._database.execute(
            "CREATE TABLE firsts (key BLOB PRIMARY KEY, trace BLOB) WITHOUT ROWID"
        )
        self._database.execute("BEGIN")

    def original(self, trace_id: Digest, trace: AnyTrace) -> Digest | None:
        key, raw = self._key(trace), raw_of(trace_id)
        inserted = self._database.execute(
            "INSERT OR IGNORE INTO firsts VALUES (?, ?)", (key, raw)
        ).rowcount
        if inserted:
            return None
        found = self._database.execute("SELECT trace FROM firsts WHERE key = ?", (key,)).fetchone()
        return from_raw(found[0])

    def close(self) -> None:
        self._database.close()


class _NearDuplicates:
    """Traces repeat each other if their signatures agree in enough places.

    A signature is cut into bands of equal length. Two texts of similarity s share a band with the
    probability 1 - (1 - s^rows)^bands; the number of rows is the largest for which a pair at the
    threshold is expected to share at least two.
    """

    def __init__(self, threshold: Fraction) -> None:
        require(DEDUPE, "The rule near")
        from datasketch import MinHash

        self._threshold = threshold
        self._rows = _rows_of(threshold)
        a, b = _permutations()
        self._empty = MinHash(
            num_perm=_N_PERMUTATIONS,
            hashfunc=_hash64,
            permutations=(a, b),
            scheme="affine64",
        )
        self._database = spill()
        self._database.execute(
            "CREATE TABLE kept (number INTEGER PRIMARY KEY, trace BLOB, signature BLOB)"
        )
        self._database.execute(
            "CREATE TABLE bands (band BLOB, number INTEGER, PRIMARY KEY (band, number))"
            " WITHOUT ROWID"
        )
        self._database.execute("BEGIN")
        self._n = 0

    def original(self, trace_id: Digest, trace: AnyTrace) -> Digest | None:
        signature = self._signature(trace)
        bands = list(self._bands(signature))
        found = self._most_similar(signature, bands)
        if found is not None:
            return found
        row = (self._n, raw_of(trace_id), signature)
        self._database.execute("INSERT INTO kept VALUES (?, ?, ?)", row)
        self._database.executemany(
            "INSERT OR IGNORE INTO bands VALUES (?, ?)", ((band, self._n) for band in bands)
        )
        self._n += 1
        return None

    def close(self) -> None:
        self._database.close()

    def _signature(self, trace: AnyTrace) -> bytes:
        minhash = self._empty.copy()
        grams = grams_of(text_of(trace), _GRAM)
        minhash.update_batch([" ".join(gram).encode() for gram in grams])
        data: bytes = minhash.hashvalues.astype("<u8").tobytes()
        return data

    def _bands(self, signature: bytes) -> Iterator[bytes]:
        width = self._rows * 8
        for number in range(_N_PERMUTATIONS // self._rows):
            band = signature[number * width : (number + 1) * width]
            yield number.to_bytes(1, "big") + hashlib.sha256(band).digest()[:8]

    def _most_similar(self, signature: bytes, bands: list[bytes]) -> Digest | None:
        """Return the first kept trace whose similarity reaches the threshold."""
        marks = ", ".join("?" * len(bands))
        candidates = self._database.execute(
            "SELECT DISTINCT kept.number, kept.trace, kept.signature FROM bands"  # noqa: S608 - marks
            f" JOIN kept ON kept.number = bands.number WHERE band IN ({marks})"
            " ORDER BY kept.number",
            bands,
        )
        for _, trace, other in candidates:
            if _n_equal(signature, other) >= self._threshold * _N_PERMUTATIONS:
                return from_raw(trace)
        return None


def _n_equal(a: bytes, b: bytes) -> int:
    """Return in how many places two signatures have the same value."""
    import numpy as np

    return int((np.frombuffer(a, dtype="<u8") == np.frombuffer(b, dtype="<u8")).sum())


def _rows_of(threshold: Fraction) -> int:
    """Return the most rows per band for which two bands are expected to agree at the threshold."""
    fits = (
        rows
        for rows in range(_N_PERMUTATIONS // 2, 0, -1)
        if (_N_PERMUTATIONS // rows) * threshold**rows >= 2
    )
    return next(fits, 1)


def _hash64(data: bytes) -> int:
    return int.from_bytes(hashlib.sha1(data, usedforsecurity=False).digest()[:8], "little")


def _permutations() -> tuple[Any, Any]:
    """Return factors (odd) and summands of the affine permutations of 64-bit integers."""
    import numpy as np

    drawn = [
        int.from_bytes(hashlib.sha256(f"minhash {use} {number}".encode()).digest()[:8], "big")
        for use in ("factor", "summand")
        for number in range(_N_PERMUTATIONS)
    ]
    factors = np.array([value | 1 for value in drawn[:_N_PERMUTATIONS]], dtype=np.uint64)
    return factors, np.array(drawn[_N_PERMUTATIONS:], dtype=np.uint64)
