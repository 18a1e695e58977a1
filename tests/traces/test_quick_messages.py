"""The quick reader of chats says what the strict reader says, or nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.traces.format_files import chat, model, system, user
from tunixrt.log.canonical import CanonicalError, decode, encode
from tunixrt.traces.importers.messages import read_messages
from tunixrt.traces.quick_messages import quick_messages
from tunixrt.traces.schema import payload_of, trace_id
from tunixrt.traces.views import n_steps_of
from tunixrt.traces.violations import TraceError

_TEXTS = st.sampled_from(
    ['"a"', '""', '"\\u0022"', '"\\""', '"<think>"', '"\\u003cthink\\u003e x"', '"é\\ud83d\\ude00"']
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=3).map(json.dumps)
_SAFE = st.sampled_from(['"a"', '"é"', '" b\\n c"', '"\\""'])
_ROLES = st.sampled_from(['"system"', '"user"', '"assistant"', '"tool"', '"User"', "1"])
_KEYS = st.sampled_from(["role", "content", "name", "r\\u006fle", "tool_calls", "train", "time"])
_THOUGHTS = st.sampled_from(["reasoning", "reasoning_content", "thinking"])
_COLUMNS = st.sampled_from(
    ["id", "id", "é", "\ue000", "\U00010000", "a", "messages", "meta", "tools", "system", "images"]
)
_SAFE_VALUES = st.sampled_from(
    ["null", "1", "-0", "1.0", "0.5", "1e16", "true", "[null]", '{"a":null,"b":"c"}', "[]", '["x"]']
)
_BAD_VALUES = st.sampled_from(
    ["1e400", "9007199254740993", '{"a":1,"a":1}', "NaN", '"\\ud800"', "[1e400]", '"\\u0022"']
)


def _object(pairs: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{key}:{value}" for key, value in pairs) + "}"


def _rarely(draw: st.DrawFn) -> bool:
    return draw(st.integers(0, 9)) == 0


@st.composite
def _turn(draw: st.DrawFn, role: str) -> str:
    pairs = [('"role"', role), ('"content"', draw(_TEXTS if _rarely(draw) else _SAFE))]
    if role == '"assistant"' and draw(st.booleans()):
        pairs.append((f'"{draw(_THOUGHTS)}"', draw(_SAFE)))
    if draw(st.booleans()):
        pairs.append((f'"{draw(_THOUGHTS | _KEYS)}"', "null"))
    if _rarely(draw):
        pairs.append((f'"{draw(_THOUGHTS | _KEYS)}"', draw(_TEXTS)))
    return _object(draw(st.permutations(pairs)))


@st.composite
def _lines(draw: st.DrawFn) -> bytes:
    """Chats whose roles mostly alternate, with keys that may repeat, be escaped or be unknown."""
    roles = ['"system"'] * draw(st.integers(0, 1)) + ['"user"', '"assistant"'] * 2
    roles = roles[: draw(st.integers(0, 5) if _rarely(draw) else st.integers(2, 5))]
    if roles and _rarely(draw):
        roles[draw(st.integers(0, len(roles) - 1))] = draw(_ROLES)
    turns = [draw(_turn(role)) for role in roles]
    pairs = [('"messages"', "[" + ",".join(turns) + "]")]
    columns = draw(st.lists(_COLUMNS, max_size=3, unique=not _rarely(draw)))
    for name in columns:
        values = _TEXTS | _BAD_VALUES if _rarely(draw) else _SAFE | _SAFE_VALUES
        pairs.append((f'"{name}"', draw(values)))
    blank = draw(st.sampled_from(["", " ", "\r"]))
    return (_object(draw(st.permutations(pairs))) + blank).encode(errors="surrogatepass")


def strict(line: bytes) -> tuple[bytes, str, int] | None:
    """What the strict reader says, if it has no remark."""
    try:
        read = read_messages(decode(line))
        payload = payload_of(read.trace)
    except (TraceError, CanonicalError):
        return None
    return None if read.notes else (payload, trace_id(payload), n_steps_of(read.trace))


@given(_lines())
@settings(max_examples=1000)
@example(b'{"messages":[{"role":"user","role":"user","content":"q"},{"role":"assistant"}]}')
@example(
    b'{"messages":[{"role":"user","content":"q","content":"\\u0022"},'
    b'{"role":"assistant","content":"a"}]}'
)
def test_the_quick_reader_agrees_with_the_strict_one_or_leaves_the_line_to_it(line: bytes) -> None:
    answer = quick_messages(line)
    if answer is not None:
        assert answer == strict(line)


@pytest.mark.parametrize(
    "value",
    [
        chat(user("q"), model("a")),
        chat(system("s"), user("q"), model("a"), user("q"), model("a")),
        chat(user("Ω\n"), model('"\U0001f600\\')),
        chat(user("q"), model("a"), user("q")),
        chat(user("q"), model("a", reasoning="one\n\ntwo"), meta={"id": 1, "é": [0.5, None]}),
        chat(user("q"), model("", reasoning="cut off"), meta={"a": {"b": "c"}}),
    ],
)
def test_plain_chats_are_read_quickly(value: dict[str, Any]) -> None:
    messages = {"messages": value["messages"], **value["meta"]}
    nulls = {
        "messages": [{**message, "tool_calls": None} for message in value["messages"]],
        "tools": None,
        **value["meta"],
    }
    named = encode(messages).replace(b'"reasoning"', b'"reasoning_content"')
    for line in (encode(messages), json.dumps(nulls).encode() + b"\r", named):
        answer = quick_messages(line)
        assert answer is not None
        assert answer == strict(line)
        assert answer[0] == encode({"trace_version": "1.1", **value})


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b'{"messages":[]}',
        b'{"messages":[{"role":"system","content":"s"},{"role":"user","content":"q"}]}',
        encode(chat(user("q"), model("<think>t</think>a"))),
        encode({"messages": [user("q"), model("a", name="n")]}),
        encode({"messages": [user("q"), model("a", reasoning="t", thinking="t")]}),
        encode({"messages": [user("q", reasoning="t"), model("a")]}),
        encode({"messages": [user("q"), model("a")], "meta": {"a": 1}}),
        encode({"messages": [user("q"), model("a")], "tools": []}),
        encode({"id": 1}),
        encode({"messages": [user("q"), user("q")]}),
        encode({"messages": [model("a"), user("q")]}),
        encode({"messages": [user("q"), model("")]}),
        encode({"messages": [user("q"), model("x" * (4 * 1024 * 1024 + 1))]}),
    ],
)
def test_what_is_not_sure_is_left_to_the_strict_reader(line: bytes) -> None:
    assert quick_messages(line) is None
