"""`tunixrt completion`: the script that a shell needs to complete commands, options and names."""

from __future__ import annotations

import click

from tunixrt.cli.base import ExampleCommand, json_option
from tunixrt.cli.output import emit_json
from tunixrt.cli.suggestions import Choice

#: click looks for it, and answers as the script of the shell asks.
_VARIABLE = "_TUNIXRT_COMPLETE"


@click.command(
    cls=ExampleCommand,
    examples=(
        "tunixrt completion bash > ~/.local/share/bash-completion/completions/tunixrt",
        "tunixrt completion zsh > ~/.zfunc/_tunixrt",
        "tunixrt completion fish > ~/.config/fish/completions/tunixrt.fish",
    ),
)
@click.argument("shell", type=Choice(["bash", "zsh", "fish"]))
@json_option
def completion(shell: str, as_json: bool) -> None:
    """Print the completion script of a shell: commands, options, datasets, eval sets, runs.

    The examples write it where bash (with bash-completion), zsh (with ~/.zfunc in fpath) and fish
    look for it; `eval "$(tunixrt completion bash)"` has effect in the current shell alone.
    """
    from click.shell_completion import get_completion_class

    from tunixrt.cli.main import root

    made_by = get_completion_class(shell)
    assert made_by is not None
    script = made_by(root, {}, "tunixrt", _VARIABLE)
    # Not source(), which starts bash to look at its version.
    text = script.source_template % script.source_vars()
    if as_json:
        emit_json({"shell": shell, "script": text})
        return
    click.echo(text)
