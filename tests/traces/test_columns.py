"""Maps of columns, the guess of a format, tags, and what becomes of columns nobody mapped."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.making.traces import write_lines
from tests.traces.format_files import model, user
from tunixrt import Store
from tunixrt.traces.conversation import Conversation
from tunixrt.traces.importers.columns import ColumnMap, MapError, Target, read_columns
from tunixrt.traces.importers.guess import GuessError, guess
from tunixrt.traces.importers.messages import read_messages
from tunixrt.traces.importers.table import OptionError, SourceFormat, read_traces
from tunixrt.traces.importers.tags import ALL, find_answer, split_thought
from tunixrt.traces.violations import TraceError

if TYPE_CHECKING:
    from pathlib import Path


def read(record: dict[str, Any], text: str) -> Conversation:
    trace = read_columns(record, ColumnMap.parse(text)).trace
    assert isinstance(trace, Conversation)
    return trace


MAPS: list[tuple[str, str]] = [
    ("prompt", "A map should be pairs of target=column such as prompt=problem,reasoning=thoughts,"),
    ("prompt=a,", 'but has "".'),
    ("prompt=,answer=b", 'but has "prompt=".'),
    ("prompt=a,prompt=b", 'The map has "prompt" twice; each target has one column.'),
    ("promt=a", 'A map has no target "promt". Did you mean "prompt"?'),
    ("prompt=a", "A map should have prompt and one of response, answer and reasoning, such as"),
    ("answer=a", "A map should have prompt and one of response, answer and reasoning, such as"),
    ("messages=a,prompt=b", "A map has either messages or prompt, not both."),
]


@pytest.mark.parametrize(("text", "sentence"), MAPS)
def test_a_map_that_cannot_be_used_says_why(text: str, sentence: str) -> None:
    with pytest.raises(MapError) as error:
        ColumnMap.parse(text)
    assert sentence in str(error.value)


def test_a_path_reaches_into_objects_and_lists_and_from_the_end_of_a_list() -> None:
    record = {"a": {"b": [{"c": "q"}, {"c": "r", "d": 1}]}, "out": ["x", "y"]}
    trace = read(record, "prompt=a.b.0.c,reasoning=a.b.1.c,response=out.-1")
    assert (trace.messages[0].content, trace.messages[1].reasoning) == ("q", "r")
    assert trace.messages[1].content == "y"
    assert trace.meta == {"a": {"b": [{"d": 1}]}, "out": ["x"]}


def test_a_column_whose_name_has_a_dot_is_itself() -> None:
    record = {"q.en": "q", "q": {"en": "other"}, "a": "x"}
    trace = read(record, "prompt=q.en,answer=a")
    assert trace.messages[0].content == "q"
    assert trace.meta == {"q": {"en": "other"}}


def test_the_response_is_the_turn_and_the_answer_stands_apart() -> None:
    record = {"q": "q", "out": "<think>t</think>So \\boxed{3}.", "key": "4"}
    marked = read(record, "prompt=q,response=out")
    assert marked.messages[1].reasoning == "t"
    assert (marked.messages[1].content, marked.final_answer) == ("So \\boxed{3}.", "3")
    assert read(record, "prompt=q,response=out,answer=key").final_answer == "4"


def test_an_answer_that_is_the_turn_has_to_be_there_and_the_nearest_column_is_named() -> None:
    with pytest.raises(TraceError) as error:
        read({"q": "q", "solution": "4"}, "prompt=q,answer=soluton")
    assert str(error.value) == (
        'The field "soluton" is missing; it should be the column that the map names. '
        'Did you mean "solution"?'
    )


def test_a_column_that_no_record_has_refuses_the_import(tmp_path: Path) -> None:
    store = Store.init(tmp_path / "store")
    some = [{"q": "1", "a": "1"}, {"q": "2", "a": "2", "why": "w"}]
    path = write_lines(tmp_path / "some.jsonl", some)
    before = store.verify()
    with pytest.raises(MapError) as error:
        store.traces.import_(path, columns="prompt=q,response=a,reasoning=wy")
    assert str(error.value) == (
        'No record has the column "wy" that the map names for reasoning, or all have null there. '
        "Correct it, or leave reasoning out of the map. Nothing was recorded."
    )
    assert (len(list(store.traces)), store.verify()) == (0, before)
    # One record that has it is enough, in any of the files.
    write_lines(tmp_path / "none.jsonl", [{"q": "3", "a": "3"}])
    files = [tmp_path / "none.jsonl", path]
    report = store.traces.import_(
        files, columns={"prompt": "q", "response": "a", Target.REASONING: "why"}
    )
    assert (report.format, report.recorded) == ("columns", 3)


@given(
    st.dictionaries(
        st.sampled_from("abcd"),
        st.recursive(
            st.integers() | st.text(max_size=2),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("xy"), inner),
            max_leaves=5,
        ),
    )
)
def test_columns_that_are_not_mapped_are_metadata_as_they_are(columns: dict[str, Any]) -> None:
    trace = read({"q": "q", "r": "a", **columns}, "prompt=q,answer=r")
    assert trace.meta == columns


def test_a_null_is_an_absent_column_and_an_object_called_meta_is_metadata() -> None:
    turns = [user("q"), model("a")]

    def meta(**columns: Any) -> dict[str, Any]:
        return read_messages({"messages": turns, **columns}).trace.meta

    assert meta(a=None, b={"c": None}) == {"b": {"c": None}}
    assert meta(a=1, meta={"b": 2}) == {"a": 1, "b": 2}
    assert meta(a=1, meta={"a": 2}) == {"a": 1, "meta": {"a": 2}}
    assert meta(meta="text", metadata={"a": 1}) == {"meta": "text", "metadata": {"a": 1}}


GUESSES: list[tuple[list[object], str]] = [
    ([], "A record should be a JSON object."),
    ([[1]], "fit none of the formats tunixrt, gsm8k, trace, messages, "),
    ([{"instruction": "i"}], 'For alpaca, the field "output" is missing.'),
    ([{"prompt": "p", "response": "r"}], 'For prompt-completion, the field "completion" is miss'),
    ([{"question": "q", "answer": "4"}], 'For gsm8k, the last line of "answer" should be "####'),
    ([{"example_id": 1, "generated_response": "r"}], "import them with --from predictions."),
    ([{"q": "x", "a": "y"}], 'Their fields are "q", "a". If the fields are texts, map them'),
    (
        [{"messages": [user("q"), model("a")], "prompt": "p", "completion": "c"}],
        "The first records fit several formats: messages, prompt-completion. State one of them",
    ),
    (
        [{"instruction": "i", "output": "o"}, {"prompt": "p", "completion": "c"}],
        "The first records are of different formats: alpaca, prompt-completion. Put the records",
    ),
    (
        [{"question": "q", "thinking": "t", "response": "r", "n": 1}],
        "map them: --from columns --map prompt=question,reasoning=thinking,response=response",
    ),
    (
        [dict.fromkeys(("column", "field", "file", "line", "raw", "reason", "unit"), "")],
        "They are rejected records of an earlier import. Each is the text in the field",
    ),
    ([{"data": [{"q": "q"}]}], "It is a JSON document with a list of records. Write one object"),
    (
        [{"messages": [user("q"), model("a")]}, {"messages": []}, {"a": 1}],
        'Their fields are "messages". If the fields are texts',
    ),
]


@pytest.mark.parametrize(("records", "sentence"), GUESSES)
def test_records_that_fit_no_format_or_several_say_so(records: list[object], sentence: str) -> None:
    with pytest.raises(GuessError) as error:
        guess(records)
    assert sentence in str(error.value)


def test_messages_in_a_cell_of_a_table_are_the_text_of_their_list(tmp_path: Path) -> None:
    turns = [user("q, r"), model('"a"\n')]
    shares = [{"from": "human", "value": "q, r"}, {"from": "gpt", "value": '"a"\n'}]
    store = Store.init(tmp_path / "store")
    for name, value in (("messages", turns), ("conversations", shares)):
        plain = write_lines(tmp_path / "plain.jsonl", [{"id": "x", name: value}])
        with (tmp_path / "table.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["id", name], ["x", json.dumps(value)]])
        read = [
            store.traces.import_(path, dry_run=True) for path in (plain, tmp_path / "table.csv")
        ]
        assert read[0].format == read[1].format
        assert read[0].first_traces == read[1].first_traces
        assert read[1].recorded == 1


def test_a_few_bad_records_do_not_hide_the_format_of_the_others() -> None:
    good = {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]}
    assert guess([good, {"conversations": []}, good]) is SourceFormat.SHAREGPT
    assert guess([[1], good, good]) is SourceFormat.SHAREGPT
    header, turn = {"type": "session"}, {"type": "message"}
    assert guess([header, turn, {"type": "usage"}, turn]) is SourceFormat.SESSION
    with pytest.raises(GuessError):
        guess([good, {"conversations": []}])


def test_tags_tell_completions_with_reasoning_from_plain_ones() -> None:
    plain, tagged = {"prompt": "p", "completion": "c"}, {"prompt": "p", "completion": "c</think>"}
    assert guess([plain, plain]) is SourceFormat.PROMPT_COMPLETION
    assert guess([plain, tagged]) is SourceFormat.THINK


TEXTS: list[tuple[str, str, str, str]] = [
    ("<think>a</think><think>b</think>c", "a\nb", "c", ""),
    (" \n<think> a <b> </think> \n c\n", "a <b>", "c", ""),
    ("<thinking>a</thinking><answer> 4 </answer> sure", "a", "4  sure", "4"),
    ("a<think>b</think>c", "", "a<think>b</think>c", ""),
    ("a</think>b</think>c", "a", "b</think>c", ""),
    ("<answer>1</answer><answer>2</answer>", "", "12", "2"),
    ("a</answer>b", "", "ab", "a"),
    ("<answer>x = \\boxed{2}</answer>", "", "x = \\boxed{2}", "2"),
    ("\\boxed{\\{1, \\{2\\}\\}}", "", "\\boxed{\\{1, \\{2\\}\\}}", "\\{1, \\{2\\}\\}"),
    ("\\boxed{a} \\boxed {b{c}{d{e}}}", "", "\\boxed{a} \\boxed {b{c}{d{e}}}", "b{c}{d{e}}"),
    ("\\boxed{}", "", "\\boxed{}", ""),
    ("no box: \\boxed 5", "", "no box: \\boxed 5", ""),
]


@pytest.mark.parametrize(("text", "reasoning", "rest", "answer"), TEXTS)
def test_reasoning_and_answers_are_found_by_their_tags(
    text: str, reasoning: str, rest: str, answer: str
) -> None:
    thought = split_thought(text, ALL)
    found = find_answer(thought.text)
    assert (thought.reasoning, found.text, found.answer) == (reasoning, rest, answer)


def test_a_text_of_a_hundred_thousand_thoughts_is_read_in_one_pass() -> None:
    thought = split_thought("<think>a</think>" * 100_000 + "b")
    assert (thought.reasoning.count("a"), thought.text) == (100_000, "b")


@given(st.text("a \n"))
def test_a_text_without_tags_is_not_changed(text: str) -> None:
    assert split_thought(text, ALL).text == text


def test_a_map_goes_with_the_format_columns_and_with_no_other(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "in.jsonl", [{"q": "q", "a": "a"}])
    columns = ColumnMap.of({"prompt": "q", "answer": "a"})
    with pytest.raises(OptionError, match="The format columns needs a map"):
        list(read_traces(path, SourceFormat.COLUMNS))
    with pytest.raises(OptionError, match=r"Only the format columns has a map: .* on think\."):
        list(read_traces(path, SourceFormat.THINK, columns=columns))
    store = Store.init(tmp_path / "store")
    given = {"prompt": "q", "answer": "a"}
    for of, recorded in (("prompt=q,answer=a", 1), (given, 0)):
        report = store.traces.import_(path, source_format="columns", columns=of)
        assert (report.recorded, report.duplicates) == (recorded, 1 - recorded)


def test_notes_are_counted_by_reason_and_the_first_lines_are_kept(tmp_path: Path) -> None:
    records = [{"prompt": f"{i}?", "completion": f"t</think>{i}"} for i in range(30)]
    path = write_lines(tmp_path / "in.jsonl", records)
    report = Store.init(tmp_path / "store").traces.import_(path, source_format="think")
    assert report.noted == {"reasoning without opening tag, kept as reasoning": 30}
    assert [note.line for note in report.files[0].notes] == list(range(1, 11))
    assert (report.recorded, report.dropped) == (30, {})
