"""`tunixrt evalset`: list, import, show and check eval sets."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from tunixrt.cli.base import NounGroup, json_option, store_options
from tunixrt.cli.completing import datasets, evalsets, models
from tunixrt.cli.evalset_generate import generate
from tunixrt.cli.options import goes_with
from tunixrt.cli.output import count, emit_json, say, short, table
from tunixrt.cli.rejects import RejectsFiles
from tunixrt.cli.sources import text_sources
from tunixrt.cli.suggestions import Choice
from tunixrt.errors import BadInputError, ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt.eval.evalset_import import EvalsetImport
    from tunixrt.eval.evalsets import EvalSample, EvalSet
    from tunixrt.jobs.contamination import CheckedEvalset
    from tunixrt.jobs.overlong import PromptLengths
    from tunixrt.store import Store

_SHOWN = 60
_LISTED = 10
_SHARES = (5, 10, 20, 30, 50)


@click.group(cls=NounGroup)
def evalset() -> None:
    """Eval sets: questions with expected answers, in evalsets/NAME.jsonl."""


evalset.add_command(generate)


@evalset.command("list", examples=("tunixrt evalset list",))
@store_options
def list_evalsets(store: Store, as_json: bool) -> None:
    """List the eval sets, and how many runs have used each."""
    from tunixrt.eval.evalsets import misnamed_evalsets

    found = list(store.evalsets)
    misnamed = misnamed_evalsets(store.layout.evalsets)
    used = Counter(row.evalset for row in store.runs.leaderboard(kind="evaluation"))
    if as_json:
        documents = [
            {
                "name": e.name,
                "digest": e.digest,
                "n_samples": len(e.samples),
                "categories": dict(sorted(Counter(s.category for s in e.samples).items())),
                "n_runs": used[e.name],
            }
            for e in found
        ]
        wrong = [{"file": str(m.path), "problem": m.problem} for m in misnamed]
        emit_json({"evalsets": documents, "misnamed": wrong})
        return
    for one in misnamed:
        say(f"{one.path} is not listed: {one.problem} Rename the file.")
    if not found:
        say(f"Put one at {store.layout.evalsets / 'NAME.jsonl'}, one sample per line.")
    rows = [
        (
            e.name,
            f"{len(e.samples):,}",
            len({s.category for s in e.samples}),
            used[e.name],
            short(e.digest),
        )
        for e in found
    ]
    click.echo(table(("eval set", "samples", "categories", "runs", "digest"), rows))


@evalset.command(
    "import",
    examples=(
        "tunixrt evalset import test.jsonl --from gsm8k --name gsm8k_test",
        "tunixrt evalset import traces.jsonl --from tunixrt --name mine --category sums",
        "gzip -dc test.jsonl.gz | tunixrt evalset import - --from gsm8k --name gsm8k_test",
    ),
)
@click.argument("file", metavar="FILE|-")
@click.option(
    "--from",
    "source_format",
    required=True,
    metavar="FORMAT",
    help="gsm8k, tunixrt, trace (what `dataset export --format trace` wrote), or evalset.",
)
@click.option("--name", required=True, metavar="NAME", help="Of the eval set: evalsets/NAME.jsonl.")
@click.option(
    "--category",
    default="unspecified",
    show_default=True,
    metavar="TEXT",
    help="Of samples whose record has none.",
)
@click.option(
    "--difficulty",
    default="unspecified",
    show_default=True,
    metavar="TEXT",
    help="Of samples whose record has none.",
)
@click.option(
    "--on-error",
    type=Choice(["abort", "quarantine"]),
    default="abort",
    show_default=True,
    help="Reject the file for one bad record, or set bad records aside in FILE.rejects.jsonl.",
)
@store_options
def import_(
    store: Store,
    file: str,
    source_format: str,
    name: str,
    category: str,
    difficulty: str,
    on_error: str,
    as_json: bool,
) -> None:
    """Make an eval set of a file of records, whole or not at all.

    A sample's id is made from its question, so it does not depend on the other lines. Other columns
    become metadata of the sample, which a judge can read. A record that asks and expects what an
    earlier one does is counted as a duplicate; an eval set that exists with other samples is never
    overwritten. A FILE of - is standard input.
    """
    (source,) = text_sources((file,))
    with RejectsFiles() as rejects:
        done = store.evalsets.import_(
            source,
            name,
            source_format=source_format,
            category=category,
            difficulty=difficulty,
            on_rejection=rejects.add if on_error == "quarantine" else None,
        )
    report_import(done, as_json, rejects.of(str(source)))


def report_import(done: EvalsetImport, as_json: bool, rejects_file: Path | None = None) -> None:
    """Print what became an eval set, what was left out, and the digest."""
    if as_json:
        emit_json(
            {
                "name": done.name,
                "file": str(done.path),
                "digest": done.digest,
                "n_samples": done.n_samples,
                "n_without_answer": done.n_without_answer,
                "duplicates": len(done.duplicates),
                "rejected": done.rejected,
                "dropped": sum(done.dropped.values()),
                "dropped_reasons": done.dropped,
                "drops": [{"line": d.line, "reason": d.reason} for d in done.duplicates],
                "rejects_file": None if rejects_file is None else str(rejects_file),
                "created": done.created,
            }
        )
        return
    exists = "" if done.created else " (it existed already)"
    say(
        f"{done.name}: {count(done.n_samples, 'sample')}, "
        f"{count(len(done.duplicates), 'duplicate')}, {done.rejected:,} rejected{exists}."
    )
    for one in done.duplicates[:_LISTED]:
        say(f"  left out: line {one.line} {one.reason}")
    if len(done.duplicates) > _LISTED:
        say(f"  ... and {len(done.duplicates) - _LISTED:,} more; --json lists all of them")
    for reason, n in done.dropped.items():
        say(f"  dropped: {n:,} x {reason}")
    if done.n_without_answer:
        say(
            f"  {count(done.n_without_answer, 'sample')} without an expected answer: a judge that "
            "is a program can judge the responses, `exact` and the like cannot"
        )
    if rejects_file is not None:
        say(f"  the rejected records and the reasons are in {rejects_file}")
    click.echo(done.digest)


@evalset.command(
    examples=(
        "tunixrt evalset show arithmetic_v1",
        "tunixrt evalset show arithmetic_v1 --category addition --limit 5",
    )
)
@click.argument("name", shell_complete=evalsets)
@click.option("--category", metavar="NAME", help="Only the samples of this category.")
@click.option("-n", "--limit", type=click.IntRange(1), metavar="N", help="At most N samples.")
@store_options
def show(store: Store, name: str, category: str | None, limit: int | None, as_json: bool) -> None:
    """Show the samples of an eval set, in its order."""
    from tunixrt.log.canonical import encode

    found = store.evalsets[name]
    samples = _of_category(found.samples, category)[:limit]
    if as_json:
        emit_json({"name": found.name, "digest": found.digest, "samples": samples})
        return
    head = ["id", "category", "difficulty", "prompt", "expected"]
    rows = [
        [s.id, s.category, s.difficulty, _one_line(s.prompt), _one_line(s.expected_answer or "")]
        for s in samples
    ]
    if any(s.metadata for s in samples):
        head.append("metadata")
        for row, sample in zip(rows, samples, strict=True):
            row.append(_one_line(encode(sample.metadata).decode()))
    click.echo(table(head, rows))


@evalset.command(
    examples=(
        "tunixrt evalset check arithmetic_v1",
        "tunixrt evalset check arithmetic_v1 --dataset gsm-v1 --split train",
        "tunixrt evalset check arithmetic_v1 --model untrained:nano",
    )
)
@click.argument("name", shell_complete=evalsets)
@click.option(
    "--dataset",
    metavar="KEY",
    help="Check the samples against the prompts of this dataset.",
    shell_complete=datasets,
)
@click.option("--split", metavar="SPLIT", help="Only train, validation or test of it.")
@click.option(
    "--model",
    metavar="RUN|DIR|untrained:CONFIG",
    help="Find prompts that leave this model no room for an answer.",
    shell_complete=models,
)
@store_options
def check(
    store: Store,
    name: str,
    dataset: str | None,
    split: str | None,
    model: str | None,
    as_json: bool,
) -> int:
    """Check every line of an eval set, and its samples against a dataset and a model.

    A sample is in the data if a prompt of the dataset is the same word for word; or the same but
    for letter case, spaces and punctuation; or if at least 70% of the sample's 8-grams of words
    occur in the prompts. A prompt is overlong for a model if its tokens fill the model's context,
    which `tunixrt eval` refuses. The exit code is 1 where either is found.
    """
    goes_with("split", "--dataset", holds=dataset is not None)
    found = store.evalsets[name]
    lengths = None if model is None else store.evalsets.check_prompts(name, model)
    checked = None if dataset is None else store.evalsets.check(name, dataset, split=split)
    if as_json:
        documents: dict[str, object] = {}
        if checked is not None:
            documents |= {"contamination": checked.contamination, "overlaps": checked.overlaps}
        if lengths is not None:
            documents["prompts"] = lengths
        n_samples = len(found.samples)
        emit_json({"name": found.name, "digest": found.digest, "n_samples": n_samples} | documents)
    else:
        _print_checks(found, lengths, checked)
    n_overlong = 0 if lengths is None else len(lengths.overlong)
    n_contaminated = 0 if checked is None else checked.contamination.n_contaminated
    return ExitCode.ANSWER_IS_NO if n_overlong or n_contaminated else ExitCode.DONE


def _print_checks(
    found: EvalSet, lengths: PromptLengths | None, checked: CheckedEvalset | None
) -> None:
    if lengths is None and checked is None:
        say(f"{found.name}: {count(len(found.samples), 'sample')}, every line is valid.")
        click.echo(found.digest)
    if lengths is not None:
        _print_lengths(lengths)
    if checked is not None:
        _print_overlaps(checked)


def _print_lengths(lengths: PromptLengths) -> None:
    if lengths.overlong:
        rows = [(sample, f"{n_tokens:,}") for sample, n_tokens in lengths.overlong.items()]
        click.echo(table(("sample", "tokens"), rows))
    longest = f"; the longest of the others has {lengths.longest:,}" if lengths.longest else ""
    click.echo(
        f"{len(lengths.overlong):,} of {count(lengths.n_samples, 'prompt')} leave no room for an "
        f"answer in a context of {lengths.max_length:,} tokens{longest}."
    )


def _print_overlaps(checked: CheckedEvalset) -> None:
    counts = checked.contamination
    rows = [(o.example_id, o.kind, f"{o.share:.0%}", short(o.trace)) for o in checked.overlaps]
    if rows:
        click.echo(table(("sample", "kind", "share", "trace"), rows))
    redacted = f" ({count(counts.n_redacted, 'redacted prompt')} not compared)"
    click.echo(
        f"{counts.n_contaminated:,} of {count(counts.n_samples, 'sample')} are in "
        f"{', '.join(counts.datasets)}: {counts.n_exact:,} exact, {counts.n_normalised:,} "
        f"normalised, {counts.n_overlap:,} by overlap; {count(counts.n_prompts, 'prompt')} "
        f"compared{redacted if counts.n_redacted else ''}."
    )


@evalset.command(
    examples=(
        "tunixrt evalset size --difference 3",
        "tunixrt evalset size --difference 3 --changed 12 --power 0.9",
    )
)
@click.option(
    "--difference",
    required=True,
    type=click.FloatRange(0, 100, min_open=True),
    metavar="POINTS",
    help="The difference between two runs that must be detected.",
)
@click.option(
    "--changed",
    type=click.FloatRange(0, 100, min_open=True),
    metavar="POINTS",
    help="How many of 100 samples turn right or wrong between the two; by default, a table.",
)
@click.option(
    "--power",
    type=float,
    default=0.8,
    show_default=True,
    help="The probability of detecting it: 0.8, 0.9 or 0.95.",
)
@json_option
def size(difference: float, changed: float | None, power: float, as_json: bool) -> None:
    """Compute how many samples an eval set needs to detect a difference between two runs.

    For McNemar's test at 95% (Connor 1987). The more samples change in either direction for the
    same difference, the more are needed; `tunixrt run compare` shows how many change.
    """
    from tunixrt.eval.compare.statistics import required_pairs

    if changed is not None and changed < difference:
        raise BadInputError(
            f"For a difference of {difference:g} points at least as many of 100 samples have to "
            f"change, found --changed {changed:g}."
        )
    shares = [changed] if changed else [difference, *(s for s in _SHARES if s > difference)]
    needed = {
        share: required_pairs((share + difference) / 200, (share - difference) / 200, power=power)
        for share in shares
    }
    if as_json:
        rows = [{"changed": share, "n_samples": n} for share, n in needed.items()]
        emit_json({"difference": difference, "power": power, "sizes": rows})
        return
    click.echo(
        table(("of 100 change", "samples"), [(f"{s:g}", f"{n:,}") for s, n in needed.items()])
    )


def _of_category(samples: tuple[EvalSample, ...], category: str | None) -> list[EvalSample]:
    from tunixrt.eval.compare.pairs import UnknownCategoryError

    kept = [s for s in samples if category is None or s.category == category]
    if not kept:
        raise UnknownCategoryError(category or "", sorted({s.category for s in samples}))
    return kept


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 3]}..."
