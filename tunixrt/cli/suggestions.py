"""What was probably meant by an unknown command, option or choice; see `tunixrt.words`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tunixrt.words import choice

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST = 6


class Choice(click.Choice[str]):
    """One of several words, with the nearest one where another word was given."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        """The message of click, and a suggestion."""
        message = super().get_invalid_choice_message(value, ctx)
        return message + _sentence(_near(str(value), {word: word for word in self.choices}))


def with_suggestion(error: click.ClickException) -> click.ClickException:
    """The same error with what may have been meant, if it is about an unknown name."""
    match error:
        case click.NoSuchCommand(ctx=click.Context() as ctx):
            message, meant = error.message, _near(error.command_name, dict(_commands(ctx)))
        case click.NoSuchOption(ctx=click.Context() as ctx):
            message, meant = error.message, _near(error.option_name, _options(ctx))
        case _:
            return error
    return click.UsageError(message + _sentence(meant), ctx)


def _commands(context: click.Context) -> Iterator[tuple[str, str]]:
    """The commands of a group, and those of the groups in it."""
    group = context.command
    assert isinstance(group, click.Group)
    names = group.list_commands(context)
    yield from ((name, name) for name in names)
    for name in names:
        below = group.get_command(context, name)
        if isinstance(below, click.Group):
            yield from ((f"{name} {sub}", f"{name} {sub}") for sub in below.commands)


def _options(context: click.Context) -> dict[str, str]:
    """What may be typed in an unknown option's place, by its name."""
    parameters = context.command.get_params(context)
    options = {name: name for p in parameters for name in (*p.opts, *p.secondary_opts)}
    known = {name: name for name in options if name.startswith("--")}
    if "--set" in known:
        from tunixrt.runs.config import value_keys

        known |= {key: f"--set {key}=VALUE" for key in value_keys()}
    return known


def _near(name: str, known: dict[str, str]) -> list[str]:
    from tunixrt.words import near

    return [known[key] for key in near(name, known, dotted=True)[:_MOST]]


def _sentence(meant: list[str]) -> str:
    if not meant:
        return ""
    return f" Did you mean {choice(map(repr, meant))}?"
