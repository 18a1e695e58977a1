"""`tunixrt dataset check`: leaks, duplicates, empty answers, sources."""

from __future__ import annotations

import shlex
from fractions import Fraction
from typing import TYPE_CHECKING

import click
import msgspec

from tunixrt.cli.base import ExampleCommand, store_options
from tunixrt.cli.completing import datasets, evalsets
from tunixrt.cli.output import count, emit_json, say, short
from tunixrt.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunixrt.datasets.files import DatasetManifest
    from tunixrt.jobs.dataset_check import DatasetCheck
    from tunixrt.store import Store


#: Which rule leaves out what is wrong; the other faults need a decision on each trace.
_RULES = {"leak between splits": "normalised", "duplicate": "near:1"}


def _share(_: click.Context, __: click.Parameter, given: str | None) -> Fraction | None:
    if given is None:
        return None
    try:
        share = Fraction(given)
    except (ValueError, ZeroDivisionError):
        share = Fraction(0)
    if not 0 < share <= 1:
        raise click.BadParameter(f"expected a number above 0 and up to 1, found {given!r}.")
    return share


@click.command(
    cls=ExampleCommand,
    examples=(
        "tunixrt dataset check gsm-v1",
        "tunixrt dataset check gsm-v1 --evalset sums --max-share 0.8",
    ),
)
@click.argument("key", shell_complete=datasets)
@click.option(
    "--evalset",
    "names",
    multiple=True,
    metavar="NAME",
    shell_complete=evalsets,
    help="Compare with this eval set, too; may be repeated.",
)
@click.option(
    "--max-share",
    metavar="FRACTION",
    callback=_share,
    help="The part of the traces that one source may have, such as 0.8.",
)
@click.option("--fix", is_flag=True, help="Print the commands that build a dataset without them.")
@store_options
def check(
    store: Store,
    key: str,
    names: tuple[str, ...],
    max_share: Fraction | None,
    fix: bool,
    as_json: bool,
) -> ExitCode:
    """Check what is in a dataset; exit 1 if something is wrong.

    Looks for prompts that are in several splits, samples of an eval set in the splits that are
    trained on, traces that repeat another one, traces without an answer, and sources with too large
    a share. Nothing is changed: --fix prints commands.
    """
    found = store.datasets[key].check(
        evalsets=[store.evalsets[name] for name in names], max_share=max_share
    )
    commands = list(_fixes(store.datasets[key].manifest, found)) if fix else []
    if as_json:
        document = msgspec.structs.asdict(found) | {"ok": found.ok}
        emit_json(document | ({"fix": commands} if fix else {}))
    else:
        _print(found)
    for command in commands if not as_json else ():
        click.echo(command)
    return ExitCode.DONE if found.ok else ExitCode.ANSWER_IS_NO


def _print(found: DatasetCheck) -> None:
    redacted = f", {found.n_redacted:,} redacted" * bool(found.n_redacted)
    say(f"{found.dataset_key}: {count(found.n_traces, 'trace')}{redacted}.")
    for finding in found.findings:
        click.echo(f"{finding.fault}: {finding.sentence}")
        for group in finding.examples:
            click.echo(f"  {' '.join(short(trace) for trace in group)}")
    if found.n_repeated_prompts:
        repeated = count(found.n_repeated_prompts, "trace")
        say(f"{repeated} with a prompt that an earlier one of the split has: several solutions.")
    sources = ", ".join(f"{name} {n:,}" for name, n in found.sources.items())
    say(f"Sources: {sources or 'none'}.")
    if found.ok:
        against = f", compared with {', '.join(found.evalsets)}" if found.evalsets else ""
        say(f"Nothing is wrong{against}.")


def _fixes(manifest: DatasetManifest, found: DatasetCheck) -> Iterator[str]:
    """Yield the commands after which a dataset is without the faults."""
    faults = {str(finding.fault) for finding in found.findings}
    for finding in found.findings:
        if str(finding.fault) not in _RULES and finding.examples:
            listed = " ".join(short(trace) for group in finding.examples for trace in group)
            more = " ..." * (finding.n_traces > len(finding.examples))
            yield f"tunixrt trace retract --reason {shlex.quote(finding.fault)} {listed}{more}"
    rule = next((_RULES[fault] for fault in _RULES if fault in faults), None)
    if not faults or faults == {"unbalanced sources"}:
        return
    words = ["tunixrt", "dataset", "build", manifest.dataset_name, "VERSION"]
    for name, value in manifest.filters.items():
        words += ["--where", f"{name}={value}"]
    for option, given in (
        ("--where", manifest.where),
        ("--sql", None if manifest.sql is None else manifest.sql.query),
        ("--limit", manifest.limit),
        ("--seed", manifest.seed),
        ("--group-by", manifest.group_by),
        ("--stratify", manifest.stratify),
        ("--dedupe", rule or manifest.dedupe),
        ("--parent", manifest.dataset_key),
    ):
        if given is not None:
            words += [option, str(given)]
    if manifest.selection_strategy == "random":
        words += ["--strategy", "random"]
    for name, fraction in manifest.splits.items():
        words += ["--split", f"{name}={fraction}"]
    yield shlex.join(words)
