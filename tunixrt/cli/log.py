"""`tunixrt log`: the events."""

from __future__ import annotations

import json
from collections import deque
from typing import TYPE_CHECKING

import click
import msgspec

from tunixrt.cli.base import ExampleCommand, store_options
from tunixrt.cli.output import emit_json_line, short

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunixrt.log.segment.events import StoredEvent
    from tunixrt.store import Store


@click.command(
    cls=ExampleCommand, examples=("tunixrt log --limit 20", "tunixrt log --json | tail -1")
)
@click.option("-n", "--limit", type=click.IntRange(1), metavar="N", help="Only the last N events.")
@store_options
def log(store: Store, limit: int | None, as_json: bool) -> None:
    """List the events in the order of the log, the newest last.

    The order is the same in every clone; it is not chronological. With --json, one
    document per line.
    """
    for event in _events(store, limit):
        if as_json:
            emit_json_line(_document(event))
        else:
            click.echo(_line(event))


def _events(store: Store, limit: int | None) -> Iterator[StoredEvent]:
    if limit is None:
        yield from store.log.events()
        return
    # From the end, no more segments than it takes.
    wanted, n_events = [], 0
    for ref in reversed(store.log.segments()):
        if n_events >= limit:
            break
        wanted.append(ref.digest)
        n_events += ref.n_events
    yield from deque(store.log.events(wanted), maxlen=limit)


def _document(event: StoredEvent) -> dict[str, object]:
    from tunixrt.log.segment.events import RECORDED

    is_recording = event.envelope.type == RECORDED
    # What a trace says is for `trace show`: a line of the log stays short.
    content = None if is_recording or event.payload is None else msgspec.json.decode(event.payload)
    return {
        "type": event.envelope.type,
        "trace": event.envelope.payload if is_recording else event.envelope.trace,
        "recorded_at": event.envelope.recorded_at,
        "content": content,
        "has_payload": event.payload is not None,
        "segment": event.segment,
        "position": event.position,
    }


def _line(event: StoredEvent) -> str:
    document = _document(event)
    trace = short(str(document["trace"])) if document["trace"] else "-"
    words = [f"{short(event.segment)}:{event.position}", event.envelope.type, trace]
    if document["content"] is not None:
        words.append(json.dumps(document["content"], ensure_ascii=False))
    elif event.envelope.payload is not None and event.payload is None:
        words.append("(redacted)")
    if event.envelope.recorded_at is not None:
        words.append(event.envelope.recorded_at)
    return "  ".join(words)
