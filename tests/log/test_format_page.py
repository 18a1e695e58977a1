"""docs/format.md is true: its bytes are those that tunixrt writes, its commands do what it says."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.making.conversations import conversation
from tests.making.golden import (
    GOLDEN_HEADER,
    GOLDEN_NAME,
    GOLDEN_PART,
    GOLDEN_SNAPSHOT,
    GOLDEN_SNAPSHOT_NAME,
)
from tunixrt.log.canonical import MAX_DEPTH
from tunixrt.log.layout import STORE_JSON
from tunixrt.log.segment.events import MAX_PAYLOAD_BYTES
from tunixrt.log.segment.sealed import MAX_PART_BYTES
from tunixrt.traces.conversation import FIELDS, MAX_MESSAGES, MAX_TEXT, MESSAGE_FIELDS, ONLY
from tunixrt.traces.schema import payload_of, trace_id

_PAGE = Path(__file__).parents[2].joinpath("docs", "format.md").read_text(encoding="utf-8")


def _block(kind: str) -> str:
    (content,) = re.findall(rf"^```{re.escape(kind)}\n(.*?)^```$", _PAGE, re.DOTALL | re.MULTILINE)
    return str(content)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("json store.json", STORE_JSON),
        ("json segment.json", GOLDEN_HEADER),
        ("json snapshot", GOLDEN_SNAPSHOT),
    ],
)
def test_a_file_on_the_page_is_what_is_written(kind: str, expected: bytes) -> None:
    # A block of Markdown ends in a line feed; these files do not.
    assert _block(kind) == expected.decode() + "\n"


def test_the_part_on_the_page_is_what_is_written() -> None:
    assert _block("jsonl 0000.jsonl") == GOLDEN_PART.decode()


def test_the_conversation_on_the_page_is_what_is_written() -> None:
    payload = payload_of(conversation())
    assert _block("json conversation") == payload.decode() + "\n"
    assert f"its id is\n`{trace_id(payload)}`" in _PAGE


def test_the_fields_of_a_conversation_on_the_page_are_those_of_the_code() -> None:
    section = _PAGE.partition("### Traces")[2].partition("###")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", section, re.MULTILINE))
    assert {*rows} - {*MESSAGE_FIELDS} == {*FIELDS} - {"trace_version", "meta"}
    assert {*MESSAGE_FIELDS} <= {*rows}
    for name, roles in ONLY.items():
        assert rows[name] == ", ".join(f"`{role}`" for role in roles)
    for limit in (f"2 to {MAX_MESSAGES:,} messages", f"at most {MAX_TEXT:,} characters"):
        assert limit in section


def test_the_names_on_the_page_are_those_of_the_files() -> None:
    assert f"Its name is `{GOLDEN_NAME}`" in _PAGE
    assert f"Its name is `{GOLDEN_SNAPSHOT_NAME}`" in _PAGE


def test_the_limits_on_the_page_are_those_of_the_code() -> None:
    assert f"{MAX_PART_BYTES:,} bytes" in _PAGE
    assert f"at most {MAX_PAYLOAD_BYTES // 1024**2} MiB" in _PAGE
    assert f"nesting deeper than {MAX_DEPTH}" in _PAGE


def test_digests_can_be_checked_by_hand_as_the_page_says(tmp_path: Path) -> None:
    (tmp_path / "segment.json").write_bytes(GOLDEN_HEADER)
    (tmp_path / "0000.jsonl").write_bytes(GOLDEN_PART)
    done = subprocess.run(
        ["sh", "-e", "-c", _block("sh by hand")], cwd=tmp_path, check=True, capture_output=True
    )
    assert done.stdout.decode() == _block("text by hand")
