"""`tunixrt trace add|label|supersede|retract|reinstate|redact`: events about traces."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

import click
import msgspec

from tunixrt.cli.base import ExampleCommand, store_options
from tunixrt.cli.options import goes_with, lock_timeout_option, recorded_at_option
from tunixrt.cli.output import count, emit_json, say, short
from tunixrt.cli.pairs import parse_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunixrt.jobs.redact import RedactionDone
    from tunixrt.log.lock import Waiting
    from tunixrt.store import Store
    from tunixrt.traces.stating import Stated

command = functools.partial(click.command, cls=ExampleCommand)
ids_argument = click.argument("ids", nargs=-1, required=True, metavar="ID...")


@command(
    examples=(
        'tunixrt trace add --prompt "1+1?" --step compute "1+1 is 2" --answer 2',
        "tunixrt trace add - < trace.json",
    )
)
@click.argument("source", required=False, type=click.Choice(["-"]), metavar="[-]")
@click.option("--prompt", metavar="TEXT", help="The question.")
@click.option("--answer", metavar="TEXT", help="The final answer.")
@click.option(
    "--step",
    "steps",
    nargs=2,
    multiple=True,
    metavar="TYPE TEXT",
    help="A step, its type first; may be repeated.",
)
@click.option("--meta", multiple=True, metavar="KEY=VALUE", help="Metadata; may be repeated.")
@recorded_at_option
@store_options
def add(
    store: Store,
    source: str | None,
    prompt: str | None,
    answer: str | None,
    steps: tuple[tuple[str, str], ...],
    meta: tuple[str, ...],
    recorded_at: str | None,
    as_json: bool,
) -> None:
    """Record one trace, given by options or, with -, as one JSON object on stdin.

    The object may be a conversation: `{"trace_version": "1.1", "messages": [...]}`. Without a
    --step, question and answer are recorded as a conversation, since schema 1.0 demands steps.

    Prints the id of the trace. A trace that is known already is not recorded again.
    """
    given = [prompt, answer, *steps, *meta]
    if source is not None and any(value is not None for value in given):
        raise click.UsageError("A trace comes from stdin or from options, not from both.")
    if source is not None:
        document = _from_stdin()
    elif prompt is None or answer is None:
        raise click.UsageError("--prompt and --answer are needed, or -.")
    else:
        document = _from_options(prompt, answer, steps) | {"meta": parse_pairs(meta, "--meta")}
    (trace,), report = store.traces.add(document, recorded_at=recorded_at)
    if as_json:
        emit_json(
            {
                "id": trace,
                "recorded": report.recorded,
                "duplicates": report.duplicates,
                "dropped": report.dropped,
                "segment": report.segment,
            }
        )
        return
    if not report.recorded:
        why = next(iter(report.dropped), "it is known already")
        say(f"Nothing was recorded: {why}.")
    click.echo(trace)


def _from_options(prompt: str, answer: str, steps: Sequence[tuple[str, str]]) -> dict[str, object]:
    if steps:
        return {
            "trace_version": "1.0",
            "prompt": prompt,
            "steps": [{"i": i, "type": t, "content": text} for i, (t, text) in enumerate(steps)],
            "final_answer": answer,
        }
    messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    return {"trace_version": "1.1", "messages": messages, "final_answer": answer}


def _from_stdin() -> dict[str, Any]:
    from tunixrt.log.canonical import decode
    from tunixrt.traces.importers.file_kinds import without_mark
    from tunixrt.traces.schema import any_trace_of

    value = decode(without_mark("stdin", sys.stdin.buffer.read(), "JSON"))
    if not isinstance(value, dict):
        any_trace_of(value)  # raises: it says what was expected and what was found
    return dict(value)  # type: ignore[arg-type]


@command(
    examples=(
        "tunixrt trace label 5d1f0c 9ab34e quality=good reviewed=yes",
        "tunixrt trace label 5d1f0c quality=",
    )
)
@click.argument("ids_and_labels", nargs=-1, required=True, metavar="ID... KEY=VALUE...")
@recorded_at_option
@lock_timeout_option
@store_options
def label(
    store: Store,
    ids_and_labels: tuple[str, ...],
    recorded_at: str | None,
    waiting: Waiting,
    as_json: bool,
) -> None:
    """Give traces labels; a KEY without a value takes one away.

    An argument with an equals sign is a label, any other the id of a trace. Where two branches gave
    one label two values, `status` shows the conflict, and labelling again decides it. Datasets
    select by labels with `--where label.KEY=VALUE`.
    """
    labels = tuple(given for given in ids_and_labels if "=" in given)
    ids = [given for given in ids_and_labels if "=" not in given]
    if not ids or not labels:
        missing = "KEY=VALUE" if ids else "ID"
        raise click.UsageError(f"At least one ID and one KEY=VALUE are needed; found no {missing}.")
    pairs = {name: text or None for name, text in parse_pairs(labels, "label").items()}
    stated = store.traces.label(ids, pairs, recorded_at=recorded_at, waiting=waiting)
    _finish(stated, as_json=as_json)


@command(examples=("tunixrt trace supersede 5d1f0c --by 9ab34e --reason 'a typo in step 2'",))
@ids_argument
@click.option("--by", required=True, metavar="ID", help="The trace that takes their place.")
@click.option("--reason", metavar="TEXT", help="Why.")
@recorded_at_option
@lock_timeout_option
@store_options
def supersede(
    store: Store,
    ids: tuple[str, ...],
    by: str,
    reason: str | None,
    recorded_at: str | None,
    waiting: Waiting,
    as_json: bool,
) -> None:
    """Record that another trace replaces these: datasets built later leave them out.

    `reinstate` undoes it.
    """
    stated = store.traces.supersede(
        ids,
        by=by,
        reason=reason,
        recorded_at=recorded_at,
        waiting=waiting,
    )
    _finish(stated, as_json=as_json)


@command(examples=("tunixrt trace retract 5d1f0c --reason 'the answer is wrong'",))
@ids_argument
@click.option("--reason", required=True, metavar="TEXT", help="Why.")
@recorded_at_option
@lock_timeout_option
@store_options
def retract(
    store: Store,
    ids: tuple[str, ...],
    reason: str,
    recorded_at: str | None,
    waiting: Waiting,
    as_json: bool,
) -> None:
    """Withdraw traces: datasets built later leave them out.

    Their text stays: `redact` removes it. `reinstate` undoes a retraction.
    """
    stated = store.traces.retract(ids, reason=reason, recorded_at=recorded_at, waiting=waiting)
    _finish(stated, as_json=as_json)


@command(
    examples=(
        "tunixrt trace reinstate 5d1f0c",
        "tunixrt trace reinstate 5d1f0c 9ab34e --reason 'the answer is right'",
    )
)
@ids_argument
@click.option("--reason", metavar="TEXT", help="Why.")
@recorded_at_option
@lock_timeout_option
@store_options
def reinstate(
    store: Store,
    ids: tuple[str, ...],
    reason: str | None,
    recorded_at: str | None,
    waiting: Waiting,
    as_json: bool,
) -> None:
    """Undo `retract` and `supersede`: datasets built later select these traces again.

    Of several branches that retract and reinstate one trace, the event that is last in the order
    of the log counts, and `status` shows the conflict. A redaction cannot be undone.
    """
    stated = store.traces.reinstate(ids, reason=reason, recorded_at=recorded_at, waiting=waiting)
    _finish(stated, as_json=as_json)


@command(
    examples=(
        "tunixrt trace redact 5d1f0c --reason 'asked for by its author'",
        "tunixrt trace redact --sweep",
    )
)
@click.argument("ids", nargs=-1, metavar="[ID...]")
@click.option(
    "--reason", metavar="TEXT", help="Why. It is kept permanently: do not repeat the content in it."
)
@click.option(
    "--sweep",
    is_flag=True,
    help="Remove redacted text that came back, and repair a merge that stopped at a redaction.",
)
@recorded_at_option
@lock_timeout_option
@store_options
def redact(
    store: Store,
    ids: tuple[str, ...],
    reason: str | None,
    sweep: bool,
    recorded_at: str | None,
    waiting: Waiting,
    as_json: bool,
) -> None:
    """Remove the text of traces from every segment; `verify` fails if it comes back.

    Every digest, snapshot and proof stays valid. What cannot be reached is listed: Git history,
    weights, predictions, reports, eval sets. A whole id may be given before its trace is here.
    """
    if not ids and not sweep:
        raise click.UsageError("Name the traces to redact, or give --sweep.")
    if ids and reason is None:
        raise click.UsageError("A redaction needs a --reason.")
    goes_with("reason", "an ID to redact", holds=bool(ids))
    goes_with("recorded_at", "an ID to redact", holds=bool(ids))
    done = store.traces.sweep(waiting=waiting) if sweep else None
    if ids:
        done = store.traces.redact(
            ids,
            reason=reason or "",
            recorded_at=recorded_at,
            waiting=waiting,
        )
    assert done is not None
    if as_json:
        emit_json(msgspec.to_builtins(done))
        return
    _say_redacted(done, swept_only=not ids)


def _say_redacted(done: RedactionDone, *, swept_only: bool) -> None:
    for place in done.repaired:
        say(f"repaired: {place} (mark it as resolved with `git add`)")
    if not swept_only:
        known = len(done.traces) - done.n_new
        say(
            f"{count(done.n_new, 'trace')} redacted"
            + (f", {known:,} redacted before" if known else "")
            + (f"; {done.n_unknown:,} not recorded here yet" if done.n_unknown else "")
            + "."
        )
    say(f"{count(len(done.removed), 'payload')} removed from the working tree.")
    for place, line in done.removed:
        click.echo(f"{place}:{line}")
    if done.traces and (done.removed or not swept_only):
        _say_remains(done)


def _say_remains(done: RedactionDone) -> None:
    remains = done.remains
    say("\nWhat remains:")
    say("- A guess of the text can be confirmed: the id, its digest, stays.")
    for what, names in (
        ("perturbed copies, to be redacted as well", [short(trace) for trace in remains.copies]),
        ("datasets list the id", remains.datasets),
        ("weights were trained on it", [short(run) for run in remains.training_runs]),
        ("predictions come from those weights", [short(run) for run in remains.evaluation_runs]),
        ("files quote the prompt", remains.quoting_files),
    ):
        if names:
            say(f"- {what}: {', '.join(names)}")
    for problem in remains.unreadable:
        say(f"- This could not be read: {problem}")
    say("- Exports, reports and copies that were made elsewhere are not known here.")
    if remains.n_commits is None:
        say("- This is not a Git repository; where the store has been in one, its history stays.")
        return
    say(
        f"- Git history: {count(remains.n_commits, 'commit')} here touch the files that held it. "
        "After you have committed this redaction, this rewrites every commit in a fresh clone:"
    )
    say(f"\n{done.history_command}\n")
    say(
        "  Then push with --force, and replace every other clone. In commits from before the "
        "redaction, `verify` then reports a null payload without a redaction event."
    )


def stated_document(stated: Stated) -> dict[str, object]:
    """What was stated, for ``--json``."""
    return {"traces": stated.traces, "n_new": stated.n_new, "segment": stated.segment}


def _finish(stated: Stated, *, as_json: bool) -> None:
    if as_json:
        emit_json(stated_document(stated))
    else:
        say_stated(stated)
        if stated.segment is not None:
            click.echo(stated.segment)


def say_stated(stated: Stated) -> None:
    """Report how many events were recorded."""
    if stated.n_new:
        say(f"{count(stated.n_new, 'event')} recorded.")
    else:
        say("Nothing was recorded: the log states this already.")


@command(examples=("tunixrt trace recover",))
@store_options
def recover(store: Store, as_json: bool) -> None:
    """Move what killed programs had recorded with `store.traces.stream()` into the log.

    Opening another stream does the same. An event that was being written, and was never
    acknowledged, is kept in a file of its own.
    """
    found = store.traces.recover_streams()
    if as_json:
        emit_json(msgspec.structs.asdict(found))
        return
    say(f"{count(found.n_recovered, 'trace')} recovered, {found.n_known:,} known already.")
    if found.n_redacted:
        say(f"{count(found.n_redacted, 'trace')} dropped: redacted in the meantime.")
    for place in found.torn:
        say(f"The unfinished end of a stream is in {place}.")
    if found.segment is not None:
        click.echo(found.segment)


FACT_COMMANDS = (add, label, supersede, retract, reinstate, redact, recover)
