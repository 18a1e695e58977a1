"""Tools and tool calls, as the formats write them, in the form of schema 1.1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tunixrt.log.canonical import CanonicalError, decode
from tunixrt.traces.importers.reading import Note
from tunixrt.traces.violations import TraceError, describe, wrong
from tunixrt.words import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TOOLS_EXPECTED: Final = "a list of tools, or the text of one in JSON"
_DECLARATIONS: Final = ("functionDeclarations", "function_declarations")
#: What the makers of tools call the schema of the arguments.
_SCHEMAS: Final = ("parameters", "input_schema", "inputSchema", "parametersJsonSchema")
_IDS: Final = ("id", "call_id", "tool_call_id")
_ARGUMENTS: Final = ("arguments", "args", "input")


def tools_of(value: object, place: str) -> list[dict[str, Any]]:
    """Return the tools of a record: each an object with its name and, if stated, parameters.

    Args:
        value: A list of tools, one tool, their text in JSON, or None.
        place: Where it is in the record.

    Raises:
        TraceError: It is something else.
    """
    if isinstance(value, str):
        value = from_text(value, place, _TOOLS_EXPECTED) if value.strip() else None
    if value is None:
        return []
    items = [value] if isinstance(value, dict) else value
    if not isinstance(items, list):
        raise TraceError(wrong(place, _TOOLS_EXPECTED, describe(items)))
    return [
        tool for position, item in enumerate(items) for tool in _tools(item, f"{place}[{position}]")
    ]


def _tools(item: object, place: str) -> list[dict[str, Any]]:
    if isinstance(item, str):
        item = from_text(item, place, "a tool, or the text of one in JSON")
    if not isinstance(item, dict):
        raise TraceError(wrong(place, "an object with the name of a tool", describe(item)))
    item = {name: part for name, part in item.items() if part is not None}
    declared = [name for name in _DECLARATIONS if name in item]
    if not declared:
        return [_flat(item, place)]
    tools = [tool for name in declared for tool in tools_of(item[name], f"{place}.{name}")]
    # Beside its declarations a tool of Gemini has tools of the maker's own: {"googleSearch": {}}.
    own = [{name: part} for name, part in item.items() if name not in declared]
    return tools + [_flat(each, place) for each in own]


def _flat(item: dict[str, Any], place: str) -> dict[str, Any]:
    function = item.get("function")
    if isinstance(function, dict):
        beside = {name: part for name, part in item.items() if name not in {"type", "function"}}
        item = {**function, **beside}
        if len(item) != len(function) + len(beside):
            twice = next(name for name in beside if name in function)
            raise TraceError(
                wrong(f"{place}.{twice}", "in the function only", "beside it a second time")
            )
    item = {name: part for name, part in item.items() if part is not None}
    schema = next((name for name in _SCHEMAS if name in item), None)
    if schema is not None and "parameters" not in item:
        item["parameters"] = item.pop(schema)
    if "name" not in item and not isinstance(function, dict):
        # A tool of the maker's own: {"type": "code_interpreter"} or {"googleSearch": {}}.
        alone = next(iter(item)) if len(item) == 1 else None
        name = item.get("type", alone)
        if isinstance(name, str):
            item["name"] = name
    return item


def call_of(value: object, place: str, note: Callable[[Note], None]) -> dict[str, Any]:
    """Return one tool call with its name, its arguments, and its id if it has one.

    Args:
        value: The call; its arguments are an object, or the text of one in JSON.
        place: Where it is in the record.
        note: Receives what is left out.

    Raises:
        TraceError: It is not a call of a function, or its arguments are not an object.
    """
    if not isinstance(value, dict):
        raise TraceError(wrong(place, "an object with name and arguments", describe(value)))
    kind = value.get("type")
    if kind not in {None, "function", "tool_use", "tool_call"}:
        raise TraceError(wrong(f"{place}.type", '"function"', describe(kind)))
    inner, at = value, place
    if isinstance(value.get("function"), dict):
        inner, at = value["function"], f"{place}.function"
    name = inner.get("name")
    if not isinstance(name, str):
        found = "missing" if name is None else describe(name)
        raise TraceError(wrong(f"{at}.name", "the name of a tool", found))
    field = _first(inner, _ARGUMENTS)
    call: dict[str, Any] = {"name": name, "arguments": {}}
    if field is not None:
        call["arguments"] = arguments_of(inner[field], f"{at}.{field}")
    identity = _first(value, _IDS)
    if identity is not None and value[identity] != "":
        call["id"] = value[identity]
    read = {"type", "function", "name", field, identity}
    rest = [key for part in (value, inner) for key, item in part.items() if item is not None]
    if any(key not in read for key in rest):
        note(Note.CALL_FIELD)
    return call


def _first(value: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if value.get(name) is not None), None)


def arguments_of(value: object, place: str) -> dict[str, Any]:
    """Return the arguments of a call; no text and null mean none.

    Raises:
        TraceError: They are neither an object nor the text of one in JSON.
    """
    expected = "an object, or the text of one in JSON"
    if isinstance(value, str):
        value = from_text(value, place, expected) if value.strip() else None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TraceError(wrong(place, expected, describe(value)))
    return value


def list_of(value: object, place: str, expected: str) -> list[Any]:
    """Return the list of a field, which may be the text of one in JSON, as cells of tables are.

    Raises:
        TraceError: It is another value.
    """
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = from_text(value, place, expected)
    if not isinstance(value, list):
        raise TraceError(wrong(place, expected, describe(value)))
    return value


def from_text(text: str, place: str, expected: str) -> object:
    """Return the value of a field that is the text of it in JSON.

    Raises:
        TraceError: It is not JSON.
    """
    try:
        return decode(text.encode())
    except (CanonicalError, UnicodeEncodeError) as error:
        reason = error.reason if isinstance(error, CanonicalError) else "it is not valid Unicode"
        found = f"the text {quoted(text)}: {reason.rstrip('.')}"
        raise TraceError(wrong(place, expected, found)) from None
