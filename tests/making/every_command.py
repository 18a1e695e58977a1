"""Every command of the command line once, with arguments that work in one store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tests.making.runs import made_evaluation, made_training
from tunixrt.cli.base import COMMANDS
from tunixrt.cli.main import root
from tunixrt.traces.facts import retracted

if TYPE_CHECKING:
    from tunixrt import Store

#: Commands that compute with jax: they print what they print through the same doors as the others.
COMPUTING = {"train", "eval", "reproduce"}


def every_command(store: Store) -> dict[str, list[str]]:
    """Arguments by name of the command, for a store of `made_store`; it gains three runs."""
    trained = made_training(store)
    before = made_evaluation(store, None, n_right=2).run_id
    after = made_evaluation(store, trained, n_right=9).run_id
    digest = store.snapshots.create().digest
    first, second, third, *_ = (state.id for state in store.traces.projection().traces())
    store.log.append([retracted(third)])
    root = store.root
    (root / "one.jsonl").write_text(
        '{"trace_version":"1.0","prompt":"1+1?","final_answer":"2",'
        '"steps":[{"i":0,"type":"compute","content":"1+1 is 2"}]}\n'
    )
    (root / "more.jsonl").write_text('{"question":"1+1?","answer":"1+1=2\\n#### 2"}\n')
    proof = root / "proof.json"
    commands = {
        "init": ["init", str(root)],
        "status": ["status"],
        "log": ["log"],
        "verify": ["verify", "--rebuild"],
        "doctor": ["doctor"],
        "trace import": ["trace", "import", str(root / "one.jsonl"), "--from", "tunixrt"],
        "trace generate": ["trace", "generate", "arithmetic", "-n", "3", "--seed", "9"],
        "trace perturb": ["trace", "perturb", second, "--kind", "digit", "--seed", "0"],
        "trace list": ["trace", "list"],
        "trace show": ["trace", "show", first],
        "trace compare": ["trace", "compare", first, second],
        "trace add": ["trace", "add", "--prompt", "2+2?", "--step", "a", "b", "--answer", "4"],
        "trace score": ["trace", "score", first],
        "trace label": ["trace", "label", first, "quality=good"],
        "trace supersede": ["trace", "supersede", first, "--by", second],
        "trace retract": ["trace", "retract", first, "--reason", "wrong"],
        "trace reinstate": ["trace", "reinstate", third],
        "trace redact": ["trace", "redact", first, "--reason", "asked for"],
        "trace recover": ["trace", "recover"],
        "snapshot create": ["snapshot", "create"],
        "snapshot list": ["snapshot", "list"],
        "snapshot show": ["snapshot", "show", digest],
        "snapshot diff": ["snapshot", "diff", digest, digest],
        "snapshot prove": ["snapshot", "prove", second, "--snapshot", digest],
        "snapshot check-proof": ["snapshot", "check-proof", str(proof)],
        "dataset release": ["dataset", "release", "sums-v1"],
        "dataset deprecate": ["dataset", "deprecate", "sums-v1", "--reason", "wrong"],
        "dataset build": ["dataset", "build", "more", "v1"],
        "dataset list": ["dataset", "list"],
        "dataset show": ["dataset", "show", "sums-v1"],
        "dataset diff": ["dataset", "diff", "sums-v1", "sums-v1"],
        "dataset check": ["dataset", "check", "sums-v1"],
        "dataset card": ["dataset", "card", "sums-v1"],
        "dataset tokens": ["dataset", "tokens", "sums-v1", "--split", "all"],
        "dataset export": ["dataset", "export", "sums-v1", "--format", "trace"],
        "evalset import": [
            "evalset",
            "import",
            f"{root}/more.jsonl",
            "--from",
            "gsm8k",
            "--name",
            "more",
        ],
        "evalset generate": ["evalset", "generate", "arithmetic", "-n", "3", "--name", "made"],
        "evalset list": ["evalset", "list"],
        "evalset show": ["evalset", "show", "sums"],
        "evalset check": ["evalset", "check", "sums"],
        "evalset size": ["evalset", "size", "--difference", "5"],
        "run list": ["run", "list"],
        "run show": ["run", "show", after],
        "run promote": ["run", "promote", after, "--as", "baseline"],
        "run compare": ["run", "compare", before, after],
        "report": ["report", before, after, "-o", str(root / "report")],
        "site build": ["site", "build", "-o", str(root / "site")],
        "presets": ["presets"],
        "completion": ["completion", "bash"],
        "train": ["train", "nano", "--dataset", "sums-v1", "--dry-run"],
        "eval": ["eval", "untrained:nano", "--evalset", "absent"],
        "reproduce": ["reproduce", "abcdef"],
    }
    from tunixrt.log.canonical import encode

    proof.write_bytes(encode(store.snapshots.prove(second, digest)) + b"\n")
    return commands


def known_commands() -> list[tuple[str, click.Command]]:
    context = click.Context(root, info_name="tunixrt")
    found: list[tuple[str, click.Command]] = []
    for name in COMMANDS:
        command = root.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            found += [(f"{name} {sub}", c) for sub, c in sorted(command.commands.items())]
        else:
            found.append((name, command))
    return found
