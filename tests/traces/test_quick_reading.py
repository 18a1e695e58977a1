"""The quick reader says what the strict reader says, or nothing."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.making.conversations import conversation, conversation_value
from tests.making.traces import trace, value
from tunixrt.log.canonical import CanonicalError, decode
from tunixrt.traces.quick_reading import quick_trace
from tunixrt.traces.schema import AnyTrace, any_trace_of, payload_of
from tunixrt.traces.violations import TraceError

_STRINGS = st.one_of(
    st.sampled_from(['"a"', '"meta"', '"\\u0022"', '"\\""', '"\\\\u0022"', '"\\"meta\\":"', '""']),
    st.sampled_from(['"\\ud800"', '"\ue000"', '"\U00010000"', '"\\ud83d\\ude00"', '"é"']),
    st.text(max_size=3).map(json.dumps),
)
_NUMBERS = st.sampled_from(
    ["0", "1", "-0", "-1", "1.0", "1e0", "0.5", "1e16", "1E400", "NaN", "00"]
) | st.sampled_from([2**53 - 1, 2**53, 10**16, 10**30]).map(str)
_BLANKS = st.sampled_from(["", "", "", " ", "\t", "\r", " \n"])


def _objects(pairs: st.SearchStrategy[list[tuple[str, str]]]) -> st.SearchStrategy[str]:
    """Objects written piece by piece, so that keys may repeat and be escaped."""
    return st.tuples(pairs, _BLANKS).map(
        lambda drawn: "{" + ",".join(f"{k}{drawn[1]}:{v}" for k, v in drawn[0]) + drawn[1] + "}"
    )


def _fields(
    required: dict[str, st.SearchStrategy[str]], other: st.SearchStrategy[tuple[str, str]]
) -> st.SearchStrategy[list[tuple[str, str]]]:
    whole = st.tuples(*(st.tuples(st.just(f'"{k}"'), v) for k, v in required.items()))
    extra = st.lists(
        other | st.sampled_from(sorted(required)).flatmap(lambda k: _again(k, required[k])),
        max_size=1,
    )
    return st.tuples(whole, extra).flatmap(lambda drawn: st.permutations([*drawn[0], *drawn[1]]))


def _again(key: str, values: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, str]]:
    escaped = f'"\\u{ord(key[0]):04x}{key[1:]}"'
    return st.tuples(st.sampled_from([f'"{key}"', escaped]), values)


_ANY = st.recursive(
    _STRINGS | _NUMBERS | st.sampled_from(["null", "true"]),
    lambda inner: (
        st.lists(inner, max_size=2).map(lambda items: "[" + ",".join(items) + "]")
        | _objects(st.lists(st.tuples(_STRINGS, inner), max_size=2))
    ),
    max_leaves=4,
)
_METAS = _objects(st.lists(st.tuples(_STRINGS, _STRINGS | _ANY), max_size=3))
_STEPS = _objects(
    _fields(
        {"i": st.sampled_from("0123") | _NUMBERS, "type": _STRINGS, "content": _STRINGS},
        st.tuples(_STRINGS, _ANY),
    )
)
_LINES = _objects(
    _fields(
        {
            "trace_version": st.just('"1.0"'),
            "prompt": _STRINGS,
            "final_answer": _STRINGS,
            "steps": st.lists(_STEPS, max_size=2).map(lambda items: "[" + ",".join(items) + "]"),
        },
        st.tuples(st.just('"meta"') | _STRINGS, _METAS | st.just("null")),
    )
).map(lambda text: text.encode(errors="surrogatepass"))

_CALLS = _objects(
    _fields(
        {"name": _STRINGS, "arguments": _METAS}, st.tuples(st.just('"id"') | _STRINGS, _STRINGS)
    )
)
_CALL_LISTS = _CALLS.map(lambda call: f"[{call}]")
_MESSAGES = _objects(
    _fields(
        {"role": st.sampled_from(['"user"', '"assistant"', '"tool"']), "content": _STRINGS},
        st.tuples(st.just('"train"'), st.sampled_from(["true", "false", "null"]))
        | st.tuples(st.just('"tool_calls"'), _CALL_LISTS)
        | st.tuples(st.just('"reasoning"') | _STRINGS, _STRINGS),
    )
)
_CHATS = st.tuples(_MESSAGES, st.sampled_from(["true", "false"]), _CALLS | _STRINGS, _STRINGS).map(
    lambda drawn: (
        '[{"role":"user","content":"Q"},{"content":"A","role":"assistant","train":'
        f'{drawn[1]},"tool_calls":[{drawn[2]}]}},{{"role":"tool","content":{drawn[3]}}},{drawn[0]}]'
    )
)
_CONVERSATIONS = _objects(
    _fields(
        {"trace_version": st.just('"1.1"'), "messages": _CHATS},
        st.tuples(st.just('"meta"') | _STRINGS, _METAS | st.just("null"))
        | st.tuples(st.just('"tools"'), _METAS.map(lambda tool: f"[{tool}]")),
    )
).map(lambda text: text.encode(errors="surrogatepass"))
_CHAT = (
    b'{"trace_version":"1.1","messages":['
    b'{"role":"user","content":"Q"},{"role":"assistant","content"'
)


def _strict(line: bytes) -> tuple[AnyTrace, bytes] | None:
    try:
        read = any_trace_of(decode(line))
        return read, payload_of(read)
    except (TraceError, CanonicalError):
        return None


@given(_LINES)
@settings(max_examples=400)
# Without meta the payload has two quotation marks more, just as many as this key loses.
@example(
    b'{"trace_version":"1.0","prompt":"p","final_answer":"a",'
    b'"steps":[{"i":0,"i":0,"type":"meta","content":"c"}]}'
)
@example(
    b'{"trace_version":"1.0","prompt":"p","final_answer":"a",'
    b'"steps":[{"i":0,"i":0,"type":"t","content":"c"}]}'
)
@example(
    b'{"trace_version":"1.0","prompt":"p","final_answer":"a","meta":{"a":"b"},"meta":{},'
    b'"steps":[{"i":0,"type":"t","content":"\\u0022\\u0022"}]}'
)
def test_the_quick_reader_agrees_with_the_strict_one_or_leaves_the_line_to_it(line: bytes) -> None:
    quick = quick_trace(line)
    if quick is not None:
        assert quick == _strict(line)


@given(_CONVERSATIONS)
@settings(max_examples=400)
# Without meta the payload has two quotation marks more, just as many as this key loses.
@example(_CHAT + b':"A","tool_calls":[{"name":"f","arguments":{"meta":1,"meta":2}}]}]}')
@example(_CHAT + b':"A","train":true,"train":true}],"meta":{}}')
@example(_CHAT + b':"A","train":true,"train":false}],"meta":{}}')
@example(_CHAT + b':"A","content":"A"}]}')
def test_the_quick_reader_agrees_with_the_strict_one_on_conversations(line: bytes) -> None:
    quick = quick_trace(line)
    if quick is not None:
        assert quick == _strict(line)


@pytest.mark.parametrize(
    "line",
    [
        payload_of(conversation()),
        json.dumps(conversation_value()).encode(),
        json.dumps(conversation_value(meta=...)).encode(),
        _CHAT + b':"A"}]}',
        _CHAT + b':"A","train":true}]}',
        _CHAT + b':"A","train":false}],"meta":{}}',
        json.dumps({"meta": {"a": "x" * 200}, **conversation_value(meta=...)}).encode(),
        payload_of(trace()),
        json.dumps(value(prompt="x" * 200, meta={"messages": []})).encode(),
        json.dumps(value()).encode(),
        json.dumps(value(meta=...)).encode(),
        json.dumps(value(meta={})).encode() + b" \r",
        json.dumps(value(prompt='"', meta={"é": "\U0001f600"}), ensure_ascii=False).encode(),
        json.dumps(value(meta={"n": 5, "x": 0.5, "more": [None, {"a": True}]})).encode(),
    ],
)
def test_lines_as_people_write_them_are_read_quickly(line: bytes) -> None:
    quick = quick_trace(line)
    assert quick is not None
    assert quick == _strict(line)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"{}",
        _CHAT + b':""}]}',
        _CHAT + b':"A","name":null}]}',
        _CHAT + b':"A"},{"role":"system","content":"x"}]}',
        _CHAT + b':"A"}],"tools":[{}]}',
        _CHAT + b':"A","train":true,"train":true}]}',
        _CHAT + b':"A","tool_calls":[{"name":"f","arguments":{"x":1,"x":1}}]}]}',
        _CHAT + b':"A","tool_calls":[{"name":"f","arguments":{"x":9007199254740993}}]}]}',
        json.dumps(value(meta=None)).encode(),  # means none; the strict reader knows that
        json.dumps(value(steps=[])).encode(),
        json.dumps(value(prompt="")).encode(),
        json.dumps(value(prompt="\ud800")).encode(),
        json.dumps(value(other=1)).encode(),
        json.dumps(value(meta={"n": 2**60})).encode(),
        json.dumps(value(meta={"n": float("nan")})).encode(),
        payload_of(trace()).replace(b'"i":1', b'"i":0'),
        payload_of(trace()).replace(b'"i":0', b'"i":7'),
        payload_of(trace()).replace(b'"i":0', b'"i":0.0'),
        payload_of(trace()).replace(b'"i":0', b'"i":0,"i":0'),
        payload_of(trace()).replace(b'"meta":{', b'"meta":{"source":"manual",'),
        b'{"meta":{"a":' + b"[" * 200 + b"]" * 200 + b"}," + payload_of(trace())[1:],
        json.dumps(value(meta={"a": None})).replace("null", "[" * 140 + "]" * 140).encode(),
    ],
)  # fmt: skip
def test_what_is_not_sure_is_left_to_the_strict_reader(line: bytes) -> None:
    assert quick_trace(line) is None


def test_an_overlong_payload_is_left_to_the_strict_reader() -> None:
    long = value(meta={"a": "x" * (32 * 1024 * 1024)})
    assert quick_trace(json.dumps(long).encode()) is None
