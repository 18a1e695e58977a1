"""Eval sets: questions with expected answers, one JSON object per line, immutable once used.

A line is ``{"id", "prompt", "expected_answer", "category", "difficulty", "metadata"}``. Category
and difficulty may be any text; a line that omits them means ``unspecified``. Metadata is an object
of any content. Where a program judges, a sample may omit the expected answer. A run names an eval
set by the digest of the file's bytes (without a byte order mark, if there is one), so nothing about
the file is ever changed silently: a blank line, a duplicate id and an unknown field are errors
that name the line.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tunixrt.datasets.names import BadNameError, check_name
from tunixrt.errors import BadInputError
from tunixrt.log.canonical import CanonicalError, decode, encode
from tunixrt.log.digests import Digest
from tunixrt.log.findings import entries
from tunixrt.log.stored import is_plain_file
from tunixrt.traces.importers.lines import digest_text, on_one_line, read_lines
from tunixrt.traces.violations import (
    TextLimit,
    describe,
    text_violations,
    unknown_fields,
    wrong,
    wrong_kind,
)
from tunixrt.words import nearest, plural, quoted, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunixrt.log.canonical import JsonValue
    from tunixrt.traces.importers.lines import TextSource
    from tunixrt.traces.violations import Violation

UNSPECIFIED: Final = "unspecified"
SUFFIX: Final = ".jsonl"

METADATA: Final = "metadata"
#: The fields of a sample.
FIELDS: Final = ("id", "prompt", "expected_answer", "category", "difficulty", METADATA)
_REQUIRED: Final = (TextLimit("id", 128), TextLimit("prompt", 50_000))
_OPTIONAL: Final = (
    TextLimit("expected_answer", 50_000),
    TextLimit("category", 64),
    TextLimit("difficulty", 64),
)


class EvalSample(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One question and its expected answer.

    Attributes:
        id: unique in its eval set.
        prompt: the question.
        expected_answer: None where only a program can judge responses.
        category: any text.
        difficulty: any text.
        metadata: what else is known of the question, for readers and for judges.
    """

    id: str
    prompt: str
    expected_answer: str | None = None
    category: str = UNSPECIFIED
    difficulty: str = UNSPECIFIED
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)

    def line(self) -> bytes:
        """Return the line of a file that states this sample, with its line feed."""
        # An absent answer and empty metadata are omitted: eval sets had neither at first, and a
        # sample without them keeps the bytes, and its eval set the digest, that it had then.
        fields = {key: getattr(self, key) for key in FIELDS}
        stated = {key: value for key, value in fields.items() if value not in (None, {})}
        return on_one_line(encode(stated)) + b"\n"


class EvalSet(msgspec.Struct, frozen=True):
    """A file of samples, in line order; ``digest`` is that of the file's text."""

    name: str
    digest: Digest
    samples: tuple[EvalSample, ...]

    def __repr__(self) -> str:
        return f"<eval set {self.name} ({plural(len(self), 'sample')}) {self.digest[:19]}>"

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[EvalSample]:
        return iter(self.samples)


class EvalSetError(BadInputError):
    """A line of an eval set that is not a sample.

    Attributes:
        path: the file.
        line: the line, from 1; None where the whole file is meant.
        field: the invalid field, if it is one field.
    """

    def __init__(
        self, path: TextSource, line: int | None, sentence: str, field: str | None = None
    ) -> None:
        where = f"{path}" if line is None else f"{path}, line {line}"
        super().__init__(f"{where}: {sentence}")
        self.path = path
        self.line = line
        self.field = field


class UnknownEvalSetError(BadInputError):
    """An eval set that does not exist.

    Attributes:
        name: what was asked for.
        known: the names that exist.
    """

    def __init__(self, name: str, known: tuple[str, ...], directory: Path) -> None:
        known_ones = (
            f"{suggestion(name, known)} The known ones are {', '.join(known)}."
            if known
            else f" None exists yet: put one at {directory / f'NAME{SUFFIX}'}."
        )
        super().__init__(f"The eval set {quoted(name)} does not exist in {directory}.{known_ones}")
        self.name = name
        self.known = known


class MisnamedFile(msgspec.Struct, frozen=True):
    """A file among the eval sets that no command can name."""

    path: Path
    problem: str


def list_evalsets(directory: Path) -> tuple[str, ...]:
    """The names of the eval sets of a directory, sorted; without files that are misnamed.

    Raises:
        DamagedError: it cannot be listed, or is a symbolic link.
    """
    return tuple(sorted(path.stem for path in _files(directory) if _problem(path) is None))


def misnamed_evalsets(directory: Path) -> tuple[MisnamedFile, ...]:
    """The files of a directory that would be eval sets if their names were allowed; sorted."""
    found = ((path, _problem(path)) for path in sorted(_files(directory)))
    return tuple(MisnamedFile(path, problem) for path, problem in found if problem is not None)


def check_evalset_name(name: str) -> str:
    """Return the name if an eval set may have it, by the rule for datasets.

    Raises:
        BadNameError: It may not; the message states what is allowed.
    """
    return check_name(name, "eval set name")


