"""`tunixrt evalset`: list, show and check eval sets."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from tunixrt.cli.base import NounGroup, json_option, store_options
from tunixrt.cli.output import count, emit_json, say, short, table
from tunixrt.errors import BadInputError, ExitCode

if TYPE_CHECKING:
    from tunixrt.eval.evalsets import EvalSample
    from tunixrt.store import Store

_SHOWN = 60
_SHARES = (5, 10, 20, 30, 50)


@click.group(cls=NounGroup)
def evalset() -> None:
    """Eval sets: questions with expected answers, in evalsets/NAME.jsonl."""


@evalset.command("list", examples=("tunixrt evalset list",))
@store_options
def list_evalsets(store: Store, as_json: bool) -> None:
    """List the eval sets, and how many runs have used each."""
    found = store.evalsets()
    used = Counter(row.evalset for row in store.leaderboard(kind="evaluation"))
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
        emit_json({"evalsets": documents})
        return
    if not found:
        say(f"Put one at {store.layout.evalsets / 'NAME.jsonl'}, one sample a line.")
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
    examples=(
        "tunixrt evalset show arithmetic_v1",
        "tunixrt evalset show arithmetic_v1 --category addition --limit 5",
    )
)
@click.argument("name")
@click.option("--category", metavar="NAME", help="Only the samples of this category.")
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
@store_options
def show(store: Store, name: str, category: str | None, limit: int | None, as_json: bool) -> None:
    """Show the samples of an eval set, in its order."""
    found = store.evalset(name)
    samples = _of_category(found.samples, category)[:limit]
    if as_json:
        emit_json({"name": found.name, "digest": found.digest, "samples": samples})
        return
    rows = [
        (s.id, s.category, s.difficulty, _one_line(s.prompt), _one_line(s.expected_answer))
        for s in samples
    ]
    click.echo(table(("id", "category", "difficulty", "prompt", "expected"), rows))


@evalset.command(
    examples=(
        "tunixrt evalset check arithmetic_v1",
        "tunixrt evalset check arithmetic_v1 --dataset gsm-v1 --split train",
    )
)
@click.argument("name")
@click.option("--dataset", metavar="KEY", help="Hold the eval set against this dataset.")
@click.option("--split", metavar="SPLIT", help="Only train, validation or test of it.")
@store_options
def check(store: Store, name: str, dataset: str | None, split: str | None, as_json: bool) -> int:
    """Check every line of an eval set; with --dataset find samples that are in the data.

    A sample is in the data if a prompt of the dataset is the same word for word; or the same but
    for letter case, spaces and punctuation; or if at least 70% of the sample's 8-grams of words
    stand in the prompts. The exit code is then 1.
    """
    if dataset is None:
        if split is not None:
            raise click.UsageError("--split goes with --dataset.")
        found = store.evalset(name)
        if as_json:
            emit_json({"name": name, "digest": found.digest, "n_samples": len(found.samples)})
        else:
            say(f"{found.name}: {count(len(found.samples), 'sample')}, every line is sound.")
            click.echo(found.digest)
        return ExitCode.DONE
    result = store.check_evalset(name, dataset, split=split)
    counts = result.contamination
    if as_json:
        emit_json({"contamination": counts, "overlaps": result.overlaps})
    else:
        rows = [(o.example_id, o.kind, f"{o.share:.0%}", short(o.trace)) for o in result.overlaps]
        if rows:
            click.echo(table(("sample", "kind", "share", "trace"), rows))
        redacted = f" ({count(counts.n_redacted, 'redacted prompt')} not compared)"
        click.echo(
            f"{counts.n_contaminated:,} of {count(counts.n_samples, 'sample')} are in "
            f"{', '.join(counts.datasets)}: {counts.n_exact:,} exact, {counts.n_normalised:,} "
            f"normalised, {counts.n_overlap:,} by overlap; {count(counts.n_prompts, 'prompt')} "
            f"compared{redacted if counts.n_redacted else ''}."
        )
    return ExitCode.ANSWER_IS_NO if counts.n_contaminated else ExitCode.DONE


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
    help="The difference of two runs that is to be seen.",
)
@click.option(
    "--changed",
    type=click.FloatRange(0, 100, min_open=True),
    metavar="POINTS",
    help="How many of 100 samples turn right or wrong between the two; by default, several.",
)
@click.option(
    "--power",
    type=float,
    default=0.8,
    show_default=True,
    help="The probability to see it: 0.8, 0.9 or 0.95.",
)
@json_option
def size(difference: float, changed: float | None, power: float, as_json: bool) -> None:
    """Say how many samples an eval set needs to see a difference between two runs.

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
    kept = [s for s in samples if category is None or s.category == category]
    if not kept:
        known = ", ".join(sorted({s.category for s in samples}))
        raise BadInputError(f"No sample has the category {category!r}; the categories are {known}.")
    return kept


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 3]}..."
