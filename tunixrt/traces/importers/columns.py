"""Flat records of any shape: a map says which columns are the prompt, the reasoning, the answer."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.traces.conversation import Role
from tunixrt.traces.importers.draft import Draft
from tunixrt.traces.importers.flat import add_marked
from tunixrt.traces.importers.messages import read_list
from tunixrt.traces.importers.reading import as_object, metadata
from tunixrt.traces.importers.tools import tools_of
from tunixrt.traces.violations import TraceError, describe, missing, wrong
from tunixrt.words import did_you_mean, quoted, suggestion

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from tunixrt.traces.importers.reading import Read

    Path = tuple[str, ...]


class Target(StrEnum):
    """What a column can be."""

    PROMPT = "prompt"
    SYSTEM = "system"
    REASONING = "reasoning"
    RESPONSE = "response"
    ANSWER = "answer"
    MESSAGES = "messages"
    TOOLS = "tools"


class MapError(BadInputError):
    """A map of columns that cannot be used."""


_EXAMPLE: Final = "prompt=problem,reasoning=thoughts,answer=solution"


class ColumnMap(msgspec.Struct, frozen=True):
    """Which column of a record is what.

    Attributes:
        paths: for each target, a column, or a path into it with a dot before each further part.
    """

    paths: dict[Target, str]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the map that a text such as ``prompt=problem,answer=solution`` states.

        Raises:
            MapError: It is not such a text; see `of`.
        """
        pairs: list[tuple[str, str]] = []
        for item in text.split(","):
            name, equals, path = (part.strip() for part in item.partition("="))
            if not (equals and name and path):
                raise MapError(
                    f"A map should be pairs of target=column such as {_EXAMPLE}, but has "
                    f"{quoted(item)}."
                )
            pairs.append((name, path))
        names = [name for name, _ in pairs]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise MapError(f"The map has {quoted(twice)} twice; each target has one column.")
        return cls.of(dict(pairs))

    @classmethod
    def of(cls, paths: Mapping[str, str]) -> Self:
        """Return the map with these columns.

        Raises:
            MapError: A target does not exist, or the map has neither a prompt with a response or
                an answer, nor messages.
        """
        for name in paths:
            if name not in list(Target):
                raise MapError(
                    f"A map has no target {quoted(name)}. {did_you_mean(name, list(Target))}"
                )
        known = {Target(name): path for name, path in paths.items()}
        turns = {Target.PROMPT, Target.RESPONSE, Target.ANSWER, Target.REASONING}
        if Target.MESSAGES in known:
            if both := sorted(turns.intersection(known) - {Target.ANSWER}):
                raise MapError(f"A map has either messages or {both[0]}, not both.")
        elif Target.PROMPT not in known or len(turns.intersection(known)) == 1:
            raise MapError(
                "A map should have prompt and one of response, answer and reasoning, such as "
                f"{_EXAMPLE}; or messages."
            )
        return cls(known)


def read_columns(value: object, columns: ColumnMap, used: set[Target] | None = None) -> Read:
    """Return the conversation that a map finds in a record.

    The response is the turn of the assistant; without one, the answer is. The reasoning may be a
    text or a list of texts; without it, that in the tags of the response is. What is not mapped is
    metadata, also within a column into which a path reaches.

    Args:
        value: The record.
        columns: The map.
        used: Receives the targets whose columns are in the record.

    Raises:
        TraceError: A column of the map is missing, or the columns are not a conversation.
    """
    record = as_object(value, "an object with columns")
    paths = {target: _path(record, path) for target, path in columns.paths.items()}
    found = {
        target: _find(record, path, columns.paths[target], is_needed=target in _NEEDED)
        for target, path in paths.items()
    }
    turn = next((target for target in _TURN if target in paths), None)
    if turn and Target.MESSAGES not in paths and all(found.get(target) is None for target in _TURN):
        raise _absent(record, paths[turn], columns.paths[turn])
    if used is not None:
        used.update(target for target, item in found.items() if item is not None)
    meta = metadata(_without(record, list(paths.values())), ())
    if Target.MESSAGES in found:
        given = {
            "messages": found[Target.MESSAGES],
            "tools": found.get(Target.TOOLS),
            "system": found.get(Target.SYSTEM),
            "final_answer": _text(found, Target.ANSWER, columns) or None,
            "meta": meta,
        }
        return read_list(given, "messages", known=("messages",))
    draft = Draft()
    if Target.SYSTEM in found:
        system = _text(found, Target.SYSTEM, columns)
        draft.add_system(system, place=columns.paths[Target.SYSTEM])
    place = columns.paths[Target.PROMPT]
    draft.add(Role.USER, _text(found, Target.PROMPT, columns), place=place)
    final = _add_answer(draft, found, columns)
    tools = tools_of(found.get(Target.TOOLS), columns.paths.get(Target.TOOLS, "tools"))
    return draft.done(meta, tools=tools, final_answer=final)


