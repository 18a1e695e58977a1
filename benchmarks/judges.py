"""How good are judges? Precision and recall over the pairs of tests/eval/judge_cases.jsonl.

    pip install 'math-verify[antlr4-13-2]' && python -m benchmarks.judges

The other judges are those that people use for answers of this kind:

- The two filters of the task gsm8k of EleutherAI's lm-evaluation-harness (version 3.0 of
  lm_eval/tasks/gsm8k/gsm8k.yaml, as of lm-eval 0.4.13), each followed by the exact match of that
  file. The regular expressions stand here as data; the harness itself is not needed. The strict one
  asks for GSM8K's `#### 42`, so it is shown once more on responses whose `Answer:` is written so.
- math-verify as its documentation uses it: `verify(parse(expected), parse(response))`; where
  nothing is read of the expected answer, it is parsed once more between dollar signs.

Precision is the share of right ones among the responses that a judge calls right, recall the share
of the right ones that it calls right. Prints a table over all pairs, and one over those whose
expected answer is a plain number, which is all that the filters of the harness are made for.
"""

from __future__ import annotations

import json
import re
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tunixrt.eval.judge.judges import judge_by_name
from tunixrt.eval.judge.math_verify import MathVerifyMissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Decide = Callable[[str, str], bool]

CASES = Path(__file__).parents[1] / "tests" / "eval" / "judge" / "judge_cases.jsonl"
PLAIN_NUMBER = re.compile(r"-?\$?\d[\d,]*(\.\d+)?")

STRICT_MATCH = re.compile(r"#### (\-?[0-9\.\,]+)"), 0
FLEXIBLE_EXTRACT = re.compile(r"(-?[$0-9.,]{2,})|(-?[0-9]+)"), -1
ANSWER = re.compile(r"^Answer:", re.MULTILINE)
IGNORED = (",", r"\$", r"(?s).*#### ", r"\.$")


class Case(NamedTuple):
    """An expected answer, a response, and whether it is right."""

    expected: str
    response: str
    correct: bool


def main() -> None:
    cases = [
        Case(row["expected"], row["response"], row["correct"])
        for row in map(json.loads, CASES.read_text().splitlines())
    ]
    numbers = [case for case in cases if PLAIN_NUMBER.fullmatch(case.expected)]
    judges = all_judges()
    for title, chosen in (("All pairs", cases), ("Pairs that expect a plain number", numbers)):
        n_right = sum(case.correct for case in chosen)
        print(f"{title}: {len(chosen)}, of which {n_right} are right.\n")
        print("| Judge | Called right | Of these wrong | Precision | Recall |")
        print("| :-- | --: | --: | --: | --: |")
        for name, decide in judges.items():
            print(row(name, decide, chosen))
        print()


def all_judges() -> dict[str, Decide]:
    judges: dict[str, Decide] = {}
    for name in ("exact", "verbatim"):
        judge = judge_by_name(name)
        judges[f"tunixrt `{name}` {judge.version}"] = ours(name)
    judges["lm-eval gsm8k `strict-match`"] = harness(*STRICT_MATCH)
    strict = harness(*STRICT_MATCH)
    judges["the same, with `Answer:` as `####`"] = lambda expected, response: strict(
        expected, ANSWER.sub("####", response)
    )
    judges["lm-eval gsm8k `flexible-extract`"] = harness(*FLEXIBLE_EXTRACT)
    try:
        version = judge_by_name("math-verify").version
    except MathVerifyMissingError as error:
        print(f"{error}\n")
        return judges
    judges[f"math-verify {metadata.version('math-verify')}"] = math_verify()
    judges[f"tunixrt `math-verify` {version.partition('+')[0]}, on the same"] = ours("math-verify")
    return judges


def ours(name: str) -> Decide:
    judge = judge_by_name(name)
    return lambda expected, response: judge(expected=expected, response=response).correct


def harness(pattern: re.Pattern[str], place: int) -> Decide:
    """A filter of the harness, and its exact match."""

    def decide(expected: str, response: str) -> bool:
        found = pattern.findall(response)
        match = found[place] if found else "[invalid]"
        if isinstance(match, tuple):
            match = next((group for group in match if group), "[invalid]")
        return _compared(match.strip()) == _compared(expected)

    return decide


def _compared(text: str) -> str:
    for ignored in IGNORED:
        text = re.sub(ignored, "", text)
    return text.lower()


def math_verify() -> Decide:
    import math_verify as library

    def decide(expected: str, response: str) -> bool:
        gold = library.parse(expected) or library.parse(f"${expected}$")
        return bool(library.verify(gold, library.parse(response)))

    return decide


def row(name: str, decide: Decide, cases: Sequence[Case]) -> str:
    called = [case for case in cases if decide(case.expected, case.response)]
    n_true, n_right = sum(c.correct for c in called), sum(c.correct for c in cases)
    precision = f"{n_true / len(called):.3f}" if called else "none"
    counts = f"{len(called)} | {len(called) - n_true}"
    return f"| {name} | {counts} | {precision} | {n_true / n_right:.3f} |"


if __name__ == "__main__":
    main()
