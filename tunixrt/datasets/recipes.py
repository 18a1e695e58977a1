"""Recipes: which traces a dataset takes and how it splits them; part of the dataset digest.

A hash decides sampling and splitting per trace, not a generator that runs over a list, so that they
are stable under growth: a sample stays the same if traces outside of it are added, all traces of
one prompt (or of one group) share a split, and no trace ever moves from train to test.
"""

from __future__ import annotations

import hashlib
import math
import re
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.datasets.dedupe import parse_rule
from tunixrt.datasets.expressions.parsing import parse_field
from tunixrt.datasets.expressions.where import parse_where
from tunixrt.datasets.sql import SqlQuery, sql_query
from tunixrt.errors import BadInputError
from tunixrt.log.canonical import MAX_INTEGER, encode
from tunixrt.words import did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tunixrt.log.digests import Digest


class RecipeError(BadInputError):
    """A recipe that is not valid."""


class SelectionStrategy(StrEnum):
    """Which of the matching traces are taken if a limit leaves some out."""

    LATEST = "latest"
    RANDOM = "random"


class Split(StrEnum):
    """What a member of a dataset is for."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A validated recipe with its defaults filled in; made by :func:`make_recipe`.

    ``filters`` maps keys to the text that they must have. ``splits`` maps ``test`` and
    ``validation`` to their fractions as decimal text, without trailing zeros; the rest is train.
    ``seed`` is None if and only if nothing depends on it. The other fields are absent from the
    canonical JSON if they are None: ``where`` is an expression in canonical form, ``sql`` a query
    that selects too, ``group_by`` the field whose values share a split, ``stratify`` the field for
    whose values splits are counted, ``dedupe`` the rule by which traces that repeat an earlier one
    are left out.
    """

    filters: dict[str, str]
    selection_strategy: SelectionStrategy
    limit: int | None
    seed: int | None
    splits: dict[str, str]
    where: str | None = None
    group_by: str | None = None
    stratify: str | None = None
    sql: SqlQuery | None = None
    dedupe: str | None = None


_DECIMAL: Final = re.compile(r"([0-9]{1,20})?(?:\.([0-9]{0,20}))?", re.ASCII)


def make_recipe(
    *,
    filters: Mapping[str, str] | None = None,
    where: str | Iterable[str] | None = None,
    sql: str | SqlQuery | None = None,
    selection_strategy: str = SelectionStrategy.LATEST,
    limit: int | None = None,
    seed: int | None = None,
    splits: Mapping[str, str | float | Decimal] | None = None,
    group_by: str | None = None,
    stratify: str | None = None,
    dedupe: str | None = None,
) -> Recipe:
    """Return a validated recipe with its defaults filled in.

    Args:
        filters: Metadata that a trace must have, as text.
        where: An expression that a trace must match, or several texts as ``--where`` takes them.
        sql: A query that returns the ids of traces, or one that was recorded, which is not checked.
        selection_strategy: ``latest`` (the end of the log's order) or ``random``.
        limit: How many traces at most, at least 1; None for all of them.
        seed: From 0 upwards; ``random`` demands one, splits use 0 where none is given.
        splits: The fractions of ``test`` and ``validation``: numbers, or decimal text such as
            ``0.1``. A float means the shortest decimal that Python prints for it.
        group_by: The field whose values share a split; a trace without it is placed by its prompt.
        stratify: The field for whose values the manifest counts the splits.
        dedupe: ``prompt``, ``normalised`` or ``near:THRESHOLD``; see `tunixrt.datasets.dedupe`.

    Raises:
        RecipeError: An argument is invalid.
        ExpressionError: An expression, or the name of a field, is invalid.
        FilterError: Two filters ask for two values of one key.
        SqlError: The query may not be run.
        DedupeError: The rule for duplicates does not exist.
        MissingExtraError: A query is given, and DuckDB is not installed.
    """
    asked = parse_where(where)
    filters = dict(filters or {}) | asked.filters
    try:
        strategy = SelectionStrategy(selection_strategy)
    except ValueError:
        raise RecipeError(
            f"There is no selection strategy {quoted(selection_strategy)}. "
            f"{did_you_mean(selection_strategy, [*SelectionStrategy])}"
        ) from None
    if limit is not None and not 1 <= limit <= MAX_INTEGER:
        raise RecipeError(f"The limit should be at least 1, but is {limit}.")
    if seed is not None and not 0 <= seed <= MAX_INTEGER:
        raise RecipeError(f"The seed should be a whole number from 0 to 2^53 - 1, but is {seed}.")
    if strategy is SelectionStrategy.RANDOM and seed is None:
        raise RecipeError(
            "The selection strategy random demands a seed: without one, the same traces "
            "could not be selected again."
        )
    for key, wanted in filters.items():
        if not isinstance(wanted, str):
            raise RecipeError(
                f"The filter {quoted(key)} should be text, as metadata is compared as text: "
                f"{quoted(str(wanted))} in quotes, not {wanted!r}."
            )
    fractions = _checked_splits(splits or {})
    needs_seed = bool(fractions) or strategy is SelectionStrategy.RANDOM
    return Recipe(
        filters=filters,
        selection_strategy=strategy,
        limit=limit,
        seed=(seed or 0) if needs_seed else None,
        splits=fractions,
        where=asked.text,
        group_by=_split_field(group_by, fractions),
        stratify=_split_field(stratify, fractions),
        sql=sql_query(sql) if isinstance(sql, str) else sql,
        dedupe=None if dedupe is None else parse_rule(dedupe),
    )


