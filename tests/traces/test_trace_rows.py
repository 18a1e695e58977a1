"""What the format `trace` exports is imported again as it was: the same ids, nothing lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.making.conversations import conversation, conversations, turns
from tests.making.traces import Place, trace, value, write_lines
from tunixrt.datasets.building import build_dataset
from tunixrt.datasets.recipes import make_recipe
from tunixrt.log.canonical import encode
from tunixrt.traces.importers.records import Rejection
from tunixrt.traces.importers.table import SourceFormat, read_traces
from tunixrt.traces.schema import encode_around, payload_of, trace_id, trace_of
from tunixrt.traces.trace_rows import read_row, trace_row

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt.log.digests import Digest
    from tunixrt.traces.conversation import Conversation

_text = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from('\n"\\\u2028\x85'), min_size=1
)
_reserved = st.sampled_from(
    [
        prefix + name
        for prefix in ("", "meta.", "meta.meta.")
        for name in ("trace_version", "recorded_at", "source", "meta")
    ]
)
_number = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53) + 1, 2**53 - 1)
_value = st.recursive(
    st.none() | st.booleans() | _number | st.just(1e16) | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=6,
)
_steps = st.dictionaries(
    st.integers(0, 2**53 - 1), st.tuples(_text, _text), min_size=1, max_size=5
).map(lambda found: [{"i": i, "type": t[:64], "content": c} for i, (t, c) in found.items()])
_trace = st.fixed_dictionaries(
    {
        "trace_version": _text.map(lambda text: text[:64]),
        "prompt": _text,
        "final_answer": _text,
        "steps": _steps,
        "meta": st.dictionaries(_text | _reserved, _value, max_size=4),
    }
)
_time = st.none() | st.just("2026-11-24T12:00:00Z")


@settings(max_examples=300)
@given(plain=_trace, recorded_at=_time)
def test_a_trace_that_is_written_as_a_row_and_read_is_the_same_trace(
    plain: dict[str, Any], recorded_at: str | None
) -> None:
    whole = trace_of(plain)
    identity = trace_id(payload_of(whole))
    row = encode_around(whole.meta, trace_row(whole, identity, recorded_at))
    read, time = read_row(row)
    assert trace_id(payload_of(read)) == identity
    assert time == recorded_at


@settings(max_examples=300)
@given(whole=conversations(), recorded_at=_time)
def test_a_conversation_that_is_written_as_a_row_and_read_is_the_same_conversation(
    whole: Conversation, recorded_at: str | None
) -> None:
    row = encode(trace_row(whole, trace_id(payload_of(whole)), recorded_at))
    read, time = read_row(row)
    assert payload_of(read) == payload_of(whole)
    assert time == recorded_at


def exported(place: Place, path: Path, **options: Any) -> Path:
    build_dataset(place.layout, place.log, "d", "v1", make_recipe(splits={"test": "0.5"}))
    path.write_bytes(place.export("d-v1", split="all", **options)[2])
    return path


def test_what_a_store_exports_another_imports_with_the_same_ids_and_exports_the_same(
    place: Place, tmp_path: Path
) -> None:
    odd = {"trace_version": "mine", "meta.recorded_at": 1e16, "recorded_at": [], "n": 5.0}
    ids = place.record(
        *(trace(f"Problem {n}\u2028") for n in range(20)),
        trace(
            meta=odd,
            trace_version="1.x",
            steps=[{"i": i, "type": f"t{i}", "content": "c"} for i in (9, 3)],
        ),
    )
    ids += place.record(
        conversation(meta=odd | {"messages": 1}),
        conversation(final_answer=...),
        turns("Q", "\u2028"),
    )
    ids += place.record(trace("later"), recorded_at="2026-11-24T12:00:00Z")
    path = exported(place, tmp_path / "rows.jsonl")
    other = Place.at(tmp_path / "other")
    report = other.take(path, SourceFormat.TRACE)
    assert (report.recorded, report.rejected) == (len(ids), 0)
    assert exported(other, tmp_path / "again.jsonl").read_bytes() == path.read_bytes()
    again = place.take(path, SourceFormat.TRACE)
    assert (again.recorded, again.duplicates) == (0, len(ids))


def read(path: Path, **options: Any) -> list[Any]:
    return list(read_traces(path, SourceFormat.TRACE, **options))


def row(identity: Digest | str | None = None, **changes: Any) -> dict[str, Any]:
    whole = trace()
    made = trace_row(whole, trace_id(payload_of(whole)), None) | changes
    if identity is not None:
        made["id"] = identity
    return {key: item for key, item in made.items() if item is not ...}


def test_a_row_without_types_and_indices_is_read_with_steps_in_its_order(tmp_path: Path) -> None:
    first = {
        "id": "0b2f",
        "prompts": "q",
        "trace_steps": ["a", "b"],
        "final_answer": "x",
        "metadata": {"trace_version": "1.0", "source": "web"},
    }
    (record,) = read(write_lines(tmp_path / "t.jsonl", [first]))
    steps = [{"i": i, "type": "reason", "content": text} for i, text in enumerate("ab")]
    expected = value(prompt="q", final_answer="x", steps=steps, meta={"source": "web"})
    assert record.id == trace_id(payload_of(trace_of(expected)))


def test_a_source_replaces_that_of_the_row_and_gives_another_trace(tmp_path: Path) -> None:
    (record,) = read(write_lines(tmp_path / "t.jsonl", [row()]), source="mine")
    assert record.id == trace_id(payload_of(trace(meta={"source": "mine"})))


def chat(identity: Digest | str | None = None, **changes: Any) -> dict[str, Any]:
    whole = conversation()
    made = trace_row(whole, trace_id(payload_of(whole)), None) | changes
    if identity is not None:
        made["id"] = identity
    return {key: item for key, item in made.items() if item is not ...}


def test_a_row_of_a_conversation_has_its_messages_and_only_what_it_has() -> None:
    assert [*chat()] == ["id", "messages", "tools", "final_answer", "metadata"]
    assert chat()["messages"][0] == {"role": "system", "content": "Be brief."}
    assert chat()["metadata"] == {"trace_version": "1.1", "source": "chat"}
    short = turns("Q", "A")
    assert [*trace_row(short, trace_id(payload_of(short)), None)] == ["id", "messages", "metadata"]


def test_an_edited_conversation_without_an_id_is_another_conversation(tmp_path: Path) -> None:
    edited = chat("mine", final_answer="5 km")
    (record,) = read(write_lines(tmp_path / "t.jsonl", [edited]))
    assert record.id == trace_id(payload_of(conversation(final_answer="5 km")))


ROWS: list[tuple[str, Any, str]] = [
    ("edited", row(prompts="Another?"), "The row is not the trace that its id names"),
    ("text", "row", "should be an object with the fields of an exported trace, but is the text"),
    ("misspelt", row(promts="x"), 'Did you mean "prompts"?'),
    ("no prompt", row(prompts=...), 'field "prompts" is missing'),
    ("no steps", row(trace_steps=...), 'field "trace_steps" is missing'),
    (
        "steps",
        row(trace_steps=[]),
        '"trace_steps" should be a list of 1 to 1,000 texts',
    ),
    ("step", row(trace_steps=["a", 1]), '"trace_steps[1]" should be text of 1 to 20,000 charac'),
    ("types", row(trace_step_types=["a"]), '"trace_step_types" should be a list of 2, one of each'),
    ("type", row(trace_step_types=["a", 5]), '"trace_step_types[1]" should be text of 1 to 64'),
    ("index", row(trace_step_indices=[0, -1]), '"trace_step_indices[1]" should be a whole number'),
    ("indices", row(trace_step_indices=[3, 3]), '"trace_step_indices[1]" should be a number that'),
    ("chat", chat(final_answer="5 km"), "The row is not the trace that its id names"),
    ("chat steps", chat(trace_steps=[]), '"trace_steps" is not part of an exported conversation'),
    ("chat metadata", chat(metadata=[]), '"metadata" should be an object, or absent'),
    (
        "chat version",
        chat(metadata={"trace_version": "1.0"}),
        '"metadata.trace_version" should be "1.1", as the row has messages, but is the text "1.0"',
    ),
    (
        "chat role",
        chat(messages=[{"role": "x", "content": ""}] * 2),
        '"messages[0].role" should be',
    ),
    ("metadata", row(metadata=[]), '"metadata" should be an object, or absent'),
    ("version", row(metadata={"trace_version": 1}), '"metadata.trace_version" should be text'),
    ("time", row(metadata={"recorded_at": "now"}), '"metadata.recorded_at" should be a time in'),
    ("wide", row("x", metadata={"n": 2**60}), "The integer 1152921504606846976 is beyond 2^53 - 1"),
]


@pytest.mark.parametrize(("bad", "sentence"), [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_a_row_that_is_no_trace_is_rejected_in_its_own_words(
    tmp_path: Path, bad: Any, sentence: str
) -> None:
    (rejection,) = read(write_lines(tmp_path / "t.jsonl", [bad]))
    assert isinstance(rejection, Rejection)
    assert sentence in rejection.reason


def test_a_row_that_is_imported_as_a_record_is_told_its_format(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "t.jsonl", json.loads(json.dumps([row(), chat()])))
    rejections = [*read_traces(path, SourceFormat.TUNIXRT)]
    assert len(rejections) == 2
    for rejection in rejections:
        assert isinstance(rejection, Rejection)
        assert "import it with --from trace" in rejection.reason
