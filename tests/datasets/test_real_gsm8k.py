"""The whole training set of GSM8K, where it is at hand.

Looked for where the environment variable TUNIXRT_GSM8K says, then beside the repository.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from tests.making.traces import Place
from tunixrt.datasets.building import build_dataset, list_datasets
from tunixrt.datasets.exports import REBUILT_FORMATS
from tunixrt.datasets.reading import DatasetReader
from tunixrt.datasets.recipes import make_recipe
from tunixrt.datasets.verification import rebuild, verify_datasets
from tunixrt.derive import Answer
from tunixrt.traces.importers.records import DropReason
from tunixrt.traces.importers.table import SourceFormat

_REPOSITORY = Path(__file__).resolve().parents[2]
_NAMED = os.environ.get("TUNIXRT_GSM8K")
GSM8K = Path(_NAMED) if _NAMED else _REPOSITORY.parent / "shared/data/gsm8k/train.jsonl"

pytestmark = pytest.mark.skipif(not GSM8K.is_file(), reason="GSM8K is not at hand")


def test_every_record_of_gsm8k_is_imported_once_and_the_blank_lines_are_counted(
    place: Place,
) -> None:
    report = place.take(GSM8K, SourceFormat.GSM8K)
    assert (report.recorded, report.duplicates, report.rejected) == (7_473, 0, 0)
    assert report.dropped == {DropReason.BLANK_STEP: 4}
    assert [drop.line for drop in report.drops] == [481, 2618, 2816, 5403]
    before = place.files()
    again = place.take(GSM8K, SourceFormat.GSM8K)
    assert (again.recorded, again.duplicates, again.segment) == (0, 7_473, None)
    assert place.files() == before


@pytest.mark.slow
def test_two_stores_at_different_paths_have_one_dataset_and_the_same_exports(
    place: Place, tmp_path: Path
) -> None:
    other = Place.at(tmp_path / "some" / "where" / "else")
    recipe = make_recipe(filters={"source": "gsm8k"}, splits={"test": "0.1", "validation": ".05"})
    reports = []
    for one in (place, other):
        one.take(GSM8K, SourceFormat.GSM8K)
        reports.append(build_dataset(one.layout, one.log, "gsm", "v1", recipe))
        assert list(verify_datasets(one.layout)) == []
        with DatasetReader(one.log) as reader:
            (dataset,) = list_datasets(one.layout)
            assert rebuild(reader, dataset).verdict is Answer.IDENTICAL
    assert {report.digest for report in reports} == {digest_by_hand()} == {GSM_V1}
    assert place.files() == other.files()
    for export_format in REBUILT_FORMATS:
        ours, theirs = (one.export("gsm-v1", export_format, split="all") for one in (place, other))
        assert ours[0] == theirs[0]
        assert ours[0].rows == 7_473
        assert ours[2] == theirs[2]


#: Recipe and members of the dataset above, the same for everybody who has the file.
GSM_V1 = "sha256:27bff55ea7e5234897bddb465b9b0ce55a0d9098d11a103373e42bf447df8cac"


def digest_by_hand() -> str:
    """The digest of that dataset, with SHA-256 and an RFC 8785 library and none of our code."""
    lines = []
    for line in GSM8K.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        *steps, answer = [text for text in record["answer"].split("\n") if text.strip()]
        payload = rfc8785.dumps(
            {
                "trace_version": "1.0",
                "prompt": record["question"],
                "steps": [{"i": i, "type": "reason", "content": s} for i, s in enumerate(steps)],
                "final_answer": answer.removeprefix("#### ").strip(),
                "meta": {"source": "gsm8k"},
            }
        )
        key = rfc8785.dumps(["split", 0, record["question"]])
        place = int.from_bytes(hashlib.sha256(key).digest()[:8], "big")
        if 10 * place < 2**64:
            split = "test"
        elif 100 * place < 15 * 2**64:
            split = "validation"
        else:
            split = "train"
        trace = f"sha256:{hashlib.sha256(payload).hexdigest()}"
        lines.append((trace, rfc8785.dumps({"trace": trace, "split": split})))
    lines.sort()
    recipe: dict[str, Any] = {
        "filters": {"source": "gsm8k"},
        "limit": None,
        "seed": 0,
        "selection_strategy": "latest",
        "splits": {"test": "0.1", "validation": "0.05"},
    }
    whole: Any = {
        "dataset_schema_version": "1.0",
        "members_root": f"sha256:{merkle_root([line for _, line in lines]).hex()}",
        "n_members": len(lines),
        "recipe": recipe,
    }
    return f"sha256:{hashlib.sha256(rfc8785.dumps(whole)).hexdigest()}"


def merkle_root(leaves: list[bytes]) -> bytes:
    """RFC 9162, section 2.1.1, as it is written there."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    half = 1 << (len(leaves) - 1).bit_length() - 1
    left, right = merkle_root(leaves[:half]), merkle_root(leaves[half:])
    return hashlib.sha256(b"\x01" + left + right).digest()
