"""`environments/` is hashed by nothing, so nothing that is shown may rely on what is in it."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.making.runs import made_evaluation, made_store, made_training

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome
    from tunixrt import Store
    from tunixrt.runs.manifests import EvaluationManifest

    Runs = tuple[Store, EvaluationManifest, EvaluationManifest]


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    store = made_store(tmp_path)
    before = made_evaluation(store, None, n_right=3)
    return store, before, made_evaluation(store, made_training(store), n_right=13)


def a_directory(place: Path) -> None:
    (place / "notes.json").mkdir()


def a_damaged_file(place: Path) -> None:
    (place / "0.json").write_bytes(b'{"python": "3.11", \xff')


def a_list(place: Path) -> None:
    (place / "0.json").write_bytes(b"[]")


def nested(place: Path) -> None:
    (place / "0.json").write_bytes(b"[" * 100_000)


def a_dangling_link(place: Path) -> None:
    (place / "0.json").symlink_to("absent")


def a_loop(place: Path) -> None:
    (place / "0.json").symlink_to("0.json")


def another_file(place: Path) -> None:
    (place / "README").write_text("what these are")


UNREADABLE = [
    a_directory,
    a_damaged_file,
    a_list,
    nested,
    a_dangling_link,
    a_loop,
    another_file,
]


@pytest.mark.parametrize("spoil", UNREADABLE)
def test_what_cannot_be_read_is_named_and_stops_nothing(
    spoil: Callable[[Path], None], cli: Callable[..., Outcome], runs: Runs
) -> None:
    store, before, after = runs
    for run in [run.manifest for run in store.runs]:
        spoil(store.layout.runs / run.run_id / "environments")
    shown = cli("run", "show", after.run_id)
    assert shown.code == 0
    assert "executed at 2026-01-01T00:00:00Z in 1.5 s (tunixrt " in shown.out
    assert f"warning: runs/{after.run_id}/environments/" in shown.err
    assert "cannot be read" in shown.err
    document = cli("run", "show", after.run_id, "--json").document
    assert len(document["environments"]) == len(document["unreadable_environments"]) == 1
    for args in (
        ["run", "list"],
        ["run", "compare", before.run_id, after.run_id],
        ["report", before.run_id, after.run_id],
        ["site", "build"],
        ["status"],
        ["doctor"],
    ):
        assert cli(*args).code == 0, args


FIELDS: list[dict[str, object]] = [
    {},
    {"python": "3.14.0"},
    {"started_at": "2026-11-25T12:00:00Z"},
    {"duration_s": 1.5, "tunixrt": None},
    {"duration_s": {"unit": "s"}, "started_at": ["soon"], "python": 3, "of the future": True},
]


@pytest.mark.parametrize("fields", FIELDS)
def test_no_field_is_sure_to_be_there(
    fields: dict[str, object], cli: Callable[..., Outcome], runs: Runs
) -> None:
    from tunixrt.derive import write_environment

    store, _, after = runs
    place = store.layout.runs / after.run_id / "environments"
    shutil.rmtree(place)
    assert "executed" not in cli("run", "show", after.run_id).out
    write_environment(place, fields)
    shown = cli("run", "show", after.run_id)
    assert (shown.code, shown.err) == (0, "")
    line = shown.out.splitlines()[-1]
    assert line.startswith("executed")
    for value in fields.values():
        if isinstance(value, str | float):
            assert str(value) in line
    assert "None" not in line
    assert cli("run", "show", after.run_id, "--json").document["environments"] == [fields]


def test_a_run_made_from_python_without_a_stopwatch_is_shown(
    cli: Callable[..., Outcome], runs: Runs
) -> None:
    from tunixrt.derive import write_environment
    from tunixrt.jobs.machine import describe_environment
    from tunixrt.runs.numeric_class import detect_numeric_class

    store, before, _ = runs
    own = detect_numeric_class(packages={}, xla_flags=[])
    place = store.layout.runs / before.run_id / "environments"
    write_environment(place, describe_environment(own, None))
    shown = cli("run", "show", before.run_id)
    assert shown.code == 0
    assert shown.out.count("\nexecuted (tunixrt ") == 1
    assert shown.out.count("\nexecuted ") == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_named(cli: Callable[..., Outcome], runs: Runs) -> None:
    store, before, _ = runs
    (path,) = (store.layout.runs / before.run_id / "environments").iterdir()
    path.chmod(0)
    assert "Permission denied" in cli("run", "show", before.run_id).err
