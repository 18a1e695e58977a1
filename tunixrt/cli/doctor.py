"""`tunixrt doctor`: what surrounds the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tunixrt.cli.base import ExampleCommand, store_options
from tunixrt.cli.output import emit_json
from tunixrt.errors import ExitCode

if TYPE_CHECKING:
    from tunixrt.store import Store


@click.command(cls=ExampleCommand, examples=("tunixrt doctor",))
@store_options
def doctor(store: Store, as_json: bool) -> int:
    """Check what surrounds the store: leftovers, lock, Git attributes, versions.

    Nothing is changed or deleted. Exit code 1 when something has to be fixed.
    """
    checks = store.examine()
    ok = all(check.ok for check in checks)
    if as_json:
        emit_json({"ok": ok, "checks": checks})
    else:
        for check in checks:
            click.echo(f"{'ok  ' if check.ok else 'FIX '}  {check.name}: {check.found}")
    return ExitCode.DONE if ok else ExitCode.ANSWER_IS_NO
