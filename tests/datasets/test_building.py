"""Datasets: the same recipe and members are the same dataset, and a key never changes."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.making.traces import Place, branch, merged, trace
from tunixrt.datasets import files as dataset_files
from tunixrt.datasets import matching, selection
from tunixrt.datasets.building import (
    AmbiguousDatasetError,
    BuildReport,
    Dataset,
    DatasetExistsError,
    DatasetNotFoundError,
    build_dataset,
    list_datasets,
    load_dataset,
    members,
)
from tunixrt.datasets.names import BadNameError
from tunixrt.datasets.recipes import RecipeError, Split, make_recipe
from tunixrt.log.digests import Digest, digest_bytes, digest_value
from tunixrt.log.merkle import root_of
from tunixrt.log.segment.header import DamagedError
from tunixrt.log.snapshots import list_snapshots, take_snapshot
from tunixrt.traces.facts import labelled, retracted, superseded
from tunixrt.traces.importers.table import imported
from tunixrt.traces.times import TimeError

if TYPE_CHECKING:
    from pathlib import Path


def build(place: Place, key: str = "d-v1", **recipe: Any) -> BuildReport:
    name, _, version = key.rpartition("-")
    return build_dataset(place.layout, place.log, name, version, make_recipe(**recipe))


def ids(dataset: Dataset) -> list[Digest]:
    return [member.trace for member in members(dataset)]


def numbered(n: int, **changes: Any) -> list[Any]:
    return [trace(f"Problem {number}", **changes) for number in range(n)]


def test_the_members_are_the_active_traces_in_ascending_order_of_their_ids(place: Place) -> None:
    a, b, c, d = place.record(*numbered(4))
    place.say(retracted(a), superseded(b, c))
    report = build(place)
    assert (report.dataset_key, report.trace_count, report.created) == ("d-v1", 2, True)
    assert ids(report.dataset) == sorted([c, d])
    assert load_dataset(place.layout, "d-v1") == report.dataset


def test_the_manifest_has_the_documented_fields_and_is_named_by_its_digest(place: Place) -> None:
    place.record(*numbered(2), trace("Long", steps=[{"i": 0, "type": "t", "content": "x" * 100}]))
    report = build(place, "d-v1", filters={"source": "manual"}, splits={"test": "0.5"})
    data = (report.dataset.path / "manifest.json").read_bytes()
    assert report.dataset.path.name == digest_bytes(data).removeprefix("sha256:")
    manifest = json.loads(data)
    assert data == rfc8785.dumps(manifest)
    lines = (report.dataset.path / "members-0000.jsonl").read_bytes().splitlines()
    assert manifest == {
        "format": "tunixrt-dataset-1",
        "dataset_key": "d-v1",
        "dataset_name": "d",
        "dataset_version": "v1",
        "dataset_schema_version": "1.0",
        "digest": report.digest,
        "filters": {"source": "manual"},
        "selection_strategy": "latest",
        "seed": 0,
        "limit": None,
        "splits": {"test": "0.5"},
        "trace_count": 3,
        "split_counts": report.split_counts,
        "stats": {
            "avg_step_count": 1.67,
            "min_step_count": 1,
            "max_step_count": 2,
            # (9 + 2 + 39) twice, and 4 + 2 + 100
            "avg_total_chars": 68.67,
        },
        "members_root": root_of(lines),
        "snapshot": take_snapshot(place.log).digest,
    }
    assert sum(report.split_counts.values()) == 3
    assert list_snapshots(place.layout) == [manifest["snapshot"]]


def test_the_digest_is_that_of_recipe_and_members_alone(place: Place) -> None:
    place.record(*numbered(2))
    report = build(place, limit=5)
    lines = (report.dataset.path / "members-0000.jsonl").read_bytes().splitlines()
    assert json.loads(lines[0]) == {"trace": min(ids(report.dataset)), "split": "train"}
    assert report.digest == digest_value(
        {
            "dataset_schema_version": "1.0",
            "members_root": root_of(lines),
            "n_members": 2,
            "recipe": {
                "filters": {},
                "limit": 5,
                "seed": None,
                "selection_strategy": "latest",
                "splits": {},
            },
        }
    )


def test_two_stores_with_other_logs_build_the_same_dataset(place: Place, tmp_path: Path) -> None:
    other = Place.at(tmp_path / "elsewhere")
    place.record(*numbered(5), recorded_at="2026-11-24T12:00:00Z")
    for one in reversed(numbered(5)):
        other.record(one)
    recipe: dict[str, Any] = {"selection_strategy": "random", "seed": 3, "limit": 3}
    ours, theirs = build(place, "x-1", **recipe), build(other, "y-2", **recipe)
    assert ours.digest == theirs.digest
    assert ids(ours.dataset) == ids(theirs.dataset)


def test_building_again_is_no_work_and_writes_nothing(place: Place) -> None:
    place.record(*numbered(3, meta={"source": "a"}))
    first = build(place, filters={"source": "a"})
    place.record(trace("another", meta={"source": "b"}))
    before = place.files()
    again = build(place, filters={"source": "a"})
    assert (again.created, again.dataset) == (False, first.dataset)
    assert place.files() == before


def test_a_key_with_another_digest_is_refused_and_nothing_is_written(place: Place) -> None:
    place.record(*numbered(2))
    first = build(place)
    place.record(trace("one more"))
    before = place.files()
    with pytest.raises(DatasetExistsError) as error:
        build(place)
    assert first.digest in str(error.value)
    assert error.value.digest in str(error.value)
    assert error.value.existing == [first.digest]
    assert place.files() == before
    assert build(place, "d-v2").trace_count == 3


def test_two_branches_that_build_one_key_differently_make_it_unusable(
    place: Place, tmp_path: Path
) -> None:
    place.record(*numbered(3))
    other = branch(place, tmp_path / "other")
    ours = build(place, limit=1)
    theirs = build(other, limit=2)
    merged(place, other)
    for folder in ("datasets", "snapshots"):
        shutil.copytree(
            other.layout.store / folder, place.layout.store / folder, dirs_exist_ok=True
        )
    with pytest.raises(AmbiguousDatasetError) as error:
        load_dataset(place.layout, "d-v1")
    assert error.value.digests == sorted([ours.digest, theirs.digest])
    assert all(digest in str(error.value) for digest in error.value.digests)
    # Both survive, and building either again is refused with both named.
    assert {dataset.digest for dataset in list_datasets(place.layout)} == set(error.value.digests)
    with pytest.raises(DatasetExistsError, match=" and "):
        build(place, limit=1)


def test_two_branches_that_build_one_key_alike_keep_it_usable(place: Place, tmp_path: Path) -> None:
    place.record(*numbered(3, meta={"source": "a"}))
    other = branch(place, tmp_path / "other")
    ours = build(place, filters={"source": "a"})
    other.record(trace("unrelated", meta={"source": "b"}))
    theirs = build(other, filters={"source": "a"})
    assert (ours.digest, ours.dataset.path.name) != (theirs.digest, theirs.dataset.path.name)
    for folder in ("datasets", "log", "snapshots"):
        for a, b in ((place, other), (other, place)):
            shutil.copytree(a.layout.store / folder, b.layout.store / folder, dirs_exist_ok=True)
    loaded = [load_dataset(p.layout, "d-v1") for p in (place, other)]
    assert loaded[0].path.name == loaded[1].path.name
    assert loaded[0].digest == ours.digest
    assert len(list_datasets(place.layout)) == 2


def test_latest_takes_the_end_of_the_log(place: Place) -> None:
    first = place.record(*numbered(3))
    second = place.record(trace("a"), trace("b"))
    assert set(ids(build(place, limit=3).dataset)) == {first[2], *second}


def test_filters_see_text_numbers_and_labels(place: Place) -> None:
    a, b, c = place.record(
        trace("a", meta={"n": 3, "ok": True, "source": "s"}),
        trace("b", meta={"n": 3, "ok": False, "list": [1, 2]}),
        trace("c", meta={"n": 4.5, "none": None}),
    )
    place.say(labelled(a, "quality", "good"), labelled(b, "quality", "bad"))
    for number, (filters, found) in enumerate(
        [
            ({"n": "3"}, {a, b}),
            ({"n": "4.5"}, {c}),
            ({"ok": "true"}, {a}),
            ({"none": "null"}, {c}),
            ({"list": "[1,2]"}, {b}),
            ({"label.quality": "good"}, {a}),
            ({"n": "3", "label.quality": "bad"}, {b}),
        ]
    ):
        assert set(ids(build(place, f"f-{number}", filters=filters).dataset)) == found


@pytest.mark.parametrize(
    ("filters", "sentence"),
    [
        (
            {"sauce": "x"},
            'No trace has the metadata key "sauce". Did you mean "source"? The keys ar',
        ),
        ({"qqq": "x"}, 'metadata key "qqq". The keys are kind, source.'),
        ({"source": "x"}, 'No trace matches source=x: the values of "source" are "a", "b".'),
        ({"source": "a", "kind": "2"}, "No trace matches source=a and kind=2 together"),
    ],
)
def test_a_recipe_that_nothing_matches_says_what_there_is(
    place: Place, filters: dict[str, str], sentence: str
) -> None:
    place.record(
        trace("a", meta={"source": "a", "kind": "1"}), trace("b", meta={"source": "b", "kind": "2"})
    )
    before = place.files()
    with pytest.raises(RecipeError) as error:
        build(place, filters=filters)
    assert sentence in str(error.value)
    assert place.files() == before


def test_a_store_without_traces_or_metadata_says_so(place: Place) -> None:
    with pytest.raises(RecipeError, match="There are no traces to select from"):
        build(place)
    place.record(trace(meta={}))
    with pytest.raises(RecipeError, match="No trace has any metadata"):
        build(place, filters={"source": "x"})


def test_only_so_many_values_are_listed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "_REMEMBERED", 2)
    place.record(*(trace(str(n), meta={"n": n}) for n in range(4)), trace())
    with pytest.raises(RecipeError, match=r'are "0", "1", and more\.'):
        build(place, filters={"n": "9"})
    with pytest.raises(RecipeError, match="though some match each of them alone"):
        build(place, filters={"n": "3", "source": "manual"})


def test_bad_names_times_and_parents_are_refused_before_anything_is_read(place: Place) -> None:
    place.record(trace())
    before = place.files()
    with pytest.raises(BadNameError):
        build(place, "Bad Name-v1")
    with pytest.raises(TimeError, match="The time of the build"):
        build_dataset(place.layout, place.log, "d", "v1", make_recipe(), built_at="now")
    with pytest.raises(DatasetNotFoundError, match="The store has none yet"):
        build_dataset(place.layout, place.log, "d", "v1", make_recipe(), parent="d-v0")
    assert place.files() == before


def test_lineage_and_time_stand_in_the_manifest_and_not_in_the_digest(place: Place) -> None:
    place.record(*numbered(2))
    parent = build(place, "d-v1")
    child = build_dataset(
        place.layout,
        place.log,
        "d",
        "v2",
        make_recipe(),
        built_at="2026-11-24T12:00:00Z",
        parent="d-v1",
    )
    assert child.digest == parent.digest
    manifest = child.dataset.manifest
    assert manifest.parent_dataset_id == "d-v1"
    assert manifest.parent_digest == parent.digest
    assert manifest.built_at == "2026-11-24T12:00:00Z"


def test_an_unknown_key_gets_the_nearest_one(place: Place) -> None:
    place.record(trace())
    build(place, "sums-v1")
    with pytest.raises(DatasetNotFoundError, match=r'no dataset "sum-v1"\. Did you mean "sums'):
        load_dataset(place.layout, "sum-v1")


def test_member_files_end_before_they_exceed_their_limit(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset_files, "MAX_PART_BYTES", 300)
    monkeypatch.setattr(selection, "_BUFFERED", 2)
    recorded = place.record(*numbered(7))
    dataset = build(place).dataset
    files = dataset_files.member_files(dataset.path)
    assert [file.name for file in files] == [f"members-{n:04d}.jsonl" for n in range(3)]
    assert all(file.stat().st_size <= 300 for file in files)
    assert ids(dataset) == sorted(recorded)


def test_a_damaged_manifest_or_member_line_is_named_and_not_used(place: Place) -> None:
    place.record(*numbered(2))
    dataset = build(place).dataset
    file = dataset.path / "members-0000.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"train"', b'"trian"', 1))
    with pytest.raises(DamagedError, match=r"store/datasets/d/v1/\w+/members-0000.jsonl, line 1"):
        ids(dataset)
    file.write_bytes(b'{"split":"train","trace":"sha256:nobody"}')
    with pytest.raises(DamagedError, match="it does not name a trace"):
        ids(dataset)
    manifest = dataset.path / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"d-v1"', b'"d-v2"'))
    with pytest.raises(DamagedError, match="is not the digest of the manifest"):
        load_dataset(place.layout, "d-v1")
    manifest.unlink()
    with pytest.raises(DamagedError, match="The manifest cannot be read"):
        list_datasets(place.layout)


# Property tests

_prompts = st.lists(st.integers(0, 12), min_size=1, max_size=12, unique=True)


@settings(max_examples=25)
@given(prompts=_prompts, fraction=st.integers(0, 10), seed=st.integers(0, 3))
def test_no_prompt_is_in_two_splits(
    tmp_path_factory: pytest.TempPathFactory, prompts: list[int], fraction: int, seed: int
) -> None:
    place = Place.at(tmp_path_factory.mktemp("p") / "root")
    solutions = [
        trace(f"Problem {prompt}", final_answer=str(nth)) for prompt in prompts for nth in range(3)
    ]
    by_id = {imported(solution).id: solution.prompt for solution in solutions}
    place.record(*solutions)
    report = build(
        place, seed=seed, splits={"test": f"{fraction / 20}", "validation": f"{fraction / 20}"}
    )
    splits: dict[str, set[Split]] = {}
    for member in members(report.dataset):
        splits.setdefault(by_id[member.trace], set()).add(member.split)
    assert set(splits) == set(by_id.values())
    assert all(len(found) == 1 for found in splits.values())


@settings(max_examples=25)
@given(first=_prompts, more=_prompts, limit=st.integers(1, 12), seed=st.integers(0, 3))
def test_a_sample_is_stable_when_traces_are_added(
    tmp_path_factory: pytest.TempPathFactory,
    first: list[int],
    more: list[int],
    limit: int,
    seed: int,
) -> None:
    place = Place.at(tmp_path_factory.mktemp("p") / "root")
    recipe: dict[str, Any] = {"selection_strategy": "random", "seed": seed, "limit": limit}
    recipe["splits"] = {"test": "0.3"}
    place.record(*(trace(f"Problem {n}") for n in first))
    before = {m.trace: m.split for m in members(build(place, "d-1", **recipe).dataset)}
    added = set(place.record(*(trace(f"Problem {n}") for n in more)))
    after = {m.trace: m.split for m in members(build(place, "d-2", **recipe).dataset)}
    # What was in the sample leaves it only for something that was added, and keeps its split.
    assert len(after) == min(limit, len(set(first) | set(more)))
    assert set(after) - set(before) <= added
    assert len(set(before) - set(after)) <= len(set(after) - set(before))
    assert all(before[t] is after[t] for t in set(before) & set(after))
