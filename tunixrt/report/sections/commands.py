"""The command lines that repeat and check what a report shows."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final, NamedTuple

from tunixrt.eval.judge.judges import DEFAULT_JUDGE
from tunixrt.log.canonical import encode
from tunixrt.report.blocks import Block, CodeBlock, Heading
from tunixrt.report.shown import dotted
from tunixrt.runs.config_sources import load_config
from tunixrt.runs.identity import BATCH_SIZE
from tunixrt.runs.presets import PRESETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tunixrt.report.shown import Pair, ShownRun
    from tunixrt.runs.manifests import EvaluationManifest

_SHORT_ID: Final = 12


class Command(NamedTuple):
    """A command line, and its purpose, as the start of a sentence without a full stop."""

    purpose: str
    line: str


def commands_block(label: str, commands: Iterable[Command]) -> CodeBlock:
    """Commands to copy, each below its purpose."""
    text = "\n".join(f"# {command.purpose}\n{command.line}" for command in commands)
    return CodeBlock(label, text, language="sh")


def command_blocks(pairs: Sequence[Pair]) -> list[Block]:
    """How the runs of one or several pairs were made, and how to check them."""
    made = (command for pair in pairs for run in pair[:2] for command in commands_of(run))
    return [
        Heading(2, "How to check this"),
        commands_block("How the runs were made:", dict.fromkeys(made)),
        commands_block("From a clone of the repository:", _checks(pairs)),
    ]


def commands_of(run: ShownRun) -> list[Command]:
    """The commands that train and evaluate a model again."""
    evaluate = f"--evalset {run.evalset}{_evaluation_options(run.manifest)}"
    training, untrained = run.training, run.manifest.responses.untrained
    if training is not None:
        preset = training.settings["model.name"]
        settings = "".join(
            f" --set {shlex.quote(setting)}" for setting in _differences(training.settings)
        )
        base = ""
        if training.manifest.identity.base is not None:
            base = f" --base {training.base or 'DIR'}"
        train = f"tunixrt train {preset} --dataset {training.dataset}{base}{settings}"
        return [
            Command("Train", train),
            Command("Evaluate", f"tunixrt eval {training.run_id[:_SHORT_ID]} {evaluate}"),
        ]
    if untrained is not None:
        config = dotted(untrained)
        # A configuration that differs from its preset must be in a file of its own.
        name = "CONFIG.toml" if _differences(config) else config["model.name"]
        return [Command("Evaluate untrained", f"tunixrt eval untrained:{name} {evaluate}")]
    return [Command("Evaluate", f"tunixrt eval DIR {evaluate}")]


def _differences(config: Mapping[str, str]) -> list[str]:
    """The `--set` values that turn the preset into this configuration."""
    name = config["model.name"]
    preset = dotted(load_config(name).identity()) if name in PRESETS else {}
    return [f"{key}={value}" for key, value in config.items() if preset.get(key) != value]


def _evaluation_options(manifest: EvaluationManifest) -> str:
    """The options that repeat an evaluation exactly."""
    settings, judge = manifest.responses.generation, manifest.identity.judge.name
    options = [f"--max-new-tokens {settings.max_new_tokens}"]
    if settings.batch_size != BATCH_SIZE:
        options.append(f"--batch-size {settings.batch_size}")
    if (draws := settings.draws) is not None:
        options.append(f"--temperature {encode(draws.temperature).decode()}")
        options += [f"--top-p {encode(draws.top_p).decode()}"] if draws.top_p != 1 else []
        options += [f"--draws {draws.n}"] if draws.n != 1 else []
        options += [f"--seed {draws.seed}"] if draws.seed else []
    if settings.overlong is not None:
        options.append(f"--on-overlong {settings.overlong}")
    if judge != DEFAULT_JUDGE:
        options.append(f"--judge {judge}")
    return "".join(f" {option}" for option in options)


def _checks(pairs: Sequence[Pair]) -> tuple[Command, ...]:
    before = ",".join(pair.before.run_id[:_SHORT_ID] for pair in pairs)
    after = ",".join(pair.after.run_id[:_SHORT_ID] for pair in pairs)
    runs = [run for pair in pairs for run in (pair.before, pair.after)]
    trained = [run.training.run_id[:_SHORT_ID] for run in runs if run.training]
    untrained = [run.run_id[:_SHORT_ID] for run in runs if run.training is None]
    return (
        Command("prove every digest and rebuild the datasets", "tunixrt verify --rebuild"),
        *(
            Command("train again, evaluate again, compare every bit", f"tunixrt reproduce {run}")
            for run in dict.fromkeys(trained)
        ),
        *(
            Command("evaluate again", f"tunixrt reproduce {run}")
            for run in dict.fromkeys(untrained)
        ),
        Command("compute the comparison again", f"tunixrt run compare {before} {after}"),
        Command("write this report again, to the byte", f"tunixrt report {before} {after}"),
    )
