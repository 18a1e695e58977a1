"""Options of the form KEY=VALUE."""

from __future__ import annotations

import click


def parse_pairs(pairs: tuple[str, ...], option: str) -> dict[str, str]:
    """``("a=1", "b=2")`` as a dictionary.

    Raises:
        click.UsageError: a pair is none, or gives a key a second value.
    """
    parsed: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise click.UsageError(f"{option} expects KEY=VALUE; found {pair!r}.")
        if parsed.get(key, value) != value:
            raise click.UsageError(
                f"{option} gives {key} two values: {parsed[key]!r} and {value!r}."
            )
        parsed[key] = value
    return parsed
