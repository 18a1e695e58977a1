"""The formats of exports, the settings that decide a row, and the errors of both."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from tunixrt.datasets.recipes import Split
from tunixrt.errors import BadInputError
from tunixrt.log.digests import Digest
from tunixrt.words import quoted, suggestion


class ExportFormat(StrEnum):
    """The formats that a dataset can be written in."""

    TRACE = "trace"
    TUNIX_SFT = "tunix_sft"
    TRAINING_EXAMPLE = "training_example"
    MESSAGES = "messages"
    PROMPT_COMPLETION = "prompt_completion"
    TEXT = "text"
    STEPWISE = "stepwise"


#: What `verify --rebuild` derives; the other formats are views of the same texts.
REBUILT_FORMATS: Final = (
    ExportFormat.TRACE,
    ExportFormat.TUNIX_SFT,
    ExportFormat.TRAINING_EXAMPLE,
)

#: The formats whose rows are lists of messages.
CHAT_FORMATS: Final = frozenset({ExportFormat.MESSAGES, ExportFormat.PROMPT_COMPLETION})


class Reasoning(StrEnum):
    """Where the reasoning of an assistant's message is written.

    Chat templates read it from one of two fields, or from the text; none reads all three.
    """

    REASONING_CONTENT = "reasoning_content"
    THINKING = "thinking"
    TAGS = "tags"
    NONE = "none"


class ExportError(BadInputError):
    """An export that cannot be made with these arguments."""


class ExportedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of an export: its name, the digest of its bytes, its size, its rows."""

    name: str
    sha256: Digest
    size_bytes: int
    rows: int


class ExportReport(msgspec.Struct, frozen=True):
    """What was written: rows, and the digest of all bytes.

    Attributes:
        format: of the rows.
        rows: how many.
        sha256: the digest of the file; of several files, that of their list of sums.
        omitted: members that were left out, by reason.
        n_with_template_text: rows whose trace itself contains the text of a special token such as
            ``<end_of_turn>``: a text format cannot distinguish it from the token.
        n_with_masked_turns: rows of messages that hold a turn that is not learned, written as
            ``"weight": 0``, which few trainers read; or rows of text, which cannot mark it.
        n_cut: rows of prompt and completion whose conversation continues after the completion.
        files: every file, where paths were given.
    """

    format: ExportFormat
    rows: int
    sha256: Digest
    omitted: dict[str, int]
    n_with_template_text: int
    n_with_masked_turns: int = 0
    n_cut: int = 0
    files: list[ExportedFile] = []


#: Instead of the name of a split: every member, each row with its split.
ALL_SPLITS: Final = "all"


def parse_export_format(text: str) -> ExportFormat:
    """Return the export format of this name.

    Raises:
        ExportError: It does not exist; the message lists the formats.
    """
    try:
        return ExportFormat(text)
    except ValueError:
        raise ExportError(
            f"There is no export format {quoted(text)}.{suggestion(text, ExportFormat)} "
            f"The formats are {', '.join(ExportFormat)}."
        ) from None


def parse_split(text: str, *, or_all: bool = False) -> Split:
    """Return the split of this name.

    Raises:
        ExportError: It does not exist; the message lists them, and ``all`` if that is allowed.
    """
    try:
        return Split(text)
    except ValueError:
        every = f"; {ALL_SPLITS} is every one of them" if or_all else ""
        raise ExportError(
            f"There is no split {quoted(text)}. The splits are {', '.join(Split)}{every}."
            f"{suggestion(text, Split)}"
        ) from None


def parse_reasoning(text: str) -> Reasoning:
    """Return the place of this name for reasoning.

    Raises:
        ExportError: It does not exist; the message lists them.
    """
    try:
        return Reasoning(text)
    except ValueError:
        raise ExportError(
            f"Reasoning cannot be written as {quoted(text)}.{suggestion(text, Reasoning)} "
            f"The ways are {', '.join(Reasoning)}."
        ) from None


class RowSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What decides the rows of an export, beside the dataset.

    Attributes:
        format: what a row looks like.
        split: only this split; None for all members, each row with its split.
        system: a system instruction, or None.
        reasoning: where the messages have their reasoning; None for the other formats.
    """

    format: ExportFormat
    split: Split | None
    system: str | None = None
    reasoning: Reasoning | None = None


def row_settings(
    export_format: ExportFormat,
    *,
    split: str = Split.TRAIN,
    system: str | None = None,
    reasoning: str | None = None,
) -> RowSettings:
    """Return checked settings.

    Args:
        export_format: What a row looks like.
        split: Only this split; ``all`` takes every member.
        system: A system instruction: a message of its own in the formats of messages, in the others
            put before each prompt with a blank line between. The format ``trace`` takes none.
        reasoning: For the formats of messages: a `Reasoning`; by default ``reasoning_content``.

    Raises:
        ExportError: They do not fit each other, or one of them does not exist.
    """
    if system and export_format is ExportFormat.TRACE:
        raise ExportError(
            "The format trace writes traces as they are and takes no system instruction; "
            "every other format does."
        )
    is_chat = export_format in CHAT_FORMATS
    if reasoning is not None and not is_chat:
        raise ExportError(
            f"The format {export_format} has no messages, so it has no choice of reasoning; "
            f"the formats {ExportFormat.MESSAGES} and {ExportFormat.PROMPT_COMPLETION} do."
        )
    return RowSettings(
        format=export_format,
        split=None if split == ALL_SPLITS else parse_split(split, or_all=True),
        system=system or None,
        reasoning=parse_reasoning(reasoning or Reasoning.REASONING_CONTENT) if is_chat else None,
    )
