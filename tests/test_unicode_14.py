"""A text is what Unicode 14.0 says of it, on every version of Python."""

from __future__ import annotations

import hashlib
import re
import unicodedata

import pytest

from tunixrt.unicode_14 import pin, unpin

_WORD, _DIGIT, _SPACE = re.compile(r"\w"), re.compile(r"\d"), re.compile(r"\s")
_SCALARS = [*range(0xD800), *range(0xE000, 0x110000)]


def _properties(character: str) -> str:
    found = [
        _WORD.match(character) is not None,
        _DIGIT.match(character) is not None,
        _SPACE.match(character) is not None,
        character.isspace(),
        character.isdigit(),
        character.isprintable(),
        unicodedata.decimal(character, None),
    ]
    texts = [unicodedata.normalize("NFKC", character), character.casefold(), character.lower()]
    return f"{found} {texts!a}"


def test_what_is_read_of_a_pinned_character_is_the_same_on_every_version() -> None:
    digest = hashlib.sha256()
    for code in _SCALARS:
        digest.update(f"{code:x} {_properties(pin(chr(code)))}\n".encode())
    assert digest.hexdigest() == (
        "db134f86ba05c3d61ca83f66889e18a64d7a515d980478fc79da9a7b82ba9b1a"
    )


@pytest.mark.skipif(unicodedata.unidata_version != "14.0.0", reason="another version of Unicode")
def test_the_characters_that_are_pinned_are_those_that_unicode_14_does_not_assign() -> None:
    for code in _SCALARS:
        character = chr(code)
        is_pinned = pin(character) != character
        assert is_pinned == (unicodedata.category(character) == "Cn"), hex(code)


def test_texts_that_differ_still_differ_and_come_back_as_they_were_written() -> None:
    text = "4\U0001e4f4 = \U0001ccf4, é ½ \U0001f600"
    pinned = pin(text)
    assert pinned != text
    assert len(pinned) == len(text)
    assert pin(pinned) == pinned
    assert unpin(pinned, text) == text
    # Every character that Unicode 15.0 to 16.0 has added and that is no ideograph.
    new = [chr(code) for code in range(0x20000)]
    assert len({pin(character) for character in new}) == len(new)
    assert pin("4 apples, ٤ é ½") == "4 apples, ٤ é ½"
