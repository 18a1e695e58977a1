"""Scores by the user's own functions: what scored is in the event, and a fault records nothing."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.making.traces import Place, trace
from tunixrt.log.digests import digest_file
from tunixrt.store.traces import Traces
from tunixrt.traces.facts import Scored
from tunixrt.traces.scorers import ScorerError, load_scorer
from tunixrt.traces.state import project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tunixrt.store.stored_trace import StoredTrace

SOURCE = """
def length(trace):
    return len(trace.flat.prompt)

def detailed(trace):
    return {"score": 0.5, "details": {"steps": len(trace.flat.steps)}}

detailed.version, detailed.name = "2.1", "detail"

def broken(trace): raise KeyError("x")
def truth(trace): return True
def text(trace): return "9"
def endless(trace): return float("inf")
def other(trace): return {"value": 1}
def listed(trace): return {"score": 1, "details": [1]}
def odd(trace): return {"score": 1, "details": {"x": object()}}
def versioned(trace): return 1
versioned.version = 2
number = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "modules" / "own_scorers.py"
    path.parent.mkdir()
    path.write_text(SOURCE)
    (path.parent / "fails_at_import.py").write_text("1 / 0")
    (path.parent / "imports_nothing.py").write_text("import no_such_package_here")
    monkeypatch.syspath_prepend(str(path.parent))
    importlib.invalidate_caches()
    yield path
    for name in ("own_scorers", "fails_at_import", "imports_nothing"):
        sys.modules.pop(name, None)


def scored(place: Place) -> list[Scored]:
    return [
        msgspec.json.decode(event.payload or b"", type=Scored)
        for event in place.log.events_of("trace.scored")
    ]


def test_the_event_names_the_function_and_its_version(place: Place, module: Path) -> None:
    (a,) = place.record(trace("four"))
    traces = Traces(place.layout, place.log)
    stated, (first,) = traces.score([a], scorer="own_scorers:length")
    traces.score([a], scorer="own_scorers:detailed")
    assert (stated.n_new, first.score) == (1, 4)
    assert scored(place) == [
        Scored("length", 4.0, {}, "own_scorers:length", digest_file(module)),
        Scored("detail", 0.5, {"steps": 2}, "own_scorers:detailed", "2.1"),
    ]
    with project(place.log) as projection:
        state = projection.get(a)
    assert state is not None
    assert state.scores == {"length": 4, "detail": 0.5}
    found = list(traces.select("score.length = 4 and score.detail < 1"))
    assert [t.id for t in found] == [a]


def test_a_score_is_recorded_again_only_if_it_or_the_version_changed(
    place: Place, module: Path
) -> None:
    (a,) = place.record(trace("four"))
    traces = Traces(place.layout, place.log)
    assert traces.score([a], scorer="own_scorers:length")[0].n_new == 1
    assert traces.score([a, a], scorer="own_scorers:length")[0].n_new == 0
    module.write_text(SOURCE + "\n# another version\n")
    assert traces.score([a], scorer="own_scorers:length")[0].n_new == 1
    assert traces.score([a], scorer="own_scorers:length")[0].n_new == 0
    assert len({event.version for event in scored(place)}) == 2


def test_a_function_itself_is_named_by_its_module(place: Place) -> None:
    (a,) = place.record(trace("four"))
    Traces(place.layout, place.log).score([a], scorer=by_answer)
    (event,) = scored(place)
    assert (event.function, event.score) == (f"{__name__}:by_answer", 42)


def test_a_function_that_no_reference_finds_is_no_scorer(place: Place) -> None:
    (a,) = place.record(trace("four"))
    with pytest.raises(ScorerError, match="should be a function of a module, so that its name"):
        Traces(place.layout, place.log).score([a], scorer=lambda found: 1)
    assert scored(place) == []


def by_answer(found: StoredTrace) -> int:
    return int(found.flat.final_answer)


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("length", 'given as module:function, such as my_scorers:length; found "length".'),
        ("own_scorers:", "given as module:function"),
        (
            "no_such_module:f",
            'does not exist: the module "no_such_module" was not found on sys.path',
        ),
        ("own_scorers:lenght", 'has no "lenght". Did you mean "length"?'),
        ("own_scorers:number", "own_scorers:number should be a function, but is of type int."),
        ("own_scorers:versioned", "`version` of own_scorers:versioned should be text"),
        ("fails_at_import:f", "cannot be loaded: ZeroDivisionError: division by zero."),
        ("imports_nothing:f", "cannot be loaded: ModuleNotFoundError: No module named"),
        ("math:sqrt", "has no source file whose digest could be its version"),
        ("own_scorers:broken", "failed at the trace sha256:"),
        ("own_scorers:truth", "or a dictionary of `score` and `details`, but returned True for"),
        ("own_scorers:text", "but returned '9' for the trace"),
        ("own_scorers:endless", "but returned inf for"),
        ("own_scorers:other", "but returned a dictionary with the keys ['value'] for"),
        ("own_scorers:listed", "but returned details of [1] for"),
        ("own_scorers:odd", "but returned details that JSON cannot hold ("),
    ],
)
def test_a_scorer_that_fails_is_a_sentence_and_records_nothing(
    place: Place, module: Path, reference: str, sentence: str
) -> None:
    ids = place.record(trace("four"), trace("five"))
    before = place.files()
    with pytest.raises(ScorerError) as error:
        Traces(place.layout, place.log).score(ids, scorer=reference)
    assert sentence in str(error.value)
    assert place.files() == before


def test_the_version_without_an_attribute_is_the_digest_of_the_file(module: Path) -> None:
    assert load_scorer("own_scorers:length").version == digest_file(module)
    assert load_scorer("own_scorers:detailed").version == "2.1"
