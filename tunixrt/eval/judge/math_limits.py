r"""What is too large or too slow to compare for sympy, decided without starting the comparison.

sympy may take minutes to simplify or solve an expression of one line, and how long depends on the
machine. So the judge ``math-verify`` compares only what these limits allow: they look at the text
before it is parsed, and at the expression before it is evaluated. Nothing is measured.

- A text has at most 400 characters and brackets at most 8 deep, because the parser takes time for
  each level; no tower of four powers; no factorial or binomial of numbers above 999.
- An expression has at most 150 parts and 6 functions (``sin``, ``log``), and no sum, product,
  integral, limit or derivative over a variable.
- A power of numbers has at most 1,000 digits; other exponents are at most 100 for a variable, 20
  for a sum, 6 where the base has a function in it.
- An equation beside another one, and an inequality, are solved: they have at most 40 parts, and no
  function but an absolute value. What gives a name its value (``y = \sin x``) is not solved.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_CHARACTERS: Final = 400
MAX_DEPTH: Final = 8
MAX_PARTS: Final = 150
MAX_PARTS_TO_SOLVE: Final = 40
MAX_FUNCTIONS: Final = 6
MAX_DIGITS: Final = 1000
MAX_EXPONENT: Final = 100
MAX_EXPONENT_OF_SUM: Final = 20
MAX_EXPONENT_OF_FUNCTION: Final = 6

_TOWER: Final = re.compile(r"(?:\^\s*[{(]*\s*(?:\w|\d+)\s*(?=\^)){3}")
_COMBINATORIAL: Final = re.compile(r"!|\\[dt]?binom|\\choose")
_LARGE: Final = re.compile(r"\d(?:,?\d){3}")
#: Classes of sympy that stand for a computation over a variable.
_OPERATIONS: Final = frozenset({"Sum", "Product", "Integral", "Limit", "Derivative", "Subs"})
_BRACKETS: Final = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


def text_beyond_limits(text: str) -> str | None:
    """Why a text is not parsed, as the end of a sentence; None if it is."""
    if len(text) > MAX_CHARACTERS:
        return f"has {len(text):,} characters, more than {MAX_CHARACTERS}"
    depth = deepest = 0
    for character in text:
        depth += _BRACKETS.get(character, 0)
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        return f"has brackets {deepest} deep, more than {MAX_DEPTH}"
    if _TOWER.search(text):
        return "has a tower of powers"
    if _COMBINATORIAL.search(text) and _LARGE.search(text):
        return "has a factorial or binomial of a number above 999"
    return None


def beyond_limits(expression: Any) -> str | None:
    """Why an expression of sympy is not compared, as the end of a sentence; None if it is."""
    import sympy

    if not isinstance(expression, sympy.Basic):
        return None  # the text of what could not be parsed
    parts = list(sympy.preorder_traversal(expression))
    if len(parts) > MAX_PARTS:
        return f"has {len(parts):,} parts, more than {MAX_PARTS}"
    for part in parts:
        if type(part).__name__ in _OPERATIONS:
            return f"has a computation over a variable ({type(part).__name__})"
    functions = [part for part in parts if _is_function(part)]
    if len(functions) > MAX_FUNCTIONS:
        return f"has {len(functions)} functions, more than {MAX_FUNCTIONS}"
    problems = (_of_power(part) for part in parts if isinstance(part, sympy.Pow))
    return next(filter(None, problems), None)


def _is_function(part: Any) -> bool:
    import sympy

    return isinstance(part, sympy.Function) and not isinstance(part, sympy.Abs)


def _of_power(power: Any) -> str | None:
    import sympy

    base, exponent = power.as_base_exp()
    if not isinstance(exponent, sympy.Rational):
        return "has a power of powers of numbers" if _is_tower(base, exponent) else None
    size = abs(exponent)
    if isinstance(base, sympy.Rational):
        n_digits = size * max(len(str(abs(base.p))), len(str(base.q)))
        return f"has a power of more than {MAX_DIGITS:,} digits" if n_digits > MAX_DIGITS else None
    limit = MAX_EXPONENT if isinstance(base, sympy.Symbol) else MAX_EXPONENT_OF_SUM
    if any(_is_function(part) for part in sympy.preorder_traversal(base)):
        limit = MAX_EXPONENT_OF_FUNCTION
    return f"has an exponent above {limit}" if size > limit else None


def _is_tower(base: Any, exponent: Any) -> bool:
    return bool(base.is_number and exponent.is_number and _has_power(exponent))


def _has_power(expression: Any) -> bool:
    import sympy

    return any(
        isinstance(part, sympy.Pow) and part.exp != -1
        for part in sympy.preorder_traversal(expression)
    )


def solving_beyond_limits(expression: Any, others: Sequence[Any]) -> str | None:
    """Why an expression is not solved, as the end of a sentence; None if it is, or need not be.

    Args:
        expression: one side of the comparison.
        others: what is read from the other side: an equation is solved only beside another one.
    """
    import sympy

    among_others = any(True for other in others for _ in _relations(other))
    for relation in _relations(expression):
        if isinstance(relation, sympy.Eq) and not among_others:
            continue
        parts = list(sympy.preorder_traversal(relation))
        if len(parts) > MAX_PARTS_TO_SOLVE:
            return f"has {len(parts)} parts to solve, more than {MAX_PARTS_TO_SOLVE}"
        if any(map(_is_function, parts)):
            return "is an equation or inequality with a function, which would be solved"
    return None


def _relations(expression: Any) -> Iterator[Any]:
    """Equations and inequalities, apart from those that give a name its value."""
    import sympy
    from sympy.core.function import AppliedUndef
    from sympy.core.relational import Relational

    if not isinstance(expression, sympy.Basic):
        return
    for part in sympy.preorder_traversal(expression):
        named = isinstance(part, sympy.Eq) and isinstance(part.lhs, sympy.Symbol | AppliedUndef)
        if isinstance(part, Relational) and not named:
            yield part
