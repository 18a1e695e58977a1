"""Arithmetic with worked steps: data that can be regenerated, for tests and first runs.

A problem belongs to the held-out pool if and only if the first byte of the SHA-256 of its
canonical text is below 32 (one problem in eight); the canonical text of ``a + b`` and ``b + a`` is
the same. So training and held-out problems are disjoint for all seeds, counts and versions of
tunixrt, as long as that rule is unchanged.

A problem is worked column by column from the right, as on paper. How a column is written is a
:class:`Notation`: small models learn some notations far more easily than others.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.traces.prng import Sha256Stream
from tunixrt.traces.schema import TRACE_VERSION, Trace, TraceStep
from tunixrt.words import did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SOURCE: Final = "arithmetic"

#: A problem is held out when the first byte of its digest is below this: 32 of 256.
HELD_OUT_BELOW: Final = 32

#: Every operand, carry and sum stays a small number; longer columns are of no use.
MAX_DIGITS: Final = 12


class GenerateError(BadInputError):
    """Problems that cannot be generated with these arguments."""


class Kind(StrEnum):
    """The kinds of problem."""

    ADDITION = "addition"
    SUBTRACTION = "subtraction"
    MULTIPLICATION = "multiplication"


class DigitColumn(msgspec.Struct, frozen=True):
    """One column of a worked problem.

    ``top`` and ``bottom`` are the digits of the two operands (in a multiplication, ``bottom`` is
    the multiplier), ``carried`` the carry or borrow that comes in, ``digit`` the digit that is
    written, ``carry`` the carry or borrow that goes out. ``written`` is the result so far, from
    this column rightwards, and ``remaining`` counts the columns still to come.
    """

    top: int
    bottom: int
    carried: int
    digit: int
    carry: int
    written: str
    remaining: int


class Notation(msgspec.Struct, frozen=True, kw_only=True):
    """How problems and columns are written: format strings in one place, easy to tune.

    A prompt may use ``left`` and ``right``; a column the fields of :class:`DigitColumn` and
    ``product`` (``top`` times ``bottom``); ``closing``, an optional last step, may use
    ``answer`` and ``padded`` (the answer with its leading zero).

    The default writes true equations of one length, so that every digit to copy is at a fixed
    distance and each equation decides one thing. The sum ``7+8+0=15`` shows the carry and then
    the digit; the difference ``3-8-0=-10+5`` the borrow, ten or nothing, and then the digit;
    the product ``4*7+6=28+6=34`` the times table and then a sum.
    """

    addition_prompt: str = "{left}+{right}"
    addition_column: str = "{top}+{bottom}+{carried}={carry}{digit}"
    subtraction_prompt: str = "{left}-{right}"
    subtraction_column: str = "{top}-{bottom}-{carried}=-{carry}0+{digit}"
    multiplication_prompt: str = "{left}*{right}"
    multiplication_column: str = "{top}*{bottom}+{carried}={product:02d}+{carried}={carry}{digit}"
    closing: str | None = None


#: The notation that `generate_arithmetic` writes by default.
DEFAULT_NOTATION: Final = Notation()

#: The same columns, each followed by the result so far: longer, and the answer is only copied.
RUNNING_NOTATION: Final = Notation(
    addition_column="{top}+{bottom}+{carried}={carry}{digit} {written}",
    subtraction_column="{top}-{bottom}-{carried}=-{carry}0+{digit} {written}",
    multiplication_column=(
        "{top}*{bottom}+{carried}={product:02d}+{carried}={carry}{digit} {written}"
    ),
)


class Sample(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of an eval set."""

    id: str
    prompt: str
    expected_answer: str
    category: str
    difficulty: str


