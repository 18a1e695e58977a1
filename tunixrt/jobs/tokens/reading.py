"""Reads a dataset as training would: every record as tokens, with its mask and its outcome.

Imports neither jax nor numpy. Outcomes are those of `tunixrt.ml.input`, which training asks, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunixrt.datasets.exports import ALL_SPLITS, parse_split
from tunixrt.datasets.reading import DatasetReader, OmitReason
from tunixrt.datasets.render import render_example
from tunixrt.errors import BadInputError
from tunixrt.jobs.tokens.records import (
    RecordTokens,
    TokenWarning,
    leaves_out_reasoning,
    tokens_of,
    warnings_about,
)
from tunixrt.jobs.tokens.tally import TokenTally
from tunixrt.ml.input.encoding import NOTHING_LEARNED, encode_example, ledger_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunixrt.datasets.files import Dataset
    from tunixrt.jobs.tokens.settings import TokenSettings
    from tunixrt.jobs.tokens.tally import TokenSummary
    from tunixrt.log.digests import Digest
    from tunixrt.log.eventlog import EventLog
    from tunixrt.traces.schema import AnyTrace


class DatasetTokens:
    """The records of a dataset as tokens; iterating reads the dataset again, one record at a time.

    Attributes:
        dataset: the dataset.
        settings: how its records become tokens.
        split: the split that is read, or ``all``.
    """

    def __init__(
        self,
        log: EventLog,
        dataset: Dataset,
        settings: TokenSettings,
        *,
        split: str | None = None,
        show: int = 3,
    ) -> None:
        """Choose what is read.

        Args:
            log: holds the traces.
            dataset: the dataset.
            settings: how its records become tokens.
            split: ``train``, ``validation``, ``test`` or ``all``; that of the settings by default.
            show: how many records carry their tokens; the others are counted only.

        Raises:
            BadInputError: the split does not exist, or has no members.
        """
        self.dataset, self.settings = dataset, settings
        self.split = split or settings.split
        self._log, self._show = log, show
        self._splits = None
        if self.split != ALL_SPLITS:
            wanted = parse_split(self.split, or_all=True)
            self._splits = {wanted}
            counts = dataset.manifest.split_counts
            if not counts.get(wanted):
                shown = ", ".join(f"{n:,} {name}" for name, n in counts.items() if n) or "none"
                raise BadInputError(
                    f"The dataset {dataset.key} has no members in the split {wanted}. Its members "
                    f"are: {shown}."
                )

    def __repr__(self) -> str:
        return f"<tokens of {self.dataset.key}, {self.split}, as {self.settings.data_format}>"

    def __iter__(self) -> Iterator[RecordTokens]:
        """Read the dataset; a record comes as soon as it is read."""
        with DatasetReader(self._log) as reader:
            n_shown = 0
            for member, state, trace in reader.read(self.dataset, self._splits):
                if trace is None:
                    yield RecordTokens(
                        state.id, member.split, "redacted", reason=OmitReason.REDACTED
                    )
                    continue
                shows = n_shown < self._show
                n_shown += shows
                yield self._record(state.id, member.split, trace, shows=shows)

    def summary(self) -> TokenSummary:
        """Read all records, and return their counts."""
        tally = TokenTally()
        for record in self:
            tally.add(record)
        return tally.summary()

    def _record(
        self, trace_id: Digest, split: str, trace: AnyTrace, *, shows: bool
    ) -> RecordTokens:
        settings = self.settings
        example = render_example(
            trace, trace_id, data_format=settings.data_format, system=settings.system
        )
        encoded = encode_example(example, settings.tokenizer)
        line = ledger_line(example, encoded, settings.max_length)
        is_kept = line.outcome == "kept"
        warnings = [*warnings_about(encoded, settings.tokenizer)]
        if leaves_out_reasoning(trace, example):
            warnings.append(TokenWarning.REASONING_LEFT_OUT)
        if settings.refuses and line.reason not in (None, NOTHING_LEARNED):
            warnings.append(TokenWarning.REFUSED)
        return RecordTokens(
            trace=trace_id,
            split=split,
            outcome=line.outcome,
            reason=line.reason,
            n_tokens=line.n_tokens,
            n_trained=line.n_loss_tokens,
            n_masked=line.n_tokens - line.n_loss_tokens if is_kept else 0,
            n_dropped=0 if is_kept else line.n_tokens,
            warnings=tuple(warnings),
            tokens=tuple(tokens_of(example, encoded, settings.tokenizer)) if shows else (),
        )
