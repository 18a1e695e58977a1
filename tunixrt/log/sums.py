"""A sealed directory: ``manifest.json``, ``SHA256SUMS``, and the files that they list.

``SHA256SUMS`` lists every file but itself and ``environments/``, so ``sha256sum -c`` checks them.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Final

from tunixrt.log.checkout import Checkout
from tunixrt.log.digests import Digest, digest_stored, hex_of, of_hex
from tunixrt.log.findings import DamagedError, Finding, entries, files_below, not_plain
from tunixrt.log.stored import read_stored

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tunixrt.log.layout import Layout

MANIFEST: Final = "manifest.json"
SUMS: Final = "SHA256SUMS"
ENVIRONMENTS: Final = "environments"

_SUM_LINE: Final = re.compile(r"([0-9a-f]{64})  (\S.*)")


def hashed_names(directory: Path) -> list[str]:
    """Return the files below a directory that are hashed, by relative POSIX path, sorted.

    Raises:
        DamagedError: something in it is not a plain file, or cannot be listed.
    """
    names, findings = files_below(directory, directory)
    for finding in findings:
        raise DamagedError(finding)
    return list(filter(_is_hashed, names))


def _is_hashed(name: str) -> bool:
    return name != SUMS and not name.startswith(f"{ENVIRONMENTS}/")


def output_digests(directory: Path) -> dict[str, Digest]:
    """Return the digest of every hashed file below a directory but the manifest, sorted by name.

    Raises:
        DamagedError: something in it is not a plain file, or cannot be listed.
        OSError: a file cannot be read, or is a pointer of Git LFS.
    """
    return {
        name: digest_stored(directory / name)
        for name in hashed_names(directory)
        if name != MANIFEST
    }


def recorded_digests(directory: Path) -> dict[str, Digest]:
    """Return the digest of every hashed file that a sealed directory has, or should have.

    A file that is missing, as in a sparse checkout, or cannot be read has the digest that
    ``SHA256SUMS`` lists; `verify_sealed` reports what is wrong with it.
    """
    listed: dict[str, str] = {}
    with contextlib.suppress(OSError, UnicodeDecodeError):
        listed, _ = _parse(read_stored(directory / SUMS).decode())
    digests = {name: of_hex(digest) for name, digest in listed.items()}
    names, _ = files_below(directory, directory)  # `verify_sealed` reports anything else
    for name in filter(_is_hashed, names):
        with contextlib.suppress(OSError):
            digests[name] = digest_stored(directory / name)
    return digests


def seal(directory: Path, manifest: bytes) -> None:
    """Write the manifest and ``SHA256SUMS`` into a directory."""
    (directory / MANIFEST).write_bytes(manifest)
    names = hashed_names(directory)
    lines = [f"{hex_of(digest_stored(directory / name))}  {name}\n" for name in names]
    (directory / SUMS).write_bytes("".join(lines).encode())


def verify_sealed(
    layout: Layout, directory: Path, checkout: Checkout | None = None
) -> Iterator[Finding]:
    """Check every hashed file of a sealed directory, and the names of its environments."""
    yield from SealedVerification(layout, directory, checkout).run()


def _parse(text: str) -> tuple[dict[str, str], list[int]]:
    """Return the sums by name, and the numbers of the lines that are not a sum."""
    listed: dict[str, str] = {}
    malformed: list[int] = []
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        match = _SUM_LINE.fullmatch(line)
        if match is None:
            malformed.append(number)
        else:
            listed[match[2]] = match[1]
    return listed, malformed


class SealedVerification:
    """The verification of one sealed directory; each file is read once.

    Attributes:
        digests: of every file that could be read, by relative POSIX path; complete after `run`.
    """

    def __init__(self, layout: Layout, directory: Path, checkout: Checkout | None = None) -> None:
        """Prepare it.

        Args:
            layout: findings name files relative to its root.
            directory: what is sealed.
            checkout: what a sparse checkout leaves out; that is not a finding.
        """
        self.digests: dict[str, Digest] = {}
        self._directory = directory
        self._layout = layout
        self._checkout = checkout or Checkout()
        self._faulty: list[str] = []  # reported already; what is below them is not reported again

    @property
    def outputs(self) -> dict[str, Digest]:
        """The digests of the hashed files but the manifest."""
        return {n: d for n, d in self.digests.items() if _is_hashed(n) and n != MANIFEST}

    def run(self) -> Iterator[Finding]:
        """Check every hashed file, and the names of the environments."""
        names, findings = files_below(self._directory, self._layout.root)
        for finding in findings:
            self._faulty.append(finding.path)
            yield finding
        for name in names:
            try:
                self.digests[name] = digest_stored(self._directory / name)
            except OSError as error:
                self._faulty.append(self.place(name))
                problem = f"The file cannot be read: {error.strerror or error}."
                yield Finding(self.place(name), problem)
        yield from self._sums()
        yield from self._environments()

    def place(self, name: str) -> str:
        """Return the path of a file, as findings name it."""
        return self._layout.relative(self._directory / name)

    def is_excused(self, name: str) -> bool:
        """Return whether a file's absence is reported already, or explained by Git."""
        place = self.place(name)
        if any(place == faulty or place.startswith(f"{faulty}/") for faulty in self._faulty):
            return True
        return name not in self.digests and self._checkout.lacks(place)

    def _sums(self) -> Iterator[Finding]:
        if self.is_excused(SUMS):
            return
        here = self.place(SUMS)
        try:
            text = read_stored(self._directory / SUMS).decode()
        except (OSError, UnicodeDecodeError) as error:
            problem = error.strerror if isinstance(error, OSError) else error
            yield Finding(path=here, problem=f"The sums cannot be read: {problem}.")
            return
        listed, malformed = _parse(text)
        for number in malformed:
            yield Finding(path=here, line=number, problem="The line is not '<64 hex>  <file>'.")
        expected = {n: hex_of(d) for n, d in self.digests.items() if _is_hashed(n)}
        for name in sorted(expected.keys() | listed.keys()):
            if expected.get(name) != listed.get(name) and not self.is_excused(name):
                yield Finding(
                    path=self.place(name),
                    problem=f"The file does not have the digest that {SUMS} lists.",
                    expected=listed.get(name, "not listed"),
                    found=expected.get(name, "no such file"),
                )
        canonical_text = "".join(f"{digest}  {name}\n" for name, digest in sorted(listed.items()))
        if canonical_text != text:
            yield Finding(
                path=here, problem="The lines are not sorted, unique and ended by line feeds."
            )

    def _environments(self) -> Iterator[Finding]:
        directory = self._directory / ENVIRONMENTS
        with contextlib.suppress(DamagedError):  # reported already
            for entry in entries(directory, self._layout.root):
                if entry.is_dir(follow_symlinks=False):
                    yield not_plain(directory / entry.name, self._layout.root)
        for name, digest in self.digests.items():
            folder, _, file = name.partition("/")
            if folder == ENVIRONMENTS and file != f"{hex_of(digest)}.json":
                yield Finding(
                    path=self.place(name),
                    problem="The file is not named by its own digest; it was changed.",
                    expected=file,
                    found=digest,
                )
