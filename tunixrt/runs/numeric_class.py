"""The numeric class of a machine: what decides float32 bits besides the configuration.

The same compiled float32 program gives other bits with another CPU vendor, vector width, thread
count, cache sizes (block sizes of matrix products) or libc. In ``fast`` mode
a run promises its bits only within one class, so the class is recorded and enters the run id. In
``portable`` mode it decides nothing and is only recorded in the environments.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tunixrt.log.digests import Digest, digest_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: The x86-64 features that change which kernels XLA, Eigen and YNNPACK choose.
_ISA_FEATURES = (
    "avx", "avx2", "avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl", "avx512_bf16",
    "avx512_fp16", "avx512_vnni", "avx_vnni", "amx_bf16", "amx_int8", "amx_tile", "bmi2", "f16c",
    "fma", "sse4_1", "sse4_2",
)  # fmt: skip


class NumericClass(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One numeric class; equal classes give equal float32 bits.

    ``n_threads`` is the number of threads that XLA's CPU client starts; ``caches`` are sizes in
    bytes of the caches of the first CPU, by level and kind (``"L1 Data"``).
    """

    packages: dict[str, str]
    xla_flags: list[str]
    n_threads: int
    machine: str
    cpu_vendor: str
    cpu_family: str
    cpu_model: str
    isa: list[str]
    caches: dict[str, str]
    libc: str
    system: str

    @property
    def digest(self) -> Digest:
        """The digest of the class."""
        return digest_value(msgspec.to_builtins(self))

    def differences(self, other: NumericClass) -> list[str]:
        """Return the names of the fields in which two classes differ."""
        return [
            name for name in self.__struct_fields__ if getattr(self, name) != getattr(other, name)
        ]


def beyond_the_promise(numeric_class: NumericClass) -> str | None:
    """Return why portable mode does not promise its bits on a machine; None if it does.

    The promise is for x86-64 CPUs with AVX2 and FMA. Nothing in portable mode needs either, so
    training runs on other machines too; tests without FMA had the same bits, but not all machines
    were tested.
    """
    if numeric_class.machine not in ("x86_64", "AMD64"):
        return f"this machine is {numeric_class.machine}, not x86-64"
    lacking = [name.upper() for name in ("avx2", "fma") if name not in numeric_class.isa]
    return f"this CPU has no {' and no '.join(lacking)}" if lacking else None


def detect_numeric_class(
    *,
    packages: Mapping[str, str],
    xla_flags: Sequence[str],
    n_threads: int | None = None,
    cpuinfo: Path = Path("/proc/cpuinfo"),
    caches: Path = Path("/sys/devices/system/cpu/cpu0/cache"),
) -> NumericClass:
    """Return the numeric class of this machine.

    Args:
        packages: versions of the numeric packages.
        xla_flags: the flags of XLA, from ``XLA_FLAGS``.
        n_threads: threads of XLA's client; by default the CPUs that this process may use.
        cpuinfo: Linux's description of the CPUs; an absent file (another system) leaves
            the fields to :mod:`platform`.
        caches: the directory that describes the caches of the first CPU.
    """
    cpu = _first_cpu(cpuinfo)
    flags = set(cpu.get("flags", "").split())
    return NumericClass(
        packages=dict(sorted(packages.items())),
        xla_flags=sorted(xla_flags),
        n_threads=n_threads if n_threads is not None else usable_cpus(),
        machine=platform.machine(),
        cpu_vendor=cpu.get("vendor_id", platform.processor() or "unknown"),
        cpu_family=cpu.get("cpu family", "unknown"),
        cpu_model=cpu.get("model", "unknown"),
        isa=[feature for feature in _ISA_FEATURES if feature in flags],
        caches=_cache_sizes(caches),
        libc=" ".join(part for part in platform.libc_ver() if part) or "unknown",
        system=platform.system(),
    )


def usable_cpus() -> int:
    """Return how many CPUs this process may use, the default number of XLA's threads."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _first_cpu(cpuinfo: Path) -> dict[str, str]:
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    fields: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            break
        name, _, value = line.partition(":")
        fields[name.strip()] = value.strip()
    return fields


def _cache_sizes(directory: Path) -> dict[str, str]:
    sizes: dict[str, str] = {}
    for index in sorted(directory.glob("index*")):
        try:
            level = (index / "level").read_text(encoding="ascii").strip()
            kind = (index / "type").read_text(encoding="ascii").strip()
            size = (index / "size").read_text(encoding="ascii").strip()
        except OSError:
            continue
        sizes[f"L{level} {kind}"] = size
    return sizes
