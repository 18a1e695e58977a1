"""Converts files to eval sets: GSM8K, traces, exports, samples from other tools.

A record has a question and an answer. The id of a sample is made from its question, so it is
the same whatever else the file holds and in any order of lines. Every question occurs once: a
second record with the same question and answer is a duplicate and is counted; one that expects
another answer is rejected, since no response to it could be right. What else a record states
(other columns, the metadata of a trace) becomes metadata of the sample.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.eval.evalsets import (
    METADATA,
    SUFFIX,
    UNSPECIFIED,
    EvalSample,
    EvalSetError,
    check_evalset_name,
    read_sample,
    sample_violation,
)
from tunixrt.log.digests import Digest, digest_bytes, digest_value, hex_of
from tunixrt.log.files import ImmutableFileError, publish_file, staging_directory
from tunixrt.traces.conversation import Conversation, Role
from tunixrt.traces.importers.file_kinds import UnreadableFileError
from tunixrt.traces.importers.lines import read_lines
from tunixrt.traces.importers.records import Dropped, DropReason, Noted, Rejection
from tunixrt.traces.importers.table import SourceFormat, read_traces
from tunixrt.traces.importing import RejectedError
from tunixrt.traces.schema import parse_payload
from tunixrt.traces.views import flat_view, prompts_of
from tunixrt.words import did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tunixrt.log.layout import Layout
    from tunixrt.traces.importers.lines import TextSource
    from tunixrt.traces.schema import AnyTrace, Trace

_ID_DIGITS: Final = 16
_LONGEST_LABEL: Final = 64
#: The instruction of an evaluation is that of its template.
_SYSTEM_MESSAGE: Final = "system message of a conversation"


class EvalsetFormat(StrEnum):
    """The record formats that can be converted to an eval set."""

    GSM8K = "gsm8k"
    TUNIXRT = "tunixrt"
    TRACE = "trace"
    #: Samples as they are, with their own ids.
    EVALSET = "evalset"


class EvalsetExistsError(BadInputError):
    """An eval set of this name exists with other samples."""


class EvalsetImport(msgspec.Struct, frozen=True):
    """The result of an import.

    Attributes:
        name: of the eval set.
        path: of the file that was written.
        digest: of the eval set.
        n_samples: how many samples it has.
        n_without_answer: how many of them have no expected answer, so that only a program can judge
            the responses.
        duplicates: records with the question and answer of an earlier one; omitted.
        rejected: how many records were rejected.
        dropped: what else was omitted, by reason.
        created: False where the same eval set existed already.
    """

    name: str
    path: Path
    digest: Digest
    n_samples: int
    n_without_answer: int
    duplicates: tuple[Dropped, ...]
    rejected: int
    dropped: dict[str, int]
    created: bool


def import_evalset(
    layout: Layout,
    source: TextSource,
    name: str,
    *,
    source_format: str,
    category: str = UNSPECIFIED,
    difficulty: str = UNSPECIFIED,
    on_rejection: Callable[[Rejection], None] | None = None,
) -> EvalsetImport:
    """Convert a file of records to the eval set ``name``, whole or not at all.

    Args:
        layout: Where eval sets are.
        source: The file, or an open stream.
        name: The name of the eval set.
        source_format: ``gsm8k``, ``tunixrt``, ``trace`` or ``evalset``.
        category: Of samples whose record has none; a trace has it in its metadata.
        difficulty: Likewise.
        on_rejection: Receives the records that are not samples, and the rest is imported; without
            it, one such record stops the import.

    Raises:
        RejectedError: A record is not a sample; nothing was written.
        EvalsetExistsError: The eval set exists with other samples.
        BadInputError: The file cannot be read, or the name or format is wrong.
    """
    check_evalset_name(name)
    read = _Reader(source, _parse_format(source_format), category, difficulty)
    lines: list[bytes] = []
    first_rejection: Rejection | None = None
    n_rejected = n_without_answer = 0
    for record in read.records():
        if isinstance(record, EvalSample):
            lines.append(record.line())
            n_without_answer += record.expected_answer is None
            continue
        n_rejected += 1
        first_rejection = first_rejection or record
        if on_rejection is not None:
            on_rejection(record)
    if first_rejection is not None and on_rejection is None:
        raise RejectedError(first_rejection, n_rejected)
    if not lines:
        raise UnreadableFileError(str(source), f"{source} contains no sample for an eval set.")
    data = b"".join(lines)
    path = layout.evalsets / f"{name}{SUFFIX}"
    return EvalsetImport(
        name=name,
        path=path,
        digest=digest_bytes(data),
        n_samples=len(lines),
        n_without_answer=n_without_answer,
        duplicates=tuple(read.duplicates),
        rejected=n_rejected,
        dropped=dict(sorted(read.dropped.items())),
        created=_publish(layout, path, data),
    )


def sample_id(prompt: str) -> str:
    """The id of a sample without one: 16 hexadecimal digits derived from its question."""
    return hex_of(digest_value(["sample", prompt]))[:_ID_DIGITS]


class _Reader:
    """Reads records as samples, and counts what is omitted."""

    def __init__(
        self, source: TextSource, source_format: EvalsetFormat, category: str, difficulty: str
    ) -> None:
        self._source = source
        self._format = source_format
        self._defaults = {"category": category, "difficulty": difficulty}
        self._asked: dict[str, tuple[int, EvalSample]] = {}
        self._ids: dict[str, int] = {}
        self.duplicates: list[Dropped] = []
        self.dropped: Counter[str] = Counter()

    def records(self) -> Iterator[EvalSample | Rejection]:
        """The samples in file order, and the records that are not samples."""
        every = self._samples() if self._format is EvalsetFormat.EVALSET else self._of_traces()
        for line, record, raw in every:
            if (
                isinstance(record, Rejection)
                or (reason := self._reason_against(line, record)) is None
            ):
                yield record
            elif reason:
                yield Rejection(str(self._source), line, reason, raw)

    def _reason_against(self, line: int, sample: EvalSample) -> str | None:
        """Why a sample conflicts with an earlier one; empty where it is a duplicate."""
        first, earlier = self._asked.setdefault(sample.prompt, (line, sample))
        if first != line:
            conflict = _conflict(sample, earlier)
            if conflict is not None:
                return f"The record has the question of line {first} and {conflict}."
            reason = f"has the question and the answer of line {first}"
            self.duplicates.append(Dropped(str(self._source), line, reason))
            return ""
        other = self._ids.setdefault(sample.id, line)
        if other != line:
            return f"The id {quoted(sample.id)} is also the id of line {other}."
        return None

    def _samples(self) -> Iterator[tuple[int, EvalSample | Rejection, bytes]]:
        for line, raw in read_lines(self._source):
            if not raw.strip(b" \t\r"):
                self.dropped[DropReason.BLANK_LINE] += 1
                continue
            try:
                sample = read_sample(self._source, line, raw, others_are_metadata=True)
            except EvalSetError as error:
                reason = str(error).removeprefix(f"{self._source}, line {line}: ")
                yield line, Rejection(str(self._source), line, reason, raw, error.field), raw
            else:
                given = {
                    key: value
                    for key, value in self._defaults.items()
                    if getattr(sample, key) == UNSPECIFIED
                }
                yield line, msgspec.structs.replace(sample, **given), raw

    def _of_traces(self) -> Iterator[tuple[int, EvalSample | Rejection, bytes]]:
        for record in read_traces(self._source, SourceFormat(self._format)):
            if isinstance(record, Rejection):
                yield record.line, record, record.raw
            elif isinstance(record, Dropped):
                # Steps are not part of a sample, so a blank one loses nothing.
                if record.reason != DropReason.BLANK_STEP:
                    self.dropped[record.reason] += 1
            elif not isinstance(record, Noted):
                raw = record.payload
                yield record.line, self._question(record.line, parse_payload(raw), raw), raw

    def _question(self, line: int, trace: AnyTrace, raw: bytes) -> EvalSample | Rejection:
        if isinstance(trace, Conversation):
            n_asked = len(prompts_of(trace))
            if n_asked > 1:
                reason = (
                    f"The record is a conversation with {n_asked:,} messages of the user; an eval "
                    "sample has one question."
                )
                return Rejection(str(self._source), line, reason, raw, "messages")
            if trace.messages[0].role is Role.SYSTEM:
                self.dropped[_SYSTEM_MESSAGE] += 1
        return self._sample(line, flat_view(trace), raw)

    def _sample(self, line: int, trace: Trace, raw: bytes) -> EvalSample | Rejection:
        fields: dict[str, Any] = {
            "id": sample_id(trace.prompt),
            "prompt": trace.prompt,
            "expected_answer": trace.final_answer,
        }
        metadata = dict(trace.meta)
        if self._format is EvalsetFormat.GSM8K and metadata.get("source") == self._format:
            del metadata["source"]  # the reader's word for such records, and not a column of them
        for key, default in self._defaults.items():
            said = metadata.get(key)
            fits = isinstance(said, str) and 1 <= len(said) <= _LONGEST_LABEL
            fields[key] = metadata.pop(key) if fits else default
        fields[METADATA] = metadata
        violation = sample_violation(fields)
        if violation is None:
            return msgspec.convert(fields, EvalSample)
        return Rejection(str(self._source), line, violation.sentence, raw, violation.field)


def _conflict(sample: EvalSample, earlier: EvalSample) -> str | None:
    """How a sample contradicts an earlier one with its question; None where it repeats it."""
    if sample.expected_answer != earlier.expected_answer:
        expected, other = (
            "no answer" if one.expected_answer is None else quoted(one.expected_answer)
            for one in (sample, earlier)
        )
        return f"expects {expected}, not {other}: no answer could be right. Keep one of the two"
    if sample.expected_answer is None and sample.metadata != earlier.metadata:
        return "other metadata, and neither has an expected answer. Keep one of the two"
    return None


def _parse_format(text: str) -> EvalsetFormat:
    try:
        return EvalsetFormat(text)
    except ValueError:
        raise BadInputError(
            f"The source format {quoted(text)} does not exist for eval sets. "
            f"{did_you_mean(text, [*EvalsetFormat])}"
        ) from None


def _publish(layout: Layout, path: Path, data: bytes) -> bool:
    """Write the file; False where it exists already with these bytes."""
    existed = path.exists()
    try:
        with staging_directory(layout) as staging:
            publish_file(path, data, staging)
    except ImmutableFileError:
        raise EvalsetExistsError(
            f"The eval set {path.stem} exists with other samples ({path}), and an eval set never "
            "changes once it is used. Choose another name."
        ) from None
    return not existed
