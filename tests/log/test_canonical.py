from __future__ import annotations

import json
import math
import struct

import msgspec
import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from tunixrt.log import exact_json
from tunixrt.log.canonical import (
    MAX_DEPTH,
    MAX_INTEGER,
    CanonicalError,
    JsonValue,
    are_canonical,
    decode,
    decode_canonical,
    encode,
    is_canonical,
)

# Text that is likely to meet every rule: escapes, quotation marks, both sides of the surrogates.
_CHARACTERS = st.one_of(
    st.sampled_from(
        '"\\/\b\n\r\t\x00\x1f\x7f\u2028\ud7ff\ue000\ufe0f\uffff\U00010000\U0001f600a1.e'
    ),
    st.characters(exclude_categories=["Cs"]),
)
_TEXT = st.text(_CHARACTERS, max_size=8)
_FLOATS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(10**22), 10**22).map(float),
    st.decimals(-1000, 1000, places=3).map(float),
    st.integers(-10, 25).map(lambda exponent: 1.5 * 10.0**exponent),
)
_INTEGERS = st.integers(-MAX_INTEGER, MAX_INTEGER)
_VALUES: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | _INTEGERS | _FLOATS | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(_VALUES)
@example({"\ue000": 1, "\U00010000": 2, "z": 3})
@example([1e16, 1.0, -0.0, 0.0, 1e21, 1e-7, 5e-324, 0.1, 123456789012345680.0])
@example({"": {"": ['"', "\\", '\\"', "\\\\"]}})
def test_encoding_agrees_with_an_independent_library(value: JsonValue) -> None:
    assert encode(value) == rfc8785.dumps(value)


@given(_FLOATS)
def test_numbers_are_written_as_ecmascript_does(value: float) -> None:
    assert encode(value) == rfc8785.dumps(value)
    assert exact_json.number(value).encode() == rfc8785.dumps(value)


@given(_VALUES)
def test_what_was_encoded_reads_back_as_the_same_canonical_bytes(value: JsonValue) -> None:
    data = encode(value)
    again = decode_canonical(data)
    assert encode(again) == data
    assert again == value
    assert is_canonical(data)


@given(_VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_strict_decoding_agrees_with_the_standard_library_on_good_json(
    value: JsonValue, ensure_ascii: bool, indent: int | None
) -> None:
    data = json.dumps(value, ensure_ascii=ensure_ascii, indent=indent).encode()
    assert decode(data) == json.loads(data)


# A JSON text written piece by piece, so that keys may repeat and characters may be escaped.
_ESCAPED = st.tuples(_CHARACTERS, st.booleans()).map(
    lambda pair: json.dumps(pair[0])[1:-1] if not pair[1] else _as_escape(pair[0])
)
_KEY = st.lists(_ESCAPED, max_size=2).map(lambda pieces: '"' + "".join(pieces) + '"')


def _as_escape(character: str) -> str:
    units = character.encode("utf-16-be")
    return "".join(f"\\u{unit:04X}" for (unit,) in struct.iter_unpack(">H", units))


_TEXTS = st.recursive(
    st.sampled_from(["0", "null", '"\\""', '"\\u0022"', '"\\\\u0022"', "[]"]) | _KEY,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[" + " , ".join(items) + "]")
        | st.lists(st.tuples(_KEY, inner), max_size=4).map(
            lambda pairs: "{" + ",".join(f"{key} :{value}" for key, value in pairs) + "}"
        )
    ),
    max_leaves=10,
)


def _has_duplicate_keys(text: str) -> bool:
    found = False

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        nonlocal found
        found = found or len(dict(items)) != len(items)
        return dict(items)

    json.loads(text, object_pairs_hook=pairs)
    return found


@given(_TEXTS)
@example('{"a":1,"\\u0061":2}')
@example('{"a":"\\u0022","a":""}')
@example('{"a":"\\u0022\\u0022","a":"","b":"\\""}')
def test_duplicate_keys_are_found_however_they_are_written(text: str) -> None:
    if _has_duplicate_keys(text):
        with pytest.raises(CanonicalError, match="occurs twice in one object"):
            decode(text.encode())
    else:
        assert decode(text.encode()) == json.loads(text)


@given(_TEXTS, st.integers(0, 200), st.binary(max_size=3))
def test_the_fast_and_the_exact_reader_accept_the_same_bytes(
    text: str, at: int, inserted: bytes
) -> None:
    data = text.encode()
    at %= len(data) + 1
    data = data[:at] + inserted + data[at + 1 :]
    try:
        expected = exact_json.parse(data)
    except CanonicalError:
        with pytest.raises(CanonicalError):
            decode(data)
    else:
        assert decode(data) == expected


