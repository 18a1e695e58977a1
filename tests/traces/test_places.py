"""Which files an import means: globs, directories, saved datasets; and in which order."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.making.traces import value
from tunixrt.errors import BadInputError
from tunixrt.traces.importers.lines import OpenText
from tunixrt.traces.importers.places import find
from tunixrt.traces.importers.table import SourceFormat, read_traces
from tunixrt.traces.schema import Trace, parse_payload

LINE = json.dumps(value()).encode() + b"\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(*names: str, data: bytes = LINE) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(data)


def names(*given: Any) -> list[str]:
    return [str(source) for source in find(given).sources]


def prompts(*given: Any) -> list[str]:
    found = []
    for source in find(given).sources:
        for record in read_traces(source, SourceFormat.TUNIXRT):
            trace = parse_payload(record.payload)  # type: ignore[union-attr]
            assert isinstance(trace, Trace)
            found.append(trace.prompt)
    return found


def saved(directory: Path, *parts: list[str], **state: Any) -> None:
    """What ``datasets.Dataset.save_to_disk`` writes, as its documentation and files show."""
    directory.mkdir(parents=True)
    files = [f"data-{i:05d}-of-{len(parts):05d}.arrow" for i in range(len(parts))]
    for name, part in zip(files, parts, strict=True):
        table = pa.Table.from_pylist([value(prompt=prompt) for prompt in part])
        with pa.ipc.new_stream(directory / name, table.schema) as writer:
            writer.write_table(table)
    whole = {"_data_files": [{"filename": name} for name in files], "_split": "train", **state}
    (directory / "state.json").write_text(json.dumps(whole))
    (directory / "dataset_info.json").write_text(json.dumps({"features": {}}))


@pytest.mark.usefixtures("here")
def test_a_directory_gives_its_files_of_records_in_the_order_of_their_paths() -> None:
    make("d/b.jsonl", "d/a/z.json.gz", "d/a.parquet", "d/a-2/q.csv", "d/a/b/c.ndjson.zst")
    make("d/README.md", "d/.hidden.jsonl", "d/.cache/x.jsonl", "d/t.jsonl.rejects.jsonl")
    make("d/dataset_infos.json", "d/model.safetensors")
    (Path("d") / "loop").symlink_to("..")
    found = find("d")
    assert [str(path) for path in found.sources] == [
        "d/a-2/q.csv",
        "d/a.parquet",
        "d/a/b/c.ndjson.zst",
        "d/a/z.json.gz",
        "d/b.jsonl",
    ]
    assert found.notices[0] == (
        "Skipped in d: 7, hidden or not files of records (.cache/, .hidden.jsonl, README.md, "
        "dataset_infos.json, loop/, ...)."
    )


@pytest.mark.usefixtures("here")
def test_a_link_to_a_file_in_a_directory_is_read_as_that_file() -> None:
    make("blobs/5f2a")
    Path("snapshot").mkdir()
    Path("snapshot/train.jsonl").symlink_to("../blobs/5f2a")
    assert names("snapshot") == ["snapshot/train.jsonl"]


@pytest.mark.usefixtures("here")
def test_a_glob_is_expanded_here_in_a_fixed_order_unless_a_file_has_that_name() -> None:
    make("d/b-2.jsonl", "d/b-10.jsonl", "d/é.jsonl", "d/e/f.jsonl", "d/b-1.jsonl.rejects.jsonl")
    assert names("d/*.jsonl") == ["d/b-10.jsonl", "d/b-2.jsonl", "d/é.jsonl"]
    assert names("d/**/f.jsonl") == ["d/e/f.jsonl"]
    assert names("d/[e]") == ["d/e/f.jsonl"]
    make("d/[e]")
    assert names("d/[e]") == ["d/[e]"]
    with pytest.raises(BadInputError, match=r"^No file matches the pattern d/\*\.parquet\.$"):
        find("d/*.parquet")


@pytest.mark.usefixtures("here")
def test_an_empty_directory_names_the_endings_that_it_looked_for() -> None:
    make("d/README.md")
    with pytest.raises(BadInputError) as error:
        find("d")
    assert str(error.value) == (
        "The directory d has no file of records. Their names end in one of .arrow, .csv, .feather, "
        ".json, .jsonl, .ndjson, .parquet, .tsv, also with .gz or .zst after it."
    )


def test_a_dataset_saved_by_datasets_gives_the_files_that_it_lists(here: Path) -> None:
    saved(here / "d", ["one", "two"], ["three"])
    make("d/cache-1234.arrow", "d/notes.jsonl")
    assert prompts("d") == ["one", "two", "three"]


def test_a_saved_dataset_with_splits_gives_all_of_them_and_says_so(here: Path) -> None:
    saved(here / "d" / "train", ["one"])
    saved(here / "d" / "test", ["two"])
    (here / "d" / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    assert prompts("d") == ["one", "two"]
    assert prompts("d/test") == ["two"]
    assert find("d").notices == [
        (
            "Reading the splits train, test of d. A trace does not record its split: import one "
            "directory at a time with --source to tell them apart."
        )
    ]


def test_a_repository_with_parquet_below_data_is_a_directory_like_others(here: Path) -> None:
    (here / "d" / "data").mkdir(parents=True)
    for number, prompt in enumerate(("one", "two")):
        table = pa.Table.from_pylist([value(prompt=prompt)])
        pq.write_table(table, here / f"d/data/train-{number:05d}-of-00002.parquet")
    make("d/README.md", "d/.gitattributes")
    assert prompts("d") == ["one", "two"]


SAVED: list[tuple[str, Any, str]] = [
    (
        "indices",
        {"_indices_files": [{"filename": "i.arrow"}]},
        "is a selection of rows of its files",
    ),
    (
        "a path",
        {"_data_files": [{"filename": "../x.arrow"}]},
        'The field "_data_files" should list',
    ),
    ("nothing", {"_data_files": []}, 'The field "_data_files" should list the files'),
]


@pytest.mark.parametrize(("state", "sentence"), [s[1:] for s in SAVED], ids=[s[0] for s in SAVED])
def test_a_saved_dataset_that_cannot_be_read_says_why(
    here: Path, state: dict[str, Any], sentence: str
) -> None:
    saved(here / "d", ["one"], **state)
    with pytest.raises(BadInputError) as error:
        find("d")
    assert sentence in str(error.value)
    (here / "d" / "state.json").write_text("{")
    with pytest.raises(BadInputError, match=r"state\.json of a saved dataset is not JSON\. Save "):
        find("d")


def test_a_file_that_a_saved_dataset_lists_and_lacks_is_named(here: Path) -> None:
    saved(here / "d", ["one"])
    (here / "d" / "data-00000-of-00001.arrow").unlink()
    with pytest.raises(BadInputError, match=r"There is no file d/data-00000-of-00001\.arrow\."):
        prompts("d")


@pytest.mark.usefixtures("here")
def test_a_name_that_the_content_contradicts_is_noticed() -> None:
    make("a.jsonl", "b", "c.jsonl.gz", "d.parquet", "empty.gz")
    make("e.jsonl", "f", data=gzip.compress(LINE))
    Path("empty.gz").write_bytes(b"")
    assert find(
        ["a.jsonl", "b", "c.jsonl.gz", "d.parquet", "e.jsonl", "f", "empty.gz"]
    ).notices == [
        "c.jsonl.gz is not compressed with gzip, as its name says; it is read by its content.",
        "d.parquet is not Parquet, as its name says; it is read by its content.",
        "e.jsonl is compressed with gzip, which its name does not say; it is read by its content.",
    ]


@pytest.mark.usefixtures("here")
def test_the_size_of_an_import_is_known_unless_a_stream_is_in_it() -> None:
    make("a.jsonl", "b.jsonl")
    stream = OpenText("stdin", io.BytesIO(LINE))
    assert find(["a.jsonl", Path("b.jsonl")]).n_bytes == 2 * len(LINE)
    assert find(["a.jsonl", stream]).n_bytes is None
    assert find(stream).sources == [stream]
