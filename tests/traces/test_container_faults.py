"""What is wrong with a container, fault by fault: one sentence each, and nothing is recorded."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import json
import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tests.making.traces import Place, value
from tunixrt.errors import BadInputError
from tunixrt.traces.importers import csv_rows, json_values, lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GOOD = json.dumps(value()).encode()
LINES = b"".join(json.dumps(value(prompt=f"Problem {i}")).encode() + b"\n" for i in range(50))
GZIP = gzip.compress(LINES, mtime=0)
ZSTD = zstandard.ZstdCompressor(write_checksum=True).compress(LINES)


def flipped(data: bytes, place: int) -> bytes:
    changed = bytearray(data)
    changed[place] ^= 0xFF
    return bytes(changed)


def parquet(**columns: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


def parquet_of(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def arrow_stream(n_rows: int = 50) -> bytes:
    table = pa.Table.from_pylist([value(prompt=f"Problem {i}") for i in range(n_rows)])
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


TRACES = parquet_of(pa.Table.from_pylist([value(prompt=f"Problem {i}") for i in range(50)]))
WIDE = {"prompt": ["p"], "final_answer": ["a"], "trace_version": ["1.0"]}
TWO_COLUMNS = parquet_of(pa.table([["a"], ["b"]], names=["x", "x"]))
REJECTED = (
    " Nothing was recorded; fix the file, or import with --on-error quarantine to record the good "
    "records and set the bad ones aside."
)
KINDS = "The file should be Parquet, Arrow, or JSON Lines, a JSON array or CSV in UTF-8, but is "

#: A name, the bytes, and the whole sentence: FILE is the path, and ... what pyarrow reports.
FAULTS: list[tuple[str, bytes, str]] = [
    (
        "gzip cut off",
        GZIP[:-9],
        (
            "The file FILE is cut off: its gzip data ends in the middle. Fetch it or "
            "compress it again."
        ),
    ),
    (
        "gzip without its last byte",
        GZIP[:-1],
        (
            "The file FILE is cut off: its gzip data ends in the middle. Fetch it or "
            "compress it again."
        ),
    ),
    (
        "the head of gzip alone",
        GZIP[:5],
        (
            "The file FILE is cut off: its gzip data ends in the middle. Fetch it or "
            "compress it again."
        ),
    ),
    (
        "a flipped bit in gzip",
        flipped(GZIP, -6),
        (
            "The file FILE is damaged: its gzip data is wrong (incorrect data check). "
            "Fetch it or compress it again."
        ),
    ),
    (
        "a length that gzip does not have",
        flipped(GZIP, -1),
        (
            "The file FILE is damaged: its gzip data is wrong (incorrect length check). "
            "Fetch it or compress it again."
        ),
    ),
    (
        "junk after gzip",
        GZIP + b"junk",
        (
            "The file FILE is damaged: after its gzip data there are bytes of another "
            "kind. Fetch it or compress it again."
        ),
    ),
    (
        "a second member of gzip cut off",
        GZIP + GZIP[:20],
        (
            "The file FILE is cut off: its gzip data ends in the middle. Fetch it or "
            "compress it again."
        ),
    ),
    (
        "gzip in gzip",
        gzip.compress(GZIP),
        f"FILE, line 1: {KINDS}compressed with gzip. Decompress it first: gzip -dc FILE > OUT.",
    ),
    (
        "tar in gzip",
        gzip.compress(b"t.jsonl" + b"\0" * 250 + b"ustar"),
        f"FILE, line 1: {KINDS}a tar archive. Unpack it first: tar -xf FILE.",
    ),
    (
        "Parquet in gzip",
        gzip.compress(TRACES),
        (
            f"FILE, line 1: {KINDS}Parquet or Arrow in a compressed file. Decompress it "
            "first, since it is read by place."
        ),
    ),
    (
        "nothing in gzip",
        gzip.compress(b""),
        "The file FILE holds no records: it is empty or has only blank lines.",
    ),
    (
        "Zstandard cut off",
        ZSTD[:-6],
        (
            "The file FILE is cut off: its Zstandard data ends in the middle. Fetch it "
            "or compress it again."
        ),
    ),
    (
        "the head of Zstandard alone",
        ZSTD[:4],
        (
            "The file FILE is cut off: its Zstandard data ends in the middle. Fetch it "
            "or compress it again."
        ),
    ),
    (
        "a flipped bit in Zstandard",
        flipped(ZSTD, -1),
        (
            "The file FILE is damaged: its Zstandard data is wrong (Restored data "
            "doesn't match checksum). Fetch it or compress it again."
        ),
    ),
    (
        "junk after Zstandard",
        ZSTD + b"junk",
        (
            "The file FILE is damaged: after its Zstandard data there are bytes of "
            "another kind. Fetch it or compress it again."
        ),
    ),
    (
        "an array cut off in a record",
        b"[" + GOOD + b", " + GOOD[:40],
        "FILE, record 2: The file ends in the middle of the record: it is cut off.",
    ),
    (
        "an array cut off after a record",
        b"[" + GOOD,
        "FILE, record 1: The file ends before the ] of its array: it is cut off.",
    ),
    (
        "an array without a comma",
        b"[1 2]",
        'FILE, record 1: A comma or ] should follow the record, but found "2]".',
    ),
    (
        "an array with a comma too many",
        b"[" + GOOD + b",]",
        'FILE, record 2: A record was expected, but found "]".',
    ),
    (
        "something after an array",
        b"[" + GOOD + b"] and more",
        'FILE, record 1: The file should end after the array, but continues with "and more".',
    ),
    (
        "a record of an array that is no object",
        b"[" + GOOD + b", 7]",
        (
            "FILE, record 2: The record should be an object with the fields of a trace, "
            f"but is the number 7.{REJECTED}"
        ),
    ),
    (
        "a record of an array that is no JSON",
        b'[{"prompt": tru}]',
        (
            "FILE, record 1: This is not JSON at column 12: Expecting value, and found "
            f'"tru}}".{REJECTED}'
        ),
    ),
    (
        "an object over several lines cut off",
        json.dumps(value(), indent=1).encode()[:60],
        "FILE, record 1: The file ends in the middle of the record: it is cut off.",
    ),
    (
        "a comma between objects over several lines",
        json.dumps(value(), indent=1).encode() + b",\n{}",
        'FILE, record 2: A record was expected, but found ",\\n{}".',
    ),
    (
        "a document around the records",
        json.dumps({"data": [value()]}, indent=1).encode(),
        (
            f"FILE, line 1: {KINDS}a JSON document with a list of records. Write one "
            """object per line: jq -c '."data"[]' FILE > OUT."""
        ),
    ),
    (
        "Parquet cut off",
        TRACES[:-30],
        (
            "The file FILE cannot be read as Parquet: it is cut off or damaged (...). "
            "Fetch or write it again."
        ),
    ),
    (
        "Parquet damaged in its data",
        flipped(flipped(TRACES, 30), 31),
        (
            "The file FILE cannot be read as Parquet: it is cut off or damaged (...). "
            "Fetch or write it again."
        ),
    ),
    (
        "Parquet without a column that the format has",
        parquet(**WIDE),
        (
            'FILE, row 1: The field "steps" is missing; it should be a list of 1 to '
            f"1,000 steps.{REJECTED}"
        ),
    ),
    (
        "Parquet with bytes",
        parquet(**WIDE, image=[b"\x89PNG"]),
        (
            "FILE, row 1: The column image holds bytes, which JSON does not have. Leave "
            f"the column out, or write it as text.{REJECTED}"
        ),
    ),
    (
        "Parquet with bytes in a struct",
        parquet(prompt=["p"], image=[{"bytes": b"\x89PNG", "path": None}]),
        (
            "FILE, row 1: The column image.bytes holds bytes, which JSON does not have. "
            f"Leave the column out, or write it as text.{REJECTED}"
        ),
    ),
    (
        "Parquet with durations",
        parquet(prompt=["p"], took=[dt.timedelta(seconds=1)]),
        (
            "FILE, row 1: The column took holds values of the Arrow type duration[us], "
            "which JSON does not have. Leave the column out, or write it as "
            f"text.{REJECTED}"
        ),
    ),
    (
        "Parquet with a number that is not finite",
        parquet(**WIDE, score=[float("nan")]),
        f"FILE, row 1: NaN is not a JSON number: use a finite number, null or text.{REJECTED}",
    ),
    (
        "Parquet with a text that is not UTF-8",
        parquet(prompt=pa.array([b"\xff"]).view(pa.string())),
        f"FILE, row 1: Byte 13 (0xff) is not valid UTF-8: save the text as UTF-8.{REJECTED}",
    ),
    (
        "Parquet with two columns of one name",
        TWO_COLUMNS,
        "The file FILE has two columns x. Give one of them another name.",
    ),
    (
        "Parquet without rows",
        parquet(prompt=pa.array([], pa.string())),
        "The file FILE holds no records: it is empty or has only blank lines.",
    ),
    (
        "encrypted Parquet",
        b"PARE" + b"\0" * 20,
        (
            f"FILE, line 1: {KINDS}encrypted Parquet. Decrypt it first, with the program "
            "that wrote it."
        ),
    ),
    (
        "an Arrow stream cut off",
        arrow_stream()[:-100],
        (
            "The file FILE cannot be read as Arrow: it is cut off or damaged (...). "
            "Fetch or write it again."
        ),
    ),
    (
        "an Arrow stream cut off in its schema",
        arrow_stream()[:100],
        (
            "The file FILE cannot be read as Arrow: it is cut off or damaged (...). "
            "Fetch or write it again."
        ),
    ),
    (
        "CSV with a row too short",
        b"prompt,answer\n1\n",
        (f"FILE, row 1: The first line of the file has 2 cells, but the row has 1.{REJECTED}"),
    ),
    (
        "CSV with an open quotation mark",
        b'prompt,answer\n1,"2\n',
        "FILE, row 1: The row is not CSV: unexpected end of data.",
    ),
    (
        "CSV with two columns of one name",
        b"prompt,prompt\n1,2\n",
        'FILE, line 1: Two columns are called "prompt". Rename one.',
    ),
    (
        "CSV in another encoding",
        "prompt,answer\n1,é\n".encode("latin-1"),
        (
            "FILE, line 2: CSV should be UTF-8, but byte 3 (0xe9) is not UTF-8. Convert "
            "it, for example with iconv -f WINDOWS-1252 -t UTF-8."
        ),
    ),
    (
        "CSV without rows",
        b"prompt,answer\n",
        "The file FILE holds no records: it is empty or has only blank lines.",
    ),
]


@pytest.mark.parametrize(
    ("data", "sentence"), [fault[1:] for fault in FAULTS], ids=[fault[0] for fault in FAULTS]
)
def test_a_fault_of_a_container_gets_one_sentence_and_nothing_is_recorded(
    place: Place, tmp_path: Path, data: bytes, sentence: str
) -> None:
    path = tmp_path / "records"
    path.write_bytes(data)
    before = place.files()
    with pytest.raises(BadInputError) as error:
        place.take(path)
    found = re.sub(r"(damaged) \(.+\)(?=\. Fetch or write)", r"\1 (...)", str(error.value))
    assert found == sentence.replace("FILE", str(path))
    assert place.files() == before
    assert not list(place.layout.staging.iterdir())


def test_at_least_twenty_five_faults_of_containers_have_a_sentence() -> None:
    assert len({name for name, _, _ in FAULTS}) >= 25


#: How a container holds a record that is longer than a limit of 1,000 bytes.
LONG: list[tuple[str, Callable[[bytes], bytes], str]] = [
    (
        "gzip",
        lambda record: gzip.compress(GOOD + b"\n" + record),
        "line 2: The line is longer than",
    ),
    ("an array", lambda record: b"[1," + record + b"]", "record 2: The record is longer than"),
    ("CSV", lambda record: b"a,b\n1,2\n3," + record, "line 3: The line is longer than"),
]


@pytest.mark.parametrize(("make", "sentence"), [one[1:] for one in LONG], ids=[o[0] for o in LONG])
def test_a_record_beyond_the_limit_is_refused_in_every_container(
    place: Place,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[bytes], bytes],
    sentence: str,
) -> None:
    for module in (csv_rows, json_values, lines):
        monkeypatch.setattr(module, "MAX_LINE_BYTES", 1_000)
    path = tmp_path / "long"
    path.write_bytes(make(b'"' + b"x" * 2_000 + b'"'))
    with pytest.raises(BadInputError, match=f"long, {sentence} 1,000 bytes"):
        place.take(path)


def test_a_file_that_changes_while_it_is_read_is_refused(place: Place, tmp_path: Path) -> None:
    from tunixrt.traces.importers.table import SourceFormat, read_traces
    from tunixrt.traces.importing import import_traces

    path = tmp_path / "growing.jsonl"
    path.write_bytes(LINES)
    before = place.files()

    def growing() -> Any:
        for record in read_traces(path, SourceFormat.TUNIXRT):
            if record.line == 7:
                with path.open("ab") as file:
                    file.write(GOOD + b"\n")
            yield record

    with pytest.raises(BadInputError) as error:
        import_traces(place.log, growing())
    assert str(error.value) == (
        f"The file {path} changed while it was read. Import it again when no other program writes "
        "to it."
    )
    assert place.files() == before


def test_a_file_that_is_cut_while_it_is_read_is_said_to_have_changed(
    place: Place, tmp_path: Path
) -> None:
    from tunixrt.traces.importers.table import SourceFormat, read_traces
    from tunixrt.traces.importing import import_traces

    path = tmp_path / "shrinking.gz"
    noise = b"".join(
        json.dumps(value(prompt=f"{i * 7919 % 10_007}")).encode() + b"\n" for i in range(60_000)
    )
    path.write_bytes(gzip.compress(noise, 1))
    size = path.stat().st_size

    def shrinking() -> Any:
        for record in read_traces(path, SourceFormat.TUNIXRT):
            if record.line == 1:
                with path.open("r+b") as file:
                    file.truncate(size // 2)
            yield record

    with pytest.raises(BadInputError, match=r"shrinking\.gz changed while it was read\."):
        import_traces(place.log, shrinking())


def test_a_missing_package_is_named_before_anything_is_read(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunixrt.extras._is_installed", lambda package: False)
    path = tmp_path / "t"
    for data, package in ((ZSTD, "zstandard"), (TRACES, "pyarrow"), (arrow_stream(), "pyarrow")):
        path.write_bytes(data)
        with pytest.raises(BadInputError, match=f"needs {package}, which is not installed: pip in"):
            place.take(path)
