"""Derivations that are published to a directory of the user's: reports, comparisons, sites.

Such a directory may contain other files and is not sealed. Its manifest (``report.json``) lists the
files of the derivation and states its identity. `deliver` makes the derivation in a staging
directory, which then replaces what an earlier one wrote; every other file stays. To check it,
`again` rebuilds it and compares the listed files.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, ClassVar, Generic, NamedTuple, TypeVar

import msgspec

from tunixrt.derive.derivation import QUIET, Derivation, again
from tunixrt.errors import AnswerIsNoError, BadInputError
from tunixrt.log.digests import digest_stored
from tunixrt.log.outputs import listed_files, listing, output_directory

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt.derive.derivation import Watch
    from tunixrt.derive.verdict import Verdict
    from tunixrt.log.digests import Digest
    from tunixrt.log.layout import Layout

M = TypeVar("M", bound=msgspec.Struct)
S = TypeVar("S", bound=msgspec.Struct)


class OtherContentError(AnswerIsNoError):
    """A directory does not contain what its command would write there now.

    Attributes:
        directory: the directory.
        verdict: the comparison of its files with the rebuilt ones.
    """

    def __init__(self, directory: Path, verdict: Verdict, made_by: str) -> None:
        super().__init__(
            f"{directory} is not what `{made_by}` writes now; the first difference: "
            f"{verdict.first_difference}. Without --check, the command writes it again."
        )
        self.directory = directory
        self.verdict = verdict


class Delivery(Derivation[M]):
    """A derivation that is published to a directory of the user's.

    Attributes:
        manifest_name: the file that lists the others.
        made_by: the command, for the manifest and for messages.
    """

    made_by: ClassVar[str]

    def write_manifest(self, directory: Path, manifest: M) -> None:
        """Write the manifest: the command, the files in the directory, identity and results."""
        facts = msgspec.to_builtins(manifest)
        (directory / self.manifest_name).write_bytes(
            listing(self.made_by, _files(directory), facts)
        )

    def digests(self, directory: Path) -> dict[str, Digest]:
        """Return the digest of the manifest and of every file that it lists and that exists.

        Raises:
            ForeignDirectoryError: the directory contains files and no such manifest.
        """
        names = listed_files(directory, manifest=self.manifest_name, made_by=self.made_by)
        digests: dict[str, Digest] = {}
        for name in sorted({*names, self.manifest_name}):
            with contextlib.suppress(OSError):
                digests[name] = digest_stored(directory / name)
        return digests

    def ignores(self, file: str, recorded: Path, rebuilt: Path, *, promised: bool) -> bool:  # noqa: ARG002
        """Return whether another identity, which the manifest states, explains a difference."""
        if file == self.manifest_name or not (recorded / self.manifest_name).is_file():
            return False
        old, new = ((path / self.manifest_name).read_bytes() for path in (recorded, rebuilt))
        return _identity(old) != _identity(new)


class Delivered(NamedTuple, Generic[M]):
    """What was delivered or checked: the manifest, and the size of each file by name."""

    manifest: M
    sizes: dict[str, int]


def deliver(
    layout: Layout,
    derivation: Delivery[M],
    directory: Path,
    *,
    check: bool = False,
    watch: Watch = QUIET,
) -> Delivered[M]:
    """Write a derivation into a directory of the user's, or compare it with what is there.

    Args:
        layout: where a check stages what it rebuilds.
        derivation: what to make.
        directory: a new or an empty directory, or one with an earlier one of the same kind.
        check: write nothing, and compare the listed files with the rebuilt ones.
        watch: its callbacks.

    Raises:
        ForeignDirectoryError: the directory contains other files.
        OtherContentError: ``check``, and a file differs, is missing or is superfluous.
    """
    if check:
        with again(layout, derivation, directory, watch) as made:
            if made.verdict.verdict.is_no:
                raise OtherContentError(directory, made.verdict, derivation.made_by)
            sizes = _files(made.directory)
            del sizes[derivation.manifest_name]
            return Delivered(made.manifest, sizes)
    facts: dict[str, object] = {}
    with output_directory(
        directory, manifest=derivation.manifest_name, made_by=derivation.made_by, facts=facts
    ) as staged:
        manifest = derivation.make(staged, watch, None)
        facts |= msgspec.to_builtins(manifest)
        sizes = _files(staged)
    return Delivered(manifest, sizes)


def delivered_identity(directory: Path, derivation: type[Delivery[M]], identity_type: type[S]) -> S:
    """Return the identity of what was delivered to a directory.

    Raises:
        BadInputError: its manifest is missing, is damaged, or states no such identity.
    """
    path = directory / derivation.manifest_name
    try:
        return msgspec.convert(_identity(path.read_bytes()), identity_type)
    except (OSError, msgspec.MsgspecError) as error:
        raise BadInputError(
            f"{path} does not state the identity of a {derivation.kind}: {error}. Write it again "
            f"with `{derivation.made_by}`."
        ) from error


class _Stated(msgspec.Struct, frozen=True):
    identity: object = None


def _identity(manifest: bytes) -> object:
    try:
        return msgspec.json.decode(manifest, type=_Stated).identity
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _files(directory: Path) -> dict[str, int]:
    """Return the size of every file below a directory, by relative POSIX path, sorted."""
    paths = sorted(path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): path.stat().st_size for path in paths}