#: Without these a record is not one of the map; null and absent columns are alike.
_NEEDED: Final = (Target.PROMPT, Target.RESPONSE, Target.MESSAGES)
#: One of these has to be the turn of the assistant, if there are no messages.
_TURN: Final = (Target.RESPONSE, Target.ANSWER, Target.REASONING)


def check_used(columns: ColumnMap, used: Container[Target]) -> None:
    """Refuse a map that names a column which no record had.

    Args:
        columns: The map.
        used: What `read_columns` found in the records, one at least.

    Raises:
        MapError: A column was null or absent in all of them; it may be misspelt.
    """
    for target, path in columns.paths.items():
        if target not in used:
            raise MapError(
                f"No record has the column {quoted(path)} that the map names for {target}, or all "
                f"have null there. Correct it, or leave {target} out of the map. Nothing was "
                "recorded."
            )


def _add_answer(draft: Draft, found: Mapping[Target, Any], columns: ColumnMap) -> str:
    """Add the turn of the assistant; return the final answer if it is stated apart from it."""
    reasoning = _text(found, Target.REASONING, columns)
    answer = _text(found, Target.ANSWER, columns)
    if found.get(Target.RESPONSE) is None:
        place = columns.paths.get(Target.ANSWER) or columns.paths[Target.REASONING]
        fields = {"reasoning": reasoning} if reasoning else {}
        draft.add(Role.ASSISTANT, answer, place=place, fields=fields)
        return ""
    response, place = _text(found, Target.RESPONSE, columns), columns.paths[Target.RESPONSE]
    if reasoning:
        draft.add(Role.ASSISTANT, response, place=place, fields={"reasoning": reasoning})
        return answer
    marked = add_marked(draft, response, place=place)
    return answer or marked


def _text(found: Mapping[Target, Any], target: Target, columns: ColumnMap) -> str:
    """Return a mapped column as a text: numbers as their digits, lists of texts as lines.

    Raises:
        TraceError: It is something else.
    """
    value = found.get(target)
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            pass
        case int():
            return str(value)
        case list() if target is Target.REASONING and all(isinstance(item, str) for item in value):
            return "\n".join(value)
    raise TraceError(wrong(columns.paths[target], "text", describe(value)))


def _path(record: Mapping[str, Any], path: str) -> Path:
    """Return the parts of a path; a column whose name has dots is itself."""
    return (path,) if path in record else tuple(path.split("."))


def _find(record: dict[str, Any], path: Path, written: str, *, is_needed: bool) -> Any:
    value: Any = record
    for part in path:
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and _position(part, value) is not None:
            value = value[int(part)]
        else:
            value = None
            break
    if value is None and is_needed:
        raise _absent(record, path, written)
    return value


def _absent(record: dict[str, Any], path: Path, written: str) -> TraceError:
    """Return the error for a column of the map that is null or absent."""
    violation = missing(written, "the column that the map names")
    hint = suggestion(path[0], [name for name in record if name != path[0]])
    return TraceError(msgspec.structs.replace(violation, sentence=f"{violation.sentence}{hint}"))


def _position(part: str, items: Sequence[Any]) -> int | None:
    """Return the index that a part of a path states, from the start; None if it has none."""
    if not part.lstrip("-").isdecimal():
        return None
    index = int(part)
    if not -len(items) <= index < len(items):
        return None
    return index % len(items)


def _without(value: Any, paths: Sequence[Path]) -> Any:
    """Return a value without what the paths lead to; what becomes empty goes too."""
    heads: dict[Any, list[Path]] = {}
    for path in paths:
        head: Any = path[0]
        if isinstance(value, list):
            head = _position(path[0], value)
        heads.setdefault(head, []).append(path[1:])
    if isinstance(value, dict):
        kept = {key: _rest(item, heads.get(key)) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item is not _GONE}
    if isinstance(value, list):
        rest = [_rest(item, heads.get(index)) for index, item in enumerate(value)]
        return [item for item in rest if item is not _GONE]
    return value


_GONE: Final = object()


def _rest(item: Any, paths: list[Path] | None) -> Any:
    if paths is None:
        return item
    if () in paths:
        return _GONE
    rest = _without(item, paths)
    return _GONE if rest in ({}, []) and rest != item else rest
