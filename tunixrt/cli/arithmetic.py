"""The options that decide which arithmetic problems are generated, as traces or as an eval set."""

from __future__ import annotations

from typing import Any, TypeVar

import click

from tunixrt.cli.suggestions import Choice

F = TypeVar("F", bound="Any")

_OPTIONS = (
    click.argument("what", type=Choice(["arithmetic"])),
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
    """Add ``what``, ``kinds``, ``n_digits``, ``n`` and ``seed``."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
