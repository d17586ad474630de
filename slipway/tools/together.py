"""Processes that end with the program that started them, and programs that end with their terminal.

`atexit` and `finally` do not run in a program that is killed, nor in a notebook's kernel when its Jupyter has died. So
a second program, which is this file, watches: it reads from a pipe whose other end the first program alone holds. The
system closes that end when the first program is gone, and the watcher then ends what was started.
"""

import atexit
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from functools import cache

import psutil

GRACE_SECONDS = 15  # between SIGTERM and SIGKILL: longer than the service drains


def end_together(process: "subprocess.Popen[bytes]") -> None:
    """See to it that a process is ended when this program has ended, be it that somebody killed it."""
    pipe = _watcher().stdin
    assert pipe is not None
    pipe.write(f"{process.pid}\n".encode())
    pipe.flush()


@cache
def _watcher() -> "subprocess.Popen[bytes]":
    """One for this program. It has a session of its own: the signals of the terminal must not end it first."""
    command = [sys.executable, "-P", __file__]
    null = subprocess.DEVNULL
    watcher = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=null, stderr=null, start_new_session=True)
    atexit.register(watcher.communicate)  # a program that ends by itself waits until all have ended
    return watcher


def end_with_terminal() -> None:
    """Have SIGHUP sent to this program when its terminal is closed.

    The system sends it to the first program of a terminal. A shell passes it on to what it has started, but `make` does
    not: where it is the first, as in `tmux new "make serve"`, it waits for its children, which do not know.
    """
    with suppress(OSError):  # there is no terminal
        terminal = os.open("/dev/tty", os.O_RDONLY)
        threading.Thread(target=_wait_for_hangup, args=(terminal, threading.get_ident()), daemon=True).start()


def _wait_for_hangup(terminal: int, thread: int) -> None:
    poll = select.poll()
    poll.register(terminal, 0)  # no event but those that are always told
    if any(event & select.POLLHUP for _, event in poll.poll()):
        signal.pthread_kill(thread, signal.SIGHUP)


def watch(lines: Iterable[str]) -> None:
    """Read process ids, a line each, and end these processes and their children after the last line."""
    watched = []
    for line in lines:
        with suppress(psutil.NoSuchProcess):  # it has ended already
            watched.append(psutil.Process(int(line)))
    left = []
    for process in watched:
        with suppress(psutil.NoSuchProcess):
            children = process.children(recursive=True)
            process.terminate()  # the children are left to it
            left += [process, *children]
    _, alive = psutil.wait_procs(left, timeout=GRACE_SECONDS)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()


if __name__ == "__main__":
    watch(sys.stdin)
