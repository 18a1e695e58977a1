from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.making.events import traces, tree
from tunixrt.errors import ExitCode
from tunixrt.log.digests import from_hex
from tunixrt.log.eventlog import EventLog
from tunixrt.log.files import (
    ImmutableFileError,
    NoCurrentDirectoryError,
    WriteError,
    staging_directory,
)
from tunixrt.log.layout import (
    STORE_JSON,
    Layout,
    StoreFormatError,
    StoreNotFoundError,
    check_format,
    find,
    init,
    verify_layout,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.skipif(sys.platform == "darwin", reason="there it is F_FULLFSYNC and not fsync")
def test_the_names_of_the_directories_that_a_store_needs_are_on_the_disk_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[int] = set()
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.add(os.fstat(descriptor).st_ino))
    root = tmp_path / "new" / "home"
    init(root)
    for directory in (tmp_path, tmp_path / "new", root, root / "store"):
        assert directory.stat().st_ino in synced
    assert tmp_path.parent.stat().st_ino not in synced


def test_the_description_of_a_store_has_no_id_and_no_time(tmp_path: Path) -> None:
    assert init(tmp_path).store_json.read_bytes() == (
        b'{"canonicalisation":"rfc8785","digest":"sha256","format":"tunixrt-store-1"}'
    )


def test_init_writes_what_a_store_needs_and_nothing_else(tmp_path: Path) -> None:
    layout = init(tmp_path)
    assert tree(tmp_path) == {
        ".gitattributes": b"/store/** -text\n/runs/** -text\n/evalsets/** -text\n",
        ".gitignore": b".tunixrt/\n/store/.tmp/\n",
        "store/store.json": STORE_JSON,
    }
    assert layout.runs.is_dir()
    assert layout.evalsets.is_dir()
    assert list(layout.staging.iterdir()) == []
    assert list(verify_layout(layout)) == []


def test_a_second_init_changes_nothing(tmp_path: Path) -> None:
    init(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    init(tmp_path)
    assert before == {
        path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()
    }


def test_init_adds_to_git_files_only_the_lines_that_they_miss(tmp_path: Path) -> None:
    (tmp_path / ".gitattributes").write_bytes(b"*.png binary\r\n/runs/** -text\r\nlatin-\xe9 text")
    (tmp_path / ".gitignore").write_bytes(b".tunixrt/\n/store/.tmp/\n")
    init(tmp_path)
    assert (tmp_path / ".gitattributes").read_bytes() == (
        b"*.png binary\r\n/runs/** -text\r\nlatin-\xe9 text\n/store/** -text\n/evalsets/** -text\n"
    )
    assert (tmp_path / ".gitignore").read_bytes() == b".tunixrt/\n/store/.tmp/\n"


def test_init_keeps_links_and_permissions_of_git_files(tmp_path: Path) -> None:
    shared = tmp_path / "shared-ignore"
    shared.write_text("*.pyc\n")
    shared.chmod(0o640)
    root = tmp_path / "root"
    root.mkdir()
    (root / ".gitignore").symlink_to(shared)
    init(root)
    assert (root / ".gitignore").is_symlink()
    assert shared.read_text().startswith("*.pyc\n")
    assert ".tunixrt/" in shared.read_text()
    assert shared.stat().st_mode & 0o777 == 0o640


def test_init_does_not_touch_a_store_of_another_format(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "store.json").write_bytes(b"{}")
    with pytest.raises(ImmutableFileError, match="exists already with other bytes"):
        init(tmp_path)
    assert tree(tmp_path) == {"store/store.json": b"{}"}


def test_init_where_a_file_is_in_the_way_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"")
    with pytest.raises(WriteError, match="could not be written: Not a directory"):
        init(tmp_path)


def test_the_store_is_found_upward(tmp_path: Path) -> None:
    init(tmp_path)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert find(below) == find(tmp_path) == Layout(tmp_path)


def test_the_nearest_store_wins(tmp_path: Path) -> None:
    init(tmp_path)
    inner = tmp_path / "inner"
    inner.mkdir()
    init(inner)
    assert find(inner / "store" / "log").root == inner