@given(_VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_only_canonical_bytes_are_canonical(
    value: JsonValue, ensure_ascii: bool, indent: int | None
) -> None:
    data = json.dumps(value, ensure_ascii=ensure_ascii, indent=indent).encode()
    assert is_canonical(data) == (data == rfc8785.dumps(value))


@given(st.lists(_VALUES.map(encode) | _TEXTS.map(lambda t: t.replace("\n", "").encode())))
@example([b"1", b"", b"2"])
@example([b"[1", b"2]"])
@example([b"1 2"])
@example([b"1.0"])
@example([b"10000000000000000", b"12345678901234567"])
@example([b"[" * 129 + b"]" * 129])
@example(['{"\U00010000":1,"\ue000":2}'.encode()])
def test_many_texts_are_canonical_exactly_if_each_of_them_is(texts: list[bytes]) -> None:
    assert are_canonical(texts) == all(map(is_canonical, texts))


def test_the_example_of_rfc_8785_section_3_2_2() -> None:
    data = rb"""{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }"""
    assert (
        encode(decode(data))
        == (
            '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
            '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
        ).encode()
    )


def test_keys_are_sorted_by_utf_16_code_units_as_in_rfc_8785_section_3_2_3() -> None:
    value = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    assert list(json.loads(encode(value)).values()) == [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ]


@pytest.mark.parametrize(
    ("bits", "expected"),
    [
        ("0000000000000000", "0"),
        ("8000000000000000", "0"),
        ("0000000000000001", "5e-324"),
        ("8000000000000001", "-5e-324"),
        ("7fefffffffffffff", "1.7976931348623157e+308"),
        ("ffefffffffffffff", "-1.7976931348623157e+308"),
        ("4340000000000000", "9007199254740992"),
        ("c340000000000000", "-9007199254740992"),
        ("4430000000000000", "295147905179352830000"),
        ("44b52d02c7e14af5", "9.999999999999997e+22"),
        ("44b52d02c7e14af6", "1e+23"),
        ("44b52d02c7e14af7", "1.0000000000000001e+23"),
        ("444b1ae4d6e2ef4e", "999999999999999700000"),
        ("444b1ae4d6e2ef4f", "999999999999999900000"),
        ("444b1ae4d6e2ef50", "1e+21"),
        ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
        ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("41b3de4355555553", "333333333.3333332"),
        ("41b3de4355555554", "333333333.33333325"),
        ("41b3de4355555555", "333333333.3333333"),
        ("41b3de4355555556", "333333333.3333334"),
        ("41b3de4355555557", "333333333.33333343"),
        ("becbf647612f3696", "-0.0000033333333333333333"),
        ("43143ff3c1cb0959", "1424953923781206.2"),
    ],
)
def test_the_numbers_of_rfc_8785_appendix_b(bits: str, expected: str) -> None:
    (value,) = struct.unpack(">d", bytes.fromhex(bits))
    assert encode(value) == expected.encode()
    assert encode([value]) == f"[{expected}]".encode()


class _Step(msgspec.Struct, omit_defaults=True):
    content: str
    weight: float = 1.0


def test_structs_are_written_as_objects_with_sorted_keys() -> None:
    assert encode([_Step("a"), _Step("b", 2.0)]) == b'[{"content":"a"},{"content":"b","weight":2}]'


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (math.nan, "The number nan has no JSON form"),
        ({"a": [math.inf]}, "The number inf has no JSON form"),
        ([-math.inf], "The number -inf has no JSON form"),
        (2**53, "The integer 9007199254740992 is beyond"),
        ([-(2**53)], "The integer -9007199254740992 is beyond"),
        (10**5000, "The integer with 16610 bits is beyond"),
        ("a\ud800", r"the lone surrogate U\+D800 at character 2"),
        ({"\udc00": 1}, r"the lone surrogate U\+DC00 at character 1"),
        ({1: 1.0}, "The key 1 is not text"),
        (object(), "A value of type object has no JSON form"),
        ([1.0, object()], "A value of type object has no JSON form"),
    ],
    ids=lambda value: None if isinstance(value, str) else "value",
)
def test_a_value_without_canonical_form_gets_a_sentence(value: object, sentence: str) -> None:
    with pytest.raises(CanonicalError, match=sentence) as caught:
        encode(value)
    assert caught.value.reason.endswith(".")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "The text is empty: expected a JSON value"),
        (b" \r\n", "The text is empty: expected a JSON value"),
        (b"\xef\xbb\xbf{}", "The text begins with a byte order mark"),
        (b'{"a":1,"a":2}', 'The key "a" occurs twice in one object'),
        (b'[{"a":1,"b":{"c":1,"\\u0063":2}}]', 'The key "c" occurs twice in one object'),
        (b"NaN", "NaN is not a JSON number"),
        (b"[-Infinity]", "-Infinity is not a JSON number"),
        (b"9007199254740992", r"The integer 9007199254740992 is beyond 2\^53 - 1"),
        (b"-9007199254740992", "The integer -9007199254740992 is beyond"),
        (b"1" * 5000, r"The integer 11111111111111111111... \(5000 digits\) is beyond"),
        (b"1e400", "The number 1e400 is too large for a double"),
        (b'"\\ud800"', r"the lone surrogate U\+D800"),
        (b'{"\\udfff":1}', r"the lone surrogate U\+DFFF"),
        (b'"\\ud800\\ud800"', r"the lone surrogate U\+D800"),
        (b'"a\xff"', r"Byte 3 \(0xff\) is not valid UTF-8"),
        (b'"\xed\xa0\x80"', r"Byte 2 \(0xed\) is not valid UTF-8"),
        (b"1 2", 'This is not JSON at column 3: Extra data, and found "2"'),
        (b'{"a":1', "This is not JSON at column 7: .*, and found the end of the text"),
        (b'{\n"a" 1}', 'This is not JSON at line 2 of the value: .*, and found "1}"'),
        (b"01", "This is not JSON at column 2"),
        (b"[1.]", "This is not JSON at column 3"),
        (b"{'a':1}", "This is not JSON at column 2: .*, and found \"'a':1}\""),
        (b'"\x01"', "This is not JSON at column 2: Invalid control character"),
        (b'"\\x"', r"This is not JSON at column 2: Invalid \\escape"),
        (b"[" * 100_000 + b"]" * 100_000, "nested more than 128 deep"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested more than 128 deep"),
        (b'["' + b'\\"' * 100_000, "This is not JSON"),
    ],
    ids=lambda value: repr(value[:30]),
)
def test_bad_json_gets_a_sentence_that_names_the_place(data: bytes, sentence: str) -> None:
    with pytest.raises(CanonicalError, match=sentence) as caught:
        decode(data)
    assert caught.value.reason.endswith(".")
    assert str(caught.value) == caught.value.reason


