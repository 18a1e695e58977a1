"""The door to jax: who may import it, and what a process that uses jax itself may have done before.

What a process did before is tried in processes of their own.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tunixrt
from tests.making.models import weights_of_both_modes
from tunixrt.ml.environment import REQUIRED_XLA_FLAGS

FLAGS = " ".join(f"{name}={value}" for name, value in REQUIRED_XLA_FLAGS.items())
BEHIND_THE_DOOR = {"jax", "jaxlib", "flax", "optax", "safetensors"}

TRAIN = """
from tests.making.models import weights_of_both_modes
print(*weights_of_both_modes(), sep="\\n")
"""


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh process without flags of XLA or settings of jax."""
    kept = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS" and not k.startswith("JAX_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, "PYTHONPATH": ":".join(sys.path), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def printed(code: str, **variables: str) -> list[str]:
    """The lines that code prints."""
    done = run(code, **variables)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def imported_modules(file: Path) -> set[str]:
    """The first parts of all module names that a file imports, wherever in it."""
    names: list[str] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.append(node.module or "")
    return {name.partition(".")[0] for name in names}


def test_one_module_imports_jax_and_what_imports_jax() -> None:
    package = Path(tunixrt.__file__).parent
    importing = {
        file.relative_to(package).as_posix()
        for file in package.rglob("*.py")
        if imported_modules(file) & BEHIND_THE_DOOR
    }
    assert importing == {"ml/xla.py"}


def test_importing_the_layer_imports_no_jax_and_starts_no_client() -> None:
    code = """
import sys
import tunixrt.ml, tunixrt.ml.environment
print("jax" in sys.modules)
import tunixrt.ml.training, tunixrt.ml.generate
from tunixrt.ml.environment import started_threads
print(started_threads())
"""
    assert printed(code) == ["False", "None"]


@pytest.mark.slow
def test_weights_do_not_depend_on_what_a_notebook_did_with_jax_before() -> None:
    # Here the programs may come from the cache of the session; the processes below compile theirs.
    expected = weights_of_both_modes()
    assert len(set(expected)) == 2
    left = "import jax; print(jax.config.jax_enable_x64, jax.config.jax_default_matmul_precision)"
    # The line that the error names, before the first computation.
    imported = """
import jax
jax.config.update("jax_enable_x64", True)
import tunixrt.ml.xla
jax.numpy.ones(3) + 1
"""
    assert printed(imported + TRAIN + left) == [*expected, "True None"]
    computed = """
import jax
jax.config.update("jax_default_matmul_precision", "bfloat16")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
assert float(jax.numpy.arange(4.0) @ jax.numpy.arange(4.0)) == 14
"""
    assert printed(computed + TRAIN + left, XLA_FLAGS=FLAGS) == [*expected, "False bfloat16"]


@pytest.mark.parametrize("mode", ["fast", "portable"])
def test_a_computation_without_the_flags_is_refused_with_the_lines_to_add(mode: str) -> None:
    code = f"""
import jax
jax.numpy.ones(3) + 1
from tunixrt.errors import BadInputError
from tunixrt.ml.environment import prepare
try:
    prepare({mode!r})
except BadInputError as error:
    print(error)
"""
    other = "--xla_cpu_use_thunk_runtime=true"
    message = printed(code, XLA_FLAGS=other)
    assert "not in effect: --xla_cpu_enable_platform_dependent_math=false" in message[0]
    assert message[1:] == [
        "    import tunixrt.ml.xla",
        f'    import os; os.environ["XLA_FLAGS"] = "{other} {FLAGS}"',
    ]


def test_flags_that_are_set_after_a_computation_are_not_taken_for_read() -> None:
    code = f"""
import os
import jax
jax.numpy.ones(3) + 1
os.environ["XLA_FLAGS"] = {FLAGS!r}
from tunixrt.errors import BadInputError
from tunixrt.ml.environment import set_flags
try:
    set_flags("fast")
except BadInputError as error:
    print(type(error).__name__)
"""
    assert printed(code) == ["XlaFlagsNotReadError"]


def test_the_settings_of_the_caller_are_back_after_the_block() -> None:
    code = """
import jax
from tunixrt.ml.xla import computing
settings = "jax_enable_x64 jax_disable_jit jax_default_matmul_precision jax_debug_nans".split()
def now():
    return [getattr(jax.config, name) for name in settings]
jax.config.update("jax_debug_nans", True)
with jax.disable_jit(), jax.default_matmul_precision("float32"):
    print(now())
    for mode in ("portable", "fast"):
        with computing(mode):
            print(now())
    print(now())
"""
    callers = "[False, True, 'float32', True]"
    assert printed(code) == [
        callers,
        "[True, False, None, False]",
        "[False, False, None, False]",
        callers,
    ]


def test_a_setting_that_changes_the_compiled_code_is_refused_with_the_line_to_add() -> None:
    code = """
from tunixrt.ml.xla import JaxSettingError, computing
try:
    with computing("fast"):
        pass
except JaxSettingError as error:
    print(error)
"""
    assert printed(code, JAX_DISABLE_MOST_OPTIMIZATIONS="1")[1:] == [
        "    jax.config.update('jax_disable_most_optimizations', False)"
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted where Linux lists them")
def test_the_numeric_class_has_the_threads_that_the_client_started_with() -> None:
    code = """
import os
import jax
import tunixrt.ml.xla
from tunixrt.jobs.machine import prepare_machine
from tunixrt.runs.identity import current_code
print(prepare_machine("fast", current_code()).n_threads)
jax.numpy.ones(3) + 1
os.environ["NPROC"] = "7"
print(prepare_machine("fast", current_code()).n_threads)
"""
    assert printed(code, NPROC="3") == ["3", "3"]
