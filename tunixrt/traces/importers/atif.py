"""Trajectories of agents in ATIF: one object per trajectory, with its steps.

A step of the agent is a turn of the assistant, and each result of its observation is the message
of a tool. What a step has beside them is in the metadata, under ``steps``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tunixrt.traces.conversation import Role
from tunixrt.traces.importers.content import read_content
from tunixrt.traces.importers.draft import Draft
from tunixrt.traces.importers.reading import Note, as_object, metadata
from tunixrt.traces.importers.tools import call_of, tools_of
from tunixrt.traces.violations import TraceError, describe, missing, wrong
from tunixrt.words import did_you_mean

if TYPE_CHECKING:
    from tunixrt.traces.importers.reading import Read

_ROLES: Final = {"system": Role.SYSTEM, "user": Role.USER, "agent": Role.ASSISTANT}
#: What of a step becomes a part of a message.
_READ: Final = ("step_id", "source", "message", "reasoning_content", "tool_calls", "observation")
_STEPS_EXPECTED: Final = "a list of steps, each with source and message"
_BLANK_LINE: Final = "\n\n"


def read_atif(value: object) -> Read:
    """Return the conversation of a trajectory.

    Steps of one source in a row are joined to one turn, with a blank line between their texts. A
    step that was copied from another trajectory is not learned.

    Raises:
        TraceError: It is not a trajectory.
    """
    record = as_object(value, "an object with schema_version and steps")
    version = record.get("schema_version")
    if not isinstance(version, str) or not version.startswith("ATIF-v1."):
        found = "missing" if version is None else describe(version)
        raise TraceError(wrong("schema_version", '"ATIF-v1." and a number', found))
    steps = record.get("steps")
    if steps is None:
        raise TraceError(missing("steps", _STEPS_EXPECTED))
    if not isinstance(steps, list):
        raise TraceError(wrong("steps", _STEPS_EXPECTED, describe(steps)))
    draft = Draft()
    added = (_add_step(draft, step, f"steps[{i}]") for i, step in enumerate(steps))
    beside = [rest for rest in added if rest]
    meta = metadata(record, ("steps",))
    if beside:
        meta["steps"] = beside
    if meta.get("continued_trajectory_ref"):
        draft.note(Note.CONTINUED)
    agent = record.get("agent")
    tools = agent.get("tool_definitions") if isinstance(agent, dict) else None
    if tools is not None and isinstance(agent, dict):
        meta["agent"] = {key: item for key, item in agent.items() if key != "tool_definitions"}
    return draft.done(meta, tools=tools_of(tools, "agent.tool_definitions"))


def _add_step(draft: Draft, step: object, place: str) -> dict[str, Any]:
    """Add the messages of a step; return what else it holds, with its number."""
    if not isinstance(step, dict):
        raise TraceError(wrong(place, "an object with source and message", describe(step)))
    source = step.get("source")
    if source not in _ROLES:
        hint = f" {did_you_mean(source, list(_ROLES))}" if isinstance(source, str) else ""
        found = "missing" if source is None else describe(source)
        violation = wrong(f"{place}.source", "one of system, user, agent", found)
        raise TraceError(
            type(violation)(
                violation.field, violation.expected, violation.found, violation.sentence + hint
            )
        )
    role = _ROLES[source]
    message = step.get("message")
    text = "" if message is None else read_content(message, f"{place}.message", draft.note).text
    reasoning = step.get("reasoning_content") or ""
    if not isinstance(reasoning, str):
        raise TraceError(wrong(f"{place}.reasoning_content", "text", describe(reasoning)))
    calls = _calls(draft, step, place)
    if role is Role.ASSISTANT:
        is_copied = step.get("is_copied_context") is True
        _add_turn(draft, text, reasoning, calls, place, is_copied=is_copied)
    else:
        if reasoning or calls:
            name = "reasoning_content" if reasoning else "tool_calls"
            expected = "absent, as only the source agent has it"
            raise TraceError(wrong(f"{place}.{name}", expected, f"of the source {source}"))
        _add_text(draft, role, text, place)
    beside = _add_observation(
        draft, step.get("observation"), f"{place}.observation", has_calls=bool(calls)
    )
    rest = {key: item for key, item in step.items() if key not in _READ and item is not None}
    if beside:
        rest["observation"] = beside
    return {"step_id": step.get("step_id"), **rest} if rest else {}


def _calls(draft: Draft, step: dict[str, Any], place: str) -> list[dict[str, Any]]:
    calls, at = step.get("tool_calls"), f"{place}.tool_calls"
    if calls is None:
        return []
    if not isinstance(calls, list):
        raise TraceError(wrong(at, "a list of tool calls", describe(calls)))
    return [call_of(_renamed(call), f"{at}[{i}]", draft.note) for i, call in enumerate(calls)]


def _renamed(call: object) -> object:
    """Return a call with the usual name for that of the function."""
    if not isinstance(call, dict):
        return call
    return {("name" if key == "function_name" else key): item for key, item in call.items()}


def _add_turn(
    draft: Draft,
    text: str,
    reasoning: str,
    calls: list[dict[str, Any]],
    place: str,
    *,
    is_copied: bool,
) -> None:
    if not (text or reasoning or calls):
        draft.note(Note.EMPTY_STEP)
        return
    fields: dict[str, Any] = {"reasoning": reasoning} if reasoning else {}
    if calls:
        fields["tool_calls"] = calls
    if is_copied:
        fields["train"] = False
    last = draft.last
    if last is None or last["role"] != Role.ASSISTANT or ("train" in last) is not is_copied:
        draft.add(Role.ASSISTANT, text, place=place, fields=fields)
        return
    draft.note(Note.STEPS_JOINED)
    last["content"] = _joined(last["content"], text)
    if thought := _joined(last.get("reasoning", ""), reasoning):
        last["reasoning"] = thought
    if every := [*last.get("tool_calls", []), *calls]:
        last["tool_calls"] = every


def _add_text(draft: Draft, role: Role, text: str, place: str) -> None:
    """Add the text of a step that is not the agent's, to the turn before it if it has the role."""
    if not text:
        draft.note(Note.EMPTY_STEP)
        return
    last = draft.last
    if role is Role.SYSTEM and last is not None and last["role"] != Role.SYSTEM:
        draft.note(Note.LATER_SYSTEM)
        role = Role.USER
    if last is not None and last["role"] == role:
        draft.note(Note.STEPS_JOINED)
        last["content"] = _joined(last["content"], text)
    else:
        draft.add(role, text, place=place)


