"""`tunixrt presets`: the configurations that have a name, and how large they are."""

from __future__ import annotations

import click

from tunixrt.cli.base import ExampleCommand, json_option
from tunixrt.cli.output import emit_json, table


@click.command(cls=ExampleCommand, examples=("tunixrt presets", "tunixrt presets --json"))
@json_option
def presets(as_json: bool) -> None:
    """List the presets that `tunixrt train` and `untrained:PRESET` take, with their sizes.

    The number of parameters is that of a model with the byte tokenizer. A CONFIG.toml starts from a
    preset and lists what differs.
    """
    from tunixrt.ml.tokenizer import VOCAB_SIZE
    from tunixrt.runs.config_sources import load_config
    from tunixrt.runs.memory import count_parameters
    from tunixrt.runs.presets import PRESETS

    rows = []
    for name in PRESETS:
        config = load_config(name)
        model, training = config.model, config.training
        rows.append(
            {
                "name": name,
                "n_params": count_parameters(model.architecture, VOCAB_SIZE),
                "n_layers": model.architecture.num_hidden_layers,
                "hidden_size": model.architecture.hidden_size,
                "max_length": model.max_length,
                "num_steps": training.num_steps,
                "batch_size": training.batch_size,
            }
        )
    if as_json:
        emit_json({"presets": rows})
        return
    header = ("preset", "parameters", "layers", "hidden size", "context", "steps", "batch size")
    cells = (
        [f"{value:,}" if isinstance(value, int) else value for value in row.values()]
        for row in rows
    )
    click.echo(table(header, cells))
