"""Every container gives the records that it holds: the same traces as JSON Lines would."""

from __future__ import annotations

import contextlib
import datetime as dt
import decimal
import gzip
import io
import json
import os
import subprocess
import sys
import threading
import zlib
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tests.making.traces import value
from tunixrt.traces.importers import json_values
from tunixrt.traces.importers.containers import open_records
from tunixrt.traces.importers.first_records import first_records
from tunixrt.traces.importers.lines import MeteredFile, OpenText
from tunixrt.traces.importers.records import Dropped, Rejection
from tunixrt.traces.importers.table import SourceFormat, read_traces

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tunixrt.traces.importers.lines import TextSource

VALUES = [
    value(prompt=f'A "quoted" [problem] {{{i}}} \\ \n é 中 {"x" * (i % 97)}', meta={"n": i})
    for i in range(2_500)
]
LINES = b"".join(json.dumps(one).encode() + b"\n" for one in VALUES)


def records(source: TextSource) -> list[Any]:
    return list(read_traces(source, SourceFormat.TUNIXRT))


def rows(source: TextSource) -> list[bytes]:
    with open_records(source) as container:
        return [record for chunk in container.chunks for record in chunk.records]


def parquet(values: list[dict[str, Any]], **options: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(values), out, **options)
    return out.getvalue()


def arrow(values: list[dict[str, Any]], make: Callable[..., Any]) -> bytes:
    table = pa.Table.from_pylist(values)
    out = io.BytesIO()
    with make(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=1_000)
    return out.getvalue()


def in_halves(compress: Callable[[bytes], bytes]) -> bytes:
    middle = len(LINES) // 2  # in the middle of a line
    return compress(LINES[:middle]) + compress(LINES[middle:])


CONTAINERS: list[tuple[str, bytes, str]] = [
    ("JSON Lines", LINES, "line"),
    ("JSON Lines after a mark", b"\xef\xbb\xbf" + LINES, "line"),
    ("an array on one line", json.dumps(VALUES).encode(), "record"),
    ("an array over lines", json.dumps(VALUES, indent=2).encode(), "record"),
    ("an array in UTF-8", json.dumps(VALUES, ensure_ascii=False).encode(), "record"),
    ("an array of lines", b"[\n" + LINES.strip().replace(b"}\n", b"},\n") + b"\n]\n", "record"),
    ("objects over lines", b"\n".join(json.dumps(v, indent=2).encode() for v in VALUES), "record"),
    ("gzip", gzip.compress(LINES), "line"),
    ("gzip, two members", in_halves(gzip.compress), "line"),
    ("gzip, padded", gzip.compress(LINES) + bytes(70_000), "line"),
    ("gzip of an array", gzip.compress(json.dumps(VALUES).encode()), "record"),
    ("Zstandard", zstandard.compress(LINES), "line"),
    ("Zstandard, two frames", in_halves(zstandard.compress), "line"),
    (
        "Zstandard, a frame to skip",
        b"\x53\x2a\x4d\x18\4\0\0\0skip" + zstandard.compress(LINES),
        "line",
    ),
    ("Zstandard of an array", zstandard.compress(json.dumps(VALUES, indent=1).encode()), "record"),
    ("Parquet", parquet(VALUES), "row"),
    ("Parquet, small groups", parquet(VALUES, row_group_size=300, compression="zstd"), "row"),
    ("Parquet without dictionaries", parquet(VALUES, use_dictionary=False), "row"),
    ("an Arrow stream", arrow(VALUES, pa.ipc.new_stream), "row"),
    ("an Arrow file", arrow(VALUES, pa.ipc.new_file), "row"),
]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, bytes]]:
    path = tmp_path_factory.mktemp("lines") / "t.jsonl"
    path.write_bytes(LINES)
    return [(record.line, record.payload) for record in records(path)]


@pytest.mark.parametrize(
    ("data", "unit"), [c[1:] for c in CONTAINERS], ids=[c[0] for c in CONTAINERS]
)
def test_every_container_gives_the_traces_of_its_lines_whatever_its_name(
    tmp_path: Path, expected: list[tuple[int, bytes]], data: bytes, unit: str
) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(data)
    found = records(path)
    assert [(record.line, record.payload) for record in found] == expected
    assert {str(record.unit) for record in found} == {unit}
    of_stream = records(OpenText("stdin", io.BytesIO(data)))
    assert [record.payload for record in of_stream] == [record.payload for record in found]


