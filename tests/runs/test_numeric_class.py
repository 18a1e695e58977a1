"""The numeric class names everything that decides float32 bits beside the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from tunixrt.runs.numeric_class import (
    NumericClass,
    beyond_the_promise,
    detect_numeric_class,
)

if TYPE_CHECKING:
    from pathlib import Path

CPUINFO = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 1
flags\t\t: fpu sse4_1 sse4_2 fma avx f16c bmi2 avx2 not_a_feature

processor\t: 1
vendor_id\t: SomebodyElse
"""


def detect(tmp_path: Path, cpuinfo: str = CPUINFO, n_threads: int | None = 2) -> NumericClass:
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    for index, (level, kind, size) in enumerate([("1", "Data", "32K"), ("2", "Unified", "512K")]):
        directory = tmp_path / "cache" / f"index{index}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "level").write_text(level + "\n")
        (directory / "type").write_text(kind + "\n")
        (directory / "size").write_text(size + "\n")
    (tmp_path / "cache" / "index9").mkdir(exist_ok=True)
    return detect_numeric_class(
        packages={"jax": "1", "flax": "2"},
        xla_flags=["--b", "--a"],
        n_threads=n_threads,
        cpuinfo=tmp_path / "cpuinfo",
        caches=tmp_path / "cache",
    )


def test_the_class_is_read_from_the_first_cpu(tmp_path: Path) -> None:
    found = detect(tmp_path)
    assert (found.cpu_vendor, found.cpu_family, found.cpu_model) == ("AuthenticAMD", "25", "1")
    assert found.isa == ["avx", "avx2", "bmi2", "f16c", "fma", "sse4_1", "sse4_2"]
    assert found.caches == {"L1 Data": "32K", "L2 Unified": "512K"}
    assert found.xla_flags == ["--a", "--b"]
    assert found.n_threads == 2


def test_equal_machines_have_one_digest_and_differences_are_named(tmp_path: Path) -> None:
    amd = detect(tmp_path)
    assert detect(tmp_path).digest == amd.digest
    intel = detect(
        tmp_path, CPUINFO.replace("AuthenticAMD", "GenuineIntel").replace("avx2", "avx2 avx512f")
    )
    assert amd.digest != intel.digest
    assert amd.differences(intel) == ["cpu_vendor", "isa"]
    assert amd.differences(amd) == []


def test_threads_are_the_cpus_that_the_process_may_use_unless_told(tmp_path: Path) -> None:
    assert detect(tmp_path, n_threads=None).n_threads >= 1


def test_a_system_without_cpuinfo_still_has_a_class(tmp_path: Path) -> None:
    found = detect_numeric_class(
        packages={}, xla_flags=[], cpuinfo=tmp_path / "absent", caches=tmp_path / "absent"
    )
    assert found.isa == []
    assert found.caches == {}
    assert found.cpu_model == "unknown"


@pytest.mark.parametrize(
    ("machine", "isa", "sentence"),
    [
        ("x86_64", ["avx2", "fma"], None),
        ("x86_64", ["avx"], "this CPU has no AVX2 and no FMA"),
        ("x86_64", ["avx2"], "this CPU has no FMA"),
        ("aarch64", [], "this machine is aarch64, not x86-64"),
    ],
)
def test_it_says_where_portable_mode_promises_nothing(
    machine: str, isa: list[str], sentence: str | None, tmp_path: Path
) -> None:
    here = msgspec.structs.replace(detect(tmp_path), machine=machine, isa=isa)
    assert beyond_the_promise(here) == sentence
