"""The datasets of a store: building them, and reading them as rows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from tunixrt.datasets.building import (
    BuildReport,
    DatasetNotFoundError,
    build_dataset,
    list_datasets,
    load_dataset,
)
from tunixrt.datasets.exports import (
    ExportFormat,
    ExportLines,
    ExportReport,
    parse_export_format,
    row_settings,
)
from tunixrt.datasets.exports.columns import Kind, columns_of
from tunixrt.datasets.expressions.where import parse_where
from tunixrt.datasets.files import Dataset, duplicates, members
from tunixrt.datasets.names import BadNameError
from tunixrt.datasets.recipes import Split, make_recipe
from tunixrt.datasets.releases import read_releases, state_release
from tunixrt.errors import BadInputError
from tunixrt.extras import PARQUET, require
from tunixrt.log.canonical import decode_stored
from tunixrt.log.eventlog import EventLog  # noqa: TC001 - msgspec reads the annotation
from tunixrt.store.snapshots import trace_digest
from tunixrt.store.stored_trace import StoredTrace
from tunixrt.traces.saved_index import find_saved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from decimal import Decimal
    from fractions import Fraction

    from tunixrt.datasets.dedupe import Duplicate
    from tunixrt.datasets.diff import DatasetDiff, MemberChange
    from tunixrt.datasets.exports.formats import RowSettings
    from tunixrt.datasets.member_proofs import MemberProof
    from tunixrt.datasets.releases import Releases, ReleaseStated
    from tunixrt.datasets.selection import Member
    from tunixrt.derive import Verdict
    from tunixrt.eval.evalsets import EvalSet
    from tunixrt.jobs.dataset_check import DatasetCheck
    from tunixrt.jobs.tokens.reading import DatasetTokens
    from tunixrt.log.digests import Digest
    from tunixrt.log.layout import Layout
    from tunixrt.log.lock import Waiting
    from tunixrt.runs.config import RunConfig
    from tunixrt.runs.dataset_lineage import DatasetLineage
    from tunixrt.traces.schema import Trace


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


class Datasets:
    """The datasets of a store by key, ``NAME-VERSION``; iterating yields them in that order."""

    def __init__(self, layout: Layout, log: EventLog) -> None:
        """The datasets of a store."""
        self._layout, self._log = layout, log

    def __repr__(self) -> str:
        return f"<datasets of {self._layout.root}>"

    def __iter__(self) -> Iterator[StoredDataset]:
        return map(self._stored, list_datasets(self._layout))

    def __len__(self) -> int:
        return len(list_datasets(self._layout))

    def __getitem__(self, key: str) -> StoredDataset:
        """One dataset by its key.

        Raises:
            DatasetNotFoundError: no dataset has that key.
            AmbiguousDatasetError: branches built different datasets under it.
        """
        return self._stored(load_dataset(self._layout, key))

    def __contains__(self, key: object) -> bool:
        """Whether there is a dataset of this key."""
        try:
            return isinstance(key, str) and self[key] is not None
        except (DatasetNotFoundError, BadNameError):
            return False

    def build(
        self,
        name: str,
        version: str,
        *,
        where: Mapping[str, str] | Iterable[str] | str | None = None,
        sql: str | None = None,
        limit: int | None = None,
        strategy: str = "latest",
        seed: int | None = None,
        splits: Mapping[str, str | float | Decimal] | None = None,
        group_by: str | None = None,
        stratify: str | None = None,
        dedupe: str | None = None,
        built_at: str | None = None,
        parent: str | None = None,
        waiting: Waiting | None = None,
    ) -> BuildReport:
        """Select traces into the dataset ``name-version`` and take the snapshot it depends on.

        Args:
            name: of the dataset.
            version: of the dataset; the key is ``name-version``.
            where: an expression that a trace must match, several texts as ``--where`` takes them,
                or a mapping of metadata and labels (``label.NAME``) to their texts.
            sql: a query over the views ``traces``, ``labels`` and ``scores`` that returns ids.
            limit: how many traces at most.
            strategy: which are taken where a limit leaves some out: ``latest`` or ``random``.
            seed: what a random selection and the splits come from.
            splits: the fractions of ``test`` and ``validation``; the rest is ``train``.
            group_by: the field whose values share a split, such as ``meta.problem``.
            stratify: the field for whose values the manifest counts the splits.
            dedupe: leaves out traces that repeat an earlier one: ``prompt``, ``normalised`` or
                ``near:THRESHOLD``; `duplicates` of the dataset names what each repeats.
            built_at: an RFC 3339 time for the manifest.
            parent: the key of the dataset that this one follows.
            waiting: how long to wait for the lock of the store.

        Raises:
            RecipeError: the selection makes no sense, or selects nothing.
            ExpressionError: a text is not an expression.
            SqlError: the query may not be run, or fails.
            DedupeError: the rule for duplicates does not exist.
            DatasetExistsError: the key is taken by a dataset with another digest.
        """
        asked = parse_where(where)
        recipe = make_recipe(
            filters=asked.filters,
            where=asked.text,
            sql=sql,
            selection_strategy=strategy,
            limit=limit,
            seed=seed,
            splits=splits,
            group_by=group_by,
            stratify=stratify,
            dedupe=dedupe,
        )
        report = build_dataset(
            self._layout,
            self._log,
            name,
            version,
            recipe,
            built_at=built_at,
            parent=parent,
            waiting=waiting,
        )
        return msgspec.structs.replace(report, dataset=self._stored(report.dataset))

    def release(
        self, key: str, *, recorded_at: str | None = None, waiting: Waiting | None = None
    ) -> ReleaseStated:
        """Record that a dataset is released, which ends a deprecation.

        Raises:
            DatasetNotFoundError, AmbiguousDatasetError: as for ``datasets[key]``.
        """
        return state_release(self._layout, self._log, key, recorded_at=recorded_at, waiting=waiting)

    def deprecate(
        self,
        key: str,
        *,
        reason: str,
        recorded_at: str | None = None,
        waiting: Waiting | None = None,
    ) -> ReleaseStated:
        """Record that a dataset should not be used any more; whatever uses it still works.

        Raises:
            DatasetNotFoundError, AmbiguousDatasetError: as for ``datasets[key]``.
            ReasonError: the reason is empty or too long.
        """
        return state_release(
            self._layout,
            self._log,
            key,
            deprecated=reason,
            recorded_at=recorded_at,
            waiting=waiting,
        )

    def releases(self) -> Releases:
        """Which datasets are released or deprecated."""
        return read_releases(self._log)

    def lineage(self, key: str) -> DatasetLineage:
        """The parents of a dataset, and the datasets and training runs that came from it."""
        from tunixrt.runs.catalogue import Catalogue
        from tunixrt.runs.dataset_lineage import lineage_of

        return lineage_of(Catalogue(self._layout), self._log, self[key])

    def diff(
        self, a: str, b: str, on_change: Callable[[MemberChange], None] | None = None
    ) -> DatasetDiff:
        """Report how dataset ``b`` differs from ``a``: in traces, in their splits, and why."""
        from tunixrt.datasets.diff import diff_datasets
        from tunixrt.datasets.reading import DatasetReader

        with DatasetReader(self._log) as reader:
            return diff_datasets(reader, self[a], self[b], on_change)

    def diff_markdown(
        self, a: str, b: str, found: DatasetDiff, changes: Sequence[MemberChange]
    ) -> str:
        """Return a difference as Markdown for a pull request.

        Args:
            a: the first dataset.
            b: the second.
            found: their difference, as `diff` returned it.
            changes: those to list.
        """
        from tunixrt.report.dataset_diff import ShownChange, diff_document
        from tunixrt.report.markdown import render_markdown

        def flat(trace: Digest | None) -> Trace | None:
            if trace is None:
                return None
            stored = StoredTrace(self._log, find_saved(self._log, trace))
            return stored.flat if stored.is_readable else None

        shown = [ShownChange(c, flat(c.trace), flat(c.superseded_by)) for c in changes]
        return render_markdown(diff_document(self[a], self[b], found, shown))

    def prove(self, trace: str, dataset: str) -> MemberProof:
        """Prove that a dataset lists a trace.

        Raises:
            NotAMemberError: it does not list it.
        """
        from tunixrt.datasets.member_proofs import prove_member

        return prove_member(self[dataset], trace_digest(self._log, trace))

    def _stored(self, dataset: Dataset) -> StoredDataset:
        return StoredDataset(dataset.manifest, dataset.path, self._log)


def dataset_key(dataset: str | Dataset | BuildReport) -> str:
    """The key of a dataset that is given as a key, as itself, or as what `build` returned."""
    if isinstance(dataset, str):
        return dataset
    found = dataset.dataset if isinstance(dataset, BuildReport) else dataset
    if isinstance(found, Dataset):
        return found.key
    raise BadInputError(f"A dataset is given by its key, such as gsm-v1; found {found!r}.")
