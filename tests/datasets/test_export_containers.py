"""Containers: the same bytes every time, sums beside them, checked record by record, and loaded."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import itertools
import json
import subprocess
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.json
import pyarrow.parquet as pq
import pytest
import zstandard

from tests.making.conversations import conversation
from tests.making.traces import Place, trace
from tunixrt import Store
from tunixrt.datasets.exports import ExportError, ExportFormat
from tunixrt.derive import Answer
from tunixrt.extras import MissingExtraError
from tunixrt.log.redaction import redact
from tunixrt.traces.importers.table import imported

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt.store.stored_dataset import StoredDataset

FILES = ("x.jsonl", "x.jsonl.gz", "x.jsonl.zst", "x.parquet", "x.arrow")
UNLABELLED = [one for one in ExportFormat if one is not ExportFormat.STEPWISE]


def make(root: Path, *more: Any, splits: dict[str, str] | None = None) -> StoredDataset:
    place = Place.at(root)
    metas: list[dict[str, Any]] = [{}, {"n": 1}, {"n": "one"}, {"n": {"a": [1, "b", None]}}]
    place.record(*(trace(f"Problem {n}", meta=metas[n % 4]) for n in range(20)), *more)
    store = Store.open(root)
    store.datasets.build("d", "v1", splits=splits)
    return store.datasets["d-v1"]


def lines_in(path: Path) -> list[bytes]:
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    elif path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read()
    return data.splitlines(keepends=True)


def rows_in(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return list(pq.read_table(path).to_pylist())
    with pa.ipc.open_stream(path.read_bytes()) as reader:
        return list(reader.read_all().to_pylist())


@pytest.mark.parametrize("name", FILES)
def test_a_container_holds_the_lines_and_is_the_same_bytes_anywhere(
    name: str, tmp_path: Path
) -> None:
    first, second = make(tmp_path / "a"), make(tmp_path / "b" / "c")
    report = first.export(tmp_path / name, "tunix_sft")
    again = second.export(tmp_path / "b" / name, "tunix_sft")
    assert again == report
    data = (tmp_path / name).read_bytes()
    assert data == (tmp_path / "b" / name).read_bytes()
    assert report.sha256 == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert report.files[0].size_bytes == len(data)
    plain = io.BytesIO()
    first.export(plain, "tunix_sft")
    wanted = plain.getvalue().splitlines(keepends=True)
    if ".jsonl" in name:
        assert lines_in(tmp_path / name) == wanted
    else:
        assert rows_in(tmp_path / name) == [json.loads(line) for line in wanted]


@pytest.mark.parametrize("name", FILES)
def test_shards_are_the_whole_in_order_and_of_equal_size(name: str, tmp_path: Path) -> None:
    dataset = make(tmp_path / "a")
    report = dataset.export(tmp_path / name, "text", shards=3)
    stem, _, extension = name.partition(".")
    names = [f"{stem}-0000{k}-of-00003.{extension}" for k in range(3)]
    assert [(file.name, file.rows) for file in report.files] == [
        (names[0], 7),
        (names[1], 7),
        (names[2], 6),
    ]
    read = lines_in if ".jsonl" in name else rows_in
    dataset.export(tmp_path / f"w{name}", "text")
    assert [row for one in names for row in read(tmp_path / one)] == read(tmp_path / f"w{name}")
    done = subprocess.run(
        ["sha256sum", "-c", f"{name}.sha256"], cwd=tmp_path, check=False, capture_output=True
    )
    assert (done.returncode, done.stdout.count(b": OK")) == (0, 3)
    (verdict,) = dataset.check_export(tmp_path / name, "text", shards=3)
    assert (verdict.verdict, verdict.n_rows) == (Answer.IDENTICAL, 20)


def test_more_shards_than_rows_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    dataset = make(tmp_path / "a")
    with pytest.raises(ExportError, match="20 rows cannot fill 21 shards"):
        dataset.export(tmp_path / "x.jsonl", "text", shards=21)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("package", ["pyarrow", "zstandard"])
def test_a_container_without_its_library_is_refused_before_anything_is_written(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make(tmp_path / "a")
    monkeypatch.setattr("tunixrt.extras._is_installed", lambda name: name != package)
    name = {"pyarrow": "x.parquet", "zstandard": "x.jsonl.zst"}[package]
    extra = {"pyarrow": "parquet", "zstandard": "zstd"}[package]
    with pytest.raises(MissingExtraError, match=rf"pip install 'tunixrt\[{extra}\]'"):
        dataset.export(tmp_path / name, "text")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


# --- check ---------------------------------------------------------------------------------------


def edited(path: Path, edit: Any) -> None:
    """Change the rows of a file, and write it as another program would."""
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        rows = edit(table.to_pylist())
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    elif path.suffix == ".arrow":
        table = pa.ipc.open_stream(path.read_bytes()).read_all()
        rows = edit(table.to_pylist())
        with pa.ipc.new_stream(path, table.schema) as out:
            out.write_table(pa.Table.from_pylist(rows, schema=table.schema))
    else:
        rows = edit([json.loads(line) for line in lines_in(path)])
        text = "".join(
            json.dumps(row, sort_keys=True, separators=(",", ":")) + "\n" for row in rows
        )
        data = text.encode()
        if path.suffix == ".gz":
            data = gzip.compress(data, compresslevel=1)
        elif path.suffix == ".zst":
            data = zstandard.compress(data, level=9)
        path.write_bytes(data)


@pytest.mark.parametrize("name", FILES)
def test_a_check_is_of_records_and_names_the_first_that_differs(name: str, tmp_path: Path) -> None:
    dataset = make(tmp_path / "a")
    path = tmp_path / name
    ids = [row["id"] for row in dataset.rows("tunix_sft")]

    def difference() -> str | None:
        (verdict,) = dataset.check_export(path, "tunix_sft")
        assert (verdict.verdict is Answer.DIVERGED) == (verdict.first_difference is not None)
        return verdict.first_difference

    def changed(rows: list[Any]) -> list[Any]:
        rows[4]["final_answer"] = "43"
        rows[9]["final_answer"] = "44"
        return rows

    dataset.export(path, "tunix_sft")
    edited(path, lambda rows: rows)  # other bytes, the same records
    assert difference() is None
    edited(path, changed)
    assert difference() == (f'{name}, row 5: row {ids[4]}: final_answer was "43", is "42".')
    dataset.export(path, "tunix_sft")
    edited(path, lambda rows: rows[:-1])
    assert difference() == f"{name}: it ends after 19 rows; row {ids[19]} is missing."
    dataset.export(path, "tunix_sft")
    edited(path, lambda rows: [*rows, rows[0]])
    assert difference() == f"{name}, row 21: the store has no such row (row {ids[0]})."
    dataset.export(path, "tunix_sft")
    path.write_bytes(path.read_bytes()[:-9])
    assert difference() is not None


def test_a_check_finds_other_columns_and_what_is_no_such_file(tmp_path: Path) -> None:
    dataset = make(tmp_path / "a")
    dataset.export(tmp_path / "x.parquet", "text")
    (verdict,) = dataset.check_export(tmp_path / "x.parquet", "tunix_sft")
    assert str(verdict.first_difference).startswith(
        "x.parquet: its columns are id (string), text (string); expected id (string), prompts"
    )
    for name in ("y.parquet", "y.arrow", "y.jsonl.gz", "y.jsonl.zst"):
        (tmp_path / name).write_bytes(b"something else\n")
        (verdict,) = dataset.check_export(tmp_path / name, "text")
        assert str(verdict.first_difference).startswith(f"{name} cannot be read: ")
    with pytest.raises(ExportError, match="does not exist, or is not a file"):
        dataset.check_export(tmp_path / "absent.jsonl", "text")


def test_a_redaction_makes_an_older_export_differ(tmp_path: Path) -> None:
    dataset = make(tmp_path / "a")
    dataset.export(tmp_path / "x.parquet", "text")
    member = next(iter(dataset.members())).trace
    redact(dataset.log, [member])
    (verdict,) = dataset.check_export(tmp_path / "x.parquet", "text")
    assert verdict.verdict is Answer.DIVERGED
    assert member in str(verdict.first_difference)
    assert dataset.export(tmp_path / "x.parquet", "text", shards=19).omitted == {"redacted": 1}


# --- what loads it -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def surprising(tmp_path_factory: pytest.TempPathFactory) -> StoredDataset:
    """9,000 integers under one key of the metadata, and then, in the last row, a text."""
    root = tmp_path_factory.mktemp("surprising") / "a"
    place = Place.at(root)
    answer = "4" * 1_200  # so that the text comes after more than 10 MB
    traces = [trace(f"Problem {n}", final_answer=answer, meta={"n": n}) for n in range(9_000)]
    last = max(place.record(*traces))
    odd = {"n": "text", "m": {"a": [1, "b"]}}
    place.record(
        next(
            one
            for number in itertools.count()
            if imported(one := trace(f"Odd {number}", final_answer=answer, meta=odd)).id > last
        )
    )
    store = Store.open(root)
    store.datasets.build("d", "v1")
    return store.datasets["d-v1"]


@pytest.mark.parametrize("export_format", UNLABELLED)
def test_every_block_of_an_export_has_the_same_columns_whatever_metadata_holds(
    export_format: ExportFormat, surprising: StoredDataset, tmp_path: Path
) -> None:
    """As readers that take the columns from the first block do."""
    surprising.export(tmp_path / "x.jsonl", export_format)
    lines = (tmp_path / "x.jsonl").read_bytes().splitlines(keepends=True)
    first, last = (
        pa.json.read_json(pa.BufferReader(b"".join(some))).schema
        for some in (lines[:4_000], lines[-1:])
    )
    assert first == last
    surprising.export(tmp_path / "x.parquet", export_format)
    table = pq.read_table(tmp_path / "x.parquet")
    assert table.num_rows == 9_001
    assert table.equals(surprising.arrow(export_format))


def test_the_text_of_metadata_is_read_back_from_every_container(
    surprising: StoredDataset, tmp_path: Path
) -> None:
    surprising.export(tmp_path / "x.jsonl", "trace")
    surprising.export(tmp_path / "x.parquet", "trace")
    wanted = {"n": "text", "m": {"a": [1, "b"]}, "trace_version": "1.0"}
    assert json.loads(rows_in(tmp_path / "x.parquet")[-1]["metadata"]) == wanted
    assert json.loads(json.loads(lines_in(tmp_path / "x.jsonl")[-1])["metadata"]) == wanted
    assert [*surprising.rows("trace")][-1]["metadata"] == wanted


@pytest.mark.skipif(
    importlib.util.find_spec("datasets") is None, reason="Hugging Face datasets is not installed"
)
@pytest.mark.parametrize("export_format", UNLABELLED)
def test_hugging_face_datasets_loads_every_container(
    export_format: ExportFormat, surprising: StoredDataset, tmp_path: Path
) -> None:
    import datasets

    for name in ("x.jsonl", "x.jsonl.gz", "x.parquet"):
        surprising.export(tmp_path / name, export_format)
        loaded = datasets.load_dataset(
            "parquet" if "parquet" in name else "json",
            data_files=str(tmp_path / name),
            split="train",
            cache_dir=str(tmp_path / "cache"),
        )
        assert len(loaded) == 9_001
    surprising.export(f"{tmp_path}/directory/", export_format)
    by_name = datasets.load_dataset(str(tmp_path / "directory"), cache_dir=str(tmp_path / "cache"))
    by_path = datasets.load_from_disk(str(tmp_path / "directory"))
    assert by_name["train"].features == by_path["train"].features
    assert by_name["train"][9_000] == by_path["train"][9_000]


def test_a_directory_holds_each_split_as_datasets_saves_it(tmp_path: Path) -> None:
    dataset = make(tmp_path / "a", conversation(), splits={"test": "0.3"})
    report = dataset.export(f"{tmp_path}/out/", "messages", split="all", shards=2)
    out = tmp_path / "out"
    counts = {split: n for split, n in dataset.manifest.split_counts.items() if n}
    assert json.loads((out / "dataset_dict.json").read_bytes()) == {"splits": ["train", "test"]}
    assert report.rows == 21
    assert report.omitted == {}
    for split, n in counts.items():
        state = json.loads((out / split / "state.json").read_bytes())
        names = [file["filename"] for file in state["_data_files"]]
        assert names == ["data-00000-of-00002.arrow", "data-00001-of-00002.arrow"]
        rows = [row for name in names for row in rows_in(out / split / name)]
        assert len(rows) == n
        features = json.loads((out / split / "dataset_info.json").read_bytes())["features"]
        assert set(features) == set(rows[0])
        assert features["messages"] == {"feature": {"_type": "Json"}, "_type": "List"}
    card = (out / "README.md").read_text(encoding="utf-8")
    assert '  - split: test\n    path: "test/data*.arrow"' in card
    done = subprocess.run(
        ["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=out, check=False, capture_output=True
    )
    assert done.returncode == 0
    verdicts = dataset.check_export(out, "messages", split="all", shards=2)
    assert [verdict.verdict for verdict in verdicts] == [Answer.IDENTICAL] * 2
    # Written again over itself, with fewer files; what others wrote stays.
    (out / "notes.txt").write_text("mine")
    dataset.export(out, "messages", split="all")
    assert (out / "notes.txt").read_text() == "mine"
    assert sorted(path.name for path in (out / "test").glob("*.arrow")) == ["data.arrow"]


@pytest.mark.parametrize("export_format", [ExportFormat.TRACE, ExportFormat.MESSAGES])
def test_both_schemas_share_the_columns_of_a_file(
    export_format: ExportFormat, tmp_path: Path
) -> None:
    dataset = make(tmp_path / "a", conversation())
    dataset.export(tmp_path / "x.parquet", export_format)
    rows = rows_in(tmp_path / "x.parquet")
    lines = list(dataset.rows(export_format))
    assert [row["id"] for row in rows] == [line["id"] for line in lines]
    for row, line in zip(rows, lines, strict=True):
        messages = row["messages"] and [json.loads(message) for message in row["messages"]]
        assert messages == line.get("messages")
    (verdict,) = dataset.check_export(tmp_path / "x.parquet", export_format)
    assert verdict.verdict is Answer.IDENTICAL
