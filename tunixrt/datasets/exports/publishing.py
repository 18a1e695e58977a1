"""Publishes exports at the paths of users: a file, several, or a directory; each is whole."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tunixrt.datasets.exports.columns import Columns, columns_of
from tunixrt.datasets.exports.containers import Container, container_of
from tunixrt.datasets.exports.derivation import ExportDerivation, shard_names, sums_of
from tunixrt.datasets.exports.formats import ExportedFile, ExportError
from tunixrt.datasets.recipes import Split
from tunixrt.log.digests import digest_bytes
from tunixrt.log.outputs import is_replaced, output_directory, output_file
from tunixrt.log.sums import SUMS

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt.datasets.exports.formats import ExportReport, RowSettings
    from tunixrt.datasets.files import Dataset
    from tunixrt.log.eventlog import EventLog

#: The file that lists what an export has written into a directory, and the command that wrote it.
LISTING: Final = "tunixrt-export.json"
MADE_BY: Final = "tunixrt dataset export"

DATASET_DICT: Final = "dataset_dict.json"
STATE: Final = "state.json"
INFO: Final = "dataset_info.json"
README: Final = "README.md"


def export_to_file(
    log: EventLog, dataset: Dataset, rows: RowSettings, path: Path, n_shards: int = 1
) -> ExportReport:
    """Write a file, or shards beside each other, and a list of sums that ``sha256sum -c`` reads.

    The container follows from the name. Sums are written for regular files, not for a pipe.

    Raises:
        ExportError: it cannot be made with these settings.
        OutputPathError: the path cannot be written.
    """
    derivation = ExportDerivation(log, dataset, rows, container_of(path), n_shards)
    names = shard_names(path.name, n_shards)
    paths = [path.with_name(name) for name in names]
    with ExitStack() as stack:
        # What is opened first is published last: the sums, when all that they list is there.
        sums = None
        if all(map(is_replaced, paths)):
            sums = stack.enter_context(output_file(path.with_name(f"{path.name}.sha256")))
        files = [stack.enter_context(output_file(one)) for one in paths]
        report = derivation.write(names, files)
        if sums is not None:
            sums.write(sums_of(report.files))
    return report


def export_to_directory(
    log: EventLog,
    dataset: Dataset,
    rows: RowSettings,
    directory: Path,
    *,
    card: str,
    n_shards: int = 1,
) -> ExportReport:
    """Write a directory that Hugging Face `load_dataset` and `load_from_disk` read.

    Each split is a directory of Arrow files, as ``save_to_disk`` writes it. `load_dataset` finds
    them by the front matter of the card.

    Args:
        log: where the payloads are.
        dataset: what to export.
        rows: the settings; without a split, every split is exported.
        directory: a new or an empty one, or one that was written like this before.
        card: the text of its ``README.md``; see `tunixrt.datasets.cards`.
        n_shards: the files of each split.

    Raises:
        ExportError: it cannot be made with these settings.
        OutputPathError: the directory cannot be written.
    """
    reports: list[ExportReport] = []
    files: list[ExportedFile] = []
    with output_directory(directory, manifest=LISTING, made_by=MADE_BY) as staged:

        def write(name: str, data: bytes, n_rows: int = 0) -> None:
            (staged / name).write_bytes(data)
            files.append(ExportedFile(name, digest_bytes(data), len(data), n_rows))

        splits = splits_of(dataset, rows)
        for split in splits:
            derivation = split_derivation(log, dataset, rows, split, n_shards)
            (staged / split).mkdir()
            names = shard_names(f"data.{Container.ARROW}", n_shards)
            names = [f"{split}/{name}" for name in names]
            with ExitStack() as stack:
                outs = [stack.enter_context((staged / name).open("wb")) for name in names]
                report = derivation.write(names, outs)
            files += report.files
            reports.append(report)
            for name, document in _saved(derivation, split, names).items():
                write(f"{split}/{name}", _json(document))
        write(DATASET_DICT, _json({"splits": [str(split) for split in splits]}))
        write(README, card.encode())
        sums = sums_of(sorted(files, key=lambda file: file.name))
        (staged / SUMS).write_bytes(sums)
    whole = _joined(reports)
    return msgspec.structs.replace(whole, sha256=digest_bytes(sums), files=files)


def splits_of(dataset: Dataset, rows: RowSettings) -> list[Split]:
    """Return the splits of a directory: the one that is set, or all that have members.

    Raises:
        ExportError: no split has members.
    """
    if rows.split is not None:
        return [rows.split]
    counts = dataset.manifest.split_counts
    splits = [split for split in Split if counts.get(split)]
    if not splits:
        raise ExportError(f"The dataset {dataset.key} has no members.")
    return splits


def split_derivation(
    log: EventLog, dataset: Dataset, rows: RowSettings, split: Split, n_shards: int
) -> ExportDerivation:
    """Return the export of one split of a directory; its rows do not name their split."""
    of_split = msgspec.structs.replace(rows, split=split)
    return ExportDerivation(log, dataset, of_split, Container.ARROW, n_shards)


def _saved(derivation: ExportDerivation, split: Split, names: list[str]) -> dict[str, Any]:
    """Return the documents that ``save_to_disk`` writes beside the files of a split."""
    with derivation.lines() as lines:
        columns = Columns(columns_of(lines.settings, lines.held))
    return {
        STATE: {
            "_data_files": [{"filename": name.rpartition("/")[2]} for name in names],
            "_fingerprint": derivation.id[:16],
            "_format_columns": None,
            "_format_kwargs": {},
            "_format_type": None,
            "_output_all_columns": False,
            "_split": str(split),
        },
        INFO: {"features": columns.features()},
    }


def _json(document: object) -> bytes:
    return json.dumps(document, indent=1).encode() + b"\n"


def _joined(reports: list[ExportReport]) -> ExportReport:
    omitted: dict[str, int] = {}
    for report in reports:
        for reason, n in report.omitted.items():
            omitted[reason] = omitted.get(reason, 0) + n
    if len(reports) > 1:
        omitted.pop("in another split", None)  # it is in one of the others
    return msgspec.structs.replace(
        reports[0],
        rows=sum(report.rows for report in reports),
        omitted=dict(sorted(omitted.items())),
        n_with_template_text=sum(report.n_with_template_text for report in reports),
        n_with_masked_turns=sum(report.n_with_masked_turns for report in reports),
        n_cut=sum(report.n_cut for report in reports),
    )
