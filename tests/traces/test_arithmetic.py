"""Generated arithmetic: right, distinct, disjoint, the same everywhere, and short."""

from __future__ import annotations

import hashlib
import itertools
import math
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunixrt.datasets.render import DataFormat, Special, render_example
from tunixrt.traces.arithmetic import (
    HELD_OUT_BELOW,
    RUNNING_NOTATION,
    GenerateError,
    Kind,
    Notation,
    Problem,
    Sample,
    generate_arithmetic,
)
from tunixrt.traces.importers.table import imported
from tunixrt.traces.prng import Sha256Stream
from tunixrt.traces.schema import payload_of

if TYPE_CHECKING:
    from collections.abc import Iterable

EVERY = tuple(Kind)


def pairs(problems: Iterable[Problem]) -> set[tuple[Kind, int, int]]:
    return {(p.kind, p.left, p.right) for p in problems}


@pytest.mark.parametrize(
    ("problem", "prompt", "steps", "answer"),
    [
        (Problem(Kind.ADDITION, 357, 648, 3), "357+648",
         ["7+8+0=15", "5+4+1=10", "3+6+1=10"], "1005"),
        (Problem(Kind.SUBTRACTION, 503, 167, 3), "503-167",
         ["3-7-0=-10+6", "0-6-1=-10+3", "5-1-1=-00+3"], "336"),
        (Problem(Kind.SUBTRACTION, 44, 44, 2), "44-44", ["4-4-0=-00+0", "4-4-0=-00+0"], "0"),
        (Problem(Kind.MULTIPLICATION, 406, 7, 3), "406*7",
         ["6*7+0=42+0=42", "0*7+4=00+4=04", "4*7+0=28+0=28"], "2842"),
    ],
)  # fmt: skip
def test_a_problem_is_written_out_column_by_column(
    problem: Problem, prompt: str, steps: list[str], answer: str
) -> None:
    assert problem.prompt() == prompt
    assert problem.steps() == steps
    assert str(problem.answer) == answer


def test_the_first_problems_of_a_seed_are_these_for_ever() -> None:
    problems = generate_arithmetic(kinds=EVERY, n_digits=3, n=6, seed=0)
    assert [p.prompt() for p in problems] == GOLDEN
    held_out = generate_arithmetic(kinds=[Kind.ADDITION], n_digits=3, n=2, seed=0, held_out=True)
    assert [p.prompt() for p in held_out] == GOLDEN_HELD_OUT


GOLDEN = ["146+283", "998-937", "556*5", "780+105", "618-287", "458*4"]
GOLDEN_HELD_OUT = ["984+400", "476+861"]


def test_a_problem_becomes_a_sound_trace_and_a_line_of_an_eval_set() -> None:
    problem = Problem(Kind.ADDITION, 357, 648, 3)
    whole = problem.trace()
    assert imported(whole).payload == payload_of(whole)
    assert whole.meta == {"source": "arithmetic", "kind": "addition", "n_digits": 3}
    assert problem.sample() == Sample("addition-357-648", "357+648", "1005", "addition", "hard")
    assert Problem(Kind.ADDITION, 11, 22, 2).sample().difficulty == "easy"
    assert Problem(Kind.ADDITION, 19, 22, 2).sample().difficulty == "medium"


def test_the_notation_is_an_argument() -> None:
    problem = Problem(Kind.ADDITION, 357, 648, 3)
    assert problem.steps(RUNNING_NOTATION) == ["7+8+0=15 5", "5+4+1=10 05", "3+6+1=10 1005"]
    notation = Notation(
        addition_prompt="What is {left} + {right}?", addition_column="{digit}", closing="={padded}"
    )
    whole = problem.trace(notation)
    assert whole.prompt == problem.sample(notation).prompt == "What is 357 + 648?"
    assert [step.content for step in whole.steps] == ["5", "0", "0", "=1005"]


@pytest.mark.parametrize("kind", EVERY)
def test_a_rendered_three_digit_problem_fits_into_97_tokens_of_bytes(kind: Kind) -> None:
    for problem in generate_arithmetic(kinds=[kind], n_digits=3, n=500, seed=1):
        payload = payload_of(problem.trace())
        example = render_example(
            problem.trace(), imported(problem.trace()).id, data_format=DataFormat.TUNIX_SFT
        )
        n_tokens = sum(
            1 if isinstance(piece, Special) else len(piece.encode())
            for part in example.parts
            for piece in part.pieces
        )
        assert n_tokens <= 97, payload


