"""Finds the files that an import is given: files, globs, directories, saved datasets, streams.

A directory gives every file in it whose name is that of a container, in the order of the paths; a
dataset that Hugging Face ``datasets`` saved gives the files that it lists, in its own order. What
is passed over is reported, and so is a name that the first bytes contradict.
"""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tunixrt.traces.importers.compressed import GZIP, ZSTANDARD, compression_of
from tunixrt.traces.importers.containers import (
    ARROW_FILE_MAGIC,
    ARROW_STREAM_MAGIC,
    MAGIC_BYTES,
    PARQUET_MAGIC,
)
from tunixrt.traces.importers.file_kinds import UnreadableFileError
from tunixrt.traces.importers.lines import OpenText
from tunixrt.words import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

Given = Path | str | OpenText | Sequence[Path | str | OpenText]

_RECORDS: Final = frozenset(
    (".arrow", ".csv", ".feather", ".json", ".jsonl", ".ndjson", ".parquet", ".tsv")
)
_REJECTS: Final = ".rejects.jsonl"
#: What Hugging Face writes beside data; a dataset that was saved is recognised by the first two.
_STATE: Final = "state.json"
_INFO: Final = "dataset_info.json"
_SPLITS: Final = "dataset_dict.json"
_NO_RECORDS: Final = frozenset((_STATE, _INFO, _SPLITS, "dataset_infos.json"))
_SHOWN: Final = 5

_ENDINGS: Final = {
    "compressed with gzip": (".gz", ".gzip", ".tgz"),
    "compressed with Zstandard": (".zst", ".zstd"),
    "Parquet": (".parquet", ".pq"),
    "Arrow": (".arrow", ".feather", ".ipc"),
}


@dataclass
class Found:
    """What an import reads.

    Attributes:
        sources: the files and streams, in order.
        notices: what was passed over, and names that say something else than the content.
    """

    sources: list[Path | OpenText] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    @property
    def n_bytes(self) -> int | None:
        """The sizes of the files together; None if one of them is a stream."""
        sizes = [_size(source) for source in self.sources]
        return None if None in sizes else sum(size or 0 for size in sizes)


def find(given: Given) -> Found:
    """Return the files that are meant, in order.

    Args:
        given: a file, a pattern, a directory or a stream, or several of them.

    Raises:
        UnreadableFileError: Nothing or an empty name was given, a pattern matches no file, a
            directory has no file of records, or a saved dataset lists files that it does not have.
    """
    found = Found()
    for one in [given] if isinstance(given, str | Path | OpenText) else given:
        if isinstance(one, OpenText):
            found.sources.append(one)
            continue
        if not str(one):
            raise UnreadableFileError("", "The name of a file to import is empty.")
        for path in _expanded(Path(one), found.notices):
            if path.is_dir():
                _add_directory(path, found)
            else:
                found.sources.append(path)
    if not found.sources:
        raise UnreadableFileError("", "No files are given to import.")
    for source in found.sources:
        notice = None if isinstance(source, OpenText) else _contradiction(source)
        if notice is not None:
            found.notices.append(notice)
    return found


def _expanded(path: Path, notices: list[str]) -> list[Path]:
    """Return the paths that a pattern matches, sorted; any other path is itself.

    Files of rejects are left out, with a notice.
    """
    pattern = str(path)
    if os.path.lexists(path) or not glob.has_magic(pattern):
        return [path]
    matches = sorted(glob.glob(pattern, recursive=True), key=os.fsencode)  # noqa: PTH207
    if not matches:
        raise UnreadableFileError(pattern, f"No file matches the pattern {pattern}.")
    kept = [Path(match) for match in matches if not _is_rejects(match)]
    if not kept:
        raise UnreadableFileError(
            pattern,
            f"The pattern {pattern} matches only records that were rejected ({matches[0]}).",
        )
    if n_skipped := len(matches) - len(kept):
        notices.append(f"Skipped of {pattern}: {n_skipped:,}, rejected by an earlier import.")
    return kept


def _add_directory(directory: Path, found: Found) -> None:
    skipped: list[str] = []
    n_before = len(found.sources)
    found.sources.extend(_files_below(directory, directory, skipped, found.notices))
    if skipped:
        shown = ", ".join(sorted(skipped)[:_SHOWN]) + (", ..." if len(skipped) > _SHOWN else "")
        found.notices.append(
            f"Skipped in {directory}: {len(skipped):,}, hidden or not files of records ({shown})."
        )
    if len(found.sources) == n_before:
        known = ", ".join(sorted(_RECORDS))
        raise UnreadableFileError(
            str(directory),
            f"The directory {directory} has no file of records. Their names end in one of {known}, "
            "also with .gz or .zst after it.",
        )


