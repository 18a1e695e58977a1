"""Makes the rows of traces of schema 1.0 from their payloads, without the objects between.

Most traces are of schema 1.0, and an export of many spends its time here. What a row holds is
stated in :mod:`tunixrt.datasets.exports.rows`; a property test compares the two. A quick writer
returns None for a payload that it does not cover, and the row is built.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import UNSET, UnsetType

from tunixrt.datasets.exports.formats import ExportFormat, Reasoning
from tunixrt.datasets.exports.rows import json_text, metadata_of, with_reasoning
from tunixrt.datasets.recipes import Split
from tunixrt.datasets.render import DataFormat, render_prompt
from tunixrt.log.canonical import decode_canonical
from tunixrt.log.digests import Digest
from tunixrt.traces.conversation import Role
from tunixrt.traces.schema import TRACE_VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunixrt.datasets.exports.formats import RowSettings

#: Makes a row from a payload, an id, a split, a time of recording.
QuickWriter = Callable[[bytes, Digest, Split, str | None], msgspec.Struct | None]

_ENDS: Final = f'"trace_version":"{TRACE_VERSION}"}}'.encode()
_MAX_METADATA: Final = 4_096
_I: Final = attrgetter("i")
#: Stands for the prompt in a rendered template; no template contains it.
_MARK: Final = "\ue000"


class _Step(msgspec.Struct, gc=False):
    content: str
    i: int


class _Payload(msgspec.Struct, gc=False):
    final_answer: str
    meta: msgspec.Raw
    prompt: str
    steps: list[_Step]


# The fields of each row are in the order of canonical JSON.


class _TunixSft(msgspec.Struct, gc=False):
    final_answer: str
    id: str
    metadata: str
    prompts: str
    split: str | UnsetType = UNSET


class _Text(msgspec.Struct, gc=False):
    id: str
    split: str | UnsetType
    text: str


class _Messages(msgspec.Struct, gc=False):
    id: str
    messages: list[dict[str, str]]
    split: str | UnsetType
    tools: str | UnsetType


class _PromptCompletion(msgspec.Struct, gc=False):
    completion: list[dict[str, str]]
    id: str
    prompt: list[dict[str, str]]
    split: str | UnsetType
    tools: str | UnsetType


_decode = msgspec.json.Decoder(_Payload).decode
#: The line of a quick row: text under ASCII keys in their order, so msgspec's bytes are RFC 8785's.
quick_line: Final = msgspec.json.Encoder().encode


def quick_writer(settings: RowSettings, *, with_tools: bool) -> QuickWriter | None:
    """Return the quick writer for some settings; None if no format has one.

    Args:
        settings: of the export.
        with_tools: whether rows of messages have the column ``tools``.
    """
    match settings.format:
        case ExportFormat.TUNIX_SFT:
            return _tunix_sft(settings)
        case ExportFormat.TEXT:
            return _text(settings)
        case ExportFormat.MESSAGES | ExportFormat.PROMPT_COMPLETION:
            return _chat(settings, with_tools=with_tools)
        case _:
            return None


def _tunix_sft(settings: RowSettings) -> QuickWriter:
    render, with_split = _renderer(settings), settings.split is None
    known: dict[tuple[bytes, str | None], str] = {}

    def metadata_text(meta: bytes, recorded_at: str | None) -> str:
        own = {"trace_version": TRACE_VERSION, "format": ExportFormat.TUNIX_SFT.value}
        if recorded_at is not None:
            own["recorded_at"] = recorded_at
        decoded = decode_canonical(meta)
        assert isinstance(decoded, dict)
        text = json_text(metadata_of(own, decoded))
        if len(known) >= _MAX_METADATA:
            known.clear()
        known[meta, recorded_at] = text
        return text

    def write(
        payload: bytes, trace: Digest, split: Split, recorded_at: str | None
    ) -> msgspec.Struct | None:
        if not payload.endswith(_ENDS):
            return None
        plain = _decode(payload)
        meta = bytes(plain.meta)
        metadata = known.get((meta, recorded_at)) or metadata_text(meta, recorded_at)
        row = _TunixSft(plain.final_answer, trace, metadata, render(plain))
        if with_split:
            row.split = split
        return row

    return write


def _text(settings: RowSettings) -> QuickWriter:
    render, with_split = _renderer(settings), settings.split is None

    def write(
        payload: bytes, trace: Digest, split: Split, _recorded_at: str | None
    ) -> msgspec.Struct | None:
        if not payload.endswith(_ENDS):
            return None
        return _Text(trace, split if with_split else UNSET, render(_decode(payload)))

    return write


def _renderer(settings: RowSettings) -> Callable[[_Payload], str]:
    """Return what renders the text of `tunix_sft_text`."""
    rendered = render_prompt(_MARK, data_format=DataFormat.TUNIX_SFT, system=settings.system)
    before, _, after = "".join(rendered[1:]).rpartition(_MARK)
    end = rendered[3]  # the end of a turn

    def render(plain: _Payload) -> str:
        answer = f"Answer: {plain.final_answer}{end}"
        if not plain.steps:
            return f"{before}{plain.prompt}{after}{answer}"
        plain.steps.sort(key=_I)
        steps = "\n".join([f"{n}. {step.content}" for n, step in enumerate(plain.steps, 1)])
        return f"{before}{plain.prompt}{after}Reasoning:\n{steps}\n{answer}"

    return render


def _chat(settings: RowSettings, *, with_tools: bool) -> QuickWriter:
    reasoning, system, with_split = settings.reasoning, settings.system, settings.split is None
    first = [] if system is None else [{"content": system, "role": Role.SYSTEM.value}]
    user, assistant = Role.USER.value, Role.ASSISTANT.value
    # The keys are in the order of canonical JSON: content, reasoning_content, role, thinking.
    field = Reasoning.REASONING_CONTENT if reasoning is Reasoning.REASONING_CONTENT else None
    tools = "[]" if with_tools else UNSET
    joined = settings.format is ExportFormat.MESSAGES

    def answer(plain: _Payload) -> dict[str, str]:
        plain.steps.sort(key=_I)
        thought = "\n".join([step.content for step in plain.steps])
        if field is not None:
            return {
                "content": plain.final_answer,
                "reasoning_content": thought,
                "role": assistant,
            }
        fields = with_reasoning(plain.final_answer, thought, reasoning)
        return dict(sorted({**fields, "role": assistant}.items()))

    def write(
        payload: bytes, trace: Digest, split: Split, _recorded_at: str | None
    ) -> msgspec.Struct | None:
        if not payload.endswith(_ENDS):
            return None
        plain = _decode(payload)
        asked: Sequence[dict[str, str]] = [*first, {"content": plain.prompt, "role": user}]
        said = split if with_split else UNSET
        if joined:
            return _Messages(trace, [*asked, answer(plain)], said, tools)
        return _PromptCompletion([answer(plain)], trace, [*asked], said, tools)

    return write
