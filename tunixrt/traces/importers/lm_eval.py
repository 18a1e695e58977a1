"""Samples of lm-evaluation-harness: ``samples_*.jsonl``, with the responses of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tunixrt.log.canonical import CanonicalError, decode
from tunixrt.traces.conversation import Role
from tunixrt.traces.importers.draft import Draft
from tunixrt.traces.importers.messages import add_message
from tunixrt.traces.importers.reading import LeftOut, Note, Read, as_object, metadata
from tunixrt.traces.violations import TraceError, describe, missing, wrong

if TYPE_CHECKING:
    from tunixrt.traces.importers.reading import Reader

_RESPONSES: Final = "a list with the generated texts of the sample"
_READ: Final = ("resps", "arguments")
_INVALID: Final = ("[invalid]", "[no match]")


def samples_reader() -> Reader:
    """Return a reader for the samples of one file.

    A file holds each sample once per filter of its task. The first filter is read; the samples of
    the others have the same responses, and are left out.
    """
    first: list[object] = []

    def read(value: object) -> Read | LeftOut:
        record = as_object(value, "an object with doc and resps")
        name = record.get("filter")
        first[:] = first or [name]
        return read_sample(record) if name == first[0] else LeftOut(Note.OTHER_FILTER)

    return read


def read_sample(record: dict[str, Any]) -> Read:
    """Return a conversation for each response of a sample.

    The prompt is the user's turn; if the harness sent messages, they are those. The final answer
    is what the filter found in the response. Everything else is metadata.

    Raises:
        TraceError: It is not a sample, or no text was generated.
    """
    if "doc" not in record:
        raise TraceError(missing("doc", "the record of the task"))
    responses = _texts(record)
    answers = _answers(record, len(responses))
    meta = metadata(record, _READ)
    if answers is None:
        answers = [""] * len(responses)
    else:
        del meta["filtered_resps"]
    options = _options(record)
    if options is not None:
        meta["arguments"] = options
    reads = [
        _read(record, response, answer, meta if len(responses) == 1 else {**meta, "repeat": i})
        for i, (response, answer) in enumerate(zip(responses, answers, strict=True))
    ]
    return Read(reads[0].trace, reads[0].notes, more=tuple(reads[1:]))


def _read(record: dict[str, Any], response: str, answer: str, meta: dict[str, Any]) -> Read:
    draft = Draft()
    prompt = _prompt(record)
    if isinstance(prompt, list):
        for position, message in enumerate(prompt):
            add_message(draft, message, f"arguments: message {position}")
            if draft.last is not None and draft.last["role"] == Role.ASSISTANT:
                draft.last["train"] = False
    else:
        draft.add(Role.USER, prompt, place="arguments")
    add_message(draft, {"role": Role.ASSISTANT.value, "content": response}, "resps")
    if answer in _INVALID:
        draft.note(Note.INVALID_ANSWER)
        answer = ""
    return draft.done(meta, final_answer=answer)


def _texts(record: dict[str, Any]) -> list[str]:
    """Return the responses: ``resps`` has a list for each request of the sample, mostly one."""
    if record.get("resps") is None:
        raise TraceError(missing("resps", _RESPONSES))
    responses = record["resps"]
    if isinstance(responses, list) and len(responses) == 1 and isinstance(responses[0], list):
        responses = responses[0]
    if not isinstance(responses, list) or not responses:
        found = describe(responses) if responses != [] else "empty"
        raise TraceError(wrong("resps", _RESPONSES, found))
    texts = [item for item in responses if isinstance(item, str)]
    if len(texts) != len(responses):
        found = "one without texts: log-likelihoods, or the responses of several requests"
        raise TraceError(wrong("resps", _RESPONSES, found))
    return texts


def _answers(record: dict[str, Any], n: int) -> list[str] | None:
    """Return what the filter found in each response; None if it is not one text for each."""
    found = record.get("filtered_resps")
    if isinstance(found, list) and len(found) == 1 and isinstance(found[0], list):
        found = found[0]
    if not isinstance(found, list) or len(found) != n:
        return None
    texts = [item for item in found if isinstance(item, str)]
    return texts if len(texts) == n else None


def _first_request(record: dict[str, Any]) -> list[Any]:
    """Return the arguments of the first request, as a list or as an object of numbered ones."""
    arguments = record.get("arguments")
    if isinstance(arguments, dict) and arguments:
        request = next(iter(arguments.values()))
        return list(request.values()) if isinstance(request, dict) else [request]
    if isinstance(arguments, list) and arguments and isinstance(arguments[0], list):
        return arguments[0]
    raise TraceError(missing("arguments", "the arguments of the request, with the prompt"))


def _prompt(record: dict[str, Any]) -> str | list[Any]:
    prompt = next(iter(_first_request(record)), None)
    if not isinstance(prompt, str):
        raise TraceError(wrong("arguments", "a request that begins with a text", describe(prompt)))
    if prompt.lstrip().startswith("["):  # what was sent to a chat API, in JSON
        try:
            value = decode(prompt.encode())
        except (CanonicalError, UnicodeEncodeError):
            return prompt
        if isinstance(value, list) and value and all(map(_is_message, value)):
            return value
    return prompt


def _is_message(value: object) -> bool:
    return isinstance(value, dict) and "role" in value and "content" in value


def _options(record: dict[str, Any]) -> Any:
    """Return the other arguments of the request: how the text was generated."""
    rest = _first_request(record)[1:]
    return rest[0] if len(rest) == 1 else rest or None
