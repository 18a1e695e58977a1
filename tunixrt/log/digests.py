"""Digests: ``sha256:`` and 64 lower-case hexadecimal digits, over bytes or over canonical JSON."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, NewType

from tunixrt.errors import BadInputError
from tunixrt.log.canonical import encode
from tunixrt.log.stored import open_stored, refuse_pointer
from tunixrt.words import shorten

if TYPE_CHECKING:
    from pathlib import Path

Digest = NewType("Digest", str)

_PREFIX = "sha256:"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HEX = re.compile(r"[0-9a-f]{64}")


class InvalidDigestError(BadInputError):
    """Text that should be a digest and is not.

    Attributes:
        text: What was found.
    """

    def __init__(self, text: str) -> None:
        super().__init__(
            f"{shorten(text, 80)!r} is not a digest: "
            "expected 'sha256:' and 64 lower-case hexadecimal digits."
        )
        self.text = text


def digest_bytes(data: bytes) -> Digest:
    """Return the SHA-256 of some bytes."""
    return Digest(_PREFIX + hashlib.sha256(data).hexdigest())


def digest_value(value: object) -> Digest:
    """Return the SHA-256 of the canonical JSON of a value (RFC 8785).

    Raises:
        CanonicalError: If the value has no canonical form.
    """
    return digest_bytes(encode(value))


def digest_file(path: Path) -> Digest:
    """Return the SHA-256 of a file's bytes, read in pieces.

    Raises:
        OSError: If the file cannot be read, or is a pointer that Git LFS has left in its place.
    """
    with path.open("rb") as file:
        refuse_pointer(file, path)
        return Digest(_PREFIX + hashlib.file_digest(file, "sha256").hexdigest())


def digest_stored(path: Path) -> Digest:
    """Return the SHA-256 of the bytes of a store's file, read in pieces.

    Raises:
        OSError: If it is not a plain file that can be read, or is a pointer of Git LFS.
    """
    with open_stored(path) as file:
        return Digest(_PREFIX + hashlib.file_digest(file, "sha256").hexdigest())


def parse_digest(text: str) -> Digest:
    """Return a text as a digest.

    Raises:
        InvalidDigestError: If it is not one.
    """
    if not is_digest(text):
        raise InvalidDigestError(text)
    return Digest(text)


def is_digest(text: str) -> bool:
    """Return whether a text is a whole digest, prefix and all."""
    return _DIGEST.fullmatch(text) is not None


def is_hex(text: str) -> bool:
    """Return whether a text is the 64 hexadecimal digits of a digest, as file names carry them."""
    return _HEX.fullmatch(text) is not None


def hex_of(digest: Digest) -> str:
    """Return the 64 hexadecimal digits of a digest, without the prefix."""
    return digest[len(_PREFIX) :]


def digits_of(text: str) -> str:
    """Return the digits of a digest, or of its beginning, as a person writes it.

    They are in lower case, without the prefix; nothing checks that they are digits.
    """
    return text.lower().removeprefix(_PREFIX)


def from_hex(text: str) -> Digest:
    """Return the digest with these 64 hexadecimal digits.

    Raises:
        InvalidDigestError: If they are not 64 lower-case hexadecimal digits.
    """
    return parse_digest(_PREFIX + text)


def of_hex(text: str) -> Digest:
    """Return the digest with these 64 hexadecimal digits, without checking them."""
    return Digest(_PREFIX + text)


def raw_of(digest: Digest) -> bytes:
    """Return the 32 bytes of a digest."""
    return bytes.fromhex(digest[len(_PREFIX) :])


def from_raw(raw: bytes) -> Digest:
    """Return the digest with these 32 bytes."""
    return Digest(_PREFIX + raw.hex())
