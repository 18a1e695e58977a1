"""Reading files: what is read, what is dropped, and a sentence for everything that is wrong."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.making.traces import Place, value, write_lines
from tunixrt.traces.conversation import Conversation
from tunixrt.traces.importers import lines
from tunixrt.traces.importers.file_kinds import UnreadableFileError
from tunixrt.traces.importers.lines import OpenText
from tunixrt.traces.importers.records import Dropped, DropReason, ImportedTrace, Rejection
from tunixrt.traces.importers.table import (
    OptionError,
    SourceFormat,
    UnknownFormatError,
    imported,
    parse_source_format,
    read_traces,
)
from tunixrt.traces.importing import RejectedError
from tunixrt.traces.schema import Trace, TraceStep, parse_payload
from tunixrt.traces.views import flat_view
from tunixrt.traces.violations import TraceError

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt.traces.importers.lines import TextSource

GOOD = json.dumps(value()).encode()


def read(
    path: TextSource, source_format: SourceFormat = SourceFormat.TUNIXRT, **options: Any
) -> Any:
    return list(read_traces(path, source_format, **options))


def one(path: Path, data: bytes) -> Rejection:
    path.write_bytes(data)
    records = read(path)
    assert len(records) == 1
    assert isinstance(records[0], Rejection)
    return records[0]


def test_a_record_is_read_with_its_line_and_its_number_of_steps(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "t.jsonl", [value(), value(prompt="Other?")])
    first, second = read(path)
    assert (first.file, first.line, first.n_steps) == (str(path), 1, 2)
    assert (second.line, flat_view(parse_payload(second.payload)).prompt) == (2, "Other?")


def test_the_last_line_needs_no_line_feed_and_crlf_is_white_space(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(GOOD + b"\r\n\r\n" + GOOD)
    first, blank, last = read(path)
    assert first.id == last.id
    assert blank == Dropped(str(path), 2, DropReason.BLANK_LINE)


def test_a_source_replaces_the_source_of_every_record(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "t.jsonl", [value(), value(meta=...)])
    found = [parse_payload(record.payload).meta for record in read(path, source="elsewhere")]
    assert found == [{"source": "elsewhere"}] * 2


def test_neither_file_name_nor_line_enters_the_id(tmp_path: Path) -> None:
    a = write_lines(tmp_path / "a.jsonl", [value()])
    b = write_lines(tmp_path / "b.jsonl", [value(prompt="x"), value()])
    assert read(a)[0].id == read(b)[1].id


RECORDS: list[tuple[str, bytes, str, str | None, int | None]] = [
    ("broken", b'{"prompt": ', "This is not JSON at column 12", None, 12),
    ("not utf-8", b'{"prompt": "\xff"}', "Byte 13 (0xff) is not valid UTF-8", None, 13),
    ("NaN", b'{"meta": {"x": NaN}}', "NaN is not a JSON number", None, None),
    ("twice", b'{"prompt": "a", "prompt": "b"}', 'The key "prompt" occurs twice', None, None),
    ("2^53", b'{"meta": {"x": 9007199254740993}}', "is beyond 2^53 - 1", None, None),
    ("surrogate", b'{"prompt": "\\ud800"}', "lone surrogate U+D800", None, None),
    ("two values", GOOD + b" 1", "Extra data", None, len(GOOD) + 2),
    ("missing", b'{"trace_version": "1.0"}', 'field "prompt" is missing', "prompt", None),
    ("misspelt", b'{"promt": "x"}', 'Did you mean "prompt"?', "promt", None),
]


@pytest.mark.parametrize(
    ("data", "sentence", "field", "column"), [r[1:] for r in RECORDS], ids=[r[0] for r in RECORDS]
)
def test_a_bad_record_is_rejected_with_its_line_its_bytes_and_a_sentence(
    tmp_path: Path, data: bytes, sentence: str, field: str | None, column: int | None
) -> None:
    rejection = one(tmp_path / "t.jsonl", data + b"\n")
    assert sentence in rejection.reason
    assert (rejection.line, rejection.raw) == (1, data)
    assert (rejection.field, rejection.column) == (field, column)
    assert str(rejection).startswith(f"{tmp_path / 't.jsonl'}, line 1: ")


def test_a_rejects_file_gives_every_byte_back(tmp_path: Path) -> None:
    text = json.loads(one(tmp_path / "t.jsonl", "{é".encode() + b"\r\n").as_line())
    assert (text["raw"], text["line"], text["column"]) == ("{é\r", 1, 2)
    binary = json.loads(one(tmp_path / "t.jsonl", b"\x80\xff\n").as_line())
    assert (binary["raw_base64"], "raw" in binary) == ("gP8=", False)


FILES: list[tuple[str, bytes, str]] = [
    ("empty", b"", "holds no records: it is empty or has only blank lines."),
    ("blank", b"\n  \r\n\t\n", "holds no records"),
    ("bom alone", b"\xef\xbb\xbf\n", "holds no records"),
    ("utf-16", GOOD.decode().encode("utf-16"), "but is UTF-16 text. Convert it: iconv -f UTF-16 "),
    ("utf-16 unmarked", GOOD.decode().encode("utf-16-le"), "Convert it: iconv -f UTF-16LE"),
    ("utf-32", GOOD.decode().encode("utf-32"), "but is UTF-32 text"),
    ("utf-16 be", b"\xfe\xff\x00{", "but is UTF-16 text"),
    ("bzip2", b"BZh91AY", "but is compressed with bzip2"),
    ("xz", b"\xfd7zXZ\x00", "but is compressed with xz"),
    ("tar", b"t.jsonl" + b"\0" * 250 + b"ustar", "but is a tar archive"),
    ("LFS", b"version https://git-lfs.github.com/spec/v1\noid", "but is a pointer of Git LFS"),
    ("html", b"<!DOCTYPE html>\n<html>", "but is HTML or XML"),
    (
        "a document with records",
        json.dumps({"n": 1, "data": [value()]}, indent=2).encode(),
        """jq -c '."data"[]' """,
    ),
    ("zip", b"PK\x03\x04", "but is a ZIP archive"),
]


@pytest.mark.parametrize(("data", "sentence"), [f[1:] for f in FILES], ids=[f[0] for f in FILES])
def test_a_file_that_holds_no_records_is_refused_and_nothing_is_written(
    place: Place, tmp_path: Path, data: bytes, sentence: str
) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(data)
    before = place.files()
    with pytest.raises(UnreadableFileError) as error:
        place.take(path)
    assert sentence in str(error.value)
    assert str(path) in str(error.value)
    assert place.files() == before


#: What an import reads, and a file of a store must not be.
NOT_LINES: list[tuple[str, bytes, str]] = [
    ("gzip", b"\x1f\x8b\x08\x00", "but is compressed with gzip. Decompress it first: gzip -dc "),
    ("zstd", b"\x28\xb5\x2f\xfd\x00", "but is compressed with Zstandard"),
    ("parquet", b"PAR1", "but is Parquet"),
    ("csv", b"question,answer\n1+1?,2\n", "but is a table such as CSV"),
    ("array", b"[" + GOOD + b"]", "but is a JSON array. Write one object per line: jq -c '.[]' "),
    ("array on lines", b"[\n" + GOOD + b",\n" + GOOD + b"\n]\n", "but is a JSON array."),
    ("array begun", b"[" + GOOD + b",\n" + GOOD + b"]\n", "but is a JSON array."),
    ("array cut off", b"\n [" + GOOD, "but is a JSON array."),
    ("pretty", json.dumps(value(), indent=2).encode(), "Write one object per line: jq -c . "),
    ("pretty and cut off", json.dumps(value(), indent=2).encode()[:90], "over several lines"),
    ("two", b"\n".join([json.dumps(value(), indent=1).encode()] * 2), "over several lines"),
]


@pytest.mark.parametrize(
    ("data", "sentence"), [n[1:] for n in NOT_LINES], ids=[n[0] for n in NOT_LINES]
)
def test_where_lines_are_needed_another_container_is_refused_with_the_way_out(
    tmp_path: Path, data: bytes, sentence: str
) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(data)
    with pytest.raises(UnreadableFileError) as error:
        list(lines.read_lines(path))
    assert str(error.value).startswith(f"{path}, line 1: The file should be JSON Lines in UTF-8, ")
    assert sentence in str(error.value)


@pytest.mark.parametrize("junk", [b"{", b"question,answer", b"<html>", b'{"prompt": '])
def test_a_line_of_another_kind_before_good_records_is_one_bad_record(
    tmp_path: Path, junk: bytes
) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(junk + b"\n" + GOOD + b"\n")
    first, second = read(path)
    assert (type(first), type(second)) == (Rejection, ImportedTrace)


def test_lists_on_lines_of_their_own_are_records_that_are_wrong_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(b"[1]\n" + GOOD + b"\n[" + GOOD + b"]\n")
    first, _, last = read(path)
    assert "should be an object with the fields of a trace, but is a list of 1" in first.reason
    assert (first.line, last.line) == (1, 3)


@pytest.mark.parametrize("size", [1_000, 1_024 * 1_024])
def test_a_byte_order_mark_is_passed_over_and_changes_nothing(tmp_path: Path, size: int) -> None:
    path, marked = tmp_path / "t.jsonl", tmp_path / "marked.jsonl"
    path.write_bytes((GOOD + b"\n") * (size // len(GOOD)))
    marked.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert [r.payload for r in read(marked)] == [r.payload for r in read(path)]
    record = json.dumps({"question": "q", "answer": "a\n#### 2"}).encode()
    path.write_bytes(b"\xef\xbb\xbf" + record)
    (trace,) = read(path, SourceFormat.GSM8K)
    assert flat_view(parse_payload(trace.payload)).prompt == "q"


def test_a_stream_is_read_as_a_file_is_and_called_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD + b"\n\n{}")
    with path.open("rb") as file:
        of_stream = read(OpenText("stdin", file))
    assert [(type(r), r.line) for r in of_stream] == [(type(r), r.line) for r in read(path)]
    assert {r.file for r in of_stream} == {"stdin"}
    with pytest.raises(UnreadableFileError, match=r"stdin, line 1: .* bzip2 -dc FILE > OUT\."):
        read(OpenText("stdin", io.BytesIO(b"BZh9")))


def test_calculator_annotations_are_stripped_of_gsm8k_alone(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "t.jsonl", [value()])
    with pytest.raises(OptionError, match="Only the format gsm8k has calculator annotations"):
        read(path, strip_calculator=True)


def test_a_path_that_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match=r"There is no file .*absent"):
        read(tmp_path / "absent")
    with pytest.raises(UnreadableFileError, match="is a directory, not a file of records"):
        read(tmp_path)
    with pytest.raises(UnreadableFileError, match="cannot be opened: "):
        read(tmp_path / ("x" * 300))


def test_a_line_beyond_the_limit_is_refused_before_it_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 1_000)
    path = tmp_path / "t.jsonl"
    path.write_bytes(GOOD + b"\n" + b"x" * 1_000 + b"\n")
    with pytest.raises(UnreadableFileError, match="line 2: The line is longer than 1,000 bytes"):
        read(path)
    path.write_bytes(GOOD + b"\n" + b"x" * 999 + b"\n")
    assert len(read(path)) == 2


def test_a_bad_record_deep_in_a_real_size_file_is_named_and_nothing_is_written(
    place: Place, tmp_path: Path
) -> None:
    path = tmp_path / "t.jsonl"
    sound = [json.dumps(value(prompt=f"Problem {i}")) for i in range(1, 8_001)]
    sound[5_000] = sound[5_000][:-10]
    path.write_text("\n".join(sound) + "\n")
    before = place.files()
    with pytest.raises(RejectedError) as error:
        place.take(path)
    assert f"{path}, line 5001: This is not JSON at column " in str(error.value)
    assert "Nothing was recorded" in str(error.value)
    assert place.files() == before


def test_an_unknown_format_lists_the_known_ones() -> None:
    assert parse_source_format("gsm8k") is SourceFormat.GSM8K
    with pytest.raises(UnknownFormatError, match=r'no source format "gsm"\. Did you mean "gsm8'):
        parse_source_format("gsm")
    with pytest.raises(UnknownFormatError, match=r"The known ones are tunixrt, gsm8k, trace, mess"):
        parse_source_format("csv")


def test_a_trace_made_by_a_program_is_checked_too() -> None:
    whole = Trace("1.0", "p", (TraceStep(0, "t", "c"),), "a")
    assert isinstance(imported(whole), ImportedTrace)
    with pytest.raises(TraceError, match='"prompt" should be text of 1 to 50,000 characters'):
        imported(Trace("1.0", "", (TraceStep(0, "t", "c"),), "a"))


# GSM8K


def gsm8k(tmp_path: Path, *records: object, **options: Any) -> Any:
    return read(write_lines(tmp_path / "g.jsonl", records), SourceFormat.GSM8K, **options)


def test_the_lines_of_a_gsm8k_answer_are_steps_and_the_marked_text_is_the_answer(
    tmp_path: Path,
) -> None:
    answer = "He has 48/2 = <<48/2=24>>24.\n\nThen 48+24=<<48+24=72>>72.\n \n#### 1,072\n"
    *dropped, record = gsm8k(tmp_path, {"question": "How many?", "answer": answer})
    assert [(d.line, d.reason) for d in dropped] == [(1, DropReason.BLANK_STEP)] * 3
    assert parse_payload(record.payload) == Trace(
        "1.0",
        "How many?",
        (
            TraceStep(0, "reason", "He has 48/2 = <<48/2=24>>24."),
            TraceStep(1, "reason", "Then 48+24=<<48+24=72>>72."),
        ),
        "1,072",
        {"source": "gsm8k"},
    )


def test_calculator_annotations_go_only_when_asked(tmp_path: Path) -> None:
    record = {"question": "q", "answer": "a <<1+1=2>>2 b<<2=2>>2\n<<x>>\n#### 4"}
    dropped, read_ = gsm8k(tmp_path, record, strip_calculator=True, source="mine")
    assert dropped.reason == DropReason.BLANK_STEP
    whole = flat_view(parse_payload(read_.payload))
    assert [step.content for step in whole.steps] == ["a 2 b2"]
    assert whole.meta == {"source": "mine"}


GSM8K: list[tuple[str, object, str]] = [
    ("text", "[]", 'an object with question and answer, but is the text "[]".'),
    ("missing", {"question": "q"}, 'The field "answer" is missing; it should be text whose last'),
    ("no text", {"question": "q", "answer": 4}, 'The field "answer" should be text whose last'),
    ("misspelt", {"qestion": "q", "answer": "a"}, 'Did you mean "qestion"?'),
    ("empty question", {"question": "", "answer": "a"}, "should be text, but is empty."),
    ("blank", {"question": "q", "answer": " \n"}, "but is blank."),
    ("no mark", {"question": "q", "answer": "a\nb"}, 'but is text that ends with "b".'),
    ("no answer", {"question": "q", "answer": "a\n#### "}, 'but is text that ends with "#### ".'),
    ("two marks", {"question": "q", "answer": "#### 1\n#### 2"}, "more than one line of"),
]


@pytest.mark.parametrize(("record", "sentence"), [g[1:] for g in GSM8K], ids=[g[0] for g in GSM8K])
def test_a_bad_gsm8k_record_is_rejected_in_its_own_words(
    tmp_path: Path, record: object, sentence: str
) -> None:
    (rejection,) = gsm8k(tmp_path, record)
    assert isinstance(rejection, Rejection)
    assert sentence in rejection.reason


BEYOND_1_0: list[tuple[str, str, str, int]] = [
    ("no steps", "q", "#### 2", 0),
    ("many steps", "q", "s\n" * 1_001 + "#### 2", 1_001),
    ("a long step", "q", "s" * 20_001 + "\n#### 2", 1),
    ("a long answer", "q", "s\n#### " + "2" * 50_001, 1),
    ("a long question", "q" * 50_001, "s\n#### 2", 1),
]


@pytest.mark.parametrize(
    ("question", "answer", "n_steps"), [b[1:] for b in BEYOND_1_0], ids=[b[0] for b in BEYOND_1_0]
)
def test_a_gsm8k_record_beyond_schema_1_0_is_a_conversation_of_one_turn(
    tmp_path: Path, question: str, answer: str, n_steps: int
) -> None:
    (record,) = gsm8k(tmp_path, {"question": question, "answer": answer})
    conversation = parse_payload(record.payload)
    assert isinstance(conversation, Conversation)
    user, model = conversation.messages
    assert (user.content, record.n_steps) == (question, n_steps)
    assert answer.endswith(f"#### {model.content}")
    assert conversation.final_answer == model.content
    assert model.thought == answer.rpartition("#### ")[0].rstrip("\n")


def test_other_columns_of_gsm8k_are_metadata_and_do_not_move_the_id_of_a_plain_record(
    tmp_path: Path,
) -> None:
    plain = {"question": "How many?", "answer": "Two.\n#### 2"}
    more = {**plain, "id": 7, "split": None, "meta": {"level": "easy"}, "source": "mine"}
    first, second = gsm8k(tmp_path, plain, more)
    assert parse_payload(second.payload).meta == {"id": 7, "level": "easy", "source": "mine"}
    assert first.id == GSM8K_ID


#: Of the commit before other columns were read.
GSM8K_ID = "sha256:952a269b53607c2ee4d658634f65375106a2256050e1d75b2182e172fdabd3e3"
