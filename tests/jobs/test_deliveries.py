"""Reports, comparisons and sites in a user's directory: checked, and the first difference named."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.making.files import tree
from tests.making.runs import made_evaluation, made_store, made_training
from tunixrt.derive.delivery import OtherContentError
from tunixrt.errors import BadInputError
from tunixrt.log.outputs import ForeignDirectoryError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Compared:
    """A store with three evaluations, and the commands that deliver something of it."""

    def __init__(self, root: Path) -> None:
        self.store = made_store(root / "store")
        trained = made_training(self.store)
        self.before = made_evaluation(self.store, None, n_right=2).run_id
        self.after = made_evaluation(self.store, trained, n_right=9).run_id
        self.other = made_evaluation(self.store, trained, n_right=9, judge="verbatim").run_id

    def report(self, place: Path, *, check: bool = False) -> object:
        return self.store.runs.report(self.before, self.after, place, check=check)

    def comparison(self, place: Path, *, check: bool = False) -> object:
        return self.store.runs.compare(self.before, self.after, directory=place, check=check)

    def by_seed(self, place: Path, *, check: bool = False) -> object:
        runs = self.store.runs
        return runs.compare_seeds([self.before], [self.after], directory=place, check=check)

    def site(self, place: Path, *, check: bool = False) -> object:
        return self.store.build_site(place, check=check)


KINDS = {
    "report": (Compared.report, "report.json"),
    "comparison": (Compared.comparison, "comparison.json"),
    "comparison by seed": (Compared.by_seed, "comparison.json"),
    "site": (Compared.site, "site.json"),
}


@pytest.fixture
def made(tmp_path: Path) -> Compared:
    return Compared(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_delivered_is_checked_without_a_write(
    kind: str, made: Compared, tmp_path: Path
) -> None:
    deliver, manifest = KINDS[kind]
    place = tmp_path / "place"
    first = deliver(made, place)
    (place / "CNAME").write_text("theirs")
    before = tree(tmp_path)
    assert deliver(made, place, check=True) == first
    assert tree(tmp_path) == before
    stated = json.loads((place / manifest).read_bytes())
    assert stated["identity"]["kind"] == kind.split(maxsplit=1)[0]
    assert sorted(stated["files"]) == stated["files"]
    assert {*stated["files"], manifest, "CNAME"} == {
        path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()
    }


def lengthen(place: Path, manifest: str) -> str:
    name = changed_file(place, manifest)
    with (place / name).open("a") as file:
        file.write("more\n")
    return f"{name}, line {len((place / name).read_text().splitlines())}: one of the two ends here"


def forget(place: Path, manifest: str) -> str:
    name = changed_file(place, manifest)
    (place / name).unlink()
    return f"{name} as a whole: it was not recorded"


def add(place: Path, manifest: str) -> str:
    stated = json.loads((place / manifest).read_bytes())
    stated["files"].append("extra.txt")
    (place / manifest).write_text(json.dumps(stated))
    (place / "extra.txt").write_text("extra")
    return "extra.txt as a whole: it was not rebuilt"


def of_an_older_version(place: Path, manifest: str) -> str:
    stated = json.loads((place / manifest).read_bytes())
    (place / manifest).write_text(json.dumps({k: stated[k] for k in ("made_by", "files")}))
    return f"{manifest}: identity was null, is "


def changed_file(place: Path, manifest: str) -> str:
    names = ("report.md", "samples.jsonl", "runs.html")
    return next(name for name in names if (place / name).is_file())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", [lengthen, forget, add, of_an_older_version])
def test_the_first_difference_is_named(
    kind: str, change: Callable[[Path, str], str], made: Compared, tmp_path: Path
) -> None:
    deliver, manifest = KINDS[kind]
    place = tmp_path / "place"
    deliver(made, place)
    expected = change(place, manifest)
    with pytest.raises(OtherContentError) as caught:
        deliver(made, place, check=True)
    assert f"the first difference: {expected}" in str(caught.value)
    assert caught.value.verdict.kind == kind.split(maxsplit=1)[0]
    # Written again, it is what it should be.
    deliver(made, place)
    deliver(made, place, check=True)


@pytest.mark.parametrize("kind", KINDS)
def test_another_directory_is_refused_and_an_absent_one_has_nothing(
    kind: str, made: Compared, tmp_path: Path
) -> None:
    deliver, _ = KINDS[kind]
    with pytest.raises(OtherContentError, match="it was not recorded"):
        deliver(made, tmp_path / "absent", check=True)
    assert not (tmp_path / "absent").exists()
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("important")
    for check in (False, True):
        with pytest.raises(ForeignDirectoryError):
            deliver(made, tmp_path / "thesis", check=check)


def test_other_runs_are_the_difference_and_not_the_text_that_follows_from_them(
    made: Compared, tmp_path: Path
) -> None:
    runs, place = made.store.runs, tmp_path / "report"
    runs.report(made.before, made.after, place)
    with pytest.raises(OtherContentError) as caught:
        runs.report(made.after, made.after, place, check=True)
    assert f'identity.before.0.evaluation was "{made.before[:50]}' in str(caught.value)


def test_a_report_is_checked_with_the_runs_that_it_states(made: Compared, tmp_path: Path) -> None:
    written = made.report(tmp_path / "report")
    assert made.store.runs.check_report(tmp_path / "report") == written
    manifest = tmp_path / "report" / "report.json"
    manifest.write_text(json.dumps({"made_by": "tunixrt report", "files": []}))
    with pytest.raises(BadInputError, match="does not state the identity of a report"):
        made.store.runs.check_report(tmp_path / "report")


def test_a_comparison_has_a_line_per_sample_and_a_difference_names_it(
    made: Compared, tmp_path: Path
) -> None:
    made.by_seed(tmp_path / "c")
    path = tmp_path / "c" / "samples.jsonl"
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    found = made.store.runs.compare(made.before, made.after)
    assert len(lines) == found.n_pairs == 20
    assert sum(line["b"] - line["a"] for line in lines) / 20 == found.delta
    assert {line["pair"] for line in lines} == {1}
    assert [x["example_id"] for x in lines if (x["a"], x["b"]) == (0.0, 100.0)] == list(found.fixed)
    results = json.loads((tmp_path / "c" / "comparison.json").read_bytes())["results"]
    assert results["delta"] == found.delta
    lines[3]["b"] = 50.0
    path.write_text("".join(f"{json.dumps(x, separators=(',', ':'))}\n" for x in lines))
    named = f"line 4: sample {lines[3]['example_id']}, pair 1: b was 50, is 100"
    with pytest.raises(OtherContentError, match=named):
        made.by_seed(tmp_path / "c", check=True)
