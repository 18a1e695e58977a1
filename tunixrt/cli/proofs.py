"""`tunixrt snapshot diff|prove|check-proof`: what a snapshot holds, and proofs of it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import click
import msgspec

from tunixrt.cli.base import ExampleCommand, json_option, store_options
from tunixrt.cli.options import output_option
from tunixrt.cli.output import count, emit_json, names_stdout, say, short, writing_to
from tunixrt.cli.sources import text_sources

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt.log.snapshot_diff import OneSided
    from tunixrt.store import Store

command = functools.partial(click.command, cls=ExampleCommand)


@command(examples=("tunixrt snapshot diff 5d1f0c 9ab34e",))
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@store_options
def diff(store: Store, a: str, b: str, as_json: bool) -> None:
    """List what snapshot B holds and A does not, and the reverse.

    Of two snapshots of one history the later contains the earlier: nothing was taken away.
    """
    found = store.snapshots.diff(a, b)
    if as_json:
        emit_json(msgspec.structs.asdict(found))
        return
    sentences = {
        "same": "A and B hold the same segments.",
        "contained": "B contains A.",
        "contains": "A contains B.",
        "apart": "Neither contains the other: they come from branches that were not merged.",
    }
    click.echo(f"A {found.a}\nB {found.b}")
    click.echo(f"{sentences[found.relation]} {count(found.n_common, 'segment')} in common.")
    _echo_one_sided("only in A", "-", found.only_a)
    _echo_one_sided("only in B", "+", found.only_b)


def _echo_one_sided(title: str, mark: str, found: OneSided) -> None:
    if not found.segments:
        return
    events = ", ".join(f"{n:,} {name}" for name, n in found.events.items())
    click.echo(f"{title}: {count(len(found.segments), 'segment')} ({events})")
    for segment in found.segments:
        click.echo(f"{mark} {segment}")


@command(
    examples=(
        "tunixrt snapshot prove 5d1f0c --snapshot 9ab34e -o proof.json",
        "tunixrt snapshot prove 5d1f0c --dataset arithmetic-v1",
        "tunixrt snapshot prove --contains 77aa01 --snapshot 9ab34e",
    )
)
@click.argument("trace_id", required=False, metavar="[TRACE]")
@click.option(
    "--snapshot",
    "snapshot_prefix",
    metavar="DIGEST",
    help="The snapshot that holds it; without it, one of the log as it is now is saved and used.",
)
@click.option("--dataset", metavar="KEY", help="Prove that this dataset lists the trace.")
@click.option("--contains", metavar="DIGEST", help="Prove that the snapshot contains another.")
@output_option("Write into FILE instead of stdout.")
@store_options
def prove(
    store: Store,
    trace_id: str | None,
    snapshot_prefix: str | None,
    dataset: str | None,
    contains: str | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Prove that a snapshot or a dataset holds a trace, or that a snapshot contains another.

    The proof (RFC 9162) is one line of JSON, holds no text of any trace, and stays valid when the
    trace is redacted. Checking it needs no store: see `snapshot check-proof`.
    """
    from tunixrt.log.canonical import encode

    if (trace_id is None) == (contains is None) or (dataset and (snapshot_prefix or contains)):
        raise click.UsageError(
            "Give a TRACE with --snapshot or --dataset, or --contains with --snapshot."
        )
    proof: object
    if contains is not None:
        proof = store.snapshots.prove_containing(contains, snapshot_prefix)
    elif dataset is not None:
        proof = store.datasets.prove(str(trace_id), dataset)
    else:
        proof = store.snapshots.prove(str(trace_id), snapshot_prefix)
    data = encode(proof) + b"\n"
    to_stdout = names_stdout(output)
    if not (to_stdout and as_json):
        with writing_to(output) as out:
            out.write(data)
    if as_json:
        emit_json({"file": None if to_stdout else str(output), "proof": proof})
    elif not to_stdout:
        say(f"The proof is in {output}; `tunixrt snapshot check-proof` checks it without a store.")


@command(
    "check-proof",
    examples=(
        "tunixrt snapshot check-proof proof.json",
        "tunixrt snapshot check-proof proof.json --about sha256:5d1f...",
    ),
)
@click.argument("file", metavar="FILE|-")
@click.option(
    "--about",
    multiple=True,
    metavar="DIGEST",
    help="A whole digest that the proof must be about: trace, snapshot, dataset; may be repeated.",
)
@json_option
def check_proof(file: str, about: tuple[str, ...], as_json: bool) -> None:
    """Check a proof, without any store, and report what it proves.

    A proof is worth as much as the digests it is about: compare them with those that you got from
    elsewhere, or give these with --about. Exit code 1 when the proof does not hold. A FILE of - is
    standard input.
    """
    from tunixrt.jobs.proofs import check_proof_file
    from tunixrt.log.digests import parse_digest

    (source,) = text_sources((file,))
    proven = check_proof_file(source, frozenset(parse_digest(text) for text in about))
    if as_json:
        emit_json({"ok": True} | msgspec.structs.asdict(proven))
        return
    click.echo(proven.statement)
    if not about:
        named = proven.snapshot or proven.dataset or ""
        say(f"The proof holds, if the digest {short(named)}... is one that you trust.")


PROOF_COMMANDS = (diff, prove, check_proof)