@pytest.mark.parametrize("data", [c[1] for c in CONTAINERS], ids=[c[0] for c in CONTAINERS])
def test_a_pipe_gives_its_first_records_and_then_all_of_them(
    expected: list[tuple[int, bytes]], data: bytes
) -> None:
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(data)

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(reading, "rb") as pipe, contextlib.ExitStack() as stack:
        first, again = first_records(OpenText("stdin", pipe), stack)
        found = records(again)
    writer.join()
    assert first[:2] == VALUES[:2]
    assert [(record.line, record.payload) for record in found] == expected


def test_a_fifo_is_read_once_although_its_first_records_are_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_bytes(LINES))
    writer.start()
    with contextlib.ExitStack() as stack:
        first, again = first_records(path, stack)
        assert (first[0], len(records(again))) == (VALUES[0], len(VALUES))
    writer.join()


def test_a_metered_file_reports_every_byte_and_gives_the_same_traces(tmp_path: Path) -> None:
    for data in (LINES, gzip.compress(LINES), zstandard.compress(LINES)):
        path = tmp_path / "t"
        path.write_bytes(data)
        n_bytes: list[int] = []
        assert len(records(MeteredFile(path, n_bytes.append))) == len(VALUES)
        assert sum(n_bytes) == len(data)


ARROW_TYPES: list[tuple[str, Any, Any]] = [
    ("integer", pa.array([7]), 7),
    ("unsigned", pa.array([2**53 - 1], pa.uint64()), 2**53 - 1),
    ("float", pa.array([0.1]), 0.1),
    ("float of 32 bits", pa.array([0.1], pa.float32()), 0.10000000149011612),
    ("float of 16 bits", pa.array([1.5], pa.float32()).cast(pa.float16()), 1.5),
    ("boolean", pa.array([False]), False),
    ("large text", pa.array(["é"], pa.large_string()), "é"),
    ("text view", pa.array(["é"], pa.string_view()), "é"),
    ("dictionary", pa.array(["é"]).dictionary_encode(), "é"),
    ("dictionary of integers", pa.array([7]).dictionary_encode(), 7),
    ("list", pa.array([[1, None, 3]]), [1, None, 3]),
    ("large list", pa.array([[1, 2]], pa.large_list(pa.int8())), [1, 2]),
    ("fixed list", pa.array([[1, 2]], pa.list_(pa.int8(), 2)), [1, 2]),
    ("list view", pa.array([[1, 2]], pa.list_view(pa.int8())), [1, 2]),
    ("struct without its nulls", pa.array([{"a": 1, "b": None}]), {"a": 1}),
    ("struct of nulls", pa.array([{"a": None}], pa.struct([("a", pa.int8())])), {}),
    ("struct without fields", pa.array([{}], pa.struct([])), {}),
    (
        "map",
        pa.array([[("a", 1), ("b", None)]], pa.map_(pa.string(), pa.int8())),
        {"a": 1, "b": None},
    ),
    ("decimal", pa.array([decimal.Decimal("12.50")]), "12.50"),
    ("large decimal", pa.array([decimal.Decimal("1E+3")], pa.decimal128(9, 0)), "1000"),
    ("date", pa.array([dt.date(1969, 12, 31)]), "1969-12-31"),
    ("date in milliseconds", pa.array([dt.date(1969, 12, 31)], pa.date64()), "1969-12-31"),
    ("time", pa.array([dt.time(1, 2, 3, 40)]), "01:02:03.00004"),
    ("time in seconds", pa.array([dt.time(1, 2, 3)], pa.time32("s")), "01:02:03"),
    ("timestamp", pa.array([-999_000], pa.timestamp("us")), "1969-12-31T23:59:59.001"),
    (
        "timestamp in nanoseconds",
        pa.array([1], pa.timestamp("ns")),
        "1970-01-01T00:00:00.000000001",
    ),
    (
        "timestamp with a zone",
        pa.array([0], pa.timestamp("s", tz="Europe/Berlin")),
        "1970-01-01T00:00:00Z",
    ),
    ("extension", pa.array(['{"a": 1}'], pa.json_()), '{"a": 1}'),
]


