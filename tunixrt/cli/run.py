"""`tunixrt run`: list, show and compare runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from tunixrt.cli.base import NounGroup, store_options
from tunixrt.cli.output import emit_json, short, table
from tunixrt.errors import ExitCode
from tunixrt.runs.manifests import EvaluationManifest, Manifest, TrainingManifest

if TYPE_CHECKING:
    from tunixrt.store import Store


@click.group(cls=NounGroup)
def run() -> None:
    """Training and evaluation runs."""


@run.command("list", examples=("tunixrt run list", "tunixrt run list --kind evaluation"))
@click.option(
    "--kind", type=click.Choice(["training", "evaluation"]), help="Only runs of this kind."
)
@store_options
def list_runs(store: Store, kind: str | None, as_json: bool) -> None:
    """List the runs, with what they were made from and what came out."""
    documents = [_document(m) for m in store.runs()]
    chosen = [d for d in documents if kind is None or d["kind"] == kind]
    if as_json:
        emit_json({"runs": chosen})
        return
    rows = [(short(str(d["run_id"])), d["kind"], d["what"], d["result"]) for d in chosen]
    click.echo(table(("run", "kind", "of", "result"), rows))


@run.command(examples=("tunixrt run show 5d1f0c",))
@click.argument("run_id", metavar="RUN")
@store_options
def show(store: Store, run_id: str, as_json: bool) -> None:
    """Show one run: its manifest, and the machines it was executed on."""
    from tunixrt.runs.directories import read_environments

    manifest = store.run(run_id)
    environments = read_environments(store.layout, manifest.run_id)
    if as_json:
        emit_json({"manifest": manifest, "environments": environments, **_document(manifest)})
        return
    document = _document(manifest)
    click.echo(f"run {manifest.run_id}")
    click.echo(f"{document['kind']} of {document['what']}: {document['result']}")
    click.echo(f"weights {manifest.weights}")
    click.echo(msgspec.json.format(msgspec.json.encode(manifest), indent=2).decode())
    for environment in environments:
        click.echo(
            f"executed at {environment['started_at']} in {environment['duration_s']} s "
            f"(tunixrt {environment['tunixrt']}, Python {environment['python']})"
        )


@run.command(
    examples=(
        "tunixrt run compare 5d1f0c 9ab34e",
        "tunixrt run compare 5d1f0c 9ab34e --fail-below 2",
    )
)
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option(
    "--fail-below",
    type=click.FloatRange(min=0),
    metavar="DELTA",
    help="Exit 1 when B is worse than A by more than DELTA points, the interval included.",
)
@click.option(
    "--allow-differences",
    is_flag=True,
    help="Compare although eval set, judge, template or token limit differ.",
)
@store_options
def compare(
    store: Store,
    a: str,
    b: str,
    fail_below: float | None,
    allow_differences: bool,
    as_json: bool,
) -> int:
    """Compare evaluation B with evaluation A on the same samples.

    The interval is that of the paired difference at 95%, the p-value McNemar's (mid-p). With
    --fail-below the whole interval has to lie below -DELTA for the answer to be no.
    """
    found = store.compare_runs(a, b, allow_differences=allow_differences)
    low, high = found.interval
    failed = fail_below is not None and high < -fail_below
    if as_json:
        emit_json(msgspec.structs.asdict(found) | {"failed": failed})
    else:
        rows = [
            (name, c.n_pairs, f"{c.a:.1f}", f"{c.b:.1f}", f"{c.delta:+.1f}", c.n_fixed, c.n_broken)
            for name, c in found.categories.items()
        ]
        click.echo(table(("category", "pairs", "a", "b", "b - a", "fixed", "broken"), rows))
        click.echo(
            f"{found.verdict}: {found.a:.1f} to {found.b:.1f}, {found.delta:+.1f} points "
            f"({low:+.1f} to {high:+.1f}), p = {found.p_value:.3g}"
        )
        if failed:
            click.echo(f"worse than allowed: the whole interval lies below -{fail_below:g} points")
    return ExitCode.ANSWER_IS_NO if failed else ExitCode.DONE


def _document(manifest: Manifest) -> dict[str, object]:
    match manifest:
        case TrainingManifest():
            results = manifest.results
            return {
                "run_id": manifest.run_id,
                "kind": "training",
                "what": f"{manifest.config['model']['name']} on {manifest.dataset.key}",  # type: ignore[index]
                "result": f"loss {results.first_loss:.4f} to {results.last_loss:.4f}",
                "weights_sha256": manifest.weights,
                "metrics": results,
            }
        case EvaluationManifest():
            of = (
                short(manifest.model.run_id)
                if manifest.model.run_id
                else (
                    "untrained"
                    if manifest.model.untrained
                    else f"weights {short(manifest.weights)}"
                )
            )
            return {
                "run_id": manifest.run_id,
                "kind": "evaluation",
                "what": f"{of} on {manifest.evalset.name}",
                "result": f"score {manifest.results.avg_score:.1f}",
                "weights_sha256": manifest.weights,
                "metrics": manifest.results,
            }
