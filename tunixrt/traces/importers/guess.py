"""Recognises the format of a file by its first records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tunixrt.errors import BadInputError
from tunixrt.traces.importers.file_kinds import cure_of_document
from tunixrt.traces.importers.table import SourceFormat
from tunixrt.traces.importers.tags import has_tags
from tunixrt.traces.importers.tools import list_of
from tunixrt.traces.trace_rows import is_row
from tunixrt.traces.violations import TraceError
from tunixrt.words import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Records = Sequence[dict[str, Any]]


class GuessError(BadInputError):
    """Records that fit no format, or several."""


def guess(records: Sequence[object]) -> SourceFormat:
    """Return the one format that the first records of a file fit.

    Records that fit no format do not count if they are fewer than the others: reading the file
    says what is wrong with them. The format ``columns`` is never guessed, since it needs a map.

    Args:
        records: The decoded records, in order; a few are enough.

    Raises:
        GuessError: None fits, and the message lists the formats and, for a near miss, what is
            missing; or several fit, and the message lists them.
    """
    objects = [record for record in records if isinstance(record, dict)]
    found = _fitting(objects) if len(objects) == len(records) else []
    apart = [] if found else [_fitting([record]) for record in objects]
    sound = [record for record, fits in zip(objects, apart, strict=False) if fits]
    if len(sound) > len(records) / 2:
        found = _fitting(sound)
        if not found:
            kinds = {name for fits in apart for name in fits}
            raise GuessError(
                "The first records are of different formats: "
                f"{', '.join(name for name in _FITS if name in kinds)}. Put the records of each "
                "into a file of its own."
            )
    if len(found) == 1:
        return found[0]
    if found:
        raise GuessError(
            f"The first records fit several formats: {', '.join(found)}. State one of them "
            "with --from."
        )
    raise GuessError(_why_none([record for record in records if record not in sound]))


def _fitting(records: Records) -> list[SourceFormat]:
    return [name for name, fits in _FITS.items() if fits(records)] if records else []


def _why_none(records: Sequence[object]) -> str:
    known = ", ".join(SourceFormat)
    sentence = f"The first records fit none of the formats {known}."
    first = next(iter(records), None)
    if not isinstance(first, dict):
        return f"{sentence} A record should be a JSON object."
    if len(records) == 1 and (cure := cure_of_document(first)):
        return f"{sentence} It is a JSON document with a list of records. {cure}."
    return f"{sentence} {_near_miss(first)}"


def _near_miss(record: dict[str, Any]) -> str:
    """Return what a record lacks for the format that it nearly has."""
    if "generated_response" in record and "example_id" in record:
        return "They look like predictions of a run: import them with --from predictions."
    if record.keys() >= _REJECTS:
        return (
            "They are rejected records of an earlier import. Each is the text in the field "
            '"raw": extract them with jq -r .raw FILE > FIXED, correct them, and import FIXED.'
        )
    return f"{_lack(record)}{_mapping(record)}"


def _lack(record: dict[str, Any]) -> str:
    for name, required in _REQUIRED.items():
        absent = [field for field in required if record.get(field) is None]
        if len(absent) == 1 and len(required) > 1:
            return f"For {name}, the field {quoted(absent[0])} is missing. "
    if {"question", "answer"} <= record.keys():
        return 'For gsm8k, the last line of "answer" should be "#### " and the final answer. '
    return ""


def _mapping(record: dict[str, Any]) -> str:
    """Return how a map would read a record, with its columns as far as their names say it."""
    found = {
        target: next((name for name in names if isinstance(record.get(name), str)), None)
        for target, names in _USUAL.items()
    }
    pairs, condition = "prompt=FIELD,reasoning=FIELD,answer=FIELD", "If the fields are texts"
    if found["prompt"] and len(known := {t: name for t, name in found.items() if name}) > 1:
        pairs = ",".join(f"{target}={name}" for target, name in known.items())
        condition = "If the names say what they are"
    fields = ", ".join(map(quoted, list(record)[:_FEW]))
    return (
        f"Their fields are {fields or 'none'}. {condition}, map them: --from columns --map {pairs}"
    )


#: What every line of a file of rejects has.
_REJECTS: Final = {"column", "field", "file", "line", "reason", "unit"}
#: Usual names of text columns, the more certain ones first.
_USUAL: Final = {
    "prompt": ("prompt", "question", "problem", "instruction", "query", "input"),
    "reasoning": ("reasoning", "reasoning_content", "thinking", "thoughts", "rationale", "cot"),
    "response": ("response", "completion", "output", "generation"),
    "answer": ("final_answer", "answer", "expected_answer", "solution"),
}
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
        bool(turns := _list(record.get(name)))
        and isinstance(turns[0], dict)
        and any(field in turns[0] for field in fields)
        for name in names
    )


def _list(value: object) -> list[Any]:
    """Return a list, or that in a text, as in the cells of CSV; empty for anything else."""
    try:
        return list_of(value, "", "")
    except TraceError:
        return []


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
    n_lines = sum(record.get("type") in {"session", "message"} for record in records)
    return records[0].get("type") == "session" and 2 * n_lines > len(records)


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
