"""Checks what is in a dataset: leaks, duplicates, empty answers, sources. Changes nothing.

One pass over the dataset in bounded memory: the keys of prompts and texts are in a private table on
disk, and an eval set is compared as it is for a training (:mod:`tunixrt.eval.contamination`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.datasets.dedupe import prompt_of, text_of
from tunixrt.datasets.reading import DatasetReader
from tunixrt.datasets.recipes import Split
from tunixrt.eval.contamination import ContaminationCheck
from tunixrt.log.digests import Digest, from_raw, raw_of
from tunixrt.traces.conversation import Conversation
from tunixrt.traces.normal_text import tokens_of
from tunixrt.traces.spill import spill
from tunixrt.traces.views import answer_of
from tunixrt.words import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunixrt.datasets.files import Dataset
    from tunixrt.eval.evalsets import EvalSet
    from tunixrt.log.eventlog import EventLog
    from tunixrt.traces.schema import AnyTrace
    from tunixrt.traces.spill import SpillDatabase

_N_EXAMPLES: Final = 5
_BUFFERED: Final = 2_000


class Fault(StrEnum):
    """What can be wrong with the content of a dataset."""

    SPLIT_LEAK = "leak between splits"
    EVALSET_LEAK = "leak into an eval set"
    DUPLICATE = "duplicate"
    EMPTY = "nothing to learn"
    UNBALANCED = "unbalanced sources"


class CheckFinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that is wrong.

    Attributes:
        fault: its kind.
        n_traces: how many traces it concerns.
        sentence: what was found.
        examples: groups of traces, each a reason of its own; the first five.
        evalset: the name of the eval set, if one is concerned.
    """

    fault: Fault
    n_traces: int
    sentence: str
    examples: tuple[tuple[Digest, ...], ...]
    evalset: str | None = None


