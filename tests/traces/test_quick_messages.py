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
from tunixrt.traces.violations import TraceError

_TEXTS = st.sampled_from(
    ['"a"', '""', '"\\u0022"', '"\\""', '"<think>"', '"\\u003cthink\\u003e x"', '"é\\ud83d\\ude00"']
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=3).map(json.dumps)
_ROLES = st.sampled_from(['"system"', '"user"', '"assistant"', '"tool"', '"User"', "1"])
_KEYS = st.sampled_from(['"role"', '"content"', '"content"', '"name"', '"r\\u006fle"'])


def _object(pairs: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{key}:{value}" for key, value in pairs) + "}"


@st.composite
def _turn(draw: st.DrawFn, role: str) -> str:
    pairs = [('"role"', role), ('"content"', draw(_TEXTS))]
    if draw(st.integers(0, 5)) == 0:
        pairs.append((draw(_KEYS), draw(_TEXTS | st.just("null"))))
    return _object(draw(st.permutations(pairs)))


@st.composite
def _lines(draw: st.DrawFn) -> bytes:
    """Chats whose roles mostly alternate, with keys that may repeat, be escaped or be unknown."""
    roles = ['"system"'] * draw(st.integers(0, 1)) + ['"user"', '"assistant"'] * 2
    roles = roles[: draw(st.integers(0, 5))]
    if roles and draw(st.integers(0, 4)) == 0:
        roles[draw(st.integers(0, len(roles) - 1))] = draw(_ROLES)
    turns = [draw(_turn(role)) for role in roles]
    pairs = [('"messages"', "[" + ",".join(turns) + "]")]
    if draw(st.integers(0, 4)) == 0:
        pairs.append((draw(st.sampled_from(['"messages"', '"id"', '"meta"'])), draw(_TEXTS)))
    blank = draw(st.sampled_from(["", " ", "\r"]))
    return (_object(pairs) + blank).encode()


def strict(line: bytes) -> tuple[bytes, str, int] | None:
    try:
        payload = payload_of(read_messages(decode(line)).trace)
    except (TraceError, CanonicalError):
        return None
    return payload, trace_id(payload), 0


@given(_lines())
@settings(max_examples=500)
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
    ],
)
def test_plain_chats_are_read_quickly(value: dict[str, Any]) -> None:
    messages = {"messages": value["messages"]}
    for line in (encode(messages), json.dumps(messages).encode() + b"\r"):
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
        encode({"messages": [user("q"), model("a")], "id": 1}),
        encode({"messages": [user("q"), user("q")]}),
        encode({"messages": [model("a"), user("q")]}),
        encode({"messages": [user("q"), model("")]}),
        encode({"messages": [user("q"), model("x" * (4 * 1024 * 1024 + 1))]}),
    ],
)
def test_what_is_not_sure_is_left_to_the_strict_reader(line: bytes) -> None:
    assert quick_messages(line) is None
