"""Schema 1.0: what a trace is, what its limits are, and how it gets its id."""

from __future__ import annotations

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from tests.making.traces import trace, value
from tunixrt.log.canonical import CanonicalError
from tunixrt.traces.schema import (
    MAX_PAYLOAD_BYTES,
    Trace,
    TraceStep,
    parse_payload,
    payload_of,
    trace_id,
    trace_of,
)
from tunixrt.traces.violations import TraceError, violations
from tunixrt.words import quoted


def step(**changes: Any) -> dict[str, Any]:
    whole = {"i": 0, "type": "reason", "content": "Add.", **changes}
    return {key: item for key, item in whole.items() if item is not ...}


def test_the_payload_and_the_id_of_the_documented_example_are_these_bytes() -> None:
    payload = payload_of(trace())
    assert payload == (
        b'{"final_answer":"42","meta":{"source":"manual"},"prompt":"What is 15 + 27?","steps":['
        b'{"content":"Parse the addition problem","i":0,"type":"parse"},'
        b'{"content":"Add 15 and 27","i":1,"type":"compute"}],"trace_version":"1.0"}'
    )
    assert trace_id(payload) == (
        "sha256:7b8f194d98b591ce82f74d1518b558f20cf2c90b4607dd0994661a4c1769b8fa"
    )


def test_an_absent_a_null_and_an_empty_meta_are_one_trace() -> None:
    metas: list[Any] = [..., None, {}]
    payloads = {payload_of(trace(meta=meta)) for meta in metas}
    assert len(payloads) == 1
    assert json.loads(payloads.pop())["meta"] == {}


def test_the_order_of_the_steps_in_the_file_does_not_change_the_id() -> None:
    steps = value()["steps"]
    assert payload_of(trace(steps=steps[::-1])) == payload_of(trace(steps=steps))


def test_text_is_not_unicode_normalised() -> None:
    assert payload_of(trace("caf\u00e9")) != payload_of(trace("cafe\u0301"))


LIMITS = [
    ("trace_version", 64),
    ("prompt", 50_000),
    ("final_answer", 50_000),
]


@pytest.mark.parametrize(("field", "most"), LIMITS)
def test_a_text_may_have_its_limit_and_not_one_character_more(field: str, most: int) -> None:
    # A character beyond U+FFFF is one character, whatever its bytes.
    assert getattr(trace_of(value(**{field: "😀" * most})), field) == "😀" * most
    with pytest.raises(TraceError) as error:
        trace_of(value(**{field: "😀" * (most + 1)}))
    assert str(error.value) == (
        f'The field "{field}" should be text of 1 to {most:,} characters, but is text of '
        f"{most + 1:,} characters."
    )


@pytest.mark.parametrize(("field", "most"), [("type", 64), ("content", 20_000)])
def test_a_text_of_a_step_may_have_its_limit_and_not_one_character_more(
    field: str, most: int
) -> None:
    trace_of(value(steps=[step(**{field: "x" * most})]))
    with pytest.raises(TraceError, match=rf'field "steps\[0\].{field}" should be text of 1 to'):
        trace_of(value(steps=[step(**{field: "x" * (most + 1)})]))


def test_a_trace_has_from_1_to_1000_steps() -> None:
    many = [step(i=i) for i in range(1001)]
    assert len(trace_of(value(steps=many[:1000])).steps) == 1000
    with pytest.raises(TraceError, match="1 to 1,000 steps, but is a list of 1,001"):
        trace_of(value(steps=many))
    with pytest.raises(TraceError, match="1 to 1,000 steps, but is empty"):
        trace_of(value(steps=[]))


WRONG: list[tuple[str, object, str]] = [
    ("no object", [1], "The record should be an object with the fields of a trace, but is a list"),
    ("null", None, "but is null"),
    ("missing", value(final_answer=...), 'The field "final_answer" is missing; it should be text'),
    ("missing steps", value(steps=...), 'The field "steps" is missing; it should be a list of 1'),
    ("empty", value(prompt=""), 'The field "prompt" should be text of 1 to 50,000 characters, but'),
    ("number", value(prompt=5), "but is the number 5."),
    ("bool", value(prompt=True), "but is true."),
    ("null text", value(prompt=None), "but is null."),
    ("list", value(prompt=[]), "but is a list of 0."),
    ("object", value(prompt={}), "but is an object."),
    ("steps text", value(steps="no"), 'The field "steps" should be a list of 1 to 1,000 steps'),
    ("meta text", value(meta="no"), 'The field "meta" should be an object, or absent, but is the'),
    ("misspelt", value(promt="x"), 'The field "promt" is not part of a trace. Did you mean "prom'),
    ("unknown", value(zzz=1), "The known ones are trace_version, prompt, steps, final_answer, met"),
    ("step text", value(steps=["x"]), 'The field "steps[0]" should be an object with i, type and'),
    ("no content", value(steps=[step(content=...)]), 'The field "steps[0].content" is missing'),
    ("no index", value(steps=[step(i=...)]), 'The field "steps[0].i" is missing; it should be a w'),
    ("negative", value(steps=[step(i=-1)]), "from 0 upwards, without a decimal point, but is the"),
    ("fraction", value(steps=[step(i=1.0)]), "but is the number 1.0."),
    ("bool index", value(steps=[step(i=True)]), '"steps[0].i" should be a whole number'),
    ("huge index", value(steps=[step(i=2**53)]), "but is the number 9007199254740992."),
    (
        "step field",
        value(steps=[step(kontent="x")]),
        'steps[0].kontent" is not part of a step. Did',
    ),
    (
        "same index",
        value(steps=[step(), step(i=1), step()]),
        'The field "steps[2].i" should be a number that no other step has, but is 0, which steps[',
    ),
]


