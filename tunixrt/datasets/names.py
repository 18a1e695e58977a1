"""Names, versions and keys of datasets: what is allowed, and how a key splits.

They become directory names in a Git repository that is cloned on Linux, macOS and Windows, so few
characters and only lower case are allowed, and device names of Windows are refused.
"""

from __future__ import annotations

import re
from typing import Final

from tunixrt.errors import BadInputError
from tunixrt.words import quoted

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_VERSION: Final = re.compile(r"[a-z0-9][a-z0-9._]{0,31}")
_DEVICE: Final = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9])(\..*)?")

_NAME_RULE: Final = (
    "1 to 64 of the characters a-z, 0-9, '.', '_' and '-', the first of them a letter or a digit"
)
_VERSION_RULE: Final = (
    "1 to 32 of the characters a-z, 0-9, '.' and '_' (no hyphen), the first of them a letter or a "
    "digit"
)


class BadNameError(BadInputError):
    """A name or version that cannot be used."""

    def __init__(self, sentence: str, text: str) -> None:
        super().__init__(sentence)
        self.text = text


def check_name(text: str, what: str = "dataset name") -> str:
    """Return the name, if it is allowed.

    Raises:
        BadNameError: It may not; the message says what is allowed.
    """
    return _check(text, what, _NAME, _NAME_RULE)


def check_version(text: str) -> str:
    """Return the version, if it is allowed.

    Raises:
        BadNameError: It may not; the message says what is allowed.
    """
    return _check(text, "dataset version", _VERSION, _VERSION_RULE)


def key_of(name: str, version: str) -> str:
    """Return the key of a dataset: ``NAME-VERSION``, both checked."""
    return f"{check_name(name)}-{check_version(version)}"


def parse_key(key: str) -> tuple[str, str]:
    """Return name and version of a key: the parts before and after the last hyphen.

    Raises:
        BadNameError: The text is not a key.
    """
    name, hyphen, version = key.rpartition("-")
    if not hyphen:
        raise BadNameError(
            f"The dataset key {quoted(key)} should be NAME-VERSION, such as gsm-v1, but has no "
            "hyphen.",
            key,
        )
    return check_name(name), check_version(version)


def _check(text: str, what: str, pattern: re.Pattern[str], rule: str) -> str:
    if not pattern.fullmatch(text):
        raise BadNameError(
            f"The {what} {quoted(text)} should be {rule}.{_suggestion(text, pattern)}", text
        )
    problem = _unsafe(text)
    if problem is not None:
        raise BadNameError(f"The {what} {quoted(text)} {problem}. Choose another one.", text)
    return text


def _unsafe(text: str) -> str | None:
    """Return why a text of allowed characters may not be a directory name, or None."""
    if text.endswith("."):
        return "ends with a dot, which Windows drops from names"
    if ".." in text:
        return "contains two dots in a row"
    if _DEVICE.fullmatch(text):
        return "is the name of a device on Windows"
    return None


def _suggestion(text: str, pattern: re.Pattern[str]) -> str:
    """Return ``How about "my-data"?`` if the allowed characters of a text make a name."""
    separator = "-" if pattern is _NAME else "_"
    mended = re.sub(r"[^a-z0-9._-]+", separator, text.lower()).strip("._-")
    mended = re.sub(r"\.\.+", ".", mended.replace("-", separator))
    if pattern.fullmatch(mended) and _unsafe(mended) is None:
        return f" How about {quoted(mended)}?"
    return ""
