"""A directory that is sealed: ``manifest.json``, ``SHA256SUMS``, and what the two speak of.

``SHA256SUMS`` lists every file but itself and ``environments/``, so ``sha256sum -c`` checks them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tunixrt.log.digests import Digest, digest_file, hex_of
from tunixrt.log.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tunixrt.log.layout import Layout

MANIFEST: Final = "manifest.json"
SUMS: Final = "SHA256SUMS"
ENVIRONMENTS: Final = "environments"

_SUM_LINE: Final = re.compile(r"([0-9a-f]{64})  (\S.*)")


def hashed_names(directory: Path) -> list[str]:
    """The files below a directory that are hashed, by relative POSIX path, sorted."""
    names = (
        path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()
    )
    return sorted(n for n in names if n != SUMS and not n.startswith(f"{ENVIRONMENTS}/"))


def output_digests(directory: Path) -> dict[str, Digest]:
    """The digest of every hashed file below ``directory`` but the manifest, sorted by name."""
    return {
        name: digest_file(directory / name) for name in hashed_names(directory) if name != MANIFEST
    }


def seal(directory: Path, manifest: bytes) -> None:
    """Write the manifest and ``SHA256SUMS`` into a directory."""
    (directory / MANIFEST).write_bytes(manifest)
    names = hashed_names(directory)
    lines = [f"{hex_of(digest_file(directory / name))}  {name}\n" for name in names]
    (directory / SUMS).write_bytes("".join(lines).encode())


def verify_sealed(layout: Layout, directory: Path) -> Iterator[Finding]:
    """Check every hashed file of a sealed directory, and the names of its environments."""
    path = directory / SUMS
    here = layout.relative(path)
    yield from _verify_environments(layout, directory)
    try:
        text = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        yield Finding(path=here, problem=f"The sums cannot be read ({error}).")
        return
    listed: dict[str, str] = {}
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        match = _SUM_LINE.fullmatch(line)
        if match is None:
            yield Finding(path=here, line=number, problem="The line is not '<64 hex>  <file>'.")
        else:
            listed[match[2]] = match[1]
    names = hashed_names(directory)
    expected = {name: hex_of(digest_file(directory / name)) for name in names}
    for name in sorted(expected.keys() | listed.keys()):
        if expected.get(name) != listed.get(name):
            yield Finding(
                path=layout.relative(directory / name),
                problem=f"The file does not have the digest that {SUMS} lists.",
                expected=listed.get(name, "not listed"),
                found=expected.get(name, "no such file"),
            )
    canonical_text = "".join(f"{digest}  {name}\n" for name, digest in sorted(listed.items()))
    if canonical_text != text:
        yield Finding(
            path=here, problem="The lines are not sorted, unique and ended by line feeds."
        )


def _verify_environments(layout: Layout, directory: Path) -> Iterator[Finding]:
    for path in sorted((directory / ENVIRONMENTS).glob("*")):
        digest = digest_file(path)
        if path.name != f"{hex_of(digest)}.json":
            yield Finding(
                path=layout.relative(path),
                problem="The file is not named by its own digest; it was changed.",
                expected=path.name,
                found=digest,
            )
