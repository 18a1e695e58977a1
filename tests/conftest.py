"""Shared by all tests: no deadlines; programs are compiled once and kept for the session."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

from hypothesis import HealthCheck, settings

# A deadline or a health check by the clock would make a busy machine fail.
settings.register_profile("no clock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no clock")

# Set before anything imports jax, and inherited by pytest-xdist's workers and by every process that
# a test starts. The portability matrix, whose cases must compile for the machine that they pretend
# to be, sets an environment of its own.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    _cache = tempfile.mkdtemp(prefix="tunixrt-tests-")
    atexit.register(shutil.rmtree, _cache, ignore_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _cache
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