@pytest.mark.parametrize(("record", "sentence"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_what_is_wrong_is_said_in_a_sentence(record: object, sentence: str) -> None:
    with pytest.raises(TraceError) as error:
        trace_of(record)
    assert sentence in str(error.value)
    assert str(error.value).endswith((".", "?"))


def test_a_violation_says_field_expected_and_found_as_data() -> None:
    with pytest.raises(TraceError) as error:
        trace_of(value(prompt=5))
    violation = error.value.violation
    assert violation.field == "prompt"
    assert violation.expected == "text of 1 to 50,000 characters"
    assert violation.found == "the number 5"


def test_a_python_value_that_no_json_holds_is_refused_in_a_sentence() -> None:
    with pytest.raises(TraceError, match="The record is not a trace: "):
        trace_of(value(meta={1: "number as key"}))


def test_a_payload_above_32_mib_is_refused() -> None:
    big = trace(steps=[step(i=i, content="\u0001" * 20_000) for i in range(300)])
    with pytest.raises(TraceError, match=rf"at most {MAX_PAYLOAD_BYTES:,} bytes \(32 MiB\)"):
        payload_of(big)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 2**53])
def test_a_number_that_json_readers_change_is_refused(number: float) -> None:
    with pytest.raises(CanonicalError):
        payload_of(trace(meta={"x": number}))


@pytest.mark.parametrize("payload", [b"", b"{", b"null", b"{}", b'{"prompt":"\xff"}'])
def test_bytes_that_are_no_payload_are_refused_in_a_sentence(payload: bytes) -> None:
    with pytest.raises(TraceError, match="A stored payload is not that of a trace: "):
        parse_payload(payload)


def test_control_characters_never_reach_a_sentence() -> None:
    assert quoted("a\x1b[31m\u202eb") == '"a\\x1b[31m\\u202eb"'
    assert quoted("x" * 100) == '"' + "x" * 59 + '…"'


# Property tests

_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
_scalar = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
)
_meta = st.dictionaries(
    _text, st.recursive(_scalar, lambda c: st.lists(c, max_size=2), max_leaves=3)
)
_steps = st.lists(
    st.tuples(st.integers(0, 2**53 - 1), _text, _text),
    min_size=1,
    max_size=4,
    unique_by=lambda s: s[0],
)
traces = st.builds(
    lambda version, prompt, steps, answer, meta: Trace(
        version, prompt, tuple(TraceStep(*s) for s in steps), answer, meta
    ),
    _text,
    _text,
    _steps,
    _text,
    _meta,
)


@given(traces)
def test_a_payload_reads_back_as_the_same_payload(whole: Trace) -> None:
    payload = payload_of(whole)
    assert payload_of(parse_payload(payload)) == payload
    again = parse_payload(payload)
    assert isinstance(again, Trace)
    assert again.prompt == whole.prompt
    assert sorted(again.steps, key=lambda s: s.i) == list(again.steps)


@given(traces)
def test_a_payload_is_what_an_independent_library_writes(whole: Trace) -> None:
    plain: Any = {
        "trace_version": whole.trace_version,
        "prompt": whole.prompt,
        "steps": [
            {"i": s.i, "type": s.type, "content": s.content}
            for s in sorted(whole.steps, key=lambda s: s.i)
        ],
        "final_answer": whole.final_answer,
        "meta": whole.meta,
    }
    assert payload_of(whole) == rfc8785.dumps(plain)


_junk = st.none() | st.booleans() | st.integers(-2, 2) | st.just(1.5) | st.text(max_size=2)
_some_step = st.fixed_dictionaries(
    {},
    optional={
        "i": st.integers(-1, 2) | _junk,
        "type": st.just("t") | _junk,
        "content": st.just("c") | _junk,
        "other": _junk,
    },
)
_some_record: st.SearchStrategy[object] = st.fixed_dictionaries(
    {},
    optional={
        "trace_version": st.just("1.0") | _junk,
        "prompt": st.just("p") | _junk,
        "final_answer": st.just("a") | _junk,
        "steps": st.lists(_some_step | _junk, max_size=3) | _junk,
        "meta": st.just({}) | _junk,
        "other": _junk,
    },
)


@given(_some_record | _junk)
def test_the_decoder_refuses_exactly_what_the_explanation_finds_fault_with(record: object) -> None:
    faults = list(violations(record))
    if not faults:
        trace_of(record)
        return
    with pytest.raises(TraceError) as error:
        trace_of(record)
    assert error.value.violation == faults[0]
