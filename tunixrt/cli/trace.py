"""`tunixrt trace`: import, generate, list, show, compare; the rest is in trace_facts."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Self

import click
import msgspec

from tunixrt.cli.base import NounGroup, store_options
from tunixrt.cli.options import source_date_epoch
from tunixrt.cli.output import count, emit_json, say, short, table
from tunixrt.cli.pairs import parse_pairs
from tunixrt.cli.progress import Progress
from tunixrt.cli.trace_facts import FACT_COMMANDS

if TYPE_CHECKING:
    from typing import BinaryIO

    from tunixrt.store import Store
    from tunixrt.traces.importers.table import Rejection
    from tunixrt.traces.importing import ImportReport
    from tunixrt.traces.schema import Trace
    from tunixrt.traces.state import TraceState


@click.group(cls=NounGroup)
def trace() -> None:
    """Reasoning traces: a prompt, numbered steps, a final answer, free metadata."""


for _command in FACT_COMMANDS:
    trace.add_command(_command)


@trace.command(
    "import",
    examples=(
        "tunixrt trace import traces.jsonl --from tunixrt",
        "tunixrt trace import train.jsonl --from gsm8k --strip-calculator",
        "tunixrt trace import runs/RUN/predictions.jsonl --from predictions",
    ),
)
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE..."
)
@click.option(
    "--from",
    "source_format",
    required=True,
    metavar="FORMAT",
    help="tunixrt, gsm8k, or predictions (of a run).",
)
@click.option("--source", metavar="NAME", help="Set meta.source of every trace.")
@click.option("--strip-calculator", is_flag=True, help="gsm8k: cut the <<48/2=24>> annotations.")
@click.option(
    "--on-error",
    type=click.Choice(["abort", "quarantine"]),
    default="abort",
    show_default=True,
    help="Reject the file for one bad record, or set bad records aside in FILE.rejects.jsonl.",
)
@click.option("--recorded-at", metavar="TIME", help="An RFC 3339 time to record with the traces.")
@store_options
def import_(
    store: Store,
    files: tuple[Path, ...],
    source_format: str,
    source: str | None,
    strip_calculator: bool,
    on_error: str,
    recorded_at: str | None,
    as_json: bool,
) -> None:
    """Record every trace of FILE, whole or not at all.

    Each file is one import: one bad record rejects it, and the message names line and field. A
    trace that is known already is counted as a duplicate and not recorded again.
    """
    reports: list[tuple[Path, ImportReport, Path | None]] = []
    for path in files:
        rejects = _Rejects(path.with_name(f"{path.name}.rejects.jsonl"))
        with Progress(f"importing {path.name}", "line") as progress, rejects:
            report = store.import_traces(
                path,
                source_format=source_format,
                source=source,
                strip_calculator=strip_calculator,
                on_error=on_error,
                recorded_at=recorded_at or source_date_epoch(),
                on_rejection=rejects.add if on_error == "quarantine" else None,
                on_progress=lambda n: progress.show(n, None),
            )
        reports.append((path, report, rejects.written))
        if not as_json:
            _say_imported(path, report, rejects.written)
    if as_json:
        emit_json(_import_document(reports))


class _Rejects:
    """The file of rejected records; it appears when the import is done, if there are any."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.written: Path | None = None
        self._partial = path.with_name(f"{path.name}.partial")
        self._file: BinaryIO | None = None

    def add(self, rejection: Rejection) -> None:
        if self._file is None:
            self._file = self._partial.open("wb")
        self._file.write(rejection.as_line())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._file is None:
            return
        self._file.close()
        if kind is None:
            self._partial.replace(self.path)
            self.written = self.path
        else:
            self._partial.unlink()


def _say_imported(path: Path, report: ImportReport, rejects: Path | None) -> None:
    say(
        f"{path}: {count(report.recorded, 'trace')} recorded, "
        f"{count(report.duplicates, 'duplicate')}, {report.rejected:,} rejected."
    )
    for reason, n in report.dropped.items():
        lines = [d.line for d in report.drops if str(d.reason) == reason]
        shown = ", ".join(str(line) for line in lines[:10]) + (", ..." if len(lines) > 10 else "")
        say(f"  dropped: {n:,} x {reason} (line {shown})")
    if rejects is not None:
        say(f"  the rejected records and the reasons are in {rejects}")
    if report.segment is not None:
        click.echo(report.segment)


