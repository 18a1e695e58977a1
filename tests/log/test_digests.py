from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tunixrt.errors import BadInputError
from tunixrt.log.digests import (
    InvalidDigestError,
    digest_bytes,
    digest_file,
    digest_value,
    digits_of,
    from_hex,
    from_raw,
    hex_of,
    is_digest,
    is_hex,
    parse_digest,
    raw_of,
)

if TYPE_CHECKING:
    from pathlib import Path

# FIPS 180-4, the example "abc".
_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_digest_is_the_sha_256_with_its_name_before_it(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert digest_bytes(b"abc") == f"sha256:{_ABC}"
    assert digest_file(path) == f"sha256:{_ABC}"
    assert digest_value({"b": 1, "a": 1.0}) == digest_bytes(b'{"a":1,"b":1}')


def test_a_digest_can_be_taken_apart_and_put_together() -> None:
    digest = digest_bytes(b"abc")
    assert hex_of(digest) == _ABC
    assert from_hex(_ABC) == digest
    assert raw_of(digest).hex() == _ABC
    assert from_raw(raw_of(digest)) == digest
    assert parse_digest(f"sha256:{_ABC}") == digest
    assert is_digest(digest)
    assert is_hex(_ABC)


def test_a_beginning_is_read_in_either_case_and_with_or_without_its_prefix() -> None:
    assert [digits_of(text) for text in ("BA78", "ba78", "sha256:ba78", "SHA256:BA78")] == [
        "ba78"
    ] * 4


@pytest.mark.parametrize(
    "text",
    [
        "",
        _ABC,
        f"sha256:{_ABC}\n",
        f"sha256:{_ABC.upper()}",
        f"sha512:{_ABC}",
        f"sha256:{_ABC[:-1]}",
        f"sha256:{_ABC}0",
        "sha256:" + "g" * 64,
        "sha256:" + "0" * 10_000,
        "sha256:" + "\u0660" * 64,
    ],
)
def test_what_is_no_digest_gets_a_sentence(text: str) -> None:
    with pytest.raises(InvalidDigestError, match="is not a digest: expected 'sha256:'") as caught:
        parse_digest(text)
    assert isinstance(caught.value, BadInputError)
    assert caught.value.text == text
    assert len(str(caught.value)) < 250


def test_hexadecimal_digits_alone_are_checked_too() -> None:
    with pytest.raises(InvalidDigestError):
        from_hex("abc")
