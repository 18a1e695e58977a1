"""Sweeps: products of hundreds of cases, of which `make test` runs a part and `make promises` all.

A part holds every row and every column of the product, so that every kind of case is in it. Nothing
is drawn: a case is in the part, or not, by its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable


def swept(cases: Iterable[Any], *, every: int) -> list[Any]:
    """Parameters of a test: one case of ``every`` is for `make test`, the others are the sweep."""
    return [
        pytest.param(case, marks=() if i % every == 0 else pytest.mark.sweep)
        for i, case in enumerate(cases)
    ]


def product(rows: Iterable[Any], columns: Iterable[Any], *, every: int) -> list[Any]:
    """Pairs of parameters, of which a diagonal of ``every`` is for `make test`.

    Raises:
        ValueError: There are fewer rows or columns than diagonals, so that one would be left out.
    """
    across, down = list(rows), list(columns)
    if min(len(across), len(down)) < every:
        raise ValueError(f"{len(across)} times {len(down)} cases are too few to take 1 of {every}")
    return [
        pytest.param(row, column, marks=() if (i + j) % every == 0 else pytest.mark.sweep)
        for i, row in enumerate(across)
        for j, column in enumerate(down)
    ]