class DatasetCheck(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was looked at, and everything that is wrong.

    Attributes:
        dataset_key: the dataset.
        digest: its digest.
        n_traces: traces that were read.
        n_redacted: members whose text was redacted, so that nothing is known of it.
        n_repeated_prompts: traces whose prompt another trace of the same split has: several
            solutions of a problem are allowed.
        sources: how many traces each ``meta.source`` has, the most frequent first; at most 20.
        evalsets: the eval sets that were compared.
        findings: what is wrong.
    """

    dataset_key: str
    digest: Digest
    n_traces: int
    n_redacted: int
    n_repeated_prompts: int
    sources: dict[str, int]
    evalsets: tuple[str, ...]
    findings: tuple[CheckFinding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def check_dataset(
    log: EventLog,
    dataset: Dataset,
    *,
    evalsets: Sequence[EvalSet] = (),
    max_share: Fraction | None = None,
) -> DatasetCheck:
    """Return what is wrong with the content of a dataset.

    Args:
        log: where the traces are.
        dataset: what to check.
        evalsets: each is compared with the splits that are not ``test``.
        max_share: the part of the traces that one ``meta.source`` may have; None for any.

    Raises:
        DamagedError: a file of the store does not match its digest.
    """
    pass_ = _Pass(evalsets)
    try:
        with DatasetReader(log) as reader:
            for member, state, trace in reader.read(dataset):
                pass_.add(state.id, member.split, trace)
        return pass_.result(dataset, max_share)
    finally:
        pass_.close()


class _Pass:
    """The running state of one pass over a dataset."""

    def __init__(self, evalsets: Sequence[EvalSet]) -> None:
        self._evalsets = [(one, ContaminationCheck(one.samples)) for one in evalsets]
        self._table = _Table()
        self._sources: Counter[str] = Counter()
        self._empty: list[Digest] = []
        self._n_empty = self._n_traces = self._n_redacted = 0

    def close(self) -> None:
        self._table.close()

    def add(self, trace_id: Digest, split: Split, trace: AnyTrace | None) -> None:
        if trace is None:
            self._n_redacted += 1
            return
        self._n_traces += 1
        prompt = prompt_of(trace)
        self._table.add(trace_id, split, prompt, text_of(trace))
        source = trace.meta.get("source")
        self._sources[source if isinstance(source, str) else "(none)"] += 1
        if _teaches_nothing(trace):
            self._n_empty += 1
            if len(self._empty) < _N_EXAMPLES:
                self._empty.append(trace_id)
        if split is not Split.TEST:
            for _, check in self._evalsets:
                check.add_trace(trace_id, trace)

    def result(self, dataset: Dataset, max_share: Fraction | None) -> DatasetCheck:
        findings = [
            self._table.split_leak(),
            *(_evalset_leak(dataset.key, evalset, check) for evalset, check in self._evalsets),
            self._table.duplicates(),
            self._nothing_to_learn(),
            None if max_share is None else self._unbalanced(max_share),
        ]
        return DatasetCheck(
            dataset_key=dataset.key,
            digest=dataset.digest,
            n_traces=self._n_traces,
            n_redacted=self._n_redacted,
            n_repeated_prompts=self._table.n_repeated_prompts(),
            sources=dict(sorted(self._sources.items(), key=lambda item: (-item[1], item[0]))[:20]),
            evalsets=tuple(evalset.name for evalset, _ in self._evalsets),
            findings=tuple(finding for finding in findings if finding is not None),
        )

    def _nothing_to_learn(self) -> CheckFinding | None:
        if not self._n_empty:
            return None
        return CheckFinding(
            fault=Fault.EMPTY,
            n_traces=self._n_empty,
            sentence=f"{plural(self._n_empty, 'trace')} with an answer of white space only, or "
            "without a turn that is learned.",
            examples=tuple((trace,) for trace in self._empty),
        )

    def _unbalanced(self, max_share: Fraction) -> CheckFinding | None:
        source, n = max(self._sources.items(), key=lambda item: (item[1], item[0]), default=("", 0))
        if not n or Fraction(n, self._n_traces) <= max_share:
            return None
        return CheckFinding(
            fault=Fault.UNBALANCED,
            n_traces=n,
            sentence=f"{n:,} of {plural(self._n_traces, 'trace')} ({n / self._n_traces:.1%}) have "
            f"the source {source}; at most {float(max_share):.1%} may.",
            examples=(),
        )


def _teaches_nothing(trace: AnyTrace) -> bool:
    if not isinstance(trace, Conversation):
        return not trace.final_answer.strip()
    learned = [message for message in trace.messages if message.is_learned]
    return not learned or not (answer_of(trace).strip() or any(m.calls for m in learned))


def _evalset_leak(key: str, evalset: EvalSet, check: ContaminationCheck) -> CheckFinding | None:
    overlaps = list(check.overlaps())
    if not overlaps:
        return None
    kinds = Counter(str(overlap.kind) for overlap in overlaps)
    listed = ", ".join(f"{n:,} {kind}" for kind, n in sorted(kinds.items()))
    return CheckFinding(
        fault=Fault.EVALSET_LEAK,
        n_traces=len({overlap.trace for overlap in overlaps}),
        sentence=f"{len(overlaps):,} of the {plural(len(evalset), 'sample')} of {evalset.name} "
        f"are in the dataset ({listed}); `tunixrt evalset check {evalset.name} --dataset {key}` "
        "lists them.",
        examples=tuple((overlap.trace,) for overlap in overlaps[:_N_EXAMPLES]),
        evalset=evalset.name,
    )


class _Table:
    """The keys of all traces: of the prompt as written, of its tokens, of all tokens."""

    def __init__(self) -> None:
        self._database: SpillDatabase = spill()
        self._database.execute(
            "CREATE TABLE traces (id BLOB, split TEXT, exact BLOB, prompt BLOB, text BLOB)"
        )
        self._database.execute("BEGIN")
        self._rows: list[tuple[bytes, str, bytes, bytes, bytes]] = []

    def close(self) -> None:
        self._database.close()

    def add(self, trace: Digest, split: Split, prompt: str, text: str) -> None:
        tokens = " ".join(tokens_of(prompt)), " ".join(tokens_of(text))
        keys = [_key(key) for key in (prompt, *tokens)]
        self._rows.append((raw_of(trace), str(split), keys[0], keys[1], keys[2]))
        if len(self._rows) >= _BUFFERED:
            self._flush()

    def _flush(self) -> None:
        self._database.executemany("INSERT INTO traces VALUES (?, ?, ?, ?, ?)", self._rows)
        self._rows.clear()

    def n_repeated_prompts(self) -> int:
        """Traces beyond the first of each prompt and split."""
        return self._number(
            "SELECT coalesce(sum(n - 1), 0) FROM"
            " (SELECT count(*) AS n FROM traces GROUP BY exact, split)"
        )

    def split_leak(self) -> CheckFinding | None:
        """Prompts that are in several splits, but for case, spaces and punctuation."""
        self._groups("prompt", "count(DISTINCT split) > 1")
        n, n_groups = self._sizes()
        if not n:
            return None
        return CheckFinding(
            fault=Fault.SPLIT_LEAK,
            n_traces=n,
            sentence=f"{plural(n_groups, 'prompt')} in more than one split "
            f"({plural(n, 'trace')}), but for case, spaces and punctuation.",
            examples=self._examples("prompt"),
        )

    def duplicates(self) -> CheckFinding | None:
        """Traces whose whole texts have the same tokens."""
        self._groups("text", "count(*) > 1")
        n, n_groups = self._sizes()
        if not n:
            return None
        return CheckFinding(
            fault=Fault.DUPLICATE,
            n_traces=n - n_groups,
            sentence=f"{plural(n - n_groups, 'trace')} repeating the prompt and the answer of "
            "another one, but for case, spaces and punctuation.",
            examples=self._examples("text"),
        )

    def _groups(self, key: str, having: str) -> None:
        self._flush()
        self._database.execute("DROP TABLE IF EXISTS groups")
        self._database.execute(
            f"CREATE TABLE groups AS SELECT {key} AS key, count(*) AS n, min(id) AS first"  # noqa: S608 - constants
            f" FROM traces GROUP BY {key} HAVING {having}"
        )

    def _sizes(self) -> tuple[int, int]:
        n, n_groups = self._database.execute(
            "SELECT coalesce(sum(n), 0), count(*) FROM groups"
        ).fetchone()
        return int(n), int(n_groups)

    def _examples(self, key: str) -> tuple[tuple[Digest, ...], ...]:
        """Return the first traces of the first groups, in the order of their lowest ids."""
        firsts = self._database.execute(
            "SELECT key FROM groups ORDER BY first LIMIT ?", (_N_EXAMPLES,)
        ).fetchall()
        return tuple(
            tuple(
                from_raw(raw)
                for (raw,) in self._database.execute(
                    f"SELECT id FROM traces WHERE {key} = ? ORDER BY id LIMIT ?",  # noqa: S608 - constants
                    (value, _N_EXAMPLES),
                )
            )
            for (value,) in firsts
        )

    def _number(self, sql: str) -> int:
        self._flush()
        return int(self._database.execute(sql).fetchone()[0])


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
