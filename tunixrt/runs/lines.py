"""The lines of the files of a run: one struct per kind, for writers and readers.

Each is canonical JSON (RFC 8785) and a line feed; a field that has its default is left out.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.log.canonical import CanonicalError, decode_stored, encode
from tunixrt.log.digests import Digest
from tunixrt.traces.importers.lines import read_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tunixrt.traces.importers.lines import TextSource

L = TypeVar("L", bound=msgspec.Struct)


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class MetricsLine(_Line, frozen=True):
    """One training step; steps count from 1.

    Loss (nats per token), gradient norm and tokens are of the step's own examples, before its
    update. ``validation_loss`` is of the validation split, after it, at the steps where it was
    asked for. ``weights_fingerprint`` is of the weights after it, 8 hexadecimal digits: see
    ``tunixrt.ml.fingerprint``.
    """

    step: int
    loss: float
    learning_rate: float
    grad_norm: float
    n_loss_tokens: int
    weights_fingerprint: str
    validation_loss: float | None = None

    @property
    def is_finite(self) -> bool:
        """Whether training may continue from here."""
        return all(map(math.isfinite, (self.loss, self.grad_norm, self.validation_loss or 0.0)))


class LedgerLine(_Line, frozen=True):
    """The outcome for one example.

    Attributes:
        trace: its trace.
        outcome: whether it was trained on; redacted where its text is gone.
        n_tokens: its length in tokens.
        n_loss_tokens: how many of them are in the loss.
        reason: why it was dropped or truncated; None for a kept one.
        n_times_trained: how often it was trained on.
    """

    trace: Digest
    outcome: Literal["kept", "dropped", "truncated", "redacted"]
    n_tokens: int
    n_loss_tokens: int
    reason: str | None = None
    n_times_trained: int = 0


def with_redacted(lines: Iterable[LedgerLine], redacted: Iterable[Digest]) -> list[LedgerLine]:
    """Return the lines of the examples and those of redacted members, in the order of their ids."""
    gone = (LedgerLine(trace, "redacted", 0, 0, reason="redacted") for trace in redacted)
    return sorted([*lines, *gone], key=lambda line: line.trace)


class Response(_Line, frozen=True):
    """The answer of a model to one sample.

    Attributes:
        example_id: the id of the sample.
        text: the generated text.
        n_tokens: how many tokens were generated.
        stop_reason: why the generation ended: ``end_of_turn``, ``eos``, ``length`` (the limit of
            new tokens) or ``context`` (the model's longest text).
        draw: the index of the response among those drawn for the sample, from 0; None, and absent
            from the file, for greedy decoding.
    """

    example_id: str
    text: str
    n_tokens: int
    stop_reason: str
    draw: int | None = None


class Prediction(_Line, frozen=True):
    """One sample, the response to it and the judge's verdict.

    Attributes:
        example_id: the id of the sample.
        prompt: the question as the eval set has it, without the template.
        generated_response: the text that the model generated.
        parsed_steps: the reasoning steps found in it.
        parsed_answer: the final answer found in it, or None.
        expected_response: the expected answer of the eval set; null where it has none.
        correct: the judge's verdict.
        reason: why, as a sentence.
        score: 0 to 100.
        n_tokens: how many tokens were generated.
        stop_reason: why the generation ended; see `Response`. ``overlong``: the prompt left no room
            for an answer, so nothing was generated, and the response is empty.
        category: of the sample.
        difficulty: of the sample.
        draw: see `Response`.
    """

    example_id: str
    prompt: str
    generated_response: str
    parsed_steps: tuple[str, ...]
    parsed_answer: str | None
    expected_response: str | None
    correct: bool
    reason: str
    score: float
    n_tokens: int
    stop_reason: str
    category: str
    difficulty: str
    draw: int | None = None


class OverlapKind(StrEnum):
    """How a sample is in the training data; each kind is stronger than those after it."""

    EXACT = "exact"
    NORMALISED = "normalised"
    OVERLAP = "overlap"


class Overlap(_Line, frozen=True):
    """A sample that is in the training data.

    Attributes:
        example_id: the id of the sample.
        kind: how it is in the training data.
        trace: the training trace with that prompt, the first by id of several; for ``overlap`` the
            one that shares most of the grams.
        share: how many of the sample's grams training prompts have, 0 to 1, four decimals.
    """

    example_id: str
    kind: OverlapKind
    trace: Digest
    share: float


class LineError(BadInputError):
    """A line of a file with the wrong content.

    Attributes:
        source: the file or the stream.
        line: the line, from 1; None for the whole file.
    """

    def __init__(self, source: TextSource, line: int | None, sentence: str) -> None:
        where = f"{source}" if line is None else f"{source}, line {line}"
        super().__init__(f"{where}: {sentence}")
        self.source = source
        self.line = line


def encode_lines(lines: Iterable[msgspec.Struct]) -> bytes:
    """Return the bytes of a file with these lines.

    Raises:
        CanonicalError: a text holds a lone surrogate.
    """
    return b"".join(encode(line) + b"\n" for line in lines)


def read_struct_lines(
    source: TextSource, line_type: type[L], what: str, *, stored: bool = True
) -> Iterator[tuple[int, L]]:
    """Yield the lines of a file with their numbers, from 1.

    Args:
        source: the file or the stream.
        line_type: the struct of a line.
        what: the same in words, for messages: ``a prediction``.
        stored: whether it is a file of a store, which must be a plain file; else a user's file.

    Raises:
        UnreadableFileError: the file is absent or cannot be read as lines.
        LineError: a line is something else.
    """
    for number, raw in read_lines(source, stored=stored):
        try:
            yield number, msgspec.convert(decode_stored(raw), line_type)
        except (CanonicalError, msgspec.ValidationError) as error:
            raise LineError(source, number, f"The line is not {what}: {error}") from error