def _nested(depth: int) -> JsonValue:
    value: JsonValue = "leaf [[[["
    for level in range(depth):
        value = [value] if level % 2 else {"[{": value}
    return value


def test_nesting_is_limited_at_the_same_depth_on_every_path() -> None:
    many: JsonValue = [[[]]] * (MAX_DEPTH + 1)
    allowed: list[JsonValue] = [_nested(MAX_DEPTH), [_nested(MAX_DEPTH - 1), 1.0], many]
    for inner in allowed:
        data = encode(inner)
        assert data == rfc8785.dumps(inner)
        assert decode(data) == inner
        assert decode_canonical(data) == inner
    for deeper in (_nested(MAX_DEPTH + 1), [_nested(MAX_DEPTH), 1.0], _nested(100_000)):
        with pytest.raises(CanonicalError, match="nested more than 128 deep"):
            encode(deeper)
    data = json.dumps(_nested(MAX_DEPTH + 1)).encode()
    for read in (decode, decode_canonical):
        with pytest.raises(CanonicalError, match="nested more than 128 deep"):
            read(data)
    assert not is_canonical(data)


def test_large_doubles_survive_a_store_although_integers_of_that_size_are_refused() -> None:
    data = encode({"flops": 3.2e18, "exact": 1e16})
    assert data == b'{"exact":10000000000000000,"flops":3200000000000000000}'
    assert decode_canonical(data) == {"flops": 3.2e18, "exact": 1e16}
    with pytest.raises(CanonicalError, match="write it as text"):
        decode(data)


@pytest.mark.parametrize(
    "data",
    [
        b"9007199254740993",
        b"10000000000000001",
        b"1e16",
        b"1.0",
        b"-0",
        b"1e+400",
        b"1" * 400,
        b' {"a":1}',
        b'{"b":1,"a":1}',
        b'{"a":1,"a":1}',
        b'"\\u0041"',
        b'"\\/"',
        b'"\\u001F"',
        b"{}\n",
        b"",
        b"\xff",
    ],
)
def test_bytes_that_nobody_writes_canonically_are_not_canonical(data: bytes) -> None:
    assert not is_canonical(data)


def test_two_spellings_of_one_letter_stay_two_values() -> None:
    assert encode("\u00e9") != encode("e\u0301")
