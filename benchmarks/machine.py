"""The machine that was measured on, and the size of the image that was built on it."""

import os
import platform
import subprocess
from pathlib import Path

import psutil

from slipway.tools.container import IMAGE, ContainerError, find_engine


def machine() -> dict[str, str | int | float]:
    """What a figure must be read with."""
    return {
        "system": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count() or 1,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
    }


def processor() -> str:
    """The processor's name. Python knows it on macOS alone."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def image_size() -> str | None:
    """The size of the service's image, as its container engine says it; None if there is no engine or no image."""
    try:
        engine = find_engine()
    except ContainerError:
        return None
    listed = subprocess.run([engine.name, "images", "--format", "{{.Size}}", IMAGE], capture_output=True, text=True)
    return listed.stdout.strip() or None
