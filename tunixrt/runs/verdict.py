"""Is a run that was made again the same run? *identical*, *close* or *diverged*.

*identical*: every output file has the recorded digest. Demanded wherever it was promised: in
``portable`` mode on any machine, in ``fast`` mode within one numeric class.

*close*: only where identity was not promised, that is ``fast`` mode on another numeric class, or
other versions of the numeric packages. Rounding differences grow during training, so later steps
are judged as a whole and not one by one. The tolerances:

- the loss of each of the first 5 training steps within 2% of the recorded one;
- the mean loss of the last tenth of the steps within 0.05 nats or 50% of the recorded mean,
  whichever is larger;
- the average score of an evaluation within 5 points of the recorded one.

*diverged*: everything else, with the first training step, sample or file that differs.

Fingerprints of the weights name the step where identity was promised. Runs that were recorded
before there were any are compared without.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from tunixrt.log import canonical
from tunixrt.log.digests import Digest, digest_bytes
from tunixrt.log.stored import read_stored
from tunixrt.runs.directories import output_digests
from tunixrt.runs.step_differences import (
    first_step_that_differs,
    has_fingerprints,
    without_fingerprints,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt.runs.manifests import Manifest

N_EARLY_STEPS = 5
EARLY_LOSS_TOLERANCE = 0.02
LATE_LOSS_TOLERANCE_NATS = 0.05
LATE_LOSS_TOLERANCE = 0.5
SCORE_TOLERANCE_POINTS = 5.0


class Verdict(StrEnum):
    """The three answers of ``tunixrt reproduce``."""

    IDENTICAL = "identical"
    CLOSE = "close"
    DIVERGED = "diverged"


class Comparison(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One output file, as recorded and as made again; null where it is absent."""

    file: str
    recorded: Digest | None
    rebuilt: Digest | None

    @property
    def same(self) -> bool:
        """Whether both are the same bytes."""
        return self.recorded == self.rebuilt


class RunVerdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The answer for one run.

    ``expected`` is what was promised: identical, or close with the reasons in ``reasons``.
    ``first_difference`` names the first record or training step that differs, null when identical.
    """

    run_id: str
    kind: str
    verdict: Verdict
    expected: Verdict
    reasons: list[str]
    first_difference: str | None
    files: list[Comparison]


def judge_rebuilt(
    manifest: Manifest,
    recorded: Path,
    rebuilt: Path,
    *,
    rebuilt_score: float | None,
    reasons: list[str],
) -> RunVerdict:
    """Compare the outputs of a run with those that were made again.

    Args:
        manifest: the recorded run's manifest.
        recorded: its directory.
        rebuilt: the directory with the new outputs (no manifest needed).
        rebuilt_score: the average score of the new evaluation; None for training runs.
        reasons: why identity is not promised here; empty where it is.
    """
    found = _comparable(output_digests(rebuilt), recorded, rebuilt)
    files = [
        Comparison(file=name, recorded=manifest.outputs.get(name), rebuilt=found.get(name))
        for name in sorted(manifest.outputs.keys() | found.keys())
    ]
    if all(file.same for file in files):
        verdict, difference = Verdict.IDENTICAL, None
    else:
        try:
            difference = _first_difference(files, recorded, rebuilt, promised=not reasons)
            beyond = _beyond_tolerance(manifest, recorded, rebuilt, rebuilt_score)
        except _UNREADABLE:
            beyond = None
            difference = next(file.file for file in files if not file.same)
            difference += " as a whole"
            if reasons:
                beyond = "What the run recorded cannot be read: `tunixrt verify` names the file."
        verdict = Verdict.CLOSE if reasons and beyond is None else Verdict.DIVERGED
        if reasons and beyond is not None:
            difference = f"{beyond} First difference: {difference}"
    return RunVerdict(
        run_id=manifest.run_id,
        kind=type(manifest).__struct_config__.tag or "",  # type: ignore[arg-type]
        verdict=verdict,
        expected=Verdict.CLOSE if reasons else Verdict.IDENTICAL,
        reasons=reasons,
        first_difference=difference,
        files=files,
    )


#: What reading a recorded file says that is missing, or damaged, or something else altogether.
_UNREADABLE = (OSError, msgspec.MsgspecError, ValueError, RecursionError, canonical.CanonicalError)

METRICS = "metrics.jsonl"
WEIGHTS = "model/model.safetensors"

#: The files in which a difference can be named by record, in the order of cause and effect.
_BY_LINE = (("ledger.jsonl", "record"), (METRICS, "step"), ("predictions.jsonl", "sample"))


def _comparable(found: dict[str, Digest], recorded: Path, rebuilt: Path) -> dict[str, Digest]:
    """The digests of the new outputs, its metrics without what the recorded run did not write."""
    old, new = recorded / METRICS, rebuilt / METRICS
    try:
        if has_fingerprints(old) or not has_fingerprints(new):
            return found
    except _UNREADABLE:
        return found
    return found | {METRICS: digest_bytes(without_fingerprints(new))}


def _first_difference(
    files: list[Comparison], recorded: Path, rebuilt: Path, *, promised: bool
) -> str:
    differing = [file.file for file in files if not file.same]
    for name, noun in _BY_LINE:
        old, new = recorded / name, rebuilt / name
        if name in differing and old.is_file() and new.is_file():
            if name == METRICS:
                step = first_step_that_differs(old, new, fingerprints=promised)
                if step is not None:
                    return step
                if not promised and WEIGHTS in differing:
                    continue  # their fingerprints alone, and those need not be the same
            return f"{name}, {_first_line(old, new, noun)}"
    if WEIGHTS in differing and (recorded / METRICS).is_file():
        n_steps = len(read_stored(recorded / METRICS).splitlines())
        same = "loss and gradient norm of every step are the same"
        if promised and has_fingerprints(recorded / METRICS):
            return f"{WEIGHTS}: {same}, and so are the weights' fingerprints; the file is not"
        return f"{WEIGHTS}: the weights after step {n_steps}, the last; {same}"
    return f"{differing[0]} as a whole"


def _first_line(recorded: Path, rebuilt: Path, noun: str) -> str:
    old_lines = read_stored(recorded).splitlines()
    new_lines = read_stored(rebuilt).splitlines()
    for number, (old, new) in enumerate(zip(old_lines, new_lines, strict=False), start=1):
        if old != new:
            return f"line {number}: {_fields_that_differ(old, new, noun)}"
    return f"line {min(len(old_lines), len(new_lines)) + 1}: one of the two ends here"


def _fields_that_differ(old: bytes, new: bytes, noun: str) -> str:
    before, after = canonical.decode_stored(old), canonical.decode_stored(new)
    if not isinstance(before, dict) or not isinstance(after, dict):
        return f"{noun} differs"
    name = before.get("step", before.get("example_id", before.get("trace", "?")))
    name = f"{name}, draw {before['draw']}" if "draw" in before else name
    changed = [
        f"{key} was {_short(before.get(key))}, is {_short(after.get(key))}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]
    return f"{noun} {name}: {'; '.join(changed[:3])}"


def _short(value: object) -> str:
    text = canonical.encode(value).decode()
    return text if len(text) <= 60 else f"{text[:57]}..."


def _beyond_tolerance(
    manifest: Manifest, recorded: Path, rebuilt: Path, rebuilt_score: float | None
) -> str | None:
    """The sentence that says which tolerance is exceeded, or None when the two are close."""
    if rebuilt_score is not None:
        recorded_score = getattr(manifest.results, "avg_score")  # noqa: B009
        if abs(rebuilt_score - recorded_score) > SCORE_TOLERANCE_POINTS:
            return (
                f"The average score was {recorded_score:.2f}, is {rebuilt_score:.2f}: more than "
                f"{SCORE_TOLERANCE_POINTS:g} points apart."
            )
        return None
    return losses_beyond_tolerance(
        read_losses(recorded / "metrics.jsonl"), read_losses(rebuilt / "metrics.jsonl")
    )


def read_losses(path: Path) -> list[float]:
    """The loss of each training step, in order, from a ``metrics.jsonl``."""

    class _Line(msgspec.Struct):
        loss: float

    return [msgspec.json.decode(line, type=_Line).loss for line in read_stored(path).splitlines()]


def losses_beyond_tolerance(recorded: list[float], rebuilt: list[float]) -> str | None:
    """The sentence that says where two loss curves are not close, or None when they are."""
    if len(recorded) != len(rebuilt):
        return f"There were {len(recorded)} training steps, now there are {len(rebuilt)}."
    early = zip(recorded[:N_EARLY_STEPS], rebuilt[:N_EARLY_STEPS], strict=True)
    for step, (old, new) in enumerate(early, start=1):
        if abs(new - old) > EARLY_LOSS_TOLERANCE * abs(old):
            return f"The loss of step {step} was {old:.6g}, is {new:.6g}: more than 2% apart."
    tail = max(1, len(recorded) // 10)
    old_mean = math.fsum(recorded[-tail:]) / tail
    new_mean = math.fsum(rebuilt[-tail:]) / tail
    if abs(new_mean - old_mean) > max(LATE_LOSS_TOLERANCE_NATS, LATE_LOSS_TOLERANCE * old_mean):
        return (
            f"The mean loss of the last {tail} steps was {old_mean:.6g}, is {new_mean:.6g}: "
            "beyond 0.05 nats and 50%."
        )
    return None
