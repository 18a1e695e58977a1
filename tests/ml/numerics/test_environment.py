"""What has to be settled before jax is imported: in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tunixrt.ml import environment
from tunixrt.ml.numerics import numerics_for

FLAGS = " ".join(f"{name}={value}" for name, value in environment.REQUIRED_XLA_FLAGS.items())


def run(code: str, **variables: str) -> str:
    """Run code in a fresh process and return what it prints."""
    kept = {k: v for k, v in os.environ.items() if k not in ("XLA_FLAGS", "JAX_PLATFORMS")}
    done = subprocess.run(
        [sys.executable, "-c", f"from tunixrt.ml.environment import *\nimport os, sys\n{code}"],
        env={**kept, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_module_imports_no_jax() -> None:
    assert run("print('jax' in sys.modules, 'numpy' in sys.modules)") == "False False"


def test_preparing_sets_the_flags_and_keeps_others() -> None:
    code = "prepare('portable'); print(os.environ['XLA_FLAGS'], os.environ['JAX_PLATFORMS'])"
    other = "--xla_cpu_use_thunk_runtime=true"
    assert run(code, XLA_FLAGS=other) == f"{other} {FLAGS} cpu"


def test_the_modes_differ_in_64_bit_types_and_may_follow_each_other() -> None:
    code = """
for mode in ("fast", "portable", "fast"):
    prepare(mode)
    import jax.numpy
    print(jax.numpy.asarray(1.0).dtype)
"""
    assert run(code).split() == ["float32", "float64", "float32"]


def test_flags_that_stand_in_the_environment_are_enough() -> None:
    assert run("import jax; prepare('fast'); print('ready')", XLA_FLAGS=FLAGS) == "ready"


def test_jax_may_be_imported_before_as_long_as_it_has_not_computed() -> None:
    code = "import jax; prepare('portable'); print(os.environ['XLA_FLAGS'])"
    assert run(code) == FLAGS


def test_a_conflicting_flag_is_told() -> None:
    flags = "--xla_cpu_enable_fast_math=true"
    with pytest.raises(environment.ConflictingXlaFlagError, match="Remove the flag") as caught:
        environment.missing_xla_flags(flags)
    assert (caught.value.flag, caught.value.expected, caught.value.found) == (
        "--xla_cpu_enable_fast_math",
        "false",
        "true",
    )


def test_missing_flags_are_listed_in_a_fixed_order() -> None:
    assert " ".join(environment.missing_xla_flags("")) == FLAGS
    assert environment.missing_xla_flags(FLAGS) == ()


def test_unknown_modes_are_told() -> None:
    for refuse in (environment.prepare, numerics_for):
        with pytest.raises(
            environment.UnknownNumericModeError, match="Expected one of: fast, portable"
        ) as caught:
            refuse("exact")
        assert caught.value.mode == "exact"


def test_modes_know_their_names() -> None:
    assert [numerics_for(mode).mode for mode in environment.NUMERIC_MODES] == ["fast", "portable"]
