"""Run the quick tests on every Python here, and compare what they write digest for digest.

Usage: python -m tests.pythons [--others] [PYTHON...]

Looks for CPython 3.11 and later on PATH, among pyenv's versions, and at the given paths. Each one
that the classifiers of pyproject.toml name gets an environment of its own from the lock file,
`.venv-3.N` (kept for the next time), runs the tests with every warning as an error, and makes
`tests.python_digests`. The Python that runs this program uses the environment that it is in; with
`--others`, which CI uses, it only makes its digests, since `make test` has run its tests. What is
left out, and why, is printed. Exit status 1 where a test fails or a digest differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ROOT = Path(__file__).resolve().parent.parent
LOCK, PROJECT = ROOT / "requirements.lock", ROOT / "pyproject.toml"

#: What a version of Python has changed before: paths, SQL, text, processes, the command line. What
#: trains is in the digests. What kills processes for long stays with `make test`, as does what no
#: version of Python changes: the rules of a page, and what a command imports or needs installed.
QUICK = (
    "tests/log",
    "tests/traces",
    "tests/datasets",
    "tests/runs",
    "tests/cli",
    "tests/report",
    "tests/eval/judge/test_answers.py",
    "tests/eval/test_contamination.py",
    "tests/eval/test_evalsets.py",
    "tests/eval/judge/test_judge_cases.py",
    "tests/eval/judge/test_judges.py",
    "tests/eval/test_predictions.py",
    "tests/eval/test_statistics.py",
    "tests/test_pythons.py",
    "--ignore=tests/log/test_crash.py",
    "--ignore=tests/log/test_git_merge.py",
    "--ignore=tests/traces/test_stream.py",
    "--ignore=tests/report/test_page_rules.py",
    "--ignore=tests/report/test_contrast.py",
    "--ignore=tests/cli/test_base_install.py",
    "--ignore=tests/cli/test_names_of_runs.py",
    "--ignore=tests/cli/test_sampling.py",
    "--ignore=tests/cli/test_start_up.py",
)
N_PROCESSES = 2

_NAME = re.compile(r"python3\.(1[1-9]|[2-9]\d)")
_CLASSIFIER = re.compile(r"Programming Language :: Python :: (3\.\d+)")
_PROBE = """
import json, sys, sysconfig, venv
threads = "free-threaded " if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
print(json.dumps([threads + sys.implementation.name, *sys.version_info[:3]]))
"""
_PROBE_TIMEOUT_S = 60


@dataclass(frozen=True)
class Python:
    """An interpreter that runs here."""

    path: Path
    version: tuple[int, int, int]

    @property
    def minor(self) -> str:
        """The version as classifiers write it."""
        return "{}.{}".format(*self.version)

    def __str__(self) -> str:
        return "{}.{}.{}".format(*self.version)


@dataclass(frozen=True)
class Result:
    """What came of one interpreter: how many tests passed (None: not run), and the digests."""

    n_passed: int | None
    failed: str
    digests: Mapping[str, str]


class LeftOutError(Exception):
    """An interpreter that is not tried, and why."""


def candidates(environment: Mapping[str, str]) -> Iterator[Path]:
    """The paths that may be interpreters: on PATH, and the versions that pyenv has installed."""
    # An empty entry means the current directory, where no interpreter is expected.
    directories = [Path(text) for text in environment.get("PATH", "").split(os.pathsep) if text]
    pyenv = Path(environment.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for directory in (*directories, *sorted(pyenv.glob("versions/*/bin"))):
        if directory.is_dir():
            yield from sorted(p for p in directory.iterdir() if _NAME.fullmatch(p.name))


def probe(path: Path) -> Python:
    """Run an interpreter: a name on PATH may be a shim of pyenv that has nothing behind it.

    Raises:
        LeftOutError: It does not run, or is not CPython, or older than 3.11.
    """
    try:
        done = subprocess.run(
            [path, "-I", "-c", _PROBE],
            capture_output=True,
            text=True,
            check=False,
            timeout=_PROBE_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LeftOutError(f"does not run: {error}") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise LeftOutError(f"does not run: {lines[-1] if 'Traceback' in lines[0] else lines[0]}")
    name, *numbers = json.loads(done.stdout)
    version = (numbers[0], numbers[1], numbers[2])
    if name != "cpython" or version < (3, 11, 0):
        raise LeftOutError(f"is {name} {'.'.join(map(str, version))}")
    return Python(path, version)


def discover(paths: Iterable[Path], stated: Iterable[str]) -> tuple[list[Python], dict[Path, str]]:
    """The newest interpreter of each stated version, in order, and why the others are left out."""
    newest: dict[str, Python] = {}
    left_out: dict[Path, str] = {}
    for path in dict.fromkeys(paths):
        try:
            found = probe(path)
        except LeftOutError as reason:
            left_out[path] = str(reason)
            continue
        if found.minor not in stated:
            left_out[path] = f"is {found}, which the classifiers of pyproject.toml do not name"
        elif found.minor not in newest or newest[found.minor].version < found.version:
            newest[found.minor] = found
    # A shim of pyenv that is not selected does not matter where the version itself was found.
    names = {f"python{minor}" for minor in newest}
    left_out = {path: why for path, why in left_out.items() if path.name not in names}
    return sorted(newest.values(), key=lambda python: python.version), left_out


def stated_versions() -> list[str]:
    """The versions that the classifiers of the project name."""
    classifiers = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["classifiers"]
    return [match[1] for text in classifiers if (match := _CLASSIFIER.fullmatch(text))]


def set_up(python: Python) -> Path:
    """An environment of the interpreter with everything of the lock file; its Python.

    Raises:
        CalledProcessError: It cannot be made, or the lock file is not good for this version.
    """
    directory = ROOT / f".venv-{python.minor}"
    inside, ready = directory / "bin" / "python", directory / ".ready"
    made_of = hashlib.sha256(LOCK.read_bytes() + PROJECT.read_bytes())
    made_of.update(f"{python.path} {python}".encode())
    if ready.is_file() and ready.read_text() == made_of.hexdigest():
        return inside
    # pip is that of this environment: an interpreter of a distribution often comes without one.
    # Sources are compiled when they are imported, which few are.
    pip = (sys.executable, "-W", "ignore", "-m", "pip", "--python", str(inside), "install")
    options = ("--quiet", "--no-compile", "--disable-pip-version-check")
    for command in (
        (str(python.path), "-m", "venv", "--clear", "--without-pip", str(directory)),
        (*pip, *options, "--require-hashes", "--requirement", str(LOCK)),
        (*pip, *options, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)),
    ):
        subprocess.run(
            command, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    ready.write_text(made_of.hexdigest())
    return inside


def run(inside: Path, *, with_tests: bool) -> Result:
    """Run the tests and make the digests in an environment."""
    n_passed, failed = None, ""
    if with_tests:
        chosen = ("-q", "-m", "not slow and not sweep", "-n", str(N_PROCESSES), *QUICK)
        tests = _python(inside, "pytest", *chosen)
        passed = re.search(r"(\d+) passed", tests.stdout)
        n_passed = int(passed[1]) if passed else 0
        failed = tests.stdout + tests.stderr if tests.returncode else ""
    made = _python(inside, "tests.python_digests")
    if made.returncode:
        return Result(n_passed, failed + made.stderr, {})
    return Result(n_passed, failed, json.loads(made.stdout)["digests"])


def _python(inside: Path, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    # Warnings of processes that a test starts count, too. What was not compiled when it was
    # installed is compiled now, whatever the surroundings say: jax is imported many times.
    environment = {**os.environ, "PYTHONWARNINGS": "error", "PYTHONDONTWRITEBYTECODE": ""}
    return subprocess.run(
        [inside, "-m", module, *arguments],
        cwd=ROOT,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )


def differences(results: Mapping[str, Result]) -> list[str]:
    """The names of the digests that are not the same on all interpreters, sorted."""
    names = {name for result in results.values() for name in result.digests}
    return sorted(
        name for name in names if len({result.digests.get(name) for result in results.values()}) > 1
    )


def _print_left_out(
    left_out: Mapping[Path, str], tried: Iterable[Python], stated: list[str]
) -> None:
    for path, reason in left_out.items():
        print(f"left out: {path} {reason}")
    for minor in sorted(set(stated) - {python.minor for python in tried}):
        print(f"left out: Python {minor} was not found here")


def _print_digests(results: Mapping[str, Result], differing: list[str]) -> None:
    first = next(iter(results.values())).digests
    for name, digest in first.items():
        if name not in differing:
            print(f"  {digest.removeprefix('sha256:')[:16]}  {name}")
    for name in differing:
        print(f"  DIFFERS: {name}")
        for version, result in results.items():
            print(f"    {version}: {result.digests.get(name, 'absent')}")
    print(
        f"{len(first) - len(differing)} digests are the same on {', '.join(results)}; "
        f"{len(differing)} differ."
    )


def main() -> int:
    """Try them all, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--others", action="store_true", help="no tests on this very Python")
    parser.add_argument("paths", nargs="*", type=Path, metavar="PYTHON", help="more interpreters")
    options = parser.parse_args()

    this = Python(Path(sys.executable), sys.version_info[:3])
    stated = stated_versions()
    # This one is at hand already, ready made.
    wanted = [version for version in stated if version != this.minor]
    found, left_out = discover([*options.paths, *candidates(os.environ)], wanted)
    same = f"is {this.minor}."
    left_out = {path: why for path, why in left_out.items() if not why.startswith(same)}
    _print_left_out(left_out, [this, *found], stated)

    started = time.monotonic()
    with ThreadPoolExecutor(N_PROCESSES) as pool:
        try:
            environments = [Path(sys.executable), *pool.map(set_up, found)]
        except subprocess.CalledProcessError as error:
            print(f"{' '.join(error.cmd)}\n{error.stdout}")
            return 1
    if found:
        print(f"environments: {time.monotonic() - started:.0f} s", flush=True)
    results: dict[str, Result] = {}
    for python, inside in zip([this, *found], environments, strict=True):
        started = time.monotonic()
        result = run(inside, with_tests=not (options.others and python == this))
        results[str(python)] = result
        tests = "tests not run" if result.n_passed is None else f"{result.n_passed} tests passed"
        seconds = f"{time.monotonic() - started:.0f} s"
        print(f"Python {python}: {tests}, {len(result.digests)} digests, {seconds}", flush=True)
        if result.failed:
            print(result.failed)
    differing = differences(results)
    _print_digests(results, differing)
    return 1 if differing or any(result.failed for result in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
