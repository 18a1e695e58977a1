"""The data card of a dataset: Markdown with the front matter that the Hugging Face Hub reads.

A card is a function of the dataset and of the files that it describes: no time, no path but their
names.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import msgspec

from tunixrt.datasets.exports.columns import Held, Kind, columns_of
from tunixrt.datasets.exports.formats import (
    ALL_SPLITS,
    CHAT_FORMATS,
    ExportError,
    ExportFormat,
    parse_export_format,
    parse_split,
    row_settings,
)
from tunixrt.datasets.files import members_at_once
from tunixrt.datasets.recipes import Split
from tunixrt.log.digests import digest_file
from tunixrt.log.snapshots import load_snapshot
from tunixrt.traces.recordings import Recordings
from tunixrt.traces.schema import parse_payload
from tunixrt.visible import one_line, visible_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tunixrt.datasets.exports.formats import RowSettings
    from tunixrt.datasets.files import Dataset
    from tunixrt.log.digests import Digest
    from tunixrt.log.eventlog import EventLog

#: The size categories of the Hub: the smallest number of rows above each.
_SIZES: Final = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
)
_LARGEST: Final = "100M<n<1B"
#: What Markdown or HTML could read as markup, as character references.
_MARKUP: Final = str.maketrans({sign: f"&#{ord(sign)};" for sign in "\\`*_{}[]<>|#~&"})
#: More keys or sources than this are counted together.
_LISTED: Final = 40

_KINDS: Final[Mapping[Kind, str]] = {
    Kind.TEXT: "text",
    Kind.TEXTS: "list of texts",
    Kind.INTEGERS: "list of integers",
    Kind.BOOLEANS: "list of booleans",
    Kind.JSON: "JSON",
    Kind.OBJECTS: "list of objects",
}
_TYPES: Final[Mapping[type, str]] = {
    str: "text",
    bool: "boolean",
    int: "number",
    float: "number",
    dict: "object",
    list: "list",
    type(None): "null",
}


class ExportedPart(NamedTuple):
    """A file that a card describes."""

    split: Split
    name: str
    sha256: Digest
    size_bytes: int


class Exported(NamedTuple):
    """The format of exported files, and the files; both may be absent."""

    format: ExportFormat | None
    files: tuple[ExportedPart, ...]

    @classmethod
    def of(cls, export_format: str | None, files: Mapping[str, Path | str]) -> Self:
        """Read what a card states of some files, given by split.

        Raises:
            ExportError: a format or a split does not exist, or a file is not there.
        """
        found = []
        for split, given in files.items():
            path = Path(given)
            if not path.is_file():
                raise ExportError(f"{path} does not exist, or is not a file; export it first.")
            size = path.stat().st_size
            found.append(ExportedPart(parse_split(split), path.name, digest_file(path), size))
        shape = None if export_format is None else parse_export_format(export_format)
        return cls(shape, tuple(found))


def dataset_card(
    log: EventLog, dataset: Dataset, *, license_id: str | None, exported: Exported
) -> str:
    """Return the card of a dataset, or of files that were exported from it.

    Raises:
        DamagedError: a file of the store does not match its digest.
    """
    data_files = {part.split: part.name for part in exported.files}
    body = [_columns(exported.format, f"--format {exported.format}")] if exported.format else []
    if exported.files:
        body.append(_files(exported))
    check = _how_to_check(dataset, exported)
    return _card(log, dataset, license_id, data_files, body=body, check=check)


def directory_card(log: EventLog, dataset: Dataset, rows: RowSettings) -> str:
    """Return the card of a directory that `export_to_directory` writes.

    Raises:
        DamagedError: a file of the store does not match its digest.
    """
    splits = [rows.split] if rows.split else [*dataset.manifest.split_counts]
    data_files = {split: f"{split}/data*.arrow" for split in map(Split, splits)}
    options = _options(rows)
    check = (
        "`sha256sum -c SHA256SUMS` checks the files. In a checkout of the store, this compares "
        "every record with what the store says, and names the first that differs:\n\n"
        f"```\ntunixrt dataset export {dataset.key} {options} --check DIR\n```"
    )
    loading = (
        "## Loading\n\n`datasets.load_dataset` and `datasets.load_from_disk` both read this "
        "directory."
    )
    body = [_columns(rows.format, options), loading]
    return _card(log, dataset, None, data_files, body=body, check=check)


def _card(
    log: EventLog,
    dataset: Dataset,
    license_id: str | None,
    data_files: Mapping[Split, str],
    *,
    body: list[str],
    check: str,
) -> str:
    recipe = visible_json(
        json.dumps(msgspec.to_builtins(dataset.manifest.recipe), indent=1, ensure_ascii=False)
    )
    seen = _Seen(log, dataset)
    sections = [
        _front_matter(dataset, license_id, data_files),
        f"# {dataset.key}",
        _what_it_is(dataset, seen),
        *body,
        seen.section(),
        f"## Recipe\n\n```json\n{recipe}\n```",
        f"## How to verify\n\n{check}",
        "`tunixrt verify --rebuild` selects the members again by the recipe and compares digests.",
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


def _front_matter(dataset: Dataset, license_id: str | None, data_files: Mapping[Split, str]) -> str:
    """Return the front matter; a JSON string is a YAML string."""
    lines = [f"pretty_name: {json.dumps(dataset.key)}"]
    if license_id:
        lines.append(f"license: {json.dumps(license_id)}")
    n = dataset.manifest.trace_count
    size = next((name for above, name in _SIZES if n < above), _LARGEST)
    lines += ["size_categories:", f"- {size}", "source_datasets:", "- original"]
    lines += ["tags:", "- reasoning", "- tunixrt"]
    if data_files:
        lines += ["configs:", "- config_name: default", "  data_files:"]
        for split in (one for one in Split if one in data_files):
            lines += [f"  - split: {split}", f"    path: {json.dumps(data_files[split])}"]
    return "\n".join(["---", *lines, "---"])


def _what_it_is(dataset: Dataset, seen: _Seen) -> str:
    manifest, stats = dataset.manifest, dataset.manifest.stats
    rows = [
        ("traces", f"{manifest.trace_count:,}"),
        *((f"split {name}", f"{n:,}") for name, n in manifest.split_counts.items()),
        (
            "steps per trace",
            f"{stats.avg_step_count} on average, {stats.min_step_count} to {stats.max_step_count}",
        ),
        ("characters per trace", f"{stats.avg_total_chars} on average"),
        ("digest", f"`{manifest.digest}`"),
        ("snapshot of the log", f"`{manifest.snapshot}`"),
    ]
    if seen.n_redacted:
        rows.append(("redacted since, and in no export", f"{seen.n_redacted:,}"))
    if manifest.parent_dataset_id:
        rows.append(("follows", f"{_cell(manifest.parent_dataset_id)}"))
    if manifest.built_at:
        rows.append(("built at", manifest.built_at))
    return "Reasoning traces, selected by [tunixrt](https://pypi.org/project/tunixrt/).\n\n" + (
        _table(("", ""), rows)
    )


def _columns(export_format: ExportFormat, options: str) -> str:
    is_chat = export_format in CHAT_FORMATS
    rows = row_settings(export_format, split=ALL_SPLITS)
    columns = columns_of(rows, Held(conversations=False, tools=is_chat))
    columns.pop("split")
    shown = [(f"`{name}`", _KINDS[kind]) for name, kind in columns.items()]
    kinds = set(columns.values())
    notes = []
    if Kind.JSON in kinds:
        notes.append(
            "Free-form values are JSON, so that the type of no column depends on what traces hold: "
            "JSON text in JSON Lines; in Parquet and Arrow the JSON type, which `datasets` decodes."
        )
    if is_chat:
        notes.append(
            "`tools` is there if a conversation offers tools. An assistant's message with "
            '`"weight": 0` is not to be learned.'
        )
    return "\n\n".join(
        [f"## Columns\n\nExported with `{options}`.", _table(("column", "type"), shown), *notes]
    )


def _files(exported: Exported) -> str:
    rows = [
        (_cell(part.name), part.split, f"{part.size_bytes:,}", f"`{part.sha256}`")
        for part in exported.files
    ]
    return "## Files\n\n" + _table(("file", "split", "bytes", "SHA-256"), rows)


def _how_to_check(dataset: Dataset, exported: Exported) -> str:
    if not exported.files or exported.format is None:
        return (
            "The digest is the SHA-256 of the canonical JSON (RFC 8785) of the recipe, the number "
            "of members, and the Merkle root over their lines."
        )
    commands = "\n".join(
        f"tunixrt dataset export {dataset.key} --format {exported.format} --split {part.split} "
        f"--check {part.name}"
        for part in exported.files
    )
    return (
        "In a checkout of the store, this compares every record with what the store says, and "
        f"names the first that differs:\n\n```\n{commands}\n```"
    )


def _options(rows: RowSettings) -> str:
    options = [f"--format {rows.format} --split {rows.split or ALL_SPLITS}"]
    if rows.system is not None:
        options.append(f"--system {json.dumps(rows.system)}")
    if rows.reasoning is not None:
        options.append(f"--reasoning {rows.reasoning}")
    return " ".join(options)


class _Seen:
    """What the metadata of the members holds, from one pass over them.

    Attributes:
        n_redacted: members whose text is gone.
    """

    def __init__(self, log: EventLog, dataset: Dataset) -> None:
        self.n_redacted = 0
        self._sources: Counter[str] = Counter()
        self._keys: dict[str, Counter[str]] = {}
        self._n_with_other_keys = 0
        for payload in _payloads(log, dataset):
            if payload is None:
                self.n_redacted += 1
            else:
                self._add(parse_payload(payload).meta)

    def section(self) -> str:
        """Return the section on metadata; empty without metadata."""
        if not self._keys:
            return ""
        rows = [
            (_cell(key), ", ".join(f"{name} ({n:,})" for name, n in sorted(types.items())))
            for key, types in sorted(self._keys.items())
        ]
        text = "## Metadata\n\n" + _table(("key", "types (traces)"), rows)
        if self._n_with_other_keys:
            text += f"\n\n{self._n_with_other_keys:,} traces have other keys."
        if self._sources:
            common = sorted(self._sources.items(), key=lambda item: (-item[1], item[0]))[:_LISTED]
            listed = ", ".join(f"{_cell(name)} ({n:,})" for name, n in common)
            text += f"\n\nSources: {listed}."
        return text

    def _add(self, meta: dict[str, Any]) -> None:
        has_others = False
        for key, value in meta.items():
            types = self._keys.get(key)
            if types is None and len(self._keys) < _LISTED:
                types = self._keys[key] = Counter()
            if types is None:
                has_others = True
            else:
                types[_TYPES[type(value)]] += 1
        self._n_with_other_keys += has_others
        source = meta.get("source")
        if isinstance(source, str) and (source in self._sources or len(self._sources) < 10_000):
            self._sources[source] += 1


def _payloads(log: EventLog, dataset: Dataset) -> Iterator[bytes | None]:
    segments = load_snapshot(log.layout, dataset.manifest.snapshot).segments
    with Recordings(log, segments) as recordings:
        for _, _, payload in recordings.read(members_at_once(dataset)):
            yield payload


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    """Return text of a user for a cell: on one line, visible, no markup."""
    return one_line(text).translate(_MARKUP)
