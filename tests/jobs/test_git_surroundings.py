"""What usual rules of Git keep out of it is said, and the lines that are suggested are the cure."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.git_repository import ENVIRONMENT, GitStore
from tests.making.runs import made_evaluation, made_store, made_training
from tunixrt import Store
from tunixrt.jobs.git_surroundings import LINES
from tunixrt.jobs.status import read_status

if TYPE_CHECKING:
    from pathlib import Path

USUAL = (
    "*.jsonl",
    "runs/",
    "*.safetensors",
    "log/",
    "*.json",
    "store/",
    "build/",
    "model",
    "/evalsets",
    "datasets/",
    "**/snapshots/**",
    ".*",
    "*",
)


def repository(tmp_path: Path, folder: str) -> GitStore:
    """A repository with a store that has a dataset called build, an eval set and two runs."""
    made = GitStore(tmp_path / "repository", folder)
    store = made_store(made.root)
    store.datasets.build("build", "v1")
    made_evaluation(store, made_training(store), n_right=3)
    return made


def clone_problems(made: GitStore, folder: str) -> list[str]:
    """What `verify` finds in a clone of what was committed; "nothing there" without a store."""
    made.commit("everything that Git takes")
    clone = made.repository.with_name("clone")
    made.git("clone", "-q", str(made.repository), str(clone))
    if not (clone / folder / "store" / "store.json").is_file():
        return ["nothing there"]
    found = Store.open(clone / folder).verify()
    wanted = made.store.verify().counts
    return [*map(str, found.findings), *([] if found.counts == wanted else ["lost"])]


@pytest.mark.parametrize("folder", [".", "deep/inside"])
@pytest.mark.parametrize("rule", [*USUAL, "\n".join(USUAL)], ids=lambda rule: rule.split("\n")[0])
def test_a_usual_rule_is_named_and_the_suggested_lines_are_enough_for_a_clone(
    tmp_path: Path, rule: str, folder: str
) -> None:
    made = repository(tmp_path, folder)
    ignore = made.root / ".gitignore"
    ignore.write_text(f"{ignore.read_text()}# ours\n{rule}\n")
    problems = made.store.git_problems()
    place = ".gitignore" if folder == "." else f"{folder}/.gitignore"
    if "\n" not in rule:
        assert problems[0].startswith(f"{place}, line 4: The rule `{rule}` keeps ")
    said, _, lines = problems[-1].partition(f" at the end of {place}:\n")
    assert said.startswith("Remove such rules, or overrule them with these lines")
    assert set(LINES) <= {line.strip() for line in lines.splitlines()}
    with ignore.open("a") as file:
        file.write("".join(f"{line.strip()}\n" for line in lines.splitlines()))
    assert made.store.git_problems() == []
    assert clone_problems(made, folder) == []
    assert not made.git("ls-files", ".tunixrt", f"{folder}/store/.tmp", f"{folder}/.tunixrt")


@pytest.mark.parametrize("where", ["info", "global", "above"])
def test_rules_from_elsewhere_are_named_with_their_file_and_overruled(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = repository(tmp_path, "inside")
    paths = {
        "info": made.repository / ".git" / "info" / "exclude",
        "global": tmp_path / "everywhere",
        "above": made.repository / ".gitignore",
    }
    paths[where].write_text("*.jsonl\nmodel/\n")
    if where == "global":
        config = tmp_path / "config"
        config.write_text(f"[core]\n\texcludesFile = {tmp_path / 'everywhere'}\n")
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
        monkeypatch.setitem(ENVIRONMENT, "GIT_CONFIG_GLOBAL", str(config))
    problems = made.store.git_problems()
    assert "line 1: The rule `*.jsonl` keeps" in problems[0]
    assert "line 2: The rule `model/` keeps" in problems[1]
    shown = {"info": ".git/info/exclude", "global": str(paths["global"]), "above": ".gitignore"}
    assert problems[0].startswith(f"{shown[where]}, line 1")
    with (made.root / ".gitignore").open("a") as file:
        file.write("".join(f"{line}\n" for line in LINES))
    assert made.store.git_problems() == []
    assert clone_problems(made, "inside") == []


@pytest.mark.parametrize(
    ("place", "rule"),
    [("inside/runs/.gitignore", "*"), (".gitignore", "inside/"), (".gitignore", "insid*")],
)
def test_a_rule_that_no_line_can_overrule_is_to_be_removed(
    tmp_path: Path, place: str, rule: str
) -> None:
    made = repository(tmp_path, "inside")
    (made.repository / place).write_text(f"{rule}\n")
    problems = made.store.git_problems()
    assert problems
    assert all(problem.startswith(f"{place}, line 1: The rule `{rule}`") for problem in problems)
    assert all("Remove this line: " in problem for problem in problems)


def test_the_suggested_lines_without_the_last_one_leave_the_staging_directory_exposed(
    tmp_path: Path,
) -> None:
    made = repository(tmp_path, ".")
    with (made.root / ".gitignore").open("a") as file:
        file.write("".join(f"{line}\n" for line in LINES[:-1]))
    (check,) = [check for check in made.store.examine() if check.name == "git ignore"]
    assert not check.ok
    assert "Git does not ignore store/.tmp" in check.found


def test_links_in_a_store_do_not_keep_git_from_answering(tmp_path: Path) -> None:
    made = repository(tmp_path, ".")
    (made.root / "runs").rename(tmp_path / "runs")
    (made.root / "runs").symlink_to(tmp_path / "runs")
    assert made.store.git_problems() == []
    (made.root / ".git" / "info" / "exclude").write_text("*.jsonl\n")
    assert "The rule `*.jsonl`" in made.store.git_problems()[0]


def test_a_derived_directory_that_is_a_link_has_to_be_ignored_as_a_file(tmp_path: Path) -> None:
    made = repository(tmp_path, ".")
    (made.root / ".tunixrt").rename(tmp_path / "elsewhere")
    (made.root / ".tunixrt").symlink_to(tmp_path / "elsewhere")
    (check,) = [check for check in made.store.examine() if check.name == "git ignore"]
    assert "Git does not ignore .tunixrt" in check.found
    with (made.root / ".gitignore").open("a") as file:
        file.write("/.tunixrt\n")
    (check,) = [check for check in made.store.examine() if check.name == "git ignore"]
    assert check.ok


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("*.jsonl text", "text is set for store/log/00/<64 hex>/0000.jsonl"),
        ("*.json text=auto", "text is auto for store/store.json"),
        ("*.jsonl filter=lfs diff=lfs -text", "filter is lfs for store/log/"),
        ("*.safetensors filter=crypt -text", "filter is crypt for runs/<64 hex>/model"),
        ("runs/** export-ignore", "export-ignore is set for runs/"),
        ("store/** ident", "ident is set for store/"),
        ("evalsets/** working-tree-encoding=UTF-16", "working-tree-encoding is UTF-16"),
        ("*.jsonl merge=union", "merge is union for store/log/"),
    ],
)
def test_attributes_that_change_bytes_or_leave_files_out_are_named(
    tmp_path: Path, line: str, sentence: str
) -> None:
    made = repository(tmp_path, ".")
    with (made.root / ".gitattributes").open("a") as file:
        file.write(f"{line}\n")
    (problem,) = made.store.git_problems()
    assert sentence in problem


def test_weights_in_git_lfs_are_fine(tmp_path: Path) -> None:
    made = repository(tmp_path, ".")
    with (made.root / ".gitattributes").open("a") as file:
        file.write("*.safetensors filter=lfs diff=lfs merge=lfs -text\n")
    assert made.store.git_problems() == []


def test_line_ends_are_left_alone_whatever_autocrlf_says(tmp_path: Path) -> None:
    made = repository(tmp_path, ".")
    made.git("config", "core.autocrlf", "true")
    assert made.store.git_problems() == []
    assert clone_problems(made, ".") == []


def test_status_says_it_and_nothing_is_said_outside_of_git_or_without_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = repository(tmp_path, ".")
    (made.root / ".git" / "info" / "exclude").write_text("runs/\n")
    status = read_status(made.store.layout, made.store.log)
    assert status.git_problems == made.store.git_problems()
    assert status.git_problems[0].startswith(".git/info/exclude, line 1: The rule `runs/`")
    alone = made_store(tmp_path / "alone")
    assert alone.git_problems() == []
    (tmp_path / "empty").mkdir()
    monkeypatch.setitem(os.environ, "PATH", str(tmp_path / "empty"))
    assert made.store.git_problems() == []
    assert made.store.verify().ok
