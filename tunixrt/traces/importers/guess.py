"""Recognises the format of a file by its first records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tunixrt.errors import BadInputError
from tunixrt.traces.importers.table import SourceFormat
from tunixrt.traces.importers.tags import has_tags
from tunixrt.traces.trace_rows import is_row
from tunixrt.words import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Records = Sequence[dict[str, Any]]


class GuessError(BadInputError):
    """Records that fit no format, or several."""


def guess(records: Sequence[object]) -> SourceFormat:
    """Return the one format that the first records of a file fit.

    The format ``columns`` is never guessed, since it needs a map.

    Args:
        records: The decoded records, in order; a few are enough.

    Raises:
        GuessError: None fits, and the message lists the formats and, for a near miss, what is
            missing; or several fit, and the message lists them.
    """
    objects = [record for record in records if isinstance(record, dict)]
    if objects and len(objects) == len(records):
        found = [name for name, fits in _FITS.items() if fits(objects)]
        if len(found) == 1:
            return found[0]
        if found:
            raise GuessError(
                f"The first records fit several formats: {', '.join(found)}. State one of them "
                "with --from."
            )
    raise GuessError(_why_none(records))


def _why_none(records: Sequence[object]) -> str:
    known = ", ".join(SourceFormat)
    sentence = f"The first records fit none of the formats {known}."
    first = next(iter(records), None)
    if not isinstance(first, dict):
        return f"{sentence} A record should be a JSON object."
    return f"{sentence} {_near_miss(first)}"


def _near_miss(record: dict[str, Any]) -> str:
    """Return what a record lacks for the format that it nearly has."""
    if "generated_response" in record and "example_id" in record:
        return "They look like predictions of a run: import them with --from predictions."
    for name, required in _REQUIRED.items():
        absent = [field for field in required if record.get(field) is None]
        if len(absent) == 1 and len(required) > 1:
            return f"For {name}, the field {quoted(absent[0])} is missing."
    if {"question", "answer"} <= record.keys():
        return (
            'For gsm8k, the last line of "answer" should be "#### " and the final answer. Else map '
            "the columns: --from columns --map prompt=question,answer=answer"
        )
    fields = ", ".join(map(quoted, list(record)[:_FEW]))
    return (
        f"Their fields are {fields or 'none'}. If the fields are texts, map them: --from columns "
        "--map prompt=FIELD,reasoning=FIELD,answer=FIELD"
    )


#: So many fields of a record a message lists.
_FEW: Final = 12
#: What a record of a format surely has, for messages about a near miss.
_REQUIRED: Final = {
    SourceFormat.ALPACA: ("instruction", "output"),
    SourceFormat.PROMPT_COMPLETION: ("prompt", "completion"),
    SourceFormat.GSM8K: ("question", "answer"),
    SourceFormat.LM_EVAL: ("doc", "resps", "filtered_resps"),
    SourceFormat.ATIF: ("schema_version", "agent", "steps"),
    SourceFormat.TRACE: ("prompts", "trace_steps"),
    SourceFormat.TUNIXRT: ("trace_version", "prompt", "steps", "final_answer"),
}


def _each(*names: str) -> Callable[[Records], bool]:
    """Return a test that every record has these fields."""
    return lambda records: all(
        all(record.get(name) is not None for name in names) for record in records
    )


def _turns(record: dict[str, Any], names: Sequence[str], *fields: str) -> bool:
    """Return whether one of the lists in a record has objects with one of these fields."""
    return any(
        isinstance(turns := record.get(name), list)
        and bool(turns)
        and isinstance(turns[0], dict)
        and any(field in turns[0] for field in fields)
        for name in names
    )


def _is_tunixrt(records: Records) -> bool:
    return all(
        "trace_version" in record and ("steps" in record or "messages" in record)
        for record in records
    )


def _is_gsm8k(records: Records) -> bool:
    return all(
        isinstance(record.get("question"), str)
        and isinstance(answer := record.get("answer"), str)
        and "\n#### " in f"\n{answer}"
        for record in records
    )


def _is_messages(records: Records) -> bool:
    return all(
        "trace_version" not in record
        and not is_row(record)
        and (
            _turns(record, ("messages", "conversation", "conversations"), "role")
            or _turns(record, ("contents",), "parts")
        )
        for record in records
    )


def _is_sharegpt(records: Records) -> bool:
    return all(_turns(record, ("conversations",), "from", "value") for record in records)


def _is_prompt_completion(records: Records) -> bool:
    return _each("prompt", "completion")(records) and not _is_think(records)


def _is_think(records: Records) -> bool:
    texts = [record.get("completion") for record in records]
    return (
        _each("prompt", "completion")(records)
        and all(isinstance(text, str) for text in texts)
        and any(has_tags(str(text)) for text in texts)
    )


def _is_atif(records: Records) -> bool:
    return all(
        isinstance(version := record.get("schema_version"), str)
        and version.startswith("ATIF")
        and "steps" in record
        for record in records
    )


def _is_session(records: Records) -> bool:
    return records[0].get("type") == "session" and all(
        record.get("type") in {"session", "message"} for record in records
    )


_FITS: Final[dict[SourceFormat, Callable[[Records], bool]]] = {
    SourceFormat.TUNIXRT: _is_tunixrt,
    SourceFormat.TRACE: lambda records: all(map(is_row, records)),
    SourceFormat.GSM8K: _is_gsm8k,
    SourceFormat.MESSAGES: _is_messages,
    SourceFormat.SHAREGPT: _is_sharegpt,
    SourceFormat.ALPACA: _each("instruction", "output"),
    SourceFormat.PROMPT_COMPLETION: _is_prompt_completion,
    SourceFormat.THINK: _is_think,
    SourceFormat.ATIF: _is_atif,
    SourceFormat.SESSION: _is_session,
    SourceFormat.LM_EVAL: _each("doc", "resps"),
}
