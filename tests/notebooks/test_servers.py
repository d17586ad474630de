"""The servers of a lesson are asked directly, not through a proxy, and end with the notebook, however that ends."""

import os
import socket
import subprocess
import sys
from contextlib import suppress

import jupytext
import psutil
import pytest
from support.server import ROOT

# A lesson, the code with which the last of its servers is ready, and how many processes of them listen then at least.
LESSONS = [("08_service", "    wait(process, client)", 4), ("12_monitoring", "service = start(", 1)]
STAY = "\nprint('all are ready', flush=True)\nimport sys\nsys.stdin.read()\n"


def beginning(lesson, last):
    """The code of a lesson, up to the first cell that has this code in it."""
    notebook = jupytext.read(ROOT / "notebooks" / "source" / f"{lesson}.md")
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    number = next(number for number, source in enumerate(cells) if last in source)
    return "\n".join(cells[: number + 1])


def listening(processes):
    sockets = [each for process in processes for each in process.net_connections()]
    return {each.laddr.port for each in sockets if each.status == psutil.CONN_LISTEN}


def received(proxy):
    """What those who have come to a proxy wanted of it."""
    requests = []
    proxy.settimeout(0)
    with suppress(BlockingIOError):
        while True:
            connection, _ = proxy.accept()
            with connection:
                connection.settimeout(5)
                requests.append(connection.recv(4096))
    return requests


@pytest.mark.parametrize(("lesson", "last", "servers"), LESSONS, ids=[lesson for lesson, _, _ in LESSONS])
def test_they_are_asked_directly_and_end_with_a_notebook_that_is_killed(lesson, last, servers, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as proxy, (tmp_path / "log").open("wb") as log:
        address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        environment = os.environ | dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy"), address)
        environment |= {"no_proxy": "", "NO_PROXY": ""}
        process = subprocess.Popen(
            [sys.executable, "-c", beginning(lesson, last) + STAY],
            cwd=ROOT / "notebooks",
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
        children = []
        try:
            is_ready = any(
                line == b"all are ready\n" for line in process.stdout
            )  # or it ends, as its waits have limits
            assert is_ready, (tmp_path / "log").read_text(encoding="utf-8")
            children = psutil.Process(process.pid).children(recursive=True)
            assert len(listening(children)) >= servers
            assert not [request for request in received(proxy) if b"127.0.0.1" in request]
            process.kill()
            assert psutil.wait_procs(children, timeout=30)[1] == []
        finally:
            process.kill()
            for child in children:
                with suppress(psutil.NoSuchProcess):
                    child.kill()
            process.communicate()
