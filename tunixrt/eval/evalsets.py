"""Eval sets: questions with expected answers, one JSON object a line, immutable once used.

A line is ``{"id", "prompt", "expected_answer", "category", "difficulty"}``. Category and
difficulty may be any text; a line that leaves them out says ``unspecified``. A run names an eval
set by the digest of the file's bytes, so nothing about the file is ever mended in silence: a blank
line, a duplicate id and an unknown field are errors that name the line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.log.canonical import CanonicalError, decode
from tunixrt.log.digests import Digest, digest_file
from tunixrt.traces.importers.lines import read_lines
from tunixrt.traces.violations import (
    TextLimit,
    did_you_mean,
    quoted,
    text_violations,
    unknown_fields,
    wrong,
    wrong_kind,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tunixrt.log.canonical import JsonValue
    from tunixrt.traces.violations import Violation

UNSPECIFIED: Final = "unspecified"
SUFFIX: Final = ".jsonl"

_FIELDS: Final = ("id", "prompt", "expected_answer", "category", "difficulty")
_REQUIRED: Final = (
    TextLimit("id", 128),
    TextLimit("prompt", 50_000),
    TextLimit("expected_answer", 50_000),
)
_OPTIONAL: Final = (TextLimit("category", 64), TextLimit("difficulty", 64))


class EvalSample(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One question and the answer that is expected."""

    id: str
    prompt: str
    expected_answer: str
    category: str = UNSPECIFIED
    difficulty: str = UNSPECIFIED


class EvalSet(msgspec.Struct, frozen=True):
    """A file of samples, in the order of its lines; ``digest`` is that of the file's bytes."""

    name: str
    digest: Digest
    samples: tuple[EvalSample, ...]


class EvalSetError(BadInputError):
    """A line of an eval set that is not a sample.

    Attributes:
        path: the file.
        line: the line, from 1; None where the whole file is meant.
        field: the field, where one is at fault.
    """

    def __init__(
        self, path: Path, line: int | None, sentence: str, field: str | None = None
    ) -> None:
        where = f"{path}" if line is None else f"{path}, line {line}"
        super().__init__(f"{where}: {sentence}")
        self.path = path
        self.line = line
        self.field = field


class UnknownEvalSetError(BadInputError):
    """A name that no eval set has.

    Attributes:
        name: what was asked for.
        known: the names that there are.
    """

    def __init__(self, name: str, known: tuple[str, ...], directory: Path) -> None:
        if known:
            known_ones = f"{did_you_mean(name, known)}"
            if "Did you mean" in known_ones:
                known_ones += f" The known ones are {', '.join(known)}."
        else:
            known_ones = f"There are none yet: put one at {directory / f'NAME{SUFFIX}'}."
        super().__init__(f"There is no eval set {quoted(name)} in {directory}. {known_ones}")
        self.name = name
        self.known = known


def list_evalsets(directory: Path) -> tuple[str, ...]:
    """The names of the eval sets of a directory, sorted."""
    if not directory.is_dir():
        return ()
    return tuple(sorted(path.stem for path in directory.glob(f"*{SUFFIX}") if path.is_file()))


def find_evalset(directory: Path, name: str) -> Path:
    """The file of a named eval set.

    Raises:
        UnknownEvalSetError: there is none of that name; the message lists those that there are.
    """
    known = list_evalsets(directory)
    name = name.removesuffix(SUFFIX)
    if name not in known:
        raise UnknownEvalSetError(name, known, directory)
    return directory / f"{name}{SUFFIX}"


def load_evalset(path: Path) -> EvalSet:
    """Read and check an eval set.

    Raises:
        UnreadableFileError: the file is absent, is no JSON lines or begins with a byte order mark.
        EvalSetError: a line is not a sample, two lines have one id, or there is no sample.
    """
    digest = digest_file(path) if path.is_file() else None
    samples: list[EvalSample] = []
    seen: dict[str, int] = {}
    for line, raw in read_lines(path):
        sample = _sample(path, line, raw)
        first = seen.setdefault(sample.id, line)
        if first != line:
            sentence = (
                f"The id {quoted(sample.id)} is the id of line {first} too; every sample needs "
                "its own."
            )
            raise EvalSetError(path, line, sentence, "id")
        samples.append(sample)
    if not samples or digest is None:
        raise EvalSetError(path, None, "The eval set is empty; it needs at least one sample.")
    return EvalSet(name=path.stem, digest=digest, samples=tuple(samples))


def _sample(path: Path, line: int, raw: bytes) -> EvalSample:
    if not raw.strip():
        raise EvalSetError(
            path, line, "The line is blank. Remove it; every line has to be one sample."
        )
    try:
        value = decode(raw)
    except CanonicalError as error:
        raise EvalSetError(path, line, f"The line is not one JSON object: {error}") from error
    violation = _violation(value)
    if violation is not None:
        raise EvalSetError(path, line, violation.sentence, violation.field)
    return msgspec.convert(value, EvalSample)


def _violation(value: JsonValue) -> Violation | None:
    """The first thing that keeps a value from being a sample."""
    if not isinstance(value, dict):
        return wrong_kind(value, "an object with id, prompt and expected_answer")
    return next(_violations(dict(value)), None)


def _violations(fields: dict[str, object]) -> Iterator[Violation]:
    yield from unknown_fields(fields, _FIELDS, "an eval set")
    for limit in _REQUIRED:
        yield from text_violations(fields, limit)
    for limit in _OPTIONAL:
        if limit.name in fields:
            yield from text_violations(fields, limit)
    for name in ("id", "expected_answer"):
        text = fields[name]
        if isinstance(text, str) and not text.strip():
            yield wrong(name, "text that is not only white space", "blank")
