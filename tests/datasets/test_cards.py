"""Cards: front matter that the Hub reads, facts of the dataset, and Croissant about the files."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.making.traces import Place, trace
from tunixrt import Store
from tunixrt.datasets.exports import ExportError
from tunixrt.log.redaction import redact

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt.store.stored_dataset import StoredDataset


def make(root: Path, **recipe: Any) -> StoredDataset:
    place = Place.at(root)
    metas: list[dict[str, Any]] = [
        {"source": "a|b", "n": 1},
        {"source": "gsm8k", "n": "one", "<script>": None},
        {"source": "gsm8k", "n": [1.5, True]},
    ]
    place.record(*(trace(f"Problem {n}", meta=metas[n % 3]) for n in range(12)))
    store = Store.open(root)
    store.datasets.build("d", "v1", **recipe)
    return store.datasets["d-v1"]


def front_matter(card: str) -> list[str]:
    lines = card.splitlines()
    assert lines[0] == "---"
    return lines[1 : lines.index("---", 1)]


def test_a_card_has_the_front_matter_of_the_hub(tmp_path: Path) -> None:
    dataset = make(tmp_path / "a", splits={"test": "0.4"})
    for split in ("train", "test"):
        dataset.export(tmp_path / f"{split}.jsonl", "messages", split=split)
    files = {split: tmp_path / f"{split}.jsonl" for split in ("test", "train")}
    card = dataset.card(license_id="cc-by-4.0", export_format="messages", files=files)
    assert front_matter(card) == [
        'pretty_name: "d-v1"',
        'license: "cc-by-4.0"',
        "size_categories:",
        "- n<1K",
        "source_datasets:",
        "- original",
        "tags:",
        "- reasoning",
        "- tunixrt",
        "configs:",
        "- config_name: default",
        "  data_files:",
        "  - split: train",
        '    path: "train.jsonl"',
        "  - split: test",
        '    path: "test.jsonl"',
    ]
    for split, path in files.items():
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        size = f"{path.stat().st_size:,}"
        assert f"| {split}.jsonl | {split} | {size} | `sha256:{digest}` |" in card
        assert f"--format messages --split {split} --check {split}.jsonl" in card


def test_a_card_states_digest_recipe_and_what_metadata_holds(tmp_path: Path) -> None:
    dataset = make(tmp_path / "a", where={"source": "gsm8k"})
    card = dataset.card()
    assert "license" not in "".join(front_matter(card))
    assert f"| digest | `{dataset.digest}` |" in card
    assert '"source": "gsm8k"' in card
    assert "| n | list (4), text (4) |" in card
    assert "| &#60;script&#62; | null (4) |" in card
    assert "Sources: gsm8k (8)." in card
    assert "redacted" not in card


def test_what_a_user_wrote_is_no_markup_in_a_card(tmp_path: Path) -> None:
    card = make(tmp_path / "a").card()
    assert "Sources: gsm8k (8), a&#124;b (4)." in card
    assert "<script>" not in card


def test_a_card_counts_what_was_redacted_since(tmp_path: Path) -> None:
    dataset = make(tmp_path / "a")
    redact(dataset.log, [next(iter(dataset.members())).trace])
    assert "| redacted since, and in no export | 1 |" in dataset.card()


def test_a_card_depends_on_the_dataset_and_on_nothing_else(tmp_path: Path) -> None:
    first, second = make(tmp_path / "a"), make(tmp_path / "b" / "c")
    assert first.card(license_id="mit") == second.card(license_id="mit")


def test_croissant_describes_files_with_digests_and_typed_fields(tmp_path: Path) -> None:
    dataset = make(tmp_path / "a")
    dataset.export(tmp_path / "train.parquet", "trace")
    document = dataset.croissant(
        license_id="mit", export_format="trace", files={"train": tmp_path / "train.parquet"}
    )
    assert json.loads(json.dumps(document)) == document
    assert (document["@type"], document["license"]) == ("sc:Dataset", "mit")
    assert document["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    data = (tmp_path / "train.parquet").read_bytes()
    assert document["distribution"] == [
        {
            "@type": "cr:FileObject",
            "@id": "train.parquet",
            "name": "train.parquet",
            "contentUrl": "train.parquet",
            "contentSize": f"{len(data)} B",
            "encodingFormat": "application/x-parquet",
            "sha256": hashlib.sha256(data).hexdigest(),
        }
    ]
    (records,) = document["recordSet"]
    fields = {field["name"]: field for field in records["field"]}
    assert fields["train/trace_step_indices"] == {
        "@type": "cr:Field",
        "@id": "train/trace_step_indices",
        "name": "train/trace_step_indices",
        "dataType": "sc:Integer",
        "source": {
            "fileObject": {"@id": "train.parquet"},
            "extract": {"column": "trace_step_indices"},
        },
        "repeated": True,
    }
    assert "repeated" not in fields["train/prompts"]


def test_a_card_about_nothing_is_refused(tmp_path: Path) -> None:
    dataset = make(tmp_path / "a")
    with pytest.raises(ExportError, match="absent does not exist, or is not a file; export it"):
        dataset.card(export_format="text", files={"train": tmp_path / "absent"})
    with pytest.raises(ExportError, match="Croissant describes files"):
        dataset.croissant(export_format="text", files={})
    dataset.export(tmp_path / "x.jsonl.zst", "text")
    with pytest.raises(ExportError, match=r"Croissant does not read x\.jsonl\.zst"):
        dataset.croissant(export_format="text", files={"train": tmp_path / "x.jsonl.zst"})
