"""What a Python program meets: collections that add, iterate, build and compare."""

from __future__ import annotations

import io
import json
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import tunixrt
from tests.making.conversations import conversation, conversation_value, turns
from tests.making.runs import made_evaluation, made_store, made_training
from tunixrt import Store
from tunixrt.datasets.exports import ExportError
from tunixrt.datasets.recipes import RecipeError, make_recipe
from tunixrt.derive import Answer
from tunixrt.errors import BadInputError
from tunixrt.eval.evalset_import import EvalsetExistsError
from tunixrt.extras import MissingExtraError
from tunixrt.runs.config import ConfigError
from tunixrt.runs.config_sources import load_config
from tunixrt.traces.importing import RejectedError
from tunixrt.traces.violations import TraceError

if TYPE_CHECKING:
    from pathlib import Path


def value(number: int) -> dict[str, Any]:
    return {
        "trace_version": "1.0",
        "prompt": f"{number} + 1?",
        "steps": [{"i": 0, "type": "compute", "content": f"{number} + 1 = {number + 1}"}],
        "final_answer": str(number + 1),
        "meta": {"source": "made", "number": number},
    }


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store.init(tmp_path)
    store.traces.add([value(n) for n in range(8)])
    store.datasets.build("all", "v1", splits={"test": 0.25})
    return store


def test_a_list_of_dictionaries_is_one_segment_and_all_of_it_can_be_read_again(
    tmp_path: Path,
) -> None:
    store = Store.init(tmp_path)
    added = store.traces.add([value(n) for n in range(3)])
    assert (added.report.recorded, len(store.log.segments()), len(store.traces)) == (3, 1, 3)
    assert [trace.id for trace in store.traces] == list(added.ids)
    assert [trace.flat.prompt for trace in store.traces] == ["0 + 1?", "1 + 1?", "2 + 1?"]
    assert store.traces[added.ids[1][7:17]].as_dict()["final_answer"] == "2"
    assert store.traces.add(value(1)).report.duplicates == 1
    assert added.ids[0] in store.traces
    assert "abcdef" not in store.traces
    store.traces.retract([added.ids[0]])
    assert [trace.id for trace in store.traces] == list(added.ids[1:])


def test_conversations_are_added_beside_traces_and_read_as_what_they_are(tmp_path: Path) -> None:
    store = Store.init(tmp_path)
    plain = conversation_value(meta=..., final_answer=...)
    added = store.traces.add([value(0), plain, conversation()])
    first, second, third = store.traces
    assert (first.content, second.content) == (first.flat, conversation(meta=..., final_answer=...))
    assert added.report.n_steps == 1 + 2 + 2
    assert (second.flat.prompt, second.flat.final_answer) == (
        "How far is 3 miles in km?",
        "About 4.8 km.",
    )
    assert second.as_dict() == {
        "id": added.ids[1],
        "messages": plain["messages"],
        "tools": plain["tools"],
        "metadata": {"trace_version": "1.1"},
    }
    assert [trace.id for trace in store.traces.select({"source": "chat"})] == [third.id]
    assert store.traces.add(conversation()).report.duplicates == 1
    with store.traces.stream() as stream:
        assert [stream.add(item).recorded for item in (plain, turns("Q", "A"))] == [False, True]
    assert [trace.content for trace in store.traces][3:] == [turns("Q", "A")]
    with pytest.raises(TraceError, match=r"Trace 1 of those given: .*second user message in a row"):
        store.traces.add(
            [{"trace_version": "1.1", "messages": [{"role": "user", "content": "?"}] * 2}]
        )
    assert store.verify().ok


def test_one_bad_dictionary_of_a_list_is_named_and_nothing_is_recorded(tmp_path: Path) -> None:
    store = Store.init(tmp_path)
    with pytest.raises(TraceError, match=r"Trace 2 of those given: .*prompt.* Nothing was"):
        store.traces.add([value(0), {**value(1), "prompt": 3}, value(2)])
    assert len(store.traces) == 0
    assert not list((tmp_path / "store" / ".tmp").iterdir())


def test_a_fraction_is_a_number_or_its_text() -> None:
    for number, text in ((0.1, "0.1"), (0.25, ".250"), (1, "1"), (1e-7, "0.0000001")):
        assert make_recipe(splits={"test": number}) == make_recipe(splits={"test": text})
    for wrong in (float("nan"), -0.1, True, None, [0.1]):
        with pytest.raises(RecipeError, match="should be a decimal number from 0 to 1"):
            make_recipe(splits={"test": wrong})  # type: ignore[dict-item]
    with pytest.raises(RecipeError, match=r'"number" should be text'):
        make_recipe(filters={"number": 3})  # type: ignore[dict-item]


def test_overrides_are_python_values_by_dotted_keys_or_by_sections() -> None:
    said = load_config("nano", ["training.num_steps=60", 'model.name="nano"'])
    assert load_config("nano", {"training.num_steps": 60}) == said
    assert load_config("nano", {"training": {"num_steps": 60}}) == said
    with pytest.raises(ConfigError, match=r"training.num_step is not a key. Did you mean"):
        load_config("nano", {"training": {"num_step": 60}})
    with pytest.raises(
        ConfigError, match=r"\(overrides\): training.num_steps should be a valid integer"
    ):
        load_config("nano", {"training.num_steps": "60"})


