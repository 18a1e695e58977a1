"""Other machines, as far as one machine can play them: what is varied, and how.

A *variation* is an environment, a command prefix and arguments for `train_once`; whatever it is,
the portable mode has to train the same bits under it. Those that this machine or its kernel cannot
play say why.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT: Final = Path(__file__).parents[2]
_STATUS_SKIP: Final = 77


@dataclass(frozen=True)
class Variation:
    """One way to run the training program.

    Attributes:
        name: what is different.
        variables: added to the environment.
        prefix: put before the command.
        arguments: for `train_once`.
        cwd: where it runs.
        fakes_cpu: needs the library that answers CPUID.
        emulates: the command emulates another processor, so it takes very long.
    """

    name: str
    variables: Mapping[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    cwd: Path = ROOT
    fakes_cpu: bool = False
    emulates: bool = False


def _threads(n_threads: int) -> dict[str, str]:
    return {"NPROC": str(n_threads), "PJRT_NPROC": str(n_threads)}


def _xla(flag: str) -> dict[str, str]:
    return {"XLA_FLAGS": f"--xla_{flag}"}


def _emulated(model: str) -> Variation:
    """Everything, Python included, on QEMU's processor of a model (Debian: `qemu-user`).

    QEMU computes floating point in software and not on this machine's units, so this is the most
    different machine that can be had without another machine.
    """
    return Variation(f"QEMU: {model}", prefix=("qemu-x86_64", "-cpu", model), emulates=True)


BASELINE: Final = Variation("as it is")

VARIATIONS: Final = (
    BASELINE,
    Variation("1 thread", _threads(1)),
    Variation("2 threads", _threads(2)),
    Variation("4 threads", _threads(4)),
    Variation("pinned to one core", prefix=("taskset", "-c", "0")),
    Variation("1 step in a call", arguments=("--steps-at-once", "1")),
    Variation("2 steps in a call", arguments=("--steps-at-once", "2")),
    Variation("4 steps in a call", arguments=("--steps-at-once", "4")),
    Variation("code for AVX2", _xla("cpu_max_isa=AVX2")),
    Variation("code for AVX, without FMA", _xla("cpu_max_isa=AVX")),
    Variation("code for SSE 4.2", _xla("cpu_max_isa=SSE4_2")),
    Variation("vectors of 128 bits", _xla("cpu_prefer_vector_width=128")),
    Variation("vectors of 512 bits", _xla("cpu_prefer_vector_width=512")),
    Variation("code in one part", _xla("cpu_parallel_codegen_split_count=1")),
    Variation("code for size", _xla("backend_extra_options=xla_cpu_optimize_for_size")),
    Variation("no SLP vectors", _xla("backend_extra_options=xla_cpu_disable_slp_vectorizer")),
    Variation("hardly optimised", _xla("backend_optimization_level=0")),
    Variation("Eigen in one thread", _xla("cpu_multi_thread_eigen=false")),
    Variation("no YNNPACK", arguments=("--ynn-fusion=-dot,-individual_dot,-eltwise,-reduce",)),
    Variation("no new fusion emitters", _xla("cpu_use_fusion_emitters=false")),
    Variation(
        "libm without AVX2 and FMA",
        {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX2_Usable,-FMA_Usable"},
    ),
    Variation("numpy without AVX2", {"NPY_DISABLE_CPU_FEATURES": "X86_V3"}),
    Variation(
        "other surroundings",
        {
            "LC_ALL": "C",
            "TZ": "Pacific/Chatham",
            "PYTHONHASHSEED": "12345",
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "3",
        },
        cwd=Path("/"),
    ),
    Variation("CPUID: no AVX-512", {"FAKE_CPU_HIDE_AVX512": "1"}, fakes_cpu=True),
    Variation(
        "CPUID: small caches",
        {"FAKE_CPU_HIDE_AVX512": "1", "FAKE_CPU_CACHES": "16,128,1024"},
        fakes_cpu=True,
    ),
    Variation(
        "CPUID: large caches",
        {"FAKE_CPU_HIDE_AVX512": "1", "FAKE_CPU_CACHES": "64,4096,131072"},
        fakes_cpu=True,
    ),
    Variation(
        "CPUID: Intel Haswell",
        {
            "FAKE_CPU_HIDE_AVX512": "1",
            "FAKE_CPU_VENDOR": "GenuineIntel",
            "FAKE_CPU_SIGNATURE": "000306c3",
            "FAKE_CPU_CACHES": "32,256,8192",
        },
        fakes_cpu=True,
    ),
    Variation(
        "CPUID: Intel Alder Lake",
        {
            "FAKE_CPU_HIDE_AVX512": "1",
            "FAKE_CPU_VENDOR": "GenuineIntel",
            "FAKE_CPU_SIGNATURE": "00090672",
            "FAKE_CPU_CACHES": "48,1280,30720",
        },
        fakes_cpu=True,
    ),
    Variation(
        "CPUID: AMD Zen 2",
        {
            "FAKE_CPU_HIDE_AVX512": "1",
            "FAKE_CPU_VENDOR": "AuthenticAMD",
            "FAKE_CPU_SIGNATURE": "00830f10",
            "FAKE_CPU_CACHES": "32,512,16384",
        },
        fakes_cpu=True,
    ),
    Variation(
        "CPUID: AMD Zen 4",
        {"FAKE_CPU_VENDOR": "AuthenticAMD", "FAKE_CPU_SIGNATURE": "00a10f11"},
        fakes_cpu=True,
    ),
)

EMULATED: Final = (_emulated("Haswell"), _emulated("EPYC"))
"""Those that take a quarter of an hour or more each, and are tried only when asked for."""


class CannotPlayError(Exception):
    """This machine cannot play a variation; the message says why."""


@dataclass(frozen=True)
class Trained:
    """What `train_once` printed."""

    weights: str
    metrics: str
    predictions: str
    final_loss: float
    n_params: int


def train(variation: Variation, mode: str, run: str | None = None) -> Trained:
    """Run `train_once` under a variation, in a process of its own.

    Args:
        variation: the machine that is played.
        mode: the numeric mode.
        run: a run of this repository to make again; None for a small one.

    Raises:
        CannotPlayError: The variation cannot be played here.
        RuntimeError: Training failed.
    """
    if variation.prefix and shutil.which(variation.prefix[0]) is None:
        raise CannotPlayError(f"there is no command {variation.prefix[0]}")
    kept = {k: v for k, v in os.environ.items() if k not in ("XLA_FLAGS", "JAX_PLATFORMS")}
    variables = {**kept, **variation.variables}
    if variation.fakes_cpu:
        variables["LD_PRELOAD"] = str(fake_cpu_library())
    python = sys.executable
    if variation.emulates:
        # QEMU does not look at what a virtual environment's link says, so its path is given.
        python = str(Path(sys.executable).resolve())
        variables["PYTHONPATH"] = os.pathsep.join(path for path in (str(ROOT), *sys.path) if path)
    command = [python, "-W", "ignore", "-m", "tests.portability.train_once", mode]
    chosen = () if run is None else ("--run", run)
    done = subprocess.run(
        [*variation.prefix, *command, *chosen, *variation.arguments],
        cwd=variation.cwd,
        env=variables,
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{variation.name}, {mode}: status {done.returncode}\n{done.stderr}")
    return Trained(**json.loads(done.stdout))


@cache
def fake_cpu_library() -> Path:
    """Compile `fake_cpu.c`.

    Raises:
        CannotPlayError: There is no compiler, or CPUID cannot be made to fault on this machine.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise CannotPlayError("there is no C compiler (cc)")
    library = Path(mkdtemp(prefix="fake-cpu-")) / "fake_cpu.so"
    source = Path(__file__).with_name("fake_cpu.c")
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, source],
        check=True,
    )
    probe = subprocess.run(
        [sys.executable, "-c", "pass"],
        env={**os.environ, "LD_PRELOAD": str(library)},
        check=False,
    )
    if probe.returncode == _STATUS_SKIP:
        raise CannotPlayError("processor or hypervisor does not let CPUID fault")
    if probe.returncode:
        raise subprocess.CalledProcessError(probe.returncode, probe.args)
    return library
