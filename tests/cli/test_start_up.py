"""Starting fast: jax stays away from every command that does not compute with it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest

from tests.making.every_command import known_commands
from tunixrt.cli.base import COMMANDS, ExampleCommand
from tunixrt.cli.main import root

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = ("jax", "jaxlib", "flax", "optax", "safetensors", "numpy")

PROBE = """
import sys
from tunixrt.cli.main import run
sys.argv = ["tunixrt", *{args!r}]
code = run()
heavy = sorted({heavy!r} & sys.modules.keys())
assert not heavy, heavy
sys.exit(code)
"""


@pytest.mark.parametrize(
    "args",
    [
        ["--help"],
        ["--version"],
        ["verify", "--rebuild"],
        ["status"],
        ["log"],
        ["doctor"],
        ["trace", "recover"],
        ["trace", "--help"],
        ["trace", "list"],
        ["trace", "generate", "arithmetic", "-n", "5"],
        ["dataset", "--help"],
        ["dataset", "build", "all", "v1"],
        ["dataset", "list"],
        ["snapshot", "create"],
        ["run", "list"],
        ["train", "--help"],
        ["eval", "--help"],
        ["reproduce", "--help"],
        ["report", "--help"],
        ["site", "build"],
        ["evalset", "list"],
        ["presets"],
        ["completion", "zsh"],
    ],
    ids=" ".join,
)
def test_these_commands_never_import_jax(args: list[str], tmp_path: Path) -> None:
    for setup in (["init", "."], ["trace", "generate", "arithmetic", "-n", "3"]):
        subprocess.run(
            [sys.executable, "-m", "tunixrt.cli.main", *setup],
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )
    program = PROBE.format(args=args, heavy=set(HEAVY))
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "command"), known_commands(), ids=[name for name, _ in known_commands()]
)
def test_every_command_shows_an_example_and_takes_json(name: str, command: click.Command) -> None:
    assert isinstance(command, ExampleCommand)
    assert command.examples
    assert all(f"tunixrt {name} " in f"{example} " for example in command.examples)
    options = {option for p in command.params for option in p.opts}
    assert "--json" in options
    assert command.help
    for param in command.params:
        if isinstance(param, click.Option):
            assert param.hidden or param.help, param.name


def test_the_summary_in_the_root_help_fits_each_command() -> None:
    context = click.Context(root, info_name="tunixrt")
    assert root.list_commands(context) == list(COMMANDS)
    assert root.get_command(context, "absent") is None