def _split_field(name: str | None, fractions: Mapping[str, str]) -> str | None:
    """Return the canonical name of a field that decides splits; None where nothing is split."""
    if name is None:
        return None
    field = str(parse_field(name))
    return field if fractions else None


def _checked_splits(splits: Mapping[str, str | float | Decimal]) -> dict[str, str]:
    allowed = [Split.TEST.value, Split.VALIDATION.value]
    checked: dict[str, str] = {}
    for name, given in splits.items():
        if name not in allowed:
            hint = (
                "The split train is what test and validation leave."
                if name == Split.TRAIN
                else did_you_mean(name, allowed)
            )
            raise RecipeError(f"There is no fraction to give for a split {quoted(name)}. {hint}")
        fraction = _plain_fraction(name, _decimal_text(given))
        if fraction != "0":
            checked[name] = fraction
    total = sum((Fraction(text) for text in checked.values()), Fraction(0))
    if total > 1:
        shown = " and ".join(f"{name} {text}" for name, text in checked.items())
        raise RecipeError(f"The fractions of the splits exceed 1: {shown}.")
    return checked


def _decimal_text(given: object) -> str:
    """A fraction as decimal text, ``0.1`` of 0.1; the text of another value is refused."""
    if isinstance(given, int | float | Decimal) and not isinstance(given, bool):
        number = Decimal(repr(given)) if isinstance(given, float) else Decimal(given)
        return f"{number:f}"
    return str(given)


def _plain_fraction(name: str, text: str) -> str:
    """Return the normal form of a decimal: ``0.1`` for ``.1`` and ``0.100``."""
    match = _DECIMAL.fullmatch(text.strip())
    if match is None or not (match[1] or match[2]):
        raise RecipeError(
            f"The fraction of the split {name} should be a decimal number from 0 to 1, such as "
            f"0.1, but is {quoted(text)}."
        )
    whole = (match[1] or "").lstrip("0") or "0"
    decimals = (match[2] or "").rstrip("0")
    return f"{whole}.{decimals}" if decimals else whole


def sample_key(seed: int, trace: Digest) -> bytes:
    """Return the eight bytes by which a random selection orders traces; the lowest are taken."""
    return _key("sample", seed, trace)


def split_key(seed: int, prompt: str) -> int:
    """Return the number from 0 to 2^64 - 1 that assigns a prompt to a split."""
    return int.from_bytes(_key("split", seed, prompt), "big")


def group_key(seed: int, value: object) -> int:
    """Return the number from 0 to 2^64 - 1 that assigns a group, by its value, to a split."""
    key = hashlib.sha256(encode(["group", seed, value])).digest()[:8]
    return int.from_bytes(key, "big")


# Two texts and a whole number below 2^53: msgspec's bytes are RFC 8785's.
_encode = msgspec.json.Encoder().encode


def _key(use: str, seed: int, subject: str) -> bytes:
    return hashlib.sha256(_encode([use, seed, subject])).digest()[:8]


class Splitter:
    """Assigns prompts, or groups, to the splits of a recipe."""

    def __init__(self, recipe: Recipe) -> None:
        self._seed = recipe.seed or 0
        test = Fraction(recipe.splits.get(Split.TEST, "0"))
        validation = Fraction(recipe.splits.get(Split.VALIDATION, "0"))
        # k / 2^64 < f for a whole k and an exact fraction f: k < ceil(f * 2^64).
        self._test_below = math.ceil(test * 2**64)
        self._validation_below = math.ceil((test + validation) * 2**64)
        self._splits = bool(recipe.splits)

    def split_of(self, prompt: str, group: object = None) -> Split:
        """Return the split of every trace of a group; without one, of every one with this prompt.

        Args:
            prompt: Of the trace.
            group: The JSON value that names its group; None if it is not in any.
        """
        if not self._splits:
            return Split.TRAIN
        key = split_key(self._seed, prompt) if group is None else group_key(self._seed, group)
        if key < self._test_below:
            return Split.TEST
        return Split.VALIDATION if key < self._validation_below else Split.TRAIN
