"""What a program starts ends with it, also if that program is killed."""

import signal
import subprocess
import sys
from contextlib import suppress

import psutil
import pytest

from slipway.tools import together

WAIT = "import time; time.sleep(600)"
PROGRAM = f"""
import subprocess, sys
from slipway.tools.together import end_together
for _ in range(2):
    process = subprocess.Popen([sys.executable, "-c", {WAIT!r}])
    end_together(process)
    print(process.pid, flush=True)
sys.exit(sys.stdin.readline())
"""
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
)


@pytest.fixture
def program():
    """A program that waits for a line, and the processes that it has started: two of its own, and the watcher."""
    command = [sys.executable, "-c", PROGRAM]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        try:
            own = {int(process.stdout.readline()) for _ in range(2)}
            children = psutil.Process(process.pid).children()
            assert len(children) == 3
            assert own < {child.pid for child in children}
            yield process, children
        finally:
            process.kill()
            for child in children:
                with suppress(psutil.NoSuchProcess):
                    child.kill()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_they_end_with_a_program_that_a_signal_ends(program, number):
    process, children = program
    process.send_signal(number)
    assert psutil.wait_procs(children, timeout=30)[1] == []


def test_they_end_with_a_program_that_ends_by_itself(program):
    process, children = program
    process.stdin.write("an error\n")
    process.stdin.flush()
    assert psutil.wait_procs(children, timeout=30)[1] == []
    assert process.wait(30) == 1


def test_who_does_not_obey_is_killed_and_who_has_ended_is_left_alone(monkeypatch):
    monkeypatch.setattr(together, "GRACE_SECONDS", 0.2)
    ended = subprocess.Popen([sys.executable, "-c", "pass"])
    ended.wait()
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE) as stubborn:
        stubborn.stdout.readline()
        together.watch([f"{ended.pid}\n", f"{stubborn.pid}\n"])
        assert stubborn.wait(30) == -signal.SIGKILL
