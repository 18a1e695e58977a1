"""Records of one turn or a few: Alpaca, prompt and completion, and completions with tags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tunixrt.traces.conversation import Role
from tunixrt.traces.importers.draft import Draft
from tunixrt.traces.importers.messages import ROLES, add_message, add_system_field, finish
from tunixrt.traces.importers.reading import Note, as_object, text_at
from tunixrt.traces.importers.tags import ALL, find_answer, split_thought
from tunixrt.traces.violations import TraceError, describe, missing, wrong

if TYPE_CHECKING:
    from tunixrt.traces.importers.reading import Read

_ALPACA: Final = ("instruction", "input", "output", "history")
_PAIR: Final = ("prompt", "completion")
_PAIR_EXPECTED: Final = "text, or a list of messages"


def read_alpaca(value: object) -> Read:
    """Return the conversation of a record with ``instruction``, ``input`` and ``output``.

    The input is put below the instruction; an empty one adds no line. ``history`` is a list of
    earlier turns, each a list of two texts.

    Raises:
        TraceError: It is not such a record.
    """
    record = as_object(value, "an object with instruction and output")
    for name in ("instruction", "output"):
        if record.get(name) is None:
            raise TraceError(missing(name, "text"))
    draft = Draft()
    draft.add_system(text_at(record, "system"), place="system")
    for position, (question, answer) in enumerate(_history(record)):
        draft.add(Role.USER, question, place=f"history[{position}][0]")
        _add_answer(draft, answer, place=f"history[{position}][1]")
    instruction, context = text_at(record, "instruction"), text_at(record, "input")
    question = "\n".join(text for text in (instruction, context) if text)
    draft.add(Role.USER, question, place="instruction")
    _add_answer(draft, text_at(record, "output"), place="output")
    return finish(draft, record, known=_ALPACA)


def _history(record: dict[str, Any]) -> list[tuple[str, str]]:
    history = record.get("history")
    if history is None:
        return []
    expected = "a list of pairs of texts"
    if not isinstance(history, list):
        raise TraceError(wrong("history", expected, describe(history)))
    pairs: list[tuple[str, str]] = []
    for position, turn in enumerate(history):
        match turn:
            case [str() as question, str() as answer]:
                pairs.append((question, answer))
            case _:
                raise TraceError(wrong(f"history[{position}]", "two texts", describe(turn)))
    return pairs


def _add_answer(draft: Draft, text: str, *, place: str) -> None:
    """Add a turn of the assistant; the reasoning in front of its text is its reasoning."""
    add_message(draft, {"role": Role.ASSISTANT.value, "content": text}, place)


def read_prompt_completion(value: object) -> Read:
    """Return the conversation of a record with ``prompt`` and ``completion``.

    Each is a text or a list of messages. The completion alone is learned: the turns of the
    assistant in the prompt have ``train: false``.

    Raises:
        TraceError: It is not such a record.
    """
    record = as_object(value, "an object with prompt and completion")
    draft = Draft()
    for name in _PAIR:
        if record.get(name) is None:
            raise TraceError(missing(name, _PAIR_EXPECTED))
    prompt = record["prompt"]
    add_system_field(draft, record, prompt if isinstance(prompt, list) else [])
    _add_side(draft, prompt, "prompt", Role.USER)
    _add_side(draft, record["completion"], "completion", Role.ASSISTANT)
    return finish(draft, record, known=_PAIR)


def _add_side(draft: Draft, value: object, name: str, role: Role) -> None:
    if isinstance(value, str):
        add_message(draft, {"role": role.value, "content": value}, name)
        return
    if not isinstance(value, list):
        raise TraceError(wrong(name, _PAIR_EXPECTED, describe(value)))
    for position, message in enumerate(value):
        given = _in_prompt(message) if role is Role.USER else message
        add_message(draft, given, f"{name}[{position}]")


def _in_prompt(message: object) -> object:
    """Return a message of the prompt: an assistant's turn there is context, and not learned."""
    if isinstance(message, dict) and ROLES.get(str(message.get("role"))) is Role.ASSISTANT:
        kept = {key: item for key, item in message.items() if key != "weight"}
        return {**kept, "train": False}
    return message


def read_think(value: object) -> Read:
    r"""Return the conversation of a record whose ``completion`` marks reasoning and answer.

    Reasoning is between tags at the beginning of the completion. The final answer is the text in
    ``<answer>``, else the content of the last ``\boxed{}``.

    Raises:
        TraceError: It is not such a record.
    """
    record = as_object(value, "an object with prompt and completion")
    for name in _PAIR:
        if record.get(name) is None:
            raise TraceError(missing(name, "text"))
    draft = Draft()
    draft.add_system(text_at(record, "system"), place="system")
    add_message(draft, {"role": Role.USER.value, "content": text_at(record, "prompt")}, "prompt")
    final = add_marked(draft, text_at(record, "completion"), place="completion")
    return finish(draft, record, known=_PAIR, found=final)


def add_marked(draft: Draft, text: str, *, place: str) -> str:
    """Add a turn of the assistant whose text marks reasoning and answer; return the answer."""
    thought = split_thought(text, ALL)
    found = find_answer(thought.text)
    draft.note(*thought.notes, *found.notes)
    if thought.text == text and found.text == text.strip() and not found.answer:
        draft.note(Note.NO_TAGS)
    fields = {"reasoning": thought.reasoning} if thought.reasoning else {}
    draft.add(Role.ASSISTANT, found.text, place=place, fields=fields)
    return found.answer
