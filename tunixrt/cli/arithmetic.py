"""The options that decide which problems are generated, as traces or as an eval set."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import click

from tunixrt.cli.options import goes_with
from tunixrt.cli.suggestions import Choice

F = TypeVar("F", bound="Any")

ARITHMETIC: Final = "arithmetic"
REASONING_GYM: Final = "reasoning-gym"

_OPTIONS = (
    click.argument("what", type=Choice([ARITHMETIC, REASONING_GYM])),
    click.option(
        "--task",
        metavar="NAME",
        help="With reasoning-gym: the task, such as countdown (pip install 'tunixrt[gym]').",
    ),
    click.option(
        "--kind",
        "kinds",
        multiple=True,
        type=Choice(["addition", "subtraction", "multiplication"]),
        default=("addition",),
        show_default=True,
        help="The kind of problem; several take turns.",
    ),
    click.option(
        "--digits",
        "n_digits",
        type=click.IntRange(1, 9),
        default=3,
        show_default=True,
        help="Digits of each operand.",
    ),
    click.option(
        "-n",
        "--count",
        "n",
        type=click.IntRange(1),
        required=True,
        metavar="N",
        help="Generate N problems.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        help="Decides which problems.",
    ),
)


def problem_options(function: F) -> F:
    """Add ``what``, ``task``, ``kinds``, ``n_digits``, ``n`` and ``seed``."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def gym_task(what: str, task: str | None) -> str | None:
    """Return the task of reasoning-gym that is asked for; None where arithmetic is.

    Raises:
        click.UsageError: an option has no effect on what is asked for, or the task is missing.
    """
    goes_with("task", f"{REASONING_GYM}", holds=what == REASONING_GYM)
    for name in ("kinds", "n_digits"):
        goes_with(name, ARITHMETIC, holds=what == ARITHMETIC)
    if what == REASONING_GYM and task is None:
        raise click.UsageError("Name the task of reasoning-gym: --task NAME, such as countdown.")
    return task