def check_evalset_file(path: Path) -> None:
    """Reject a path in a directory of eval sets that could not be used as one.

    Raises:
        BadNameError: Its name is not allowed for an eval set.
    """
    problem = _problem(path)
    if problem is not None:
        raise BadNameError(f"{path}: {problem}", path.name)


def find_evalset(directory: Path, name: str) -> Path:
    """The file of a named eval set.

    Args:
        directory: where eval sets are.
        name: the name, with or without ``.jsonl``.

    Raises:
        BadNameError: the name is not allowed for an eval set.
        UnknownEvalSetError: it does not exist; the message lists those that do.
    """
    name = name.removesuffix(SUFFIX)
    check_evalset_name(name)
    known = list_evalsets(directory)
    if name not in known:
        raise UnknownEvalSetError(name, known, directory)
    return directory / f"{name}{SUFFIX}"


def _files(directory: Path) -> list[Path]:
    """Whether a file is meant as an eval set; names that begin with a dot are of other tools."""
    # What is not a file is rejected with a sentence when the eval set is read.
    return [
        directory / entry.name
        for entry in entries(directory, directory.parent)
        if entry.name.lower().endswith(SUFFIX)
        and not entry.name.startswith(".")
        and not entry.is_dir(follow_symlinks=False)
    ]


def _problem(path: Path) -> str | None:
    """Why a file name is not allowed for an eval set; None where it is."""
    if path.suffix != SUFFIX:
        return f"The file name of an eval set ends with {SUFFIX}; this one ends with {path.suffix}."
    try:
        check_evalset_name(path.stem)
    except BadNameError as error:
        return str(error)
    return None


def load_evalset(path: Path) -> EvalSet:
    """Read and check an eval set.

    Raises:
        UnreadableFileError: the file is absent or is not JSON Lines.
        EvalSetError: a line is not a sample, two lines have the same id, or the file is empty.
    """
    digest = digest_text(path) if is_plain_file(path) else None
    samples: list[EvalSample] = []
    seen: dict[str, int] = {}
    for line, raw in read_lines(path, stored=True):
        sample = read_sample(path, line, raw)
        first = seen.setdefault(sample.id, line)
        if first != line:
            sentence = (
                f"The id {quoted(sample.id)} is also the id of line {first}; every sample needs "
                "its own."
            )
            raise EvalSetError(path, line, sentence, "id")
        samples.append(sample)
    if not samples or digest is None:
        raise EvalSetError(path, None, "The eval set is empty; it needs at least one sample.")
    return EvalSet(name=path.stem, digest=digest, samples=tuple(samples))


def read_sample(
    path: TextSource, line: int, raw: bytes, *, others_are_metadata: bool = False
) -> EvalSample:
    """The sample of a line.

    Args:
        path: for messages.
        line: for messages.
        raw: the line.
        others_are_metadata: whether columns that are not fields of a sample become metadata,
            unless one seems to be a misspelt field; else each is an error.

    Raises:
        EvalSetError: the line is not a sample; the message names file, line and problem.
    """
    if not raw.strip():
        raise EvalSetError(
            path, line, "The line is blank. Remove it: every line must be one sample."
        )
    try:
        value = decode(raw)
    except CanonicalError as error:
        raise EvalSetError(path, line, f"The line is not one JSON object: {error}") from error
    if others_are_metadata and isinstance(value, dict):
        value = _with_metadata(path, line, value)
    violation = sample_violation(value)
    if violation is not None:
        raise EvalSetError(path, line, violation.sentence, violation.field)
    return msgspec.convert(value, EvalSample)


def _with_metadata(
    path: TextSource, line: int, record: dict[str, JsonValue]
) -> dict[str, JsonValue]:
    """The record with its other columns among the metadata."""
    absent = [name for name in FIELDS if name not in record]
    others = {
        name: value
        for name, value in record.items()
        if name not in FIELDS and nearest(name, absent) is None
    }
    metadata = record.get(METADATA, {})
    if not others or not isinstance(metadata, dict):
        return record
    twice = next((name for name in others if name in metadata), None)
    if twice is not None:
        sentence = f"{quoted(twice)} is both a column and a key of the metadata. Keep one of them."
        raise EvalSetError(path, line, sentence, twice)
    return {name: value for name, value in record.items() if name not in others} | {
        METADATA: metadata | others
    }


def sample_violation(value: JsonValue) -> Violation | None:
    """The first problem that keeps a value from being a sample."""
    if not isinstance(value, dict):
        return wrong_kind(value, "an object with id and prompt")
    return next(_violations(dict(value)), None)


def _violations(fields: dict[str, object]) -> Iterator[Violation]:
    yield from unknown_fields(fields, FIELDS, "an eval set")
    for limit in _REQUIRED:
        yield from text_violations(fields, limit)
    for limit in _OPTIONAL:
        if limit.name in fields:
            yield from text_violations(fields, limit)
    for name in ("id", "expected_answer"):
        text = fields.get(name)
        if isinstance(text, str) and not text.strip():
            yield wrong(name, "text that is not only white space", "blank")
    metadata = fields.get(METADATA, {})
    if not isinstance(metadata, dict):
        yield wrong(METADATA, "an object, or absent", describe(metadata))
