"""How contenders of a training benchmark take turns: processes that train when they are told to.

Each contender is a process with an environment of its own. It says one line of JSON when its first
step is done, one when it has seen all examples with a learning rate of zero (the loss by which the
contenders are known to do the same work), and then one for every line that it reads, after it has
trained on all examples once more. So the contenders can be measured in turn, and what else happens
on the machine meets all of them alike.

Imports nothing that a contender's environment could lack.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


def take_turns(first_step: Callable[[], object], all_examples: Callable[[float], float]) -> None:
    """Be a contender.

    Args:
        first_step: trains one step at a learning rate of zero.
        all_examples: trains on all examples at a learning rate; returns their mean loss a token.
    """
    # What libraries print to standard output must not get between the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def answer(**fields: float) -> None:
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        answers.write(json.dumps({**fields, "peak_mib": peak_mib}) + "\n")

    first_step()
    answer()
    answer(loss=all_examples(0.0))
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        loss = all_examples(1e-3)
        answer(loss=loss, wall_s=time.perf_counter() - wall, cpu_s=time.process_time() - cpu)


@dataclass
class Contender:
    """A process that trains, seen from outside.

    Attributes:
        name: what the tables call it.
        n_loss_tokens: how many learned tokens one turn trains on.
    """

    name: str
    n_loss_tokens: int
    process: subprocess.Popen[str]
    first_step_s: float = 0.0
    first_loss: float = 0.0
    peak_mib: float = 0.0
    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)

    @classmethod
    def start(
        cls,
        name: str,
        n_loss_tokens: int,
        command: Sequence[str],
        directory: Path,
        variables: Mapping[str, str],
    ) -> Contender:
        """Start a contender and wait until it has seen all examples once."""
        start = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=directory,
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        contender = cls(name, n_loss_tokens, process)
        contender._answer()
        contender.first_step_s = time.perf_counter() - start
        contender.first_loss = contender._answer()["loss"]
        return contender

    def take_turn(self) -> None:
        """Train on all examples, and note the time."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        answer = self._answer()
        self.wall_s.append(answer["wall_s"])
        self.cpu_s.append(answer["cpu_s"])

    def stop(self) -> None:
        """End the process."""
        self.process.communicate()

    @property
    def tokens_per_s(self) -> float:
        """Learned tokens in a second of wall time, the median of all turns."""
        return self.n_loss_tokens / median(self.wall_s)

    @property
    def tokens_per_cpu_s(self) -> float:
        """Learned tokens in a second of CPU time, the median of all turns."""
        return self.n_loss_tokens / median(self.cpu_s)

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} has ended: status {self.process.wait()}")
        fields: dict[str, Any] = json.loads(line)
        self.peak_mib = fields["peak_mib"]
        return fields
