"""Identity is total: what has the same id has the same bytes, wherever and however it was made.

Each kind is derived in a plain store, and again in a store that differs in everything that must not
matter: another path, inputs spelt otherwise, a log that grew, other keys and names, a redaction of
what is not an input. Where an input did change (a redaction of a member), the id does, too.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.making.files import tree
from tests.making.trainings import make_store, of_trained, of_untrained, training_of
from tunixrt import Store
from tunixrt.datasets.exports import REBUILT_FORMATS, Export, ExportFormat, row_settings
from tunixrt.datasets.exports.containers import Container
from tunixrt.datasets.exports.derivation import ExportDerivation
from tunixrt.datasets.reading import DatasetReader
from tunixrt.datasets.render import render_example
from tunixrt.derive import QUIET, Answer, encode_manifest
from tunixrt.log.redaction import redact
from tunixrt.log.sums import hashed_names
from tunixrt.runs.manifests import kind_of
from tunixrt.traces.state import project

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = {"training", "responses", "evaluation", "contamination"}


def hashed(directory: Path) -> dict[str, bytes]:
    """Every hashed file of a derivation."""
    return {name: (directory / name).read_bytes() for name in hashed_names(directory)}


def runs_of(store: Store) -> dict[str, dict[str, bytes]]:
    return {
        run.run_id: hashed(store.layout.runs / run.run_id)
        for run in [run.manifest for run in store.runs]
    }


def again_everywhere(store: Store, **spelt: Any) -> None:
    """Train and evaluate as the fixture did, with inputs spelt as a test wants them."""
    chosen = {"config": str(store.root / "tiny.toml"), "dataset": "sums-v1", "evalset": "sums"}
    chosen |= spelt
    run_id = store.runs.train(chosen["config"], dataset=chosen["dataset"]).manifest.run_id
    for model in (spelt.get("model") or run_id, f"untrained:{chosen['config']}"):
        store.runs.evaluate(model, evalset=chosen["evalset"], max_new_tokens=6)


def elsewhere(root: Path, trained: Path) -> Store:
    store = make_store(root)
    shutil.copy(trained / "tiny.toml", root)
    return store


def grown(store: Store) -> dict[str, Any]:
    """More traces, and more datasets of them."""
    store.traces.generate_arithmetic(kinds=["subtraction"], n_digits=2, n=9, seed=3)
    store.datasets.build("more", "v1", where={"kind": "subtraction"})
    return {}


def renamed(store: Store) -> dict[str, Any]:
    """Another key for the same members, another file name for the same questions."""
    store.datasets.build("other", "v9", splits={"test": "0.2"})
    shutil.rmtree(store.layout.datasets / "sums")
    (store.layout.evalsets / "sums.jsonl").rename(store.layout.evalsets / "asked.jsonl")
    return {"dataset": "other-v9", "evalset": "asked"}


def redacted_elsewhere(store: Store) -> dict[str, Any]:
    """A redaction of a trace of the test split, which no run reads."""
    member = next(m.trace for m in store.datasets["sums-v1"].members() if m.split == "test")
    redact(store.log, [member])
    return {}


@pytest.mark.parametrize("differs", [grown, renamed, redacted_elsewhere])
def test_what_does_not_decide_a_byte_is_in_no_id_and_in_no_hashed_file(
    differs: Callable[[Store], dict[str, Any]],
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = elsewhere(tmp_path / "another" / "path", trained)
    spelt = differs(store)
    monkeypatch.chdir(store.root.parent)  # another working directory, and a relative configuration
    again_everywhere(store, config=os.path.relpath(store.root / "tiny.toml"), **spelt)
    before, after = runs_of(Store.open(trained)), runs_of(store)
    assert after == before
    assert {kind_of(run) for run in [run.manifest for run in store.runs]} == KINDS


def test_a_redaction_of_an_input_gives_another_id(trained: Path, copy: Store) -> None:
    """Before and after: the old ids keep their bytes, the new ones are of the new text."""
    before = runs_of(copy)
    old = training_of(copy)
    member = next(m.trace for m in copy.datasets["sums-v1"].members() if m.split == "train")
    redact(copy.log, [member])
    again_everywhere(copy)
    after = runs_of(copy)
    assert {run_id: after[run_id] for run_id in before} == before
    kinds = [
        kind_of(run) for run in [run.manifest for run in copy.runs] if run.run_id not in before
    ]
    assert sorted(kinds) == ["contamination", "evaluation", "responses", "training"]
    # A store that never held the member's text makes the same new runs.
    other = elsewhere(copy.root / "other", trained)
    redact(other.log, [member])
    again_everywhere(other)
    made = runs_of(other)
    assert {run_id: after[run_id] for run_id in made} == made
    assert old.run_id not in made


@pytest.mark.parametrize("spell", [str, os.path.relpath, lambda path: str(path / ".." / "model")])
def test_a_model_is_the_same_by_whatever_path(
    spell: Callable[[Path], str], copy: Store, tmp_path: Path
) -> None:
    run, training = of_trained(copy), training_of(copy)
    shutil.copytree(copy.layout.runs / training.run_id / "model", tmp_path / "kept" / "model")
    for model in (copy.layout.runs / training.run_id / "model", tmp_path / "kept" / "model"):
        done = copy.runs.evaluate(spell(model), evalset="sums", max_new_tokens=6)
        assert (done.already_done, done.manifest) == (True, run)
        tuned = copy.runs.train(str(copy.root / "tiny.toml"), dataset="sums-v1", base=spell(model))
        assert tuned.manifest.identity.base == run.responses.model
    assert sum(kind_of(one) == "training" for one in [run.manifest for run in copy.runs]) == 2


def test_intervals_of_logging_and_saving_change_no_hashed_byte(trained: Path, copy: Store) -> None:
    run = training_of(copy)
    before = hashed(copy.layout.runs / run.run_id)
    shutil.rmtree(copy.layout.runs / run.run_id)
    intervals = ["training.logging_steps=1", "training.save_steps=2"]
    done = copy.runs.train(str(trained / "tiny.toml"), dataset="sums-v1", overrides=intervals)
    assert done.manifest.run_id == run.run_id
    assert hashed(copy.layout.runs / run.run_id) == before


def test_datasets_and_exports_follow_from_their_snapshot(tmp_path: Path) -> None:
    """A log that grew in another order, at another path: the same dataset, the same exports."""
    first, second = make_store(tmp_path / "a"), Store.init(tmp_path / "b" / "c")
    dataset = first.datasets["sums-v1"]
    second.traces.generate_arithmetic(kinds=["addition"], n_digits=2, n=24, seed=0)
    built = second.datasets.build("sums", "v1", splits={"test": "0.2"}).dataset
    grown(second)
    assert hashed(built.path) == hashed(dataset.path)
    assert built.path.name == dataset.path.name
    reports = []
    for store, of in ((first, dataset), (second, built)):
        exports = [Export(f, system=None) for f in REBUILT_FORMATS]
        with DatasetReader(store.log) as reader:
            reader.pour(of, exports)
        reports.append([export.report() for export in exports])
    assert reports[0] == reports[1]


class Delivered:
    """What a store delivers to directories of the user's, each with its identity."""

    def __init__(self, store: Store, place: Path | str, spell: Callable[[str], str] = str) -> None:
        before, after = (spell(run.run_id) for run in (of_untrained(store), of_trained(store)))
        root = Path(place)
        store.runs.report(before, after, root / "report")
        store.runs.report([before], [after], str(root / "listed"))
        store.runs.compare(before, after, directory=root / "comparison", metric="answered")
        store.build_site(str(root / "site"))
        self.files = {path.name: tree(path) for path in root.iterdir()}

    def identities(self) -> dict[str, object]:
        names = {"report": "report", "listed": "report", "comparison": "comparison", "site": "site"}
        return {
            name: json.loads(self.files[name][f"{kind}.json"])["identity"]
            for name, kind in names.items()
        }