@pytest.mark.parametrize(
    ("column", "becomes"), [t[1:] for t in ARROW_TYPES], ids=[t[0] for t in ARROW_TYPES]
)
def test_every_type_of_arrow_has_one_form_in_json(
    tmp_path: Path, column: Any, becomes: Any
) -> None:
    nothing = pa.nulls(1, column.type)
    table = pa.table({"x": pa.concat_arrays([nothing, column, nothing]).slice(1), "y": ["1", "2"]})
    with pa.ipc.new_stream(tmp_path / "t.arrow", table.schema) as writer:
        writer.write_table(table)
    expected = [{"x": becomes, "y": "1"}, {"y": "2"}]
    assert [json.loads(row) for row in rows(tmp_path / "t.arrow")] == expected


UNFIT: list[tuple[str, Any, str]] = [
    ("bytes", pa.array([b"\xff\0"]), "The column x holds bytes"),
    ("bytes of one length", pa.array([b"\xff\0"], pa.binary(2)), "The column x holds bytes"),
    ("bytes in a list", pa.array([[b"a"]]), "The column x[] holds bytes"),
    ("a duration", pa.array([dt.timedelta(1)]), "values of the Arrow type duration[us]"),
    (
        "a map of numbers",
        pa.array([[(1, 2)]], pa.map_(pa.int8(), pa.int8())),
        "keys are not differ",
    ),
    (
        "a map with a key twice",
        pa.array([[("a", 1), ("a", 2)]], pa.map_(pa.string(), pa.int8())),
        "keys are not",
    ),
    ("a far time", pa.array([10**15], pa.timestamp("s")), "a time before the year 1 or after 9999"),
]


@pytest.mark.parametrize(("column", "sentence"), [u[1:] for u in UNFIT], ids=[u[0] for u in UNFIT])
def test_a_value_that_json_does_not_have_rejects_its_row_and_no_other(
    tmp_path: Path, column: Any, sentence: str
) -> None:
    table = pa.table({"x": pa.concat_arrays([pa.nulls(1, column.type), column]), "y": ["1", "2"]})
    with pa.ipc.new_stream(tmp_path / "t.arrow", table.schema) as writer:
        writer.write_table(table)
    with open_records(tmp_path / "t.arrow") as container:
        (chunk,) = container.chunks
    assert list(chunk.faults) == [2]
    assert sentence in chunk.faults[2]
    assert json.loads(chunk.records[1])["y"] == "2"


def test_the_bytes_of_a_rejected_row_are_in_the_rejects_in_base64(tmp_path: Path) -> None:
    pq.write_table(pa.table({"prompt": ["p"], "image": [b"\xff\0"]}), tmp_path / "t.parquet")
    (rejection,) = records(tmp_path / "t.parquet")
    assert isinstance(rejection, Rejection)
    line = json.loads(rejection.as_line())
    assert (line["line"], line["unit"]) == (1, "row")
    assert json.loads(line["raw"]) == {"prompt": "p", "image": "/wA="}


def test_rejections_count_in_the_unit_of_their_container(tmp_path: Path) -> None:
    path = tmp_path / "t"
    for data, where in (
        (b"{}\n{}\n", "line 2"),
        (b"[{},\n\n{}]", "record 2"),
        (b'a,b\n1,"2\n3"\n4,5\n', "row 2"),
    ):
        path.write_bytes(data)
        first, second = records(path)
        assert str(second).startswith(f"{path}, {where}: ")
        assert str(first) != str(second)


def test_rows_of_csv_are_objects_of_texts_and_a_blank_line_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for delimiter, line_end in ((",", "\n"), (";", "\r\n"), ("\t", "\n")):
        table = ["id,the question,x", '1,"a\nb ""c""",', "", "007,é,2"]
        path.write_text(line_end.join(table).replace(",", delimiter), newline="")
        with open_records(path) as container:
            (chunk,) = container.chunks
        first, blank, last = chunk.records
        assert json.loads(first) == {"id": "1", "the question": 'a\nb "c"', "x": ""}
        assert json.loads(last) == {"id": "007", "the question": "é", "x": "2"}
        assert blank == b""
    path.write_text("question,answer\nq,a\n\nr,b\n")
    kinds = [type(record) for record in records(path)]
    assert kinds == [Rejection, Dropped, Rejection]


