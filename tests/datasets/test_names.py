"""Names that are directories on every system."""

from __future__ import annotations

import pytest

from tunixrt.datasets.names import BadNameError, check_name, check_version, key_of, parse_key


@pytest.mark.parametrize("name", ["a", "gsm", "gsm-8k", "0", "a.b_c-d", "a" * 64, "console", "com"])
def test_a_name_that_may_be_one_is_returned(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("version", ["v1", "1.0", "2026_11_24", "a" * 32])
def test_a_version_that_may_be_one_is_returned(version: str) -> None:
    assert check_version(version) == version
    assert parse_key(key_of("my-data", version)) == ("my-data", version)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", "should be 1 to 64 of the characters a-z, 0-9"),
        ("My Data", 'How about "my-data"?'),
        ("a" * 65, "should be 1 to 64"),
        ("-a", 'How about "a"?'),
        (".hidden", 'How about "hidden"?'),
        ("a/b", 'How about "a-b"?'),
        ("../etc", "should be 1 to 64"),
        ("naïve", "should be 1 to 64"),
        ("a\n", 'The dataset name "a\\n" should be'),
        ("a.", "ends with a dot, which Windows drops from names"),
        ("a..b", "contains two dots in a row"),
        ("con", "is the name of a device on Windows"),
        ("nul.txt", "is the name of a device on Windows"),
        ("com1", "is the name of a device on Windows"),
        ("lpt9.a.b", "is the name of a device on Windows"),
        ("aux", "is the name of a device"),
        ("prn", "is the name of a device"),
    ],
)
def test_a_bad_name_is_refused_with_what_is_allowed(name: str, sentence: str) -> None:
    with pytest.raises(BadNameError) as error:
        check_name(name)
    assert sentence in str(error.value)
    assert error.value.text == name


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        ("v-1", 'How about "v_1"?'),
        ("", "1 to 32"),
        ("a" * 33, "1 to 32"),
        ("1.", "ends with a dot"),
        ("V1", 'How about "v1"?'),
        ("CON", "(no hyphen)"),
    ],
)
def test_a_bad_version_is_refused(version: str, sentence: str) -> None:
    with pytest.raises(BadNameError) as error:
        check_version(version)
    assert sentence in str(error.value)
    assert "How about" in sentence or "How about" not in str(error.value)


def test_a_key_splits_at_its_last_hyphen() -> None:
    assert parse_key("a-b-c") == ("a-b", "c")
    with pytest.raises(
        BadNameError, match="should be NAME-VERSION, such as gsm-v1, but has no hyp"
    ):
        parse_key("gsm")
    with pytest.raises(BadNameError, match="dataset version"):
        parse_key("gsm-")
