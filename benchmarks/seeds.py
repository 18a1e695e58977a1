"""Does the recipe hold over seeds? Train `nano` on generated addition from several seeds.

    python -m benchmarks.seeds [--seeds 0,1,2] [--mode portable|fast]

Each seed decides the initial weights and the order of the examples. The problems that are trained
on are those of the committed store; the 256 held-out ones are another draw than the committed eval
set, which the recipe was chosen on. Prints a table of seed, score before,
score after, last loss and seconds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from tunixrt import Store
from tunixrt.store import held_out_evalset

N_TRACES = 6000
N_HELD_OUT = 256
HELD_OUT_SEED = 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--mode", default="portable", choices=["portable", "fast"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        store = Store.init(directory)
        store.generate_arithmetic(kinds=["addition"], n_digits=3, n=N_TRACES, seed=0)
        store.build_dataset("arithmetic", "v1", where={"source": "arithmetic"})
        held_out = held_out_evalset(
            kinds=["addition"], n_digits=3, n=N_HELD_OUT, seed=HELD_OUT_SEED
        )
        (Path(directory) / "evalsets" / "held_out.jsonl").write_bytes(held_out)
        print("| Seed | Score before | Score after | Last loss | Training, s |")
        print("| ---: | ---: | ---: | ---: | ---: |")
        for seed in arguments.seeds.split(","):
            print(row(store, int(seed), arguments.mode), flush=True)


def row(store: Store, seed: int, mode: str) -> str:
    overrides = [
        f"training.seed={seed}",
        f"data.shuffle_seed={seed}",
        f"training.numeric_mode={mode}",
    ]
    config = store.root / f"seed{seed}.toml"
    config.write_text(
        f'[model]\nname = "nano"\n[training]\nseed = {seed}\nnumeric_mode = "{mode}"\n'
        f"[data]\nshuffle_seed = {seed}\n"
    )
    before = store.evaluate(f"untrained:{config}", evalset="held_out").manifest.results.avg_score
    start = time.monotonic()
    trained = store.train("nano", dataset="arithmetic-v1", overrides=overrides).manifest
    seconds = time.monotonic() - start
    after = store.evaluate(trained.run_id, evalset="held_out").manifest.results.avg_score
    return (
        f"| {seed} | {before:.1f} | {after:.1f} | {trained.results.last_loss:.4f} | {seconds:.0f} |"
    )


if __name__ == "__main__":
    main()