@pytest.mark.parametrize("kind", EVERY)
def test_every_column_of_a_kind_has_one_length(kind: Kind) -> None:
    problems = generate_arithmetic(kinds=[kind], n_digits=4, n=300, seed=2)
    assert len({len(step) for p in problems for step in p.steps()}) == 1


@pytest.mark.parametrize("kind", EVERY)
def test_both_sides_of_every_equals_sign_of_a_column_are_equal(kind: Kind) -> None:
    steps = [
        step
        for problem in generate_arithmetic(kinds=[kind], n_digits=3, n=300, seed=3)
        for step in problem.steps()
        if "=" in step
    ]
    assert len(steps) >= 300
    for step in steps:
        assert len({value_of(side) for side in step.split("=")}) == 1, step


def value_of(side: str) -> int:
    """The value of sums, differences and products of numbers that may begin with a zero."""
    total = 0
    for sign, *factors in re.findall(r"([+-]?)(\d+)(?:\*(\d+))?", side):
        term = math.prod(int(factor) for factor in factors if factor)
        total += -term if sign == "-" else term
    return total


# The committed traces are additions: other texts would be other traces.
ADDITIONS_OF_SEED_0 = "a5e1a79058ef099b3935a76130ea600ee8a42105845558316469d005e2553156"


def test_the_committed_additions_keep_their_texts() -> None:
    problems = generate_arithmetic(kinds=[Kind.ADDITION], n_digits=3, n=6_000, seed=0)
    texts = b"".join(payload_of(problem.trace()) + b"\n" for problem in problems)
    assert hashlib.sha256(texts).hexdigest() == ADDITIONS_OF_SEED_0


@settings(max_examples=200)
@given(kind=st.sampled_from(EVERY), n_digits=st.integers(1, 12), data=st.data())
def test_the_written_digits_put_together_are_the_answer(
    kind: Kind, n_digits: int, data: st.DataObject
) -> None:
    operand = st.integers(10 ** (n_digits - 1), 10**n_digits - 1)
    left = data.draw(operand)
    right = data.draw(st.integers(2, 9) if kind is Kind.MULTIPLICATION else operand)
    if kind is Kind.SUBTRACTION:
        left, right = max(left, right), min(left, right)
    problem = Problem(kind, left, right, n_digits)
    columns = problem.columns()
    top = columns[-1].carry
    assert int(f"{top}" + "".join(str(c.digit) for c in reversed(columns))) == problem.answer
    assert int(columns[-1].written) == problem.answer
    assert [c.remaining for c in columns] == list(range(n_digits))[::-1]
    for column in columns:
        # Every column is a true statement by itself.
        match kind:
            case Kind.ADDITION:
                result = column.top + column.bottom + column.carried
                assert result == 10 * column.carry + column.digit
            case Kind.MULTIPLICATION:
                result = column.top * column.bottom + column.carried
                assert result == 10 * column.carry + column.digit
            case Kind.SUBTRACTION:
                result = column.top - column.bottom - column.carried
                assert result == column.digit - 10 * column.carry


@pytest.mark.parametrize(("kind", "n_digits"), [*itertools.product(EVERY, (2, 3, 6))])
def test_training_and_held_out_problems_are_different_whatever_the_seeds(
    kind: Kind, n_digits: int
) -> None:
    n = 60 if n_digits == 2 else 400
    train = [
        p for seed in range(3)
        for p in generate_arithmetic(kinds=[kind], n_digits=n_digits, n=n, seed=seed)
    ]  # fmt: skip
    held_out = [
        p for seed in range(3)
        for p in generate_arithmetic(kinds=[kind], n_digits=n_digits, n=n, seed=seed, held_out=True)
    ]  # fmt: skip
    assert pairs(train).isdisjoint(pairs(held_out))
    # Neither is the other order of one to be found in the other.
    swapped = {(k, b, a) for k, a, b in pairs(held_out)}
    if kind is not Kind.SUBTRACTION:
        assert pairs(train).isdisjoint(swapped)


def test_the_pool_of_a_problem_is_that_of_the_documented_rule() -> None:
    problem = Problem(Kind.ADDITION, 648, 357, 3)
    assert problem.canonical == "addition 357 648"
    first_byte = hashlib.sha256(b"addition 357 648").digest()[0]
    assert problem.held_out == (first_byte < HELD_OUT_BELOW)
    assert Problem(Kind.SUBTRACTION, 648, 357, 3).canonical == "subtraction 648 357"


