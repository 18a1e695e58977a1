"""Scorers that users write: a Python function of a trace, named as ``module:function``.

What a score came from is in its event: the function, and its version. The version is the
attribute ``version`` of the function; without one, the digest of the file that defines it.
"""

from __future__ import annotations

import importlib
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.log.canonical import MAX_INTEGER, CanonicalError, encode
from tunixrt.log.digests import digest_file
from tunixrt.words import quoted, suggestion

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

    def __init__(self, reference: str, call: Callable[[Any], object], source: Path | None) -> None:
        self.function = reference
        self.name = _text(call, "name", reference) or reference.rpartition(":")[2]
        if not 1 <= len(self.name) <= _MAX_NAME:
            raise ScorerError(
                f"The name of the scorer {reference} should have 1 to {_MAX_NAME} characters, but "
                f"has {len(self.name):,}."
            )
        version = _text(call, "version", reference)
        if version is None and source is None:
            raise ScorerError(
                f"The scorer {reference} has no source file whose digest could be its version: "
                f"give it an attribute `version`."
            )
        self.version = str(version if source is None or version else digest_file(source))
        self._call = call

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


def load_scorer(reference: str) -> Scorer:
    """Return the scorer that ``module:function`` names.

    Raises:
        ScorerError: It cannot be imported, is not a function, or has no version.
    """
    module_name, colon, name = reference.partition(":")
    if not colon or not module_name or not name:
        raise ScorerError(
            f"A scorer is given as module:function, such as my_scorers:length; found "
            f"{quoted(reference)}."
        )
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not (module_name + ".").startswith(error.name + "."):
            raise _failed(reference, error) from error
        raise ScorerError(
            f"The module {quoted(error.name)} of the scorer {reference} does not exist: it is "
            "searched in the current directory and among the installed packages."
        ) from error
    except Exception as error:
        raise _failed(reference, error) from error
    call = getattr(module, name, None)
    if call is None:
        public = [known for known in vars(module) if not known.startswith("_")]
        raise ScorerError(
            f"The module {module_name} has no {quoted(name)}.{suggestion(name, public)}"
        )
    if not callable(call):
        raise ScorerError(f"{reference} is not a function, but {type(call).__name__}.")
    return Scorer(reference, call, _source(call, module_name))


def _failed(reference: str, error: Exception) -> ScorerError:
    return ScorerError(f"The scorer {reference} cannot be loaded: {type(error).__name__}: {error}.")


def _source(call: object, module_name: str) -> Path | None:
    """Return the file that defines a function, which may be imported into the module named."""
    module = sys.modules.get(getattr(call, "__module__", None) or module_name)
    file = getattr(module, "__file__", None)
    path = None if file is None else Path(file)
    return path if path is not None and path.suffix == ".py" and path.is_file() else None


def _text(call: object, attribute: str, reference: str) -> str | None:
    found = getattr(call, attribute, None)
    if found is not None and not isinstance(found, str):
        raise ScorerError(
            f"The attribute `{attribute}` of the scorer {reference} should be text, but is "
            f"{found!r}."
        )
    return found
