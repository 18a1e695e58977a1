"""The text that a run was trained on is derived again, also where versions wrote it differently."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from tests.jobs.made_runs import made_training
from tests.making.traces import value
from tunixrt import Store
from tunixrt.log.digests import Digest, digest_bytes, from_hex

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt.datasets.exports import ExportReport


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store.init(tmp_path)
    with store.stream() as stream:
        for n in range(12):
            stream.add(value(prompt=f"{n}\u2028?"))
    store.build_dataset("lines", "v1", splits={"test": "0.5"})
    return store


def exported(store: Store) -> ExportReport:
    return store.export_dataset("lines-v1", "tunix_sft", io.BytesIO())


def test_a_run_names_the_export_of_its_own_split(store: Store) -> None:
    made_training(store, key="lines-v1", export=from_hex(exported(store).sha256))
    assert store.verify(rebuild=True).findings == []


def test_a_run_that_names_the_text_with_unescaped_line_breaks_is_accepted(store: Store) -> None:
    report = exported(store)
    assert report.canonical_sha256 != report.sha256
    made_training(store, key="lines-v1", export=from_hex(report.canonical_sha256))
    assert store.verify(rebuild=True).findings == []


@pytest.mark.parametrize("split", ["test", "all"])
def test_a_run_that_names_the_text_of_another_split_is_found_out(store: Store, split: str) -> None:
    other = store.export_dataset("lines-v1", "tunix_sft", io.BytesIO(), split=split)
    made_training(store, key="lines-v1", export=from_hex(other.sha256))
    (finding,) = store.verify(rebuild=True).findings
    assert "is not what was trained on" in finding.problem
    assert finding.expected == Digest(from_hex(other.sha256))


def test_an_eval_set_that_gets_or_loses_a_byte_order_mark_is_the_same_eval_set(
    store: Store,
) -> None:
    path = store.layout.evalsets / "one.jsonl"
    data = b'{"id": "a", "prompt": "?", "expected_answer": "x"}\n'
    path.write_bytes(b"\xef\xbb\xbf" + data)
    assert store.evalset("one").digest == digest_bytes(data)


def test_the_site_prints_an_export_that_works_for_a_dataset_without_training_traces(
    store: Store, tmp_path: Path
) -> None:
    store.build_dataset("held", "v1", splits={"test": "1"})
    store.build_site(tmp_path / "site")
    pages = [path.read_text("utf-8") for path in tmp_path.glob("site/datasets/*.html")]
    commands = sorted(page.partition("dataset export ")[2].partition("<")[0] for page in pages)
    assert [command.strip() for command in commands] == [
        "held-v1 --format tunix_sft --split all -o all.jsonl",
        "lines-v1 --format tunix_sft -o train.jsonl",
    ]