def test_an_array_that_is_empty_or_of_other_values_says_so(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_bytes(b' [ "a" , 1.5e3,null,true, [1,[2]], {"a":{"b":"]"}}\n]\n ')
    assert rows(path) == [b'"a"', b"1.5e3", b"null", b"true", b"[1,[2]]", b'{"a":{"b":"]"}}']
    path.write_bytes(b"[ ]")
    assert rows(path) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text('a"\\\\[]{},:\n é'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('a"}'), inner, max_size=3),
    max_leaves=40,
)


@given(st.lists(JSON, max_size=6), st.sampled_from([None, 1]), st.booleans())
def test_an_array_is_split_where_a_json_parser_would_split_it(
    values: list[Any], indent: int | None, ensure_ascii: bool
) -> None:
    deep = json.loads("[" * 20 + "]" * 20)
    data = json.dumps([deep, *values], indent=indent, ensure_ascii=ensure_ascii).encode()
    chunks = json_values.array_elements("array", io.BytesIO(data))
    assert [json.loads(raw) for chunk in chunks for raw in chunk.records] == [deep, *values]


def test_reading_in_pieces_of_any_size_gives_the_same_records() -> None:
    class Dripping(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(size or 0, 7))

        def seekable(self) -> bool:
            return False

    for data in (
        json.dumps(VALUES[:40]).encode(),
        json.dumps(VALUES[:40], indent=1).encode(),
        gzip.compress(LINES[:9_000]),
        zstandard.compress(LINES[:9_000]),
        parquet(VALUES[:40]),
    ):
        assert rows(OpenText("slow", Dripping(data))) == rows(OpenText("fast", io.BytesIO(data)))


PROGRAM = """
import re, sys
from pathlib import Path
from tunixrt.errors import BadInputError
from tunixrt.traces.importers.lines import OpenText
from tunixrt.traces.importers.table import SourceFormat, read_traces
n = 0
with open(sys.argv[1], "rb") as file:
    try:
        for record in read_traces(OpenText("bomb", file), SourceFormat.TUNIXRT):
            n += 1
            if n == 3:
                break
    except BadInputError as error:
        print(error, file=sys.stderr)
# Not ru_maxrss, which may be that of the process that started this one.
print(int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""


def bomb(kind: str, path: Path) -> None:
    if kind == "Parquet":
        # One value of 10 MiB, in each of 4,000 rows: 40 GB of text in a few kilobytes.
        indices = pa.array([0] * 4_000, pa.int32())
        column = pa.DictionaryArray.from_arrays(indices, pa.array(["x" * (10 * 2**20)]))
        table = pa.table({"prompt": column})
        pq.write_table(table, path, compression="zstd", dictionary_pagesize_limit=2**30)
        return
    text = b"[" * 2**20 if kind == "gzip of an array" else bytes(2**20)
    compressor: Any = (
        zstandard.ZstdCompressor(level=1).compressobj()
        if kind == "Zstandard"
        else zlib.compressobj(wbits=31)
    )
    with path.open("wb") as file:
        for _ in range(150):
            file.write(compressor.compress(text))
        file.write(compressor.flush())


#: What is refused for another reason than its length, or not at all.
EXPECTED = {"gzip of an array": "more than 10,000 brackets open at once", "Parquet": ""}


@pytest.mark.parametrize("kind", ["gzip", "gzip of an array", "Zstandard", "Parquet"])
def test_what_expands_a_thousandfold_is_refused_or_read_in_bounded_memory(
    tmp_path: Path, kind: str
) -> None:
    bomb(kind, tmp_path / "bomb")
    assert (tmp_path / "bomb").stat().st_size < 1_000_000
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path / "bomb"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < 300
    assert EXPECTED.get(kind, "longer than 67,108,864 bytes (64 MiB)") in done.stderr


def test_memory_does_not_grow_with_an_array_of_180_megabytes(tmp_path: Path) -> None:
    line = json.dumps(value(prompt="x" * 30_000)).encode()
    program = PROGRAM.replace("if n == 3:", "if n < 0:")
    path = tmp_path / "t"
    with gzip.open(path, "wb", 1) as file:
        file.write(b"[" + line)
        for _ in range(6_000):
            file.write(b"," + line)
        file.write(b"]")
    done = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 120
