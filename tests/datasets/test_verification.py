"""Verification finds every changed bit of a dataset; rebuilding derives it again from the log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import rfc8785

from tests.making.traces import Place, trace
from tunixrt.datasets import verification as dataset_verification
from tunixrt.datasets.building import build_dataset, list_datasets, members
from tunixrt.datasets.files import dataset_digest
from tunixrt.datasets.reading import DatasetReader
from tunixrt.datasets.recipes import make_recipe
from tunixrt.datasets.verification import rebuild, verify_datasets
from tunixrt.derive import Answer, Verdict
from tunixrt.log.digests import digest_bytes
from tunixrt.log.merkle import root_of
from tunixrt.log.redaction import redact
from tunixrt.log.segment.header import DamagedError
from tunixrt.traces.facts import retracted

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt.datasets.files import Dataset
    from tunixrt.log.findings import Finding


@pytest.fixture
def built(place: Place) -> Dataset:
    place.record(*(trace(f"Problem {n}") for n in range(6)))
    recipe = make_recipe(
        filters={"source": "manual"}, selection_strategy="random", seed=1, limit=4,
        splits={"test": "0.4"},
    )  # fmt: skip
    return build_dataset(place.layout, place.log, "d", "v1", recipe).dataset


def found(place: Place) -> list[Finding]:
    return list(verify_datasets(place.layout))


def remade(place: Place, dataset: Dataset | None = None) -> Verdict:
    """What selecting a dataset again shows; without one, the only one there is."""
    if dataset is None:
        (dataset,) = list_datasets(place.layout)
    with DatasetReader(place.log) as reader:
        return rebuild(reader, dataset)


def rewrite(dataset: Dataset, **changes: Any) -> Path:
    """Change a manifest, and give its directory the name that fits the new bytes."""
    path = dataset.path / "manifest.json"
    data = rfc8785.dumps({**json.loads(path.read_bytes()), **changes})
    path.write_bytes(data)
    return dataset.path.rename(dataset.path.parent / digest_bytes(data).removeprefix("sha256:"))


def test_a_sound_dataset_has_no_findings_and_an_empty_store_neither(
    tmp_path: Path, place: Place, built: Dataset
) -> None:
    assert found(place) == []
    assert remade(place).verdict is Answer.IDENTICAL
    assert found(Place.at(tmp_path / "empty")) == []


@pytest.mark.parametrize("name", ["manifest.json", "members-0000.jsonl"])
def test_every_flipped_bit_is_found_and_located(place: Place, built: Dataset, name: str) -> None:
    path = built.path / name
    data = path.read_bytes()
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ (1 << at % 8)]) + data[at + 1 :])
        assert any(finding.path.startswith(built_path(place, built)) for finding in found(place)), (
            at
        )
    path.write_bytes(data)
    assert found(place) == []


def built_path(place: Place, built: Dataset) -> str:
    return place.layout.relative(built.path)


def test_cut_doubled_and_moved_member_lines_are_found(place: Place, built: Dataset) -> None:
    path = built.path / "members-0000.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    for changed in (lines[:-1], [*lines, lines[-1]], lines[::-1], [lines[0], *lines], []):
        path.write_bytes(b"".join(changed))
        problems = [finding.problem for finding in found(place)]
        assert "The members are not those of the root." in problems
    path.write_bytes(b"".join(lines[::-1]))
    assert any(f.line == 2 and "ascending order" in f.problem for f in found(place))
    path.unlink()
    assert "The number of members differs." in [finding.problem for finding in found(place)]


def test_a_member_line_in_another_form_is_found(place: Place, built: Dataset) -> None:
    path = built.path / "members-0000.jsonl"
    path.write_bytes(path.read_bytes().replace(b'{"split"', b'{ "split"', 1))
    assert any("not in canonical form" in f.problem and f.line == 1 for f in found(place))


def test_files_that_do_not_belong_are_found(place: Place, built: Dataset) -> None:
    datasets = place.layout.datasets
    strays = [
        datasets / "note.txt",
        datasets / "d" / "note.txt",
        datasets / "d" / "v1" / "note.txt",
        built.path / "note.txt",
    ]
    for stray in strays:
        stray.write_text("stray")
    (built.path / "folder").mkdir()
    (datasets / "link").symlink_to(datasets / "d")
    (datasets / "d" / "empty").mkdir()
    paths = {f.path for f in found(place) if "does not belong" in f.problem}
    assert paths == {place.layout.relative(path) for path in (*strays, built.path / "folder")}
    links = {f.path for f in found(place) if "a store is never read through one" in f.problem}
    assert links == {"store/datasets/link"}


def test_a_directory_of_another_name_is_found(place: Place, built: Dataset) -> None:
    built.path.rename(built.path.parent / ("0" * 64))
    assert "The name of the directory is not the digest" in found(place)[0].problem


def test_a_directory_without_a_manifest_is_found(place: Place, built: Dataset) -> None:
    (built.path / "manifest.json").unlink()
    assert any("The manifest cannot be read" in f.problem for f in found(place))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"digest": "sha256:" + "0" * 64}, "The digest is not that of recipe and members."),
        ({"limit": 5}, "The digest is not that of recipe and members."),
        ({"members_root": "sha256:" + "0" * 64}, "The members are not those of the root."),
        ({"trace_count": 5}, "The number of members differs."),
        ({"split_counts": {"train": 4}}, "The numbers of members per split differ."),
        ({"dataset_key": "d-v2"}, "The key is not that of name and version."),
        ({"dataset_name": "e", "dataset_key": "e-v1"}, "is in the directory of another dataset."),
        ({"dataset_name": "E"}, "should be 1 to 64 of the characters"),
        ({"snapshot": "sha256:" + "0" * 64}, "The snapshot of the dataset is missing."),
        ({"format": "tunixrt-dataset-9"}, "of another format than this version reads."),
        ({"seed": None}, "The recipe is invalid: The selection strategy random demands a seed"),
        ({"splits": {"test": "0.40"}}, "The recipe is not in its normal form."),
        ({"note": "x"}, "This is not the manifest of a dataset: Object contains unknown field"),
    ],
)
def test_a_manifest_that_is_named_right_and_says_something_wrong_is_found(
    place: Place, built: Dataset, changes: dict[str, Any], problem: str
) -> None:
    rewrite(built, **changes)
    assert any(problem in finding.problem for finding in found(place)), found(place)


def test_a_manifest_that_is_not_canonical_is_found(place: Place, built: Dataset) -> None:
    path = built.path / "manifest.json"
    data = json.dumps(json.loads(path.read_bytes())).encode()
    path.write_bytes(data)
    built.path.rename(built.path.parent / digest_bytes(data).removeprefix("sha256:"))
    assert "The manifest is not in canonical form." in [f.problem for f in found(place)]


def test_a_member_file_beyond_its_limit_is_found(
    place: Place, built: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset_verification, "MAX_PART_BYTES", 100)
    assert any("larger than 4 MiB" in finding.problem for finding in found(place))


# Rebuilding


def forged(place: Place, built: Dataset, lines: list[bytes]) -> Dataset:
    """A dataset with other members that agrees with itself in every digest."""
    (built.path / "members-0000.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    root = root_of(lines)
    counts = {
        name: sum(f'"{name}"'.encode() in line for line in lines) for name in ("test", "train")
    }
    rewrite(
        built,
        members_root=root,
        trace_count=len(lines),
        split_counts={name: n for name, n in counts.items() if n},
        digest=dataset_digest(built.manifest.recipe, root, len(lines)),
    )
    (dataset,) = list_datasets(place.layout)
    return dataset


def test_a_forged_member_is_named_by_rebuilding(place: Place, built: Dataset) -> None:
    lines = (built.path / "members-0000.jsonl").read_bytes().splitlines()
    old, new = ("test", "train") if b'"test"' in lines[1] else ("train", "test")
    moved = lines[1].replace(old.encode(), new.encode())
    dataset = forged(place, built, [lines[0], moved, *lines[2:]])
    assert found(place) == []
    verdict = remade(place, dataset)
    assert (verdict.verdict, verdict.file, verdict.line) == (
        Answer.DIVERGED,
        "members-0000.jsonl",
        2,
    )
    assert verdict.first_difference is not None
    assert verdict.first_difference.endswith(f': split was "{new}", is "{old}"')


def test_a_missing_and_a_further_member_are_named_by_rebuilding(
    place: Place, built: Dataset
) -> None:
    lines = (built.path / "members-0000.jsonl").read_bytes().splitlines()
    further = b'{"split":"train","trace":"sha256:' + b"f" * 64 + b'"}'
    dataset = built
    for n, listed in ((4, lines[:-1]), (5, [*lines, further])):
        dataset = forged(place, dataset, listed)
        assert remade(place, dataset).first_difference == (
            f"members-0000.jsonl, line {n}: one of the two ends here"
        )


def test_forged_stats_are_found_by_rebuilding(place: Place, built: Dataset) -> None:
    rewrite(built, stats={**json.loads(rfc8785.dumps({"avg_step_count": 9.0, "min_step_count": 2,
            "max_step_count": 2, "avg_total_chars": 1.5}))})  # fmt: skip
    difference = remade(place).first_difference
    assert difference is not None
    assert difference.startswith("manifest.json: stats.avg_step_count was 9, is 2; stats.avg_")


def test_a_dataset_is_rebuilt_from_its_snapshot_whatever_came_later(
    place: Place, built: Dataset
) -> None:
    place.record(*(trace(f"Later {n}") for n in range(6)))
    place.say(retracted(next(members(built)).trace))
    assert remade(place).verdict is Answer.IDENTICAL


def test_redacted_members_are_accepted_as_listed_and_counted(place: Place, built: Dataset) -> None:
    lines = (built.path / "members-0000.jsonl").read_bytes().splitlines()
    gone = [json.loads(line)["trace"] for line in lines[1:3]]
    redact(place.log, gone)
    done = remade(place, built)
    assert (done.n_redacted, done.verdict) == (2, Answer.IDENTICAL)


def test_a_redacted_trace_that_was_no_member_changes_nothing(place: Place, built: Dataset) -> None:
    lines = (built.path / "members-0000.jsonl").read_bytes().splitlines()
    listed = {json.loads(line)["trace"] for line in lines}
    others = [e.envelope.payload for e in place.log.events() if e.envelope.payload not in listed]
    redact(place.log, [other for other in others if other is not None])
    done = remade(place, built)
    assert (done.n_redacted, done.verdict) == (0, Answer.IDENTICAL)


def test_a_dataset_of_which_everything_is_redacted_is_still_what_it_lists(
    place: Place, built: Dataset
) -> None:
    redact(place.log, [e.envelope.payload for e in place.log.events() if e.envelope.payload])
    done = remade(place, built)
    assert (done.n_redacted, done.verdict) == (4, Answer.IDENTICAL)


def test_a_recipe_that_selects_nothing_any_more_is_a_finding(place: Place, built: Dataset) -> None:
    rewrite(built, filters={"source": "nobody"})
    verdict = remade(place)
    assert verdict.verdict is Answer.DIVERGED
    assert "The recipe selects nothing from the snapshot: No trace matches" in (
        verdict.first_difference or ""
    )


def test_what_cannot_be_rebuilt_at_all_is_an_error(place: Place, built: Dataset) -> None:
    next(place.layout.snapshots.iterdir()).write_bytes(b"{}")
    with pytest.raises(DamagedError):
        remade(place, built)
