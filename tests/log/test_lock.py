"""Promise: a waiting process says whose lock it waits for, and gives up with exit code 4."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.making.locks import held
from tunixrt.errors import ExitCode
from tunixrt.log.files import WriteError
from tunixrt.log.layout import Layout, init
from tunixrt.log.lock import (
    Holder,
    LockHeldError,
    Waiting,
    lock_is_held,
    read_holder,
    store_lock,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return init(tmp_path)


def test_who_waits_hears_whose_lock_it_is_and_gives_up(layout: Layout) -> None:
    heard: list[Holder | None] = []
    with held(layout) as process:
        assert lock_is_held(layout)
        with (
            pytest.raises(LockHeldError, match=f"Another process, process {process.pid} on") as no,
            store_lock(layout, "test", Waiting(timeout_s=0.05, on_wait=heard.append)),
        ):
            pass
        holder = read_holder(layout)
        assert holder is not None
        assert (holder.pid, holder.work) == (process.pid, "redaction")
        assert heard == [holder]
    assert no.value.exit_code == ExitCode.STORE_LOCKED
    assert (no.value.path, no.value.holder) == (layout.lock, holder)
    assert re.search(r"\(redaction, since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\)", str(no.value))
    # A process that was killed holds nothing, whatever note it left.
    assert not lock_is_held(layout)
    with store_lock(layout, "test", Waiting(timeout_s=0)):
        pass
    assert read_holder(layout) is None


def test_who_waits_long_enough_gets_the_lock(layout: Layout) -> None:
    with held(layout) as process:

        def let_go(_: Holder | None) -> None:
            assert process.stdin is not None
            process.stdin.close()

        with store_lock(layout, "test", Waiting(timeout_s=600, on_wait=let_go)):
            assert process.wait() == 0


def test_a_holder_without_a_note_is_another_process(layout: Layout) -> None:
    with held(layout):
        layout.lock.with_name("store.lock.holder").write_bytes(b"not a note")
        with (
            pytest.raises(LockHeldError, match=r"^Another process holds") as caught,
            store_lock(layout, "test", Waiting(timeout_s=0)),
        ):
            pass
    assert caught.value.holder is None


def test_the_lock_of_a_store_that_nobody_has_locked_is_free(layout: Layout) -> None:
    assert not lock_is_held(layout)
    assert not layout.derived.exists()
    with store_lock(layout, "test"):
        pass
    assert not lock_is_held(layout)


def test_a_lock_that_cannot_be_made_gets_a_sentence(layout: Layout) -> None:
    layout.derived.write_bytes(b"")
    with pytest.raises(WriteError, match="could not be written"), store_lock(layout, "test"):
        pass
