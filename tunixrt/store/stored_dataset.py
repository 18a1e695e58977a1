"""One dataset of a store: its members, its rows, its tokens, its exports and their card."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from tunixrt.datasets.exports import (
    ExportFormat,
    ExportLines,
    ExportReport,
    parse_export_format,
    row_settings,
)
from tunixrt.datasets.exports.columns import Kind, columns_of
from tunixrt.datasets.files import Dataset, duplicates, members
from tunixrt.datasets.recipes import Split
from tunixrt.errors import BadInputError
from tunixrt.extras import PARQUET, require
from tunixrt.log.canonical import decode_stored
from tunixrt.log.eventlog import EventLog  # noqa: TC001 - msgspec reads the annotation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from fractions import Fraction

    from tunixrt.datasets.dedupe import Duplicate
    from tunixrt.datasets.exports.formats import RowSettings
    from tunixrt.datasets.selection import Member
    from tunixrt.derive import Verdict
    from tunixrt.eval.evalsets import EvalSet
    from tunixrt.jobs.dataset_check import DatasetCheck
    from tunixrt.jobs.tokens.reading import DatasetTokens
    from tunixrt.runs.config import RunConfig


class StoredDataset(Dataset, frozen=True):
    """A dataset with the log that holds its traces."""

    log: EventLog

    def __repr__(self) -> str:
        counts = ", ".join(f"{n:,} {split}" for split, n in self.manifest.split_counts.items())
        return f"<dataset {self.key} ({counts}) {self.digest[:19]}>"

    def __len__(self) -> int:
        return self.manifest.trace_count

    def members(self) -> Iterator[Member]:
        """The members (trace id and split), in ascending order of their ids."""
        return members(self)

    def duplicates(self) -> Iterator[Duplicate]:
        """The traces that were left out, and what each repeats, in ascending order of their ids."""
        return duplicates(self)

    def check(
        self, *, evalsets: Sequence[EvalSet] = (), max_share: Fraction | None = None
    ) -> DatasetCheck:
        """Report leaks between splits and into eval sets, duplicates, and traces without an answer.

        Args:
            evalsets: each is compared with the splits that are not ``test``.
            max_share: the part of the traces that one ``meta.source`` may have; None for any.
        """
        from tunixrt.jobs.dataset_check import check_dataset

        return check_dataset(self.log, self, evalsets=evalsets, max_share=max_share)

    def rows(
        self,
        export_format: str = ExportFormat.TUNIX_SFT,
        *,
        split: str = Split.TRAIN,
        system: str | None = None,
        reasoning: str | None = None,
    ) -> Iterator[dict[str, Any]]:
        """The rows of an export as dictionaries, one at a time.

        What `export` writes, with JSON text (``metadata``, ``tools``) as objects.

        Args:
            export_format: one of `tunixrt.datasets.exports.ExportFormat`.
            split: ``train``, ``validation``, ``test``; or ``all``: then each row names its split.
            system: a system instruction: a message of its own, or put before every prompt.
            reasoning: for rows of messages, where they have their reasoning:
                ``reasoning_content`` (the default), ``thinking``, ``tags`` or ``none``.

        Raises:
            ExportError: there is no such format or split, or nothing is in the split.
        """
        rows = self._settings(export_format, split, system, reasoning)
        return _rows(ExportLines(self.log, self, rows))

    def export(
        self,
        out: Path | str | BinaryIO,
        export_format: str,
        *,
        split: str = Split.TRAIN,
        system: str | None = None,
        reasoning: str | None = None,
        shards: int = 1,
    ) -> ExportReport:
        """Write a split as text that other tools read; the same bytes every time.

        Args:
            out: a path, which is replaced when the export is complete; its name decides the
                container (``.jsonl``, ``.jsonl.gz``, ``.jsonl.zst``, ``.parquet``, ``.arrow``).
                A text that ends in a slash, or an existing directory, becomes a directory that
                Hugging Face `datasets` loads. An open binary file receives JSON Lines.
            export_format: as for `rows`.
            split: as for `rows`; ``all`` in a directory writes every split beside the others.
            system: as for `rows`.
            reasoning: as for `rows`.
            shards: how many files.

        Raises:
            ExportError: there is no such format or split, or nothing is in the split.
            OutputPathError: the path cannot be written.
            MissingExtraError: the library for the container is not installed.
        """
        rows = self._settings(export_format, split, system, reasoning)
        if not isinstance(out, Path | str):
            from tunixrt.datasets.exports.derivation import ExportDerivation

            report = ExportDerivation(self.log, self, rows).write([""], [out])
            return msgspec.structs.replace(report, files=[])
        from tunixrt.datasets.exports import publishing

        path = Path(out)
        if str(out).endswith(("/", os.sep)) or path.is_dir():
            from tunixrt.datasets.cards import directory_card

            card = directory_card(self.log, self, rows)
            return publishing.export_to_directory(
                self.log, self, rows, path, card=card, n_shards=shards
            )
        return publishing.export_to_file(self.log, self, rows, path, shards)

    def check_export(
        self,
        path: Path | str,
        export_format: str,
        *,
        split: str = Split.TRAIN,
        system: str | None = None,
        reasoning: str | None = None,
        shards: int = 1,
    ) -> list[Verdict]:
        """Return whether a file or a directory is what `export` writes with these arguments.

        The records are compared, so another version of a compressor makes no difference.

        Returns:
            One verdict for a file, or one for each split of a directory.

        Raises:
            ExportError: nothing is there, or `export` would raise one.
        """
        from tunixrt.datasets.exports import checking

        rows = self._settings(export_format, split, system, reasoning)
        return checking.check_export(self.log, self, rows, Path(path), shards)

    def tokens(
        self,
        *,
        run: str | None = None,
        config: str | Path | RunConfig | None = None,
        overrides: Mapping[str, object] | Sequence[str] = (),
        tokenizer: Path | str | None = None,
        split: str | None = None,
        show: int = 3,
    ) -> DatasetTokens:
        """The records as training sees them: token by token, with what is trained.

        Iterating reads the records one by one as `RecordTokens`, and ``.summary()`` counts all of
        them. Without an argument, they are rendered as ``tunix_sft`` for the byte tokenizer.

        Args:
            run: a training run or a model directory whose template, tokenizer and context apply.
            config: a preset, the path of a TOML file, or a configuration; in place of a run.
            overrides: settings over those of ``config``, as in ``store.runs.train``.
            tokenizer: the path of a ``tokenizer.json``; needs the package ``tokenizers`` unless it
                is that of the byte tokenizer.
            split: ``train``, ``validation``, ``test`` or ``all``; by default what is trained on.
            show: how many records carry their tokens; the others are counted only.

        Raises:
            BadInputError: the arguments do not go together, or one cannot be read; or the split
                does not exist or has no members.
        """
        from tunixrt.jobs.tokens.reading import DatasetTokens
        from tunixrt.jobs.tokens.settings import settings_of
        from tunixrt.runs.config import RunConfig
        from tunixrt.runs.config_sources import load_config

        if config is None and overrides:
            raise BadInputError("Overrides change a configuration, and none was given.")
        if config is not None and not isinstance(config, RunConfig):
            config = load_config(str(config), overrides)
        settings = settings_of(
            self.log.layout,
            run=run,
            config=config,
            tokenizer=None if tokenizer is None else Path(tokenizer),
        )
        return DatasetTokens(self.log, self, settings, split=split, show=show)

    def arrow(
        self,
        export_format: str = ExportFormat.TUNIX_SFT,
        *,
        split: str = Split.TRAIN,
        system: str | None = None,
        reasoning: str | None = None,
    ) -> Any:
        """The rows of an export as a `pyarrow.Table`, which `datasets` and pandas take.

        A column of free-form values is of Arrow's JSON type: what traces hold differs.

        Raises:
            MissingExtraError: pyarrow is not installed.
            ExportError: as for `rows`.
        """
        require(PARQUET, "An Arrow table")
        import pyarrow as pa

        from tunixrt.datasets.exports.columns import Columns, columns_of

        rows = self._settings(export_format, split, system, reasoning)
        with ExportLines(self.log, self, rows) as lines:
            columns = Columns(columns_of(rows, lines.held))
            batches = [columns.record_batch(batch) for batch in lines.rows()]
            return pa.Table.from_batches(batches, schema=columns.schema())

    def card(
        self,
        *,
        license_id: str | None = None,
        export_format: str | None = None,
        files: Mapping[str, Path | str] | None = None,
    ) -> str:
        """Return a data card: Markdown with the front matter of the Hugging Face Hub.

        Args:
            license_id: as the Hub spells it, such as ``mit`` or ``cc-by-4.0``.
            export_format: of the files, to describe their columns.
            files: exported files by split, which are beside the card.

        Raises:
            ExportError: there is no such format or split, or a file does not exist.
        """
        from tunixrt.datasets.cards import Exported, dataset_card

        exported = Exported.of(export_format, files or {})
        return dataset_card(self.log, self, license_id=license_id, exported=exported)

    def croissant(
        self,
        *,
        license_id: str | None = None,
        export_format: str,
        files: Mapping[str, Path | str],
    ) -> dict[str, Any]:
        """Return the description of exported files as Croissant JSON-LD; arguments as for `card`.

        Raises:
            ExportError: as for `card`, or a file is of a container that Croissant does not read.
        """
        from tunixrt.datasets.cards import Exported
        from tunixrt.datasets.croissant import croissant

        exported = Exported.of(export_format, files)
        return croissant(self, license_id=license_id, exported=exported)

    def _settings(
        self, export_format: str, split: str, system: str | None, reasoning: str | None
    ) -> RowSettings:
        shape = parse_export_format(export_format)
        return row_settings(shape, split=split, system=system, reasoning=reasoning)


def _rows(lines: ExportLines) -> Iterator[dict[str, Any]]:
    with lines:
        columns = columns_of(lines.settings, lines.held)
        texts = [name for name, kind in columns.items() if kind is Kind.JSON]
        for batch in lines.batches():
            for line in batch:
                row = msgspec.json.decode(line)
                for name in texts:
                    row[name] = decode_stored(row[name].encode())
                yield row
