"""The files of a dataset: its manifest, its member lines, and the digest over both."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
from msgspec import UNSET

from tunixrt.datasets.dedupe import Duplicate
from tunixrt.datasets.recipes import Recipe, SelectionStrategy
from tunixrt.datasets.selection import DatasetStats, Member, Stratum
from tunixrt.datasets.sql import SqlQuery
from tunixrt.log.canonical import encode
from tunixrt.log.digests import (
    Digest,
    digest_bytes,
    digest_value,
    from_hex,
    from_raw,
    is_digest,
    is_hex,
)
from tunixrt.log.findings import Finding, entries, place
from tunixrt.log.merkle import MerkleTree, leaf_hash
from tunixrt.log.segment.header import DamagedError
from tunixrt.log.segment.sealed import MAX_PART_BYTES
from tunixrt.log.stored import open_stored, read_stored
from tunixrt.words import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tunixrt.log.layout import Layout

T = TypeVar("T")

DATASET_FORMAT: Final = "tunixrt-dataset-1"
DATASET_SCHEMA_VERSION: Final = "1.0"
MANIFEST_NAME: Final = "manifest.json"

#: The beginnings of the names of the files with lines.
MEMBERS: Final = "members"
DUPLICATES: Final = "duplicates"


class DatasetManifest(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """The recipe, content and origin of a dataset.

    ``filters``, ``selection_strategy``, ``limit``, ``seed``, ``splits``, ``where``, ``group_by``,
    ``stratify``, ``sql`` and ``dedupe`` are the recipe. The lineage names the parent's key and
    digest. ``members_root`` is the Merkle root over the lines, ``strata`` has the splits of every
    value of the field ``stratify``. With ``dedupe``, ``n_duplicates`` traces were left out because
    they repeat an earlier one; ``duplicates_root`` is the root over the lines that name both.
    """

    format: str
    dataset_key: str
    dataset_name: str
    dataset_version: str
    dataset_schema_version: str
    digest: Digest
    filters: dict[str, str]
    selection_strategy: SelectionStrategy
    limit: int | None
    seed: int | None
    splits: dict[str, str]
    trace_count: int
    split_counts: dict[str, int]
    stats: DatasetStats
    members_root: Digest
    snapshot: Digest
    where: str | None = None
    group_by: str | None = None
    stratify: str | None = None
    sql: SqlQuery | None = None
    dedupe: str | None = None
    n_duplicates: int | None = None
    duplicates_root: Digest | None = None
    strata: list[Stratum] | None = None
    parent_dataset_id: str | None = None
    parent_digest: Digest | None = None
    built_at: str | None = None

    @property
    def recipe(self) -> Recipe:
        """The recipe, as it enters the digest."""
        return Recipe(
            filters=self.filters,
            selection_strategy=self.selection_strategy,
            limit=self.limit,
            seed=self.seed,
            splits=self.splits,
            where=self.where,
            group_by=self.group_by,
            stratify=self.stratify,
            sql=self.sql,
            dedupe=self.dedupe,
        )


def uneven_strata(manifest: DatasetManifest) -> Iterator[str]:
    """Yield a sentence for every value of the stratifying field that a split lacks."""
    wanted = [*manifest.splits, *(["train"] if _leaves_train(manifest.splits) else [])]
    for stratum in manifest.strata or ():
        lacking = [split for split in wanted if split not in stratum.split_counts]
        if lacking:
            n = sum(stratum.split_counts.values())
            value = "no value" if stratum.value is UNSET else encode(stratum.value).decode()
            yield (
                f"{manifest.stratify} {value}: none of {n:,} traces is in "
                f"{' or '.join(lacking)}; another --seed splits them otherwise."
            )


def _leaves_train(splits: Mapping[str, str]) -> bool:
    return sum(map(Fraction, splits.values())) < 1


class Dataset(msgspec.Struct, frozen=True):
    """A dataset on disk: its manifest, and the directory that holds it."""

    manifest: DatasetManifest
    path: Path

    @property
    def key(self) -> str:
        """``NAME-VERSION``."""
        return self.manifest.dataset_key

    @property
    def digest(self) -> Digest:
        """The digest of recipe and members."""
        return self.manifest.digest


# A member holds a digest and a word, so msgspec's bytes are RFC 8785's.
member_line = msgspec.json.Encoder(order="sorted").encode
_decode_member = msgspec.json.Decoder(Member).decode
_decode_duplicate = msgspec.json.Decoder(Duplicate).decode
_decode_members = msgspec.json.Decoder(Member).decode_lines
_decode_manifest = msgspec.json.Decoder(DatasetManifest).decode


def dataset_digest(recipe: Recipe, root: Digest, n_members: int) -> Digest:
    """Return the digest of a dataset, over only its recipe and its members."""
    return digest_value(
        {
            "dataset_schema_version": DATASET_SCHEMA_VERSION,
            "members_root": root,
            "n_members": n_members,
            "recipe": recipe,
        }
    )


def members(dataset: Dataset) -> Iterator[Member]:
    """Yield the members of a dataset in ascending order of their ids.

    Raises:
        DamagedError: A file cannot be read, or a line is not that of a member. `verify` checks
            the digests.
    """
    return _parsed(dataset, MEMBERS, parse_member, "a member")


def _parsed(dataset: Dataset, kind: str, parse: Callable[[bytes], T], what: str) -> Iterator[T]:
    """Yield what the lines of one kind of file say."""
    root = dataset.path.parents[4]  # of <root>/store/datasets/<name>/<version>/<hex>
    try:
        for path, number, line in member_lines(dataset.path, kind):
            try:
                yield parse(line)
            except ValueError as error:
                problem = f"This is not the line of {what}: {error}."
                raise DamagedError(Finding(place(path, root), problem, line=number)) from error
    except OSError as error:
        raise DamagedError(unreadable_members(error, dataset.path, root)) from None


def members_at_once(dataset: Dataset) -> Iterator[Member]:
    """Yield what `members` yields, several times as fast and with less checked.

    A line that is not that of a member is found; that ``trace`` is a digest is the caller's to
    check.

    Raises:
        DamagedError: as for `members`.
    """
    try:
        for path in member_files(dataset.path):
            with open_stored(path) as file:
                listed = _decode_members(file.read())
            yield from listed
    except (OSError, ValueError):
        yield from members(dataset)  # reports what is wrong


def unreadable_members(error: OSError, directory: Path, root: Path) -> Finding:
    """Return the finding for a member file that cannot be read."""
    at = Path(os.fsdecode(error.filename or directory))
    return Finding(place(at, root), f"The members cannot be read: {error.strerror or error}.")


def parse_member(line: bytes) -> Member:
    """Return the member of a line.

    Raises:
        ValueError: It is not the line of a member (msgspec's errors are ValueErrors).
    """
    member = _decode_member(line)
    if not is_digest(member.trace):
        raise ValueError("it does not name a trace")
    return member


def member_lines(directory: Path, kind: str = MEMBERS) -> Iterator[tuple[Path, int, bytes]]:
    """Yield the member lines with their files and numbers (from 1), without the line feeds."""
    for path in member_files(directory, kind):
        with open_stored(path) as file:
            for number, line in enumerate(file, start=1):
                yield path, number, line.removesuffix(b"\n")


def member_files(directory: Path, kind: str = MEMBERS) -> list[Path]:
    """Return the files of a dataset with members, or with duplicates, in their order."""
    return sorted(directory.glob(f"{kind}-*.jsonl"), key=lambda path: (len(path.name), path.name))


def duplicates(dataset: Dataset) -> Iterator[Duplicate]:
    """Yield the traces that a dataset left out as duplicates, in ascending order of their ids.

    Raises:
        DamagedError: A file cannot be read, or a line is not that of a duplicate.
    """
    return _parsed(dataset, DUPLICATES, parse_duplicate, "a duplicate")


def parse_duplicate(line: bytes) -> Duplicate:
    """Return the duplicate of a line.

    Raises:
        ValueError: It is not the line of a duplicate (msgspec's errors are ValueErrors).
    """
    duplicate = _decode_duplicate(line)
    if not (is_digest(duplicate.trace) and is_digest(duplicate.duplicate_of)):
        raise ValueError("it does not name two traces")
    return duplicate


def read_manifest(layout: Layout, path: Path) -> tuple[DatasetManifest | None, list[Finding]]:
    """Return the manifest in a dataset's directory if it can be read, and what is wrong with it."""
    where = layout.relative(path / MANIFEST_NAME)
    try:
        data = read_stored(path / MANIFEST_NAME)
    except OSError as error:
        return None, [Finding(where, f"The manifest cannot be read: {error.strerror or error}.")]
    findings = []
    digest = digest_bytes(data)
    if not is_hex(path.name) or from_hex(path.name) != digest:
        problem = "The name of the directory is not the digest of the manifest."
        findings.append(Finding(where, problem, expected=f"sha256:{path.name}", found=digest))
    try:
        manifest = _decode_manifest(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return None, [*findings, Finding(where, f"This is not the manifest of a dataset: {error}.")]
    if manifest.format != DATASET_FORMAT:
        problem = "The manifest is of another format than this version reads."
        findings.append(
            Finding(where, problem, expected=DATASET_FORMAT, found=quoted(manifest.format))
        )
    return manifest, findings


def write_members(directory: Path, listed: Iterable[bytes], kind: str = MEMBERS) -> Digest:
    """Write the lines of members, or of duplicates, into files that end before they exceed 4 MiB.

    Returns:
        The Merkle root over the lines, which are given without their line feeds.
    """
    tree = MerkleTree()
    lines: list[bytes] = []
    size, n_files = 0, 0

    def write() -> None:
        (directory / f"{kind}-{n_files:04d}.jsonl").write_bytes(b"".join(lines))
        tree.extend_hashes([leaf_hash(line[:-1]) for line in lines])

    for line in listed:
        size += len(line) + 1
        if size > MAX_PART_BYTES:
            write()
            lines, size, n_files = [], len(line) + 1, n_files + 1
        lines.append(line + b"\n")
    write()
    return from_raw(tree.root())


def directories(path: Path, root: Path) -> list[Path]:
    """Return the directories in a directory of a store, by name; none if it does not exist.

    Raises:
        DamagedError: It cannot be listed, or is reached through a symbolic link.
    """
    return [
        path / entry.name for entry in entries(path, root) if entry.is_dir(follow_symlinks=False)
    ]
