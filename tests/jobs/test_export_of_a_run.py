"""What `verify --rebuild` says of the text of a run, and other places where exports are named."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from tests.making.runs import made_training
from tests.making.traces import value
from tunixrt import Store
from tunixrt.datasets.reading import DatasetReader
from tunixrt.datasets.recipes import Split
from tunixrt.datasets.render import DataFormat
from tunixrt.datasets.text import Text
from tunixrt.derive import Answer
from tunixrt.log.digests import digest_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt.derive import Verdict


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store.init(tmp_path)
    with store.traces.stream() as stream:
        for n in range(12):
            stream.add(value(prompt=f"{n}\u2028?"))
    store.datasets.build("lines", "v1", splits={"test": "0.5"})
    return store


def text(store: Store) -> Verdict:
    (verdict,) = [v for v in store.verify(rebuild=True).rebuilt if v.kind == "text"]
    return verdict


def test_a_run_names_the_text_of_its_own_split(store: Store) -> None:
    made_training(store, key="lines-v1")
    exported = store.datasets["lines-v1"].export(io.BytesIO(), "tunix_sft", split="train")
    assert (text(store).verdict, text(store).n_rows) == (Answer.IDENTICAL, exported.rows)
    assert store.verify(rebuild=True).findings == []


@pytest.mark.parametrize("split", [Split.TEST, None])
def test_a_run_that_names_the_text_of_another_split_is_found_out(
    store: Store, split: Split | None
) -> None:
    other = Text(DataFormat.TUNIX_SFT, split)
    with DatasetReader(store.log) as reader:
        reader.pour(store.datasets["lines-v1"], [other])
    made_training(store, key="lines-v1", text=other.digest)
    (finding,) = store.verify(rebuild=True).findings
    assert "The text is not the one that was trained on." in finding.problem
    assert finding.found == other.digest


def test_every_export_that_is_derived_again_has_all_splits(store: Store) -> None:
    derived = [v for v in store.verify(rebuild=True).rebuilt if v.kind == "export"]
    everything = store.datasets["lines-v1"].export(io.BytesIO(), "tunix_sft", split="all")
    digests = [file.rebuilt for verdict in derived for file in verdict.files]
    assert everything.sha256 in digests
    assert {verdict.n_rows for verdict in derived} == {everything.rows} == {12}


def test_an_eval_set_that_gets_or_loses_a_byte_order_mark_is_the_same_eval_set(
    store: Store,
) -> None:
    path = store.layout.evalsets / "one.jsonl"
    data = b'{"id": "a", "prompt": "?", "expected_answer": "x"}\n'
    path.write_bytes(b"\xef\xbb\xbf" + data)
    assert store.evalsets["one"].digest == digest_bytes(data)


def test_the_site_prints_an_export_that_works_for_a_dataset_without_training_traces(
    store: Store, tmp_path: Path
) -> None:
    store.datasets.build("held", "v1", splits={"test": "1"})
    store.build_site(tmp_path / "site")
    pages = [path.read_text("utf-8") for path in tmp_path.glob("site/datasets/*.html")]
    commands = sorted(page.partition("dataset export ")[2].partition("<")[0] for page in pages)
    assert [command.strip() for command in commands] == [
        "held-v1 --format tunix_sft --split all -o all.jsonl",
        "lines-v1 --format tunix_sft -o train.jsonl",
    ]
