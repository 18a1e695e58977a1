"""The files of a dataset: its manifest, its member lines, and the digest over both."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.datasets.recipes import Recipe, SelectionStrategy
from tunixrt.datasets.selection import DatasetStats, Member
from tunixrt.log.digests import (
    Digest,
    digest_bytes,
    digest_value,
    from_hex,
    from_raw,
    is_digest,
    is_hex,
)
from tunixrt.log.findings import Finding
from tunixrt.log.merkle import MerkleTree
from tunixrt.log.segment.header import DamagedError
from tunixrt.log.segment.sealed import MAX_PART_BYTES
from tunixrt.traces.violations import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tunixrt.log.layout import Layout

DATASET_FORMAT: Final = "tunixrt-dataset-1"
DATASET_SCHEMA_VERSION: Final = "1.0"
MANIFEST_NAME: Final = "manifest.json"


class DatasetManifest(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What a dataset is and where it came from.

    ``filters``, ``selection_strategy``, ``limit``, ``seed`` and ``splits`` are the recipe. The
    lineage names the parent's key and digest. ``members_root`` is the Merkle root over the lines.
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
        )


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
_decode_manifest = msgspec.json.Decoder(DatasetManifest).decode


def dataset_digest(recipe: Recipe, root: Digest, n_members: int) -> Digest:
    """The digest of a dataset: of its recipe and its members, and of nothing else."""
    return digest_value(
        {
            "dataset_schema_version": DATASET_SCHEMA_VERSION,
            "members_root": root,
            "n_members": n_members,
            "recipe": recipe,
        }
    )


def members_root(listed: Iterable[Member]) -> Digest:
    """The Merkle root over the member lines, in their order."""
    tree = MerkleTree()
    for member in listed:
        tree.append(member_line(member))
    return from_raw(tree.root())


def members(dataset: Dataset) -> Iterator[Member]:
    """The members of a dataset in ascending order of their ids, one at a time.

    Raises:
        DamagedError: A line is not that of a member. Digests are for `verify` to check.
    """
    for path, number, line in member_lines(dataset.path):
        try:
            yield parse_member(line)
        except ValueError as error:
            # The directory is <root>/store/datasets/<name>/<version>/<hex>.
            place = path.relative_to(dataset.path.parents[4]).as_posix()
            problem = f"This is not the line of a member: {error}."
            raise DamagedError(Finding(place, problem, line=number)) from error


def parse_member(line: bytes) -> Member:
    """The member of a line.

    Raises:
        ValueError: It is not the line of one (msgspec's errors are such).
    """
    member = _decode_member(line)
    if not is_digest(member.trace):
        raise ValueError("it does not name a trace")
    return member


def member_lines(directory: Path) -> Iterator[tuple[Path, int, bytes]]:
    """The member lines with their files and numbers (from 1), without the line feeds."""
    for path in member_files(directory):
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                yield path, number, line.removesuffix(b"\n")


def member_files(directory: Path) -> list[Path]:
    """The member files of a dataset, in their order."""
    return sorted(directory.glob("members-*.jsonl"), key=lambda path: (len(path.name), path.name))


def read_manifest(layout: Layout, path: Path) -> tuple[DatasetManifest | None, list[Finding]]:
    """The manifest in a dataset's directory as far as it can be read, and what is wrong with it."""
    place = layout.relative(path / MANIFEST_NAME)
    try:
        data = (path / MANIFEST_NAME).read_bytes()
    except OSError as error:
        return None, [Finding(place, f"The manifest cannot be read: {error.strerror or error}.")]
    findings = []
    digest = digest_bytes(data)
    if not is_hex(path.name) or from_hex(path.name) != digest:
        problem = "The name of the directory is not the digest of the manifest."
        findings.append(Finding(place, problem, expected=f"sha256:{path.name}", found=digest))
    try:
        manifest = _decode_manifest(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return None, [*findings, Finding(place, f"This is not the manifest of a dataset: {error}.")]
    if manifest.format != DATASET_FORMAT:
        problem = "The manifest is of another format than this version reads."
        findings.append(
            Finding(place, problem, expected=DATASET_FORMAT, found=quoted(manifest.format))
        )
    return manifest, findings


def write_members(directory: Path, listed: Iterable[Member]) -> None:
    """Write member files, each ending before it exceeds 4 MiB."""
    lines: list[bytes] = []
    size, n_files = 0, 0

    def write() -> None:
        (directory / f"members-{n_files:04d}.jsonl").write_bytes(b"".join(lines))

    for member in listed:
        line = member_line(member) + b"\n"
        if size + len(line) > MAX_PART_BYTES:
            write()
            lines, size, n_files = [], 0, n_files + 1
        lines.append(line)
        size += len(line)
    write()


def directories(path: Path) -> list[Path]:
    """The directories in a directory, by name; none where it does not exist."""
    if not path.is_dir():
        return []
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.is_symlink())
