"""Files of every format are imported, exported and imported again: nothing lost, or said."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.making.traces import Place, write_lines
from tests.traces import format_files
from tests.traces.format_files import FILES, FormatFile, model, user
from tunixrt.datasets.building import build_dataset
from tunixrt.datasets.recipes import make_recipe
from tunixrt.log.canonical import CanonicalError, decode, encode
from tunixrt.store import Store
from tunixrt.traces.importers.columns import ColumnMap
from tunixrt.traces.importers.guess import guess
from tunixrt.traces.importers.readers import READERS
from tunixrt.traces.importers.records import Dropped, ImportedTrace, Noted, Rejection
from tunixrt.traces.importers.table import SourceFormat, read_traces
from tunixrt.traces.importing import import_traces

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunixrt.traces.importers.records import Record

ROOT = Path(__file__).resolve().parent.parent.parent

by_name = pytest.mark.parametrize("file", FILES, ids=[file.name for file in FILES])


def written(file: FormatFile, directory: Path) -> Path:
    return write_lines(directory / "in.jsonl", file.records)


def records_of(file: FormatFile, path: Path, **options: Any) -> list[Record]:
    columns = None if file.columns is None else ColumnMap.parse(file.columns)
    return list(read_traces(path, file.source_format, columns=columns, **options))


def payloads(file: FormatFile) -> list[bytes]:
    return [
        encode({"trace_version": "1.1" if "messages" in trace else "1.0", **trace})
        for trace in file.traces
    ]


def counts(reasons: list[str]) -> dict[str, int]:
    return {reason: reasons.count(reason) for reason in sorted(set(reasons))}


@by_name
def test_a_file_of_each_format_is_read_as_what_its_makers_mean(
    file: FormatFile, tmp_path: Path
) -> None:
    records = records_of(file, written(file, tmp_path))
    assert [r.payload for r in records if isinstance(r, ImportedTrace)] == payloads(file)
    assert counts([str(r.reason) for r in records if isinstance(r, Noted)]) == file.noted
    assert counts([str(r.reason) for r in records if isinstance(r, Dropped)]) == file.dropped


def test_every_format_has_a_file() -> None:
    # The rows that `dataset export --format trace` writes are made by that export below.
    assert {file.source_format for file in FILES} == set(SourceFormat) - {SourceFormat.TRACE}
    assert READERS.keys() < set(SourceFormat)


def leaves(value: object) -> Iterator[object]:
    """The scalars of a JSON value; a text that is JSON is its value."""
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    elif isinstance(value, str) and value[:1] in {"{", "["}:
        try:
            yield from leaves(decode(value.encode()))
        except CanonicalError:
            yield value
    elif value is not None and value != "":
        yield value


def words(text: str) -> list[str]:
    """The words of a text without the tags that mark its parts."""
    for tag in ("think", "reasoning", "answer", "tool_call", "tool_response"):
        text = text.replace(f"<{tag}>", " ").replace(f"</{tag}>", " ")
    for mark in ("begin_of_thought", "end_of_thought", "begin_of_solution", "end_of_solution"):
        text = text.replace(f"<|{mark}|>", " ")
    return text.replace("#### ", " ").split()


@by_name
def test_every_value_of_a_file_is_in_its_traces_or_the_loss_is_said(file: FormatFile) -> None:
    kept: set[object] = set()
    text = ""
    for value in leaves(file.traces):
        kept.add(value)
        text += f" {value}"
    kept_words = set(words(text))
    for value in leaves(file.records):
        if value in kept or value in file.unsaid:
            continue
        assert isinstance(value, str), value
        for word in words(value):
            kept_or_said = {word, word.strip('{}":,')} & {*kept_words, *file.unsaid}
            assert kept_or_said, (value, word)


@by_name
def test_what_was_imported_is_exported_and_imported_again_as_the_same_traces(
    file: FormatFile, tmp_path: Path
) -> None:
    store = Store.init(tmp_path / "store")
    store.traces.import_(
        written(file, tmp_path), source_format=file.source_format, columns=file.columns
    )
    place = Place.at(tmp_path / "place")
    import_traces(place.log, records_of(file, written(file, tmp_path)))
    build_dataset(place.layout, place.log, "d", "v1", make_recipe())
    _, rows, data = place.export("d-v1")
    exported = tmp_path / "exported.jsonl"
    exported.write_bytes(data)
    again = list(read_traces(exported, SourceFormat.TRACE))
    assert sorted(r.payload for r in again if isinstance(r, ImportedTrace)) == sorted(
        payloads(file)
    )
    listed = {trace.id: trace for trace in store.traces}
    assert {row["id"] for row in rows} == listed.keys()
    assert guess(rows) is SourceFormat.TRACE


#: Columns need a map, so they are never guessed.
GUESSED = [file for file in FILES if file.columns is None]


@pytest.mark.parametrize("file", GUESSED, ids=[file.name for file in GUESSED])
def test_the_format_of_a_file_is_guessed(file: FormatFile) -> None:
    assert guess(file.records) is file.source_format
    assert guess(file.records[:1]) is file.source_format


@by_name
def test_a_source_is_set_on_every_trace_of_every_format(file: FormatFile, tmp_path: Path) -> None:
    records = records_of(file, written(file, tmp_path), source="elsewhere")
    found = [json.loads(r.payload) for r in records if isinstance(r, ImportedTrace)]
    assert [trace["meta"]["source"] for trace in found] == ["elsewhere"] * len(file.traces)
    for trace, expected in zip(found, file.traces, strict=True):
        assert {**trace["meta"], "source": 0} == {**expected["meta"], "source": 0}


def test_a_trajectory_over_several_lines_is_one_record(tmp_path: Path) -> None:
    file = format_files.ATIF
    path = tmp_path / "trajectory.json"
    path.write_text(json.dumps(file.records[0], indent=2))
    records = records_of(file, path)
    assert [(r.line, r.payload) for r in records if isinstance(r, ImportedTrace)] == [
        (1, payloads(file)[0])
    ]


def test_sessions_one_after_the_other_are_traces_of_their_own(tmp_path: Path) -> None:
    file = format_files.SESSION
    path = tmp_path / "sessions.jsonl"
    path.write_text(file.text + "\n" + file.text.replace("abc123", "def456"))
    first, second = records_of(file, path)
    assert isinstance(first, ImportedTrace)
    assert isinstance(second, ImportedTrace)
    assert (first.line, second.line) == (1, 7)
    assert json.loads(second.payload)["meta"]["id"] == "def456"


PAGE = ROOT / "docs" / "importing.md"
#: The rows of the table of formats: the name, and the rest of the row.
ROWS = re.findall(r"^\| `([a-z0-9-]+)` \| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_page_has_a_row_for_every_format() -> None:
    assert [name for name, _ in ROWS] == [*dict.fromkeys(name for name, _ in ROWS)]
    assert {name for name, _ in ROWS} == {*SourceFormat, "predictions"}


@pytest.mark.parametrize(
    ("name", "row"), [row for row in ROWS if "`{" in row[1]], ids=lambda text: text[:20]
)
def test_the_record_that_the_page_shows_is_one_trace(name: str, row: str, tmp_path: Path) -> None:
    shown = re.findall(r"`(.*?)`", row)
    path = tmp_path / "in.jsonl"
    path.write_text("\n".join(line for line in shown if line.startswith("{")))
    maps = [text.removeprefix("--map ") for text in shown if text.startswith("--map ")]
    columns = ColumnMap.parse(maps[0]) if maps else None
    (record,) = read_traces(path, SourceFormat(name), columns=columns)
    assert isinstance(record, ImportedTrace)


#: Records with a word in an unusual place, which begins with "kept".
UNUSUAL: list[tuple[str, dict[str, Any]]] = [
    ("prompt-completion", {"prompt": "p", "completion": "c", "system": "kept"}),
    ("prompt-completion", {"prompt": [user("p")], "completion": "c", "system": "kept"}),
    ("think", {"prompt": "p", "completion": "<think>t</think>c", "system": "kept"}),
    ("think", {"prompt": "p", "completion": "\\boxed{kept1}", "final_answer": ["kept2"]}),
    ("messages", {"messages": [user("p"), {**model("c"), "refusal": "kept"}]}),
    ("messages", {"messages": [{**user("p"), "tool_call_id": "kept"}, model("c")]}),
    (
        "messages",
        {
            "messages": [
                user("p"),
                {
                    **model("c"),
                    "tool_calls": [{"id": "1", "name": "f", "arguments": {}}],
                    "function_call": {"name": "kept1", "arguments": "{}"},
                },
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "1", "content": "r", "at": "kept2"}
                    ],
                    "at": "kept3",
                    "name": "kept4",
                },
            ]
        },
    ),
    (
        "messages",
        {
            "messages": [
                user("p"),
                {**model("c"), "tool_calls": [{"id": "1", "name": "f", "arguments": {}}]},
                {"role": "tool", "content": [{"type": "tool_result", "content": "kept"}]},
            ]
        },
    ),
    (
        "alpaca",
        {
            "instruction": "i",
            "output": "o",
            "tools": [
                {
                    "functionDeclarations": [{"name": "kept1"}],
                    "function_declarations": [{"name": "kept2"}],
                    "kept3": {"a": "kept4"},
                }
            ],
        },
    ),
    (
        "atif",
        {
            "schema_version": "ATIF-v1.6",
            "session_id": "s",
            "agent": {"name": "a", "version": "1"},
            "steps": [
                {"step_id": 1, "source": "user", "message": "p"},
                {
                    "step_id": 2,
                    "source": "agent",
                    "message": "c",
                    "observation": {
                        "results": [{"content": "kept1", "extra": {"a": "kept2"}}],
                        "extra": "kept3",
                    },
                },
            ],
        },
    ),
]


@pytest.mark.parametrize(("source_format", "record"), UNUSUAL)
def test_what_is_in_an_unusual_place_of_a_record_is_kept(
    source_format: str, record: dict[str, Any], tmp_path: Path
) -> None:
    path = write_lines(tmp_path / "in.jsonl", [record])
    read = list(read_traces(path, SourceFormat(source_format)))
    payloads = b"".join(each.payload for each in read if isinstance(each, ImportedTrace))
    words = set(re.findall(rb"kept\d?", json.dumps(record).encode()))
    assert words <= set(re.findall(rb"kept\d?", payloads)), read


def test_what_only_an_assistant_has_is_refused_in_the_message_of_a_tool(tmp_path: Path) -> None:
    call = {**model("c"), "tool_calls": [{"id": "1", "name": "f", "arguments": {}}]}
    result = {"role": "tool", "tool_call_id": "1", "content": "r", "reasoning": "t"}
    path = write_lines(tmp_path / "in.jsonl", [{"messages": [user("p"), call, result]}])
    (rejection,) = read_traces(path, SourceFormat.MESSAGES)
    assert isinstance(rejection, Rejection)
    assert rejection.field == "messages[2].reasoning"
