"""`tunixrt dataset`: build, list, show; its other commands have modules of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from tunixrt.cli.base import NounGroup, store_options
from tunixrt.cli.completing import datasets
from tunixrt.cli.dataset_check import check
from tunixrt.cli.dataset_diff import diff
from tunixrt.cli.dataset_export import card, export
from tunixrt.cli.dataset_release import deprecate, release, release_document, warn_if_deprecated
from tunixrt.cli.dataset_tokens import tokens
from tunixrt.cli.options import built_at_option, goes_with, lock_timeout_option, where_option
from tunixrt.cli.output import count, emit_json, say, short, table
from tunixrt.cli.pairs import parse_pairs

if TYPE_CHECKING:
    from tunixrt.log.lock import Waiting
    from tunixrt.runs.dataset_lineage import DatasetRef
    from tunixrt.store import Store


@click.group(cls=NounGroup)
def dataset() -> None:
    """Versioned selections of traces, and the texts derived from them."""


for _command in (card, check, deprecate, diff, export, release, tokens):
    dataset.add_command(_command)


@dataset.command(
    examples=(
        "tunixrt dataset build gsm v1 --where source=gsm8k --split test=0.1",
        "tunixrt dataset build gsm v2 --strategy random --limit 1000 --seed 7",
        'tunixrt dataset build short v1 --where \'n_steps < 20 and meta.source in ("a", "b")\'',
        "tunixrt dataset build long v1 --sql 'SELECT id FROM traces WHERE n_steps > 9'",
        "tunixrt dataset build gsm v3 --split test=0.1 --group-by meta.problem",
    )
)
@click.argument("name")
@click.argument("version")
@where_option
@click.option(
    "--sql",
    metavar="QUERY",
    help="Only traces whose id this query over the views traces, labels and scores returns "
    "(DuckDB; extra `sql`).",
)
@click.option("-n", "--limit", type=int, metavar="N", help="At most N traces.")
@click.option(
    "--strategy",
    default="latest",
    show_default=True,
    metavar="latest|random",
    help="Which traces a limit keeps.",
)
@click.option("--seed", type=int, metavar="N", help="Decides a random selection and the splits.")
@click.option(
    "--split",
    "splits",
    multiple=True,
    metavar="NAME=FRACTION",
    help="A share of the prompts for test or validation; the rest is train.",
)
@click.option(
    "--group-by",
    metavar="FIELD",
    help="All traces with one value of this field share a split; one without it, its prompt's.",
)
@click.option(
    "--stratify",
    metavar="FIELD",
    help="Count the splits of every value of this field, and report a value that lacks one.",
)
@click.option(
    "--dedupe",
    metavar="RULE",
    help="Leave out traces that repeat an earlier one: by equal prompts (prompt), by equal words "
    "(normalised), or by most of their words (near:0.8).",
)
@built_at_option
@click.option("--parent", metavar="KEY", help="The dataset that this one follows.")
@lock_timeout_option
@store_options
def build(
    store: Store,
    name: str,
    version: str,
    where: tuple[str, ...],
    sql: str | None,
    limit: int | None,
    strategy: str,
    seed: int | None,
    splits: tuple[str, ...],
    group_by: str | None,
    stratify: str | None,
    dedupe: str | None,
    built_at: str | None,
    parent: str | None,
    waiting: Waiting,
    as_json: bool,
) -> None:
    """Select traces into the dataset NAME-VERSION, and snapshot the log it was selected from.

    The digest depends on the recipe and the members alone. Building the same again changes
    nothing; another selection under the same key is an error. docs/selection.md explains the
    expressions of --where, and why no trace ever moves from train to test.
    """
    for name_of_option in ("group_by", "stratify"):
        goes_with(name_of_option, "--split", holds=bool(splits))
    goes_with("seed", "--strategy random or --split", holds=strategy == "random" or bool(splits))
    report = store.datasets.build(
        name,
        version,
        where=where,
        sql=sql,
        limit=limit,
        strategy=strategy,
        seed=seed,
        splits=parse_pairs(splits, "--split"),
        group_by=group_by,
        stratify=stratify,
        dedupe=dedupe,
        built_at=built_at,
        parent=parent,
        waiting=waiting,
    )
    if parent is not None:
        warn_if_deprecated(store, parent)
    if as_json:
        emit_json(
            {
                "dataset_key": report.dataset_key,
                "digest": report.digest,
                "trace_count": report.trace_count,
                "split_counts": report.split_counts,
                "created": report.created,
                "snapshot": report.dataset.manifest.snapshot,
                "strata": report.dataset.manifest.strata,
                "n_duplicates": report.dataset.manifest.n_duplicates,
            }
        )
        return
    from tunixrt.datasets.files import uneven_strata

    for sentence in uneven_strata(report.dataset.manifest):
        say(f"warning: {sentence}")
    counts = ", ".join(f"{n:,} {split}" for split, n in report.split_counts.items())
    exists = "" if report.created else " (it existed already)"
    say(f"{report.dataset_key}: {count(report.trace_count, 'trace')} ({counts}){exists}.")
    n_duplicates = report.dataset.manifest.n_duplicates
    if n_duplicates is not None:
        say(f"{count(n_duplicates, 'trace')} left out as repeating an earlier one.")
    click.echo(report.digest)


@dataset.command("list", examples=("tunixrt dataset list",))
@store_options
def list_(store: Store, as_json: bool) -> None:
    """List the datasets, and which of them are released or deprecated."""
    found = list(store.datasets)
    releases = store.datasets.releases()
    if as_json:
        documents = [
            msgspec.to_builtins(d.manifest) | release_document(releases, d.digest) for d in found
        ]
        emit_json({"datasets": documents})
        return
    rows = [
        (
            d.key,
            f"{d.manifest.trace_count:,}",
            _splits(d.manifest.split_counts),
            short(d.digest),
            release_document(releases, d.digest)["state"] or "",
        )
        for d in found
    ]
    click.echo(table(("dataset", "traces", "splits", "digest", "state"), rows))


@dataset.command(examples=("tunixrt dataset show arithmetic-v1",))
@click.argument("key", shell_complete=datasets)
@store_options
def show(store: Store, key: str, as_json: bool) -> None:
    """Show the manifest of a dataset, its state, and what came from it.

    Its children are the datasets here that name it as their parent; its runs were trained on it.
    """
    found = store.datasets[key]
    lineage = store.datasets.lineage(key)
    state = release_document(store.datasets.releases(), found.digest)
    if as_json:
        document = {"manifest": found.manifest, "path": store.layout.relative(found.path)}
        emit_json(document | state | msgspec.structs.asdict(lineage))
        return
    related = {
        "parents": [_related(parent) for parent in lineage.parents],
        "children": [child.dataset_key for child in lineage.children],
        "runs": [" ".join([short(run.run_id), *run.names]) for run in lineage.runs],
    }
    plain = msgspec.to_builtins(found.manifest)
    plain |= {name: text for name, text in state.items() if text is not None}
    plain |= {name: ", ".join(texts) for name, texts in related.items() if texts}
    width = max(len(name) for name in plain)
    for name, value in plain.items():
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        click.echo(f"{name:<{width}}  {text}")


def _related(dataset: DatasetRef) -> str:
    return dataset.dataset_key if dataset.is_here else f"{dataset.dataset_key} (not here)"


def _splits(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in counts.items())
