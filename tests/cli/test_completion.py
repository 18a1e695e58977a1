"""Shell completion, and the list of presets."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.shell_completion import ShellComplete

from tests.making.runs import made_evaluation, made_store, made_training
from tunixrt.cli.main import root
from tunixrt.ml.model import ModelConfig
from tunixrt.ml.tokenizer import VOCAB_SIZE
from tunixrt.runs.config_sources import load_config
from tunixrt.runs.presets import PRESETS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Outcome


def suggestions(*words: str) -> list[str]:
    """What is suggested for the last word."""
    *before, begun = words
    completions = ShellComplete(root, {}, "tunixrt", "_TUNIXRT_COMPLETE")
    return [item.value for item in completions.get_completions(before, begun)]


@pytest.fixture
def run_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A store with a dataset, an eval set, two runs and a name, in the current directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TUNIXRT_STORE", raising=False)
    store = made_store(tmp_path)
    trained = made_training(store)
    evaluated = made_evaluation(store, trained, n_right=3)
    store.runs.promote(trained.run_id, "baseline")
    return [trained.run_id, evaluated.run_id]


def test_commands_options_and_choices_are_completed() -> None:
    assert suggestions("e") == ["evalset", "eval"]
    assert suggestions("trace", "rei") == ["reinstate"]
    assert suggestions("eval", "--dr") == ["--draws"]
    assert suggestions("completion", "") == ["bash", "zsh", "fish"]


def test_names_in_the_store_are_completed(run_ids: list[str]) -> None:
    assert suggestions("dataset", "show", "su") == ["sums-v1"]
    assert suggestions("train", "nano", "--dataset", "") == ["sums-v1"]
    assert suggestions("eval", "baseline", "--evalset", "") == ["sums"]
    assert suggestions("run", "show", "base") == ["baseline"]
    assert suggestions("reproduce", "@last-") == ["@last-eval", "@last-train"]
    shown = suggestions("run", "compare", "")
    assert {run_id[:12] for run_id in run_ids} <= set(shown)
    assert suggestions("run", "compare", "@last,base") == ["@last,baseline"]
    assert "untrained:" in suggestions("eval", "unt")
    assert suggestions("eval", "untrained:mi") == ["untrained:micro"]
    Path("mine.toml").write_text("")
    assert suggestions("train", "mi") == ["micro", "mine.toml"]


@pytest.mark.usefixtures("run_ids")
def test_a_damaged_part_and_odd_names_are_not_suggested() -> None:
    Path("store/datasets/a b/v1").mkdir(parents=True)
    Path("store/datasets/a\x1b[31m/v1").mkdir(parents=True)
    assert suggestions("dataset", "show", "") == ["sums-v1"]
    for part in Path("store/log").glob("*/*/0000.jsonl"):
        part.write_bytes(b'{"type":"run.promoted"}\n{\n')
    assert suggestions("run", "show", "base") == []
    shutil.rmtree("store/datasets")
    Path("store/datasets").write_text("a file")
    assert suggestions("dataset", "show", "") == []


def test_outside_of_a_store_there_are_no_suggestions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TUNIXRT_STORE", raising=False)
    assert suggestions("dataset", "show", "") == []
    assert suggestions("run", "show", "") == []
    made_store(tmp_path / "elsewhere")
    assert suggestions("dataset", "show", "--store", "elsewhere", "") == ["sums-v1"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_printed_and_is_one(
    cli: Callable[..., Outcome], tmp_path: Path, shell: str
) -> None:
    script = cli("completion", shell).out
    assert f"_TUNIXRT_COMPLETE={shell}_complete" in script
    assert cli("completion", shell, "--json").document == {
        "schema_version": "1",
        "shell": shell,
        "script": script.removesuffix("\n"),
    }
    if shutil.which(shell):
        file = tmp_path / "script"
        file.write_text(script)
        subprocess.run([shell, "-n", str(file)], check=True)


@pytest.mark.usefixtures("run_ids")
def test_a_shell_asks_the_installed_command_and_nothing_heavy_is_imported() -> None:
    asks = (
        "import sys; from tunixrt.cli.main import run\n"
        "try:\n    run()\nexcept SystemExit:\n    pass\n"
        "loaded = {'jax', 'numpy', 'pydantic', 'sqlite3'} & sys.modules.keys()\n"
        "assert not loaded, loaded"
    )
    done = subprocess.run(
        [sys.executable, "-c", asks],
        env={
            "COMP_WORDS": "tunixrt dataset show ",
            "COMP_CWORD": "3",
            "_TUNIXRT_COMPLETE": "bash_complete",
        },
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "plain,sums-v1\n"
    assert done.stderr == ""


def test_presets_are_listed_with_the_sizes_of_their_models(cli: Callable[..., Outcome]) -> None:
    rows = cli("presets", "--json").document["presets"]
    assert [row["name"] for row in rows] == list(PRESETS)
    for row in rows:
        config = load_config(row["name"])
        model = ModelConfig(config.model.architecture, VOCAB_SIZE, config.model.max_length)
        n_params = sum(math.prod(shape) for shape in model.tensor_shapes().values())
        assert (row["n_params"], row["max_length"]) == (n_params, config.model.max_length)
    table = cli("presets").out
    assert "nano-arithmetic" in table
    assert f"{rows[0]['n_params']:,}" in table


def test_every_limit_and_count_has_a_short_and_a_long_form() -> None:
    context = click.Context(root)
    waiting: list[click.Command] = [root]
    n_found = 0
    while waiting:
        command = waiting.pop()
        if isinstance(command, click.Group):
            waiting += [
                found
                for name in command.list_commands(context)
                if (found := command.get_command(context, name)) is not None
            ]
        for parameter in command.params:
            if {"-n", "--limit", "--count"} & {*parameter.opts}:
                assert parameter.opts in (["-n", "--limit"], ["-n", "--count"]), command.name
                n_found += 1
    assert n_found == 8