def _import_document(reports: list[tuple[Path, ImportReport, Path | None]]) -> dict[str, object]:
    dropped: dict[str, int] = {}
    for _, report, _ in reports:
        for reason, n in report.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + n
    return {
        "recorded": sum(r.recorded for _, r, _ in reports),
        "duplicates": sum(r.duplicates for _, r, _ in reports),
        "rejected": sum(r.rejected for _, r, _ in reports),
        "dropped": sum(dropped.values()),
        "dropped_reasons": dropped,
        "files": [
            {
                "file": str(path),
                "recorded": r.recorded,
                "duplicates": r.duplicates,
                "rejected": r.rejected,
                "rejects_file": str(rejects) if rejects else None,
                "drops": [{"line": d.line, "reason": str(d.reason)} for d in r.drops],
                "segment": r.segment,
            }
            for path, r, rejects in reports
        ],
    }


@trace.command(
    examples=(
        "tunixrt trace generate arithmetic --kind addition --digits 3 -n 1000 --seed 0",
        "tunixrt trace generate arithmetic -n 200 --held-out -o evalsets/sums.jsonl",
    )
)
@click.argument("what", type=click.Choice(["arithmetic"]))
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(["addition", "subtraction", "multiplication"]),
    default=("addition",),
    show_default=True,
    help="The kind of problem; several take turns.",
)
@click.option(
    "--digits",
    "n_digits",
    type=click.IntRange(1, 9),
    default=3,
    show_default=True,
    help="Digits of each operand.",
)
@click.option("-n", "n", type=click.IntRange(1), required=True, help="How many problems.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Decides which problems."
)
@click.option(
    "--held-out",
    is_flag=True,
    help="Write an eval set of problems that no generated trace ever shows.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="With --held-out: the eval set to write.",
)
@store_options
def generate(
    store: Store,
    what: str,  # noqa: ARG001  (one kind of data so far; the name keeps the place for others)
    kinds: tuple[str, ...],
    n_digits: int,
    n: int,
    seed: int,
    held_out: bool,
    output: Path | None,
    as_json: bool,
) -> None:
    """Generate arithmetic problems with written-out steps: real data without any download.

    The problems depend on the seed alone. A problem belongs either to the training pool or to the
    held-out pool, by a digest of its text, so an eval set made with --held-out and traces made
    without it never share one, whatever the seeds.
    """
    if held_out != (output is not None):
        raise click.UsageError(
            "--held-out and -o FILE go together: held-out problems are an eval set."
        )
    if output is not None:
        _write_evalset(output, kinds, n_digits, n, seed, as_json=as_json)
        return
    report = store.generate_arithmetic(
        kinds=kinds, n_digits=n_digits, n=n, seed=seed, recorded_at=source_date_epoch()
    )
    if as_json:
        emit_json(
            {
                "recorded": report.recorded,
                "duplicates": report.duplicates,
                "segment": report.segment,
            }
        )
        return
    say(f"{count(report.recorded, 'trace')} recorded, {count(report.duplicates, 'duplicate')}.")
    if report.segment is not None:
        click.echo(report.segment)


def _write_evalset(
    output: Path, kinds: tuple[str, ...], n_digits: int, n: int, seed: int, *, as_json: bool
) -> None:
    from tunixrt.errors import BadInputError
    from tunixrt.log.digests import digest_bytes
    from tunixrt.store import held_out_evalset

    data = held_out_evalset(kinds=kinds, n_digits=n_digits, n=n, seed=seed)
    if output.exists() and output.read_bytes() != data:
        raise BadInputError(
            f"{output} exists with other content, and an eval set never changes once it is used. "
            "Choose another name."
        )
    output.write_bytes(data)
    if as_json:
        emit_json({"file": str(output), "n_samples": n, "digest": digest_bytes(data)})
    else:
        say(f"{count(n, 'held-out problem')} in {output}.")
        click.echo(digest_bytes(data))