@pytest.mark.parametrize("export_format", ["trace", "tunix_sft", "training_example"])
@pytest.mark.parametrize("split", ["train", "all"])
def test_rows_are_what_an_export_writes(
    store: Store, tmp_path: Path, export_format: str, split: str
) -> None:
    dataset = store.datasets["all-v1"]
    out = io.BytesIO()
    report = dataset.export(out, export_format, split=split)
    to_file = dataset.export(tmp_path / "rows.jsonl", export_format, split=split)
    (file,) = to_file.files
    assert (file.name, file.sha256, file.rows) == ("rows.jsonl", report.sha256, report.rows)
    assert msgspec.structs.replace(to_file, files=[]) == report
    assert (tmp_path / "rows.jsonl").read_bytes() == out.getvalue()
    (verdict,) = dataset.check_export(tmp_path / "rows.jsonl", export_format, split=split)
    assert (verdict.verdict, verdict.n_rows) == (Answer.IDENTICAL, report.rows)
    rows = list(dataset.rows(export_format, split=split))
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert rows == [{**line, "metadata": json.loads(line["metadata"])} for line in lines]
    assert len(rows) == report.rows > 0


def test_rows_leave_out_what_was_redacted(store: Store) -> None:
    dataset = store.datasets["all-v1"]
    member = next(m.trace for m in dataset.members() if m.split == "train")
    n_before = len(list(dataset.rows()))
    store.traces.redact([member], reason="asked for")
    assert len(list(dataset.rows())) == n_before - 1
    with pytest.raises(ExportError, match="There is no export format"):
        dataset.rows("parquet")


def test_an_arrow_table_says_what_to_install(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunixrt.extras._is_installed", lambda package: package != "pyarrow")
    with pytest.raises(MissingExtraError, match=r"pip install 'tunixrt\[parquet\]'"):
        store.datasets["all-v1"].arrow()


def test_an_arrow_table_has_the_rows(store: Store) -> None:
    dataset = store.datasets["all-v1"]
    table = dataset.arrow("training_example", split="all")
    rows = list(dataset.rows("training_example", split="all"))
    assert table.column("prompt").to_pylist() == [row["prompt"] for row in rows]
    assert json.loads(table.column("metadata")[0].as_py()) == rows[0]["metadata"]


def test_an_eval_set_is_written_once_and_read_as_samples(store: Store) -> None:
    samples = [{"prompt": "1 + 1?", "expected_answer": "2"}]
    assert store.evalsets.write("few", samples, category="sums").created
    assert not store.evalsets.write("few", samples, category="sums").created
    (sample,) = store.evalsets["few"]
    assert (sample.prompt, sample.expected_answer, sample.category) == ("1 + 1?", "2", "sums")
    assert "few" in store.evalsets
    assert "many" not in store.evalsets
    with pytest.raises(EvalsetExistsError):
        store.evalsets.write("few", [{"prompt": "2 + 2?", "expected_answer": "4"}])
    with pytest.raises(RejectedError, match=r"line 1: .*expected_answer"):
        store.evalsets.write("bad", [{"prompt": "2 + 2?", "expected_answer": " "}])
    assert "bad" not in store.evalsets


def test_runs_are_compared_however_they_are_given(tmp_path: Path) -> None:
    store = made_store(tmp_path)
    trained = made_training(store)
    before = made_evaluation(store, trained, n_right=1)
    after = made_evaluation(store, trained, n_right=3)
    expected = store.runs.compare(before.run_id, after.run_id)
    assert store.runs.compare(before, after) == expected
    assert store.runs.compare(store.runs[before.run_id[:8]], after.run_id[:8]) == expected
    assert {run.id for run in store.runs} >= {trained.run_id, before.run_id, after.run_id}
    assert [line.step for line in store.runs[trained.run_id].metrics()]
    assert len(list(store.runs[after.run_id].predictions())) == expected.n_pairs
    assert trained.run_id in store.runs
    assert "nobody" not in store.runs
    with pytest.raises(BadInputError, match="found 3"):
        store.runs.compare(3, after)  # type: ignore[arg-type]


def test_what_is_printed_says_what_it_is(store: Store, tmp_path: Path) -> None:
    store.evalsets.write("few", [{"prompt": "1 + 1?", "expected_answer": "2"}])
    assert repr(store) == f"Store({str(tmp_path)!r})"
    assert repr(store.datasets["all-v1"]).startswith("<dataset all-v1 (")
    assert repr(store.evalsets["few"]).startswith("<eval set few (1 sample) sha256:")
    assert repr(next(iter(store.traces))).endswith("(active)>")
    assert store.snapshots.create().digest[:17] in store.snapshots
    for collection in (store.traces, store.snapshots, store.datasets, store.evalsets, store.runs):
        assert str(tmp_path) in repr(collection)


def test_the_version_is_that_of_the_package() -> None:
    assert tunixrt.__version__ == version("tunixrt")
