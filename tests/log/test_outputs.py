"""What `-o` names: whole or as before, links followed, pipes written through, no more touched."""

from __future__ import annotations

import json
import os
import pty
import stat
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.making.files import tree
from tunixrt.log.outputs import (
    ForeignDirectoryError,
    OutputPathError,
    output_directory,
    output_file,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class FailureError(Exception):
    """Something that goes wrong while an output is written."""


def write(path: Path, data: bytes = b"new") -> None:
    with output_file(path) as file:
        file.write(data)


def fail(path: Path) -> None:
    with output_file(path) as file:
        file.write(b"half")
        file.flush()
        raise FailureError


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def fail_building(directory: Path) -> None:
    with output_directory(directory, manifest="pages.json", made_by="make pages") as staged:
        (staged / "a").write_bytes(b"2")
        raise FailureError


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def read_from(open_end: Callable[[], int]) -> Iterator[list[bytes]]:
    """Read everything that comes out of an end, as another program would."""
    found: list[bytes] = []

    def read() -> None:
        descriptor = open_end()
        while part := os.read(descriptor, 65536):
            found.append(part)
        os.close(descriptor)

    thread = threading.Thread(target=read)
    thread.start()
    yield found
    thread.join()


def test_a_new_file_appears_whole_and_honours_the_umask(tmp_path: Path) -> None:
    with umask(0o027):
        write(tmp_path / "new")
    assert tree(tmp_path) == {"new": b"new"}
    assert mode_of(tmp_path / "new") == 0o640


def test_an_existing_file_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.write_bytes(b"old")
    path.chmod(0o604)
    with umask(0o077):
        write(path)
    assert (path.read_bytes(), mode_of(path)) == (b"new", 0o604)


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.write_bytes(b"old")
    for target in (path, tmp_path / "absent"):
        with pytest.raises(FailureError):
            fail(target)
    assert tree(tmp_path) == {"old": b"old"}


def test_files_of_the_user_are_never_taken_for_staging(tmp_path: Path) -> None:
    theirs = {
        name: name.encode()
        for name in ("X.partial", ".X.partial", "X.tmp", "X~", ".X.tmp", ".tunixrt-1")
    }
    for name, data in theirs.items():
        (tmp_path / name).write_bytes(data)
    write(tmp_path / "X")
    assert tree(tmp_path) == theirs | {"X": b"new"}


def test_the_longest_name_that_a_file_can_have_works(tmp_path: Path) -> None:
    write(tmp_path / ("x" * 255))
    assert tree(tmp_path) == {"x" * 255: b"new"}


@pytest.mark.parametrize("absolute", [True, False])
@pytest.mark.parametrize("dangling", [True, False])
def test_a_link_stays_and_its_target_is_written(
    absolute: bool, dangling: bool, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "target"
    if not dangling:
        target.write_bytes(b"old")
    middle, link = tmp_path / "middle", tmp_path / "link"
    middle.symlink_to(target if absolute else Path("elsewhere/target"))
    link.symlink_to(middle)
    write(link)
    assert link.is_symlink()
    assert middle.is_symlink()
    assert not target.is_symlink()
    assert target.read_bytes() == b"new"
    assert names(tmp_path / "elsewhere") == ["target"]


def test_a_fifo_stays_one_and_its_reader_gets_the_bytes(tmp_path: Path) -> None:
    fifo, link = tmp_path / "fifo", tmp_path / "link"
    os.mkfifo(fifo)
    link.symlink_to(fifo)
    for path in (fifo, link):
        with read_from(lambda: os.open(fifo, os.O_RDONLY)) as found:
            write(path, b"x" * 300_000)
        assert b"".join(found) == b"x" * 300_000
    assert stat.S_ISFIFO(fifo.lstat().st_mode)
    assert link.is_symlink()
    assert names(tmp_path) == ["fifo", "link"]


def test_a_terminal_is_written_through() -> None:
    terminal, its_end = pty.openpty()
    write(Path(os.ttyname(its_end)), b"a line\n")
    assert os.read(terminal, 100) == b"a line\r\n"
    os.close(its_end)
    os.close(terminal)


@pytest.mark.parametrize("directory", ["/dev/fd", "/proc/self/fd", "/proc/thread-self/fd"])
def test_an_open_descriptor_is_written_through(directory: str, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with read_from(lambda: reading) as found:
        write(Path(directory, str(writing)))
        os.close(writing)
    assert found == [b"new"]
    # What a shell opened with `>>` is appended to, and no other file takes its place.
    log = tmp_path / "log"
    log.write_bytes(b"first\n")
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    inode = log.stat().st_ino
    write(Path(directory, str(descriptor)))
    os.close(descriptor)
    assert (log.read_bytes(), log.stat().st_ino) == (b"first\nnew", inode)


def test_a_reader_that_leaves_a_fifo_is_no_failed_write(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with pytest.raises(BrokenPipeError):
        write(Path(f"/dev/fd/{writing}"))
    os.close(writing)


def test_paths_that_cannot_be_written_get_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "dangling").symlink_to("absent/target")
    descriptor = os.open(tmp_path, os.O_RDONLY)
    for path, words in (
        (tmp_path / "directory", "is a directory"),
        (Path(f"/dev/fd/{descriptor}"), "is a directory"),
        (Path("/dev/fd/9999"), "Bad file descriptor"),
        (tmp_path / "absent" / "file", "absent does not exist. Make it first"),
        (tmp_path / "dangling", "absent does not exist"),
        (tmp_path / "file" / "below", "not a directory"),
        (tmp_path / "circle", "circle of links"),
        (tmp_path / ("x" * 256), "File name too long"),
    ):
        with pytest.raises((OutputPathError, OSError)) as caught:
            write(path)
        assert words in str(caught.value)
        assert ".tunixrt-" not in str(caught.value)
    os.close(descriptor)
    assert names(tmp_path) == ["circle", "dangling", "directory", "file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_what_may_not_be_written_gets_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "closed" / "file"
    path.parent.mkdir()
    path.write_bytes(b"old")
    path.chmod(0o444)
    with pytest.raises(OutputPathError, match="read-only"):
        write(path)
    path.parent.chmod(0o555)
    with pytest.raises(OutputPathError, match="Permission denied"):
        write(path.parent / "new")
    with pytest.raises(ForeignDirectoryError):
        build(path.parent, {"a": b"1"})
    path.parent.chmod(0o755)
    assert tree(tmp_path) == {"closed/file": b"old"}


# Directories


def build(directory: Path, files: dict[str, bytes], *, made_by: str = "make pages") -> None:
    with output_directory(directory, manifest="pages.json", made_by=made_by) as staged:
        for name, data in files.items():
            (staged / name).parent.mkdir(parents=True, exist_ok=True)
            (staged / name).write_bytes(data)


def pages(directory: Path) -> dict[str, bytes]:
    return {name: data for name, data in tree(directory).items() if name != "pages.json"}


def test_a_directory_is_made_and_made_again(tmp_path: Path) -> None:
    site = tmp_path / "new" / "site"
    build(site, {"index": b"1", "old/page": b"1", "deep/er/page": b"1"})
    (site / "CNAME").write_bytes(b"theirs")
    (site / "deep" / "theirs").write_bytes(b"theirs")
    build(site, {"index": b"2", "new/page": b"2"})
    assert pages(site) == {
        "index": b"2",
        "new/page": b"2",
        "CNAME": b"theirs",
        "deep/theirs": b"theirs",
    }
    assert not (site / "old").exists()
    assert not (site / "deep" / "er").exists()
    manifest = json.loads((site / "pages.json").read_text())
    assert manifest == {"made_by": "make pages", "files": ["index", "new/page"]}


def test_a_directory_may_be_here_empty_or_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "dangling").symlink_to("made")
    build(tmp_path / "link", {"a": b"1"})
    build(tmp_path / "dangling", {"a": b"1"})
    monkeypatch.chdir(tmp_path / "real")
    for here in (Path(), Path("../real")):
        build(here, {"a": b"2"})
    assert (tmp_path / "link").is_symlink()
    assert pages(tmp_path / "real") == {"a": b"2"}
    assert pages(tmp_path / "made") == {"a": b"1"}


def test_a_failed_build_leaves_the_older_one(tmp_path: Path) -> None:
    build(tmp_path / "site", {"a": b"1"})
    before = tree(tmp_path)
    for directory in (tmp_path / "site", tmp_path / "new" / "site"):
        with pytest.raises(FailureError):
            fail_building(directory)
    assert tree(tmp_path) == before
    assert names(tmp_path) == ["site"]


@pytest.mark.parametrize(
    "theirs",
    [
        {"thesis.tex": b"important"},
        {"pages.json": b"{}", "index": b"important"},
        {"pages.json": b"\xff", "index": b"important"},
        {"pages.json": b'{"made_by": "another command", "files": ["index"]}', "index": b"x"},
        {"pages.json": b'{"made_by": "make pages", "files": ["../outside"]}'},
        {"pages.json": b'{"made_by": "make pages", "files": ["/etc/outside"]}'},
        {"pages.json": b'{"made_by": "make pages", "files": []}', "index": b"important"},
    ],
    ids=["a file", "no list", "no JSON", "of another", "above", "absolute", "not listed"],
)
def test_what_tunixrt_did_not_write_is_never_replaced(
    theirs: dict[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / "outside").write_bytes(b"outside")
    (tmp_path / "site").mkdir()
    for name, data in theirs.items():
        (tmp_path / "site" / name).write_bytes(data)
    before = tree(tmp_path)
    with pytest.raises(ForeignDirectoryError, match=r"did not write|was not made by"):
        build(tmp_path / "site", {"index": b"new"})
    assert tree(tmp_path) == before


def test_a_manifest_that_is_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pages.json")
    with pytest.raises(ForeignDirectoryError, match="was not made by"):
        build(tmp_path, {"a": b"1"})


def test_a_link_inside_of_a_directory_leads_nowhere_else(tmp_path: Path) -> None:
    site, outside = tmp_path / "site", tmp_path / "outside"
    build(site, {"data/old": b"1"})
    outside.mkdir()
    (site / "data").rename(tmp_path / "away")
    (site / "data").symlink_to(outside)
    (outside / "old").write_bytes(b"important")
    for files in ({"a": b"2"}, {"data/new": b"2"}):
        with pytest.raises(ForeignDirectoryError):
            build(site, files)
    assert tree(outside) == {"old": b"important"}


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"important")
    os.mkfifo(tmp_path / "fifo")
    for name in ("file", "fifo"):
        with pytest.raises(OutputPathError, match="not a directory"):
            build(tmp_path / name, {"a": b"1"})
    assert tree(tmp_path) == {"file": b"important"}