def _files_below(
    directory: Path, root: Path, skipped: list[str], notices: list[str]
) -> Iterator[Path]:
    """Yield the files of records in a directory and those below it, in the order of their paths."""
    if (directory / _SPLITS).is_file():
        yield from _saved_splits(directory, notices)
        return
    if (directory / _STATE).is_file() and (directory / _INFO).is_file():
        yield from _saved_files(directory)
        return
    try:
        # As if the paths were sorted: a directory comes where its name with a slash does.
        entries = sorted(
            (entry for entry in directory.iterdir()),
            key=lambda entry: os.fsencode(f"{entry.name}/" if entry.is_dir() else entry.name),
        )
    except OSError as error:
        raise UnreadableFileError(
            str(directory), f"The directory {directory} cannot be read: {error.strerror}."
        ) from error
    for entry in entries:
        hidden = entry.name.startswith(".")
        if entry.is_dir() and not entry.is_symlink() and not hidden:
            yield from _files_below(entry, root, skipped, notices)
        elif not hidden and entry.is_file() and _is_named_records(entry.name):
            yield entry
        else:
            skipped.append(entry.relative_to(root).as_posix() + "/" * entry.is_dir())


def _is_named_records(name: str) -> bool:
    path = Path(name.lower())
    if path.suffix in (*_ENDINGS["compressed with gzip"], *_ENDINGS["compressed with Zstandard"]):
        path = path.with_suffix("")
    return path.suffix in _RECORDS and name not in _NO_RECORDS and not _is_rejects(name)


def _is_rejects(name: str) -> bool:
    """Return whether an earlier import wrote the file, beside what it read."""
    return name.endswith(_REJECTS)


def _saved_splits(directory: Path, notices: list[str]) -> Iterator[Path]:
    splits = _listed(directory / _SPLITS, "splits")
    notices.append(
        f"Reading the splits {', '.join(splits)} of {directory}. A trace does not record its "
        "split: import one directory at a time with --source to tell them apart."
    )
    for split in splits:
        yield from _saved_files(directory / split)


def _saved_files(directory: Path) -> Iterator[Path]:
    state = directory / _STATE
    if _decoded(state).get("_indices_files") or _decoded(state).get("_indices_data_files"):
        raise UnreadableFileError(
            str(state),
            f"The dataset {directory} is a selection of rows of its files. Save it again, with "
            "flatten_indices() before save_to_disk().",
        )
    for name in _listed(state, "_data_files"):
        yield directory / name


def _listed(path: Path, name: str) -> list[str]:
    """Return the names in a list of a file of Hugging Face; they are names in its directory."""
    items = _decoded(path).get(name)
    names = [
        item.get("filename") if isinstance(item, dict) else item
        for item in (items if isinstance(items, list) else [])
    ]
    if not names or not all(isinstance(one, str) and Path(one).name == one for one in names):
        raise UnreadableFileError(
            str(path),
            f"{path}: The field {quoted(name)} should list the files or directories of a saved "
            "dataset beside it. Save the dataset again.",
        )
    return [str(one) for one in names]


def _decoded(path: Path) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise UnreadableFileError(
            str(path), f"The file {path} cannot be opened: {error.strerror}."
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableFileError(
            str(path), f"The file {path} of a saved dataset is not JSON. Save the dataset again."
        ) from error
    return value if isinstance(value, dict) else {}


def _size(source: Path | OpenText) -> int | None:
    """Return the size of a regular file; None of what is not one."""
    try:
        found = os.fstat(source.stream.fileno()) if isinstance(source, OpenText) else source.stat()
    except (OSError, AttributeError):
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _contradiction(path: Path) -> str | None:
    """Return a sentence about a name that says something else than the first bytes of the file."""
    if _size(path) is None:
        return None
    try:
        with path.open("rb") as file:
            beginning = file.read(MAGIC_BYTES)
    except OSError:
        return None  # the import reports it
    ending = path.suffix.lower()
    kind = _kind(beginning)
    named = next((k for k, endings in _ENDINGS.items() if ending in endings), None)
    if named == kind or (kind is None and named is None) or not (beginning and ending):
        return None
    if kind is None:
        return f"{path} is not {named}, as its name says; it is read by its content."
    return f"{path} is {kind}, which its name does not say; it is read by its content."


def _kind(beginning: bytes) -> str | None:
    if beginning.startswith(PARQUET_MAGIC):
        return "Parquet"
    if beginning.startswith((ARROW_FILE_MAGIC, ARROW_STREAM_MAGIC)):
        return "Arrow"
    compression = compression_of(beginning)
    return f"compressed with {compression}" if compression in (GZIP, ZSTANDARD) else None