@trace.command("list", examples=("tunixrt trace list --limit 5", "tunixrt trace list --json"))
@click.option(
    "--where",
    "where",
    multiple=True,
    metavar="KEY=VALUE",
    help="Only traces whose metadata has this value; may be repeated.",
)
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
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
    """List traces in the order of the log."""
    filters = parse_pairs(where, "--where")
    found = store.select_traces(filters, everything=everything)
    rows = list(itertools.islice(found, limit))
    if as_json:
        emit_json({"traces": [trace_document(state, content) for state, content in rows]})
        return
    cells = [
        (
            short(s.id),
            len(t.steps) if t else 0,
            _one_line(t.prompt, 60) if t else "(redacted)",
            _one_line(t.final_answer, 20) if t else "",
            status_of(s),
        )
        for s, t in rows
    ]
    click.echo(table(("trace", "steps", "prompt", "answer", "state"), cells))


@trace.command(examples=("tunixrt trace show 5d1f0c",))
@click.argument("trace_id", metavar="ID")
@store_options
def show(store: Store, trace_id: str, as_json: bool) -> None:
    """Show one trace, named by a unique prefix of its id (at least 6 hex digits)."""
    state = store.find_trace(trace_id)
    content = store.read_trace(state)
    if as_json:
        emit_json(trace_document(state, content))
        return
    from tunixrt.traces.scores import baseline_score

    click.echo(f"trace {state.id} ({status_of(state)})")
    for key, value in content.meta.items():
        click.echo(
            f"{key}: {value if isinstance(value, str) else msgspec.json.encode(value).decode()}"
        )
    click.echo(f"baseline score: {baseline_score(content).score:.2f}\n")
    click.echo(content.prompt + "\n")
    for number, step in enumerate(content.steps, start=1):
        click.echo(f"{number:3}. [{step.type}] {step.content}")
    click.echo(f"\nAnswer: {content.final_answer}")


@trace.command(examples=("tunixrt trace compare 5d1f0c 9ab34e",))
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@store_options
def compare(store: Store, a: str, b: str, as_json: bool) -> None:
    """Show two traces side by side: scores, and which steps differ."""
    from tunixrt.traces.side_by_side import Change, compare_traces

    found = compare_traces(
        store.read_trace(store.find_trace(a)), store.read_trace(store.find_trace(b))
    )
    if as_json:
        emit_json(msgspec.structs.asdict(found))
        return
    click.echo(f"a {found.a.id}  score {found.a.score.score:.2f}  answer {found.a.final_answer}")
    click.echo(f"b {found.b.id}  score {found.b.score.score:.2f}  answer {found.b.final_answer}")
    click.echo(
        f"b - a: {found.score_delta:+.2f}; the prompts are "
        f"{'the same' if found.same_prompt else 'different'}"
    )
    for step in found.steps:
        if step.change is Change.SAME:
            click.echo(f"  {step.a_number:3}. {step.a_content}")
        else:
            if step.a_content is not None:
                click.echo(f"- {step.a_number:3}. {step.a_content}")
            if step.b_content is not None:
                click.echo(f"+ {step.b_number:3}. {step.b_content}")


def trace_document(state: TraceState, content: Trace | None) -> dict[str, object]:
    """One trace for ``--json``: its content and its state."""
    document: dict[str, object] = {
        "id": state.id,
        "state": status_of(state),
        "recorded_at": state.recorded_at,
        "labels": state.labels,
        "scores": state.scores,
    }
    return document | (msgspec.to_builtins(content) if content is not None else {})


def status_of(state: TraceState) -> str:
    """One word for the state of a trace."""
    if state.redacted:
        return "redacted"
    if state.retracted:
        return "retracted"
    return "superseded" if state.superseded_by is not None else "active"


def _one_line(text: str, width: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 3]}..."
