"""Build the Cython core; every other fact about the package is in pyproject.toml.

FIREKEEP_BUILD=debug builds without optimisation, with C assertions, bounds
checks and the line events coverage.py needs. The default is ``release``.
"""

import os
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

CORE = Path("src/core")
DEBUG = os.environ.get("FIREKEEP_BUILD", "release") == "debug"

# Modules built on C++ containers. The rest is C, which compiles faster.
CXX = {"firekeep_core.store.lru"}

DIRECTIVES = {
    "language_level": "3",
    "auto_pickle": False,
    "wraparound": False,
    "boundscheck": DEBUG,
    "initializedcheck": DEBUG,
    "linetrace": DEBUG,
}

if sys.platform == "win32":
    CFLAGS = ["/Od" if DEBUG else "/O2"]
    CXXFLAGS = [*CFLAGS, "/std:c++17", "/EHsc"]
else:
    CFLAGS = ["-O0", "-g", "-UNDEBUG"] if DEBUG else ["-O3", "-g0"]
    CXXFLAGS = [*CFLAGS, "-std=c++17"]

# coverage.py listens to sys.settrace; on Python 3.12+ Cython would otherwise
# send its line events to sys.monitoring, where the plugin does not see them.
TRACE = ("CYTHON_TRACE", "CYTHON_TRACE_NOGIL")
MACROS = [*((name, "1") for name in TRACE), ("CYTHON_USE_SYS_MONITORING", "0")] if DEBUG else []


def flavour_stamp() -> str:
    """Return a file that is rewritten when the flavour changes, so all modules rebuild."""
    stamp = Path("build/flavour")
    flavour = "debug" if DEBUG else "release"
    if not stamp.exists() or stamp.read_text() != flavour:
        stamp.parent.mkdir(exist_ok=True)
        stamp.write_text(flavour)
    return stamp.as_posix()


def extension(pyx: Path) -> Extension:
    """Return the extension of a module, whose name is its path below the core."""
    name = ".".join(pyx.relative_to(CORE).with_suffix("").parts)
    cxx = name in CXX
    return Extension(
        name,
        [pyx.as_posix()],
        language="c++" if cxx else "c",
        # word.h lies in snap and is part of word.pxd, which every layer may cimport
        include_dirs=[pyx.parent.as_posix(), (CORE / "firekeep_core/snap").as_posix()],
        depends=[flavour_stamp()],
        define_macros=MACROS,
        extra_compile_args=CXXFLAGS if cxx else CFLAGS,
    )


setup(
    ext_modules=cythonize(
        [extension(pyx) for pyx in sorted(CORE.rglob("*.pyx"))],
        # coverage.py's Cython plugin looks for the C file beside the .pyx file.
        build_dir=None if DEBUG else "build/cython",
        compiler_directives=DIRECTIVES,
    ),
    options={"build_ext": {"parallel": os.cpu_count() or 1}},
)
