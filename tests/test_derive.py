"""The one mechanism of everything that is derived: published whole, made again, compared."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, ClassVar

import msgspec
import pytest

from tunixrt.derive import (
    QUIET,
    Again,
    Answer,
    Derivation,
    Execution,
    NotReproducibleError,
    Watch,
    WorkHeldError,
    again,
    derivation_id,
    not_made,
    obtain,
    unfinished,
    work_directory,
    working,
)
from tunixrt.errors import BadInputError, ExitCode
from tunixrt.log.findings import DamagedError
from tunixrt.log.layout import Layout, init
from tunixrt.log.stored import read_stored
from tunixrt.log.sums import output_digests, verify_sealed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Identity(msgspec.Struct, frozen=True, tag_field="kind", tag="squares"):
    n: int


class Manifest(msgspec.Struct, frozen=True):
    identity: Identity
    total: int


class Squares(Derivation[Manifest]):
    """The squares of the first numbers, a line each; some are wrong on purpose."""

    kind = "squares"
    records: ClassVar = {"notes.txt": ("note", ("i",)), "squares.jsonl": ("square", ("i", "draw"))}

    def __init__(
        self,
        n: int = 3,
        wrong: dict[int, int] | None = None,
        reasons: tuple[str, ...] = (),
        tolerance: int = 0,
    ) -> None:
        self.n = n
        self._wrong = wrong or {}
        self._reasons = list(reasons)
        self._tolerance = tolerance
        self.fails_at: int | None = None
        self.n_made = 0

    @property
    def identity(self) -> Identity:
        return Identity(self.n)

    def make(self, directory: Path, watch: Watch, work: Path | None) -> Manifest:
        squares = []
        left = work / "left" if work is not None else None
        if left is not None and left.is_file():
            squares = json.loads(left.read_text())
        for i in range(len(squares), self.n):
            if i == self.fails_at:
                raise OSError("stopped")
            self.n_made += 1
            squares.append(self._wrong.get(i, i * i))
            if left is not None:
                left.write_text(json.dumps(squares))
            watch.progress(i + 1, self.n)
        lines = (
            json.dumps({"i": i, "square": s}, separators=(",", ":")) for i, s in enumerate(squares)
        )
        (directory / "squares.jsonl").write_text("".join(f"{line}\n" for line in lines))
        return Manifest(self.identity, sum(squares))

    def environment(self, watch: Watch) -> dict[str, object] | None:
        execution = watch.execution()
        return None if execution is None else {"duration_s": execution.duration_s}

    def reasons(self) -> list[str]:
        return self._reasons

    def beyond_tolerance(self, recorded: Path, rebuilt: Path) -> str | None:
        old, new = (
            json.loads((path / "manifest.json").read_text())["total"]
            for path in (recorded, rebuilt)
        )
        off = abs(new - old)
        return f"The totals are {off} apart." if off > self._tolerance else None


class Read(Squares):
    """Squares that are close where their lines can be read."""

    def beyond_tolerance(self, recorded: Path, rebuilt: Path) -> str | None:
        for path in (recorded, rebuilt):
            read_stored(path / "squares.jsonl")
        return None


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return init(tmp_path)


def publish(layout: Layout, derivation: Squares, watch: Watch = QUIET) -> Path:
    place = layout.runs / derivation.id
    obtain(layout, derivation, place, watch)
    return place


def remade(layout: Layout, derivation: Squares, place: Path) -> Again[Manifest]:
    with again(layout, derivation, place) as made:
        return made


def test_what_is_published_is_found_and_not_made_again(layout: Layout) -> None:
    first, second = Squares(), Squares()
    place = layout.runs / first.id
    assert obtain(layout, first, place) == Manifest(Identity(3), 5)
    assert obtain(layout, second, place) is None
    assert (first.n_made, second.n_made) == (3, 0)
    assert list(verify_sealed(layout, place)) == []
    assert list(output_digests(place)) == ["squares.jsonl"]
    assert place.name == derivation_id(Identity(3)) != derivation_id(Identity(4))
    assert unfinished(layout) == []


def test_an_execution_is_noted_beside_what_is_hashed(layout: Layout) -> None:
    watch = Watch(stopwatch=lambda: Execution("2026-01-01T00:00:00Z", 1.5))
    place = publish(layout, Squares(), watch)
    (noted,) = (place / "environments").iterdir()
    assert json.loads(noted.read_bytes()) == {"duration_s": 1.5}
    assert "environments" not in (place / "SHA256SUMS").read_text()
    noted.write_bytes(b"{}")
    (finding,) = verify_sealed(layout, place)
    assert "not named by its own digest" in finding.problem


def test_interrupted_work_is_found_under_the_identity_and_removed_at_the_end(
    layout: Layout,
) -> None:
    broken = Squares()
    broken.fails_at = 2
    with pytest.raises(OSError, match="stopped"):
        publish(layout, broken)
    assert not (layout.runs / broken.id).exists()
    assert unfinished(layout) == [("squares", broken.id)]
    assert list(layout.staging.iterdir()) == []
    resumed = Squares()
    place = publish(layout, resumed)
    assert resumed.n_made == 1
    assert (place / "squares.jsonl").read_text().splitlines()[2] == '{"i":2,"square":4}'
    assert unfinished(layout) == []
    assert not work_directory(layout, "squares", broken.id).exists()


def test_one_process_at_a_time_makes_one_derivation(layout: Layout) -> None:
    derivation = Squares()
    with working(layout, "squares", derivation.id):
        with pytest.raises(WorkHeldError, match=r"is making the squares .* already") as caught:
            publish(layout, derivation)
        publish(layout, Squares(4))
    assert caught.value.exit_code == ExitCode.STORE_LOCKED
    publish(layout, derivation)


def test_the_process_that_waited_finds_what_the_other_has_published(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    derivation = Squares()
    place = layout.runs / derivation.id
    publish(layout, derivation)
    hidden = place.rename(layout.root / "hidden")
    held = working

    def appears(layout: Layout, kind: str, identifier: str) -> object:
        hidden.rename(place)
        return held(layout, kind, identifier)

    monkeypatch.setattr("tunixrt.derive.derivation.working", appears)
    late = Squares()
    assert obtain(layout, late, place) is None
    assert late.n_made == 0


def test_something_else_in_its_place_is_never_replaced(layout: Layout) -> None:
    derivation = Squares()
    place = layout.runs / derivation.id
    place.mkdir()
    (place / "squares.jsonl").write_text("mine")
    with pytest.raises(DamagedError, match="are where the squares belongs"):
        publish(layout, derivation)
    assert (place / "squares.jsonl").read_text() == "mine"


def test_the_same_bytes_are_identical_and_nothing_is_left(layout: Layout) -> None:
    place = publish(layout, Squares())
    before = output_digests(layout.root)
    seen: list[int] = []
    with again(layout, Squares(), place, Watch(on_progress=lambda n, *_: seen.append(n))) as made:
        assert (made.directory / "squares.jsonl").is_file()
    assert made.verdict.verdict is Answer.IDENTICAL
    assert [file.file for file in made.verdict.files] == ["manifest.json", "squares.jsonl"]
    assert seen == [1, 2, 3]
    assert output_digests(layout.root) == before


def test_the_first_difference_is_named_by_record(layout: Layout) -> None:
    place = publish(layout, Squares())
    verdict = remade(layout, Squares(wrong={1: 7}), place).verdict
    assert verdict.verdict is Answer.DIVERGED
    assert (verdict.file, verdict.line) == ("squares.jsonl", 2)
    assert verdict.first_difference == "squares.jsonl, line 2: square 1: square was 1, is 7"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda place: (place / "squares.jsonl").write_text('{"i":0,"square":0}\n'),
            "squares.jsonl, line 2: one of the two ends here",
        ),
        (
            lambda place: (place / "squares.jsonl").write_text("[1]\n"),
            "squares.jsonl, line 1: square differs",
        ),
        (
            lambda place: (place / "squares.jsonl").write_bytes(b"\xff\n"),
            "squares.jsonl, line 1: square differs",
        ),
        (
            lambda place: (place / "squares.jsonl").write_text('{"draw":2,"i":0,"square":9}\n'),
            "squares.jsonl, line 1: square 0, draw 2: draw was 2, is null; square was 9, is 0",
        ),
        (lambda place: (place / "more").write_text(""), "more as a whole: it was not rebuilt"),
        (
            lambda place: [(place / name).unlink() for name in ("squares.jsonl", "SHA256SUMS")],
            "squares.jsonl as a whole: it was not recorded",
        ),
        (
            lambda place: (place / "squares.jsonl").write_text('{"other":1}\n'),
            "squares.jsonl, line 1: square differs",
        ),
        (lambda place: (place / "manifest.json").write_text("[1]"), "manifest.json as a whole"),
        (lambda place: (place / "manifest.json").write_text("{"), "manifest.json as a whole"),
        (
            lambda place: (place / "manifest.json").write_text(
                '{"identity":{"kind":"squares","n":3},"total":6}'
            ),
            "manifest.json: total was 6, is 5",
        ),
    ],
)
def test_whatever_differs_is_named(change: object, sentence: str, layout: Layout) -> None:
    place = publish(layout, Squares())
    change(place)  # type: ignore[operator]
    verdict = remade(layout, Squares(), place).verdict
    assert verdict.verdict is Answer.DIVERGED
    assert verdict.first_difference == sentence


UNREADABLE: dict[str, Callable[[Path], object]] = {
    "nothing": lambda path: None,
    "a link": lambda path: path.symlink_to("elsewhere"),
    "a FIFO": os.mkfifo,
    "a pointer of Git LFS": lambda path: path.write_text(
        "version https://git-lfs.github.com/spec/v1\n"
    ),
}


@pytest.mark.parametrize("thing", UNREADABLE)
def test_a_recorded_file_that_cannot_be_read_is_compared_by_its_digest(
    layout: Layout, thing: str
) -> None:
    place = publish(layout, Squares())
    (place / "squares.jsonl").unlink()
    UNREADABLE[thing](place / "squares.jsonl")
    assert remade(layout, Squares(), place).verdict.verdict is Answer.IDENTICAL
    verdict = remade(layout, Squares(wrong={1: 7}), place).verdict
    assert verdict.verdict is Answer.DIVERGED
    assert verdict.first_difference is not None
    assert verdict.first_difference.startswith("squares.jsonl as a whole")
    verdict = remade(layout, Read(wrong={1: 2}, reasons=("x",)), place).verdict
    assert verdict.verdict is Answer.DIVERGED
    assert verdict.first_difference is not None
    assert verdict.first_difference.startswith("What was recorded cannot be read: `tunixrt verify`")


@pytest.mark.parametrize("thing", [name for name in UNREADABLE if name != "nothing"])
def test_a_damaged_manifest_stands_where_it_is_and_is_found(layout: Layout, thing: str) -> None:
    derivation = Squares()
    place = publish(layout, derivation)
    (place / "manifest.json").unlink()
    UNREADABLE[thing](place / "manifest.json")
    assert obtain(layout, derivation, place) is None
    assert [finding.path for finding in verify_sealed(layout, place)] == [
        f"runs/{derivation.id}/manifest.json"
    ]


@pytest.mark.parametrize("thing", UNREADABLE)
def test_whatever_lies_in_a_work_directory_goes_when_it_is_published(
    layout: Layout, thing: str
) -> None:
    derivation = Squares()
    work = work_directory(layout, "squares", derivation.id)
    work.mkdir(parents=True)
    UNREADABLE[thing](work / "leftover")
    publish(layout, derivation)
    assert not work.exists()


def test_close_is_an_answer_only_where_identity_is_not_promised(layout: Layout) -> None:
    place = publish(layout, Squares())
    near = Squares(wrong={1: 2}, reasons=("another machine",), tolerance=1)
    verdict = remade(layout, near, place).verdict
    assert (verdict.verdict, verdict.expected) == (Answer.CLOSE, Answer.CLOSE)
    assert verdict.reasons == ["another machine"]
    far = Squares(wrong={1: 3}, reasons=("another machine",), tolerance=1)
    verdict = remade(layout, far, place).verdict
    assert verdict.verdict is Answer.DIVERGED
    assert verdict.first_difference is not None
    assert verdict.first_difference.startswith("The totals are 2 apart. First difference: squares")
    assert remade(layout, Squares(reasons=("x",)), place).verdict.verdict is Answer.IDENTICAL


def test_what_is_gone_is_not_reproducible_and_what_is_here_and_wrong_has_diverged() -> None:
    gone = not_made("squares", "ab" * 32, NotReproducibleError("1 redacted"))
    assert (gone.verdict, gone.reasons) == (Answer.NOT_REPRODUCIBLE, ["1 redacted"])
    wrong = not_made("squares", "ab" * 32, BadInputError("not a number"))
    assert (wrong.verdict, wrong.first_difference) == (Answer.DIVERGED, "not a number")
    assert [answer.is_no for answer in Answer] == [False, False, False, True, True]