@pytest.mark.parametrize("door", [init, find, Layout])
def test_a_store_named_by_a_relative_path_is_the_same_from_every_directory(
    door: Callable[[Path], Layout], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    init(tmp_path / "demo")
    monkeypatch.chdir(tmp_path)
    layout = door(Path("demo"))
    assert layout.root == tmp_path / "demo"
    assert layout == Layout(tmp_path / "demo")
    monkeypatch.chdir("/")
    log = EventLog(layout)
    log.append(traces(1))
    with staging_directory(layout) as staged:
        assert staged.parent.parent == tmp_path / "demo" / "store" / ".tmp"
    assert EventLog(Layout(tmp_path / "demo")).segments() == log.segments()


def test_a_store_is_made_and_found_through_a_link_and_its_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "away")
    monkeypatch.chdir(tmp_path)
    # The parent of what the link points to: that is what the operating system opens.
    layout = init(Path("link/../demo"))
    assert layout.root == tmp_path / "far" / "demo"
    assert layout.store_json.is_file()
    assert list(layout.staging.iterdir()) == []
    assert find(Path("link/../demo/store")) == layout
    # Without `..` the name that the user typed stays in every message.
    assert init(Path("link")).root == tmp_path / "link"


def test_the_store_beside_a_directory_is_not_above_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    init(tmp_path / "demo")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "demo")
    with pytest.raises(StoreNotFoundError) as caught:
        find(Path("../other"))
    assert caught.value.start == tmp_path / "other"


@pytest.mark.parametrize("door", [init, find, Layout])
def test_a_relative_path_in_a_directory_that_was_removed_gets_a_sentence(
    door: Callable[[Path], Layout], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(NoCurrentDirectoryError, match="no longer exists") as caught:
        door(Path("demo"))
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    assert door(init(tmp_path / "demo").root).root == tmp_path / "demo"


def test_no_store_gets_a_sentence_and_its_own_exit_code(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFoundError, match="run `tunixrt init`") as caught:
        find(tmp_path)
    assert caught.value.exit_code == ExitCode.NO_STORE
    assert caught.value.start == tmp_path
    assert str(tmp_path) in str(caught.value)


def test_paths_of_a_store_are_where_the_format_says(tmp_path: Path) -> None:
    layout = init(tmp_path)
    digest = from_hex("ab" * 32)
    assert layout.relative(layout.segment(digest)) == f"store/log/ab/{'ab' * 32}"
    assert layout.relative(layout.snapshot(digest)) == f"store/snapshots/{'ab' * 32}.json"
    assert layout.relative(layout.datasets) == "store/datasets"
    assert layout.relative(layout.lock) == ".tunixrt/store.lock"


@pytest.mark.parametrize("content", [None, b"", b"{}", STORE_JSON + b"\n", b"\xff"])
def test_a_store_of_another_format_is_not_written_to(tmp_path: Path, content: bytes | None) -> None:
    layout = init(tmp_path)
    check_format(layout)
    layout.store_json.unlink()
    if content is not None:
        layout.store_json.write_bytes(content)
    with pytest.raises(StoreFormatError, match="does not describe a store") as caught:
        check_format(layout)
    assert caught.value.path == layout.store_json
    (finding,) = verify_layout(layout)
    assert finding.path == "store/store.json"
    assert str(finding).startswith("store/store.json: The description of the store ")


def test_what_does_not_belong_into_a_store_is_found_whatever_its_name(tmp_path: Path) -> None:
    layout = init(tmp_path)
    (layout.store / "notes.txt").write_bytes(b"")
    (layout.store / "Log").mkdir()
    name = os.fsdecode(b"\xff.bin")
    (layout.store / name).write_bytes(b"")
    findings = list(verify_layout(layout))
    assert [finding.path for finding in findings] == [
        "store/Log",
        "store/notes.txt",
        "store/\\xff.bin",
    ]
    assert "Nothing of this name belongs here" in str(findings[0])


def test_a_log_without_its_store_json_is_called_one_and_init_completes_it(tmp_path: Path) -> None:
    begun = init(tmp_path / "root")
    (begun.log / "00").mkdir(parents=True)
    data = begun.store_json.read_bytes()
    begun.store_json.unlink()
    with pytest.raises(StoreNotFoundError, match=r"`tunixrt init .*root` writes it again"):
        find(begun.runs)
    init(tmp_path / "root")
    assert find(begun.runs).store_json.read_bytes() == data
