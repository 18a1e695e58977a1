"""How good are judges? Precision and recall over labelled pairs.

    pip install 'math-verify[antlr4-13-2]' && python -m benchmarks.judges

The pairs:

- tests/eval/judge/judge_cases.jsonl, which the first version of `exact` was made with.
- The grammars of tests/eval/judge/judge_pairs.py and judge_pairs_held_out.py, written before the
  second version; the families of responses that continue with another question have a table of
  their own.
- Four models' solutions of GSM8K with the labels of their authors, each also compared with the
  ground truth of another question: example_model_solutions.jsonl of
  https://github.com/openai/grade-school-math, where TUNIXRT_GSM8K_SOLUTIONS says; left out without.

The other judges are those that people use for answers of this kind:

- The two filters of the task gsm8k of EleutherAI's lm-evaluation-harness (version 3.0 of
  lm_eval/tasks/gsm8k/gsm8k.yaml, as of lm-eval 0.4.13), each followed by the exact match of that
  file. The regular expressions stand here as data; the harness itself is not needed. The strict one
  asks for GSM8K's `#### 42`, so it is shown once more on responses whose `Answer:` (or `A:`, as in
  the solutions) is written so.
- math-verify as its documentation uses it: `verify(parse(expected), parse(response))`; where
  nothing is read of the expected answer, it is parsed once more between dollar signs.

Precision is the share of right ones among the responses that a judge calls right, recall the share
of the right ones that it calls right.
"""

from __future__ import annotations

import json
import re
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.eval.judge import judge_pairs, judge_pairs_held_out
from tests.eval.judge.judge_grammar import pairs
from tests.eval.judge.judge_pairs_solutions import other_questions, public_labels, solutions_file
from tunixrt.eval.judge.judges import judge_by_name
from tunixrt.eval.judge.math_verify import MathVerifyMissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import ModuleType

    from tests.eval.judge.judge_grammar import Family, Pair

    Decide = Callable[[str, str], bool]

CASES = Path(__file__).parents[1] / "tests" / "eval" / "judge" / "judge_cases.jsonl"
PLAIN_NUMBER = re.compile(r"-?\$?\d[\d,]*(\.\d+)?")

STRICT_MATCH = re.compile(r"#### (\-?[0-9\.\,]+)"), 0
FLEXIBLE_EXTRACT = re.compile(r"(-?[$0-9.,]{2,})|(-?[0-9]+)"), -1
ANSWER = re.compile(r"^(?:Answer|A):", re.MULTILINE)
IGNORED = (",", r"\$", r"(?s).*#### ", r"\.$")


class Case(NamedTuple):
    """An expected answer, a response, and whether it is right."""

    expected: str
    response: str
    correct: bool
    family: str = ""


def main() -> None:
    judges = all_judges()
    for title, cases in all_cases():
        if cases:
            n_right = sum(case.correct for case in cases)
            print(f"{title}: {len(cases):,}, of which {n_right:,} are right.\n")
            print("| Judge | Called right | Of these wrong | Precision | Recall |")
            print("| :-- | --: | --: | --: | --: |")
            for name, decide in judges.items():
                print(row(name, decide, cases))
            print()
    print_families(judges)


def all_cases() -> Iterator[tuple[str, list[Case]]]:
    old = [
        Case(row["expected"], row["response"], row["correct"])
        for row in map(json.loads, CASES.read_text().splitlines())
    ]
    yield "The pairs of version 1", old
    numbers = [case for case in old if PLAIN_NUMBER.fullmatch(case.expected)]
    yield "Those of them that expect a plain number", numbers
    looked_at, held_out = grammar_pairs(judge_pairs), grammar_pairs(judge_pairs_held_out)
    run_on = running_on()
    yield "New pairs that were looked at", [c for c in looked_at if c.family not in run_on]
    yield "New pairs that were held out", [c for c in held_out if c.family not in run_on]
    yield (
        "New pairs that run on into another question",
        [c for c in looked_at + held_out if c.family in run_on],
    )
    path = solutions_file()
    if path is None:
        print("The solutions of GSM8K are not at hand: set TUNIXRT_GSM8K_SOLUTIONS.\n")
        return
    yield "GSM8K solutions, public labels", [as_case(pair) for pair in public_labels(path)]
    yield (
        "GSM8K solutions, right ones and the same with another question's answer",
        [as_case(pair) for pair in public_labels(path) if pair.correct]
        + [as_case(pair) for pair in other_questions(path)],
    )


def families(module: ModuleType) -> tuple[Family, ...]:
    found: tuple[Family, ...] = module.OPEN if module is judge_pairs else module.HELD_OUT
    return found


def grammar_pairs(module: ModuleType) -> list[Case]:
    return [as_case(pair) for pair in pairs(families(module), module.WORDS, module.SEED)]


def running_on() -> set[str]:
    both = (*families(judge_pairs), *families(judge_pairs_held_out))
    return {family.name for family in both if family.run_on}


def as_case(pair: Pair) -> Case:
    return Case(pair.expected, pair.response, pair.correct, pair.family)


def print_families(judges: dict[str, Decide]) -> None:
    run_on = running_on()
    exact, first = (
        next(decide for name, decide in judges.items() if f"`{wanted}`" in name)
        for wanted in ("exact", "exact-first")
    )
    print("| Family | Pairs | Right | Called right | Of these wrong |")
    print("| :-- | --: | --: | --: | --: |")
    for module in (judge_pairs, judge_pairs_held_out):
        cases = grammar_pairs(module)
        for family in families(module):
            mine = [case for case in cases if case.family == family.name]
            decide = first if family.name in run_on else exact
            called = [case for case in mine if decide(case.expected, case.response)]
            n_right = sum(case.correct for case in mine)
            n_wrong = sum(not case.correct for case in called)
            print(f"| {family.name} | {len(mine)} | {n_right} | {len(called)} | {n_wrong} |")


def all_judges() -> dict[str, Decide]:
    judges: dict[str, Decide] = {}
    for name in ("exact", "exact-first", "verbatim"):
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
