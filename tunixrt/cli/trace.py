"""`tunixrt trace`: generate, list, show, compare; see trace_import and trace_facts, too."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import click
import msgspec

from tunixrt.cli.arithmetic import gym_task, problem_options
from tunixrt.cli.base import NounGroup, store_options
from tunixrt.cli.options import output_option, recorded_at_option, where_option
from tunixrt.cli.output import (
    count,
    emit_json,
    names_stdout,
    say,
    short,
    stream_json,
    stream_table,
    writing_to,
)
from tunixrt.cli.trace_facts import FACT_COMMANDS
from tunixrt.cli.trace_import import import_
from tunixrt.cli.trace_perturb import perturb
from tunixrt.cli.trace_score import score
from tunixrt.visible import one_line

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt.store import Store
    from tunixrt.traces.conversation import Conversation
    from tunixrt.traces.schema import AnyTrace
    from tunixrt.traces.state import TraceState


@click.group(cls=NounGroup)
def trace() -> None:
    """Reasoning traces: prompt, numbered steps, final answer, metadata; and conversations."""


for _command in (*FACT_COMMANDS, import_, perturb, score):
    trace.add_command(_command)


@trace.command(
    examples=(
        "tunixrt trace generate arithmetic --kind addition --digits 3 -n 1000 --seed 0",
        "tunixrt trace generate arithmetic --kind addition --kind subtraction -n 1000",
        "tunixrt trace generate reasoning-gym --task countdown -n 100 --seed 1",
    )
)
@problem_options
# Before `tunixrt evalset generate` existed, eval sets were made here.
@click.option("--held-out", is_flag=True, hidden=True)
@output_option("With --held-out: the eval set to write.", hidden=True)
@recorded_at_option
@store_options
def generate(
    store: Store,
    what: str,
    task: str | None,
    kinds: tuple[str, ...],
    n_digits: int,
    n: int,
    seed: int,
    held_out: bool,
    output: Path | None,
    recorded_at: str | None,
    as_json: bool,
) -> None:
    """Generate arithmetic problems with written-out steps: real data without any download.

    The problems depend on the seed alone. A problem belongs either to the training pool or to the
    held-out pool, by a digest of its text, so an eval set of `tunixrt evalset generate` and these
    traces never share one, whatever the seeds.

    With reasoning-gym, the items of one of its tasks: question and answer without steps, and the
    metadata of the item. They depend on the version of the library, too, and have no pools:
    `tunixrt evalset check` compares an eval set with a dataset.
    """
    task = gym_task(what, task)
    if held_out != (output is not None) or (held_out and task is not None):
        raise click.UsageError(
            "--held-out and -o FILE go together: held-out problems are an eval set."
        )
    if output is not None:
        write_evalset(store, output, kinds, n_digits, n, seed, as_json=as_json)
        return
    if task is None:
        report = store.traces.generate_arithmetic(
            kinds=kinds, n_digits=n_digits, n=n, seed=seed, recorded_at=recorded_at
        )
    else:
        report = store.traces.generate_reasoning_gym(task, n=n, seed=seed, recorded_at=recorded_at)
    if as_json:
        emit_json(
            {
                "recorded": report.recorded,
                "duplicates": report.duplicates,
                "dropped": sum(report.dropped.values()),
                "segment": report.segment,
            }
        )
        return
    say(f"{count(report.recorded, 'trace')} recorded, {count(report.duplicates, 'duplicate')}.")
    for reason, n_dropped in report.dropped.items():
        say(f"  dropped: {n_dropped:,} x {reason}")
    if report.segment is not None:
        click.echo(report.segment)


def write_evalset(
    store: Store,
    output: Path,
    kinds: tuple[str, ...],
    n_digits: int,
    n: int,
    seed: int,
    *,
    as_json: bool,
) -> None:
    """Write an eval set of held-out problems, and report where; the same bytes again are fine."""
    from tunixrt.errors import BadInputError
    from tunixrt.eval.evalsets import check_evalset_file
    from tunixrt.log.digests import digest_bytes
    from tunixrt.store import held_out_evalset

    if output.resolve().parent == store.layout.evalsets.resolve():
        check_evalset_file(output)
    data = held_out_evalset(kinds=kinds, n_digits=n_digits, n=n, seed=seed)
    if output.is_file() and output.read_bytes() != data:
        raise BadInputError(
            f"{output} exists with other content, and an eval set never changes once it is used. "
            "Choose another name."
        )
    with writing_to(output) as out:
        out.write(data)
    if names_stdout(output):
        return
    if as_json:
        emit_json({"file": str(output), "n_samples": n, "digest": digest_bytes(data)})
    else:
        inside = output.is_absolute() and output.is_relative_to(store.root)
        shown = store.layout.relative(output) if inside else output
        say(f"{count(n, 'held-out problem')} in {shown}.")
        click.echo(digest_bytes(data))


@trace.command(
    "list",
    examples=(
        "tunixrt trace list --limit 5",
        "tunixrt trace list --where 'n_steps > 3 and prompt contains \"km\"' --json",
    ),
)
@where_option
@click.option("-n", "--limit", type=click.IntRange(1), metavar="N", help="At most N traces.")
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Also those that were retracted, superseded or redacted.",
)
@store_options
def list_traces(
    store: Store, where: tuple[str, ...], limit: int | None, everything: bool, as_json: bool
) -> None:
    """List traces in the order of the log, as they are read from it.

    A conversation is listed with its first question, its last answer and the lines of its reasoning
    as steps; in the JSON it also has its `messages` and `tools`.
    """
    found = store.traces.select(where, everything=everything)
    rows = itertools.islice(found, limit)
    if as_json:
        stream_json(
            "traces", (trace_document(t.state, t.content if t.is_readable else None) for t in rows)
        )
        return
    cells = (
        (
            short(t.id),
            len(t.flat.steps) if t.is_readable else 0,
            _prompt_cell(t.content) if t.is_readable else "(redacted)",
            _one_line(t.flat.final_answer, 20) if t.is_readable else "",
            status_of(t.state),
        )
        for t in rows
    )
    stream_table(("trace", "steps", "prompt", "answer", "state"), cells)


@trace.command(examples=("tunixrt trace show 5d1f0c",))
@click.argument("trace_id", metavar="ID")
@store_options
def show(store: Store, trace_id: str, as_json: bool) -> None:
    """Show one trace, named by a unique prefix of its id (at least 6 hex digits).

    Of a conversation, every message is shown: reasoning, text and tool calls, each with its author.
    """
    found = store.traces[trace_id]
    state, content = found.state, found.content
    if as_json:
        emit_json(trace_document(state, content))
        return
    from tunixrt.traces.conversation import Conversation
    from tunixrt.traces.scores import baseline_score

    click.echo(f"trace {state.id} ({status_of(state)})")
    for key, value in content.meta.items():
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        click.echo(f"{one_line(key)}: {text}")
    click.echo(f"baseline score: {baseline_score(found.flat).score:.2f}\n")
    if isinstance(content, Conversation):
        _show_turns(content)
    else:
        click.echo(content.prompt + "\n")
        for number, step in enumerate(content.steps, start=1):
            click.echo(f"{number:3}. [{one_line(step.type)}] {step.content}")
        click.echo(f"\nAnswer: {content.final_answer}")


def _show_turns(conversation: Conversation) -> None:
    from tunixrt.traces.turns import parts_of

    tools = [one_line(str(tool["name"])) for tool in conversation.offered_tools]
    if tools:
        click.echo(f"{count(len(tools), 'tool')}: {', '.join(tools)}\n")
    for part in parts_of(conversation):
        click.echo(f"{part.number:3}. [{one_line(part.label)}] {part.text}")
    if isinstance(conversation.final_answer, str):
        click.echo(f"\nAnswer: {conversation.final_answer}")


@trace.command(examples=("tunixrt trace compare 5d1f0c 9ab34e",))
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@store_options
def compare(store: Store, a: str, b: str, as_json: bool) -> None:
    """Show two traces side by side: scores, and which steps differ.

    If one of them is a conversation, both are compared message by message.
    """
    from tunixrt.traces.side_by_side import Change, compare_traces

    found = compare_traces(store.traces[a].content, store.traces[b].content)
    if as_json:
        emit_json(msgspec.structs.asdict(found))
        return
    click.echo(f"a {found.a.id}  score {found.a.score.score:.2f}  answer {found.a.final_answer}")
    click.echo(f"b {found.b.id}  score {found.b.score.score:.2f}  answer {found.b.final_answer}")
    click.echo(
        f"b - a: {found.score_delta:+.2f}; the prompts are "
        f"{'the same' if found.same_prompt else 'different'}"
    )
    for step in found.turns or found.steps:
        if step.change is Change.SAME:
            click.echo(f"  {step.a_number:3}. {step.a_content}")
        else:
            if step.a_content is not None:
                click.echo(f"- {step.a_number:3}. {step.a_content}")
            if step.b_content is not None:
                click.echo(f"+ {step.b_number:3}. {step.b_content}")


def trace_document(state: TraceState, content: AnyTrace | None) -> dict[str, object]:
    """One trace for ``--json``: its content and its state.

    Traces of both schemas have ``trace_version``, ``prompt``, ``steps``, ``final_answer`` and
    ``meta``, a conversation those of its flat view, with ``messages`` and ``tools`` beside them.
    """
    document: dict[str, object] = {
        "id": state.id,
        "state": status_of(state),
        "recorded_at": state.recorded_at,
        "labels": state.labels,
        "scores": state.scores,
    }
    if content is None:
        return document
    from tunixrt.traces.conversation import Conversation
    from tunixrt.traces.views import flat_view

    if isinstance(content, Conversation):
        document["messages"] = msgspec.to_builtins(content.messages)
        document["tools"] = list(content.offered_tools)
    flat: dict[str, object] = msgspec.to_builtins(flat_view(content))
    return document | flat


def status_of(state: TraceState) -> str:
    """One word for the state of a trace."""
    if state.redacted:
        return "redacted"
    if state.retracted:
        return "retracted"
    return "superseded" if state.superseded_by is not None else "active"


def _prompt_cell(content: AnyTrace) -> str:
    from tunixrt.traces.conversation import Conversation
    from tunixrt.traces.views import flat_view

    prompt = _one_line(flat_view(content).prompt, 60)
    if isinstance(content, Conversation):
        return f"{prompt} ({count(len(content.messages), 'message')})"
    return prompt


def _one_line(text: str, width: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 3]}..."
