"""Expressions, SQL, groups and scorers on the command line."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from tests.making.traces import Place, value, write_lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome


@pytest.fixture
def filled(tmp_path: Path, cli: Callable[..., Outcome]) -> Place:
    place = Place.at(tmp_path / "store-of-ten")
    path = write_lines(
        tmp_path / "ten.jsonl",
        [value(prompt=f"Problem {n}", meta={"n": n, "source": "ab"[n % 2]}) for n in range(10)],
    )
    assert cli("trace", "import", str(path), "--from", "tunixrt", "--store", root(place)).code == 0
    return place


def root(place: Place) -> str:
    return str(place.layout.root)


def test_one_expression_builds_and_lists(filled: Place, cli: Callable[..., Outcome]) -> None:
    where = ("--where", "meta.n >= 6 or meta.n < 1", "--where", 'meta.source = "a"')
    built = cli("dataset", "build", "d", "v1", *where, "--store", root(filled), "--json")
    listed = cli("trace", "list", *where, "--store", root(filled), "--json").document["traces"]
    assert built.document["trace_count"] == len(listed) == 3
    assert {row["meta"]["n"] for row in listed} == {0, 6, 8}
    shown = cli("dataset", "show", "d-v1", "--store", root(filled), "--json").document["manifest"]
    assert shown["where"] == '(meta.n < 1 or meta.n >= 6) and meta.source = "a"'


def test_a_fault_in_an_expression_exits_2_with_a_caret_and_writes_nothing(
    filled: Place, cli: Callable[..., Outcome]
) -> None:
    before = filled.files()
    for command in (("dataset", "build", "d", "v1"), ("trace", "list")):
        done = cli(*command, "--where", "meta.n > 3 and n_step < 2", "--store", root(filled))
        first, shown, caret = done.err.splitlines()
        assert (done.code, done.out) == (2, "")
        assert 'field "n_step" does not exist. Did you mean "n_steps"?' in first
        assert shown[caret.index("^") :] == "n_step < 2"
    assert filled.files() == before


def test_groups_and_strata_need_a_split_and_an_uneven_value_is_a_warning(
    filled: Place, cli: Callable[..., Outcome]
) -> None:
    build = ("dataset", "build", "d", "v1", "--store", root(filled))
    for option in ("--group-by", "--stratify"):
        done = cli(*build, option, "meta.source")
        assert done.code == 2
        assert f"{option} has no effect here: it goes with --split." in done.err
    done = cli(*build, "--split", "test=0.5", "--group-by", "meta.source", "--stratify", "meta.n")
    assert done.code == 0
    assert "warning: meta.n 0: none of 1 traces is in" in done.err
    again = cli(*build, "--split", "test=0.5", "--group-by", "meta.source", "--stratify", "meta.n",
                "--json").document  # fmt: skip
    assert [stratum["value"] for stratum in again["strata"]] == list(range(10))


def test_a_query_selects_and_one_that_draws_is_refused(
    filled: Place, cli: Callable[..., Outcome]
) -> None:
    pytest.importorskip("duckdb")
    build = ("dataset", "build", "d", "v1", "--store", root(filled))
    drawn = cli(*build, "--sql", "SELECT id FROM traces WHERE random() < 0.5")
    assert drawn.code == 2
    assert "The function random() differs from run to run." in drawn.err
    done = cli(*build, "--sql", "SELECT id FROM traces WHERE (meta->>'n')::INT > 6", "--json")
    assert done.document["trace_count"] == 3


def test_a_scorer_in_the_current_directory_is_found(
    filled: Place, cli: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p not in ("", str(tmp_path))])
    (tmp_path / "scorers_of_a_user.py").write_text(
        "def number(trace):\n    return {'score': trace.flat.meta['n'], 'details': {'x': 1}}\n"
    )
    store = ("--store", root(filled))
    ids = [row["id"] for row in cli("trace", "list", *store, "--json").document["traces"]]
    score = ("trace", "score", *ids, "--scorer", "scorers_of_a_user:number", *store)
    done = cli(*score)
    assert (done.code, "10 events recorded." in done.err) == (0, True)
    assert done.out.splitlines()[0].split() == ["trace", "score"]
    scores = cli(*score, "--json").document["scores"]
    assert scores[0]["function"] == "scorers_of_a_user:number"
    assert scores[0]["version"].startswith("sha256:")
    assert scores[0]["details"] == {"x": 1}
    best = cli("trace", "list", "--where", "score.number > 7", *store, "--json").document["traces"]
    assert {json.dumps(row["scores"]) for row in best} == {'{"number": 8}', '{"number": 9}'}
    missing = cli("trace", "score", ids[0], "--scorer", "scorers_of_a_user:numbr", *store)
    assert missing.code == 2
    assert 'Did you mean "number"?' in missing.err
