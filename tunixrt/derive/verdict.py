"""The verdict on a rebuilt derivation, and the one place that names the first difference."""

from __future__ import annotations

import fnmatch
from abc import ABC, abstractmethod
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import msgspec

from tunixrt.errors import AnswerIsNoError, BadInputError
from tunixrt.log import canonical
from tunixrt.log.digests import Digest
from tunixrt.log.stored import is_plain_file, open_stored, read_stored
from tunixrt.log.sums import MANIFEST, recorded_digests
from tunixrt.words import shorten

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


class Answer(StrEnum):
    """The outcome of rebuilding something, from the best to the worst.

    ``derived`` is for what was made without recorded bytes to compare it with.
    """

    IDENTICAL = "identical"
    DERIVED = "derived"
    CLOSE = "close"
    NOT_REPRODUCIBLE = "not reproducible"
    DIVERGED = "diverged"

    @property
    def is_no(self) -> bool:
        """Return whether it makes a command exit with 1."""
        return self in (Answer.DIVERGED, Answer.NOT_REPRODUCIBLE)


class FileVerdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The digests of one file, recorded and rebuilt; null if it is absent."""

    file: str
    recorded: Digest | None
    rebuilt: Digest | None

    @property
    def same(self) -> bool:
        """Return whether both have the same bytes."""
        return self.recorded == self.rebuilt


class Verdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The answer for one derivation.

    Attributes:
        kind: of the derivation.
        id: its id.
        name: its name for people.
        verdict: the answer.
        expected: what was promised: identical, or close for the reasons.
        reasons: why identity is not promised here, or why it could not be rebuilt.
        first_difference: the first record, step or file that differs; null if none does.
        file: the file with the first difference.
        line: its line in that file, from 1, if one can be named.
        n_rows: records that were derived, if the kind counts them.
        n_redacted: inputs that were redacted and taken as they are listed.
        files: every file that was compared.
    """

    kind: str
    id: str
    name: str
    verdict: Answer
    expected: Answer = Answer.IDENTICAL
    reasons: list[str] = []
    first_difference: str | None = None
    file: str | None = None
    line: int | None = None
    n_rows: int | None = None
    n_redacted: int = 0
    files: list[FileVerdict] = []


class NotReproducibleError(AnswerIsNoError):
    """An input is gone, so the result cannot be rebuilt and checked here."""


def not_made(kind: str, identifier: str, error: Exception) -> Verdict:
    """Return the verdict on what could not be rebuilt: an input is gone or unusable.

    With an unusable input it has diverged; with a missing one it cannot be checked.
    """
    verdict = Verdict(kind=kind, id=identifier, name=identifier[:12], verdict=Answer.DIVERGED)
    if isinstance(error, NotReproducibleError):
        return msgspec.structs.replace(
            verdict, verdict=Answer.NOT_REPRODUCIBLE, reasons=[str(error)]
        )
    return msgspec.structs.replace(verdict, first_difference=str(error))


class Comparable(ABC):
    """How a kind compares two directories of it; unused arguments are for other kinds.

    Attributes:
        kind: the name of the kind.
        records: the files whose differences are named by record, in the order of cause and effect,
            by a pattern of their names: the noun of a record, and the fields that name it.
        manifest_name: the file that is about all others.
    """

    kind: ClassVar[str]
    manifest_name: ClassVar[str] = MANIFEST
    records: ClassVar[Mapping[str, tuple[str, tuple[str, ...]]]] = {}

    @property
    @abstractmethod
    def id(self) -> str:
        """The 64 hex digits that name it."""

    @property
    def name(self) -> str:
        """Its name in messages."""
        return self.id[:12]

    def digests(self, directory: Path) -> dict[str, Digest]:
        """Return the digest of every file that a directory of it has, or should have."""
        return recorded_digests(directory)

    def reasons(self) -> list[str]:
        """Return why identical bytes are not promised on this machine; empty if they are."""
        return []

    def beyond_tolerance(self, recorded: Path, rebuilt: Path) -> str | None:  # noqa: ARG002
        """Return why two directories are not even close, if identity is not promised."""
        return None

    def explain(self, file: str, recorded: Path, rebuilt: Path, *, promised: bool) -> str | None:  # noqa: ARG002
        """Return a better description of a difference in a file than by record, or None."""
        return None

    def ignores(self, file: str, recorded: Path, rebuilt: Path, *, promised: bool) -> bool:  # noqa: ARG002
        """Return whether a difference in a file is explained by another, so not reported."""
        return False


def compare(derivation: Comparable, recorded: Path, rebuilt: Path) -> Verdict:
    """Return the verdict of comparing a recorded directory with a rebuilt one, file by file.

    A recorded file that is missing or cannot be read is compared by its recorded digest.
    """
    old, new = derivation.digests(recorded), derivation.digests(rebuilt)
    files = [
        FileVerdict(file=name, recorded=old.get(name), rebuilt=new.get(name))
        for name in sorted(old.keys() | new.keys())
    ]
    reasons = derivation.reasons()
    verdict = Verdict(
        kind=derivation.kind,
        id=derivation.id,
        name=derivation.name,
        verdict=Answer.IDENTICAL,
        expected=Answer.CLOSE if reasons else Answer.IDENTICAL,
        reasons=reasons,
        files=files,
    )
    differing = [file for file in files if not file.same]
    if not differing:
        return verdict
    found = first_difference(derivation, differing, recorded, rebuilt, promised=not reasons)
    beyond = None
    if reasons:
        try:
            beyond = derivation.beyond_tolerance(recorded, rebuilt)
        except _UNREADABLE:
            beyond = "What was recorded cannot be read: `tunixrt verify` names the file."
    sentence = found.sentence if beyond is None else f"{beyond} First difference: {found.sentence}"
    return msgspec.structs.replace(
        verdict,
        verdict=Answer.CLOSE if reasons and beyond is None else Answer.DIVERGED,
        first_difference=sentence,
        file=found.file,
        line=found.line,
    )


