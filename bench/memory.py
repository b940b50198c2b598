"""Resident memory of this process, as the kernel counts it."""

import contextlib
from pathlib import Path as File

STATUS = File("/proc/self/status")


def _kilobytes(field: str) -> int:
    for line in STATUS.read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    raise LookupError(f"no {field} in {STATUS}")


def resident_bytes() -> int:
    """Return the resident set size."""
    return _kilobytes("VmRSS:") * 1024


def peak_bytes() -> int:
    """Return the largest resident set size so far, or since `forget_peak`."""
    return _kilobytes("VmHWM:") * 1024


def forget_peak() -> None:
    """Begin to look for the peak anew, where the kernel lets a process do that."""
    with contextlib.suppress(OSError):
        File("/proc/self/clear_refs").write_text("5")
