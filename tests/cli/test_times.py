"""Every command that can record a time takes its option, or else SOURCE_DATE_EPOCH, for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
import pytest

from tests.making.every_command import every_command, known_commands
from tests.making.runs import made_store
from tunixrt import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

TIME_OPTIONS = {"--recorded-at", "--built-at"}
EPOCH, AS_TIME = "1700000000", "2023-11-14T22:13:20Z"
GIVEN = "2026-11-25T12:00:00Z"


def timed_commands() -> dict[str, str]:
    """The commands with an option for a time, and that option."""
    found = {}
    for name, command in known_commands():
        for param in command.params:
            if isinstance(param, click.Option) and TIME_OPTIONS & set(param.opts):
                found[name] = param.opts[0]
    return found


@pytest.fixture
def table(tmp_path: Path) -> dict[str, list[str]]:
    return every_command(made_store(tmp_path / "store"))


def times_in(root: Path) -> set[str]:
    """Every time that the log or a dataset states."""
    store = Store.open(root)
    events = {event.envelope.recorded_at for event in store.log.events()}
    return {t for t in events | {d.manifest.built_at for d in store.datasets} if t is not None}


def test_these_commands_can_record_a_time() -> None:
    facts = {"import", "generate", "add", "score", "label", "supersede", "retract", "redact"}
    wanted = {f"trace {fact}" for fact in facts} | {"run promote", "dataset build"}
    # A command that gains such an option has to be in the table below, which this set decides.
    assert set(timed_commands()) >= wanted


@pytest.mark.parametrize("name", timed_commands())
def test_a_time_comes_from_the_option_or_from_source_date_epoch_or_from_nowhere(
    name: str,
    cli: Callable[..., Outcome],
    table: dict[str, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = tmp_path / "store"
    args = [*table[name], "--store", str(root)]
    monkeypatch.setenv("SOURCE_DATE_EPOCH", EPOCH)
    assert cli(*args).code == 0
    assert times_in(root) == {AS_TIME}


@pytest.mark.parametrize("name", ["run promote", "dataset build", "trace label"])
def test_the_option_comes_before_the_variable(
    name: str,
    cli: Callable[..., Outcome],
    table: dict[str, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = tmp_path / "store"
    option = timed_commands()[name]
    monkeypatch.setenv("SOURCE_DATE_EPOCH", EPOCH)
    assert cli(*table[name], option, GIVEN, "--store", str(root)).code == 0
    assert times_in(root) == {GIVEN}
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "")
    assert cli("trace", "generate", "arithmetic", "-n", "30", "--store", str(root)).code == 0
    assert times_in(root) == {GIVEN}


@pytest.mark.parametrize("epoch", ["soon", "-1", "1.5", "²", "9" * 5000], ids=range(5))
@pytest.mark.parametrize("name", ["run promote", "dataset build", "trace redact"])
def test_a_bad_variable_is_refused_before_anything_is_written(
    name: str,
    epoch: str,
    cli: Callable[..., Outcome],
    table: dict[str, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = tmp_path / "store"
    n_events = len(list(Store.open(root).log.events()))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    outcome = cli(*table[name], "--store", str(root))
    assert outcome.code == 2
    assert "SOURCE_DATE_EPOCH" in outcome.err
    assert len(list(Store.open(root).log.events())) == n_events


def test_a_dataset_has_the_same_digest_whatever_the_time(
    cli: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_store(tmp_path)
    first = cli("dataset", "build", "timed", "v1", "--json").document
    monkeypatch.setenv("SOURCE_DATE_EPOCH", EPOCH)
    again = cli("dataset", "build", "timed", "v1", "--json").document
    assert (again["digest"], again["created"]) == (first["digest"], False)
    other = cli("dataset", "build", "timed", "v2", "--json").document
    assert other["digest"] == first["digest"]
    shown = json.dumps(cli("dataset", "show", "timed-v2", "--json").document)
    assert AS_TIME in shown
