from __future__ import annotations

import errno
import fcntl
import os
import sys
from pathlib import Path

import pytest

from tests.making.events import tree
from tunixrt.errors import ExitCode
from tunixrt.log import files
from tunixrt.log.files import (
    ImmutableFileError,
    UnconfirmedWriteError,
    WriteError,
    publish_directory,
    publish_file,
    replace_file,
    staging_directory,
)
from tunixrt.log.layout import Layout, init


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return init(tmp_path)


def test_a_staging_directory_is_ones_own_and_goes_away(layout: Layout) -> None:
    with staging_directory(layout) as first, staging_directory(layout) as second:
        assert first != second
        assert first.is_relative_to(layout.staging)
        (first / "file").write_bytes(b"1")
    assert list(layout.staging.iterdir()) == []


def test_a_staging_directory_goes_away_when_its_block_fails(layout: Layout) -> None:
    def write_and_fail() -> None:
        with staging_directory(layout) as staged:
            (staged / "file").write_bytes(b"1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert list(layout.staging.iterdir()) == []


def test_a_directory_is_published_whole(layout: Layout) -> None:
    destination = layout.store / "datasets" / "a" / "1"
    with staging_directory(layout) as staged:
        (staged / "x").write_bytes(b"1")
        (staged / "y").write_bytes(b"2")
        assert publish_directory(staged, destination) is True
    assert tree(destination) == {"x": b"1", "y": b"2"}
    assert list(layout.staging.iterdir()) == []


def test_what_is_published_can_be_read_by_those_who_can_read_its_neighbours(
    layout: Layout,
) -> None:
    with staging_directory(layout) as staged:
        (staged / "x").write_bytes(b"1")
        publish_directory(staged, layout.datasets / "a")
    assert (layout.datasets / "a").stat().st_mode == layout.datasets.stat().st_mode
    assert (layout.datasets / "a" / "x").stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_directory_that_is_there_already_is_left_alone(layout: Layout) -> None:
    destination = layout.datasets / "a"
    for content in (b"first", b"second"):
        with staging_directory(layout) as staged:
            (staged / "x").write_bytes(content)
            assert publish_directory(staged, destination) is (content == b"first")
    assert tree(destination) == {"x": b"first"}
    assert list(layout.staging.iterdir()) == []


def test_an_empty_directory_in_the_way_is_filled(layout: Layout) -> None:
    # `git clean` and interrupted checkouts leave such directories.
    destination = layout.datasets / "a"
    destination.mkdir(parents=True)
    with staging_directory(layout) as staged:
        (staged / "x").write_bytes(b"1")
        assert publish_directory(staged, destination) is True
    assert tree(destination) == {"x": b"1"}


def test_a_file_in_the_way_of_a_directory_gets_a_sentence(layout: Layout) -> None:
    destination = layout.store / "datasets"
    destination.write_bytes(b"")
    with staging_directory(layout) as staged:
        (staged / "x").write_bytes(b"1")
        with pytest.raises(WriteError, match="could not be written: Not a directory") as caught:
            publish_directory(staged, destination)
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    assert destination.read_bytes() == b""


def test_a_file_is_published_once_and_never_replaced(layout: Layout) -> None:
    path = layout.snapshots / "name.json"
    with staging_directory(layout) as staging:
        publish_file(path, b"1", staging)
        inode = path.stat().st_ino
        with staging_directory(layout) as other:
            publish_file(path, b"1", other)
        with (
            staging_directory(layout) as another,
            pytest.raises(ImmutableFileError, match="never changes") as caught,
        ):
            publish_file(path, b"2", another)
    assert caught.value.path == path
    assert (path.read_bytes(), path.stat().st_ino) == (b"1", inode)


def test_a_file_is_replaced_in_one_step(layout: Layout) -> None:
    path = layout.store / "part"
    path.write_bytes(b"before")
    with path.open("rb") as reader, staging_directory(layout) as staging:
        replace_file(path, b"after", staging)
        assert reader.read() == b"before"
    assert path.read_bytes() == b"after"


@pytest.fixture
def fsynced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The real fsync, and a list of what it was called on."""
    calls: list[str] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        calls.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    return calls


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/fd")
def test_everything_is_on_the_disk_before_it_is_visible_and_its_names_before_it_is_acknowledged(
    layout: Layout, fsynced: list[str]
) -> None:
    destination = layout.datasets / "a" / "1"
    with staging_directory(layout) as staged:
        (staged / "x").write_bytes(b"1")
        (staged / "y").write_bytes(b"2")
        publish_directory(staged, destination)
        expected = [staged / "x", staged / "y", staged]
        names = [layout.datasets / "a", layout.datasets, layout.store]
    assert fsynced == [str(path) for path in (*expected, *names)]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/fd")
def test_names_that_another_process_made_are_waited_for_as_well(
    layout: Layout, fsynced: list[str]
) -> None:
    path = layout.snapshots / "name.json"
    for _ in range(2):
        fsynced.clear()
        with staging_directory(layout) as staging:
            publish_file(path, b"1", staging)
        assert fsynced[1:] == [str(layout.snapshots), str(layout.store)]


def test_a_disk_that_does_not_confirm_a_name_is_reported_as_such(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync
    destination = layout.datasets / "a"

    def fail(descriptor: int) -> None:
        if destination.exists():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    with staging_directory(layout) as staged:
        (staged / "x").write_bytes(b"1")
        with pytest.raises(UnconfirmedWriteError, match="is in place, but") as caught:
            publish_directory(staged, destination)
    assert caught.value.path == destination
    assert tree(destination) == {"x": b"1"}


def test_where_fsync_stops_at_the_drive_the_drive_is_asked_too(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """macOS; here with another, harmless command in the place of F_FULLFSYNC."""
    calls = []
    call = fcntl.fcntl

    def record(descriptor: int, command: int) -> int:
        calls.append(command)
        return call(descriptor, command)

    monkeypatch.setattr(files, "_FULL_FSYNC", fcntl.F_GETFD)
    monkeypatch.setattr(fcntl, "fcntl", record)
    with staging_directory(layout) as staging:
        publish_file(layout.snapshots / "name.json", b"1", staging)
    assert calls == [fcntl.F_GETFD] * 3
