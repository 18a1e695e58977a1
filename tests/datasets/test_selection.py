"""Selections by expressions, and splits that stay when a store grows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.datasets.expressions.making import conversation
from tests.making.traces import Place, trace
from tunixrt.datasets import selection
from tunixrt.datasets.building import BuildReport, build_dataset, members
from tunixrt.datasets.files import uneven_strata
from tunixrt.datasets.reading import DatasetReader
from tunixrt.datasets.recipes import RecipeError, Split, make_recipe, split_key
from tunixrt.datasets.verification import rebuild
from tunixrt.derive import Answer
from tunixrt.log.digests import digest_value
from tunixrt.store.traces import Traces
from tunixrt.traces.facts import labelled, recorded, redacted, retracted
from tunixrt.traces.importers.table import imported
from tunixrt.traces.importing import import_traces
from tunixrt.traces.schema import payload_of, trace_id
from tunixrt.traces.state import Ancestry, fold, project

if TYPE_CHECKING:
    from tunixrt.log.digests import Digest


def build(place: Place, key: str = "d-v1", **recipe: Any) -> BuildReport:
    name, _, version = key.rpartition("-")
    return build_dataset(place.layout, place.log, name, version, make_recipe(**recipe))


def splits_of(report: BuildReport) -> dict[Digest, Split]:
    return {member.trace: member.split for member in members(report.dataset)}


def listed(place: Place, *where: str) -> set[Digest]:
    return {found.id for found in Traces(place.layout, place.log).select(where)}


def test_a_dataset_and_a_listing_have_the_traces_that_an_expression_matches(place: Place) -> None:
    a, b, c = place.record(
        trace("a", meta={"n": 3, "source": "s"}),
        trace("b", meta={"n": 30, "source": "s"}),
        trace("c", meta={"n": "3"}),
    )
    place.say(labelled(a, "quality", "good"), labelled(b, "quality", "bad"))
    for number, (where, found) in enumerate(
        [
            ("meta.n <= 3", {a}),
            ("meta.n = 3 or meta.n = '3'", {a, c}),
            ("label.quality != 'bad'", {a, c}),
            ("meta.source exists and not meta.n < 5", {b}),
            ("prompt in ('b', 'c') and n_steps = 2", {b, c}),
        ]
    ):
        assert set(splits_of(build(place, f"f-{number}", where=where))) == found
        assert listed(place, where) == found
    assert set(splits_of(build(place, "both-1", where=["source=s", "meta.n > 3"]))) == {b}


def test_a_conversation_is_selected_and_split_by_its_1_0_view(place: Place) -> None:
    chat = conversation(source="chat")
    place.record(trace("other"))
    identity = trace_id(payload_of(chat))
    place.say(recorded(identity, payload_of(chat)))
    report = build(place, where='n_turns = 2 and text contains "4.827"', splits={"test": "0.5"})
    assert set(splits_of(report)) == {identity}
    assert report.dataset.manifest.stats.min_step_count == 2
    below = split_key(0, "How far is 3 miles?") < 2**63
    assert splits_of(report)[identity] is (Split.TEST if below else Split.TRAIN)


def test_the_recipe_holds_the_canonical_text_and_two_spellings_have_one_digest(
    place: Place,
) -> None:
    place.record(trace("a", meta={"n": 3}), trace("b", meta={"n": 4}))
    first = build(place, "d-1", where="meta.n=3.0 and n_steps<9")
    second = build(place, "d-2", where=["(n_steps < 9)", "meta.n == 3"])
    assert first.digest == second.digest
    manifest = json.loads((first.dataset.path / "manifest.json").read_bytes())
    assert manifest["where"] == "meta.n = 3 and n_steps < 9"
    assert first.digest == digest_value(
        {
            "dataset_schema_version": "1.0",
            "members_root": manifest["members_root"],
            "n_members": 1,
            "recipe": {
                "filters": {},
                "limit": None,
                "seed": None,
                "selection_strategy": "latest",
                "splits": {},
                "where": "meta.n = 3 and n_steps < 9",
            },
        }
    )
    assert build(place, "d-3", filters={"n": "3"}).dataset.manifest.where is None


def test_a_recipe_without_splits_has_no_field_that_decides_them() -> None:
    assert make_recipe(group_by="meta.p", stratify="meta.s") == make_recipe()
    grouped = make_recipe(group_by='meta."p"', splits={"test": "0.1"})
    assert (grouped.group_by, grouped.stratify) == ("meta.p", None)


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        ("meta.sauce = 'x'", 'key "meta.sauce". Did you mean "source"? The keys are kind, '),
        ("meta.sauce exists", 'No trace has the metadata key "meta.sauce".'),
        (
            "meta.source = 'c'",
            'matches meta.source = "c": the values of "meta.source" are "a", "b"',
        ),
        ("meta.source = 'manuel'", 'are "a", "b".'),
        ("score.baseline > 1", '"score.baseline": `tunixrt trace score` records it.'),
        ("label.qq = 'x'", 'No trace has the label "label.qq". Did you mean "label.q"?'),
        ("n_steps > 5", "No trace matches n_steps > 5."),
        ("meta.source = 'a' and meta.kind = 2", "together, though some match each of them alone."),
        ("meta.nope = 1 or n_steps > 5", "No trace matches meta.nope = 1 or n_steps > 5."),
    ],
)
def test_an_expression_that_nothing_matches_is_explained(
    place: Place, where: str, sentence: str
) -> None:
    a, _ = place.record(
        trace("a", meta={"source": "a", "kind": 1}), trace("b", meta={"source": "b", "kind": 2})
    )
    place.say(labelled(a, "q", "good"))
    before = place.files()
    with pytest.raises(RecipeError) as error:
        build(place, where=where)
    assert sentence in str(error.value)
    assert place.files() == before


def test_a_filter_that_was_meant_as_an_expression_is_told_so(place: Place) -> None:
    place.record(trace("a", meta={"source": "a"}))
    for text in ("source=a and n_steps < 3", 'source="a"'):
        with pytest.raises(RecipeError, match=r'was read as KEY=VALUE.*meta\.source = "\.\.\."'):
            build(place, where=[text])


def test_the_explanation_of_a_late_match_is_not_needed(place: Place) -> None:
    place.record(*(trace(str(n), meta={"n": n}) for n in range(50)))
    report = build(place, where="meta.n >= 48")
    assert report.trace_count == 2


# --- splits --------------------------------------------------------------------------------------

_problems = st.sampled_from([None, 1, 2, "1", "2", "three", ["a"], {"k": 1}])
_rows = st.lists(st.tuples(_problems, st.integers(0, 30)), min_size=1, max_size=12, unique_by=str)
_splitting = st.fixed_dictionaries(
    {
        "splits": st.sampled_from([{"test": "0.5"}, {"test": "0.3", "validation": "0.3"}]),
        "seed": st.integers(0, 3),
    }
)


def solution(problem: object, number: int) -> Any:
    meta = {} if number % 7 == 0 else {"problem": problem}
    return trace(f"Problem {number % 10}", final_answer=str(number + 1), meta=meta)


def key_of(problem: object, number: int) -> str:
    lacks = number % 7 == 0 or problem is None
    return f"prompt {number % 10}" if lacks else json.dumps(problem)


@settings(max_examples=25)
@given(first=_rows, more=_rows, recipe=_splitting, stratify=st.booleans(), withdrawn=st.integers(0))
def test_a_group_shares_a_split_and_no_trace_moves_when_traces_come_or_go(
    tmp_path_factory: pytest.TempPathFactory,
    first: list[tuple[object, int]],
    more: list[tuple[object, int]],
    recipe: dict[str, Any],
    stratify: bool,
    withdrawn: int,
) -> None:
    place = Place.at(tmp_path_factory.mktemp("p") / "root")
    recipe = recipe | {"group_by": "meta.problem"}
    if stratify:
        recipe |= {"stratify": "meta.problem"}
    place.record(trace("always there", meta={"problem": "always there"}))
    ids = place.record(*(solution(*row) for row in first))
    groups = dict(zip(ids, (key_of(*row) for row in first), strict=True))
    before = splits_of(build(place, "d-1", **recipe))
    added = place.record(*(solution(*row) for row in more))
    groups |= dict(zip(added, (key_of(*row) for row in more), strict=True))
    place.say(retracted(ids[withdrawn % len(ids)]))
    after = splits_of(build(place, "d-2", **recipe))
    by_group: dict[str, set[Split]] = {}
    for identity, split in (before | after).items():
        by_group.setdefault(groups.get(identity, "always there"), set()).add(split)
    assert all(len(found) == 1 for found in by_group.values())
    assert all(after[i] is before[i] for i in before.keys() & after.keys())


def test_the_split_of_a_group_comes_from_the_digest_of_its_value(place: Place) -> None:
    import hashlib

    ids = place.record(*(trace(f"{n}", meta={"problem": [n, "é"]}) for n in range(8)))
    report = build(place, splits={"test": "0.5"}, seed=3, group_by="meta.problem")
    for n, identity in enumerate(ids):
        digest = hashlib.sha256(f'["group",3,[{n},"é"]]'.encode()).digest()
        expected = Split.TEST if digest[0] < 128 else Split.TRAIN
        assert splits_of(report)[identity] is expected


def test_a_stratified_split_counts_every_value_and_changes_no_split(place: Place) -> None:
    place.record(
        *(trace(f"a{n}", meta={"source": "a"}) for n in range(400)),
        *(trace(f"b{n}", meta={"source": "b"}) for n in range(100)),
        *(trace(f"c{n}", meta={"source": 7}) for n in range(20)),
        trace("alone", meta={}),
    )
    plain = build(place, "d-1", splits={"test": "0.2"})
    report = build(place, "d-2", splits={"test": "0.2"}, stratify="meta.source")
    assert splits_of(report) == splits_of(plain)
    manifest = json.loads((report.dataset.path / "manifest.json").read_bytes())
    lone, a, b, c = manifest["strata"]
    assert lone == {"split_counts": {"train": 1}}
    assert [a["value"], b["value"], c["value"]] == ["a", "b", 7]
    for stratum, n in ((a, 400), (b, 100), (c, 20)):
        assert sum(stratum["split_counts"].values()) == n
        # Four standard deviations of a binomial count.
        assert abs(stratum["split_counts"]["test"] - n * 0.2) < 4 * (n * 0.16) ** 0.5
    assert list(uneven_strata(report.dataset.manifest)) == [
        "meta.source no value: none of 1 traces is in test; another --seed splits them otherwise."
    ]


@pytest.mark.parametrize("option", ["group_by", "stratify"])
def test_a_field_of_the_split_that_no_trace_has_is_refused(place: Place, option: str) -> None:
    place.record(trace("a", meta={"problem": 1}), trace("b"))
    before = place.files()
    with pytest.raises(RecipeError, match=r"No selected trace has meta\.problm"):
        build(place, splits={"test": "0.2"}, **{option: "meta.problm"})
    assert place.files() == before
    build(place, splits={"test": "0.2"}, **{option: "meta.problem"})


def test_a_field_with_too_many_values_does_not_stratify(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "MAX_STRATA", 3)
    place.record(*(trace(str(n), meta={"n": n}) for n in range(4)))
    before = place.files()
    with pytest.raises(RecipeError, match=r"meta\.n has more than 3 values\..*--group-by"):
        build(place, splits={"test": "0.2"}, stratify="meta.n")
    assert place.files() == before


# --- rebuilding ----------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [None, 3])
def test_a_selection_is_rebuilt_from_its_recipe_also_after_a_redaction(
    place: Place, limit: int | None
) -> None:
    ids = place.record(*(trace(str(n), meta={"n": n}) for n in range(6)))
    report = build(
        place,
        where="meta.n >= 1",
        limit=limit,
        splits={"test": "0.5"},
        group_by="meta.n",
        stratify="meta.n",
    )
    with DatasetReader(place.log) as reader:
        assert rebuild(reader, report.dataset).verdict is Answer.IDENTICAL
    place.say(redacted(ids[5]))
    later = build(place, "d-v2", where="meta.n >= 1", splits={"test": "0.5"}, group_by="meta.n")
    with DatasetReader(place.log) as reader:
        assert rebuild(reader, later.dataset).verdict is Answer.IDENTICAL
        verdict = rebuild(reader, report.dataset)
    assert verdict.verdict is Answer.IDENTICAL


@settings(max_examples=30)
@given(kinds=st.lists(st.sampled_from(["plain", "timed", "fact", "again"]), min_size=1, max_size=8))
def test_the_state_of_whole_parts_is_the_fold_of_their_events(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[str]
) -> None:
    place = Place.at(tmp_path_factory.mktemp("p") / "root")
    (first,) = place.record(trace("first"))
    for n, kind in enumerate(kinds):
        if kind == "fact":
            place.say(labelled(first, "n", str(n)), retracted(first))
        elif kind == "again":
            import_traces(place.log, [imported(trace("first")), imported(trace(f"x{n}"))])
        else:
            time = "2026-11-25T00:00:00Z" if kind == "timed" else None
            place.record(trace(f"a{n}"), trace(f"b{n}"), recorded_at=time)
    with (
        project(place.log) as found,
        fold(place.log.events(), is_ancestor=Ancestry(place.log.segments())) as expected,
    ):
        assert list(found.traces()) == list(expected.traces())
        assert list(found.active()) == list(expected.active())