def same(store: Store) -> dict[str, Any]:
    return {}


@pytest.mark.parametrize(
    ("differs", "others"),
    [
        (same, set()),
        (grown, {"site"}),
        # The names of eval set and dataset are printed.
        (renamed, {"site", "report", "listed"}),
        (redacted_elsewhere, {"site"}),
    ],
)
@pytest.mark.parametrize("spell", [str, lambda run: run[:9]])
def test_what_is_delivered_is_a_function_of_its_identity(
    differs: Callable[[Store], dict[str, Any]],
    others: set[str],
    spell: Callable[[str], str],
    trained: Path,
    copy: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At other paths, absolute and relative, in another working directory, of other stores."""
    first = Delivered(Store.open(trained), copy.root / "first")
    differs(copy)
    monkeypatch.chdir(copy.root.parent)
    second = Delivered(copy, "second", spell)
    old, new = first.identities(), second.identities()
    assert old["report"] == old["listed"]
    assert {name for name in old if old[name] != new[name]} == others
    assert {name for name in old if first.files[name] != second.files[name]} == others
    # The directories are those of the first store, too, where the identity is.
    for name in {"report", "listed"} - others:
        copy.runs.check_report(copy.root / "first" / name)


def exported(store: Store, directory: Path) -> dict[str, dict[str, bytes]]:
    """Exports of one dataset in every container, by their ids: the manifest and every file."""
    found = {}
    for export_format in (ExportFormat.TRACE, ExportFormat.MESSAGES):
        for container in Container:
            rows = row_settings(export_format, split="train")
            dataset = store.datasets["sums-v1"]
            derivation = ExportDerivation(store.log, dataset, rows, container, n_shards=2)
            place = directory / derivation.id
            place.mkdir(parents=True)
            manifest = derivation.make(place, QUIET, None)
            (place / "manifest.json").write_bytes(encode_manifest(manifest))
            found[derivation.id] = hashed(place)
    return found


def test_an_export_is_a_function_of_its_identity(tmp_path: Path) -> None:
    first, second = make_store(tmp_path / "a"), make_store(tmp_path / "b" / "c")
    grown(second)
    test = next(m.trace for m in second.datasets["sums-v1"].members() if m.split == "test")
    redact(second.log, [test])
    before = exported(first, tmp_path / "first")
    assert exported(second, tmp_path / "second") == before
    assert len(before) == 2 * len(Container)
    # A redaction of a member of the split gives other ids, and the same ones in both stores.
    train = next(m.trace for m in first.datasets["sums-v1"].members() if m.split == "train")
    for store in (first, second):
        redact(store.log, [train])
    after = exported(first, tmp_path / "after")
    assert after.keys().isdisjoint(before)
    assert exported(second, tmp_path / "second after") == after


def test_everything_that_is_derived_is_identical_when_made_again(copy: Store) -> None:
    cheap = copy.verify(rebuild=True).rebuilt
    expensive = copy.reproduce(None)
    verdicts = {(v.kind, v.id): v.verdict for v in [*cheap, *expensive]}
    assert {kind for kind, _ in verdicts} == KINDS | {"dataset", "export", "text"}
    assert {v for (kind, _), v in verdicts.items() if kind != "export"} == {Answer.IDENTICAL}


def test_a_snapshot_is_folded_once_and_an_example_rendered_once(
    copy: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a training, and for a store with several runs on one dataset that is verified."""
    counts = {"folds": 0, "renders": 0}

    def counting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def count(*args: Any, **options: Any) -> Any:
            counts[name] += 1
            return function(*args, **options)

        return count

    monkeypatch.setattr("tunixrt.traces.payloads.project", counting("folds", project))
    rendering = counting("renders", render_example)
    monkeypatch.setattr("tunixrt.datasets.text.render_example", rendering)
    n_train = sum(m.split == "train" for m in copy.datasets["sums-v1"].members())
    config = str(copy.root / "tiny.toml")
    copy.runs.train(config, dataset="sums-v1", overrides=["training.seed=1"])
    assert counts == {"folds": 1, "renders": n_train}
    copy.runs.train(config, dataset="sums-v1", overrides=["training.seed=2"])
    counts.update(folds=0, renders=0)
    assert copy.verify(rebuild=True).ok
    # Three runs of one text, and a contamination check that proves the text it compares with.
    assert counts == {"folds": 1, "renders": 2 * n_train}
