"""A real Git repository with a store in it, and no configuration of any kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunixrt import Store

if TYPE_CHECKING:
    from pathlib import Path


import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

ENVIRONMENT = {
    "PATH": os.environ.get("PATH", ""),
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **{
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (
            ("NAME", "A"),
            ("EMAIL", "a@example.org"),
            ("DATE", "2026-01-31T12:00:00Z"),
        )
    },
}


class GitStore:
    """A store at the root of a repository, or in a folder of it."""

    def __init__(self, repository: Path, folder: str = ".") -> None:
        self.repository = repository
        repository.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main")
        self.root = repository / folder
        self.root.mkdir(parents=True, exist_ok=True)
        self.store = Store.init(self.root)
        self.commit("a store")

    def git(self, *arguments: str, expect: int = 0) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.repository,
            env=ENVIRONMENT,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout

    def commit(self, message: str) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD").strip()

    def branch(self, name: str, start: str = "main") -> None:
        self.git("checkout", "-q", "-B", name, start)

    def merge(self, *branches: str, expect: int = 0) -> None:
        self.git("merge", "-q", "--no-edit", *branches, expect=expect)

    def problems(self) -> list[str]:
        return [str(finding) for finding in self.store.verify(rebuild=True).findings]


POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)
