"""Scorers that users write: a Python function of a trace, named as ``module:function``.

What a score came from is in its event: the function, and its version. The version is the
attribute ``version`` of the function; without one, the digest of the file that defines it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.functions import FunctionError, UserFunction, given_function, load_function
from tunixrt.log.canonical import MAX_INTEGER, CanonicalError, encode
from tunixrt.log.digests import digest_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunixrt.log.digests import Digest

_MAX_NAME: Final = 200


class ScorerError(BadInputError):
    """A scorer that cannot be loaded, or that did not return a score; nothing was recorded."""


class CustomScore(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A score that a user's function returned.

    Attributes:
        scorer: The name by which expressions know it, ``score.NAME``.
        score: The number.
        function: ``module:function``.
        version: Of the function.
        details: What else the function returned.
    """

    scorer: str
    score: float
    function: str
    version: str
    details: dict[str, Any] = msgspec.field(default_factory=dict)


class Scorer:
    """A function that scores traces; made by :func:`load_scorer`.

    Attributes:
        function: ``module:function``.
        name: The attribute ``name`` of the function; without one, the name of the function.
        version: The attribute ``version`` of the function; without one, the digest of its file.
    """

    def __init__(self, function: UserFunction) -> None:
        self.function = function.reference
        self.name = function.text_attribute("name") or self.function.rpartition(":")[2]
        if not 1 <= len(self.name) <= _MAX_NAME:
            raise ScorerError(
                f"The name of the scorer {self.function} should have 1 to {_MAX_NAME} characters, "
                f"but has {len(self.name):,}."
            )
        version, source = function.text_attribute("version"), function.source
        if not version and source is None:
            raise ScorerError(
                f"The scorer {self.function} has no source file whose digest could be its version: "
                f"give it an attribute `version`."
            )
        self.version = version or str(digest_bytes(source or b""))
        self._call = function

    def score(self, trace: object, identity: Digest) -> CustomScore:
        """Return the score of a trace.

        Args:
            trace: What the function receives.
            identity: Of the trace, for the message.

        Raises:
            ScorerError: The function failed, or returned something else than a score.
        """
        try:
            found = self._call(trace)
        except Exception as error:
            raise ScorerError(
                f"The scorer {self.function} failed at the trace {identity}: "
                f"{type(error).__name__}: {error}. Nothing was recorded."
            ) from error
        number: object = found
        details: object = {}
        if isinstance(found, dict):
            if not {"score"} <= found.keys() <= {"score", "details"}:
                raise self._refusal(identity, f"a dictionary with the keys {[*map(str, found)]}")
            number, details = found["score"], found.get("details", {})
        if isinstance(number, bool) or not isinstance(number, int | float) or not _fits(number):
            raise self._refusal(identity, repr(number))
        if not isinstance(details, dict):
            raise self._refusal(identity, f"details of {details!r}")
        try:
            encode(details)
        except CanonicalError as error:
            raise self._refusal(identity, f"details that JSON cannot hold ({error})") from None
        return CustomScore(self.name, number, self.function, self.version, details)

    def _refusal(self, identity: Digest, found: str) -> ScorerError:
        return ScorerError(
            f"The scorer {self.function} should return a number, or a dictionary of `score` and "
            f"`details`, but returned {found} for the trace {identity}. Nothing was recorded."
        )


def _fits(number: float) -> bool:
    return math.isfinite(number) and abs(number) <= MAX_INTEGER


def load_scorer(scorer: str | Callable[..., object]) -> Scorer:
    """Return the scorer that ``module:function`` names, or that a function is.

    Raises:
        ScorerError: It cannot be imported, is not a function, or has no version.
    """
    try:
        if isinstance(scorer, str):
            return Scorer(load_function(scorer, what="scorer", example="my_scorers:length"))
        return Scorer(given_function(scorer, what="scorer"))
    except FunctionError as error:
        raise ScorerError(str(error)) from error