class Problem(msgspec.Struct, frozen=True):
    """One problem: two operands without leading zeros, and how it is solved."""

    kind: Kind
    left: int
    right: int
    n_digits: int

    @property
    def canonical(self) -> str:
        """The text that decides the pool; the same for both orders of a sum or a product."""
        operands = (self.left, self.right)
        if self.kind is not Kind.SUBTRACTION:
            operands = (min(operands), max(operands))
        return f"{self.kind} {operands[0]} {operands[1]}"

    @property
    def held_out(self) -> bool:
        """Whether the problem belongs to the held-out pool."""
        return hashlib.sha256(self.canonical.encode()).digest()[0] < HELD_OUT_BELOW

    @property
    def answer(self) -> int:
        """The result, by Python's own arithmetic and not by the columns."""
        match self.kind:
            case Kind.ADDITION:
                return self.left + self.right
            case Kind.SUBTRACTION:
                return self.left - self.right
            case Kind.MULTIPLICATION:
                return self.left * self.right

    @property
    def n_carries(self) -> int:
        """The number of columns that carry or borrow."""
        return sum(column.carry > 0 for column in self.columns())

    def columns(self) -> list[DigitColumn]:
        """The columns from the right to the left."""
        top = [int(c) for c in reversed(str(self.left))]
        bottom = [int(c) for c in reversed(str(self.right))]
        if self.kind is Kind.MULTIPLICATION:
            bottom *= len(top)
        bottom += [0] * (len(top) - len(bottom))
        columns: list[DigitColumn] = []
        carried, written = 0, ""
        for at, (a, b) in enumerate(zip(top, bottom, strict=True)):
            carry, digit = self._work(a, b, carried)
            written = f"{digit}{written}"
            remaining = len(top) - at - 1
            shown = f"{carry}{written}" if carry and not remaining else written
            columns.append(DigitColumn(a, b, carried, digit, carry, shown, remaining))
            carried = carry
        return columns

    def _work(self, top: int, bottom: int, carried: int) -> tuple[int, int]:
        match self.kind:
            case Kind.ADDITION:
                return divmod(top + bottom + carried, 10)
            case Kind.MULTIPLICATION:
                return divmod(top * bottom + carried, 10)
            case Kind.SUBTRACTION:
                borrow = int(top < bottom + carried)
                return borrow, top - bottom - carried + 10 * borrow

    def prompt(self, notation: Notation = DEFAULT_NOTATION) -> str:
        """The question."""
        template: str = getattr(notation, f"{self.kind}_prompt")
        return template.format(left=self.left, right=self.right)

    def steps(self, notation: Notation = DEFAULT_NOTATION) -> list[str]:
        """The worked columns as text, from the right to the left."""
        template: str = getattr(notation, f"{self.kind}_column")
        steps = [
            template.format(product=c.top * c.bottom, **msgspec.structs.asdict(c))
            for c in self.columns()
        ]
        if notation.closing is not None:
            padded = f"{self.answer:0{self.n_digits + 1}d}"
            steps.append(notation.closing.format(answer=self.answer, padded=padded))
        return steps

    def trace(self, notation: Notation = DEFAULT_NOTATION) -> Trace:
        """The problem as a trace."""
        return Trace(
            trace_version=TRACE_VERSION,
            prompt=self.prompt(notation),
            steps=tuple(
                TraceStep(i, "compute", content) for i, content in enumerate(self.steps(notation))
            ),
            final_answer=str(self.answer),
            meta={"source": SOURCE, "kind": str(self.kind), "n_digits": self.n_digits},
        )

    def sample(self, notation: Notation = DEFAULT_NOTATION) -> Sample:
        """The problem as a line of an eval set; no carry is easy, one medium, more hard."""
        return Sample(
            id=f"{self.kind}-{self.left}-{self.right}",
            prompt=self.prompt(notation),
            expected_answer=str(self.answer),
            category=str(self.kind),
            difficulty=("easy", "medium", "hard")[min(self.n_carries, 2)],
        )


def generate_arithmetic(
    *, kinds: Sequence[Kind | str], n_digits: int, n: int, seed: int, held_out: bool = False
) -> list[Problem]:
    """Yield distinct problems from one of the two pools, the kinds in rotation.

    With the same seed, a larger number starts with the same problems.

    Args:
        kinds: The kinds of problem, each once, or their names.
        n_digits: How many digits an operand has. A multiplier has one digit and is at least 2.
        n: How many problems.
        seed: Decides which problems, and their order. A whole number from 0 upwards.
        held_out: Whether to take from the held-out pool instead of the training pool.

    Raises:
        GenerateError: The pool holds fewer problems, or an argument is invalid.
    """
    named = [parse_kind(kind) for kind in kinds]
    _check(named, n_digits, n, seed)
    streams = {kind: _pool(kind, n_digits, seed, held_out=held_out) for kind in named}
    problems: list[Problem] = []
    for at in range(n):
        kind = named[at % len(named)]
        problem = next(streams[kind], None)
        if problem is None:
            pool = "held-out" if held_out else "training"
            n_found = at // len(named)
            wanted = -(-(n - at % len(named)) // len(named))
            raise GenerateError(
                f"There are only {n_found:,} {pool} problems of the kind {kind} with {n_digits} "
                f"{'digit' if n_digits == 1 else 'digits'}, but {wanted:,} are needed. Ask for "
                "fewer problems, more digits or other kinds."
            )
        problems.append(problem)
    return problems


def parse_kind(text: str) -> Kind:
    """Return the kind of this name.

    Raises:
        GenerateError: It does not exist; the message lists the kinds.
    """
    try:
        return Kind(text)
    except ValueError:
        raise GenerateError(
            f"There is no kind of problem {quoted(text)}. {did_you_mean(text, [*Kind])}"
        ) from None


def _check(kinds: Sequence[Kind], n_digits: int, n: int, seed: int) -> None:
    if not kinds or len(set(kinds)) != len(kinds):
        raise GenerateError(
            f"Name at least one kind of problem, and each only once; the kinds are "
            f"{', '.join(Kind)}."
        )
    if not 1 <= n_digits <= MAX_DIGITS:
        raise GenerateError(
            f"The number of digits should be from 1 to {MAX_DIGITS}, but is {n_digits}."
        )
    if n < 1:
        raise GenerateError(f"The number of problems should be at least 1, but is {n}.")
    if seed < 0:
        raise GenerateError(f"The seed should be a whole number from 0 upwards, but is {seed}.")


def _pool(kind: Kind, n_digits: int, seed: int, *, held_out: bool) -> Iterator[Problem]:
    """Yield every problem of a pool once, in the order that the seed decides."""
    least = 10 ** (n_digits - 1)
    n_operands = 9 * least
    n_right = 8 if kind is Kind.MULTIPLICATION else n_operands
    stream = Sha256Stream(f"{SOURCE} {kind} {n_digits} {seed}")
    for index in stream.permutation(n_operands * n_right):
        left, right = divmod(index, n_right)
        left += least
        right += 2 if kind is Kind.MULTIPLICATION else least
        if kind is Kind.SUBTRACTION and left < right:
            continue
        problem = Problem(kind, left, right, n_digits)
        if problem.held_out == held_out:
            yield problem
