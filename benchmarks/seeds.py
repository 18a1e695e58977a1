"""Does a recipe hold over seeds? Train it on generated arithmetic from several seeds.

    python -m benchmarks.seeds [--recipe nano|nano-arithmetic] [--seeds 0,1,2]
                               [--mode portable|fast] [--held-out-seed 1] [--set KEY=VALUE]...

Each seed decides the initial weights and the order of the examples. The problems that are trained
on are those of seed 0, for `nano` the ones of the committed store; of every kind, 256 held-out
problems are asked, another draw than the ones that the recipes were chosen on. ``--set`` changes a
setting of the preset, with the value as TOML has it. Prints a table of seed, percent right of each
kind before and after, steps, last loss and training time.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tunixrt import Store
from tunixrt.store import held_out_evalset

N_HELD_OUT = 256
EVALSET = "held_out"
WHEN = ("before", "after")


class Recipe(NamedTuple):
    """A preset, and what it is trained on; ``n_traces`` are shared evenly among the kinds."""

    kinds: tuple[str, ...]
    n_traces: int


#: By the name of the preset.
RECIPES = {
    "nano": Recipe(("addition",), 6_000),
    "nano-arithmetic": Recipe(("addition", "subtraction", "multiplication"), 18_000),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="nano", choices=list(RECIPES))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--mode", default="portable", choices=["portable", "fast"])
    parser.add_argument("--held-out-seed", default=1, type=int)
    parser.add_argument("--set", default=[], action="append", dest="settings")
    arguments = parser.parse_args()
    recipe = RECIPES[arguments.recipe]
    with tempfile.TemporaryDirectory() as directory:
        store = prepared_store(Path(directory), recipe, arguments.held_out_seed)
        columns = [f"{kind.capitalize()}, {when}" for kind in recipe.kinds for when in WHEN]
        header = ["Seed", *columns, "Steps", "Last loss", "Training, s", "Training, CPU s"]
        print(f"| {' | '.join(header)} |")
        print(f"| {' | '.join('---:' for _ in header)} |")
        for seed in arguments.seeds.split(","):
            config = store.root / f"seed{seed}.toml"
            settings = [
                f'model.name = "{arguments.recipe}"',
                f"training.seed = {seed}",
                f"data.shuffle_seed = {seed}",
                f'training.numeric_mode = "{arguments.mode}"',
                *arguments.settings,
            ]
            config.write_text("".join(f"{setting}\n" for setting in settings))
            print(f"| {' | '.join([seed, *row(store, config, recipe.kinds)])} |", flush=True)


def prepared_store(directory: Path, recipe: Recipe, held_out_seed: int) -> Store:
    """A store with the recipe's dataset, and an eval set of all its kinds."""
    store = Store.init(directory)
    store.traces.generate_arithmetic(kinds=recipe.kinds, n_digits=3, n=recipe.n_traces, seed=0)
    store.datasets.build("arithmetic", "v1", where={"source": "arithmetic"})
    n_held_out = N_HELD_OUT * len(recipe.kinds)
    held_out = held_out_evalset(kinds=recipe.kinds, n_digits=3, n=n_held_out, seed=held_out_seed)
    (directory / "evalsets" / f"{EVALSET}.jsonl").write_bytes(held_out)
    return store


def row(store: Store, config: Path, kinds: tuple[str, ...]) -> list[str]:
    """Evaluate the untrained model, train it, evaluate it again: the cells after the seed."""
    before = scores(store, f"untrained:{config}", kinds)
    start, start_cpu = time.monotonic(), time.process_time()
    trained = store.runs.train(str(config), dataset="arithmetic-v1").manifest
    seconds, cpu_seconds = time.monotonic() - start, time.process_time() - start_cpu
    after = scores(store, trained.run_id, kinds)
    return [
        *(f"{score:.1f}" for pair in zip(before, after, strict=True) for score in pair),
        str(trained.results.n_steps),
        f"{trained.results.last_loss:.4f}",
        f"{seconds:.0f}",
        f"{cpu_seconds:.0f}",
    ]


def scores(store: Store, model: str, kinds: tuple[str, ...]) -> list[float]:
    """Percent right of each kind."""
    categories = store.runs.evaluate(model, evalset=EVALSET).manifest.results.categories
    return [categories[kind].avg_score for kind in kinds]


if __name__ == "__main__":
    main()