def _joined(before: str, text: str) -> str:
    return _BLANK_LINE.join(part for part in (before, text) if part)


def _add_observation(draft: Draft, value: object, place: str, *, has_calls: bool) -> dict[str, Any]:
    """Add the results of an observation; return its fields that have no place in a message."""
    if value is None:
        return {}
    left: list[dict[str, Any]] = []
    results = value.get("results") if isinstance(value, dict) else None
    if not isinstance(results, list):
        raise TraceError(wrong(place, "an object with a list of results", describe(value)))
    for position, result in enumerate(results):
        at = f"{place}.results[{position}]"
        if not isinstance(result, dict):
            raise TraceError(wrong(at, "an object with content", describe(result)))
        content = result.get("content")
        text = "" if content is None else read_content(content, f"{at}.content", draft.note).text
        rest = {
            key: item
            for key, item in result.items()
            if key not in {"source_call_id", "content"} and item is not None
        }
        if has_calls:
            identity = result.get("source_call_id")
            fields = {} if identity is None else {"tool_call_id": identity}
            draft.add(Role.TOOL, text, place=at, fields=fields, extra=rest)
        elif text:
            draft.note(Note.OBSERVATION)
            _add_text(draft, Role.USER, text, at)
        if rest and not has_calls:
            left.append({"result": position, **rest})
    beside = dict(value) if isinstance(value, dict) else {}
    del beside["results"]
    return {**beside, **({"results": left} if left else {})}
