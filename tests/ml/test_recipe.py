"""The recipe of the nano preset: three-digit addition is learned, from nothing to nearly all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tunixrt.data.generate import Kind, Problem, generate_arithmetic
from tunixrt.data.render import DataFormat, render_example, render_prompt
from tunixrt.data.traces import payload_of, trace_id
from tunixrt.ml.generate import generate
from tunixrt.ml.tokenizer import ByteTokenizer
from tunixrt.ml.training import initial_model, train
from tunixrt.runs.config import load_config

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt.data.render import Example

pytestmark = pytest.mark.usefixtures("fast_mode")

ADDITION = [Kind.ADDITION]
FORMAT = DataFormat.TUNIX_SFT


def example_of(problem: Problem) -> Example:
    trace = problem.trace()
    return render_example(trace, trace_id(payload_of(trace)), data_format=FORMAT)


def n_right(directory: Path, problems: list[Problem]) -> int:
    tokenizer = ByteTokenizer()
    prompts = [
        tokenizer.encode(render_prompt(problem.prompt(), data_format=FORMAT))
        for problem in problems
    ]
    generations = generate(
        directory / "model", prompts, max_new_tokens=80, batch_size=128, numeric_mode="fast"
    )
    return sum(
        tokenizer.decode(generation.tokens).rpartition("Answer: ")[2] == str(problem.answer)
        for problem, generation in zip(problems, generations, strict=True)
    )


@pytest.mark.slow
def test_nano_learns_three_digit_addition(tmp_path: Path) -> None:
    config = load_config("nano", ["training.numeric_mode=fast"])
    held_out = generate_arithmetic(kinds=ADDITION, n_digits=3, n=128, seed=0, held_out=True)
    initial_model(config, tmp_path / "before")
    assert n_right(tmp_path / "before", held_out) == 0
    problems = generate_arithmetic(kinds=ADDITION, n_digits=3, n=8000, seed=0)
    train(config, [example_of(problem) for problem in problems], tmp_path / "after")
    assert n_right(tmp_path / "after", held_out) >= 0.95 * 128
