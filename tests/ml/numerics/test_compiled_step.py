"""What XLA and LLVM make of a whole training step in the portable mode.

The other tests of the numerics compare results. These read the compiled program: whatever could
make its bits depend on the CPU or on the compiler's mood must not be in it.
"""

from __future__ import annotations

import math
import os
import re
import struct
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Operations of HLO whose bits are up to the compiler or to a library.
INEXACT_OPERATIONS: Final = (
    "power|cosine|sine|tan|tanh|atan2|erf|cbrt|logistic|exponential|exponential-minus-one|log|"
    "log-plus-one"
)


# A step of muon has all that a step of AdamW has: embeddings and norms are AdamW's there.
@pytest.fixture(scope="module", params=[pytest.param("adamw", marks=pytest.mark.sweep), "muon"])
def dump(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory with HLO and LLVM code of one compiled training step."""
    directory = tmp_path_factory.mktemp(request.param)
    subprocess.run(
        [sys.executable, "-m", "tests.ml.numerics.compiled_step", str(directory), request.param],
        env={k: v for k, v in os.environ.items() if k not in ("XLA_FLAGS", "JAX_PLATFORMS")},
        check=True,
    )
    return directory


@pytest.fixture(scope="module")
def hlo(dump: Path) -> str:
    """The optimised HLO of the step."""
    (path,) = dump.glob("*jit_run.cpu_after_optimizations.txt")
    return path.read_text()


class Instruction(NamedTuple):
    """One LLVM instruction: `name = operation rest`."""

    operation: str
    type: str
    operands: tuple[str, ...]


def instructions(path: Path) -> Iterator[tuple[dict[str, Instruction], str, Instruction]]:
    """Every instruction of an LLVM file, with those of its function before it."""
    pattern = re.compile(
        r"\s*(%\S+) = (?:tail )?(\w+) (?:(?:nnan|ninf|nsz|reassoc) )*"
        r"(<\d+ x \w+>|[\w.]+) (.*?)(?:, ![\w.]+ .*)?$"
    )
    known: dict[str, Instruction] = {}
    for line in path.read_text().splitlines():
        if line.startswith("define"):
            known = {}
        if match := pattern.match(line):
            name, operation, type_, rest = match.groups()
            rest = re.sub(r"splat \(\w+ ([^)]*)\)", r"\1", rest)
            found = Instruction(operation, type_, tuple(rest.split(", ")))
            yield known, name, found
            known[name] = found


def test_no_operation_is_left_to_the_compiler_or_a_library(hlo: str, dump: Path) -> None:
    assert not re.findall(rf"^.* = \S+ (?:{INEXACT_OPERATIONS})\(.*$", hlo, re.MULTILINE)
    assert "custom-call" not in hlo
    declared: set[str] = set()
    for path in dump.glob("*ir-with-opt.ll"):
        declared.update(re.findall(r"^declare .*?@([\w.]+)\(", path.read_text(), re.MULTILINE))
    assert declared
    # Instructions of the processor. llvm.exp and the like would become calls of libm.
    harmless = re.compile(
        r"llvm\.(fabs|maximum|minimum|smin|smax|umin|umax|sqrt|roundeven|copysign|floor|vector\.reduce|"
        r"masked|lifetime|memcpy|memset|assume|stack(save|restore)|experimental\.noalias)\b"
    )
    assert [name for name in sorted(declared) if not harmless.match(name)] == []


def test_every_product_of_matrices_is_in_float64(hlo: str, dump: Path) -> None:
    types = Counter(re.findall(r" = (\w+)\[\S* dot\(", hlo))
    # A layer has four products and their two gradients each, attention six; then the logits.
    # Muon has three for each of the three shapes that hidden matrices have here.
    n_of_muon = 3 * 3 if dump.name.startswith("muon") else 0
    assert types == {"f64": 2 * (4 * 3 + 6) + 3 + n_of_muon}


def test_every_sum_is_in_float64_or_of_integers(hlo: str) -> None:
    """The rest are maxima, which have no order."""
    roots = {}
    for computation in hlo.split("\n}\n"):
        header = re.search(r"^%(\S+) \(", computation, re.MULTILINE)
        root = re.search(r"ROOT \S+ = (\w+)\[\S* (\w+)\(", computation)
        if header and root:
            roots[header[1]] = root.groups()
    reductions = re.findall(r" (?:reduce|reduce-window|scatter)\(.*to_apply=%([^\s,]+)", hlo)
    combiners = {roots[name] for name in reductions}
    assert ("f64", "add") in combiners
    assert ("f32", "maximum") in combiners
    # Integers are added modulo a power of two, exactly: tokens, and the weights' fingerprint.
    assert ("u32", "add") in combiners
    assert {type_ for type_, operation in combiners if operation == "add"} <= {"f64", "s32", "u32"}
    assert {operation for _, operation in combiners} <= {"add", "maximum", "minimum"}


def test_positions_of_the_fingerprint_are_not_kept_as_an_array(hlo: str) -> None:
    """Neither as a constant nor from one step to the next: they would be as big as the weights."""
    constants = re.findall(r" = [su]32\[([\d,]+)\]\S* constant\(", hlo)
    (loop,) = re.findall(r"^ENTRY .*?^}", hlo, re.MULTILINE | re.DOTALL)
    (carried,) = re.findall(r" = (\(.*\)) while\(", loop)
    kept = [*constants, *re.findall(r"u32\[([\d,]+)\]", carried)]
    assert kept
    assert max(math.prod(map(int, shape.split(","))) for shape in kept) <= 1024


def test_no_product_can_be_fused_with_an_addition_unless_it_is_exact(dump: Path) -> None:
    """LLVM contracts a product that goes straight into an addition; here that changes nothing.

    Allowed are float64 products without rounding: of two float32 numbers, of two numbers on grids,
    of a rounded number with its unit, with a power of two. And of float32 products the one in exp,
    of a small integer with a constant of ten bits.
    """
    n_additions, refused = 0, []
    for path in dump.glob("*ir-with-opt.ll"):
        for known, name, found in instructions(path):
            if found.operation not in ("fadd", "fsub"):
                continue
            n_additions += 1
            for operand in found.operands[:2]:
                product = known.get(operand)
                if product is None or product.operation != "fmul":
                    continue
                if not _is_allowed(known, product):
                    refused.append(f"{path.name}: {name} = {found}, {operand} = {product}")
    assert n_additions > 1000
    assert refused == []


def _is_allowed(known: dict[str, Instruction], product: Instruction) -> bool:
    return _is_exact(known, product) if "double" in product.type else _is_in_exp(known, product)


def _is_in_exp(known: dict[str, Instruction], product: Instruction) -> bool:
    bits = [_significant_bits(operand) for operand in product.operands[:2]]
    kinds = [_origin(known, operand) for operand in product.operands[:2]]
    return min(bits) <= 10 and "integer" in kinds


def _is_exact(known: dict[str, Instruction], product: Instruction) -> bool:
    bits = [_significant_bits(operand) for operand in product.operands[:2]]
    if min(bits) <= 2:
        return True
    kinds = [
        "float" if n_bits <= 24 else _origin(known, operand)
        for n_bits, operand in zip(bits, product.operands[:2], strict=True)
    ]
    return "integer" in kinds or kinds in (["float", "float"], ["grid", "grid"])


def _origin(known: dict[str, Instruction], name: str) -> str:
    """Whether a value was a float32 number, was rounded to an integer, or to a multiple."""
    found = known.get(name)
    while found is not None and found.operation in ("shufflevector", "insertelement"):
        inner = found.operands[0 if found.operation == "shufflevector" else 1]
        found = known.get(inner.rpartition(" ")[2])
    if found is None:
        return "unknown"
    if found.operation == "fpext":
        return "float"
    if found.operation == "call" and "roundeven" in "".join(found.operands):
        return "integer"
    is_scaled = found.operation == "fmul" and any(
        _origin(known, operand) == "integer" for operand in found.operands[:2]
    )
    return "grid" if is_scaled else "unknown"


def _significant_bits(constant: str) -> int:
    """How many bits the significand of an LLVM constant has; 53 for what is no constant."""
    text = constant.rpartition(" ")[2]
    if text.startswith("%"):
        return 53
    if match := re.fullmatch(r"f?0x([0-9A-Fa-f]+)", text):
        digits = match[1]
        (value,) = struct.unpack(">d" if len(digits) == 16 else ">f", bytes.fromhex(digits))
    else:
        value = float(text)
    numerator = abs(value).as_integer_ratio()[0]
    return (numerator >> (numerator & -numerator).bit_length() - 1).bit_length() if numerator else 0
