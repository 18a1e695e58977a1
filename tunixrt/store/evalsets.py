"""The eval sets of a store: writing and importing them, and comparing them with datasets."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.store.datasets import dataset_key
from tunixrt.traces.arithmetic import generate_arithmetic
from tunixrt.traces.importers.lines import OpenText

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from tunixrt.datasets.building import BuildReport
    from tunixrt.datasets.files import Dataset
    from tunixrt.eval.evalset_import import EvalsetImport
    from tunixrt.eval.evalsets import EvalSet
    from tunixrt.jobs.contamination import CheckedEvalset
    from tunixrt.jobs.overlong import PromptLengths
    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.layout import Layout
    from tunixrt.store.runs import AnyRun
    from tunixrt.traces.importers.records import Rejection


class Evalsets:
    """The eval sets of a store by name; iterating yields them in that order."""

    def __init__(self, layout: Layout, log: EventLog) -> None:
        """The eval sets of a store."""
        self._layout, self._log = layout, log

    def __repr__(self) -> str:
        return f"<eval sets of {self._layout.root}>"

    def __iter__(self) -> Iterator[EvalSet]:
        from tunixrt.eval.evalsets import list_evalsets

        return (self[name] for name in list_evalsets(self._layout.evalsets))

    def __len__(self) -> int:
        from tunixrt.eval.evalsets import list_evalsets

        return len(list_evalsets(self._layout.evalsets))

    def __getitem__(self, name: str) -> EvalSet:
        """One eval set; reading it checks every line.

        Raises:
            UnknownEvalSetError: no eval set has that name.
            EvalSetError: a line of it is not a sample.
        """
        from tunixrt.eval.evalsets import find_evalset, load_evalset

        return load_evalset(find_evalset(self._layout.evalsets, name))

    def __contains__(self, name: object) -> bool:
        """Whether there is an eval set of this name; it is not read."""
        from tunixrt.eval.evalsets import list_evalsets

        return name in list_evalsets(self._layout.evalsets)

    def write(
        self,
        name: str,
        samples: Iterable[Mapping[str, object]],
        *,
        category: str = "unspecified",
        difficulty: str = "unspecified",
        on_rejection: Callable[[Rejection], None] | None = None,
    ) -> EvalsetImport:
        """Make the eval set ``name`` of samples; the same samples again change nothing.

        Args:
            name: of the eval set.
            samples: ``prompt`` of each, and where it has them ``expected_answer``, ``id``,
                ``category``, ``difficulty`` and ``metadata``, to which other keys are added;
                without an id, it is made from the prompt.
            category: of samples that name none.
            difficulty: of samples that name none.
            on_rejection: receives what is not a sample, and the rest is written.

        Raises:
            RejectedError: one is not a sample, and nothing was written.
            EvalsetExistsError: the eval set is there with other samples.
        """
        from tunixrt.eval.evalset_import import sample_id

        lines: list[bytes] = []
        for number, sample in enumerate(samples, start=1):
            given = dict(sample)
            prompt = given.get("prompt")
            if "id" not in given and isinstance(prompt, str):
                given["id"] = sample_id(prompt)
            try:
                lines.append(msgspec.json.encode(given) + b"\n")
            except (TypeError, ValueError) as error:
                raise BadInputError(
                    f"Sample {number} of those given holds what JSON cannot say: {error}."
                ) from None
        text = OpenText(f"the samples given for {name}", io.BytesIO(b"".join(lines)))
        return self.import_(
            text,
            name,
            source_format="evalset",
            category=category,
            difficulty=difficulty,
            on_rejection=on_rejection,
        )

    def generate_reasoning_gym(self, name: str, task: str, *, n: int, seed: int) -> EvalsetImport:
        """Make the eval set ``name`` of ``n`` items of a task of reasoning-gym.

        An item that asks what an earlier one does is left out: as a duplicate if it expects the
        same answer, else among those rejected.

        Raises:
            MissingExtraError: the library is not installed.
            UnknownTaskError: the task does not exist, or cannot be frozen.
            EvalsetExistsError: the eval set exists with other samples.
        """
        from tunixrt.eval.gym import generate_items

        samples = [item.sample() for item in generate_items(task, n=n, seed=seed)]
        return self.write(name, samples, on_rejection=lambda _: None)

    def import_(
        self,
        file: Path | str | OpenText,
        name: str,
        *,
        source_format: str,
        category: str = "unspecified",
        difficulty: str = "unspecified",
        on_rejection: Callable[[Rejection], None] | None = None,
    ) -> EvalsetImport:
        """Make the eval set ``name`` of a file of records; see :mod:`tunixrt.eval.evalset_import`.

        Raises:
            BadInputError: nothing was written; the message says file, line and field.
        """
        from tunixrt.eval.evalset_import import import_evalset

        return import_evalset(
            self._layout,
            file if isinstance(file, OpenText) else Path(file),
            name,
            source_format=source_format,
            category=category,
            difficulty=difficulty,
            on_rejection=on_rejection,
        )

    def check(
        self, name: str, dataset: str | Dataset | BuildReport, *, split: str | None = None
    ) -> CheckedEvalset:
        """Compare an eval set with a dataset: which samples are in it, and how."""
        from tunixrt.jobs.contamination import check_against_dataset

        key = dataset_key(dataset)
        return check_against_dataset(self._layout, self._log, self[name], key, split)

    def check_prompts(self, name: str, model: AnyRun | Path) -> PromptLengths:
        """Which prompts of an eval set leave a model no room for an answer; generates nothing."""
        from tunixrt.jobs.overlong import check_prompts
        from tunixrt.store.runs import run_name

        return check_prompts(self._layout, self[name], run_name(model))


def held_out_evalset(*, kinds: Sequence[str], n_digits: int, n: int, seed: int) -> bytes:
    """An eval set of ``n`` held-out arithmetic problems: JSON lines."""
    problems = generate_arithmetic(kinds=kinds, n_digits=n_digits, n=n, seed=seed, held_out=True)
    lines = (msgspec.json.encode(problem.sample(), order="sorted") for problem in problems)
    return b"".join(line + b"\n" for line in lines)