def test_problems_are_distinct_and_more_of_them_begin_with_the_same() -> None:
    many = generate_arithmetic(kinds=EVERY, n_digits=2, n=900, seed=3)
    assert len(pairs(many)) == 900
    assert generate_arithmetic(kinds=EVERY, n_digits=2, n=100, seed=3) == many[:100]
    assert generate_arithmetic(kinds=EVERY, n_digits=2, n=100, seed=4) != many[:100]
    assert [p.kind for p in many[:4]] == [*EVERY, Kind.ADDITION]


@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("kind", EVERY)
def test_a_pool_can_be_emptied_and_not_beyond(kind: Kind, *, held_out: bool) -> None:
    everything = [
        problem
        for left in range(10, 100)
        for right in (range(2, 10) if kind is Kind.MULTIPLICATION else range(10, 100))
        if kind is not Kind.SUBTRACTION or left >= right
        for problem in [Problem(kind, left, right, 2)]
        if problem.held_out == held_out
    ]
    n = len(everything)
    found = generate_arithmetic(kinds=[kind], n_digits=2, n=n, seed=5, held_out=held_out)
    assert pairs(found) == pairs(everything)
    with pytest.raises(GenerateError) as error:
        generate_arithmetic(kinds=[kind], n_digits=2, n=n + 1, seed=5, held_out=held_out)
    pool = "held-out" if held_out else "training"
    assert str(error.value) == (
        f"There are only {n:,} {pool} problems of the kind {kind} with 2 digits, but {n + 1:,} are "
        "needed. Ask for fewer problems, more digits or other kinds."
    )


def test_the_shortage_of_one_kind_among_several_is_named_with_what_it_needs() -> None:
    with pytest.raises(GenerateError) as error:
        generate_arithmetic(kinds=EVERY, n_digits=1, n=50, seed=0, held_out=True)
    assert "with 1 digit, but 17 are needed" in str(error.value)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"kinds": []}, "Name at least one kind of problem, and each only once"),
        ({"kinds": [Kind.ADDITION, Kind.ADDITION]}, "each only once"),
        ({"kinds": ["adition"]}, 'There is no kind of problem "adition". Did you mean "addition"?'),
        ({"n_digits": 0}, "The number of digits should be from 1 to 12, but is 0."),
        ({"n_digits": 13}, "but is 13."),
        ({"n": 0}, "The number of problems should be at least 1, but is 0."),
        ({"seed": -1}, "The seed should be a whole number from 0 upwards, but is -1."),
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    changes: dict[str, object], sentence: str
) -> None:
    arguments: dict[str, object] = {"kinds": EVERY, "n_digits": 2, "n": 1, "seed": 0, **changes}
    with pytest.raises(GenerateError) as error:
        generate_arithmetic(**arguments)  # type: ignore[arg-type]
    assert sentence in str(error.value)


def test_twelve_digits_need_no_list_of_all_problems() -> None:
    problems = generate_arithmetic(kinds=[Kind.ADDITION], n_digits=12, n=50, seed=0)
    assert all(len(str(p.left)) == len(str(p.right)) == 12 for p in problems)


# The generator of numbers


def test_the_stream_of_a_seed_is_these_numbers_for_ever() -> None:
    stream = Sha256Stream("arithmetic addition 3 0")
    words = [stream.below(2**64) for _ in range(5)]
    expected = b"".join(
        hashlib.sha256(b"arithmetic addition 3 0\n%d" % block).digest() for block in range(2)
    )
    assert words == [int.from_bytes(expected[at : at + 8], "big") for at in range(0, 40, 8)]


def test_words_that_would_favour_small_numbers_are_thrown_away() -> None:
    bound = 2**63 + 1  # one word in two is beyond the largest multiple
    words, stream = Sha256Stream("x"), Sha256Stream("x")
    kept = [word for word in (words.below(2**64) for _ in range(64)) if word < bound]
    assert [stream.below(bound) for _ in kept] == kept


def test_a_bound_beyond_one_word_takes_several() -> None:
    stream = Sha256Stream("x")
    drawn = [stream.below(2**80) for _ in range(50)]
    assert 2**64 < max(drawn) < 2**80
    assert stream.below(1) == 0


def test_small_bounds_are_hit_evenly() -> None:
    stream = Sha256Stream("even")
    counts = [0] * 6
    for _ in range(6_000):
        counts[stream.below(6)] += 1
    assert all(880 < count < 1_120 for count in counts)


@given(n=st.integers(0, 60), take=st.integers(0, 60))
def test_a_permutation_holds_every_number_once_and_is_the_same_however_much_is_taken(
    n: int, take: int
) -> None:
    whole = list(Sha256Stream("p").permutation(n))
    assert sorted(whole) == list(range(n))
    assert list(itertools.islice(Sha256Stream("p").permutation(n), take)) == whole[:take]
