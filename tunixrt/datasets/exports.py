"""Datasets as text that other tools read: the same bytes every time.

Each line is the canonical JSON (RFC 8785) of one member, in ascending order of trace ids. The
shapes are those that users of the earlier system know; where a metadata key of a trace has the name
of one of ours, ours keeps the name and the trace's is written as ``meta.NAME``.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from tunixrt.datasets.building import load_dataset, members
from tunixrt.datasets.recipes import Split
from tunixrt.datasets.render import (
    DataFormat,
    Example,
    Special,
    derived_id,
    question,
    render_example,
    response,
    tunix_sft_text,
)
from tunixrt.errors import BadInputError
from tunixrt.log.snapshots import load_snapshot
from tunixrt.traces.payloads import MemberPayloads
from tunixrt.traces.schema import encode_around, in_order, parse_payload
from tunixrt.traces.violations import did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tunixrt.datasets.files import Dataset
    from tunixrt.log.digests import Digest
    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.layout import Layout
    from tunixrt.traces.schema import Trace
    from tunixrt.traces.state import TraceState


class ExportFormat(StrEnum):
    """The formats that a dataset can be written in."""

    TRACE = "trace"
    TUNIX_SFT = "tunix_sft"
    TRAINING_EXAMPLE = "training_example"


class ExportError(BadInputError):
    """An export that cannot be made as asked."""


class OmitReason(StrEnum):
    """Why a member of the dataset is not in an export."""

    OTHER_SPLIT = "in another split"
    REDACTED = "redacted"


class ExportReport(msgspec.Struct, frozen=True):
    """What was written: rows, and the SHA-256 of all bytes as 64 hex digits.

    ``omitted`` counts members that were left out, by reason. ``n_with_template_text`` counts rows
    whose trace itself contains the text of a special token such as ``<end_of_turn>``: a text format
    cannot tell it from the token, so a reader may.
    """

    format: ExportFormat
    rows: int
    sha256: str
    omitted: dict[str, int]
    n_with_template_text: int


def parse_export_format(text: str) -> ExportFormat:
    """The export format of this name.

    Raises:
        ExportError: There is none; the message lists them.
    """
    try:
        return ExportFormat(text)
    except ValueError:
        raise ExportError(
            f"There is no export format {quoted(text)}. {did_you_mean(text, [*ExportFormat])} "
            f"The formats are {', '.join(ExportFormat)}."
        ) from None


def parse_split(text: str) -> Split:
    """The split of this name.

    Raises:
        ExportError: There is none; the message lists them.
    """
    try:
        return Split(text)
    except ValueError:
        raise ExportError(
            f"There is no split {quoted(text)}. The splits are {', '.join(Split)}."
        ) from None


def export_dataset(
    layout: Layout,
    log: EventLog,
    key: str,
    export_format: ExportFormat,
    out: BinaryIO,
    *,
    split: str | None = None,
    system: str | None = None,
) -> ExportReport:
    """Write the members of a dataset to ``out``, one line each.

    Args:
        layout: Where the dataset is.
        log: Where its traces are.
        key: The key of the dataset.
        export_format: What a line looks like.
        out: Receives the bytes.
        split: Only this split; None for all members.
        system: A system instruction, put before each prompt with a blank line between. The format
            ``trace`` is the trace as it is, and has none.

    Raises:
        ExportError: A system instruction with the format ``trace``, or an unknown split.
        BadInputError: There is no such dataset, or there are several of the key.
        DamagedError: A file of the store is not what its digest says.
    """
    if system and export_format is ExportFormat.TRACE:
        raise ExportError(
            "The format trace writes traces as they are and takes no system instruction; "
            f"the formats {ExportFormat.TUNIX_SFT} and {ExportFormat.TRAINING_EXAMPLE} do."
        )
    omitted: Counter[str] = Counter()
    sha256, n_rows, n_with_template_text = hashlib.sha256(), 0, 0
    for state, trace in _traces(layout, log, key, split, omitted):
        line = encode_around(trace.meta, _record(export_format, state, trace, system)) + b"\n"
        out.write(line)
        sha256.update(line)
        n_rows += 1
        n_with_template_text += _has_template_text(line, trace)
    return ExportReport(
        format=export_format,
        rows=n_rows,
        sha256=sha256.hexdigest(),
        omitted=dict(sorted(omitted.items())),
        n_with_template_text=n_with_template_text,
    )


_SPECIALS = tuple(special.value for special in Special)
_SPECIAL_BYTES = tuple(special.encode() for special in _SPECIALS)


class RenderedExamples(msgspec.Struct, frozen=True):
    """The members of a split as training examples, and what was left out."""

    examples: tuple[Example, ...]
    omitted: dict[str, int]


def render_dataset(
    layout: Layout,
    log: EventLog,
    key: str,
    *,
    data_format: DataFormat,
    split: str | None = None,
    system: str | None = None,
) -> RenderedExamples:
    """The members of a dataset as training examples, in ascending order of their ids.

    Raises:
        BadInputError: There is no such dataset or split, or there are several of the key.
        DamagedError: A file of the store is not what its digest says.
    """
    omitted: Counter[str] = Counter()
    examples = tuple(
        render_example(trace, state.id, data_format=data_format, system=system)
        for state, trace in _traces(layout, log, key, split, omitted)
    )
    return RenderedExamples(examples, dict(sorted(omitted.items())))


def _traces(
    layout: Layout, log: EventLog, key: str, split: str | None, omitted: Counter[str]
) -> Iterator[tuple[TraceState, Trace]]:
    """The members that are to be written and can be, counting those that are left out."""
    wanted = parse_split(split) if split is not None else None
    dataset = load_dataset(layout, key)
    snapshot = load_snapshot(layout, dataset.manifest.snapshot)
    payloads = MemberPayloads(log, snapshot.segments)
    try:
        for state, payload in payloads.read(_in_split(dataset, wanted, omitted)):
            if payload is None:
                omitted[OmitReason.REDACTED] += 1
            else:
                yield state, parse_payload(payload)
    finally:
        payloads.close()


def _in_split(dataset: Dataset, wanted: Split | None, omitted: Counter[str]) -> Iterator[Digest]:
    for member in members(dataset):
        if wanted is not None and member.split is not wanted:
            omitted[OmitReason.OTHER_SPLIT] += 1
        else:
            yield member.trace


def _record(
    export_format: ExportFormat, state: TraceState, trace: Trace, system: str | None
) -> dict[str, object]:
    own = {"trace_version": trace.trace_version}
    if export_format is ExportFormat.TRAINING_EXAMPLE:
        data_format = DataFormat.TRAINING_EXAMPLE
        return {
            "id": derived_id(state.id, data_format, system),
            "prompt": question(trace.prompt, data_format, system),
            "response": response(trace, data_format),
            "metadata": _metadata({**own, "source_trace_id": state.id}, trace.meta),
        }
    if state.recorded_at is not None:
        own["recorded_at"] = state.recorded_at
    if export_format is ExportFormat.TUNIX_SFT:
        return {
            "id": state.id,
            "prompts": tunix_sft_text(trace, system),
            "final_answer": trace.final_answer,
            "metadata": _metadata({**own, "format": export_format.value}, trace.meta),
        }
    return {
        "id": state.id,
        "prompts": trace.prompt,
        "trace_steps": [step.content for step in in_order(trace.steps)],
        "final_answer": trace.final_answer,
        "metadata": _metadata(own, trace.meta),
    }


def _metadata(own: Mapping[str, str], meta: Mapping[str, Any]) -> dict[str, Any]:
    """Our metadata and the trace's; nothing of either is lost where names meet."""
    metadata: dict[str, Any] = {**own}
    for key, value in sorted(meta.items()):
        name = key
        while name in own or (name != key and name in meta):
            name = f"meta.{name}"
        metadata[name] = value
    return metadata


def _has_template_text(line: bytes, trace: Trace) -> bool:
    for special in _SPECIAL_BYTES:
        if special in line:
            break
    else:
        return False
    texts = (trace.prompt, trace.final_answer, *(step.content for step in trace.steps))
    return any(special in text for text in texts for special in _SPECIALS)