#: What reading a recorded file raises that is missing, damaged, or not a file.
_UNREADABLE = (OSError, BadInputError, msgspec.MsgspecError, ValueError, RecursionError)


class FirstDifference(NamedTuple):
    """The first difference of two directories."""

    file: str
    line: int | None
    sentence: str


def first_difference(
    derivation: Comparable,
    differing: Sequence[FileVerdict],
    recorded: Path,
    rebuilt: Path,
    *,
    promised: bool,
) -> FirstDifference:
    """Return the first difference: by record if a file has records, else the file.

    Files are taken in the order of cause and effect, as the kind lists them; others follow by
    name, and the manifest, which is about all of them, is the last.
    """
    by_name = {file.file: file for file in differing}
    listed = [n for pattern in derivation.records for n in fnmatch.filter(by_name, pattern)]
    last = derivation.manifest_name
    others = sorted(by_name.keys() - set(listed), key=lambda name: (name == last, name))
    in_order = listed + others
    try:
        worth = [
            name
            for name in in_order
            if not derivation.ignores(name, recorded, rebuilt, promised=promised)
        ]
        file = by_name[(worth or in_order)[0]]
        return _difference(derivation, file, recorded, rebuilt, promised=promised)
    except _UNREADABLE:
        return FirstDifference(in_order[0], None, f"{in_order[0]} as a whole")


def _difference(
    derivation: Comparable, file: FileVerdict, recorded: Path, rebuilt: Path, *, promised: bool
) -> FirstDifference:
    name = file.file
    if is_plain_file(recorded / name) and is_plain_file(rebuilt / name):
        explained = derivation.explain(name, recorded, rebuilt, promised=promised)
        if explained is not None:
            return FirstDifference(name, None, explained)
        for pattern, (noun, keys) in derivation.records.items():
            if fnmatch.fnmatchcase(name, pattern):
                return _first_line(name, recorded / name, rebuilt / name, noun, keys)
        if name == derivation.manifest_name:
            before, after = (
                canonical.decode_stored(read_stored(directory / name))
                for directory in (recorded, rebuilt)
            )
            if isinstance(before, dict) and isinstance(after, dict):
                return FirstDifference(name, None, f"{name}: {_changed(before, after)}")
        return FirstDifference(name, None, f"{name} as a whole")
    if file.rebuilt is None:
        missing = "it was not rebuilt"
    else:
        missing = "it was not recorded" if file.recorded is None else "the recorded file is missing"
    return FirstDifference(name, None, f"{name} as a whole: {missing}")


def _first_line(
    name: str, old: Path, new: Path, noun: str, keys: tuple[str, ...]
) -> FirstDifference:
    with open_stored(old) as recorded, open_stored(new) as rebuilt:
        number = 0
        for number, (before, after) in enumerate(zip(recorded, rebuilt, strict=False), start=1):
            if before != after:
                sentence = record_difference(before, after, noun, keys)
                return FirstDifference(name, number, f"{name}, line {number}: {sentence}")
    line = number + 1
    return FirstDifference(name, line, f"{name}, line {line}: one of the two ends here")


def record_difference(old: bytes, new: bytes, noun: str, keys: tuple[str, ...]) -> str:
    """Return how two records differ: the name, by the first of the keys, and up to 3 fields."""
    try:
        before, after = (canonical.decode_stored(line.rstrip(b"\n")) for line in (old, new))
    except canonical.CanonicalError:
        return f"{noun} differs"
    if not isinstance(before, dict) or not isinstance(after, dict):
        return f"{noun} differs"
    found = [key for key in keys if key in before]
    if not found:
        return f"{noun} differs"
    named = ", ".join([f"{before[found[0]]}", *(f"{key} {before[key]}" for key in found[1:])])
    return f"{noun} {named}: {_changed(before, after)}"


def _changed(before: Mapping[str, object], after: Mapping[str, object]) -> str:
    changed = (
        f"{key} was {_short(old)}, is {_short(new)}" for key, old, new in _leaves("", before, after)
    )
    return "; ".join(islice(changed, 3))


def _leaves(key: str, before: object, after: object) -> Iterator[tuple[str, object, object]]:
    """Yield the values that differ, each with the dotted key that leads to it."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted(before.keys() | after.keys()):
            inner = f"{key}.{name}" if key else name
            yield from _leaves(inner, before.get(name), after.get(name))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _leaves(f"{key}.{number}", old, new)
    elif before != after:
        yield key, before, after


def _short(value: object) -> str:
    return shorten(canonical.encode(value).decode(), 60)
