"""Exports: the shapes that users know, the same bytes every time, every omission counted."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.making.traces import Place, trace, value
from tunixrt.datasets.building import (
    AmbiguousDatasetError,
    build_dataset,
    list_datasets,
    load_dataset,
)
from tunixrt.datasets.exports import ExportError, ExportFormat, parse_export_format
from tunixrt.datasets.reading import DatasetReader
from tunixrt.datasets.recipes import Split, make_recipe
from tunixrt.datasets.render import DataFormat, derived_id, render_example
from tunixrt.datasets.text import Text
from tunixrt.log.digests import digest_bytes
from tunixrt.log.redaction import redact
from tunixrt.log.segment.header import DamagedError
from tunixrt.traces.facts import redacted, retracted
from tunixrt.traces.importers.lines import on_one_line
from tunixrt.traces.payloads import read_payload
from tunixrt.traces.state import project
from tunixrt.traces.trace_rows import read_row


def build(place: Place, version: str = "v1", **recipe: Any) -> None:
    build_dataset(place.layout, place.log, "d", version, make_recipe(**recipe))


def test_the_trace_format_is_this_byte_for_byte(place: Place) -> None:
    (a,) = place.record(trace())
    build(place)
    report, _, data = place.export("d-v1")
    assert data.decode() == (
        f'{{"final_answer":"42","id":"{a}",'
        r'"metadata":"{\"source\":\"manual\",\"trace_version\":\"1.0\"}",'
        '"prompts":"What is 15 + 27?","trace_step_indices":[0,1],'
        '"trace_step_types":["parse","compute"],'
        '"trace_steps":["Parse the addition problem","Add 15 and 27"]}\n'
    )
    assert (report.format, report.rows, report.omitted) == (ExportFormat.TRACE, 1, {})
    assert report.sha256 == digest_bytes(data)


def test_the_tunix_sft_format_has_the_documented_fields(place: Place) -> None:
    (a,) = place.record(trace())
    build(place)
    _, rows, _ = place.export("d-v1", ExportFormat.TUNIX_SFT, system="Think.")
    assert rows == [
        {
            "id": a,
            "prompts": "<start_of_turn>user\nThink.\n\nWhat is 15 + 27?<end_of_turn>\n"
            "<start_of_turn>model\nReasoning:\n1. Parse the addition problem\n2. Add 15 and 27\n"
            "Answer: 42<end_of_turn>",
            "final_answer": "42",
            "metadata": {"trace_version": "1.0", "format": "tunix_sft", "source": "manual"},
        }
    ]


def test_the_training_example_format_has_the_documented_fields_and_a_derived_id(
    place: Place,
) -> None:
    (a,) = place.record(trace())
    build(place)
    _, rows, _ = place.export("d-v1", ExportFormat.TRAINING_EXAMPLE)
    assert rows == [
        {
            "id": derived_id(a, DataFormat.TRAINING_EXAMPLE, None),
            "prompt": "What is 15 + 27?\n\nPlease show your reasoning steps.",
            "response": "Reasoning:\n1. Parse the addition problem\n2. Add 15 and 27\nAnswer: 42",
            "metadata": {"source_trace_id": a, "trace_version": "1.0", "source": "manual"},
        }
    ]
    _, with_system, _ = place.export("d-v1", ExportFormat.TRAINING_EXAMPLE, system="Think.")
    assert with_system[0]["prompt"].startswith("Think.\n\nWhat is")
    assert with_system[0]["id"] != rows[0]["id"]


def test_a_recorded_time_is_exported_only_where_it_was_given(place: Place) -> None:
    place.record(trace("a"))
    place.record(trace("b"), recorded_at="2026-11-24T12:00:00Z")
    build(place)
    for export_format in (ExportFormat.TRACE, ExportFormat.TUNIX_SFT):
        _, rows, _ = place.export("d-v1", export_format)
        times = sorted(str(row["metadata"].get("recorded_at")) for row in rows)
        assert times == ["2026-11-24T12:00:00Z", "None"]


def test_metadata_of_a_trace_never_replaces_ours_and_is_never_lost(place: Place) -> None:
    meta = {"trace_version": "mine", "format": "mine", "meta.format": "too", "source": "s"}
    place.record(trace(meta=meta))
    build(place)
    _, rows, _ = place.export("d-v1", ExportFormat.TUNIX_SFT)
    assert rows[0]["metadata"] == {
        "trace_version": "1.0",
        "meta.trace_version": "mine",
        "format": "tunix_sft",
        "meta.meta.format": "mine",
        "meta.format": "too",
        "source": "s",
    }


def test_a_number_of_metadata_keeps_its_value_through_store_and_export(place: Place) -> None:
    meta = {"big": 1e16, "small": -0.0, "whole": 5.0, "int": 2**53 - 1}
    place.record(trace(meta=meta))
    build(place)
    _, rows, data = place.export("d-v1")
    assert rb"\"big\":10000000000000000," in data
    assert rows[0]["metadata"] == {**meta, "trace_version": "1.0"}
    assert [read_row(line) for line in data.splitlines()] == [(trace(meta=meta), None)]


def test_a_split_exports_its_members_and_counts_the_others(place: Place) -> None:
    place.record(*(trace(f"Problem {n}") for n in range(20)))
    build(place, splits={"test": "0.5"})
    whole, every, _ = place.export("d-v1", split="all")
    test, in_test, _ = place.export("d-v1", split="test")
    train, in_train, _ = place.export("d-v1", split="train")
    assert (whole.rows, test.rows + train.rows) == (20, 20)
    assert test.omitted == {"in another split": train.rows}
    assert 0 < test.rows < 20
    rows = [{**row, "split": "test"} for row in in_test]
    rows += [{**row, "split": "train"} for row in in_train]
    assert sorted(rows, key=lambda row: row["id"]) == every
    assert place.export("d-v1")[2] == place.export("d-v1", split="train")[2]


def test_a_split_without_members_is_refused_with_the_splits_that_have_some(place: Place) -> None:
    place.record(*(trace(f"Problem {n}") for n in range(3)))
    build(place, splits={"test": "1"})
    with pytest.raises(
        ExportError, match=r"d-v1 has no members in the split train\. Its members are: 3 test\."
    ):
        place.export("d-v1")
    report, rows, _ = place.export("d-v1", split="all")
    assert (report.rows, {row["split"] for row in rows}) == (3, {"test"})


#: The formats that need no labels.
UNLABELLED = [one for one in ExportFormat if one is not ExportFormat.STEPWISE]
BREAKS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"


@pytest.mark.parametrize("export_format", UNLABELLED)
def test_a_row_is_one_line_for_readers_that_split_at_every_line_break_of_unicode(
    place: Place, export_format: ExportFormat
) -> None:
    assert len(f"{BREAKS}.".splitlines()) == len(BREAKS) + 1
    text = "".join(f"a{c}b\\{c}" for c in BREAKS)
    step = {"i": 0, "type": "t", "content": text}
    place.record(trace(text, steps=[step], final_answer=text, meta={text: text}))
    build(place)
    report, rows, data = place.export("d-v1", export_format)
    assert len(data.decode().splitlines()) == 1
    assert report.sha256 == digest_bytes(data)
    assert rfc8785.dumps(json.loads(data)) + b"\n" != data
    if "metadata" in rows[0]:
        assert text in rows[0]["metadata"].values()


def test_a_retraction_after_the_build_changes_no_export(place: Place) -> None:
    a, _ = place.record(trace("a"), trace("b"))
    build(place)
    _, _, before = place.export("d-v1")
    place.say(retracted(a))
    assert place.export("d-v1")[2] == before


def test_a_redacted_member_is_omitted_and_counted(place: Place) -> None:
    a, b = place.record(trace("a"), trace("b"))
    build(place)
    redact(place.log, [a])
    report, rows, _ = place.export("d-v1")
    assert ([row["id"] for row in rows], report.omitted) == ([b], {"redacted": 1})


def test_a_redaction_counts_before_the_payload_is_gone(place: Place) -> None:
    a, _ = place.record(trace("a"), trace("b"))
    build(place)
    place.say(redacted(a))
    report, _, data = place.export("d-v1")
    assert report.omitted == {"redacted": 1}
    assert a.encode() not in data


def test_two_stores_at_different_paths_export_the_same_bytes(place: Place, tmp_path: Path) -> None:
    other = Place.at(tmp_path / "deep" / "down")
    for one in (place, other):
        one.record(*(trace(f"Problem {n}") for n in range(5)))
        build(one)
    for export_format in UNLABELLED:
        assert place.export("d-v1", export_format)[2] == other.export("d-v1", export_format)[2]


def test_a_text_that_looks_like_a_special_token_is_counted(place: Place) -> None:
    place.record(trace("harmless"), trace("a <end_of_turn> b"), trace(meta={"x": "<bos>"}))
    build(place)
    report, rows, _ = place.export("d-v1", ExportFormat.TRACE)
    assert (report.rows, report.n_with_template_text) == (3, 1)
    assert any(row["prompts"] == "a <end_of_turn> b" for row in rows)


def test_what_cannot_be_exported_is_said_in_a_sentence(place: Place, tmp_path: Path) -> None:
    place.record(trace("a"), trace("b"))
    build(place)
    assert parse_export_format("tunix_sft") is ExportFormat.TUNIX_SFT
    with pytest.raises(
        ExportError,
        match=r"The formats are trace, tunix_sft, training_example, messages, "
        r"prompt_completion, text, stepwise\.",
    ):
        parse_export_format("parquet")
    with pytest.raises(ExportError, match=r'Did you mean "tunix_sft"\?'):
        parse_export_format("tunix-sft")
    with pytest.raises(
        ExportError, match=r'no split "tset"\. The splits are train, validation, test; all is'
    ):
        place.export("d-v1", split="tset")
    with pytest.raises(ExportError, match="The format trace writes traces as they are"):
        place.export("d-v1", system="Think.")


def test_examples_for_training_are_the_members_of_the_split(place: Place) -> None:
    traces = [trace(f"Problem {n}") for n in range(20)]
    by_id = dict(zip(place.record(*traces), traces, strict=True))
    build(place, splits={"test": "0.5"})
    rendered = Text(DataFormat.TUNIX_SFT, Split.TRAIN, system="S")
    with DatasetReader(place.log) as reader:
        reader.pour(load_dataset(place.layout, "d-v1"), [rendered])
    assert [example.trace for example in rendered.examples] == [
        row["id"] for row in place.export("d-v1", split="train")[1]
    ]
    for example in rendered.examples:
        assert example == render_example(
            by_id[example.trace], example.trace, data_format=DataFormat.TUNIX_SFT, system="S"
        )
    assert rendered.omitted == {"in another split": 20 - len(rendered.examples)}


def damage(place: Place) -> None:
    """Flip a bit in the first payload of the log, without changing its length."""
    (ref,) = place.log.segments()
    part = ref.path / "0000.jsonl"
    part.write_bytes(part.read_bytes().replace(b"What", b"Whau", 1))


def test_a_damaged_payload_is_never_exported_built_or_shown(place: Place) -> None:
    (a,) = place.record(trace())
    build(place)
    damage(place)
    with pytest.raises(
        DamagedError, match="is not the one that the trace id is a digest of"
    ) as error:
        place.export("d-v1")
    assert a in str(error.value)
    with pytest.raises(DamagedError, match=r"0000\.jsonl, line 2: The payload is not the one"):
        build(place, "v2")
    with project(place.log) as projection:
        (state,) = projection.active()
    with pytest.raises(DamagedError):
        read_payload(place.log, state)


def test_a_member_that_the_snapshot_does_not_record_is_damage(place: Place) -> None:
    place.record(trace())
    build(place)
    file = next(place.layout.datasets.rglob("members-0000.jsonl"))
    file.write_bytes(b'{"split":"train","trace":"sha256:' + b"0" * 64 + b'"}\n')
    with pytest.raises(DamagedError, match="is not recorded by the segments of its snapshot"):
        place.export("d-v1")


def test_reading_a_payload_that_is_not_there_gives_none(place: Place) -> None:
    a, b = place.record(trace("a"), trace("b"))
    redact(place.log, [a])
    with project(place.log) as projection:
        states = {state.id: state for state in projection.traces()}
    assert read_payload(place.log, states[a]) is None
    assert b'"prompt":"b"' in (read_payload(place.log, states[b]) or b"")


def test_more_parts_than_files_that_stay_open_are_read(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunixrt.traces.payloads._OPEN_PARTS", 2)
    for n in range(8):
        place.record(trace(f"Problem {n}"), trace(f"Problem {n + 100}"))
    build(place)
    assert place.export("d-v1")[0].rows == 16


def test_an_ambiguous_key_exports_nothing(place: Place, tmp_path: Path) -> None:
    place.record(trace("a"), trace("b"))
    build(place)
    (dataset,) = list_datasets(place.layout)
    build(place, "v2", limit=1)
    other = next(d for d in list_datasets(place.layout) if d.key == "d-v2")
    manifest = json.loads((other.path / "manifest.json").read_bytes())
    manifest |= {"dataset_key": "d-v1", "dataset_version": "v1"}
    data = rfc8785.dumps(manifest)
    target = dataset.path.parent / hashlib.sha256(data).hexdigest()
    other.path.rename(target)
    (target / "manifest.json").write_bytes(data)
    with pytest.raises(AmbiguousDatasetError):
        place.export("d-v1")


_text = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from('\n\r"\\\u2028\u2029\x85\x1e\x00'),
    min_size=1,
)


@settings(max_examples=30)
@given(prompt=_text, content=_text, answer=_text, key=_text)
def test_no_text_breaks_out_of_its_line_or_its_field(
    tmp_path_factory: pytest.TempPathFactory, prompt: str, content: str, answer: str, key: str
) -> None:
    place = Place.at(tmp_path_factory.mktemp("i") / "root")
    place.record(
        trace(
            prompt,
            final_answer=answer,
            steps=[{"i": 0, "type": "t", "content": content}],
            meta={key: content},
        )
    )
    build(place)
    for export_format in UNLABELLED:
        report, rows, data = place.export("d-v1", export_format)
        assert (report.rows, data.count(b"\n"), data[-1:]) == (1, 1, b"\n")
        assert len(data.decode().splitlines()) == 1
        assert on_one_line(rfc8785.dumps(json.loads(data))) + b"\n" == data
        if "metadata" in rows[0]:
            assert content in rows[0]["metadata"].values()
    _, (row,), _ = place.export("d-v1")
    assert (row["prompts"], row["trace_steps"], row["final_answer"]) == (prompt, [content], answer)


def test_the_row_on_the_format_page_is_what_is_written(place: Place) -> None:
    page = (Path(__file__).parents[2] / "docs" / "format.md").read_text(encoding="utf-8")
    block = page.partition("```jsonl export trace\n")[2].partition("```")[0]
    steps = value()["steps"]
    steps[1]["content"] = "Add 15\u2028and 27"
    place.record(trace(steps=steps))
    build(place)
    assert place.export("d-v1", split="all")[2].decode() == block
